package auth

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomilter/gomilter/dns"
)

// A budget is the resolver of one message. It bounds the time in which look-ups run, those
// that run at a time counted once, and takes note of it. TXT records it asks for once. It is a
// [dns.Exister] as far as the one behind it is.
type budget struct {
	r   dns.Resolver
	max time.Duration

	mu      sync.Mutex
	kept    time.Duration // of max, for what comes later
	running int
	since   time.Time // when running became 1
	spent   time.Duration
	asked   int
	texts   map[string]*text // by name
}

// A text is what is known of the TXT records of a name once done is closed.
type text struct {
	done    chan struct{}
	records []string
	err     error
}

// keep sets time aside that look-ups may not use for now.
func (b *budget) keep(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = d
}

// used returns how many look-ups there were, and how long they took.
func (b *budget) used() (asked int, spent time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked, b.sum()
}

func (b *budget) sum() time.Duration {
	if b.running > 0 {
		return b.spent + time.Since(b.since)
	}
	return b.spent
}

// begin is called before a look-up, and what it returns afterwards.
func (b *budget) begin(ctx context.Context) (context.Context, func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.max - b.kept - b.sum()
	if b.asked++; b.running == 0 {
		b.since = time.Now()
	}
	b.running++
	ctx, cancel := context.WithTimeout(ctx, left)
	return ctx, func() {
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.running--; b.running == 0 {
			b.spent += time.Since(b.since)
		}
	}
}

func (b *budget) LookupTXT(ctx context.Context, name string) ([]string, error) {
	key := strings.ToLower(strings.TrimSuffix(name, "."))
	b.mu.Lock()
	x := b.texts[key]
	if x == nil {
		x = &text{done: make(chan struct{})}
		if b.texts == nil {
			b.texts = make(map[string]*text)
		}
		b.texts[key] = x
		b.mu.Unlock()
		return b.lookupText(ctx, x, key, name)
	}
	b.mu.Unlock()
	select {
	case <-x.done:
		return slices.Clone(x.records), x.err
	case <-ctx.Done():
		return nil, &net.DNSError{Err: ctx.Err().Error(), Name: name, IsTimeout: true, IsTemporary: true}
	}
}

// lookupText asks for x, and forgets an answer that there may be at another time.
func (b *budget) lookupText(ctx context.Context, x *text, key, name string) ([]string, error) {
	ctx, end := b.begin(ctx)
	defer func() {
		end()
		b.mu.Lock()
		defer b.mu.Unlock()
		if x.records == nil && !dns.IsNotFound(x.err) {
			delete(b.texts, key)
		}
		close(x.done)
	}()
	x.err = errors.New("auth: the look-up panicked")
	x.records, x.err = b.r.LookupTXT(ctx, name)
	return slices.Clone(x.records), x.err
}

func (b *budget) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	ctx, end := b.begin(ctx)
	defer end()
	return b.r.LookupMX(ctx, name)
}

func (b *budget) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	ctx, end := b.begin(ctx)
	defer end()
	return b.r.LookupNetIP(ctx, network, host)
}

func (b *budget) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ctx, end := b.begin(ctx)
	defer end()
	return b.r.LookupAddr(ctx, addr)
}

func (b *budget) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	ctx, end := b.begin(ctx)
	defer end()
	return b.r.LookupNS(ctx, name)
}

func (b *budget) LookupCNAME(ctx context.Context, host string) (string, error) {
	ctx, end := b.begin(ctx)
	defer end()
	return b.r.LookupCNAME(ctx, host)
}

// Exists is [dns.Exister]'s; where the resolver behind is none the error is
// [errors.ErrUnsupported].
func (b *budget) Exists(ctx context.Context, name string) (bool, error) {
	e, ok := b.r.(dns.Exister)
	if !ok {
		return false, errors.ErrUnsupported
	}
	ctx, end := b.begin(ctx)
	defer end()
	return e.Exists(ctx, name)
}
