package dmarc

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/dns"
)

// zone returns a resolver of a zone file.
func zone(t testing.TB, lines string) *dns.Zone {
	t.Helper()
	z, err := dns.ParseZone("zone", strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// A recorder notes the names that are asked for.
type recorder struct {
	dns.Resolver
	mu    sync.Mutex
	asked []string
}

func (r *recorder) LookupTXT(ctx context.Context, name string) ([]string, error) {
	r.mu.Lock()
	r.asked = append(r.asked, name)
	r.mu.Unlock()
	return r.Resolver.LookupTXT(ctx, name)
}

// existing is a recorder that can tell names that do not exist.
type existing struct{ *recorder }

func (e existing) Exists(ctx context.Context, name string) (bool, error) {
	return e.Resolver.(dns.Exister).Exists(ctx, name)
}

const standardZone = `
_dmarc.example.com TXT "v=DMARC1; p=reject; sp=quarantine; np=reject"
www.example.com A 192.0.2.1
_dmarc.signing.example.com TXT "v=DMARC1; p=none"

_dmarc.strict.example TXT "v=DMARC1; p=reject; adkim=s; aspf=s"
_dmarc.strictdkim.example TXT "v=DMARC1; p=reject; adkim=s"
_dmarc.testing.example TXT "v=DMARC1; p=reject; sp=quarantine; np=none; t=y"
a.testing.example A 192.0.2.1

; RFC 9989 appendix B.4.3
_dmarc.bank.example TXT "v=DMARC1; p=quarantine; sp=none; np=reject; psd=y"
_dmarc.giant.bank.example TXT "v=DMARC1; p=reject"
mega.bank.example A 192.0.2.1

_dmarc.unit.corp.example TXT "v=DMARC1; p=quarantine; psd=n"
_dmarc.corp.example TXT "v=DMARC1; p=reject"

_dmarc.two.example TXT "v=DMARC1; p=reject"
_dmarc.two.example TXT "v=DMARC1; p=none"
_dmarc.other.example TXT "v=spf1 -all"
_dmarc.other.example TXT "v=DMARC1; p=reject"

_dmarc.nopolicy.example TXT "v=DMARC1; rua=mailto:x@nopolicy.example"
_dmarc.nothing.example TXT "v=DMARC1;"
_dmarc.badsp.example TXT "v=DMARC1; p=reject; sp=rejekt; rua=mailto:x@badsp.example"
_dmarc.badsp2.example TXT "v=DMARC1; p=reject; sp=rejekt"

_dmarc.slow.example TIMEOUT
_dmarc.own.slow.example TXT "v=DMARC1; p=reject"
_dmarc.slowid.example TXT "v=DMARC1; p=reject"
_dmarc.sub.slowid.example SERVFAIL
_dmarc.slownp.example TXT "v=DMARC1; p=none; np=reject"
x.slownp.example TIMEOUT
_dmarc.slowtop TIMEOUT
_dmarc.org.slowtop TXT "v=DMARC1; p=reject"
_dmarc.a.deep.slowtop TXT "v=DMARC1; p=reject"
`

func TestCheck(t *testing.T) {
	z := zone(t, standardZone)
	for _, tt := range []struct {
		name      string
		from, spf string
		dkim      []string
		want      Result // without Why
		why       string
	}{
		{"a record of its own below an organization, which is not asked for", "signing.example.com", "", []string{"signing.example.com"}, Result{Value: Pass, From: "signing.example.com", Policy: NoPolicy, PolicyDomain: "signing.example.com", DKIM: true, AlignedDomain: "signing.example.com"}, ""},
		{"no record", "none.test", "none.test", nil, Result{Value: None, From: "none.test", Org: "none.test"}, "no policy record for none.test"},
		{"no author", "", "example.com", nil, Result{Value: PermError}, "no domain name"},
		{"author's domain is no name", "a..b", "", nil, Result{Value: PermError}, "no domain name"},

		// RFC 9989 appendix B.1.
		{"B.1.1 SPF in strict alignment", "example.com", "example.com", nil, Result{Value: Pass, From: "example.com", Policy: WantReject, PolicyDomain: "example.com", SPF: true, AlignedDomain: "example.com"}, "SPF passed"},
		{"B.1.1 SPF in relaxed alignment", "example.com", "child.example.com", nil, Result{Value: Pass, From: "example.com", Org: "example.com", Policy: WantReject, PolicyDomain: "example.com", SPF: true, AlignedDomain: "child.example.com"}, "SPF passed"},
		{"B.1.1 SPF not aligned", "www.example.com", "example.net", nil, Result{Value: Fail, From: "www.example.com", Org: "example.com", Policy: WantQuarantine, PolicyDomain: "example.com"}, "not aligned with www.example.com: SPF for example.net"},
		{"B.1.2 DKIM in strict alignment", "example.com", "", []string{"example.com"}, Result{Value: Pass, From: "example.com", Policy: WantReject, PolicyDomain: "example.com", DKIM: true, AlignedDomain: "example.com"}, "DKIM passed"},
		{"B.1.2 DKIM in relaxed alignment", "www.example.com", "", []string{"example.com"}, Result{Value: Pass, From: "www.example.com", Org: "example.com", Policy: WantQuarantine, PolicyDomain: "example.com", DKIM: true, AlignedDomain: "example.com"}, "DKIM passed"},
		{"B.1.2 DKIM not aligned", "www.example.com", "", []string{"example.net"}, Result{Value: Fail, From: "www.example.com", Org: "example.com", Policy: WantQuarantine, PolicyDomain: "example.com"}, "DKIM for example.net"},

		// Appendix B.4.
		{"B.4.1 simple", "example.com", "example.com", []string{"signing.example.com"}, Result{Value: Pass, From: "example.com", Policy: WantReject, PolicyDomain: "example.com", SPF: true, AlignedDomain: "example.com"}, ""},
		{"B.4.1 simple, DKIM alone", "example.com", "", []string{"signing.example.com"}, Result{Value: Pass, From: "example.com", Org: "example.com", Policy: WantReject, PolicyDomain: "example.com", DKIM: true, AlignedDomain: "signing.example.com"}, ""},
		{"B.4.2 deep", "a.b.c.d.e.f.g.h.i.j.k.example.com", "example.com", []string{"signing.example.com"}, Result{Value: Pass, From: "a.b.c.d.e.f.g.h.i.j.k.example.com", Org: "example.com", Policy: WantQuarantine, PolicyDomain: "example.com", SPF: true, DKIM: true, AlignedDomain: "example.com"}, ""},
		{"B.4.3 PSD, SPF aligned", "giant.bank.example", "mail.giant.bank.example", []string{"mail.mega.bank.example"}, Result{Value: Pass, From: "giant.bank.example", Org: "giant.bank.example", Policy: WantReject, PolicyDomain: "giant.bank.example", SPF: true, AlignedDomain: "mail.giant.bank.example"}, ""},
		{"B.4.3 PSD, DKIM not aligned", "giant.bank.example", "", []string{"mail.mega.bank.example"}, Result{Value: Fail, From: "giant.bank.example", Org: "giant.bank.example", Policy: WantReject, PolicyDomain: "giant.bank.example"}, ""},

		{"PSD's policy for one that exists", "mega.bank.example", "", nil, Result{Value: Fail, From: "mega.bank.example", Org: "mega.bank.example", Policy: NoPolicy, PolicyDomain: "bank.example"}, "neither SPF nor DKIM passed"},
		{"PSD's policy for one that does not exist", "a.phish.bank.example", "", nil, Result{Value: Fail, From: "a.phish.bank.example", Org: "phish.bank.example", Policy: WantReject, PolicyDomain: "bank.example"}, "does not exist"},
		{"PSD itself", "bank.example", "", []string{"bank.example"}, Result{Value: Pass, From: "bank.example", Org: "bank.example", Policy: WantQuarantine, PolicyDomain: "bank.example", DKIM: true, AlignedDomain: "bank.example"}, ""},
		{"PSD is no organization of those below", "bank.example", "", []string{"giant.bank.example"}, Result{Value: Fail, From: "bank.example", Org: "bank.example", Policy: WantQuarantine, PolicyDomain: "bank.example"}, ""},
		{"psd=n ends the organization", "a.unit.corp.example", "", []string{"corp.example"}, Result{Value: Fail, From: "a.unit.corp.example", Org: "unit.corp.example", Policy: WantQuarantine, PolicyDomain: "unit.corp.example"}, ""},
		{"psd=n, within it", "a.unit.corp.example", "", []string{"b.unit.corp.example"}, Result{Value: Pass, From: "a.unit.corp.example", Org: "unit.corp.example", Policy: WantQuarantine, PolicyDomain: "unit.corp.example", DKIM: true, AlignedDomain: "b.unit.corp.example"}, ""},

		{"subdomain that does not exist", "gone.example.com", "", nil, Result{Value: Fail, From: "gone.example.com", Org: "example.com", Policy: WantReject, PolicyDomain: "example.com"}, "gone.example.com does not exist; neither"},
		{"strict, SPF below", "strict.example", "a.strict.example", []string{"a.strict.example"}, Result{Value: Fail, From: "strict.example", Org: "strict.example", Policy: WantReject, PolicyDomain: "strict.example"}, "SPF and DKIM for a.strict.example"},
		{"strict, the same", "strict.example", "", []string{"evil.example", "strict.example"}, Result{Value: Pass, From: "strict.example", Policy: WantReject, PolicyDomain: "strict.example", DKIM: true, AlignedDomain: "strict.example"}, ""},
		{"strict for DKIM only", "strictdkim.example", "a.strictdkim.example", []string{"a.strictdkim.example"}, Result{Value: Pass, From: "strictdkim.example", Org: "strictdkim.example", Policy: WantReject, PolicyDomain: "strictdkim.example", SPF: true, AlignedDomain: "a.strictdkim.example"}, ""},
		{"strict for DKIM only, DKIM", "strictdkim.example", "", []string{"a.strictdkim.example"}, Result{Value: Fail, From: "strictdkim.example", Org: "strictdkim.example", Policy: WantReject, PolicyDomain: "strictdkim.example"}, ""},
		{"testing: reject becomes quarantine", "testing.example", "", nil, Result{Value: Fail, From: "testing.example", Org: "testing.example", Policy: WantQuarantine, PolicyDomain: "testing.example", Testing: true}, ""},
		{"testing: quarantine becomes none", "a.testing.example", "", nil, Result{Value: Fail, From: "a.testing.example", Org: "testing.example", Policy: NoPolicy, PolicyDomain: "testing.example", Testing: true}, ""},
		{"testing: none stays", "b.testing.example", "", nil, Result{Value: Fail, From: "b.testing.example", Org: "testing.example", Policy: NoPolicy, PolicyDomain: "testing.example", Testing: true}, ""},
		{"case and U-labels", "EXAMPLE.com.", "", []string{"Example.COM"}, Result{Value: Pass, From: "example.com", Policy: WantReject, PolicyDomain: "example.com", DKIM: true, AlignedDomain: "example.com"}, ""},
		{"a name that only ends alike", "example.com", "notexample.com", nil, Result{Value: Fail, From: "example.com", Org: "example.com", Policy: WantReject, PolicyDomain: "example.com"}, ""},

		{"two records are none", "two.example", "two.example", nil, Result{Value: None, From: "two.example", Org: "two.example"}, "2 policy records"},
		{"other text beside the record", "other.example", "", nil, Result{Value: Fail, From: "other.example", Org: "other.example", Policy: WantReject, PolicyDomain: "other.example"}, ""},
		{"no p with rua is none", "nopolicy.example", "", nil, Result{Value: Fail, From: "nopolicy.example", Org: "nopolicy.example", Policy: NoPolicy, PolicyDomain: "nopolicy.example"}, "counts as p=none: no p="},
		{"no p without rua", "nothing.example", "nothing.example", nil, Result{Value: PermError, From: "nothing.example", PolicyDomain: "nothing.example"}, "no valid policy"},
		{"bad sp with rua is none", "badsp.example", "", nil, Result{Value: Fail, From: "badsp.example", Org: "badsp.example", Policy: NoPolicy, PolicyDomain: "badsp.example"}, "counts as p=none"},
		{"bad sp without rua", "badsp2.example", "", nil, Result{Value: PermError, From: "badsp2.example", Org: "badsp2.example", PolicyDomain: "badsp2.example"}, "sp="},

		{"no answer for the author", "slow.example", "slow.example", nil, Result{Value: TempError, From: "slow.example"}, "_dmarc.slow.example: lookup"},
		{"no answer above the author", "a.slow.example", "", nil, Result{Value: TempError, From: "a.slow.example"}, "_dmarc.slow.example: lookup"},
		{"no answer above, the same domain passed", "own.slow.example", "own.slow.example", nil, Result{Value: Pass, From: "own.slow.example", Policy: WantReject, PolicyDomain: "own.slow.example", SPF: true, AlignedDomain: "own.slow.example"}, ""},
		{"no answer above, another may be aligned", "own.slow.example", "x.slow.example", nil, Result{Value: TempError, From: "own.slow.example", PolicyDomain: "own.slow.example"}, "organizational domain of own.slow.example"},
		{"no answer above, none can be aligned", "own.slow.example", "example.com", nil, Result{Value: Fail, From: "own.slow.example", Policy: WantReject, PolicyDomain: "own.slow.example"}, ""},
		{"no answer from a top-level domain", "a.org.slowtop", "", []string{"b.org.slowtop"}, Result{Value: Pass, From: "a.org.slowtop", Org: "org.slowtop", Policy: WantReject, PolicyDomain: "org.slowtop", DKIM: true, AlignedDomain: "b.org.slowtop"}, ""},
		{"no answer from a top-level domain with none right below", "a.deep.slowtop", "", []string{"b.deep.slowtop"}, Result{Value: TempError, From: "a.deep.slowtop", PolicyDomain: "a.deep.slowtop"}, "_dmarc.slowtop"},
		{"no answer for what passed", "slowid.example", "", []string{"sub.slowid.example"}, Result{Value: TempError, From: "slowid.example", Org: "slowid.example", PolicyDomain: "slowid.example"}, "sub.slowid.example is not known"},
		{"no answer for what passed, another is aligned", "slowid.example", "b.slowid.example", []string{"sub.slowid.example"}, Result{Value: Pass, From: "slowid.example", Org: "slowid.example", Policy: WantReject, PolicyDomain: "slowid.example", SPF: true, AlignedDomain: "b.slowid.example"}, ""},
		{"no answer whether the author exists", "x.slownp.example", "", nil, Result{Value: TempError, From: "x.slownp.example", Org: "slownp.example", PolicyDomain: "slownp.example"}, "exists is not known"},
		{"no answer whether the author exists, but it passed", "x.slownp.example", "x.slownp.example", nil, Result{Value: Pass, From: "x.slownp.example", Org: "slownp.example", Policy: NoPolicy, PolicyDomain: "slownp.example", SPF: true, AlignedDomain: "x.slownp.example"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Checker{Resolver: z}
			got := c.Check(t.Context(), tt.from, tt.spf, tt.dkim)
			if got.Why == "" || !strings.Contains(got.Why, tt.why) {
				t.Errorf("why %q, want %q", got.Why, tt.why)
			}
			got.Why = ""
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestWhetherADomainExistsCannotBeAsked(t *testing.T) {
	c := Checker{Resolver: &recorder{Resolver: zone(t, standardZone)}}
	got := c.Check(t.Context(), "gone.example.com", "", nil)
	if got.Policy != WantQuarantine || !strings.Contains(got.Why, "taken to exist") {
		t.Errorf("%+v, want the policy of sp, and a reason", got)
	}
}

func TestWalkAsksWhatTheRFCSays(t *testing.T) {
	for _, tt := range []struct {
		name, domain string
		want         []string
	}{
		{"section 4.10", "a.b.c.d.e.f.g.h.i.j.mail.example.com", []string{
			"_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com", "_dmarc.g.h.i.j.mail.example.com", "_dmarc.h.i.j.mail.example.com", "_dmarc.i.j.mail.example.com",
			"_dmarc.j.mail.example.com", "_dmarc.mail.example.com", "_dmarc.example.com", "_dmarc.com",
		}},
		{"appendix B.4.2", "a.b.c.d.e.f.g.h.i.j.k.example.com", []string{
			"_dmarc.a.b.c.d.e.f.g.h.i.j.k.example.com", "_dmarc.g.h.i.j.k.example.com", "_dmarc.h.i.j.k.example.com", "_dmarc.i.j.k.example.com",
			"_dmarc.j.k.example.com", "_dmarc.k.example.com", "_dmarc.example.com", "_dmarc.com",
		}},
		{"eight labels", "a.b.c.d.e.f.g.h", []string{
			"_dmarc.a.b.c.d.e.f.g.h", "_dmarc.b.c.d.e.f.g.h", "_dmarc.c.d.e.f.g.h", "_dmarc.d.e.f.g.h", "_dmarc.e.f.g.h", "_dmarc.f.g.h", "_dmarc.g.h", "_dmarc.h",
		}},
		{"seven labels", "b.c.d.e.f.g.h", []string{
			"_dmarc.b.c.d.e.f.g.h", "_dmarc.c.d.e.f.g.h", "_dmarc.d.e.f.g.h", "_dmarc.e.f.g.h", "_dmarc.f.g.h", "_dmarc.g.h", "_dmarc.h",
		}},
		{"one label", "localhost", []string{"_dmarc.localhost"}},
		{"the longest name", strings.Repeat("a.", 126) + "a", []string{
			"_dmarc." + strings.Repeat("a.", 126) + "a", "_dmarc.a.a.a.a.a.a.a", "_dmarc.a.a.a.a.a.a", "_dmarc.a.a.a.a.a", "_dmarc.a.a.a.a", "_dmarc.a.a.a", "_dmarc.a.a", "_dmarc.a",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{Resolver: zone(t, "x A 192.0.2.1\n")}
			p := (&Checker{Resolver: r}).Lookup(t.Context(), tt.domain)
			var walked []string
			for _, s := range p.Walk {
				walked = append(walked, s.Name)
			}
			if d := cmp.Diff(tt.want, walked); d != "" {
				t.Errorf("walk (-want +got):\n%s", d)
			}
			for _, name := range r.asked {
				if !slices.Contains(tt.want, name) || len(name) > 253 {
					t.Errorf("asked for %s", name)
				}
			}
			if len(r.asked) > 8 || p.Value != None {
				t.Errorf("%d questions, value %q", len(r.asked), p.Value)
			}
		})
	}
}

func TestWalkEndsAtPSD(t *testing.T) {
	p := (&Checker{Resolver: zone(t, standardZone)}).Lookup(t.Context(), "a.mega.bank.example")
	var walked []string
	for _, s := range p.Walk {
		walked = append(walked, s.Name)
	}
	want := []string{"_dmarc.a.mega.bank.example", "_dmarc.mega.bank.example", "_dmarc.bank.example"}
	if !slices.Equal(walked, want) || p.Org != "mega.bank.example" || p.PolicyDomain != "bank.example" || p.Exists || p.Policy != WantReject {
		t.Errorf("walk %q, %+v", walked, p)
	}
}

// A walk that skipped names finds an organizational domain that it did not ask for.
func TestOrgBelowPSDInADeepName(t *testing.T) {
	z := zone(t, `_dmarc.c.d.e.f.g.h.i TXT "v=DMARC1; p=reject; psd=y"`)
	p := (&Checker{Resolver: z}).Lookup(t.Context(), "x.y.z.a.b.c.d.e.f.g.h.i")
	if p.Org != "b.c.d.e.f.g.h.i" || p.PolicyDomain != "c.d.e.f.g.h.i" {
		t.Errorf("org %s, policy domain %s", p.Org, p.PolicyDomain)
	}
}

func TestSameDomainAsksOnce(t *testing.T) {
	r := &recorder{Resolver: zone(t, standardZone)}
	got := (&Checker{Resolver: r}).Check(t.Context(), "example.com", "bounce.evil.example", []string{"other.evil.example", "example.com"})
	if got.Value != Pass || len(r.asked) != 1 {
		t.Errorf("%s after %q", got.Value, r.asked)
	}
}

// 100 signatures of subdomains cost no more than the limit.
func TestQuestionsAreBounded(t *testing.T) {
	var dkim []string
	for i := range 100 {
		dkim = append(dkim, fmt.Sprintf("a.b.c.d.e.f.g.h.i.s%d.example.com", i))
	}
	for _, tt := range []struct {
		identifiers, most int
	}{{0, 2 + 10*8}, {3, 2 + 3*8}} {
		r := &recorder{Resolver: zone(t, `_dmarc.example.com TXT "v=DMARC1; p=reject; psd=n"`)}
		c := Checker{Resolver: r, Identifiers: tt.identifiers}
		got := c.Check(t.Context(), "example.com", "", dkim)
		if len(r.asked) > tt.most || got.Value != Pass {
			t.Errorf("%d questions, want %d at most; %+v", len(r.asked), tt.most, got)
		}
		// What needs no question counts beyond the limit, as example.com does here.
		z := zone(t, `
_dmarc.example.com TXT "v=DMARC1; p=reject"
_dmarc.a.b.c.d.e.f.g TXT "v=DMARC1; p=none"
`)
		r = &recorder{Resolver: z}
		c.Resolver = r
		got = c.Check(t.Context(), "www.example.com", "", append(slices.Clone(dkim), "example.com"))
		if len(r.asked) > tt.most+1 || got.Value != Pass {
			t.Errorf("%d questions, want %d at most; %+v", len(r.asked), tt.most+1, got)
		}
	}
	r := &recorder{Resolver: zone(t, `
_dmarc.example.com TXT "v=DMARC1; p=reject"
`+func() (s string) {
		for i := range 100 {
			s += fmt.Sprintf("_dmarc.s%d.example.com TXT \"v=DMARC1; p=none; psd=n\"\n", i)
		}
		return s
	}())}
	got := (&Checker{Resolver: r}).Check(t.Context(), "example.com", "", dkim)
	if got.Value != Fail || !strings.Contains(got.Why, "90 more domains were not compared") {
		t.Errorf("%+v", got)
	}
}

func TestPublicSuffix(t *testing.T) {
	z := zone(t, `
_dmarc.example.co.uk TXT "v=DMARC1; p=reject; sp=quarantine"
_dmarc.mid.example.co.uk TXT "v=DMARC1; p=none; psd=n"
_dmarc.slow.co.uk TIMEOUT
_dmarc.mid.slow.co.uk TXT "v=DMARC1; p=quarantine"
`)
	for _, tt := range []struct {
		from, spf string
		want      Value
		policy    Policy
		org       string
	}{
		{"a.mid.example.co.uk", "b.example.co.uk", Pass, WantQuarantine, "example.co.uk"},
		{"a.mid.example.co.uk", "other.co.uk", Fail, WantQuarantine, "example.co.uk"},
		{"mid.example.co.uk", "example.co.uk", Pass, NoPolicy, "example.co.uk"},
		{"other.co.uk", "other.co.uk", None, "", "other.co.uk"},
		{"co.uk", "", None, "", "co.uk"},
		{"a.slow.co.uk", "a.slow.co.uk", TempError, "", "slow.co.uk"},
		{"mid.slow.co.uk", "b.slow.co.uk", Pass, WantQuarantine, "slow.co.uk"},
	} {
		r := &recorder{Resolver: z}
		got := (&Checker{Resolver: r, PublicSuffix: true}).Check(t.Context(), tt.from, tt.spf, nil)
		if got.Value != tt.want || got.Policy != tt.policy || got.Org != tt.org || len(r.asked) > 2 {
			t.Errorf("%s with SPF for %s: %+v after %q", tt.from, tt.spf, got, r.asked)
		}
	}
}

func TestNoDeadlineIsOutlived(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := (&Checker{Resolver: net.DefaultResolver}).Check(ctx, "example.com", "", nil)
	if got.Value != TempError {
		t.Errorf("%+v, want temperror", got)
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, bb := range []struct{ name, from, spf string }{
		{"same domain", "example.com", "example.com"},
		{"relaxed", "example.com", "bounce.example.com"},
		{"fail", "www.example.com", "example.net"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			c := Checker{Resolver: dns.NewCache(zone(b, standardZone), dns.CacheOptions{})}
			b.ReportAllocs()
			for b.Loop() {
				c.Check(b.Context(), bb.from, bb.spf, []string{"list.example.org"})
			}
		})
	}
}

// A panicking resolver panics at one name.
type panicking struct {
	dns.Resolver
	at string
}

func (r panicking) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if name == r.at {
		panic("cable cut")
	}
	return r.Resolver.LookupTXT(ctx, name)
}

// A resolver that panics is one that has no answer, also where several are asked for at a time.
func TestResolverPanics(t *testing.T) {
	z := zone(t, `_dmarc.example.com TXT "v=DMARC1; p=reject"`)
	for at, want := range map[string]Value{"_dmarc.a.example.com": TempError, "_dmarc.example.com": TempError, "_dmarc.elsewhere.example": ""} {
		p := (&Checker{Resolver: panicking{z, at}}).Lookup(t.Context(), "a.example.com")
		if p.Value != want || want == TempError && !strings.Contains(p.Why, at+": the resolver panics: cable cut") {
			t.Errorf("at %s: %q: %s", at, p.Value, p.Why)
		}
	}
}
