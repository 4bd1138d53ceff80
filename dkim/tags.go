package dkim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxTags is how many tags a list may have. RFC 6376 knows 13 for a signature.
const maxTags = 100

// A tag is one of the tags of a signature or of a key record.
type tag struct {
	name, value string // value without the blanks around it
	start, end  int    // where the value stands in the list, with the blanks around it
}

// parseTags reads a tag list (RFC 6376 section 3.2, UTF-8 in values as RFC 8616 has it) and
// nothing else: section 6.1.1 warns of being liberal here. A line that ends in LF alone counts
// as one that ends in CRLF. The tags that stand before an error are returned with it.
func parseTags(list string) ([]tag, error) {
	if trimFWS(list) == "" {
		return nil, errors.New("there are no tags")
	}
	var tags []tag
	for at := 0; at < len(list); {
		end := len(list)
		if i := strings.IndexByte(list[at:], ';'); i >= 0 {
			end = at + i
		}
		spec := list[at:end]
		name, value, ok := strings.Cut(spec, "=")
		name = trimFWS(name)
		switch {
		case !ok && trimFWS(spec) == "" && end == len(list) && len(tags) > 0:
			return tags, checkFWS(spec) // after the last semicolon
		case !ok && trimFWS(spec) == "":
			return tags, errors.New("nothing stands before a semicolon")
		case !ok:
			return tags, fmt.Errorf("%s has no \"=\"", quote(spec))
		case !isTagName(name):
			return tags, fmt.Errorf("%s is no name of a tag", quote(name))
		case len(tags) == maxTags:
			return tags, fmt.Errorf("there are more than %d tags", maxTags)
		}
		if _, twice := findTag(tags, name); twice {
			return tags, fmt.Errorf("tag %s= stands twice", shorten(name))
		}
		if err := checkFWS(spec); err != nil {
			return tags, fmt.Errorf("tag %s=: %w", shorten(name), err)
		}
		tags = append(tags, tag{name, trimFWS(value), end - len(value), end})
		at = end + 1
	}
	return tags, nil
}

// findTag returns the value of a tag.
func findTag(tags []tag, name string) (value string, ok bool) {
	for _, t := range tags {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}

func isTagName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c|0x20 >= 'a' && c|0x20 <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '_')) {
			return false
		}
	}
	return s != ""
}

// checkFWS checks that all of s may stand in a value, or is folding white space (RFC 6376
// section 2.8).
func checkFWS(s string) error {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c > ' ' && c < 0x7f:
		case c == '\r' && i+1 < len(s) && s[i+1] == '\n':
		case c == '\n' && i+1 < len(s) && isWSP(s[i+1]):
		case c < utf8.RuneSelf:
			return fmt.Errorf("byte %#02x stands in it", c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n <= 1 {
				return fmt.Errorf("byte %#02x stands in it", c)
			}
			i += n - 1
		}
	}
	return nil
}

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

func isFWS(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }

func trimFWS(s string) string { return strings.TrimFunc(s, isFWS) }

// dropFWS returns s without folding white space.
func dropFWS(s string) string {
	if strings.IndexFunc(s, isFWS) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if isFWS(r) {
			return -1
		}
		return r
	}, s)
}

// splitList cuts a value at its colons.
func splitList(value string) []string {
	list := strings.Split(value, ":")
	for i, s := range list {
		list[i] = trimFWS(s)
	}
	return list
}

// quote quotes a foreign text for people, shortened.
func quote(s string) string {
	const most = 40
	if len(s) <= most {
		return strconv.QuoteToASCII(s)
	}
	return strconv.QuoteToASCII(s[:most]) + "..."
}

// shorten shortens what is printable.
func shorten(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
