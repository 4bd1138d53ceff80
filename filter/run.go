package filter

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter"
)

// Errors of hooks that failed.
var (
	// ErrPanic is in the error of a hook that panicked.
	ErrPanic = errors.New("hook panicked")
	// ErrTime is in the error of a hook that overstayed its time.
	ErrTime = errors.New("hook did not return in time")
	// ErrBusy says that a hook was not called, because too many that overstayed their
	// time still run.
	ErrBusy = errors.New("too many hooks did not return")
	// ErrNoReply is the error of a hook that returned neither a reply nor an error.
	ErrNoReply = errors.New("hook returned no reply")
)

// A Failure is a hook that failed; [Chain.OnFailure] is told of it.
type Failure struct {
	Filter string
	Stage  milter.Stage
	Report bool // the filter is in report mode
	Err    error
	Stack  string // of a panic

	uncalled  bool // the hook never ran
	abandoned bool // it still runs
	unkept    bool // it asked in vain for the original to be kept
}

// Error says which filter failed, where and why.
func (f *Failure) Error() string {
	return fmt.Sprintf("filter: %s failed at %s: %v", f.Filter, f.Stage, f.Err)
}

// Unwrap returns why.
func (f *Failure) Unwrap() error { return f.Err }

// grace is what a hook has left to return after its context ended.
const grace = 500 * time.Millisecond

// start sets the time that the hooks of a stage have.
func (v *conversation) start(d time.Duration) {
	v.deadline, v.spare = time.Now().Add(d), d/4
}

// limit returns how long a hook may take. A filter that names no time leaves half of
// the stage's to those behind it, and all filters in report mode have a quarter of
// it together: one that hangs shall not keep the others from being asked.
func (v *conversation) limit(s *Step, st milter.Stage) time.Duration {
	left := time.Until(v.deadline)
	switch {
	case s.Mode == Report:
		left = min(left, v.spare)
	case s.Timeout == 0 && s != v.chain.plan.last[st]:
		left /= 2
	}
	if s.Timeout > 0 {
		left = min(left, s.Timeout)
	}
	return left
}

// run calls one hook in a goroutine of its own, so that one that hangs can be left
// behind: then what it was given is its own from now on.
func (v *conversation) run(ctx context.Context, s *Step, st milter.Stage, hook func(context.Context) (milter.Reply, error)) (milter.Reply, *Failure) {
	left := v.limit(s, st)
	fail := func(err error) *Failure {
		return &Failure{Filter: s.Filter.Name, Stage: st, Report: s.Mode == Report, Err: err}
	}
	count := v.chain.count(s.Mode)
	var never error
	switch {
	case left <= 0: // the filters before took it all
		never = ErrTime
	case v.chain.tooMany(count):
		never = ErrBusy
	}
	if never != nil {
		f := fail(never)
		f.uncalled = true
		return nil, f
	}
	if s.Mode == Report {
		defer func(began time.Time) { v.spare -= time.Since(began) }(time.Now())
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	reply, f := call(ctx, count, fail, hook)
	if f != nil && f.abandoned {
		v.leave()
	}
	return reply, f
}

// call calls a hook in a goroutine and waits for it until the context has ended, and a
// little longer. count counts those that it does not wait for any more.
func call(ctx context.Context, count *atomic.Int64, fail func(error) *Failure, hook func(context.Context) (milter.Reply, error)) (milter.Reply, *Failure) {
	type result struct {
		reply milter.Reply
		fail  *Failure
	}
	done := make(chan result, 1)
	var state atomic.Int32 // running, returned or abandoned
	go func() {
		r := result{fail: fail(ErrPanic)}
		defer func() {
			if p := recover(); p != nil {
				r.fail.Err, r.fail.Stack = fmt.Errorf("%w: %v", ErrPanic, p), string(debug.Stack())
			}
			done <- r
			if !state.CompareAndSwap(running, returned) {
				count.Add(-1)
			}
		}()
		reply, err := hook(ctx)
		if err == nil {
			err = judge(reply)
		}
		if r.fail.Err = err; err == nil {
			r = result{reply: reply}
		}
	}()
	select {
	case r := <-done:
		return r.reply, r.fail
	case <-ctx.Done():
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case r := <-done:
		return r.reply, r.fail
	case <-late.C:
	}
	count.Add(1)
	if !state.CompareAndSwap(running, abandoned) {
		count.Add(-1)
		r := <-done
		return r.reply, r.fail
	}
	f := fail(ErrTime)
	f.abandoned = true
	return nil, f
}

// What becomes of a hook's goroutine.
const (
	running = iota
	returned
	abandoned
)

// judge returns why a reply cannot be sent.
func judge(r milter.Reply) error {
	switch r := r.(type) {
	case nil:
		return ErrNoReply
	case *milter.Refusal:
		if r == nil || r.Code() == 0 {
			return ErrNoReply
		}
		return r.Err()
	}
	return nil
}
