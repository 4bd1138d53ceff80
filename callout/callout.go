package callout

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/internal/smtpc"
)

// Options are how a [Checker] asks. Resolver and Helo are required; otherwise the zero
// value works.
type Options struct {
	Resolver dns.Resolver
	Helo     string       // our name, for EHLO; the reverse name of Source, as servers look at that
	From     string       // the sender in MAIL; empty is the null sender, for asking about senders of envelopes
	Source   []netip.Addr // where connections come from: the first of the server's family; without one the system chooses
	Own      []netip.Addr // addresses of ours that no interface of this machine has, such as those in front of it
	Local    bool         // call addresses that are of no server on the Internet too, see dns.IsLocal; for one's own network, and tests
	Port     uint16       // of servers; 0 means 25
	Clear    bool         // leave out STARTTLS
	NoProbe  bool         // do not ask about a random address where one was accepted

	Cache Cache // nil means a Memory
	Terms Terms // for how long answers are kept

	Connect time.Duration // for a connection; 0 means 10 s
	Step    time.Duration // for a server's greeting, handshake, or reply; 0 means 30 s
	Total   time.Duration // for all of a question, DNS and all servers; 0 means 2 minutes

	Servers    int // addresses that are called for one question, without those that this machine has no way to; 0 means 5
	Recipients int // addresses asked about in one dialogue, more are OverBudget; 0 means 20
	PerDomain  int // questions about a domain in a minute; 0 means 6
	PerServer  int // connections to an address in a minute; 0 means 12
	PerMinute  int // questions in a minute; 0 means 60
	Parallel   int // dialogues at a time; 0 means 20
	Waiting    int // questions under way, or waiting for their turn, within Total; 0 means 100

	Now func() time.Time // of budgets and results; nil means time.Now

	// Dial connects to a server, from source if that is valid. nil means by TCP.
	Dial func(ctx context.Context, source netip.Addr, to netip.AddrPort) (net.Conn, error)
}

// Terms are for how long answers are kept.
type Terms struct {
	Accepted   time.Duration // 0 means 7 days
	Refused    time.Duration // also that a server takes no bounces; 0 means 12 hours
	Greylisted time.Duration // 0 means 10 minutes
	Unknown    time.Duration // for other reasons; 0 means 15 minutes
}

func (t Terms) of(r Result) time.Duration {
	switch {
	case r.Verdict == Accepted:
		return t.Accepted
	case r.Verdict == Refused, r.Reason == NoBounces:
		return t.Refused
	case r.Reason == Greylisted:
		return t.Greylisted
	}
	return t.Unknown
}

// Stats count what a [Checker] did since it was made.
type Stats struct {
	Asked       uint64 // addresses that Ask was asked about
	Cached      uint64 // of Asked, those known from before
	Joined      uint64 // of Asked, those that another was asking already
	Questions   uint64 // begun, each about addresses of one domain
	Connections uint64 // tried
	OverBudget  uint64 // addresses not asked about
	CacheErrors uint64 // of the Cache; what it does not say is asked
}

// A Checker asks the mail servers of domains whether they accept addresses. It may be used
// by several goroutines at a time, and is to be closed.
type Checker struct {
	o      Options
	smtp   smtpc.Options
	ctx    context.Context // of questions, which outlive those who ask them
	cancel context.CancelFunc
	slots  chan struct{}

	mu      sync.Mutex
	closed  bool
	wg      sync.WaitGroup
	flights map[string]*flight // by key
	waiting int                // questions
	budget  budget
	stats   Stats
}

// A flight is an address that is being asked about.
type flight struct {
	key     string
	address string
	done    chan struct{} // closed when result is there
	result  Result
}

