package html

import (
	"bytes"
	"strings"
)

// fontTypes are the fonts that stay as data: URLs in a style sheet.
var fontTypes = []string{
	"font/woff", "font/woff2", "font/ttf", "font/otf", "font/truetype", "font/opentype", "application/font-woff", "application/font-woff2",
	"application/x-font-woff", "application/x-font-ttf", "application/x-font-truetype", "application/x-font-opentype",
}

// activeCSS are what makes old browsers run code from a style, squeezed.
var activeCSS = []string{
	"expression(", "javascript:", "vbscript:", "livescript:", "jscript:", "mocha:",
	"-moz-binding", "-ms-behavior", "-o-link", "-o-replace", "include-source", "layer-background-image",
}

// activeStyle reports whether CSS runs code, carries it in data: URLs other than
// images and fonts or, if it must not, imports more.
//
// Current browsers run no code from CSS at all, so this looks for words and may
// take a text for one.
func (s *scanner) activeStyle(css string, imports bool) bool {
	for how := range squeezeWays {
		if how > 0 && !strings.Contains(css, "/*") {
			break
		}
		text := squeezeCSS(css, how)
		for _, word := range activeCSS {
			if strings.Contains(text, word) {
				return true
			}
		}
		if !imports && strings.Contains(text, "@import") {
			return true
		}
		for rest := text; ; {
			before, after, ok := strings.Cut(rest, "behavior:")
			if !ok {
				break
			}
			if !strings.HasSuffix(before, "-") { // as in scroll-behavior
				return true
			}
			rest = after
		}
		for rest := text; ; {
			before, after, ok := strings.Cut(rest, "data:")
			if !ok {
				break
			}
			word := before != "" && (isAlnum(before[len(before)-1]) || before[len(before)-1] == '-')
			if !word && !isType(after, fontTypes) && (s.o.RemoveDataImages || !isType(after, dataImages)) {
				return true
			}
			rest = after
		}
	}
	return false
}

// squeezeWays is how many ways there are to read comments in CSS: not at all,
// from the first /* to the next */, and from the last /* before each */. A
// quoted /* makes a difference, and quotes cannot be told in broken CSS.
const squeezeWays = 3

// squeezeCSS returns CSS in lower case, without blanks, controls and comments,
// its escapes resolved and full-width letters made ASCII as Internet Explorer
// takes them.
func squeezeCSS(css string, how int) string {
	out := make([]byte, 0, len(css))
	open := -1
	for i := 0; i < len(css); i++ {
		c := css[i]
		switch {
		case how > 0 && c == '/' && i+1 < len(css) && css[i+1] == '*' && (open < 0 || how == 2):
			open = len(out)
			out = append(out, "/*"...)
			i++
			continue
		case open >= 0 && c == '*' && i+1 < len(css) && css[i+1] == '/':
			out, open = out[:open], -1
			i++
			continue
		case c == '\\' && i+1 < len(css):
			r, n := 0, 0
			for n < 6 && i+1+n < len(css) {
				d := strings.IndexByte("0123456789abcdef", css[i+1+n]|0x20)
				if d < 0 || css[i+1+n] < '0' {
					break
				}
				r, n = r<<4|d, n+1
			}
			i++
			if c = css[i]; n > 0 {
				i += n - 1
				if c = 0x80; r < 0x80 {
					c = byte(r)
				}
			}
		case c == 0xef && i+2 < len(css) && (css[i+1] == 0xbc || css[i+1] == 0xbd):
			// U+FF01 to U+FF5E
			if r := int(css[i+1]-0xbc)<<6 + int(css[i+2]&0x3f); 1 <= r && r <= 0x5e {
				c = byte(r + 0x20)
				i += 2
			}
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c > ' ' && c != 0x7f {
			out = append(out, c)
		}
	}
	return string(out)
}

// styles judges the content of a style element. left is it without cuts imports;
// ok is false where more is wrong with it.
func (s *scanner) styles(b []byte) (left []byte, cuts int, ok bool) {
	left = b
	if !s.o.KeepStylesheets {
		left, cuts = cutImports(b)
	}
	css := string(left)
	ways := []string{css}
	if strings.ContainsRune(css, '&') { // in svg it is markup
		ways = append(ways, unescape(left))
	}
	if strings.ContainsRune(css, '<') {
		ways = append(ways, unescape(withoutTags(left)))
	}
	for _, css := range ways {
		if s.activeStyle(css, s.o.KeepStylesheets) {
			return nil, 0, false
		}
	}
	return left, cuts, true
}

// withoutTags is what the text nodes of b hold, about.
func withoutTags(b []byte) []byte {
	var out []byte
	for {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			return append(out, b...)
		}
		out = append(out, b[:i]...)
		n := bytes.IndexByte(b[i:], '>')
		if n < 0 {
			return out
		}
		b = b[i+n+1:]
	}
}

// cutImports removes every @import with its URL up to the semicolon, and returns
// how many there were.
func cutImports(b []byte) (left []byte, cuts int) {
	const word = "@import"
	for {
		i := indexFold(b, word)
		if i < 0 {
			if cuts == 0 {
				return b, 0
			}
			return append(left, b...), cuts
		}
		left = append(left, b[:i]...)
		b = b[i+importSize(b[i:]):]
		cuts++
	}
}

func indexFold(b []byte, word string) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(b[i:], word[0])
		if n < 0 || len(b)-i-n < len(word) {
			return -1
		}
		if i += n; strings.EqualFold(string(b[i:i+len(word)]), word) {
			return i
		}
	}
}

// importSize returns the length of an at-rule: to its semicolon outside of quotes
// and parentheses, or to what can be part of none.
func importSize(b []byte) int {
	var quote byte
	paren := false
	for i, c := range b {
		switch {
		case c == '{' || c == '}' || c == '<' || (c == '\n' || c == '\r') && quote != 0:
			return i
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == ')':
			paren = c == '('
		case c == ';' && !paren:
			return i + 1
		}
	}
	return len(b)
}
