package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/quarantine"
)

var update = flag.Bool("update", false, "write the golden files anew")

// rejected returns what became of a message that a filter refused.
func rejected() *filter.Explanation {
	return &filter.Explanation{
		Ref: "k7m2p9q4xr", Conn: "6f1c-12", QueueID: "4F2A1B3C", Client: "mx.example.net [192.0.2.1]", Helo: "mx.example.net", Verdict: "reject", Stage: "end",
		Reply:      &filter.Reply{Code: 550, Enhanced: "5.7.1", Text: []string{"no programs (ref k7m2p9q4xr)"}},
		Recipients: []filter.Recipient{{Address: "a@example.com"}, {Address: "b@example.com"}},
		From:       "someone@example.net", Envelope: edit.Envelope{From: "someone@example.net"},
		Filters: []filter.Outcome{
			{Name: "keywords", Stage: "end", Decision: "reject", Report: true, Why: `rule pills on Subject "cheap \"pills\"": reject`},
			{Name: "attachments", Stage: "end", Decision: "reject", Why: "invoice.exe: a program (banned, reject)", Reply: &filter.Reply{Code: 550, Enhanced: "5.7.1", Text: []string{"no programs"}}},
		},
		Size: 4321, MS: 12.5,
	}
}

// linesOf returns what a Log writes of explanations, without the time.
func linesOf(t *testing.T, o Options, list ...*filter.Explanation) string {
	t.Helper()
	var b bytes.Buffer
	o.Stderr = &b
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		l.Message(e)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return timeStamp.ReplaceAllString(b.String(), "")
}

var timeStamp = regexp.MustCompile(`time=\S+ |"time":"[^"]*",`)

