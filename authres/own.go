package authres

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// An own is an id that others are compared with. Whatever UTS 46 maps to it is it, and in the
// few cases where versions of that differ (ß and ss) each of them.
type own struct {
	read  string // with U-labels, as appendFolded has it; "" for no id
	ascii string // with A-labels, as many
	buf   []byte
}

func newOwn(id string) (o own) {
	id = trimID(id)
	if isPlainID(id) {
		id = strings.ToLower(id)
		return own{read: id, ascii: id}
	}
	if len(id) <= maxDomain {
		if a, err := uts46.ToASCII(id); err == nil {
			u, _ := uts46.ToUnicode(a) // what is wrong with a label leaves it as it is
			return own{read: string(o.folded(u)), ascii: trimID(a)}
		}
	}
	id = string(o.folded(id))
	return own{read: id, ascii: id}
}

// is reports whether a word is the id. It takes time in proportion to the word's length.
func (o *own) is(word string) bool {
	word = trimID(word)
	switch {
	case o.read == "" || len(word) > max(len(o.read), len(o.ascii))*maxGrowth:
		return false
	case isPlainID(word):
		return len(word) == len(o.read) && strings.EqualFold(word, o.read)
	}
	f := o.folded(word)
	if string(f) == o.read || string(f) == o.ascii {
		return true
	}
	return bytes.Contains(f, []byte("xn--")) && o.mixes(string(f))
}

// folded returns a word folded, until the next call.
func (o *own) folded(word string) []byte {
	o.buf = appendFolded(o.buf[:0], word)
	return bytes.TrimSuffix(bytes.Trim(o.buf, " "), []byte("."))
}

// mixes reports whether s is the id with some labels as U-labels and some as A-labels.
func (o own) mixes(s string) bool {
	for more := true; more; {
		var label, read, ascii string
		var moreRead bool
		label, s, more = strings.Cut(s, ".")
		read, o.read, moreRead = strings.Cut(o.read, ".")
		ascii, o.ascii, _ = strings.Cut(o.ascii, ".")
		if more != moreRead || label != read && label != ascii {
			return false
		}
	}
	return true
}

// maxGrowth is how many bytes a word may have for one of the id: four where letters of four bytes
// map to ASCII, and as many marks as fall into one letter.
const maxGrowth = 8

// trimID takes off what readers do not count.
func trimID(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || isUnseen(r) })
	return strings.TrimSuffix(s, ".")
}

// isPlainID reports whether s is ASCII without A-labels.
func isPlainID(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i]|0x20 == 'x' && isALabel(s[i:]) {
			return false
		}
	}
	return true
}

func isALabel(s string) bool { return len(s) >= 4 && strings.EqualFold(s[:4], "xn--") }

// appendFolded appends caseless text (Unicode section 3.13, D146), and full stops for those that UTS 46
// takes for such.
func appendFolded(dst []byte, s string) []byte {
	from, marks := len(dst), false
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
			i++
			continue
		}
		p := norm.NFKD.PropertiesString(s[i:])
		n := p.Size()
		if n == 0 { // no UTF-8
			dst = append(dst, s[i])
			i++
			continue
		}
		marks = marks || p.CCC() > 0 || p.TrailCCC() > 0
		if d := p.Decomposition(); d != nil {
			for len(d) > 0 {
				r, n := utf8.DecodeRune(d)
				dst = appendFold(dst, r)
				d = d[n:]
			}
		} else if r, _ := utf8.DecodeRuneInString(s[i:]); '가' <= r && r <= '힣' { // decomposed by arithmetic
			dst = norm.NFKD.AppendString(dst, s[i:i+n])
		} else {
			dst = appendFold(dst, r)
		}
		i += n
	}
	if marks { // their order
		dst = append(dst[:from], norm.NFKD.Bytes(dst[from:])...)
	}
	return dst
}

// appendFold appends the case folding of a character that is decomposed.
func appendFold(dst []byte, r rune) []byte {
	switch {
	case r < utf8.RuneSelf:
		return append(dst, byte(unicode.ToLower(r)))
	case r == 'ß' || r == 'ẞ':
		return append(dst, "ss"...)
	case r == '\u0345': // the iota below
		return append(dst, "ι"...)
	case r == '。':
		return append(dst, '.')
	}
	return utf8.AppendRune(dst, unicode.ToLower(unicode.ToUpper(r)))
}

// isUnseen reports characters that one does not see, other than blanks.
func isUnseen(r rune) bool {
	if r < utf8.RuneSelf {
		return isControl(byte(r))
	}
	return isInvisible(r) && !unicode.IsSpace(r) || unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}
