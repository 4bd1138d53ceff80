package message

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// ErrHoldsParts says that the body of a multipart or an attached message cannot
// be set: its parts can be edited, and as a whole it can be replaced.
var ErrHoldsParts = errors.New("message: the part holds parts, its body cannot be set")

// A Content is what stands in the place of a part.
type Content struct {
	MediaType   string // "" means text/plain, for a Body application/octet-stream
	Charset     string // of Text; "" means us-ascii, or utf-8 where that does not do
	Filename    string // "" means none
	Disposition string // "" means attachment with a Filename, else none
	Text        string // in UTF-8, lines ended by LF
	Body        Source // the bytes, instead of Text; read before Replace returns
}

// Replace puts new content in the place of the part and of all inside. The fields
// that say what the old content is, is encoded in or is called go, and new ones
// come: Content-Type, Content-Transfer-Encoding, Content-Disposition, Content-Name,
// Content-Description, Content-Location and X-Sun- fields. Its other fields stay, but
// one with such a field behind a bare CR ends at the CR. Lines in its header that are
// no fields go too, as clients that let the body begin there would still show them.
// Text gets the line ends that surround it,
// and Charset only if that has all its characters. A uuencoded file has no fields:
// Text takes the place of its lines, in the text's charset, and Body is uuencoded.
//
// Its errors are those of c.Body and of the temporary file; the part is then as
// it was.
func (p *Part) Replace(c Content) error {
	if p.uu != nil {
		return p.replaceUU(c)
	}
	var params []Param
	src, text := c.Body, c.Body == nil
	if c.MediaType == "" {
		if c.MediaType = "text/plain"; !text {
			c.MediaType = "application/octet-stream"
		}
	}
	if text {
		b, charset := encodeText(c.Text, c.Charset)
		src = bytes.NewReader(b)
		params = append(params, Param{Name: "charset", Value: charset})
	} else if c.Charset != "" {
		params = append(params, Param{Name: "charset", Value: c.Charset})
	}
	old := p.enc
	p.enc = "" // none is preferred
	put, enc, err := p.encode(src, text || isText(c.MediaType))
	if p.enc = old; err != nil {
		return err
	}
	var named []Param
	if c.Filename != "" {
		params = append(params, Param{Name: "name", Value: c.Filename})
		named = append(named, Param{Name: "filename", Value: c.Filename})
		if c.Disposition == "" {
			c.Disposition = "attachment"
		}
	}
	end := p.lineEnd()
	fields := []Field{NewParamField("Content-Type", c.MediaType, params, end)}
	if enc != "7bit" {
		fields = append(fields, NewField("Content-Transfer-Encoding", " "+enc, end))
	}
	if c.Disposition != "" {
		fields = append(fields, NewParamField("Content-Disposition", c.Disposition, named, end))
	}
	if _, ok := p.Header.Get("MIME-Version"); !ok && p.IsMessage() {
		fields = append([]Field{NewField("MIME-Version", " 1.0", end)}, fields...)
	}
	at := -1
	h := make(Header, 0, len(p.Header)+len(fields))
	for _, f := range p.Header {
		if f.name == 0 || describes(f) {
			if at < 0 {
				at = len(h)
			}
			continue
		}
		if behindCR(f) != nil {
			f = cutAtCR(f)
		}
		h = append(h, f)
	}
	if at < 0 {
		at = len(h)
	}
	p.SetHeader(slices.Insert(h, at, fields...))
	p.setPut(put)
	return nil
}

// describes reports whether a field says what the content of a part is, how it is
// encoded or what it is called.
func describes(f Field) bool {
	switch name := toLower(f.Name()); name {
	case "content-type", "content-transfer-encoding", "content-disposition", "content-name", "content-description", "content-location":
		return true
	default:
		return strings.HasPrefix(name, "x-sun-")
	}
}

// cutAtCR ends a field at the first CR that stands alone.
func cutAtCR(f Field) Field {
	for i, c := range f.raw[:f.end] {
		if c == '\r' && i+1 < len(f.raw) && f.raw[i+1] != '\n' {
			return Parse(append(slices.Clone(f.raw[:i]), f.LineEnd()...)).Header[0]
		}
	}
	return f
}

