package milter

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// serving starts a server that the test stops itself.
func serving(s *Server) (ln *pipeListener, stop func(), done chan error) {
	ln = &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	if s.Log == nil {
		s.Log = new(logBook).logger()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done = make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	return ln, cancel, done
}

func TestStopClosesIdleConnectionsAtOnce(t *testing.T) {
	for _, when := range []time.Duration{0, time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var n notes
			ln, stop, done := serving(filter(n.hooks(nil)))
			fresh, greeted, between := ln.dial(t), ln.dial(t), ln.dial(t)
			greeted.greet()
			between.greet()
			between.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">E", "<c")
			_ = fresh
			time.Sleep(when)
			n.take()
			began := time.Now()
			stop()
			if err := <-done; err != ErrServerClosed {
				t.Errorf("Serve = %v", err)
			}
			if took := time.Since(began); took > 300*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			greeted.closed()
			between.closed()
			if got := n.take(); len(got) != 2 {
				t.Errorf("hooks saw %q", got)
			}
		})
	}
}

func TestStopLetsMessagesFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		var ended error
		h := n.hooks(nil)
		h.End = func(ctx context.Context, _ *Edits) EndReply {
			time.Sleep(20 * time.Second)
			ended = ctx.Err()
			return Accept
		}
		ln, stop, done := serving(filter(h))
		p := ln.dial(t)
		p.greet()
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c")
		stop()
		synctest.Wait()
		select {
		case ln.conns <- nil:
			t.Error("a new connection was taken")
		case <-ln.closed:
		}
		time.Sleep(5 * time.Second)
		p.talk(">"+rcptFrame, "<c", ">T", "<c", ">"+headerFrame, "<c", ">N", "<c", ">"+bodyFrame, "<c")
		p.write("E")
		if got := p.readPast(); got != "a" {
			t.Errorf("answer = %q", got)
		}
		p.closed()
		if err := <-done; err != ErrServerClosed || ended != nil {
			t.Errorf("Serve = %v, the hook's context: %v", err, ended)
		}
		if got := n.take(); got[len(got)-1] != "close" {
			t.Errorf("hooks saw %q", got)
		}
	})
}

func TestStopHasADeadline(t *testing.T) {
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		want    time.Duration
	}{{"default", 0, 30 * time.Second}, {"knob", 3 * time.Second, 3 * time.Second}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n notes
				s := filter(n.hooks(nil))
				s.StopTimeout = tt.timeout
				ln, stop, done := serving(s)
				p := ln.dial(t)
				p.greet()
				p.talk(">"+mailFrame, "<c") // and nothing more
				n.take()
				stop()
				takes(t, "stopping", tt.want, time.Second, func() { <-done })
				n.want(t, "abort", "close")
				p.closed()
			})
		})
	}
}

func TestStopWithoutDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := filter(new(notes).hooks(nil))
		s.StopTimeout = -1
		ln, stop, done := serving(s)
		p := ln.dial(t)
		p.greet()
		p.talk(">"+mailFrame, "<c")
		stop()
		time.Sleep(2 * time.Hour)
		p.talk(">"+rcptFrame, "<c", ">E", "<c")
		if err := <-done; err != ErrServerClosed {
			t.Errorf("Serve = %v", err)
		}
	})
}

func TestStopDoesNotWaitForHooksThatHang(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var n notes
			m := new(counts)
			release := make(chan struct{})
			s := filter(on(&n, StageEnd, func(ctx context.Context) {
				if heeds {
					<-ctx.Done()
					n.add("%v", ctx.Err())
					return
				}
				<-release
			}))
			s.Metrics = m
			ln, stop, done := serving(s)
			p := ln.dial(t)
			p.wc.SetReadTimeout(time.Hour)
			p.greet()
			p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c")
			n.take()
			p.write("E")
			go func() { // as an MTA would, read the signs of life
				for {
					if _, err := p.next(); err != nil {
						return
					}
				}
			}()
			time.Sleep(time.Second)
			stop()
			takes(t, "stopping", 30*time.Second, 2*time.Second, func() { <-done })
			if heeds {
				n.want(t, "context canceled", "end", "close")
				m.wantFaults(t)
			} else {
				n.want(t)
				m.wantFaults(t, "end hang")
				if got := s.abandoned.Load(); got != 1 {
					t.Errorf("%d hooks abandoned", got)
				}
			}
			close(release)
			synctest.Wait()
			if !heeds {
				n.want(t, "end", "close")
			}
			if s.abandoned.Load() != 0 || s.conns.Load() != 0 || m.conns != 0 {
				t.Errorf("%d abandoned, %d and %d connections", s.abandoned.Load(), s.conns.Load(), m.conns)
			}
		})
	}
}

