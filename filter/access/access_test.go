package access_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/access"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/policy"
	"github.com/gomilter/gomilter/spf"
	"github.com/google/go-cmp/cmp"
)

// A world is what other filters found of a message, and what the client does.
type world struct {
	spf   *spf.Checked
	dkim  *dkim.Checked
	dmarc *dmarc.Result

	user  string
	class filter.Class
	mail  miltertest.Mail
}

// checks is a filter that tells what was found, as filter auth does.
func (w world) checks() *filter.Filter {
	return &filter.Filter{Name: "checks",
		Mail: func(_ context.Context, t *filter.Transaction) (milter.MailReply, error) {
			if w.spf != nil {
				filter.Tell(t, *w.spf)
			}
			return milter.Continue, nil
		},
		Message: func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
			if w.dkim != nil {
				filter.Tell(t, *w.dkim)
			}
			if w.dmarc != nil {
				filter.Tell(t, *w.dmarc)
			}
			return milter.Continue, nil
		}}
}

// policies makes a map of lines.
func policies(t testing.TB, lines ...string) *policy.Map {
	t.Helper()
	m, err := policy.New(tableOf(t, "access", lines...))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tableOf(t testing.TB, name string, lines ...string) policy.Table {
	t.Helper()
	f, err := policy.Parse(name, []byte(strings.Join(lines, "\n")), policy.Sendmail, policy.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return policy.Table{Name: name, Entries: f.Entries}
}

// A heard is what a filter behind access was told.
type heard struct {
	mail, end policy.Verdict
}

// play sends a message through the checks, access, and a filter that listens.
func play(t testing.TB, profile mta.Profile, o access.Options, w world) (*miltertest.Result, *filter.Explanation, heard) {
	t.Helper()
	f, err := access.New("access", o)
	if err != nil {
		t.Fatal(err)
	}
	var h heard
	behind := &filter.Filter{Name: "behind",
		Mail: func(_ context.Context, t *filter.Transaction) (milter.MailReply, error) {
			h.mail, _ = filter.Told[policy.Verdict](t)
			return milter.Continue, nil
		},
		Message: func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
			h.end, _ = filter.Told[policy.Verdict](t)
			return milter.Continue, nil
		}}
	var told *filter.Explanation
	chain := &filter.Chain{Steps: []filter.Step{{Filter: w.checks()}, {Filter: f}, {Filter: behind}}, Disagree: filter.DropRefused,
		Explain: func(x *filter.Explanation) { told = x }}
	if err := chain.Check(); err != nil {
		t.Fatal(err)
	}
	m := w.mail
	switch w.class {
	case filter.Internal:
		m.Conn = &mta.Conn{Name: "localhost", Addr: netip.MustParseAddrPort("127.0.0.1:40025")}
	case filter.TrustedRelay:
		chain.Network.TrustedRelays = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	case filter.Authenticated:
		m.Macros = map[string]string{"auth_authen": w.user, "auth_type": "PLAIN"}
	}
	c := miltertest.NewChain(t, chain)
	c.Profile = profile
	return c.Send(t, m), told, h
}

// outcome returns what became of a message: the stage and the codes, or OK.
func outcome(x *filter.Explanation) string {
	switch {
	case x.Verdict == "accept":
		return "OK"
	case x.Reply == nil:
		return x.Verdict
	}
	return fmt.Sprintf("%s %d %s", x.Stage, x.Reply.Code, x.Reply.Enhanced)
}

// Facts for most tests.
func found(value spf.Value) *spf.Checked {
	return &spf.Checked{
		MailFrom: spf.Result{Value: value, Identity: spf.MailFrom, Domain: "example.org", Sender: "sender@example.org"},
		Helo:     spf.Result{Value: spf.None, Identity: spf.Helo, Domain: "client.example", Sender: "postmaster@client.example"},
	}
}

func heloFound(from, helo spf.Value) *spf.Checked {
	c := found(from)
	c.Helo.Value = helo
	return c
}

func signed(s ...string) *dkim.Checked {
	c := new(dkim.Checked)
	for _, x := range s {
		value, domain, _ := strings.Cut(x, " ")
		c.Signatures = append(c.Signatures, dkim.Result{Value: dkim.Value(value), Domain: domain, Selector: "s"})
	}
	return c
}

func author(value dmarc.Value, p dmarc.Policy) *dmarc.Result {
	return &dmarc.Result{Value: value, From: "example.org", Org: "example.org", Policy: p}
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		o     access.Options
		world world
		want  string
		word  policy.Word // that the filter behind is told at the end; where the message comes so far
	}{
		{"an empty map refuses nothing", nil, access.Options{}, world{spf: heloFound(spf.Fail, spf.Fail), dkim: signed("fail example.org"), dmarc: author(dmarc.Fail, dmarc.WantReject)}, "OK", policy.None},
		{"what was not checked is not judged", []string{"spf-fail REJECT", "spf-none REJECT", "dkim-none REJECT", "dmarc-none REJECT", "helo-none REJECT"}, access.Options{Wait: true}, world{}, "OK", policy.None},
		{"SPF fail", []string{"spf-fail REJECT"}, access.Options{}, world{spf: found(spf.Fail)}, "rcpt 550 5.7.23", 0},
		{"another result", []string{"spf-fail REJECT"}, access.Options{}, world{spf: found(spf.SoftFail)}, "OK", policy.None},
		{"an exception", []string{"spf-fail REJECT", "spf-fail:example.org OK"}, access.Options{}, world{spf: found(spf.Fail)}, "OK", policy.OK},
		{"a word with its own text", []string{"spf-fail 554 5.7.0 not that way"}, access.Options{}, world{spf: found(spf.Fail)}, "rcpt 554 5.7.0", 0},
		{"a temporary error refuses where the map says so", []string{"spf-temperror TEMPFAIL"}, access.Options{}, world{spf: found(spf.TempError)}, "rcpt 451 4.7.24", 0},
		{"and else does not", []string{"spf-fail REJECT"}, access.Options{}, world{spf: found(spf.TempError)}, "OK", policy.None},
		{"a broken record", []string{"spf-permerror REJECT"}, access.Options{}, world{spf: found(spf.PermError)}, "rcpt 550 5.7.24", 0},
		{"a broken record read laxly", []string{"spf-permerror REJECT", "spf-pass WHITELIST"}, access.Options{},
			world{spf: &spf.Checked{MailFrom: spf.Result{Value: spf.PermError, Lax: spf.Pass, Domain: "example.org", Sender: "sender@example.org"}}}, "OK", policy.Whitelist},
		{"a guess whitelists nobody", []string{"spf-pass WHITELIST"}, access.Options{},
			world{spf: &spf.Checked{MailFrom: spf.Result{Value: spf.Pass, Source: spf.Guess, Domain: "example.org", Sender: "sender@example.org"}}}, "OK", policy.OK},
		{"a forwarder is looked up in place of the sender", []string{"spf-pass:example.org REJECT", "spf-pass:forward.example WHITELIST"}, access.Options{},
			world{spf: &spf.Checked{MailFrom: spf.Result{Value: spf.Pass, Source: spf.Forwarder, Domain: "forward.example", Sender: "postmaster@forward.example"}}}, "OK", policy.Whitelist},
		{"of internal mail SPF is not judged", []string{"spf-fail REJECT"}, access.Options{}, world{spf: found(spf.Fail), class: filter.Internal}, "OK", policy.None},
		{"nor of a trusted relay", []string{"spf-fail REJECT"}, access.Options{}, world{spf: found(spf.Fail), class: filter.TrustedRelay}, "OK", policy.None},
		{"SPF may drop", []string{"spf-fail DISCARD"}, access.Options{}, world{spf: found(spf.Fail)}, "discard", 0},
		{"SPF may have messages held", []string{"spf-fail QUARANTINE"}, access.Options{}, world{spf: found(spf.Fail)}, "OK", 0},
		{"a call-back is told", []string{"spf-softfail CBV"}, access.Options{}, world{spf: found(spf.SoftFail)}, "OK", policy.CBV},
		{"a call-back to nobody is none", []string{"spf-softfail DSN"}, access.Options{}, world{spf: found(spf.SoftFail), mail: miltertest.Mail{From: "<>"}}, "OK", policy.OK},

		{"HELO fail", []string{"helo-fail REJECT"}, access.Options{}, world{spf: heloFound(spf.Neutral, spf.Fail)}, "rcpt 550 5.7.23", 0},
		{"HELO does not count where SPF passes", []string{"helo-fail REJECT"}, access.Options{}, world{spf: heloFound(spf.Pass, spf.Fail)}, "OK", policy.None},
		{"nor where SPF has no answer", []string{"helo-fail REJECT"}, access.Options{}, world{spf: heloFound(spf.TempError, spf.Fail)}, "OK", policy.None},
		{"nor for the null sender", []string{"helo-fail REJECT"}, access.Options{}, world{spf: heloFound(spf.Fail, spf.Fail), mail: miltertest.Mail{From: "<>"}}, "OK", policy.None},
		{"HELO is looked up by its name", []string{"helo-fail REJECT", "helo-fail:.example OK"}, access.Options{}, world{spf: heloFound(spf.Neutral, spf.Fail)}, "OK", policy.OK},
		{"the HELO name of a broken record", []string{"helo-permerror:client.example REJECT"}, access.Options{}, world{spf: heloFound(spf.None, spf.PermError)}, "rcpt 550 5.7.24", 0},
		{"WHITELIST prevails over REJECT", []string{"helo-fail REJECT", "spf-neutral:example.org WHITELIST"}, access.Options{}, world{spf: heloFound(spf.Neutral, spf.Fail)}, "OK", policy.Whitelist},
		{"BAN prevails over WHITELIST", []string{"helo-fail BAN", "spf-neutral:example.org WHITELIST"}, access.Options{}, world{spf: heloFound(spf.Neutral, spf.Fail)}, "rcpt 550 5.7.23", 0},
		{"REJECT prevails over OK", []string{"helo-fail REJECT", "spf-neutral:example.org OK"}, access.Options{}, world{spf: heloFound(spf.Neutral, spf.Fail)}, "rcpt 550 5.7.23", 0},

		{"a refusal waits", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail)}, "end 550 5.7.23", 0},
		{"a signature of the author cancels it", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("pass mail.example.org"), dmarc: author(dmarc.Pass, dmarc.WantReject)}, "OK", policy.None},
		{"one of the envelope sender, too", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("pass example.org"),
			dmarc: &dmarc.Result{Value: dmarc.Fail, From: "example.com", Org: "example.com"}}, "OK", policy.None},
		{"where nobody judged DMARC, the author is read from the header", []string{"spf-fail REJECT"}, access.Options{Wait: true},
			world{spf: found(spf.Fail), dkim: signed("pass example.com"), mail: miltertest.Mail{Text: "From: a@mail.example.com\r\n\r\nx\r\n"}}, "OK", policy.None},
		{"a signature of others does not cancel it", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("pass evil.example", "fail example.org"), dmarc: author(dmarc.Fail, dmarc.NoPolicy)}, "end 550 5.7.23", 0},
		{"a name that ends alike is another", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("pass anexample.org"), dmarc: author(dmarc.Fail, dmarc.NoPolicy)}, "end 550 5.7.23", 0},
		{"without waiting nothing cancels it", []string{"spf-fail REJECT"}, access.Options{}, world{spf: found(spf.Fail), dkim: signed("pass example.org"), dmarc: author(dmarc.Pass, dmarc.WantReject)}, "rcpt 550 5.7.23", 0},
		{"BAN does not wait", []string{"spf-fail BAN"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("pass example.org"), dmarc: author(dmarc.Pass, dmarc.WantReject)}, "rcpt 550 5.7.23", 0},
		{"HELO waits, too", []string{"helo-fail REJECT"}, access.Options{Wait: true}, world{spf: heloFound(spf.None, spf.Fail), dkim: signed("pass example.org"), dmarc: author(dmarc.Pass, dmarc.WantReject)}, "OK", policy.None},
		{"a temporary refusal waits", []string{"spf-temperror TEMPFAIL"}, access.Options{Wait: true}, world{spf: found(spf.TempError), dkim: signed("pass example.org"), dmarc: author(dmarc.Pass, dmarc.NoPolicy)}, "OK", policy.None},
		{"what is dropped waits", []string{"spf-fail DISCARD"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("pass example.org"), dmarc: author(dmarc.Pass, dmarc.NoPolicy)}, "OK", policy.None},
		{"a call-back is not cancelled", []string{"spf-softfail CBV"}, access.Options{Wait: true}, world{spf: found(spf.SoftFail), dkim: signed("pass example.org"), dmarc: author(dmarc.Pass, dmarc.NoPolicy)}, "OK", policy.CBV},
		{"a whitelisted signature cancels SPF", []string{"spf-fail REJECT", "dkim-pass:list.example WHITELIST"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("pass list.example"), dmarc: author(dmarc.Fail, dmarc.NoPolicy)}, "OK", policy.Whitelist},

		{"a signature of the author that could not be checked puts it off", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("fail example.org", "temperror mail.example.org"), dmarc: author(dmarc.TempError, "")}, "end 451 4.7.5", 0},
		{"one of the envelope sender, too, beside a good one of others", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("pass evil.example", "temperror example.org"),
			dmarc: &dmarc.Result{Value: dmarc.Fail, From: "example.com", Org: "example.com"}}, "end 451 4.7.5", 0},
		{"one of others does not", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror evil.example", "fail example.org"), dmarc: author(dmarc.Fail, "")}, "end 550 5.7.23", 0},
		{"nor one whose key is wrong", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("permerror example.org"), dmarc: author(dmarc.Fail, "")}, "end 550 5.7.23", 0},
		{"beside one that passes nothing is put off", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org", "pass example.org"), dmarc: author(dmarc.Pass, "")}, "OK", policy.None},
		{"a refusal with its own text is put off without it", []string{"spf-fail 554 5.7.0 no"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")}, "end 451 4.7.5", 0},
		{"what is dropped is put off", []string{"spf-fail DISCARD"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")}, "end 451 4.7.5", 0},
		{"what is held is not", []string{"spf-fail QUARANTINE"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")}, "OK", 0},
		{"HELO is put off, too", []string{"helo-fail REJECT"}, access.Options{Wait: true}, world{spf: heloFound(spf.None, spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")}, "end 451 4.7.5", 0},
		{"BAN is not", []string{"spf-fail BAN"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")}, "rcpt 550 5.7.23", 0},
		{"where the domain of the author is not known, one of the envelope sender", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"),
			dmarc: &dmarc.Result{Value: dmarc.PermError}}, "end 451 4.7.5", 0},
		{"and none where there is no sender", []string{"spf-fail REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"),
			dmarc: &dmarc.Result{Value: dmarc.PermError}, mail: miltertest.Mail{From: "<>"}}, "end 550 5.7.23", 0},
		{"a refusal by what did not wait prevails", []string{"spf-fail REJECT", "dmarc-temperror REJECT"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")}, "end 550 5.7.26", 0},
		{"the map puts off with a reply of its own", []string{"spf-fail REJECT", "dkim-temperror 450 4.4.3 later"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")}, "end 450 4.4.3", 0},
		{"the map says that such a signature is none", []string{"spf-fail REJECT", "dkim-temperror OK"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")}, "end 550 5.7.23", 0},
		{"the map says so of another domain", []string{"spf-fail REJECT", "dkim-temperror:example.com OK"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")}, "end 451 4.7.5", 0},
		{"the map refuses such a signature", []string{"spf-fail REJECT", "dkim-temperror REJECT"}, access.Options{Wait: true}, world{spf: found(spf.SoftFail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")}, "end 550 5.7.5", 0},
		{"what is whitelisted is not put off", []string{"spf-fail REJECT", "dmarc-temperror WHITELIST"}, access.Options{Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")}, "OK", policy.Whitelist},

		{"DKIM fail", []string{"dkim-fail REJECT"}, access.Options{}, world{dkim: signed("fail example.org")}, "end 550 5.7.20", 0},
		{"DKIM fail of a named domain", []string{"dkim-fail:bank.example REJECT"}, access.Options{}, world{dkim: signed("fail example.org")}, "OK", policy.None},
		{"a broken signature beside one that passes", []string{"dkim-fail REJECT"}, access.Options{}, world{dkim: signed("fail example.org", "pass list.example")}, "OK", policy.None},
		{"a signer that is refused beside one that is not", []string{"dkim-pass:spam.example REJECT"}, access.Options{}, world{dkim: signed("pass esp.example", "pass spam.example")}, "end 550 5.7.1", 0},
		{"a broken signature of others beside one of the author", []string{"dkim-fail:list.example REJECT", "dkim-permerror OK"}, access.Options{},
			world{dkim: signed("fail list.example", "permerror example.org"), dmarc: author(dmarc.Fail, dmarc.NoPolicy)}, "OK", policy.OK},
		{"a broken signature of others alone", []string{"dkim-fail:list.example REJECT"}, access.Options{}, world{dkim: signed("fail list.example"), dmarc: author(dmarc.Fail, dmarc.NoPolicy)}, "end 550 5.7.20", 0},
		{"no signature", []string{"dkim-none:example.org REJECT"}, access.Options{}, world{dkim: signed(), dmarc: author(dmarc.None, "")}, "end 550 5.7.20", 0},
		{"a domain that is to sign, beside a signature of others", []string{"dkim-none:example.org REJECT"}, access.Options{}, world{dkim: signed("pass evil.example"), dmarc: author(dmarc.Fail, "")}, "end 550 5.7.22", 0},
		{"a domain that is to sign, beside a broken signature of others", []string{"dkim-none:.org REJECT"}, access.Options{}, world{dkim: signed("fail evil.example"), dmarc: author(dmarc.Fail, "")}, "end 550 5.7.22", 0},
		{"a domain that is to sign, and does", []string{"dkim-none:example.org REJECT"}, access.Options{}, world{dkim: signed("pass evil.example", "pass mail.example.org"), dmarc: author(dmarc.Pass, "")}, "OK", policy.None},
		{"a domain that is to sign, and tried", []string{"dkim-none:example.org REJECT"}, access.Options{}, world{dkim: signed("pass evil.example", "fail example.org"), dmarc: author(dmarc.Fail, "")}, "OK", policy.None},
		{"a named domain's broken signature beside a good one of others", []string{"dkim-fail:example.org REJECT"}, access.Options{}, world{dkim: signed("fail example.org", "pass evil.example"), dmarc: author(dmarc.Fail, "")}, "end 550 5.7.20", 0},
		{"the same where the other is whitelisted", []string{"dkim-fail:example.org REJECT", "dkim-pass:list.example WHITELIST"}, access.Options{}, world{dkim: signed("fail example.org", "pass list.example"), dmarc: author(dmarc.Fail, "")}, "OK", policy.Whitelist},
		{"any domain's missing signature beside one of others", []string{"dkim-none REJECT"}, access.Options{}, world{dkim: signed("pass evil.example"), dmarc: author(dmarc.Fail, "")}, "OK", policy.None},
		{"a domain that is to sign, where there are two authors", []string{"dkim-none:example.org REJECT"}, access.Options{}, world{dkim: signed("pass evil.example"), dmarc: &dmarc.Result{Value: dmarc.PermError}}, "OK", policy.None},
		{"a key that is being tested is as no signature", []string{"dkim-fail REJECT"}, access.Options{},
			world{dkim: &dkim.Checked{Signatures: []dkim.Result{{Value: dkim.Fail, Domain: "example.org", Testing: true}}}}, "OK", policy.None},
		{"no answer of DNS", []string{"dkim-temperror TEMPFAIL"}, access.Options{}, world{dkim: signed("temperror example.org")}, "end 451 4.7.5", 0},
		{"a weak key", []string{"dkim-policy REJECT"}, access.Options{}, world{dkim: signed("policy example.org")}, "end 550 5.7.21", 0},
		{"a signature of a named domain whitelists", []string{"dkim-pass:friend.example WHITELIST"}, access.Options{}, world{dkim: signed("pass friend.example"), dmarc: author(dmarc.Fail, dmarc.NoPolicy)}, "OK", policy.Whitelist},
		{"one of whatever domain does not", []string{"dkim-pass WHITELIST", "dmarc-fail CBV"}, access.Options{}, world{dkim: signed("pass evil.example"), dmarc: author(dmarc.Fail, dmarc.NoPolicy)}, "OK", policy.CBV},
		{"unless it is the author's", []string{"dkim-pass WHITELIST"}, access.Options{}, world{dkim: signed("pass example.org"), dmarc: author(dmarc.Pass, dmarc.NoPolicy)}, "OK", policy.Whitelist},
		{"DKIM of a trusted relay's mail", []string{"dkim-fail REJECT"}, access.Options{}, world{dkim: signed("fail example.org"), class: filter.TrustedRelay}, "end 550 5.7.20", 0},
		{"DKIM of our own mail is not judged", []string{"dkim-fail REJECT", "dmarc-fail REJECT"}, access.Options{}, world{dkim: signed("fail example.org"), dmarc: author(dmarc.Fail, dmarc.WantReject), class: filter.Internal}, "OK", policy.None},

		{"DMARC fail", []string{"dmarc-fail REJECT"}, access.Options{}, world{dmarc: author(dmarc.Fail, dmarc.NoPolicy)}, "end 550 5.7.26", 0},
		{"what the domain asks for", []string{"dmarc-fail-reject REJECT"}, access.Options{}, world{dmarc: author(dmarc.Fail, dmarc.WantReject)}, "end 550 5.7.26", 0},
		{"what it does not ask for", []string{"dmarc-fail-reject REJECT"}, access.Options{}, world{dmarc: author(dmarc.Fail, dmarc.WantQuarantine)}, "OK", policy.None},
		{"an exception for the domain", []string{"dmarc-fail-reject REJECT", "dmarc-fail:example.org OK"}, access.Options{}, world{dmarc: author(dmarc.Fail, dmarc.WantReject)}, "OK", policy.OK},
		{"a whitelisted forwarder", []string{"dmarc-fail REJECT", "spf-pass:example.org WHITELIST"}, access.Options{}, world{spf: found(spf.Pass), dmarc: author(dmarc.Fail, dmarc.WantReject)}, "OK", policy.Whitelist},
		{"no answer of DNS about DMARC", []string{"dmarc-temperror 450 later"}, access.Options{}, world{dmarc: author(dmarc.TempError, "")}, "end 450 4.7.26", 0},
		{"several authors", []string{"dmarc-permerror REJECT"}, access.Options{}, world{dmarc: &dmarc.Result{Value: dmarc.PermError, Why: "two From fields"}}, "end 550 5.7.1", 0},
		{"DMARC holds", []string{"dmarc-fail-quarantine QUARANTINE"}, access.Options{}, world{dmarc: author(dmarc.Fail, dmarc.WantQuarantine)}, "OK", 0},

		{"a user for a domain", []string{"smtp-auth:good@example.org OK", "smtp-auth:example.org REJECT"}, access.Options{}, world{class: filter.Authenticated, user: "Good"}, "OK", policy.OK},
		{"another user", []string{"smtp-auth:good@example.org OK", "smtp-auth:example.org REJECT"}, access.Options{}, world{class: filter.Authenticated, user: "bad"}, "rcpt 550 5.7.1", 0},
		{"another domain", []string{"smtp-auth:good@example.com OK", "smtp-auth:example.com REJECT"}, access.Options{}, world{class: filter.Authenticated, user: "bad"}, "OK", policy.None},
		{"a user whatever the domain", []string{"smtp-auth:jane@ REJECT", "smtp-auth:jane@example.com OK", "smtp-auth:example.org OK"}, access.Options{}, world{class: filter.Authenticated, user: "Jane"}, "rcpt 550 5.7.1", 0},
		{"a user for the domain that is his", []string{"smtp-auth:jane@ REJECT", "smtp-auth:jane@example.org OK"}, access.Options{}, world{class: filter.Authenticated, user: "jane"}, "OK", policy.OK},
		{"a user whatever the domain, with none", []string{"smtp-auth:jane@ REJECT"}, access.Options{}, world{class: filter.Authenticated, user: "jane", mail: miltertest.Mail{From: "<>"}}, "rcpt 550 5.7.1", 0},
		{"a user who is an address, for its domain", []string{"smtp-auth REJECT", "smtp-auth:jane@example.org OK"}, access.Options{}, world{class: filter.Authenticated, user: "jane@example.org"}, "OK", policy.OK},
		{"and for others", []string{"smtp-auth REJECT", "smtp-auth:jane@example.com OK"}, access.Options{}, world{class: filter.Authenticated, user: "jane@example.com"}, "rcpt 550 5.7.1", 0},
		{"and whatever the domain", []string{"smtp-auth:jane@example.com@ REJECT"}, access.Options{}, world{class: filter.Authenticated, user: "jane@example.com"}, "rcpt 550 5.7.1", 0},
		{"a user with an @", []string{"smtp-auth:jane@corp.example@example.org REJECT"}, access.Options{}, world{class: filter.Authenticated, user: "jane@corp.example"}, "rcpt 550 5.7.1", 0},
		{"a sender without a domain", []string{"smtp-auth:bad@localhost.localdomain REJECT"}, access.Options{}, world{class: filter.Authenticated, user: "bad", mail: miltertest.Mail{From: "<bad>"}}, "rcpt 550 5.7.1", 0},
		{"the null sender does not get past", []string{"smtp-auth REJECT", "smtp-auth:good@localhost.localdomain OK"}, access.Options{}, world{class: filter.Authenticated, user: "bad", mail: miltertest.Mail{From: "<>"}}, "rcpt 550 5.7.1", 0},
		{"and may be allowed", []string{"smtp-auth REJECT", "smtp-auth:good@localhost.localdomain OK"}, access.Options{}, world{class: filter.Authenticated, user: "good", mail: miltertest.Mail{From: "<>"}}, "OK", policy.OK},
		{"users are not judged by SPF", []string{"spf-fail REJECT"}, access.Options{}, world{spf: found(spf.Fail), class: filter.Authenticated, user: "good"}, "OK", policy.None},
		{"smtp-auth does not wait", []string{"smtp-auth:example.org REJECT", "spf-fail OK"}, access.Options{Wait: true}, world{class: filter.Authenticated, user: "bad"}, "rcpt 550 5.7.1", 0},
		{"a user is whitelisted", []string{"smtp-auth:example.org WHITELIST"}, access.Options{}, world{class: filter.Authenticated, user: "good"}, "OK", policy.Whitelist},

		{"an address for a HELO name", nil, access.Options{HeloNumeric: true}, world{mail: miltertest.Mail{Helo: "192.0.2.25"}}, "rcpt 550 5.7.1", 0},
		{"an address with a dot behind it", nil, access.Options{HeloNumeric: true}, world{mail: miltertest.Mail{Helo: "192.0.2.25."}}, "rcpt 550 5.7.1", 0},
		{"one of IPv6", nil, access.Options{HeloNumeric: true}, world{mail: miltertest.Mail{Helo: "2001:db8::1"}}, "rcpt 550 5.7.1", 0},
		{"a literal that is the client's", nil, access.Options{HeloNumeric: true}, world{mail: miltertest.Mail{Helo: "[192.0.2.25]"}}, "OK", policy.None},
		{"a literal that is another's", nil, access.Options{HeloNumeric: true}, world{mail: miltertest.Mail{Helo: "[192.0.2.26]"}}, "rcpt 550 5.7.1", 0},
		{"a literal that is none", nil, access.Options{HeloNumeric: true}, world{mail: miltertest.Mail{Helo: "[x]"}}, "rcpt 550 5.7.1", 0},
		{"an address where that is allowed", nil, access.Options{}, world{mail: miltertest.Mail{Helo: "192.0.2.25"}}, "OK", policy.None},
		{"an address of our own", nil, access.Options{HeloNumeric: true}, world{class: filter.Internal, mail: miltertest.Mail{Helo: "127.0.0.1"}}, "OK", policy.None},
		{"an address of a user", nil, access.Options{HeloNumeric: true}, world{class: filter.Authenticated, user: "jane", mail: miltertest.Mail{Helo: "192.0.2.25"}}, "OK", policy.None},
		{"our own name", nil, access.Options{HeloNames: []string{"mx.example.net", "*.example.net"}}, world{mail: miltertest.Mail{Helo: "MX2.Example.NET"}}, "rcpt 550 5.7.1", 0},
		{"a name of its own", nil, access.Options{HeloNames: []string{"mx.example.net", "*.example.net"}}, world{}, "OK", policy.None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, profile := range []mta.Profile{mta.Postfix, mta.Sendmail} {
				tt.o.Map = policies(t, tt.lines...)
				_, x, h := play(t, profile, tt.o, tt.world)
				if got := outcome(x); got != tt.want {
					t.Errorf("%v: %s, want %s\n%s", profile, got, tt.want, x)
				}
				if h.end.Word != tt.word {
					t.Errorf("%v: the filter behind was told %v, want %v", profile, h.end, tt.word)
				}
			}
		})
	}
}

func TestMissingHelo(t *testing.T) {
	f, err := access.New("access", access.Options{HeloMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	c := miltertest.NewChain(t, &filter.Chain{Steps: []filter.Step{{Filter: f}}, Immediate: true})
	s := c.Connect(t)
	if got := s.Mail("<a@example.org>").Told(); !strings.HasPrefix(got, "550 5.7.1 Your server did not introduce itself") {
		t.Errorf("MAIL without HELO is answered %q", got)
	}
	s = c.Connect(t)
	s.Helo("client.example")
	if got := s.Mail("<a@example.org>").Told(); got != "" {
		t.Errorf("MAIL behind HELO is answered %q", got)
	}
}

func TestQuarantine(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"spf-fail QUARANTINE", "policy spf-fail"},
		{"spf-fail QUARANTINE:looked at by hand", "looked at by hand"},
	} {
		r, x, _ := play(t, mta.Postfix, access.Options{Map: policies(t, tt.line)}, world{spf: found(spf.Fail)})
		if x.Quarantine == nil || *x.Quarantine != tt.want || r.Quarantine == nil || *r.Quarantine != tt.want {
			t.Errorf("%s: %v, want %q", tt.line, x.Quarantine, tt.want)
		}
	}
}

// Policies may be those of some recipients only, before DATA and after it.
func TestRecipients(t *testing.T) {
	strict := func(a string) bool { return strings.HasPrefix(a, "strict") }
	lenient := func(a string) bool { return strings.HasPrefix(a, "abuse") }
	rcpts := []string{"<strict@example.net>", "<abuse@example.net>", "<jane@example.net>"}
	for _, tt := range []struct {
		name                 string
		all, strict, lenient []string
		o                    access.Options
		world                world
		want                 []string // who gets the message
		told                 string   // of the first who does not
	}{
		{"SPF at RCPT", nil, []string{"spf-softfail REJECT"}, nil, access.Options{}, world{spf: found(spf.SoftFail)},
			[]string{"abuse@example.net", "jane@example.net"}, "550 5.7.23"},
		{"one who takes everything", []string{"spf-fail REJECT"}, nil, []string{"spf-fail OK"}, access.Options{}, world{spf: found(spf.Fail)},
			[]string{"abuse@example.net"}, "550 5.7.23"},
		{"users at RCPT", nil, []string{"smtp-auth REJECT"}, nil, access.Options{}, world{class: filter.Authenticated, user: "jane"},
			[]string{"abuse@example.net", "jane@example.net"}, "550 5.7.1"},
		{"DMARC after DATA", []string{"dmarc-fail OK"}, []string{"dmarc-fail 550 not for me"}, nil, access.Options{}, world{dmarc: author(dmarc.Fail, dmarc.WantReject)},
			[]string{"abuse@example.net", "jane@example.net"}, ""},
		{"SPF waits for some", []string{"spf-fail REJECT"}, nil, []string{"spf-fail OK"}, access.Options{Wait: true}, world{spf: found(spf.Fail)},
			[]string{"abuse@example.net"}, ""},
		{"what is dropped, but for one", []string{"spf-fail DISCARD"}, nil, []string{"spf-fail OK"}, access.Options{}, world{spf: found(spf.Fail)},
			[]string{"abuse@example.net"}, ""},
		{"refused and dropped", []string{"spf-fail DISCARD"}, []string{"dmarc-fail REJECT"}, []string{"spf-fail OK"}, access.Options{}, world{spf: found(spf.Fail), dmarc: author(dmarc.Fail, "")},
			[]string{"abuse@example.net"}, ""},
		{"a ban at RCPT while others wait", []string{"spf-fail REJECT"}, []string{"spf-fail BAN"}, nil, access.Options{Wait: true},
			world{spf: found(spf.Fail), dkim: signed("pass example.org"), dmarc: author(dmarc.Pass, "")}, []string{"abuse@example.net", "jane@example.net"}, "550 5.7.23"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
				s, l := tableOf(t, "strict", tt.strict...), tableOf(t, "lenient", tt.lenient...)
				s.Rcpts, l.Rcpts = strict, lenient
				m, err := policy.New(tableOf(t, "all", tt.all...), s, l)
				if err != nil {
					t.Fatal(err)
				}
				tt.o.Map = m
				tt.world.mail.Rcpts = rcpts
				r, x, _ := play(t, profile, tt.o, tt.world)
				if diff := cmp.Diff(tt.want, r.Rcpts()); diff != "" {
					t.Errorf("recipients (-want +got):\n%s\n%s", diff, x)
				}
				i := slices.IndexFunc(r.Recipients, func(r mta.Recipient) bool { return r.Reply != nil })
				got := ""
				if i >= 0 {
					got = fmt.Sprintf("%d %s", r.Recipients[i].Reply.Code, r.Recipients[i].Reply.Enhanced)
				}
				if got != tt.told {
					t.Errorf("told %q at RCPT, want %q", got, tt.told)
				}
			})
		})
	}
}

// Who has a word for a signature that could not be checked is refused by it, others are put off.
func TestRecipientsArePutOff(t *testing.T) {
	s := tableOf(t, "strict", "dkim-temperror OK")
	s.Rcpts = func(a string) bool { return strings.HasPrefix(a, "strict") }
	m, err := policy.New(s, tableOf(t, "all", "spf-fail REJECT"))
	if err != nil {
		t.Fatal(err)
	}
	_, x, _ := play(t, mta.Postfix, access.Options{Map: m, Wait: true}, world{spf: found(spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, ""),
		mail: miltertest.Mail{Rcpts: []string{"<strict@example.net>", "<jane@example.net>"}}})
	why := x.Filters[len(x.Filters)-1].Why
	for _, want := range []string{"for strict@example.net: spf-fail (all:1): REJECT", "for jane@example.net: spf-fail (all:1): TEMPFAIL"} {
		if !strings.Contains(why, want) {
			t.Errorf("explained %q, want %q", why, want)
		}
	}
}

// Where all recipients agree there is one answer, and a message for nobody is dropped.
func TestRecipientsWhoAgree(t *testing.T) {
	s := tableOf(t, "strict", "dmarc-pass OK")
	s.Rcpts = func(string) bool { return false }
	for line, want := range map[string]string{"spf-fail DISCARD": "discard", "dmarc-fail REJECT": "end 550 5.7.26", "dmarc-fail QUARANTINE": "OK"} {
		m, err := policy.New(s, tableOf(t, "all", line))
		if err != nil {
			t.Fatal(err)
		}
		_, x, _ := play(t, mta.Postfix, access.Options{Map: m}, world{spf: found(spf.Fail), dmarc: author(dmarc.Fail, ""), mail: miltertest.Mail{Rcpts: []string{"<a@example.net>", "<b@example.net>"}}})
		if got := outcome(x); got != want {
			t.Errorf("%s: %s, want %s\n%s", line, got, want, x)
		}
		if hold := x.Quarantine != nil; hold != strings.HasSuffix(line, "QUARANTINE") {
			t.Errorf("%s: held: %v", line, hold)
		}
	}
}

// A filter behind is told of what is known at MAIL, too: auth heeds WHITELIST.
func TestVerdictIsToldAtMail(t *testing.T) {
	_, x, h := play(t, mta.Postfix, access.Options{Map: policies(t, "spf-pass:example.org WHITELIST")}, world{spf: found(spf.Pass)})
	want := policy.Verdict{Action: policy.Action{Word: policy.Whitelist}, Prefix: "spf-pass", About: "sender@example.org", Key: "spf-pass:example.org", Table: "access", Line: 1}
	if diff := cmp.Diff(want, h.mail); diff != "" {
		t.Errorf("told at MAIL (-want +got):\n%s", diff)
	}
	if !strings.Contains(x.String(), "spf-pass of sender@example.org: spf-pass:example.org (access:1): WHITELIST") {
		t.Errorf("not explained: %s", x)
	}
}

func TestSilent(t *testing.T) {
	o := access.Options{Map: policies(t, "spf-pass WHITELIST", "dkim-pass:example.org BAN"), Silent: true}
	_, x, h := play(t, mta.Postfix, o, world{spf: found(spf.Pass), dkim: signed("pass example.org")})
	if h != (heard{}) || outcome(x) != "end 550 5.7.1" {
		t.Errorf("the filter behind was told %+v; %s", h, x)
	}
	_, _, h = play(t, mta.Postfix, access.Options{Map: policies(t, "spf-pass WHITELIST"), Silent: true}, world{spf: found(spf.Pass)})
	if h != (heard{}) {
		t.Errorf("the filter behind was told %+v", h)
	}
}

// Of two filters of this kind the word that prevails is the one that is told.
func TestTwoFilters(t *testing.T) {
	var steps []filter.Step
	steps = append(steps, filter.Step{Filter: world{spf: found(spf.Pass)}.checks()})
	for i, line := range []string{"spf-pass WHITELIST", "spf-pass OK"} {
		f, err := access.New(fmt.Sprintf("access%d", i), access.Options{Map: policies(t, line)})
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, filter.Step{Filter: f})
	}
	var got policy.Verdict
	steps = append(steps, filter.Step{Filter: &filter.Filter{Name: "behind", Mail: func(_ context.Context, t *filter.Transaction) (milter.MailReply, error) {
		got, _ = filter.Told[policy.Verdict](t)
		return milter.Continue, nil
	}}})
	miltertest.NewChain(t, &filter.Chain{Steps: steps, Explain: func(*filter.Explanation) {}}).Send(t, miltertest.Mail{})
	if got.Word != policy.Whitelist {
		t.Errorf("told %v, want WHITELIST", got)
	}
}

// A client without an address, and a HELO name that is an address of mail, are nothing special.
func TestOddClients(t *testing.T) {
	o := access.Options{Map: policies(t, "helo-none:evil.example REJECT", "helo-none TEMPFAIL"), HeloNumeric: true}
	_, x, _ := play(t, mta.Postfix, o, world{spf: heloFound(spf.None, spf.None), mail: miltertest.Mail{Helo: "x@evil.example"}})
	if got := outcome(x); got != "rcpt 451 4.7.23" {
		t.Errorf("HELO x@evil.example: %s, want the key without a domain", got)
	}
	o = access.Options{Map: policies(t, "spf-fail REJECT"), HeloNumeric: true}
	_, x, _ = play(t, mta.Postfix, o, world{spf: found(spf.Fail), mail: miltertest.Mail{Conn: &mta.Conn{Name: "unknown", Addr: netip.MustParseAddrPort("[2001:db8::1]:25")}, Helo: "[IPv6:2001:db8::1]"}})
	if got := outcome(x); got != "rcpt 550 5.7.23" || !strings.Contains(x.Reply.Text[0], "does not allow 2001:db8::1 to send") {
		t.Errorf("a client of IPv6: %s %v", got, x.Reply)
	}
}

func TestExplanations(t *testing.T) {
	o := access.Options{Wait: true, Map: policies(t, "spf-fail REJECT", "dkim-pass:.org OK", "dmarc-pass WHITELIST")}
	_, x, _ := play(t, mta.Postfix, o, world{spf: found(spf.Fail), dkim: signed("pass example.org"), dmarc: author(dmarc.Pass, "")})
	var got []string
	for _, f := range x.Filters {
		if f.Name == "access" {
			got = append(got, f.Stage+": "+f.Why)
		}
	}
	want := []string{
		"mail: spf-fail of sender@example.org: spf-fail (access:1): REJECT, which waits for DKIM",
		"end: spf-fail of sender@example.org: spf-fail (access:1): REJECT, which does not count: DKIM shows that the message is from example.org; " +
			"dkim-pass of example.org: dkim-pass:.org (access:2): OK; dmarc-pass of example.org: dmarc-pass (access:3): WHITELIST",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What refuses a message at its end is told there, not only that it waits.
func TestWhatWaitedIsExplained(t *testing.T) {
	o := access.Options{Wait: true, Map: policies(t, "spf-fail REJECT")}
	_, x, _ := play(t, mta.Postfix, o, world{spf: found(spf.Fail), dkim: signed("pass evil.example"), dmarc: author(dmarc.Fail, "")})
	last := x.Filters[len(x.Filters)-1]
	want := "spf-fail of sender@example.org: spf-fail (access:1): REJECT, which counts: DKIM does not show that the message is from its author or sender"
	if last.Name != "access" || last.Stage != "end" || last.Why != want {
		t.Errorf("%+v, want %q", last, want)
	}
}

func TestWhatIsPutOffIsExplained(t *testing.T) {
	o := access.Options{Wait: true, Map: policies(t, "spf-fail REJECT")}
	_, x, _ := play(t, mta.Postfix, o, world{spf: found(spf.Fail), dkim: signed("temperror example.org"), dmarc: author(dmarc.TempError, "")})
	last := x.Filters[len(x.Filters)-1]
	want := "spf-fail of sender@example.org: spf-fail (access:1): REJECT, which is put off: it cannot be told now whether the signature of example.org is valid"
	if last.Name != "access" || last.Stage != "end" || last.Why != want {
		t.Errorf("%+v, want %q", last, want)
	}
	if text := "DKIM temperror: the signature of example.org cannot be checked now; for that DNS has to tell the key s._domainkey.example.org"; x.Reply.Text[0] != text {
		t.Errorf("the client is told %q, want %q", x.Reply.Text, text)
	}
}

func TestOptionsThatAreNotRight(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    access.Options
		want string
	}{
		{"a name that is no pattern", access.Options{HeloNames: []string{"a b"}}, "HeloNames[0]: address: "},
		{"a reason to hold that is too long", access.Options{Map: policies(t, "spf-fail QUARANTINE "+strings.Repeat("x", 500))}, "more than 400 bytes"},
		{"codes that do not go together", access.Options{Map: policyOf(t, policy.Action{Word: policy.Reject, Code: 450})}, "code 450 is not 5yz"},
		{"a text that nobody can be told", access.Options{Map: policyOf(t, policy.Action{Word: policy.Reject, Text: "a\x01"})}, "control character"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := access.New("access", tt.o)
			if f != nil || !errors.Is(err, access.ErrOptions) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want %q", err, tt.want)
			}
		})
	}
}

func policyOf(t *testing.T, a policy.Action) *policy.Map {
	t.Helper()
	m, err := policy.New(policy.Table{Name: "t", Entries: []policy.Entry{{Key: "spf-fail", Action: a}}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
