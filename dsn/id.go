package dsn

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// idPrefix begins the Message-IDs of our notices. Behind it stand 26 random
// characters, and behind these, with a token, a dot and the token.
const (
	idPrefix = "dsn."
	idRandom = 26
	maxToken = 400 // bytes, as signed
)

// randomText returns 26 lower-case letters and digits: 128 bits.
func randomText() string { return strings.ToLower(rand.Text()) }

// newID returns a Message-ID without brackets. A token is written such that the ID
// stays a dot-atom (RFC 5322 section 3.6.4): other bytes as "%" and two digits.
func newID(random, token, host string) string {
	var b strings.Builder
	b.WriteString(idPrefix + random)
	if token != "" {
		b.WriteByte('.')
	}
	for i := range len(token) {
		c := token[i]
		dot := c == '.' && i > 0 && i < len(token)-1 && token[i-1] != '.'
		if dot || isAtom(c) && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String() + "@" + host
}

// tokenOf returns the token of a Message-ID that newID made, or of an address or ID
// as older systems made them: one that begins with SRS0 or SRS1 and a separator. The
// brackets are off. ok is false for all others.
func tokenOf(id string) (token string, ok bool) {
	at := strings.LastIndexByte(id, '@')
	if at < 0 || at > 3*maxToken {
		return "", false
	}
	local := id[:at]
	if rest, ours := cutPrefixFold(local, idPrefix); ours {
		if len(rest) < idRandom+2 || rest[idRandom] != '.' || strings.IndexByte(rest[:idRandom], '.') >= 0 {
			return "", false
		}
		return unescape(rest[idRandom+1:])
	}
	if _, old := cutPrefixFold(local, "SRS"); old && len(local) > 5 && (local[3] == '0' || local[3] == '1') && strings.IndexByte("=+-", local[4]) >= 0 {
		return local, true
	}
	return "", false
}

// unescape undoes what newID did to a token.
func unescape(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := hexValue(s[i+1]), hexValue(s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			c = byte(hi<<4 | lo)
			i += 2
		}
		b = append(b, c)
	}
	return string(b), true
}

// hexValue takes digits in either case: a Message-ID may have been lower-cased on its way.
func hexValue(c byte) int {
	if 'a' <= c && c <= 'f' {
		c -= 'a' - 'A'
	}
	return strings.IndexByte(hexDigits, c)
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// isAtom reports whether a byte is atext (RFC 5322 section 3.2.3).
func isAtom(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// isID reports whether id can stand in a Message-ID field between brackets: graphic
// ASCII with one "@" inside. More than RFC 5322 allows is taken, as senders do it; nothing
// that would end the field or the brackets.
func isID(id string) bool {
	at := strings.IndexByte(id, '@')
	return len(id) <= 500 && at > 0 && at < len(id)-1 && strings.LastIndexByte(id, '@') == at &&
		each(id, func(c byte) bool { return ' ' < c && c < 0x7f && c != '<' && c != '>' })
}

// cutIDs calls f with what stands between each pair of angle brackets in s, until f
// returns false.
func cutIDs(s string, f func(id string) bool) {
	for {
		_, rest, ok := strings.Cut(s, "<")
		if !ok {
			return
		}
		id, after, closed := strings.Cut(rest, ">")
		if !closed {
			return
		}
		if i := strings.LastIndexByte(id, '<'); i >= 0 {
			id = id[i+1:]
		}
		// Folding may have cut a long ID in two.
		id = strings.Map(func(r rune) rune {
			if r <= ' ' {
				return -1
			}
			return r
		}, id)
		if !f(id) {
			return
		}
		s = after
	}
}
