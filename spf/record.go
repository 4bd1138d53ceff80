package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// A term is a directive or modifier of a record (RFC 7208 section 4.6.1).
type term struct {
	text      string // as published, without the qualifier
	qualifier byte   // '+' where there is none; 0 for modifiers
	name      string // lower case; of modifiers that nobody knows "="
	spec      string // the domain-spec; "" stands for the domain of the record
	cidr      string // such as "/24//64"
	prefix    netip.Prefix
}

// asks reports whether a term counts as a look-up (RFC 7208 section 4.6.4).
func (t *term) asks() bool {
	switch t.name {
	case "include", "a", "mx", "ptr", "exists", "redirect":
		return true
	}
	return false
}

const version = "v=spf1"

// isRecord reports whether a TXT record is one of SPF (RFC 7208 section 4.5).
func isRecord(txt string) bool {
	return len(txt) >= len(version) && strings.EqualFold(txt[:len(version)], version) &&
		(len(txt) == len(version) || txt[len(version)] == ' ')
}

var errNoVersion = errors.New("a record that does not begin with " + version)

// CheckRecord returns what is wrong with a record by the grammar (RFC 7208 section 12), for
// one that is to be published, or to stand in a Checker. No look-ups are done.
func CheckRecord(txt string) error {
	if !isRecord(txt) {
		return fmt.Errorf("spf: %w", errNoVersion)
	}
	seen := make(map[string]bool)
	for s := range strings.SplitSeq(txt[len(version):], " ") {
		if s == "" {
			continue
		}
		t, err := parseTerm(s)
		if err == nil && (t.name == "redirect" || t.name == "exp") {
			if seen[t.name] {
				err = errNotFirst
			}
			seen[t.name] = true
		}
		if err != nil {
			return fmt.Errorf("spf: %s: %w", shown(s), err)
		}
	}
	return nil
}

var errNotFirst = errors.New("not the first of its kind")

// parseTerm reads one term by the grammar of RFC 7208 section 12.
func parseTerm(s string) (term, error) {
	t := term{text: s, qualifier: '+'}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return t, fmt.Errorf("character %+q", s[i])
		}
	}
	if i := strings.IndexAny(s, "=:/"); i > 0 && s[i] == '=' && isModifierName(s[:i]) {
		return parseModifier(s, i)
	}
	if s != "" && strings.IndexByte("+-~?", s[0]) >= 0 {
		t.qualifier, s = s[0], s[1:]
		t.text = s
	}
	i := strings.IndexAny(s, ":/")
	if i < 0 {
		i = len(s)
	}
	t.name = lowerASCII(s[:i])
	arg, hasArg := strings.CutPrefix(s[i:], ":")
	var err error
	switch t.name {
	case "all":
		if i < len(s) {
			err = errors.New("nothing may stand behind all")
		}
		return t, err
	case "ip4", "ip6":
		t.prefix, err = parsePrefix(t.name, arg)
		return t, err
	case "a", "mx":
		arg, t.cidr, err = cutCIDR(arg)
		if err != nil {
			return t, err
		}
	case "ptr":
		if !hasArg {
			if i < len(s) {
				err = errors.New("not a domain")
			}
			return t, err
		}
	case "include", "exists":
		if !hasArg {
			return t, errors.New("no domain")
		}
	default:
		return t, errors.New("no such mechanism")
	}
	t.spec = arg
	if hasArg {
		err = checkDomainSpec(arg)
	}
	return t, err
}

func parseModifier(s string, i int) (term, error) {
	t := term{text: s, name: lowerASCII(s[:i]), spec: s[i+1:]}
	if t.name == "redirect" || t.name == "exp" {
		return t, checkDomainSpec(t.spec)
	}
	t.name = "="
	return t, checkMacros(t.spec, true)
}

func isModifierName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlpha(c) && (i == 0 || !isDigit(c) && c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return s != ""
}

// parsePrefix reads what stands behind "ip4:" and "ip6:".
func parsePrefix(name, s string) (netip.Prefix, error) {
	a, length, hasLength := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(a)
	if err != nil || addr.Zone() != "" || addr.Is4() != (name == "ip4") {
		return netip.Prefix{}, errors.New("not an address")
	}
	bits := addr.BitLen()
	if hasLength {
		if bits, err = parseLength(length, bits); err != nil {
			return netip.Prefix{}, err
		}
	}
	return netip.PrefixFrom(addr, bits), nil
}

// cutCIDR takes dual-cidr-length from the end of s.
func cutCIDR(s string) (spec, cidr string, err error) {
	spec = s
	if i := strings.LastIndex(spec, "//"); i >= 0 && isDigits(spec[i+2:]) {
		if _, err := parseLength(spec[i+2:], 128); err != nil {
			return "", "", err
		}
		spec = spec[:i]
	}
	if i := strings.LastIndexByte(spec, '/'); i >= 0 && isDigits(spec[i+1:]) {
		if _, err := parseLength(spec[i+1:], 32); err != nil {
			return "", "", err
		}
		spec = spec[:i]
	}
	if spec == "" || spec[0] != '/' {
		return spec, s[len(spec):], nil
	}
	return "", "", errors.New("not a prefix length")
}

// parseLength reads a prefix length: no sign, no leading zero.
func parseLength(s string, limit int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || !isDigits(s) || n > limit || len(s) > 1 && s[0] == '0' {
		return 0, errors.New("not a prefix length")
	}
	return n, nil
}

// checkDomainSpec judges a domain-spec (RFC 7208 section 7.1): macros, and at its end
// one more of them or a label that can be that of a top-level domain.
func checkDomainSpec(s string) error {
	if s == "" {
		return errors.New("no domain")
	}
	if err := checkMacros(s, false); err != nil {
		return err
	}
	if endsInMacro(s) {
		return nil
	}
	s = strings.TrimSuffix(s, ".")
	i := strings.LastIndexByte(s, '.')
	if i < 0 || !isTopLabel(s[i+1:]) {
		return errors.New("not a domain")
	}
	return nil
}

// isTopLabel reports whether s is letters, digits and inner hyphens, not digits alone.
func isTopLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !isAlpha(s[i]) && !isDigit(s[i]) && s[i] != '-' {
			return false
		}
	}
	return !isDigits(s)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func lowerASCII(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for i, c := range b {
				if 'A' <= c && c <= 'Z' {
					b[i] = c | 0x20
				}
			}
			return string(b)
		}
	}
	return s
}
