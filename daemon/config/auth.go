package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/policy"
)

var authKind = filterKind{
	name: "auth",
	doc:  "finds out who sent a message, by SPF, iprev, DKIM and DMARC, and writes it into one Authentication-Results field",
	options: func() any {
		return &Auth{Methods: []auth.Method{auth.Auth, auth.IPRev, auth.SPF, auth.Helo, auth.DKIM, auth.DMARC}, DNSTime: 10 * time.Second, MailTime: 6 * time.Second,
			Believe: []string{},
			SPF:     AuthSPF{Local: []AuthRecord{}, Forwarders: []string{}, MaxLookups: 10, MaxVoids: 2, MaxRecord: 16 << 10},
			DKIM:    AuthDKIM{Class: []filter.Class{filter.External, filter.TrustedRelay}, MaxSignatures: 10, MinRSABits: 1024, MaxRSABits: 8192, MaxNames: 1000, MaxField: 64 << 10},
			DMARC:   AuthDMARC{Field: "X-DMARC-Warning", MaxDomains: 10, Overrides: []AuthOverride{}}}
	},
	build: func(b *build) *filter.Filter { return b.filter.Options.(*Auth).build(b) },
	tells: func(o any) []policy.Identity { return o.(*Auth).tells() },
}

// Auth is the table of a filter of kind auth.
type Auth struct {
	ID          string        `toml:"id" doc:"the authserv-id: whose results they are; the default is the mail server's name (macro j), or that of the host"`
	Methods     []auth.Method `toml:"methods" doc:"what is found out; helo is SPF of the HELO name, auth is SMTP AUTH"`
	ReceivedSPF bool          `toml:"received_spf" doc:"add Received-SPF fields, too"`
	DNSTime     time.Duration `toml:"dns_time" doc:"for all look-ups of a message; what is not known then is a temperror, for which nothing is refused unless policies say so"`
	MailTime    time.Duration `toml:"mail_time" doc:"how much of it may pass at MAIL, where all filters of a chain have filters_stage"`
	Believe     []string      `toml:"believe" doc:"authserv-ids of trusted relays, whose topmost Authentication-Results and Received-SPF are taken for facts; they have to take out those that others forge"`
	SPF         AuthSPF       `toml:"spf" doc:"what SPF does besides RFC 7208, and its limits"`
	DKIM        AuthDKIM      `toml:"dkim" doc:"which signatures are verified"`
	DMARC       AuthDMARC     `toml:"dmarc" doc:"what happens to mail from outside that fails DMARC"`
}

// AuthSPF is a table [filter.NAME.spf].
type AuthSPF struct {
	Guess      string       `toml:"guess" doc:"a record for domains without one, such as \"v=spf1 a/24 mx/24 ptr\"; what it comes to is for policies, and is no pass for others"`
	Local      []AuthRecord `toml:"local" doc:"records for domains that publish none"`
	Forwarders []string     `toml:"forwarders" doc:"domains whose hosts may pass on mail of anybody"`
	Lax        bool         `toml:"lax" doc:"read broken records once more, as their authors may have meant them; policies go by that"`
	MaxLookups int          `toml:"max_lookups" opt:"min=1" doc:"terms of a record that take a look-up"`
	MaxVoids   int          `toml:"max_voids" opt:"min=1" doc:"look-ups that find nothing"`
	MaxRecord  Size         `toml:"max_record" opt:"min=256" doc:"bytes of a record"`
}

// An AuthRecord is a table [[filter.NAME.spf.local]].
type AuthRecord struct {
	Domain string `toml:"domain" doc:"the domain"`
	Record string `toml:"record" doc:"its record, such as \"v=spf1 mx -all\""`
}

// AuthDKIM is a table [filter.NAME.dkim].
type AuthDKIM struct {
	Class         []filter.Class `toml:"class" doc:"the classes of messages whose signatures are verified"`
	MaxSignatures int            `toml:"max_signatures" opt:"min=1" doc:"signatures that are verified, the topmost"`
	MinRSABits    int            `toml:"min_rsa_bits" opt:"min=1024" doc:"of RSA keys; signatures with smaller ones do not pass"`
	MaxRSABits    int            `toml:"max_rsa_bits" opt:"min=1024" doc:"of RSA keys; larger ones take much time"`
	MaxNames      int            `toml:"max_names" opt:"min=1" doc:"names of fields that a signature is over"`
	MaxField      Size           `toml:"max_field" opt:"min=1024" doc:"bytes of a signature"`
}