// New returns a Checker. The error says what is wrong with Options.
func New(o Options) (*Checker, error) {
	if o.Resolver == nil {
		return nil, errors.New("callout: Options.Resolver is missing")
	}
	helo, err := address.ASCIIDomain(o.Helo)
	if err != nil || helo == "" {
		return nil, fmt.Errorf("callout: Options.Helo %q is no name", o.Helo)
	}
	o.Helo = helo
	from, err := address.ParsePath(o.From)
	if err != nil || !from.Null() && (from.Local == "" || from.Domain == "") {
		return nil, fmt.Errorf("callout: Options.From %q is no address", o.From)
	}
	o.From = from.Canonical().String()
	for _, f := range []struct {
		field *int
		usual int
	}{{&o.Servers, 5}, {&o.Recipients, 20}, {&o.PerDomain, 6}, {&o.PerServer, 12}, {&o.PerMinute, 60}, {&o.Parallel, 20}, {&o.Waiting, 100}} {
		if *f.field <= 0 {
			*f.field = f.usual
		}
	}
	for _, f := range []struct {
		field *time.Duration
		usual time.Duration
	}{
		{&o.Connect, 10 * time.Second}, {&o.Step, 30 * time.Second}, {&o.Total, 2 * time.Minute},
		{&o.Terms.Accepted, 7 * 24 * time.Hour}, {&o.Terms.Refused, 12 * time.Hour},
		{&o.Terms.Greylisted, 10 * time.Minute}, {&o.Terms.Unknown, 15 * time.Minute},
	} {
		if *f.field <= 0 {
			*f.field = f.usual
		}
	}
	if o.Port == 0 {
		o.Port = 25
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Cache == nil {
		o.Cache = NewMemory(0, o.Now)
	}
	c := &Checker{o: o, flights: make(map[string]*flight), slots: make(chan struct{}, o.Parallel)}
	c.smtp = smtpc.Options{Helo: o.Helo, Source: o.Source, Connect: o.Connect, Step: o.Step, Total: o.Total, Clear: o.Clear, Dial: o.Dial}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Close gives up what is being asked, and waits until that has ended. After it the Checker
// answers from its Cache only. The error is nil.
func (c *Checker) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	return nil
}

// Stats tells what the Checker did.
func (c *Checker) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Ask returns what is known of each address, in their order: from the Cache, or from the
// servers of its domain, which are asked about all addresses of the domain in one dialogue. What
// is not known when ctx ends is [Pending]; the question goes on, and the answer is kept.
func (c *Checker) Ask(ctx context.Context, addresses ...string) []Result {
	results := make([]Result, len(addresses))
	flights := make([]*flight, len(addresses))
	var domains []string
	asked := make(map[string][]int) // indexes by domain
	for i, a := range addresses {
		p, err := askable(a)
		if err != nil {
			results[i] = because(NotAsked, 0, "", "")
			results[i].Problem = err.Error()
			results[i].Asked = c.o.Now()
			continue
		}
		f := &flight{key: c.key(p), address: p.String(), done: make(chan struct{})}
		if r, ok := c.recall(ctx, f.key); ok {
			results[i] = r
			continue
		}
		flights[i] = f
		if asked[p.Domain] == nil {
			domains = append(domains, p.Domain)
		}
		asked[p.Domain] = append(asked[p.Domain], i)
	}
	for _, domain := range domains {
		c.begin(ctx, domain, asked[domain], flights)
	}
	for i, f := range flights {
		if f == nil {
			continue
		}
		select {
		case <-f.done:
			results[i] = f.result
		default:
			select {
			case <-f.done:
				results[i] = f.result
			case <-ctx.Done():
				results[i] = because(Pending, 0, "", "")
				results[i].Asked = c.o.Now()
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range results {
		results[i].Address = addresses[i]
		c.stats.Asked++
		if results[i].Cached {
			c.stats.Cached++
		}
	}
	return results
}

// askable returns an address that can be asked about, in its canonical form.
func askable(s string) (address.Path, error) {
	p, err := address.ParsePath(s)
	switch {
	case err != nil:
		return p, err
	case p.Null():
		return p, errors.New("the null sender is no address")
	case p.Local == "" || p.Domain == "":
		return p, errors.New("address without a local part or a domain")
	case strings.HasPrefix(p.Domain, "["):
		return p, errors.New("an address literal has no domain to ask")
	}
	p = p.Canonical()
	if _, err := address.ASCIIDomain(p.Domain); err != nil {
		return p, err
	}
	if _, err := netip.ParseAddr(p.Domain); err == nil {
		return p, errors.New("an IP address is no domain")
	}
	if len(p.Local) > 64 {
		return p, errors.New("local part of more than 64 bytes")
	}
	return p, nil
}

// key returns what an address is kept under: the case of the local part means nothing to
// nearly all servers, and is free to choose for whoever wants us to ask again.
func (c *Checker) key(p address.Path) string { return p.Fold() + " " + c.o.From }

// begin joins those flights that others began, and asks about the rest.
func (c *Checker) begin(ctx context.Context, domain string, indexes []int, flights []*flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var mine []*flight
	for _, i := range indexes {
		f := flights[i]
		if other := c.flights[f.key]; other != nil {
			flights[i] = other
			c.stats.Joined++
			continue
		}
		switch {
		case c.closed:
			c.end(f, because(Closed, 0, "", ""))
		case ctx.Err() != nil:
			c.end(f, because(Pending, 0, "", ""))
		case len(mine) == c.o.Recipients:
			c.end(f, overBudget("more than %d addresses of a domain at a time", c.o.Recipients))
		default:
			c.flights[f.key] = f
			mine = append(mine, f)
		}
	}
	if len(mine) == 0 {
		return
	}
	var over Result
	switch {
	case c.waiting >= c.o.Waiting:
		over = overBudget("%d questions are under way", c.waiting)
	case !c.budget.take(c.o.Now(), limit{"", c.o.PerMinute}, limit{"domain " + domain, c.o.PerDomain}):
		over = overBudget("%d questions a minute, or %d about %s, were asked", c.o.PerMinute, c.o.PerDomain, domain)
	default:
		c.waiting++
		c.stats.Questions++
		c.wg.Go(func() { c.run(domain, mine) })
		return
	}
	for _, f := range mine {
		c.end(f, over)
	}
}

func overBudget(format string, args ...any) Result {
	r := because(OverBudget, 0, "", "")
	r.Problem = fmt.Sprintf(format, args...)
	return r
}

// end gives a flight its result, unless it has one. The caller locks.
func (c *Checker) end(f *flight, r Result) {
	select {
	case <-f.done:
		return
	default:
	}
	if r.Reason == OverBudget {
		c.stats.OverBudget++
	}
	r.Address = f.address
	if r.Asked.IsZero() {
		r.Asked = c.o.Now()
	}
	f.result = r
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
	close(f.done)
}

// run asks about addresses of a domain.
func (c *Checker) run(domain string, flights []*flight) {
	ctx, cancel := context.WithTimeout(c.ctx, c.o.Total)
	defer cancel()
	defer func() {
		// This goroutine is nobody's: what breaks in it would end the program.
		fault := because(NoAnswer, 0, "", "")
		if r := recover(); r != nil {
			fault.Problem = fmt.Sprintf("panic: %v", r)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waiting--
		for _, f := range flights {
			c.end(f, fault)
		}
	}()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		c.settle(flights, func(*flight) Result { return overBudget("%d dialogues are under way", c.o.Parallel) })
		return
	}
	// Another may have ended between the look into the Cache and here.
	var open []*flight
	for _, f := range flights {
		if r, ok := c.recall(ctx, f.key); ok {
			c.mu.Lock()
			c.end(f, r)
			c.mu.Unlock()
			continue
		}
		open = append(open, f)
	}
	if len(open) > 0 {
		c.ask(ctx, domain, open)
	}
}

// settle ends flights, and keeps what is worth it.
func (c *Checker) settle(flights []*flight, result func(*flight) Result) {
	for _, f := range flights {
		r := result(f)
		if c.ctx.Err() != nil && r.Verdict == Unknown {
			r = because(Closed, 0, "", "") // and not the server's silence
		}
		r.Address, r.Asked = f.address, c.o.Now()
		c.remember(f.key, r)
		c.mu.Lock()
		c.end(f, r)
		c.mu.Unlock()
	}
}

// cacheTime is how long the Cache has, in a question whose own time may have ended.
const cacheTime = 5 * time.Second

func (c *Checker) remember(key string, r Result) {
	if !reasons[r.Reason].keep {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), cacheTime)
	defer cancel()
	value := r.encode()
	if value == nil {
		return
	}
	if err := c.o.Cache.Put(ctx, key, value, c.o.Terms.of(r)); err != nil {
		c.cacheFailed()
	}
}

// recall returns what is kept under a key.
func (c *Checker) recall(ctx context.Context, key string) (Result, bool) {
	value, ok, err := c.o.Cache.Get(ctx, key)
	if err == nil && ok {
		var r Result
		if r, err = decode(value); err == nil {
			r.Cached = true
			return r, true
		}
	}
	if err != nil {
		c.cacheFailed()
	}
	return Result{}, false
}

func (c *Checker) cacheFailed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.CacheErrors++
}
