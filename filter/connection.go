package filter

import (
	"net/netip"

	"github.com/gomilter/gomilter"
)

// A Connection is the SMTP client, as far as it is known.
type Connection struct {
	ID     string // of the connection, in logs
	Client milter.Client
	Helo   string // the last argument of HELO or EHLO
	facts  *facts
	note   func(why string)
}

// Class returns the class that the client has by its address alone; a message's
// own is [Transaction.Class].
func (c *Connection) class(n *Network) Class {
	switch a := c.Client.Addr.Addr(); {
	case c.Client.Family == milter.FamilyUnix || c.Client.Family == milter.FamilyUnknown:
		return Internal // a program of this host
	case contains(n.internal(), a):
		return Internal
	case contains(n.TrustedRelays, a):
		return TrustedRelay
	}
	return External
}

// Explain notes what the running filter saw, for the explanation of the message.
func (c *Connection) Explain(why string) { c.note(why) }

// A Network says which clients are our own.
type Network struct {
	Internal      []netip.Prefix // nil means 127.0.0.1 and ::1
	TrustedRelays []netip.Prefix // whose header fields may be believed
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}

func (n *Network) internal() []netip.Prefix {
	if n.Internal == nil {
		return loopback
	}
	return n.Internal
}

// contains never mixes address families: an IPv4 address mapped into IPv6 is an
// IPv4 address.
func contains(list []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// A Class is who sent a message, as far as that decides which checks apply.
type Class uint8

// The classes.
const (
	External      Class = iota
	TrustedRelay        // passes on mail of others; its header fields may be believed
	Internal            // one of our own networks, or a program of the MTA's host
	Authenticated       // by AUTH, for this message
)

var classNames = [...]string{"external", "trusted-relay", "internal", "authenticated"}

// String returns the class as in configurations.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "invalid class"
}

// MarshalText writes the class as in configurations.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
