package filter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/mta"
)

// However long a reply is, it ends with the reference.
func TestEveryRefusalEndsWithTheReference(t *testing.T) {
	refuse := func(text ...string) string {
		return line(newChainTest(filter.Step{Filter: onMessage("f", func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
			return milter.Reject(550, "5.7.1", text...), nil
		})}).send(t))
	}
	for _, n := range []int{0, 100, 400, 470, 480, 490, 491, 700, 960, 979, 980, 981} {
		for _, letter := range []string{"x", "ä", "x "} {
			got := refuse(strings.Repeat(letter, n)[:n/len(letter)*len(letter)])
			if !strings.HasSuffix(got, " (ref)") {
				t.Errorf("%d bytes of %q: %.60q...%q", n, letter, got, got[max(0, len(got)-30):])
			}
		}
	}
	if got := refuse(strings.Split(strings.Repeat("line ", 32), " ")[:32]...); !strings.HasSuffix(got, "line (ref)") || strings.Count(got, "line") != 32 {
		t.Errorf("32 lines: %s", got)
	}
}

// A client that repeats HELO does not get the reason of its refusal out of the
// explanation.
func TestDecidingOutcomeOfManyHelos(t *testing.T) {
	f := &filter.Filter{Name: "helo", Helo: func(_ context.Context, c *filter.Connection) (milter.HeloReply, error) {
		c.Explain("rule on " + c.Helo)
		if strings.HasPrefix(c.Helo, "bad") {
			return milter.Reject(550, "5.7.1", "bad helo"), nil
		}
		return milter.Continue, nil
	}}
	c := newChainTest(filter.Step{Filter: f})
	told := make(chan *filter.Explanation, 2)
	c.Explain = func(x *filter.Explanation) { told <- x }
	s := c.connect(t)
	for i := range 60 {
		s.Helo(t.Context(), fmt.Sprint("h", i))
	}
	for i := range 60 {
		s.Helo(t.Context(), fmt.Sprint("bad", i))
	}
	sendOver(t, s, "<a@example.net>", "Subject: x\n\nx\n")
	if x := <-told; !strings.Contains(x.String(), "rule on bad0") || len(x.Filters) != 51 {
		t.Errorf("%d outcomes: %s", len(x.Filters), x)
	}
}

// Where the server itself refuses, the reply has the reference and the explanation the
// reply.
func TestLimitOfTheServerIsExplained(t *testing.T) {
	c := newChainTest(filter.Step{Filter: mark("m")})
	c.mail.Data = []byte(strings.Repeat("X-A: 1\r\n", 1100) + "\r\nbody\r\n")
	r := c.send(t)
	if got := line(r); got != "reject 552 5.3.4 message header is too large for the mail filter (ref)" {
		t.Error(got)
	}
	if len(c.told) != 1 {
		t.Fatalf("%d explanations: %v", len(c.told), c.told)
	}
	if x := c.told[0]; x.Verdict != "reject" || x.Stage != "header" || x.Reply == nil || !strings.Contains(r.Reply.String(), x.Ref) || !strings.Contains(x.String(), "limit of the server") {
		t.Errorf("explanation %s", x)
	}
	var rcpts []string
	for i := range 1010 {
		rcpts = append(rcpts, fmt.Sprintf("<a%d@example.net>", i))
	}
	asks := filter.Step{Filter: &filter.Filter{Name: "asks", Rcpt: func(context.Context, *filter.Transaction, filter.Path) (milter.RcptReply, error) {
		return milter.Continue, nil
	}}}
	c = newChainTest(filter.Step{Filter: mark("m")}, asks)
	c.mail.Rcpts = rcpts
	r = c.send(t)
	if last := r.Recipients[1009].Reply; r.Verdict != mta.Accept || len(r.Envelope.Rcpts) != 1000 || last == nil || !strings.Contains(last.String(), "452 4.5.3") || !strings.Contains(last.String(), c.told[0].Ref) {
		t.Errorf("%s to %d, the last recipient is told %v", line(r), len(r.Envelope.Rcpts), last)
	}
	c = newChainTest(filter.Step{Filter: mark("m")})
	c.mail.Rcpts = rcpts
	if r = c.send(t); len(c.told) != 1 || c.told[0].Verdict != "tempfail" || !strings.Contains(line(r), "(ref)") || !strings.Contains(c.told[0].String(), "limit of the server") {
		t.Errorf("nobody answers at RCPT: %s, explained %v", line(r), c.told)
	}
}

// A field that a filter puts on top of the tree stays above what another put above the
// MTA's own Received field.
func TestTreeEditsAboveTheOwnReceived(t *testing.T) {
	top := onMessage("top", func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		return milter.Continue, e.InsertHeader(0, "X-Top", "1")
	})
	var want, got string
	tree := onMessage("tree", func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		tr, err := e.Tree()
		if err != nil {
			return nil, err
		}
		tr.Root.SetHeader(append(message.Header{message.NewField("X-Over", " 2", "\r\n")}, tr.Header()...))
		want = string(tr.Header().Bytes())
		return milter.Continue, nil
	})
	see := onMessage("see", func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		got = string(tr.Message().Header.Bytes())
		return milter.Continue, nil
	})
	newChainTest(filter.Step{Filter: top}, filter.Step{Filter: tree}, filter.Step{Filter: see}).send(t)
	if got != want || !strings.HasPrefix(want, "X-Over: 2\r\nX-Top: 1\r\n") {
		t.Errorf("the tree was\n%s\nthe next filter sees\n%s", want, got)
	}
}

