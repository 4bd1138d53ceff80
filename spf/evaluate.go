package spf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
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

// maxName is the length of a name in DNS (RFC 1035 section 2.3.4), maxExpansion that of one
// whose left labels are still to be cut off (RFC 7208 section 7.3).
const (
	maxName      = 253
	maxLabel     = 63
	maxExpansion = 8 << 10
)

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

// target returns the name that a term asks for, "" where none can be asked for.
func (e *evaluation) target(t *aliased) string {
	if t.spec == "" {
		return t.of.domain
	}
	name, err := expandMacros(t.spec, false, maxExpansion, func(c byte) string { return e.macro(c, t.of.domain) })
	if err != nil {
		return ""
	}
	return askable(name)
}

// askable returns a name as it is asked for: short enough, without a dot at the end. It
// returns "" for what is no name, such as one with an empty label.
func askable(name string) string {
	name = strings.TrimSuffix(name, ".")
	for len(name) > maxName { // RFC 7208 section 7.3
		i := strings.IndexByte(name, '.')
		if i < 0 {
			return ""
		}
		name = name[i+1:]
	}
	label := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c < ' ' || c > '~':
			return ""
		case c != '.':
			if label++; label > maxLabel {
				return ""
			}
		case label == 0:
			return ""
		default:
			label = 0
		}
	}
	if label == 0 {
		return ""
	}
	return name
}

// macro returns what a letter stands for (RFC 7208 section 7.2).
func (e *evaluation) macro(letter byte, domain string) string {
	switch letter {
	case 's':
		return e.local + "@" + e.domain
	case 'l':
		return e.local
	case 'o':
		return e.domain
	case 'd':
		return domain
	case 'i':
		if e.ip.Is4() {
			return e.ip.String()
		}
		return nibbles(e.ip)
	case 'p':
		return e.clientName(domain)
	case 'v':
		if e.ip.Is4() {
			return "in-addr"
		}
		return "ip6"
	case 'h':
		return e.helo
	case 'c':
		return e.ip.String()
	case 'r':
		return cmp.Or(e.receiver, "unknown")
	case 't':
		return strconv.FormatInt(e.now().Unix(), 10)
	}
	return ""
}

func nibbles(a netip.Addr) string {
	const hex = "0123456789ABCDEF" // as the suite has it; DNS does not care
	b := make([]byte, 0, 63)
	for i, c := range a.As16() {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, hex[c>>4], '.', hex[c&15])
	}
	return string(b)
}

// clientName returns the name of the client for %{p}: validated, rather the domain itself
// than a name below it, rather that than another one.
func (e *evaluation) clientName(domain string) string {
	if !e.haveNames {
		e.haveNames = true
		names, _ := e.lookupAddr()
		for _, n := range names {
			addrs, _ := e.lookupHost(n, "ptr")
			for _, a := range addrs {
				if ip, ok := netip.AddrFromSlice(a.IP); ok && ip.Unmap() == e.ip {
					e.names = append(e.names, strings.TrimSuffix(n, "."))
					break
				}
			}
		}
		slices.Sort(e.names) // DNS answers in whatever order
	}
	best := ""
	for _, n := range e.names {
		switch {
		case strings.EqualFold(n, domain):
			return n
		case best == "" || isBelow(n, domain) && !isBelow(best, domain):
			best = n
		}
	}
	return cmp.Or(best, "unknown")
}

var errNotFound error = &net.DNSError{Err: "no such host", IsNotFound: true}

// failed returns the error of a look-up as the library understands it, and keeps what
// is not merely the lack of data.
func (e *evaluation) failed(what, name string, err error) error {
	if dns.IsNotFound(err) {
		return errNotFound
	}
	if e.ctx.Err() != nil {
		e.cut = true
		err = e.ctx.Err()
	}
	e.trouble = what + " of " + shown(name) + ": " + shown(dnsText(err))
	return &net.DNSError{Err: e.trouble, IsTemporary: true}
}

// dnsText returns what an error says, without the name that it is about.
func dnsText(err error) string {
	if de, ok := errors.AsType[*net.DNSError](err); ok {
		return de.Err
	}
	return err.Error()
}

