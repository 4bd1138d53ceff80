package spf

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxName is the length of a name in DNS (RFC 1035 section 2.3.4), maxExpansion that of one
// whose left labels are still to be cut off (RFC 7208 section 7.3).
const (
	maxName      = 253
	maxLabel     = 63
	maxExpansion = 8 << 10
)

// target returns the name that a term asks for, "" where none can be asked for.
func (e *evaluation) target(t *aliased) string {
	if t.spec == "" {
		return t.of.domain
	}
	name, err := expandMacros(t.spec, false, maxExpansion, func(c byte) string { return e.macro(c, t.of.domain) })
	if err != nil {
		return ""
	}
	return askable(name)
}

// askable returns a name as it is asked for: short enough, without a dot at the end. It
// returns "" for what is no name, such as one with an empty label.
func askable(name string) string {
	name = strings.TrimSuffix(name, ".")
	for len(name) > maxName { // RFC 7208 section 7.3
		i := strings.IndexByte(name, '.')
		if i < 0 {
			return ""
		}
		name = name[i+1:]
	}
	label := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c < ' ' || c > '~':
			return ""
		case c != '.':
			if label++; label > maxLabel {
				return ""
			}
		case label == 0:
			return ""
		default:
			label = 0
		}
	}
	if label == 0 {
		return ""
	}
	return name
}

// macro returns what a letter stands for (RFC 7208 section 7.2).
func (e *evaluation) macro(letter byte, domain string) string {
	switch letter {
	case 's':
		return e.local + "@" + e.domain
	case 'l':
		return e.local
	case 'o':
		return e.domain
	case 'd':
		return domain
	case 'i':
		if e.ip.Is4() {
			return e.ip.String()
		}
		return nibbles(e.ip)
	case 'p':
		return e.clientName(domain)
	case 'v':
		if e.ip.Is4() {
			return "in-addr"
		}
		return "ip6"
	case 'h':
		return e.helo
	case 'c':
		return e.ip.String()
	case 'r':
		return cmp.Or(e.receiver, "unknown")
	case 't':
		return strconv.FormatInt(e.now().Unix(), 10)
	}
	return ""
}

func nibbles(a netip.Addr) string {
	const hex = "0123456789ABCDEF" // as the suite has it; DNS does not care
	b := make([]byte, 0, 63)
	for i, c := range a.As16() {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, hex[c>>4], '.', hex[c&15])
	}
	return string(b)
}

// clientName returns the name of the client for %{p}: validated, rather the domain itself
// than a name below it, rather that than another one.
func (e *evaluation) clientName(domain string) string {
	if !e.haveNames {
		e.haveNames = true
		names, _ := e.lookupAddr()
		for _, n := range names {
			addrs, _ := e.lookupHost(n, "ptr")
			for _, a := range addrs {
				if ip, ok := netip.AddrFromSlice(a.IP); ok && ip.Unmap() == e.ip {
					e.names = append(e.names, strings.TrimSuffix(n, "."))
					break
				}
			}
		}
		slices.Sort(e.names) // DNS answers in whatever order
	}
	best := ""
	for _, n := range e.names {
		switch {
		case strings.EqualFold(n, domain):
			return n
		case best == "" || isBelow(n, domain) && !isBelow(best, domain):
			best = n
		}
	}
	return cmp.Or(best, "unknown")
}
