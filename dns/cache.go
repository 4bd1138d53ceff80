package dns

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// CacheOptions bound a [Cache]. The zero value works.
type CacheOptions struct {
	Entries  int           // answers kept; 0 means 10000
	Bytes    int           // memory for answers kept, about; 0 means 32 MiB
	Answer   int           // memory for one answer, about; a larger one is an error, see ErrAnswer; 0 means 64 KiB
	Life     time.Duration // of an answer, also of one that there is nothing; 0 means 5 minutes
	Errors   time.Duration // of an error that is temporary; 0 means 5 s
	Timeout  time.Duration // for one look-up upstream; 0 means 5 s
	Parallel int           // look-ups upstream at a time, more wait within their Timeout; 0 means 1024
	Domain   int           // of Parallel, those below one domain, about; see Cache; 0 means a 16th, 4 at least
	Now      func() time.Time
}

// CacheStats count what a [Cache] did since it was made, but for Entries and Bytes,
// which are of the moment.
type CacheStats struct {
	Hits    uint64 // questions answered from memory, errors that are remembered included
	Misses  uint64 // questions that had to wait for upstream, together with others or alone
	Asked   uint64 // look-ups upstream
	Errors  uint64 // of Asked, those that ended in a temporary error
	Dropped uint64 // answers forgotten before their time, for want of room
	Entries int
	Bytes   int
}

// A Cache is a Resolver that remembers answers, and asks a question that several have at a
// time once. It may be used by several goroutines at a time.
//
// What is remembered is the answer to the very question, by type and name: nothing that
// came with an answer is ever taken for the answer to another question. Who publishes
// the names of an address has no say in the addresses of a name.
//
// That there is no name or no data is remembered as long as an answer is. Slices that
// are returned are the caller's; errors are shared and must not be written to.
type Cache struct {
	r      Resolver
	o      CacheOptions
	ctx    context.Context // of look-ups upstream, which outlive one of those who asked
	cancel context.CancelFunc
	slots  slots

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
	asking map[question]*flight
	kept   map[question]*list.Element // of *entry
	used   list.List                  // what was used last stands first
	stats  CacheStats
}

// A question is what an answer belongs to.
type question struct {
	kind kind
	name string // canonical, or an address as netip writes it
}

type kind byte

const (
	kindTXT kind = iota
	kindMX
	kindIP
	kindIP4
	kindIP6
	kindAddr
	kindNS
	kindCNAME
	kindExists
)

// entry is an answer as it is kept.
type entry struct {
	question
	answer  any // what the method returns
	err     error
	size    int
	expires time.Time
}

// A flight is a look-up that is under way.
type flight struct {
	cancel context.CancelFunc
	wait   int           // how many wait for it; the last one who leaves ends it
	done   chan struct{} // closed when e is there
	e      *entry
}

// NewCache returns a cache before r. It needs no Close: look-ups that nobody waits for
// any more end.
func NewCache(r Resolver, o CacheOptions) *Cache {
	for _, f := range []struct {
		field *int
		usual int
	}{{&o.Entries, 10000}, {&o.Bytes, 32 << 20}, {&o.Answer, 64 << 10}, {&o.Parallel, 1024}} {
		if *f.field <= 0 {
			*f.field = f.usual
		}
	}
	for _, f := range []struct {
		field *time.Duration
		usual time.Duration
	}{{&o.Life, 5 * time.Minute}, {&o.Errors, 5 * time.Second}, {&o.Timeout, 5 * time.Second}} {
		if *f.field <= 0 {
			*f.field = f.usual
		}
	}
	if o.Domain <= 0 {
		o.Domain = max(o.Parallel/16, 4)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Cache{r: r, o: o, kept: make(map[question]*list.Element), asking: make(map[question]*flight)}
	c.slots.max = min(o.Parallel, math.MaxInt32)
	c.slots.domain = min(o.Domain, c.slots.max)
	c.slots.all.below = make(map[string]*share)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Close gives up what is being looked up, and waits until that has ended. After it
// the cache answers from memory only; what it does not know is a temporary error.
// The error is nil.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	return nil
}

// Stats tells what the cache did.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Entries = len(c.kept)
	return s
}

// LookupTXT returns the TXT records of a name, the strings of each joined.
func (c *Cache) LookupTXT(ctx context.Context, name string) ([]string, error) {
	v, err := lookup(ctx, c, kindTXT, name, Resolver.LookupTXT, func(v []string) int { return sizeOf(v...) })
	return slices.Clone(v), err
}

