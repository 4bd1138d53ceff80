package peertest

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// An OpenDKIMConfig says what an OpenDKIM does.
type OpenDKIMConfig struct {
	Network  string // unix, inet or inet6; empty means unix
	Mode     string // s to sign, v to verify, sv for both; empty means s
	Domain   string // whose mail is signed; empty means example.com
	Selector string // empty means peer
	Canon    string // canonicalization; empty means relaxed/simple

	// Keys has the public keys a verifier finds, by their DNS names, as in
	// "peer._domainkey.example.com": "v=DKIM1; k=rsa; p=...". DNS is not asked.
	Keys map[string]string

	Extra []string // lines of opendkim.conf
}

// An OpenDKIMFilter is a running OpenDKIM.
type OpenDKIMFilter struct {
	*Filter
	Key    *rsa.PrivateKey // what it signs with
	Name   string          // the DNS name of the public key
	Record string          // and its TXT record
}

// OpenDKIM starts Debian's OpenDKIM. It signs with a key made for this run what
// comes from loopback; it never asks DNS.
func OpenDKIM(t testing.TB, cfg OpenDKIMConfig) *OpenDKIMFilter {
	t.Helper()
	need(t, opendkimBinary(), shimLibrary())
	dir := Dir(t)
	spec := FreeSpec(t, cmp.Or(cfg.Network, "unix"))
	e, err := parseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dkimKey()
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	f := &OpenDKIMFilter{
		Key:    key,
		Name:   cmp.Or(cfg.Selector, "peer") + "._domainkey." + cmp.Or(cfg.Domain, "example.com"),
		Record: "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public),
	}
	var keys strings.Builder
	for _, name := range slices.Sorted(maps.Keys(cfg.Keys)) {
		fmt.Fprintf(&keys, "%s %s\n", name, cfg.Keys[name])
	}
	lines := append([]string{
		"Socket " + e.libmilter(),
		"UMask 000",
		"Background no",
		"Syslog yes",
		"SyslogSuccess yes",
		"LogWhy yes",
		"RequireSafeKeys no", // all below /tmp is unsafe to it
		"Mode " + cmp.Or(cfg.Mode, "s"),
		"Domain " + cmp.Or(cfg.Domain, "example.com"),
		"Selector " + cmp.Or(cfg.Selector, "peer"),
		"KeyFile " + filepath.Join(dir, "key.pem"),
		"Canonicalization " + cmp.Or(cfg.Canon, "relaxed/simple"),
		"TestPublicKeys " + filepath.Join(dir, "keys"),
	}, cfg.Extra...)
	pemKey := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "key.pem"), pemKey, 0o600),
		os.WriteFile(filepath.Join(dir, "keys"), []byte(keys.String()), 0o644),
		os.WriteFile(filepath.Join(dir, "opendkim.conf"), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	log := new(Lines)
	reader, err := listenLog(filepath.Join(dir, "log"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.stop)
	cmd := exec.Command(opendkimBinary(), "-x", filepath.Join(dir, "opendkim.conf"))
	cmd.Env = shimEnv(filepath.Join(dir, "log"))
	f.Filter = startFilter(t, spec, cmd, new(Lines), log, "listening at")
	return f
}

// dkimKey makes one key for all of a test binary: with 2048 bits it takes a while.
var dkimKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	return rsa.GenerateKey(rand.Reader, 2048)
})
