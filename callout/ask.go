package callout

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/internal/smtpc"
)

// A question is about addresses of one domain.
type question struct {
	c       *Checker
	domain  string
	flights []*flight         // that have no result yet
	results map[string]Result // by key, of addresses that were answered
	last    Result            // why the servers so far did not answer
	server  server            // that is being talked to
	called  int               // servers
}

type server struct {
	name string
	addr netip.Addr
}

// ask asks the servers of a domain, and settles all flights.
func (c *Checker) ask(ctx context.Context, domain string, flights []*flight) {
	q := &question{c: c, domain: domain, flights: flights, results: make(map[string]Result)}
	hosts, err := dns.MailHosts(ctx, c.o.Resolver, domain)
	switch {
	case errors.Is(err, dns.ErrNullMX):
		q.end(because(NullMX, 556, "5.1.10", domain+" takes no mail (null MX)")) // RFC 7505 section 4.1, RFC 7504
		return
	case dns.IsNotFound(err):
		q.end(because(NoHost, 550, "5.1.2", domain+" has no mail server"))
		return
	case err != nil:
		r := because(NoDNS, 450, "4.4.3", "the mail servers of "+domain+" could not be looked up")
		r.Problem = err.Error()
		q.end(r)
		return
	}
	servers, own := c.callable(hosts)
	frauds := 0
	for _, s := range servers {
		if ctx.Err() != nil || q.called == c.o.Servers {
			break
		}
		done, fraud := q.call(ctx, s)
		if done {
			return
		}
		if fraud {
			frauds++
		}
	}
	switch {
	case own && frauds == len(servers):
		q.end(because(OwnHost, 450, "4.4.6", "mail for "+domain+" comes to this machine"))
	case len(servers) == 0:
		q.end(because(BogusHost, 553, "5.4.4", "the mail servers of "+domain+" have addresses that are none on the Internet"))
	case frauds == len(servers):
		q.end(because(FraudHost, 553, "5.4.4", "the mail servers of "+domain+" call themselves by our name"))
	case q.last.Reason == "":
		q.end(because(NoAnswer, 450, "4.4.1", "no mail server of "+domain+" answers"))
	default:
		q.end(q.last)
	}
}

// callable returns the addresses to call, in order, without those that are no server's on the
// Internet and those of ours, and whether there were such of ours.
func (c *Checker) callable(hosts []dns.Host) (servers []server, own bool) {
	ours := c.ownAddrs()
	for _, h := range hosts {
		for _, a := range h.Addrs {
			a = a.Unmap()
			switch {
			case !c.o.Local && (dns.IsLocal(a) || dns.Host{Name: h.Name}.Local()):
			case slices.Contains(ours, a):
				own = true
			default:
				servers = append(servers, server{h.Name, a})
			}
		}
	}
	return servers, own
}

// ownAddrs returns the addresses of this machine, but loopback where that is asked for.
func (c *Checker) ownAddrs() []netip.Addr {
	ours := make([]netip.Addr, 0, len(c.o.Own))
	for _, a := range c.o.Own {
		ours = append(ours, a.Unmap())
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ours // Own is what is left, and servers that call themselves by our name
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if ip, ok := netip.AddrFromSlice(n.IP); ok && !(c.o.Local && ip.IsLoopback()) {
			ours = append(ours, ip.Unmap())
		}
	}
	return ours
}

