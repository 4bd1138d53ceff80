package callout_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter/callout"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/internal/smtpc/fakemx"
)

func TestNewTellsWhatIsWrong(t *testing.T) {
	z := zone(t, domains)
	for _, tt := range []struct {
		o    callout.Options
		want string
	}{
		{callout.Options{Helo: "mail.example.net"}, "callout: Options.Resolver is missing"},
		{callout.Options{Resolver: z}, `callout: Options.Helo "" is no name`},
		{callout.Options{Resolver: z, Helo: "a b"}, `callout: Options.Helo "a b" is no name`},
		{callout.Options{Resolver: z, Helo: "a", From: "postmaster"}, `callout: Options.From "postmaster" is no address`},
		{callout.Options{Resolver: z, Helo: "a", From: "<a"}, `callout: Options.From "<a" is no address`},
	} {
		if _, err := callout.New(tt.o); err == nil || err.Error() != tt.want {
			t.Errorf("New() error = %v, want %s", err, tt.want)
		}
	}
}

// CBV-14: an answer is kept for the term of its kind, refusals and what is not known too.
func TestTerms(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script fakemx.Script
		why    callout.Reason
		term   time.Duration
	}{
		{"accepted", fakemx.Script{}, callout.Taken, 7 * 24 * time.Hour},
		{"refused", fakemx.Script{On: knows()}, callout.NoMailbox, 12 * time.Hour},
		{"no bounces", fakemx.Script{On: on("MAIL", "550 no\r\n")}, callout.NoBounces, 12 * time.Hour},
		{"greylisted", fakemx.Script{On: on("RCPT", "451 4.7.1 greylisted\r\n")}, callout.Greylisted, 10 * time.Minute},
		{"put off", fakemx.Script{On: on("RCPT", "451 4.3.0 no\r\n")}, callout.PutOff, 15 * time.Minute},
		{"no answer", fakemx.Script{Greeting: "no SMTP\r\n"}, callout.NoAnswer, 15 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakemx.New(t)
			h := f.Add(mx1, tt.script)
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			start := now
			c := newChecker(t, f, callout.Options{Local: true, NoProbe: true, Now: func() time.Time { return now }})
			for i, step := range []struct {
				at       time.Duration
				cached   bool
				sessions int
			}{{0, false, 1}, {tt.term - 1, true, 1}, {tt.term, false, 2}} {
				now = start.Add(step.at)
				got := c.Ask(t.Context(), "a@one.example")[0]
				if got.Reason != tt.why || got.Cached != step.cached || h.Sessions() != step.sessions {
					t.Errorf("question %d: %v, %d connections; want %s, cached %v, %d", i, got, h.Sessions(), tt.why, step.cached, step.sessions)
				}
				if step.cached && !got.Asked.Equal(start) {
					t.Errorf("asked %v, want %v", got.Asked, start)
				}
			}
		})
	}
}

// A server that greylists takes the address when it is asked again.
func TestGreylistedIsAskedAgain(t *testing.T) {
	f := fakemx.New(t)
	var seen atomic.Bool
	f.Add(mx1, fakemx.Script{On: func(_ *fakemx.Session, line string) string {
		if strings.HasPrefix(line, "RCPT") && !seen.Swap(true) {
			return "450 4.2.0 Greylisted\r\n"
		}
		return ""
	}})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := newChecker(t, f, callout.Options{Local: true, NoProbe: true, Now: func() time.Time { return now }})
	wants(t, c.Ask(t.Context(), "a@one.example")[0], callout.Unknown, callout.Greylisted)
	now = now.Add(10 * time.Minute)
	wants(t, c.Ask(t.Context(), "a@one.example")[0], callout.Accepted, callout.Taken)
}

// What DNS alone decided is its cache's to keep.
func TestWhatIsNotKept(t *testing.T) {
	f := fakemx.New(t)
	cache := &countingCache{Cache: callout.NewMemory(0, nil)}
	c := newChecker(t, f, callout.Options{Cache: cache, PerMinute: 100})
	for _, a := range []string{"a@null.example", "a@no.example", "a@slow.example", "a@bogus.example", "postmaster"} {
		if got := c.Ask(t.Context(), a)[0]; got.Cached {
			t.Errorf("%s: %v", a, got)
		}
	}
	if n := cache.puts.Load(); n != 0 {
		t.Errorf("%d results were kept", n)
	}
}

type countingCache struct {
	callout.Cache
	puts atomic.Int64
}

func (c *countingCache) Put(ctx context.Context, key string, value []byte, term time.Duration) error {
	c.puts.Add(1)
	return c.Cache.Put(ctx, key, value, term)
}

