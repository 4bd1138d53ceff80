package dmarc

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/dns"
)

// A Checker checks authors' domains. The zero value but for Resolver works. It may be used by
// several goroutines at a time.
type Checker struct {
	// Resolver is asked for several names at a time; nil means net.DefaultResolver.
	Resolver dns.Resolver

	// PublicSuffix finds organizational domains by the public suffix list as RFC 7489 did,
	// in place of the tree walk of RFC 9989.
	PublicSuffix bool

	// Identifiers bounds the authenticated domains that a Check compares, those first that need
	// no question to DNS; 0 means 10. Each of the others costs eight questions at most.
	Identifiers int

	// Record bounds what is read of a record.
	Record Limits
}

// The tree walk's bounds (RFC 9989 section 4.10): names that are asked for, and labels of the
// second name where the first has more.
const (
	maxSteps  = 8
	maxLabels = 7
)

// A Step is one name of a tree walk and what was found there.
type Step struct {
	Name   string  // such as "_dmarc.example.com"
	Domain string  // such as "example.com"
	Record *Record // nil where there is none
	Text   string  // of the record
	Why    string  // what was found in place of a record, for people
	Err    error   // of a question that has no answer yet; else nil
}

// A Policies is what applies to a domain, and how it was found.
type Policies struct {
	Domain string // as it was asked for, lower case, A-labels
	Org    string // the organizational domain; "" where it was not looked for, or not found out
	Walk   []Step // from the domain upwards; it ends early at psd=y or psd=n

	// Of the record that applies; Record is nil where none does.
	PolicyDomain string
	Record       *Record
	Text         string

	Policy  Policy // for Domain, lowered one step by t=y; "" without a record that can be used
	Tag     string // where Policy comes from: "p", "sp" or "np"
	Exists  bool   // whether Domain exists, where that was asked for because of np; else true
	Queries int    // questions to DNS
	Value   Value  // TempError, PermError or None where mail cannot be judged; else ""
	Why     string // for people

	orgErr error // why Org is not known, or the record there
}

// Lookup finds the policy that applies to mail of an author's domain (RFC 9989 sections 4.10.1 and
// 4.10.2). ctx bounds the wait for DNS. What goes wrong is told by Value and Why.
func (c *Checker) Lookup(ctx context.Context, domain string) Policies {
	a := c.asker()
	p := a.lookup(ctx, domain, true)
	if p.Value == "" {
		a.policy(ctx, &p, true)
	}
	p.Queries = a.queries
	return p
}

// An asker asks DNS on behalf of one message, each question once.
type asker struct {
	*Checker
	r       dns.Resolver
	steps   map[string]Step // by domain
	queries int
}

func (c *Checker) asker() *asker {
	a := &asker{Checker: c, r: c.Resolver, steps: make(map[string]Step, maxSteps)}
	if a.r == nil {
		a.r = net.DefaultResolver
	}
	return a
}

// ask gets the records of domains, those that are not known yet all at a time: the walk rarely
// ends before the top, and mail waits for it.
func (a *asker) ask(ctx context.Context, domains ...string) {
	var missing []string
	for _, d := range domains {
		if _, ok := a.steps[d]; !ok && !slices.Contains(missing, d) {
			missing = append(missing, d)
		}
	}
	a.queries += len(missing)
	if len(missing) == 1 {
		a.steps[missing[0]] = a.step(ctx, missing[0])
		return
	}
	found := make([]Step, len(missing))
	var wg sync.WaitGroup
	for i, d := range missing {
		wg.Go(func() { found[i] = a.step(ctx, d) })
	}
	wg.Wait()
	for i, d := range missing {
		a.steps[d] = found[i]
	}
}

// step asks for the record of one domain.
func (a *asker) step(ctx context.Context, domain string) Step {
	s := Step{Name: "_dmarc." + domain, Domain: domain}
	if len(s.Name) > 253 {
		s.Why = "the name is too long"
		return s
	}
	txts, err := a.texts(ctx, s.Name)
	switch {
	case dns.IsTemporary(err):
		s.Err, s.Why = err, "no answer: "+err.Error()
		return s
	case err != nil || len(txts) == 0:
		s.Why = "no record"
		return s
	}
	n := 0
	for _, txt := range txts {
		if isRecord(txt) {
			s.Text = txt
			n++
		}
	}
	switch n {
	case 0:
		s.Why = "no policy record"
	case 1:
		if r, err := a.Record.ParseRecord(s.Text); err == nil {
			s.Record = &r
		}
	default:
		// Section 4.10 steps 2 and 6.
		s.Text, s.Why = "", fmt.Sprintf("%d policy records, so none counts", n)
	}
	return s
}

// texts asks for the texts of a name.
func (a *asker) texts(ctx context.Context, name string) (txts []string, err error) {
	defer func() {
		// Nobody above this recovers in its goroutine: the program would end.
		if p := recover(); p != nil {
			err = fmt.Errorf("the resolver panics: %v", p)
		}
	}()
	return a.r.LookupTXT(ctx, name)
}

// targets returns the domains that a walk asks for (RFC 9989 section 4.10).
func targets(domain string) []string {
	all := make([]string, 1, maxSteps)
	all[0] = domain
	rest := domain
	for n := strings.Count(domain, ".") + 1; n > 1; {
		drop := max(1, n-maxLabels)
		for range drop {
			_, rest, _ = strings.Cut(rest, ".")
		}
		n -= drop
		all = append(all, rest)
	}
	return all
}

// walk returns the steps of a walk. All its targets are known.
func (a *asker) walk(domain string) []Step {
	var steps []Step
	for _, d := range targets(domain) {
		s := a.steps[d]
		steps = append(steps, s)
		if s.Record != nil && s.Record.PSD != PSDUnknown {
			break
		}
	}
	return steps
}

