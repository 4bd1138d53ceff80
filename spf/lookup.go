package spf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/dns"
)

var errNotFound error = &net.DNSError{Err: "no such host", IsNotFound: true}

// failed returns the error of a look-up as the library understands it, and keeps what
// is not merely the lack of data.
func (e *evaluation) failed(what, name string, err error) error {
	if dns.IsNotFound(err) {
		return errNotFound
	}
	e.useless = errors.Is(err, dns.ErrAnswer)
	if e.ctx.Err() != nil {
		e.cut = true
		err = e.ctx.Err()
	}
	e.trouble = what + " of " + shown(name) + ": " + shown(dnsText(err))
	return &net.DNSError{Err: e.trouble, IsTemporary: true}
}

// dnsText returns what an error says, without the name that it is about.
func dnsText(err error) string {
	if de, ok := errors.AsType[*net.DNSError](err); ok {
		return de.Err
	}
	return err.Error()
}

// LookupTXT answers the library with the record of a domain.
func (e *evaluation) LookupTXT(_ context.Context, name string) ([]string, error) {
	r := new(checkedRecord)
	t := e.alias(name)
	if t == nil {
		r.domain, e.top = e.domain, r
	} else {
		e.lookups++
		r.domain, t.next = e.target(t), r
	}
	var records []string
	var err error
	if t == nil && e.given != "" {
		records = []string{e.given}
	} else {
		records, err = e.lookupRecords(r.domain)
	}
	var broken string
	switch {
	case errors.Is(err, dns.ErrAnswer): // there may be a record in it
		broken = "records that cannot be used: " + shown(dnsText(err))
	case err != nil && !(e.lax && t != nil && dns.IsNotFound(err)):
		return nil, err
	case len(records) == 0 && e.lax && t != nil:
		return []string{version}, nil // an include of nothing matches nothing
	case len(records) == 0:
		return nil, nil
	case len(records) > 1:
		broken = "several records"
	case !isRecord(records[0]): // one of ours
		broken = errNoVersion.Error()
	case len(records[0]) > e.limits.record:
		broken = fmt.Sprintf("a record of %d octets, of %d", len(records[0]), e.limits.record)
	default:
		txt, err := e.show(r, records[0])
		if err == nil {
			return []string{txt}, nil
		}
		broken = err.Error()
	}
	if e.broken == "" {
		e.broken = shown(r.domain) + ": " + broken
	}
	return []string{version + " \x00"}, nil // no term that the library knows
}

// lookupRecords returns the SPF records of a domain. The error is one of failed, or wraps
// [dns.ErrAnswer].
func (e *evaluation) lookupRecords(domain string) ([]string, error) {
	if domain == "" {
		return nil, errNotFound
	}
	if err := e.ctx.Err(); err != nil {
		return nil, e.failed("TXT", domain, err)
	}
	txts, err := e.resolver.LookupTXT(e.ctx, domain)
	switch {
	case errors.Is(err, dns.ErrAnswer):
		return nil, err
	case err != nil:
		return nil, e.failed("TXT", domain, err)
	}
	var records []string
	for _, txt := range txts {
		if isRecord(txt) {
			records = append(records, txt)
		}
	}
	return records, nil
}

// LookupIPAddr answers the library with the addresses of a term, or of a host that
// LookupMX and LookupAddr named.
func (e *evaluation) LookupIPAddr(_ context.Context, name string) ([]net.IPAddr, error) {
	if t := e.alias(name); t != nil {
		e.lookups++
		return e.lookupHost(e.target(t), t.name)
	}
	return e.lookupHost(name, "")
}

// lookupHost returns the addresses of a host that are of the family of the client, or for
// the mechanism exists those of IPv4 (RFC 7208 sections 5 and 5.7). The others are not asked for:
// there are name servers that fail when they are.
func (e *evaluation) lookupHost(name, mechanism string) ([]net.IPAddr, error) {
	if name = askable(name); name == "" {
		return nil, errNotFound
	}
	if err := e.ctx.Err(); err != nil {
		return nil, e.failed("addresses", name, err)
	}
	network := "ip6"
	if e.ip.Is4() || mechanism == "exists" {
		network = "ip4"
	}
	found, err := e.resolver.LookupNetIP(e.ctx, network, name)
	if err != nil {
		return nil, e.failed("addresses", name, err)
	}
	addrs := make([]net.IPAddr, len(found))
	for i, a := range found {
		addrs[i].IP = a.Unmap().AsSlice()
	}
	return addrs, nil
}

// isAliasHost reports whether a host bears a name that only we give.
func isAliasHost(mx *net.MX) bool { return strings.HasPrefix(mx.Host, "\x00") }

// tooManyMX is an answer that the library refuses, because it is longer than 10.
var tooManyMX = make([]*net.MX, 11)

// LookupMX answers the library with the hosts of a term.
func (e *evaluation) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	t := e.alias(name)
	if t == nil {
		return nil, errNotFound
	}
	e.lookups++
	if name = e.target(t); name == "" {
		return nil, errNotFound
	}
	if err := e.ctx.Err(); err != nil {
		return nil, e.failed("MX", name, err)
	}
	hosts, err := e.resolver.LookupMX(e.ctx, name)
	if slices.ContainsFunc(hosts, isAliasHost) {
		hosts = slices.DeleteFunc(slices.Clone(hosts), isAliasHost)
	}
	switch {
	case errors.Is(err, dns.ErrAnswer) && len(hosts) == 0: // none of them is a host
		return nil, errNotFound
	case err != nil && len(hosts) == 0: // else some are invalid, the others are not
		return nil, e.failed("MX", name, err)
	case len(hosts) <= e.limits.mx:
		return hosts, nil
	case e.lax:
		return hosts[:e.limits.mx], nil
	}
	return tooManyMX, nil
}

// LookupAddr answers the library with the names of the client. The library takes any error
// for the lack of names.
func (e *evaluation) LookupAddr(context.Context, string) ([]string, error) {
	e.lookups++
	e.ptrCounted = true
	names, err := e.lookupAddr()
	if err != nil && !dns.IsNotFound(err) {
		return []string{"\x00"}, nil // not a look-up that found nothing, but no name either
	}
	return names, nil
}

func (e *evaluation) lookupAddr() ([]string, error) {
	if err := e.ctx.Err(); err != nil {
		return nil, e.failed("PTR", e.ip.String(), err)
	}
	names, err := e.resolver.LookupAddr(e.ctx, e.ip.String())
	switch {
	case len(names) == 0 && errors.Is(err, dns.ErrAnswer):
		return nil, err
	case err != nil && len(names) == 0:
		return nil, e.failed("PTR", e.ip.String(), err)
	}
	return names[:min(len(names), e.limits.ptr)], nil
}
