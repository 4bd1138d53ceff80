package milter

import (
	"context"
	"fmt"
	"io"

	"github.com/gomilter/gomilter/internal/wire"
)

// onMessage handles MAIL to BODY.
func (c *conn) onMessage(st Stage, p []byte) error {
	var limit *answer
	var err error
	switch st {
	case StageMail:
		c.macros.begin(st)
		c.tx.mail.raw, c.tx.mail.params, err = wire.Envelope(p)
	case StageRcpt:
		c.macros.begin(st)
		c.tx.rcpt.raw, c.tx.rcpt.params, err = wire.Envelope(p)
		if c.rcpts++; c.srv.maxRcpts() > 0 && c.rcpts > c.srv.maxRcpts() {
			if c.rcpts == c.srv.maxRcpts()+1 {
				c.limit(LimitRcpts, "recipients", c.rcpts)
			}
			limit, err = c.overLimit(st, rcptLimitRefusal, err)
		}
	case StageData:
		c.macros.begin(st)
	case StageHeader:
		c.tx.header.name, c.tx.header.value, err = wire.Header(p)
		c.headers++
		c.headerBytes += len(p)
		if n, size := c.srv.maxHeaders(), c.srv.maxHeaderBytes(); n > 0 && c.headers > n || size > 0 && c.headerBytes > size {
			if c.headerLimit == nil {
				c.limit(LimitHeaders, "fields", c.headers, "bytes", c.headerBytes)
				c.headerLimit, err = c.overLimit(st, headerLimitRefusal, err)
			}
			limit = c.headerLimit
		} else if c.hooks.End != nil && c.granted.Actions&CanAddHeaders != 0 {
			if c.fields == nil {
				c.fields = fieldNamesPool.Get().(*fieldNames)
			}
			c.fields.add(c.tx.header.name)
		}
	case StageBody:
		if c.arg = p; len(p) == 0 {
			err = wire.ErrEmptyPayload
		}
	}
	if err != nil {
		return err
	}
	a := limit
	if a == nil {
		if a, err = c.ask(st, c.owed()); err != nil {
			return err
		}
	}
	if a == skipAnswer {
		c.skipBody = true
		if c.granted.Protocol&wire.Skip == 0 {
			a = continueAnswer
		}
	}
	if !c.answers(st) {
		if a != skipAnswer {
			c.owe(&c.msgVerdict, a)
		}
		return nil
	}
	if a != continueAnswer && a != skipAnswer {
		c.verdict(st, a)
		if refusal := a.code == wire.ReplyReject || a.code == wire.ReplyTempFail; st != StageRcpt || !refusal {
			c.endMessage()
		}
	}
	c.send(a)
	return nil
}

// overLimit returns the answer to a step over a limit, in the words of the Limit
// hook where the step is no protocol error and nothing else is owed.
func (c *conn) overLimit(st Stage, r *Refusal, wrong error) (*answer, error) {
	if c.hooks.Limit == nil || wrong != nil || c.owed() != nil {
		return r.answer(), wrong
	}
	var said *Refusal
	err := c.guarded(st, false, func() { said = c.hooks.Limit(c.msgScope.Load(), st, r) })
	if err == errAbandoned {
		return nil, err
	}
	if err == nil && said != nil {
		if err = c.judge(StageEnd, said.answer()); err == nil { // a silent stage may refuse here
			return said.answer(), nil
		}
	}
	if err != nil {
		c.fault(err)
	}
	return r.answer(), nil
}

// onEnd handles BODYEOB. No MTA puts a last chunk into it, but the protocol
// allows for one.
func (c *conn) onEnd(p []byte) error {
	if len(p) > 0 {
		c.arg = p
		a, err := c.ask(StageBody, c.owed())
		if err != nil {
			return err
		}
		if a != skipAnswer {
			c.owe(&c.msgVerdict, a)
		}
	}
	// What is gathered must not wait for a hook that may take minutes.
	if err := c.flush(); err != nil {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	a, err := c.ask(StageEnd, c.owed())
	if err != nil {
		return err
	}
	e := &c.tx.edits
	e.close()
	c.inMessage = false
	if a.code == wire.ReplyContinue || a.code == wire.ReplyAccept {
		c.wc.SetOut(e.appendTo(c.wc.Out()))
		if e.body != nil {
			err := c.finishBody(e.body, a)
			if err != errAbandoned {
				c.endMessage()
			}
			return err
		}
	}
	c.verdict(StageEnd, a)
	c.send(a)
	c.endMessage()
	return nil
}

// finishBody sends the edits, the new body and the verdict. The reader of the
// body is the filter's code, so it is guarded like a hook.
func (c *conn) finishBody(body io.Reader, a *answer) error {
	c.bodyLeft.Store(false)
	w := newBodyWriter(c, frameOf(a))
	var err error
	fault := c.guarded(StageEnd, true, func() { err = w.copyFrom(body) })
	switch {
	case fault == errAbandoned:
		return fault
	case fault != nil:
		err = fault
	}
	switch left := c.bodyLeft.Load(); {
	case err == nil:
	case w.failed != nil:
		c.verdict(StageEnd, lostAnswer)
		return fmt.Errorf("%w: %w", errLost, w.failed)
	default:
		c.fault(&HookError{StageEnd, FaultBody, err})
		if left {
			c.verdict(StageEnd, lostAnswer)
			return fmt.Errorf("%w: new body broke off: %w", errLost, err)
		}
		c.wc.SetOut(c.wc.Out()[:0])
		a = c.srv.faultAnswer()
		c.send(a)
	}
	c.verdict(StageEnd, a)
	return nil
}

// A transaction is what hooks are given of one message. It is new for each, so that
// what a goroutine of the filter keeps of it is nobody else's later.
type transaction struct {
	scope  scope
	edits  Edits
	mail   Mail
	rcpt   Rcpt
	header Header
}

// startMessage begins a message, by MAIL or by the first step of one that the
// filter asked to see.
func (c *conn) startMessage() {
	c.inMessage = true
	t := &transaction{scope: scope{parent: c.set.ctx}, rcpt: Rcpt{s: &c.session},
		header: Header{leadingSpace: c.granted.Protocol&wire.LeadingSpace != 0}}
	t.edits.c = c
	c.msgScope.Store(&t.scope)
	c.tx = t
	c.msgVerdict, c.headerLimit = nil, nil
	c.skipBody, c.shown, c.aborting = false, false, false
	c.rcpts, c.headers, c.headerBytes = 0, 0, 0
}

// endMessage ends a message that has its verdict.
func (c *conn) endMessage() {
	c.inMessage = false
	if c.phase != phaseEnded {
		c.phase = phaseHelo
	}
	if s := c.msgScope.Swap(nil); s != nil {
		s.end(context.Canceled)
	}
	c.tx.edits.close()
	c.fields.release()
	c.fields, c.msgVerdict = nil, nil
	c.macros.endMessage(c.granted.Protocol)
}

// abort ends a message without a verdict, if one is open.
func (c *conn) abort() error {
	if !c.inMessage {
		return nil
	}
	c.phase = phaseHelo
	if s := c.msgScope.Load(); s != nil {
		s.end(context.Canceled)
	}
	var err error
	if c.hooks.Abort != nil && c.shown {
		c.aborting = true
		err = c.run(StageAbort, c.hooks.Abort)
	}
	if err != errAbandoned {
		c.verdict(StageAbort, abortAnswer)
		c.endMessage()
	}
	return err
}
