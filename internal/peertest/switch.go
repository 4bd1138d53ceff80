package peertest

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// A Switch stands at a milter's address and hands each connection to whoever
// serves it at that moment. So an MTA, which cannot learn a new address while it
// runs, serves many cases. A connection that comes while nobody serves is closed
// at once: the MTA then does what its default action says.
type Switch struct {
	Spec string // its address in libmilter's notation

	ln   net.Listener
	done chan struct{} // closed when nothing is accepted any more

	mu  sync.Mutex
	now *outlet // nil while nobody serves
}

// NewSwitch makes a switch that ends with the test. network is unix, inet or inet6.
func NewSwitch(t testing.TB, network string) *Switch {
	t.Helper()
	s, err := newSwitch(FreeSpec(t, network))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func newSwitch(spec string) (*Switch, error) {
	e, err := parseSpec(spec)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen(e.dial())
	if err == nil && e.network == "unix" {
		err = os.Chmod(e.path, 0o666) // for Postfix's user
	}
	if err != nil {
		return nil, fmt.Errorf("peertest: switch: %w", err)
	}
	s := &Switch{Spec: spec, ln: ln, done: make(chan struct{})}
	go s.serve()
	return s, nil
}

func (s *Switch) stop() {
	s.ln.Close()
	<-s.done
}

func (s *Switch) serve() {
	defer close(s.done)
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		to := s.now
		s.mu.Unlock()
		if to == nil {
			c.Close()
			continue
		}
		select {
		case to.conns <- c:
		case <-to.closed:
			c.Close()
		}
	}
}

// Listen returns a listener that gets the connections from now on, until it is
// closed, the test ends or Listen is called again.
func (s *Switch) Listen(t testing.TB) net.Listener {
	l := &outlet{s: s, conns: make(chan net.Conn), closed: make(chan struct{})}
	s.mu.Lock()
	before := s.now
	s.now = l
	s.mu.Unlock()
	if before != nil {
		before.Close()
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Forward passes the connections from now on to the filter at spec, as [Switch.Listen]
// does to a listener. It costs a copy, so it is not for measuring time.
func (s *Switch) Forward(t testing.TB, spec string) {
	t.Helper()
	e, err := parseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	ln := s.Listen(t)
	var conns sync.WaitGroup
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { join(c, e) })
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-accepting
		conns.Wait()
	})
}

// join connects c with the filter at e until both have said all. A side that
// stays silent for long is cut off.
func join(c net.Conn, e endpoint) {
	defer c.Close()
	network, address := e.dial()
	f, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return
	}
	defer f.Close()
	deadline := time.Now().Add(5 * time.Minute)
	c.SetDeadline(deadline)
	f.SetDeadline(deadline)
	type half interface{ CloseWrite() error }
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(c, f)
		c.(half).CloseWrite()
	})
	io.Copy(f, c)
	f.(half).CloseWrite()
	back.Wait()
}

// An outlet is the listener of one case.
type outlet struct {
	s      *Switch
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *outlet) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *outlet) Close() error {
	l.once.Do(func() {
		l.s.mu.Lock()
		if l.s.now == l {
			l.s.now = nil
		}
		l.s.mu.Unlock()
		close(l.closed)
	})
	return nil
}

func (l *outlet) Addr() net.Addr { return l.s.ln.Addr() }
