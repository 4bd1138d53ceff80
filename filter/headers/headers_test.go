package headers_test

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/headers"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files anew")

// play sends a message through a chain of one filter. A text without an empty line
// is a header; fields are told apart by LF.
func play(t testing.TB, profile mta.Profile, rules []headers.Rule, o headers.Options, m miltertest.Mail) (*miltertest.Result, *filter.Explanation) {
	t.Helper()
	f, err := headers.New("headers", rules, o)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(m.Text, "\n\n") {
		m.Text += "\n\nbody\n"
	}
	m.Text = strings.ReplaceAll(m.Text, "\n", "\r\n")
	var told *filter.Explanation
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}, Log: slog.New(slog.DiscardHandler), Disagree: filter.DropRefused,
		Explain: func(x *filter.Explanation) { told = x }}
	if len(rules) == 0 {
		chain.Steps = nil
	}
	if err := chain.Check(); err != nil {
		t.Fatal(err)
	}
	c := miltertest.New(t, &milter.Server{New: chain.Hooks, Log: chain.Log})
	c.Profile = profile
	return c.Send(t, m), told
}

// header returns the fields of a result.
func header(r *miltertest.Result) string {
	return strings.ReplaceAll(string(r.Message.Header.Bytes()), "\r\n", "\n")
}

// outside is mail with a text from outside, local is mail of our own.
var localhost = mta.Conn{Name: "localhost", Addr: netip.MustParseAddrPort("127.0.0.1:40025")}

func outside(text string) miltertest.Mail { return miltertest.Mail{Text: text} }

func local(text string) miltertest.Mail { return miltertest.Mail{Text: text, Conn: &localhost} }

// verdicts tries rules on headers: "" is to be accepted, what else is to be refused
// with that text.
func verdicts(t *testing.T, rules []headers.Rule, tests map[string]string) {
	t.Helper()
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		for text, want := range tests {
			r, x := play(t, profile, rules, headers.Options{}, outside(text))
			got := ""
			if r.Verdict == mta.Reject {
				got = strings.TrimPrefix(ref.ReplaceAllString(r.Told(), ""), "550 5.7.1 ")
			}
			if got != want {
				t.Errorf("%q is answered %q, want %q; %+v", text, got, want, x.Filters)
			}
		}
	})
}

var ref = regexp.MustCompile(` \(ref [2-9a-z]{10}\)`)

func TestSAMP03(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		m := miltertest.Mail{Text: "Subject: x", Rcpts: []string{"<MAILER-DAEMON@example.net>", "<bob@example.net>", "<mailer-daemon>", "<mailer-daemons@example.net>"}}
		r, x := play(t, profile, headers.SampleRules(), headers.Options{}, m)
		if diff := cmp.Diff([]string{"bob@example.net", "mailer-daemons@example.net"}, r.Rcpts()); diff != "" {
			t.Errorf("recipients (-want +got):\n%s", diff)
		}
		if got := r.Recipients[0].Reply; got == nil || got.Code != 550 || got.Enhanced != "5.1.1" {
			t.Errorf("MAILER-DAEMON is answered %v, want 550 5.1.1", got)
		}
		if s := x.String(); !strings.Contains(s, `rule mailer-daemon on recipient \"MAILER-DAEMON@example.net\" by '^mailer-daemon(@|$)': reject`) {
			t.Errorf("explanation does not tell why: %s", s)
		}
	})
}

// Postfix keeps local mail for ever of which a recipient is refused.
func TestSAMP03LocalMail(t *testing.T) {
	f, err := headers.New("headers", headers.SampleRules(), headers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}, Log: slog.New(slog.DiscardHandler)}
	c := miltertest.New(t, &milter.Server{New: chain.Hooks})
	for rcpt, want := range map[string]mta.Verdict{"MAILER-DAEMON@example.net": mta.Reject, "bob@example.net": mta.Accept} {
		r, err := c.SendLocal(t.Context(), mta.Mail{From: "ann@example.net", Rcpts: []string{rcpt}, Data: []byte("Subject: x\r\n\r\nbody\r\n")})
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict != want || r.Verdict == mta.Reject && r.Stage != "end" {
			t.Errorf("local mail to %s: %v at %s, want %v of the message", rcpt, r.Verdict, r.Stage, want)
		}
	}
}

func TestSAMP04(t *testing.T) {
	const shouting, advertising = "please write a subject without shouting", "advertising is not wanted here"
	const mailer, id = "this program's mail is not wanted here", "the Message-ID is too short to be one"
	verdicts(t, headers.SampleRules(), map[string]string{
		"Subject: Lunch\nMessage-ID: <1@x>\nX-Mailer: mutt": "",
		"Subject: make $$$ fast":                            shouting,
		"Subject: XXX":                                      shouting,
		"subject: now!!!":                                   shouting,
		"Subject: it is FREE":                               shouting,
		"Subject: are you free tonight?":                    "",
		"Subject: FREEDOM and CAREFREE":                     "",
		"Subject: =?utf-8?b?SXQgaXMgRlJFRQ==?=":             shouting,
		"Subject: a long one that is\n FREE":                shouting,
		"Subject: ADV: buy":                                 advertising,
		"Subject: adv. buy":                                 advertising,
		"Subject: advice wanted":                            "",
		"Subject: Re: adv: buy":                             "",
		"Subject: cheap ViAgRa here":                        advertising,
		"Message-ID: <>":                                    id,
		"Message-Id: abc":                                   id,
		"Message-ID: <a@>":                                  "",
		"X-Mailer: Mail BOMBER":                             mailer,
		"x-mailer: calypso":                                 mailer,
		"X-Mailer: Calypso 3":                               "",
		"X-Spam: $$$ FREE viagra":                           "",
		"Subject: =?big5?B?pN+q+Q==?=":                      "", // for the reader to say
		"Subject: gr\xfc\xdfe":                              "",
	})
	const charset = "nobody here reads the character set of the subject"
	verdicts(t, headers.SampleRules("Big5", "iso-2022-jp"), map[string]string{
		"Subject: =?BIG5?B?pN+q+Q==?=":                    charset,
		"Subject: Re: =?big5?B?pN+q+Q==?=":                charset,
		"Subject: =?utf-8?q?a?= =?big5*zh?B?pN+q+Q==?=":   charset,
		"Subject: =?ISO-2022-JP?B?GyRCJDMkcyRLJEEbKEI=?=": charset,
		"Subject: =?big5-hkscs?B?pN+q+Q==?=":              "",
		"Subject: =?big5?B?":                              "", // no encoded word
		"Comments: =?big5?B?pN+q+Q==?=":                   "",
	})
}