// logged runs a chain that explains to its log, and returns the lines.
func logged(t *testing.T, handler func(io.Writer) slog.Handler, steps ...filter.Step) string {
	t.Helper()
	var b bytes.Buffer
	c := newChainTest(steps...)
	c.Explain, c.Log = nil, slog.New(handler(&b))
	c.send(t)
	return b.String()
}

// What the log tells of a message has each key once, and names things by words.
func TestExplanationInTheLog(t *testing.T) {
	talks := onMessage("talks", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		tr.Explain("rule 1 met")
		return nil, errors.New("no answer")
	})
	talks.Rcpt = func(_ context.Context, tr *filter.Transaction, to filter.Path) (milter.RcptReply, error) {
		tr.Explain("saw " + to.Local)
		return milter.Continue, nil
	}
	step := filter.Step{Filter: talks, OnError: filter.ErrorSkip}
	lines := strings.Split(strings.TrimSpace(logged(t, func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }, step)), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	for _, line := range lines {
		if key := twice(json.NewDecoder(strings.NewReader(line))); key != "" {
			t.Errorf("%q is twice in %s", key, line)
		}
	}
	for _, want := range []string{`"msg":"filter failed"`, `"stage":"end"`, `"queue":"Q1"`, `"ref":"`, `"err":"no answer"`} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("no %s in %s", want, lines[0])
		}
	}
	for _, want := range []string{`{"name":"talks","stage":"rcpt","decision":"continue","why":"saw b"}`, `{"name":"talks","stage":"end","decision":"failed","why":"rule 1 met","failed":"no answer"}`} {
		if !strings.Contains(lines[1], want) {
			t.Errorf("no %s in %s", want, lines[1])
		}
	}
	text := logged(t, func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }, step)
	if want := `"talks at rcpt: continue, why: saw a | talks at rcpt: continue, why: saw b | talks at rcpt: continue, why: saw c | talks at end: failed, why: rule 1 met, failed: no answer"`; !strings.Contains(text, want) {
		t.Errorf("no %s in %s", want, text)
	}
}

// twice returns a key that an object in JSON has twice.
func twice(d *json.Decoder) string {
	type level struct {
		keys   map[string]bool // nil in a list
		inside bool            // a key was read, and not its value
	}
	var stack []level
	for {
		tok, err := d.Token()
		if err != nil {
			return ""
		}
		if n := len(stack) - 1; n >= 0 && stack[n].keys != nil && tok != json.Delim('}') {
			if key, ok := tok.(string); ok && !stack[n].inside {
				if stack[n].keys[key] {
					return key
				}
				stack[n].keys[key], stack[n].inside = true, true
				continue
			}
			stack[n].inside = false
		}
		switch tok {
		case json.Delim('{'):
			stack = append(stack, level{keys: make(map[string]bool)})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
	}
}

func TestPoliciesAreWrittenInWords(t *testing.T) {
	b, err := json.Marshal([]any{filter.Report, filter.ErrorReject, filter.RepeatQuarantine, milter.StageEnd, milter.FaultReject})
	if got := string(b); err != nil || got != `["report","reject","quarantine","end","reject"]` {
		t.Errorf("%s, %v", got, err)
	}
}

// An edit that the filter may not make is named as its author writes it.
func TestEditThatNeedsDoNotName(t *testing.T) {
	newChainTest(filter.Step{Filter: &filter.Filter{Name: "f", Needs: filter.Needs{Header: true, Actions: milter.CanAddHeaders},
		Message: func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			if err := e.DeleteHeader("Subject", 1); !errors.Is(err, milter.ErrNotGranted) || !strings.Contains(err.Error(), "milter.CanChangeHeaders (CHGHDRS)") {
				t.Errorf("error %v", err)
			}
			return milter.Accept, nil
		}}}).send(t)
}

// The explanation tells both senders: who sent the message, and whom filters made of
// that.
func TestExplanationHasTheSenderAsReceived(t *testing.T) {
	f := onMessage("f", func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		return milter.Accept, e.ChangeFrom("<bounce@example.com>")
	})
	c := newChainTest(filter.Step{Filter: f})
	c.send(t)
	x := c.told[0]
	if x.From != "sender@example.com" || x.Envelope.From != "bounce@example.com" || !strings.Contains(x.String(), `"from":"sender@example.com"`) {
		t.Errorf("from %q to %q: %s", x.From, x.Envelope.From, x)
	}
}

// Where the chain itself cannot go on, the explanation says why.
func TestFailureOfTheChainIsExplained(t *testing.T) {
	dir := t.TempDir()
	f := mark("m")
	f.Mail = func(context.Context, *filter.Transaction) (milter.MailReply, error) {
		return milter.Continue, os.Remove(dir)
	}
	c := newChainTest(filter.Step{Filter: f})
	c.Memory, c.Dir = 1, dir
	r := c.send(t)
	if len(c.told) != 1 || !strings.HasPrefix(line(r), "tempfail 452 4.3.1") {
		t.Fatalf("%s, explained %v", line(r), c.told)
	}
	list := c.told[0].Filters
	if len(list) != 1 || list[0].Name != "chain" || list[0].Decision != "failed" || list[0].Why != "message cannot be stored" || !strings.Contains(list[0].Failed, dir) {
		t.Errorf("explained as %+v", list)
	}
}
