package dns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// maxChain is how many aliases (CNAME) are followed; more, or a loop, are a server's
// failure, as a resolver answers that gives up on them.
const maxChain = 10

// A Zone answers from a zone file, see [ParseZone]: for tests, and for what an admin
// wants to try before it is published. It may be used by several goroutines at a time.
// Its answers are the caller's.
//
// Answers come in the order of the file, MX by preference. A name in no line does not
// exist; one that has lines below it only (b.example where there is a.b.example) does,
// without data.
type Zone struct {
	name  string // of the file, told as the server
	delay time.Duration
	names map[string]*node // by canonical name
}

// A node is what a zone has of one name.
type node struct {
	txt   []string
	mx    []net.MX
	ip    []netip.Addr
	ptr   []string
	ns    []string
	cname string // "" for none
	fails failure
	line  int // of its first line, 0 for a name that stands in none itself
}

// A failure is how a name does not answer.
type failure byte

const (
	answers failure = iota
	timesOut
	servFail
)

// hasData reports whether there are records beside a CNAME.
func (n *node) hasData() bool { return len(n.txt)+len(n.mx)+len(n.ip)+len(n.ptr)+len(n.ns) > 0 }

// LookupTXT returns the TXT records of a name, the strings of each joined.
func (z *Zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	n, err := z.find(ctx, name, func(n *node) bool { return len(n.txt) > 0 })
	if err != nil {
		return nil, err
	}
	return slices.Clone(n.txt), nil
}

// LookupMX returns the MX records of a name by preference, those of the same in the
// order of the file. Hosts end in a dot.
func (z *Zone) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	n, err := z.find(ctx, name, func(n *node) bool { return len(n.mx) > 0 })
	if err != nil {
		return nil, err
	}
	var out []*net.MX
	for _, mx := range n.mx {
		if validHost(mx.Host) {
			out = append(out, &mx)
		}
	}
	slices.SortStableFunc(out, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	return anyLeft(name, out)
}

// LookupNetIP returns the addresses of a name, of both families for the network "ip", of one
// for "ip4" and "ip6". An address is no name: for one it is told that there is no such host.
func (z *Zone) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	wanted := func(a netip.Addr) bool { return network == "ip" || a.Is4() == (network == "ip4") }
	n, err := z.find(ctx, host, func(n *node) bool { return slices.ContainsFunc(n.ip, wanted) })
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(n.ip), func(a netip.Addr) bool { return !wanted(a) }), nil
}

// LookupAddr returns the names of an address, each with a final dot: the PTR records of
// its name below in-addr.arpa or ip6.arpa.
func (z *Zone) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, notFound(addr, z.name)
	}
	n, err := z.find(ctx, reverseName(a), func(n *node) bool { return len(n.ptr) > 0 })
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range n.ptr {
		if validHost(name) {
			out = append(out, name)
		}
	}
	return anyLeft(addr, out)
}

// LookupNS returns the NS records of a name. Hosts end in a dot.
func (z *Zone) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	n, err := z.find(ctx, name, func(n *node) bool { return len(n.ns) > 0 })
	if err != nil {
		return nil, err
	}
	var out []*net.NS
	for _, host := range n.ns {
		if validHost(host) {
			out = append(out, &net.NS{Host: host})
		}
	}
	return anyLeft(name, out)
}

// LookupCNAME returns the name that a name is an alias of in the end, or where it has
// addresses the name itself, with a final dot.
func (z *Zone) LookupCNAME(ctx context.Context, host string) (string, error) {
	if err := z.wait(ctx, host); err != nil {
		return "", err
	}
	n, last, err := z.follow(host, func(n *node) bool { return len(n.ip) > 0 })
	first, _ := canonical(host)
	switch {
	case err == nil && n == nil && last == first, IsNotFound(err) && last == first:
		return "", notFound(host, z.name)
	case err != nil && !IsNotFound(err):
		return "", err
	}
	if !validHost(last) {
		return "", useless(host, invalidNames)
	}
	return last + ".", nil
}

// Exists is [Exister]'s.
func (z *Zone) Exists(ctx context.Context, name string) (bool, error) {
	if err := z.wait(ctx, name); err != nil {
		return false, err
	}
	canon, ok := canonical(name)
	if !ok {
		return false, nil
	}
	n := z.at(canon)
	if n != nil && !n.hasData() {
		if err := z.failed(n, name); err != nil {
			return false, err
		}
	}
	return n != nil, nil
}

// invalidNames is what [net.Resolver] says of an answer of which nothing is left when
// names that are none are taken away.
const invalidNames = "DNS response contained records which contain invalid names"

func anyLeft[T any](name string, v []T) ([]T, error) {
	if len(v) == 0 {
		return nil, useless(name, invalidNames)
	}
	return v, nil
}

// validHost reports whether net.Resolver lets a name through that stands in an answer.
func validHost(name string) bool {
	if name == "." {
		return true
	}
	_, ok := hostname(name)
	return ok
}

// wait waits as long as the zone says.
func (z *Zone) wait(ctx context.Context, name string) error {
	if z.delay > 0 {
		t := time.NewTimer(z.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return givenUp(name, err)
	}
	return nil
}

// find returns the first node in a chain of aliases that has what is asked for.
func (z *Zone) find(ctx context.Context, name string, has func(*node) bool) (*node, error) {
	if err := z.wait(ctx, name); err != nil {
		return nil, err
	}
	n, _, err := z.follow(name, has)
	if err == nil && n == nil {
		err = notFound(name, z.name)
	}
	return n, err
}

// follow goes along aliases to a node that has what is asked for. last is the name where
// it ended; the node is nil where that exists and has no such data.
func (z *Zone) follow(name string, has func(*node) bool) (n *node, last string, err error) {
	last, ok := canonical(name)
	if !ok {
		return nil, "", notFound(name, z.name)
	}
	var seen []string
	for {
		n := z.at(last)
		switch {
		case n == nil:
			return nil, last, notFound(name, z.name)
		case has(n):
			return n, last, nil
		case n.cname == "":
			if err := z.failed(n, name); err != nil {
				return nil, last, err
			}
			return nil, last, nil
		}
		seen = append(seen, last)
		target, ok := canonical(n.cname)
		switch {
		case !ok:
			return nil, last, notFound(name, z.name)
		case slices.Contains(seen, target):
			return nil, last, temporary(name, z.name, "server misbehaving: loop of aliases at "+target)
		case len(seen) > maxChain:
			return nil, last, temporary(name, z.name, fmt.Sprintf("server misbehaving: chain of more than %d aliases", maxChain))
		}
		last = target
	}
}

// at returns the node of a name, or of the wildcard that stands for it (RFC 4592), nil
// where there is none.
func (z *Zone) at(canon string) *node {
	if n, ok := z.names[canon]; ok {
		return n
	}
	for parent, ok := up(canon); ok; parent, ok = up(parent) {
		if n, ok := z.names["*."+parent]; ok {
			return n
		}
		if _, ok := z.names[parent]; ok {
			return nil // the closest encloser
		}
	}
	return nil
}

func up(name string) (parent string, ok bool) {
	_, parent, ok = strings.Cut(name, ".")
	return parent, ok
}

// failed returns the error of a node that does not answer, at once: tests must not wait.
func (z *Zone) failed(n *node, name string) error {
	switch n.fails {
	case timesOut:
		return &net.DNSError{Err: "i/o timeout", Name: name, Server: z.name, IsTimeout: true, IsTemporary: true}
	case servFail:
		return temporary(name, z.name, "server misbehaving")
	}
	return nil
}
