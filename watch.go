package milter

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// watch looks at the running hooks of all connections in turn, so that a hook
// itself costs no clock and no timer. It ends with quit.
func (set *connSet) watch(quit <-chan struct{}) {
	tick := time.NewTicker(set.srv.tick())
	defer tick.Stop()
	var busy []*conn
	began := time.Now()
	for {
		select {
		case <-quit:
			return
		case now := <-tick.C:
			busy = set.busy(busy[:0])
			for _, c := range busy {
				set.guardedLook(c, now.Sub(began))
			}
			clear(busy)
		}
	}
}

// guardedLook survives what the filter's logger does.
func (set *connSet) guardedLook(c *conn, now time.Duration) {
	defer func() { recover() }()
	c.look(&c.watched, now)
}

// watched is what the watcher remembers of a connection; times since it began.
type watched struct {
	word     uint64
	since    time.Duration // when the word was first seen
	last     time.Duration // when it was last seen
	progress time.Duration // when progress was last sent
	ended    bool          // the scope was ended
	answers  uint32        // written to the MTA when spent began to count
	spent    time.Duration // by slow hooks before this one, since then
}

// look acts on a hook that was running at the last look already. What slow hooks
// took since the MTA last got an answer counts together: when they are silent, it
// may be waiting for all of them.
func (c *conn) look(w *watched, now time.Duration) {
	v, st, mode := c.guard.load()
	if mode != modeRunning && mode != modeWriting {
		return
	}
	if v != w.word {
		fresh := watched{word: v, since: now, answers: c.answered.Load()}
		if w.word != 0 && w.answers == fresh.answers && st != StageClose {
			fresh.spent = w.spent + w.last - w.since
		}
		fresh.progress = now - fresh.spent
		*w = fresh
	}
	w.last = now
	s := c.srv
	age := now - w.since + w.spent
	limit := s.stageTimeout()
	if st == StageEnd {
		limit = s.endTimeout()
	}
	gone, aborted := false, false
	if !w.ended {
		gone, aborted = c.wc.Gone()
	}
	switch {
	case limit > 0 && age >= limit+s.grace():
		c.abandon(v, context.DeadlineExceeded, &HookError{st, FaultHang, errors.New("no answer within " + age.Round(time.Millisecond).String())})
	case limit > 0 && age >= limit && !w.ended:
		w.ended = true
		c.endScopes(v, context.DeadlineExceeded)
	case gone:
		w.ended = true
		c.endScopes(v, context.Canceled)
	case aborted && c.msgScope.Load() != nil:
		w.ended = true
		c.endScope(v, &c.msgScope, context.Canceled)
	case c.mayProgress(st, mode) && now-w.progress >= s.progressInterval():
		w.progress = now
		c.set.wg.Go(func() { c.sendProgress(v) })
	}
}

// mayProgress reports whether the MTA takes progress now: both do at the end of
// the message until the new body begins, Postfix wherever it awaits an answer.
func (c *conn) mayProgress(st Stage, mode int) bool {
	if c.srv.progressInterval() <= 0 || mode == modeWriting && c.bodyLeft.Load() {
		return false
	}
	return st == StageEnd || st <= StageUnknown && c.postfix.Load() && c.answers(st)
}

// sendProgress tells the MTA that the hook is at work, if it still is.
func (c *conn) sendProgress(v uint64) {
	if !c.wmu.TryLock() {
		return // something is on its way already
	}
	defer c.wmu.Unlock()
	c.progressing.Store(true)
	defer c.progressing.Store(false)
	now, _, mode := c.guard.load()
	var err error
	switch {
	case now != v || mode == modeWriting && c.bodyLeft.Load():
	case mode == modeWriting: // the edits gathered wait for the body
		err = c.wc.Write(progressFrame)
	default:
		err = c.writeProgress()
	}
	if err != nil {
		c.endScopes(v, context.Canceled)
	}
}

// endScopes ends the contexts of the hook v.
func (c *conn) endScopes(v uint64, err error) {
	c.endScope(v, &c.msgScope, err)
	c.endScope(v, &c.connScope, err)
}

// endScope ends one of them, unless the hook has returned: the next hook shall not
// see it ended. See returned.
func (c *conn) endScope(v uint64, which *atomic.Pointer[scope], err error) {
	c.smu.Lock()
	defer c.smu.Unlock()
	c.expired.Store(true)
	if now, _, _ := c.guard.load(); now != v {
		return
	}
	if p := which.Load(); p != nil {
		p.end(err)
	}
}

// abandon leaves a hook and its goroutine to themselves and goes on with the
// connection. It does nothing when the hook returned at the last moment.
func (c *conn) abandon(v uint64, ctxErr error, fault *HookError) {
	c.endScopes(v, ctxErr)
	if v&modeMask == modeWriting && !c.wmu.TryLock() {
		c.bodyLeft.Store(true) // it is being written
	} else if v&modeMask == modeWriting {
		defer c.wmu.Unlock() // see writeBuffers
	}
	if !c.guard.abandon(v) {
		return
	}
	c.srv.abandoned.Add(1)
	c.fault(fault)
	if v&modeMask == modeWriting && c.bodyLeft.Load() { // who knows how much
		c.verdict(StageEnd, lostAnswer)
		c.wc.NetConn().Close()
		c.set.remove(c)
		return
	}
	go c.takeOver(fault.Stage)
}
