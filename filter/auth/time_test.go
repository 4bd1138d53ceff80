package auth_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/spf"
)

// deaf is a DNS that never answers about some names.
type deaf struct {
	dns.Resolver
	about func(name string) bool
	now   atomic.Int64 // questions that wait
}

func (d *deaf) wait(ctx context.Context, name string) error {
	if !d.about(name) {
		return nil
	}
	d.now.Add(1)
	defer d.now.Add(-1)
	<-ctx.Done()
	return &net.DNSError{Err: ctx.Err().Error(), Name: name, IsTimeout: true}
}

func (d *deaf) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if err := d.wait(ctx, name); err != nil {
		return nil, err
	}
	return d.Resolver.LookupTXT(ctx, name)
}

func (d *deaf) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	if err := d.wait(ctx, addr); err != nil {
		return nil, err
	}
	return d.Resolver.LookupAddr(ctx, addr)
}

func (d *deaf) LookupNetIP(ctx context.Context, network, name string) ([]netip.Addr, error) {
	if err := d.wait(ctx, name); err != nil {
		return nil, err
	}
	return d.Resolver.LookupNetIP(ctx, network, name)
}

// What DNS takes is bounded at each stage and as a whole, whatever part of it does not answer, and
// mail flows.
func TestDeadDNS(t *testing.T) {
	signed := sign(t, letter, signature{})
	all := func(string) bool { return true }
	for _, tt := range []struct {
		name      string
		about     func(string) bool
		o         auth.Options
		mode      filter.Mode
		mail, end time.Duration
		spf       spf.Value
		dkim      dkim.Value
		dmarc     dmarc.Value
	}{
		// The filter that hears has no hook at MAIL: auth has all of the stage.
		{"all", all, auth.Options{}, filter.On, 6 * time.Second, 4 * time.Second, spf.TempError, dkim.TempError, dmarc.TempError},
		{"all, with less time", all, auth.Options{DNSTime: 3 * time.Second, MailTime: time.Second}, filter.On, time.Second, 2 * time.Second, spf.TempError, dkim.TempError, dmarc.TempError},
		{"all, in report mode", all, auth.Options{}, filter.Report, 1750 * time.Millisecond, 8250 * time.Millisecond, spf.TempError, dkim.TempError, dmarc.TempError},
		{"keys", func(n string) bool { return strings.Contains(n, "_domainkey") }, auth.Options{}, filter.On, 0, 8 * time.Second, spf.Pass, dkim.TempError, dmarc.Pass},
		{"the policy", func(n string) bool { return strings.Contains(n, "_dmarc") }, auth.Options{}, filter.On, 0, 10 * time.Second, spf.Pass, dkim.Pass, dmarc.TempError},
		{"names of addresses", func(n string) bool { return strings.HasPrefix(n, "192.") }, auth.Options{}, filter.On, 6 * time.Second, 0, spf.Pass, dkim.Pass, dmarc.Pass},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &deaf{Resolver: parseZone(t), about: tt.about}
				tt.o.Resolver = d
				r := newRig(t, tt.o)
				r.Steps[0].Mode = tt.mode
				s := r.client(t).Connect(t)
				s.Helo("client.example")
				began := time.Now()
				s.Mail("<sender@example.org>")
				diff(t, "time at MAIL", tt.mail, time.Since(began))
				s.Rcpt("<rcpt@example.net>")
				s.Data()
				began = time.Now()
				res := s.Message(crlf(signed))
				diff(t, "time at the end", tt.end, time.Since(began))
				if res.Verdict != mta.Accept || d.now.Load() != 0 {
					t.Errorf("%v, %d questions wait", outcome(res), d.now.Load())
				}
				t.Log(r.why())
				var sig dkim.Value
				if len(r.facts.dkim.Signatures) > 0 {
					sig = r.facts.dkim.Signatures[0].Value
				}
				diff(t, "SPF", tt.spf, r.facts.spf.MailFrom.Value)
				diff(t, "DKIM", tt.dkim, sig)
				diff(t, "DMARC", tt.dmarc, r.facts.dmarc.Value)
			})
		})
	}
}

// Keys that take long to come do not keep the policy from being asked: who fails DMARC is refused
// all the same.
func TestSlowKeysDoNotHideAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deaf{Resolver: parseZone(t), about: func(n string) bool { return strings.Contains(n, "slow.example") }}
		r := newRig(t, auth.Options{Resolver: d, DMARC: auth.DMARCOptions{Action: auth.Published}})
		began := time.Now()
		res := r.send(t, miltertest.Mail{From: "<a@slow.example>", Helo: "slow.example",
			Text: strings.ReplaceAll(sign(t, letter, signature{domain: "lists.example"}), "d=lists.example", "d=slow.example")})
		if res.Verdict != mta.Reject || time.Since(began) > 9*time.Second {
			t.Errorf("%s after %v: %s", outcome(res), time.Since(began), r.why())
		}
	})
}

// The explanation says what DNS took: look-ups that run at a time count once. The policy is asked for beside the key.
func TestDNSTimeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, auth.Options{Resolver: parseZone(t, "$DELAY 200ms")})
		r.send(t, miltertest.Mail{Text: sign(t, letter, signature{})})
		for _, want := range []string{"dns: look-ups 5, time 400ms", "dns: look-ups 7, time 600ms"} {
			if !strings.Contains(r.why(), want) {
				t.Errorf("no %q in %s", want, r.why())
			}
		}
	})
}

// A check that panics costs its message, and nothing else.
func TestPanicInACheck(t *testing.T) {
	r := newRig(t, auth.Options{Resolver: &deaf{Resolver: parseZone(t), about: func(string) bool { panic("broken") }}})
	r.OnFailure = nil
	res := r.send(t, miltertest.Mail{})
	if want := "tempfail 451 4.3.0 Message cannot be processed now, please try again later (ref ref)"; outcome(res) != want {
		t.Errorf("%s, want %s", outcome(res), want)
	}
	if len(r.told) != 1 || !strings.Contains(fmt.Sprint(r.told[0]), "hook panicked: broken") {
		t.Errorf("told %v", r.told)
	}
}