// org selects the organizational domain (RFC 9989 section 4.10.2). The error is that of a question
// that decides about it and has no answer.
func org(domain string, walk []Step) (string, error) {
	found := domain
	for i, s := range walk {
		switch {
		case s.Err != nil && i > 0 && walk[i-1].Record != nil && !strings.Contains(s.Domain, "."):
			// QUIRK: right below a top-level domain stands an organization, whether or not that says
			// psd=y. Trouble with its servers is no reason to hold up the mail of all.
		case s.Err != nil:
			return "", fmt.Errorf("%s: %w", s.Name, s.Err)
		case s.Record == nil:
		case s.Record.PSD == NotPSD:
			return s.Domain, nil
		case s.Record.PSD == IsPSD && i > 0:
			// One label below; where the walk skipped names, one that it did not ask for.
			below := strings.TrimSuffix(domain, "."+s.Domain)
			return below[strings.LastIndexByte(below, '.')+1:] + "." + s.Domain, nil
		default:
			found = s.Domain
		}
	}
	return found, nil
}

// suffixOrg is the organizational domain by the public suffix list (RFC 7489 section 3.2).
func suffixOrg(domain string) string {
	if o, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return o
	}
	return domain
}

// lookup finds the record that applies to a domain. With whole the organizational domain is found
// even where the domain has a record of its own.
func (a *asker) lookup(ctx context.Context, domain string, whole bool) Policies {
	p := Policies{Exists: true}
	ascii, err := address.ASCIIDomain(domain)
	if err != nil || ascii == "" || ascii[0] == '[' {
		p.Value, p.Why = PermError, "the author has no domain name"
		return p
	}
	p.Domain, p.Org = ascii, ascii
	first := []string{ascii}
	if a.PublicSuffix {
		p.Org = suffixOrg(ascii)
		if first = append(first, p.Org); ascii == p.Org {
			first = first[:1]
		}
	} else if whole {
		first = targets(ascii)
	}
	a.ask(ctx, first...)
	own := a.steps[ascii]
	switch {
	case own.Err != nil:
		p.Walk = []Step{own}
		if !a.PublicSuffix {
			p.Org = ""
		}
		p.Value, p.Why = TempError, fmt.Sprintf("%s: %v", own.Name, own.Err)
		return p
	case a.PublicSuffix:
		for _, d := range first {
			s := a.steps[d]
			p.Walk = append(p.Walk, s)
			if s.Err != nil { // of the organization: its record may apply
				p.orgErr = fmt.Errorf("%s: %w", s.Name, s.Err)
			}
		}
	case own.Record != nil && !whole:
		p.Walk = []Step{own}
		if own.Record.PSD == PSDUnknown {
			p.Org = "" // or one above
		}
		p.take(own)
		return p
	default:
		a.ask(ctx, targets(ascii)...)
		p.Walk = a.walk(ascii)
		p.Org, p.orgErr = org(ascii, p.Walk)
	}
	p.choose()
	return p
}

// choose picks the record that applies from a whole walk: the domain's own, that of the organizational
// domain, that of the public suffix.
func (p *Policies) choose() {
	if own := p.Walk[0]; own.Record != nil {
		p.take(own)
		return
	}
	if p.orgErr != nil {
		p.Value, p.Why = TempError, p.orgErr.Error()
		return
	}
	for _, s := range p.Walk {
		if s.Record != nil && s.Domain == p.Org {
			p.take(s)
			return
		}
	}
	if last := p.Walk[len(p.Walk)-1]; last.Record != nil {
		p.take(last) // above the organization stands only a public suffix
		return
	}
	p.Value, p.Why = None, "no policy record for "+p.Domain
	for _, s := range p.Walk {
		if strings.Contains(s.Why, "policy records") {
			p.Why += "; " + s.Name + ": " + s.Why
		}
	}
}

// take makes a step's record the one that applies.
func (p *Policies) take(s Step) {
	p.PolicyDomain, p.Record, p.Text = s.Domain, s.Record, s.Text
	if p.Record.Invalid && len(p.Record.RUA) == 0 {
		// Section 4.10.1; the value is that of section 9.2.
		p.Value = PermError
		p.Why = fmt.Sprintf("the record at %s has no valid policy (%s) and no rua", s.Name, strings.Join(s.Record.Faults, ", "))
	}
}

// policy finds what a usable record asks for, with mayAsk also whether the domain exists where that matters.
func (a *asker) policy(ctx context.Context, p *Policies, mayAsk bool) {
	r := p.Record
	switch {
	case r.Invalid:
		p.Policy, p.Tag = NoPolicy, "p"
		p.because("the record at _dmarc.%s counts as p=none: %s", p.PolicyDomain, strings.Join(r.Faults, ", "))
	case p.Domain == p.PolicyDomain:
		p.Policy, p.Tag = r.P, "p"
	default:
		p.Policy, p.Tag = r.SP, "sp"
		if r.SP == "" {
			p.Policy, p.Tag = r.P, "p"
		}
		if r.NP == "" || r.NP == p.Policy || !mayAsk {
			break
		}
		exists, known, err := dns.Exists(ctx, a.r, p.Domain)
		if known || err != nil {
			a.queries++
		}
		switch {
		case err != nil:
			p.Policy, p.Tag, p.Value = "", "", TempError
			p.because("whether %s exists is not known: %v", p.Domain, err)
			return
		case !known:
			p.because("whether %s exists cannot be asked, so it is taken to exist", p.Domain)
		case !exists:
			p.Exists = false
			p.Policy, p.Tag = r.NP, "np"
			p.because("%s does not exist", p.Domain)
		}
	}
	if r.Testing {
		p.Policy = p.Policy.lowered()
	}
}
