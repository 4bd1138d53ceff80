package auth_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/policy"
)

// What happens to messages that fail DMARC, and to others.
func TestDMARCAction(t *testing.T) {
	const refused = "reject 550-5.7.26 This message fails DMARC: neither SPF nor DKIM shows that it comes from example.org (SPF is fail, there is no DKIM signature)\n" +
		"550 5.7.26 Its admin can sign mail with a DKIM key of example.org, or have it sent from hosts that SPF of example.org allows and with an envelope sender there (ref ref)"
	forged := miltertest.Mail{From: "<a@fail.example>"}                                                                         // p=reject
	held := miltertest.Mail{From: "<a@soft.example>", Text: strings.ReplaceAll(letter, "sender@example.org", "a@fail.example")} // p=quarantine
	listed := miltertest.Mail{From: "<bounce@lists.example>", Text: sign(t, letter, signature{domain: "lists.example"})}
	published := auth.DMARCOptions{Action: auth.Published}
	overrides := func(action auth.Action, o ...auth.Override) auth.DMARCOptions {
		return auth.DMARCOptions{Action: action, Overrides: o}
	}
	whitelist := filter.Step{Filter: &filter.Filter{Name: "whitelist",
		Mail: func(_ context.Context, tr *filter.Transaction) (milter.MailReply, error) {
			filter.Tell(tr, policy.Verdict{Action: policy.Action{Word: policy.Whitelist}})
			return milter.Continue, nil
		}}}
	for _, tt := range []struct {
		name   string
		dmarc  auth.DMARCOptions
		mail   miltertest.Mail
		before []filter.Step
		want   string
		mark   string // X-DMARC-Warning
	}{
		{"by default nothing", auth.DMARCOptions{}, forged, nil, "accept", ""},
		{"a pass", published, miltertest.Mail{}, nil, "accept", ""},
		{"the domain wants it refused", published, forged, nil, refused, ""},
		{"the domain wants it quarantined", published, held, nil, "accept held: DMARC: neither SPF nor DKIM shows that it comes from fail.example", ""},
		{"which is to mark it", auth.DMARCOptions{Action: auth.Published, Mark: true}, held, nil, "accept", "fail; neither SPF nor DKIM shows that it comes from fail.example"},
		{"no policy", published, miltertest.Mail{From: "<a@fail.example>", Text: "From: a@soft.example\n\nx\n"}, nil, "accept", ""},
		{"whitelisted", published, forged, []filter.Step{whitelist}, "accept", ""},
		{"authenticated", published, miltertest.Mail{From: "<a@fail.example>", Macros: map[string]string{"auth_authen": "joe"}}, nil, "accept", ""},
		{"a trusted relay", published, miltertest.Mail{Conn: from("198.51.100.1")}, nil, "accept", ""},
		{"internal", published, miltertest.Mail{Conn: from("127.0.0.1")}, nil, "accept", ""},
		{"whatever the policy is: mark", auth.DMARCOptions{Action: auth.Tag}, forged, nil, "accept", "fail; neither SPF nor DKIM shows that it comes from example.org"},
		{"whatever the policy is: hold", auth.DMARCOptions{Action: auth.Quarantine}, forged, nil, "accept held: DMARC: neither SPF nor DKIM shows that it comes from example.org", ""},
		{"whatever the policy is: refuse", auth.DMARCOptions{Action: auth.Reject}, forged, nil, refused, ""},
		{"not this domain", overrides(auth.Published, auth.Override{Domains: []string{"EXAMPLE.org"}, Action: auth.Report}), forged, nil, "accept", ""},
		{"not those below it", overrides(auth.Published, auth.Override{Domains: []string{"*.example.org"}, Action: auth.Report}), forged, nil, refused, ""},
		{"this domain only", overrides(auth.Report, auth.Override{Domains: []string{"example.org"}, Action: auth.Published}), forged, nil, refused, ""},
		{"the first override counts", overrides(auth.Report, auth.Override{Domains: []string{"example.org"}, Action: auth.Tag}, auth.Override{Domains: []string{"example.org"}, Action: auth.Reject}),
			forged, nil, "accept", "fail; neither SPF nor DKIM shows that it comes from example.org"},
		{"a forwarder by its network", overrides(auth.Published, auth.Override{Clients: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Action: auth.Report}), forged, nil, "accept", ""},
		{"a forwarder of another network", overrides(auth.Published, auth.Override{Clients: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/30")}, Action: auth.Report}), forged, nil, refused, ""},
		{"a forwarder by SPF of MAIL FROM", overrides(auth.Published, auth.Override{SPF: []string{"lists.example"}, Action: auth.Report}), listed, nil, "accept", ""},
		{"a forwarder by SPF of HELO", overrides(auth.Published, auth.Override{SPF: []string{"*.example"}, Action: auth.Report}), forged, nil, "accept", ""},
		{"a forwarder by DKIM", overrides(auth.Published, auth.Override{DKIM: []string{"lists.example"}, Action: auth.Report}), listed, nil, "accept", ""},
		{"a forwarder whose signature is broken", overrides(auth.Published, auth.Override{DKIM: []string{"lists.example"}, Action: auth.Report}),
			miltertest.Mail{From: "<a@fail.example>", Text: listed.Text + "and more\r\n"}, nil, strings.Replace(refused, "there is no DKIM signature", "no DKIM signature is valid", 1), ""},
		{"a forwarder who has to meet all", overrides(auth.Published, auth.Override{DKIM: []string{"lists.example"}, Domains: []string{"fail.example"}, Action: auth.Report}), listed, nil,
			strings.Replace(refused, "SPF is fail, there is no DKIM signature", "SPF passed for lists.example, DKIM passed for lists.example", 1), ""},
		{"DNS did not answer what could have made it pass", published, miltertest.Mail{From: "<a@late.example>", Text: "From: a@late.example\n\nx\n"}, nil, "accept", ""},
		{"DNS did not answer about another domain", published, miltertest.Mail{From: "<a@late.example>"}, nil,
			strings.Replace(refused, "SPF is fail", "SPF is temperror", 1), ""},
		{"a guess is no pass", published, miltertest.Mail{From: "<a@guess.example>", Text: "From: a@guess.example\n\nx\n"}, nil,
			strings.ReplaceAll(strings.Replace(refused, "SPF is fail", "SPF is none", 1), "example.org", "guess.example"), ""},
		{"nor is it one of a forwarder", overrides(auth.Published, auth.Override{SPF: []string{"guess.example"}, Action: auth.Report}),
			miltertest.Mail{From: "<a@guess.example>", Text: "From: a@guess.example\n\nx\n"}, nil, strings.ReplaceAll(strings.Replace(refused, "SPF is fail", "SPF is none", 1), "example.org", "guess.example"), ""},
		{"a forwarder's pass is not the sender's", published, miltertest.Mail{From: "<a@fail.example>", Text: "From: a@forwarder.example\n\nx\n"}, nil,
			strings.ReplaceAll(strings.Replace(refused, "SPF is fail, ", "", 1), "example.org", "forwarder.example"), ""},
		{"what a trusted relay says failed", published, miltertest.Mail{Conn: from("198.51.100.1"),
			Text: "Authentication-Results: mx.example.net; dmarc=fail policy.dmarc=reject header.from=example.org\n" + letter}, nil, "accept", ""},
		{"two authors", published, miltertest.Mail{Text: "From: a@example.org, b@example.org\n\nx\n"}, nil, "accept", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
				o := auth.Options{DMARC: tt.dmarc, Methods: []auth.Method{auth.SPF, auth.Helo, auth.DKIM, auth.DMARC}, Believe: []string{"mx.example.net"}}
				switch {
				case strings.Contains(tt.mail.From, "guess"):
					o.SPF.Guess = "v=spf1 a -all"
				case strings.Contains(tt.mail.Text, "forwarder.example"):
					o.SPF.Forwarders = []string{"forwarder.example"}
				}
				r := newRig(t, o, tt.before...)
				r.profile = profile
				res := r.send(t, tt.mail)
				t.Logf("%s\n%s", results(res), r.why())
				diff(t, "outcome", tt.want, outcome(res))
				diff(t, "mark", tt.mark, res.Header("X-DMARC-Warning"))
			})
		})
	}
}

// From tricks come to permerror, whatever passed; none of them is waved through as a pass.
func TestNoAuthor(t *testing.T) {
	for _, from := range []string{
		"", "From: a@example.org\nFrom: b@fail.example\n", "From: a@example.org, b@fail.example\n", "From: \n", "From: joe\n",
		"From: <a@example.org> <b@fail.example>\n", "From: a@example.org b@fail.example\n", "From: undisclosed:;\n",
		"From : b@fail.example\nFrom: a@example.org\n", "From: =?utf-8?q?a=40example=2Eorg?=\n", "From: a@example.org\x01@fail.example\n",
	} {
		r := newRig(t, auth.Options{Methods: []auth.Method{auth.SPF, auth.DMARC}})
		r.send(t, miltertest.Mail{Text: "Subject: x\n" + from + "\nx\n"})
		if r.facts.dmarc.Value != dmarc.PermError || r.facts.dmarc.From != "" {
			t.Errorf("%q: %+v", from, r.facts.dmarc)
		}
	}
}
