package main

import "github.com/gomilter/gomilter/dns"

// dnsFlag is the flag of verbs that ask DNS.
type dnsFlag struct {
	DNS string `name:"dns" placeholder:"FILE" help:"Answer DNS questions from this zone file, and ask nobody; docs/commands.md has its format under Zone files."`
}

// zone returns the resolver that the flag names, nil for none.
func (f *dnsFlag) zone() (dns.Resolver, error) {
	if f.DNS == "" {
		return nil, nil
	}
	z, err := dns.ReadZone(f.DNS)
	if err != nil {
		return nil, exit(exitData, err)
	}
	return z, nil
}

// resolver returns what answers.
func (f *dnsFlag) resolver() (dns.Resolver, error) {
	if z, err := f.zone(); z != nil || err != nil {
		return z, err
	}
	s, err := dns.NewSystem()
	if err != nil {
		return nil, exit(exitUnavailable, err)
	}
	return dns.NewCache(s, dns.CacheOptions{}), nil
}
