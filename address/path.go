package address

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// A Path is an address as MAIL and RCPT carry it (RFC 5321 section 4.1.2, with the
// UTF-8 of RFC 6531). The zero Path is the null sender.
//
// Paths can be compared and be keys of maps; [Path.Canonical] makes equal addresses
// equal Paths.
type Path struct {
	// Local is the local part without quotes and backslashes. It may hold any bytes.
	Local string
	// Domain is the domain as it was written, or an address literal with its
	// brackets. It is empty where there is none, as in "postmaster".
	Domain string
	// Route is the source route as it was written, without the colon behind it:
	// "@a.example,@b.example". It is obsolete, and no method but Canonical, which
	// drops it, looks at it.
	Route string
}

// A SyntaxError says where text stops being an address.
type SyntaxError struct {
	Offset int // in bytes, from the beginning of the text
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("address: %s at byte %d", e.Reason, e.Offset)
}

// ParsePath reads the address of a MAIL or RCPT command.
//
// It takes what clients send: angle brackets may be missing, blanks may stand
// around the address, a source route may lead it (RFC 5321 appendix C), parts of
// the local part may be quoted, and characters that should be are taken without
// quotes. The domain begins behind the last "@" that is not quoted. "<>" and ""
// are the null sender. The domain is not judged as a name, see [ASCIIDomain].
//
// Every error is a [*SyntaxError]: brackets or quotes that are not in pairs,
// control characters, characters that no domain can hold, a broken source route, and
// neither local part nor domain.
func ParsePath(s string) (Path, error) {
	base := len(s) - len(strings.TrimLeft(s, " \t"))
	s = strings.Trim(s, " \t")
	if strings.HasPrefix(s, "<") {
		if len(s) == 1 || s[len(s)-1] != '>' {
			return Path{}, &SyntaxError{base + len(s), "no '>'"}
		}
		s = s[1 : len(s)-1]
		base += 1 + len(s) - len(strings.TrimLeft(s, " \t"))
		s = strings.Trim(s, " \t")
	}
	if s == "" {
		return Path{}, nil
	}
	p, err := parseAddrSpec(s)
	if err != nil {
		err.Offset += base
		return Path{}, err
	}
	return p, nil
}

// parseAddrSpec reads what stands between the brackets.
func parseAddrSpec(s string) (Path, *SyntaxError) {
	n, err := scanRoute(s)
	if err != nil {
		return Path{}, err
	}
	p := Path{Route: s[:n]}
	if n > 0 {
		n++ // the colon
		n += len(s[n:]) - len(strings.TrimLeft(s[n:], " \t"))
	}
	local := make([]byte, 0, len(s)-n)
	at, atLocal := -1, 0 // the last "@": in s, and in local
	quoted, quote := false, 0
	for i := n; i < len(s); i++ {
		c := s[i]
		switch {
		case c < ' ' || c == 0x7f:
			return Path{}, &SyntaxError{i, "control character"}
		case c == '\\':
			if i++; i == len(s) {
				return Path{}, &SyntaxError{i, "nothing behind the backslash"}
			}
			if c = s[i]; c < ' ' || c == 0x7f {
				return Path{}, &SyntaxError{i, "control character"}
			}
		case c == '"':
			quoted, quote = !quoted, i
			continue
		case quoted:
		case c == '<' || c == '>':
			return Path{}, &SyntaxError{i, fmt.Sprintf("stray '%c'", c)}
		case c == '@':
			at, atLocal = i, len(local)
		}
		local = append(local, c)
	}
	if quoted {
		return Path{}, &SyntaxError{quote, "quote without end"}
	}
	if at >= 0 {
		p.Domain = s[at+1:]
		if err := checkDomain(p.Domain); err != nil {
			err.Offset += at + 1
			return Path{}, err
		}
		local = local[:atLocal]
	}
	if p.Local = string(local); p.Local == "" && p.Domain == "" {
		return Path{}, &SyntaxError{n, "neither local part nor domain"}
	}
	return p, nil
}

