package spf

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// The texts that the library traces tell the terms, so this fails when they change.
func TestWhatDecided(t *testing.T) {
	r := zone(t, `
in.example.    TXT "v=spf1 ip4:192.0.2.1 -all"
out.example.   TXT "v=spf1 a:h.example -all"
deep.example.  TXT "v=spf1 redirect=in.example"
soft.example.  TXT "v=spf1 ?include:out.example redirect=end.example"
end.example.   TXT "v=spf1 ip4:203.0.113.1 exp=why.example"
h.example.     A 198.51.100.1
here.example.  A 192.0.2.99
here.example.  MX 10 mail.here.example.
mail.here.example. A 192.0.2.1
1.2.0.192.in-addr.arpa. PTR mail.here.example.
1.ok.example.  A 127.0.0.2
`)
	for _, tt := range []struct {
		record    string
		value     Value
		mechanism string
		lookups   int
	}{
		{"", Neutral, "default", 0},
		{"-all", Fail, "all", 0},
		{"~ALL", SoftFail, "all", 0},
		{"ip4:192.0.2.0/24 -all", Pass, "ip4:192.0.2.0/24", 0},
		{"?IP4:192.0.2.1 -all", Neutral, "IP4:192.0.2.1", 0},
		{"-a/24 +all", Fail, "a/24", 1},
		{"a a:here.example//64 -all", Fail, "all", 2},
		{"a:here.example/24//64", Pass, "a:here.example/24//64", 1},
		{"mx", Pass, "mx", 1},
		{"a mx:here.example/30", Pass, "mx:here.example/30", 2},
		{"ptr -all", Pass, "ptr", 1},
		{"ptr:h.example ptr:%{d} -all", Pass, "ptr:%{d}", 2},
		{"a ptr:h.example a ptr:h.example -all", Fail, "all", 4},
		{"exists:%{i1}.ok.example -all", Pass, "exists:%{i1}.ok.example", 1},
		{"exists:%{i1r}.ok.example -all", Fail, "all", 1},
		{"a:h.example exists:%{ir1}.ok.example -all", PermError, "", 0},
		{"~exists:1.ok.example", SoftFail, "exists:1.ok.example", 1},
		{"include:in.example -all", Pass, "include:in.example", 1},
		{"-include:deep.example +all", Fail, "include:deep.example", 2},
		{"include:out.example", Neutral, "default", 2},
		{"include:out.example -all", Fail, "all", 2},
		{"redirect=in.example", Pass, "ip4:192.0.2.1", 1},
		{"include:out.example redirect=deep.example", Pass, "ip4:192.0.2.1", 4},
		{"redirect=soft.example", Neutral, "default", 4},
		{"redirect=out.example", Fail, "all", 2},
	} {
		t.Run(tt.record, func(t *testing.T) {
			c := Checker{Resolver: r, Guess: "v=spf1 " + tt.record}
			got := c.Check(t.Context(), Query{ours, "a@here.example", ""}, MailFrom)
			if tt.value == PermError { // of a guess
				if got.Value != Neutral || got.Problem == "" {
					t.Errorf("%+v", got)
				}
				return
			}
			if got.Value != tt.value || got.Mechanism != tt.mechanism || got.Lookups != tt.lookups {
				t.Errorf("got %s by %q, %d look-ups, want %s by %q, %d", got.Value, got.Mechanism, got.Lookups, tt.value, tt.mechanism, tt.lookups)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	r := zone(t, `
none.example.   A 192.0.2.1
bad.example.    TXT "v=spf1 a:"
two.example.    TXT "v=spf1"
two.example.    TXT "v=spf1 a"
slow.example.   TIMEOUT
1.example.      TXT "v=spf1 -all moo"
2.example.      TXT "v=spf1 include:none.example -all"
3.example.      TXT "v=spf1 include:bad.example -all"
4.example.      TXT "v=spf1 redirect=two.example"
5.example.      TXT "v=spf1 redirect=none.example"
6.example.      TXT "v=spf1 a:1.no.example mx:2.no.example exists:3.no.example -all"
7.example.      TXT "v=spf1 include:7.example"
8.example.      TXT "v=spf1 a:slow.example -all"
9.example.      TXT "v=spf1 include:a.9.example -all"
a.9.example.    TXT "v=spf1 mx:slow.example -all"
10.example.     TXT "v=spf1 redirect=2.example"
11.example.     TXT "v=spf1 exp=a.example exp=b.example"
12.example.     TXT "v=spf1 a:\009b.example"
`)
	for domain, want := range map[string]Result{
		"1.example":  {Value: PermError, Problem: "1.example: moo: no such mechanism"},
		"2.example":  {Value: PermError, Problem: "include:none.example: no record there"},
		"3.example":  {Value: PermError, Problem: "bad.example: a:: no domain"},
		"4.example":  {Value: PermError, Problem: "two.example: several records"},
		"5.example":  {Value: PermError, Problem: "redirect=none.example: no record there"},
		"6.example":  {Value: PermError, Problem: "exists:3.no.example: more than 2 look-ups find nothing"},
		"7.example":  {Value: PermError, Problem: "include:7.example: more than 10 terms take look-ups"},
		"8.example":  {Value: TempError, Problem: "addresses of slow.example: i/o timeout"},
		"9.example":  {Value: TempError, Problem: "MX of slow.example: i/o timeout"},
		"10.example": {Value: PermError, Problem: "include:none.example: no record there"},
		"11.example": {Value: PermError, Problem: "11.example: exp=b.example: not the first of its kind"},
		"12.example": {Value: PermError, Problem: `12.example: a:?b.example: character '\t'`},
	} {
		c := Checker{Resolver: r}
		got := c.Check(t.Context(), Query{ours, "a@" + domain, ""}, MailFrom)
		if got.Value != want.Value || got.Problem != want.Problem || got.Mechanism != "" {
			t.Errorf("%s: got %s %q by %q, want %s %q", domain, got.Value, got.Problem, got.Mechanism, want.Value, want.Problem)
		}
	}
}

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
