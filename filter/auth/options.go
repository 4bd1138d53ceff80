package auth

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/spf"
)

// Options say what is found out, and what happens then. The zero value of each is its
// default.
type Options struct {
	// Resolver answers questions about names; nil means net.DefaultResolver. A
	// [dns.Cache] before it serves all filters.
	Resolver dns.Resolver

	// ID is the authserv-id: whose results they are. "" means the MTA's macro j, and
	// where that is not sent the name of the host. It is printable ASCII without blanks
	// and without any of ()<>@,;:\"/[]?=
	ID string

	// Methods are those that are used; nil means all.
	Methods []Method

	// ReceivedSPF adds a Received-SPF field (RFC 7208 section 9.1) for each identity that was
	// checked.
	ReceivedSPF bool

	// DNSTime is how long all look-ups of a message may take together; 0 means 10 s. MailTime
	// is how much of it they may take at MAIL, where a chain has 7 s for all filters and Sendmail
	// waits for 10; 0 means 6 s.
	DNSTime, MailTime time.Duration

	SPF   SPFOptions
	DKIM  DKIMOptions
	DMARC DMARCOptions

	// Believe are authserv-ids of trusted relays. What such a relay wrote into its topmost
	// Authentication-Results field becomes facts, as long as only fields of mail servers stand
	// above it and no more than one of them is Received. The relay has to take out
	// those that others forge in its name.
	Believe []string
}

// SPFOptions are those of SPF. What they name is off by default.
type SPFOptions struct {
	// Guess is a record for domains without one, such as "v=spf1 a/24 mx/24 ptr". What it
	// comes to is no authentication: it is a fact, and a comment in the field.
	Guess string
	// Local are records for domains that publish none, by domain in lower case.
	Local map[string]string
	// Forwarders are domains whose hosts may pass on mail of anybody.
	Forwarders []string
	// Lax has broken records read once more, as their authors may have meant them. Policies
	// may go by it; the field and DMARC do not.
	Lax bool

	MaxLookups int // terms of a record that take a look-up (RFC 7208 section 4.6.4); 0 means 10
	MaxVoids   int // look-ups that find nothing; 0 means 2
	MaxRecord  int // bytes of a record; 0 means 16 KiB
}

// DKIMOptions are those of DKIM.
type DKIMOptions struct {
	// Classes are those of the messages whose signatures are verified; nil means External
	// and TrustedRelay.
	Classes []filter.Class

	MaxSignatures int // that are verified, the topmost; 0 means 10
	MinRSABits    int // of keys; 0 means 1024, and less is not possible
	MaxRSABits    int // of keys; 0 means 8192
	MaxNames      int // in h=; 0 means 1000
	MaxField      int // bytes of a DKIM-Signature; 0 means 64 KiB
}

// DMARCOptions are those of DMARC. By default it is written what the check came to, and no more.
type DMARCOptions struct {
	// Action is what happens to a message of class External that fails.
	Action Action

	// Mark lets Published mark the messages that a policy wants quarantined, in place of
	// having the MTA hold them.
	Mark bool

	// Field is the header field by which messages are marked; "" means X-DMARC-Warning. One
	// that comes with a message is taken out.
	Field string

	// Overrides are exceptions. The first that a message meets counts.
	Overrides []Override

	// PublicSuffix finds organizational domains by the public suffix list as RFC 7489 did, in
	// place of the tree walk of RFC 9989.
	PublicSuffix bool

	// MaxDomains is how many domains that authenticated are compared with the author's; 0
	// means 10.
	MaxDomains int
}

// An Override is what happens to messages that fail DMARC and meet all that it names. A domain
// such as "*.example.com" stands for all below example.com.
type Override struct {
	Domains []string // of authors

	// The forwarder that the message came from:
	Clients []netip.Prefix // its network
	SPF     []string       // domains for which MAIL FROM or HELO passed SPF
	DKIM    []string       // domains of signatures that passed

	Action Action
}

// ErrOptions is in the errors of [New].
var ErrOptions = errors.New("auth: options are not right")

// settings are options with all defaults filled in.
type settings struct {
	Options
	host  string // stands in for macro j
	lists []override
}