// LookupMX returns the MX records of a name, in the order that r gave them.
func (c *Cache) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	v, err := lookup(ctx, c, kindMX, name, Resolver.LookupMX, func(v []*net.MX) (n int) {
		for _, mx := range v {
			n += sizeOf(mx.Host)
		}
		return n
	})
	return clonePointers(v), err
}

// LookupNetIP returns the addresses of a name, of both families for the network "ip", of one
// for "ip4" and "ip6". An address is no name: for one it is told that there is no such host. Of
// another network the error is [net.UnknownNetworkError].
func (c *Cache) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	kind, ask := kindIP, askIP
	switch network {
	case "ip":
	case "ip4":
		kind, ask = kindIP4, askIP4
	case "ip6":
		kind, ask = kindIP6, askIP6
	default:
		return nil, net.UnknownNetworkError(network)
	}
	v, err := lookup(ctx, c, kind, host, ask, func(v []netip.Addr) (n int) { return len(v) * 24 })
	return slices.Clone(v), err
}

func askIP(r Resolver, ctx context.Context, host string) ([]netip.Addr, error) {
	return r.LookupNetIP(ctx, "ip", host)
}
func askIP4(r Resolver, ctx context.Context, host string) ([]netip.Addr, error) {
	return r.LookupNetIP(ctx, "ip4", host)
}
func askIP6(r Resolver, ctx context.Context, host string) ([]netip.Addr, error) {
	return r.LookupNetIP(ctx, "ip6", host)
}

// LookupAddr returns the names of an address, each with a final dot.
func (c *Cache) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	v, err := lookup(ctx, c, kindAddr, addr, Resolver.LookupAddr, func(v []string) int { return sizeOf(v...) })
	return slices.Clone(v), err
}

// LookupNS returns the NS records of a name.
func (c *Cache) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	v, err := lookup(ctx, c, kindNS, name, Resolver.LookupNS, func(v []*net.NS) (n int) {
		for _, ns := range v {
			n += sizeOf(ns.Host)
		}
		return n
	})
	return clonePointers(v), err
}

// LookupCNAME returns the name that a name is an alias of, or the name itself, with a
// final dot.
func (c *Cache) LookupCNAME(ctx context.Context, host string) (string, error) {
	return lookup(ctx, c, kindCNAME, host, Resolver.LookupCNAME, func(v string) int { return sizeOf(v) })
}

// Exists is [Exister]'s; where the resolver behind the cache is none the error is
// [errors.ErrUnsupported].
func (c *Cache) Exists(ctx context.Context, name string) (bool, error) {
	if _, ok := c.r.(Exister); !ok {
		return false, errors.ErrUnsupported
	}
	return lookup(ctx, c, kindExists, name, func(r Resolver, ctx context.Context, name string) (bool, error) {
		return r.(Exister).Exists(ctx, name)
	}, func(bool) int { return 0 })
}

// perString is what a string, and a pointer to what it is in, take beside its bytes.
const perString = 48

func sizeOf(texts ...string) (n int) {
	for _, s := range texts {
		n += len(s) + perString
	}
	return n
}

func clonePointers[T any](v []*T) []*T {
	if len(v) == 0 {
		return nil
	}
	values, out := make([]T, len(v)), make([]*T, len(v))
	for i, p := range v {
		values[i] = *p
		out[i] = &values[i]
	}
	return out
}

// lookup returns what is kept of a question, or asks it of the resolver behind.
func lookup[T any](ctx context.Context, c *Cache, k kind, name string, ask func(Resolver, context.Context, string) (T, error), size func(T) int) (T, error) {
	var none T
	q, ok := newQuestion(k, name)
	if !ok {
		if k == kindExists {
			return none, nil
		}
		return none, notFound(name, "")
	}
	e := c.get(q)
	if e == nil {
		e = c.wait(ctx, q, func(ctx context.Context) *entry {
			v, err := ask(c.r, ctx, q.upstream())
			if err != nil {
				if !errors.Is(err, errors.ErrUnsupported) {
					err = asDNSError(q.name, err)
				}
				return &entry{question: q, err: err}
			}
			n := size(v)
			if n > c.o.Answer {
				return &entry{question: q, err: useless(q.name, fmt.Sprintf("answer takes %d bytes, more than %d", n, c.o.Answer))}
			}
			return &entry{question: q, answer: v, size: n}
		})
	}
	v, _ := e.answer.(T)
	return v, e.err
}

