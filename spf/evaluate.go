package spf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	library "blitiri.com.ar/go/spf"

	"github.com/gomilter/gomilter/dns"
)

// An evaluation is check_host (RFC 7208 section 4) for one record of one domain. The
// library walks through the terms, counts and compares; the evaluation is the
// resolver that it asks. So the library sees records that were judged by the grammar
// before, which it does not do itself, and in them names that stand for terms: NUL and a
// number, which no record and no answer brings here. Macros are expanded when the library
// asks for such a name, and the look-up is that of the term.
type evaluation struct {
	ctx      context.Context
	resolver dns.Resolver
	limits   limits
	lax      bool
	subject
	receiver string
	now      func() time.Time

	given string // the record of domain, in place of a published one; "" for none

	terms   []*aliased // by the number in their names
	top     *checkedRecord
	lookups int

	// What the library's trace tells. Its version is pinned, and the tests notice when
	// the texts change.
	term       *aliased // the one that decided last
	field      string   // its text, where the term has no alias
	redirects  int      // redirections between top and the record that decided
	culprit    string   // the term on which the evaluation broke
	ptrCounted bool

	broken  string // what is wrong with the first record that cannot be read
	trouble string // the last look-up that failed
	useless bool   // it has an answer, which is of no use and would be tomorrow
	cut     bool   // a look-up failed because time is out

	names     []string // of the client, validated
	haveNames bool
}

// A subject is who is checked.
type subject struct {
	ip     netip.Addr // not an IPv4 address in IPv6
	local  string     // of the sender
	domain string     // of the sender, as DNS has it
	helo   string
}

// limits bound an evaluation (RFC 7208 section 4.6.4).
type limits struct{ lookups, voids, mx, ptr, record int }

// An aliased term is one that has a name in the record that the library is shown.
type aliased struct {
	term
	of   *checkedRecord
	next *checkedRecord // of include and redirect, when it was fetched
	ptr  string         // the name that a ptr term compares with
}

// A checkedRecord is a record that the library was shown.
type checkedRecord struct {
	domain   string
	redirect *aliased
	exp      string // the domain-spec of exp=
}

// An outcome is what an evaluation comes to.
type outcome struct {
	value       Value
	mechanism   string
	explanation string
	problem     string
	lookups     int
	noRecord    bool // none, because the domain publishes nothing
}

func (e *evaluation) run() outcome {
	v, err := library.CheckHostWithSender(e.ip.AsSlice(), e.domain, "postmaster@"+e.domain,
		library.WithContext(e.ctx),
		library.WithResolver(e),
		library.WithTraceFunc(e.trace),
		library.OverrideLookupLimit(uint(e.limits.lookups)),
		library.OverrideVoidLookupLimit(uint(e.limits.voids)))
	if e.cut {
		v = library.TempError
	}
	o := outcome{value: Value(v), lookups: e.lookups}
	switch o.value {
	case None:
		o.noRecord = true
	case TempError:
		o.problem = e.trouble
		if e.useless && !e.cut {
			o.value = PermError
		}
	case PermError:
		o.problem = e.why(err)
	default:
		o.mechanism = e.decided()
	}
	return o
}

// why tells why a record is a permerror.
func (e *evaluation) why(err error) string {
	var why string
	switch {
	case e.broken != "":
		return e.broken
	case errors.Is(err, library.ErrLookupLimitReached):
		why = fmt.Sprintf("more than %d terms take look-ups", e.limits.lookups)
	case errors.Is(err, library.ErrVoidLookupLimitReached):
		why = fmt.Sprintf("more than %d look-ups find nothing", e.limits.voids)
	case errors.Is(err, library.ErrTooManyMXRecords):
		why = fmt.Sprintf("more than %d MX hosts", e.limits.mx)
	case errors.Is(err, library.ErrNoResult):
		why = "no record there"
	default:
		why = err.Error()
	}
	if e.culprit == "" {
		return why
	}
	return shown(e.culprit) + ": " + why
}

// decided returns the term that decided.
func (e *evaluation) decided() string {
	switch {
	case e.term != nil:
		return e.term.text
	case e.field != "":
		return e.field
	}
	return "default"
}

// record returns the record that decided: the first one, or that which it is redirected to.
func (e *evaluation) record() *checkedRecord {
	r := e.top
	for range e.redirects {
		if r == nil || r.redirect == nil {
			return nil
		}
		r = r.redirect.next
	}
	return r
}

