package filter_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/quarantine"
)

// deletes takes recipients out of the envelope, and adds one where it names one.
func deletes(name, add string, rcpts ...string) filter.Step {
	return filter.Step{Filter: onMessage(name, func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		var err error
		for _, r := range rcpts {
			err = errors.Join(err, e.DeleteRcpt(r+"@example.net"))
		}
		if add != "" {
			err = errors.Join(err, e.AddRcpt(add+"@example.net"))
		}
		return milter.Continue, err
	})}
}

// Whom an earlier filter took out is not left when a later one refuses the others.
func TestRefusalCountsWhomItWouldGoTo(t *testing.T) {
	refuses := func(who string) filter.Step {
		return filter.Step{Filter: onMessage("refuses "+who, func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			return milter.Continue, e.RefuseRcpt(who+"@example.net", milter.Reject(550, "5.7.1", "no"))
		})}
	}
	for _, tt := range []struct {
		name  string
		steps []filter.Step
		want  string
		to    string // where refused recipients are dropped
	}{
		{"nobody is left", []filter.Step{deletes("deletes", "", "b", "c"), refuses("a")}, "reject 550 5.7.1 no (ref)", ""},
		{"one whom a filter added is left", []filter.Step{deletes("deletes", "d", "b", "c"), refuses("a")}, "accept", "d"},
		{"refused is one who was taken out", []filter.Step{deletes("deletes", "", "b"), refuses("b")}, "accept", "ac"},
	} {
		for _, d := range []filter.Disagreement{filter.Strictest, filter.Lenient, filter.DropRefused} {
			c := newChainTest(tt.steps...)
			c.Disagree, c.Originals = d, openStore(t, quarantine.Options{})
			want := tt.want
			if d == filter.Strictest && strings.HasPrefix(tt.name, "one whom") {
				want = "reject 550 5.7.1 no (ref)"
			}
			r := c.send(t)
			to := ""
			for _, p := range r.Envelope.Rcpts {
				to += p.Address[:1]
			}
			if got := line(r); got != want || d == filter.DropRefused && want == "accept" && to != tt.to {
				t.Errorf("%s, policy %d: %s to %q", tt.name, d, got, to)
			}
		}
	}
}

// A client may name a recipient twice; one deletion takes out both, and who is added
// again afterwards gets the message.
func TestRecipientNamedTwice(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []filter.Step
		want  int
	}{
		{"deleted and added again", []filter.Step{deletes("deletes", "", "a"), deletes("adds", "a")}, 1},
		{"deleted", []filter.Step{deletes("deletes", "d", "a")}, 0},
		{"left alone", []filter.Step{mark0}, 1},
	} {
		c := newChainTest(tt.steps...)
		c.mail.Rcpts = []string{"<a@example.net>", "<a@example.net>"}
		n := 0
		for _, r := range c.send(t).Envelope.Rcpts {
			if r.Address == "a@example.net" {
				n++
			}
		}
		if n != tt.want {
			t.Errorf("%s: delivered %d times, want %d", tt.name, n, tt.want)
		}
	}
}

var mark0 = filter.Step{Filter: mark("x")}
