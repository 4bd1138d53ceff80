package html

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
)

// An attr is where an attribute lies in a tag.
type attr struct {
	name  [2]int
	value [2]int // without quotes
	end   int    // behind the value and its quote
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' }

// scanTag returns where the name of a tag ends and appends its attributes, those
// named before included, to attrs until that has more than most. name is where the
// tag's name begins. It cuts as the tokenizer does (WHATWG HTML sections 13.2.5.8 and
// 13.2.5.32 to 39).
func scanTag(raw []byte, name, most int, attrs []attr) (nameEnd int, _ []attr) {
	i := name
	for i < len(raw) && !isSpace(raw[i]) && raw[i] != '/' && raw[i] != '>' {
		i++
	}
	nameEnd = i
	skip := func() {
		for i < len(raw) && isSpace(raw[i]) {
			i++
		}
	}
	for {
		skip()
		if i == len(raw) || raw[i] == '>' {
			return nameEnd, attrs
		}
		a := attr{name: [2]int{i, i}}
		for i < len(raw) && !isSpace(raw[i]) && raw[i] != '/' && raw[i] != '>' && (raw[i] != '=' || i == a.name[0]) {
			i++
		}
		a.name[1], a.end, a.value = i, i, [2]int{i, i}
		skip()
		switch {
		case i < len(raw) && raw[i] == '/':
			i++
		case i < len(raw) && raw[i] == '=':
			i++
			a.end = i
			skip()
			switch {
			case i == len(raw) || raw[i] == '>':
				a.value = [2]int{i, i}
			case raw[i] == '"' || raw[i] == '\'':
				quote := raw[i]
				i++
				a.value[0] = i
				if n := bytes.IndexByte(raw[i:], quote); n >= 0 {
					i += n
				} else {
					i = len(raw)
				}
				a.value[1] = i
				i = min(i+1, len(raw))
				a.end = i
			default:
				a.value[0] = i
				for i++; i < len(raw) && !isSpace(raw[i]) && raw[i] != '>'; i++ {
				}
				a.value[1], a.end = i, i
			}
		}
		if a.name[0] < a.name[1] {
			if attrs = append(attrs, a); len(attrs) > most {
				return nameEnd, attrs
			}
		}
	}
}

// holdsVT reports whether a vertical tab stands in a tag and not in quotes. Old
// browsers take it for a blank, and what follows for attributes. It looks no further
// than one attribute more than most.
func holdsVT(raw []byte, most int) bool {
	if bytes.IndexByte(raw, '\v') < 0 {
		return false
	}
	end, attrs := scanTag(raw, 1, most, nil)
	if bytes.IndexByte(raw[:end], '\v') >= 0 {
		return true
	}
	for _, a := range attrs {
		quoted := a.end > a.value[1] // by the quote behind it
		if bytes.IndexByte(raw[a.name[0]:a.name[1]], '\v') >= 0 || !quoted && bytes.IndexByte(raw[a.value[0]:a.value[1]], '\v') >= 0 {
			return true
		}
	}
	return false
}

// name returns the name that b begins with as the tokenizer has it, if it is one
// that the scanner looks at; else any other.
func (s *scanner) name(b []byte) string {
	n := 0
	for n < len(b) && n < 40 && !isSpace(b[n]) && b[n] != '/' && b[n] != '>' {
		n++
	}
	return strings.ToLower(string(b[:n]))
}

// plainName returns a name as the most lenient reader has it: without junk
// around it and without a prefix, in lower case, 40 bytes at most.
func plainName(b []byte) string {
	if i := bytes.LastIndexByte(b, ':'); i >= 0 {
		b = b[i+1:]
	}
	for len(b) > 0 && !isAlnum(b[0]) {
		b = b[1:]
	}
	n := 0
	for n < len(b) && n < 40 && (isAlnum(b[n]) || b[n] == '-' || b[n] == '_') {
		n++
	}
	return strings.ToLower(string(b[:n]))
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// dropped are the elements whose tags go always.
var dropped = map[string]bool{
	"script": true, "iframe": true, "object": true, "embed": true, "applet": true,
	"frame": true, "frameset": true, "portal": true, "fencedframe": true, "webview": true,
	"layer": true, "ilayer": true, "base": true, "handler": true, "xml": true, "comment": true,
}

// paired are those removed with their end tag.
var paired = map[string]bool{
	"script": true, "object": true, "applet": true, "frameset": true, "portal": true, "fencedframe": true, "webview": true,
	"layer": true, "ilayer": true, "handler": true, "xml": true, "comment": true, "form": true,
	"animate": true, "set": true, "animatetransform": true, "animatemotion": true, "animatecolor": true,
}

// urlAttributes hold a URL, or a list of them, that a reader follows or loads. true: it is
// shown as an image.
var urlAttributes = map[string]bool{
	"href": false, "src": true, "action": false, "formaction": false, "lowsrc": true, "dynsrc": true,
	"background": true, "poster": true, "srcset": true, "imagesrcset": true, "cite": false, "longdesc": false,
	"profile": false, "usemap": false, "data": false, "codebase": false, "classid": false, "archive": false,
	"icon": true, "ping": false, "values": false, "to": false, "from": false, "by": false,
	"handler": false, "pluginspage": false, "pluginurl": false, "url": false, "link": false, "source": false,
	"code": false, "definitionurl": false, "altimg": true, "filter": false, "fill": false, "stroke": false,
	"mask": false, "clip-path": false, "cursor": false, "marker": false, "marker-start": false, "marker-mid": false, "marker-end": false,
}

// activeAttributes act whatever their value is. The last two are handlers by
// another name, of HTML+TIME.
var activeAttributes = map[string]bool{
	"srcdoc": true, "manifest": true, "datasrc": true, "fscommand": true, "seeksegmenttime": true,
}

// tooMany is what a tag with too many attributes is called.
const tooMany = "tag"

// edit judges a tag. drop is its name where it is to go; else edited is the tag
// without the attributes that go, valid until the next call, if changed.
func (s *scanner) edit(raw []byte) (drop string, edited []byte, changed bool) {
	at := 1
	if len(raw) > 1 && raw[1] == '/' {
		at = 2
	}
	nameEnd, attrs := scanTag(raw, at, s.o.MaxAttributes, s.attrs[:0])
	s.attrs = attrs
	s.crowded = s.crowded || len(attrs) > manyAttributes
	if cap(attrs) > 4096 {
		s.attrs = nil
	}
	element := plainName(raw[at:nameEnd])
	if at == 1 {
		// Old browsers begin a new tag at a < that is not quoted.
		if inner := innerTag(raw, nameEnd, attrs); inner != "" {
			return inner, nil, false
		}
		if dropped[element] || element == "form" && s.o.RemoveForms {
			return element, nil, false
		}
		if s.drops(element, raw, attrs) {
			return element, nil, false
		}
	}
	if len(attrs) > s.o.MaxAttributes {
		return tooMany, nil, false
	}
	done := nameEnd // what is before is in edited, or stays out
	copied := 0
	removed := false
	for _, a := range attrs {
		name := raw[a.name[0]:a.name[1]]
		kind, act := s.acts(element, name, raw[a.value[0]:a.value[1]])
		// Behind one removed, =x would become a value.
		if act || removed && name[0] == '=' {
			if !changed {
				changed, s.edited = true, s.edited[:0]
			}
			// The blanks before it go too.
			from := a.name[0]
			for from > done && (isSpace(raw[from-1]) || raw[from-1] == '/') {
				from--
			}
			if copied < from {
				s.edited = append(s.edited, raw[copied:from]...)
			}
			if copied = a.end; copied < len(raw) && !isSpace(raw[copied]) && raw[copied] != '>' {
				s.edited = append(s.edited, ' ')
			}
			s.found(Finding{Kind: kind, Name: element, Attribute: plainAttribute(name), Offset: s.off})
			removed = true
		} else {
			removed = false
		}
		done = a.end
	}
	if changed {
		s.edited = append(s.edited, raw[copied:]...)
	}
	return "", s.edited, changed
}

// innerTag returns the name of a tag to drop that begins within the name of a
// tag or of an attribute, "" for none.
func innerTag(raw []byte, nameEnd int, attrs []attr) string {
	if bytes.IndexByte(raw[1:], '<') < 0 {
		return ""
	}
	if i := bytes.LastIndexByte(raw[1:nameEnd], '<'); i >= 0 {
		if name := plainName(raw[1+i : nameEnd]); dropped[name] {
			return name
		}
	}
	for _, a := range attrs {
		if i := bytes.LastIndexByte(raw[a.name[0]:a.name[1]], '<'); i >= 0 {
			if name := plainName(raw[a.name[0]+i : a.name[1]]); dropped[name] {
				return name
			}
		}
	}
	return ""
}

// plainAttribute is plainName with the prefix.
func plainAttribute(name []byte) string {
	prefix, local, ok := bytes.Cut(name, []byte(":"))
	if !ok {
		return plainName(name)
	}
	p, l := plainName(prefix), plainName(local)
	return (p + ":" + l)[:min(len(p)+1+len(l), 40)]
}

// acts reports whether an attribute goes.
func (s *scanner) acts(element string, name, value []byte) (Kind, bool) {
	local := plainName(name)
	if isHandler(local) || activeAttributes[local] || local == "base" && bytes.ContainsRune(name, ':') {
		return Attribute, true
	}
	if isHandler(plainWhole(name)) {
		return Attribute, true
	}
	// Old browsers take ` for a quote, also when they write what they have read.
	if i := bytes.IndexByte(value, '`'); i >= 0 && holdsHandler(value[i:]) {
		return Ambiguous, true
	}
	image, isURL := urlAttributes[local]
	if !isURL && local != "style" {
		return 0, false
	}
	text := unescape(value)
	if local == "style" {
		return Style, s.activeStyle(text, false)
	}
	switch {
	case element == "use" && local == "href":
		return URL, !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n\f"), "#")
	case local == "href":
		image = element == "image" || element == "feimage"
	case local == "src":
		image = element == "img" || element == "image" || element == "input"
	}
	image = image && !s.o.RemoveDataImages
	if urlLists[local] {
		return URL, activeInList(text, image)
	}
	return URL, activeURL(text, image)
}

func isHandler(name string) bool {
	return len(name) > 2 && name[0] == 'o' && name[1] == 'n' && 'a' <= name[2] && name[2] <= 'z'
}

// plainWhole is the name without the junk before it.
func plainWhole(b []byte) string {
	for len(b) > 0 && !isAlnum(b[0]) {
		b = b[1:]
	}
	return strings.ToLower(string(b[:min(len(b), 3)]))
}

// holdsHandler reports whether on, letters, blanks and = come one after the
// other anywhere in b.
func holdsHandler(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '=')
		if i < 0 {
			return false
		}
		head := bytes.TrimRight(b[:i], " \t\r\n\f")
		n := len(head)
		for n > 0 && len(head)-n < 40 && isAlnum(head[n-1]) {
			n--
		}
		if bytes.Contains(bytes.ToLower(head[n:]), []byte("on")) {
			return true
		}
		b = b[i+1:]
	}
}

