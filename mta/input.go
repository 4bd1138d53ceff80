package mta

import (
	"bytes"
	"strings"

	"github.com/gomilter/gomilter/message"
)

// headerLimit is what Postfix keeps of a header field once a filter is
// configured, in bytes without the line end (header_size_limit).
const headerLimit = 60000

// parse reads a message as the MTA does before filters see it.
func (s *Session) parse(raw []byte) message.Message {
	postfix := s.c.Profile == Postfix
	if bytes.IndexByte(raw, '\n') < 0 {
		// Old files end their lines in CR; a client sends them with CRLF.
		raw = bytes.ReplaceAll(raw, []byte("\r"), []byte("\r\n"))
	}
	if first, rest, ok := bytes.Cut(raw, []byte("\n")); ok && bytes.HasPrefix(bytes.TrimLeft(first, ">"), []byte("From ")) {
		// The line that parts messages in a mailbox file.
		if raw = rest; postfix {
			raw = append(append([]byte("X-Mailbox-Line: "), first...), '\n')
			raw = append(raw, rest...)
		}
	}
	if postfix {
		raw = strayCR(raw)
	}
	m := message.Parse(raw)
	var h message.Header
	for i, f := range m.Header {
		name := f.Name()
		switch {
		case !postfix && strings.HasPrefix(name, "--"):
			// To Sendmail such a line parts MIME bodies.
			m.Body = raw[message.Header(m.Header[:i]).Size():]
			m.Header, m.Break = h, nil
			return m
		case postfix && dropped(f):
			continue
		case postfix && len(f.Raw()) > headerLimit:
			if text := f.Text(true); len(name)+1+len(text) > headerLimit {
				f = message.NewField(name, text[:headerLimit-len(name)-1], "\r\n")
			}
		}
		h = append(h, f)
	}
	m.Header = h
	return m
}

// dropped reports whether Postfix takes a field out (message_drop_headers).
func dropped(f message.Field) bool {
	for _, name := range [...]string{"Bcc", "Content-Length", "Resent-Bcc", "Return-Path"} {
		if f.Is(name) {
			return true
		}
	}
	return false
}

// strayCR makes a blank of each CR that ends no line, as Postfix does
// (cleanup_replace_stray_cr_lf).
func strayCR(b []byte) []byte {
	if bytes.Count(b, []byte("\r")) == bytes.Count(b, []byte("\r\n")) {
		return b
	}
	b = bytes.Clone(b)
	for i, c := range b {
		if c == '\r' && (i+1 == len(b) || b[i+1] != '\n') {
			b[i] = ' '
		}
	}
	return b
}