// scanRoute returns the length of the source route that s begins with. What begins
// with "@" and has no colon outside brackets and quotes is a local part that
// should have been quoted.
func scanRoute(s string) (int, *SyntaxError) {
	if s[0] != '@' {
		return 0, nil
	}
	end := 0
	for literal := false; end < len(s) && (literal || s[end] != ':'); end++ {
		switch s[end] {
		case '"':
			return 0, nil
		case '[', ']':
			literal = s[end] == '['
		}
	}
	if end == len(s) {
		return 0, nil
	}
	at := 0
	for hop := range strings.SplitSeq(s[:end], ",") {
		host := strings.Trim(hop, " \t")
		host, ok := strings.CutPrefix(host, "@")
		// RFC 5322 section 4.4 allows empty hops in its obsolete routes.
		if ok && host == "" || !ok && strings.Trim(hop, " \t") != "" || checkDomain(host) != nil {
			return 0, &SyntaxError{at, "bad source route"}
		}
		at += len(hop) + 1
	}
	return end, nil
}

// checkDomain refuses what would be read otherwise if it were written again.
func checkDomain(s string) *SyntaxError {
	if strings.HasPrefix(s, "[") {
		if s[len(s)-1] != ']' || len(s) == 1 {
			return &SyntaxError{len(s), "no ']'"}
		}
		for i := 1; i < len(s)-1; i++ {
			if c := s[i]; c <= ' ' || c >= 0x7f || c == '[' || c == '\\' || c == ']' || c == '@' || c == '"' || c == '<' || c == '>' {
				return &SyntaxError{i, "bad character in an address literal"}
			}
		}
		return nil
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`"\<>()[],:;@`, c) >= 0 {
			return &SyntaxError{i, "bad character in the domain"}
		}
	}
	return nil
}

// Null reports whether the path is the null sender (RFC 5321 section 4.5.5).
func (p Path) Null() bool { return p.Local == "" && p.Domain == "" }

// String returns the address without brackets and without its source route; "" for
// the null sender. The local part is quoted where RFC 5321 section 4.1.2 wants it,
// with as few backslashes as possible. ParsePath reads it as the same address.
func (p Path) String() string {
	switch {
	case p.Null():
		return ""
	case p.Domain == "":
		return quoteLocal(p.Local)
	}
	return quoteLocal(p.Local) + "@" + p.Domain
}

func quoteLocal(s string) string {
	if isDotString(s) {
		return s
	}
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(append(b, '"'))
}

func isDotString(s string) bool {
	prev := byte('.')
	for i := range len(s) {
		c := s[i]
		if c == '.' && prev == '.' || c != '.' && !isAtext(c) {
			return false
		}
		prev = c
	}
	return prev != '.'
}

// isAtext reports whether a byte may be in an atom (RFC 5322 section 3.2.3, RFC
// 6531 section 3.3). Bytes that are no UTF-8 count as if they were.
func isAtext(c byte) bool {
	return isAlnum(c) || c >= utf8.RuneSelf || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// Literal returns the IP address of a domain that is an address literal: "[192.0.2.1]"
// or "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3). An IPv4 address mapped into IPv6 is
// returned as IPv4.
// QUIRK: the tag "IPv6:" may be missing, as senders leave it out.
func (p Path) Literal() (netip.Addr, bool) {
	s, ok := strings.CutPrefix(p.Domain, "[")
	if !ok {
		return netip.Addr{}, false
	}
	if s, ok = strings.CutSuffix(s, "]"); !ok {
		return netip.Addr{}, false
	}
	const tag = "ipv6:"
	tagged := len(s) >= len(tag) && strings.EqualFold(s[:len(tag)], tag)
	if tagged {
		s = s[len(tag):]
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || tagged && a.Is4() {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// Canonical returns the path without its source route and with its domain as
// [ASCIIDomain] writes it. A domain that ASCIIDomain refuses has its ASCII letters in
// lower case. The local part is left alone: its case belongs to its domain (RFC
// 5321 section 2.4).
func (p Path) Canonical() Path {
	d, err := ASCIIDomain(p.Domain)
	if err != nil {
		d = lowerASCII(p.Domain)
	}
	return Path{Local: p.Local, Domain: d}
}

// Equal reports whether two paths are the same address: the same bytes in the local
// part, however they are quoted, and the same domain.
func (p Path) Equal(q Path) bool { return p.Canonical() == q.Canonical() }

// Fold returns the canonical address with the local part in lower case too: the
// key for tables where Jane@ and jane@ shall be one, as nearly all hosts
// deliver them to one.
func (p Path) Fold() string {
	p = p.Canonical()
	if utf8.ValidString(p.Local) {
		p.Local = strings.ToLower(p.Local)
	} else {
		p.Local = lowerASCII(p.Local)
	}
	return p.String()
}
