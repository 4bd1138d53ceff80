package offline

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrMbox is the error of a mailbox file that does not begin as one.
var ErrMbox = errors.New("not a mailbox: it does not begin with \"From \"")

// A Format says which files are mailboxes, and how lines that look like a separator
// are quoted in them.
type Format uint8

// The formats.
const (
	Auto   Format = iota // files that begin with "From " are mailboxes, as MboxRD
	MboxRD               // all are; each ">" in front of "From " has one more in the file
	MboxO                // all are; "From " alone has a ">" more in the file
	None                 // none is
)

var formatNames = [...]string{"auto", "rd", "o", "no"}

// String returns the name of the format: auto, rd, o or no.
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("format %d", uint8(f))
}

// MarshalText returns what String returns.
func (f Format) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (f *Format) UnmarshalText(b []byte) error {
	for i, name := range formatNames {
		if string(b) == name {
			*f = Format(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", b, strings.Join(formatNames[:], ", "))
}

// An mbox reads the messages of a mailbox file (RFC 4155 appendix A) one by one. A
// line that begins with "From " behind an empty line, or first in the file, begins a
// message; it and the empty line before it are of no message. Line ends stay as they
// are.
type mbox struct {
	r      *bufio.Reader
	format Format
	begun  bool
	over   bool
	line   string // that begins the message to come, cut at maxSeparator bytes
}

const (
	mboxBuffer   = 64 << 10
	maxSeparator = 1 << 10
)

func newMbox(r *bufio.Reader, f Format) *mbox { return &mbox{r: r, format: f} }

// next writes the next message to b and returns the line it began with. The error is
// io.EOF after the last message, ErrMbox, that of reading, or that of b, where ErrTooLarge
// costs this message only.
func (m *mbox) next(b *buffer) (line string, err error) {
	if m.over {
		return "", io.EOF
	}
	if !m.begun {
		m.begun = true
		switch frag, err := m.r.ReadSlice('\n'); {
		case isSeparator(frag):
			if err := m.separator(frag, err); err != nil {
				return "", err
			}
		case len(frag) == 0 && err == io.EOF:
			m.over = true
			return "", io.EOF
		case err == nil || err == io.EOF || err == bufio.ErrBufferFull:
			m.over = true
			return "", ErrMbox
		default:
			m.over = true
			return "", err
		}
	}
	line = m.line
	var failed error // of b
	write := func(p []byte) {
		if failed == nil {
			if _, failed = b.Write(p); failed != nil {
				b.drop()
			}
		}
	}
	var blank []byte // an empty line that waits for what follows it
	for first := true; ; {
		if m.over {
			return line, failed
		}
		frag, err := m.r.ReadSlice('\n')
		switch err {
		case nil, bufio.ErrBufferFull:
		case io.EOF:
			m.over = true
		default:
			m.over = true
			b.drop()
			return line, err
		}
		if failed != nil && failed != ErrTooLarge {
			m.over = true
			return line, failed
		}
		if first {
			if blank != nil && isSeparator(frag) {
				if err := m.separator(frag, err); err != nil {
					b.drop()
					return line, err
				}
				return line, failed
			}
			if len(frag) == 0 {
				continue // at the end; an empty line before it is that of the file
			}
			write(blank)
			if blank = nil; len(bytes.TrimSuffix(bytes.TrimSuffix(frag, []byte("\n")), []byte("\r"))) == 0 && err == nil {
				blank = bytes.Clone(frag)
				continue
			}
			frag = m.unquote(frag)
		}
		write(frag)
		first = err == nil
	}
}

// separator takes note of a line whose first part was read, and reads the rest of it.
func (m *mbox) separator(frag []byte, err error) error {
	m.line = string(frag[:min(len(frag), maxSeparator)])
	for err == bufio.ErrBufferFull {
		_, err = m.r.ReadSlice('\n')
	}
	if err == io.EOF {
		m.over = false // a message of nothing is to come
		return nil
	}
	return err
}

func isSeparator(line []byte) bool { return bytes.HasPrefix(line, []byte("From ")) }

// unquote returns the line as it was before it was put into the file.
func (m *mbox) unquote(line []byte) []byte {
	n := 0
	for n < len(line) && line[n] == '>' {
		n++
	}
	if n == 0 || m.format == MboxO && n > 1 || !isSeparator(line[n:]) {
		return line
	}
	return line[1:]
}
