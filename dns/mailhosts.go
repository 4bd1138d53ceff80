package dns

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// A Host is a mail server of a domain.
type Host struct {
	Name  string       // in lower case, without a final dot
	Pref  uint16       // lower is asked first
	Addrs []netip.Addr // as the resolver ordered them; at least one
}

// Local reports whether a host is of the machine or network that asks, as far as its
// name and addresses tell, and not one that a stranger's domain may send others to:
// localhost, or one with an address that [IsLocal].
func (h Host) Local() bool {
	last := h.Name[strings.LastIndexByte(h.Name, '.')+1:]
	return last == "localhost" || h.Name == "localhost.localdomain" || slices.ContainsFunc(h.Addrs, IsLocal)
}

// ErrNullMX says that a domain takes no mail, by a null MX (RFC 7505).
var ErrNullMX = errors.New("dns: null MX: the domain takes no mail")

// maxMailHosts is how many mail servers of a domain are looked up.
const maxMailHosts = 10

// MailHosts returns the mail servers of a domain in the order in which to ask them: by
// preference, those of the same shuffled (RFC 5321 section 5.1). Without an MX record
// it is the domain itself, if that has an address. Of the MX records the first 10 are
// looked at; hosts without an address are left out, and the same host twice is once.
//
// The error is [ErrNullMX], or a Resolver's: temporary, where a host that could not be
// looked up might have been one and no other is left, and otherwise IsNotFound.
func MailHosts(ctx context.Context, r Resolver, domain string) ([]Host, error) {
	mx, err := r.LookupMX(ctx, domain)
	switch {
	case IsNotFound(err), err == nil && len(mx) == 0:
		mx = []*net.MX{{Host: domain}}
	case errors.Is(err, ErrAnswer):
		return nil, notFound(domain, "") // there are MX records, and no host in them
	case err != nil:
		return nil, err
	case len(mx) == 1 && mx[0].Host == ".":
		return nil, ErrNullMX
	}
	mx = slices.Clone(mx)
	rand.Shuffle(len(mx), func(i, j int) { mx[i], mx[j] = mx[j], mx[i] })
	slices.SortStableFunc(mx, func(a, b *net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
	var hosts []Host
	var failed error
	seen := make(map[string]bool)
	for _, mx := range mx[:min(len(mx), maxMailHosts)] {
		name, ok := hostname(mx.Host)
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		addrs, err := r.LookupNetIP(ctx, "ip", name)
		if IsTemporary(err) && failed == nil {
			failed = err
		}
		h := Host{Name: name, Pref: mx.Pref}
		for _, a := range addrs {
			if a = a.Unmap(); !slices.Contains(h.Addrs, a) {
				h.Addrs = append(h.Addrs, a)
			}
		}
		if len(h.Addrs) > 0 {
			hosts = append(hosts, h)
		}
	}
	switch {
	case len(hosts) > 0:
		return hosts, nil
	case failed != nil:
		return nil, failed
	}
	return nil, notFound(domain, "")
}

// localNets are those that are not of the public Internet (RFC 6890 and its registries),
// but for those that netip knows.
var localNets = func() (nets []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8",       // this network
		"100.64.0.0/10",   // shared by the customers of a provider
		"192.0.0.0/24",    // protocol assignments
		"192.0.2.0/24",    // documentation
		"198.18.0.0/15",   // benchmarks
		"198.51.100.0/24", // documentation
		"203.0.113.0/24",  // documentation
		"240.0.0.0/4",     // reserved, and the broadcast address
		"64:ff9b:1::/48",  // translation inside a network
		"100::/64",        // discard
		"2001:db8::/32",   // documentation
		"3fff::/20",       // documentation
		"5f00::/16",       // segment routing
		"fec0::/10",       // site-local, once
	} {
		nets = append(nets, netip.MustParsePrefix(s))
	}
	return nets
}()

// Networks whose addresses carry an IPv4 address, and the byte where it begins.
var carriers = []struct {
	net netip.Prefix
	at  int
}{
	{netip.MustParsePrefix("::/96"), 12},           // IPv4-compatible, once
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64 (RFC 6052)
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4 (RFC 3056)
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // SIIT (RFC 2765)
}

// IsLocal reports whether addr cannot be that of a server on the public Internet:
// unspecified, loopback, private, link-local, multicast, documentation and others
// without a meaning there, also where an IPv6 address carries such an IPv4 address.
// The zero Addr is local.
func IsLocal(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || addr.IsUnspecified() || addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsMulticast() {
		return true
	}
	for _, n := range localNets {
		if n.Contains(addr) {
			return true
		}
	}
	for _, c := range carriers {
		if c.net.Contains(addr) {
			b := addr.As16()
			return IsLocal(netip.AddrFrom4([4]byte(b[c.at : c.at+4])))
		}
	}
	return false
}
