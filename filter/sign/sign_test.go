package sign_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/filter/headers"
	"github.com/gomilter/gomilter/filter/sign"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/quarantine"
)

var (
	rsaKey     = sync.OnceValue(func() *dkim.Key { return newKey(dkim.RSA2048) })
	ed25519Key = sync.OnceValue(func() *dkim.Key { return newKey(dkim.Ed25519) })
)

func newKey(t dkim.KeyType) *dkim.Key {
	k, err := dkim.GenerateKey(t)
	if err != nil {
		panic(err)
	}
	return k
}

var clock = time.Date(2026, 11, 22, 10, 0, 0, 0, time.FixedZone("", 3600))

// own is a rule of example.com.
func own() sign.Rule {
	return sign.Rule{Domain: "example.com", Selector: "s", Key: ed25519Key()}
}

// A bench is a chain with sign behind other filters.
type bench struct {
	*miltertest.Client
	told *filter.Explanation
}

func newBench(t testing.TB, profile mta.Profile, o sign.Options, before ...*filter.Filter) *bench {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return clock }
	}
	f, err := sign.New("sign", o)
	if err != nil {
		t.Fatal(err)
	}
	b := new(bench)
	originals, err := quarantine.Open(t.TempDir(), quarantine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	chain := &filter.Chain{Log: slog.New(slog.DiscardHandler), Originals: originals, Explain: func(x *filter.Explanation) { b.told = x }}
	for _, f := range append(before, f) {
		chain.Steps = append(chain.Steps, filter.Step{Filter: f})
	}
	if err := chain.Check(); err != nil {
		t.Fatal(err)
	}
	b.Client = miltertest.New(t, &milter.Server{New: chain.Hooks, Log: chain.Log})
	b.Profile = profile
	return b
}

var localhost = mta.Conn{Name: "localhost", Addr: netip.MustParseAddrPort("127.0.0.1:40025")}

// send sends a message with LF for CRLF as an internal client.
func (b *bench) send(t testing.TB, m miltertest.Mail) *miltertest.Result {
	t.Helper()
	m.Text = strings.ReplaceAll(m.Text, "\n", "\r\n")
	if m.Conn == nil {
		m.Conn = &localhost
	}
	r := b.Client.Send(t, m)
	if r.Verdict != mta.Accept {
		t.Fatalf("%v: %s", r, b.why())
	}
	return r
}

func (b *bench) why() string {
	for _, f := range b.told.Filters {
		if f.Name == "sign" {
			return f.Why + f.Failed
		}
	}
	return ""
}

var tagD = regexp.MustCompile(`[ ;]d=([^;]*);\s*s=([^;]*);`)

// signers returns domain and selector of each signature.
func signers(r *miltertest.Result) string {
	var list []string
	for _, v := range r.Headers("DKIM-Signature") {
		if m := tagD.FindStringSubmatch(v); m != nil {
			list = append(list, m[1]+"/"+m[2])
		}
	}
	return strings.Join(list, " ")
}

// verify returns what another implementation says of the signatures.
func verify(t testing.TB, raw string, rules ...sign.Rule) error {
	t.Helper()
	v, err := msgauth.VerifyWithOptions(strings.NewReader(raw), &msgauth.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		for _, r := range rules {
			if name == r.Selector+"._domainkey."+r.Domain {
				return []string{r.Key.Record()}, nil
			}
		}
		return nil, fmt.Errorf("no key at %s", name)
	}})
	if err != nil {
		return err
	}
	if len(v) == 0 {
		return errors.New("no signature")
	}
	var errs []error
	for _, v := range v {
		errs = append(errs, v.Err)
	}
	return errors.Join(errs...)
}

const letter = "From: Joe <joe@example.com>\nTo: suzie@example.net\nSubject: Is dinner ready?\n" +
	"Date: Fri, 11 Jul 2003 21:00:37 -0700\nMessage-ID: <2003@example.com>\n\nHi.\n\nWe lost  the game. \n\n\n"

