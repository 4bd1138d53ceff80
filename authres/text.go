package authres

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWord bounds what stands between two blanks, counted as it is written with its
// backslashes. Lines are folded at blanks, and a line has 998 bytes at most (RFC 5322 section
// 2.1.1): that leaves room for what stands before a word.
const maxWord = 800

// maxKeyword bounds names of methods, values, types and properties.
const maxKeyword = 64

// isKeyword reports whether a byte may be in a Keyword (RFC 5321 section 4.1.2).
// QUIRK: underscores stand in names that are not registered.
func isKeyword(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// isToken reports whether a byte may be in a token (RFC 2045 section 5.1).
func isToken(c byte) bool {
	return ' ' < c && c < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=`, c) < 0
}

// isAtext reports whether a byte may be in a local part without quotes (RFC 5322 section
// 3.2.3, RFC 6531 section 3.3).
func isAtext(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c >= utf8.RuneSelf || c == '.' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func isControl(c byte) bool { return c < ' ' && !isBlank(c) || c == 0x7f }

// isInvisible reports characters that no text has use for in a header: controls, those that
// turn the direction of writing, and separators of lines.
func isInvisible(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// isName reports whether s is [local-part "@"] domain as it may stand without quotes.
func isName(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || domain == "" {
		return false
	}
	for i := range len(local) {
		if !isAtext(local[i]) {
			return false
		}
	}
	for i := range len(domain) {
		if c := domain[i]; !isKeyword(c) && c != '.' && c < utf8.RuneSelf {
			return false
		}
	}
	return true
}

// normal returns text as both reading and writing have it: valid UTF-8, no controls, one blank
// for a run of them, none at the ends.
func normal(s string) string {
	if isNormal(s) {
		return s
	}
	var b strings.Builder
	b.Grow(min(len(s), 4096))
	blank := false
	for _, r := range s {
		switch {
		case r == ' ' || r == '\t' || r == '\r' || r == '\n':
			blank = b.Len() > 0
			continue
		case isInvisible(r):
			continue
		case blank:
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(r) // U+FFFD for what is no UTF-8
	}
	return b.String()
}

// isNormal reports whether normal would leave ASCII text as it is.
func isNormal(s string) bool {
	prev := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 0x7f || c == ' ' && prev == ' ' {
			return false
		}
		prev = c
	}
	return s == "" || prev != ' '
}

// needsEscape reports whether a byte has a backslash before it in a quoted string or a comment.
func needsEscape(c byte) bool { return c == '\\' || c == '"' || c == '(' || c == ')' }

// cutWords cuts what of each word is over maxWord. Counted is the longer way of writing.
func cutWords(s string) string {
	if len(s) <= maxWord/2 {
		return s
	}
	var b strings.Builder
	n := 0
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		if s[i] == ' ' {
			n = -1
		}
		cost := size
		if needsEscape(s[i]) {
			cost++
		}
		if n += cost; n <= maxWord {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	if b.Len() == len(s) {
		return s
	}
	return b.String()
}
