package auth

import "github.com/gomilter/gomilter/internal/enum"

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

var methodNames = enum.Names{Package: "auth", What: "method", List: []string{Auth: "auth", IPRev: "iprev", SPF: "spf", Helo: "helo", DKIM: "dkim", DMARC: "dmarc"}}

// String returns the method's name.
func (m Method) String() string { return methodNames.Name(uint8(m)) }

// MarshalText returns the method's name; the error is for one that is none.
func (m Method) MarshalText() ([]byte, error) { return methodNames.Marshal(uint8(m)) }

// UnmarshalText reads what MarshalText wrote; the error names what it cannot read.
func (m *Method) UnmarshalText(b []byte) error {
	i, err := methodNames.Unmarshal(b)
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

var actionNames = enum.Names{Package: "auth", What: "action", List: []string{Report: "report", Published: "published", Tag: "tag", Quarantine: "quarantine", Reject: "reject"}}

// String returns the action's name in configurations.
func (a Action) String() string { return actionNames.Name(uint8(a)) }

// MarshalText returns the action's name; the error is for one that is none.
func (a Action) MarshalText() ([]byte, error) { return actionNames.Marshal(uint8(a)) }

// UnmarshalText reads what MarshalText wrote; the error names what it cannot read.
func (a *Action) UnmarshalText(b []byte) error {
	i, err := actionNames.Unmarshal(b)
	*a = Action(i)
	return err
}
