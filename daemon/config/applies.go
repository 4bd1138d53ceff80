package config

import (
	"net/netip"
	"regexp"
	"strings"
	"unicode"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/filter"
)

// compile makes a Step's Applies of the conditions other than classes; nil where there are
// none.
func (a Applies) compile(b *build) func(*filter.Transaction) bool {
	from, notFrom := newAddresses(b, "from", a.From), newAddresses(b, "not_from", a.NotFrom)
	rcpts, notRcpts := newAddresses(b, "rcpts", a.Rcpts), newAddresses(b, "not_rcpts", a.NotRcpts)
	client, notClient := newClients(b, "client", a.Client), newClients(b, "not_client", a.NotClient)
	if from == nil && notFrom == nil && rcpts == nil && notRcpts == nil && client == nil && notClient == nil {
		return nil
	}
	return func(t *filter.Transaction) bool {
		if from != nil || notFrom != nil {
			p := envelopePath(t.From())
			if from != nil && !from.match(p) || notFrom.match(p) {
				return false
			}
		}
		if client != nil && !client.match(t.Client.Host, t.Client.Addr.Addr()) || notClient.match(t.Client.Host, t.Client.Addr.Addr()) {
			return false
		}
		if rcpts == nil && notRcpts == nil {
			return true
		}
		for _, r := range t.Rcpts() {
			if p := envelopePath(r); (rcpts == nil || rcpts.match(p)) && !notRcpts.match(p) {
				return true
			}
		}
		return false
	}
}

// envelopePath reads an address of the envelope; one that is none is taken as it is.
func envelopePath(p filter.Path) address.Path {
	if path, err := address.ParsePath(p.Address); err == nil {
		return path.Canonical()
	}
	return address.Path{Local: p.Local, Domain: p.Domain}
}

// addresses match senders or recipients, in any case: plain ones by a map, those with
// wildcards one by one.
type addresses struct {
	null    bool
	exact   map[string]bool // whole addresses, folded
	domains map[string]bool // for all of their addresses
	globs   []addressGlob
}

type addressGlob struct {
	local  *regexp.Regexp // nil for all
	domain *address.HostGlob
}

// newAddresses compiles the list of a key; nil for one that is not there.
func newAddresses(b *build, key string, list []string) *addresses {
	if list == nil {
		return nil
	}
	warnNobody(b, key, list)
	a := &addresses{exact: make(map[string]bool), domains: make(map[string]bool)}
	for i, s := range list {
		why := severalAddresses(s)
		if why == "" {
			why = a.add(s)
		}
		if why != "" {
			b.bad(element("applies."+key, i), "%q %s", s, why)
		}
	}
	return a
}

// warnNobody tells of a list that nobody can be on, and keeps the filter from being asked.
func warnNobody(b *build, key string, list []string) {
	if len(list) == 0 && !strings.HasPrefix(key, "not_") && b.filter.Mode != filter.Off {
		b.warn("applies."+key, "nobody is in it, and the filter is asked about no message")
	}
}

// severalAddresses says what is wrong with an entry that looks like several; "" where it does
// not. What stands in quotes may be in one address.
func severalAddresses(s string) string {
	if i := strings.LastIndexByte(s, '@'); i > 1 && s[0] == '"' && s[i-1] == '"' && !strings.Contains(s[1:i-1], `"`) {
		s = s[i:]
	}
	if strings.ContainsAny(s, ",;") || strings.ContainsFunc(s, unicode.IsSpace) {
		return "has a comma or a blank; write one address each"
	}
	return ""
}

// add takes one entry; it returns what is wrong with it.
func (a *addresses) add(s string) string {
	if s == "<>" {
		a.null = true
		return ""
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return `has no "@"; write user@domain, @domain, or <> for the null sender`
	}
	local, domain := s[:at], s[at+1:]
	if local == "*" {
		local = ""
	}
	if !strings.ContainsAny(s, "*?") {
		d, err := address.ASCIIDomain(domain)
		switch {
		case err != nil || d == "":
			return "has no domain that can be one"
		case local == "":
			a.domains[d] = true
			return ""
		}
		p, err := address.ParsePath(s)
		if err != nil {
			return err.Error()
		}
		a.exact[p.Fold()] = true
		return ""
	}
	var g addressGlob
	if local != "" {
		g.local = regexp.MustCompile(`(?is)\A` + strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(local)) + `\z`)
	}
	h, err := address.ParseHostGlob(domain)
	if err != nil {
		return "has a domain that is no pattern: " + err.Error()
	}
	g.domain = &h
	a.globs = append(a.globs, g)
	return ""
}

func (a *addresses) match(p address.Path) bool {
	switch {
	case a == nil:
		return false
	case p.Null():
		return a.null
	case a.domains[p.Domain] || a.exact[p.Fold()]:
		return true
	}
	for _, g := range a.globs {
		if g.domain.Match(p.Domain) && (g.local == nil || g.local.MatchString(p.Local)) {
			return true
		}
	}
	return false
}

// clients match SMTP clients.
type clients struct {
	ips   *address.IPList
	hosts []address.HostGlob
}

func newClients(b *build, key string, list []string) *clients {
	if list == nil {
		return nil
	}
	warnNobody(b, key, list)
	c := new(clients)
	var ips []string
	for i, s := range list {
		if l, err := address.NewIPList(s); err == nil && !l.HasNames() {
			ips = append(ips, s)
			if whole := hostBits(s); whole != "" {
				b.warn(element("applies."+key, i), "%s means %s", s, whole)
			}
			continue
		}
		g, err := address.ParseHostGlob(s)
		if err != nil || strings.TrimSpace(s) != s || strings.Trim(s, "0123456789.:/") == "" {
			b.bad(element("applies."+key, i), "%q is neither an address, a network, nor a host's name with wildcards", s)
			continue
		}
		c.hosts = append(c.hosts, g)
	}
	c.ips, _ = address.NewIPList(ips...) // each was tried
	return c
}

func (c *clients) match(host string, ip netip.Addr) bool {
	if c == nil {
		return false
	}
	if _, ok := c.ips.Contains(ip); ok {
		return true
	}
	for _, g := range c.hosts {
		if g.Match(host) {
			return true
		}
	}
	return false
}
