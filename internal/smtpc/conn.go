package smtpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// conn is what go-smtp's client talks through: it reads one reply at a time, judged and in
// order, and its deadlines end with the dialogue.
type conn struct {
	net.Conn // the connection, or TLS on it
	r        *bufio.Reader
	ctx      context.Context // of the dialogue, which a conn does not outlive
	limit    int             // bytes of a reply
	step     time.Duration   // for a write
	end      time.Time       // of the dialogue
	unread   []byte          // of the last reply
	heard    func(Reply)     // is told each reply; may be nil
	spoke    bool            // something was written
	reply    Reply           // to what was said last; the zero value as long as there is none
	err      error           // that ended the dialogue
}

func newConn(ctx context.Context, nc net.Conn, o Options, end time.Time) *conn {
	return &conn{Conn: nc, r: bufio.NewReader(nc), ctx: ctx, limit: o.Reply, step: o.Step, end: end}
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		if c.err == nil {
			c.reply, c.err = readReply(c.r, c.limit)
		}
		if c.err != nil {
			return 0, c.err
		}
		if c.heard != nil {
			c.heard(c.reply)
		}
		c.unread = c.reply.appendWire(c.unread[:0])
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

// Write writes a command, or a part of a message. What the server said before it cannot be
// the reply to it.
func (c *conn) Write(p []byte) (int, error) {
	c.reply = Reply{}
	c.spoke = true
	if c.err == nil && c.r.Buffered() > 0 {
		c.err = fmt.Errorf("%w: server talks out of turn", ErrProtocol)
	}
	if c.err != nil {
		return 0, c.err
	}
	c.Conn.SetWriteDeadline(c.until(time.Now().Add(c.step)))
	return c.Conn.Write(p)
}

// SetDeadline sets the time for a step, the zero time for that of the dialogue.
func (c *conn) SetDeadline(t time.Time) error { return c.Conn.SetDeadline(c.until(t)) }

func (c *conn) until(t time.Time) time.Time {
	if t.IsZero() || t.After(c.end) {
		return c.end
	}
	return t
}

// fault returns why the dialogue broke: the context's end rather than what that did to
// the connection.
func (c *conn) fault(err error) error {
	switch {
	case c.ctx.Err() != nil:
		err = context.Cause(c.ctx)
	case c.err != nil:
		err = c.err
	}
	return plain(err)
}

// plain returns an error of a connection without the addresses in it, of which one is ours.
func plain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return errTime
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errHungUp
	}
	return err
}

// errTime is what is told of every time that ran out, be it a step's or the context's.
var errTime error = timeError{}

type timeError struct{}

func (timeError) Error() string { return "no answer in time" }
func (timeError) Timeout() bool { return true }
func (timeError) Is(target error) bool {
	return target == os.ErrDeadlineExceeded || target == context.DeadlineExceeded
}

var errHungUp = fmt.Errorf("server closed the connection: %w", io.ErrUnexpectedEOF)
