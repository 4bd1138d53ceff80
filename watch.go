package milter

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// watch looks at the running hooks of all connections in turn, so that a hook
// itself costs no clock and no timer. It ends with quit.
func (set *connSet) watch(quit <-chan struct{}) {
	tick := time.NewTicker(set.srv.tick())
	defer tick.Stop()
	var busy []*conn
	for {
		select {
		case <-quit:
			return
		case now := <-tick.C:
			busy = set.busy(busy[:0])
			for _, c := range busy {
				c.look(&c.watched, now)
			}
			clear(busy)
		}
	}
}

// watched is what the watcher remembers of a connection.
type watched struct {
	word     uint64
	since    time.Time // when the word was first seen
	progress time.Time // when progress was last sent
	ended    bool      // the scope was ended
}

// look acts on a hook that was running at the last look already.
func (c *conn) look(w *watched, now time.Time) {
	v, st, mode := c.guard.load()
	if mode != modeRunning && mode != modeWriting {
		return
	}
	if v != w.word {
		since := now
		if mode == modeWriting && v>>8 == w.word>>8+1 {
			since = w.since // the hook and the body it gave share their time
		}
		*w = watched{word: v, since: since, progress: now}
	}
	s := c.srv
	age := now.Sub(w.since)
	limit := s.stageTimeout()
	if st == StageEnd {
		limit = s.endTimeout()
	}
	switch {
	case limit > 0 && age >= limit+s.grace():
		c.abandon(v, context.DeadlineExceeded, &HookError{st, FaultHang, errors.New("no answer within " + age.Round(time.Millisecond).String())})
	case limit > 0 && age >= limit && !w.ended:
		w.ended = true
		c.endScopes(v, context.DeadlineExceeded)
	case c.wc.Gone() && !w.ended:
		w.ended = true
		c.endScopes(v, context.Canceled)
	case (mode == modeRunning || !c.bodyLeft.Load()) && (st == StageEnd || st <= StageUnknown && c.postfix.Load() && c.answers(st)) && s.progressInterval() > 0 && now.Sub(w.progress) >= s.progressInterval():
		w.progress = now
		c.set.wg.Go(func() { c.sendProgress(v) })
	}
}

// sendProgress tells the MTA that the hook is at work, if it still is.
func (c *conn) sendProgress(v uint64) {
	c.wmu.Lock()
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

// endScopes ends the contexts of the hook v, unless it has returned: the next
// hook shall not see them ended. See returned.
func (c *conn) endScopes(v uint64, err error) {
	c.smu.Lock()
	defer c.smu.Unlock()
	c.expired.Store(true)
	if now, _, _ := c.guard.load(); now != v {
		return
	}
	for _, p := range []*scope{c.msgScope.Load(), c.connScope.Load()} {
		if p != nil {
			p.end(err)
		}
	}
}

// abandon leaves a hook and its goroutine to themselves and goes on with the
// connection. It does nothing when the hook returned at the last moment.
func (c *conn) abandon(v uint64, ctxErr error, fault *HookError) {
	c.endScopes(v, ctxErr)
	if !c.guard.abandon(v) {
		return
	}
	c.srv.abandoned.Add(1)
	c.fault(fault)
	if v&modeMask == modeWriting { // who knows what of the new body has left
		c.wc.NetConn().Close()
		c.set.remove(c)
		return
	}
	go c.takeOver()
}

// takeOver answers for an abandoned hook and then for every further one, by the
// fault policy. The connection stays counted until it ends.
func (c *conn) takeOver() {
	defer c.set.remove(c)
	defer c.wc.NetConn().Close()
	unread := c.wc.Detach() // the hook may still look at its bytes
	c.idle.Store(connCalm)
	if c.ending {
		return
	}
	if c.edits != nil {
		c.edits.close()
	}
	c.wmu.Lock() // wait for progress under way
	c.wmu.Unlock()
	d := &stand{wc: c.wc, answer: c.srv.faultAnswer(), protocol: c.granted.Protocol, set: c.set}
	if len(unread) > 0 {
		nc := &unreadConn{c.wc.NetConn(), unread}
		d.wc = wire.NewConn(nc, max(wire.DataSize64K, c.granted.Protocol.DataSize()), or(c.srv.IdleTimeout, defaultIdleTimeout), or(c.srv.WriteTimeout, defaultWriteTimeout))
		d.wc.SetOut(c.wc.Out())
	}
	switch {
	case c.pending == StageNegotiate:
		d.negotiate(c.granted.Version)
	case c.pending <= StageUnknown && c.answers(c.pending):
		d.send()
	}
	d.serve()
}

// An unreadConn is a connection of which some bytes were read too early.
type unreadConn struct {
	net.Conn
	unread []byte
}

func (c *unreadConn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

// leaveAbandoned is the last thing the goroutine of an abandoned hook does, when
// the hook returned after all.
func (c *conn) leaveAbandoned() {
	defer c.srv.abandoned.Add(-1)
	if hook := c.hooks.Close; hook != nil {
		defer func() {
			if v := recover(); v != nil {
				c.log().Error("hook failed", "stage", StageClose, "kind", FaultPanic, "err", v)
			}
		}()
		hook()
	}
}
