package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Reverse is what the "iprev" check found of a client (RFC 8601 section 2.7.3). A
// filter that does it tells it as a fact.
type Reverse struct {
	Value Value    // pass, fail, temperror, permerror
	Name  string   // the first PTR name that leads back to the address, in lower case, without a final dot
	Names []string // the PTR names that were looked at, confirmed or not, as Name is written; 10 at most
	Why   string   // for people; it holds nothing that a host name or an address could not
}

// A Value is what iprev comes to.
type Value string

// The values of iprev.
const (
	Pass      Value = "pass"
	Fail      Value = "fail"      // no name of the address leads back to it
	TempError Value = "temperror" // a server did not answer
	PermError Value = "permerror" // the address has no PTR record
)

// maxReverse is how many names of an address are looked at. Who holds an address may
// give it thousands, each a question to ask.
const maxReverse = 10

// CheckReverse asks for the names of an address, and which of them lead back to it
// (RFC 8601 sections 3 and 2.7.3). It looks at 10 names at most, and at none after the
// first that does. An IPv4 address written as IPv6 (::ffff:192.0.2.1) is the IPv4 address.
//
// It is a temporary error where no name leads back and that of one could not be asked.
func CheckReverse(ctx context.Context, r Resolver, addr netip.Addr) Reverse {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return Reverse{Value: PermError, Why: "the client has no address"}
	}
	found, err := r.LookupAddr(ctx, addr.String())
	switch {
	case errors.Is(err, ErrAnswer):
		return Reverse{Value: Fail, Why: "the PTR records of " + addr.String() + " are no host names"}
	case IsNotFound(err), err == nil && len(found) == 0:
		return Reverse{Value: PermError, Why: "no PTR record for " + addr.String()}
	case err != nil:
		return Reverse{Value: TempError, Why: "no answer to the question for the PTR records of " + addr.String()}
	}
	network := "ip6"
	if addr.Is4() {
		network = "ip4"
	}
	var out Reverse
	var failed string
	for _, name := range found[:min(len(found), maxReverse)] {
		name, ok := hostname(name)
		if !ok || slices.Contains(out.Names, name) {
			continue
		}
		out.Names = append(out.Names, name)
		forward, err := r.LookupNetIP(ctx, network, name)
		if err != nil && IsTemporary(err) && failed == "" {
			failed = name
		}
		for _, a := range forward {
			if a.Unmap() == addr {
				out.Value, out.Name, out.Why = Pass, name, name+" leads back to "+addr.String()
				return out
			}
		}
	}
	switch {
	case failed != "":
		out.Value, out.Why = TempError, "no answer to the question for the addresses of "+failed
	case len(out.Names) == 0:
		out.Value, out.Why = Fail, "the PTR records of "+addr.String()+" are no host names"
	case len(found) > maxReverse:
		out.Value, out.Why = Fail, fmt.Sprintf("none of the first %d of %d names of %s leads back to it", maxReverse, len(found), addr)
	default:
		out.Value, out.Why = Fail, strings.Join(out.Names, ", ")+" does not lead back to "+addr.String()
	}
	return out
}
