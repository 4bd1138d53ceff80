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
	a, b = canonicalID(a), canonicalID(b)
	return a == b && a != ""
}

func canonicalID(s string) string {
	s = strings.Trim(s, " \t\r\n")
	for i := range len(s) {
		if s[i] < utf8.RuneSelf && (s[i]|0x20 != 'x' || i+4 > len(s) || !strings.EqualFold(s[i:i+4], "xn--")) {
			continue
		}
		if len(s) <= maxDomain {
			if a, err := uts46.ToASCII(s); err == nil {
				s = a
			}
		}
		break
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

// Bears reports whether a reader, however careless, may take the value for one with the
// authserv-id id. RFC 8601 section 5 wants such fields of others removed.
//
// What begins with a plain id is judged by that alone. What begins otherwise, with a comment, quotes or
// anything else that a reader may not understand, bears each id that stands as a word before the
// results, be it in a comment: honest writers do not begin so. Control characters and what is
// invisible count as left out and as the end of the word. An encoded word (RFC 2047) before the
// results may be any id: readers do not agree on where one begins and ends, and no honest writer
// needs any there. Bears takes time in proportion to the length of the value.
func Bears(value, id string) bool {
	if id = canonicalID(id); id == "" {
		return false
	}
	if bears(value, id) {
		return true
	}
	visible := strings.Map(func(r rune) rune {
		if isInvisible(r) && !(r < utf8.RuneSelf && isBlank(byte(r))) || unicode.Is(unicode.Variation_Selector, r) {
			return -1
		}
		return r
	}, value)
	return visible != value && bears(visible, id)
}

// bears is Bears with an id in its canonical form, for text as it is.
func bears(value, id string) bool {
	first, _, ok := readID(value)
	if ok && canonicalID(first) == id {
		return true
	}
	if value = head(value); value == "" {
		return false
	}
	odd := !ok || endsWord(value[0])
	if strings.Contains(value, "=?") {
		return true
	}
	// An id of characters that no token has is quoted by who wrote it, and not by who forges it.
	if canonicalID(value) == id {
		return true
	}
	for _, s := range []string{value, joined(value)} {
		for w := range words(s) {
			if canonicalID(w) == id {
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
