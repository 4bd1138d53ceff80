package headers

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/message"
)

// A field is one header field on its way through the rules.
type field struct {
	name     string // without blanks at its end
	folded   string // the same with ASCII letters in upper case, as MTAs compare names
	was, now message.Field
	received int // its number among those of its name as the filter was shown them; 0 for one added
	position int // of one added
	edited   bool
	gone     bool
	parts    [Recipient]*values // what was read of it so far
}

// values are those of one part of a field.
type values struct {
	plain  []string
	folded []string // nil until asked for
}

func newField(f message.Field, received int) *field {
	name := strings.TrimRight(f.Name(), " \t")
	return &field{name: name, folded: foldASCII(name), was: f, now: f, received: received}
}

// set gives the field a value as it is written, folding as LF and blanks.
func (f *field) set(value string) {
	f.now = message.NewField(f.now.Name(), " "+value, "\r\n")
	f.edited = true
	f.parts = [Recipient]*values{}
}

// part returns the values of a part, of which no more than limit bytes are looked at.
func (f *field) part(p Part, limit int) *values {
	if f.parts[p] == nil {
		f.parts[p] = &values{plain: f.read(p, limit)}
	}
	return f.parts[p]
}

func (f *field) read(p Part, limit int) []string {
	if p == Name {
		return []string{f.name}
	}
	cut := f.now
	if v := cut.Value(); len(v) > limit {
		cut = message.NewField("", string(v[:limit]), "\n")
	}
	switch p {
	case Value:
		return []string{cut.Decoded()}
	case Raw:
		return []string{cut.Text(false)}
	case Charset:
		return charsets(cut.Value())
	}
	var list []string
	for m := range address.Mailboxes(cut.Text(true), message.DecodeWords) {
		if s := m.Path.Canonical().String(); p == Address && s != "" {
			list = append(list, s)
		} else if p == DisplayName && m.Name != "" {
			list = append(list, m.Name)
		}
		if len(list) == address.MaxMailboxes {
			break
		}
	}
	return list
}

// fold returns the values in one case.
func (v *values) fold() []string {
	if v.folded == nil {
		v.folded = make([]string, len(v.plain))
		for i, s := range v.plain {
			v.folded[i] = fold(s)
		}
	}
	return v.folded
}

// charsets returns the charsets that encoded words in b name. It takes words
// wherever [message.DecodeWords] does.
func charsets(b []byte) (list []string) {
	s := string(b)
	last := strings.LastIndex(s, "?=")
	for at := 0; ; {
		i := strings.Index(s[at:], "=?")
		if i < 0 {
			return list
		}
		at += i + len("=?")
		name, rest, ok := strings.Cut(s[at:min(len(s), at+maxCharset+1)], "?")
		if !ok || name == "" || strings.ContainsAny(name, "\"<>()= \t\r\n") {
			continue
		}
		// Behind the encoding and its mark the text begins, and somewhere it ends.
		text := at + len(name) + len("?B?")
		if rest == "" {
			rest = s[at+len(name)+1:]
		}
		if rest == "" || strings.IndexByte("BbQq", rest[0]) < 0 || text > last || s[text-1] != '?' {
			continue
		}
		name, _, _ = strings.Cut(name, "*") // the language of RFC 2231 section 5
		list = append(list, strings.ToLower(name))
	}
}

// maxCharset is the length of a charset's name that clients are thought to read.
const maxCharset = 80

// fold returns s with each letter in one of its cases; bytes that are no UTF-8 stay.
func fold(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			b = append(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError {
			b = append(b, s[i:i+n]...)
		} else {
			b = utf8.AppendRune(b, foldRune(r))
		}
		i += n
	}
	return string(b)
}

// foldASCII returns s with its ASCII letters in the case of fold.
func foldASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// foldRune returns the lowest of the letters that are r in another case.
func foldRune(r rune) rune {
	low := r
	for x := unicode.SimpleFold(r); x != r; x = unicode.SimpleFold(x) {
		low = min(low, x)
	}
	return low
}

// equalASCII reports whether two names are the same in any case of ASCII letters.
func equalASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