// Checkers that ask as different senders share a Cache, and not its answers.
func TestSendersAreKeptApart(t *testing.T) {
	f := fakemx.New(t)
	h := f.Add(mx1, fakemx.Script{On: on("MAIL FROM:<>", "550 no bounces\r\n")})
	cache := callout.NewMemory(0, nil)
	null := newChecker(t, f, callout.Options{Local: true, Cache: cache})
	given := newChecker(t, f, callout.Options{Local: true, Cache: cache, From: "me@example.net", NoProbe: true})
	wants(t, null.Ask(t.Context(), "a@one.example")[0], callout.Unknown, callout.NoBounces)
	wants(t, given.Ask(t.Context(), "a@one.example")[0], callout.Accepted, callout.Taken)
	if got := given.Ask(t.Context(), "A@ONE.example")[0]; !got.Cached || h.Sessions() != 2 {
		t.Errorf("%v, after %d connections", got, h.Sessions())
	}
}

// A Cache that fails costs a question, and is counted.
func TestCacheThatFails(t *testing.T) {
	f := fakemx.New(t)
	f.Add(mx1, fakemx.Script{})
	c := newChecker(t, f, callout.Options{Local: true, NoProbe: true, Cache: brokenCache{}})
	wants(t, c.Ask(t.Context(), "a@one.example")[0], callout.Accepted, callout.Taken)
	if got := c.Stats().CacheErrors; got != 3 {
		t.Errorf("%d errors, want 3: before the question, in it, and after", got)
	}
}

type brokenCache struct{}

func (brokenCache) Get(context.Context, string) ([]byte, bool, error) {
	return nil, false, errors.New("down")
}
func (brokenCache) Put(context.Context, string, []byte, time.Duration) error {
	return errors.New("down")
}

func TestCacheWithOtherThings(t *testing.T) {
	f := fakemx.New(t)
	f.Add(mx1, fakemx.Script{})
	cache := callout.NewMemory(0, nil)
	cache.Put(t.Context(), "a@one.example ", []byte("{}"), time.Hour)
	c := newChecker(t, f, callout.Options{Local: true, NoProbe: true, Cache: cache})
	wants(t, c.Ask(t.Context(), "a@one.example")[0], callout.Accepted, callout.Taken)
	if c.Stats().CacheErrors == 0 {
		t.Error("no error was counted")
	}
	if got := c.Ask(t.Context(), "a@one.example")[0]; !got.Cached {
		t.Errorf("then %v", got)
	}
}

// CBV-11, CBV-16: the asker's time ends, the question goes on, and the next asker finds the answer.
func TestGoesOnInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fakemx.InMemory(t)
		f.Add(mx1, fakemx.Script{On: at("RCPT", func(*fakemx.Session) string {
			time.Sleep(20 * time.Second)
			return ""
		})})
		c := newChecker(t, f, callout.Options{Local: true, NoProbe: true})
		start := time.Now()
		got := c.Ask(withTimeout(t, 8*time.Second), "a@one.example")[0]
		if wants(t, got, callout.Unknown, callout.Pending); time.Since(start) != 8*time.Second {
			t.Errorf("took %v", time.Since(start))
		}
		time.Sleep(15 * time.Second)
		if got = c.Ask(t.Context(), "a@one.example")[0]; !got.Cached {
			t.Errorf("then %v, want it known", got)
		}
		wants(t, got, callout.Accepted, callout.Taken)
		c.Close()
		f.Wait()
	})
}

// With a context that has ended there is the Cache only.
func TestContextThatHasEnded(t *testing.T) {
	f := fakemx.New(t)
	c := newChecker(t, f, callout.Options{Local: true})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wants(t, c.Ask(ctx, "a@one.example")[0], callout.Unknown, callout.Pending)
	if s := c.Stats(); s.Questions != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestManyAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fakemx.InMemory(t)
		h := f.Add(mx1, fakemx.Script{On: at("RCPT", func(*fakemx.Session) string {
			time.Sleep(time.Second)
			return ""
		})})
		c := newChecker(t, f, callout.Options{Local: true, NoProbe: true})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				address := "a@one.example"
				if i%2 == 0 {
					address = "A@One.Example"
				}
				got := c.Ask(t.Context(), address)[0]
				if wants(t, got, callout.Accepted, callout.Taken); got.Address != address {
					t.Errorf("address %q, want %q", got.Address, address)
				}
			})
		}
		wg.Wait()
		if s := c.Stats(); h.Sessions() != 1 || s.Joined != 49 || s.Questions != 1 {
			t.Errorf("%d connections, stats %+v", h.Sessions(), s)
		}
		c.Close()
		f.Wait()
	})
}