func TestWhoSigns(t *testing.T) {
	k := ed25519Key()
	rule := func(domain, selector string) sign.Rule {
		return sign.Rule{Domain: domain, Selector: selector, Key: k}
	}
	with := func(r sign.Rule, f func(*sign.Rule)) sign.Rule { f(&r); return r }
	sub := func(r *sign.Rule) { r.Subdomains = true }
	for _, tt := range []struct {
		name    string
		o       sign.Options
		from    string // the field
		mail    miltertest.Mail
		signers string
		why     string
	}{
		{"the author's domain", sign.Options{}, "joe@Example.COM", miltertest.Mail{From: "<x@example.org>"}, "example.com/s", "signed by example.com with selector s, ed25519-sha256, relaxed/relaxed"},
		{"another domain", sign.Options{}, "joe@example.org", miltertest.Mail{From: "<x@example.com>"}, "", "not signed: no key is for author joe@example.org"},
		{"a subdomain without being asked for", sign.Options{}, "joe@sub.example.com", miltertest.Mail{}, "", "not signed: no key is for author joe@sub.example.com"},
		{"a domain that ends alike", sign.Options{Rules: []sign.Rule{with(own(), sub)}}, "joe@badexample.com", miltertest.Mail{}, "", "not signed: no key"},
		{"a subdomain", sign.Options{Rules: []sign.Rule{with(own(), sub)}}, "joe@a.sub.example.com", miltertest.Mail{}, "example.com/s", "signed by example.com"},
		{"the nearest of several", sign.Options{Rules: []sign.Rule{with(own(), sub), with(rule("sub.example.com", "b"), sub), rule("a.sub.example.com", "c")}},
			"joe@b.sub.example.com", miltertest.Mail{}, "sub.example.com/b", ""},
		{"two keys of a domain", sign.Options{Rules: []sign.Rule{own(), {Domain: "example.com", Selector: "rsa", Key: rsaKey()}}}, "joe@example.com", miltertest.Mail{},
			"example.com/s example.com/rsa", "ed25519-sha256, relaxed/relaxed; signed by example.com with selector rsa, rsa-sha256"},
		{"one key by two rules", sign.Options{Rules: []sign.Rule{own(), with(own(), func(r *sign.Rule) { r.Senders = []string{"@*"} }), {Domain: "example.com", Selector: "rsa", Key: rsaKey()}}},
			"joe@example.com", miltertest.Mail{}, "example.com/s example.com/rsa", ""},
		{"a second domain for everybody", sign.Options{Rules: []sign.Rule{own(), with(rule("esp.example", "e"), func(r *sign.Rule) { r.Senders = []string{"@*"} })}},
			"joe@example.com", miltertest.Mail{}, "example.com/s esp.example/e", ""},
		{"one address", sign.Options{Rules: []sign.Rule{with(own(), func(r *sign.Rule) { r.Senders = []string{"JOE@example.com", "n?ws-*@*.example.net"} })}},
			"Joe@example.com", miltertest.Mail{}, "example.com/s", ""},
		{"wildcards", sign.Options{Rules: []sign.Rule{with(own(), func(r *sign.Rule) { r.Senders = []string{"n?ws-*@*.example.net"} })}},
			"news-7@a.example.net", miltertest.Mail{}, "example.com/s", ""},
		{"wildcards that do not match", sign.Options{Rules: []sign.Rule{with(own(), func(r *sign.Rule) { r.Senders = []string{"n?ws-*@*.example.net"} })}},
			"nws-7@a.example.net", miltertest.Mail{}, "", "not signed"},
		{"several authors", sign.Options{}, "a@example.org, joe@example.com", miltertest.Mail{}, "example.com/s", ""},
		{"an address in the name", sign.Options{}, `"joe@example.com" <x@example.org>`, miltertest.Mail{}, "", "author x@example.org"},
		{"no domain", sign.Options{}, "joe", miltertest.Mail{}, "", "not signed: no key is for a From field without a domain"},
		{"by the envelope", sign.Options{By: sign.Envelope}, "x@example.org", miltertest.Mail{From: "<joe@example.com>"}, "example.com/s", ""},
		{"by the envelope of a bounce", sign.Options{By: sign.Envelope}, "x@example.com", miltertest.Mail{From: "<>"}, "", "not signed: no key is for sender <>"},
		{"by user", sign.Options{By: sign.User}, "x@example.org", miltertest.Mail{Macros: map[string]string{"auth_authen": "joe@example.com", "auth_type": "PLAIN"}}, "example.com/s", ""},
		{"by user, another", sign.Options{By: sign.User}, "x@example.com", miltertest.Mail{Macros: map[string]string{"auth_authen": "joe", "auth_type": "PLAIN"}}, "", `not signed: no key is for user "joe"`},
		{"by user, none", sign.Options{By: sign.User}, "x@example.com", miltertest.Mail{}, "", "not signed: no key is for a client that did not authenticate"},
		{"a rule for users", sign.Options{Rules: []sign.Rule{with(own(), func(r *sign.Rule) { r.Users = []string{"shop-*"} })}}, "x@example.org",
			miltertest.Mail{Macros: map[string]string{"auth_authen": "Shop-1", "auth_type": "PLAIN"}}, "example.com/s", ""},
		{"a rule for users, another", sign.Options{Rules: []sign.Rule{with(own(), func(r *sign.Rule) { r.Users = []string{"shop-*"} })}}, "x@example.com",
			miltertest.Mail{Macros: map[string]string{"auth_authen": "joe", "auth_type": "PLAIN"}}, "", "not signed"},
		{"a rule for users and senders", sign.Options{Rules: []sign.Rule{with(own(), func(r *sign.Rule) { r.Users, r.Senders = []string{"joe"}, []string{"@example.com"} })}}, "x@example.org",
			miltertest.Mail{Macros: map[string]string{"auth_authen": "joe", "auth_type": "PLAIN"}}, "", "not signed"},
		{"mail from outside", sign.Options{}, "joe@example.com", miltertest.Mail{Conn: &miltertest.DefaultConn}, "", "not signed: the message is external"},
		{"mail from outside, authenticated", sign.Options{}, "joe@example.com", miltertest.Mail{Conn: &miltertest.DefaultConn, Macros: map[string]string{"auth_authen": "joe", "auth_type": "PLAIN"}}, "example.com/s", ""},
		{"mail from outside, by choice", sign.Options{Classes: []filter.Class{filter.External}}, "joe@example.com", miltertest.Mail{Conn: &miltertest.DefaultConn}, "example.com/s", ""},
		{"two From fields", sign.Options{}, "joe@example.com\nFrom: x@example.org", miltertest.Mail{}, "", "not signed: it has 2 From fields"},
		{"no From field", sign.Options{}, "", miltertest.Mail{}, "", "not signed: it has no From field"},
		{"no From field, by the envelope", sign.Options{By: sign.Envelope}, "", miltertest.Mail{From: "<joe@example.com>"}, "", "not signed: it has 0 From fields"},
		{"a domain that is not ASCII", sign.Options{Rules: []sign.Rule{rule("bücher.example", "s")}}, "joe@BÜCHER.example", miltertest.Mail{}, "xn--bcher-kva.example/s", ""},
		{"a domain that is not ASCII, in A-labels", sign.Options{Rules: []sign.Rule{rule("bücher.example", "s")}}, "joe@xn--bcher-kva.example", miltertest.Mail{}, "xn--bcher-kva.example/s", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.Rules == nil {
				tt.o.Rules = []sign.Rule{own()}
			}
			b := newBench(t, mta.Postfix, tt.o)
			m := tt.mail
			m.Text = "To: a@example.net\nDate: x\nMessage-ID: <1@x>\n\nbody\n"
			if tt.from != "" {
				m.Text = "From: " + tt.from + "\n" + m.Text
			}
			r := b.send(t, m)
			if got := signers(r); got != tt.signers || !strings.Contains(b.why(), tt.why) {
				t.Errorf("signers %q, want %q; explained %q, want %q", got, tt.signers, b.why(), tt.why)
			}
			if tt.signers != "" {
				rules := tt.o.Rules
				for i := range rules {
					rules[i].Domain = strings.Replace(rules[i].Domain, "bücher", "xn--bcher-kva", 1)
				}
				if err := verify(t, r.Raw(), rules...); err != nil {
					t.Errorf("%v, in\n%s", err, r.Raw())
				}
				if first := r.Message.Header[0]; !first.Is("DKIM-Signature") {
					t.Errorf("on top is %s", first.Name())
				}
			}
		})
	}
}

