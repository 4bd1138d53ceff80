package message

import (
	"bytes"
	"io"
	"strings"
)

// edit is what changed in a part.
type edit struct {
	put     Source // the new body, encoded; nil for the one that was read
	ragged  bool   // the header had no line end at its end
	headed  bool   // the header changed
	touched bool   // the part or one inside changed
}

// Edited reports whether the part, or one inside, was edited.
func (p *Part) Edited() bool { return p.touched }

// A splice puts other bytes in the place of a range.
type splice struct {
	from, to int64
	open     func() io.Reader
}

// HeaderEdited reports whether the header of the message was edited.
func (t *Tree) HeaderEdited() bool { return t.Root.headed }

// Header returns the header of the message with its edits; it is read-only.
func (t *Tree) Header() Header { return t.Root.Header }

// BodyEdited reports whether the body of the message was edited: a part in it, or
// as a whole.
func (t *Tree) BodyEdited() bool {
	if t.Root.put != nil {
		return true
	}
	for _, p := range t.Root.Parts {
		if p.touched {
			return true
		}
	}
	return false
}

// Body returns the body of the message with its edits, from the start at each
// call. The reader is an [io.WriterTo] too. Its only errors are those of the
// source and of the temporary file.
func (t *Tree) Body() io.Reader {
	return newSplicer(t.doc.src, t.Root.body, t.Root.end, t.Root.bodySplices(nil))
}

// WriteTo writes the message with its edits; what was not edited is written as it
// was read.
func (t *Tree) WriteTo(w io.Writer) (int64, error) {
	if !t.apart {
		return newSplicer(t.doc.src, 0, t.doc.size, t.Root.splices(nil)).WriteTo(w)
	}
	head := t.Root.headerBytes()
	if len(t.brk) == 0 {
		head = append(head, t.Root.glue()...)
	}
	n, err := w.Write(append(head, t.brk...))
	if err != nil {
		return int64(n), err
	}
	m, err := newSplicer(t.doc.src, t.Root.body, t.Root.end, t.Root.bodySplices(nil)).WriteTo(w)
	return int64(n) + m, err
}

// splices appends what is to be put into the doc that p lies in.
func (p *Part) splices(dst []splice) []splice {
	if !p.touched {
		return dst
	}
	if p.uu != nil {
		return append(dst, splice{p.start, p.uu.after, p.replacement})
	}
	if p.headed {
		dst = append(dst, splice{p.start, p.kept, func() io.Reader { return bytes.NewReader(p.headerBytes()) }})
	}
	if glue := p.glue(); glue != "" {
		dst = append(dst, splice{p.body, p.body, func() io.Reader { return strings.NewReader(glue) }})
	}
	return p.bodySplices(dst)
}

// headerBytes returns the fields, the last one ended where anything follows it.
func (p *Part) headerBytes() []byte {
	b := p.Header.AppendTo(nil)
	if n := len(p.Header); n > 0 && p.Header[n-1].LineEnd() == "" && (p.end > p.kept || p.tight || p.glue() != "" || p.Parent == nil && len(p.tree.brk) > 0) {
		b = append(b, p.lineEnd()...)
	}
	return b
}

// glue returns what must come before a new body where no empty line was.
func (p *Part) glue() string {
	if p.brk < p.body {
		return ""
	}
	if p.put == nil {
		// A new header of an attached message would belong to this part.
		if !p.opens || !isMessage(p.media) {
			return ""
		}
		if c := p.Parts[0]; !c.headed && (c.put == nil || c.start < c.body) {
			return ""
		}
	}
	end := p.doc.end
	if p.ragged && (!p.headed || p.kept < p.brk) {
		return end + end
	}
	return end
}

// tail returns what must come behind a new body.
func (p *Part) tail() string {
	if p.tight || p.uu == nil && p.enc == "base64" && p.end == p.doc.size {
		return p.doc.end
	}
	return ""
}

func (p *Part) bodySplices(dst []splice) []splice {
	switch {
	case !p.touched:
	case p.put != nil:
		dst = append(dst, splice{p.body, p.end, p.replacement})
	case p.inner != nil:
		for _, c := range p.Parts {
			if c.touched {
				return append(dst, splice{p.body, p.end, p.repack})
			}
		}
	default:
		for _, c := range p.Parts {
			dst = c.splices(dst)
		}
	}
	return dst
}

// replacement returns what stands in the place of the body.
func (p *Part) replacement() io.Reader {
	return io.MultiReader(section(p.put, 0, p.put.Size()), strings.NewReader(p.tail()))
}

// unpacked returns the decoded body with the edits inside.
func (p *Part) unpacked() *splicer {
	var s []splice
	for _, c := range p.Parts {
		s = c.splices(s)
	}
	return newSplicer(p.inner.src, 0, p.inner.size, s)
}

// repack returns the decoded body with the edits inside, encoded again.
func (p *Part) repack() io.Reader {
	return io.MultiReader(newEncodingReader(p.unpacked(), p.enc, p.doc.end, !isText(p.media) && !holds(p.media)), strings.NewReader(p.tail()))
}

// A splicer reads a range of a source with splices in it, which are in order.
type splicer struct {
	src      io.ReaderAt
	pos, end int64
	splices  []splice
	cur      io.Reader
}

func newSplicer(src io.ReaderAt, from, to int64, splices []splice) *splicer {
	return &splicer{src: src, pos: from, end: to, splices: splices}
}

// next opens what comes next, nil at the end.
func (s *splicer) next() io.Reader {
	if len(s.splices) > 0 && s.splices[0].from <= s.pos {
		r := s.splices[0].open()
		s.pos = max(s.pos, s.splices[0].to)
		s.splices = s.splices[1:]
		return r
	}
	to := s.end
	if len(s.splices) > 0 {
		to = min(to, s.splices[0].from)
	}
	if to <= s.pos {
		return nil
	}
	r := section(s.src, s.pos, to)
	s.pos = to
	return &exact{r, r.Size()}
}

func (s *splicer) Read(p []byte) (int, error) {
	for {
		if s.cur == nil {
			if s.cur = s.next(); s.cur == nil {
				return 0, io.EOF
			}
		}
		n, err := s.cur.Read(p)
		if err == io.EOF {
			s.cur, err = nil, nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// WriteTo writes what is left to read.
func (s *splicer) WriteTo(w io.Writer) (int64, error) {
	return copyAll(w, s)
}

// exact tells a source that ended early from one that was read whole.
type exact struct {
	r    io.Reader
	left int64
}

func (e *exact) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
