package milter

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/gomilter/gomilter/internal/wire"
)

// CRLF returns a reader of r's bytes with every line end as CRLF, as a new body
// should have them: a bare LF gains a CR, and so does a bare CR its LF.
func CRLF(r io.Reader) io.Reader { return &crlfReader{r: r} }

type crlfReader struct {
	r    io.Reader
	in   [4096]byte
	out  []byte // converted, not yet returned
	cr   bool   // a CR was the last byte
	err  error
	hold []byte
}

func (c *crlfReader) Read(p []byte) (int, error) {
	for tries := 0; len(c.out) == 0; tries++ {
		switch {
		case c.err != nil:
			return 0, c.err
		case tries == 100: // as bufio.Reader
			return 0, io.ErrNoProgress
		}
		var n int
		n, c.err = c.r.Read(c.in[:])
		c.hold = c.hold[:0]
		for _, b := range c.in[:n] {
			if c.cr && b != '\n' {
				c.hold = append(c.hold, '\n')
			}
			if b == '\n' && !c.cr {
				c.hold = append(c.hold, '\r')
			}
			c.hold = append(c.hold, b)
			c.cr = b == '\r'
		}
		if c.err == io.EOF && c.cr {
			c.hold, c.cr = append(c.hold, '\n'), false
		}
		c.out = c.hold
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// A bodyWriter sends a new body as frames. Large writes leave without being
// copied, small ones are gathered to whole chunks.
type bodyWriter struct {
	c     *conn
	small []byte // gathered, at most a chunk
	any   bool   // a frame was made
	last  int    // bytes still to come, -1 when not known
	final []byte // frame to send behind the last byte; nil once sent
	bufs  net.Buffers

	failed error // of writing to the MTA
}

// chunks are buffers to read bodies into.
var chunks = sync.Pool{New: func() any { return new([wire.ChunkSize]byte) }}

func newBodyWriter(c *conn, final []byte) *bodyWriter {
	return &bodyWriter{c: c, last: -1, final: final}
}

// copyFrom sends what is gathered on the connection, the body and the final frame.
func (w *bodyWriter) copyFrom(body io.Reader) (err error) {
	switch body := body.(type) { // no other type's Len is believed
	case *bytes.Reader:
		w.last = body.Len()
	case *bytes.Buffer:
		w.last = body.Len()
	case *strings.Reader:
		w.last = body.Len()
	}
	if to, ok := body.(io.WriterTo); ok {
		_, err = to.WriteTo(w)
	} else {
		buf := chunks.Get().(*[wire.ChunkSize]byte)
		defer chunks.Put(buf)
		err = w.readFrom(body, buf[:0])
	}
	if err != nil {
		return err
	}
	return w.close()
}

// Write implements io.Writer.
func (w *bodyWriter) Write(p []byte) (int, error) {
	n := len(p)
	if w.last >= 0 {
		w.last = max(w.last-n, 0)
	}
	if n < wire.ChunkSize/4 && w.last != 0 {
		return n, w.gather(p)
	}
	if len(w.small) > 0 {
		w.add(w.small)
	}
	for len(p) > 0 {
		k := min(len(p), wire.ChunkSize)
		w.add(p[:k])
		p = p[k:]
	}
	return n, w.send(w.last == 0)
}

func (w *bodyWriter) gather(p []byte) error {
	if len(w.small)+len(p) > wire.ChunkSize {
		w.add(w.small)
		if err := w.send(false); err != nil {
			return err
		}
	}
	w.small = append(w.small, p...)
	return nil
}

// readFrom reads into buf, which is in use until close.
func (w *bodyWriter) readFrom(r io.Reader, buf []byte) error {
	w.small = buf
	nothing := 0
	for {
		k, err := r.Read(w.small[len(w.small):cap(w.small)])
		if nothing++; k > 0 {
			nothing = 0
		}
		w.small = w.small[:len(w.small)+k]
		if len(w.small) == cap(w.small) {
			w.add(w.small)
			if err := w.send(false); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case nothing == 100: // as bufio.Reader
			return io.ErrNoProgress
		}
	}
}

// add queues a frame of the body; p must stay until send.
func (w *bodyWriter) add(p []byte) {
	w.any = true
	frame, _ := wire.BeginFrame(nil, wire.ReplyReplaceBody)
	n := uint32(len(p) + 1)
	frame[0], frame[1], frame[2], frame[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	w.bufs = append(w.bufs, frame, p)
}

func (w *bodyWriter) send(final bool) error {
	if final && w.final != nil {
		w.bufs = append(w.bufs, w.final)
		w.final = nil
	}
	if len(w.bufs) == 0 {
		return nil
	}
	bufs := w.bufs
	w.failed = w.c.writeBuffers(&bufs)
	w.bufs, w.small = w.bufs[:0], w.small[:0]
	return w.failed
}

// close sends what is left. An empty body is one empty frame.
func (w *bodyWriter) close() error {
	if len(w.small) > 0 || !w.any {
		w.add(w.small)
	}
	return w.send(true)
}
