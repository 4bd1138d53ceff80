package milter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// A connSet is the connections of one listener.
type connSet struct {
	srv      *Server
	budget   *wire.Budget
	ln       net.Listener
	ctx      context.Context // parent of the scopes, for its values
	wg       sync.WaitGroup  // goroutines that are not a connection's own
	stopping atomic.Bool
	stop     chan struct{} // closed when stopping
	stopOnce sync.Once
	done     chan struct{} // closed when Serve returns

	mu    sync.Mutex
	conns map[*conn]struct{}
	empty chan struct{} // closed when the last connection left while stopping
}

func newConnSet(s *Server, ctx context.Context, ln net.Listener) *connSet {
	return &connSet{srv: s, ln: ln, ctx: ctx, budget: s.frameBudget(), stop: make(chan struct{}), done: make(chan struct{}),
		conns: make(map[*conn]struct{}), empty: make(chan struct{})}
}

// close stops accepting. Connections end with their running message.
func (set *connSet) close() {
	set.stopOnce.Do(func() {
		set.stopping.Store(true)
		close(set.stop)
		set.ln.Close()
	})
}

// accept serves connections until the listener is closed. A lack of descriptors
// or memory passes, so it waits and tries again.
func (set *connSet) accept() error {
	var wait time.Duration
	for {
		nc, err := set.ln.Accept()
		if err == nil {
			wait = 0
			set.add(nc)
			continue
		}
		if set.stopping.Load() {
			return ErrServerClosed
		}
		if errno, ok := errors.AsType[syscall.Errno](err); !ok || !errno.Temporary() && errno != syscall.ENOBUFS && errno != syscall.ENOMEM {
			return fmt.Errorf("milter: accept on %v: %w", set.ln.Addr(), err)
		}
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		set.srv.log().Warn("accept failed", "err", err, "wait", wait)
		select {
		case <-time.After(wait):
		case <-set.stop:
		}
	}
}

// maxFirstFrame bounds the payloads of a peer that has not negotiated, and so may
// be anybody.
const maxFirstFrame = 4 << 10

// add begins to serve a connection.
func (set *connSet) add(nc net.Conn) {
	s := set.srv
	c := &conn{srv: s, set: set, id: s.lastID.Add(1)}
	c.wc = wire.NewConn(nc, maxFirstFrame, or(s.FrameTimeout, defaultFrameTimeout), or(s.WriteTimeout, defaultWriteTimeout))
	c.wc.SetFrameTimeout(or(s.FrameTimeout, defaultFrameTimeout))
	c.wc.SetBudget(set.budget)
	c.session.c = c
	c.client.Family = FamilyUnknown
	c.connScope.Store(newScope(set.ctx))

	serve := c.serve
	n, limit := s.conns.Add(1), int64(or(s.MaxConns, defaultMaxConns))
	switch {
	case limit > 0 && n > limit:
		c.limit(LimitConns, "connections", n)
		serve = c.turnAway
	case s.tooManyAbandoned() != nil:
		c.limit(LimitAbandoned, "hooks", s.abandoned.Load())
		serve = c.turnAway
	}
	set.mu.Lock()
	set.conns[c] = struct{}{}
	set.mu.Unlock()
	s.count(func(m Metrics) { m.Connection(+1) })
	if limit > 0 && n > 2*limit {
		c.release() // too many even to be answered
		return
	}
	go serve()
}

// turnAway serves a connection for which there is no room: it is answered
// tempfail.
func (c *conn) turnAway() {
	defer c.release()
	c.idle.Store(connCalm)
	(&stand{wc: c.wc, answer: busyAnswer, set: c.set}).serve()
}

// remove forgets a connection that ended.
func (set *connSet) remove(c *conn) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if _, ok := set.conns[c]; !ok {
		return
	}
	delete(set.conns, c)
	set.srv.conns.Add(-1)
	set.srv.count(func(m Metrics) { m.Connection(-1) })
	if set.stopping.Load() && len(set.conns) == 0 {
		set.closeEmpty()
	}
}

// replace puts a connection in the place of another. It is false when that one
// was removed already.
func (set *connSet) replace(old, by *conn) bool {
	set.mu.Lock()
	defer set.mu.Unlock()
	if _, ok := set.conns[old]; !ok {
		return false
	}
	delete(set.conns, old)
	set.conns[by] = struct{}{}
	return true
}

func (set *connSet) closeEmpty() {
	select {
	case <-set.empty:
	default:
		close(set.empty)
	}
}

// busy appends the connections in which a hook runs. It wakes those that wait for
// a command, once, to let them save memory. While the server stops, it wakes all that wait between messages, again and again, as one
// that is about to wait moves its own deadline.
func (set *connSet) busy(to []*conn) []*conn {
	set.mu.Lock()
	defer set.mu.Unlock()
	stopping := set.stopping.Load()
	for c := range set.conns {
		_, _, mode := c.guard.load()
		switch {
		case mode == modeRunning || mode == modeWriting:
			to = append(to, c)
		case stopping && c.idle.Load() != connBusy:
			c.nudge()
		case c.idle.CompareAndSwap(connIdle, connCalm):
			c.nudge()
		}
	}
	return to
}

// nudge ends the wait for a command.
func (c *conn) nudge() {
	c.nudged.Store(true)
	c.wc.NetConn().SetReadDeadline(time.Unix(1, 0))
}

// drain waits for the connections to end. After the timeout it ends their
// contexts and closes them, and abandons the hooks that do not return.
func (set *connSet) drain(timeout time.Duration) {
	set.mu.Lock()
	if len(set.conns) == 0 {
		set.closeEmpty()
	}
	set.mu.Unlock()
	set.busy(nil)
	if set.emptied(timeout) {
		return
	}
	for _, c := range set.all() {
		v, _, _ := c.guard.load()
		c.endScopes(v, context.Canceled)
		c.wc.NetConn().Close()
	}
	if set.emptied(set.srv.grace()) {
		return
	}
	for _, c := range set.all() {
		if v, st, mode := c.guard.load(); (mode == modeRunning || mode == modeWriting) && c.guard.abandon(v) {
			set.srv.abandoned.Add(1)
			c.fault(&HookError{st, FaultHang, errors.New("still running when the server stopped")})
		}
		set.remove(c)
	}
}

// emptied waits for the last connection; zero means without limit.
func (set *connSet) emptied(timeout time.Duration) bool {
	var late <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-set.empty:
		return true
	case <-late:
		return false
	}
}

func (set *connSet) all() []*conn {
	set.mu.Lock()
	defer set.mu.Unlock()
	all := make([]*conn, 0, len(set.conns))
	for c := range set.conns {
		all = append(all, c)
	}
	return all
}
