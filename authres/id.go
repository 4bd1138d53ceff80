package authres

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// SameID reports whether two authserv-ids are one: in any case of letters, as U-labels or A-labels, with
// a dot at the end or without (RFC 8601 section 2.5). "" is none.
func SameID(a, b string) bool {
	if a == b {
		return a != ""
	}
	if o := newOwn(b); !o.is(a) {
		return false // cheap, and right: what is one looks like one
	}
	return canonicalID(a) == canonicalID(b)
}

func canonicalID(s string) string {
	s = strings.Trim(s, " \t\r\n")
	if !isPlainID(s) && len(s) <= maxDomain {
		if a, err := uts46.ToASCII(s); err == nil {
			s = a
		}
	}
	return strings.ToLower(strings.TrimSuffix(s, "."))
}

// ID returns the authserv-id of a value as far as one can be made out, whatever follows it;
// "" for none. Comments before it are passed over, quotes are taken off. Where a comment or a
// quoted string has no end it is the first word before the results.
//
// To find fields that pretend to be one's own, ask [Bears]: readers do not agree on what is
// malformed, and so there may be more than one id.
func ID(value string) string {
	id, _, ok := readID(value)
	if !ok {
		for id = range words(head(value)) {
			break
		}
	}
	return id
}

// readID returns the id as RFC 8601 has it, and where it ends. It is false where there is none.
func readID(value string) (id string, end int, ok bool) {
	l := Limits{}
	orDefault(&l.Depth, len(value)+1) // a limit would be a place to hide behind
	p := parser{Limits: l, s: value}
	// An error is one of the text in a comment, or that the comment has no end.
	for p.skip(nil) != nil && p.i < len(p.s) {
	}
	at := p.i
	if p.peek() == '"' {
		id, _ = p.quoted()
		return id, p.i, id != ""
	}
	for p.i < len(p.s) && !endsWord(p.s[p.i]) {
		p.i++
	}
	return p.s[at:p.i], p.i, p.i > at
}

// endsWord reports whether a byte ends an id for one reader or another.
func endsWord(c byte) bool {
	return c <= ' ' || c == 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0
}

// words walks the words that s has for who knows neither comments nor quotes.
func words(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := 0; i < len(s); i++ {
			at := i
			for i < len(s) && !endsWord(s[i]) {
				i++
			}
			if i > at && !yield(s[at:i]) {
				return
			}
		}
	}
}

// maxHead bounds what stands before the results of a field that does not begin with a plain id. Where
// there is more, nobody looks for an id in it: it counts as ours.
const maxHead = 512

// Bears reports whether a reader, however careless, may take the value for one with the
// authserv-id id. RFC 8601 section 5 wants such fields of others removed.
//
// What begins with a plain id is judged by that alone. What begins otherwise, with a comment, quotes or
// anything else that a reader may not understand, bears each id that stands as a word before the
// results, be it in a comment, and any id where more than 512 bytes stand there: honest writers do
// not begin so. Letters count as those that they are compatible with. Control characters, what is
// invisible, what is no UTF-8 and Unicode's blanks count as the end of the word; all but the blanks
// count as left out, too. An encoded word (RFC 2047) before the results may be any id: readers do not
// agree on where one begins and ends, and no honest writer needs any there.
//
// Bears takes time in proportion to the length of the value, 150 ns for a byte at the worst.
func Bears(value, id string) bool {
	own := newOwn(id)
	if own.read == "" {
		return false
	}
	if own.borne(value) {
		return true
	}
	if isPrintable(value) {
		return false
	}
	blanks, nothing := seen(value, ' '), seen(value, -1)
	return blanks != value && own.borne(blanks) || nothing != blanks && own.borne(nothing)
}

// isPrintable reports whether s is blanks and printable ASCII.
func isPrintable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x7f || isControl(c) {
			return false
		}
	}
	return true
}

// seen returns s as it is for who sees nothing, or a blank, where nothing is to be seen.
func seen(s string, instead rune) string {
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		switch {
		case r < utf8.RuneSelf && isBlank(byte(r)):
		case unicode.IsSpace(r):
			r = ' '
		case isUnseen(r), r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			r = instead
		}
		if r >= 0 {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// borne is Bears for text as it is.
func (o *own) borne(value string) bool {
	first, _, ok := readID(value)
	if ok && o.is(first) {
		return true
	}
	if value = head(value); value == "" {
		return false
	}
	odd := !ok || endsWord(value[0])
	if odd && len(value) > maxHead || strings.Contains(value, "=?") {
		return true
	}
	// An id of characters that no token has is quoted by who wrote it, and not by who forges it.
	if o.is(value) {
		return true
	}
	for _, s := range []string{value, joined(value)} {
		for w := range words(s) {
			if o.is(w) {
				return true
			}
			if !odd {
				break
			}
		}
	}
	return false
}

// joined returns s without quotes, backslashes and comments, as it is for who leaves them out first
// and then looks for words.
func joined(s string) string {
	if !strings.ContainsAny(s, "\"\\(") {
		return ""
	}
	b := make([]byte, 0, len(s))
	depth := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0 && c != '"' && c != '\\':
			b = append(b, c)
		}
	}
	return string(b)
}

// head returns what stands before the results, for the reader to whom they begin last. Semicolons
// at the beginning count as blanks.
func head(value string) string {
	value = strings.TrimLeft(value, "; \t\r\n")
	_, id, _ := readID(value)
	if end := strings.IndexByte(value, ';'); end < 0 || end >= id {
		id = 0 // no semicolon in a comment, nor in the id itself
	}
	if n := strings.IndexByte(value[id:], ';'); n >= 0 {
		return value[:id+n]
	}
	return value
}
