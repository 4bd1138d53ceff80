package authres

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// A Layout says how a field is written. The zero value is that of [Field.String].
type Layout struct {
	LineEnd string // before a folded line; "" means CRLF. Milters take LF
	UTF8    bool   // for messages that are internationalized (RFC 6532)
}

const (
	lineWidth = 78
	tabWidth  = 8
	nameWidth = len("Authentication-Results: ")
)

// String returns the value as it is written into a header, folded with CRLF. Nothing in the
// field can end the line or begin another result: what a token cannot hold is quoted, and control
// characters are left out.
//
// It is ASCII, as RFC 5322 wants it: domains are turned into A-labels, and each other character
// that is not ASCII into a question mark; see [Layout] for mail that is internationalized. Runs of
// blanks become one. Names of methods, values, types and properties lose what a Keyword cannot hold;
// a result or property that is left without a name is left out, and without any result the field
// says "none". Words of more than 800 bytes are cut, so that no line has more than 998. Lines are
// folded before column 78 where there is a blank.
func (f Field) String() string { return f.Format(Layout{}) }

// Format is [Field.String] in another layout. With UTF8 characters that are not ASCII stay, but
// for what is invisible; bytes that are no UTF-8 become U+FFFD.
func (f Field) Format(o Layout) string {
	if o.LineEnd == "" {
		o.LineEnd = "\r\n"
	}
	w := writer{Layout: o, col: nameWidth}
	w.out = make([]byte, 0, 64+160*len(f.Results))
	w.line = make([]byte, 0, 256)
	w.value(f.ID, false)
	if f.Version > 0 {
		w.line = append(w.line, ' ')
		w.line = strconv.AppendInt(w.line, int64(f.Version), 10)
	}
	w.flush(true)
	none := true
	for _, r := range f.Results {
		if w.result(r) {
			none = false
			w.flush(false)
		}
	}
	if none {
		w.line = append(w.line, "none"...)
		w.flush(false)
	}
	return string(w.out)
}

// A writer builds one result at a time in line, where each blank may become a fold, and then
// breaks it over lines of out.
type writer struct {
	Layout
	out, line []byte
	col       int
}

// flush writes line, on one line where one has room for it.
func (w *writer) flush(first bool) {
	if !first {
		w.out = append(w.out, ';')
		w.col++
		if w.col+1+width(w.line)+1 > lineWidth {
			w.fold()
		} else {
			w.out = append(w.out, ' ')
			w.col++
		}
	}
	for rest := w.line; ; {
		n := 0
		for n < len(rest) && rest[n] != ' ' {
			n++
		}
		w.out = append(w.out, rest[:n]...)
		w.col += width(rest[:n])
		if n == len(rest) {
			break
		}
		rest = rest[n+1:]
		next := 0
		for next < len(rest) && rest[next] != ' ' {
			next++
		}
		if w.col+1+width(rest[:next])+1 > lineWidth {
			w.fold()
		} else {
			w.out = append(w.out, ' ')
			w.col++
		}
	}
	w.line = w.line[:0]
}

func (w *writer) fold() {
	w.out = append(append(w.out, w.LineEnd...), '\t')
	w.col = tabWidth
}

func width(b []byte) int { return utf8.RuneCount(b) }

// result writes a result, and reports whether there is one.
func (w *writer) result(r Result) bool {
	start := len(w.line)
	if !w.keyword(r.Method) {
		return false
	}
	if r.Version > 0 {
		w.line = append(w.line, '/')
		w.line = strconv.AppendInt(w.line, int64(r.Version), 10)
	}
	w.line = append(w.line, '=')
	if !w.keyword(r.Value) {
		w.line = w.line[:start]
		return false
	}
	if c := w.clean(r.Comment); c != "" {
		w.line = append(w.line, ' ', '(')
		for i := range len(c) {
			if c[i] == '(' || c[i] == ')' || c[i] == '\\' {
				w.line = append(w.line, '\\')
			}
			w.line = append(w.line, c[i])
		}
		w.line = append(w.line, ')')
	}
	if s := w.clean(r.Reason); s != "" {
		w.line = append(w.line, " reason="...)
		w.cleaned(s, false)
	}
	for _, p := range r.Properties {
		start := len(w.line)
		w.line = append(w.line, ' ')
		ok := w.keyword(p.Type)
		w.line = append(w.line, '.')
		if ok = ok && w.keyword(p.Name); !ok {
			w.line = w.line[:start]
			continue
		}
		w.line = append(w.line, '=')
		w.value(p.Value, true)
	}
	return true
}

// keyword writes what of s can be in a Keyword, in lower case, and reports whether there is any.
func (w *writer) keyword(s string) bool {
	n := 0
	for i := 0; i < len(s) && n < maxKeyword; i++ {
		c := s[i]
		if !isKeyword(c) {
			continue
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		w.line = append(w.line, c)
		n++
	}
	return n > 0
}

// value writes a token where it can, else a quoted string. Of a property an address needs no quotes
// either (RFC 8601 section 2.2, pvalue).
func (w *writer) value(s string, property bool) { w.cleaned(w.clean(s), property) }

// cleaned writes a value that clean returned.
func (w *writer) cleaned(s string, property bool) {
	if s != "" {
		token := true
		for i := range len(s) {
			token = token && isToken(s[i])
		}
		if token || property && isName(s) {
			w.line = append(w.line, s...)
			return
		}
	}
	w.line = append(w.line, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			w.line = append(w.line, '\\')
		}
		w.line = append(w.line, s[i])
	}
	w.line = append(w.line, '"')
}

// clean returns text as it may be written.
func (w *writer) clean(s string) string {
	if s = normal(s); !w.UTF8 {
		s = ascii(s)
	}
	return cutWords(s)
}

// uts46 turns domains into A-labels without judging them.
var uts46 = idna.New(idna.MapForLookup(), idna.StrictDomainName(false))

// maxDomain bounds a name before it is taken for an internationalized one: encoding takes
// quadratic time, and no name in UTF-8 whose A-labels fit in DNS is longer.
const maxDomain = 4 * 253

// ascii returns s with a domain, alone or behind an "@", in A-labels, and with question marks for
// what else is not ASCII.
func ascii(s string) string {
	for i := 0; ; i++ {
		if i == len(s) {
			return s
		}
		if s[i] >= utf8.RuneSelf {
			break
		}
	}
	at := strings.LastIndexByte(s, '@') + 1
	if d := s[at:]; len(d) <= maxDomain && strings.IndexByte(d, '.') > 0 && strings.IndexByte(d, ' ') < 0 {
		if a, err := uts46.ToASCII(d); err == nil {
			s = s[:at] + normal(a) // compatibility characters may have become blanks
		}
	}
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return '?'
		}
		return r
	}, s)
}
