package address

import (
	"strings"
	"unicode/utf8"
)

// A HostGlob matches host names: "*" stands for any run of characters, dots and the
// empty one included, "?" for one character. "*.example.com" matches all names
// below example.com and not example.com itself. The zero HostGlob matches nothing.
type HostGlob struct {
	pattern string
	parts   []string // what is between the stars, in lower case
}

// maxGlob is the length of a name in DNS, and a bound of the work for each byte of
// a name.
const maxGlob = maxName

// ParseHostGlob compiles a pattern: a host name in which stars and question marks stand.
// Labels without them may be internationalized. A dot at the end is dropped.
//
// The error is a [*PatternError]: nothing, more than 253 bytes, two dots in a row, or
// characters other than letters, digits, hyphens, underscores, dots and wildcards.
func ParseHostGlob(pattern string) (HostGlob, error) {
	p := strings.TrimSuffix(strings.TrimSpace(pattern), ".")
	labels := strings.Split(p, ".")
	for i, label := range labels {
		wild := strings.ContainsAny(label, "*?")
		if wild {
			labels[i] = lowerASCII(label)
		} else if a, err := ASCIIDomain(label); err == nil && a != "" && a[0] != '[' {
			labels[i] = a
		} else {
			return HostGlob{}, &PatternError{pattern, "no host name with the wildcards * and ?"}
		}
		for _, c := range []byte(labels[i]) {
			if c >= utf8.RuneSelf {
				return HostGlob{}, &PatternError{pattern, "a wildcard in an internationalized label; write its A-label"}
			}
			// A dot may come of IDNA, which knows four of them.
			if !isAlnum(c) && c != '-' && c != '_' && c != '.' && c != '*' && c != '?' {
				return HostGlob{}, &PatternError{pattern, "no host name with the wildcards * and ?"}
			}
		}
	}
	p = strings.Join(labels, ".")
	if len(p) > maxGlob {
		return HostGlob{}, &PatternError{pattern, "longer than 253 bytes"}
	}
	return HostGlob{pattern, strings.Split(p, "*")}, nil
}

// String returns the pattern as it was given.
func (g HostGlob) String() string { return g.pattern }

// Match reports whether the pattern matches the whole of a host name, in any case of
// its letters, with or without a dot at its end. A name in UTF-8 is matched by its
// A-labels. It takes time by the length of host times that of the pattern at most.
func (g HostGlob) Match(host string) bool {
	if len(g.parts) == 0 {
		return false
	}
	for i := range len(host) {
		if host[i] >= utf8.RuneSelf {
			if a, err := ASCIIDomain(host); err == nil {
				host = a
			}
			break
		}
	}
	host = strings.TrimSuffix(host, ".")
	first, rest := g.parts[0], g.parts[1:]
	if len(host) < len(first) || !equalPart(host, first) {
		return false
	}
	host = host[len(first):]
	if len(rest) == 0 {
		return host == ""
	}
	// The leftmost place of each part leaves the most for those behind it, so none
	// is tried again.
	last := rest[len(rest)-1]
	for _, part := range rest[:len(rest)-1] {
		for !(len(host) >= len(part) && equalPart(host, part)) {
			if len(host) <= len(part) {
				return false
			}
			host = host[1:]
		}
		host = host[len(part):]
	}
	return len(host) >= len(last) && equalPart(host[len(host)-len(last):], last)
}

// equalPart reports whether host begins with part.
func equalPart(host, part string) bool {
	for i := range len(part) {
		if part[i] != '?' && part[i] != lower(host[i]) {
			return false
		}
	}
	return true
}
