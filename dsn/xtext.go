package dsn

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decodeXtext decodes xtext (RFC 3461 section 4): "+" and two upper-case hexadecimal
// digits stand for a byte. It is false for what is no xtext.
func decodeXtext(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c <= ' ' || c >= 0x7f || c == '=':
			return "", false
		case c == '+':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
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

const hexDigits = "0123456789ABCDEF"

// envelopeID decodes the ENVID parameter of MAIL. It must be printable ASCII of 100
// characters at most, as it came (RFC 3461 section 4.4); "" for what is not.
func envelopeID(s string) string {
	if len(s) > 100 {
		return ""
	}
	if id, ok := decodeXtext(s); ok && printable(id) {
		return id
	}
	return ""
}

// originalRecipient decodes the ORCPT parameter of RCPT (RFC 3461 section 4.2, RFC
// 6533 section 3). ok is false for what cannot be shown in a report.
func originalRecipient(s string) (kind, addr string, ok bool) {
	kind, addr, _ = strings.Cut(s, ";")
	kind = strings.ToLower(kind)
	if len(s) > 500 || kind == "" || !each(kind, func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' }) {
		return "", "", false
	}
	if kind == "utf-8" {
		addr, ok = decodeUTF8Addr(addr)
		return kind, addr, ok && addr != "" && clean(addr, len(addr)) == addr
	}
	addr, ok = decodeXtext(addr)
	return kind, addr, ok && printable(addr) && addr != ""
}

// decodeUTF8Addr decodes an address of the type utf-8 (RFC 6533 section 3): \x{HEX}
// stands for a character, all others for themselves, as they do in unitext.
func decodeUTF8Addr(s string) (string, bool) {
	var b strings.Builder
	for s != "" {
		before, rest, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			break
		}
		digits, more, closed := strings.Cut(rest, "}")
		if !closed || !strings.HasPrefix(digits, "x{") || len(digits) > 8 {
			return "", false
		}
		n, err := strconv.ParseUint(digits[2:], 16, 32)
		if err != nil || n < ' ' || !utf8.ValidRune(rune(n)) {
			return "", false
		}
		b.WriteRune(rune(n))
		s = more
	}
	return b.String(), utf8.ValidString(b.String())
}

// encodeUTF8Addr is its reverse, for reports that must be ASCII: utf-8-addr-xtext.
func encodeUTF8Addr(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || r == '+' || r == '=' || r == '\\' {
			fmt.Fprintf(&b, `\x{%02X}`, r)
		} else {
			b.WriteByte(byte(r))
		}
	}
	return b.String()
}
