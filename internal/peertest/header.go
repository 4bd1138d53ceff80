package peertest

import (
	"bytes"
	"strings"
)

// A Field is one header field as it was found. Value is all between the colon
// and the last line end: leading space, folding and 8-bit bytes are kept.
type Field struct{ Name, Value string }

// A Header is the fields of a message in their order.
type Header []Field

// Values returns the values of all fields called name, in any letter case,
// without the white space around them.
func (h Header) Values(name string) []string {
	var out []string
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			out = append(out, strings.TrimSpace(f.Value))
		}
	}
	return out
}

// Names returns the names of the fields in their order.
func (h Header) Names() []string {
	var out []string
	for _, f := range h {
		out = append(out, f.Name)
	}
	return out
}

// splitMessage takes a message apart at its first empty line. Lines end in CRLF
// or LF.
func splitMessage(raw []byte) (Header, []byte) {
	var h Header
	eol := "" // what ended the line before
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		text := string(bytes.TrimSuffix(line, []byte("\r")))
		if text == "" {
			return h, rest
		}
		if (text[0] == ' ' || text[0] == '\t') && len(h) > 0 {
			h[len(h)-1].Value += eol + text
		} else {
			name, value, _ := strings.Cut(text, ":")
			h = append(h, Field{name, value})
		}
		eol = string(raw[len(text) : len(raw)-len(rest)])
		raw = rest
	}
	return h, nil
}
