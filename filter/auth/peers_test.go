//go:build peers

package auth_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/mta"
)

func TestMain(m *testing.M) { os.Exit(peertest.Main(m)) }

var canons = []string{"simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"}

// A foreign is a message that others signed.
type foreign struct{ name, text string }

// signedByOpenDKIM has a message signed by Debian's OpenDKIM, once for each canonicalization, and
// returns the lines of a zone with the key.
func signedByOpenDKIM(t *testing.T, raw string) (list []foreign, zone string) {
	t.Helper()
	for _, canon := range canons {
		o := peertest.OpenDKIM(t, peertest.OpenDKIMConfig{Canon: canon, Selector: "opendkim"})
		c := &mta.Client{Profile: mta.Postfix, Hostname: "mx.example.net", Milters: []mta.Milter{{Address: o.Spec}}}
		res, err := c.Send(t.Context(), mta.Mail{Conn: mta.Conn{Name: "localhost", Addr: netip.MustParseAddrPort("127.0.0.1:4711")}, Helo: "client.example.com",
			From: "<a@example.com>", Rcpts: []string{"<b@example.net>"}, Data: []byte(raw)})
		if err != nil || res.Verdict != mta.Accept {
			t.Fatalf("OpenDKIM does not sign: %v, %v\n%s", res, err, o.Log)
		}
		list = append(list, foreign{"OpenDKIM " + canon, string(res.Message.Bytes())})
		zone = o.Name + ` TXT "` + o.Record + "\"\n"
	}
	return list, zone
}

// signedByDkimpy has a message signed by Debian's python3-dkim, with RSA and Ed25519.
func signedByDkimpy(t *testing.T, raw string) (list []foreign, zone string) {
	t.Helper()
	dir := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		kind   string
		public []byte
		file   []byte
	}{
		{"rsa", public, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})},
		{"ed25519", ed.Public().(ed25519.PublicKey), []byte(base64.StdEncoding.EncodeToString(ed.Seed()))},
	} {
		file := filepath.Join(dir, k.kind)
		if err := os.WriteFile(file, k.file, 0o600); err != nil {
			t.Fatal(err)
		}
		zone += fmt.Sprintf("%s._domainkey.example.com TXT \"v=DKIM1; k=%[1]s; p=%s\"\n", k.kind, base64.StdEncoding.EncodeToString(k.public))
		for _, canon := range canons {
			cmd := exec.Command("/usr/bin/python3", "-I", "-c", `import sys, dkim
key, selector, algorithm, canon = sys.argv[1:]
msg = sys.stdin.buffer.read()
field = dkim.sign(msg, selector.encode(), b"example.com", open(key, "rb").read(),
    canonicalize=tuple(c.encode() for c in canon.split("/")), signature_algorithm=algorithm.encode())
sys.stdout.buffer.write(field + msg)`, file, k.kind, k.kind+"-sha256", canon)
			cmd.Stdin = strings.NewReader(raw)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); err != nil {
				t.Fatalf("dkimpy: %v\n%s", err, &errs)
			}
			list = append(list, foreign{"dkimpy " + k.kind + " " + canon, out.String()})
		}
	}
	return list, zone
}

