package html

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/html"
)

// A scanner copies the tokens of a text that stay.
//
// It works on tokens and knows nothing of the tree that is built of them. All
// the tree decides about tokens is what the content of a raw text element and a
// CDATA section is taken for, and there every reading must agree (see plain).
type scanner struct {
	o        Options
	skipsNUL bool     // readers may skip NULs
	shifts   bool     // readers may find out by a shift that the text is in ISO 2022
	xml      bool     // readers may take the text for XML
	charsets []string // those the text is read in
	depth    int      // of raw text read as markup
	cdata    cdata
	refused  bool // what plain was asked last was over MaxReread

	z      *html.Tokenizer
	src    *source
	w      io.Writer
	werr   error
	off    int64 // of the current token
	report Report
	stop   bool // nothing more is to be read
	last   bool // the token before was endOfRaw

	attrs   []attr
	edited  []byte
	crowded bool           // the tokenizer has seen a tag of many attributes
	count   tagCount       // of the start tag that the tokenizer is in
	counted int            // bytes of it, from its name on
	short   bool           // the token is a tag that was shortened
	passed  int            // by how many bytes; less than 0 where its new end is longer
	raw     string         // the raw text element whose start tag was just read, "" for none
	skip    bool           // its content goes
	held    []byte         // its start tag, while its content decides over it
	heldOff int64          // where that began
	open    map[string]int // tags removed whose end tag is to go too
	foreign int            // svg elements around, as far as tags tell
}

// cdata says how CDATA sections are read.
type cdata uint8

const (
	cdataAgreed  cdata = iota // as comments, and none that is longer as text
	cdataComment              // as comments
	cdataText                 // as text
)

// endOfRaw is put behind raw text read as markup, to see whether it ends there.
const endOfRaw = "</gomilter-end>"

// maxRawDepth is how deep raw text may hold raw text.
const maxRawDepth = 3

// manyAttributes is how many attributes a tokenizer may see in a tag before
// another takes over: it clears a map that never shrinks at every tag.
const manyAttributes = 64

// errWrite is in the errors of what is written to.
var errWrite = errors.New("html: write")

func newScanner(w io.Writer, r io.Reader, o Options) *scanner {
	return &scanner{o: o, w: w, src: &source{r: r, left: o.MaxSize}, open: map[string]int{}}
}

// renew puts a new tokenizer before the bytes b.
func (s *scanner) renew(b ...[]byte) {
	s.src.unread(b...)
	s.z = html.NewTokenizer(guard{s})
	s.z.SetMaxBuf(s.o.MaxToken)
	s.z.AllowCDATA(s.cdata == cdataText)
	s.crowded = false
}

// run reads the text to its end. The error is that of the reader or the writer.
func (s *scanner) run() error {
	s.renew()
	for !s.stop && s.werr == nil {
		s.count, s.counted = tagCount{}, 0
		tt := s.z.Next()
		raw := s.z.Raw()
		if tt == html.ErrorToken {
			err := s.z.Err()
			if err == errCrowded {
				if err = s.shorten(raw); err == nil {
					continue
				}
			}
			if err != io.EOF && err != html.ErrBufferExceeded {
				return fmt.Errorf("html: read: %w", err)
			}
		}
		size := len(raw)
		if size >= s.o.MaxToken {
			if tt != html.TextToken || s.raw != "" || s.cdata == cdataText {
				s.cut()
				break
			}
			// Text is text in pieces too, but for what may begin a tag.
			size = textEnd(raw)
			s.text(raw[:size])
			s.renew(raw[size:], s.z.Buffered())
		} else if name := s.raw; name != "" {
			s.raw = ""
			if tt == html.TextToken {
				s.rawText(name, raw)
			} else {
				s.keep(s.held)
				s.token(tt, raw)
			}
			s.held = s.held[:0]
		} else {
			s.token(tt, raw)
		}
		s.off += int64(size + s.passed)
		s.short, s.passed = false, 0
		if tt == html.ErrorToken {
			break
		}
		if s.crowded && s.raw == "" {
			s.renew(s.z.Buffered())
		}
	}
	if s.src.over && !s.stop {
		s.cut()
	}
	if s.werr != nil {
		return fmt.Errorf("%w: %w", errWrite, s.werr)
	}
	return nil
}

// textEnd returns how much of a piece of text is text whatever follows.
func textEnd(b []byte) int {
	if i := bytes.LastIndexByte(b, '<'); i >= 0 && i >= len(b)-2 {
		return i
	}
	return len(b)
}

