package dsn

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gomilter/gomilter/address"
)

// owner knows tokens with the word good in them, in any case.
func owner(token string) (address.Path, bool) {
	return address.Path{Local: "jane", Domain: "example.com"}, strings.Contains(strings.ToLower(token), "good")
}

// show returns what a report says, a line for each thing that it says.
func show(r *Report, err error) string {
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	var b strings.Builder
	put := func(name string, v any, is bool) {
		if is {
			fmt.Fprintf(&b, "%s: %v\n", name, v)
		}
	}
	put("format", r.Format, true)
	put("failed", r.Failed(), true)
	put("reporting mta", r.ReportingMTA, r.ReportingMTA != "")
	put("envelope id", r.EnvelopeID, r.EnvelopeID != "")
	put("arrival", r.Arrival.Format(time.RFC3339), !r.Arrival.IsZero())
	put("original id", r.OriginalID, r.OriginalID != "")
	put("ours, of", r.Owner, r.Ours)
	put("limited", r.Limited, r.Limited)
	for _, o := range r.Outcomes {
		b.WriteString("\n")
		put("final", o.Final, o.Final != "")
		put("original", o.Original, o.Original != "")
		put("action", o.Action, true)
		put("status", o.Status, true)
		put("diagnostic", o.Diagnostic, o.Diagnostic != "")
		put("remote mta", o.RemoteMTA, o.RemoteMTA != "")
		put("retry until", o.RetryUntil.Format(time.RFC3339), !o.RetryUntil.IsZero())
	}
	return b.String()
}

func TestReports(t *testing.T) {
	files, err := filepath.Glob("testdata/reports/*.eml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".eml")
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// An MTA delivers CRLF.
			for _, end := range []string{"\n", "\r\n"} {
				text := strings.ReplaceAll(string(b), "\n", end)
				golden(t, "reports/"+name+".want", []byte(show(Parse(strings.NewReader(text), &ParseOptions{Owner: owner}))))
			}
		})
	}
}

