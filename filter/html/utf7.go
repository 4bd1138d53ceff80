package html

import (
	"encoding/base64"
	"unicode/utf16"
	"unicode/utf8"
)

var utf7Alphabet = base64.RawStdEncoding

// decodeUTF7 reads UTF-7 (RFC 2152). Bytes that it does not allow stand for
// themselves, as in Latin-1; broken UTF-16 becomes U+FFFD.
func decodeUTF7(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c != '+' {
			out = utf8.AppendRune(out, rune(c))
			continue
		}
		var units []uint16
		var bits uint32
		var n, j int
		for j = i + 1; j < len(b); j++ {
			d := sextet(b[j])
			if d < 0 {
				break
			}
			bits, n = bits<<6|uint32(d), n+6
			if n >= 16 {
				n -= 16
				units = append(units, uint16(bits>>n))
			}
		}
		dash := j < len(b) && b[j] == '-'
		if j == i+1 {
			out = append(out, '+')
		}
		for _, r := range utf16.Decode(units) {
			out = utf8.AppendRune(out, r)
		}
		if i = j - 1; dash {
			i = j
		}
	}
	return out
}

func sextet(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// encodeUTF7 writes ASCII as it is, for readers take all of it, and the rest in
// base64.
func encodeUTF7(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		switch c := b[0]; {
		case c == '+':
			out = append(out, "+-"...)
			b = b[1:]
		case c < utf8.RuneSelf:
			out = append(out, c)
			b = b[1:]
		default:
			var units []byte
			for len(b) > 0 && b[0] >= utf8.RuneSelf {
				r, n := utf8.DecodeRune(b)
				for _, u := range utf16.AppendRune(nil, r) {
					units = append(units, byte(u>>8), byte(u))
				}
				b = b[n:]
			}
			out = append(out, '+')
			out = utf7Alphabet.AppendEncode(out, units)
			out = append(out, '-')
		}
	}
	return out
}
