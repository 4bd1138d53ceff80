package dsn

import (
	"bytes"
	"mime/quotedprintable"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	crlf      = "\r\n"
	lineWidth = 78  // how long a line should be (RFC 5322 section 2.1.1)
	lineLimit = 998 // how long it may be
)

// clean makes a text that may come from anybody one line of valid UTF-8 without
// control characters, of max bytes at most. Unicode's line and paragraph separators
// are blanks too: some readers take them for line ends.
func clean(s string, max int) string {
	if len(s) > max {
		s = s[:max]
		for i := 0; i < utf8.UTFMax && len(s) > 0; i++ { // no half a character at the end
			if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n > 1 {
				break
			}
			s = s[:len(s)-1]
		}
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.Trim(s, " ")
}

// ascii puts a question mark in the place of each character that is not ASCII.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return '?'
		}
		return r
	}, s)
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// each reports whether f is true of all bytes.
func each(s string, f func(byte) bool) bool {
	for i := range len(s) {
		if !f(s[i]) {
			return false
		}
	}
	return true
}

// printable reports whether s is graphic ASCII and blanks.
func printable(s string) bool { return each(s, func(c byte) bool { return ' ' <= c && c < 0x7f }) }

// appendField appends a header field, folded before words that would make a line longer than
// it should be, and inside those that are longer than it may be. value is one line.
func appendField(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ':')
	col := len(name) + 1
	for i, word := range strings.Split(value, " ") {
		for first := true; first || word != ""; first = false {
			n := min(len(word), lineLimit-100)
			for n < len(word) && n > 0 && !utf8.RuneStart(word[n]) {
				n--
			}
			// A line of blanks alone would end the header for some.
			if !first || i > 0 && word != "" && col+1+n > lineWidth {
				dst = append(dst, crlf...)
				col = 0
			}
			dst = append(append(dst, ' '), word[:n]...)
			col += 1 + n
			word = word[n:]
		}
	}
	return append(dst, crlf...)
}

// lines cuts b behind each CRLF or LF and yields the lines without them. A CR alone
// is a byte like any other.
func lines(b []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(b) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if !yield(bytes.TrimSuffix(line, []byte("\r"))) {
				return
			}
		}
	}
}

// plain reports whether a text can go as it is but for its line ends: no line is
// longer than max, and no byte is a NUL or a CR alone. eightBit tells of bytes above ASCII.
func plain(b []byte, max int) (ok, eightBit bool) {
	for line := range lines(b) {
		if len(line) > max || bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte(line, '\r') >= 0 {
			return false, !isASCII(b)
		}
	}
	return true, !isASCII(b)
}

// appendLines appends b with CRLF behind each line, the last one too.
func appendLines(dst, b []byte) []byte {
	for line := range lines(b) {
		dst = append(append(dst, line...), crlf...)
	}
	return dst
}

// appendQuoted appends b in quoted-printable (RFC 2045 section 6.7), with CRLF behind
// each line.
func appendQuoted(dst, b []byte) []byte {
	out := bytes.NewBuffer(dst)
	for line := range lines(b) {
		w := quotedprintable.NewWriter(out)
		w.Binary = true // a CR in a line is data
		w.Write(line)
		w.Close()
		out.WriteString(crlf)
	}
	return out.Bytes()
}