func TestHDR01(t *testing.T) {
	// The value is decoded for rules, and stays as it is otherwise.
	rules := []headers.Rule{{Fields: []string{"Subject"}, Match: headers.Equal, Values: []string{"GRÜSSE AUS KÖLN"}, Action: headers.Note}}
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		const text = "Subject: =?iso-8859-1?Q?Gr=FCsse?=\n  =?iso-8859-1?Q?_aus?= =?utf-8?b?IEvDtmxu?=\n"
		r, x := play(t, profile, rules, headers.Options{}, outside(text))
		if header(r) != text {
			t.Errorf("header is %q, want %q", header(r), text)
		}
		if len(x.Filters) != 1 || x.Filters[0].Why != `rule 1 on Subject "Grüsse aus Köln" by 'GRÜSSE AUS KÖLN': note` {
			t.Errorf("filters = %+v, want the value in the explanation", x.Filters)
		}
	})
}

func TestHDR02(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		rules := headers.BMSRules(headers.Words{})
		if r, _ := play(t, profile, rules, headers.Options{}, outside("Subject: adv: buy")); r.Verdict != mta.Reject {
			t.Errorf("mail from outside: %v, want reject", r.Verdict)
		}
		if r, x := play(t, profile, rules, headers.Options{}, local("Subject: adv: buy")); r.Verdict != mta.Accept || len(x.Filters) == 1 && x.Filters[0].Why != "" {
			t.Errorf("mail of our own: %v, want accept without a word", r.Verdict)
		}
	})
}

func TestHDR03(t *testing.T) {
	const no, script = "mail like this is not wanted here", "nobody here reads the script of the subject"
	words := headers.Words{Spam: []string{"Rolex"}, Porn: []string{"nasty"}}
	verdicts(t, headers.BMSRules(words), map[string]string{
		"Subject: cheap Rolex": no, "Subject: cheap rolex": "",
		"Subject: NASTY pictures":                   no,
		"Subject: =?utf-8?b?bmFzdHk=?=":             no,
		"Subject:   ADV: x":                         no,
		"Subject: adv.x":                            no,
		"Subject: Adv x":                            no,
		"Subject: <Adv> x":                          no,
		"Subject: <ad> x":                           no,
		"Subject: [adv] x":                          no,
		"Subject: (adv) x":                          no,
		"Subject: advt: x":                          no,
		"Subject: Advert: x":                        no,
		"Subject: [SPAM] x":                         no,
		"Subject: x (adv)":                          no,
		"Subject: x [Adv]":                          no,
		"Subject: x (non-spam)":                     no,
		"Subject: send me the prev and adv":         "", // refused by bms
		"Subject: advance notice":                   "",
		"Subject: лекция по физике":                 "",
		"Subject: =?koi8-r?b?5s/UzyDTIM3P0tE=?=":    "",
		"Subject: \xd4\xc5\xd3\xd4 without charset": "",
	})
	words.OutsideLatin1 = true
	verdicts(t, headers.BMSRules(words), map[string]string{
		"Subject: лекция по физике":                script,
		"Subject: =?big5?B?pN+q+aRspN+q+Q==?=":     script,
		"Subject: =?gb2312?B?ztLDx8TjusM=?=":       script,
		"Subject: Grüße, “quoted” – 100 € … 🎉🎉🎉":   "", // no letters
		"Subject: a letter of Łódź":                "", // two letters
		"Subject: =?iso-8859-1?q?=C0_b=EAte_=DF?=": "",
	})
}

func TestHDR04(t *testing.T) {
	rules := []headers.Rule{headers.Forwards("Grump@example.net", "*@quiet.example")}
	all := []string{"<bob@example.net>", "<grump@example.net>", "<any@quiet.example>"}
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		for _, tt := range []struct {
			text        string
			rcpts, want []string
		}{
			{"Subject: Fwd: joke", all, []string{"bob@example.net"}},
			{"Subject: [FW: joke]", all, []string{"bob@example.net"}},
			{"Subject: forward it", all, []string{"bob@example.net", "grump@example.net", "any@quiet.example"}},
			{"Subject: Fwd: joke", all[:1], []string{"bob@example.net"}},
			{"Subject: Fwd: joke", all[1:], nil},
		} {
			r, _ := play(t, profile, rules, headers.Options{}, miltertest.Mail{Text: tt.text, Rcpts: tt.rcpts})
			got := r.Rcpts()
			if r.Verdict == mta.Reject {
				got = nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s to %s is delivered to (-want +got):\n%s", tt.text, tt.rcpts, diff)
			}
		}
	})
}

func TestHDR06(t *testing.T) {
	const no = "mail like this is not wanted here"
	verdicts(t, headers.BMSRules(headers.Words{Spam: []string{"Rolex"}, Porn: []string{"nasty"}, From: []string{"Lottery"}}), map[string]string{
		"From: Rolex <a@b.example>":                      no,
		"From: \"The Lottery\" <a@b.example>":            no,
		"From: a@b.example (Nasty)":                      no,
		"From: =?utf-8?q?Rol?= =?utf-8?q?ex?= <a@b.com>": no,
		"From: Rolex@nasty.example":                      "",
		"From: lottery <a@b.example>":                    "",
		"To: Rolex <a@b.example>":                        "",
	})
}

func TestHDR07(t *testing.T) {
	const mailer, id = "this program's mail is not wanted here", "the Message-ID is too short to be one"
	verdicts(t, headers.BMSRules(headers.Words{}), map[string]string{
		"Message-ID: <>": id, "Message-ID: ": id, "Message-ID: <ab>": "",
		"X-Mailer: Direct Email": mailer, "X-Mailer: Direct Email 2": "", "X-Mailer: BestOptIn 3.1": mailer,
	})
}

// Automatic answers are found by what RFC 3834 says, and by what senders do.
func TestHDR08(t *testing.T) {
	mark := headers.Edit{Name: "X-Auto", Value: "yes"}
	rules := []headers.Rule{
		{Fields: []string{"Auto-Submitted"}, Match: headers.Regexp, Values: []string{`^\s*no\b`}, Not: true, Action: headers.Add, Edit: mark},
		{Fields: []string{"Subject"}, Match: headers.Regexp, Values: []string{`^(read:|autoreply:|return receipt|your message .*awaits moderator approval)`}, Action: headers.Add, Edit: mark},
		{Fields: []string{"User-Agent"}, Match: headers.Prefix, Values: []string{"vacation"}, Action: headers.Add, Edit: mark},
	}
	for text, want := range map[string]string{
		"Auto-Submitted: auto-replied (vacation)":                "yes",
		"Auto-Submitted: no":                                     "",
		"Subject: Autoreply: gone fishing":                       "yes", // with a blank, which bms does not match
		"Subject: Your message to x\n awaits moderator approval": "yes",
		"User-Agent: Vacation/1.2":                               "yes",
		"Subject: autoreply explained":                           "",
	} {
		if r, _ := play(t, mta.Postfix, rules, headers.Options{}, outside(text)); r.Header("X-Auto") != want {
			t.Errorf("%q: X-Auto is %q, want %q", text, r.Header("X-Auto"), want)
		}
	}
}