// SetBody puts new content in the place of the part's body: body is what
// [Part.Open] would return. Type, charset and name stay. It is encoded as the old
// one was, if that encoding can carry it, else in quoted-printable or base64;
// Content-Transfer-Encoding then changes. The line ends of a text that is not in
// base64 become those that surround it.
//
// Its errors are [ErrHoldsParts] and those of body and of the temporary file; the
// part is then as it was.
func (p *Part) SetBody(body Source) error {
	if p.opens {
		return ErrHoldsParts
	}
	if p.uu != nil {
		return p.putUU(body, p.uu.name)
	}
	put, enc, err := p.encode(body, isText(p.media))
	if err != nil {
		return err
	}
	p.setEncoding(enc)
	p.setPut(put)
	return nil
}

// SetText is like SetBody for a text in UTF-8, as [Part.Text] returns it. It is
// written in the part's charset, or, where that lacks one of its characters or is
// unknown, in UTF-8; Content-Type then changes.
func (p *Part) SetText(text Source) error {
	if p.opens {
		return ErrHoldsParts
	}
	if p.uu != nil {
		return p.putUU(text, p.uu.name)
	}
	from := p.tree.spool.Size()
	charset := p.Charset()
	enc := lookupCharset(charset)
	var err error
	for {
		var src io.Reader = &exact{section(text, 0, text.Size()), text.Size()}
		if enc == nil {
			src = transform.NewReader(src, asciiOnly{})
		} else if charset != "utf-8" {
			src = transform.NewReader(src, enc.NewEncoder())
		}
		_, err = copyAll(p.tree.spool, src)
		if err == nil || charset == "utf-8" || !unencodable(err) {
			break
		}
		p.tree.spool.truncate(from)
		charset, enc = "utf-8", encoding.Nop
	}
	if err != nil {
		p.tree.spool.truncate(from)
		return err
	}
	put, te, err := p.encode(section(p.tree.spool, from, p.tree.spool.Size()), isText(p.media))
	if err != nil {
		return err
	}
	if charset != p.Charset() {
		p.setCharset(charset)
	}
	p.setEncoding(te)
	p.setPut(put)
	return nil
}

// unencodable tells a character that a charset lacks from an error in reading.
func unencodable(err error) bool {
	var repertoire interface{ Replacement() byte } // what encoders of x/text return
	return errors.As(err, &repertoire) || err == errNotASCII || err == encoding.ErrInvalidUTF8
}

var errNotASCII = errors.New("message: not ASCII")

// asciiOnly passes ASCII.
type asciiOnly struct{ transform.NopResetter }

func (asciiOnly) Transform(dst, src []byte, atEOF bool) (int, int, error) {
	n := copy(dst, src)
	for i, c := range src[:n] {
		if c >= 0x80 {
			return i, i, errNotASCII
		}
	}
	if n < len(src) {
		return n, n, transform.ErrShortDst
	}
	return n, n, nil
}

// SetHeader puts other fields in the place of the part's; fields taken over from
// Header stay as they are written. The body is neither changed nor read anew. It
// has no effect on a uuencoded file, which has no header.
func (p *Part) SetHeader(h Header) {
	if p.uu != nil {
		return
	}
	p.Header, p.headed = h, true
	p.describe(p.Parent != nil && p.Parent.media == "multipart/digest")
	p.touch()
}

// touch says that p changed to all that p lies in.
func (p *Part) touch() {
	p.touched = true
	for q := p.Parent; q != nil; q = q.Parent {
		q.touched = true
		if q.inner != nil && newEncoder(q.enc, "", false) == nil {
			q.setEncoding("base64")
		}
	}
}

// setPut makes put the body of p.
func (p *Part) setPut(put Source) {
	p.put, p.Parts, p.inner, p.opens = put, nil, nil, false
	p.touch()
}

// lineEnd returns what ends the lines around p.
func (p *Part) lineEnd() string {
	if p.Parent == nil && p.tree.apart {
		return p.Header.lineEnd()
	}
	return p.doc.end
}