// tell are filters that do what the addresses of the message say. There is no room for
// originals.
func tell(t *testing.T) *filter.Chain {
	t.Helper()
	full, err := quarantine.Open(t.TempDir()+"/kept", quarantine.Options{MaxBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	refusal := milter.Reject(550, "5.7.1", "not wanted")
	return &filter.Chain{
		NewRef:    func() string { return "ref" },
		Log:       slog.New(slog.DiscardHandler),
		Originals: full,
		Steps: []filter.Step{{Filter: &filter.Filter{
			Name: "tell", Needs: filter.Needs{Actions: milter.AllEdits, Originals: true},
			Helo: func(_ context.Context, c *filter.Connection) (milter.HeloReply, error) {
				if c.Helo == "bad.example" {
					c.Explain("a name of spammers")
					return refusal, nil
				}
				return milter.Continue, nil
			},
			Rcpt: func(_ context.Context, t *filter.Transaction, p filter.Path) (milter.RcptReply, error) {
				switch p.Local {
				case "moved":
					t.Explain("moved")
					return milter.Reject(550, "5.1.6", "moved"), nil
				case "later":
					return milter.TempFail(450, "4.2.1", "later"), nil
				}
				return milter.Continue, nil
			},
			Message: func(ctx context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
				switch t.From().Local {
				case "reject":
					t.Explain(`on Subject "hello"`)
					return refusal, nil
				case "discard":
					return milter.Discard, nil
				case "fail":
					return nil, errors.New("no space left")
				case "some":
					return milter.Continue, e.RefuseRcpt("c@example.com", refusal)
				case "nospace":
					_, err := t.Keep(ctx, "rule x")
					return nil, err
				case "hold":
					return milter.Accept, e.Quarantine("to be looked at")
				case "edit":
					return milter.Accept, errors.Join(e.AddHeader("X-Secret", "header value"), e.DeleteRcpt("<gone@example.com>"), e.AddRcpt("<new@example.com>"), e.ChangeFrom("<bounce@example.com>"))
				}
				return milter.Continue, nil
			},
		}}, {Mode: filter.Report, Filter: &filter.Filter{
			Name: "watch",
			Message: func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
				t.Explain("would refuse")
				return refusal, nil
			},
		}}},
	}
}

func TestLinesOfMessages(t *testing.T) {
	var list []*filter.Explanation
	chain := tell(t)
	chain.Explain = func(e *filter.Explanation) {
		e.Conn, e.MS = "conn-1", 7.5
		list = append(list, e)
	}
	c := miltertest.New(t, &milter.Server{New: chain.Hooks})
	send := func(helo, from string, rcpts ...string) {
		s := c.Connect(t)
		s.Helo(helo)
		s.Mail("<" + from + ">")
		for _, r := range rcpts {
			s.Rcpt("<" + r + ">")
		}
		s.Quit()
	}
	whole := func(from string, rcpts ...string) {
		c.Send(t, miltertest.Mail{From: from, Rcpts: rcpts, Text: "Subject: hello\r\n\r\nhello\r\n"})
	}
	whole("a@example.net", "b@example.com")
	whole("reject@example.net", "b@example.com")
	whole("discard@example.net", "b@example.com")
	whole("fail@example.net", "b@example.com")
	whole("hold@example.net", "b@example.com")
	whole("edit@example.net", "b@example.com", "gone@example.com")
	whole("a@example.net", "moved@example.com", "later@example.com", "b@example.com")
	whole("a@example.net", "moved@example.com", "later@example.com")
	whole(`"x verdict=accept"@example.net`, "b@example.com")
	whole("some@example.net", "b@example.com", "c@example.com")
	whole("nospace@example.net", "b@example.com")
	send("bad.example", "a@example.net", "b@example.com", "c@example.com")
	send("good.example", "", "b@example.com")
	for _, o := range []Options{{}, {Tags: true, Evidence: true}, {Format: JSON, Tags: true}} {
		var b strings.Builder
		for _, e := range list {
			b.WriteString(linesOf(t, o, e))
			b.WriteByte('\n')
		}
		golden(t, fmt.Sprintf("messages_%v_tags_%v.want", o.Format, o.Tags), b.String())
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, path), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestQuotedEvidenceIsLeftOut(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`no quotes`, `no quotes`},
		{`on Subject "cheap \"pills\" \\" by 'pills': reject`, `on Subject ... by 'pills': reject`},
		{`a "b" c "d`, `a ... c ...`},
		{`"\`, `...`},
		{`""`, `...`},
	} {
		if got := unquote(tt.in); got != tt.want {
			t.Errorf("unquote(%s) = %s, want %s", tt.in, got, tt.want)
		}
	}
	got := linesOf(t, Options{}, rejected())
	if strings.Contains(got, "pills\"") || !strings.Contains(got, `rule pills on Subject`) {
		t.Errorf("line %s", got)
	}
	if got := linesOf(t, Options{Evidence: true}, rejected()); !strings.Contains(got, `cheap`) {
		t.Errorf("with evidence, line %s", got)
	}
}

func TestHeaderValuesAreNotLogged(t *testing.T) {
	e := rejected()
	e.Edits = []edit.Edit{{Action: edit.AddHeader, Name: "X-Name", Value: "secret"}, {Action: edit.ReplaceBody, Body: []byte("secret")}}
	e.Filters[0].Edits = e.Edits
	if got := linesOf(t, Options{Evidence: true, Tags: true}, e); strings.Contains(got, "secret") || !strings.Contains(got, "edits=2") {
		t.Errorf("line %s", got)
	}
}

// However many recipients there are, each is found.
func TestEachRecipientIsLogged(t *testing.T) {
	e := rejected()
	e.Recipients = nil
	var want []string
	for i := range 300 {
		addr := fmt.Sprintf("u%d@example.com", i)
		switch i {
		case 100:
			addr = strings.Repeat("long", 60) + "@example.com"
		case 101:
			addr = `"o,d d"@example.com`
		}
		want = append(want, addr)
		e.Recipients = append(e.Recipients, filter.Recipient{Address: addr})
	}
	for _, o := range []Options{{}, {Format: JSON}, {MaxLine: 1024, MaxValue: 600}, {MaxLine: 1024, Format: JSON}} {
		t.Run(fmt.Sprint(o.Format, o.MaxLine), func(t *testing.T) {
			var got []string
			out := linesOf(t, o, e)
			for line := range strings.Lines(out) {
				var fields struct {
					Msg, Queue, Conn, Ref string
					Rcpts                 []string
				}
				if o.Format == JSON {
					if err := json.Unmarshal([]byte(line), &fields); err != nil {
						t.Fatal(err)
					}
				} else {
					pairs, err := parseText(strings.TrimSuffix(line, "\n"))
					if err != nil {
						t.Fatal(err)
					}
					for _, p := range pairs {
						switch p.key {
						case "msg":
							fields.Msg = p.value
						case "queue":
							fields.Queue = p.value
						case "conn":
							fields.Conn = p.value
						case "ref":
							fields.Ref = p.value
						case "rcpts":
							if fields.Rcpts, err = parseList(p.value); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
				if first := got == nil && fields.Msg == "message"; !first && fields.Msg != "recipients" || fields.Queue != e.QueueID || fields.Conn != e.Conn {
					t.Errorf("line %s", line)
				}
				if got = append(got, fields.Rcpts...); got == nil {
					got = []string{}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("recipients (-want +got):\n%s", diff)
			}
		})
	}
	out := linesOf(t, Options{MaxRefused: 2}, e)
	if n := strings.Count(out, "\n"); n != 3 || strings.Contains(out, "u299@") || !strings.Contains(out, "nrcpts=300") {
		t.Errorf("with two lines more at most, %d:\n%s", n, out)
	}
}

// A recipient that no line has room for is cut, and those behind it are there.
func TestRecipientLongerThanALine(t *testing.T) {
	e := rejected()
	long := strings.Repeat("\x01", 3000)
	e.Recipients = []filter.Recipient{{Address: "a@example.com"}, {Address: long}, {Address: "b@example.com"}, {Address: long}}
	for _, f := range []Format{Text, JSON} {
		if out := linesOf(t, Options{Format: f}, e); strings.Count(out, "\n") != 4 || strings.Count(out, "b@example.com") != 1 {
			t.Errorf("%v:\n%s", f, out)
		}
	}
}

// Who changed a message is told as who refused one.
func TestLineOfAChangedMessageTellsWho(t *testing.T) {
	e := rejected()
	e.Verdict, e.Reply = "accept", nil
	e.Edits = []edit.Edit{{Action: edit.ReplaceBody}}
	e.Filters = []filter.Outcome{
		{Name: "watch", Stage: "end", Decision: "accept", Report: true, Why: "would", Edits: e.Edits},
		{Name: "rules", Stage: "end", Decision: "continue", Why: `rule x on Subject "a" by 'b': note`},
		{Name: "attachments", Stage: "end", Decision: "accept", Why: `böse.exe: a program (name, replace)`, Edits: e.Edits},
		{Name: "html", Stage: "end", Decision: "accept", Why: "script", Edits: e.Edits},
	}
	got := linesOf(t, Options{}, e)
	want := ` filter=attachments why="böse.exe: a program (name, replace)" ref=`
	end := ` edits=1 filters=watch:edited(report),rules:continue,attachments:edited,html:edited notes="watch: would; rules: rule x on Subject ... by 'b': note; html: script"` + "\n"
	if !strings.Contains(got, want) || !strings.HasSuffix(got, end) {
		t.Errorf("\n got %swant %s...%s", got, want, end)
	}
	if got := linesOf(t, Options{Format: JSON}, e); !strings.Contains(got, `"notes":["watch: would","rules: rule x on Subject ... by 'b': note","html: script"]`) {
		t.Errorf("in JSON %s", got)
	}
	e.Edits = nil // one filter undid what the other did
	if got := linesOf(t, Options{}, e); strings.Contains(got, "filter=") {
		t.Errorf("not changed in the end: %s", got)
	}
}

func TestLinesOfRefusedRecipientsAreBounded(t *testing.T) {
	e := rejected()
	e.Recipients = nil
	for i := range 50 {
		e.Recipients = append(e.Recipients, filter.Recipient{Address: fmt.Sprintf("u%d@example.com", i), Reply: &filter.Reply{Code: 550, Enhanced: "5.1.1", Text: []string{"unknown"}}})
	}
	got := linesOf(t, Options{MaxRefused: 10}, e)
	if strings.Count(got, "recipient refused") != 10 || !strings.Contains(got, "refused=50") {
		t.Errorf("lines:\n%s", got)
	}
}

// Whatever the network sends, a message is one line and each refused recipient one, but
// for recipients that have no room in it.
func FuzzMessage(f *testing.F) {
	f.Add("4F2A", "a@example.com", "mx", "<b@example.com>\nNOQUEUE: x=y", "550 no\r\nx", "why \x1b[2J")
	f.Fuzz(func(t *testing.T, queue, from, helo, rcpt, text, why string) {
		e := rejected()
		e.QueueID, e.From, e.Envelope.From, e.Helo, e.Client, e.User = queue, from, rcpt, helo, helo, from
		e.Reply = &filter.Reply{Code: 550, Enhanced: "5.7.1", Text: []string{text}}
		e.Recipients = []filter.Recipient{{Address: rcpt}, {Address: from, Reply: e.Reply}, {Address: rcpt, Reply: e.Reply}}
		e.Filters[0].Why, e.Filters[1].Why = why, why
		for _, o := range []Options{{Tags: true}, {Format: JSON, Evidence: true}} {
			got := linesOf(t, o, e)
			kinds := regexp.MustCompile(`(?m)^(NOQUEUE|[-A-Za-z0-9_.]+): level=INFO msg=(message|recipients|"recipient refused") |^{"level":"INFO","msg":"(message|recipients|recipient refused)","queue`)
			more := len(regexp.MustCompile(`(?m)^\S+: level=INFO msg=recipients |^{"level":"INFO","msg":"recipients",`).FindAllString(got, -1))
			if n := strings.Count(got, "\n"); n != 3+more || more > 1 || len(kinds.FindAllString(got, -1)) != n {
				t.Errorf("%d lines, %d of further recipients:\n%s", n, more, got)
			}
			for line := range strings.Lines(got) {
				checkShown(t, line)
				if _, err := parseText(strings.TrimSuffix(line, "\n")); err != nil && o.Format == Text {
					t.Errorf("%v in %q", err, line)
				}
			}
		}
	})
}
