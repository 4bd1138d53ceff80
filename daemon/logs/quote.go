package logs

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

const hex = "0123456789abcdef"

// plain reports whether text needs no quotes.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '=' {
			return false
		}
	}
	return s != ""
}

// plainElement reports whether an element of a list needs no quotes of its own.
func plainElement(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == ',' {
			return false
		}
	}
	return s != ""
}

// readable reports whether a letter outside of ASCII may stand in a line as it
// is. Others may be unseen, join with what is before them, or turn the direction
// in which the line is shown.
func readable(r rune) bool {
	if r == '\u00b5' || r >= 0xac00 && r <= 0xd7a3 { // the micro sign of times; Hangul syllables, whose other blocks have fillers
		return true
	}
	return unicode.IsLetter(r) && unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Han, unicode.Hiragana, unicode.Katakana)
}

// appendValue appends text as a value of at most limit bytes, and reports whether
// it was cut. limit is at least 2.
func appendValue(dst []byte, s string, limit int) (_ []byte, cut bool) {
	if head := s[:min(len(s), limit)]; plain(head) {
		return append(dst, head...), len(head) < len(s)
	}
	return appendQuoted(dst, s, limit)
}

// appendQuoted appends text in quotes, as [strconv.Unquote] reads it.
func appendQuoted(dst []byte, s string, limit int) (_ []byte, cut bool) {
	end := len(dst) + limit - 1
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		before := len(dst)
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, '\\', 'x', hex[s[i]>>4], hex[s[i]&15])
		case r == '"' || r == '\\':
			dst = append(dst, '\\', s[i])
		case r >= ' ' && r < 0x7f, readable(r):
			dst = append(dst, s[i:i+n]...)
		default:
			q := strconv.AppendQuoteRuneToASCII(dst, r)
			dst = append(dst, q[before+1:len(q)-1]...) // without the single quotes
		}
		if len(dst) > end {
			dst, cut = dst[:before], true
			break
		}
		i += n
	}
	return append(dst, '"'), cut
}

// appendList appends a list as a value of at most limit bytes, and returns how many
// elements are there whole. The first that is too long is cut, the others are left out.
func appendList(dst []byte, list []string, limit int) (_ []byte, whole int) {
	var inner, one []byte
	value := make([]byte, 0, limit+utf8.UTFMax+8) // a rune is appended before it is found too long
	add := func(s string) (ok bool) {
		over := len(s) > limit
		switch one = one[:0]; {
		case over:
		case plainElement(s):
			one = append(one, s...)
		default:
			one, over = appendQuoted(one, s, limit)
		}
		n := len(inner)
		if n > 0 {
			inner = append(inner, ',')
		}
		inner = append(inner, one...)
		if !over {
			_, over = appendValue(value[:0], string(inner), limit)
		}
		if over {
			inner = inner[:n]
		}
		return !over
	}
	for _, s := range list {
		if !add(s) {
			break
		}
		whole++
	}
	if whole == 0 && len(list) > 0 {
		add(list[0][:min(len(list[0]), limit/8)]) // no byte of it takes more than 5
	}
	if len(inner) == 0 {
		return append(dst, `""`...), whole
	}
	dst, _ = appendValue(dst, string(inner), limit)
	return dst, whole
}