func TestAuthorWithoutDomain(t *testing.T) {
	for profile, want := range map[mta.Profile]string{mta.Postfix: "example.com/s", mta.Sendmail: ""} {
		b := newBench(t, profile, sign.Options{By: sign.Envelope, Rules: []sign.Rule{own()}})
		r := b.send(t, miltertest.Mail{From: "<joe@example.com>", Text: strings.Replace(letter, "joe@example.com", "joe", 1)})
		if got := signers(r); got != want || want == "" && !strings.Contains(b.why(), "Sendmail may write the addresses of its From field otherwise") {
			t.Errorf("%v: signers %q; explained %q", profile, got, b.why())
		}
	}
}

// What an MTA would add or change after the filters does not break signatures.
func TestFieldsThatMTAsTouch(t *testing.T) {
	const none = "From: joe@example.com\n\nbody\n"
	simple := sign.Options{Header: dkim.Simple, Body: dkim.Simple}
	for _, tt := range []struct {
		name    string
		profile mta.Profile
		o       sign.Options
		text    string
		after   func(raw string) string // what the MTA does then
		changed string                  // in the header, but for the signature
		why     string
	}{
		{"nothing is missing", mta.Sendmail, sign.Options{}, letter, nil, "", "relaxed/relaxed"},
		{"no Date and no Message-ID", mta.Sendmail, sign.Options{}, none, nil,
			"+Date: Sun, 22 Nov 2026 10:00:00 +0100\n+Message-Id: <20261122090000.RANDOM@mta.example>", "added a Date; added a Message-Id"},
		{"simple, no Date", mta.Postfix, simple, none, nil,
			"+Date: Sun, 22 Nov 2026 10:00:00 +0100\n+Message-Id: <20261122090000.RANDOM@mta.example>", "simple/simple; added a Date; added a Message-Id"},
		{"none are added by choice", mta.Sendmail, sign.Options{KeepMissing: true}, none, func(raw string) string {
			return strings.Replace(raw, "\r\nFrom: ", "\r\nDate: x\r\nMessage-Id: <x@y>\r\nFrom: ", 1)
		}, "", "relaxed/relaxed"},
		{"no recipient", mta.Sendmail, sign.Options{}, "Date: x\nMessage-ID: <x>\n" + none, func(raw string) string {
			return strings.Replace(raw, "\r\nFrom: ", "\r\nTo: undisclosed-recipients:;\r\nFrom: ", 1)
		}, "", ""},
		{"a list without blanks", mta.Sendmail, sign.Options{}, strings.Replace(letter, "suzie@example.net", `a@example.net,"b,c" <b@example.net>,(x,y) c@example.net`, 1), func(raw string) string {
			return strings.Replace(raw, `"b,c" <b@example.net>,`, "\"b,c\" <b@example.net>,\r\n        ", 1)
		}, "-To: a@example.net,\"b,c\" <b@example.net>,(x,y) c@example.net\n+To: a@example.net, \"b,c\" <b@example.net>, (x,y) c@example.net", "wrote the addresses of To as Sendmail would"},
		{"a list without blanks, Postfix", mta.Postfix, sign.Options{}, strings.Replace(letter, "suzie@example.net", "a@example.net,b@example.net", 1), nil, "", ""},
		{"the second of two lists", mta.Sendmail, sign.Options{}, strings.Replace(letter, "To: ", "To: a@b.example\nTo: a@c.example,b@c.example\nCc:\tx,", 1), nil,
			"-To: a@c.example,b@c.example\n+To: a@c.example, b@c.example", "Cc is not signed: Sendmail may write its addresses otherwise"},
		{"an address without a domain", mta.Sendmail, sign.Options{}, strings.Replace(letter, "suzie@example.net", "suzie", 1), func(raw string) string {
			return strings.Replace(raw, "To: suzie", "To: suzie@mx.example.net", 1)
		}, "", "To is not signed: Sendmail may write its addresses otherwise"},
		{"a list, simple", mta.Sendmail, simple, strings.Replace(letter, "suzie@example.net", "a@example.net, b@example.net", 1), func(raw string) string {
			return strings.Replace(raw, "To: a@example.net, ", "To: a@example.net,\r\n        ", 1)
		}, "", "relaxed/simple; the header is signed relaxed, not simple: Sendmail folds addresses its own way"},
		{"blanks at the end of addresses, simple", mta.Sendmail, simple, strings.Replace(letter, "suzie@example.net", "a@example.net \t", 1), func(raw string) string {
			return strings.Replace(raw, "a@example.net \t\r\n", "a@example.net\r\n", 1)
		}, "", "signed relaxed, not simple"},
		{"simple", mta.Sendmail, simple, letter, nil, "", "simple/simple"},
		{"blanks of all kinds, simple", mta.Postfix, simple, "Subject:none\nSubject:\ttab\nSubject:   three \n folded\nX-Empty:\n" + letter, nil, "", "simple/simple"},
		{"lines that are too long", mta.Postfix, sign.Options{}, letter + strings.Repeat("x", 999) + "\n", nil, "", "lines of more than 998 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Rules = []sign.Rule{own(), {Domain: "example.com", Selector: "rsa", Key: rsaKey()}}
			b := newBench(t, tt.profile, tt.o)
			r := b.send(t, miltertest.Mail{Text: tt.text})
			raw := r.Raw()
			if tt.after != nil {
				changed := tt.after(raw)
				if changed == raw {
					t.Fatalf("nothing to change in\n%s", raw)
				}
				raw = changed
			}
			if err := verify(t, raw, tt.o.Rules...); err != nil {
				t.Errorf("%v, in\n%s", err, raw)
			}
			if !strings.Contains(b.why(), tt.why) || tt.why == "" && strings.Count(b.why(), ";") > 1 {
				t.Errorf("explained %q, want %q", b.why(), tt.why)
			}
			if d := cmp.Diff(tt.changed, headerChanges(tt.text, r)); d != "" {
				t.Errorf("changes of the header (-want +got):\n%s", d)
			}
			if strings.Contains(tt.why, "998") != strings.Contains(b.why(), "998") {
				t.Errorf("explained %q", b.why())
			}
		})
	}
}

