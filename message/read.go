package message

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"strings"
)

// Read reads the structure of a message in one piece. Header and body come apart
// as with [Parse]. Its only errors are those of src and of the temporary file.
func Read(src Source, o *Options) (*Tree, error) {
	return read(src, o, func(r *reader, root *Part) error {
		s := r.pass(root, root.doc, 0, root.doc.size)
		if root.doc.end == "" {
			root.doc.end = "\r\n"
		}
		s.header(root, 0, strict)
		root.describe(false)
		err := s.w.err
		s.w.free()
		return err
	})
}

// ReadTree reads the structure of a message whose header and body came apart, as
// over milter. brk is the empty line between them, and may be empty. h is kept and
// must not change; it is read as it is with Options.BareCR, too. Its only errors are those of body and of the temporary file.
func ReadTree(h Header, brk []byte, body Source, o *Options) (*Tree, error) {
	return read(body, o, func(r *reader, root *Part) error {
		r.t.apart, r.t.brk = true, brk
		if root.doc.end == "" {
			if root.doc.end = lineEnd(brk); len(brk) == 0 {
				root.doc.end = h.lineEnd()
			}
		}
		root.Header = h
		root.describe(false)
		return nil
	})
}

// read reads a message whose header head reads.
func read(src Source, o *Options, head func(*reader, *Part) error) (*Tree, error) {
	r := &reader{o: o.defaults(), parts: 1}
	r.header, r.decoded = r.o.MaxHeader, r.o.MaxDecoded
	t := &Tree{spool: NewSpool(r.o.Memory, r.o.Dir), other: r.o.Encoding}
	r.t = t
	src, err := r.lines(src)
	if err != nil {
		t.Close()
		return nil, err
	}
	d, err := newDoc(src)
	if err != nil {
		t.Close()
		return nil, err
	}
	t.doc = d
	t.Root = &Part{tree: t, doc: d, end: d.size, depth: 1}
	if err := head(r, t.Root); err != nil {
		t.Close()
		return nil, err
	}
	r.scan = 4*d.size + 1<<20
	err = r.read(t.Root)
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// newDoc looks what ends the lines of src; end is "" where none is ended.
func newDoc(src Source) (*doc, error) {
	d := &doc{src: src, size: src.Size()}
	var err error
	if d.eol, err = findLineEnd(src); err != nil {
		return nil, err
	}
	w := newWindow(src, d.size, d.eol)
	defer w.free()
	if n := w.next(0); n > 0 {
		if b := w.at(n-1, 1); len(b) > 0 && b[0] == d.eol {
			d.end = "\r"
			if d.eol == '\n' {
				d.end = "\r\n"[2-w.ending(n):]
			}
		}
	}
	return d, w.err
}

// A reader reads one tree.
type reader struct {
	t       *Tree
	o       Options
	parts   int
	header  int64 // bytes of headers that may still be kept
	decoded int64 // bytes that may still be unpacked
	scan    int64 // bytes that may still be searched once more
	tried   int   // comparisons with the beginnings of boundaries
}

// A level is a multipart that is being read.
type level struct {
	part   *Part
	bounds []string // that may be its boundary; one once it was seen, if one is declared
	seen   bool
	closed bool
}

// A pass walks a range of a doc once, from line to line that may be a boundary.
type pass struct {
	r       *reader
	d       *doc
	w       *window
	top     *Part // that the range belongs to
	stack   []*level
	done    []*Part        // parts whose end is known
	full    bool           // no part may be added any more
	junk    int64          // up to here lines in a header need not be fields
	lead    int64          // up to here empty lines come before a header
	own     []string       // boundaries that the header being read declares
	ownFrom int            // how many of its lines were looked at
	known   map[string]int // boundaries on the stack
}

func (r *reader) pass(top *Part, d *doc, from, to int64) *pass {
	return &pass{r: r, d: d, w: newWindow(d.src, to, d.eol), top: top}
}

// read reads what lies in the body of p, whose header is known.
func (r *reader) read(p *Part) error {
	s := r.pass(p, p.doc, p.body, p.end)
	cur, pos := s.enter(p, p.body)
	s.run(cur, pos)
	s.finish(p)
	return s.rest()
}

// rest looks again at what one pass could not settle.
func (s *pass) rest() error {
	err := s.w.err
	s.w.free()
	for _, p := range s.done {
		if err != nil {
			return err
		}
		err = s.r.settle(p)
	}
	return err
}

// run reads from the line start pos on, which lies in cur.
func (s *pass) run(cur *Part, pos int64) {
	sep := []byte{s.d.eol, '-', '-'}
	bare := s.bareBoundary
	if s.d.eol == '\r' {
		bare = nil
	}
	for len(s.stack) > 0 && !s.full {
		at := s.w.search(pos, sep, nil, bare)
		if at >= s.w.limit {
			break
		}
		line, next, whole := s.w.head(at)
		l, closing := s.match(line, whole, at)
		if l == nil {
			pos = next
			continue
		}
		for ; cur != l.part; cur = cur.Parent {
			s.close(cur, at)
		}
		pos = next
		if closing {
			l.closed = true
			continue
		}
		if l.closed {
			l.part.note(DefectAfterEnd, at)
			l.closed = false
		}
		child := s.add(l.part, next)
		if child == nil {
			break
		}
		cur, pos = s.open(child, next)
	}
	for ; cur != s.top; cur = cur.Parent {
		s.finish(cur)
	}
	for _, l := range s.stack {
		s.leave(l)
	}
	s.stack = nil
}

// push adds a level.
func (s *pass) push(l *level) {
	if s.known == nil {
		s.known = make(map[string]int)
	}
	s.stack = append(s.stack, l)
	for _, b := range l.bounds {
		s.known[b]++
	}
}

// forget takes the boundaries of a level off.
func (s *pass) forget(l *level) {
	for _, b := range l.bounds {
		s.known[b]--
	}
}

// trimmed returns what a line that begins with two hyphens may have of a
// boundary; one that goes on for long has none.
func trimmed(line []byte, whole bool) ([]byte, bool) {
	text := bytes.TrimRight(line[2:], " \t\r")
	return text, whole || len(text) < len(line)-2
}

// knows reports whether a line is the boundary of a level.
func (s *pass) knows(text []byte) bool {
	if s.known[string(text)] > 0 || s.known[string(bytes.TrimSuffix(text, []byte("--")))] > 0 {
		return true
	}
	if !s.r.o.BoundaryPrefix {
		return false
	}
	l, _ := s.longest(text)
	return l != nil
}

// match returns the level whose boundary a line is (RFC 2046 section 5.1.1), and
// whether that ends the multipart. Inner levels go first, closed ones last.
func (s *pass) match(line []byte, whole bool, at int64) (*level, bool) {
	text, ok := trimmed(line, whole)
	ok = ok || s.r.o.BoundaryPrefix
	if !ok || !s.knows(text) {
		s.prefix(text, at)
		return nil, false
	}
	var (
		found   *level
		bound   string
		closing bool
	)
	for i := len(s.stack) - 1; i >= 0; i-- {
		l := s.stack[i]
		if found != nil && l.closed {
			continue
		}
		for _, b := range l.bounds {
			if len(text) < len(b) || string(text[:len(b)]) != b {
				continue
			}
			switch tail := text[len(b):]; {
			case len(tail) == 0:
				found, bound, closing = l, b, false
			case string(tail) == "--":
				found, bound, closing = l, b, true
			default:
				continue
			}
			break
		}
		if found == l && !l.closed {
			break
		}
	}
	if found == nil && s.r.o.BoundaryPrefix {
		if found, bound = s.longest(text); found != nil {
			closing = bytes.HasPrefix(text[len(bound):], []byte("--"))
		}
	}
	if found == nil {
		return nil, false
	}
	if !found.seen {
		found.seen = true
		if bound != found.bounds[0] {
			found.part.note(DefectBoundaryRepaired, at)
		}
		// QUIRK: Of several that are declared clients take the first or the last.
		// Where all of them count, what any client shows is a part.
		if !found.part.Has(DefectBoundaries) {
			s.forget(found)
			found.bounds = []string{bound}
			s.known[bound]++
		}
	}
	return found, closing
}

// maxTried is how many comparisons with the beginnings of boundaries are made in a
// message.
const maxTried = 10_000_000

// prefix notes a line that some clients take for a boundary: RFC 2046 section
// 5.1.1 has them compare the beginning only. QUIRK: they do not, as boundaries of
// nested multiparts often begin alike.
func (s *pass) prefix(text []byte, at int64) {
	for _, l := range s.stack {
		if l.part.Has(DefectBoundaryPrefix) {
			continue
		}
		if s.r.tried += len(l.bounds); s.r.tried > maxTried {
			l.part.note(DefectScanLimit, at)
			return
		}
		for _, b := range l.bounds {
			if len(b) > 0 && len(text) > len(b) && string(text[:len(b)]) == b {
				l.part.note(DefectBoundaryPrefix, at)
			}
		}
	}
}

// add makes a part inside parent, nil when a limit is hit.
func (s *pass) add(parent *Part, start int64) *Part {
	if s.r.parts >= s.r.o.MaxParts {
		parent.note(DefectPartsLimit, start)
		s.full = true
		return nil
	}
	s.r.parts++
	p := &Part{Parent: parent, tree: s.r.t, doc: s.d, start: start, depth: parent.depth + 1}
	parent.Parts = append(parent.Parts, p)
	return p
}

// open reads the header of a part, and of the message in it, and returns the
// innermost part that is open then and where it goes on.
func (s *pass) open(p *Part, pos int64) (*Part, int64) {
	mode := ofPart
	if isMessage(p.Parent.media) {
		mode = ofMessage
	}
	s.header(p, pos, mode)
	p.describe(mode == ofPart && p.Parent.media == "multipart/digest")
	return s.enter(p, p.body)
}

// enter goes into a part whose header is known.
func (s *pass) enter(p *Part, pos int64) (*Part, int64) {
	if len(p.encs) > 1 && isMessage(p.media) {
		s.fit(p, pos)
	}
	switch {
	case !holds(p.media):
		return p, pos
	case p.depth >= s.r.o.MaxDepth:
		p.note(DefectDepthLimit, pos)
	case isMultipart(p.media):
		l := &level{part: p, bounds: p.boundaries()}
		p.level = l
		if p.chosen && newDecoder(p.enc) != nil {
			break // to be decoded, see search
		}
		p.opens = true
		s.push(l)
	case newDecoder(p.enc) == nil || s.isPlain(p, pos):
		child := s.add(p, pos)
		if child == nil {
			return p, pos
		}
		p.opens = true
		return s.open(child, pos)
	}
	return p, pos
}

// fit chooses, of several encodings that are declared, the first under which an
// attached message begins with a field.
func (s *pass) fit(p *Part, pos int64) {
	raw := s.w.at(pos, headSize)
	raw = raw[:min(len(raw), headSize)]
	for _, enc := range p.encs {
		b := raw
		if d := newDecoder(enc); d != nil {
			b = d.append(nil, raw)
		}
		b = bytes.TrimLeft(b, "\r\n")
		line := trimEnd(cutLine(b, s.d.eol), s.d.eol)
		if isContentField(line) || isMessageField(line) || isMboxLine(line) {
			p.fits, p.enc = enc, cmp.Or(enc, "7bit")
			return
		}
	}
}

// isPlain reports whether an attached message is not encoded although its header
// says so: it begins with a field, and base64 has no colons.
func (s *pass) isPlain(p *Part, pos int64) bool {
	line, _, _ := s.w.head(pos)
	if p.enc != "base64" || !isContentField(line) && !isMessageField(line) {
		return false
	}
	p.note(DefectEncodedMessage, p.start)
	return true
}

// close ends a part at the boundary that begins at the line start at.
func (s *pass) close(p *Part, at int64) {
	p.end = at - s.w.ending(at)
	if p.end < p.body {
		p.end, p.tight = p.body, true
	}
	s.ended(p)
}

// finish ends a part where the range ends.
func (s *pass) finish(p *Part) {
	p.end = s.w.limit
	s.ended(p)
}

func (s *pass) ended(p *Part) {
	s.done = append(s.done, p)
	if p.level != nil {
		i := slices.Index(s.stack, p.level)
		if i >= 0 {
			for _, l := range s.stack[i:] {
				s.forget(l)
			}
			s.stack = s.stack[:i]
		}
		s.leave(p.level)
	}
}

// leave ends a multipart.
func (s *pass) leave(l *level) {
	if l.seen && !l.closed {
		l.part.note(DefectNoEndBoundary, l.part.end)
	}
	if l.seen {
		l.part.level = nil
	}
}

// settle looks into a part that one pass left as it is: encoded, without a
// boundary that occurs, or a text.
func (r *reader) settle(p *Part) error {
	switch {
	case p.level != nil:
		p.level, p.opens = nil, false
		return r.search(p)
	case p.opens || p.Has(DefectDepthLimit):
	case isMessage(p.media):
		return r.unpackMessage(p)
	case isText(p.media):
		return r.findUU(p)
	case p.media == "message/partial":
		p.note(DefectPartial, p.start)
	case p.media == "message/external-body":
		p.note(DefectExternalBody, p.start)
	}
	return nil
}

// unpackMessage reads an attached message that is encoded.
func (r *reader) unpackMessage(p *Part) error {
	if newDecoder(p.enc) == nil {
		return nil
	}
	if r.parts >= r.o.MaxParts {
		p.note(DefectPartsLimit, p.body)
		return nil
	}
	p.note(DefectEncodedMessage, p.start)
	d, err := r.unpack(p)
	if d == nil || err != nil {
		return err
	}
	p.inner, p.opens = d, true
	s := r.pass(p, d, 0, d.size)
	child := s.add(p, 0)
	cur, pos := s.open(child, 0)
	s.run(cur, pos)
	return s.rest()
}

// unpack decodes the body of p into the spool; nil says that it is too large.
func (r *reader) unpack(p *Part) (*doc, error) {
	from := r.t.spool.Size()
	src := &io.LimitedReader{R: r.ended(p.Open()), N: r.decoded + 1}
	if _, err := copyAll(r.t.spool, src); err != nil {
		return nil, err
	}
	if src.N == 0 {
		p.note(DefectDecodedLimit, p.body)
		r.t.spool.truncate(from)
		return nil, nil
	}
	size := r.t.spool.Size() - from
	r.decoded -= size
	r.scan += 4 * size
	d, err := newDoc(section(r.t.spool, from, from+size))
	if err == nil && d.end == "" {
		d.end = p.doc.end
	}
	return d, err
}

// search takes a multipart apart whose boundary, as it is declared, does not occur.
func (r *reader) search(p *Part) error {
	declared := p.enc
	for _, enc := range p.encs {
		if newDecoder(enc) == nil {
			continue
		}
		p.enc = enc
		p.note(DefectEncodedMultipart, p.start)
		size, left := r.t.spool.Size(), r.decoded
		d, err := r.unpack(p)
		if err != nil {
			return err
		}
		if d != nil {
			p.inner = d
			for _, bounds := range [][]string{p.boundaries(), nil} {
				if ok, err := r.split(p, d, 0, d.size, bounds); ok || err != nil {
					p.fits = enc
					return err
				}
			}
			p.inner = nil
			r.t.spool.truncate(size)
			r.decoded = left
		}
	}
	p.enc = declared
	ok, err := r.split(p, p.doc, p.body, p.end, nil)
	if err != nil || ok {
		return err
	}
	p.note(DefectNoBoundary, p.start)
	return r.findUU(p)
}

// split takes a range apart at one of some boundaries, or at a guessed one, and
// reports whether there were parts.
func (r *reader) split(p *Part, d *doc, from, to int64, bounds []string) (bool, error) {
	if to-from > r.scan {
		p.note(DefectScanLimit, from)
		return false, nil
	}
	r.scan -= to - from
	s := r.pass(p, d, from, to)
	guessed := bounds == nil
	if guessed {
		b, ok := s.guess(from)
		if !ok {
			err := s.w.err
			s.w.free()
			return false, err
		}
		bounds = []string{b}
	}
	l := &level{part: p, bounds: bounds}
	p.opens = true
	s.push(l)
	s.run(p, from)
	if len(p.Parts) == 0 {
		p.opens = false
	} else if guessed {
		p.note(DefectBoundaryGuessed, from)
	}
	return p.opens, s.rest()
}

// guess returns what may be the boundary of a range where the declared one does
// not occur: the first line with two hyphens that a Content- field follows, else
// the first of some that come again.
func (s *pass) guess(pos int64) (string, bool) {
	const most = 8
	var tokens []string
	again := -1
	sep := []byte{s.d.eol, '-', '-'}
	for {
		at := s.w.find(pos, sep)
		if at >= s.w.limit {
			break
		}
		line, next, whole := s.w.head(at)
		pos = next
		token := strings.TrimRight(string(line[2:]), " \t\r")
		if !whole || len(token) > maxBoundary {
			continue
		}
		if line, _, _ := s.w.head(next); isContentField(line) {
			return token, true
		}
		if again == 0 || strings.Trim(token, "-") == "" {
			continue
		}
		i := slices.IndexFunc(tokens, func(t string) bool { return token == t || token == t+"--" })
		switch {
		case i >= 0 && (again < 0 || i < again):
			again = i
		case i < 0 && len(tokens) < most:
			tokens = append(tokens, token)
		}
	}
	if again < 0 {
		return "", false
	}
	return tokens[again], true
}

// isContentField reports whether a line is a field whose name begins with Content-.
func isContentField(line []byte) bool {
	const prefix = "content-"
	return len(line) > len(prefix) && bytes.EqualFold(line[:len(prefix)], []byte(prefix)) && isField(line)
}

func isField(line []byte) bool {
	n, _ := scanName(line)
	return n > 0
}
