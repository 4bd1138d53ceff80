package daemon

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/mta"
)

// marking is a server that writes a generation into each message.
func marking(generation int) (*milter.Server, *filter.Chain) {
	mark := &filter.Filter{Name: "mark", Needs: filter.Needs{Actions: milter.CanAddHeaders},
		Message: func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			return milter.Accept, e.AddHeader("X-Generation", fmt.Sprint(generation))
		}}
	return &milter.Server{}, &filter.Chain{Steps: []filter.Step{{Filter: mark}}, Explain: func(*filter.Explanation) {}}
}

func TestServersChangeUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	srv, chain := marking(0)
	now := newService(srv, chain, newInlet(ln.Addr()))
	go now.serve(ctx)
	s := newSocket(ln, now.inlet)
	go s.run()

	var senders, retirings sync.WaitGroup
	var sent atomic.Int64
	delivered := make(chan struct{})
	enough := make(chan struct{})
	for range 6 {
		senders.Go(func() {
			c := &mta.Client{Milters: []mta.Milter{{Address: "unix:" + path}}}
			for {
				select {
				case <-enough:
					return
				default:
				}
				session, out, err := c.Connect(ctx, mta.Conn{})
				if err != nil || out.Verdict != mta.Continue {
					t.Errorf("connect: %v, %v", out, err)
					return
				}
				seen := ""
				for range 3 {
					for _, step := range []func() (mta.Outcome, error){
						func() (mta.Outcome, error) { return session.Mail(ctx, "<a@example.com>") },
						func() (mta.Outcome, error) { return session.Rcpt(ctx, "<b@example.com>") },
						func() (mta.Outcome, error) { return session.Data(ctx) },
					} {
						if out, err := step(); err != nil || out.Verdict != mta.Continue {
							t.Errorf("%v, %v", out, err)
						}
					}
					res, err := session.Message(ctx, []byte("Subject: s\r\n\r\nbody\r\n"))
					if err != nil || res.Verdict != mta.Accept || len(res.Edits) != 1 {
						t.Errorf("%+v, %v", res, err)
						break
					}
					if g := res.Edits[0].Value; seen == "" {
						seen = g
					} else if g != seen {
						t.Errorf("generation %s after %s on one connection", g, seen)
					}
					sent.Add(1)
					select {
					case delivered <- struct{}{}:
					case <-enough:
					}
				}
				session.Quit(ctx)
				session.Close()
			}
		})
	}
	const servers = 30
	for g := range servers {
		for range 10 {
			<-delivered
		}
		srv, chain := marking(g + 1)
		next := newService(srv, chain, newInlet(ln.Addr()))
		go next.serve(ctx)
		s.pass(next.inlet)
		old := now
		retirings.Go(func() { old.retire(ctx) })
		now = next
	}
	close(enough)
	senders.Wait()
	retirings.Wait()
	if err := s.close(); err != nil {
		t.Error(err)
	}
	now.retire(ctx)
	if now.err != milter.ErrServerClosed {
		t.Errorf("serve ended with %v", now.err)
	}
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("the socket is still open")
	}
	t.Logf("%d messages over %d servers", sent.Load(), servers+1)
}

// A server that has settled after it was replaced gets no connection any more.
func TestNoConnectionGoesToAServerThatWasReplaced(t *testing.T) {
	type server struct {
		inlet   *inlet
		settled atomic.Bool
	}
	var late atomic.Int64
	var acceptors sync.WaitGroup
	start := func() *server {
		s := &server{inlet: newInlet(nil)}
		acceptors.Go(func() {
			for {
				if _, err := s.inlet.Accept(); err != nil {
					return
				}
				if s.settled.Load() {
					late.Add(1)
				}
			}
		})
		return s
	}
	now := start()
	s := newSocket(nil, now.inlet)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				s.hand(accepted{conn: struct{ net.Conn }{}})
			}
		})
	}
	for range 20_000 {
		next := start()
		s.pass(next.inlet)
		now.inlet.settle()
		now.settled.Store(true)
		now.inlet.Close()
		now = next
	}
	stop()
	now.inlet.Close()
	clients.Wait()
	acceptors.Wait()
	if n := late.Load(); n > 0 {
		t.Errorf("%d connections came late", n)
	}
}