// Noting fields changes nothing, and keeps no other rule from its work.
func TestHDR09AndD07(t *testing.T) {
	text := "Received: \nReceived: from a\nDKIM-Signature: v=1; b=x\nAuthentication-Results: us; spf=pass\nSubject: gr\xfc\xdfe\n"
	for _, log := range []bool{false, true} {
		rules := []headers.Rule{
			{Name: "signed", Fields: []string{"DKIM-Signature"}, Match: headers.Present, Action: headers.Add, Edit: headers.Edit{Name: "X-Signed", Value: "yes"}},
			{Name: "forged", Fields: []string{"Authentication-Results"}, Match: headers.Present, Action: headers.Remove},
		}
		if log {
			rules = slices.Insert(rules, 0, headers.Rule{Name: "log", Fields: []string{"*"}, Match: headers.Present, Action: headers.Note})
		}
		r, x := play(t, mta.Postfix, rules, headers.Options{}, outside(text))
		want := "Received: \nReceived: from a\nDKIM-Signature: v=1; b=x\nSubject: gr\xfc\xdfe\nX-Signed: yes\n"
		if header(r) != want {
			t.Errorf("log %v: header is %q, want %q", log, header(r), want)
		}
		why := x.Filters[0].Why
		if got := strings.Contains(why, `Received "", Received "from a", DKIM-Signature "v=1; b=x", `); got != log {
			t.Errorf("log %v: explained as %q", log, why)
		}
	}
}

// What no rule edits keeps its bytes, whatever they are.
func TestHDR12(t *testing.T) {
	text := "Subject: \xff\xfe\x80 =?no-such?q?=FF?=\nX-Odd:no blank\nX-Fold: a\n\t b\n \nFrom: \xe4 <a@b.example>\nX-Empty:\nX-Two:  blanks \n"
	rules := []headers.Rule{
		{Fields: []string{"*"}, Match: headers.Contains, Values: []string{"no such text"}, Action: headers.Remove},
		{Fields: []string{"*"}, Part: headers.DisplayName, Match: headers.Regexp, Values: []string{"no such name"}, Action: headers.Remove},
		{Fields: []string{"Subject"}, Match: headers.Present, Action: headers.Add, Edit: headers.Edit{Name: "X-Seen", Value: "Grüße"}},
	}
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		r, _ := play(t, profile, rules, headers.Options{}, outside(text))
		plain, _ := play(t, profile, nil, headers.Options{}, outside(text))
		if want := header(plain) + "X-Seen: =?utf-8?b?R3LDvMOfZQ==?=\n"; header(r) != want {
			t.Errorf("header is %q, want %q", header(r), want)
		}
	})
}

func TestEOH02(t *testing.T) {
	rules := []headers.Rule{{Name: "bounce", Classes: []filter.Class{filter.External}, Fields: []string{"Content-Type"}, Match: headers.Regexp,
		Values: []string{`^multipart/report\b.*;\s*report-type\s*=\s*"?delivery-status\b`}, Action: headers.Add, Edit: headers.Edit{Name: "X-Bounce", Value: "yes"}}}
	for text, want := range map[string]string{
		"Content-Type: multipart/report;\n report-type=delivery-status; boundary=x":      "yes",
		"Content-Type: Multipart/Report; boundary=x; report-type=\"Delivery-Status\"":    "yes",
		"Content-Type: multipart/report; report-type=disposition-notification":           "",
		"Content-Type: multipart/mixed; boundary=x\nX-Note: report-type=delivery-status": "",
	} {
		if r, _ := play(t, mta.Postfix, rules, headers.Options{}, outside(text)); r.Header("X-Bounce") != want {
			t.Errorf("%q: X-Bounce is %q, want %q", text, r.Header("X-Bounce"), want)
		}
	}
}

func TestEOH03(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		for _, tt := range []struct{ name, from, text, want string }{
			{"same domain", "<a@example.com>", "From: A <b@Example.COM>", ""},
			{"parent domain", "<a@bounces.example.com>", "From: b@example.com", ""},
			{"child domain", "<a@example.com>", "From: b@news.example.com", "a@example.com"},
			{"end of a label", "<a@badexample.com>", "From: b@example.com", "a@badexample.com"},
			{"Sender names it", "<a@example.com>", "From: b@example.org\nSender: c@example.com", ""},
			{"neither", "<a@example.com>", "From: b@example.org\nSender: c@example.org", "a@example.com"},
			{"no From", "<a@example.com>", "Subject: x", "a@example.com"},
			{"null sender", "<>", "From: b@example.org", ""},
			{"one came along", "<a@example.com>", "From: b@example.org\nX-Envelope-Sender: forged\nx-envelope-sender: twice", "a@example.com"},
			{"one came along in vain", "<a@example.com>", "From: b@example.com\nX-Envelope-Sender: forged", ""},
		} {
			r, _ := play(t, profile, headers.EnvelopeSender("X-Envelope-Sender"), headers.Options{}, miltertest.Mail{From: tt.from, Text: tt.text})
			if got := strings.Join(r.Headers("X-Envelope-Sender"), "|"); got != tt.want {
				t.Errorf("%s: field is %q, want %q", tt.name, got, tt.want)
			}
		}
	})
}

func TestEOM10(t *testing.T) {
	const text = "Received: from pc7.corp.example (pc7 [10.0.0.7])\n\tby mail.corp.example\nSubject: x\nReceived: from mx.example.org by pc7\nReceived: from Laptop.corp.example by pc7\n"
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		for _, tt := range []struct {
			name string
			rule headers.Rule
			mail miltertest.Mail
			want string
		}{
			{"all", headers.HidePath(), local(text), "Subject: x\n"},
			{"of our hosts", headers.HidePath("*.corp.example"), local(text), "Subject: x\nReceived: from mx.example.org by pc7\n"},
			{"of others' mail none", headers.HidePath(), outside(text), text},
		} {
			r, _ := play(t, profile, []headers.Rule{tt.rule}, headers.Options{}, tt.mail)
			if header(r) != tt.want {
				t.Errorf("%s: header is %q, want %q", tt.name, header(r), tt.want)
			}
		}
	})
}

// An explanation is one line, whatever the sender wrote.
func TestD19(t *testing.T) {
	rules := []headers.Rule{
		{Name: "all", Fields: []string{"*"}, Match: headers.Present, Action: headers.Note},
		{Name: "raw", Fields: []string{"*"}, Part: headers.Raw, Match: headers.Longer, Action: headers.Note},
	}
	text := "Subject: a\n\tb\x1b[31m\u2028\u202e\x85\xff =?utf-8?q?=0D=0Aforged=3A_line=1B?=\n"
	for range 200 {
		text += "X-Long: " + strings.Repeat("y", 200) + "\n"
	}
	_, x := play(t, mta.Postfix, rules, headers.Options{}, outside(text))
	why := x.Filters[0].Why
	if strings.ContainsFunc(why, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u202e' || r == 0x85 }) {
		t.Errorf("explanation holds control characters: %q", why)
	}
	if len(why) > 5000 || !strings.Contains(why, " more") {
		t.Errorf("explanation has %d bytes, want it bounded: %s", len(why), why)
	}
}

