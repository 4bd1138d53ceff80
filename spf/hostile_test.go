package spf

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/dns"
)

func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestHostileDNS(t *testing.T) {
	q := Query{theirs, "mallory@evil.example", "evil.example"}
	long := q
	long.From = strings.Repeat("m", 1000) + "@evil.example"
	for _, tt := range []struct {
		name    string
		make    func(z *fakeDNS)
		q       Query
		c       Checker // knobs
		want    Value
		problem string
		asked   int64 // questions at most
	}{
		{"a redirect to itself", func(z *fakeDNS) { z.txt("evil.example", "v=spf1 redirect=evil.example") }, q, Checker{},
			PermError, "redirect=evil.example: more than 10 terms take look-ups", 11},
		{"a loop of redirects", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 redirect=b.example")
			z.txt("b.example", "v=spf1 redirect=evil.example")
		}, q, Checker{}, PermError, "more than 10 terms take look-ups", 11},
		{"a loop of includes", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 include:b.example -all")
			z.txt("b.example", "v=spf1 include:evil.example +all")
		}, q, Checker{}, PermError, "more than 10 terms take look-ups", 11},
		{"names without end", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 include:a.evil.example -all")
			z.makeTXT = func(string) []string { return []string{"v=spf1 include:a.%{d} include:b.%{d} -all"} }
		}, q, Checker{}, PermError, "more than 10 terms take look-ups", 11},
		{"10 000 look-ups", func(z *fakeDNS) { z.txt("evil.example", "v=spf1"+repeat(10000, " a:%d.evil.example")) }, q, Checker{},
			PermError, "a record of 198896 octets, of 16384", 1},
		{"10 000 look-ups in a record that may be long", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1"+repeat(10000, " a:%d.evil.example"))
			z.makeHost = func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("203.0.113.1")} }
		}, q, Checker{MaxRecord: 1 << 20}, PermError, "a:10.evil.example: more than 10 terms take look-ups", 11},
		{"look-ups that find nothing", func(z *fakeDNS) { z.txt("evil.example", "v=spf1"+repeat(10, " a:%d.evil.example")) }, q, Checker{},
			PermError, "a:2.evil.example: more than 2 look-ups find nothing", 4},
		{"MX hosts that do not exist", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1"+strings.Repeat(" mx", 20))
			for i := range 10 {
				z.mx("evil.example", i, fmt.Sprintf("%d.evil.example", i))
			}
		}, q, Checker{}, PermError, "mx: more than 10 terms take look-ups", 1 + 10 + 100},
		{"a record of 1 MB", func(z *fakeDNS) { z.txt("evil.example", "v=spf1 +all "+strings.Repeat("x", 1<<20)) }, q, Checker{},
			PermError, "octets, of 16384", 1},
		{"10 000 terms", func(z *fakeDNS) { z.txt("evil.example", "v=spf1"+strings.Repeat(" a", 8000)) }, q, Checker{},
			PermError, "more than 2 look-ups find nothing", 4},
		{"10 000 records", func(z *fakeDNS) {
			for range 10000 {
				z.txt("evil.example", "v=spf1 +all")
			}
		}, q, Checker{}, PermError, "evil.example: several records", 1},
		{"10 000 other TXT", func(z *fakeDNS) {
			for range 10000 {
				z.txt("evil.example", strings.Repeat("y", 100))
			}
			z.txt("evil.example", "v=spf1 -all")
		}, q, Checker{}, Fail, "", 1},
		{"10 000 MX hosts", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 mx -all")
			for i := range 10000 {
				z.mx("evil.example", i, fmt.Sprintf("%d.evil.example", i))
			}
		}, q, Checker{}, PermError, "mx: more than 10 MX hosts", 2},
		{"10 000 PTR names", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 ptr exists:%{p}.%{p}.evil.example -all")
			for i := range 10000 {
				z.ptr("198.51.100.9", fmt.Sprintf("%d.other.example", i))
			}
		}, q, Checker{}, Fail, "", 1 + 11 + 11 + 1},
		{"10 000 addresses", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 a -all")
			for i := range 10000 {
				z.host("evil.example", netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String())
			}
		}, q, Checker{}, Fail, "", 2},
		{"macros that grow", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 exists:"+strings.Repeat("%{s}", 4000)+" -all")
		}, long, Checker{}, Fail, "", 1},
		{"macros that grow in all terms", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1"+strings.Repeat(" ptr:"+strings.Repeat("%{S1r-.+,/_=}", 100), 11)+" -all")
			z.ptr("198.51.100.9", "x.evil.example")
		}, long, Checker{}, PermError, "more than 10 terms", 3},
		{"names that grow over 253 octets", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 a:"+strings.Repeat("%{o}.", 400)+"example.com -all")
		}, q, Checker{}, Fail, "", 2},
		{"names of MX and PTR that are none", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 mx ptr ptr:%{p} a:x.evil.example -all")
			for _, n := range []string{"", "\x000", "\x00", "a b/c%d", strings.Repeat("x", 300), "b\x00\r\n"} {
				z.mx("evil.example", 1, n)
				z.ptr("198.51.100.9", n)
			}
		}, q, Checker{}, Fail, "", 9},
		{"an alias of itself", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 a:loop.example -all")
			z.cname("loop.example", "loop.example")
		}, q, Checker{}, TempError, "addresses of loop.example: CNAME loop", 2},
		{"a record that is no ASCII", func(z *fakeDNS) { z.txt("evil.example", "v=spf1 a:\xff\xfe\x00.example +all") }, q, Checker{},
			PermError, "character", 1},
		{"an explanation of 1 MB", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 -all exp=e.evil.example")
			z.txt("e.evil.example", strings.Repeat("e", 1<<20))
		}, q, Checker{}, Fail, "", 2},
		{"an explanation that grows", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 -all exp=e.evil.example")
			z.txt("e.evil.example", strings.Repeat("%{s}", 2000))
		}, long, Checker{}, Fail, "", 2},
		{"an explanation with lines", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 -all exp=e.evil.example")
			z.txt("e.evil.example", "a\r\n250 ok")
		}, q, Checker{}, Fail, "", 2},
		{"an explanation that brings lines of the sender in", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 -all exp=e.evil.example")
			z.txt("e.evil.example", "go away, %{h}")
		}, Query{theirs, "mallory@evil.example", "a\r\nb"}, Checker{}, Fail, "", 2},
		{"a sender that is no ASCII", func(z *fakeDNS) {
			z.txt("evil.example", "v=spf1 exists:%{l}.evil.example -all exp=%{l}.evil.example")
		}, Query{theirs, "m\xffé\x00@evil.example", ""}, Checker{}, Fail, "", 1},
	} {
		for _, lax := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/lax=%v", tt.name, lax), func(t *testing.T) {
				z := newFakeDNS()
				tt.make(z)
				c := tt.c
				c.Resolver, c.Lax = z, lax
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				start := time.Now()
				got := c.Check(t.Context(), tt.q, MailFrom)
				took := time.Since(start)
				runtime.ReadMemStats(&after)
				asked, memory := tt.asked, uint64(2<<20)
				if lax {
					asked, memory = asked+450, 8<<20
				}
				if got.Value != tt.want || !strings.Contains(got.Problem, tt.problem) || tt.problem == "" && got.Problem != "" || got.Explanation != "" {
					t.Errorf("%+v, want %s %q", got, tt.want, tt.problem)
				}
				if lax != (got.Lax != "") && got.Value == PermError {
					t.Errorf("lax reading %q", got.Lax)
				}
				if !isPrintable(got.Problem+got.Mechanism) || len(got.Problem) > 500 {
					t.Errorf("problem %q, mechanism %q", got.Problem, got.Mechanism)
				}
				if n := z.asked.Load(); n > asked {
					t.Errorf("%d questions, want %d at most", n, asked)
				}
				if n := after.TotalAlloc - before.TotalAlloc; n > memory {
					t.Errorf("%d bytes of memory taken, want %d at most", n, memory)
				}
				if took > 2*time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}