// AuthDMARC is a table [filter.NAME.dmarc].
type AuthDMARC struct {
	Action       auth.Action    `toml:"action" doc:"report: write what it came to; published: do what the author's domain asks for; tag, quarantine or reject whatever that is"`
	Mark         bool           `toml:"mark" doc:"let published mark messages that are to be quarantined, in place of having the mail server hold them"`
	Field        string         `toml:"field" doc:"the header field that marks them"`
	PublicSuffix bool           `toml:"public_suffix" doc:"find organizational domains by the public suffix list (RFC 7489), in place of DNS (RFC 9989)"`
	MaxDomains   int            `toml:"max_domains" opt:"min=1" doc:"authenticated domains that are compared with the author's"`
	Overrides    []AuthOverride `toml:"override" doc:"exceptions, such as forwarders and lists; the first that a message meets counts. A domain \"*.example.com\" stands for all below example.com"`
}

// An AuthOverride is a table [[filter.NAME.dmarc.override]].
type AuthOverride struct {
	Domains []string       `toml:"domains" example:"[\"example.com\"]" doc:"of authors"`
	Clients []netip.Prefix `toml:"clients" example:"[\"192.0.2.0/24\"]" doc:"networks of the client"`
	SPF     []string       `toml:"spf" example:"[\"lists.example.net\"]" doc:"domains for which MAIL FROM or HELO passed SPF"`
	DKIM    []string       `toml:"dkim" example:"[\"lists.example.net\"]" doc:"domains of signatures that passed"`
	Action  auth.Action    `toml:"action" doc:"what happens to messages that fail and meet all of these"`
}

// tells returns what the filter finds out.
func (o *Auth) tells() (ids []policy.Identity) {
	for _, m := range []struct {
		method   auth.Method
		identity policy.Identity
	}{{auth.SPF, policy.SPF}, {auth.Helo, policy.HELO}, {auth.DKIM, policy.DKIM}, {auth.DMARC, policy.DMARC}} {
		if slices.Contains(o.Methods, m.method) {
			ids = append(ids, m.identity)
		}
	}
	return ids
}

// holds returns the keys by which messages are held.
func (o *Auth) holds() (keys []string) {
	held := func(a auth.Action) bool { return a == auth.Quarantine || a == auth.Published && !o.DMARC.Mark }
	if held(o.DMARC.Action) {
		keys = append(keys, "dmarc.action")
	}
	for i, v := range o.DMARC.Overrides {
		if held(v.Action) {
			keys = append(keys, element("dmarc.override", i)+".action")
		}
	}
	return keys
}

func (o *Auth) build(b *build) *filter.Filter {
	options := auth.Options{Resolver: b.resolver(), ID: o.ID, Methods: o.Methods, ReceivedSPF: o.ReceivedSPF, DNSTime: o.DNSTime, MailTime: o.MailTime, Believe: o.Believe,
		SPF: auth.SPFOptions{Guess: o.SPF.Guess, Forwarders: o.SPF.Forwarders, Lax: o.SPF.Lax,
			MaxLookups: o.SPF.MaxLookups, MaxVoids: o.SPF.MaxVoids, MaxRecord: int(min(o.SPF.MaxRecord, 1<<30))},
		DKIM: auth.DKIMOptions{Classes: o.DKIM.Class, MaxSignatures: o.DKIM.MaxSignatures, MinRSABits: o.DKIM.MinRSABits, MaxRSABits: o.DKIM.MaxRSABits,
			MaxNames: o.DKIM.MaxNames, MaxField: int(min(o.DKIM.MaxField, 1<<30))},
		DMARC: auth.DMARCOptions{Action: o.DMARC.Action, Mark: o.DMARC.Mark, Field: o.DMARC.Field, PublicSuffix: o.DMARC.PublicSuffix, MaxDomains: o.DMARC.MaxDomains}}
	o.local(b, &options)
	for _, v := range o.DMARC.Overrides {
		options.DMARC.Overrides = append(options.DMARC.Overrides, auth.Override{Domains: v.Domains, Clients: v.Clients, SPF: v.SPF, DKIM: v.DKIM, Action: v.Action})
	}
	o.warn(b)
	if len(o.Methods) == 0 {
		b.bad("methods", "it names none")
	}
	if o.MailTime > o.DNSTime {
		b.bad("mail_time", "%s is more than dns_time, %s", formatDuration(o.MailTime), formatDuration(o.DNSTime))
	}
	if d := o.DKIM; d.MinRSABits > d.MaxRSABits {
		b.bad("dkim.min_rsa_bits", "%d is more than max_rsa_bits, %d", d.MinRSABits, d.MaxRSABits)
	}
	if b.failed {
		return nil
	}
	f, err := auth.New(b.filter.Name, options)
	if err != nil {
		for _, e := range unjoin(err) {
			key, words := authKey(reason(e, auth.ErrOptions))
			b.bad(key, "%s", words)
		}
		return nil
	}
	return f
}

