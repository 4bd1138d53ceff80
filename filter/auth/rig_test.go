package auth_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/spf"
	"github.com/google/go-cmp/cmp"
)

// What DNS says in these tests. Keys are added by the rig.
const zone = `
25.2.0.192.in-addr.arpa PTR client.example.
client.example A 192.0.2.25
client.example TXT "v=spf1 a -all"
5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR client6.example.
client6.example AAAA 2001:db8::25

example.org TXT "v=spf1 ip4:192.0.2.25 ip6:2001:db8::25 -all"
_dmarc.example.org TXT "v=DMARC1; p=reject"
mail.example.org TXT "v=spf1 ip4:192.0.2.25 -all"
soft.example TXT "v=spf1 ~all"
fail.example TXT "v=spf1 -all"
_dmarc.fail.example TXT "v=DMARC1; p=quarantine"
broken.example TXT "v=spf1 a:192.0.2.1 -all"
lists.example TXT "v=spf1 ip4:192.0.2.0/24 -all"
bare.example A 192.0.2.25
guess.example A 192.0.2.25
_dmarc.guess.example TXT "v=DMARC1; p=reject"
forwarder.example TXT "v=spf1 ip4:192.0.2.25 -all"
_dmarc.forwarder.example TXT "v=DMARC1; p=reject"
dead.example TIMEOUT
late.example TXT "v=spf1 include:dead.example -all"
_dmarc.late.example TXT "v=DMARC1; p=reject"
`

func readKey(t testing.TB, name string) *dkim.Key {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".pem")
	if err != nil {
		t.Fatal(err)
	}
	k, err := dkim.ParseKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// parseZone returns what answers: the zone, with the keys rsa and ed25519 of example.org and
// other domains, and more lines.
func parseZone(t testing.TB, more ...string) *dns.Zone {
	t.Helper()
	text := zone + strings.Join(more, "\n") + "\n"
	for _, domain := range []string{"example.org", "lists.example", "fail.example"} {
		for _, key := range []string{"rsa", "ed25519"} {
			text += readKey(t, key).ZoneLine(key, domain) + "\n"
		}
	}
	z, err := dns.ParseZone("zone", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

const letter = "From: Sender <sender@example.org>\nTo: rcpt@example.net\nSubject: test\nDate: Thu, 1 Jan 2026 12:00:00 +0000\nMessage-ID: <1@example.org>\n\nHello.\n"

// A signature of the tests; empty parts are those of a good one by example.org with RSA.
type signature struct{ key, domain, header, body, identity string }

// sign returns a message with signatures, the last on top.
func sign(t testing.TB, text string, how ...signature) string {
	t.Helper()
	for _, s := range how {
		m := message.Parse([]byte(crlf(text)))
		if s.key == "" {
			s.key = "rsa"
		}
		if s.domain == "" {
			s.domain = "example.org"
		}
		fields, err := dkim.Sign(t.Context(), m.Header, bytes.NewReader(m.Body), []dkim.Signature{{Domain: s.domain, Selector: s.key, Key: readKey(t, s.key),
			Header: dkim.Canon(s.header), Body: dkim.Canon(s.body), Identity: s.identity}}, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		text = "DKIM-Signature: " + fields[0] + "\r\n" + crlf(text)
	}
	return text
}

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// A rig is a filter in a chain, and one behind it that hears the facts.
type rig struct {
	*filter.Chain
	profile mta.Profile
	version uint32
	macros  map[string]string // of the connection
	told    []*filter.Explanation
	facts   facts
}

type facts struct {
	reverse dns.Reverse
	spf     spf.Checked
	dkim    dkim.Checked
	dmarc   dmarc.Result
}

func newRig(t testing.TB, o auth.Options, steps ...filter.Step) *rig {
	t.Helper()
	if o.Resolver == nil {
		o.Resolver = parseZone(t)
	}
	f, err := auth.New("auth", o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{profile: mta.Postfix}
	hear := &filter.Filter{Name: "hear", Needs: filter.Needs{Header: true},
		Message: func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
			r.facts = facts{}
			r.facts.reverse, _ = filter.Told[dns.Reverse](tr)
			r.facts.spf, _ = filter.Told[spf.Checked](tr)
			r.facts.dkim, _ = filter.Told[dkim.Checked](tr)
			r.facts.dmarc, _ = filter.Told[dmarc.Result](tr)
			return milter.Accept, nil
		}}
	r.Chain = &filter.Chain{Steps: append(steps, filter.Step{Filter: f}, filter.Step{Filter: hear}), Log: slog.New(slog.DiscardHandler),
		Network: filter.Network{TrustedRelays: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
		NewRef:  func() string { return "ref" }, Explain: func(x *filter.Explanation) { r.told = append(r.told, x) },
		OnFailure: func(f *filter.Failure) { t.Errorf("%v", f) }}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	return r
}

// client returns the MTA.
func (r *rig) client(t testing.TB) *miltertest.Client {
	c := miltertest.New(t, &milter.Server{New: r.Hooks, Log: r.Log})
	c.Profile, c.Version, c.Macros = r.profile, r.version, r.macros
	return c
}

func (r *rig) send(t testing.TB, m miltertest.Mail) *miltertest.Result {
	t.Helper()
	if m.Text == "" && m.Reader == nil {
		m.Text = letter
	}
	m.Text = crlf(m.Text)
	r.told = nil
	return r.client(t).Send(t, m)
}

// why is what the filter noted about the last message.
func (r *rig) why() string {
	var all []string
	for _, x := range r.told {
		for _, o := range x.Filters {
			if o.Name == "auth" && o.Why != "" {
				all = append(all, o.Why)
			}
		}
	}
	return strings.Join(all, "\n")
}

// from returns a client at an address.
func from(addr string) *mta.Conn {
	return &mta.Conn{Name: "client.example", Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 40025)}
}

// results returns the message's Authentication-Results, each in a line.
func results(r *miltertest.Result) string {
	var all []string
	for _, f := range r.Message.Header.All("Authentication-Results") {
		all = append(all, strings.Join(strings.Fields(string(f.Value())), " "))
	}
	return strings.Join(all, "\n")
}

// outcome is a result in a few words: verdict, what the client is told, quarantine.
func outcome(r *miltertest.Result) string {
	s := r.Verdict.String()
	if told := r.Told(); told != "" {
		s += " " + told
	}
	if r.Quarantine != nil {
		s += " held: " + *r.Quarantine
	}
	return s
}

func diff(t testing.TB, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}
