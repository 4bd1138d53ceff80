package message

import (
	"io"
	"slices"
	"strings"
)

// Encodings returns the transfer encodings under which clients may read the body,
// one for each way to decode it: the one of [Part.Encoding] first, then the others
// that are declared, and "7bit" where a field tells an encoding and something more.
// Mostly that is one.
func (p *Part) Encodings() []string {
	all := []string{p.enc}
	if len(p.encs) > 1 && isMultipart(p.media) && p.inner == nil {
		all = []string{"7bit"} // whatever is declared, see search
	}
	for _, enc := range p.encs {
		if !slices.ContainsFunc(all, func(other string) bool { return effect(other) == effect(enc) }) {
			all = append(all, enc)
		}
	}
	return all
}

// effect returns one name for the encodings that are undone in the same way.
func effect(enc string) string {
	switch newDecoder(enc).(type) {
	case nil:
		return ""
	case *uuDecoder:
		return "uuencode"
	}
	return enc
}

// choose makes the other encoding that the reading asks for the only one.
func (p *Part) choose(n int) {
	if all := p.Encodings(); n < len(all) {
		p.enc, p.encs, p.chosen = all[n], all[n:n+1], true
	}
}

// lines returns src as the reading has it: where a CR alone ends a line, a copy in
// which all lines end in CRLF or LF.
func (r *reader) lines(src Source) (Source, error) {
	if !r.o.BareCR {
		return src, nil
	}
	from := r.t.spool.Size()
	n, err := copyAll(r.t.spool, r.ended(section(src, 0, src.Size())))
	return section(r.t.spool, from, from+n), err
}

// ended is lines for a stream.
func (r *reader) ended(src io.Reader) io.Reader {
	if !r.o.BareCR {
		return src
	}
	return &codingReader{src: src, coder: new(lineEnder)}
}

// A lineEnder makes CRLF of each CR that stands alone.
type lineEnder struct{ cr bool }

func (l *lineEnder) append(dst, src []byte) []byte {
	for _, c := range src {
		if l.cr && c != '\n' {
			dst = append(dst, '\n')
		}
		dst = append(dst, c)
		l.cr = c == '\r'
	}
	return dst
}

func (l *lineEnder) finish(dst []byte) []byte {
	if l.cr {
		dst = append(dst, '\n')
	}
	return dst
}

// bareBoundary notes a boundary behind a CR alone; behind is what stands behind its
// two hyphens.
func (s *pass) bareBoundary(behind []byte) {
	top := s.stack[len(s.stack)-1].part
	if top.Has(DefectBoundaryCR) {
		return
	}
	text := string(behind[:min(len(behind), maxBoundary+2)])
	i := strings.IndexAny(text, "\r\n")
	if i >= 0 {
		text = text[:i]
	}
	// Where the buffer ends nobody knows.
	if i < 0 || s.knows([]byte(strings.TrimRight(text, blanks))) {
		top.note(DefectBoundaryCR, top.body)
	}
}

// longest returns the level with the longest boundary that text begins with, for
// readers that compare the beginning of a line only, and that boundary.
func (s *pass) longest(text []byte) (found *level, bound string) {
	for i := len(s.stack) - 1; i >= 0; i-- {
		l := s.stack[i]
		if s.r.tried += len(l.bounds); s.r.tried > maxTried {
			l.part.note(DefectScanLimit, l.part.start)
			return found, bound
		}
		for _, b := range l.bounds {
			if len(b) > len(bound) && len(text) >= len(b) && string(text[:len(b)]) == b {
				found, bound = l, b
			}
		}
	}
	return found, bound
}
