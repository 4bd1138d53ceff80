package spf

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/gomilter/gomilter/address"
)

// Check checks one identity. ctx bounds the look-ups, and so does Timeout: what is not
// known then is a temperror.
func (c *Checker) Check(ctx context.Context, q Query, id Identity) Result {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	q.IP = clientIP(q)
	if id == MailFrom && q.IP.IsValid() {
		if r := c.forwarder(ctx, q); r.Value == Pass {
			return r
		}
	}
	return c.sender(ctx, q, id)
}

// sender checks an identity as its own domain and Checker have it.
func (c *Checker) sender(ctx context.Context, q Query, id Identity) Result {
	local, domain := split(q, id)
	s, problem := newSubject(q, local, domain)
	if problem != "" {
		return Result{Value: None, Identity: id, Problem: problem}
	}
	r := Result{Identity: id, Domain: s.domain, Sender: s.local + "@" + s.domain}
	o := c.evaluate(ctx, s, "", false)
	r.set(o)
	if o.noRecord {
		c.substitute(ctx, s, &r)
	}
	if r.Value == PermError && c.Lax {
		lax := c.evaluate(ctx, s, c.record(r), true)
		r.Lax, r.Mechanism, r.Explanation = lax.value, lax.mechanism, lax.explanation
	}
	if r.Source == Guess && r.Value != Pass && id == MailFrom && q.From != "" {
		c.vouch(ctx, q, &r)
	}
	return r
}

// record returns the record that r is of, "" for a published one.
func (c *Checker) record(r Result) string {
	if r.Source == Local {
		return c.Local[r.Domain]
	}
	return ""
}

// substitute has a domain without a record judged by one of ours.
func (c *Checker) substitute(ctx context.Context, s subject, r *Result) {
	switch {
	case c.Local[s.domain] != "":
		r.Source = Local
		r.set(c.evaluate(ctx, s, c.Local[s.domain], false))
	case c.Guess != "":
		o := c.evaluate(ctx, s, c.Guess, false)
		switch o.value {
		case TempError: // which says nothing of the domain
			r.Problem = o.problem
			return
		case PermError:
			o.value = Neutral
		}
		r.Source = Guess
		r.set(o)
	}
}

// vouch lets a HELO name that passes by itself pass for the domain that it is or is below
// of, where there was only a guess.
func (c *Checker) vouch(ctx context.Context, q Query, r *Result) {
	s, problem := newSubject(q, postmaster, q.Helo)
	if problem != "" || !isBelow(s.domain, r.Domain) || s.domain == r.Domain {
		return
	}
	if o := c.evaluate(ctx, s, "", false); o.value == Pass {
		lookups := r.Lookups
		r.set(o)
		r.Lookups += lookups
	}
}

// forwarderGuess is for trusted forwarders that publish no record.
const forwarderGuess = "v=spf1 a mx"

// forwarder returns the pass of the first forwarder that the client may send for. Half of
// the time is left for the sender's own record, should a forwarder's servers be dead.
func (c *Checker) forwarder(ctx context.Context, q Query) Result {
	if len(c.Forwarders) == 0 {
		return Result{}
	}
	end, _ := ctx.Deadline() // Check has set one
	ctx, cancel := context.WithTimeout(ctx, time.Until(end)/2)
	defer cancel()
	for _, domain := range c.Forwarders {
		s, problem := newSubject(q, postmaster, domain)
		if problem != "" {
			continue
		}
		o := c.evaluate(ctx, s, "", false)
		if o.noRecord {
			o = c.evaluate(ctx, s, cmp.Or(c.Local[s.domain], forwarderGuess), false)
		}
		if o.value == Pass {
			r := Result{Identity: MailFrom, Domain: s.domain, Sender: s.local + "@" + s.domain, Source: Forwarder}
			r.set(o)
			return r
		}
	}
	return Result{}
}

func (r *Result) set(o outcome) {
	r.Value, r.Mechanism, r.Explanation, r.Problem, r.Lookups = o.value, o.mechanism, o.explanation, o.problem, o.lookups
}

// evaluate does one evaluation, of given or of what the domain publishes.
func (c *Checker) evaluate(ctx context.Context, s subject, given string, lax bool) outcome {
	e := &evaluation{
		ctx: ctx, resolver: c.Resolver, subject: s, given: given, lax: lax, receiver: c.Receiver, now: c.Now,
		limits: limits{
			lookups: limit(c.MaxLookups, 10), voids: limit(c.MaxVoids, 2), record: limit(c.MaxRecord, 16<<10),
			mx: min(limit(c.MaxMX, 10), 10), ptr: min(limit(c.MaxPTR, 10), 10),
		},
	}
	if e.resolver == nil {
		e.resolver = net.DefaultResolver
	}
	if e.now == nil {
		e.now = time.Now
	}
	if lax {
		e.limits.lookups, e.limits.voids = max(e.limits.lookups, laxLookups), max(e.limits.voids, laxLookups)
	}
	o := e.run()
	if o.value == Fail {
		o.explanation = e.explain(limit(c.MaxExplanation, 1000))
	}
	return o
}

// clientIP returns the address that is checked: an IPv4 address in IPv6 is that, and the name of
// an interface is no part of one.
func clientIP(q Query) netip.Addr { return q.IP.Unmap().WithZone("") }

// limit returns a limit: that of the Checker unless it is 0; a negative one admits nothing.
func limit(of, otherwise int) int { return max(cmp.Or(of, otherwise), 0) }

const postmaster = "postmaster" // RFC 7208 section 2.4

// maxSender and maxHelo bound what macros stand for, in octets. SMTP's own limits are a
// quarter of that (RFC 5321 section 4.5.3.1).
const (
	maxSender = 1024
	maxHelo   = 1024
)

// split returns the sender that an identity is of.
func split(q Query, id Identity) (local, domain string) {
	if id == Helo || q.From == "" || q.From == "<>" {
		return postmaster, q.Helo
	}
	i := strings.LastIndexByte(q.From, '@')
	return cmp.Or(q.From[:max(i, 0)], postmaster), q.From[i+1:]
}

// newSubject judges what is known of the client (RFC 7208 section 4.3). problem tells why
// there is nothing to check.
func newSubject(q Query, local, domain string) (s subject, problem string) {
	if !q.IP.IsValid() {
		return s, "the client has no IP address"
	}
	if len(local) > maxSender || len(domain) > maxSender {
		return s, "the sender is too long"
	}
	s = subject{ip: q.IP, local: local, helo: q.Helo}
	if len(s.helo) > maxHelo {
		s.helo = ""
	}
	var err error
	if s.domain, err = address.ASCIIDomain(domain); err != nil || !isFQDN(s.domain) {
		return s, "not a domain: " + shown(domain)
	}
	return s, ""
}

// isFQDN reports whether a name has several labels, the last of which can be that of a
// top-level domain.
func isFQDN(name string) bool {
	i := strings.LastIndexByte(name, '.')
	return i > 0 && isTopLabel(name[i+1:])
}

// isBelow reports whether name is domain, or below of it.
func isBelow(name, domain string) bool {
	if n := len(name) - len(domain); n > 0 && name[n-1] == '.' {
		name = name[n:]
	}
	return strings.EqualFold(name, domain)
}