// All actions in one message, explained.
func TestGolden(t *testing.T) {
	rules := []headers.Rule{
		{Name: "forged", Fields: []string{"X-Spam-*"}, Match: headers.Present, Action: headers.Remove},
		{Name: "list", Fields: []string{"List-Id"}, Match: headers.Regexp, Values: []string{`<([^.>]+)\.`}, Action: headers.Tag, Edit: headers.Edit{Value: "[{1}]"}},
		{Name: "score", Fields: []string{"Subject"}, Match: headers.Contains, Values: []string{"grüße"}, Action: headers.Add,
			Edit: headers.Edit{Name: "X-Spam-Rule", Value: "{field}: {value} {{sic}", Position: 1}},
		{Name: "soften", Fields: []string{"X-Priority", "Importance"}, Match: headers.Regexp, Values: []string{`^[12]\b|^high$`}, Action: headers.Change, Edit: headers.Edit{Value: "normal"}},
		{Name: "reply-to", Fields: []string{"Reply-To"}, Match: headers.Missing, Action: headers.Change, Edit: headers.Edit{Name: "Reply-To", Value: "{from}"}},
		{Name: "twice", Fields: []string{"Subject", "Date", "From"}, Match: headers.MoreThan, N: 1, Action: headers.Remove},
		{Name: "unknown charset", Fields: []string{"*"}, Part: headers.Charset, Match: headers.Glob, Values: []string{"x-*"}, Action: headers.Note},
		{Name: "hold", Fields: []string{"From"}, Part: headers.Address, Match: headers.Suffix, Values: []string{"@example.org"}, Not: true, Action: headers.Quarantine, Text: "odd sender"},
		{Name: "never", Fields: []string{"*"}, Match: headers.Present, Action: headers.Reject},
	}
	text := "X-Spam-Flag: YES\nFrom: A <a@example.com>\nSubject: Viele =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nX-SPAM-Score: 9\nX-Priority: 1 (Highest)\nImportance: High\nX-Priority: 3\n" +
		"List-Id: The club <club.example.com>\nSubject: second\nComments: =?x-klingon?q?qapla?=\nX-Spam-Flag: NO\nDate: Sun, 22 Nov 2026 12:00:00 +0000\n"
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		r, x := play(t, profile, rules, headers.Options{}, outside(text))
		var b strings.Builder
		fmt.Fprintf(&b, "%v\n", r.Verdict)
		if r.Quarantine != nil {
			fmt.Fprintf(&b, "held: %s\n", *r.Quarantine)
		}
		fmt.Fprintf(&b, "\n%s\n%s\n", header(r), strings.ReplaceAll(x.Filters[0].Why, "; rule", "\nrule"))
		golden(t, "testdata/actions-"+profile.String()+".want", b.String())
	})
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestDecisions(t *testing.T) {
	rule := headers.Rule{Name: "r", Fields: []string{"Subject"}, Match: headers.Regexp, Values: []string{`bad (.*)`}}
	tag := headers.Rule{Fields: []string{"Subject"}, Match: headers.Present, Action: headers.Tag, Edit: headers.Edit{Value: "[x]"}}
	long := strings.Repeat("w\x1b", 100)
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		for _, tt := range []struct {
			name    string
			change  func(*headers.Rule)
			text    string
			verdict mta.Verdict
			told    string
		}{
			{"default refusal", func(r *headers.Rule) { r.Action = headers.Reject }, "bad x", mta.Reject, "550 5.7.1 a header field of this message is not accepted here"},
			{"default tempfail", func(r *headers.Rule) { r.Action = headers.TempFail }, "bad x", mta.TempFail, "451 4.7.1 a header field of this message is not accepted here"},
			{"own code and text", func(r *headers.Rule) { r.Action, r.Code, r.Enhanced, r.Text = headers.Reject, 554, "5.6.0", "100% no" }, "bad x", mta.Reject, "554 5.6.0 100% no"},
			{"template", func(r *headers.Rule) { r.Action, r.Text = headers.Reject, "{field} has {1} {{{value}}" }, "bad w\xc3\xb6rd", mta.Reject, "550 5.7.1 Subject has w?rd {[x] bad w?rd}"},
			{"template of much", func(r *headers.Rule) { r.Action, r.Text = headers.Reject, "{1}" }, "bad " + long, mta.Reject, "550 5.7.1 " + strings.Repeat("w", 64) + "..."},
			{"discard", func(r *headers.Rule) { r.Action = headers.Discard }, "bad x", mta.Discard, ""},
			{"no match", func(r *headers.Rule) { r.Action = headers.Reject }, "good", mta.Accept, ""},
		} {
			r := rule
			tt.change(&r)
			res, _ := play(t, profile, []headers.Rule{tag, r}, headers.Options{}, outside("Subject: "+tt.text))
			if got := ref.ReplaceAllString(res.Told(), ""); res.Verdict != tt.verdict || got != tt.told {
				t.Errorf("%s: %v %q, want %v %q", tt.name, res.Verdict, got, tt.verdict, tt.told)
			}
			if tt.verdict != mta.Accept && len(res.Edits) > 0 {
				t.Errorf("%s: edits %v of a message that is not delivered", tt.name, res.Edits)
			}
		}
	})
}

