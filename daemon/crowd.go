package daemon

import (
	"net"
	"sync"
)

const (
	maxWebConns = 64 // connections to the control socket, and those to the metrics
	maxWebHost  = 8  // of these from one host
)

// A crowdListener closes connections at once that are too many, so that those who
// open and hold them keep out themselves and nobody else. Those to a unix socket
// wait instead: they all come from one user.
type crowdListener struct {
	net.Listener
	room chan struct{} // of a unix socket

	mu   sync.Mutex
	n    int
	from map[string]int
}

func newCrowdListener(ln net.Listener) net.Listener {
	l := &crowdListener{Listener: ln, from: make(map[string]int)}
	if ln.Addr().Network() == "unix" {
		l.room = make(chan struct{}, maxWebConns)
	}
	return l
}

// Accept returns the next connection for which there is room.
func (l *crowdListener) Accept() (net.Conn, error) {
	for {
		if l.room != nil {
			l.room <- struct{}{}
		}
		c, err := l.Listener.Accept()
		if err != nil {
			if l.room != nil {
				<-l.room
			}
			return nil, err
		}
		if l.room != nil {
			return &crowdConn{Conn: c, left: func() { <-l.room }}, nil
		}
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		if l.enter(host) {
			return &crowdConn{Conn: c, left: func() { l.leave(host) }}, nil
		}
		c.Close()
	}
}

func (l *crowdListener) enter(host string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n >= maxWebConns || l.from[host] >= maxWebHost {
		return false
	}
	l.n++
	l.from[host]++
	return true
}

func (l *crowdListener) leave(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n--
	if l.from[host]--; l.from[host] == 0 {
		delete(l.from, host)
	}
}

// A crowdConn makes room when it is closed.
type crowdConn struct {
	net.Conn
	once sync.Once
	left func()
}

// Close closes the connection.
func (c *crowdConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.left)
	return err
}