func (s *scanner) keep(b []byte) {
	if s.werr == nil && len(b) > 0 {
		_, s.werr = s.w.Write(b)
	}
}

// remove reports what is not kept and leaves a marker. what names it and is one
// of the package's own words.
func (s *scanner) remove(kind Kind, what string) {
	s.found(Finding{Kind: kind, Name: what, Offset: s.off})
	s.keep([]byte("<!-- " + s.o.Marker + what + " -->"))
}

func (s *scanner) found(f Finding) {
	s.report.add(f, s.o.MaxFindings)
	s.stop = s.stop || s.depth > 0
}

// cut removes the rest.
func (s *scanner) cut() {
	s.remove(Limit, "rest")
	s.stop = true
}

func (s *scanner) token(tt html.TokenType, raw []byte) {
	if len(raw) > 0 {
		s.last = tt == html.EndTagToken && string(raw) == endOfRaw
	}
	odd := tt != html.TextToken && s.hidden(raw) >= 0
	odd = odd || (tt == html.StartTagToken || tt == html.SelfClosingTagToken) && holdsVT(raw, s.o.MaxAttributes)
	switch {
	case odd && (tt == html.StartTagToken || tt == html.SelfClosingTagToken):
		// What the tokenizer takes for raw text is read as markup then.
		s.z.NextIsNotRawText()
		s.remove(Ambiguous, "tag")
	case odd:
		s.remove(Ambiguous, "markup")
	case tt == html.TextToken:
		s.text(raw)
	case tt == html.StartTagToken:
		s.startTag(raw, false)
	case tt == html.SelfClosingTagToken:
		s.startTag(raw, true)
	case tt == html.EndTagToken:
		s.endTag(raw)
	case tt == html.CommentToken:
		s.comment(raw)
	case tt == html.DoctypeToken:
		if oddDoctype(raw) {
			s.remove(Ambiguous, "doctype")
			return
		}
		s.keep(raw)
	case tt == html.ErrorToken:
		s.unfinished(raw)
	}
}

// hidden returns where readers may skip a NUL or shift to another character set,
// or -1.
func (s *scanner) hidden(b []byte) int {
	if s.skipsNUL {
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return i
		}
	}
	if s.shifts {
		return findShift(b)
	}
	return -1
}

// text keeps text. A < before a NUL begins a tag where NULs are skipped. The
// beginning of a shift goes.
func (s *scanner) text(b []byte) {
	for s.shifts {
		i := findShift(b)
		if i < 0 {
			break
		}
		s.plainText(b[:i])
		s.found(Finding{Kind: Ambiguous, Name: "text", Offset: s.off})
		b = b[i+1:]
	}
	s.plainText(b)
}

func (s *scanner) plainText(b []byte) {
	for s.skipsNUL {
		i := bytes.Index(b, []byte("<\x00"))
		if i < 0 {
			break
		}
		s.keep(b[:i])
		s.keep([]byte("&lt;"))
		s.found(Finding{Kind: Ambiguous, Name: "text", Offset: s.off})
		b = b[i+1:]
	}
	for {
		i := elementInText(b)
		if i < 0 {
			break
		}
		s.keep(b[:i])
		s.keep([]byte("&lt;"))
		s.found(Finding{Kind: Ambiguous, Name: "text", Offset: s.off})
		b = b[i+1:]
	}
	s.keep(b)
}

// elementInText returns where XML begins an element in what HTML takes for text, or
// -1: names in XML may begin with more than letters.
func elementInText(b []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '<')
		if i < 0 || at+i+1 >= len(b) {
			return -1
		}
		if c := b[at+i+1]; c == '_' || c == ':' || c >= 0x80 {
			return at + i
		}
		at += i + 1
	}
}

// unfinished is a tag at the end of the text. Browsers drop it; others do not,
// and what is put behind the text may end it.
func (s *scanner) unfinished(raw []byte) {
	if len(raw) == 0 {
		return
	}
	tag, _, changed := s.edit(raw)
	if tag != "" || changed || s.src.over || bytes.IndexByte(raw[1:], '<') >= 0 {
		s.remove(Ambiguous, "tag")
		return
	}
	s.keep(raw)
}

