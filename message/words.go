package message

import (
	"strings"
	"unicode"
)

// Decoded returns the value as a client shows it, in UTF-8: unfolded, without
// blanks at both ends, encoded words decoded as [DecodeWords] does, and without
// control characters; tabs become blanks. Bytes above ASCII that are not UTF-8
// are read as Windows-1252.
func (f Field) Decoded() string {
	return printable(strings.Trim(DecodeWords(unfold(f.Text(true))), " \t"))
}

// printable leaves out control characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
}

// DecodeWords decodes the encoded words (RFC 2047) in s, wherever they stand, and
// returns UTF-8. It takes words that the RFC does not allow: inside quotes, without
// blanks around them, with blanks inside, base64 without padding, characters cut
// in two by the end of a word. What cannot be decoded stays as it is. Bytes of no
// known charset are UTF-8 where they can be and Windows-1252 elsewhere.
func DecodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		if isASCII(s) {
			return s
		}
		return decodeCharset("", []byte(s))
	}
	var (
		out     strings.Builder
		charset string // of the words collected in text
		text    []byte
		words   bool
	)
	flush := func() {
		if words {
			out.WriteString(decodeCharset(charset, text))
			text, words = text[:0], false
		}
	}
	for len(s) > 0 {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		cs, b, size := cutWord(s[i:], text)
		if size < 0 {
			break
		}
		if size == 0 {
			flush()
			out.WriteString(decodeCharset("", []byte(s[:i+2])))
			s = s[i+2:]
			text = text[:0]
			continue
		}
		// Blanks between words are no part of the text (RFC 2047 section 6.2).
		if between := strings.Trim(s[:i], blanks); !words || between != "" || !strings.EqualFold(cs, charset) {
			tail := string(b[len(text):]) // flush reuses text
			blank := words && between == ""
			flush()
			if !blank {
				out.WriteString(decodeCharset("", []byte(s[:i])))
			}
			charset, b = cs, append(text[:0], tail...)
		}
		text, words, s = b, true, s[i+size:]
	}
	flush()
	out.WriteString(decodeCharset("", []byte(s)))
	return out.String()
}

// cutWord decodes the encoded word that s begins with and appends its bytes to
// dst. A size of 0 says that there is none, one below that none can follow either.
func cutWord(s string, dst []byte) (charset string, text []byte, size int) {
	mark := strings.IndexByte(s[2:], '?')
	if mark <= 0 || mark > 80 {
		return "", dst, 0
	}
	charset = s[2 : 2+mark]
	rest := s[2+mark+1:]
	if len(rest) < 2 || rest[1] != '?' || strings.ContainsAny(charset, blanks+`"<>()=`) {
		return "", dst, 0
	}
	if strings.IndexByte("BbQq", rest[0]) < 0 {
		return "", dst, 0
	}
	end := strings.Index(rest[2:], "?=")
	if end < 0 {
		return "", dst, -1
	}
	body := rest[2 : 2+end]
	size = 2 + mark + 1 + 2 + end + 2
	charset, _, _ = strings.Cut(charset, "*") // the language of RFC 2231 section 5
	if rest[0]|0x20 == 'b' {
		var d base64Decoder
		return charset, d.finish(d.append(dst, []byte(body))), size
	}
	for i := 0; i < len(body); i++ {
		c := body[i]
		if c == '_' {
			c = ' '
		} else if c == '=' && i+2 < len(body) {
			if hi, lo := hex(body[i+1]), hex(body[i+2]); hi < 16 && lo < 16 {
				c = hi<<4 | lo
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return charset, dst, size
}
