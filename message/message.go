package message

import "bytes"

// A Message is a header and a body.
type Message struct {
	Header Header
	// Break is the empty line between header and body. It is empty where the
	// header is all there is, and where the body begins with a line that is no field.
	Break []byte
	Body  []byte
}

// Parse cuts b into header fields and body. It keeps b and changes nothing in
// it; the results may be appended to without harm to b.
func Parse(b []byte) Message {
	eol := byte('\n')
	if bytes.IndexByte(b, '\n') < 0 {
		eol = '\r'
	}
	var m Message
	for len(b) > 0 {
		line := cutLine(b, eol)
		if len(trimEnd(line, eol)) == 0 {
			m.Break, b = line, b[len(line):]
			break
		}
		name, colon := scanName(line)
		if name == 0 {
			break
		}
		size := len(line)
		for size < len(b) && (b[size] == ' ' || b[size] == '\t') {
			size += len(cutLine(b[size:], eol))
		}
		f := Field{raw: b[:size:size], name: name, value: colon + 1, eol: eol}
		f.end = len(trimEnd(f.raw, eol))
		m.Header = append(m.Header, f)
		b = b[size:]
	}
	if len(b) > 0 {
		m.Body = b[:len(b):len(b)]
	}
	return m
}

// AppendTo appends the message as it is written to dst.
func (m Message) AppendTo(dst []byte) []byte {
	dst = m.Header.AppendTo(dst)
	if n := len(m.Header); n > 0 && len(m.Break)+len(m.Body) > 0 && m.Header[n-1].LineEnd() == "" {
		dst = append(dst, m.LineEnd()...)
	}
	return append(append(dst, m.Break...), m.Body...)
}

// Size returns the number of bytes that AppendTo appends.
func (m Message) Size() int {
	n := m.Header.Size() + len(m.Break) + len(m.Body)
	if h := len(m.Header); h > 0 && len(m.Break)+len(m.Body) > 0 && m.Header[h-1].LineEnd() == "" {
		n += len(m.LineEnd())
	}
	return n
}

// Bytes returns the message as it is written.
func (m Message) Bytes() []byte { return m.AppendTo(make([]byte, 0, m.Size())) }

// LineEnd returns what ends the first line of the message: CRLF, LF or CR, and
// CRLF where no line tells.
func (m Message) LineEnd() string {
	if e := m.Header.LineEnd(); e != "" {
		return e
	}
	for _, b := range [][]byte{m.Break, m.Body} {
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return lineEnd(b[:i+1])
		}
		if i := bytes.IndexByte(b, '\r'); i >= 0 && len(m.Header) == 0 {
			return "\r"
		}
	}
	return "\r\n"
}

// cutLine returns the first line of b with its end.
func cutLine(b []byte, eol byte) []byte {
	if i := bytes.IndexByte(b, eol); i >= 0 {
		return b[:i+1]
	}
	return b
}

// trimEnd returns line without its end.
func trimEnd(line []byte, eol byte) []byte {
	if n := len(line); n > 0 && line[n-1] == eol {
		line = line[:n-1]
		if n--; eol == '\n' && n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
	}
	return line
}

// scanName returns the length of the field name that line begins with and where
// the colon behind it is; a length of 0 says that line is no field.
//
// RFC 5322 section 3.6.8 allows printable ASCII in a name, and so do both MTAs.
// QUIRK: they take blanks before the colon too (section 4.5).
func scanName(line []byte) (name, colon int) {
	for name < len(line) && line[name] > ' ' && line[name] < 0x7f && line[name] != ':' {
		name++
	}
	for colon = name; colon < len(line) && (line[colon] == ' ' || line[colon] == '\t'); colon++ {
	}
	if colon == len(line) || line[colon] != ':' {
		return 0, 0
	}
	return name, colon
}
