package milter

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// call runs the hook of a stage and returns its answer.
func (c *conn) call(st Stage) (a *answer, err error) {
	v := c.guard.enter(st)
	finished := false
	defer func() {
		if finished {
			return
		}
		a, err = nil, c.crashed(st, v, recover())
	}()
	var r Reply
	switch st {
	case StageConnect:
		r = c.hooks.Connect(c.connScope.Load(), &c.client)
	case StageHelo:
		r = c.hooks.Helo(c.connScope.Load(), c.arg)
	case StageMail:
		r = c.hooks.Mail(c.msgScope.Load(), &c.tx.mail)
	case StageRcpt:
		r = c.hooks.Rcpt(c.msgScope.Load(), &c.tx.rcpt)
	case StageData:
		r = c.hooks.Data(c.msgScope.Load())
	case StageHeader:
		r = c.hooks.Header(c.msgScope.Load(), &c.tx.header)
	case StageEndOfHeaders:
		r = c.hooks.EndOfHeaders(c.msgScope.Load())
	case StageBody:
		r = c.hooks.Body(c.msgScope.Load(), c.arg)
	case StageEnd:
		r = c.hooks.End(c.msgScope.Load(), &c.tx.edits)
	case StageUnknown:
		r = c.hooks.Unknown(c.connScope.Load(), c.arg)
	}
	if r != nil {
		a = r.answer()
	}
	finished = true
	return a, c.returned(v)
}

// run runs a hook that has no answer. The error is errAbandoned or nil: other
// faults are reported, for there is nothing to answer.
func (c *conn) run(st Stage, hook func(context.Context)) error {
	ctx := c.connScope.Load()
	err := c.guarded(st, false, func() { hook(ctx) })
	if err == nil || err == errAbandoned {
		return err
	}
	c.fault(err)
	if st == StageNegotiate {
		c.connVerdict = c.srv.faultAnswer()
	}
	return nil
}

// guarded runs f under the watcher's eyes. With writing set, f writes to the MTA,
// so that its connection is closed rather than taken over when it hangs.
func (c *conn) guarded(st Stage, writing bool, f func()) (err error) {
	v := c.guard.enter(st)
	if writing {
		v = c.guard.setWriting(v)
	}
	finished := false
	defer func() {
		if !finished {
			err = c.crashed(st, v, recover())
		}
	}()
	f()
	finished = true
	return c.returned(v)
}

// returned is called when a hook returned.
func (c *conn) returned(v uint64) error {
	if !c.guard.leave(v) {
		return errAbandoned
	}
	if c.progressing.Load() { // who sends it either saw the hook leave or is seen here
		c.wmu.Lock()
		c.wmu.Unlock()
	}
	if c.expired.Load() {
		c.renewScopes()
	}
	return nil
}

// crashed is called when a hook panicked, or ended its goroutine: then somebody
// else must go on with the connection.
func (c *conn) crashed(st Stage, v uint64, panicked any) error {
	err := &HookError{st, FaultPanic, fmt.Errorf("%v\n%s", panicked, debug.Stack())}
	if panicked != nil {
		if err := c.returned(v); err != nil {
			return err
		}
		return err
	}
	c.abandon(v, context.Canceled, &HookError{st, FaultPanic, errors.New("hook ended its goroutine (runtime.Goexit)")})
	return errAbandoned
}

func (c *conn) renewScopes() {
	c.smu.Lock()
	defer c.smu.Unlock()
	c.expired.Store(false)
	if s := c.msgScope.Load(); s != nil && s.Err() != nil {
		c.msgScope.Store(newScope(c.set.ctx))
	}
	if s := c.connScope.Load(); s.Err() != nil {
		c.connScope.Store(newScope(c.set.ctx))
	}
}
