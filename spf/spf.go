package spf

import (
	"net/netip"
	"time"

	"github.com/gomilter/gomilter/dns"
)

// A Value is what a check comes to (RFC 7208 section 2.6).
type Value string

// The values.
const (
	None      Value = "none"
	Neutral   Value = "neutral"
	Pass      Value = "pass"
	Fail      Value = "fail"
	SoftFail  Value = "softfail"
	TempError Value = "temperror"
	PermError Value = "permerror"
)

// An Identity is what is checked.
type Identity string

// The identities.
const (
	MailFrom Identity = "mailfrom" // of the null sender, postmaster at the HELO name
	Helo     Identity = "helo"
)

// A Source says where the record came from that a Result is of.
type Source string

// The sources.
const (
	Published Source = ""          // the domain's own
	Local     Source = "local"     // Checker.Local
	Guess     Source = "guess"     // Checker.Guess
	Forwarder Source = "forwarder" // a trusted forwarder's, in place of the sender's
	Relay     Source = "relay"     // not asked: a trusted relay said so
)

// A Query is what is known of the client.
type Query struct {
	IP   netip.Addr
	From string // address of MAIL FROM without angle brackets; "" is the null sender
	Helo string
}

// A Result is what a check came to, and why.
type Result struct {
	Value       Value
	Identity    Identity
	Domain      string // whose record counted, lower case; "" where there is none to ask
	Sender      string // the address that was checked, such as postmaster@helo.example
	Source      Source
	Mechanism   string // the term that decided, such as "ip4:192.0.2.1"; "default" for none
	Explanation string // what the domain publishes with exp= for a fail, printable ASCII
	Problem     string // what is wrong with the record, or with DNS; for people
	Lookups     int    // terms that took a look-up
	Lax         Value  // of a permerror: what a lax reading of the record comes to; "" where not asked for
}

// Effective returns the value that policies go by: Lax where there is one.
func (r Result) Effective() Value {
	if r.Lax != "" {
		return r.Lax
	}
	return r.Value
}

// Checked is a fact: what was found of both identities of a message.
type Checked struct {
	MailFrom Result
	Helo     Result
}

// A Checker checks senders. The zero value but for Resolver works.
type Checker struct {
	Resolver dns.Resolver // nil means net.DefaultResolver

	// Receiver is the name of the host that checks, for macro %{r}; "" is "unknown".
	Receiver string

	// Guess is a record for domains without one, such as "v=spf1 a/24 mx/24 ptr"; ""
	// for none. A permerror of it is neutral, and with a temperror the result stays none.
	// Where it is no pass, the client passes if its HELO name is below the domain and
	// passes by a record of its own.
	Guess string

	// Local are records for domains that publish none, by domain in lower case. See
	// [CheckRecord], for those and for Guess.
	Local map[string]string

	// Forwarders are domains whose hosts may pass on mail of anybody: where the client is
	// allowed to send for one of them, the sender's own record is not asked. The first
	// one counts. One without a record, published or Local, has "v=spf1 a mx".
	Forwarders []string

	// Lax has broken records read once more, as their authors may have meant them:
	// misspelt names, bare addresses and trailing commas repaired, other terms that
	// nobody can read left out, default= heeded, up to 40 look-ups.
	Lax bool

	// Limits of one evaluation (RFC 7208 section 4.6.4). Forwarders, Guess, Local and Lax
	// make for one more each.
	MaxLookups     int           // terms that take a look-up; 0 means 10
	MaxVoids       int           // look-ups that find nothing; 0 means 2
	MaxMX          int           // hosts of one mx, more are a permerror; 0 means 10, and so does more
	MaxPTR         int           // names of the client, more are not looked at; 0 means 10, and so does more
	MaxRecord      int           // octets of a record, more are a permerror; 0 means 16 KiB
	MaxExplanation int           // octets of an explanation, a longer one is none; 0 means 1000
	Timeout        time.Duration // of one call of Check; 0 means 20 s

	Now func() time.Time // for macro %{t}; nil means time.Now
}