// CBV-13: what is asked in a minute is bounded, by domain, by server, and in all.
func TestBudgets(t *testing.T) {
	many := zone(t, "*.example. MX 10 mx.example.\nmx.example. A 240.0.0.1\n")
	for _, tt := range []struct {
		name   string
		o      callout.Options
		domain func(i int) string
		asked  int
	}{
		{"domain", callout.Options{PerDomain: 3}, func(int) string { return "one.example" }, 3},
		{"domain, by default", callout.Options{}, func(int) string { return "one.example" }, 6},
		{"all", callout.Options{PerMinute: 4}, func(i int) string { return fmt.Sprintf("d%d.example", i) }, 4},
		{"server of many domains", callout.Options{PerServer: 5}, func(i int) string { return fmt.Sprintf("d%d.example", i) }, 5},
		{"server, by default", callout.Options{}, func(i int) string { return fmt.Sprintf("d%d.example", i) }, 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakemx.New(t)
			h := f.Add(mx1, fakemx.Script{})
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			o := tt.o
			o.Resolver, o.Local, o.NoProbe, o.Now = many, true, true, func() time.Time { return now }
			c := newChecker(t, f, o)
			i := 0
			for minute := 1; minute <= 2; minute++ {
				for n := range 20 {
					i++
					got := c.Ask(t.Context(), fmt.Sprintf("a%d@%s", i, tt.domain(i)))[0]
					if n < tt.asked {
						wants(t, got, callout.Accepted, callout.Taken)
					} else if wants(t, got, callout.Unknown, callout.OverBudget); got.Problem == "" {
						t.Error("no problem is named")
					}
				}
				if h.Sessions() != minute*tt.asked {
					t.Errorf("%d connections after %d minutes, want %d", h.Sessions(), minute, minute*tt.asked)
				}
				now = now.Add(time.Minute)
			}
			if got, want := c.Stats().OverBudget, uint64(2*(20-tt.asked)); got != want {
				t.Errorf("%d over budget, want %d", got, want)
			}
		})
	}
}

func TestDialoguesAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		many := zone(t, "*.example. MX 10 mx.example.\nmx.example. A 240.0.0.1\n")
		f := fakemx.InMemory(t)
		var now, most atomic.Int64
		f.Add(mx1, fakemx.Script{On: at("RCPT", func(*fakemx.Session) string {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(10 * time.Second)
			now.Add(-1)
			return ""
		})})
		c := newChecker(t, f, callout.Options{Resolver: many, Local: true, NoProbe: true, Parallel: 2, Waiting: 5, PerMinute: 100, PerServer: 100, Total: 25 * time.Second})
		reasons := make(map[callout.Reason]int)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				got := c.Ask(t.Context(), fmt.Sprintf("a@d%d.example", i))[0]
				mu.Lock()
				defer mu.Unlock()
				reasons[got.Reason]++
			})
		}
		wg.Wait()
		// Two at 10 s, two at 20 s, one cut at 25 s, three at once.
		if most.Load() != 2 || reasons[callout.Taken] != 4 || reasons[callout.NoAnswer] != 1 || reasons[callout.OverBudget] != 3 {
			t.Errorf("%d at a time, %v", most.Load(), reasons)
		}
		c.Close()
		f.Wait()
	})
}

// Who gets no turn in the time of a question was not asked about.
func TestNoTurnInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fakemx.InMemory(t)
		r := &stuck{Zone: zone(t, domains), free: make(chan bool)}
		c := newChecker(t, f, callout.Options{Resolver: r, Parallel: 1, Total: 20 * time.Second})
		var wg sync.WaitGroup
		wg.Go(func() { c.Ask(t.Context(), "a@slow.example") })
		synctest.Wait()
		start := time.Now()
		got := c.Ask(t.Context(), "a@null.example")[0]
		if wants(t, got, callout.Unknown, callout.OverBudget); time.Since(start) != 20*time.Second {
			t.Errorf("took %v", time.Since(start))
		}
		close(r.free)
		wg.Wait()
		wants(t, c.Ask(t.Context(), "a@null.example")[0], callout.Refused, callout.NullMX)
		c.Close()
	})
}

// stuck does not heed the context's end.
type stuck struct {
	*dns.Zone
	free chan bool
}

func (s *stuck) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	<-s.free
	return s.Zone.LookupMX(ctx, name)
}

