package html

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// A tagCount counts the attributes of a tag as its bytes come, those named before
// included. It cuts as scanTag does, and takes no memory. Its first byte is that of
// the tag's name.
type tagCount struct {
	at    tagPlace
	quote byte // that ends the value
	attrs int
	empty bool // the tag ended in />
}

// A tagPlace is where in a tag the next byte is.
type tagPlace uint8

const (
	inTagName tagPlace = iota
	beforeName
	behindSlash
	inName
	behindName
	beforeValue
	inValue
	inQuotes
	behindTag
)

// add takes more bytes and returns how many of them belong to the tag.
func (t *tagCount) add(b []byte) int {
	i := 0
	for i < len(b) && t.at != behindTag {
		if t.at == inQuotes {
			n := bytes.IndexByte(b[i:], t.quote)
			if n < 0 {
				return len(b)
			}
			t.at, i = beforeName, i+n+1
			continue
		}
		t.next(b[i])
		i++
	}
	return i
}

func (t *tagCount) next(c byte) {
	switch {
	case c == '>':
		t.at, t.empty = behindTag, t.at == behindSlash
	case isSpace(c):
		switch t.at {
		case inTagName, inValue, behindSlash:
			t.at = beforeName
		case inName:
			t.at = behindName
		}
	case t.at == beforeValue && (c == '"' || c == '\''):
		t.at, t.quote = inQuotes, c
	case t.at == beforeValue, t.at == inValue:
		t.at = inValue
	case c == '/':
		t.at = behindSlash
	case c == '=' && (t.at == inName || t.at == behindName):
		t.at = beforeValue
	case t.at == inTagName, t.at == inName:
	default:
		t.at = inName
		t.attrs++
	}
}

// errCrowded ends what a tokenizer reads in a tag with too many attributes, of each of
// which it would take note.
var errCrowded = errors.New("html: the tag has too many attributes")

// A guard is what a scanner's tokenizer reads. It looks at the start tag that the
// tokenizer is in, which has no more than what one Read returns that was not looked at.
type guard struct{ s *scanner }

func (g guard) Read(p []byte) (int, error) {
	s := g.s
	// A tokenizer reads when it has used up what it has: its token is all there is.
	// Raw text may begin like a tag, and no tag comes before its end.
	if raw := s.z.Raw(); !s.short && s.raw == "" && len(raw) > 1 && raw[0] == '<' && isLetter(raw[1]) {
		s.counted += s.count.add(raw[1+s.counted:])
		if s.count.attrs > s.o.MaxAttributes {
			return 0, errCrowded
		}
	}
	return s.src.Read(p)
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// shorten passes over what is left of a tag with too many attributes, and has its
// beginning, with its end, tokenized in its place: there is too much of it already.
// A tag over MaxToken is cut. The error is that of the reader.
func (s *scanner) shorten(begin []byte) error {
	tag := slices.Clone(begin)
	if s.count.at == inQuotes {
		tag = append(tag, s.count.quote)
	}
	size := len(begin)
	buf := make([]byte, 4096)
	for s.count.at != behindTag {
		n, err := s.src.Read(buf)
		used := s.count.add(buf[:n])
		size += used
		switch {
		case size >= s.o.MaxToken:
			s.cut()
			return nil
		case s.count.at == behindTag:
			s.src.unread(buf[used:n])
		case err == io.EOF: // it stays unfinished
			s.renew(begin)
			s.short = true
			return nil
		case err != nil:
			return err
		}
	}
	// With a blank, a / is of no value.
	if tag = append(tag, " >"...); s.count.empty {
		tag = append(tag[:len(tag)-1], "/>"...)
	}
	s.renew(tag)
	s.short, s.passed = true, size-len(tag)
	return nil
}
