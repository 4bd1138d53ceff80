package message

import (
	"encoding/base64"
	"io"
)

// newEncoder returns what applies an encoding, nil for one that changes nothing.
// Lines end in eol; the last one gets no line end. binary says that line ends are
// bytes as others.
func newEncoder(encoding, eol string, binary bool) coder {
	switch encoding {
	case "base64":
		return &base64Encoder{eol: eol}
	case "quoted-printable":
		return &qpEncoder{eol: eol, binary: binary}
	}
	return nil
}

// base64Line is how many bytes fill a line (RFC 2045 section 6.8).
const base64Line = 57

type base64Encoder struct {
	eol   string
	held  []byte
	lines bool
}

func (e *base64Encoder) append(dst, src []byte) []byte {
	if len(e.held) > 0 {
		n := min(base64Line-len(e.held), len(src))
		e.held, src = append(e.held, src[:n]...), src[n:]
		if len(e.held) < base64Line {
			return dst
		}
		dst, e.held = e.line(dst, e.held), e.held[:0]
	}
	for len(src) >= base64Line {
		dst, src = e.line(dst, src[:base64Line]), src[base64Line:]
	}
	e.held = append(e.held, src...)
	return dst
}

func (e *base64Encoder) line(dst, src []byte) []byte {
	if e.lines {
		dst = append(dst, e.eol...)
	}
	e.lines = true
	return base64.StdEncoding.AppendEncode(dst, src)
}

func (e *base64Encoder) finish(dst []byte) []byte {
	if len(e.held) > 0 {
		dst = e.line(dst, e.held)
	}
	e.held = nil
	return dst
}

// A qpEncoder writes quoted-printable (RFC 2045 section 6.7) that survives what
// MTAs and mailboxes do: no blank ends a line, and no line begins with a dot, with
// "From " or with what could be a boundary. Only a line end as eol is one; other CR
// and LF are escaped, so that all bytes come back.
type qpEncoder struct {
	eol    string
	binary bool // line ends are bytes as others
	col    int
	held   byte // a blank or a CR that waits for what follows, 0 for none
}

const upperHex = "0123456789ABCDEF"

func (e *qpEncoder) append(dst, src []byte) []byte {
	for _, c := range src {
		dst = e.add(dst, c)
	}
	return dst
}

// add writes c, or keeps it back while what follows decides.
func (e *qpEncoder) add(dst []byte, c byte) []byte {
	if h := e.held; h != 0 {
		e.held = 0
		switch {
		case h == '\r' && c == '\n':
			return e.newline(dst)
		case h == '\r' || !e.binary && c == e.eol[0]:
			dst = e.escape(dst, h)
		default:
			dst = e.literal(dst, h)
		}
	}
	switch {
	case !e.binary && len(e.eol) == 1 && c == e.eol[0]:
		return e.newline(dst)
	case c == ' ', c == '\t', c == '\r' && !e.binary && e.eol == "\r\n":
		e.held = c
		return dst
	case c < ' ' || c == '=' || c > '~':
		return e.escape(dst, c)
	}
	return e.literal(dst, c)
}

func (e *qpEncoder) newline(dst []byte) []byte {
	e.col = 0
	return append(dst, e.eol...)
}

// maxQPLine is the length of a line without the "=" that may end it.
const maxQPLine = 75

func (e *qpEncoder) room(dst []byte, n int) []byte {
	if e.col+n > maxQPLine {
		dst = e.newline(append(dst, '='))
	}
	return dst
}

func (e *qpEncoder) literal(dst []byte, c byte) []byte {
	dst = e.room(dst, 1)
	if e.col == 0 && (c == '-' || c == '.' || c == 'F') {
		return e.escape(dst, c)
	}
	e.col++
	return append(dst, c)
}

func (e *qpEncoder) escape(dst []byte, c byte) []byte {
	dst = e.room(dst, 3)
	e.col += 3
	return append(dst, '=', upperHex[c>>4], upperHex[c&15])
}

func (e *qpEncoder) finish(dst []byte) []byte {
	if e.held != 0 {
		dst, e.held = e.escape(dst, e.held), 0
	}
	return dst
}

// A uuEncoder writes the lines between "begin" and the one that holds nothing.
type uuEncoder struct {
	end  string
	held []byte
}

// uuLineSize is how many bytes fill a line.
const uuLineSize = 45

func (e *uuEncoder) append(dst, src []byte) []byte {
	for len(src) > 0 {
		n := min(uuLineSize-len(e.held), len(src))
		e.held, src = append(e.held, src[:n]...), src[n:]
		if len(e.held) == uuLineSize {
			dst = e.line(dst)
		}
	}
	return dst
}

func (e *uuEncoder) line(dst []byte) []byte {
	char := func(v uint32) byte {
		if v &= 0x3f; v > 0 {
			return ' ' + byte(v)
		}
		return '`' // blanks get lost
	}
	dst = append(dst, char(uint32(len(e.held))))
	for b := e.held; len(b) > 0; b = b[min(3, len(b)):] {
		var three [3]byte
		copy(three[:], b)
		v := uint32(three[0])<<16 | uint32(three[1])<<8 | uint32(three[2])
		dst = append(dst, char(v>>18), char(v>>12), char(v>>6), char(v))
	}
	e.held = e.held[:0]
	return append(dst, e.end...)
}

func (e *uuEncoder) finish(dst []byte) []byte {
	if len(e.held) > 0 {
		dst = e.line(dst)
	}
	return dst
}

// newEncodingReader applies an encoding while it is read.
func newEncodingReader(src io.Reader, encoding, eol string, binary bool) io.Reader {
	e := newEncoder(encoding, eol, binary)
	if e == nil {
		return src
	}
	return &codingReader{src: src, coder: e}
}

func isText(media string) bool { return len(media) > 5 && media[:5] == "text/" }
