package wire

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// A Conn is one end of a milter connection: it cuts frames out of what it reads
// and gathers what it writes, so that many frames cost one system call.
//
// One goroutine may read and one write at a time. Close is for when neither does:
// to end a Next that waits, move the deadline of NetConn or close that.
type Conn struct {
	*Reader
	nc       net.Conn
	sock     *sock         // nil for connections that are no sockets
	reads    atomic.Uint32 // odd while the byte read next may be inside a frame; another number after each read
	out      []byte        // frames appended but not written
	read     deadline
	write    deadline
	writeErr error // of the first write that failed

	frameTimeout time.Duration
	ends         time.Time // of the wait in Next, or of the frame that has begun; zero for no end
	framed       bool      // the deadline set is that of a frame
}

// outKept is the largest output buffer a Conn keeps between writes, in bytes.
const outKept = 1 << 10

// NewConn returns a Conn on nc for payloads of at most maxPayload bytes.
// readTimeout bounds the wait in Next for bytes, writeTimeout each write; zero
// means no bound. A bound may be overstepped by a sixteenth.
func NewConn(nc net.Conn, maxPayload int, readTimeout, writeTimeout time.Duration) *Conn {
	c := &Conn{nc: nc, read: deadline{timeout: readTimeout}, write: deadline{timeout: writeTimeout}}
	if c.sock = newSock(nc); c.sock != nil {
		c.Reader = NewReader(c.sock, maxPayload)
	} else {
		c.Reader = NewReader(nc, maxPayload)
	}
	return c
}

// A deadline is moved only when it would come noticeably early, because moving
// it costs as much as a short system call.
type deadline struct {
	timeout time.Duration
	set     time.Time // when it was last moved
}

func (d *deadline) extend(move func(time.Time) error) error {
	if d.timeout <= 0 {
		return nil
	}
	slack := d.timeout / 16
	now := time.Now()
	if now.Sub(d.set) < slack {
		return nil
	}
	d.set = now
	return move(now.Add(d.timeout + slack))
}

// SetReadTimeout changes the bound on the wait in Next.
func (c *Conn) SetReadTimeout(d time.Duration) {
	if d != c.read.timeout {
		c.read = deadline{timeout: d}
		if d <= 0 {
			c.nc.SetReadDeadline(time.Time{})
		}
	}
}

// SetFrameTimeout bounds the time from a frame's first bytes to its last; zero
// means that the read timeout holds for a whole frame with the wait before it.
func (c *Conn) SetFrameTimeout(d time.Duration) { c.frameTimeout = d }

// Next returns the next frame; see Reader.Next.
func (c *Conn) Next() (cmd byte, payload []byte, err error) {
	cmd, payload, ok, err := c.Reader.cut()
	if !ok && err == nil {
		cmd, payload, err = c.wait()
	}
	if !c.Reader.Partial() {
		c.reads.Store((c.reads.Load() | 1) + 1)
	}
	return cmd, payload, err
}

// wait reads until a frame is here.
func (c *Conn) wait() (cmd byte, payload []byte, err error) {
	c.reads.Store(c.reads.Load() | 1)
	waited, begun := false, false // the deadline is the wait's, the frame's
	for ok := false; !ok; cmd, payload, ok, err = c.Reader.cut() {
		switch {
		case err != nil:
			return 0, nil, err
		case !c.Reader.Partial() || c.frameTimeout <= 0:
			if !waited {
				waited = true
				err = c.read.extend(c.nc.SetReadDeadline)
				c.ends = c.read.set.Add(c.read.timeout + c.read.timeout/16)
			}
			if c.framed && c.read.timeout <= 0 {
				c.ends = time.Time{}
				err = c.nc.SetReadDeadline(time.Time{})
			}
			c.framed = false
		case !begun:
			begun, c.framed = true, true
			c.read.set = time.Time{} // the next frame has the whole time again
			c.ends = time.Now().Add(c.frameTimeout)
			err = c.nc.SetReadDeadline(c.ends)
		}
		if err == nil {
			err = c.Reader.fill()
		}
		if err != nil {
			return 0, nil, err
		}
	}
	return cmd, payload, err
}

// Overdue reports whether the time of the wait that Next gave up is over, and not
// only the deadline of the connection, which others may move.
func (c *Conn) Overdue() bool { return !c.ends.IsZero() && !time.Now().Before(c.ends) }

// Out returns the frames gathered for the next Flush, to be appended to; the
// caller hands the result to SetOut.
func (c *Conn) Out() []byte { return c.out }

// SetOut takes back what Out returned.
func (c *Conn) SetOut(b []byte) { c.out = b }

// Flush writes the gathered frames in one write.
func (c *Conn) Flush() error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.Write(c.out)
	c.written()
	return err
}

// Write writes b at once, before what is gathered.
func (c *Conn) Write(b []byte) error {
	if err := c.beforeWrite(); err != nil {
		return err
	}
	_, err := c.nc.Write(b)
	if err != nil {
		c.writeErr = err
	}
	return err
}

// WriteBuffers writes what is gathered and bufs behind it, with one system call
// where the connection can. It empties bufs.
func (c *Conn) WriteBuffers(bufs *net.Buffers) error {
	if err := c.beforeWrite(); err != nil {
		*bufs = nil
		c.written()
		return err
	}
	if len(c.out) > 0 {
		*bufs = slices.Insert(*bufs, 0, c.out)
	}
	_, err := bufs.WriteTo(c.nc)
	if err != nil {
		c.writeErr = err
	}
	c.written()
	return err
}

// beforeWrite returns the error of the write that failed, if one did: the peer
// may have got half a frame, so nothing can follow it.
func (c *Conn) beforeWrite() error {
	if c.writeErr != nil {
		return c.writeErr
	}
	if c.sock != nil {
		c.sock.acked.Store(true) // the answer carries the acknowledgement
	}
	return c.write.extend(c.nc.SetWriteDeadline)
}

func (c *Conn) written() {
	c.out = c.out[:0]
	if cap(c.out) > outKept {
		c.out = nil
	}
}

// Gone reports whether the peer has certainly given up: the whole connection,
// when it closed it or a QUIT stands behind the frames that Next returned, or only
// the message, when an ABORT stands there. It never waits, and may be asked while
// another goroutine reads or writes. Both are false where the connection cannot
// tell, and while bytes behind the last frame wait in the Reader: what follows
// those may be anything, a body that looks like a QUIT too.
func (c *Conn) Gone() (connection, message bool) {
	if c.sock == nil {
		return false, false
	}
	reads := c.reads.Load()
	closed, next := c.sock.peek()
	between := reads&1 == 0 && reads == c.reads.Load()
	return closed || between && next == CmdQuit, between && next == CmdAbort
}

// Handover returns a Conn that goes on where c stands, for when somebody may hold
// a payload of c for ever. What c gathered is not taken over; c must not be used
// any more but for NetConn.
func (c *Conn) Handover() *Conn {
	to := NewConn(c.nc, c.Reader.max, c.read.timeout, c.write.timeout)
	to.frameTimeout = c.frameTimeout
	to.Reader.take(c.Reader)
	return to
}

// NetConn returns the connection underneath.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Close closes the connection and gives its buffer back.
func (c *Conn) Close() error {
	c.Reader.Close()
	return c.nc.Close()
}

// IsTimeout reports whether an error of Next or Flush is a deadline that passed.
func IsTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded)
}