func TestParseComposed(t *testing.T) {
	n := notice()
	n.Recipients[0].Action, n.Recipients[0].Status = Failed, "5.7.23"
	c := fixed()
	c.Sign = func(to address.Path) (string, error) { return "good=" + to.String(), nil }
	m := compose(t, c, n)
	got := show(Parse(bytes.NewReader(m.Data), &ParseOptions{Owner: owner}))
	want := `format: rfc3464
failed: true
reporting mta: mx.example.net
envelope id: Q+7
arrival: 2026-05-04T11:58:00+02:00
original id: 1@example.com

final: joe@example.net
original: joe+x@example.net
action: failed
status: 5.7.23
diagnostic: 451 4.7.23 SPF: softfail
remote mta: store.example.net
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestNullSenderMakesWordsAReport(t *testing.T) {
	b, err := os.ReadFile("testdata/reports/none-question.eml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(bytes.NewReader(b), &ParseOptions{NullSender: true})
	if err != nil || r.Format != "qmail" || len(r.Outcomes) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// report returns an RFC 3464 report with the machine's part given.
func report(status string) string {
	return "From: <>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" + status + "\r\n--b--\r\n"
}

func TestParseIsBounded(t *testing.T) {
	one := "Final-Recipient: rfc822; a@example.com\r\nAction: failed\r\n\r\n"
	ids := ""
	for i := range 1000 {
		ids += fmt.Sprintf(" <SRS0=%d@x>\r\n", i)
	}
	for _, tt := range []struct {
		name, in string
		o        ParseOptions
		outcomes int
	}{
		{"recipients by default", report(strings.Repeat(one, 1001)), ParseOptions{}, 1000},
		{"recipients", report(strings.Repeat(one, 4)), ParseOptions{MaxRecipients: 3}, 3},
		{"the machine's part by default", report(one + strings.Repeat("x", 300<<10) + "\r\n\r\n" + one), ParseOptions{}, 1},
		{"the machine's part", report(one + strings.Repeat("x", 100) + "\r\n\r\n" + one), ParseOptions{MaxStatus: 100}, 1},
		{"the message by default", report(one) + strings.Repeat("x", 4<<20), ParseOptions{}, 1},
		{"the message", report(one + one), ParseOptions{MaxSize: int64(len(report(one)))}, 1},
		{"tokens", strings.Replace(report(one), "From", "References:"+ids+"From", 1), ParseOptions{}, 1},
		{"texts", strings.Replace(report(one), "--b--", strings.Repeat("--b\r\n\r\ntext\r\n", 5)+"--b--", 1), ParseOptions{}, 1},
		{"recipients in words", "From: MAILER-DAEMON\r\n\r\nHi. This is the qmail-send program at x\r\n" + strings.Repeat("<a@example.com>: no\r\n<b@example.com>: no\r\n<c@example.com>: no\r\n", 10), ParseOptions{MaxRecipients: 2}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			tt.o.Owner = func(string) (address.Path, bool) { calls++; return address.Path{}, false }
			r, err := Parse(strings.NewReader(tt.in), &tt.o)
			if err != nil || !r.Limited || len(r.Outcomes) != tt.outcomes || calls > maxCandidates {
				t.Errorf("error %v, limited %v, %d outcomes, want %d; %d tokens tried", err, r != nil && r.Limited, len(r.Outcomes), tt.outcomes, calls)
			}
		})
	}
}

func TestEachTokenIsTriedOnce(t *testing.T) {
	var tried []string
	in := "References: <SRS0=a@x> <SRS0=b@x>\r\n\t<SRS0=a@x>\r\nIn-Reply-To: <SRS0=b@x>\r\n" + report("Final-Recipient: rfc822; a@x\r\n")
	_, err := Parse(strings.NewReader(in), &ParseOptions{Owner: func(s string) (address.Path, bool) { tried = append(tried, s); return address.Path{}, false }})
	if got := strings.Join(tried, " "); err != nil || got != "SRS0=a SRS0=b" {
		t.Errorf("tried %q, error %v", got, err)
	}
}

func TestParsedTextIsBounded(t *testing.T) {
	long := strings.Repeat("y", 100_000)
	for name, in := range map[string]string{
		"fields": report("Reporting-MTA: dns; " + long + "\r\nOriginal-Envelope-Id: " + long + "\r\n\r\nFinal-Recipient: rfc822; " + long + "@x\r\nAction: " + long + "\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; " + long + "\r\nRemote-MTA: " + long + "\r\n"),
		"folded": report("Reporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; a@x\r\nDiagnostic-Code: smtp; x\r\n" + strings.Repeat(" yyy\r\n", 20_000)),
		"words":  "From: MAILER-DAEMON\r\n\r\nHi. This is the qmail-send program at x\r\n<a@x>: " + long + "\r\n" + strings.Repeat("yyy\r\n", 20_000) + "\r\nMessage-ID: <" + long + "@x>\r\n",
	} {
		r, err := Parse(strings.NewReader(in), nil)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(show(r, nil)); n > 25_000 {
			t.Errorf("%s: %d bytes are kept", name, n)
		}
	}
}

// TestParseTime has texts that are slow to search: a minute would be the sign of
// time that grows by more than the length.
func TestParseTime(t *testing.T) {
	head := "From: MAILER-DAEMON\r\nSubject: failure notice\r\n\r\nYour message\r\ndid not reach the following recipient(s):\r\n\r\n"
	for name, piece := range map[string]string{
		"addresses": "a@b ", "addresses in lines": " a@example.com on x\r\n", "brackets": "<", "open tags": "<<x", "quotes": "'(mailto:", "ids": "Message-ID: <", "folds": "Message-ID: <a\r\n ", "lines": "\r\n", "words": "delivery fai",
	} {
		t.Run(name, func(t *testing.T) {
			in := head + strings.Repeat(piece, 4<<20/len(piece))
			start := time.Now()
			if _, err := Parse(strings.NewReader(in), &ParseOptions{Owner: owner}); err != nil {
				t.Error(err)
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("took %v", d)
			} else {
				t.Log(d)
			}
		})
	}
}

func TestErrorOfTheSourceIsReturned(t *testing.T) {
	broken := errors.New("broken disk")
	if _, err := Parse(brokenSource{broken}, nil); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

type brokenSource struct{ err error }

func (s brokenSource) ReadAt([]byte, int64) (int, error) { return 0, s.err }
func (brokenSource) Size() int64                         { return 100 }

func TestFailureSubject(t *testing.T) {
	for s, want := range map[string]bool{
		"failure notice": true, "Failure Notice": true, "SUBJECTBOUNCE": true, "Returned mail: see transcript for details": true,
		"Undelivered Mail Returned to Sender": true, "Undeliverable: lunch": true, "Failed mail": true, "Mail failed, returning to sender": true,
		"Echec de distribution : x": true, "ÉCHEC de distribution": true, "Fallo en la entrega": true,
		"Mail delivery failed: returning message to sender": true, "Delivery Status Notification (Failure)": true,
		"Delivery problem": true, "Your mail could not be delivered": true, "550 User unknown": true, "Error sending your mail": true,
		"Zustellung fehlgeschlagen": true, "  failure notice": true,
		"lunch": false, "": false, "Re: failure notice": false, "we failed": false, "delivery tomorrow": false, "failsafe delivery": false, "Fwd: Undeliverable": false,
	} {
		if got := FailureSubject(s); got != want {
			t.Errorf("FailureSubject(%q) = %v", s, got)
		}
	}
}

func TestTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := string(rapid.SliceOfN(rapid.Byte(), 1, 60).Draw(t, "token"))
		id := newID(randomText(), token, "mx.example.net")
		if got, ok := tokenOf(id); !ok || got != token || !isID(id) {
			t.Fatalf("%q in %q reads as %q, %v", token, id, got, ok)
		}
		for _, c := range id {
			if !isAtom(byte(c)) && c != '.' && c != '@' {
				t.Fatalf("%q in %q", c, id)
			}
		}
		if strings.Contains(id, "..") || strings.Contains(id, ".@") {
			t.Fatalf("%q is no dot-atom", id)
		}
	})
	for id, want := range map[string]string{
		"dsn.aaaaaaaaaaaaaaaaaaaaaaaaaa.x@h": "x", "DSN.aaaaaaaaaaaaaaaaaaaaaaaaaa.x%2fy@h": "x/y",
		"SRS0=a=b=c=d@h": "SRS0=a=b=c=d", "srs1+a=b=c=d@h": "srs1+a=b=c=d",
		"dsn.aaaaaaaaaaaaaaaaaaaaaaaaaa@h": "", "dsn.aaaaaaaaaaaaaaaaaaaaaaaaaa.@h": "", "dsn.aaa.aaaaaaaaaaaaaaaaaaaaaa.x@h": "", "dsn.aaaaaaaaaaaaaaaaaaaaaaaaaa.%4@h": "", "dsn.aaaaaaaaaaaaaaaaaaaaaaaaaa.%zz@h": "",
		"SRS2=a@h": "", "SRS0@h": "", "SRS0a=b@h": "", "x": "", "": "", "1@example.com": "",
	} {
		if got, _ := tokenOf(id); got != want {
			t.Errorf("tokenOf(%q) = %q, want %q", id, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/reports/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "testdata/full.eml") {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		calls := 0
		o := &ParseOptions{NullSender: len(b)%2 == 0, MaxSize: 64 << 10, MaxRecipients: 20, Owner: func(s string) (address.Path, bool) {
			if calls++; s == "" {
				t.Error("an empty token")
			}
			return address.Path{}, false
		}}
		r, err := Parse(bytes.NewReader(b), o)
		if err != nil {
			if !errors.Is(err, ErrNoReport) || r != nil {
				t.Fatalf("error %v with %v", err, r)
			}
			return
		}
		if calls > maxCandidates || len(r.Outcomes) > 20 || r.Ours {
			t.Errorf("%d tokens tried; %+v", calls, r)
		}
		s := show(r, nil)
		if len(s) > 200_000 || strings.ToValidUTF8(s, "") != s || strings.ContainsAny(s, "\r\x00\t\x1b\u2028") {
			t.Errorf("shown as %q", s)
		}
		for _, o := range r.Outcomes {
			if o.Action != "" && !o.Action.known() || o.Status != "" && !statusWhole.MatchString(o.Status) || len(o.Final) > 2*maxAddress || len(o.Diagnostic) > maxDiagnostic {
				t.Errorf("outcome %+v", o)
			}
		}
	})
}

func FuzzOriginalRecipient(f *testing.F) {
	for _, s := range []string{"rfc822;a+2Bb@example.com", `utf-8;j\x{F6}e@example.com`, "x400;+0D", `utf-8;\x{110000}`, "a;b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kind, addr, ok := originalRecipient(s)
		if !ok {
			return
		}
		if clean(addr, len(addr)) != strings.Trim(addr, " ") || kind == "" || strings.ContainsAny(kind, " ;\r\n") {
			t.Errorf("originalRecipient(%q) = %q, %q", s, kind, addr)
		}
		if kind == "utf-8" {
			if again, ok := decodeUTF8Addr(encodeUTF8Addr(addr)); !ok || again != addr || !printable(encodeUTF8Addr(addr)) {
				t.Errorf("%q comes back as %q", addr, again)
			}
		}
	})
}

// FuzzTemplate wants of templates what an administrator's mistakes may not do.
func FuzzTemplate(f *testing.F) {
	for _, name := range BuiltinTemplates().Names() {
		s, _ := BuiltinTemplates().Text(name)
		f.Add(s)
	}
	f.Add("Subject: {{.x\n\n{{range .rcpts}}{{.}}{{end}}")
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "{{") && (strings.Contains(s, "range") || strings.Contains(s, "template")) && strings.ContainsAny(s, "0123456789") {
			return // range 1e9: slow, and the administrator's own wish
		}
		n, err := parseTemplate("x.txt", []byte(s))
		if err != nil {
			if _, ok := errors.AsType[*TemplateError](err); !ok {
				t.Errorf("error %v", err)
			}
			return
		}
		c := fixed()
		c.Templates = &Templates{map[string]*noticeTemplate{"softfail": n}}
		m, err := c.Compose(notice())
		if err != nil {
			return
		}
		tree, _ := Parse(bytes.NewReader(m.Data), nil)
		if tree == nil || len(tree.Outcomes) != 1 {
			t.Errorf("%q makes\n%s", s, m.Data)
		}
	})
}