// Close ends what is being asked, waits for it, and keeps nothing that it broke.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fakemx.InMemory(t)
		h := f.Add(mx1, fakemx.Script{On: at("RCPT", (*fakemx.Session).Stall)})
		cache := &countingCache{Cache: callout.NewMemory(0, nil)}
		c := newChecker(t, f, callout.Options{Local: true, Cache: cache})
		var wg sync.WaitGroup
		wg.Go(func() { wants(t, c.Ask(t.Context(), "a@one.example")[0], callout.Unknown, callout.Closed) })
		wg.Go(func() {
			wants(t, c.Ask(withTimeout(t, time.Second), "b@two.example")[0], callout.Unknown, callout.Pending)
		})
		time.Sleep(2 * time.Second)
		start := time.Now()
		c.Close()
		wg.Wait()
		if took := time.Since(start); took != 0 || cache.puts.Load() != 0 {
			t.Errorf("took %v, kept %d", took, cache.puts.Load())
		}
		wants(t, c.Ask(t.Context(), "c@one.example")[0], callout.Unknown, callout.Closed)
		c.Close()
		f.Wait()
		if h.Sessions() != 2 {
			t.Errorf("%d connections", h.Sessions())
		}
	})
}

func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &stuck{Zone: zone(t, domains), free: make(chan bool)}
		c := newChecker(t, fakemx.InMemory(t), callout.Options{Resolver: r})
		c.Ask(withTimeout(t, time.Second), "a@null.example")
		var closed atomic.Bool
		go func() {
			c.Close()
			closed.Store(true)
		}()
		if synctest.Wait(); closed.Load() {
			t.Error("closed, with a question under way")
		}
		close(r.free)
		if synctest.Wait(); !closed.Load() {
			t.Error("not closed, with no question under way")
		}
	})
}

// An answer that another found while this asker was on his way is not asked for again.
func TestAnswerThatJustCame(t *testing.T) {
	f := fakemx.New(t)
	h := f.Add(mx1, fakemx.Script{})
	cache := &lateCache{Cache: callout.NewMemory(0, nil)}
	c := newChecker(t, f, callout.Options{Local: true, NoProbe: true, Cache: cache})
	c.Ask(t.Context(), "a@one.example")
	cache.late.Store(1)
	if got := c.Ask(t.Context(), "a@one.example")[0]; !got.Cached || h.Sessions() != 1 {
		t.Errorf("%v, after %d connections", got, h.Sessions())
	}
}

// lateCache knows nothing for a number of looks.
type lateCache struct {
	callout.Cache
	late atomic.Int64
}

func (c *lateCache) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if c.late.Add(-1) >= 0 {
		return nil, false, nil
	}
	return c.Cache.Get(ctx, key)
}

func TestCloseLeavesTheCache(t *testing.T) {
	f := fakemx.New(t)
	f.Add(mx1, fakemx.Script{})
	c := newChecker(t, f, callout.Options{Local: true})
	c.Ask(t.Context(), "a@one.example")
	c.Close()
	if got := c.Ask(t.Context(), "a@one.example")[0]; !got.Cached {
		t.Errorf("got %v", got)
	}
}

// What breaks in a question costs its answer.
func TestPanicCostsOneQuestion(t *testing.T) {
	f := fakemx.New(t)
	f.Add(mx1, fakemx.Script{})
	r := &panicking{Zone: zone(t, domains)}
	c := newChecker(t, f, callout.Options{Local: true, NoProbe: true, Resolver: r, Parallel: 1, Waiting: 1})
	r.now.Store(true)
	got := c.Ask(t.Context(), "a@one.example", "b@one.example")
	wants(t, got[0], callout.Unknown, callout.NoAnswer)
	if wants(t, got[1], callout.Unknown, callout.NoAnswer); got[1].Problem != "panic: resolver" {
		t.Errorf("problem %q", got[1].Problem)
	}
	r.now.Store(false)
	// The turn is given back a moment after the answer.
	for got[0].Verdict != callout.Accepted {
		got = c.Ask(withTimeout(t, 10*time.Second), "a@one.example")
		if got[0].Reason == callout.Pending {
			t.Fatal(got[0])
		}
		if got[0].Reason == callout.OverBudget && !strings.Contains(got[0].Problem, "under way") {
			t.Fatal(got[0])
		}
	}
}

type panicking struct {
	*dns.Zone
	now atomic.Bool
}

func (p *panicking) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	if p.now.Load() {
		panic("resolver")
	}
	return p.Zone.LookupMX(ctx, name)
}
