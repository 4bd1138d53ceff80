package logs

import (
	"bytes"
	"context"
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
)

var update = flag.Bool("update", false, "write the golden files anew")

// rejected returns what became of a message that a filter refused.
func rejected() *filter.Explanation {
	return &filter.Explanation{
		Ref: "k7m2p9q4xr", Conn: "6f1c-12", QueueID: "4F2A1B3C", Client: "mx.example.net [192.0.2.1]", Helo: "mx.example.net", Verdict: "reject", Stage: "end",
		Reply:      &filter.Reply{Code: 550, Enhanced: "5.7.1", Text: []string{"no programs (ref k7m2p9q4xr)"}},
		Recipients: []filter.Recipient{{Address: "a@example.com"}, {Address: "b@example.com"}},
		Envelope:   edit.Envelope{From: "someone@example.net"},
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

// tell are filters that do what the addresses of the message say.
func tell() *filter.Chain {
	refusal := milter.Reject(550, "5.7.1", "not wanted")
	return &filter.Chain{
		NewRef: func() string { return "ref" },
		Log:    slog.New(slog.DiscardHandler),
		Steps: []filter.Step{{Filter: &filter.Filter{
			Name: "tell", Needs: filter.Needs{Actions: milter.AllEdits},
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
			Message: func(_ context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
				switch t.From().Local {
				case "reject":
					t.Explain(`on Subject "hello"`)
					return refusal, nil
				case "discard":
					return milter.Discard, nil
				case "fail":
					return nil, errors.New("no space left")
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
	chain := tell()
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
		{`on Subject "cheap \"pills\" \\": reject`, `on Subject "...": reject`},
		{`a "b" c "d`, `a "..." c "..."`},
		{`"\`, `"..."`},
		{`""`, `"..."`},
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

// Whatever the network sends, a message is one line and each refused recipient one.
func FuzzMessage(f *testing.F) {
	f.Add("4F2A", "a@example.com", "mx", "<b@example.com>\nNOQUEUE: x=y", "550 no\r\nx", "why \x1b[2J")
	f.Fuzz(func(t *testing.T, queue, from, helo, rcpt, text, why string) {
		e := rejected()
		e.QueueID, e.Envelope.From, e.Helo, e.Client, e.User = queue, from, helo, helo, from
		e.Reply = &filter.Reply{Code: 550, Enhanced: "5.7.1", Text: []string{text}}
		e.Recipients = []filter.Recipient{{Address: rcpt}, {Address: from, Reply: e.Reply}, {Address: rcpt, Reply: e.Reply}}
		e.Filters[0].Why, e.Filters[1].Why = why, why
		for _, o := range []Options{{Tags: true}, {Format: JSON, Evidence: true}} {
			got := linesOf(t, o, e)
			if n := strings.Count(got, "\n"); n != 3 {
				t.Errorf("%d lines:\n%s", n, got)
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
