package callout_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/callout"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/internal/smtpc/fakemx"
)

// Addresses that no machine has: those of documentation are in use, in test networks.
const (
	mx1 = "240.0.0.1:25"
	mx2 = "240.0.0.2:25"
	mx3 = "240.0.0.3:25"
)

// domains are what the tests ask about: of one server, of several, of none.
const domains = `
one.example.       MX  10 mx1.example.
two.example.       MX  10 mx1.example.
two.example.       MX  20 mx2.example.
three.example.     MX  10 mx3.example.
three.example.     MX  20 mx1.example.
three.example.     MX  30 mx2.example.
bare.example.      A   240.0.0.1
null.example.      MX  0 .
slow.example.      TIMEOUT
failing.example.   SERVFAIL
hostless.example.  MX  10 gone.example.
bogus.example.     MX  10 localhost.
bogus.example.     MX  10 private.example.
bogus.example.     MX  20 mapped.example.
mixed.example.     MX  10 private.example.
mixed.example.     MX  20 public.example.
self.example.      MX  10 self-host.example.
backup.example.    MX  10 public.example.
backup.example.    MX  20 self-host.example.
mx1.example.       A   240.0.0.1
mx2.example.       A   240.0.0.2
mx3.example.       A   240.0.0.3
localhost.         A   127.0.0.1
private.example.   A   10.0.0.1
private.example.   A   0.0.0.0
mapped.example.    AAAA ::ffff:192.168.0.1
mapped.example.    AAAA fe80::1
public.example.    A   11.0.0.1
self-host.example. A   11.0.0.9
`

func zone(t testing.TB, text string) *dns.Zone {
	t.Helper()
	z, err := dns.ParseZone("test.zone", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// newChecker returns a Checker that reaches f only.
func newChecker(t testing.TB, f *fakemx.Fleet, o callout.Options) *callout.Checker {
	t.Helper()
	if o.Resolver == nil {
		o.Resolver = zone(t, domains)
	}
	o.Helo, o.Dial = "mail.example.net", f.Dial
	c, err := callout.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask asks about one address on the fleet, documentation addresses being fine.
func ask(t testing.TB, f *fakemx.Fleet, o callout.Options, address string) callout.Result {
	t.Helper()
	o.Local = true
	return newChecker(t, f, o).Ask(t.Context(), address)[0]
}

// on answers commands that begin so.
func on(replies ...string) func(*fakemx.Session, string) string {
	return func(_ *fakemx.Session, line string) string {
		for i := 0; i < len(replies); i += 2 {
			if strings.HasPrefix(line, replies[i]) {
				return replies[i+1]
			}
		}
		return ""
	}
}

// at does something at the commands that begin so.
func at(verb string, do func(*fakemx.Session) string) func(*fakemx.Session, string) string {
	return func(s *fakemx.Session, line string) string {
		if strings.HasPrefix(line, verb) {
			return do(s) + "250 late\r\n"
		}
		return ""
	}
}

// knows returns a server that has the mailboxes named.
func knows(mailboxes ...string) func(*fakemx.Session, string) string {
	return func(_ *fakemx.Session, line string) string {
		if !strings.HasPrefix(line, "RCPT") {
			return ""
		}
		for _, m := range mailboxes {
			if strings.Contains(line, "<"+m+"@") {
				return "250 2.1.5 ok\r\n"
			}
		}
		return "550 5.1.1 no such user\r\n"
	}
}

// wants fails unless a result is of a verdict and a reason.
func wants(t testing.TB, got callout.Result, verdict callout.Verdict, why callout.Reason) {
	t.Helper()
	if got.Verdict != verdict || got.Reason != why {
		t.Errorf("%s: %v, want %s (%s)", got.Address, got, verdict, why)
	}
}

func withTimeout(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