// Fields are looked at in every part, and compared in every way.
func TestMatches(t *testing.T) {
	const text = "Subject: =?utf-8?q?Caf=C3=A9?= au lait\nFrom: \"Doe, J\" <J.Doe@Example.COM>, \"=?utf-8?q?Ren=C3=A9?=\" <rene@example.net>\n" +
		"X-Raw: a\n\tb \xff\nTo: undisclosed:;\nX-Big: " + "=?KOI8-R?q?x?= =?GB2312?b?eA==?=\n"
	re := func(s ...string) headers.Rule { return headers.Rule{Match: headers.Regexp, Values: s} }
	for _, tt := range []struct {
		name  string
		field string
		rule  headers.Rule
		want  bool
	}{
		{"equal in any case", "subject", headers.Rule{Values: []string{"x", "CAFÉ AU LAIT"}}, true},
		{"equal in its case", "subject", headers.Rule{Values: []string{"CAFÉ AU LAIT"}, CaseSensitive: true}, false},
		{"equal is all", "subject", headers.Rule{Values: []string{"café"}}, false},
		{"contains", "SUBJECT", headers.Rule{Match: headers.Contains, Values: []string{"FÉ A"}}, true},
		{"prefix", "Subject", headers.Rule{Match: headers.Prefix, Values: []string{"cafÉ"}}, true},
		{"suffix", "Subject", headers.Rule{Match: headers.Suffix, Values: []string{"LAIT"}}, true},
		{"suffix is no prefix", "Subject", headers.Rule{Match: headers.Suffix, Values: []string{"café"}}, false},
		{"glob", "Subject", headers.Rule{Match: headers.Glob, Values: []string{"c?f? *t"}}, true},
		{"glob is all", "Subject", headers.Rule{Match: headers.Glob, Values: []string{"c?f?"}}, false},
		{"glob quotes", "Subject", headers.Rule{Match: headers.Glob, Values: []string{"caf. *"}}, false},
		{"regexp", "Subject", re(`^caf\pL`), true},
		{"regexp in its case", "Subject", headers.Rule{Match: headers.Regexp, Values: []string{`^caf`}, CaseSensitive: true}, false},
		{"longer", "Subject", headers.Rule{Match: headers.Longer, N: 11}, true},
		{"not longer", "Subject", headers.Rule{Match: headers.Longer, N: 12}, false},
		{"shorter", "Subject", headers.Rule{Match: headers.Shorter, N: 13}, true},
		{"not shorter", "Subject", headers.Rule{Match: headers.Shorter, N: 12}, false},
		{"raw bytes", "X-Raw", headers.Rule{Part: headers.Raw, Values: []string{"A\n\tB \xff"}}, true},
		{"raw glob", "X-Raw", headers.Rule{Part: headers.Raw, Match: headers.Glob, Values: []string{"a*\xff"}}, true},
		{"raw bytes counted", "X-Raw", headers.Rule{Part: headers.Raw, Match: headers.Longer, N: 5}, true},
		{"decoded", "X-Raw", headers.Rule{Values: []string{"a b ÿ"}}, true},
		{"raw is not decoded", "Subject", headers.Rule{Part: headers.Raw, Match: headers.Contains, Values: []string{"é"}}, false},
		{"first address", "From", headers.Rule{Part: headers.Address, Values: []string{"j.doe@example.com"}}, true},
		{"second address", "From", headers.Rule{Part: headers.Address, Values: []string{"rene@example.net"}}, true},
		{"a name is no address", "From", headers.Rule{Part: headers.Address, Match: headers.Contains, Values: []string{"doe, j"}}, false},
		{"name", "From", headers.Rule{Part: headers.DisplayName, Values: []string{"doe, j"}}, true},
		{"encoded name in quotes", "From", headers.Rule{Part: headers.DisplayName, Values: []string{"RENÉ"}}, true},
		{"no address", "To", headers.Rule{Part: headers.Address, Match: headers.Glob, Values: []string{"*"}}, false},
		{"no address, turned around", "To", headers.Rule{Part: headers.Address, Match: headers.Glob, Values: []string{"*"}, Not: true}, true},
		{"not, and one does", "From", headers.Rule{Part: headers.Address, Values: []string{"rene@example.net"}, Not: true}, false},
		{"charset", "X-Big", headers.Rule{Part: headers.Charset, Values: []string{"gb2312"}, CaseSensitive: true}, true},
		{"other charset", "X-Big", headers.Rule{Part: headers.Charset, Values: []string{"big5"}}, false},
		{"name of the field", "*", headers.Rule{Part: headers.Name, Match: headers.Suffix, Values: []string{"-raw"}}, true},
		{"wildcards in names", "x-?a*", headers.Rule{Part: headers.Name, Values: []string{"X-Raw"}, CaseSensitive: true}, true},
		{"wildcards are for all of the name", "x-?a", headers.Rule{Match: headers.Present}, false},
		{"present", "from", headers.Rule{Match: headers.Present}, true},
		{"not present", "fro", headers.Rule{Match: headers.Present}, false},
		{"missing", "Date", headers.Rule{Match: headers.Missing}, true},
		{"not missing", "To", headers.Rule{Match: headers.Missing}, false},
		{"none", "*", headers.Rule{Match: headers.Contains, Values: []string{"tea"}, None: true}, true},
		{"not none", "*", headers.Rule{Match: headers.Contains, Values: []string{"lait"}, None: true}, false},
		{"none of no fields", "Date", headers.Rule{Match: headers.Contains, Values: []string{"lait"}, None: true}, true},
		{"other class", "Subject", headers.Rule{Match: headers.Present, Classes: []filter.Class{filter.Internal, filter.Authenticated}}, false},
		{"class", "Subject", headers.Rule{Match: headers.Present, Classes: []filter.Class{filter.Internal, filter.External}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.rule
			r.Fields, r.Action = []string{tt.field}, headers.Reject
			res, x := play(t, mta.Postfix, []headers.Rule{r}, headers.Options{}, outside(text))
			if got := res.Verdict == mta.Reject; got != tt.want {
				t.Errorf("%+v matches: %v, want %v; %+v", r, got, tt.want, x.Filters)
			}
		})
	}
}

func TestMoreThan(t *testing.T) {
	rules := []headers.Rule{{Fields: []string{"From", "Subject", "X-*"}, Match: headers.MoreThan, N: 1, Action: headers.Remove}}
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		r, _ := play(t, profile, rules, headers.Options{}, outside("From: a@b.example\nX-A: 1\nsubject: one\nX-B: 1\nFROM: b@b.example\nSubject: two\nx-a: 2\nSubject: three\nTo: a\nTo: b\n"))
		if want := "From: a@b.example\nX-A: 1\nsubject: one\nX-B: 1\nTo: a\nTo: b\n"; header(r) != want {
			t.Errorf("header is %q, want %q", header(r), want)
		}
	})
}

