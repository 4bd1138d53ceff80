package auth

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/address"
)

// An override is an [Override] with domains as checks tell them: A-labels in lower case.
type override struct {
	domains, spf, dkim []string
	clients            []netip.Prefix
	action             Action
}

func newOverride(v Override) (o override, problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	o = override{clients: v.Clients, action: v.Action}
	for _, l := range []struct {
		name string
		from []string
		to   *[]string
	}{{"Domains", v.Domains, &o.domains}, {"SPF", v.SPF, &o.spf}, {"DKIM", v.DKIM, &o.dkim}} {
		for _, d := range l.from {
			bare, below := strings.CutPrefix(d, "*.")
			ascii, err := address.ASCIIDomain(bare)
			if err != nil || !isDomain(ascii) {
				bad("%s: %q is no domain", l.name, d)
			}
			if below {
				ascii = "*." + ascii
			}
			*l.to = append(*l.to, ascii)
		}
		if l.from != nil && len(l.from) == 0 {
			bad("%s: it names no domain", l.name)
		}
	}
	switch {
	case v.Clients != nil && len(v.Clients) == 0:
		bad("Clients: it names no network")
	case len(v.Domains)+len(v.Clients)+len(v.SPF)+len(v.DKIM) == 0:
		bad("it names no message")
	}
	if v.Action > Reject {
		bad("there is no action %d", v.Action)
	}
	return o, problems
}

// A sender is what overrides look at: the author, and from where the message came.
type sender struct {
	author    string
	client    netip.Addr
	spf, dkim []string // domains that passed
}

// meets reports whether a message meets all that the override names, and says what.
func (o *override) meets(s *sender) (what string, ok bool) {
	var met []string
	for _, l := range []struct {
		name string
		list []string
		of   []string
	}{{"author", o.domains, []string{s.author}}, {"SPF", o.spf, s.spf}, {"DKIM", o.dkim, s.dkim}} {
		if l.list == nil {
			continue
		}
		i := slices.IndexFunc(l.of, func(d string) bool { return inDomains(l.list, d) })
		if i < 0 {
			return "", false
		}
		met = append(met, l.name+" "+l.of[i])
	}
	if o.clients != nil {
		if !slices.ContainsFunc(o.clients, func(p netip.Prefix) bool { return p.Contains(s.client) }) {
			return "", false
		}
		met = append(met, "client "+s.client.String())
	}
	return strings.Join(met, ", "), true
}

// inDomains reports whether a domain is in a list, which may hold "*.example.com".
func inDomains(list []string, domain string) bool {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	return domain != "" && slices.ContainsFunc(list, func(d string) bool {
		if parent, below := strings.CutPrefix(d, "*"); below {
			return strings.HasSuffix(domain, parent)
		}
		return d == domain
	})
}
