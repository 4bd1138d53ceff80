package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// DNS's own limits (RFC 1035 section 2.3.4), in bytes.
const (
	maxName  = 253
	maxLabel = 63
)

// maxUName bounds a name before it is taken for an internationalized one: encoding
// takes quadratic time. No name in UTF-8 whose A-labels fit in DNS is longer.
const maxUName = 4 * maxName

// ErrDomain is the reason of every error of [ASCIIDomain].
var ErrDomain = errors.New("address: not a domain")

// As [idna.Lookup], but underscores stand in names that send mail. What else comes
// through is judged afterwards.
var uts46 = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false))

// ASCIIDomain returns a domain in the one form that DNS and comparisons use: A-labels
// (RFC 5891), lower case, no dot at the end. An address literal with an IP address is
// returned as RFC 5321 section 4.1.3 and RFC 5952 write it. The empty domain is
// returned as it is.
//
// The error wraps [ErrDomain]: an empty label, a label of more than 63 bytes, a name of
// more than 253, characters other than letters, digits, hyphens and underscores, what IDNA
// refuses, bytes that are no UTF-8, a literal without an IP address.
func ASCIIDomain(domain string) (string, error) {
	if domain == "" {
		return "", nil
	}
	if domain[0] == '[' {
		a, ok := Path{Domain: domain}.Literal()
		if !ok {
			return "", fmt.Errorf("%w: no IP address in the brackets", ErrDomain)
		}
		return literal(a), nil
	}
	if isASCIIName(domain) {
		domain = lowerASCII(domain)
	} else {
		if len(domain) > maxUName || !utf8.ValidString(domain) {
			return "", fmt.Errorf("%w: too long, or no UTF-8", ErrDomain)
		}
		var err error
		if domain, err = uts46.ToASCII(domain); err != nil {
			return "", fmt.Errorf("%w: %w", ErrDomain, err)
		}
	}
	domain = strings.TrimSuffix(domain, ".")
	if len(domain) > maxName {
		return "", fmt.Errorf("%w: %d bytes, of %d", ErrDomain, len(domain), maxName)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > maxLabel {
			return "", fmt.Errorf("%w: a label of %d bytes", ErrDomain, len(label))
		}
		for i := range len(label) {
			if c := label[i]; !isAlnum(c) && c != '-' && c != '_' {
				return "", fmt.Errorf("%w: character %q", ErrDomain, c)
			}
		}
	}
	return domain, nil
}

func literal(a netip.Addr) string {
	if a.Is4() {
		return "[" + a.String() + "]"
	}
	return "[IPv6:" + a.String() + "]"
}

// isASCIIName reports whether a name is without work for IDNA.
func isASCIIName(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
		if s[i]|0x20 == 'x' && (i == 0 || s[i-1] == '.') && len(s)-i >= 4 && strings.EqualFold(s[i:i+4], "xn--") {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// lowerASCII returns s with its ASCII letters in lower case and all other bytes as
// they are.
func lowerASCII(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lower(b[i])
			}
			return string(b)
		}
	}
	return s
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