func TestEdits(t *testing.T) {
	present := func(field string, a headers.Action, e headers.Edit) headers.Rule {
		return headers.Rule{Fields: []string{field}, Match: headers.Present, Action: a, Edit: e}
	}
	sub := func(field, re, value string) headers.Rule {
		return headers.Rule{Fields: []string{field}, Match: headers.Regexp, Values: []string{re}, Action: headers.Change, Edit: headers.Edit{Value: value}}
	}
	raw := func(r headers.Rule) headers.Rule { r.Part = headers.Raw; return r }
	tag := func(s string) headers.Rule { return present("*", headers.Tag, headers.Edit{Value: s}) }
	words := strings.TrimSpace(strings.Repeat("word ", 40))
	for _, tt := range []struct {
		name  string
		rules []headers.Rule
		text  string
		want  string
	}{
		{"several of a name", []headers.Rule{sub("X-A", "^[24]$", "{value}!"), {Fields: []string{"X-A"}, Values: []string{"1", "3"}, Action: headers.Remove}},
			"X-A: 1\nX-B: 1\nX-A: 2\nx-a: 3\nX-A: 4\nX-A: 5\n", "X-B: 1\nX-A: 2!\nX-A: 4!\nX-A: 5\n"},
		{"rules see what those before them did", []headers.Rule{sub("Subject", `^\[EXT\] (.*)`, "{1}"), tag("[EXT]"), sub("Subject", "x", "[EXT] y")}, "Subject: [EXT] x\n", "Subject: [EXT] y\n"},
		{"an edit undone is none", []headers.Rule{sub("Subject", "^a$", "b"), sub("Subject", "^b$", "a")}, "Subject: a\n", "Subject: a\n"},
		{"added and removed", []headers.Rule{present("Subject", headers.Add, headers.Edit{Name: "X-A", Value: "1"}), present("X-A", headers.Remove, headers.Edit{})}, "Subject: a\n", "Subject: a\n"},
		{"added and changed", []headers.Rule{present("Subject", headers.Add, headers.Edit{Name: "X-A", Value: "1"}), sub("X-A", "1", "2")}, "Subject: a\n", "Subject: a\nX-A: 2\n"},
		{"added once", []headers.Rule{present("X-*", headers.Add, headers.Edit{Name: "X-A", Value: "{field}"})}, "X-B: 1\nX-C: 2\n", "X-B: 1\nX-C: 2\nX-A: X-B\n"},
		{"places", []headers.Rule{present("X", headers.Add, headers.Edit{Name: "A", Value: "1", Position: 2}), present("X", headers.Add, headers.Edit{Name: "B", Value: "2", Position: headers.Top}),
			present("X", headers.Add, headers.Edit{Name: "C", Value: "3", Position: headers.Top})}, "X: 1\nY: 2\n", "C: 3\nB: 2\nX: 1\nA: 1\nY: 2\n"},
		{"changed to nothing", []headers.Rule{sub("Subject", "^remove me(.*)", "{1}")}, "Subject: remove me\nX: 1\n", "X: 1\n"},
		{"nothing to add", []headers.Rule{{Fields: []string{"Subject"}, Match: headers.Regexp, Values: []string{"(x?)"}, Action: headers.Add, Edit: headers.Edit{Name: "A", Value: "{1}"}}}, "Subject: a\n", "Subject: a\n"},
		{"other field", []headers.Rule{present("X", headers.Change, headers.Edit{Name: "Y", Value: "{value}"})}, "Y: 1\nX: new\ny: 2\n", "Y: new\nX: new\n"},
		{"other field that is not there", []headers.Rule{present("X", headers.Change, headers.Edit{Name: "Y", Value: "{value}"})}, "X: new\n", "X: new\nY: new\n"},
		{"other field removed", []headers.Rule{present("X", headers.Remove, headers.Edit{Name: "Y"})}, "Y: 1\nX: new\ny: 2\n", "X: new\n"},
		{"tag", []headers.Rule{tag("[EXT]")}, "Subject: hello\n", "Subject: [EXT] hello\n"},
		{"tag, each subject", []headers.Rule{tag("[EXT]")}, "Subject: a\nsubject:b\n", "Subject: [EXT] a\nsubject: [EXT] b\n"},
		{"tag, no subject", []headers.Rule{tag("[EXT]")}, "To: a@b.example\n", "To: a@b.example\nSubject: [EXT]\n"},
		{"tag, empty subject", []headers.Rule{tag("[EXT]")}, "Subject:\nX: 1\n", "Subject: [EXT]\nX: 1\n"},
		{"tag that is there", []headers.Rule{tag("[EXT]")}, "Subject: [ext] hello\n", "Subject: [ext] hello\n"},
		{"tag in an answer", []headers.Rule{tag("[EXT]")}, "Subject: Re: AW[2]: [EXT] hello\n", "Subject: Re: AW[2]: [EXT] hello\n"},
		{"tag that is encoded", []headers.Rule{tag("[EXT]")}, "Subject: =?utf-8?q?=5BEXT=5D_hello?=\n", "Subject: =?utf-8?q?=5BEXT=5D_hello?=\n"},
		{"tag that is elsewhere", []headers.Rule{tag("[EXT]")}, "Subject: about [EXT]\n", "Subject: [EXT] about [EXT]\n"},
		{"tag twice", []headers.Rule{tag("[EXT]"), tag("[EXT]")}, "Subject: hello\n", "Subject: [EXT] hello\n"},
		{"tag leaves encoded words", []headers.Rule{tag("[EXT]")}, "Subject: =?iso-2022-kr?b?GyQpQw==?=\n\tx\n", "Subject: [EXT] =?iso-2022-kr?b?GyQpQw==?=\n\tx\n"},
		{"tag before a long line", []headers.Rule{tag("[EXT]")}, "Subject: " + strings.Repeat("x", 70) + "\n", "Subject: [EXT]\n " + strings.Repeat("x", 70) + "\n"},
		{"tag encodes bytes", []headers.Rule{tag("[EXT]")}, "Subject: gr\xfcn\n", "Subject: [EXT] =?utf-8?b?Z3LDvG4=?=\n"},
		{"tag that is not ASCII", []headers.Rule{tag("⚠")}, "Subject: =?utf-8?q?x=C3=BC?=\n", "Subject: =?utf-8?b?4pqgIHjDvA==?=\n"},
		{"tag before more than a line", []headers.Rule{tag("[EXT]")}, "Subject: " + strings.Repeat("long ", 250) + "\n", ""},
		{"value that is not ASCII", []headers.Rule{sub("Subject", "a", "grün")}, "Subject: a\n", "Subject: =?utf-8?b?Z3LDvG4=?=\n"},
		{"controls", []headers.Rule{sub("Subject", "a", "a\r\nBcc: x\x00y")}, "Subject: a\n", "Subject: a  Bcc: x y\n"},
		{"folded", []headers.Rule{sub("Subject", "^a$", words)}, "Subject: a\n", ""},
		{"raw keeps encoded words", []headers.Rule{raw(sub("From", `(?s)^(.*) <.*>$`, `{1} <masked@example.net>`))}, "From: =?utf-8?q?J=2C_evil=40x=2Eexample?= <a@b.example>\n",
			"From: =?utf-8?q?J=2C_evil=40x=2Eexample?= <masked@example.net>\n"},
		{"raw encodes bytes", []headers.Rule{raw(sub("X", "^", "{value} x"))}, "X: a\n gr\xfcn blau\xe4 b\n", "X: a =?utf-8?b?Z3LDvG4gYmxhdcOk?= b x\n"},
		{"blanks before the colon", []headers.Rule{sub("Subject", "a", "b")}, "Subject: a\n", "Subject: b\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
				r, x := play(t, profile, tt.rules, headers.Options{}, outside(tt.text))
				got := header(r)
				if tt.want != "" && got != tt.want {
					t.Errorf("%q becomes %q, want %q; %+v", tt.text, got, tt.want, x.Filters)
				}
				if tt.want == tt.text && len(x.Filters[0].Edits) > 0 {
					t.Errorf("edits %v where nothing changes", x.Filters[0].Edits)
				}
				for line := range strings.Lines(got) {
					if len(line) > 100 {
						t.Errorf("line of %d bytes in %q", len(line), got)
					}
				}
			})
		})
	}
}

// A field that no MTA could be told of stays, and the explanation says so.
func TestNamesThatCannotBeEdited(t *testing.T) {
	rules := []headers.Rule{{Name: "r", Fields: []string{"X*"}, Match: headers.Present, Action: headers.Remove}}
	long := strings.Repeat("X", 997) + ": 3\n"
	r, x := play(t, mta.Postfix, rules, headers.Options{}, outside("X-A: 2\n"+long))
	if got := header(r); got != long {
		t.Errorf("header is %q", got)
	}
	if why := x.Filters[0].Why; !strings.Contains(why, `XXX" stays: its name is longer than 996 bytes`) {
		t.Errorf("explanation is %q", why)
	}
}

