package html

import (
	"bytes"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

// xmlNames are the endings of file names that browsers open as XML.
var xmlNames = map[string]bool{
	".xml": true, ".xsl": true, ".xslt": true, ".rdf": true, ".rss": true, ".atom": true, ".mml": true, ".xul": true,
}

// isXMLType reports whether browsers take a part for XML (RFC 7303).
func isXMLType(mediaType string, names []string) bool {
	return strings.HasSuffix(mediaType, "+xml") || strings.HasSuffix(mediaType, "/xml") ||
		slices.ContainsFunc(names, func(name string) bool { return xmlNames[strings.ToLower(path.Ext(plainFile(name)))] })
}

// xmlPage is what XML holds that a browser runs scripts of: the names of the two
// vocabularies that have them, a style sheet within, or entities and references
// that may hide a name.
var xmlPage = regexp.MustCompile(`(?i)1999/xhtml|2000/svg|<!entity|xml-stylesheet[^>]*["'](#|data:|[^"'>]*&)|xmlns[^=>]*=[ \t\r\n]*["'][^"'>]*&`)

// Of what xmlPage finds, overlap is the longest that may be cut in two.
const xmlWindow, xmlOverlap = 64 << 10, 4 << 10

// isXMLPage reports whether XML may run scripts in a browser. The error is that
// of r.
func isXMLPage(r io.Reader) (bool, error) {
	buf := make([]byte, 0, xmlWindow)
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if xmlPage.Match(bytes.ReplaceAll(buf, []byte{0}, nil)) { // as UTF-16 it has NULs between
			return true, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		buf = append(buf[:0], buf[len(buf)-xmlOverlap:]...)
	}
}
