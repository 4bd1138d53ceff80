package spf

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/dns"
)

func zone(t testing.TB, text string) *dns.Zone {
	t.Helper()
	z, err := dns.ParseZone("zone", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

var (
	ours   = netip.MustParseAddr("192.0.2.1")
	theirs = netip.MustParseAddr("198.51.100.9")
)

const checkZone = `
example.com.        TXT "v=spf1 ip4:192.0.2.1 -all"
mx.example.com.     TXT "v=spf1 ip4:192.0.2.1 ~all"
xn--bcher-kva.example. TXT "v=spf1 ip4:192.0.2.1 -all"
only.postmaster.example. TXT "v=spf1 exists:%{l}.ok.example -all"
postmaster.ok.example. A 127.0.0.2
v6.example.com.     TXT "v=spf1 ip6:::/0 -all"
silent.example.     A 192.0.2.77
silent.example.     MX 10 mail.silent.example.
mail.silent.example. A 192.0.2.1
sub.silent.example. TXT "v=spf1 ip4:198.51.100.9 -all"
broken.example.     TXT "v=spf1 ipv4:192.0.2.1 -all"
slow.example.       TIMEOUT
slowmx.example.     TXT "not SPF"
slowmx.example.     A 192.0.2.200
slowmx.example.     MX 10 slow.example.
two.example.        TXT "v=spf1 -all"
two.example.        TXT "v=spf1 +all"
forwarder.example.  TXT "v=spf1 ip4:198.51.100.9 -all"
`

func TestWhoIsChecked(t *testing.T) {
	c := Checker{Resolver: zone(t, checkZone)}
	for _, tt := range []struct {
		name   string
		q      Query
		id     Identity
		value  Value
		sender string
	}{
		{"the sender", Query{ours, "alice@example.com", "mx.example.com"}, MailFrom, Pass, "alice@example.com"},
		{"the sender's last @ counts", Query{ours, `"a@b"@Example.COM.`, ""}, MailFrom, Pass, `"a@b"@example.com`},
		{"the null sender is postmaster at the HELO name", Query{theirs, "", "mx.example.com"}, MailFrom, SoftFail, "postmaster@mx.example.com"},
		{"so are empty brackets", Query{theirs, "<>", "mx.example.com"}, MailFrom, SoftFail, "postmaster@mx.example.com"},
		{"a sender without local part is postmaster", Query{ours, "@only.postmaster.example", ""}, MailFrom, Pass, "postmaster@only.postmaster.example"},
		{"a sender without @ is a domain", Query{ours, "only.postmaster.example", ""}, MailFrom, Pass, "postmaster@only.postmaster.example"},
		{"a sender of this host", Query{ours, "root", "mx.example.com"}, MailFrom, None, ""},
		{"the HELO name", Query{ours, "alice@broken.example", "mx.example.com"}, Helo, Pass, "postmaster@mx.example.com"},
		{"a HELO literal", Query{ours, "", "[192.0.2.1]"}, Helo, None, ""},
		{"a HELO literal of IPv6", Query{ours, "", "[IPv6:2001:db8::1]"}, MailFrom, None, ""},
		{"a HELO address", Query{ours, "", "192.0.2.1"}, Helo, None, ""},
		{"a HELO name of one label", Query{ours, "", "localhost"}, Helo, None, ""},
		{"no HELO name", Query{ours, "", ""}, MailFrom, None, ""},
		{"a HELO name with a line in it", Query{ours, "", "a\r\nb.example.com"}, Helo, None, ""},
		{"an IPv4 address in IPv6", Query{netip.MustParseAddr("::ffff:192.0.2.1"), "alice@example.com", ""}, MailFrom, Pass, "alice@example.com"},
		{"ip6 does not match it", Query{netip.MustParseAddr("::ffff:192.0.2.1"), "alice@v6.example.com", ""}, MailFrom, Fail, "alice@v6.example.com"},
		{"a zone of IPv6", Query{netip.MustParseAddr("fe80::1%eth0"), "alice@v6.example.com", ""}, MailFrom, Pass, "alice@v6.example.com"},
		{"U-labels", Query{ours, "alice@bücher.example", ""}, MailFrom, Pass, "alice@xn--bcher-kva.example"},
		{"U-labels that IDNA refuses", Query{ours, "alice@\u200dx.example", ""}, MailFrom, None, ""},
		{"no UTF-8", Query{ours, "alice@\xff.example", ""}, MailFrom, None, ""},
		{"a sender that is too long", Query{ours, strings.Repeat("a", 1<<20) + "@example.com", ""}, MailFrom, None, ""},
		{"a client without address", Query{netip.Addr{}, "alice@example.com", "mx.example.com"}, MailFrom, None, ""},
		{"a domain that does not exist", Query{ours, "alice@absent.example", ""}, MailFrom, None, "alice@absent.example"},
		{"a domain without SPF", Query{ours, "alice@silent.example", ""}, MailFrom, None, "alice@silent.example"},
		{"several records", Query{ours, "alice@two.example", ""}, MailFrom, PermError, "alice@two.example"},
		{"DNS does not answer", Query{ours, "alice@slow.example", ""}, MailFrom, TempError, "alice@slow.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := c.Check(t.Context(), tt.q, tt.id)
			if got.Value != tt.value || got.Sender != tt.sender || got.Identity != tt.id {
				t.Errorf("Check(%.100q, %s) = %+v, want %s of %q", tt.q, tt.id, got, tt.value, tt.sender)
			}
			if _, domain, _ := strings.Cut(tt.sender, "@"); domain != "" && !strings.HasSuffix(tt.sender, "@"+got.Domain) {
				t.Errorf("domain %q", got.Domain)
			}
			if (tt.value == PermError || tt.value == TempError || tt.sender == "") && got.Problem == "" {
				t.Error("nothing tells why")
			}
		})
	}
}

func TestSubstitutes(t *testing.T) {
	const guess = "v=spf1 a/24 mx/24 -all"
	r := zone(t, checkZone)
	for _, tt := range []struct {
		name string
		c    Checker
		q    Query
		want Result
	}{
		{"no guess by default", Checker{}, Query{ours, "a@silent.example", ""},
			Result{Value: None, Domain: "silent.example"}},
		{"a guess", Checker{Guess: guess}, Query{ours, "a@silent.example", ""},
			Result{Value: Pass, Domain: "silent.example", Source: Guess, Mechanism: "a/24", Lookups: 1}},
		{"a guess may fail", Checker{Guess: guess}, Query{theirs, "a@silent.example", ""},
			Result{Value: Fail, Domain: "silent.example", Source: Guess, Mechanism: "all", Lookups: 2}},
		{"a record goes before the guess", Checker{Guess: "v=spf1 +all"}, Query{theirs, "a@example.com", ""},
			Result{Value: Fail, Domain: "example.com", Mechanism: "all"}},
		{"a broken record goes before the guess", Checker{Guess: "v=spf1 +all"}, Query{theirs, "a@broken.example", ""},
			Result{Value: PermError, Domain: "broken.example", Problem: "broken.example: ipv4:192.0.2.1: no such mechanism"}},
		{"a permerror of the guess is neutral", Checker{Guess: "v=spf1 include:absent.example"}, Query{ours, "a@silent.example", ""},
			Result{Value: Neutral, Domain: "silent.example", Source: Guess, Problem: "include:absent.example: no record there", Lookups: 1}},
		{"a guess that matches before DNS fails", Checker{Guess: guess}, Query{ours, "a@slowmx.example", ""},
			Result{Value: Pass, Domain: "slowmx.example", Source: Guess, Mechanism: "a/24", Lookups: 1}},
		{"a temperror of the guess leaves none", Checker{Guess: guess}, Query{theirs, "a@slowmx.example", ""},
			Result{Value: None, Domain: "slowmx.example", Problem: "addresses of slow.example: i/o timeout"}},
		{"no guess about what is no domain", Checker{Guess: "v=spf1 +all"}, Query{ours, "a@silent.1", ""},
			Result{Value: None, Problem: "not a domain: silent.1"}},
		{"HELO below a guessed domain passes for it", Checker{Guess: guess}, Query{theirs, "a@silent.example", "sub.silent.example"},
			Result{Value: Pass, Domain: "silent.example", Source: Guess, Mechanism: "ip4:198.51.100.9", Lookups: 2}},
		{"another HELO does not", Checker{Guess: guess}, Query{theirs, "a@silent.example", "forwarder.example"},
			Result{Value: Fail, Domain: "silent.example", Source: Guess, Mechanism: "all", Lookups: 2}},
		{"a local record", Checker{Guess: guess, Local: map[string]string{"silent.example": "v=spf1 ip4:198.51.100.9 -all"}}, Query{theirs, "a@silent.example", ""},
			Result{Value: Pass, Domain: "silent.example", Source: Local, Mechanism: "ip4:198.51.100.9"}},
		{"a record goes before the local one", Checker{Local: map[string]string{"example.com": "v=spf1 +all"}}, Query{theirs, "a@example.com", ""},
			Result{Value: Fail, Domain: "example.com", Mechanism: "all"}},
		{"a broken local record", Checker{Lax: true, Local: map[string]string{"silent.example": "v=spf1 ip:198.51.100.9 -all"}}, Query{theirs, "a@silent.example", ""},
			Result{Value: PermError, Domain: "silent.example", Source: Local, Mechanism: "ip4:198.51.100.9", Problem: "silent.example: ip:198.51.100.9: no such mechanism", Lax: Pass}},
		{"a forwarder", Checker{Forwarders: []string{"slow.example", "no domain", "silent.example", "forwarder.example"}}, Query{theirs, "a@example.com", ""},
			Result{Value: Pass, Domain: "forwarder.example", Source: Forwarder, Mechanism: "ip4:198.51.100.9"}},
		{"a forwarder without record", Checker{Forwarders: []string{"silent.example"}}, Query{ours, "a@two.example", ""},
			Result{Value: Pass, Domain: "silent.example", Source: Forwarder, Mechanism: "mx", Lookups: 2}},
		{"a forwarder with a local record", Checker{Forwarders: []string{"silent.example"}, Local: map[string]string{"silent.example": "v=spf1 ip4:198.51.100.9"}}, Query{theirs, "a@two.example", ""},
			Result{Value: Pass, Domain: "silent.example", Source: Forwarder, Mechanism: "ip4:198.51.100.9"}},
		{"no forwarder's host", Checker{Forwarders: []string{"forwarder.example"}}, Query{ours, "a@example.com", ""},
			Result{Value: Pass, Domain: "example.com", Mechanism: "ip4:192.0.2.1"}},
		{"a forwarder passes bounces on", Checker{Forwarders: []string{"forwarder.example"}}, Query{theirs, "", "whatever"},
			Result{Value: Pass, Domain: "forwarder.example", Source: Forwarder, Mechanism: "ip4:198.51.100.9"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.Resolver = r
			got := tt.c.Check(t.Context(), tt.q, MailFrom)
			tt.want.Identity, tt.want.Sender = MailFrom, got.Sender
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("HELO has no forwarders", func(t *testing.T) {
		c := Checker{Resolver: r, Forwarders: []string{"forwarder.example"}}
		if got := c.Check(t.Context(), Query{theirs, "a@example.com", "mx.example.com"}, Helo); got.Value != SoftFail || got.Source != Published {
			t.Errorf("got %+v", got)
		}
	})
}

func TestEffective(t *testing.T) {
	if v := (Result{Value: PermError, Lax: Fail}).Effective(); v != Fail {
		t.Errorf("with a lax reading %s", v)
	}
	if v := (Result{Value: PermError}).Effective(); v != PermError {
		t.Errorf("without %s", v)
	}
}

// A deaf resolver answers nothing before it is told to give up.
type deaf struct{ dns.Resolver }

func (d deaf) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if strings.HasPrefix(name, "deaf.") {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return d.Resolver.LookupTXT(ctx, name)
}

func (d deaf) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	<-ctx.Done()
	return nil, &net.DNSError{Err: ctx.Err().Error(), IsTimeout: true}
}

func TestTimeIsBounded(t *testing.T) {
	r := deaf{zone(t, `
ptr.example.     TXT "v=spf1 ptr -all"
fail.example.    TXT "v=spf1 -all exp=deaf.example"
include.example. TXT "v=spf1 include:deaf.example -all"
`)}
	for _, tt := range []struct {
		domain string
		want   Value
	}{
		{"deaf.example", TempError},
		{"include.example", TempError},
		{"ptr.example", TempError}, // other errors are no match there
		{"fail.example", Fail},     // and without a text
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, timeout := range []time.Duration{0, time.Second} {
				c, start := Checker{Resolver: r, Timeout: timeout}, time.Now()
				got := c.Check(t.Context(), Query{ours, "a@" + tt.domain, ""}, MailFrom)
				want := timeout
				if want == 0 {
					want = 20 * time.Second
				}
				if took := time.Since(start); got.Value != tt.want || took != want || got.Explanation != "" {
					t.Errorf("%s: %+v after %v, want %s after %v", tt.domain, got, took, tt.want, want)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			c := Checker{Resolver: r}
			if got := c.Check(ctx, Query{ours, "a@" + tt.domain, ""}, MailFrom); got.Value != TempError || got.Problem == "" {
				t.Errorf("%s: given up: %+v", tt.domain, got)
			}
		})
	}
}

func TestDeadForwarderLeavesTime(t *testing.T) {
	r := deaf{zone(t, checkZone)}
	synctest.Test(t, func(t *testing.T) {
		c, start := Checker{Resolver: r, Forwarders: []string{"deaf.example", "deaf.two.example"}}, time.Now()
		got := c.Check(t.Context(), Query{ours, "a@example.com", ""}, MailFrom)
		if took := time.Since(start); got.Value != Pass || got.Source != Published || took != 10*time.Second {
			t.Errorf("%+v after %v", got, took)
		}
	})
}