// LookupTXT answers the library with the record of a domain.
func (e *evaluation) LookupTXT(_ context.Context, name string) ([]string, error) {
	r := new(checkedRecord)
	t := e.alias(name)
	if t == nil {
		r.domain, e.top = e.domain, r
	} else {
		e.lookups++
		r.domain, t.next = e.target(t), r
	}
	var records []string
	if t == nil && e.given != "" {
		records = []string{e.given}
	} else {
		var err error
		if records, err = e.lookupRecords(r.domain); err != nil && !(e.lax && t != nil && dns.IsNotFound(err)) {
			return nil, err
		}
	}
	var broken string
	switch {
	case len(records) == 0 && e.lax && t != nil:
		return []string{version}, nil // an include of nothing matches nothing
	case len(records) == 0:
		return nil, nil
	case len(records) > 1:
		broken = "several records"
	case !isRecord(records[0]): // one of ours
		broken = errNoVersion.Error()
	case len(records[0]) > e.limits.record:
		broken = fmt.Sprintf("a record of %d octets, of %d", len(records[0]), e.limits.record)
	default:
		txt, err := e.show(r, records[0])
		if err == nil {
			return []string{txt}, nil
		}
		broken = err.Error()
	}
	if e.broken == "" {
		e.broken = shown(r.domain) + ": " + broken
	}
	return []string{version + " \x00"}, nil // no term that the library knows
}

// lookupRecords returns the SPF records of a domain.
func (e *evaluation) lookupRecords(domain string) ([]string, error) {
	if domain == "" {
		return nil, errNotFound
	}
	if err := e.ctx.Err(); err != nil {
		return nil, e.failed("TXT", domain, err)
	}
	txts, err := e.resolver.LookupTXT(e.ctx, domain)
	if err != nil {
		return nil, e.failed("TXT", domain, err)
	}
	var records []string
	for _, txt := range txts {
		if isRecord(txt) {
			records = append(records, txt)
		}
	}
	return records, nil
}

// LookupIPAddr answers the library with the addresses of a term, or of a host that
// LookupMX and LookupAddr named.
func (e *evaluation) LookupIPAddr(_ context.Context, name string) ([]net.IPAddr, error) {
	if t := e.alias(name); t != nil {
		e.lookups++
		return e.lookupHost(e.target(t), t.name)
	}
	return e.lookupHost(name, "")
}

// lookupHost returns the addresses of a host that are of the family of the client, or for
// the mechanism exists those of IPv4.
func (e *evaluation) lookupHost(name, mechanism string) ([]net.IPAddr, error) {
	if name = askable(name); name == "" {
		return nil, errNotFound
	}
	if err := e.ctx.Err(); err != nil {
		return nil, e.failed("addresses", name, err)
	}
	addrs, err := e.resolver.LookupIPAddr(e.ctx, name)
	if err != nil {
		return nil, e.failed("addresses", name, err)
	}
	v4 := e.ip.Is4() || mechanism == "exists"
	other := func(a net.IPAddr) bool { return (a.IP.To4() != nil) != v4 }
	if slices.ContainsFunc(addrs, other) {
		addrs = slices.DeleteFunc(slices.Clone(addrs), other)
	}
	return addrs, nil
}

// isAliasHost reports whether a host bears a name that only we give.
func isAliasHost(mx *net.MX) bool { return strings.HasPrefix(mx.Host, "\x00") }

// tooManyMX is an answer that the library refuses, because it is longer than 10.
var tooManyMX = make([]*net.MX, 11)

// LookupMX answers the library with the hosts of a term.
func (e *evaluation) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	t := e.alias(name)
	if t == nil {
		return nil, errNotFound
	}
	e.lookups++
	if name = e.target(t); name == "" {
		return nil, errNotFound
	}
	if err := e.ctx.Err(); err != nil {
		return nil, e.failed("MX", name, err)
	}
	hosts, err := e.resolver.LookupMX(e.ctx, name)
	if slices.ContainsFunc(hosts, isAliasHost) {
		hosts = slices.DeleteFunc(slices.Clone(hosts), isAliasHost)
	}
	switch {
	case err != nil && len(hosts) == 0: // else some are invalid, the others are not
		return nil, e.failed("MX", name, err)
	case len(hosts) <= e.limits.mx:
		return hosts, nil
	case e.lax:
		return hosts[:e.limits.mx], nil
	}
	return tooManyMX, nil
}

// LookupAddr answers the library with the names of the client. The library takes any error
// for the lack of names.
func (e *evaluation) LookupAddr(context.Context, string) ([]string, error) {
	e.lookups++
	e.ptrCounted = true
	names, err := e.lookupAddr()
	if err != nil && !dns.IsNotFound(err) {
		return []string{"\x00"}, nil // not a look-up that found nothing, but no name either
	}
	return names, nil
}

func (e *evaluation) lookupAddr() ([]string, error) {
	if err := e.ctx.Err(); err != nil {
		return nil, e.failed("PTR", e.ip.String(), err)
	}
	names, err := e.resolver.LookupAddr(e.ctx, e.ip.String())
	if err != nil && len(names) == 0 {
		return nil, e.failed("PTR", e.ip.String(), err)
	}
	return names[:min(len(names), e.limits.ptr)], nil
}
