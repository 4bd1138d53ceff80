package daemon_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/mta"
)

// A key that takes the place of another signs from then on, and one that cannot be used does
// not: the one before stays.
func TestKeysAreReadAgainWhenTheyChange(t *testing.T) {
	dir := t.TempDir()
	put := func(kind dkim.KeyType, mode os.FileMode) {
		t.Helper()
		k, err := dkim.GenerateKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.WriteFile(filepath.Join(dir, "new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, "new"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "key.pem")); err != nil {
			t.Fatal(err)
		}
	}
	put(dkim.Ed25519, 0o600)
	r := start(t, "[[listener]]\nsocket = 'unix:DIR/m.sock'\nchain = ['sign']\n[filter.sign]\n[[filter.sign.key]]\n"+
		"domain = 'example.com'\nselector = '2026'\nfile = '"+dir+"/key.pem'\n")
	signed := func(want string) {
		t.Helper()
		c := &mta.Client{Milters: []mta.Milter{{Address: strings.ReplaceAll("unix:DIR/m.sock", "DIR", r.dir)}}}
		res, err := c.Send(context.Background(), mta.Mail{Conn: mta.Conn{Name: "localhost", Addr: netip.MustParseAddrPort("127.0.0.1:4711")},
			From: "<joe@example.com>", Rcpts: []string{"<b@example.net>"}, Data: []byte("From: joe@example.com\r\n\r\nHello.\r\n")})
		if err != nil {
			t.Fatal(err)
		}
		if f, _ := res.Message.Header.Get("DKIM-Signature"); !strings.Contains(string(f.Value()), "a="+want+"-sha256") {
			t.Errorf("signed with %q, want %s", f.Value(), want)
		}
	}
	signed("ed25519")
	put(dkim.RSA2048, 0o600)
	r.log.await(t, "generation=2")
	signed("rsa")
	put(dkim.Ed25519, 0o644)
	r.log.await(t, "everybody can read it")
	signed("rsa")
	if err := os.Chmod(filepath.Join(dir, "key.pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.log.await(t, "generation=3")
	signed("ed25519")
}
