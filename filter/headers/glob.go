package headers

import (
	"strings"
	"unicode/utf8"
)

// A glob is a pattern in which "*" stands for any run of characters and "?" for
// one: the parts between the stars. A byte that is no UTF-8 is a character.
type glob []string

func newGlob(pattern string) glob { return strings.Split(pattern, "*") }

// match reports whether the glob matches all of s. It takes time by the length of s
// times that of the pattern at most.
func (g glob) match(s string) bool {
	n := prefix(s, g[0])
	if n < 0 {
		return false
	}
	s = s[n:]
	if len(g) == 1 {
		return s == ""
	}
	// The leftmost place of each part leaves the most for those behind it.
	last := g[len(g)-1]
	for _, part := range g[1 : len(g)-1] {
		if n = find(s, part); n < 0 {
			return false
		}
		s = s[n:]
	}
	at := len(s)
	for range utf8.RuneCountInString(last) {
		if at == 0 {
			return false
		}
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	return prefix(s[at:], last) == len(s)-at
}

// prefix returns how many bytes of s a part without stars matches, or -1.
func prefix(s, part string) int {
	from := len(s)
	for part != "" {
		if s == "" {
			return -1
		}
		_, n := utf8.DecodeRuneInString(s)
		_, m := utf8.DecodeRuneInString(part)
		if part[0] != '?' && s[:n] != part[:m] {
			return -1
		}
		s, part = s[n:], part[m:]
	}
	return from - len(s)
}

// find returns where in s a part without stars first ends, or -1.
func find(s, part string) int {
	if strings.IndexByte(part, '?') < 0 {
		if i := strings.Index(s, part); i >= 0 {
			return i + len(part)
		}
		return -1
	}
	for at := 0; ; {
		if n := prefix(s[at:], part); n >= 0 {
			return at + n
		}
		if at == len(s) {
			return -1
		}
		_, n := utf8.DecodeRuneInString(s[at:])
		at += n
	}
}