// Mail that others signed passes here, behind real mail servers, and what was changed on the way
// fails. There is one field in our name whatever comes along, above all but the mail server's own.
func TestForeignSignatures(t *testing.T) {
	const raw = "From: Ann <a@example.com>\r\nTo: b@example.net\r\nSubject:  two blanks\r\n\tand a fold\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n" +
		"Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nHello,  world.\t\r\n..\r\n\r\n\r\n"
	letters, zone := signedByOpenDKIM(t, raw)
	more, keys := signedByDkimpy(t, raw)
	letters = append(letters, more...)
	z, err := dns.ParseZone("zone", strings.NewReader(zone+keys+`
1.0.0.127.in-addr.arpa PTR client.example.com.
client.example.com A 127.0.0.1
client.example.com TXT "v=spf1 a -all"
example.com TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.example.com TXT "v=DMARC1; p=reject"
other.example TXT "v=spf1 -all"
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			why := serveZone(t, z, kind)
			send := func(t *testing.T, from, text string) string {
				t.Helper()
				if r := why.mta.Send(t, peertest.Letter{From: from, Data: "Authentication-Results: " + why.mta.Host + "; dkim=pass header.d=bank.example\r\n" +
					"Authentication-Results: mx.example.org; dkim=pass header.d=kept.example\r\n" + text}); !r.OK() {
					t.Fatalf("the client is told %v", r)
				}
				h := why.mta.Sink.Next(t).Header()
				names := h.Names()
				if i := slices.Index(names, "Authentication-Results"); i < 0 || slices.ContainsFunc(names[:i], func(n string) bool { return n != "Received" && n != "Return-Path" }) {
					t.Errorf("the fields are %q", names)
				}
				all := h.Values("Authentication-Results")
				if len(all) != 2 || !strings.HasPrefix(all[0], why.mta.Host+";") || !strings.HasPrefix(all[1], "mx.example.org;") {
					t.Fatalf("fields %q", all)
				}
				return strings.Join(strings.Fields(all[0]), " ")
			}
			for _, l := range letters {
				got := send(t, "a@example.com", l.text)
				for _, want := range []string{"iprev=pass (client.example.com) policy.iprev=127.0.0.1;", "spf=pass (record of example.com, ip4:127.0.0.1) smtp.mailfrom=a@example.com;",
					"spf=pass (record of client.example.com, a) smtp.helo=client.example.com;", " dkim=pass (", "header.d=example.com", "dmarc=pass policy.dmarc=reject header.from=example.com"} {
					if !strings.Contains(got, want) {
						t.Errorf("%s: no %q in %s\n%s", l.name, want, got, why.last())
					}
				}
				for name, changed := range map[string]string{
					"another body":     strings.Replace(l.text, "Hello", "Hallo", 1),
					"another subject":  strings.Replace(l.text, "two blanks", "no blanks", 1),
					"another author":   strings.Replace(l.text, "Ann <a@", "Eve <e@", 1),
					"blanks elsewhere": strings.Replace(l.text, "Subject:  two", "Subject: two", 1),
				} {
					got := send(t, "a@other.example", changed)
					dkim, dmarc := " dkim=fail ", " dmarc=fail "
					if name == "blanks elsewhere" && strings.Contains(l.name, " relaxed/") {
						dkim, dmarc = " dkim=pass ", " dmarc=pass "
					}
					if !strings.Contains(got, dkim) || !strings.Contains(got, dmarc) || !strings.Contains(got, " spf=fail ") {
						t.Errorf("%s, %s: %s\n%s", l.name, name, got, why.last())
					}
				}
			}
		})
	}
}

// behind is a mail server with the filter behind it.
type behind struct {
	mta  *peertest.MTA
	mu   sync.Mutex
	told string
}

func (b *behind) last() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told
}

func serveZone(t *testing.T, z dns.Resolver, kind peertest.Kind) *behind {
	t.Helper()
	cache := dns.NewCache(z, dns.CacheOptions{})
	t.Cleanup(func() { cache.Close() })
	f, err := auth.New("auth", auth.Options{Resolver: cache})
	if err != nil {
		t.Fatal(err)
	}
	b := new(behind)
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}, Network: filter.Network{Internal: []netip.Prefix{}}, Log: slog.New(slog.DiscardHandler),
		Explain: func(x *filter.Explanation) { b.mu.Lock(); defer b.mu.Unlock(); b.told = x.String() }}
	spec := peertest.FreeSpec(t, "unix")
	ln, err := milter.Listen(spec, milter.SocketOptions{Mode: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&milter.Server{New: chain.Hooks}).Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-done })
	b.mta = peertest.Start(t, kind, peertest.Config{Milters: []peertest.Milter{{Spec: spec}}})
	return b
}
