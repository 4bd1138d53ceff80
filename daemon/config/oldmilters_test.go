package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/quarantine"
)

// uncommented returns an example with the lines of a table that stand behind a "#", and values
// replaced in them.
func uncommented(t *testing.T, name, table string, replace ...string) string {
	t.Helper()
	data, err := os.ReadFile("../../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if table == "" {
		return text
	}
	before, rest, found := strings.Cut(text, "#"+table+"\n")
	if !found {
		t.Fatalf("%s has no #%s", name, table)
	}
	lines, after, _ := strings.Cut(rest, "\n\n")
	lines = strings.ReplaceAll("\n"+lines, "\n#", "\n")
	return before + table + strings.NewReplacer(replace...).Replace(lines) + "\n\n" + after
}

// An oldMilter is an example in the place of an old program.
type oldMilter struct {
	chain *filter.Chain
	told  *filter.Explanation
}

func newOldMilter(t *testing.T, text, zone string) *oldMilter {
	t.Helper()
	c, problems := parseText(t, text)
	if c == nil || len(problems) > 0 {
		t.Fatal(texts(problems))
	}
	z, err := dns.ParseZone("zone", strings.NewReader(zone))
	if err != nil {
		t.Fatal(err)
	}
	store, err := quarantine.Open(filepath.Join(t.TempDir(), "kept"), c.Kept.Options())
	if err != nil {
		t.Fatal(err)
	}
	o := new(oldMilter)
	o.chain, err = c.Listeners[0].NewChain(Env{Originals: store, Dir: t.TempDir(), Resolver: z, NewRef: func() string { return "ref" },
		Explain: func(x *filter.Explanation) { o.told = x }})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *oldMilter) send(t *testing.T, profile mta.Profile, ip string, m miltertest.Mail) *miltertest.Result {
	t.Helper()
	m.Conn = &mta.Conn{Name: "client.example", Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 25000)}
	m.Text = strings.ReplaceAll(m.Text, "\n", "\r\n")
	c := miltertest.NewChain(t, o.chain)
	c.Profile = profile
	return c.Send(t, m)
}

func (o *oldMilter) outcome() string {
	s := o.told.Verdict
	if r := o.told.Reply; r != nil {
		s = fmt.Sprintf("%s %d %s", s, r.Code, r.Enhanced)
	}
	return s
}

