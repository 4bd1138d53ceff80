package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const (
	maxName  = 253 // bytes in a name as text, without the final dot (RFC 1035 section 2.3.4)
	maxLabel = 63
)

// canonical returns a name in lower case and without its final dot, or false for what
// cannot be asked: labels are 1 to 63 bytes, all of them 253, of printable ASCII without
// blanks and backslashes. It allocates for upper case only.
func canonical(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".")
	if len(name) > maxName {
		return "", false
	}
	label, upper := 0, false
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.':
			if label == 0 {
				return "", false
			}
			label = -1
		case c <= ' ', c >= 0x7f, c == '\\':
			return "", false
		case 'A' <= c && c <= 'Z':
			upper = true
		}
		if label++; label > maxLabel {
			return "", false
		}
	}
	if label == 0 {
		return "", false
	}
	if upper {
		name = strings.ToLower(name)
	}
	return name, true
}

// hostname returns the name of a host as canonical does, or false for what is none:
// data of others may hold anything. Letters, digits, hyphens inside of labels, and
// underscores, which are no better but are used; and the last label is not all digits,
// so that no address is a name.
func hostname(name string) (string, bool) {
	name, ok := canonical(name)
	if !ok {
		return "", false
	}
	digits := false
	for label := range strings.SplitSeq(name, ".") {
		digits = true
		for i := range len(label) {
			switch c := label[i]; {
			case '0' <= c && c <= '9':
			case 'a' <= c && c <= 'z', c == '_', c == '-' && i > 0 && i < len(label)-1:
				digits = false
			default:
				return "", false
			}
		}
	}
	return name, !digits
}

// reverseName returns the name below which the names of an address are (RFC 1035
// section 3.5, RFC 3596 section 2.5), without a final dot.
func reverseName(addr netip.Addr) string {
	const hex = "0123456789abcdef"
	addr = addr.Unmap()
	if addr.Is4() {
		b := addr.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	}
	var out strings.Builder
	for _, c := range slices.Backward(addr.AsSlice()) {
		out.Write([]byte{hex[c&15], '.', hex[c>>4], '.'})
	}
	return out.String() + "ip6.arpa"
}