// local takes over the local records.
func (o *Auth) local(b *build, options *auth.Options) {
	options.SPF.Local = make(map[string]string)
	for i, r := range o.SPF.Local {
		key := element("spf.local", i)
		domain := strings.ToLower(strings.TrimSuffix(r.Domain, "."))
		switch _, twice := options.SPF.Local[domain]; {
		case domain == "":
			b.bad(key+".domain", "it has none")
			continue
		case r.Record == "":
			b.bad(key+".record", "it has none")
			continue
		case twice:
			b.bad(key+".domain", "%s has a record already", domain)
			continue
		}
		options.SPF.Local[domain] = r.Record
		if _, err := auth.New("x", auth.Options{SPF: auth.SPFOptions{Local: map[string]string{domain: r.Record}}}); err != nil {
			b.bad(key, "%s", strings.TrimPrefix(reason(err, auth.ErrOptions), "Local: "))
			delete(options.SPF.Local, domain)
		}
	}
}

// warn tells what is unwise.
func (o *Auth) warn(b *build) {
	has := func(m auth.Method) bool { return slices.Contains(o.Methods, m) }
	if has(auth.DMARC) && !has(auth.SPF) && !has(auth.DKIM) {
		b.warn("methods", "dmarc goes by spf and dkim, and neither is among them")
	}
	acts := o.DMARC.Action != auth.Report || slices.ContainsFunc(o.DMARC.Overrides, func(v AuthOverride) bool { return v.Action != auth.Report })
	if acts && !has(auth.DMARC) {
		b.warn("dmarc", "dmarc is not among the methods: none of this is done")
	} else if acts && (!has(auth.SPF) || !has(auth.DKIM)) {
		b.warn("dmarc", "mail that passes by a method that is not among the methods fails, and this is done to it")
	} else if acts && !slices.Contains(o.DKIM.Class, filter.External) {
		b.warn("dkim.class", "without external, mail from outside that passes by its signature fails DMARC, and what [filter.%s.dmarc] says is done to it", b.filter.Name)
	}
	if stage := b.config.Timeouts.FiltersStage; o.MailTime >= stage {
		b.warn("mail_time", "the time of the chain, filters_stage = %q, ends before", formatDuration(stage))
	}
	if len(o.Believe) > 0 && len(b.config.Network.TrustedRelays) == 0 {
		b.warn("believe", "[network] names no trusted_relays: nobody is believed")
	}
}

// authKeys are the keys of what errors of package auth begin with.
var authKeys = map[string]string{"ID": "id", "method": "methods", "Guess": "spf.guess", "Forwarders": "spf.forwarders", "Field": "dmarc.field", "Believe": "believe",
	"Domains": "domains", "Clients": "clients", "SPF": "spf", "DKIM": "dkim"}

// authKey returns the key that an error of package auth is about, and the error without what
// names the key; "" is the table.
func authKey(text string) (key, words string) {
	var n int
	if _, err := fmt.Sscanf(text, "override %d: ", &n); err == nil {
		key = element("dmarc.override", n-1)
		_, text, _ = strings.Cut(text, ": ")
	}
	first, rest, _ := strings.Cut(text, " ")
	member, ok := authKeys[strings.TrimSuffix(first, ":")]
	switch {
	case !ok:
		return key, text
	case key != "":
		return key + "." + member, rest
	}
	return member, rest
}
