package spf

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// The examples of RFC 7208 section 7.4.
func TestMacros(t *testing.T) {
	e := &evaluation{subject: subject{ip: netip.MustParseAddr("192.0.2.3"), local: "strong-bad", domain: "email.example.com"}}
	v6 := &evaluation{subject: subject{ip: netip.MustParseAddr("2001:db8::cb01"), local: "strong-bad", domain: "email.example.com", helo: "h"}}
	v6.now = func() time.Time { return time.Unix(1e9, 0) }
	for _, tt := range []struct {
		e        *evaluation
		in, want string
	}{
		{e, "%{s}", "strong-bad@email.example.com"},
		{e, "%{o}", "email.example.com"},
		{e, "%{d}", "email.example.com"},
		{e, "%{d4}", "email.example.com"},
		{e, "%{d3}", "email.example.com"},
		{e, "%{d2}", "example.com"},
		{e, "%{d1}", "com"},
		{e, "%{dr}", "com.example.email"},
		{e, "%{d2r}", "example.email"},
		{e, "%{l}", "strong-bad"},
		{e, "%{l-}", "strong.bad"},
		{e, "%{lr}", "strong-bad"},
		{e, "%{lr-}", "bad.strong"},
		{e, "%{l1r-}", "strong"},
		{e, "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
		{e, "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
		{e, "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
		{e, "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
		{e, "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
		{v6, "%{ir}.%{v}._spf.%{d2}", "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com"},
		{v6, "%{c} %{r} %{t} %{h}", "2001:db8::cb01 unknown 1000000000 h"},
		{e, "%%%_%-%{S}", "% %20strong-bad%40email.example.com"},
		{e, "%{d99999999999999999999r}", "com.example.email"},
	} {
		if err := checkMacros(tt.in, true); err != nil {
			t.Errorf("%q: %v", tt.in, err)
		}
		got, err := expandMacros(tt.in, true, 1000, func(c byte) string { return tt.e.macro(c, "email.example.com") })
		if got != tt.want || err != nil {
			t.Errorf("%q is %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, bad := range []string{"%", "a%", "%a", "%{", "%{d", "%{}", "%{x}", "%{d0}", "%{d00r}", "%{dr2}", "%{d;}", "%{d }", "%(d)", "\x00", "é", "%{d\n}"} {
		if checkMacros(bad, true) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, text := range []string{"%{c}", "%{r}", "%{T}", "a b"} {
		if checkMacros(text, false) == nil {
			t.Errorf("%q is taken outside explanations", text)
		}
	}
}

// Macros of which nothing is left take time all the same.
func TestMacrosThatStandForNothing(t *testing.T) {
	for n, want := range map[int]error{maxMacros / 1024: nil, maxMacros/1024 + 1: errLong, 2600: errLong} {
		asked := 0
		got, err := expandMacros(strings.Repeat("%{h1-}", n)+"a.example", false, maxExpansion, func(byte) string {
			asked++
			return strings.Repeat("-", 1024)
		})
		if err != want || err == nil && got != "a.example" || asked > maxMacros/1024+1 {
			t.Errorf("%d: %q %v, want %v; %d were expanded", n, got, err, want, asked)
		}
	}
}

func TestAskable(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, tt := range []struct{ in, want string }{
		{"example.com", "example.com"},
		{"example.com.", "example.com"},
		{"", ""},
		{".", ""},
		{"a..b", ""},
		{".b", ""},
		{"b..", ""},
		{long + "a.example", ""},
		{long + ".example", long + ".example"},
		{"cut.me.off." + strings.Repeat("abcdef.", 35) + "example", strings.Repeat("abcdef.", 35) + "example"},
		{strings.Repeat("a", 300), ""},
		{"a\x00b.example", ""},
		{"bücher.example", ""},
	} {
		if got := askable(tt.in); got != tt.want {
			t.Errorf("askable(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestClientName(t *testing.T) {
	z := newFakeDNS()
	for _, n := range []string{"zz.other.example", "liar.example.com", "mail.example.com", "EXAMPLE.com"} {
		z.ptr("192.0.2.1", n)
	}
	z.host("zz.other.example", "192.0.2.1")
	z.host("mail.example.com", "192.0.2.1")
	z.host("liar.example.com", "192.0.2.66")
	z.host("example.com", "192.0.2.1")
	for domain, want := range map[string]string{
		"example.com":     "EXAMPLE.com",
		"other.example":   "zz.other.example",
		"unknown.example": "EXAMPLE.com",
	} {
		e := &evaluation{ctx: t.Context(), resolver: z, limits: limits{ptr: 10}, subject: subject{ip: ours}}
		if got := e.clientName(domain); got != want {
			t.Errorf("%s: %q, want %q", domain, got, want)
		}
	}
	e := &evaluation{ctx: t.Context(), resolver: z, limits: limits{ptr: 10}, subject: subject{ip: theirs}}
	if got := e.clientName("example.com"); got != "unknown" {
		t.Errorf("without a name: %q", got)
	}
}
