package auth_test

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/miltertest"
)

func TestOptions(t *testing.T) {
	override := func(o auth.Override) auth.Options {
		return auth.Options{DMARC: auth.DMARCOptions{Overrides: []auth.Override{o}}}
	}
	for _, tt := range []struct {
		name string
		o    auth.Options
		want string // "" for right
	}{
		{"none", auth.Options{}, ""},
		{"an id", auth.Options{ID: "mx.example.com"}, ""},
		{"an id with a blank", auth.Options{ID: "mx example"}, `ID "mx example" is no authserv-id`},
		{"an id that would end the field", auth.Options{ID: "mx;"}, "is no authserv-id"},
		{"no method", auth.Options{Methods: []auth.Method{}}, "it has no method"},
		{"an unknown method", auth.Options{Methods: []auth.Method{99}}, "there is no method 99"},
		{"a method twice", auth.Options{Methods: []auth.Method{auth.SPF, auth.SPF}}, "spf is named twice"},
		{"a negative time", auth.Options{DNSTime: -1}, "less than 0"},
		{"more at MAIL than in all", auth.Options{DNSTime: time.Second, MailTime: 2 * time.Second}, "MailTime is more"},
		{"a guess that is no record", auth.Options{SPF: auth.SPFOptions{Guess: "a mx"}}, "Guess: "},
		{"a local record that is none", auth.Options{SPF: auth.SPFOptions{Local: map[string]string{"example.com": "x"}}}, "Local: the record for example.com: "},
		{"a local record in upper case", auth.Options{SPF: auth.SPFOptions{Local: map[string]string{"Example.com": "v=spf1 -all"}}}, "no domain in lower case"},
		{"a forwarder that is no domain", auth.Options{SPF: auth.SPFOptions{Forwarders: []string{"*.example.com"}}}, "is no domain"},
		{"an unknown class", auth.Options{DKIM: auth.DKIMOptions{Classes: []filter.Class{9}}}, "there is no class 9"},
		{"weak keys", auth.Options{DKIM: auth.DKIMOptions{MinRSABits: 512}}, "RFC 8301"},
		{"keys that are too small and too large", auth.Options{DKIM: auth.DKIMOptions{MinRSABits: 4096, MaxRSABits: 2048}}, "more than MaxRSABits"},
		{"a negative limit", auth.Options{DKIM: auth.DKIMOptions{MaxSignatures: -1}}, "less than 0"},
		{"an unknown action", auth.Options{DMARC: auth.DMARCOptions{Action: 9}}, "there is no action 9"},
		{"a mark that is From", auth.Options{DMARC: auth.DMARCOptions{Field: "From"}}, "Field: From has a meaning"},
		{"a relay that is none", auth.Options{Believe: []string{""}}, "Believe"},
		{"an override", override(auth.Override{Domains: []string{"b\u00fccher.example", "*.example.com"}}), ""},
		{"an override of nothing", override(auth.Override{}), "override 1: it names no message"},
		{"an override of no domain", override(auth.Override{Domains: []string{}, DKIM: []string{"example.com"}}), "Domains: it names no domain"},
		{"an override of no network", override(auth.Override{Clients: []netip.Prefix{}, DKIM: []string{"example.com"}}), "Clients: it names no network"},
		{"an override of what is no domain", override(auth.Override{SPF: []string{"a b"}}), `override 1: SPF: "a b" is no domain`},
		{"an override of all", override(auth.Override{Domains: []string{"*"}}), "is no domain"},
		{"an override with an unknown action", override(auth.Override{SPF: []string{"example.com"}, Action: 9}), "there is no action 9"},
	} {
		_, err := auth.New("auth", tt.o)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (!errors.Is(err, auth.ErrOptions) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// The filter asks for what it needs: no body where no signature is verified, no quarantine where
// nothing is held.
func TestNeeds(t *testing.T) {
	const edits = milter.CanAddHeaders | milter.CanChangeHeaders
	for _, tt := range []struct {
		o     auth.Options
		body  bool
		edits milter.Actions
	}{
		{auth.Options{}, true, edits},
		{auth.Options{Methods: []auth.Method{auth.SPF}}, false, edits},
		{auth.Options{DMARC: auth.DMARCOptions{Action: auth.Published}}, true, edits | milter.CanQuarantine},
		{auth.Options{DMARC: auth.DMARCOptions{Action: auth.Published, Mark: true}}, true, edits},
		{auth.Options{DMARC: auth.DMARCOptions{Overrides: []auth.Override{{Domains: []string{"example.com"}, Action: auth.Quarantine}}}}, true, edits | milter.CanQuarantine},
		{auth.Options{Methods: []auth.Method{auth.SPF}, DMARC: auth.DMARCOptions{Action: auth.Quarantine}}, false, edits},
	} {
		f, err := auth.New("auth", tt.o)
		if err != nil {
			t.Fatal(err)
		}
		if f.Needs.Body != tt.body || f.Needs.Actions != tt.edits || f.Contacts || f.Kind != filter.Verifies {
			t.Errorf("%+v: %+v", tt.o, f.Needs)
		}
	}
}

func TestWords(t *testing.T) {
	type word interface {
		encoding.TextMarshaler
		fmt.Stringer
	}
	for _, w := range []word{auth.Auth, auth.IPRev, auth.SPF, auth.Helo, auth.DKIM, auth.DMARC, auth.Report, auth.Published, auth.Tag, auth.Quarantine, auth.Reject} {
		b, err := w.MarshalText()
		if err != nil || string(b) != w.String() {
			t.Errorf("%v: %q, %v", w, b, err)
		}
		switch w := w.(type) {
		case auth.Method:
			var back auth.Method
			if err := back.UnmarshalText(b); err != nil || back != w {
				t.Errorf("%s is read as %v, %v", b, back, err)
			}
		case auth.Action:
			var back auth.Action
			if err := back.UnmarshalText(b); err != nil || back != w {
				t.Errorf("%s is read as %v, %v", b, back, err)
			}
		}
	}
	for _, w := range []word{auth.Method(0), auth.Method(99), auth.Action(99)} {
		if b, err := w.MarshalText(); err == nil || !strings.HasPrefix(w.String(), "invalid") {
			t.Errorf("%v: %q", w, b)
		}
	}
	if new(auth.Method).UnmarshalText(nil) == nil || new(auth.Action).UnmarshalText([]byte("refuse")) == nil {
		t.Error("words that there are not are read")
	}
}

// Each limit is passed on to what it is for.
func TestLimits(t *testing.T) {
	signed := sign(t, letter, signature{}, signature{key: "ed25519"})
	values := func(o auth.Options, m miltertest.Mail) string {
		r := newRig(t, o)
		r.send(t, m)
		s := string(r.facts.spf.MailFrom.Value)
		for _, x := range r.facts.dkim.Signatures {
			s += " " + string(x.Value)
		}
		return s + " " + string(r.facts.dmarc.Value)
	}
	more := parseZone(t, `two.example TXT "v=spf1 a mx ip4:192.0.2.25 -all"`, `two.example MX 0 client.example.`, `two.example A 192.0.2.1`,
		`void.example TXT "v=spf1 a:x.void.example a:y.void.example ip4:192.0.2.25 -all"`)
	for _, tt := range []struct {
		name string
		o    auth.Options
		mail miltertest.Mail
		want string
	}{
		{"none", auth.Options{}, miltertest.Mail{Text: signed}, "pass pass pass pass"},
		{"MaxSignatures", auth.Options{DKIM: auth.DKIMOptions{MaxSignatures: 1}}, miltertest.Mail{Text: signed}, "pass pass policy pass"},
		{"MinRSABits", auth.Options{DKIM: auth.DKIMOptions{MinRSABits: 3072}}, miltertest.Mail{Text: signed}, "pass pass policy pass"},
		{"MaxRSABits", auth.Options{DKIM: auth.DKIMOptions{MaxRSABits: 1024}}, miltertest.Mail{Text: signed}, "pass pass policy pass"},
		{"MaxNames", auth.Options{DKIM: auth.DKIMOptions{MaxNames: 1}}, miltertest.Mail{Text: signed}, "pass permerror permerror pass"},
		{"MaxField", auth.Options{DKIM: auth.DKIMOptions{MaxField: 10}}, miltertest.Mail{Text: signed}, "pass permerror permerror pass"},
		{"two look-ups", auth.Options{Resolver: more, Methods: []auth.Method{auth.SPF}}, miltertest.Mail{From: "<a@two.example>"}, "pass "},
		{"MaxLookups", auth.Options{Resolver: more, Methods: []auth.Method{auth.SPF}, SPF: auth.SPFOptions{MaxLookups: 1}}, miltertest.Mail{From: "<a@two.example>"}, "permerror "},
		{"two voids", auth.Options{Resolver: more, Methods: []auth.Method{auth.SPF}}, miltertest.Mail{From: "<a@void.example>"}, "pass "},
		{"MaxVoids", auth.Options{Resolver: more, Methods: []auth.Method{auth.SPF}, SPF: auth.SPFOptions{MaxVoids: 1}}, miltertest.Mail{From: "<a@void.example>"}, "permerror "},
		{"MaxRecord", auth.Options{Resolver: more, Methods: []auth.Method{auth.SPF}, SPF: auth.SPFOptions{MaxRecord: 20}}, miltertest.Mail{From: "<a@void.example>"}, "permerror "},
	} {
		diff(t, tt.name, tt.want, values(tt.o, tt.mail))
	}
}
