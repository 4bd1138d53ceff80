// Package memconn is connections in memory that behave as sockets do: writers wait
// when the reader is slow, deadlines hold, and what was written before the end can
// be read after it.
package memconn

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeSize is how much a pipe holds in each direction before a writer waits, in
// bytes, as the buffer of a socket does.
const pipeSize = 256 << 10

// A pipe is one direction of a connection in memory. Its waits end a testing/synctest
// bubble's round as a sleep does.
type pipe struct {
	mu      sync.Mutex
	changed *sync.Cond
	buf     []byte
	ended   bool // no more is written
	deaf    bool // no more is read
	reading bool // a reader waits for bytes
	read    deadline
	write   deadline
}

func newPipe() *pipe {
	p := new(pipe)
	p.changed = sync.NewCond(&p.mu)
	return p
}

// A deadline wakes the waits of a pipe when its time has come.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// set moves one of the two deadlines.
func (p *pipe) set(d *deadline, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.stop()
	if d.at = t; !t.IsZero() {
		if wait := time.Until(t); wait > 0 {
			d.timer = p.wake(wait)
		}
	}
	p.changed.Broadcast()
}

// wake wakes all waits after some time.
func (p *pipe) wake(after time.Duration) *time.Timer {
	return time.AfterFunc(after, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changed.Broadcast()
	})
}

func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.deaf:
			return 0, net.ErrClosed
		case p.read.passed():
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case len(p.buf) > 0:
			n := copy(b, p.buf)
			if p.buf = p.buf[n:]; len(p.buf) == 0 {
				p.buf = nil
			}
			p.changed.Broadcast()
			return n, nil
		case p.ended:
			return 0, io.EOF
		}
		p.reading = true
		p.changed.Broadcast()
		p.changed.Wait()
		p.reading = false
	}
}

func (p *pipe) Write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.ended:
			return n, net.ErrClosed
		case p.deaf:
			return n, io.ErrClosedPipe
		case p.write.passed():
			return n, os.ErrDeadlineExceeded
		}
		k := min(len(b), pipeSize-len(p.buf))
		p.buf = append(p.buf, b[:k]...)
		p.changed.Broadcast()
		n += k
		if b = b[k:]; len(b) == 0 {
			return n, nil
		}
		p.changed.Wait()
	}
}

// end is the writer's close: what was written can still be read.
func (p *pipe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.write.stop()
	p.changed.Broadcast()
}

// stopReading is the reader's close.
func (p *pipe) stopReading() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf, p.buf = true, nil
	p.read.stop()
	p.changed.Broadcast()
}

// await waits until ok, which is called with the lock held, and reports whether it
// came to that.
func (p *pipe) await(patience time.Duration, ok func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ok() {
		return true
	}
	end := time.Now().Add(patience)
	defer p.wake(patience).Stop()
	for !ok() {
		if !time.Now().Before(end) {
			return false
		}
		p.changed.Wait()
	}
	return true
}

// settled waits until the reader has read all and waits for more. When no more is
// written it waits until the reader has gone.
func (p *pipe) settled(patience time.Duration) bool {
	return p.await(patience, func() bool { return p.deaf || !p.ended && p.reading && len(p.buf) == 0 })
}

// A Conn is one end of a connection in memory. Close ends what it writes, and lets
// the other end's writes fail.
type Conn struct {
	in, out *pipe
	name    addr
}

// Pipe returns the two ends of a connection whose addresses are name.
func Pipe(name string) (ours, theirs *Conn) {
	a, b := newPipe(), newPipe()
	return &Conn{in: a, out: b, name: addr(name)}, &Conn{in: b, out: a, name: addr(name)}
}

// Settled waits until the other end has read all that was written and waits for
// more, and reports whether it came to that in time. After Close it waits until the
// other end is closed as well.
func (e *Conn) Settled(patience time.Duration) bool { return e.out.settled(patience) }

// Read reads what the other end wrote; io.EOF after its Close.
func (e *Conn) Read(b []byte) (int, error) { return e.in.Read(b) }

// Write waits while the other end has not read what was written before.
func (e *Conn) Write(b []byte) (int, error) { return e.out.Write(b) }

// Close closes this end.
func (e *Conn) Close() error {
	e.out.end()
	e.in.stopReading()
	return nil
}

// LocalAddr returns the connection's name.
func (e *Conn) LocalAddr() net.Addr { return e.name }

// RemoteAddr returns the connection's name.
func (e *Conn) RemoteAddr() net.Addr { return e.name }

// SetReadDeadline bounds reads, those that wait included.
func (e *Conn) SetReadDeadline(t time.Time) error {
	e.in.set(&e.in.read, t)
	return nil
}

// SetWriteDeadline bounds writes, those that wait included.
func (e *Conn) SetWriteDeadline(t time.Time) error {
	e.out.set(&e.out.write, t)
	return nil
}

// SetDeadline bounds both.
func (e *Conn) SetDeadline(t time.Time) error {
	e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

// An addr is the address of a connection in memory.
type addr string

func (addr) Network() string  { return "memory" }
func (a addr) String() string { return string(a) }

// A Listener takes connections in memory.
type Listener struct {
	name   string
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Listen returns a listener whose address is name.
func Listen(name string) *Listener {
	return &Listener{name: name, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next connection; net.ErrClosed after Close.
func (ln *Listener) Accept() (net.Conn, error) {
	select {
	case nc := <-ln.conns:
		return nc, nil
	case <-ln.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial. Connections stay.
func (ln *Listener) Close() error {
	ln.once.Do(func() { close(ln.closed) })
	return nil
}

// Addr returns the listener's name.
func (ln *Listener) Addr() net.Addr { return addr(ln.name) }

// Dial returns a connection to whoever listens, nil after Close. It waits for Accept.
func (ln *Listener) Dial() *Conn {
	ours, theirs := Pipe(ln.name)
	select {
	case ln.conns <- theirs:
		return ours
	case <-ln.closed:
		return nil
	}
}