func (e *evaluation) trace(format string, args ...any) {
	switch format {
	case "check %q %d %d", "fallback to neutral":
		e.decide("")
	case "all: %v":
		e.decide("all")
	case "%q %v, %v": // a term, its result, why
		field, _ := args[0].(string)
		e.decide(field)
		e.blame(field, args[1])
	case "%q: %v, %v": // a redirect that came back, its result, why
		e.redirects++
		field, _ := args[0].(string)
		e.blame(field, args[1])
	case "ptr evaluating %q in %q": // by a term that LookupAddr is asked for, or not any more
		if !e.ptrCounted {
			e.lookups++
		}
		e.ptrCounted = false
	}
}

func (e *evaluation) decide(field string) {
	e.term, e.field, e.redirects = e.find(field), field, 0
}

// blame keeps the innermost term that an error came from.
func (e *evaluation) blame(field string, result any) {
	if e.culprit != "" || result != library.PermError && result != library.TempError {
		return
	}
	e.culprit = field
	if t := e.find(field); t != nil {
		e.culprit = t.text
	}
}

// find returns the term that a field of a shown record is, nil where it has no alias.
func (e *evaluation) find(field string) *aliased {
	if _, name, ok := strings.Cut(field, "\x00"); ok {
		name, _, _ = strings.Cut(name, "/")
		return e.alias("\x00" + name)
	}
	if len(field) > 4 && strings.EqualFold(field[:4], "ptr:") {
		for _, t := range e.terms {
			if t.ptr != "" && t.ptr == field[4:] {
				return t
			}
		}
	}
	return nil
}

// alias returns the term that a name stands for, nil where it is a name of its own.
func (e *evaluation) alias(name string) *aliased {
	if name == "" || name[0] != 0 {
		return nil
	}
	n, err := strconv.Atoi(name[1:])
	if err != nil || n < 0 || n >= len(e.terms) {
		return nil
	}
	return e.terms[n]
}

// show returns a record as the library is to see it, or "" with what is wrong with it.
func (e *evaluation) show(r *checkedRecord, txt string) (string, error) {
	b := make([]byte, 0, len(txt)+16)
	b = append(b, version...)
	fallback := byte(0) // of default=, which only a lax reading knows
	asking, redirected, explained := 0, false, false
	for s := range strings.SplitSeq(txt[len(version):], " ") {
		if s == "" {
			continue
		}
		t, err := parseTerm(s)
		if err != nil && e.lax {
			t, err = repair(s)
		}
		switch {
		case err != nil:
		case t.name == "redirect" && redirected, t.name == "exp" && explained:
			err = errNotFirst
		case t.name == "redirect":
			redirected = true
		case t.name == "exp":
			explained, r.exp = true, t.spec
		}
		if err != nil {
			if e.lax {
				continue
			}
			return "", fmt.Errorf("%s: %w", shown(s), err)
		}
		if e.lax && t.name == "=" {
			fallback = cmp.Or(fallback, defaultQualifier(t))
		}
		if t.asks() {
			// The library asks for one term too many at most, to find that there are too many.
			if asking++; asking <= e.limits.lookups+1 {
				b = e.appendTerm(b, r, t)
			}
			continue
		}
		switch t.name {
		case "all":
			b = append(b, ' ', t.qualifier)
			b = append(b, "all"...)
		case "ip4", "ip6":
			// A prefix of the other family matches nothing, least of all an IPv4 address
			// in IPv6, which the library would.
			if t.prefix.Addr().BitLen() == e.ip.BitLen() {
				b = append(b, ' ', t.qualifier)
				b = append(b, t.text...)
			}
		}
	}
	if fallback != 0 && !redirected {
		b = append(b, ' ', fallback)
		b = append(b, "all"...)
	}
	return string(b), nil
}

// appendTerm appends a term that takes a look-up, with a name that stands for it.
func (e *evaluation) appendTerm(b []byte, r *checkedRecord, t term) []byte {
	a := &aliased{term: t, of: r}
	name := "\x00" + strconv.Itoa(len(e.terms))
	e.terms = append(e.terms, a)
	b = append(b, ' ')
	switch t.name {
	case "redirect":
		r.redirect = a
		return append(append(b, "redirect="...), name...)
	case "ptr":
		// No look-up is done for the name, so that it must be known now.
		if a.ptr = e.target(a); a.ptr == "" || strings.ContainsAny(a.ptr, "/% ") {
			a.ptr = name // which no host has
		}
		name = a.ptr
	}
	b = append(b, t.qualifier)
	b = append(b, t.name...)
	b = append(b, ':')
	b = append(b, name...)
	return append(b, t.cidr...)
}
