package dmarc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/address"
)

// defaultIdentifiers is how many authenticated domains cost questions to DNS.
const defaultIdentifiers = 10

// Check compares the author's domain with those that authenticated: spf the domain of a MAIL FROM
// that passed SPF, "" for none, dkim the d= of signatures that passed. ctx bounds the wait for DNS.
//
// Without a policy that applies, the value is None. It is TempError where a question that could change
// the outcome has no answer, and PermError where the author has no domain, or where the record says
// nothing that can be used (RFC 9989 section 4.10.1). If the author's own domain authenticated, that
// passes whatever else is in doubt, and no other domain is looked at.
//
// Where the policy depends on whether a domain exists, and the Resolver is no [dns.Exister], the domain
// is taken to exist, and Why says so.
func (c *Checker) Check(ctx context.Context, from, spf string, dkim []string) Result {
	a := c.asker()
	ids := identifiers(spf, dkim)
	name, _ := address.ASCIIDomain(from)
	same := slices.IndexFunc(ids, func(id identifier) bool { return id.domain == name })
	p := a.lookup(ctx, from, same < 0)
	if p.Value != "" {
		return p.result(p.Value)
	}
	if same >= 0 {
		a.policy(ctx, &p, false)
		return p.pass(ids[same : same+1])
	}
	aligned, doubt := a.aligned(ctx, &p, ids)
	if len(aligned) > 0 {
		a.policy(ctx, &p, false)
		return p.pass(aligned)
	}
	if doubt != "" {
		p.Why = doubt
		return p.result(TempError)
	}
	a.policy(ctx, &p, true)
	if p.Value != "" {
		return p.result(p.Value)
	}
	p.because("%s", mismatch(p.Domain, ids))
	return p.result(Fail)
}

// An identifier is a domain that SPF, DKIM or both authenticated.
type identifier struct {
	domain    string
	spf, dkim bool
}

// identifiers returns the domains that authenticated, each once.
func identifiers(spf string, dkim []string) []identifier {
	ids := make([]identifier, 0, 1+len(dkim))
	seen := make(map[string]int, 1+len(dkim))
	add := func(domain string, id identifier) {
		var err error
		if id.domain, err = address.ASCIIDomain(domain); err != nil || id.domain == "" || id.domain[0] == '[' {
			return
		}
		if i, ok := seen[id.domain]; ok {
			ids[i].spf, ids[i].dkim = ids[i].spf || id.spf, ids[i].dkim || id.dkim
			return
		}
		seen[id.domain] = len(ids)
		ids = append(ids, id)
	}
	add(spf, identifier{spf: true})
	for _, d := range dkim {
		add(d, identifier{dkim: true})
	}
	return ids
}

// aligned returns the identifiers with the organizational domain of the author (RFC 9989 section
// 3.2.10.1), where the record allows relaxed alignment. doubt says why there may be others.
func (a *asker) aligned(ctx context.Context, p *Policies, ids []identifier) (found []identifier, doubt string) {
	top := p.Org
	if p.orgErr != nil && !a.PublicSuffix {
		top = p.Domain[strings.LastIndexByte(p.Domain, '.')+1:]
	}
	var near []identifier // those that can have that organizational domain, by their names
	for _, id := range ids {
		id.spf, id.dkim = id.spf && !p.Record.StrictSPF, id.dkim && !p.Record.StrictDKIM
		if (id.spf || id.dkim) && within(id.domain, top) {
			near = append(near, id)
		}
	}
	if len(near) == 0 {
		return nil, ""
	}
	if a.PublicSuffix {
		return slices.DeleteFunc(near, func(id identifier) bool { return suffixOrg(id.domain) != p.Org }), ""
	}
	if p.orgErr != nil {
		return nil, fmt.Sprintf("the organizational domain of %s is not known: %v", p.Domain, p.orgErr)
	}
	limit := a.Identifiers
	orDefault(&limit, defaultIdentifiers)
	var ask []string
	compared := near[:0]
	for _, id := range near {
		names := targets(id.domain)
		if slices.ContainsFunc(names, a.unknown) {
			if limit--; limit < 0 {
				continue
			}
			ask = append(ask, names...)
		}
		compared = append(compared, id)
	}
	a.ask(ctx, ask...)
	for _, id := range compared {
		o, err := org(id.domain, a.walk(id.domain))
		switch {
		case err != nil:
			doubt = fmt.Sprintf("the organizational domain of %s is not known: %v", id.domain, err)
		case o == p.Org:
			found = append(found, id)
		}
	}
	if limit < 0 {
		p.because("%d more domains were not compared", -limit)
	}
	return found, doubt
}

func (a *asker) unknown(domain string) bool {
	_, ok := a.steps[domain]
	return !ok
}

// within reports whether a domain is org or below it.
func within(domain, org string) bool {
	rest, ok := strings.CutSuffix(domain, org)
	return ok && (rest == "" || rest[len(rest)-1] == '.')
}

// mismatch says what authenticated instead of the author's domain.
func mismatch(from string, ids []identifier) string {
	if len(ids) == 0 {
		return "neither SPF nor DKIM passed"
	}
	const most = 3
	var names []string
	for _, id := range ids {
		switch {
		case len(names) == most:
			names = append(names, fmt.Sprintf("%d more", len(ids)-most))
		case len(names) > most:
		case id.spf && id.dkim:
			names = append(names, "SPF and DKIM for "+id.domain)
		case id.spf:
			names = append(names, "SPF for "+id.domain)
		default:
			names = append(names, "DKIM for "+id.domain)
		}
	}
	return fmt.Sprintf("what passed is not aligned with %s: %s", from, strings.Join(names, ", "))
}

// because adds a reason.
func (p *Policies) because(format string, args ...any) {
	if p.Why != "" {
		p.Why += "; "
	}
	p.Why += fmt.Sprintf(format, args...)
}

// pass returns the result of mail with an aligned identifier.
func (p *Policies) pass(ids []identifier) Result {
	r := p.result(Pass)
	r.AlignedDomain = ids[0].domain
	for _, id := range ids {
		r.SPF, r.DKIM = r.SPF || id.spf, r.DKIM || id.dkim
	}
	by := "DKIM"
	if ids[0].spf {
		by = "SPF"
	}
	r.Why = by + " passed for " + r.AlignedDomain
	return r
}

// result returns a result of this value.
func (p *Policies) result(v Value) Result {
	r := Result{Value: v, From: p.Domain, Org: p.Org, PolicyDomain: p.PolicyDomain, Why: p.Why}
	if v == Pass || v == Fail {
		r.Policy, r.Testing = p.Policy, p.Record.Testing
	}
	return r
}
