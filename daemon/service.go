package daemon

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
)

// A service is a server with its chain. The chain can be put in place of another
// while the server runs: connections that have begun keep theirs.
type service struct {
	server *milter.Server
	inlet  *inlet
	chain  atomic.Pointer[filter.Chain]
	live   gauge
	ended  chan struct{} // closed when serve returns
	err    error         // of serve, then
}

// newService takes over a server that does not serve yet.
func newService(srv *milter.Server, chain *filter.Chain, in *inlet) *service {
	s := &service{server: srv, inlet: in, ended: make(chan struct{})}
	s.chain.Store(chain)
	srv.New = func(session *milter.Session) milter.Hooks { return s.chain.Load().Hooks(session) }
	s.live.next = srv.Metrics
	srv.Metrics = &s.live
	return s
}

// serve runs the server until the inlet is closed.
func (s *service) serve(ctx context.Context) {
	defer close(s.ended)
	s.err = s.server.Serve(ctx, s.inlet)
}

// retire waits until the last conversation has ended by itself, or ctx ends, and
// then stops the server. The socket must have passed to another before.
func (s *service) retire(ctx context.Context) {
	s.inlet.settle()
	select {
	case <-s.live.none():
	case <-ctx.Done():
	}
	s.server.Shutdown(context.WithoutCancel(ctx))
	<-s.ended
}

// ready returns why the service takes no new work.
func (s *service) ready() error {
	if err := s.server.Ready(); err != nil {
		return err
	}
	return s.chain.Load().Ready()
}

// A gauge counts the connections of a server, and tells others what it is told.
type gauge struct {
	next milter.Metrics

	mu      sync.Mutex
	n       int
	waiting chan struct{}
}

// none returns a channel that is closed once there are no connections.
func (g *gauge) none() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := make(chan struct{})
	if g.n == 0 {
		close(c)
		return c
	}
	g.waiting = c
	return c
}

func (g *gauge) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// Connection implements [milter.Metrics].
func (g *gauge) Connection(delta int) {
	g.mu.Lock()
	g.n += delta
	if g.n == 0 && g.waiting != nil {
		close(g.waiting)
		g.waiting = nil
	}
	g.mu.Unlock()
	if g.next != nil {
		g.next.Connection(delta)
	}
}

// Verdict implements [milter.Metrics].
func (g *gauge) Verdict(st milter.Stage, verdict string, took time.Duration) {
	if g.next != nil {
		g.next.Verdict(st, verdict, took)
	}
}

// Fault implements [milter.Metrics].
func (g *gauge) Fault(st milter.Stage, kind string) {
	if g.next != nil {
		g.next.Fault(st, kind)
	}
}

// Limit implements [milter.Metrics].
func (g *gauge) Limit(name string) {
	if g.next != nil {
		g.next.Limit(name)
	}
}