// comment takes what browsers take for one: comments, declarations, processing
// instructions, and end tags without a name.
func (s *scanner) comment(raw []byte) {
	inner := bytes.HasPrefix(raw, []byte("<!--"))
	odd := s.src.over
	var what string
	switch {
	case inner:
		what = "comment"
		data, ended := bytes.CutSuffix(raw[4:], []byte("-->"))
		if !ended {
			// <!--> and <!---> are whole to browsers only, and --!> ends to them only.
			// One that never ends hides what older browsers show.
			odd = odd || len(raw) > 4 && raw[len(raw)-1] == '>' || bytes.IndexByte(raw[1:], '<') >= 0 || isConditional(raw[4:])
			break
		}
		odd = odd || bytes.HasPrefix(data, []byte(">")) || bytes.HasPrefix(data, []byte("->"))
		if isConditional(data) {
			if !s.o.KeepConditional || !s.plain(conditionalContent(data)) {
				kind := Comment
				if s.o.KeepConditional && s.refused {
					kind = Limit
				}
				s.remove(kind, "conditional comment")
				return
			}
		}
	case bytes.HasPrefix(raw, []byte("<?")):
		what = "processing instruction"
		odd = odd || s.oddInstruction(raw)
	case bytes.HasPrefix(raw, []byte("<!")):
		what = "declaration"
		if isConditional(raw[2:]) && !s.o.KeepConditional {
			s.remove(Comment, "conditional comment")
			return
		}
		odd = odd || s.oddDeclaration(raw[2:])
	default:
		what = "end tag"
	}
	if !inner {
		odd = odd || bytes.IndexByte(raw[1:], '<') >= 0
	}
	if odd {
		s.remove(Ambiguous, what)
		return
	}
	s.keep(raw)
}

// isConditional reports whether the data of a comment or a declaration makes it
// a conditional comment or the end of one, to Internet Explorer up to version 9
// and to Outlook.
func isConditional(data []byte) bool {
	data = bytes.ToLower(bytes.TrimLeft(data[:min(len(data), 64)], " \t\r\n\f"))
	data = bytes.TrimPrefix(data, []byte("<!"))
	rest, ok := bytes.CutPrefix(data, []byte("["))
	rest = bytes.TrimLeft(rest, " \t\r\n\f")
	return ok && (bytes.HasPrefix(rest, []byte("if")) || bytes.HasPrefix(rest, []byte("endif")) || bytes.HasPrefix(rest, []byte("else")))
}

// conditionalContent returns what is between the condition and its end.
func conditionalContent(data []byte) []byte {
	if i := bytes.IndexByte(data, '>'); i >= 0 {
		data = data[i+1:]
	}
	if i := bytes.LastIndex(data, []byte("<![")); i >= 0 {
		data = data[:i]
	}
	return bytes.TrimSuffix(data, []byte("<!")) // of <!--[if x]><!-->
}

// oddInstruction reports whether <?...> is one that acts or that XML parsers end
// elsewhere. Word writes <?xml:namespace .../> into HTML; only as XML is it odd.
func (s *scanner) oddInstruction(raw []byte) bool {
	target := bytes.ToLower(raw[2:min(len(raw), 24)])
	for _, t := range []string{"import", "xml-stylesheet", "xml-"} {
		if bytes.HasPrefix(target, []byte(t)) {
			return true
		}
	}
	return s.xml && !bytes.HasSuffix(raw, []byte("?>"))
}

// oddDeclaration reports whether <!data is a CDATA section that ends elsewhere
// in svg and XML, or part of a document type that may hold markup.
func (s *scanner) oddDeclaration(data []byte) bool {
	head := bytes.ToUpper(data[:min(len(data), 16)])
	if bytes.HasPrefix(head, []byte("[CDATA[")) {
		return s.cdata == cdataAgreed && !(len(data) >= len("[CDATA[]]>") && bytes.HasSuffix(data, []byte("]]>")))
	}
	for _, d := range []string{"ENTITY", "ELEMENT", "ATTLIST", "NOTATION"} {
		if bytes.HasPrefix(head, []byte(d)) {
			return true
		}
	}
	return false
}

// oddDoctype reports whether a doctype has an internal subset, or a quoted > that
// ends it for browsers only.
func oddDoctype(raw []byte) bool {
	var quote byte
	for _, c := range raw[1:] {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '[' || c == '<':
			return true
		}
	}
	return quote != 0 || raw[len(raw)-1] != '>'
}

// rawNames are the elements whose content the tokenizer takes for text.
var rawNames = map[string]bool{
	"script": true, "iframe": true, "style": true, "title": true, "textarea": true,
	"noscript": true, "noembed": true, "noframes": true, "xmp": true,
}

