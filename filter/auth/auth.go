package auth

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/spf"
)

// New returns the filter. It needs the header, and the body where signatures are verified. It
// asks DNS and contacts nobody else.
//
// The error wraps ErrOptions and joins all that is wrong.
func New(name string, o Options) (*filter.Filter, error) {
	s, err := newSettings(o)
	if err != nil {
		return nil, err
	}
	a := &auth{s}
	f := &filter.Filter{
		Name: name,
		Kind: filter.Verifies,
		Needs: filter.Needs{Header: true, Body: s.does(DKIM), Actions: milter.CanAddHeaders | milter.CanChangeHeaders,
			Macros: map[milter.Stage][]string{
				milter.StageConnect: {"j"},
				milter.StageHelo:    {"{cipher_bits}"},
				milter.StageMail:    {"{auth_type}", "{auth_ssf}"},
			}},
		Mail:    a.mail,
		Message: a.message,
	}
	if s.holds() {
		f.Needs.Actions |= milter.CanQuarantine
	}
	return f, nil
}

// An auth is the state of a filter.
type auth struct{ *settings }

// id returns the authserv-id, for a transaction whose MTA may have named itself.
func (a *auth) id(t *filter.Transaction) string {
	if a.ID != "" {
		return a.ID
	}
	if j, _ := t.Macro("j"); isID(strings.TrimSpace(j)) {
		return strings.TrimSpace(j)
	}
	return a.host
}

// founds are a fact of the filters' own, from MAIL to the end of the message: what each of a
// chain found.
type founds []*found

// found is what is known of one message.
type found struct {
	by      *auth
	dns     *budget
	spf     spf.Checked
	reverse dns.Reverse

	relay    string       // whose word is in spf and dkim, "" for nobody's
	heard    []string     // the fields with it, as fieldText has them
	said     dmarc.Result // by the relay
	dkim     dkim.Checked // those of the message, and those that the relay told of
	hashed   bool         // signatures were looked for
	verified int          // how many of dkim they are
	dmarc    dmarc.Result
	judged   bool     // dmarc is set
	wrote    []string // the fields that were added, as fieldText has them
}

func (a *auth) found() *found { return &found{by: a, dns: &budget{r: a.Resolver, max: a.DNSTime}} }

// mail asks about the client and the sender.
func (a *auth) mail(ctx context.Context, t *filter.Transaction) (milter.MailReply, error) {
	f := a.found()
	if t.Class() == filter.External {
		a.checkClient(ctx, t, f)
	}
	others, _ := filter.Told[founds](t)
	filter.Tell(t, append(slices.Clone(others), f))
	return milter.Continue, nil
}

// checkClient does what is done at MAIL, all at a time.
func (a *auth) checkClient(ctx context.Context, t *filter.Transaction, f *found) {
	ip := clientOf(t)
	if !ip.IsValid() {
		t.Explain("the client has no address: neither SPF nor iprev can be checked")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, a.MailTime)
	defer cancel()
	checker := spf.Checker{Resolver: f.dns, Receiver: a.id(t), Guess: a.SPF.Guess, Local: a.SPF.Local,
		Forwarders: a.SPF.Forwarders, Lax: a.SPF.Lax,
		MaxLookups: a.SPF.MaxLookups, MaxVoids: a.SPF.MaxVoids, MaxRecord: a.SPF.MaxRecord}
	query := queryOf(t)
	var checks []func()
	switch {
	case !a.does(SPF):
	case query.From == "" && query.Helo == "":
		f.spf.MailFrom = spf.Result{Value: spf.None, Identity: spf.MailFrom, Problem: "the sender is null, and there is no HELO name"}
	default:
		checks = append(checks, func() { f.spf.MailFrom = checker.Check(ctx, query, spf.MailFrom) })
	}
	// Of the null sender MAIL FROM is the HELO name (RFC 7208 section 2.4).
	same := query.From == "" && a.does(SPF)
	if a.does(Helo) && !same && query.Helo != "" {
		checks = append(checks, func() { f.spf.Helo = checker.Check(ctx, query, spf.Helo) })
	}
	if a.does(IPRev) {
		checks = append(checks, func() { f.reverse = dns.CheckReverse(ctx, f.dns, ip) })
	}
	together(checks...)
	if a.does(Helo) && same && query.Helo != "" {
		f.spf.Helo = f.spf.MailFrom
		f.spf.Helo.Identity = spf.Helo
	}
	if a.does(SPF) || a.does(Helo) {
		filter.Tell(t, f.spf)
	}
	if a.does(IPRev) {
		filter.Tell(t, f.reverse)
		t.Explain(explainReverse(f.reverse))
	}
	if a.does(SPF) {
		t.Explain(explainSPF(f.spf.MailFrom))
	}
	if a.does(Helo) && !same && query.Helo != "" {
		t.Explain(explainSPF(f.spf.Helo))
	}
	if asked, _ := f.dns.used(); asked > 0 {
		t.Explain(explainTime(f.dns))
	}
}

// clientOf returns the client's address, IPv4 as such; it is not valid for a client without.
func clientOf(t *filter.Transaction) netip.Addr { return t.Client.Addr.Addr().Unmap().WithZone("") }

func queryOf(t *filter.Transaction) spf.Query {
	return spf.Query{IP: clientOf(t), From: t.From().Address, Helo: t.Helo}
}

// message verifies what the message says of itself, writes down all results, and does what
// the options say where it fails DMARC.
func (a *auth) message(ctx context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
	f := a.found()
	told, _ := filter.Told[founds](t)
	if i := slices.IndexFunc(told, func(f *found) bool { return f.by == a }); i >= 0 {
		*f = *told[i]
	}
	before, _ := f.dns.used()
	a.hear(t, f)
	var err error
	together(func() { err = a.verify(ctx, t, f) }, func() { a.foresee(ctx, t, f) })
	if err != nil {
		return nil, err
	}
	a.judge(ctx, t, f)
	if asked, _ := f.dns.used(); asked > before {
		t.Explain(explainTime(f.dns))
	}
	if refusal, err := a.enforce(t, e, f); refusal != nil || err != nil {
		return refusal, err
	}
	if err := a.forget(t, e, f); err != nil {
		return nil, err
	}
	if err := a.write(t, e, f); err != nil {
		return nil, err
	}
	earlier, _ := filter.Told[written](t)
	filter.Tell(t, slices.Concat(earlier, f.wrote))
	return milter.Accept, nil
}