func TestLimits(t *testing.T) {
	z := newFakeDNS()
	z.txt("yes.example", "v=spf1 ip4:203.0.113.1")
	z.txt("lookups.example", "v=spf1"+strings.Repeat(" include:yes.example", 10)+" ~all")
	z.txt("lookups1.example", "v=spf1"+strings.Repeat(" include:yes.example", 11)+" ~all")
	z.txt("voids.example", "v=spf1 a:a.example mx:b.example ~all")
	z.txt("voids1.example", "v=spf1 a:a.example mx:b.example exists:c.example ~all")
	z.txt("mx.example", "v=spf1 mx ~all")
	z.txt("mx1.example", "v=spf1 mx ~all")
	for i := range 11 {
		if i < 10 {
			z.mx("mx.example", i, "a.mx.example")
		}
		z.mx("mx1.example", i, "a.mx.example")
	}
	z.txt("ptr.example", "v=spf1 ptr ~all")
	for i := range 11 {
		n := fmt.Sprintf("%d.ptr.example", i)
		z.ptr("192.0.2.10", n)
		if i > 0 {
			z.ptr("192.0.2.11", n)
		}
	}
	z.host("10.ptr.example", "192.0.2.10", "192.0.2.11")
	z.txt("long.example", "v=spf1 ~all"+strings.Repeat(" ", 16<<10-11))
	z.txt("long1.example", "v=spf1 ~all"+strings.Repeat(" ", 16<<10-10))
	z.txt("exp.example", "v=spf1 -all exp=text.example")
	z.txt("text.example", strings.Repeat("x", 1000))
	z.txt("exp1.example", "v=spf1 -all exp=text1.example")
	z.txt("text1.example", strings.Repeat("x", 1001))

	for _, tt := range []struct {
		domain, ip string
		c          Checker
		want       Value
	}{
		{"lookups.example", "192.0.2.1", Checker{}, SoftFail},
		{"lookups1.example", "192.0.2.1", Checker{}, PermError},
		{"lookups1.example", "192.0.2.1", Checker{MaxLookups: 11}, SoftFail},
		{"lookups.example", "192.0.2.1", Checker{MaxLookups: 9}, PermError},
		{"lookups.example", "192.0.2.1", Checker{MaxLookups: -1}, PermError},
		{"voids.example", "192.0.2.1", Checker{}, SoftFail},
		{"voids1.example", "192.0.2.1", Checker{}, PermError},
		{"voids1.example", "192.0.2.1", Checker{MaxVoids: 3}, SoftFail},
		{"voids.example", "192.0.2.1", Checker{MaxVoids: 1}, PermError},
		{"voids.example", "192.0.2.1", Checker{MaxVoids: -1}, PermError},
		{"mx.example", "192.0.2.1", Checker{}, SoftFail},
		{"mx1.example", "192.0.2.1", Checker{}, PermError},
		{"mx1.example", "192.0.2.1", Checker{MaxMX: 99}, PermError},
		{"mx.example", "192.0.2.1", Checker{MaxMX: 9}, PermError},
		{"ptr.example", "192.0.2.11", Checker{}, Pass},
		{"ptr.example", "192.0.2.10", Checker{}, SoftFail},
		{"ptr.example", "192.0.2.10", Checker{MaxPTR: 99}, SoftFail},
		{"ptr.example", "192.0.2.11", Checker{MaxPTR: 9}, SoftFail},
		{"long.example", "192.0.2.1", Checker{}, SoftFail},
		{"long1.example", "192.0.2.1", Checker{}, PermError},
		{"long1.example", "192.0.2.1", Checker{MaxRecord: 17 << 10}, SoftFail},
		{"voids.example", "192.0.2.1", Checker{MaxRecord: 20}, PermError},
	} {
		tt.c.Resolver = z
		got := tt.c.Check(t.Context(), Query{netip.MustParseAddr(tt.ip), "a@" + tt.domain, ""}, MailFrom)
		if got.Value != tt.want {
			t.Errorf("%s: %+v, want %s", tt.domain, got, tt.want)
		}
	}
	for _, tt := range []struct {
		domain string
		max    int
		want   int
	}{{"exp.example", 0, 1000}, {"exp1.example", 0, 0}, {"exp1.example", 1001, 1001}, {"exp.example", 999, 0}} {
		c := Checker{Resolver: z, MaxExplanation: tt.max}
		if got := c.Check(t.Context(), Query{ours, "a@" + tt.domain, ""}, MailFrom); len(got.Explanation) != tt.want || got.Value != Fail {
			t.Errorf("%s: explanation of %d octets, want %d", tt.domain, len(got.Explanation), tt.want)
		}
	}
}

