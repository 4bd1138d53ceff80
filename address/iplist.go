package address

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An IPList is a set of IP addresses, compiled from the patterns of an administrator:
//
//	192.0.2.1  192.0.2.0/24       one IPv4 address, a network
//	2001:db8::1  2001:db8::/32    the same in IPv6
//	192.0.2.*  127.*  10.1*.*     an IPv4 glob whose stars come last, as old lists have it
//	mx.example.com                the addresses of a host, see [IPList.Refresh]
//	example.com/24                the networks of its IPv4 addresses: up to 32 bits
//	example.com/48                the networks of its IPv6 addresses: more than 32 bits
//
// Bits behind the length of a network are ignored. Families never mix: an IPv4
// pattern holds IPv4 addresses only, and IPv4 addresses mapped into IPv6
// (::ffff:192.0.2.1) are IPv4, in patterns and in lookups.
//
// An IPList is safe for concurrent use.
type IPList struct {
	patterns []string
	fixed    []network
	names    []hostPattern
	table    atomic.Pointer[ipTable]

	refreshing sync.Mutex
	resolved   [][]netip.Addr // of each name, the last answer; under refreshing
}

// A network is a prefix with the place of its pattern in the list.
type network struct {
	netip.Prefix
	pattern int
}

type hostPattern struct {
	host    string
	bits    int // -1 for the addresses alone
	pattern int
}

// A PatternError names a pattern that an [IPList] or a [HostGlob] refuses.
type PatternError struct {
	Pattern string
	Reason  string
}

func (e *PatternError) Error() string {
	return fmt.Sprintf("address: pattern %q: %s", e.Pattern, e.Reason)
}

// NewIPList compiles patterns. Host names in them hold no address before the first
// [IPList.Refresh].
//
// The error joins a [*PatternError] for each pattern that is bad: a prefix longer
// than the address, leading zeros, zones, half an address, a glob that is no list of
// networks, what is neither address nor host name.
func NewIPList(patterns ...string) (*IPList, error) {
	l := &IPList{patterns: slices.Clone(patterns)}
	var errs []error
	for i, p := range patterns {
		if reason := l.add(i, strings.TrimSpace(p)); reason != "" {
			errs = append(errs, &PatternError{p, reason})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	l.resolved = make([][]netip.Addr, len(l.names))
	l.table.Store(newIPTable(l.fixed))
	return l, nil
}

// add compiles one pattern and returns what is wrong with it.
func (l *IPList) add(at int, p string) (reason string) {
	if p == "" {
		return "it is empty"
	}
	base, length, slash := strings.Cut(p, "/")
	if strings.ContainsAny(p, "*?") {
		nets, reason := globNetworks(p)
		for _, n := range nets {
			l.fixed = append(l.fixed, network{n, at})
		}
		return reason
	}
	bits := -1
	if slash {
		n, err := strconv.ParseUint(length, 10, 8)
		if err != nil || strconv.FormatUint(n, 10) != length || n > 128 {
			return "the length behind the slash is no number from 0 to 32, or to 128 for IPv6"
		}
		bits = int(n)
	}
	addr, err := netip.ParseAddr(base)
	switch {
	case err == nil:
		n, reason := prefixOf(addr, bits)
		if reason == "" {
			l.fixed = append(l.fixed, network{n, at})
		}
		return reason
	case strings.Contains(base, ":"):
		return "no IPv6 address"
	case strings.Trim(base[strings.LastIndexByte(base, '.')+1:], "0123456789") == "":
		return "no IPv4 address: four numbers from 0 to 255 without leading zeros"
	}
	host, err := ASCIIDomain(base)
	if err != nil || strings.HasPrefix(host, "[") {
		return "neither an IP address nor a host name"
	}
	l.names = append(l.names, hostPattern{host, bits, at})
	return ""
}

// prefixOf returns the network of an address; -1 bits are all of them.
func prefixOf(a netip.Addr, bits int) (n netip.Prefix, reason string) {
	switch {
	case a.Zone() != "":
		return n, "a zone has no meaning here"
	case bits > a.BitLen():
		return n, "an IPv4 network has no more than 32 bits"
	case a.Is4In6() && bits >= 0 && bits < 96:
		return n, "it mixes IPv4 and IPv6"
	case a.Is4In6() && bits >= 0:
		bits -= 96
	}
	if a = a.Unmap(); bits < 0 {
		bits = a.BitLen()
	}
	return netip.PrefixFrom(a, bits).Masked(), ""
}

// globNetworks returns the networks of an IPv4 glob.
func globNetworks(p string) (nets []netip.Prefix, reason string) {
	if p == "*" {
		return nil, "write 0.0.0.0/0 for all of IPv4, ::/0 for all of IPv6"
	}
	const bad = "a glob is an IPv4 address that ends in stars, as 192.0.2.* or 10.1*.*; write others as networks"
	octets := strings.Split(p, ".")
	stars := 0
	for stars < len(octets) && octets[len(octets)-1-stars] == "*" {
		stars++
	}
	fixed := octets[:len(octets)-stars]
	var a [4]byte
	if len(octets) > 4 || len(fixed) == 0 {
		return nil, bad
	}
	last := fixed[len(fixed)-1]
	begin, partial := strings.CutSuffix(last, "*")
	if partial {
		fixed = fixed[:len(fixed)-1]
	}
	for i, o := range fixed {
		n, err := strconv.ParseUint(o, 10, 8)
		if err != nil || strconv.FormatUint(n, 10) != o {
			return nil, bad
		}
		a[i] = byte(n)
	}
	bits := 8 * len(fixed)
	if !partial {
		if bits == 32 {
			return nil, bad
		}
		return []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4(a), bits)}, ""
	}
	for n := range 256 {
		if s := strconv.Itoa(n); strings.HasPrefix(s, begin) {
			a[len(fixed)] = byte(n)
			nets = append(nets, netip.PrefixFrom(netip.AddrFrom4(a), bits+8))
		}
	}
	if len(nets) == 0 || strings.Trim(begin, "0123456789") != "" {
		return nil, bad
	}
	return nets, ""
}