// SPFM-05 to SPFM-16: what spfmilter.toml makes of the vectors of the old test, with its access file.
func TestSPFMilterExample(t *testing.T) {
	const zone = `
example.com TXT "v=spf1 ip4:192.0.2.1"
bad.example.com TXT "v=spf1 a:192.0.2.1"
fail.example.com TXT "v=spf1 ip4:192.0.2.2 -all"
mail.example.com TXT "v=spf1 ip4:192.0.2.1 -all"
soft.example.com TXT "v=spf1 ~all"
slow.example.com TIMEOUT
`
	file := write(t, "access", `SPF-Neutral:example.com	REJECT
SPF-PermError:clueless@bad.example.com	OK
HELO-Neutral:example.com	OK
SMTP-Auth:good@example.com	OK
SMTP-Auth:example.com	REJECT
SMTP-Auth:bad@localhost.localdomain	REJECT
From:other.example	REJECT
`)
	with := newOldMilter(t, uncommented(t, "spfmilter.toml", "[[filter.access.map]]", "/etc/mail/access", file), zone)
	without := newOldMilter(t, uncommented(t, "spfmilter.toml", ""), zone)
	for _, tt := range []struct {
		name, ip, helo, from, user string
		o                          *oldMilter
		want                       string
	}{
		{"pass", "192.0.2.1", "mail.example.com", "<test@example.com>", "", with, "accept"},
		{"neutral with policy REJECT", "192.0.2.3", "mx.example.net", "<test@example.com>", "", with, "reject 550 5.7.23"},
		{"neutral", "192.0.2.3", "mx.example.net", "<test@example.com>", "", without, "accept"},
		{"none", "192.0.2.3", "mx.example.net", "<whatever@random.com>", "", with, "accept"},
		{"softfail", "192.0.2.3", "mx.example.net", "<a@soft.example.com>", "", with, "accept"},
		{"temperror", "192.0.2.3", "mx.example.net", "<a@slow.example.com>", "", with, "tempfail 451 4.7.24"},
		{"numeric HELO", "192.0.2.1", "1.2.3.4", "<test@example.com>", "", with, "reject 550 5.7.1"},
		{"HELO neutral, allowed by policy", "192.0.2.3", "example.com", "<whatever@random.com>", "", with, "accept"},
		{"HELO neutral", "192.0.2.3", "example.com", "<whatever@random.com>", "", without, "reject 550 5.7.23"},
		{"HELO fail", "192.0.2.3", "mail.example.com", "<whatever@random.com>", "", with, "reject 550 5.7.23"},
		{"HELO fail, overridden by pass of MAIL FROM", "192.0.2.1", "fail.example.com", "<test@example.com>", "", with, "accept"},
		{"HELO permerror, rejected by what is said of neutral MAIL FROM", "192.0.2.3", "bad.example.com", "<test@example.com>", "", with, "reject 550 5.7.23"},
		{"fail", "192.0.2.3", "mx.example.net", "<a@fail.example.com>", "", with, "reject 550 5.7.23"},
		{"permerror", "192.0.2.3", "mx.example.net", "<clue@bad.example.com>", "", with, "reject 550 5.5.2"},
		{"permerror, allowed for one local part", "192.0.2.3", "mx.example.net", "<clueless@bad.example.com>", "", with, "accept"},
		{"a good user", "192.0.2.3", "mx.example.net", "<test@example.com>", "good", with, "accept"},
		{"a bad user", "192.0.2.3", "mx.example.net", "<test@example.com>", "bad", with, "reject 550 5.7.1"},
		{"a bad user with an unqualified sender", "192.0.2.3", "mx.example.net", "<test>", "bad", with, "reject 550 5.7.1"},
		{"internal", "127.0.0.1", "mx.example.net", "<a@fail.example.com>", "", with, "accept"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
				m := miltertest.Mail{Helo: tt.helo, From: tt.from}
				if tt.user != "" {
					m.Macros = map[string]string{"auth_authen": tt.user, "auth_type": "PLAIN"}
				}
				tt.o.send(t, profile, tt.ip, m)
				if got := tt.o.outcome(); got != tt.want {
					t.Errorf("%s, want %s\n%s", got, tt.want, tt.o.told)
				}
			})
		})
	}
	t.Run("Received-SPF", func(t *testing.T) { // SPFM-15
		miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
			res := with.send(t, profile, "192.0.2.1", miltertest.Mail{Helo: "mail.example.com", From: "<test@example.com>",
				Text: "Received-SPF: pass (forged)\nSubject: x\n\nx\n"})
			got := strings.Join(res.Headers("Received-SPF"), "\n")
			if strings.Count(got, "pass (mta.example: ") != 2 || !strings.Contains(got, "identity=mailfrom") || !strings.Contains(got, "identity=helo") || strings.Contains(got, "forged") {
				t.Errorf("Received-SPF: %s", got)
			}
		})
	})
}

