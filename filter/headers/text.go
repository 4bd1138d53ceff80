package headers

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gomilter/gomilter/message"
)

// Lines of a header (RFC 5322 section 2.1.1).
const (
	goodLine = 78
	maxLine  = 998
)

// decodedValue returns a text as the value of a field: folded and encoded where it
// needs that, with LF for line ends inside.
func decodedValue(name, text string) string {
	return fit(name, message.NewTextField(name, text, "\n").Text(false))
}

// rawValue is like decodedValue for what may hold encoded words already: they stay.
func rawValue(name, text string) string {
	var b strings.Builder
	col := len(name) + len(":")
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || isControl(r) })
	for i := 0; i < len(words); i++ {
		word := words[i]
		if !ascii(word) {
			// Neighbours are encoded together, as the blanks between encoded words are lost.
			for ; i+1 < len(words) && !ascii(words[i+1]); i++ {
				word += " " + words[i+1]
			}
			word = message.NewTextField("", message.DecodeWords(word), "\n").Text(false)
		}
		first, _, _ := strings.Cut(word, "\n")
		switch {
		case b.Len() == 0:
		case col+1+len(first) > goodLine:
			b.WriteString("\n ")
			col = 1
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		if at := strings.LastIndexByte(word, '\n'); at >= 0 {
			col = len(word) - at - 1
		} else {
			col += len(word)
		}
	}
	value := b.String()
	if !fits(name, value) {
		// A word is too long for a line: it is encoded, and can be folded then.
		return decodedValue(name, strings.ReplaceAll(value, "\n ", " "))
	}
	return value
}

// maxKept is how long a Subject may be that is not written anew, for a packet of the
// protocol.
const maxKept = 60_000

// taggedValue puts a tag before a Subject. What the field holds stays as it is
// where it can.
func taggedValue(f *field, tag string, limit int) string {
	value := f.now.Text(false)
	if ascii(tag) && !strings.Contains(tag, "=?") && clean(value) {
		blank := " "
		first, _, _ := strings.Cut(value, "\n")
		if len(f.now.Name())+len(": ")+len(tag)+len(blank)+len(first) > goodLine {
			blank = "\n "
		}
		if value == "" || value[0] == '\n' {
			blank = ""
		}
		if tagged := tag + blank + strings.TrimLeft(value, " \t"); fits(f.now.Name(), tagged) && len(tagged) < maxKept {
			return tagged
		}
	}
	text, _ := shorten(tag+" "+f.part(Value, limit).plain[0], maxWrite)
	return decodedValue(f.now.Name(), text)
}

// replies are words that mail readers put before the Subject of an answer.
var replies = regexp.MustCompile(`^(?i:(?:re|fwd?|aw|wg|sv|vs|vb|antw|tr|rif|odp|r)(?:\[\d+\])?\s*:\s*)+`)

// hasTag reports whether a Subject begins with a tag, also that of an answer to
// one that did.
func hasTag(subject, tag string) bool {
	subject, tag = fold(subject), fold(strings.TrimSpace(tag))
	return strings.HasPrefix(subject, tag) || strings.HasPrefix(replies.ReplaceAllString(subject, ""), tag)
}

// fit moves a value to the next line where a long name leaves it no room.
func fit(name, value string) string {
	if !fits(name, value) && fits("", value) {
		return "\n " + value
	}
	return value
}

// fits reports whether all lines of a field are short enough.
func fits(name, value string) bool {
	n := len(name) + len(": ")
	for line := range strings.Lines(value) {
		if n+len(strings.TrimSuffix(line, "\n")) > maxLine {
			return false
		}
		n = 0
	}
	return true
}

// clean reports whether a value can stay as it is written: ASCII, folded as it
// should be, no control characters.
func clean(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n':
			if i+1 == len(s) || s[i+1] != ' ' && s[i+1] != '\t' {
				return false
			}
		case c >= 0x7f || c < ' ' && c != '\t':
			return false
		}
	}
	return true
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// shorten cuts s behind n bytes at most, not inside a character.
func shorten(s string, n int) (cut string, shortened bool) {
	if len(s) <= n {
		return s, false
	}
	for i := n; i > n-utf8.UTFMax && i > 0; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i], true
		}
	}
	return s[:n], true
}

// quote returns what a sender wrote for an explanation: short, in quotes, on one
// line, and nothing in it that does not show.
func quote(s string) string {
	s, cut := shorten(s, 80)
	s = strconv.Quote(s)
	if cut {
		s += "..."
	}
	return s
}

// plain returns what a sender wrote for the text of a refusal: short, printable
// ASCII.
func plain(s string) string {
	s, cut := shorten(s, 64)
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
	if cut {
		s += "..."
	}
	return s
}

// judgeName returns why a field of a name cannot be edited.
func judgeName(name string) error {
	switch {
	case !validName(name):
		return errors.New("no MTA could be told its name")
	case len(name)+len(": ") > maxLine:
		return fmt.Errorf("its name is longer than %d bytes", maxLine-len(": "))
	}
	return nil
}
