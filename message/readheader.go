package message

import (
	"bytes"
	"slices"
)

// A headerMode says what may stand in a header.
type headerMode uint8

const (
	strict    headerMode = iota // fields only, as MTAs have it: see Parse
	ofPart                      // lines that are no fields, where fields follow
	ofMessage                   // and empty lines before it, and an mbox separator
)

// fieldCost is what a field costs beside its bytes.
const fieldCost = 64

// header reads the header of p from the line start pos on, up to where the body
// begins.
func (s *pass) header(p *Part, pos int64, mode headerMode) {
	var (
		lines  []line // where each field begins
		kept   = true
		prefix = pos
	)
	p.start, p.kept = pos, -1
	budget := s.r.header
	keep := func(l line, end int64) {
		if !kept {
			return
		}
		cost := end - l.at
		if !l.cont {
			cost += fieldCost
		}
		if cost > budget {
			if kept, p.kept = false, l.at; l.cont {
				p.kept = prefix // no half fields
			}
			p.note(DefectHeaderLimit, l.at)
			return
		}
		budget -= cost
		if l.cont {
			return
		}
		lines, prefix = append(lines, l), l.at
	}
	leading := mode == ofMessage
	s.own, s.ownFrom = nil, 0
read:
	for pos < s.w.limit && s.w.err == nil {
		text, next, whole := s.w.head(pos)
		if s.w.err != nil {
			break
		}
		name, colon := scanName(text)
		if name == 0 && !whole { // perhaps a name longer than any
			b := s.w.at(pos, windowSize-16)
			name, colon = scanName(b)
			text = b
		}
		switch {
		case len(text) == 0 && leading && s.fieldsBehind(next):
			p.note(DefectHeaderJunk, pos)
			keep(line{at: pos}, next)
			pos = next
			continue
		case len(text) == 0:
			p.brk = pos
			if p.kept < 0 {
				p.kept = pos
			}
			p.body = next
			s.keepHeader(p, lines, budget)
			return
		case len(text) >= 2 && text[0] == '-' && text[1] == '-' && len(s.stack) > 0 && s.isBoundary(pos):
			p.note(DefectHeaderCut, pos)
			break read
		case mode != strict && len(text) >= 2 && text[0] == '-' && text[1] == '-' && s.isOwn(p, pos, lines):
			p.note(DefectHeaderCut, pos)
			break read
		case (text[0] == ' ' || text[0] == '\t') && (len(lines) > 0 || !kept):
			keep(line{at: pos, cont: true}, next)
		case name > 0:
			keep(line{at: pos, name: name, colon: colon}, next)
		case mode == strict || !s.junkAllowed(pos, next, leading):
			if mode != strict {
				p.note(DefectHeaderCut, pos)
			}
			break read
		default:
			p.note(DefectHeaderJunk, pos)
			keep(line{at: pos}, next)
		}
		leading = false
		pos = next
	}
	p.brk, p.body = pos, pos
	if pos > p.start {
		b := s.w.at(pos-1, 1)
		p.ragged = len(b) > 0 && b[0] != s.d.eol
	}
	if p.kept < 0 {
		p.kept = pos
	}
	s.keepHeader(p, lines, budget)
}

// A line is the first of a field, or one that is no field.
type line struct {
	at          int64
	name, colon int
	cont        bool
}