var random = regexp.MustCompile(`\.[A-Z2-7]{26}@`)

// headerChanges returns the fields that went and came, but for signatures.
func headerChanges(text string, r *miltertest.Result) string {
	head, _, _ := strings.Cut(text, "\n\n")
	before := make(map[string]int)
	for _, f := range strings.Split(regexp.MustCompile(`\n([ \t])`).ReplaceAllString(head, "\x00$1"), "\n") {
		before[strings.ReplaceAll(f, "\x00", "\n")]++
	}
	var gone, come []string
	for _, f := range r.Message.Header {
		s := f.Name() + ":" + f.Text(true)
		if before[s] > 0 {
			before[s]--
		} else if !f.Is("DKIM-Signature") && !f.Is("Received") {
			come = append(come, "+"+random.ReplaceAllString(s, ".RANDOM@"))
		}
	}
	for s, n := range before {
		for range n {
			gone = append(gone, "-"+s)
		}
	}
	return strings.Join(append(gone, come...), "\n")
}

func TestHeaderWithoutLeadingBlanksIsSignedRelaxed(t *testing.T) {
	b := newBench(t, mta.Postfix, sign.Options{Rules: []sign.Rule{own()}, Header: dkim.Simple})
	b.Version = 5 // of the protocol: it knows nothing of blanks
	r := b.send(t, miltertest.Mail{Text: letter})
	if err := verify(t, r.Raw(), own()); err != nil || !strings.Contains(b.why(), "relaxed/relaxed; the header is signed relaxed, not simple: the mail server does not tell of blanks") {
		t.Errorf("%v; explained %q", err, b.why())
	}
}

