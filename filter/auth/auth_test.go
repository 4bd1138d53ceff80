package auth_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// What is written of whom, by class and by what comes out (FROM-03, FROM-07, EOM-05, EOM-06, DKIM-05, DKIM-09, DKIM-10, SPFM-08 to SPFM-10).
func TestResults(t *testing.T) {
	signed := sign(t, letter, signature{})
	const iprev = "iprev=pass (client.example) policy.iprev=192.0.2.25; "
	const helo = "spf=pass (record of client.example, a) smtp.helo=client.example; "
	const mailfrom = "spf=pass (record of example.org, ip4:192.0.2.25) smtp.mailfrom=sender@example.org; "
	const nosig = "dkim=none (no signature); "
	const failed = `dmarc=fail reason="neither SPF nor DKIM passed" policy.dmarc=reject header.from=example.org`
	const bySPF = "dmarc=pass policy.dmarc=reject header.from=example.org"
	for _, tt := range []struct {
		name string
		o    auth.Options
		mail miltertest.Mail
		want string // behind the id; "" for no field
	}{
		{"all pass", auth.Options{}, miltertest.Mail{Text: signed},
			iprev + mailfrom + helo + "dkim=pass (2048-bit key) header.d=example.org header.s=rsa header.a=rsa-sha256 header.b=Fsp+WwHM; " + bySPF},
		{"no signature", auth.Options{}, miltertest.Mail{}, iprev + mailfrom + helo + nosig + bySPF},
		{"no record", auth.Options{}, miltertest.Mail{From: "<a@bare.example>"}, iprev +
			"spf=none (bare.example has no record) smtp.mailfrom=a@bare.example; " + helo + nosig + failed},
		{"soft fail", auth.Options{}, miltertest.Mail{From: "<a@soft.example>"}, iprev +
			"spf=softfail (record of soft.example, all) smtp.mailfrom=a@soft.example; " + helo + nosig + failed},
		{"the null sender", auth.Options{}, miltertest.Mail{From: "<>"}, iprev + helo + nosig +
			`dmarc=fail reason="what passed is not aligned with example.org: SPF for client.example" policy.dmarc=reject header.from=example.org`},
		{"the null sender, HELO not asked", auth.Options{Methods: []auth.Method{auth.SPF}}, miltertest.Mail{From: "<>"}, strings.TrimSuffix(helo, "; ")},
		{"DNS is dead", auth.Options{Methods: []auth.Method{auth.SPF}}, miltertest.Mail{From: "<a@dead.example>"}, "spf=temperror (TXT of dead.example: i/o timeout) smtp.mailfrom=a@dead.example"},
		{"a broken record", auth.Options{Methods: []auth.Method{auth.SPF}}, miltertest.Mail{From: "<a@broken.example>"}, "spf=permerror (broken.example: a:192.0.2.1: not a domain) smtp.mailfrom=a@broken.example"},
		{"IPv6", auth.Options{Methods: []auth.Method{auth.IPRev, auth.SPF}}, miltertest.Mail{Conn: from("2001:db8::25")},
			`iprev=pass (client6.example) policy.iprev="2001:db8::25"; spf=pass (record of example.org, ip6:2001:db8::25) smtp.mailfrom=sender@example.org`},
		{"IPv4 mapped into IPv6", auth.Options{Methods: []auth.Method{auth.IPRev, auth.SPF}}, miltertest.Mail{Conn: from("::ffff:192.0.2.25")},
			iprev + strings.TrimSuffix(mailfrom, "; ")},
		{"authenticated", auth.Options{}, miltertest.Mail{Macros: map[string]string{"auth_authen": "joe", "auth_type": "PLAIN", "cipher_bits": "256"}, Text: signed},
			"auth=pass (PLAIN sslbits=256) smtp.auth=joe"},
		{"authenticated, and not to be told", auth.Options{Methods: []auth.Method{auth.SPF}}, miltertest.Mail{Macros: map[string]string{"auth_authen": "joe"}}, ""},
		{"authenticated by a client certificate", auth.Options{}, miltertest.Mail{Macros: map[string]string{"auth_type": "EXTERNAL"}}, "auth=pass (EXTERNAL)"},
		{"internal", auth.Options{}, miltertest.Mail{Conn: from("127.0.0.1"), Text: signed}, ""},
		{"internal, signatures verified", auth.Options{DKIM: auth.DKIMOptions{Classes: []filter.Class{filter.Internal}}}, miltertest.Mail{Conn: from("127.0.0.1")}, "dkim=none (no signature)"},
		{"a program of this host", auth.Options{}, miltertest.Mail{Conn: &mta.Conn{Name: "localhost"}}, ""},
		{"trusted relay", auth.Options{}, miltertest.Mail{Conn: from("198.51.100.1"), Text: signed},
			"dkim=pass (2048-bit key) header.d=example.org header.s=rsa header.a=rsa-sha256 header.b=Fsp+WwHM"},
		{"a guess is none", auth.Options{Methods: []auth.Method{auth.SPF}, SPF: auth.SPFOptions{Guess: "v=spf1 a/24 mx/24 ptr"}}, miltertest.Mail{From: "<a@bare.example>"},
			"spf=none (best guess for bare.example, a/24: pass) smtp.mailfrom=a@bare.example"},
		{"a local record", auth.Options{Methods: []auth.Method{auth.SPF}, SPF: auth.SPFOptions{Local: map[string]string{"bare.example": "v=spf1 ip4:192.0.2.25 -all"}}},
			miltertest.Mail{From: "<a@bare.example>"}, "spf=pass (local record for bare.example, ip4:192.0.2.25) smtp.mailfrom=a@bare.example"},
		{"a trusted forwarder", auth.Options{Methods: []auth.Method{auth.SPF}, SPF: auth.SPFOptions{Forwarders: []string{"lists.example"}}},
			miltertest.Mail{From: "<a@fail.example>"}, "spf=pass (trusted forwarder lists.example, ip4:192.0.2.0/24) smtp.mailfrom=postmaster@lists.example"},
		{"an author below the domain with the policy", auth.Options{Methods: []auth.Method{auth.DKIM, auth.DMARC}},
			miltertest.Mail{Text: sign(t, strings.ReplaceAll(letter, "@example.org", "@news.example.org"), signature{identity: "joe@news.example.org"})},
			"dkim=pass (2048-bit key) header.d=example.org header.i=joe@news.example.org header.s=rsa header.a=rsa-sha256 header.b=AepLaUXD; " +
				"dmarc=pass (organizational domain example.org) policy.dmarc=reject header.from=news.example.org"},
		{"two authors", auth.Options{Methods: []auth.Method{auth.DMARC}}, miltertest.Mail{Text: "From: a@example.org, b@example.org\n\nx\n"},
			`dmarc=permerror reason="several authors: 2 addresses"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
				r := newRig(t, tt.o)
				r.profile = profile
				res := r.send(t, tt.mail)
				got := results(res)
				t.Logf("%s\n%s", got, r.why())
				want := tt.want
				if want != "" {
					want = "mta.example; " + want
				}
				diff(t, "Authentication-Results", want, got)
			})
		})
	}
}

// Signatures are those of the message as it was received, whatever filters before made of it.
func TestAsReceived(t *testing.T) {
	change := filter.Step{Filter: &filter.Filter{Name: "change", Needs: filter.Needs{Header: true, Body: true, Actions: milter.AllEdits},
		Message: func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			return milter.Accept, errors.Join(e.ChangeHeader("Subject", 1, "changed"), e.InsertHeader(0, "Authentication-Results", "mta.example; x=forged"),
				e.DeleteHeader("DKIM-Signature", 1), e.ReplaceBody(strings.NewReader("changed\r\n")))
		}}}
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		r := newRig(t, auth.Options{Methods: []auth.Method{auth.DKIM}}, change)
		r.profile = profile
		res := r.send(t, miltertest.Mail{Text: sign(t, letter, signature{})})
		diff(t, "Authentication-Results", "mta.example; dkim=pass (2048-bit key) header.d=example.org header.s=rsa header.a=rsa-sha256 header.b=Fsp+WwHM", results(res))
		diff(t, "body", "changed\r\n", res.Body())
	})
}
