package html

import (
	"bytes"
	"path"
	"strings"

	"golang.org/x/text/encoding/unicode"

	"github.com/gomilter/gomilter/internal/filename"
)

// htmlTypes are the media types of what readers show as HTML.
var htmlTypes = map[string]bool{
	"text/html": true, "application/xhtml+xml": true, "image/svg+xml": true, "application/xhtml": true,
	"text/x-server-parsed-html": true, "application/vnd.wap.xhtml+xml": true, "text/xhtml": true, "text/svg+xml": true,
	"application/x-html": true, "image/svg": true, "application/hta": true,
}

// htmlNames are the endings of file names that are opened as HTML; the last is what
// Windows takes for one.
var htmlNames = map[string]bool{
	".htm": true, ".html": true, ".xhtml": true, ".xht": true, ".shtml": true, ".shtm": true, ".stm": true,
	".svg": true, ".mht": true, ".mhtml": true, ".hta": true, ".xhtm": true, ".dhtml": true, ".htmls": true,
	".{25336920-03f9-11cf-8fd0-00aa00686f13}": true,
}

// IsHTML reports whether a part may be shown as HTML, XHTML or SVG.
//
// It goes by the media type (its parameters are passed over), by the names the
// part has, and by its first bytes, head, decoded from its transfer encoding; a
// few hundred do, but for XML, which may name the vocabularies of HTML and SVG
// anywhere and becomes a page by that. Any of them is enough. Other types of text are not looked
// into, for readers show them as text. A .mht file is a MIME message with HTML
// in it.
func IsHTML(head []byte, mediaType string, names []string) bool {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	if htmlTypes[mediaType] {
		return true
	}
	if endIn(names, htmlNames) {
		return true
	}
	if isXMLType(mediaType, names) {
		if page, _ := isXMLPage(bytes.NewReader(head)); page {
			return true
		}
	}
	if strings.HasPrefix(mediaType, "text/") && mediaType != "text/xml" {
		return false
	}
	return sniff(head)
}

// endIn reports whether a name ends, to some system, in one of the endings.
func endIn(names []string, endings map[string]bool) bool {
	for _, name := range names {
		for _, s := range filename.Readings(name) {
			if endings[path.Ext(s)] {
				return true
			}
		}
	}
	return false
}

// htmlTags are what text that is HTML begins with (WHATWG MIME Sniffing section
// 7.1, table of unknown types, with more names).
var htmlTags = []string{
	"!doctype html", "html", "head", "script", "iframe", "h1", "div", "font", "table", "a", "style", "title", "b", "body",
	"br", "p", "!--", "svg", "math", "img", "meta", "link", "base", "form", "center", "span", "object", "embed", "input", "!doctype svg",
}

// sniffSize is how far sniff looks.
const sniffSize = 1024

func sniff(head []byte) bool {
	head = head[:min(len(head), 4*sniffSize)]
	for _, r := range readings(head, "") {
		if r.wide && r.enc != nil {
			if out, err := r.enc.NewDecoder().Bytes(head); err == nil {
				head = out
			}
			break
		}
	}
	if out, err := unicode.UTF8BOM.NewDecoder().Bytes(head); err == nil {
		head = out
	}
	head = bytes.ToLower(bytes.TrimLeft(head[:min(len(head), sniffSize)], " \t\r\n\f\x00\ufeff\ufffd"))
	if bytes.HasPrefix(head, []byte("<?xml")) {
		for _, mark := range []string{"http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg", "<svg", "<html", "<!doctype html", "<!doctype svg"} {
			if bytes.Contains(head, []byte(mark)) {
				return true
			}
		}
		return false
	}
	tag, ok := bytes.CutPrefix(head, []byte("<"))
	if !ok {
		return false
	}
	for _, name := range htmlTags {
		rest, ok := bytes.CutPrefix(tag, []byte(name))
		if ok && (name == "!--" || len(rest) > 0 && (isSpace(rest[0]) || rest[0] == '>' || rest[0] == '/')) {
			return true
		}
	}
	return false
}