// A connection whose hook was abandoned, or for which there was no room, does not
// hold up the end either.
func TestStopEndsStandIns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := filter(on(new(notes), StageRcpt, func(context.Context) { <-release }))
		s.MaxConns = 1
		ln, stop, done := serving(s)
		p, turned := ln.dial(t), ln.dial(t)
		p.greet()
		turned.offer()
		turned.want(busyFrame, connectFrame)
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<"+failedFrame, ">T", "<"+failedFrame)
		began := time.Now()
		stop()
		<-done
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		p.closed()
		turned.closed()
		close(release)
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := filter(new(notes).hooks(nil))
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown of what never served = %v", err)
		}
		if err := s.Ready(); err == nil {
			t.Error("ready before it serves")
		}
		one, _, done1 := serving(s)
		_, _, done2 := serving(s) // two listeners
		synctest.Wait()           // both are served now
		p := one.dial(t)
		if err := s.Ready(); err != nil {
			t.Errorf("Ready = %v", err)
		}
		p.greet()
		p.talk(">"+mailFrame, "<c")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("Shutdown = %v", err)
		}
		if err := s.Ready(); err == nil {
			t.Error("ready while it stops")
		}
		if err := <-done2; err != ErrServerClosed {
			t.Errorf("Serve = %v", err)
		}
		p.talk(">"+rcptFrame, "<c", ">E", "<c")
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := s.Shutdown(context.Background()); err != nil {
					t.Errorf("Shutdown = %v", err)
				}
			})
		}
		wg.Wait()
		if err := <-done1; err != ErrServerClosed {
			t.Errorf("Serve = %v", err)
		}
		again, stop, done := serving(s) // it can serve once more
		again.dial(t).greet()
		stop()
		<-done
	})
}

func TestServeWithEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ln := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	if err := filter(Hooks{}).Serve(ctx, ln); err != ErrServerClosed {
		t.Errorf("Serve = %v", err)
	}
}

// failing is a listener whose Accept returns errors, then connections.
type failing struct {
	*pipeListener
	errs []error
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return nil, err
	}
	return f.pipeListener.Accept()
}

func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		s := filter(Hooks{})
		s.Log = book.logger()
		inner := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		ln := &failing{inner, []error{&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}}
		start(t, s, ln)
		inner.dial(t).offer() // it goes on
		if log := book.String(); strings.Count(log, "accept failed") != 4 || !strings.Contains(log, "wait=40ms") {
			t.Errorf("log = %s", log)
		}
	})
	t.Run("one that stays", func(t *testing.T) {
		inner := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		s := filter(Hooks{})
		err := s.Serve(t.Context(), &failing{inner, []error{syscall.EBADF}})
		if !errors.Is(err, syscall.EBADF) || err == ErrServerClosed {
			t.Errorf("Serve = %v", err)
		}
		if _, err := inner.Accept(); err == nil {
			t.Error("the listener was left open")
		}
	})
	t.Run("while it waits to try again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			errs := make([]error, 100)
			for i := range errs {
				errs[i] = syscall.EMFILE
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second+500*time.Millisecond)
			defer cancel()
			s := filter(Hooks{})
			s.Log = new(logBook).logger()
			began := time.Now()
			s.Serve(ctx, &failing{&pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}, errs})
			if took := time.Since(began); took != 10*time.Second+500*time.Millisecond {
				t.Errorf("stopping took until %v", took)
			}
		})
	})
}

func TestListenAndServe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithCancel(t.Context())
	s := filter(Hooks{})
	done := make(chan error, 1)
	go func() { done <- s.ListenAndServe(ctx, "unix:"+path) }()
	for s.Ready() != nil {
		time.Sleep(time.Millisecond)
	}
	connect(t, &net.UnixAddr{Name: path, Net: "unix"}).ordinary()
	cancel()
	if err := <-done; err != ErrServerClosed {
		t.Errorf("ListenAndServe = %v", err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
	if err := s.ListenAndServe(ctx, "tcp:25"); err == nil || err == ErrServerClosed {
		t.Errorf("ListenAndServe of a bad spec = %v", err)
	}
}

// A connection that breaks inside this package takes no other along.
func TestMistakeOfOurOwn(t *testing.T) {
	var n notes
	var book logBook
	s := filter(n.hooks(nil))
	s.Log = book.logger()
	ln := serve(t, s)
	ours, theirs := net.Pipe()
	ln.conns <- panicking{theirs}
	p := newPeer(t, ours)
	p.offer()
	p.closed()
	if log := book.String(); !strings.Contains(log, "connection failed") || !strings.Contains(log, "a mistake") {
		t.Errorf("log = %s", log)
	}
	ln.dial(t).offer()
	n.want(t, "close")
}

// panicking is a connection whose second Read panics.
type panicking struct{ net.Conn }

func (c panicking) SetReadDeadline(at time.Time) error {
	if time.Until(at) > time.Hour { // the wait for a command after the offer
		panic("a mistake")
	}
	return c.Conn.SetReadDeadline(at)
}