func TestSignedBefore(t *testing.T) {
	for _, tt := range []struct {
		field string
		keep  bool
		want  string
	}{
		{"v=1; a=rsa-sha256; d=Example.com ; s=old; b=x", false, "example.com/s Example.com /old"},
		{"v=1; a=rsa-sha256; d=Example.com ; s=old; b=x", true, "Example.com /old"},
		{"v=1; a=rsa-sha256; d=example.org; s=old; b=x", true, "example.com/s example.org/old"},
		{"v=1; x; d=example.com; d=example.com; s=old;", true, "example.com/s example.com/old"},
	} {
		b := newBench(t, mta.Postfix, sign.Options{Rules: []sign.Rule{own()}, KeepSigned: tt.keep})
		r := b.send(t, miltertest.Mail{Text: "DKIM-Signature: " + tt.field + "\n" + letter})
		if got := signers(r); got != tt.want {
			t.Errorf("%+v: signers %q; explained %q", tt, got, b.why())
		}
	}
}

// A message is signed as the filters before have left it.
func TestChangedMessageIsSignedAsTheChainLeavesIt(t *testing.T) {
	tag, err := headers.New("tag", []headers.Rule{
		{Name: "a", Fields: []string{"Subject"}, Match: headers.Present, Action: headers.Tag, Edit: headers.Edit{Value: "[tagged]"}},
		{Name: "b", Fields: []string{"X-Gone"}, Match: headers.Present, Action: headers.Remove},
		{Name: "c", Fields: []string{"Subject"}, Match: headers.Present, Action: headers.Add, Edit: headers.Edit{Name: "Reply-To", Value: "new@example.com"}},
	}, headers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defang, err := attachments.New("attachments", attachments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const text = "From: joe@example.com\nX-Gone: x\nTo: a@example.net\nSubject: one\nDate: x\nMessage-ID: <1@x>\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/mixed; boundary=cut\n\n--cut\nContent-Type: text/plain\n\nhello \n--cut\nContent-Type: application/octet-stream; name=\"setup.exe\"\n" +
		"Content-Transfer-Encoding: base64\n\nTVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n--cut--\n"
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		for _, c := range []dkim.Canon{dkim.Simple, dkim.Relaxed} {
			b := newBench(t, profile, sign.Options{Rules: []sign.Rule{own()}, Header: c, Body: c}, tag, defang)
			r := b.send(t, miltertest.Mail{Text: text})
			if r.Header("Subject") != "[tagged] one" || strings.Contains(r.Body(), "TVqQ") || r.Header("X-Gone") != "" || r.Header("Reply-To") == "" {
				t.Fatalf("it was not changed:\n%s", r.Raw())
			}
			if err := verify(t, r.Raw(), own()); err != nil {
				t.Errorf("%s: %v; explained %q; in\n%s", c, err, b.why(), r.Raw())
			}
		}
	})
}

