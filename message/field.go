package message

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"
)

// lineWidth is how long a line of a header should be (RFC 5322 section 2.1.1).
const lineWidth = 78

// NewTextField returns a field with a text in UTF-8: folded at 78 bytes, or where
// the next blank is, and with encoded words (RFC 2047) for what is not ASCII.
// Control characters become blanks. lineEnd is CRLF, LF or CR.
func NewTextField(name, text, lineEnd string) Field {
	text = strings.Trim(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd")), " ")
	var b strings.Builder
	col := len(name) + 1
	blank := " "
	for text != "" {
		word, rest := cutRun(text)
		if encodable(word) {
			col = appendWords(&b, blank, word, col)
		} else {
			if col += len(blank) + len(word); col > lineWidth && b.Len() > 0 {
				b.WriteByte('\n')
				col = len(blank) + len(word)
			}
			b.WriteString(blank)
			b.WriteString(word)
		}
		text = strings.TrimLeft(rest, " ")
		blank = rest[:len(rest)-len(text)]
		if len(blank) > lineWidth { // a line of blanks alone could get lost
			blank = " "
		}
	}
	return NewField(name, b.String(), lineEnd)
}

// cutRun cuts a word off text, or as many as are to be encoded together.
func cutRun(text string) (run, rest string) {
	end := func(from int) int {
		if i := strings.IndexByte(text[from:], ' '); i >= 0 {
			return from + i
		}
		return len(text)
	}
	i := end(0)
	if !encodable(text[:i]) {
		return text[:i], text[i:]
	}
	for i < len(text) {
		next := len(text) - len(strings.TrimLeft(text[i:], " "))
		to := end(next)
		if !encodable(text[next:to]) {
			break
		}
		i = to
	}
	return text[:i], text[i:]
}

// encodable reports whether a word is to be encoded: it is not ASCII, would be
// taken for an encoded word, or is too long for a line.
func encodable(word string) bool {
	return !isASCII(word) || strings.Contains(word, "=?") || len(word) > 900
}

// appendWords writes encoded words and returns the column behind them.
func appendWords(b *strings.Builder, blank, text string, col int) int {
	const (
		most = 75 // RFC 2047 section 2
		head = len("=?utf-8?q??=")
	)
	special := 0
	for i := range len(text) {
		if !qSafe(text[i]) {
			special++
		}
	}
	q := special <= len(text)/3
	for first := true; text != ""; first = false {
		if !first {
			blank = " "
		}
		room := min(most, lineWidth-col-len(blank)) - head
		if room < 16 && (b.Len() > 0 || !first) {
			b.WriteByte('\n')
			col = 0
			room = min(most, lineWidth-len(blank)) - head
		}
		room = max(room, 16)
		size, width := 0, 0
		for size < len(text) {
			_, n := utf8.DecodeRuneInString(text[size:])
			var w int
			if q {
				for i := range n {
					if w++; !qSafe(text[size+i]) && text[size+i] != ' ' {
						w += 2
					}
				}
				w += width
			} else {
				w = base64.StdEncoding.EncodedLen(size + n)
			}
			if w > room && size > 0 {
				break
			}
			size, width = size+n, w
		}
		b.WriteString(blank)
		if q {
			b.WriteString("=?utf-8?q?")
			for i := range size {
				switch c := text[i]; {
				case c == ' ':
					b.WriteByte('_')
				case qSafe(c):
					b.WriteByte(c)
				default:
					fmt.Fprintf(b, "=%02X", c)
				}
			}
		} else {
			b.WriteString("=?utf-8?b?")
			b.WriteString(base64.StdEncoding.EncodeToString([]byte(text[:size])))
		}
		b.WriteString("?=")
		col += len(blank) + head + width
		text = text[size:]
	}
	return col
}

// qSafe reports whether a byte stands for itself in an encoded word, wherever
// that stands (RFC 2047 section 5).
func qSafe(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!*+-/", c) >= 0
}

// NewParamField returns a field of a value with parameters, such as Content-Type:
// one parameter a line where one line is too short, quoted where that is needed,
// and as RFC 2231 has it where a value is long or is not ASCII. Of each Param Name
// and Value count. Control characters are left out. lineEnd is CRLF, LF or CR.
func NewParamField(name, value string, params []Param, lineEnd string) Field {
	var b strings.Builder
	value = printable(strings.ToValidUTF8(value, "?"))
	b.WriteByte(' ')
	b.WriteString(value)
	col := len(name) + 2 + len(value)
	put := func(s string) {
		b.WriteByte(';')
		if col+len("; ;")+len(s) > lineWidth {
			b.WriteString("\n\t")
			col = 8
		} else {
			b.WriteByte(' ')
			col += 2
		}
		b.WriteString(s)
		col += len(s)
	}
	for _, p := range params {
		attr := strings.Map(func(r rune) rune {
			if r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?=*'%`, r) {
				return -1
			}
			return r
		}, p.Name)
		if attr == "" {
			continue
		}
		for _, s := range formatParam(attr, printable(strings.ToValidUTF8(p.Value, "\ufffd"))) {
			put(s)
		}
	}
	return NewField(name, b.String(), lineEnd)
}

// formatParam returns a parameter, or its continuations.
func formatParam(name, v string) []string {
	const width = lineWidth - 9
	if isASCII(v) {
		s := name + "=" + v
		if !isToken(v) {
			s = name + "=" + quote(v)
		}
		// A word in it that looks encoded is to be read as it is.
		if len(s) <= width && !strings.Contains(v, "=?") {
			return []string{s}
		}
	}
	if s := name + "*=utf-8''" + percent(v); len(s) <= width {
		return []string{s}
	}
	var all []string
	for v != "" {
		s := fmt.Sprintf("%s*%d*=", name, len(all))
		if len(all) == 0 {
			s += "utf-8''"
		}
		for first := true; v != ""; first = false {
			_, n := utf8.DecodeRuneInString(v)
			c := percent(v[:n])
			if len(s)+len(c) > width && !first {
				break
			}
			s, v = s+c, v[n:]
		}
		all = append(all, s)
	}
	return all
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; qSafe(c) && c != '*' || c == '.' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
