package message

import (
	"bytes"
	"iter"
	"strings"
)

// A Header is the fields of a message, in order.
type Header []Field

// AppendTo appends the fields as they are written to dst. A field without a
// line end that another follows gets one.
func (h Header) AppendTo(dst []byte) []byte {
	for i, f := range h {
		dst = append(dst, f.raw...)
		if i < len(h)-1 && f.end == len(f.raw) {
			dst = append(dst, h.lineEnd()...)
		}
	}
	return dst
}

// Size returns the number of bytes that AppendTo appends.
func (h Header) Size() (n int) {
	for i, f := range h {
		n += len(f.raw)
		if i < len(h)-1 && f.end == len(f.raw) {
			n += len(h.lineEnd())
		}
	}
	return n
}

// Bytes returns the fields as they are written.
func (h Header) Bytes() []byte { return h.AppendTo(make([]byte, 0, h.Size())) }

// LineEnd returns what ends the header's first line: CRLF, LF or CR, and "" where
// no line is ended.
func (h Header) LineEnd() string {
	for _, f := range h {
		if i := bytes.IndexByte(f.raw, f.eol); i >= 0 {
			return lineEnd(f.raw[:i+1])
		}
	}
	return ""
}

func (h Header) lineEnd() string {
	if e := h.LineEnd(); e != "" {
		return e
	}
	return "\r\n"
}

// All walks the fields of a name, in any case of its letters, with their places.
func (h Header) All(name string) iter.Seq2[int, Field] {
	return func(yield func(int, Field) bool) {
		for i, f := range h {
			if f.Is(name) && !yield(i, f) {
				return
			}
		}
	}
}

// Get returns the first field of a name, in any case of its letters.
func (h Header) Get(name string) (Field, bool) {
	for _, f := range h.All(name) {
		return f, true
	}
	return Field{}, false
}

// A Field is one header field with all its bytes: name, colon, value with its
// folding, line end. The zero Field writes nothing.
type Field struct {
	raw   []byte
	name  int // the name is raw[:name]
	value int // the value is raw[value:end]
	end   int // where the last line's end begins
	eol   byte
}

// NewField returns a field as it is written: the name, a colon, the value as it
// is and the line end. An LF in the value becomes the line end, and should be
// followed by a blank or a tab: otherwise the next line is a field of its own.
// A CR in the value is a byte like any other.
func NewField(name, value, lineEnd string) Field {
	if lineEnd != "\n" {
		value = strings.ReplaceAll(value, "\n", lineEnd)
	}
	raw := make([]byte, 0, len(name)+1+len(value)+len(lineEnd))
	raw = append(append(append(append(raw, name...), ':'), value...), lineEnd...)
	f := Field{raw, len(name), len(name) + 1, len(raw) - len(lineEnd), '\n'}
	if lineEnd == "\r" {
		f.eol = '\r'
	}
	return f
}

// Raw returns the whole field as it is written; it is not to be changed.
func (f Field) Raw() []byte { return f.raw }

// Name returns the name as it is written.
func (f Field) Name() string { return string(f.raw[:f.name]) }

// Is reports whether the field has a name, in any case of ASCII letters.
func (f Field) Is(name string) bool {
	if len(name) != f.name {
		return false
	}
	for i, c := range f.raw[:f.name] {
		if c != name[i] && (c|0x20 != name[i]|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// Value returns what stands between the colon and the end of the last line, the
// first blank and the folding included; it is not to be changed.
func (f Field) Value() []byte { return f.raw[f.value:f.end:f.end] }

// LineEnd returns what ends the field's last line, "" for one that the message
// broke off in.
func (f Field) LineEnd() string { return lineEnd(f.raw[f.end:]) }

// Text returns the value as an MTA hands it to a filter: LF for every line end
// inside, and without the first blank unless leadingSpace is set.
func (f Field) Text(leadingSpace bool) string {
	v := f.Value()
	if len(v) > 0 && v[0] == ' ' && !leadingSpace {
		v = v[1:]
	}
	if f.eol == '\r' {
		return strings.ReplaceAll(string(v), "\r", "\n")
	}
	return strings.ReplaceAll(string(v), "\r\n", "\n")
}

// lineEnd returns the line end that b ends with.
func lineEnd(b []byte) string {
	switch {
	case bytes.HasSuffix(b, []byte("\r\n")):
		return "\r\n"
	case bytes.HasSuffix(b, []byte("\n")):
		return "\n"
	case bytes.HasSuffix(b, []byte("\r")):
		return "\r"
	}
	return ""
}
