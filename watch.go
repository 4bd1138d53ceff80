package milter

import (
	"context"
	"errors"
	"time"
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
		*w = watched{word: v, since: now, progress: now}
		return
	}
	s := c.srv
	age := now.Sub(w.since)
	limit := s.stageTimeout()
	if st == StageEnd {
		limit = s.endTimeout()
	}
	switch {
	case limit > 0 && age >= limit+s.grace():
		c.abandon(v, st, mode, age)
	case limit > 0 && age >= limit && !w.ended:
		w.ended = true
		c.endScopes(context.DeadlineExceeded)
	case c.wc.Gone() && !w.ended:
		w.ended = true
		c.endScopes(context.Canceled)
	case mode == modeRunning && (st == StageEnd || c.postfix.Load() && c.answers(st)) && s.progressInterval() > 0 && now.Sub(w.progress) >= s.progressInterval():
		w.progress = now
		c.set.wg.Go(func() { c.sendProgress(v) })
	}
}

// sendProgress tells the MTA that the hook is at work, if it still is.
func (c *conn) sendProgress(v uint64) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if now, _, _ := c.guard.load(); now != v {
		return
	}
	if err := c.writeProgress(); err != nil {
		c.endScopes(context.Canceled)
	}
}

func (c *conn) endScopes(err error) {
	c.expired.Store(true)
	for _, p := range []*scope{c.msgScope.Load(), c.connScope.Load()} {
		if p != nil {
			p.end(err)
		}
	}
}

// abandon leaves the hook and its goroutine to themselves and goes on with the
// connection.
func (c *conn) abandon(v uint64, st Stage, mode int, age time.Duration) {
	if !c.guard.abandon(v) {
		return // it returned at the last moment
	}
	c.srv.abandoned.Add(1)
	c.endScopes(context.DeadlineExceeded)
	c.fault(&HookError{st, FaultHang, errors.New("no answer within " + age.Round(time.Millisecond).String())})
	if mode == modeWriting {
		c.wc.NetConn().Close()
		c.set.remove(c)
		return
	}
	go c.takeOver(st)
}

// takeOver answers for an abandoned hook and then for every further one, by the
// fault policy. The connection stays counted until it ends.
func (c *conn) takeOver(st Stage) {
	defer c.set.remove(c)
	defer c.wc.NetConn().Close()
	c.wc.Detach() // the hook may still look at its bytes
	c.idle.Store(connCalm)
	if st == StageClose {
		return
	}
	c.wmu.Lock() // wait for progress under way
	c.wmu.Unlock()
	d := &stand{c.wc, c.srv.faultAnswer(), c.granted.Protocol, c.set}
	if st <= StageUnknown && c.answers(st) {
		d.send()
	}
	d.serve()
}

// leaveAbandoned is the last thing the goroutine of an abandoned hook does, when
// the hook returned after all.
func (c *conn) leaveAbandoned() {
	c.srv.abandoned.Add(-1)
	if hook := c.hooks.Close; hook != nil {
		defer func() {
			if v := recover(); v != nil {
				c.log().Error("hook failed", "stage", StageClose, "kind", FaultPanic, "err", v)
			}
		}()
		hook()
	}
}
