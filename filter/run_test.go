package filter_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
)

// hangs is a filter that overstays any time and heeds nothing.
func hangs(name string) *filter.Filter {
	return onMessage(name, func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
		time.Sleep(time.Hour)
		return milter.Accept, nil
	})
}

// A filter in report mode that hangs costs mail nothing but a quarter of the time.
func TestReportModeThatHangs(t *testing.T) {
	for _, onError := range []filter.OnError{filter.ErrorTempFail, filter.ErrorReject, filter.ErrorAccept} {
		synctest.Test(t, func(t *testing.T) {
			c := newChainTest(
				filter.Step{Filter: hangs("one"), Mode: filter.Report},
				filter.Step{Filter: hangs("two"), Mode: filter.Report},
				filter.Step{Filter: mark("decides"), OnError: onError},
				filter.Step{Filter: mark("last"), OnError: onError})
			c.EndTimeout = 40 * time.Second
			began := time.Now()
			if r := c.send(t); line(r) != "accept" || marks(r) != "decides last" {
				t.Errorf("%v: %s, marks %q: %s", onError, line(r), marks(r), c.told[0])
			}
			if took := time.Since(began); took > 11*time.Second {
				t.Errorf("it took %v", took)
			}
			time.Sleep(2 * time.Hour)
		})
	}
}

// Hooks in report mode that were abandoned are counted apart: when there are too
// many, report mode ends, and mail goes on.
func TestReportModeIsLimitedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		hang := onMessage("hangs", func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
			asked.Add(1)
			time.Sleep(time.Hour)
			return milter.Accept, nil
		})
		c := newChainTest(filter.Step{Filter: hang, Mode: filter.Report, Timeout: time.Second}, filter.Step{Filter: mark("decides")})
		c.MaxAbandoned = 2
		for i := range 4 {
			if r := c.send(t); line(r) != "accept" || marks(r) != "decides" {
				t.Errorf("message %d: %s, marks %q", i, line(r), marks(r))
			}
		}
		if err := c.Ready(); asked.Load() != 2 || err != nil {
			t.Errorf("asked %d times; ready: %v", asked.Load(), err)
		}
		time.Sleep(2 * time.Hour)
	})
}

// A filter that could not be asked lets nothing pass and refuses nothing for good,
// whatever is said of its failures.
func TestFilterThatCouldNotBeAsked(t *testing.T) {
	for _, onError := range []filter.OnError{filter.ErrorTempFail, filter.ErrorReject, filter.ErrorAccept, filter.ErrorSkip} {
		synctest.Test(t, func(t *testing.T) {
			c := newChainTest(filter.Step{Filter: hangs("hangs"), OnError: filter.ErrorSkip, Timeout: time.Hour}, filter.Step{Filter: mark("never asked"), OnError: onError})
			if got := line(c.send(t)); !strings.HasPrefix(got, "tempfail 451 4.3.0") {
				t.Errorf("%v: %s", onError, got)
			}
			time.Sleep(2 * time.Hour)
		})
	}
}

// A filter that names no time leaves half of the stage's to those behind it; the last
// one has all that is left.
func TestFilterThatHangsLeavesTimeToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := onMessage("slow", func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			time.Sleep(90 * time.Second)
			return milter.Continue, e.AddHeader("X-Mark", "slow")
		})
		c := newChainTest(filter.Step{Filter: hangs("hangs"), OnError: filter.ErrorSkip}, filter.Step{Filter: mark("second")}, filter.Step{Filter: slow},
			filter.Step{Filter: &filter.Filter{Name: "no Message hook", Data: func(context.Context, *filter.Transaction) (milter.DataReply, error) { return milter.Continue, nil }}},
			filter.Step{Filter: hangs("reports"), Mode: filter.Report})
		c.EndTimeout = 200 * time.Second
		if r := c.send(t); line(r) != "accept" || marks(r) != "second slow" {
			t.Errorf("%s, marks %q: %s", line(r), marks(r), c.told[0])
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestFailuresAreTold(t *testing.T) {
	var told []*filter.Failure
	no := errors.New("no answer")
	c := newChainTest(
		filter.Step{Filter: &filter.Filter{Name: "early", Connect: func(context.Context, *filter.Connection) (milter.ConnectReply, error) { return nil, no }}, OnError: filter.ErrorSkip},
		filter.Step{Filter: onMessage("panics", func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) { panic("oops") }), Mode: filter.Report},
		filter.Step{Filter: onMessage("silent", func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) { return nil, nil }), OnError: filter.ErrorSkip})
	c.OnFailure = func(f *filter.Failure) { told = append(told, f) }
	c.send(t)
	if len(told) != 3 {
		t.Fatalf("%v", told)
	}
	for i, want := range []struct {
		name   string
		stage  milter.Stage
		err    error
		report bool
	}{{"early", milter.StageConnect, no, false}, {"panics", milter.StageEnd, filter.ErrPanic, true}, {"silent", milter.StageEnd, filter.ErrNoReply, false}} {
		if f := told[i]; f.Filter != want.name || f.Stage != want.stage || !errors.Is(f, want.err) || f.Report != want.report || (f.Stack != "") != (want.err == filter.ErrPanic) {
			t.Errorf("told %+v, want %+v", f, want)
		}
	}
}