// unescape returns the value of an attribute with its character references
// resolved, those without a semicolon too.
func unescape(b []byte) string {
	if bytes.IndexByte(b, '&') < 0 {
		return string(b)
	}
	return html.UnescapeString(string(b))
}

// activeEquiv are the directives of meta that act.
var activeEquiv = map[string]bool{
	"refresh": true, "setcookie": true, "contentsecuritypolicy": true, "contentsecuritypolicyreportonly": true,
	"xcontentsecuritypolicy": true, "xwebkitcsp": true, "link": true, "location": true, "contentscripttype": true,
	"defaultstyle": true, "origintrial": true, "windowtarget": true, "pageenter": true, "pageexit": true,
	"siteenter": true, "siteexit": true, "acceptch": true,
}

// loadingRel are the relations of link that load something, without being asked.
var loadingRel = map[string]bool{
	"import": true, "preload": true, "prefetch": true, "modulepreload": true, "preconnect": true,
	"dns-prefetch": true, "prerender": true, "serviceworker": true, "manifest": true, "subresource": true,
	"expect": true, "compression-dictionary": true, "fontdef": true,
}

// drops judges the elements whose attributes decide.
func (s *scanner) drops(element string, raw []byte, attrs []attr) bool {
	switch element {
	case "meta", "link", "animate", "set", "animatetransform", "animatemotion", "animatecolor", "discard":
	default:
		return false
	}
	for _, a := range attrs {
		name := plainName(raw[a.name[0]:a.name[1]])
		value := unescape(raw[a.value[0]:a.value[1]])
		switch element + " " + name {
		case "meta http-equiv":
			if activeEquiv[alnum(value)] {
				return true
			}
		case "meta charset":
			if !s.readsCharset(value) {
				return true
			}
		case "meta content":
			if i := strings.Index(strings.ToLower(value), "charset"); i >= 0 {
				set := strings.TrimLeft(value[i+len("charset"):], " \t\r\n\f=\"'")
				if i := strings.IndexAny(set, " \t\r\n\f;\"'"); i >= 0 {
					set = set[:i]
				}
				if !s.readsCharset(set) {
					return true
				}
			}
		case "link rel":
			for rel := range strings.FieldsSeq(strings.ToLower(value)) {
				if loadingRel[rel] || rel == "stylesheet" && !s.o.KeepStylesheets {
					return true
				}
			}
		default:
			if name != "attributename" {
				continue
			}
			for target := range strings.SplitSeq(value, ":") {
				target = plainName([]byte(target))
				_, isURL := urlAttributes[target]
				if isURL && !svgPaint[target] || isHandler(target) || target == "style" || activeAttributes[target] {
					return true
				}
			}
		}
	}
	return false
}

// svgPaint are presentation attributes, which svg animates in good faith.
var svgPaint = map[string]bool{
	"filter": true, "fill": true, "stroke": true, "mask": true, "clip-path": true, "cursor": true,
	"marker": true, "marker-start": true, "marker-mid": true, "marker-end": true,
}

// alnum returns the letters and digits of s in lower case.
func alnum(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			return r
		}
		return -1
	}, s)
}