// Contains reports whether an address is in the list, and by which pattern as it was
// given: the first that holds it. A zone is ignored. The zero Addr, as of a
// client without an IP address, is in no list. It allocates nothing.
func (l *IPList) Contains(a netip.Addr) (pattern string, ok bool) {
	if i := l.table.Load().find(a.Unmap().WithZone("")); i >= 0 {
		return l.patterns[i], true
	}
	return "", false
}

// A Resolver looks up the addresses of a host, as [net.Resolver.LookupNetIP] does.
// network is "ip", "ip4" or "ip6".
type Resolver func(ctx context.Context, network, host string) ([]netip.Addr, error)

// HasNames reports whether a host name is among the patterns, so that Refresh has work.
func (l *IPList) HasNames() bool { return len(l.names) > 0 }

// Refresh looks up the host names of the list, one behind the other, and then puts the
// answers in force together. Lookups in the list go on meanwhile with what there was.
//
// A name that does not exist, or has no addresses, holds none from now on. Where
// DNS gives no answer the name keeps the addresses it had, and the joined errors
// say so.
func (l *IPList) Refresh(ctx context.Context, resolve Resolver) error {
	l.refreshing.Lock()
	defer l.refreshing.Unlock()
	var errs []error
	nets := slices.Clone(l.fixed)
	for i, n := range l.names {
		addrs, err := resolve(ctx, n.network(), n.host)
		if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
			addrs, err = nil, nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("address: look up %s: %w", n.host, err))
		} else {
			l.resolved[i] = addrs
		}
		for _, a := range l.resolved[i] {
			a = a.Unmap().WithZone("")
			if !a.IsValid() || n.bits >= 0 && a.Is4() != (n.bits <= 32) {
				continue // the resolver gave another family than it was asked for
			}
			if p, reason := prefixOf(a, n.bits); reason == "" {
				nets = append(nets, network{p, n.pattern})
			}
		}
	}
	l.table.Store(newIPTable(nets))
	return errors.Join(errs...)
}

func (h hostPattern) network() string {
	switch {
	case h.bits < 0:
		return "ip"
	case h.bits <= 32:
		return "ip4"
	}
	return "ip6"
}

// Run refreshes the list at once and then whenever the time every has passed, until
// ctx is done. Errors are handed to report, unless that is nil. Without host names in
// the list it returns at once. Run panics when every is not positive.
func (l *IPList) Run(ctx context.Context, resolve Resolver, every time.Duration, report func(error)) {
	if !l.HasNames() {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := l.Refresh(ctx, resolve); err != nil && report != nil && ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// An ipTable finds networks: a map lookup for each length that occurs.
type ipTable struct {
	v4, v6 []int // the lengths, each once
	nets   map[netip.Prefix]int
}

func newIPTable(nets []network) *ipTable {
	t := &ipTable{nets: make(map[netip.Prefix]int, len(nets))}
	for _, n := range nets {
		if first, ok := t.nets[n.Prefix]; !ok || n.pattern < first {
			t.nets[n.Prefix] = n.pattern
		}
		lengths := &t.v6
		if n.Addr().Is4() {
			lengths = &t.v4
		}
		if !slices.Contains(*lengths, n.Bits()) {
			*lengths = append(*lengths, n.Bits())
		}
	}
	return t
}

// find returns the lowest pattern that holds an address, or -1.
func (t *ipTable) find(a netip.Addr) int {
	lengths := t.v6
	if a.Is4() {
		lengths = t.v4
	}
	best := -1
	for _, bits := range lengths {
		p, err := a.Prefix(bits)
		if err != nil {
			break // the zero Addr
		}
		if i, ok := t.nets[p]; ok && (best < 0 || i < best) {
			best = i
		}
	}
	return best
}