func TestLimits(t *testing.T) {
	far := strings.Repeat("x", 1000) + "needle"
	find := []headers.Rule{{Fields: []string{"Subject"}, Match: headers.Contains, Values: []string{"needle"}, Action: headers.Reject}}
	grow := []headers.Rule{{Fields: []string{"Subject"}, Match: headers.Present, Action: headers.Change, Edit: headers.Edit{Value: "{value} {value}"}}}
	for range 14 {
		grow = append(grow, grow[0])
	}
	many := []headers.Rule{{Fields: []string{"X-A"}, Match: headers.Present, Action: headers.Change, Edit: headers.Edit{Value: strings.Repeat("word ", 800)}}}
	tag := []headers.Rule{{Fields: []string{"Subject"}, Match: headers.Present, Action: headers.Tag, Edit: headers.Edit{Value: "[EXT]"}}}
	for _, tt := range []struct {
		name  string
		rules []headers.Rule
		o     headers.Options
		text  string
		want  mta.Verdict
	}{
		{"within MaxValue", find, headers.Options{}, "Subject: " + far, mta.Reject},
		{"behind MaxValue", find, headers.Options{MaxValue: 1000}, "Subject: " + far, mta.Accept},
		{"behind the default", find, headers.Options{}, "Subject: " + strings.Repeat(strings.Repeat("x", 900)+"\n ", 75) + "needle", mta.Accept},
		{"within MaxEdits", grow, headers.Options{}, "Subject: word", mta.Accept},
		{"beyond the default", many, headers.Options{}, strings.Repeat("X-A: 1\n", 300), mta.TempFail},
		{"beyond MaxEdits", grow, headers.Options{MaxEdits: 5000}, "Subject: word", mta.TempFail},
		// Edits that would not fit a packet are cut before.
		{"worst text to encode", tag, headers.Options{}, "Subject: " + strings.Repeat(strings.Repeat("=? a ", 150)+"\n ", 80), mta.Accept},
		{"bytes to encode", tag, headers.Options{}, "Subject: " + strings.Repeat(strings.Repeat("\xff a ", 150)+"\n ", 80), mta.Accept},
		{"a packet full of ASCII", tag, headers.Options{}, "Subject: " + strings.Repeat(strings.Repeat("word ", 180)+"\n ", 72) + strings.Repeat("x", 576), mta.Accept},
		{"values stay below MaxValue", grow, headers.Options{MaxValue: 50, MaxEdits: 5000}, "Subject: word", mta.Accept},
	} {
		r, x := play(t, mta.Postfix, tt.rules, tt.o, outside(tt.text))
		if r.Verdict != tt.want {
			t.Errorf("%s: %v, want %v; %+v", tt.name, r.Verdict, tt.want, x.Filters)
		}
		if tt.want == mta.TempFail && !strings.Contains(x.Filters[0].Failed, headers.ErrEdits.Error()) {
			t.Errorf("%s: failed with %q, want ErrEdits", tt.name, x.Filters[0].Failed)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := headers.Rule{Name: "r", Fields: []string{"Subject"}, Values: []string{"x"}, Action: headers.Reject}
	add := headers.Edit{Name: "X-A", Value: "1"}
	for _, tt := range []struct {
		name   string
		change func(*headers.Rule)
		want   string
	}{
		{"no action", func(r *headers.Rule) { r.Action = 0 }, "no action"},
		{"unknown action", func(r *headers.Rule) { r.Action = 99 }, "there is no such thing"},
		{"unknown match", func(r *headers.Rule) { r.Match = 99 }, "there is no such thing"},
		{"no field", func(r *headers.Rule) { r.Fields = nil }, "needs fields"},
		{"bad field", func(r *headers.Rule) { r.Fields = []string{"Subject:"} }, "no name of a field"},
		{"no values", func(r *headers.Rule) { r.Values = nil }, "needs values"},
		{"empty value", func(r *headers.Rule) { r.Values = []string{""} }, "empty"},
		{"values too many", func(r *headers.Rule) { r.Match = headers.Present }, "takes no values"},
		{"number too many", func(r *headers.Rule) { r.N = 3 }, "takes no number"},
		{"number missing", func(r *headers.Rule) { r.Match, r.Values = headers.MoreThan, nil }, "number above 0"},
		{"negative", func(r *headers.Rule) { r.Match, r.Values, r.N = headers.Longer, nil, -1 }, "number above 0"},
		{"bad regexp", func(r *headers.Rule) { r.Match, r.Values = headers.Regexp, []string{"("} }, "missing closing )"},
		{"huge regexp", func(r *headers.Rule) { r.Match, r.Values = headers.Regexp, []string{"((x{1000}){1000}){1000}"} }, "invalid repeat count"},
		{"part of present", func(r *headers.Rule) { r.Match, r.Values, r.Part = headers.Present, nil, headers.Raw }, "looks at no part"},
		{"sender domain of a value", func(r *headers.Rule) { r.Match, r.Values = headers.SenderDomain, nil }, "looks at part address"},
		{"not present", func(r *headers.Rule) { r.Match, r.Values, r.Not = headers.Present, nil, true }, "turned around"},
		{"none missing", func(r *headers.Rule) { r.Match, r.Values, r.None = headers.Missing, nil, true }, "says nothing"},
		{"bad code", func(r *headers.Rule) { r.Code = 450 }, "code 450"},
		{"bad enhanced code", func(r *headers.Rule) { r.Enhanced = "4.7.1" }, "enhanced code"},
		{"bad text", func(r *headers.Rule) { r.Text = "a\x07" }, "control character"},
		{"long text", func(r *headers.Rule) { r.Text = strings.Repeat("x", 1001) }, "1000 bytes"},
		{"bad template", func(r *headers.Rule) { r.Text = "{sender}" }, "{sender} stands for nothing"},
		{"open template", func(r *headers.Rule) { r.Text = "{value" }, "not closed"},
		{"group without regexp", func(r *headers.Rule) { r.Text = "{1}" }, "{1} is for match regexp"},
		{"no such group", func(r *headers.Rule) { r.Match, r.Values, r.Text = headers.Regexp, []string{"(a)"}, "{2}" }, "no group {2}"},
		{"value of none", func(r *headers.Rule) { r.None, r.Text = true, "{value}" }, "no {value}"},
		{"text of an edit", func(r *headers.Rule) { r.Action, r.Edit, r.Text = headers.Add, add, "x" }, "for refusals only"},
		{"edit of a refusal", func(r *headers.Rule) { r.Edit = add }, "edits nothing"},
		{"add without value", func(r *headers.Rule) { r.Action, r.Edit = headers.Add, headers.Edit{Name: "X"} }, "needs a name and a value"},
		{"add with a bad name", func(r *headers.Rule) { r.Action, r.Edit = headers.Add, headers.Edit{Name: "X Y", Value: "1"} }, "no name of a field to write"},
		{"add with a wildcard", func(r *headers.Rule) { r.Action, r.Edit = headers.Add, headers.Edit{Name: "X-*", Value: "1"} }, "no name of a field to write"},
		{"bad position", func(r *headers.Rule) { r.Action, r.Edit = headers.Add, add; r.Edit.Position = -2 }, "position -2"},
		{"position of a change", func(r *headers.Rule) { r.Action, r.Edit = headers.Change, add; r.Edit.Position = 1 }, "position 1"},
		{"tag without value", func(r *headers.Rule) { r.Action = headers.Tag }, "tag needs a value"},
		{"tag of another field", func(r *headers.Rule) { r.Action, r.Edit = headers.Tag, add }, "for the Subject"},
		{"remove with value", func(r *headers.Rule) { r.Action, r.Edit = headers.Remove, add }, "takes no value"},
		{"nothing to remove", func(r *headers.Rule) { r.Action, r.None = headers.Remove, true }, "no field to remove"},
		{"nothing to change", func(r *headers.Rule) { r.Action, r.None, r.Edit.Value = headers.Change, true, "x" }, "no field to change"},
		{"edit for some recipients", func(r *headers.Rule) { r.Action, r.Edit, r.Rcpts = headers.Add, add, []string{"a@b"} }, "recipients alone"},
		{"recipients in one", func(r *headers.Rule) { r.Rcpts = []string{"ok@b", "a@b, c@d"} }, `"a@b, c@d" has blanks`},
		{"recipient with a line end", func(r *headers.Rule) { r.Rcpts = []string{"a@b\n"} }, "has blanks"},
		{"recipient with a blank", func(r *headers.Rule) { r.Rcpts = []string{" a@b"} }, "has blanks"},
		{"recipient discarded", func(r *headers.Rule) { r.Fields, r.Part, r.Action = nil, headers.Recipient, headers.Discard }, "can only be refused"},
		{"recipient with fields", func(r *headers.Rule) { r.Part = headers.Recipient }, "needs fields, unless"},
		{"decoded into From", func(r *headers.Rule) {
			r.Fields, r.Action, r.Edit.Value = []string{"Fr?m"}, headers.Change, "x {value}"
		}, "cannot be written into From"},
		{"decoded into another From", func(r *headers.Rule) { r.Action, r.Edit = headers.Add, headers.Edit{Name: "from", Value: "{value}"} }, "cannot be written into From"},
		{"long name", func(r *headers.Rule) { r.Name = strings.Repeat("n", 65) }, "its name"},
		{"reason with controls", func(r *headers.Rule) { r.Action, r.Text = headers.Quarantine, "a\nb" }, "the reason"},
	} {
		r := good
		tt.change(&r)
		f, err := headers.New("headers", []headers.Rule{good, r}, headers.Options{})
		if f != nil || !errors.Is(err, headers.ErrRule) || !strings.Contains(fmt.Sprint(err), tt.want) {
			t.Errorf("%s: error is %v, want %q in it", tt.name, err, tt.want)
		}
	}
	if _, err := headers.New("headers", []headers.Rule{{Action: headers.Note}, good, {}}, headers.Options{MaxValue: -1}); err == nil ||
		!strings.Contains(err.Error(), `"1": it needs fields`) || !strings.Contains(err.Error(), `"3": it has no action`) || !strings.Contains(err.Error(), "less than 0") {
		t.Errorf("error %v does not tell of all mistakes", err)
	}
}

// Of two rules that refuse a recipient the first has the word.
func TestRcptsOfSeveralRules(t *testing.T) {
	rules := []headers.Rule{headers.Forwards("a@example.net"), headers.Forwards("*@example.net")}
	rules[1].Text = "the second"
	for rcpts, want := range map[string][]string{
		"<a@example.net> <b@example.net> <c@example.org>": {"this recipient takes no forwarded mail", "the second", ""},
		"<c@example.org> <A@EXAMPLE.NET>":                 {"", "this recipient takes no forwarded mail"},
	} {
		_, x := play(t, mta.Postfix, rules, headers.Options{}, miltertest.Mail{Text: "Subject: Fwd: x", Rcpts: strings.Fields(rcpts)})
		var got []string
		for _, to := range x.Recipients {
			text := ""
			if to.Reply != nil {
				text = to.Reply.Text[0]
			}
			got = append(got, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s; %+v", rcpts, diff, x.Filters)
		}
	}
}

func TestQuarantineReason(t *testing.T) {
	rule := headers.Rule{Name: "odd", Fields: []string{"Subject"}, Match: headers.Present, Action: headers.Quarantine}
	for text, want := range map[string]string{"": "header rule odd", "too odd": "too odd"} {
		rule.Text = text
		miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
			if r, _ := play(t, profile, []headers.Rule{rule}, headers.Options{}, outside("Subject: x")); r.Quarantine == nil || *r.Quarantine != want {
				t.Errorf("held for %v, want %q", r.Quarantine, want)
			}
		})
	}
}

// What is written into a configuration is read again.
func TestWords(t *testing.T) {
	for i := range uint8(20) {
		var p headers.Part
		if b, err := headers.Part(i).MarshalText(); (err == nil) != (i <= uint8(headers.Recipient)) || err == nil && (p.UnmarshalText(b) != nil || p != headers.Part(i)) {
			t.Errorf("part %d is written %q, %v and read %v", i, b, err, p)
		}
		var m headers.Match
		if b, err := headers.Match(i).MarshalText(); (err == nil) != (i <= uint8(headers.SenderDomain)) || err == nil && (m.UnmarshalText(b) != nil || m != headers.Match(i)) {
			t.Errorf("match %d is written %q, %v and read %v", i, b, err, m)
		}
		var a headers.Action
		if b, err := headers.Action(i).MarshalText(); (err == nil) != (i > 0 && i <= uint8(headers.Note)) || err == nil && (a.UnmarshalText(b) != nil || a != headers.Action(i)) {
			t.Errorf("action %d is written %q, %v and read %v", i, b, err, a)
		}
	}
	var a headers.Action
	if err := a.UnmarshalText(nil); err == nil {
		t.Error("an empty action is read")
	}
}

// A filter asks for no more than its rules can do.
func TestNeeds(t *testing.T) {
	for want, r := range map[milter.Actions]headers.Rule{
		0:                       {Action: headers.Reject},
		milter.CanQuarantine:    {Action: headers.Quarantine},
		milter.CanAddHeaders:    {Action: headers.Add, Edit: headers.Edit{Name: "X", Value: "1"}},
		milter.CanChangeHeaders: {Action: headers.Remove},
		milter.CanAddHeaders | milter.CanChangeHeaders: {Action: headers.Tag, Edit: headers.Edit{Value: "x"}},
	} {
		r.Fields, r.Match = []string{"Subject"}, headers.Present
		f, err := headers.New("headers", []headers.Rule{r}, headers.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if f.Needs.Actions != want || f.Needs.Body || !f.Needs.Header || f.Rcpt != nil {
			t.Errorf("%v needs %+v, want actions %v and the header alone", r.Action, f.Needs, want)
		}
	}
	f, err := headers.New("headers", nil, headers.Options{})
	if err != nil || f.Message != nil || f.Needs.Header {
		t.Errorf("no rules: %+v, %v, want a filter that needs nothing", f, err)
	}
}