// DKIM-02 to DKIM-09: what dkim-milter.toml does to mail from inside and from outside.
func TestDKIMMilterExample(t *testing.T) {
	dir := t.TempDir()
	key, err := dkim.GenerateKey(dkim.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	if err := key.WriteFile(filepath.Join(dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	zone := key.ZoneLine("default", "example.com") + "\n_dmarc.example.com TXT \"v=DMARC1; p=reject\"\nexample.com TXT \"v=spf1 -all\"\n"
	text := uncommented(t, "dkim-milter.toml", "[[filter.sign.key]]", "/etc/gomilter/dkim/2026.pem", filepath.Join(dir, "key.pem"))
	// As the old program was started, whoever runs the test.
	text = strings.Replace(text, `user = "gomilter"`, "", 1)
	o := newOldMilter(t, text, zone)
	strict := newOldMilter(t, strings.NewReplacer("#[filter.auth.dmarc]", "[filter.auth.dmarc]", "#action", "action", "#mark", "mark").Replace(text), zone)
	const plain = "From: ann@example.com\nTo: bob@example.net\nSubject: lunch\nDate: Sun, 22 Nov 2026 12:00:00 +0000\nMessage-ID: <1@example.com>\n\nAt noon?\n"
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		mail := func(text string) miltertest.Mail { return miltertest.Mail{From: "<ann@example.com>", Text: text} }
		// DKIM-04: mail from inside is signed, relaxed and simple, on top.
		res := o.send(t, profile, "127.0.0.1", mail(plain))
		signed := res.Raw()
		if h := res.Header("DKIM-Signature"); !strings.Contains(h, "c=relaxed/simple") || !strings.Contains(h, "d=example.com") || !res.Message.Header[0].Is("DKIM-Signature") {
			t.Fatalf("signed is\n%s\n%s", signed, o.told)
		}
		// DKIM-05, DKIM-09: what comes from outside is verified.
		check := func(name, text string, want ...string) {
			t.Helper()
			res := o.send(t, profile, "192.0.2.1", mail(strings.ReplaceAll(text, "\r\n", "\n")))
			got := strings.Join(strings.Fields(strings.Join(res.Headers("Authentication-Results"), "\n")), " ")
			for _, w := range want {
				if !strings.Contains(got, w) {
					t.Errorf("%s: %s, want %s", name, got, w)
				}
			}
			if !strings.HasPrefix(got, "mta.example;") || strings.Contains(got, "forged") || res.Header("DKIM-Signature") == "" && strings.Contains(text, "DKIM-Signature") {
				t.Errorf("%s:\n%s", name, res.Raw())
			}
		}
		check("good", signed, "spf=fail", "dkim=pass (256-bit key)", "header.d=example.com", "dmarc=pass")
		check("changed", strings.Replace(signed, "noon", "one", 1), "dkim=fail", "dmarc=fail")
		check("unsigned", plain, "dkim=none", "dmarc=fail")
		// DKIM-07: results in our name are taken out, others stay.
		check("forged", "Authentication-Results: mta.example; x=forged\nAuthentication-Results: mx.example.net; dkim=kept\nAuthentication-Results: mta.example; x=forged\n"+signed, "dkim=pass", "dkim=kept")
		// DKIM-02: AUTH makes a message ours, and is told of.
		m := mail(plain)
		m.Macros = map[string]string{"auth_authen": "ann", "auth_type": "PLAIN", "cipher_bits": "256"}
		res = o.send(t, profile, "192.0.2.1", m)
		if h := res.Header("Authentication-Results"); !strings.Contains(h, "auth=pass (PLAIN sslbits=256) smtp.auth=ann") || res.Header("DKIM-Signature") == "" {
			t.Errorf("authenticated:\n%s", res.Raw())
		}
		// DKIM-08: in the place of ADSP, what the domain asks for.
		strict.send(t, profile, "192.0.2.1", mail(plain))
		if got := strict.outcome(); got != "reject 550 5.7.26" {
			t.Errorf("where the domain's policy is followed: %s", got)
		}
		strict.send(t, profile, "192.0.2.1", mail(strings.ReplaceAll(signed, "\r\n", "\n")))
		if got := strict.outcome(); got != "accept" {
			t.Errorf("what passes: %s", got)
		}
	})
}

// As it is shipped dkim-milter.toml is right, and there is one thing to do.
func TestDKIMMilterExampleTellsWhatToDo(t *testing.T) {
	c, problems := parseFiles(t, "../../examples/dkim-milter.toml")
	if got := texts(problems); c == nil || strings.Count(got, "\n") != 1 || !strings.Contains(got, "signs nothing") {
		t.Errorf("problems:\n%s", got)
	}
}