// call asks one server. It is done where all flights are settled, and a fraud where the
// server calls itself by our name.
func (q *question) call(ctx context.Context, s server) (done, fraud bool) {
	c := q.c
	q.server = s
	c.mu.Lock()
	allowed := c.budget.take(c.o.Now(), limit{"server " + s.addr.String(), c.o.PerServer})
	if allowed {
		c.stats.Connections++
	}
	c.mu.Unlock()
	if !allowed {
		if q.last.Reason == "" {
			q.last = overBudget("%d connections a minute to %v were made", c.o.PerServer, s.addr)
		}
		return false, false
	}
	client, err := smtpc.Dial(ctx, c.smtp, s.name, netip.AddrPortFrom(s.addr, c.o.Port))
	if !noWay(err) {
		q.called++
	}
	if err != nil {
		q.failed(err, false)
		return false, false
	}
	defer client.Close()
	_, secure := client.TLS()
	switch name := client.Name(); {
	case name == "":
		q.last = q.result(NoAnswer, client.Hello(), secure)
		q.last.Problem = "server does not name itself"
		client.Quit()
		return false, false
	case strings.EqualFold(name, strings.TrimSuffix(c.o.Helo, ".")):
		client.Quit()
		return false, true
	}
	utf8Needed := !isASCII(c.o.From) || slices.ContainsFunc(q.flights, func(f *flight) bool { return !isASCII(f.address) })
	if _, err := client.Mail(c.o.From, smtpc.MailOptions{UTF8: utf8Needed}); err != nil {
		e := asError(err)
		if e.Broken() {
			q.failed(err, secure)
			return false, false
		}
		why := Unclear
		if e.Reply.Code != 0 {
			why = judgeMail(e.Reply, c.o.From)
		}
		r := q.result(why, e.Reply, secure)
		r.Problem = problem(e)
		q.end(r)
		client.Quit()
		return true, false
	}
	taken := false
	for _, f := range q.flights {
		if _, answered := q.results[f.key]; answered {
			continue
		}
		reply, err := client.Rcpt(f.address)
		if err != nil {
			e := asError(err)
			if e.Broken() {
				q.failed(err, secure)
				return false, false
			}
			reply = e.Reply
		}
		r := q.result(judgeRcpt(reply, c.o.From, f.address), reply, secure)
		if reply.Code == 0 {
			r = q.result(Unclear, reply, secure)
			r.Problem = problem(asError(err))
		}
		taken = taken || r.Verdict == Accepted
		q.results[f.key] = r
	}
	probe := Verdict("")
	if taken && !c.o.NoProbe {
		probe = q.probe(ctx, client, secure)
	}
	q.settle(func(f *flight) Result {
		r := q.results[f.key]
		if r.Verdict == Accepted {
			r.Probe = probe
		}
		return r
	})
	client.Quit()
	return true, false
}

// noWay reports whether a connection failed on this side, as those by IPv6 do where there is
// none.
func noWay(err error) bool {
	for _, errno := range []syscall.Errno{syscall.ENETUNREACH, syscall.EAFNOSUPPORT, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// probe asks about a random address of the domain, which has none behind it unless all
// addresses are accepted. What is said of one domain is kept.
func (q *question) probe(ctx context.Context, client *smtpc.Client, secure bool) Verdict {
	key := "*@" + q.domain + " " + q.c.o.From
	if r, ok := q.c.recall(ctx, key); ok {
		return r.Verdict
	}
	random := "callout-" + strings.ToLower(rand.Text()) + "@" + q.domain
	reply, err := client.Rcpt(random)
	if err != nil {
		reply = asError(err).Reply
	}
	if reply.Code == 0 {
		return Unknown
	}
	r := q.result(judgeRcpt(reply, q.c.o.From, random), reply, secure)
	r.Address, r.Asked = random, q.c.o.Now()
	q.c.remember(key, r)
	return r.Verdict
}

// failed notes why a server did not answer. What a server said tells more than that another
// said nothing.
func (q *question) failed(err error, secure bool) {
	e := asError(err)
	if e.Reply.Code != 0 {
		q.last = q.result(judgeHello(e.Reply), e.Reply, secure)
		return
	}
	if q.last.Reply.Code == 0 {
		q.last = because(NoAnswer, 0, "", "")
		q.last.Host, q.last.Addr, q.last.Problem = q.server.name, q.server.addr, problem(e)
	}
}

// result returns a result that the server's reply led to.
func (q *question) result(why Reason, reply smtpc.Reply, secure bool) Result {
	return Result{
		Verdict: why.Verdict(), Reason: why, Host: q.server.name, Addr: q.server.addr, TLS: secure,
		Reply: Reply{reply.Code, reply.Enhanced, clip(reply.Text())},
	}
}

// end gives all flights what their servers said of them, and r where those said nothing.
func (q *question) end(r Result) {
	q.settle(func(f *flight) Result {
		if known, ok := q.results[f.key]; ok {
			return known
		}
		return r
	})
}

func (q *question) settle(result func(*flight) Result) { q.c.settle(q.flights, result) }

func asError(err error) *smtpc.Error {
	if e, ok := errors.AsType[*smtpc.Error](err); ok {
		return e
	}
	return &smtpc.Error{Err: err}
}

func problem(e *smtpc.Error) string {
	if e.Err == nil {
		return ""
	}
	return clip(string(e.Step) + ": " + e.Err.Error())
}

// maxText bounds what of a server's text is kept, in bytes.
const maxText = 500

func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}
