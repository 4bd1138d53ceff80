package spf

import (
	"testing"
)

func TestTermsByTheGrammar(t *testing.T) {
	for _, good := range []string{
		"all", "-ALL", "a", "+a", "a/0", "a//0", "a/32//128", "a:example.com", "a:example.com.", "a:example.com/24//64", "A:x--y.example", "mx", "?mx:%{d}", "mx/24",
		"a:%{d}/24", "a:a/b.example", "a:foo:bar/baz.example/24", "a:1.example/2.example", "ptr", "ptr:%{d2}", "~exists:%{ir}.example.com", "include:a.b",
		"ip4:192.0.2.0/24", "ip4:0.0.0.0/0", "ip6:::1", "ip6:2001:db8::/32", "ip6:::ffff:1.2.3.4/96",
		"redirect=a.b", "exp=%{d}", "REDIRECT=a.b", "moo=", "x-y_z.1=%{s}.cow", "all=x", "a:_spf.example",
	} {
		if _, err := parseTerm(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "+", "moo", "all.", "all:x", "all/24", "--all", "a:", "a/", "a//", "a/33", "a//129", "a/024", "a/-1", "a/24/64", "a//64/24", "a/24//", "a:/24", "a:example",
		"a:example.123", "a:example.-a", "a:example.a-", "a:example.c_m", "a:example.com..", "a:%{x}.com", "a:b.com%", "a:b.com/x", "a/x.com", "ptr:", "ptr/24", "exists", "exists:", "exists/24",
		"include", "include:", "include:a.b/24", "ip4", "ip4:", "ip4:1.2.3", "ip4:1.2.3.4/", "ip4:1.2.3.4/33", "ip4:1.2.3.4/032", "ip4:1.2.3.4/+8", "ip4:01.2.3.4", "ip4:::1", "ip4/24",
		"ip6:1.2.3.4", "ip6:::1/129", "ip6:fe80::1%eth0", "ip6:[::1]", "ip6:", "1.2.3.4", "redirect=", "redirect=x", "-redirect=a.b", "redirect:a.b", "exp=", "exp=%", "moo=%{x}",
		"=x", "1=x", "-x=y", "a\tb", "a:\x00.b", "a:é.example", "\u2013all", "a:b.com,",
	} {
		if got, err := parseTerm(bad); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
}

func TestIsRecord(t *testing.T) {
	for txt, want := range map[string]bool{
		"v=spf1": true, "V=SPF1 -all": true, "v=spf1 ": true,
		"": false, "v=spf": false, "v=spf10": false, "v=spf1\t-all": false, " v=spf1": false, "v=spf2.0/pra": false,
	} {
		if got := isRecord(txt); got != want {
			t.Errorf("isRecord(%q) = %v", txt, got)
		}
	}
}

func TestCheckRecord(t *testing.T) {
	for txt, want := range map[string]string{
		"v=spf1": "", "V=spf1  a -all  ": "", "v=spf1 redirect=a.b exp=c.d moo=x moo=y": "",
		"":                       "spf: a record that does not begin with v=spf1",
		"a mx":                   "spf: a record that does not begin with v=spf1",
		"v=spf1 a moo":           "spf: moo: no such mechanism",
		"v=spf1 -all a:b":        "spf: a:b: not a domain",
		"v=spf1 exp=a.b exp=c.d": "spf: exp=c.d: not the first of its kind",
	} {
		got := ""
		if err := CheckRecord(txt); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", txt, got, want)
		}
	}
	c := Checker{Resolver: newFakeDNS(), Guess: "moo", Lax: true}
	if got := c.Check(t.Context(), Query{ours, "a@b.example", ""}, MailFrom); got.Value != Neutral || got.Problem != "b.example: a record that does not begin with v=spf1" {
		t.Errorf("a guess that is none: %+v", got)
	}
	c = Checker{Resolver: newFakeDNS(), Local: map[string]string{"b.example": "moo"}, Lax: true}
	if got := c.Check(t.Context(), Query{ours, "a@b.example", ""}, MailFrom); got.Value != PermError || got.Lax != PermError {
		t.Errorf("a local record that is none: %+v", got)
	}
}