func TestWhateverIsSignedVerifies(t *testing.T) {
	value := rapid.StringMatching(`([ -+\--~äß\t]|\r\n[ \t]+[!-~]){0,40}`)
	name := rapid.SampledFrom([]string{"To", "Cc", "subject", "X-Other", "Reply-to", "Sender", "Date", "Resent-To"})
	rapid.Check(t, func(rt *rapid.T) {
		var text strings.Builder
		for range rapid.IntRange(0, 6).Draw(rt, "fields") {
			fmt.Fprintf(&text, "%s:%s\r\n", name.Draw(rt, "name"), value.Draw(rt, "value"))
		}
		text.WriteString("From: joe@example.com\r\n\r\n" + rapid.StringMatching(`([ -~ä]{0,20}\r\n){0,5}`).Draw(rt, "body"))
		canon := rapid.SampledFrom([]dkim.Canon{dkim.Simple, dkim.Relaxed})
		o := sign.Options{Rules: []sign.Rule{own()}, Header: canon.Draw(rt, "header"), Body: canon.Draw(rt, "body form")}
		b := newBench(t, rapid.SampledFrom([]mta.Profile{mta.Sendmail, mta.Postfix}).Draw(rt, "profile"), o)
		r := b.Client.Send(t, miltertest.Mail{Text: text.String(), Conn: &localhost})
		if err := verify(t, r.Raw(), own()); err != nil {
			rt.Fatalf("%v; explained %q; in\n%s", err, b.why(), r.Raw())
		}
	})
}

