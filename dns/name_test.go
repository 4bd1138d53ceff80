package dns

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestHostname(t *testing.T) {
	for name, want := range map[string]string{
		"Mail.Example.COM.": "mail.example.com", "localhost": "localhost", "_x.example": "_x.example", "a--b.example": "a--b.example", "1.2.3.x4": "1.2.3.x4", "xn--bcher-kva.example": "xn--bcher-kva.example",
		"": "", ".": "", "a..b": "", "-a.example": "", "a-.example": "", "-": "", "1.2.3.4": "", "a.4": "", "a b": "", "a/b.example": "", "a@b.example": "", "a\n": "", "\u00fc.example": "", "[1.2.3.4]": "", "a:1": "",
		strings.Repeat("a", 64): "",
	} {
		if got, ok := hostname(name); got != want && ok || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", name, got, ok, want)
		}
	}
}

func TestReverseName(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1": "1.2.0.192.in-addr.arpa", "::ffff:10.20.30.255": "255.30.20.10.in-addr.arpa", "0.0.0.0": "0.0.0.0.in-addr.arpa",
		"2001:db8::567:89ab": "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", // RFC 5855
	} {
		if got := reverseName(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// What is asked is one name only, however it was written.
func TestCanonicalIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-zA-Z0-9_-]{1,20}\.){0,15}[a-zA-Z]{0,70}\.?`)).Draw(t, "name")
		name, ok := canonical(in)
		if !ok {
			if _, again := canonical(in + "."); again && !strings.HasSuffix(in, ".") {
				t.Fatalf("%q is a name with a dot only", in)
			}
			return
		}
		if again, ok := canonical(name + "."); !ok || again != name || len(name) > maxName || name == "" || name != strings.ToLower(name) {
			t.Fatalf("%q is %q, then %q", in, name, again)
		}
		if host, ok := hostname(in); ok && host != name {
			t.Fatalf("%q is %q, as a host %q", in, name, host)
		}
	})
}
