package milter

import (
	"net/netip"

	"github.com/gomilter/gomilter/internal/wire"
)

// A Family is the kind of address an SMTP client came from.
type Family = wire.Family

// The families.
const (
	FamilyUnknown = wire.FamilyUnknown // nothing is known, as for sendmail -bs
	FamilyUnix    = wire.FamilyUnix    // a unix socket
	FamilyInet    = wire.FamilyInet    // IPv4
	FamilyInet6   = wire.FamilyInet6   // IPv6
)

// A Client is what the MTA says of the SMTP client. Of Host and Path at most 4 KiB
// are kept.
type Client struct {
	// Host is the client's verified name, or its address in brackets when it has
	// none: "[192.0.2.7]", "[IPv6:2001:db8::7]" (Sendmail), "[2001:db8::7]"
	// (Postfix). Local submissions come from "localhost".
	Host string

	Family Family

	// Addr is the address and port of an IPv4 or IPv6 client, not valid for other
	// families. An IPv4 address mapped into IPv6 is an IPv4 address here. The port
	// is 0 where the MTA does not know it.
	Addr netip.AddrPort

	// Path is the path of a unix client.
	Path string
}

// maxKept is how much is kept for the whole connection of what the SMTP client or
// its DNS says of itself, in bytes. No MTA passes on as much.
const maxKept = 4 << 10

func kept(b []byte) []byte { return b[:min(len(b), maxKept)] }

func newClient(p []byte) (Client, error) {
	c, err := wire.Connect(p)
	if err != nil {
		return Client{}, err
	}
	out := Client{Host: string(kept(c.Host)), Family: c.Family}
	switch c.Family {
	case FamilyUnix:
		out.Path = string(kept(c.Address))
	case FamilyInet, FamilyInet6:
		a, err := c.Addr()
		if err != nil {
			return Client{}, err
		}
		out.Addr = netip.AddrPortFrom(a, c.Port)
		if a.Is4() {
			out.Family = FamilyInet
		}
	}
	return out, nil
}
