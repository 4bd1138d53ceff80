package release

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gomilter/gomilter/message"
)

// digest returns the SHA-256 of what a mark covers of a message.
func digest(h message.Header, body io.Reader) (sum [sha256.Size]byte, err error) {
	d := sha256.New()
	for _, f := range h {
		name := strings.ToLower(strings.TrimRight(f.Name(), " \t"))
		if name == "mime-version" || strings.HasPrefix(name, "content-") {
			fmt.Fprintf(d, "%s:%s\n", name, bytes.Join(bytes.Fields(f.Value()), []byte(" ")))
		}
	}
	d.Write([]byte{'\n'})
	w := bodyWriter{to: d}
	if _, err := io.Copy(&w, body); err != nil {
		return sum, err
	}
	w.end()
	d.Sum(sum[:0])
	return sum, nil
}

// A bodyWriter leaves out CR, and empty lines at the end.
type bodyWriter struct {
	to    io.Writer // never fails
	lines int       // line ends not written yet
	any   bool      // the last line is not empty
	buf   []byte
}

func (w *bodyWriter) Write(p []byte) (int, error) {
	w.buf = w.buf[:0]
	for _, c := range p {
		switch {
		case c == '\r':
			continue
		case c == '\n':
			w.lines++
			continue
		}
		for ; w.lines > 0; w.lines-- {
			if w.buf = append(w.buf, '\n'); len(w.buf) >= 64<<10 { // a message of line ends takes no memory
				w.flush()
			}
		}
		w.any = true
		w.buf = append(w.buf, c)
	}
	w.flush()
	return len(p), nil
}

func (w *bodyWriter) flush() {
	w.to.Write(w.buf)
	w.buf = w.buf[:0]
}

// end ends the last line that is not empty.
func (w *bodyWriter) end() {
	if w.any {
		w.to.Write([]byte{'\n'})
	}
}

// maxHeader is how large the header of a message to be marked may be. MTAs and the
// server take far less.
const maxHeader = 16 << 20

// ErrHeader is returned for a message whose header is larger than 16 MiB.
var ErrHeader = errors.New("release: the header is too large")

// split reads the header of a message; what is left in rest is the body.
func split(msg io.Reader) (h message.Header, rest io.Reader, err error) {
	r := bufio.NewReaderSize(msg, 32<<10)
	var head []byte
	for begin := true; ; {
		piece, err := r.ReadSlice('\n')
		head = append(head, piece...)
		if len(head) > maxHeader {
			return nil, nil, ErrHeader
		}
		empty := begin && len(bytes.TrimRight(piece, "\r\n")) == 0
		switch begin = err == nil; {
		case err == bufio.ErrBufferFull:
		case err != nil && err != io.EOF:
			return nil, nil, err
		case err == io.EOF || empty:
			// A line that is no field ends the header, too, and belongs to the body.
			m := message.Parse(head)
			return m.Header, io.MultiReader(bytes.NewReader(m.Body), r), nil
		}
	}
}
