package daemon

import (
	"net"
	"sync"
	"sync/atomic"
)

// A socket accepts the connections of one place where MTAs find us, and hands each
// to the server that is in charge. Another server can take charge at any time, and
// no connection is lost in between.
type socket struct {
	ln      net.Listener
	closing atomic.Bool
	done    chan struct{} // closed when run returns

	mu sync.RWMutex // read while a connection is handed over
	to *inlet       // never nil
}

func newSocket(ln net.Listener, to *inlet) *socket {
	return &socket{ln: ln, to: to, done: make(chan struct{})}
}

// run accepts until close. What Accept returns goes to the server, errors as well:
// it knows which of them pass, and waits.
func (s *socket) run() {
	defer close(s.done)
	for {
		c, err := s.ln.Accept()
		if err != nil && s.closing.Load() {
			return
		}
		if !s.hand(accepted{conn: c, err: err}) {
			if c != nil {
				c.Close()
			}
			return
		}
	}
}

// hand is false when the server in charge takes no connections any more.
func (s *socket) hand(a accepted) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.to.hand(a)
}

// pass puts another server in charge. When it returns, no connection is on its way
// to the one before.
func (s *socket) pass(to *inlet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = to
}

// close stops listening, and returns when the last connection accepted is with
// its server. It does not stop the server.
func (s *socket) close() error {
	s.closing.Store(true)
	err := s.ln.Close()
	<-s.done
	return err
}

// accepted is what an Accept returned; neither of the two asks only whether
// somebody waits.
type accepted struct {
	conn net.Conn
	err  error
}

// An inlet is the listener of a server that gets its connections from a socket.
type inlet struct {
	addr   net.Addr
	next   chan accepted
	closed chan struct{}
	once   sync.Once
}

func newInlet(addr net.Addr) *inlet {
	return &inlet{addr: addr, next: make(chan accepted), closed: make(chan struct{})}
}

// hand waits until Accept takes a; it is false when the inlet is closed.
func (i *inlet) hand(a accepted) bool {
	select {
	case i.next <- a:
		return true
	case <-i.closed:
		return false
	}
}

// settle waits until the server has taken note of all connections it was handed:
// until it comes back for another.
func (i *inlet) settle() { i.hand(accepted{}) }

// Accept returns the next connection.
func (i *inlet) Accept() (net.Conn, error) {
	for {
		select {
		case a := <-i.next:
			if a.conn != nil || a.err != nil {
				return a.conn, a.err
			}
		case <-i.closed:
			return nil, net.ErrClosed
		}
	}
}

// Close ends Accept. The socket stays open.
func (i *inlet) Close() error {
	i.once.Do(func() { close(i.closed) })
	return nil
}

// Addr returns the socket's address.
func (i *inlet) Addr() net.Addr { return i.addr }