// keepHeader copies the header up to p.kept.
func (s *pass) keepHeader(p *Part, lines []line, budget int64) {
	size := p.kept - p.start
	if size == 0 || len(lines) == 0 {
		p.kept = p.start
		return
	}
	raw := make([]byte, size)
	for n := int64(0); n < size; {
		b := s.w.at(p.start+n, 1)
		if len(b) == 0 {
			return
		}
		n += int64(copy(raw[n:], b))
	}
	if bytes.IndexByte(raw, 0) >= 0 {
		p.note(DefectHeaderNUL, p.start)
	}
	if s.d.eol == '\n' && bytes.Count(raw, []byte("\r")) > bytes.Count(raw, []byte("\r\n")) {
		p.note(DefectHeaderCR, p.start)
	}
	s.r.header = budget
	p.Header = make(Header, 0, len(lines))
	for i, l := range lines {
		if l.at >= p.kept {
			break
		}
		end := p.kept
		if i+1 < len(lines) {
			end = min(end, lines[i+1].at)
		}
		f := Field{raw: raw[l.at-p.start : end-p.start : end-p.start], name: l.name, eol: s.d.eol}
		if l.name > 0 {
			f.value = l.colon + 1
		}
		f.end = len(trimEnd(f.raw, f.eol))
		p.Header = append(p.Header, f)
	}
}

// isBoundary reports whether the line at pos is a boundary.
func (s *pass) isBoundary(pos int64) bool {
	line, _, whole := s.w.head(pos)
	text, ok := trimmed(line, whole)
	return ok && s.knows(text)
}

// isOwn reports whether the line at pos is a boundary that the header declares so
// far: the empty line before the first part is missing.
func (s *pass) isOwn(p *Part, pos int64, lines []line) bool {
	const name = "content-type"
	for _, l := range lines[min(s.ownFrom, len(lines)):] {
		if l.name != len(name) || len(s.own) >= maxFields {
			continue
		}
		// The field ends where the next one begins; headSize bounds it.
		b := s.w.at(l.at, headSize)
		b = b[:min(int64(len(b)), headSize, pos-l.at)]
		f := Parse(b).Header
		if len(f) == 0 || !f[0].Is(name) {
			continue
		}
		q := Part{Header: f[:1], tree: s.r.t}
		q.noted = ^uint64(0) // its defects are noted when the header is complete
		s.own = append(s.own, q.boundaries()...)
	}
	s.ownFrom = len(lines)
	if len(s.own) == 0 {
		return false
	}
	line, _, whole := s.w.head(pos)
	text, ok := trimmed(line, whole)
	return ok && (slices.Contains(s.own, string(text)) || slices.Contains(s.own, string(bytes.TrimSuffix(text, []byte("--")))))
}

// junkAllowed reports whether the header goes on behind a line that is no field:
// whether before an empty line or a boundary there is a field about content, or,
// of a message, one that messages have.
//
// QUIRK: Clients either pass over such a line or let the body begin. Where fields
// that matter follow, passing over it shows more.
func (s *pass) junkAllowed(pos, next int64, leading bool) bool {
	if pos < s.junk {
		return true
	}
	if text, _, _ := s.w.head(pos); leading && isMboxLine(text) {
		return true
	}
	// As it is what lies up to an empty line or a boundary, it is looked at once.
	for next < s.w.limit && s.w.err == nil {
		text, after, _ := s.w.head(next)
		if len(text) == 0 || len(text) >= 2 && text[0] == '-' && text[1] == '-' && s.isBoundary(next) {
			return false
		}
		if isContentField(text) {
			s.junk = next
			return true
		}
		next = after
	}
	return false
}

func isMboxLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}

// fieldsBehind reports whether behind empty lines a header begins as messages have one.
func (s *pass) fieldsBehind(pos int64) bool {
	if pos <= s.lead {
		return true
	}
	for pos < s.w.limit && s.w.err == nil {
		text, next, _ := s.w.head(pos)
		if len(text) > 0 {
			s.lead = pos
			if isMboxLine(text) {
				text, _, _ = s.w.head(next)
			}
			if !isContentField(text) && !isMessageField(text) {
				s.lead = 0
			}
			return s.lead > 0
		}
		pos = next
	}
	return false
}

// isMessageField reports whether a line is a field that begins a message.
func isMessageField(line []byte) bool {
	n, _ := scanName(line)
	switch toLower(string(line[:n])) {
	case "from", "to", "cc", "subject", "date", "received", "return-path", "message-id", "mime-version", "reply-to", "sender", "delivered-to", "x-mailer":
		return true
	}
	return false
}
