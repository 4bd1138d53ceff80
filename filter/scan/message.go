package scan

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
)

// message has a message scanned, and does what the options say.
func (s *scan) message(ctx context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
	m := t.Received()
	if s.o.Edited {
		m = t.Message()
	}
	h := newFields(s, t.Message().Header)
	l := newLetter(t, m, s.o.Now())
	if n := l.size(); n > s.o.MaxSize {
		return s.unscanned(t, e, h, s.o.OnLarge, tooLarge, fmt.Sprintf("it has %d bytes, more than %d", n, s.o.MaxSize))
	}
	v, at, failures, err := s.pool.ask(ctx, s.scanner, l)
	switch {
	case errors.Is(err, errTooLarge):
		return s.unscanned(t, e, h, s.o.OnLarge, tooLarge, fmt.Sprintf("%v at %s: %v", s.o.Scanner, at.spec, err))
	case err == error(failures):
		return s.unscanned(t, e, h, s.o.OnDown, down, fmt.Sprintf("no %v answered: %v", s.o.Scanner, failures))
	case err != nil:
		return nil, err
	}
	if len(failures.tries) > 0 {
		t.Explain("failed before: " + failures.Error())
	}
	filter.TellScanned(t, filter.Scanned{Filter: s.name, Scanner: s.o.Scanner.String(), Server: at.spec, Found: v.found, Infected: v.infected,
		Names: v.names, Action: v.action, Score: v.score, Threshold: v.threshold})
	action := s.decide(v)
	t.Explain(fmt.Sprintf("%v at %s: %s: %v", s.o.Scanner, at.spec, describe(v), action))
	switch action {
	case Reject, TempFail:
		return s.refuse(v, action), nil
	case Discard:
		return milter.Discard, nil
	case Quarantine:
		if err := e.Quarantine(show(describe(v), 200)); err != nil {
			return nil, err
		}
	}
	h.forget()
	h.apply(v.edits)
	if action >= Tag || s.o.TagClean {
		h.report(v, action >= Tag)
	}
	if action == TagSubject {
		h.tagSubject(s.o.SubjectTag)
	}
	return h.send(t, e)
}

// decide returns what happens to a message.
func (s *scan) decide(v verdict) Action {
	action := Accept
	if v.found {
		action = s.o.Found
	}
	reached := Accept
	for _, t := range s.o.Scores {
		if v.score >= t.Score {
			reached = t.Action
		}
	}
	action = max(action, reached)
	if s.o.Follow {
		action = max(action, actions[v.action])
	}
	return action
}

// describe says in words what a scanner found.
func describe(v verdict) string {
	if v.infected {
		return "infected by " + showNames(v.names)
	}
	var b strings.Builder
	switch {
	case v.action != "":
		fmt.Fprintf(&b, "score %s of %s, %s", score(v.score), score(v.threshold), showName(v.action))
	case v.found || v.threshold != 0 || v.score != 0:
		fmt.Fprintf(&b, "score %s of %s", score(v.score), score(v.threshold))
	default:
		return "clean"
	}
	if len(v.names) > 0 {
		fmt.Fprintf(&b, " (%s)", showNames(v.names))
	}
	return b.String()
}

// refuse returns what the client is told.
func (s *scan) refuse(v verdict, action Action) *milter.Refusal {
	text := "This message looks like spam"
	switch {
	case v.infected:
		text = "This message is infected by " + showName(v.names[0])
	case s.o.Follow && v.text != "" && actions[v.action] == action:
		text = strings.ReplaceAll(show(v.text, 200), "%", "_")
	case action == TempFail:
		text += ", please try again later"
	}
	if action == TempFail {
		return milter.TempFail(451, "4.7.1", text)
	}
	return milter.Reject(550, "5.7.1", text)
}

// Why a message was not scanned, in header fields.
const (
	tooLarge = "it is too large"
	down     = "no scanner answered"
)

// unscanned does what the options say of messages that were not scanned.
func (s *scan) unscanned(t *filter.Transaction, e *filter.Edits, h *fields, action Action, why, note string) (milter.EndReply, error) {
	t.Explain(fmt.Sprintf("not scanned: %s: %v", note, action))
	switch {
	case action == TempFail:
		return milter.TempFail(451, "4.3.0", "This message cannot be scanned now, please try again later"), nil
	case action == Reject && why == tooLarge:
		return milter.Reject(552, "5.3.4", "This message is too large to be scanned"), nil
	case action == Reject:
		return milter.Reject(554, "5.3.0", "This message cannot be scanned"), nil
	case action == Quarantine:
		if err := e.Quarantine("not scanned: " + why); err != nil {
			return nil, err
		}
	}
	h.forget()
	if action >= Tag {
		h.add("-Status", "Not scanned, "+why)
	}
	return h.send(t, e)
}
