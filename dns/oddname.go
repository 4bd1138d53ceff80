package dns

import (
	"context"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// isOdd reports whether [net.Resolver] says of a name that is canonical, without asking, that there
// is no such host: user+tag.example.com, [192.0.2.1].example.com. Macros of SPF make such names, and
// there are wildcards that answer. Addresses are not odd: there are no such hosts.
func isOdd(canon string) bool {
	if strings.IndexByte(canon, '.') < 0 {
		return false
	}
	for label := range strings.SplitSeq(canon, ".") {
		if label[0] == '-' || label[len(label)-1] == '-' {
			return true
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return true
			}
		}
	}
	return false
}

// oddTXT is LookupTXT for a name that is odd.
func (s *System) oddTXT(ctx context.Context, canon string) (txts []string, err error) {
	found, err := s.records(ctx, canon, dnsmessage.TypeTXT)
	for _, body := range found {
		txts = append(txts, strings.Join(body.(*dnsmessage.TXTResource).TXT, ""))
	}
	if err == nil && txts == nil {
		err = notFound(canon, "")
	}
	return txts, err
}

// oddNetIP is LookupNetIP for a name that is odd.
func (s *System) oddNetIP(ctx context.Context, network, canon string) (addrs []netip.Addr, err error) {
	types := map[string][]dnsmessage.Type{"ip4": {dnsmessage.TypeA}, "ip6": {dnsmessage.TypeAAAA}, "ip": {dnsmessage.TypeA, dnsmessage.TypeAAAA}}[network]
	for _, t := range types {
		found, err := s.records(ctx, canon, t)
		if err != nil {
			return nil, err
		}
		for _, body := range found {
			switch body := body.(type) {
			case *dnsmessage.AResource:
				addrs = append(addrs, netip.AddrFrom4(body.A))
			case *dnsmessage.AAAAResource:
				addrs = append(addrs, netip.AddrFrom16(body.AAAA).Unmap())
			}
		}
	}
	if addrs == nil {
		return nil, notFound(canon, "")
	}
	return addrs, nil
}

// records returns the data of a type that a name has, or that it is an alias of.
func (s *System) records(ctx context.Context, canon string, t dnsmessage.Type) (found []dnsmessage.ResourceBody, err error) {
	r, q, err := s.query(ctx, canon, t)
	if err != nil || !r.exists {
		return nil, err
	}
	if found, err = r.records(q); err != nil {
		return nil, temporary(canon, "", "server misbehaving: "+err.Error())
	}
	return found, nil
}

// records returns the data that a reply has for q. Aliases are followed as far as the reply itself
// does: a server that does not do that for others is of no use.
func (r reply) records(q dnsmessage.Question) (found []dnsmessage.ResourceBody, err error) {
	all, err := r.answers.AllAnswers()
	if err != nil {
		return nil, err
	}
	name := q.Name
	for range maxChain + 1 {
		var alias *dnsmessage.CNAMEResource
		for _, rr := range all {
			switch body, isAlias := rr.Body.(*dnsmessage.CNAMEResource); {
			case rr.Header.Class != q.Class || !sameName(rr.Header.Name, name):
			case rr.Header.Type == q.Type:
				found = append(found, rr.Body)
			case isAlias && alias == nil:
				alias = body
			}
		}
		if found != nil || alias == nil {
			break
		}
		name = alias.CNAME
	}
	return found, nil
}
