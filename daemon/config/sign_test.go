package config

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/sign"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// keyFile writes a key beside the configuration at path.
func keyFile(t testing.TB, path, name string, kind dkim.KeyType) (*dkim.Key, string) {
	t.Helper()
	k, err := dkim.GenerateKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(path), name)
	if err := k.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	return k, file
}

const signMinimal = "[[listener]]\nsocket = 'unix:/run/x'\nchain = ['sign']\n[filter.sign]\n"

func TestSignTable(t *testing.T) {
	path := write(t, "c.toml", signMinimal+`by = "envelope"
class = ["internal"]
canon_header = "simple"
canon_body = "simple"
fields = ["From", "Subject"]
over_sign = ["From"]
expire = "240h"
add_missing = false
sign_again = false
[[filter.sign.key]]
domain = "Example.com"
selector = "2026"
file = "ed.pem"
subdomains = true
[[filter.sign.key]]
domain = "shop.example"
selector = "s"
file = "ed.pem"
senders = ["orders@*.example.com"]
users = ["shop-*"]
`)
	_, file := keyFile(t, path, "ed.pem", dkim.Ed25519)
	c, problems := parseFiles(t, path)
	if len(problems) > 0 {
		t.Fatal(texts(problems))
	}
	if diff := cmp.Diff([]string{file}, c.ListFiles()); diff != "" {
		t.Errorf("files that are watched (-want +got):\n%s", diff)
	}
	if c.ListInfo(file) == nil {
		t.Error("nothing is known of the key's file")
	}
	want := &Sign{By: sign.Envelope, Classes: []filter.Class{filter.Internal}, Header: dkim.Simple, Body: dkim.Simple, Fields: []string{"From", "Subject"},
		OverSign: []string{"From"}, Expire: 240 * 3600 * 1e9, Keys: []SignKey{
			{Domain: "Example.com", Selector: "2026", File: file, Subdomains: true},
			{Domain: "shop.example", Selector: "s", File: file, Senders: []string{"orders@*.example.com"}, Users: []string{"shop-*"}}}}
	if diff := cmp.Diff(want, c.Filters[0].Options); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}