// Answers that are there and of no use stay so: mail that waits for others waits in vain.
func TestAnswersOfNoUse(t *testing.T) {
	z, err := dns.ParseZone("z", strings.NewReader(`
big.example TXT "v=spf1 +all"
big.example TXT "`+strings.Repeat("x", 3000)+`"
in.example TXT "v=spf1 include:big.example -all"
mx.example TXT "v=spf1 mx -all"
mx.example MX 10 "no host"
a.example TXT "v=spf1 a:many.example exists:many.example -all"
`+strings.Repeat("many.example A 192.0.2.1\n", 100)+`
late.example TXT "v=spf1 ptr a:dead.example -all"
1.2.0.192.in-addr.arpa PTR many.example
dead.example TIMEOUT
ptr.example TXT "v=spf1 ptr a:nx1.example a:nx2.example -all"
1.2.0.192.in-addr.arpa PTR "no host"
`))
	if err != nil {
		t.Fatal(err)
	}
	c := Checker{Resolver: dns.NewCache(z, dns.CacheOptions{Answer: 2000})}
	for _, tt := range []struct {
		domain  string
		want    Value
		problem string
	}{
		{"big.example", PermError, "big.example: records that cannot be used: answer takes 3107 bytes, more than 2000"},
		{"in.example", PermError, "big.example: records that cannot be used: answer takes 3107 bytes, more than 2000"},
		{"mx.example", Fail, ""},
		{"a.example", PermError, "addresses of many.example: answer takes 2400 bytes, more than 2000"},
		{"late.example", TempError, "addresses of dead.example: no answer in time"},
		{"ptr.example", Fail, ""},
	} {
		got := c.Check(t.Context(), Query{IP: netip.MustParseAddr("192.0.2.1"), From: "a@" + tt.domain}, MailFrom)
		if got.Value != tt.want || got.Problem != tt.problem {
			t.Errorf("%s: %s %q, want %s %q", tt.domain, got.Value, got.Problem, tt.want, tt.problem)
		}
	}
}

