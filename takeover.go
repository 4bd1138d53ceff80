package milter

import (
	"bytes"

	"github.com/gomilter/gomilter/internal/wire"
)

// takeOver goes on with the connection of a hook that was abandoned at a stage: a
// conn of its own answers for the hook by the fault policy, and serves what comes
// after with new hooks. So a hook that hangs costs its own message; at connect,
// HELO and before, the policy holds for the connection, as the verdict there would.
func (c *conn) takeOver(st Stage) {
	c.wmu.Lock() // wait for progress under way
	c.wmu.Unlock()
	if c.tx != nil {
		c.tx.edits.close()
	}
	n := c.successor()
	if c.ending || !c.set.replace(c, n) {
		c.wc.NetConn().Close()
		c.set.remove(c)
		return
	}
	n.serveFrom(func() error {
		err := n.answerFor(c, st)
		if err == nil && n.srv.tooManyAbandoned() != nil {
			n.limit(LimitAbandoned, "hooks", n.srv.abandoned.Load())
			n.idle.Store(connCalm)
			(&stand{n.wc, busyAnswer, n.granted.Protocol, n.set}).serve()
			return errQuit
		}
		return err
	})
}

// successor returns a conn that stands where c stands, without hooks. The
// abandoned hook may still look at what c holds, but nothing changes there.
func (c *conn) successor() *conn {
	n := &conn{srv: c.srv, set: c.set, id: c.id, wc: c.wc.Handover(),
		granted: c.granted, silent: c.silent, phase: c.phase, afterUnknown: c.afterUnknown,
		connVerdict: c.connVerdict, told: c.told, client: c.client, helo: bytes.Clone(c.helo),
		macros: c.macros.clone(), limits: c.limits}
	n.session.c = n
	n.postfix.Store(c.postfix.Load())
	n.connScope.Store(newScope(c.set.ctx))
	if c.inMessage || c.pending == StageEnd { // whose verdict may be on its way
		n.startMessage()
		n.rcpts, n.headers, n.headerBytes = c.rcpts, c.headers, c.headerBytes
		n.fields, c.fields = c.fields, nil
	}
	if c.pending != StageEnd {
		n.wc.SetOut(bytes.Clone(c.wc.Out())) // at the end these are edits, which do not leave
	}
	return n
}

// answerFor answers the command during which c's hook hung.
func (c *conn) answerFor(old *conn, st Stage) error {
	verdict := c.srv.faultAnswer()
	switch st {
	case StageNegotiate: // there is no filter for this connection
		c.begun, c.connVerdict = true, verdict
	case StageConnect, StageHelo:
		if c.told &^= Stages(st); verdict != continueAnswer {
			c.begun, c.connVerdict = true, verdict
		}
	case StageMail, StageRcpt, StageData, StageHeader, StageEndOfHeaders, StageBody, StageEnd:
		c.msgVerdict = verdict
	case StageAbort:
		c.inMessage, c.phase = false, phaseHelo
	}
	switch p := old.pending; {
	case p == StageNegotiate:
		c.granted, c.silent, c.phase = agreement{Version: old.granted.Version}, 0, phaseOffered
		(&stand{wc: c.wc}).negotiate(old.granted.Version)
		return nil
	case p != st && p != StageEnd: // the command's own hook did not run
		return c.handle(old.cmd, bytes.Clone(old.payload))
	case p == StageUnknown:
		c.send(c.srv.unknownFaultAnswer())
	case !c.answers(p):
	default:
		c.settle(p, verdict)
		c.send(verdict)
	}
	return nil
}

// settle does to the state what a verdict means.
func (c *conn) settle(st Stage, a *answer) {
	if a == continueAnswer && st != StageEnd {
		return
	}
	c.verdict(st, a)
	switch {
	case st == StageConnect || st == StageHelo:
		c.phase = phaseHelo
	case st == StageRcpt && (a.code == wire.ReplyReject || a.code == wire.ReplyTempFail):
	default:
		c.endMessage()
	}
}

// leaveAbandoned is the last thing the goroutine of an abandoned hook does, when
// the hook returned after all: its filter hears of the end of the message, if it
// was in one, and of the connection.
func (c *conn) leaveAbandoned() {
	defer c.srv.abandoned.Add(-1)
	abort, end := c.hooks.Abort, c.hooks.Close
	if end != nil {
		defer c.callAlone(StageClose, end)
	}
	if abort != nil && c.inMessage && c.shown && !c.aborting && c.pending != StageEnd {
		ctx := c.msgScope.Load()
		c.callAlone(StageAbort, func() { abort(ctx) })
	}
}

// callAlone calls a hook that nobody waits for.
func (c *conn) callAlone(st Stage, hook func()) {
	defer func() {
		if v := recover(); v != nil {
			c.log().Error("hook failed", "stage", st, "kind", FaultPanic, "err", v)
		}
	}()
	hook()
}