// setEncoding makes the header tell an encoding.
func (p *Part) setEncoding(enc string) {
	if enc == p.enc && !p.Has(DefectEncodings) && !p.Has(DefectEncoding) {
		return
	}
	const name = "Content-Transfer-Encoding"
	f := NewField(name, " "+enc, p.lineEnd())
	h := make(Header, 0, len(p.Header)+1)
	set := false
	for _, old := range p.Header {
		if !old.Is(name) {
			h = append(h, old)
		} else if !set {
			set = true
			h = append(h, f)
		}
	}
	if !set {
		h = insertBehind(h, "Content-Type", f)
	}
	p.SetHeader(h)
}

// setCharset makes the Content-Type that counts tell a charset.
func (p *Part) setCharset(charset string) {
	params := []Param{{Name: "charset", Value: charset}}
	for _, q := range p.params {
		if q.Name != "charset" && isToken(q.Name) {
			params = append(params, q)
		}
	}
	f := NewParamField("Content-Type", p.media, params, p.lineEnd())
	h := slices.Clone(p.Header)
	for i, old := range h.All("Content-Type") {
		if media, _ := ParseParams(old.Text(true)); clientType(media) == p.media || clientType(media) == "" {
			h[i] = f
			p.SetHeader(h)
			return
		}
	}
	p.SetHeader(append(h, f))
}

// insertBehind puts f behind the last field of a name, or at the end.
func insertBehind(h Header, name string, f Field) Header {
	at := len(h)
	for i := range h.All(name) {
		at = i + 1
	}
	return slices.Insert(h, at, f)
}

// encodeText returns text in a charset, if that has all its characters, and the
// charset.
func encodeText(text, charset string) ([]byte, string) {
	text = strings.ToValidUTF8(text, "\ufffd")
	if isASCII(text) && (charset == "" || !shifts(charset)) {
		if charset == "" {
			charset = "us-ascii"
		}
		return []byte(text), charset
	}
	if e := lookupCharset(charset); e != nil {
		if b, err := e.NewEncoder().Bytes([]byte(text)); err == nil {
			return b, charset
		}
	}
	return []byte(text), "utf-8"
}

// A survey is what decides which encodings can carry a content.
type survey struct {
	size, high int64 // bytes, and those above ASCII
	longest    int   // line
	odd        bool  // NUL or bare CR
	dashes     bool  // a line begins as boundaries do
	crlf, lf   bool  // line ends
}

// look reads a content once.
func look(src Source) (survey, error) {
	var v survey
	r := &exact{section(src, 0, src.Size()), src.Size()}
	buf := windows.Get().(*[windowSize]byte)
	defer windows.Put(buf)
	col, cr, dash := 0, false, false
	for {
		n, err := r.Read(buf[:])
		v.size += int64(n)
		for _, c := range buf[:n] {
			if cr && c != '\n' {
				v.odd = true
			}
			switch {
			case c == '\n':
				v.crlf, v.lf = v.crlf || cr, v.lf || !cr
				col, cr, dash = 0, false, false
				continue
			case c == '\r':
				cr = true
				continue
			case c >= 0x80:
				v.high++
			case c == 0:
				v.odd = true
			case c == '-':
				v.dashes = v.dashes || dash && col == 1
				dash = col == 0
			}
			cr = false
			col++
			v.longest = max(v.longest, col)
		}
		if err == io.EOF {
			v.odd = v.odd || cr
			return v, nil
		}
		if err != nil {
			return v, err
		}
	}
}

// maxLine is the longest line of a message without its end (RFC 5322 section 2.1.1).
const maxLine = 998

