package spf

import (
	"net/netip"
	"strings"
)

// laxLookups is how many look-ups a lax reading does.
const laxLookups = 40

// repair reads a term that the grammar refuses as its author may have meant it: a name
// misspelt, an address where a mechanism or a domain belongs, a comma or dot too many, an
// argument of all. The error is that of the grammar for a term past repair.
func repair(s string) (term, error) {
	was := s
	s = strings.TrimRight(s, ",;")
	qualifier := ""
	if s != "" && strings.IndexByte("+-~?", s[0]) >= 0 {
		qualifier, s = s[:1], s[1:]
	}
	name, arg := s, ""
	if i := strings.IndexAny(s, ":/"); i >= 0 {
		name, arg = s[:i], s[i:]
	}
	name = lowerASCII(name)
	switch name {
	case "all", "all.":
		name, arg = "all", ""
	case "prt":
		name = "ptr"
	case "ip", "ipv4", "ipv6", "ip4", "ip6", "a":
		if a, ok := strings.CutPrefix(arg, ":"); ok && isPrefix(a) {
			name, arg = "", a
		}
	}
	if p := name + arg; isPrefix(p) || isPrefix(s) {
		if !isPrefix(p) {
			p = s
		}
		name, arg = "ip4", ":"+p
		if strings.Contains(p, ":") {
			name = "ip6"
		}
	}
	t, err := parseTerm(qualifier + name + arg)
	if err != nil {
		_, err = parseTerm(was)
	}
	return t, err
}

// isPrefix reports whether s is an address, or a prefix of addresses.
func isPrefix(s string) bool {
	a, _, _ := strings.Cut(s, "/")
	_, err := netip.ParseAddr(a)
	return err == nil
}

// defaultQualifier returns the qualifier that default= asks for, a modifier of before RFC
// 4408; 0 for other terms.
func defaultQualifier(t term) byte {
	name, value, _ := strings.Cut(t.text, "=")
	if lowerASCII(name) != "default" {
		return 0
	}
	switch Value(lowerASCII(value)) {
	case Pass:
		return '+'
	case Fail, "deny":
		return '-'
	case SoftFail:
		return '~'
	case Neutral, "unknown":
		return '?'
	}
	return 0
}