func (s *scanner) startTag(raw []byte, selfClosing bool) {
	drop, edited, changed := s.edit(raw)
	name := s.name(raw[1:])
	switch {
	case name == "plaintext":
		// To browsers nothing that follows is markup; to XML and svg it is.
		s.z.NextIsNotRawText()
	case name == "svg" && !selfClosing:
		s.foreign++
	}
	switch {
	case name == "script" && selfClosing && (s.foreign > 0 || s.xml):
		// It is empty in svg and XML. Without it what follows is markup to all.
		s.z.NextIsNotRawText()
		s.remove(Element, name)
	case name == "script" || name == "iframe":
		s.remove(Element, name)
		s.open[name]++
		s.raw, s.skip = name, true
	case strings.HasSuffix(name, ":style"): // a sheet to XML, and nobody reads it here
		s.remove(Ambiguous, "style")
		if !selfClosing {
			s.open["style"]++
		}
	case rawNames[name] && selfClosing:
		s.z.NextIsNotRawText()
		s.remove(Ambiguous, name)
	case rawNames[name] && drop != "":
		s.remove(Limit, name)
		s.open[name]++
		s.raw, s.skip = name, true
	case rawNames[name]:
		s.raw, s.skip = name, false
		s.heldOff = s.off
		s.held = append(s.held, raw...)
		if changed {
			s.held = append(s.held[:0], edited...)
		}
	case drop == tooMany:
		s.remove(Limit, drop)
	case drop != "":
		s.remove(Element, drop)
		if paired[drop] && !selfClosing {
			s.open[drop]++
		}
	case changed:
		s.keep(edited)
	default:
		s.keep(raw)
	}
}

func (s *scanner) endTag(raw []byte) {
	name := s.name(raw[2:])
	if name == "svg" && s.foreign > 0 {
		s.foreign--
	}
	if name = plainName([]byte(name)); s.open[name] > 0 {
		s.open[name]--
		return
	}
	drop, edited, changed := s.edit(raw)
	if drop != "" {
		s.remove(Limit, drop)
		return
	}
	if changed {
		s.keep(edited)
		return
	}
	s.keep(raw)
}

// rawText takes the content of a raw text element.
func (s *scanner) rawText(name string, b []byte) {
	if s.skip {
		return
	}
	kind := Ambiguous
	ok := s.plain(b)
	var cuts int
	if ok && name == "style" {
		var left []byte
		left, cuts, ok = s.styles(b)
		if kind = Style; ok && cuts > 0 {
			b, ok = left, s.plain(left)
		}
	}
	if !ok {
		if s.refused {
			kind = Limit
		}
		off := s.off
		s.off = s.heldOff
		s.remove(kind, name)
		s.off = off
		s.open[name]++
		return
	}
	for range cuts {
		s.found(Finding{Kind: Style, Name: "@import", Offset: s.off})
	}
	s.keep(s.held)
	s.keep(b)
}

// leastReread is what it takes to begin reading again, in bytes read.
const leastReread = 512

// plain reports whether raw text read as markup shows nothing active and ends
// where it ends as text, CDATA sections being comments or text. It is not once that
// takes more than is left of MaxReread.
func (s *scanner) plain(b []byte) bool {
	s.refused = false
	if s.hidden(b) >= 0 {
		return false
	}
	if bytes.IndexByte(b, '<') < 0 {
		return true
	}
	if s.depth == maxRawDepth {
		return false
	}
	ways := []cdata{cdataAgreed}
	if bytes.Count(b, []byte("<![CDATA[")) == 1 {
		ways = []cdata{cdataComment, cdataText}
	}
	for _, way := range ways {
		cost := int64(max(len(b), leastReread))
		if s.refused = *s.o.reread < cost; s.refused {
			return false
		}
		*s.o.reread -= cost
		sub := newScanner(io.Discard, io.MultiReader(bytes.NewReader(b), bytes.NewReader([]byte(endOfRaw))), s.o)
		sub.o.MaxSize = int64(len(b) + len(endOfRaw))
		sub.o.MaxToken = len(b) + 2*len(endOfRaw)
		sub.skipsNUL, sub.shifts, sub.xml, sub.charsets, sub.depth, sub.cdata = s.skipsNUL, s.shifts, s.xml, s.charsets, s.depth+1, way
		if err := sub.run(); err != nil || sub.report.Total > 0 || !sub.last {
			s.refused = sub.refused
			return false
		}
	}
	return true
}