// newQuestion returns the question for a name or an address. It is not ok where the
// answer can only be that there is no such thing.
func newQuestion(k kind, name string) (question, bool) {
	if k == kindAddr {
		a, err := netip.ParseAddr(name)
		return question{k, a.WithZone("").Unmap().String()}, err == nil
	}
	name, ok := canonical(name)
	return question{k, name}, ok
}

// upstream returns the question as it is asked: a name with a final dot, so that no
// search list applies.
func (q question) upstream() string {
	if q.kind == kindAddr {
		return q.name
	}
	return q.name + "."
}

// get returns what is kept of q, nil for nothing.
func (c *Cache) get(q question) *entry {
	now := c.o.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.kept[q]
	if !ok {
		c.stats.Misses++
		return nil
	}
	e := at.Value.(*entry)
	if !now.Before(e.expires) {
		c.drop(at)
		c.stats.Misses++
		return nil
	}
	c.used.MoveToFront(at)
	c.stats.Hits++
	return e
}

// wait asks q, or waits for the answer to one who asks it, until ctx ends. Who gives up takes
// nothing from others who wait.
func (c *Cache) wait(ctx context.Context, q question, ask func(context.Context) *entry) *entry {
	if err := ctx.Err(); err != nil {
		return &entry{err: givenUp(q.name, err)}
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return &entry{err: givenUp(q.name, context.Canceled)}
	}
	f := c.asking[q]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		c.asking[q] = f
		var upstream context.Context
		upstream, f.cancel = context.WithTimeout(c.ctx, c.o.Timeout)
		c.wg.Go(func() { c.fly(upstream, q, f, ask) })
	}
	f.wait++
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.e
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.wait--; f.wait == 0 && c.asking[q] == f {
		delete(c.asking, q) // who asks from now on is not told that others gave up
		f.cancel()
	}
	return &entry{err: givenUp(q.name, ctx.Err())}
}

// fly asks upstream when there is a slot, and keeps the answer.
func (c *Cache) fly(ctx context.Context, q question, f *flight, ask func(context.Context) *entry) {
	defer f.cancel()
	asked := false
	defer func() {
		// This goroutine is nobody's: what breaks in it would end the program.
		if r := recover(); r != nil {
			f.e = &entry{question: q, err: temporary(q.name, "", fmt.Sprintf("resolver panics: %v", r))}
		} else if f.e == nil {
			f.e = &entry{question: q, err: givenUp(q.name, ctx.Err())}
		}
		c.land(q, f, asked)
	}()
	free, ok := c.slots.get(ctx, q)
	if !ok {
		return
	}
	defer free()
	asked = true
	f.e = ask(ctx)
}

// land tells those who wait, and remembers what a look-up has found out.
func (c *Cache) land(q question, f *flight, asked bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted := c.asking[q] == f
	if wanted {
		delete(c.asking, q)
	}
	failed := IsTemporary(f.e.err) && !errors.Is(f.e.err, errors.ErrUnsupported)
	if asked && c.ctx.Err() == nil {
		c.stats.Asked++
		if failed {
			c.stats.Errors++
		}
		if wanted || !failed {
			c.keep(f.e, failed)
		}
	}
	close(f.done)
}

// keep remembers an answer that has just come, and that there was none for a shorter time.
func (c *Cache) keep(e *entry, failed bool) {
	life := c.o.Life
	if failed {
		life = c.o.Errors
	}
	e.expires = c.o.Now().Add(life)
	e.size += len(e.name) + perEntry
	if at, ok := c.kept[e.question]; ok {
		c.drop(at)
	}
	c.kept[e.question] = c.used.PushFront(e)
	c.stats.Bytes += e.size
	for len(c.kept) > c.o.Entries || c.stats.Bytes > c.o.Bytes {
		last := c.used.Back()
		if c.o.Now().Before(last.Value.(*entry).expires) {
			c.stats.Dropped++
		}
		c.drop(last)
	}
}

// perEntry is what an answer takes beside its data: the entry, its place in the list
// and in the map, and an error.
const perEntry = 400

func (c *Cache) drop(at *list.Element) {
	e := c.used.Remove(at).(*entry)
	delete(c.kept, e.question)
	c.stats.Bytes -= e.size
}
