package spf

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gomilter/gomilter/dns"
)

var _ dns.Resolver = (*fakeDNS)(nil)

// A fakeDNS answers from maps, and can make answers up, which no zone file can.
type fakeDNS struct {
	txts   map[string][]string
	mxs    map[string][]*net.MX
	hosts  map[string][]netip.Addr
	ptrs   map[string][]string // by address
	cnames map[string]string
	fails  map[string]bool // where data of a type is not there

	makeTXT  func(name string) []string // nil, or what answers where there is no data
	makeHost func(name string) []netip.Addr

	asked atomic.Int64 // questions
	names chan<- string
}

func newFakeDNS() *fakeDNS {
	return &fakeDNS{txts: map[string][]string{}, mxs: map[string][]*net.MX{}, hosts: map[string][]netip.Addr{},
		ptrs: map[string][]string{}, cnames: map[string]string{}, fails: map[string]bool{}}
}

func (z *fakeDNS) fail(name string) { z.fails[key(name)] = true }

func (z *fakeDNS) txt(name string, txts ...string) {
	z.txts[key(name)] = append(z.txts[key(name)], txts...)
}

func (z *fakeDNS) host(name string, addrs ...string) {
	for _, a := range addrs {
		z.hosts[key(name)] = append(z.hosts[key(name)], netip.MustParseAddr(a))
	}
}

func (z *fakeDNS) mx(name string, pref int, host string) {
	z.mxs[key(name)] = append(z.mxs[key(name)], &net.MX{Pref: uint16(pref), Host: host + "."})
}

// ptr takes an address, or the name of one in the reverse zone.
func (z *fakeDNS) ptr(of, name string) {
	a := of
	if labels, ok := strings.CutSuffix(key(of), ".in-addr.arpa"); ok {
		l := strings.Split(labels, ".")
		a = l[3] + "." + l[2] + "." + l[1] + "." + l[0]
	} else if labels, ok := strings.CutSuffix(key(of), ".ip6.arpa"); ok {
		var b strings.Builder
		for i := len(labels) - 1; i >= 0; i -= 2 {
			b.WriteByte(labels[i])
			if i%8 == 0 && i > 0 {
				b.WriteByte(':')
			}
		}
		a = b.String()
	}
	a = netip.MustParseAddr(a).String()
	z.ptrs[a] = append(z.ptrs[a], strings.TrimSuffix(name, ".")+".")
}

func (z *fakeDNS) cname(name, to string) { z.cnames[key(name)] = key(to) }

func key(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// answer follows aliases and returns the data of a name.
func answer[T any](z *fakeDNS, ctx context.Context, data map[string][]T, name string) ([]T, error) {
	z.asked.Add(1)
	if z.names != nil {
		z.names <- name
	}
	if err := ctx.Err(); err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: name, IsTimeout: true}
	}
	k := key(name)
	for range 10 {
		to, ok := z.cnames[k]
		if !ok {
			break
		}
		k = to
	}
	switch {
	case z.cnames[k] != "":
		return nil, &net.DNSError{Err: "CNAME loop", Name: name, IsTemporary: true}
	case len(data[k]) > 0:
		return data[k], nil
	case z.fails[k]:
		return nil, &net.DNSError{Err: "timeout", Name: name, IsTimeout: true}
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z *fakeDNS) LookupTXT(ctx context.Context, name string) ([]string, error) {
	txts, err := answer(z, ctx, z.txts, name)
	if z.makeTXT != nil && dns.IsNotFound(err) {
		return z.makeTXT(name), nil
	}
	return txts, err
}

func (z *fakeDNS) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return answer(z, ctx, z.mxs, name)
}

func (z *fakeDNS) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	addrs, err := answer(z, ctx, z.hosts, host)
	if z.makeHost != nil && dns.IsNotFound(err) {
		addrs, err = z.makeHost(host), nil
	}
	if err != nil {
		return nil, err
	}
	addrs = slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return a.Is4() != (network == "ip4") })
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

func (z *fakeDNS) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, err
	}
	return answer(z, ctx, z.ptrs, a.String())
}

func (z *fakeDNS) LookupNS(context.Context, string) ([]*net.NS, error) {
	return nil, fmt.Errorf("SPF asks for no NS")
}

func (z *fakeDNS) LookupCNAME(context.Context, string) (string, error) {
	return "", fmt.Errorf("SPF asks for no CNAME")
}

// layered has TXT records of its own before those of another resolver.
type layered struct {
	dns.Resolver
	txt map[string]string
}

func (l layered) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if txt, ok := l.txt[name]; ok {
		return []string{txt}, nil
	}
	return l.Resolver.LookupTXT(ctx, name)
}
