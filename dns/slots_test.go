package dns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// deadIn answers as name servers do of which those of some names are dead, and counts how
// many look-ups of those run.
type deadIn struct {
	*fake
	mu        sync.Mutex
	now, most int
}

func newDeadIn(dead func(name string) bool) *deadIn {
	d := &deadIn{}
	d.fake = &fake{txt: func(ctx context.Context, name string) ([]string, error) {
		if !dead(name) {
			time.Sleep(20 * time.Millisecond)
			return []string{"x"}, ctx.Err()
		}
		d.mu.Lock()
		d.now++
		d.most = max(d.most, d.now)
		d.mu.Unlock()
		<-ctx.Done()
		d.mu.Lock()
		d.now--
		d.mu.Unlock()
		return nil, ctx.Err()
	}}
	return d
}

func (d *deadIn) running() (now, most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now, d.most
}

// flood asks for n names at once, again and again until the end of the test.
func flood(t *testing.T, c *Cache, n int, name func(i int) string) {
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); all.Wait() })
	for i := range n {
		all.Go(func() {
			for round := i; ctx.Err() == nil; round += n {
				c.LookupTXT(ctx, name(round))
			}
		})
	}
}

func TestCacheOneDomainStarvesNoOther(t *testing.T) {
	for _, tt := range []struct {
		name     string
		o        CacheOptions
		flood    func(i int) string
		most     int // slots that the flood gets
		stranger string
	}{
		{"names below one domain", CacheOptions{}, func(i int) string { return fmt.Sprintf("s%d._domainkey.r%d.dead.example", i%10, i/10) }, 60, "_dmarc.bank.example"},
		{"of a suffix with two labels", CacheOptions{}, func(i int) string { return fmt.Sprintf("r%d.dead.co.uk", i) }, 60, "bank.co.uk"},
		{"in many domains", CacheOptions{}, func(i int) string { return fmt.Sprintf("s%d.r%d.dead%d.example", i, i, i%300) }, 1000, "_dmarc.bank.example"},
		{"a knob", CacheOptions{Parallel: 100, Domain: 50}, func(i int) string { return fmt.Sprintf("r%d.dead.example", i) }, 33, "bank.example"},
		{"one slot a domain", CacheOptions{Parallel: 100, Domain: 1}, func(i int) string { return fmt.Sprintf("r%d.dead.example", i) }, 1, "bank.example"},
		{"fewer slots than usual", CacheOptions{Parallel: 8}, func(i int) string { return fmt.Sprintf("r%d.dead.example", i) }, 3, "bank.example"},
		// Below the domain of a stranger there may be a dead name, too.
		{"a dead name in the stranger's domain", CacheOptions{}, func(i int) string { return fmt.Sprintf("r%d.dead.bank.example", i) }, 31, "_dmarc.bank.example"},
		{"several", CacheOptions{}, func(i int) string { return fmt.Sprintf("r%d.dead%d.bank.example", i, i%4) }, 50, "_dmarc.bank.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDeadIn(func(name string) bool { return strings.Contains(name, "dead") })
				c := NewCache(d, tt.o)
				defer c.Close()
				flood(t, c, 1500, tt.flood)
				for range 8 {
					time.Sleep(777 * time.Millisecond)
					start := time.Now()
					_, err := c.LookupTXT(t.Context(), tt.stranger)
					if took := time.Since(start); err != nil || took > 20*time.Millisecond {
						t.Errorf("the stranger is told %v after %v", err, took)
					}
					c.forget()
				}
				if _, most := d.running(); most > tt.most || most < tt.most*9/10 {
					t.Errorf("the flood had %d slots, want %d", most, tt.most)
				}
			})
		})
	}
}

// forget empties the cache.
func (c *Cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.used.Len() > 0 {
		c.drop(c.used.Front())
	}
}

// Where there are more dead domains than slots, those that have none are served in turn.
func TestCacheDomainsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		f := &fake{txt: func(ctx context.Context, name string) ([]string, error) {
			order = append(order, name) // one at a time
			time.Sleep(time.Millisecond)
			return nil, nil
		}}
		c := NewCache(f, CacheOptions{Parallel: 1})
		defer c.Close()
		var all sync.WaitGroup
		for _, name := range []string{"1.a.example", "2.a.example", "3.a.example", "1.b.example", "x.2.b.example", "y.2.b.example", "1.c.example", "3.b.example"} {
			all.Go(func() { c.LookupTXT(t.Context(), name) })
			synctest.Wait()
		}
		all.Wait()
		want := "1.a 2.a 1.b 1.c 3.a x.2.b 3.b y.2.b"
		if got := strings.ReplaceAll(strings.Join(order, " "), ".example.", ""); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestCacheFreesTheSlotOfWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeadIn(func(name string) bool { return strings.HasPrefix(name, "dead") })
		c := NewCache(d, CacheOptions{Parallel: 1, Timeout: time.Minute})
		defer c.Close()
		first, giveUp := context.WithCancel(t.Context())
		second, giveUpToo := context.WithCancel(t.Context())
		var told [2]error
		var all sync.WaitGroup
		all.Go(func() { _, told[0] = c.LookupTXT(first, "dead") })
		all.Go(func() { _, told[1] = c.LookupTXT(second, "dead") })
		synctest.Wait()
		var other error
		all.Go(func() { _, other = c.LookupTXT(t.Context(), "alive") })
		synctest.Wait()
		giveUp()
		synctest.Wait()
		if n, _ := d.running(); !errors.Is(told[0], context.Canceled) || told[1] != nil || n != 1 {
			t.Fatalf("when one gives up: %v, %v, %d look-ups", told[0], told[1], n)
		}
		start := time.Now()
		giveUpToo()
		all.Wait()
		if took := time.Since(start); !errors.Is(told[1], context.Canceled) || other != nil || took > 20*time.Millisecond {
			t.Errorf("when both do: %v, the next one is told %v after %v", told[1], other, took)
		}
		if s := c.Stats(); s.Entries != 1 || s.Asked != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// Who asks after others gave up is not told that they did.
func TestCacheAsksAgainAfterAllGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{txt: func(ctx context.Context, _ string) ([]string, error) {
			select {
			case <-ctx.Done():
				time.Sleep(time.Second) // slow to give up
				return nil, ctx.Err()
			case <-time.After(2 * time.Second):
				return []string{"x"}, nil
			}
		}}
		c := NewCache(f, CacheOptions{})
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.LookupTXT(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if v, err := c.LookupTXT(t.Context(), "x"); err != nil || len(v) != 1 || f.count() != 2 {
			t.Errorf("%v %v, %d questions", v, err, f.count())
		}
		if s := c.Stats(); s.Asked != 2 || s.Errors != 1 || s.Entries != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Nothing is kept of the domains that were asked for, however look-ups end.
func TestSlotsForget(t *testing.T) {
	type user struct {
		name                  string
		pause, patience, hold int // seconds
	}
	users := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) user {
		seconds := rapid.IntRange(0, 20)
		return user{rapid.StringMatching(`([xy]\.)?([ab]\.)?[c-f]\.(example|co\.uk)`).Draw(t, "name"), seconds.Draw(t, "pause"), seconds.Draw(t, "patience"), seconds.Draw(t, "hold")}
	}), 1, 40)
	rapid.Check(t, func(r *rapid.T) {
		s := slots{max: rapid.IntRange(1, 5).Draw(r, "slots"), all: share{below: make(map[string]*share)}}
		s.domain = rapid.IntRange(1, s.max).Draw(r, "domain")
		all := users.Draw(r, "users")
		synctest.Test(t, func(t *testing.T) {
			var wg sync.WaitGroup
			var now atomic.Int64
			for _, u := range all {
				wg.Go(func() {
					time.Sleep(time.Duration(u.pause) * time.Second)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(u.patience)*time.Second)
					defer cancel()
					free, ok := s.get(ctx, question{kindTXT, u.name})
					if !ok {
						return
					}
					if n := now.Add(1); n > int64(s.max) {
						t.Errorf("%d at a time", n)
					}
					time.Sleep(time.Duration(u.hold) * time.Second)
					now.Add(-1)
					free()
				})
			}
			wg.Wait()
		})
		if s.all.running != 0 || len(s.all.below) != 0 || s.all.queue.Len() != 0 {
			r.Fatalf("%d run, %d domains, %d in the queue", s.all.running, len(s.all.below), s.all.queue.Len())
		}
	})
}

func TestDomainOfAQuestion(t *testing.T) {
	for _, tt := range []struct {
		kind       kind
		name, want string
	}{
		{kindTXT, "example.com", "example.com example.com"},
		{kindTXT, "_dmarc.example.com", "example.com _dmarc.example.com"},
		{kindTXT, "s._domainkey.a.b.example.com", "example.com b.example.com"},
		{kindMX, "a.b.example.co.uk", "example.co.uk b.example.co.uk"},
		{kindTXT, "a.b.c.unheard-of", "c.unheard-of b.c.unheard-of"},
		{kindTXT, "com", "com com"},
		{kindTXT, "co.uk", "co.uk co.uk"},
		{kindTXT, "user+x.[192.0.2.1].example.com", "example.com 1].example.com"},
		{kindTXT, "192.0.2.1", "192.0.2.1 192.0.2.1"},
		{kindAddr, "192.0.2.1", "192.0.0.0/16 192.0.2.0/24"},
		{kindAddr, "2001:db8:1:2:3::4", "2001:db8:1::/48 2001:db8:1:2::/64"},
	} {
		q, ok := newQuestion(tt.kind, tt.name)
		domain, name := q.domain()
		if got := domain + " " + name; got != tt.want || !ok {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// What a flood that waits costs those who come: see next.
func BenchmarkSlotsUnderFlood(b *testing.B) {
	for _, domains := range []int{1, 16, 980} {
		b.Run(fmt.Sprintf("%d domains", domains), func(b *testing.B) {
			s := slots{max: 1024, domain: 64, all: share{below: make(map[string]*share)}}
			for i := range 10_000 {
				sh := s.all.of(fmt.Sprintf("dead%d.example", i%domains), true).of(fmt.Sprint(i), false)
				sh.queue.PushBack(make(chan struct{}))
				sh.settle()
				s.serve()
			}
			if s.all.running == s.max {
				b.Fatal("all slots are taken")
			}
			q := question{kindTXT, "_dmarc.bank.example"}
			b.ReportAllocs()
			for b.Loop() {
				free, ok := s.get(b.Context(), q)
				if !ok {
					b.Fatal("a stranger has to wait")
				}
				free()
			}
		})
	}
}