// Mail goes through the filter as the table says, with the key that is in the file when the
// configuration is read.
func TestSignFilterSignsWithTheKeyThatIsThere(t *testing.T) {
	path := write(t, "c.toml", signMinimal+"[[filter.sign.key]]\ndomain = 'example.com'\nselector = '2026'\nfile = 'ed.pem'\n")
	src, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		k, file := keyFile(t, path, "ed.pem", dkim.Ed25519)
		c, problems := src.Parse()
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		zone, err := dns.ParseZone("keys", strings.NewReader(k.ZoneLine("2026", "example.com")))
		if err != nil {
			t.Fatal(err)
		}
		why := ""
		chain, err := c.Listeners[0].NewChain(Env{Log: slog.New(slog.DiscardHandler), Explain: func(x *filter.Explanation) { why = x.Filters[0].Why }})
		if err != nil {
			t.Fatal(err)
		}
		client := miltertest.New(t, &milter.Server{New: chain.Hooks})
		r := client.Send(t, miltertest.Mail{Conn: &mta.Conn{Addr: netip.MustParseAddrPort("127.0.0.1:1")}, Text: "From: joe@example.com\r\n\r\nHello.\r\n"})
		checked, err := (&dkim.Verifier{Resolver: zone}).Verify(t.Context(), r.Message.Header, strings.NewReader(r.Body()))
		if err != nil || len(checked.Signatures) != 1 || checked.Signatures[0].Value != dkim.Pass {
			t.Errorf("%+v, %v; explained %s", checked, err, why)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProblemsOfKeys(t *testing.T) {
	const key = "[[filter.sign.key]]\ndomain = 'example.com'\nselector = '2026'\nfile = 'ed.pem'\n"
	for _, tt := range []struct{ name, text, want string }{
		{"no key is a warning", "", "warning: c.toml:4: filter.sign: it has no [[filter.sign.key]], and signs nothing\n"},
		{"no file", "[[filter.sign.key]]\ndomain = 'example.com'\nselector = '2026'\nfile = 'none.pem'\n", "c.toml:8: filter.sign.key[1].file: DIR/none.pem: no such file or directory\n"},
		{"everybody reads it", strings.Replace(key, "ed.pem", "open.pem", 1), "c.toml:8: filter.sign.key[1].file: DIR/open.pem: everybody can read it (mode 0644); chmod 0600, or 0640 where its group is to read it\n"},
		{"no key in it", strings.Replace(key, "ed.pem", "text", 1), "c.toml:8: filter.sign.key[1].file: DIR/text: it is no private key in PEM\n"},
		{"weak", strings.Replace(key, "ed.pem", "weak.pem", 1), "warning: c.toml:8: filter.sign.key[1].file: RSA with 1024 bits is weak: sign with 2048 at least (RFC 8301)\n"},
		{"all is missing", "[[filter.sign.key]]\n", "c.toml:5: filter.sign.key[1].domain: it is missing\nc.toml:5: filter.sign.key[1].selector: it is missing\nc.toml:5: filter.sign.key[1].file: it is missing\n"},
		{"domain", strings.Replace(key, "example.com", "localhost", 1), "c.toml:6: filter.sign.key[1].domain: \"localhost\" is no domain\n"},
		{"selector", strings.Replace(key, "2026", "a b", 1), "c.toml:7: filter.sign.key[1].selector: \"a b\" is no selector\n"},
		{"senders", key + "senders = ['@example.com', 'joe']\n", "c.toml:9: filter.sign.key[1].senders[2]: sender \"joe\" should be user@domain or @domain\n"},
		{"nobody", key + "users = []\n", "c.toml:9: filter.sign.key[1].users: nobody is in it; leave the key out for all of the domain\n"},
		{"users", key + "users = ['a, b']\n", "c.toml:9: filter.sign.key[1].users[1]: user \"a, b\" is empty, or has a comma or a blank; write one each\n"},
		{"subdomains of others", key + "subdomains = true\nusers = ['joe']\n", "c.toml:9: filter.sign.key[1].subdomains: it is for keys without senders and users, which say whose mail is signed by themselves\n"},
		{"two keys in one place", key + strings.Replace(key, "ed.pem", "other.pem", 1), "c.toml:12: filter.sign.key[2].file: another key of this filter is at 2026._domainkey.example.com, too\n"},
		{"fields", "fields = ['Subject', 'Return-Path']\n" + key, "c.toml:5: filter.sign.fields[2]: Return-Path cannot be signed: mail servers take it out of messages, or add others\n"},
		{"strangers", "class = ['external']\n" + key, "warning: c.toml:5: filter.sign.class: mail of strangers is signed as ours\n"},
		{"a short life", "expire = '1h'\n" + key, "warning: c.toml:5: filter.sign.expire: mail that waits in a queue for a day arrives with a signature that is no longer good\n"},
		{"canonicalization", "canon_body = 'nofws'\n" + key, "c.toml:5: filter.sign.canon_body: \"nofws\" is none of relaxed, simple\n"},
		{"a key that there is not", key + "key = 'x'\n", "c.toml:9: filter.sign.key[1].key: there is no such key\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "c.toml", signMinimal+tt.text, "text", "hello")
			for _, name := range []string{"ed.pem", "other.pem", "open.pem"} {
				keyFile(t, path, name, dkim.Ed25519)
			}
			dir := filepath.Dir(path)
			weak, err := rsa.GenerateKey(rand.Reader, 1024)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "weak.pem"), pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(weak)}), 0o600)
			}
			for name, mode := range map[string]os.FileMode{"open.pem": 0o644, "text": 0o600} {
				if err == nil {
					err = os.Chmod(filepath.Join(dir, name), mode)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			_, problems := parseFiles(t, path)
			got := regexp.MustCompile(`(?m)^((?:warning: )?c.toml:\d+):\d+`).ReplaceAllString(strings.ReplaceAll(texts(problems), dir, "DIR"), "$1")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// The user that the daemon goes on as may own keys, and has to be able to read them.
func TestKeysOfTheDaemonsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	path := write(t, "c.toml", "user = 'nobody'\n"+signMinimal+"[[filter.sign.key]]\ndomain = 'example.com'\nselector = '2026'\nfile = 'ed.pem'\n")
	_, file := keyFile(t, path, "ed.pem", dkim.Ed25519)
	const nobody, nogroup = 65534, 65534
	for _, tt := range []struct {
		uid, gid int
		mode     os.FileMode
		want     string
	}{
		{nobody, 0, 0o600, ""},
		{0, nogroup, 0o640, ""},
		{0, 0, 0o600, "filter.sign.key[1].file: user nobody cannot read it"},
		{0, nogroup, 0o600, "user nobody cannot read it"},
		{4711, nogroup, 0o640, "it belongs to user 4711"},
	} {
		if err := os.Chown(file, tt.uid, tt.gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, tt.mode); err != nil {
			t.Fatal(err)
		}
		_, problems := parseFiles(t, path)
		if got := texts(problems); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("user %d, group %d, mode %#o: %q, want %q", tt.uid, tt.gid, tt.mode, got, tt.want)
		}
	}
}

func TestNothingThatEditsStandsBehindSign(t *testing.T) {
	path := write(t, "c.toml", "[[listener]]\nsocket = 'unix:/run/x'\nchain = ['sign', 'html']\n[filter.html]\n[filter.sign]\n[[filter.sign.key]]\ndomain = 'example.com'\nselector = '2026'\nfile = 'ed.pem'\n")
	keyFile(t, path, "ed.pem", dkim.Ed25519)
	_, problems := parseFiles(t, path)
	if got := texts(problems); problems.Err() == nil || !strings.Contains(got, fmt.Sprintf("%q edits what %q has signed", "html", "sign")) {
		t.Errorf("problems:\n%s", got)
	}
}
