package html

import (
	"bytes"
	"io"
	"strings"
)

// xmlNames are the endings of file names that browsers open as XML; the last is what
// Windows takes for one.
var xmlNames = map[string]bool{
	".xml": true, ".xsl": true, ".xslt": true, ".rdf": true, ".rss": true, ".atom": true, ".mml": true, ".xul": true,
	".{48123bc4-99d9-11d1-a6b3-00c04fd91555}": true,
}

// isXMLType reports whether browsers take a part for XML (RFC 7303).
func isXMLType(mediaType string, names []string) bool {
	return strings.HasSuffix(mediaType, "+xml") || strings.HasSuffix(mediaType, "/xml") || endIn(names, xmlNames)
}

// An xmlLook looks for what XML holds that a browser runs scripts of: the names of the
// two vocabularies that have them; a document type with declarations of its own, whose
// entities and defaults may hide a name; references in the name of a namespace, which
// may do so too; and a style sheet in the text itself.
type xmlLook struct {
	seen []byte // the text in lower case, without NULs and with one blank for several

	namespace xmlPlace // in an attribute xmlns
	doctype   xmlPlace // in a document type
	sheet     xmlPlace // in an instruction xml-stylesheet

	sheets, transforms, page bool // there was such an instruction, XSLT's vocabulary, what is looked for
}

// An xmlPlace is where in something the text is: 0 for not in it, else one of these or
// the quote that ends a string.
type xmlPlace byte

const (
	xmlInside xmlPlace = iota + 1
	xmlEquals          // behind the = of an attribute
)

// isXMLPage reports whether XML may run scripts in a browser. The error is that
// of r.
func isXMLPage(r io.Reader) (bool, error) {
	var x, shifted xmlLook
	// A browser reads ISO 2022 too, which can hide a word; text of 16 bits may look like it.
	r = shifts.reader(io.TeeReader(r, &x))
	buf := make([]byte, 16<<10)
	for {
		n, err := r.Read(buf)
		shifted.Write(buf[:n])
		switch {
		case x.page || shifted.page:
			return true, nil
		case err == io.EOF:
			return false, nil
		case err != nil:
			return false, err
		}
	}
}

// Write takes more of the text. It has no errors.
func (x *xmlLook) Write(b []byte) (int, error) {
	const word, most = 32, 4096 // the longest word has less
	for _, c := range b {
		switch {
		case c == 0: // as in UTF-16
			continue
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		case isSpace(c):
			if c = ' '; len(x.seen) > 0 && x.seen[len(x.seen)-1] == ' ' {
				continue
			}
		}
		if len(x.seen) == most {
			x.seen = append(x.seen[:0], x.seen[most-word:]...)
		}
		x.seen = append(x.seen, c)
		x.words(c)
		x.places(c)
		if x.page {
			break
		}
	}
	return len(b), nil
}

// words looks whether a word ends in c.
func (x *xmlLook) words(c byte) {
	ends := func(word string) bool { return bytes.HasSuffix(x.seen, []byte(word)) }
	switch c {
	case 'l':
		x.page = x.page || ends("1999/xhtml")
		if ends("tr/wd-xsl") { // as Internet Explorer 5 has it
			x.transforms = true
		}
	case 'g':
		x.page = x.page || ends("2000/svg")
	case 'y':
		x.page = x.page || ends("<!entity")
	case 't':
		x.page = x.page || ends("<!attlist")
		if ends("<?xml-stylesheet") {
			x.sheet, x.sheets = xmlInside, true
		}
	case 'm':
		if ends("1999/xsl/transform") {
			x.transforms = true
		}
	case 's':
		if ends("xmlns") {
			x.namespace = xmlInside
			return
		}
	case 'e':
		if ends("<!doctype") {
			x.doctype = xmlInside
		}
	}
	x.page = x.page || x.sheets && x.transforms // it may be its own style sheet
}

// places goes on with what c stands in.
func (x *xmlLook) places(c byte) {
	switch {
	case x.namespace == 0:
	case x.namespace == xmlInside && c == '=':
		x.namespace = xmlEquals
	case x.namespace == xmlEquals && (c == '"' || c == '\''):
		x.namespace = xmlPlace(c)
	case x.namespace == xmlEquals && c != ' ', x.namespace == xmlInside && c == '>', xmlPlace(c) == x.namespace:
		x.namespace = 0
	case x.namespace > xmlEquals && c == '&':
		x.page = true
	}
	switch {
	case x.doctype == 0:
	case x.doctype > xmlEquals: // in a string
		if xmlPlace(c) == x.doctype {
			x.doctype = xmlInside
		}
	case c == '"' || c == '\'':
		x.doctype = xmlPlace(c)
	case c == '>':
		x.doctype = 0
	case c == '[':
		x.page = true
	}
	if x.sheet == 0 {
		return
	}
	before := bytes.TrimSuffix(x.seen[:len(x.seen)-1], []byte(" "))
	switch c {
	case '>':
		if bytes.HasSuffix(before, []byte("?")) && x.seen[len(x.seen)-2] == '?' {
			x.sheet = 0
		}
	case '#': // a fragment of this text
		x.page = x.page || quoted(before)
	case ':':
		before, ok := bytes.CutSuffix(before, []byte("data"))
		x.page = x.page || ok && quoted(bytes.TrimSuffix(before, []byte(" ")))
	case '&':
		x.page = true
	}
}

// quoted reports whether a string begins at the end of b.
func quoted(b []byte) bool { return bytes.HasSuffix(b, []byte(`"`)) || bytes.HasSuffix(b, []byte("'")) }
