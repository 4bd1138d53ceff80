package access_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/access"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// The zone of the old spfmilter's test.
const spfmilterZone = `
example.com TXT "v=spf1 ip4:192.0.2.1"
bad.example.com TXT "v=spf1 a:192.0.2.1"
fail.example.com TXT "v=spf1 ip4:192.0.2.2 -all"
mail.example.com TXT "v=spf1 ip4:192.0.2.1 -all"
`

// What the old spfmilter does without an access file, as examples/bms-policy.toml has it.
var spfmilterDefaults = []string{
	"spf-fail REJECT", "spf-permerror REJECT", "spf-temperror TEMPFAIL",
	"helo-fail REJECT", "helo-softfail REJECT", "helo-neutral REJECT",
}

func TestSPFMilter(t *testing.T) {
	zone, err := dns.ParseZone("zone", strings.NewReader(spfmilterZone))
	if err != nil {
		t.Fatal(err)
	}
	const bob, ann = "192.0.2.1", "192.0.2.3"
	for _, tt := range []struct {
		name, ip, helo, from string
		lines                []string
		user                 string
		want                 string
	}{
		{"pass", bob, "mail.example.com", "<test@example.com>", nil, "", "OK"},
		{"neutral with policy REJECT", ann, "mx.example.net", "<test@example.com>", []string{"spf-neutral REJECT"}, "", "rcpt 550 5.7.23"},
		{"neutral without a policy", ann, "mx.example.net", "<test@example.com>", nil, "", "OK"},
		{"none", ann, "mx.example.net", "<whatever@random.com>", nil, "", "OK"},
		{"numeric HELO", bob, "1.2.3.4", "<test@example.com>", nil, "", "rcpt 550 5.7.1"},
		{"HELO neutral, allowed by policy", ann, "example.com", "<whatever@random.com>", []string{"HELO-Neutral:example.com OK"}, "", "OK"},
		{"HELO neutral", ann, "example.com", "<whatever@random.com>", nil, "", "rcpt 550 5.7.23"},
		{"HELO fail", ann, "mail.example.com", "<whatever@random.com>", nil, "", "rcpt 550 5.7.23"},
		{"HELO fail, overridden by pass of MAIL FROM", bob, "fail.example.com", "<test@example.com>", nil, "", "OK"},
		{"HELO permerror, rejected by what is said of neutral MAIL FROM", ann, "bad.example.com", "<test@example.com>", []string{"SPF-Neutral:example.com REJECT"}, "", "rcpt 550 5.7.23"},
		{"fail", ann, "mx.example.net", "<test@fail.example.com>", nil, "", "rcpt 550 5.7.23"},
		{"fail, allowed by policy", ann, "mx.example.net", "<test@fail.example.com>", []string{"SPF-Fail:.example.com OK"}, "", "OK"},
		{"permerror", ann, "mx.example.net", "<test@bad.example.com>", nil, "", "rcpt 550 5.7.24"},
		{"permerror, allowed for one local part", ann, "mx.example.net", "<clueless@bad.example.com>", []string{"SPF-PermError:clueless@bad.example.com OK"}, "", "OK"},
		{"and for no other", ann, "mx.example.net", "<clue@bad.example.com>", []string{"SPF-PermError:clueless@bad.example.com OK"}, "", "rcpt 550 5.7.24"},
		{"the null sender fails by its HELO name", ann, "fail.example.com", "<>", nil, "", "rcpt 550 5.7.23"},
		{"a good user", ann, "mx.example.net", "<test@example.com>", []string{"SMTP-Auth:good@example.com OK", "SMTP-Auth:example.com REJECT"}, "good", "OK"},
		{"a bad user", ann, "mx.example.net", "<test@example.com>", []string{"SMTP-Auth:good@example.com OK", "SMTP-Auth:example.com REJECT"}, "bad", "rcpt 550 5.7.1"},
		{"a bad user with an unqualified sender", ann, "mx.example.net", "<test>", []string{"SMTP-Auth:bad@localhost.localdomain REJECT"}, "bad", "rcpt 550 5.7.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checks, err := auth.New("auth", auth.Options{Resolver: zone, ID: "mx.example.org", Methods: []auth.Method{auth.SPF, auth.Helo}})
			if err != nil {
				t.Fatal(err)
			}
			// What is written of one sender comes first, as it does in a file: keys do not depend on their order.
			f, err := access.New("access", access.Options{Map: policies(t, append(tt.lines, spfmilterDefaults...)...), HeloNumeric: true, HeloMissing: true})
			if err != nil {
				t.Fatal(err)
			}
			var told *filter.Explanation
			c := miltertest.NewChain(t, &filter.Chain{Steps: []filter.Step{{Filter: checks}, {Filter: f}}, Explain: func(x *filter.Explanation) { told = x }})
			m := miltertest.Mail{Conn: &mta.Conn{Name: "mail.example.org", Addr: netip.AddrPortFrom(netip.MustParseAddr(tt.ip), 25000)}, Helo: tt.helo, From: tt.from}
			if tt.user != "" {
				m.Macros = map[string]string{"auth_authen": tt.user, "auth_type": "PLAIN"}
			}
			c.Send(t, m)
			if got := outcome(told); got != tt.want {
				t.Errorf("%s, want %s\n%s", got, tt.want, told)
			}
		})
	}
}