// There are name servers that fail when they are asked for addresses of the family that a host has
// none of (RFC 7208 section 5 wants only those of the client's).
func TestOtherFamilyIsNotAskedFor(t *testing.T) {
	z, err := dns.ParseZone("zone", strings.NewReader("x.example TXT \"v=spf1 a:half.example -all\"\nhalf.example A 192.0.2.1\nhalf.example SERVFAIL\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := Checker{Resolver: z}
	for ip, want := range map[string]Value{"192.0.2.1": Pass, "2001:db8::1": TempError} {
		if got := c.Check(t.Context(), Query{IP: netip.MustParseAddr(ip), From: "a@x.example"}, MailFrom); got.Value != want {
			t.Errorf("%s: %s %q, want %s", ip, got.Value, got.Problem, want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range readSuites(f) {
		for _, records := range s.zone(f).txts {
			f.Add(strings.Join(records, ""), "%{i} is not ours", "x@evil.example", "evil.example", []byte{192, 0, 2, 1})
		}
	}
	f.Add("v=spf1 a:%{p} ptr:%{d} redirect=_.%{o}", "%{", "\xff@\x00", "[", make([]byte, 16))
	f.Fuzz(func(t *testing.T, record, text, from, helo string, addr []byte) {
		ip, _ := netip.AddrFromSlice(addr)
		z := newFakeDNS()
		z.makeTXT = func(name string) []string {
			if strings.HasPrefix(name, "e.") {
				return []string{text}
			}
			return []string{record}
		}
		z.host("evil.example", "192.0.2.1", "2001:db8::1")
		z.mx("evil.example", 1, text)
		z.ptr("192.0.2.1", text)
		c := Checker{Resolver: z, Lax: true, Guess: record, Local: map[string]string{"local.example": record}, Forwarders: []string{"forwarder.example"}}
		for _, id := range []Identity{MailFrom, Helo} {
			got := c.Check(t.Context(), Query{ip, from, helo}, id)
			switch got.Value {
			case None, Neutral, Pass, Fail, SoftFail, TempError, PermError:
			default:
				t.Errorf("value %q", got.Value)
			}
			if !isPrintable(got.Domain+got.Mechanism+got.Explanation+got.Problem) || len(got.Problem) > 500 {
				t.Errorf("%+v", got)
			}
			field := got.ReceivedSPF("mx.example.com", Query{ip, from, helo})
			if s := field.String(); !fieldLines.MatchString("Received-SPF: " + s) {
				t.Errorf("%q", s)
			} else if _, err := ParseReceivedSPF(s); err != nil {
				t.Errorf("%q: %v", s, err)
			}
		}
		if n := z.asked.Load(); n > 4000 {
			t.Errorf("%d questions", n)
		}
	})
}