// encode puts src, encoded, into the spool: in the part's encoding if it can.
func (p *Part) encode(src Source, text bool) (put Source, enc string, err error) {
	v, err := look(src)
	if err != nil {
		return nil, "", err
	}
	end := p.doc.end
	plain := !v.odd && !v.dashes && v.longest <= maxLine &&
		(text || end == "\r\n" && !v.lf || end == "\n" && !v.crlf || !v.lf && !v.crlf)
	switch enc = p.enc; {
	case enc == "base64", enc == "quoted-printable":
	case enc == "8bit" && plain, enc == "binary" && plain:
	case v.high == 0 && plain:
		if enc = "7bit"; p.enc != "" && newDecoder(p.enc) == nil && !p.Has(DefectEncoding) {
			enc = p.enc
		}
	case text && v.high <= v.size/4 && (!v.odd || v.high == 0):
		enc = "quoted-printable"
	default:
		enc = "base64"
	}
	var r io.Reader = &exact{section(src, 0, src.Size()), src.Size()}
	if text && enc != "base64" {
		r = transform.NewReader(r, &lineEnds{end: end})
	} else if text && p.enc == "" {
		r = transform.NewReader(r, &lineEnds{end: "\r\n"}) // RFC 2046 section 4.1.1
	}
	put, err = p.spool(newEncodingReader(r, enc, end, !text))
	return put, enc, err
}

// spool keeps what r gives.
func (p *Part) spool(r io.Reader) (Source, error) {
	s := p.tree.spool
	from := s.Size()
	if _, err := copyAll(s, r); err != nil {
		s.truncate(from)
		return nil, err
	}
	return section(s, from, s.Size()), nil
}

// lineEnds makes all line ends of CRLF and LF the same.
type lineEnds struct {
	transform.NopResetter
	end string
}

func (l *lineEnds) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		c := src[nSrc]
		if c == '\r' && nSrc+1 == len(src) && !atEOF {
			return nDst, nSrc, transform.ErrShortSrc
		}
		size := 1
		if c == '\r' && nSrc+1 < len(src) && src[nSrc+1] == '\n' {
			c, size = '\n', 2
		}
		if nDst+len(l.end) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		if c == '\n' {
			nDst += copy(dst[nDst:], l.end)
		} else {
			dst[nDst] = c
			nDst++
		}
		nSrc += size
	}
	return nDst, nSrc, nil
}

// replaceUU puts c in the place of the lines of a uuencoded file.
func (p *Part) replaceUU(c Content) error {
	if c.Body != nil {
		if c.Filename == "" {
			c.Filename = p.uu.name
		}
		return p.putUU(c.Body, c.Filename)
	}
	put, err := p.spool(strings.NewReader(p.fitted(c.Text)))
	if err != nil {
		return err
	}
	p.uu.name = ""
	p.media, p.params, p.enc = "text/plain", p.Parent.params, "7bit"
	p.setPut(put)
	return nil
}

// fitted returns a text as lines of the text that a uuencoded file stands in:
// without the last line end, in its charset, with nothing that its encoding
// cannot carry or that begins as a boundary.
func (p *Part) fitted(text string) string {
	text = strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	text = strings.ToValidUTF8(text, "?")
	if e := lookupCharset(p.Parent.Charset()); e != nil {
		if s, err := encoding.ReplaceUnsupported(e.NewEncoder()).String(text); err == nil {
			text = s
		}
	}
	b := []byte(text)
	for i, c := range b {
		if c >= 0x80 && p.doc == p.Parent.doc && p.Parent.enc == "7bit" || c == 0 || c == '\r' {
			b[i] = '?'
		}
	}
	text = strings.ReplaceAll("\n"+string(b), "\n--", "\n --")[1:]
	return strings.ReplaceAll(text, "\n", p.doc.end)
}

// putUU puts a body, uuencoded, in the place of the lines of a uuencoded file.
func (p *Part) putUU(body Source, name string) error {
	name = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == 0 {
			return -1
		}
		return r
	}, name)
	if strings.Trim(name, " ") == "" {
		name = "unnamed"
	}
	end := p.doc.end
	src := &codingReader{src: &exact{section(body, 0, body.Size()), body.Size()}, coder: &uuEncoder{end: end}}
	put, err := p.spool(io.MultiReader(strings.NewReader("begin "+p.uu.mode+" "+name+end), src, strings.NewReader("`"+end+"end")))
	if err != nil {
		return err
	}
	p.uu.name, p.uu.base64, p.uu.yenc = name, false, false
	p.media, p.params, p.enc = "application/octet-stream", nil, "x-uuencode"
	p.setPut(put)
	return nil
}
