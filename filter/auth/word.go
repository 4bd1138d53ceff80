package auth

import (
	"fmt"
	"slices"
)

// A Method is a way to find out who sent a message.
type Method uint8

// The methods, by their names in Authentication-Results; helo is spf of the HELO name.
const (
	_     Method = iota
	Auth         // SMTP AUTH (RFC 8601 section 2.7.4)
	IPRev        // the client's name in DNS (section 2.7.3)
	SPF          // of MAIL FROM (RFC 7208)
	Helo         // SPF of the HELO name
	DKIM         // signatures (RFC 6376)
	DMARC        // by what SPF and DKIM found (RFC 9989)
)

var methodNames = []string{Auth: "auth", IPRev: "iprev", SPF: "spf", Helo: "helo", DKIM: "dkim", DMARC: "dmarc"}

// String returns the method's name.
func (m Method) String() string { return name(methodNames, uint8(m)) }

// MarshalText returns the method's name; the error is for one that is none.
func (m Method) MarshalText() ([]byte, error) { return marshal(methodNames, uint8(m)) }

// UnmarshalText reads what MarshalText wrote; the error names what it cannot read.
func (m *Method) UnmarshalText(b []byte) error {
	i, err := unmarshal(methodNames, b, "method")
	*m = Method(i)
	return err
}

// An Action is what happens to a message that fails DMARC.
type Action uint8

// The actions. Published does what the author's domain asks for; the others do the same
// whatever that is.
const (
	Report     Action = iota // nothing: the results are written as those of any message
	Published                // what the domain's policy is: none, quarantine or reject
	Tag                      // the message gets a header field
	Quarantine               // the MTA holds the message
	Reject                   // the message is refused
)

var actionNames = []string{Report: "report", Published: "published", Tag: "tag", Quarantine: "quarantine", Reject: "reject"}

// String returns the action's name in configurations.
func (a Action) String() string { return name(actionNames, uint8(a)) }

// MarshalText returns the action's name; the error is for one that is none.
func (a Action) MarshalText() ([]byte, error) { return marshal(actionNames, uint8(a)) }

// UnmarshalText reads what MarshalText wrote; the error names what it cannot read.
func (a *Action) UnmarshalText(b []byte) error {
	i, err := unmarshal(actionNames, b, "action")
	*a = Action(i)
	return err
}

func name(names []string, i uint8) string {
	if int(i) < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("invalid (%d)", i)
}

func marshal(names []string, i uint8) ([]byte, error) {
	if int(i) < len(names) && names[i] != "" {
		return []byte(names[i]), nil
	}
	return nil, fmt.Errorf("auth: no name for %d", i)
}

func unmarshal(names []string, b []byte, what string) (uint8, error) {
	i := slices.Index(names, string(b))
	if i < 0 || len(b) == 0 {
		return 0, fmt.Errorf("auth: no %s is called %q", what, b)
	}
	return uint8(i), nil
}
