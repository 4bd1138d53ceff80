package spf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A macro is a piece of a macro-string (RFC 7208 section 7.1).
type macro struct {
	text    string // what it stands for, where letter is 0
	letter  byte   // lower case
	digits  int    // keep that many parts of the right; 0 means all
	reverse bool
	escape  bool
	delims  string
}

// nextMacro takes the first piece off s. text admits what only the text of an
// explanation may hold: blanks, and %{c}, %{r} and %{t}.
func nextMacro(s string, text bool) (m macro, rest string, err error) {
	if s[0] != '%' {
		n := strings.IndexByte(s, '%')
		if n < 0 {
			n = len(s)
		}
		for i := range n {
			if s[i] <= ' ' && (!text || s[i] != ' ') || s[i] > '~' {
				return m, "", fmt.Errorf("character %+q", s[i])
			}
		}
		return macro{text: s[:n]}, s[n:], nil
	}
	if len(s) < 2 {
		return m, "", errors.New("a % at the end")
	}
	switch s[1] {
	case '%':
		return macro{text: "%"}, s[2:], nil
	case '_':
		return macro{text: " "}, s[2:], nil
	case '-':
		return macro{text: "%20"}, s[2:], nil
	case '{':
	default:
		return m, "", errors.New("a % that is no macro")
	}
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return m, "", errors.New("a macro without }")
	}
	in := s[2:end]
	letters := "slodiphv"
	if text {
		letters = "slodiphvcrt"
	}
	if in == "" || strings.IndexByte(letters, in[0]|0x20) < 0 {
		return m, "", errors.New("no such macro")
	}
	m = macro{letter: in[0] | 0x20, escape: in[0] < 'a'}
	in = in[1:]
	for i := 0; in != "" && isDigit(in[0]); in, i = in[1:], i+1 {
		m.digits = min(m.digits*10+int(in[0]-'0'), 1000)
		if m.digits == 0 && (len(in) == 1 || !isDigit(in[1])) {
			return m, "", errors.New("a macro of no parts")
		}
	}
	if in != "" && in[0]|0x20 == 'r' {
		m.reverse, in = true, in[1:]
	}
	if strings.Trim(in, ".-+,/_=") != "" {
		return m, "", errors.New("no such macro")
	}
	m.delims = in
	return m, s[end+1:], nil
}

func checkMacros(s string, text bool) error {
	for s != "" {
		var err error
		if _, s, err = nextMacro(s, text); err != nil {
			return err
		}
	}
	return nil
}

// endsInMacro reports whether the last piece of a macro-string is no plain text.
func endsInMacro(s string) bool {
	for s != "" {
		percent := s[0] == '%'
		_, rest, err := nextMacro(s, false)
		if err != nil {
			return false
		}
		if rest == "" {
			return percent
		}
		s = rest
	}
	return false
}

var errLong = errors.New("too long when its macros are expanded")

// maxMacros is how many bytes all the letters in a macro-string may stand for, before parts of them
// are cut off: a record of thousands of %{h1-} takes time and memory for nothing.
const maxMacros = 32 << 10

// expandMacros returns what a macro-string that was checked stands for; value returns
// that of a letter. The error is errLong, for more than limit bytes, or maxMacros.
func expandMacros(s string, text bool, limit int, value func(letter byte) string) (string, error) {
	if strings.IndexByte(s, '%') < 0 {
		if len(s) > limit {
			return "", errLong
		}
		return s, nil
	}
	var b strings.Builder
	letters := 0
	for s != "" {
		m, rest, err := nextMacro(s, text)
		if err != nil {
			return "", err
		}
		s = rest
		if m.letter != 0 {
			v := value(m.letter)
			if letters += len(v); letters > maxMacros {
				return "", errLong
			}
			m.text = m.transform(v)
		}
		if b.Len()+len(m.text) > limit {
			return "", errLong
		}
		b.WriteString(m.text)
	}
	return b.String(), nil
}

// transform applies what stands behind the letter (RFC 7208 section 7.3).
func (m *macro) transform(v string) string {
	if m.digits != 0 || m.reverse || m.delims != "" {
		delims := m.delims
		if delims == "" {
			delims = "."
		}
		var parts []string
		for {
			i := strings.IndexAny(v, delims)
			if i < 0 {
				break
			}
			parts, v = append(parts, v[:i]), v[i+1:]
		}
		parts = append(parts, v)
		if m.reverse {
			slices.Reverse(parts)
		}
		if m.digits != 0 && m.digits < len(parts) {
			parts = parts[len(parts)-m.digits:]
		}
		v = strings.Join(parts, ".")
	}
	if m.escape {
		v = escapeURL(v)
	}
	return v
}

// escapeURL escapes all but the unreserved characters (RFC 3986 section 2.3).
func escapeURL(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isAlpha(c) || isDigit(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString(string([]byte{'%', hex[c>>4], hex[c&15]}))
		}
	}
	return b.String()
}
