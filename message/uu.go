package message

import (
	"bytes"
	"strings"
)

// A uuFile is a uuencoded file in a text, or one in yEnc.
type uuFile struct {
	name   string
	mode   string
	base64 bool
	yenc   bool
	sure   bool  // the line is hardly anything else
	after  int64 // where the text goes on, before the line end
}

// beginLine reads the line that a uuencoded file begins with.
func beginLine(line []byte) (*uuFile, bool) {
	s := strings.TrimRight(string(line), blanks)
	u := &uuFile{mode: "644"}
	rest, ok := strings.CutPrefix(s, "begin-base64 ")
	if u.base64 = ok; !ok {
		if rest, ok = strings.CutPrefix(s, "begin "); !ok {
			return nil, false
		}
	}
	rest = strings.TrimLeft(rest, " ")
	u.name = rest
	// QUIRK: Outlook takes a line without a mode as well.
	if mode, name, ok := strings.Cut(rest, " "); ok && len(mode) >= 3 && len(mode) <= 5 && strings.Trim(mode, "01234567") == "" {
		u.mode, u.name, u.sure = mode, strings.TrimLeft(name, " "), true
	}
	u.sure = u.sure || strings.HasPrefix(s, "begin  ")
	return u, u.name != ""
}

// findUU makes parts of the files in a text that are uuencoded or in yEnc.
func (r *reader) findUU(p *Part) error {
	if p.end == p.body {
		return nil
	}
	if newDecoder(p.enc) == nil {
		if err := p.noteBareBegin(p.doc, p.body, p.end); err != nil {
			return err
		}
		return r.scanUU(p, p.doc, p.body, p.end)
	}
	found, err := decodedHasUU(p)
	if !found || err != nil {
		return err
	}
	size, left := r.t.spool.Size(), r.decoded
	d, err := r.unpack(p)
	if d == nil || err != nil {
		return err
	}
	if err := p.noteBareBegin(d, 0, d.size); err != nil {
		return err
	}
	p.inner = d
	if err := r.scanUU(p, d, 0, d.size); err != nil || len(p.Parts) > 0 {
		return err
	}
	p.inner = nil
	r.t.spool.truncate(size)
	r.decoded = left
	return nil
}

// decodedHasUU reports whether an encoded text may hold a uuencoded file.
func decodedHasUU(p *Part) (bool, error) {
	w := newWindow(p.doc.src, p.end, p.doc.eol)
	defer w.free()
	dec := p.decoder()
	buf := windows.Get().(*[windowSize]byte)
	defer windows.Put(buf)
	out := append(buf[:0], '\n')
	const most = len("\n=ybegin")
	for pos := p.body; pos < p.end; {
		b := w.at(pos, 1)
		if len(b) == 0 {
			return false, w.err
		}
		b = b[:min(len(b), codeChunk)]
		pos += int64(len(b))
		out = dec.append(out, b)
		if pos == p.end {
			out = dec.finish(out)
		}
		if hasBegin(out) {
			return true, nil
		}
		out = append(out[:0], out[max(0, len(out)-most):]...)
	}
	return false, nil
}

// noteBareBegin notes the line that a file begins with where it stands behind a CR
// alone, which is no line end in this reading.
func (p *Part) noteBareBegin(d *doc, from, to int64) error {
	if d.eol == '\r' {
		return nil
	}
	w := newWindow(d.src, to, d.eol)
	defer w.free()
	uu, yenc := []byte("\rbegin"), []byte("\r=ybegin")
	for pos := from; pos < to; {
		b := w.at(pos, len(yenc))
		if len(b) == 0 {
			return w.err
		}
		for _, line := range [][]byte{uu, yenc} {
			if i := bytes.Index(b, line); i >= 0 {
				p.note(DefectUUEncodeCR, pos+int64(i))
				return nil
			}
		}
		if pos += int64(len(b)); pos < to {
			pos -= int64(len(yenc) - 1) // it may be cut
		}
	}
	return nil
}