func newSettings(o Options) (*settings, error) {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: %s", ErrOptions, fmt.Sprintf(format, args...)))
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.ID != "" && !isID(o.ID) {
		bad("ID %q is no authserv-id", o.ID)
	}
	for i, m := range o.Methods {
		if m == 0 || m > DMARC {
			bad("there is no method %d", m)
		} else if slices.Contains(o.Methods[:i], m) {
			bad("method %v is named twice", m)
		}
	}
	if o.Methods == nil {
		o.Methods = []Method{Auth, IPRev, SPF, Helo, DKIM, DMARC}
	} else if len(o.Methods) == 0 {
		bad("it has no method")
	}
	if o.DNSTime < 0 || o.MailTime < 0 {
		bad("a time is less than 0")
	}
	if o.MailTime > o.DNSTime && o.DNSTime != 0 {
		bad("MailTime is more than DNSTime")
	}
	o.DNSTime = cmp.Or(o.DNSTime, 10*time.Second)
	o.MailTime = cmp.Or(o.MailTime, min(6*time.Second, o.DNSTime))
	for domain, record := range o.SPF.Local {
		switch {
		case !isDomain(domain) || domain != strings.ToLower(domain):
			bad("Local: %q is no domain in lower case", domain)
		case spf.CheckRecord(record) != nil:
			bad("Local: the record for %s: %v", domain, spf.CheckRecord(record))
		}
	}
	if o.SPF.Guess != "" && spf.CheckRecord(o.SPF.Guess) != nil {
		bad("Guess: %v", spf.CheckRecord(o.SPF.Guess))
	}
	for _, d := range o.SPF.Forwarders {
		if !isDomain(d) {
			bad("Forwarders: %q is no domain", d)
		}
	}
	if o.DKIM.Classes == nil {
		o.DKIM.Classes = []filter.Class{filter.External, filter.TrustedRelay}
	}
	for _, c := range o.DKIM.Classes {
		if c > filter.Authenticated {
			bad("there is no class %d", c)
		}
	}
	for _, n := range []int{o.SPF.MaxLookups, o.SPF.MaxVoids, o.SPF.MaxRecord, o.DKIM.MaxSignatures, o.DKIM.MinRSABits, o.DKIM.MaxRSABits, o.DKIM.MaxNames, o.DKIM.MaxField, o.DMARC.MaxDomains} {
		if n < 0 {
			bad("a limit is less than 0")
		}
	}
	if n := o.DKIM.MinRSABits; n > 0 && n < 1024 {
		bad("MinRSABits is %d, and keys of less than 1024 bits are not accepted (RFC 8301)", n)
	}
	if least, most := o.DKIM.MinRSABits, cmp.Or(o.DKIM.MaxRSABits, 8192); least > most {
		bad("MinRSABits is %d, more than MaxRSABits", least)
	}
	if o.DMARC.Action > Reject {
		bad("there is no action %d", o.DMARC.Action)
	}
	o.DMARC.Field = cmp.Or(o.DMARC.Field, "X-DMARC-Warning")
	if err := filter.CheckTag(o.DMARC.Field); err != nil {
		bad("Field: %v", err)
	}
	for _, id := range o.Believe {
		if !isID(id) {
			bad("Believe: %q is no authserv-id", id)
		}
	}
	s := &settings{Options: o, host: hostName()}
	for i, v := range o.DMARC.Overrides {
		l, problems := newOverride(v)
		for _, p := range problems {
			bad("override %d: %s", i+1, p)
		}
		s.lists = append(s.lists, l)
	}
	return s, errors.Join(errs...)
}

// does reports whether a method is used.
func (s *settings) does(m Method) bool { return slices.Contains(s.Methods, m) }

// marks reports whether messages may be marked.
func (s *settings) marks() bool {
	return s.uses(Tag) || s.uses(Published) && s.DMARC.Mark
}

// holds reports whether the MTA may be asked to hold messages.
func (s *settings) holds() bool {
	return s.uses(Quarantine) || s.uses(Published) && !s.DMARC.Mark
}

func (s *settings) uses(a Action) bool {
	return s.does(DMARC) && (s.DMARC.Action == a || slices.ContainsFunc(s.lists, func(o override) bool { return o.action == a }))
}

// hostName returns the name of this host, as far as it can be an authserv-id.
func hostName() string {
	if name, err := os.Hostname(); err == nil && isID(name) {
		return name
	}
	return "localhost"
}

// maxID is how long an authserv-id may be: as long as a domain (RFC 1035 section 2.3.4).
const maxID = 255

// isID reports whether an authserv-id is a token (RFC 2045 section 5.1), so that all who read it
// find the same.
func isID(s string) bool {
	return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool { return !isToken(r) })
}

// isToken reports whether a letter may stand in a token.
func isToken(r rune) bool { return r > ' ' && r < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?=`, r) }

// isDomain reports whether a name has the form of a domain in ASCII.
func isDomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			return false
		}
	}
	return true
}
