package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/gomilter/gomilter/message"
)

// What is read of a message; the daemon's default for headers is the same.
const (
	maxMessageHeader = 1 << 20
	maxMessage       = 1 << 30
)

// A spooledMessage is a message of which only the header and a part of the body are in memory.
type spooledMessage struct {
	message.Message        // its Body is the beginning of the body
	head            []byte // the message as it is, up to the body
	spool           *message.Spool
}

// readSpooled reads a message, but for the line that parts messages in a mailbox file. The errors are those
// of r and of the temporary file, that there is no header, and that a limit is exceeded. The message must be closed.
func readSpooled(r io.Reader) (*spooledMessage, error) {
	r = &limitedReader{r, maxMessage}
	data, err := io.ReadAll(io.LimitReader(r, maxMessageHeader+1))
	if err != nil {
		return nil, err
	}
	whole := len(data) <= maxMessageHeader
	if bytes.HasPrefix(data, []byte("From ")) {
		if _, rest, ok := bytes.Cut(data, []byte("\n")); ok {
			data = rest
		}
	}
	m := message.Parse(data)
	if len(m.Header) == 0 {
		return nil, errors.New("this is no message: it does not begin with a header field")
	}
	// The last line may be half a field.
	if !whole && len(m.Header) > 0 && len(m.Break) == 0 && bytes.IndexByte(m.Body, '\n') < 0 {
		return nil, fmt.Errorf("the header has more than %d bytes", maxMessageHeader)
	}
	s := &spooledMessage{m, data[:len(data)-len(m.Body)], message.NewSpool(0, "")}
	if _, err := io.Copy(s.spool, io.MultiReader(bytes.NewReader(m.Body), r)); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// body reads the body from the beginning.
func (s *spooledMessage) body() io.Reader { return io.NewSectionReader(s.spool, 0, s.spool.Size()) }

func (s *spooledMessage) Close() error { return s.spool.Close() }

// A limitedReader fails after left bytes.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("the message has more than %d bytes", maxMessage)
	}
	return n, err
}

// A wireReader reads CRLF for each LF, as SMTP has it.
type wireReader struct {
	r    io.Reader
	buf  []byte
	rest []byte // of buf, not read yet
	cr   bool   // was before rest
	err  error
}

func (w *wireReader) Read(p []byte) (n int, err error) {
	for len(w.rest) == 0 {
		if w.err != nil {
			return 0, w.err
		}
		if w.buf == nil {
			w.buf = make([]byte, 32<<10)
		}
		n, w.err = w.r.Read(w.buf)
		w.rest = w.buf[:n]
	}
	for n = 0; n < len(p) && len(w.rest) > 0; n++ {
		c := w.rest[0]
		if c == '\n' && !w.cr {
			c = '\r'
		} else {
			w.rest = w.rest[1:]
		}
		p[n], w.cr = c, c == '\r'
	}
	return n, nil
}