func TestOptionsThatAreNotRight(t *testing.T) {
	with := func(f func(*sign.Rule)) sign.Options {
		r := own()
		f(&r)
		return sign.Options{Rules: []sign.Rule{own(), r}}
	}
	for _, tt := range []struct {
		name, want string
		o          sign.Options
	}{
		{"no key", "rule 2: dkim: signature cannot be made: there is no key", with(func(r *sign.Rule) { r.Key = nil })},
		{"no domain", "rule 2", with(func(r *sign.Rule) { r.Domain = "" })},
		{"domain", "rule 2: domain", with(func(r *sign.Rule) { r.Domain = "a b" })},
		{"selector", "rule 2", with(func(r *sign.Rule) { r.Selector = "a;b" })},
		{"another key under one selector in capitals", "rule 2: rule 1 has another key at s._domainkey.example.com", with(func(r *sign.Rule) { r.Selector, r.Key = "S", rsaKey() })},
		{"another key under one selector", "rule 2: rule 1 has another key at s._domainkey.example.com", with(func(r *sign.Rule) { r.Key = rsaKey() })},
		{"senders", `sender "joe" should be user@domain`, with(func(r *sign.Rule) { r.Senders = []string{"joe"} })},
		{"senders' domain", `sender "joe@a b"`, with(func(r *sign.Rule) { r.Senders = []string{"joe@a b"} })},
		{"no senders", "nobody's mail", with(func(r *sign.Rule) { r.Senders = []string{} })},
		{"users", `user "a, b"`, with(func(r *sign.Rule) { r.Users = []string{"a, b"} })},
		{"subdomains of others", "Subdomains", with(func(r *sign.Rule) { r.Subdomains, r.Users = true, []string{"joe"} })},
		{"classes", "no class", sign.Options{Classes: []filter.Class{}}},
		{"by", "By is 7", sign.Options{By: 7}},
		{"fields", "Return-Path cannot be signed", sign.Options{Fields: []string{"Return-Path"}}},
		{"over-signed", "bcc cannot be signed", sign.Options{OverSign: []string{"bcc"}}},
		{"canonicalization", "nofws", sign.Options{Rules: []sign.Rule{own()}, Body: "nofws"}},
	} {
		f, err := sign.New("sign", tt.o)
		if !errors.Is(err, sign.ErrOptions) || !strings.Contains(err.Error(), tt.want) || f != nil {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A message that was not signed to its end is not sent on.
func TestFailureTempfails(t *testing.T) {
	f, err := sign.New("sign", sign.Options{Rules: []sign.Rule{own()}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		onError filter.OnError
		want    string
	}{{filter.ErrorTempFail, "tempfail"}, {filter.ErrorSkip, "accept"}} {
		why := ""
		chain := &filter.Chain{Steps: []filter.Step{{Filter: f, OnError: tt.onError, Timeout: time.Nanosecond}}, Log: slog.New(slog.DiscardHandler),
			Explain: func(x *filter.Explanation) { why = fmt.Sprint(x.Filters) }, OnFailure: func(*filter.Failure) {}}
		c := miltertest.New(t, &milter.Server{New: chain.Hooks, Log: chain.Log})
		r := c.Send(t, miltertest.Mail{Text: strings.ReplaceAll(letter, "\n", "\r\n"), Conn: &localhost})
		if r.Verdict.String() != tt.want || r.Header("DKIM-Signature") != "" || !strings.Contains(why, context.DeadlineExceeded.Error()) {
			t.Errorf("%v; %s", r, why)
		}
	}
}

func TestSignsStandsBehindWhatEdits(t *testing.T) {
	f, _ := sign.New("sign", sign.Options{Rules: []sign.Rule{own()}})
	edits := &filter.Filter{Name: "late", Needs: filter.Needs{Actions: milter.CanChangeBody},
		Message: func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
			return milter.Continue, nil
		}}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}, {Filter: edits}}}
	if err := chain.Check(); !errors.Is(err, filter.ErrChain) || !strings.Contains(err.Error(), `"late" edits what "sign" has signed`) {
		t.Errorf("error %v", err)
	}
}

func BenchmarkSign(b *testing.B) {
	for _, k := range []*dkim.Key{rsaKey(), ed25519Key()} {
		b.Run(k.Algorithm(), func(b *testing.B) {
			rule := own()
			rule.Key = k
			bench := newBench(b, mta.Postfix, sign.Options{Rules: []sign.Rule{rule}})
			text := letter + string(bytes.Repeat([]byte("A line of some sixty bytes, as people write them in a letter.\n"), 300))
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				bench.send(b, miltertest.Mail{Text: text})
			}
		})
	}
}
