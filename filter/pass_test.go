package filter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/mta"
)

func TestPass(t *testing.T) {
	const pass = "X-Pass"
	for _, tt := range []struct {
		name   string
		header string
		pass   func(context.Context, *filter.Transaction, *filter.Edits) (string, error)
		want   string // verdict, the fields X-Pass that are left, the marks of the filter
		why    string // the explanation's outcomes
	}{
		{"says nothing", "X-Pass: no\n", func(context.Context, *filter.Transaction, *filter.Edits) (string, error) { return "", nil },
			"accept 1 filter", "filter accept"},
		{"lets pass", "X-Pass: yes\n", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (string, error) {
			return "good " + tr.From().Address, e.DeleteHeader(pass, 1)
		}, "accept 0 ", "pass accept good sender@example.com"},
		{"edits, and does not let pass", "X-Pass: 1\nx-pass: 2\nX-Other: 1\nX-Pass: 3\n", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (string, error) {
			tr.Explain("three of them")
			for n := range 3 {
				if err := e.DeleteHeader(pass, n+1); err != nil {
					return "", err
				}
			}
			return "", nil
		}, "accept 0 filter", "pass continue three of them / filter accept"},
		{"fails", "", func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (string, error) {
			return "good", errors.New("disk on fire")
		}, "tempfail", "pass failed disk on fire"},
		{"panics", "", func(context.Context, *filter.Transaction, *filter.Edits) (string, error) { panic("oops") },
			"tempfail", "pass failed hook panicked: oops"},
		{"hangs", "", func(context.Context, *filter.Transaction, *filter.Edits) (string, error) {
			time.Sleep(time.Hour)
			return "late", nil
		}, "tempfail", "pass failed hook did not return in time"},
		{"adds a field", "", func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (string, error) {
			return "good", e.AddHeader("X-New", "1")
		}, "tempfail", "pass failed milter: kind of edit was not granted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := mark("filter")
				f.Needs = filter.Needs{Actions: milter.CanAddHeaders} // the header and the body are there for Pass
				c := newChainTest(filter.Step{Filter: f})
				c.Pass = func(ctx context.Context, tr *filter.Transaction, e *filter.Edits) (string, error) {
					if tr.Message().Body == nil || tr.Message().Body.Size() == 0 {
						t.Error("Pass is not shown the body")
					}
					return tt.pass(ctx, tr, e)
				}
				c.mail.Data = []byte(strings.ReplaceAll(tt.header+"Subject: x\n\nbody\n", "\n", "\r\n"))
				r := c.send(t)
				defer time.Sleep(2 * time.Hour) // until the hook that hangs has ended
				got := r.Verdict.String()
				if r.Verdict == mta.Accept {
					n := 0
					for range r.Message.Header.All(pass) {
						n++
					}
					got += fmt.Sprintf(" %d %s", n, marks(r))
				}
				if got != tt.want {
					t.Errorf("result %q, want %q", got, tt.want)
				}
				var why []string
				for _, o := range c.told[0].Filters {
					if o.Decision == "continue" && o.Name == "filter" {
						o.Decision = "accept"
					}
					why = append(why, strings.TrimSpace(o.Name+" "+o.Decision+" "+o.Why+o.Failed))
				}
				if got := strings.Join(why, " / "); !strings.HasPrefix(got, tt.why) {
					t.Errorf("explained as %q, want %q", got, tt.why)
				}
			})
		})
	}
}