func hasBegin(b []byte) bool {
	for {
		i := bytes.Index(b, []byte("begin"))
		if i < 0 {
			return false
		}
		line := b[:i]
		if yenc := bytes.HasSuffix(line, []byte("=y")); yenc {
			line = line[:i-2]
		}
		if n := len(line); n > 0 && (line[n-1] == '\n' || line[n-1] == '\r') {
			return true
		}
		b = b[i+1:]
	}
}

// scanUU makes parts of the files in a range that are uuencoded or in yEnc.
func (r *reader) scanUU(p *Part, d *doc, from, to int64) error {
	s := r.pass(p, d, from, to)
	defer s.w.free()
	sep := []byte{d.eol, 'b', 'e', 'g', 'i', 'n'}
	for pos := from; !s.full; {
		at := s.w.search(pos, sep, []byte("=y"), nil)
		if at >= to {
			break
		}
		text, next, whole := s.w.head(at)
		pos = next
		u, ok := beginLine(text)
		if !ok {
			u, ok = yencLine(text)
		}
		if !ok || !whole {
			continue
		}
		body := next
		var end, after int64
		var closed bool
		if u.yenc {
			body, end, after, closed, ok = s.yencEnd(next)
		} else {
			end, after, closed, ok = s.uuEnd(next, u)
		}
		if !ok {
			continue
		}
		if p.depth >= r.o.MaxDepth {
			p.note(DefectDepthLimit, at)
			break
		}
		child := s.add(p, at)
		if child == nil {
			break
		}
		p.note(DefectUUEncode, at)
		child.kept, child.brk, child.body, child.end = at, body, body, end
		child.uu = u
		u.after = after
		child.media, child.enc = "application/octet-stream", "x-uuencode"
		if u.yenc {
			child.enc = "x-yenc"
		}
		if !closed {
			child.note(DefectUUEncodeCut, end)
		}
		pos = s.w.next(after)
		if pos = max(pos, next); after == to {
			pos = to
		}
	}
	return s.w.err
}

// maxUUJunk is how many lines that are no data may stand before those of a
// uuencoded file.
const maxUUJunk = 1000

// uuEnd finds where the lines of a uuencoded file end, and where behind its line
// "end" the text goes on; ok tells that there is such a file at all.
func (s *pass) uuEnd(pos int64, u *uuFile) (end, after int64, closed, ok bool) {
	last := pos
	junk := 0
	after = pos - s.w.ending(pos)
	// QUIRK: Decoders pass over lines that are no data. Such lines may be looked at
	// again for another file.
	looked := pos
	skip := func(next int64) bool {
		if junk++; ok || !u.sure || junk > maxUUJunk {
			return false
		}
		s.r.scan -= next - looked
		if looked = next; s.r.scan < 0 {
			s.top.note(DefectScanLimit, pos)
		}
		return s.r.scan >= 0
	}
	for pos < s.w.limit && s.w.err == nil {
		text, next, whole := s.w.head(pos)
		text = bytes.TrimRight(text, " \t\r")
		switch {
		case !whole:
			return last, after, false, ok
		case string(text) == "end" || u.base64 && string(text) == "====":
			return pos, next - s.lineEnd(next), true, true
		case len(text) == 0: // a blank line, or one that holds nothing
		case u.base64:
			if len(bytes.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")) > 0 {
				if skip(next) {
					break
				}
				return last, after, false, ok
			}
			ok = true
		default:
			n, fits := uuLine(text)
			if !fits {
				if skip(next) {
					break
				}
				return last, after, false, ok
			}
			ok = ok || n > 0
		}
		pos = next
		if len(text) > 0 {
			last, after = next, next-s.lineEnd(next)
		}
	}
	return last, after, false, ok
}

// lineEnd returns the length of the line end before pos, 0 where the range ends
// without one.
func (s *pass) lineEnd(pos int64) int64 {
	if b := s.w.at(pos-1, 1); pos == s.w.limit && (len(b) == 0 || b[0] != s.d.eol) {
		return 0
	}
	return s.w.ending(pos)
}
