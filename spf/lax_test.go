package spf

import (
	"strings"
	"testing"
)

func TestLax(t *testing.T) {
	z := zone(t, `
in.example.   TXT "v=spf1 ip4:192.0.2.1 -all"
silent.example. A 192.0.2.77
h.example.    A 192.0.2.1
h.example.    MX 10 h.example.
1.2.0.192.in-addr.arpa. PTR h.example.
why.example.  TXT "%{i} is not ours"
two.example.  TXT "v=spf1 -all"
two.example.  TXT "v=spf1 -all"
`)
	r := layered{z, map[string]string{}}
	many := strings.Repeat(" include:not.in.example", 30)
	r.txt["not.in.example"] = "v=spf1 -all"
	for _, tt := range []struct {
		name, record string
		ours, others Value // of the client that the record is to admit, and of others
	}{
		{"misspelt ip", "ip:192.0.2.1 -all", Pass, Fail},
		{"misspelt ipv4", "ipv4:192.0.2.0/24 -all", Pass, Fail},
		{"misspelt ipv6", "ipv6:2001:db8::/32 ip4:192.0.2.1 -all", Pass, Fail},
		{"ip4 of IPv6", "ip4:2001:db8::/32 ip4:192.0.2.1 -all", Pass, Fail},
		{"ip6 of IPv4", "ip6:192.0.2.1 -all", Pass, Fail},
		{"misspelt ptr", "prt:h.example -all", Pass, Fail},
		{"a dot behind all", "ip4:192.0.2.1 -all.", Pass, Fail},
		{"an argument of all", "ip4:192.0.2.1 ~all:example.com", Pass, SoftFail},
		{"a bare address", "192.0.2.1 -all", Pass, Fail},
		{"a bare address with qualifier", "?192.0.2.0/24 -all", Neutral, Fail},
		{"a bare IPv6 address", "2001:db8::1 192.0.2.1 -all", Pass, Fail},
		{"an address for a", "a:192.0.2.1 -all", Pass, Fail},
		{"a prefix for a", "-a:192.0.2.0/28 +all x", Fail, Pass},
		{"commas", "ip4:203.0.113.1, ip4:192.0.2.1, -all", Pass, Fail},
		{"what nobody can read is left out", "moo cow:x a:b ip4:1.2.3 !all \xe2\x80\x93all ip4:192.0.2.1 -all", Pass, Fail},
		{"duplicate modifiers: the first counts", "redirect=in.example redirect=silent.example", Pass, Fail},
		{"an include without record matches nothing", "include:silent.example ip4:192.0.2.1 -all", Pass, Fail},
		{"a redirect without record is neutral", "redirect=silent.example", Neutral, Neutral},
		{"more than 10 look-ups", many[1:] + " a:h.example -all", Pass, Fail},
		{"more than 40 look-ups", many[1:] + many + " a:h.example -all", PermError, PermError},
		{"void look-ups", "a:1.no.example a:2.no.example a:3.no.example a:h.example -all", Pass, Fail},
		{"default=", "ip:192.0.2.1 default=softfail", Pass, SoftFail},
		{"default=deny", "ip:192.0.2.1 default=deny", Pass, Fail},
		{"default= stands behind redirect=", "x redirect=in.example default=pass", Pass, Fail},
		{"a default= that is none", "ip:192.0.2.1 default=moo", Pass, Neutral},
		{"several records stay a permerror", "include:two.example", PermError, PermError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.txt["lax.example"] = "v=spf1 " + tt.record
			c := Checker{Resolver: r, Lax: true}
			for _, client := range []struct {
				q    Query
				want Value
			}{{Query{ours, "a@lax.example", ""}, tt.ours}, {Query{theirs, "a@lax.example", ""}, tt.others}} {
				got := c.Check(t.Context(), client.q, MailFrom)
				if got.Value != PermError || got.Problem == "" || got.Lax != client.want || got.Effective() != client.want {
					t.Errorf("%s: %+v, want lax %s", client.q.IP, got, client.want)
				}
				c.Lax = false
				if strict := c.Check(t.Context(), client.q, MailFrom); strict.Value != PermError || strict.Lax != "" || strict.Problem != got.Problem {
					t.Errorf("%s: without Lax %+v", client.q.IP, strict)
				}
				c.Lax = true
			}
		})
	}
	t.Run("a good record is not read twice", func(t *testing.T) {
		c := Checker{Resolver: r, Lax: true}
		if got := c.Check(t.Context(), Query{ours, "a@in.example", ""}, MailFrom); got.Value != Pass || got.Lax != "" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a lax fail has its text and term", func(t *testing.T) {
		r.txt["lax.example"] = "v=spf1 ip:192.0.2.1 -all exp=why.example"
		c := Checker{Resolver: r, Lax: true}
		got := c.Check(t.Context(), Query{theirs, "a@lax.example", ""}, MailFrom)
		if got.Lax != Fail || got.Explanation != "198.51.100.9 is not ours" || got.Mechanism != "all" || got.Problem != "lax.example: ip:192.0.2.1: no such mechanism" {
			t.Errorf("%+v", got)
		}
	})
}
