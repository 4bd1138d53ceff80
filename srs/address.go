package srs

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// split takes an address apart: the local part without quotes and backslashes, and the
// domain as it is written, less a dot at its end. Angle brackets may be around it. It
// is no reader of addresses in general, but refuses what it does not understand.
func split(s string) (local, domain string, err error) {
	if len(s) > maxInput {
		return "", "", fmt.Errorf("%w: %d octets", ErrAddress, len(s))
	}
	if in, ok := strings.CutPrefix(s, "<"); ok {
		if s, ok = strings.CutSuffix(in, ">"); !ok {
			return "", "", fmt.Errorf("%w: no '>'", ErrAddress)
		}
	}
	b := make([]byte, 0, len(s))
	at, quoted := -1, false
	for i := 0; i < len(s) && at < 0; i++ {
		c := s[i]
		switch {
		case c < ' ' || c == 0x7f:
			return "", "", fmt.Errorf("%w: control character", ErrAddress)
		case c == '"':
			quoted = !quoted
			continue
		case c == '\\':
			if i++; i == len(s) || s[i] < ' ' || s[i] == 0x7f {
				return "", "", fmt.Errorf("%w: backslash", ErrAddress)
			}
			c = s[i]
		case quoted:
		case c == '@':
			at = i
			continue
		case c == ' ' || strings.IndexByte("()<>[]:;,", c) >= 0:
			return "", "", fmt.Errorf("%w: %q without quotes", ErrAddress, c)
		}
		b = append(b, c)
	}
	switch {
	case quoted:
		return "", "", fmt.Errorf("%w: quote without end", ErrAddress)
	case at < 0:
		return "", "", fmt.Errorf("%w: no domain", ErrAddress)
	case len(b) == 0:
		return "", "", fmt.Errorf("%w: no local part", ErrAddress)
	}
	domain, err = cleanDomain(s[at+1:])
	return string(b), domain, err
}

// cleanDomain refuses what cannot be a domain or an address literal, and above all
// the "=" that ends a domain within a local part.
func cleanDomain(s string) (string, error) {
	s = strings.TrimSuffix(s, ".")
	if s == "" {
		return "", fmt.Errorf("%w: no domain", ErrAddress)
	}
	in := s
	literal := false
	if l, ok := strings.CutPrefix(s, "["); ok {
		if in, literal = strings.CutSuffix(l, "]"); !literal {
			return "", fmt.Errorf("%w: no ']'", ErrAddress)
		}
	}
	if !literal && (in[0] == '.' || in[len(in)-1] == '.' || strings.Contains(in, "..")) {
		return "", fmt.Errorf("%w: empty label in the domain", ErrAddress)
	}
	for i := range len(in) {
		c := in[i]
		if c <= ' ' || c == 0x7f || strings.IndexByte(`"\<>()[],;@=`, c) >= 0 || c == ':' && !literal {
			return "", fmt.Errorf("%w: %q in the domain", ErrAddress, c)
		}
	}
	return s, nil
}

// join writes an address, its local part quoted where it must be (RFC 5321 section
// 4.1.2).
func join(local, domain string) string { return quote(local) + "@" + domain }

func quote(s string) string {
	dot, prev := true, byte('.') // whether it is a Dot-string
	for i := range len(s) {
		c := s[i]
		if c == '.' && prev == '.' || c != '.' && !isAtext(c) {
			dot = false
			break
		}
		prev = c
	}
	if dot && prev != '.' {
		return s
	}
	b := []byte{'"'}
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(append(b, '"'))
}

func isAtext(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c >= utf8.RuneSelf ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func sameDomain(a, b string) bool {
	return lowerASCII(strings.TrimSuffix(a, ".")) == lowerASCII(strings.TrimSuffix(b, "."))
}
