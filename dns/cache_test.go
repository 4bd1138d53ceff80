package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// A fake answers with functions, and counts. What it has no function for has no answer.
type fake struct {
	mu     sync.Mutex
	asked  []string
	txt    func(ctx context.Context, name string) ([]string, error)
	mx     []*net.MX
	ip     []netip.Addr
	names  []string
	ns     []*net.NS
	exists func(name string) (bool, error)
}

func (f *fake) note(kind, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, kind+" "+name)
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func (f *fake) LookupTXT(ctx context.Context, name string) ([]string, error) {
	f.note("TXT", name)
	if f.txt == nil {
		return nil, notFound(name, "")
	}
	return f.txt(ctx, name)
}

func (f *fake) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	f.note("MX", name)
	return f.mx, nil
}

func (f *fake) LookupNetIP(_ context.Context, network, name string) ([]netip.Addr, error) {
	f.note(strings.ToUpper(network), name)
	return f.ip, nil
}

func (f *fake) LookupAddr(_ context.Context, addr string) ([]string, error) {
	f.note("PTR", addr)
	return f.names, nil
}

func (f *fake) LookupNS(_ context.Context, name string) ([]*net.NS, error) {
	f.note("NS", name)
	return f.ns, nil
}

func (f *fake) LookupCNAME(_ context.Context, name string) (string, error) {
	f.note("CNAME", name)
	return "target.example.", nil
}

type fakeExister struct{ *fake }

func (f fakeExister) Exists(_ context.Context, name string) (bool, error) {
	f.note("EXISTS", name)
	return f.exists(name)
}

func TestCacheAsksOnceWithAnAbsoluteName(t *testing.T) {
	f := &fake{
		txt:    func(_ context.Context, name string) ([]string, error) { return []string{"text of " + name}, nil },
		mx:     []*net.MX{{Host: "mx.example.", Pref: 10}},
		ip:     []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		names:  []string{"host.example."},
		ns:     []*net.NS{{Host: "ns.example."}},
		exists: func(string) (bool, error) { return true, nil },
	}
	c := NewCache(fakeExister{f}, CacheOptions{})
	defer c.Close()
	for _, name := range []string{"_Dmarc.Example.COM", "_dmarc.example.com.", "_dmarc.example.com"} {
		txt, err := c.LookupTXT(t.Context(), name)
		check(t, name, txt, []string{"text of _dmarc.example.com."}, err)
		mx, err := c.LookupMX(t.Context(), name)
		check(t, name, mx, []*net.MX{{Host: "mx.example.", Pref: 10}}, err)
		ip, err := c.LookupNetIP(t.Context(), "ip", name)
		check(t, name, ip, []netip.Addr{netip.MustParseAddr("192.0.2.1")}, err)
		ns, err := c.LookupNS(t.Context(), name)
		check(t, name, ns, []*net.NS{{Host: "ns.example."}}, err)
		cname, err := c.LookupCNAME(t.Context(), name)
		check(t, name, cname, "target.example.", err)
		exists, err := c.Exists(t.Context(), name)
		check(t, name, exists, true, err)
	}
	for _, addr := range []string{"192.0.2.1", "::ffff:192.0.2.1", "2001:DB8::1", "2001:db8:0::1%eth0"} {
		names, err := c.LookupAddr(t.Context(), addr)
		check(t, addr, names, []string{"host.example."}, err)
	}
	const name = "_dmarc.example.com."
	want := []string{"TXT " + name, "MX " + name, "IP " + name, "NS " + name, "CNAME " + name, "EXISTS " + name, "PTR 192.0.2.1", "PTR 2001:db8::1"}
	if d := cmp.Diff(want, f.asked); d != "" {
		t.Error(d)
	}
	if s := c.Stats(); s.Hits != 14 || s.Misses != 8 || s.Asked != 8 || s.Errors != 0 || s.Entries != 8 {
		t.Errorf("%+v", s)
	}
}

func check(t *testing.T, of string, got, want any, err error) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" || err != nil {
		t.Errorf("%s: %v\n%s", of, err, d)
	}
}

func TestCacheAsksNothingThatIsNoName(t *testing.T) {
	f := fakeExister{&fake{exists: func(string) (bool, error) { return true, nil }}}
	long := strings.Repeat("a", 63)
	names := map[string]bool{
		"": false, ".": false, "..": false, "a..example": false, ".example": false, "example..": false,
		long + ".example": true, long + "a.example": false,
		strings.Repeat(long+".", 3) + strings.Repeat("a", 61): true, strings.Repeat(long+".", 3) + strings.Repeat("a", 62): false,
		strings.Repeat(long+".", 3) + strings.Repeat("a", 61) + ".": true,
		"a b.example": false, "a\x00.example": false, "b\u00fccher.example": false, `a\.b.example`: false, "a\r\nb.example": false,
		"a+b=c%d!e.example": true, "-a-.example": true, strings.Repeat("a.", 1<<20): false,
	}
	for name, ok := range names {
		c := NewCache(f, CacheOptions{})
		defer c.Close()
		before := f.count()
		_, err := c.LookupTXT(t.Context(), name)
		exists, errExists := c.Exists(t.Context(), name)
		if !IsNotFound(err) || exists != ok || errExists != nil || f.count() > before != ok {
			t.Errorf("%.80q: %v, exists %v %v, %d questions", name, err, exists, errExists, f.count()-before)
		}
	}
	c := NewCache(f, CacheOptions{})
	defer c.Close()
	for _, addr := range []string{"", "192.0.2", "localhost", "192.0.2.1."} {
		if _, err := c.LookupAddr(t.Context(), addr); !IsNotFound(err) {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

func TestCacheLife(t *testing.T) {
	answer, failing := []string{"x"}, error(nil)
	for _, tt := range []struct {
		name string
		err  error
		kept time.Duration
	}{
		{"an answer", nil, time.Minute},
		{"no such name", notFound("x", ""), time.Minute},
		{"an answer of no use", useless("x", "odd"), time.Minute},
		{"a failing server", temporary("x", "", "server misbehaving"), 10 * time.Second},
		{"a server that does not answer", givenUp("x", context.DeadlineExceeded), 10 * time.Second},
		{"an error of an unknown kind", errors.New("what"), 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				failing = tt.err
				f := &fake{txt: func(context.Context, string) ([]string, error) { return answer, failing }}
				c := NewCache(f, CacheOptions{Life: time.Minute, Errors: 10 * time.Second})
				defer c.Close()
				start := time.Now()
				for {
					_, err := c.LookupTXT(t.Context(), "x")
					if f.count() == 2 {
						break
					}
					if (err == nil) != (tt.err == nil) || IsNotFound(err) != IsNotFound(tt.err) || IsTemporary(err) != IsTemporary(tt.err) {
						t.Fatalf("error is %v", err)
					}
					if _, ok := err.(*net.DNSError); err != nil && !ok {
						t.Fatalf("error is a %T", err)
					}
					time.Sleep(time.Second)
				}
				if took := time.Since(start); took != tt.kept {
					t.Errorf("kept for %v, want %v", took, tt.kept)
				}
			})
		})
	}
}

func TestCacheNowIsInjected(t *testing.T) {
	now := time.Unix(0, 0)
	f := &fake{}
	c := NewCache(f, CacheOptions{Now: func() time.Time { return now }})
	defer c.Close()
	for range 3 {
		c.LookupTXT(t.Context(), "x")
	}
	now = now.Add(5 * time.Minute)
	c.LookupTXT(t.Context(), "x")
	if f.count() != 2 {
		t.Errorf("asked %d times", f.count())
	}
}

func TestCacheManyAskAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{txt: func(ctx context.Context, _ string) ([]string, error) {
			select {
			case <-time.After(2 * time.Second):
				return []string{"late"}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		c := NewCache(f, CacheOptions{})
		var all sync.WaitGroup
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			impatient := i < 50 // the one who came first among them
			if impatient {
				ctx, cancel = context.WithTimeout(ctx, time.Second)
				defer cancel()
			}
			all.Go(func() {
				v, err := c.LookupTXT(ctx, "x")
				de, _ := err.(*net.DNSError)
				switch {
				case impatient && (!IsTemporary(err) || !errors.Is(err, context.DeadlineExceeded) || de == nil || !de.IsTimeout || !de.Temporary()):
					t.Errorf("impatient: %v %#v", v, err)
				case !impatient && (err != nil || len(v) != 1):
					t.Errorf("patient: %v %v", v, err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		if v, err := c.LookupTXT(t.Context(), "x"); err != nil || len(v) != 1 || f.count() != 1 {
			t.Errorf("%v %v, %d questions", v, err, f.count())
		}
		c.Close()
	})
}

// Who gave up first must not decide what others are told.
func TestCacheKeepsNoErrorOfACaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &fake{txt: func(ctx context.Context, _ string) ([]string, error) {
			<-release
			return []string{"x"}, ctx.Err()
		}}
		c := NewCache(f, CacheOptions{})
		defer c.Close()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait() // until it is asked
			cancel()
		}()
		if _, err := c.LookupTXT(ctx, "x"); !errors.Is(err, context.Canceled) || !IsTemporary(err) {
			t.Errorf("error is %v", err)
		}
		if _, err := c.LookupTXT(ctx, "y"); !errors.Is(err, context.Canceled) || f.count() != 1 {
			t.Errorf("one that was cancelled before: %v, %d questions", err, f.count())
		}
		close(release)
		if v, err := c.LookupTXT(t.Context(), "x"); err != nil || len(v) != 1 {
			t.Errorf("%v %v", v, err)
		}
		if v, err := c.LookupTXT(ctx, "x"); err != nil || len(v) != 1 {
			t.Errorf("what is kept needs no time: %v %v", v, err)
		}
	})
}

func TestCacheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{txt: func(ctx context.Context, _ string) ([]string, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		c := NewCache(f, CacheOptions{Timeout: 3 * time.Second, Parallel: 1})
		defer c.Close()
		start := time.Now()
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				_, err := c.LookupTXT(t.Context(), fmt.Sprintf("name%d", i))
				if took := time.Since(start); took != 3*time.Second || !IsTemporary(err) {
					t.Errorf("after %v: %v", took, err)
				}
			})
		}
		all.Wait()
		// One held the only slot. Of those that never had it nothing is known.
		if s := c.Stats(); s.Errors != s.Asked || s.Entries != int(s.Asked) || f.count() != int(s.Asked) || s.Asked == 0 {
			t.Errorf("%+v, %d questions", s, f.count())
		}
	})
}

func TestCacheParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		f := &fake{txt: func(ctx context.Context, _ string) ([]string, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			return nil, nil
		}}
		c := NewCache(f, CacheOptions{Parallel: 3})
		defer c.Close()
		var all sync.WaitGroup
		for i := range 30 {
			all.Go(func() {
				if _, err := c.LookupTXT(t.Context(), fmt.Sprintf("name%d", i)); err != nil {
					t.Error(err)
				}
			})
		}
		start := time.Now()
		all.Wait()
		if took := time.Since(start); most != 3 || took != time.Second {
			t.Errorf("%d at a time, took %v", most, took)
		}
	})
}

func TestCacheClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		f := &fake{txt: func(ctx context.Context, name string) ([]string, error) {
			if name == "known." {
				return []string{"x"}, nil
			}
			<-ctx.Done()
			time.Sleep(time.Second) // slow to give up
			ended = true
			return nil, ctx.Err()
		}}
		c := NewCache(f, CacheOptions{})
		c.LookupTXT(t.Context(), "known")
		waits := make(chan error)
		go func() {
			_, err := c.LookupTXT(t.Context(), "x")
			waits <- err
		}()
		synctest.Wait()
		go c.Close()
		if err := <-waits; !IsTemporary(err) || !ended {
			t.Errorf("who waited is told %v, ended %v", err, ended)
		}
		if _, err := c.LookupTXT(t.Context(), "y"); !IsTemporary(err) || f.count() != 2 {
			t.Errorf("asked after Close: %v, %d questions", err, f.count())
		}
		if v, err := c.LookupTXT(t.Context(), "known"); err != nil || len(v) != 1 {
			t.Errorf("what is kept: %v %v", v, err)
		}
		if s := c.Stats(); s.Entries != 1 {
			t.Errorf("an error of Close is kept: %+v", s)
		}
	})
}

func TestCacheOutlivesAPanic(t *testing.T) {
	f := &fake{txt: func(context.Context, string) ([]string, error) { panic("broken") }}
	c := NewCache(f, CacheOptions{Parallel: 1})
	defer c.Close()
	for _, name := range []string{"x", "y"} { // the slot is free again
		if _, err := c.LookupTXT(t.Context(), name); !IsTemporary(err) || !strings.Contains(err.Error(), "broken") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCacheBounds(t *testing.T) {
	big := strings.Repeat("x", 64<<10)
	text := []string{"x"}
	f := &fake{txt: func(context.Context, string) ([]string, error) { return text, nil }}

	t.Run("an answer", func(t *testing.T) {
		c := NewCache(f, CacheOptions{})
		defer c.Close()
		for _, tt := range []struct {
			name string
			text []string
			ok   bool
		}{
			{"at.the.limit", []string{big[:64<<10-perString]}, true},
			{"over.it", []string{big[:64<<10-perString+1]}, false},
			{"1mb", []string{strings.Repeat("x", 1<<20)}, false},
			{"many", make([]string, 2000), false},
		} {
			text = tt.text
			for range 2 {
				v, err := c.LookupTXT(t.Context(), tt.name)
				if (err == nil) != tt.ok || len(v) > 0 != tt.ok || IsTemporary(err) || IsNotFound(err) || errors.Is(err, ErrAnswer) == tt.ok {
					t.Errorf("%s: %d strings, %v", tt.name, len(v), err)
				}
			}
		}
		if s := c.Stats(); s.Asked != 4 || s.Bytes > 70<<10 {
			t.Errorf("%+v", s)
		}
	})

	t.Run("of other types", func(t *testing.T) {
		long := strings.Repeat("a", 200)
		for range 300 {
			f.mx = append(f.mx, &net.MX{Host: long})
			f.ns = append(f.ns, &net.NS{Host: long})
			f.names = append(f.names, long)
		}
		f.ip = make([]netip.Addr, 4000)
		c := NewCache(f, CacheOptions{})
		defer c.Close()
		_, mx := c.LookupMX(t.Context(), "x")
		_, ns := c.LookupNS(t.Context(), "x")
		_, ip := c.LookupNetIP(t.Context(), "ip", "x")
		_, names := c.LookupAddr(t.Context(), "192.0.2.1")
		for i, err := range []error{mx, ns, ip, names} {
			if !errors.Is(err, ErrAnswer) {
				t.Errorf("%d: %v", i, err)
			}
		}
	})

	t.Run("entries", func(t *testing.T) {
		text = []string{"x"}
		c := NewCache(f, CacheOptions{Entries: 10})
		defer c.Close()
		c.LookupTXT(t.Context(), "liked")
		before := f.count()
		for i := range 100 {
			c.LookupTXT(t.Context(), fmt.Sprintf("name%d", i))
			c.LookupTXT(t.Context(), "liked")
		}
		if s := c.Stats(); s.Entries != 10 || s.Dropped != 91 || f.count()-before != 100 {
			t.Errorf("%+v, %d questions", s, f.count()-before)
		}
	})

	t.Run("bytes", func(t *testing.T) {
		text = []string{big[:10<<10]}
		c := NewCache(f, CacheOptions{Bytes: 100 << 10})
		defer c.Close()
		for i := range 100 {
			c.LookupTXT(t.Context(), fmt.Sprintf("name%d", i))
			if s := c.Stats(); s.Bytes > 100<<10 {
				t.Fatalf("%+v", s)
			}
		}
		if s := c.Stats(); s.Entries != 9 {
			t.Errorf("%+v", s)
		}
	})

	t.Run("names that are not there", func(t *testing.T) {
		c := NewCache(&fake{}, CacheOptions{Bytes: 100 << 10})
		defer c.Close()
		for i := range 1000 {
			c.LookupTXT(t.Context(), fmt.Sprintf("name%d", i))
		}
		if s := c.Stats(); s.Entries < 200 || s.Bytes > 100<<10 {
			t.Errorf("%+v", s)
		}
	})
}

// The size that is reckoned with is the size that is kept.
func TestCacheBookkeeping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, 0)
		f := &fake{txt: func(_ context.Context, name string) ([]string, error) {
			switch name[0] {
			case 'a':
				return nil, notFound(name, "")
			case 'b':
				return nil, temporary(name, "", "broken")
			}
			return []string{strings.Repeat("x", 100*int(name[0]-'a'))}, nil
		}}
		c := NewCache(f, CacheOptions{Entries: 8, Bytes: 8000, Answer: 1500, Now: func() time.Time { return now }})
		defer c.Close()
		for range rapid.IntRange(1, 60).Draw(t, "questions") {
			c.LookupTXT(context.Background(), rapid.StringMatching(`[a-r]\.example`).Draw(t, "name"))
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, 6 * time.Second, time.Minute, time.Hour}).Draw(t, "pause"))
			sum := 0
			for at := c.used.Front(); at != nil; at = at.Next() {
				e := at.Value.(*entry)
				sum += e.size
				if c.kept[e.question] != at {
					t.Fatalf("%v is not where it is looked for", e.question)
				}
			}
			if s := c.Stats(); s.Bytes != sum || s.Entries != c.used.Len() || s.Entries > 8 || s.Bytes > 8000 || s.Hits+s.Misses == 0 || s.Asked != s.Misses {
				t.Fatalf("%+v, %d bytes in %d entries", s, sum, c.used.Len())
			}
		}
	})
}

// The names of an address are published by who holds it, and plant nothing.
func TestCacheKeepsTypesApart(t *testing.T) {
	f := &fake{names: []string{"bank.example."}, ip: []netip.Addr{netip.MustParseAddr("192.0.2.80")}, mx: []*net.MX{{Host: "evil.example."}}}
	c := NewCache(f, CacheOptions{})
	defer c.Close()
	c.LookupAddr(t.Context(), "203.0.113.66")
	c.LookupMX(t.Context(), "bank.example")
	c.LookupTXT(t.Context(), "bank.example")
	if v, err := c.LookupNetIP(t.Context(), "ip", "bank.example"); err != nil || v[0] != netip.MustParseAddr("192.0.2.80") {
		t.Errorf("%v %v", v, err)
	}
	want := []string{"PTR 203.0.113.66", "MX bank.example.", "TXT bank.example.", "IP bank.example."}
	if d := cmp.Diff(want, f.asked); d != "" {
		t.Error(d)
	}
}

func TestCacheLendsNothing(t *testing.T) {
	f := &fake{
		txt:   func(context.Context, string) ([]string, error) { return []string{"a", "b"}, nil },
		mx:    []*net.MX{{Host: "a.", Pref: 1}, {Host: "b.", Pref: 2}},
		ip:    []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
		names: []string{"a.", "b."},
		ns:    []*net.NS{{Host: "a."}, {Host: "b."}},
	}
	c := NewCache(f, CacheOptions{})
	defer c.Close()
	read := func() string {
		txt, _ := c.LookupTXT(t.Context(), "x")
		mx, _ := c.LookupMX(t.Context(), "x")
		ip, _ := c.LookupNetIP(t.Context(), "ip", "x")
		names, _ := c.LookupAddr(t.Context(), "192.0.2.1")
		ns, _ := c.LookupNS(t.Context(), "x")
		out := fmt.Sprint(txt, *mx[0], *mx[1], ip, names, *ns[0], *ns[1])
		txt[0], *mx[0], *ns[0], names[0] = "spoilt", net.MX{}, net.NS{}, "spoilt"
		slices.Reverse(mx)
		slices.Reverse(ns)
		ip[0] = netip.Addr{}
		return out
	}
	if first, second := read(), read(); first != second {
		t.Errorf("first %s\nthen  %s", first, second)
	}
}

func TestCacheExistsUnknown(t *testing.T) {
	c := NewCache(&fake{}, CacheOptions{})
	defer c.Close()
	outer := NewCache(c, CacheOptions{}) // which cannot see what is two behind it
	defer outer.Close()
	for _, r := range []Resolver{&fake{}, c, outer} {
		for range 2 {
			exists, known, err := Exists(t.Context(), r, "example.com")
			if !exists || known || err != nil {
				t.Errorf("%T: exists %v known %v %v", r, exists, known, err)
			}
		}
	}
	if s := outer.Stats(); s.Errors != 0 {
		t.Errorf("%+v", s)
	}
}

func TestCacheExistsKnown(t *testing.T) {
	f := fakeExister{&fake{exists: func(name string) (bool, error) {
		switch name {
		case "there.":
			return true, nil
		case "broken.":
			return false, temporary(name, "", "broken")
		}
		return false, nil
	}}}
	c := NewCache(f, CacheOptions{})
	defer c.Close()
	for range 2 {
		for name, want := range map[string]string{"there": "true true <nil>", "not": "false true <nil>", "broken": "false false lookup broken: broken"} {
			exists, known, err := Exists(t.Context(), c, name)
			if got := fmt.Sprint(exists, known, err); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
	if f.count() != 3 {
		t.Errorf("%d questions", f.count())
	}
}

func TestCacheHitAllocates(t *testing.T) {
	f := &fake{
		txt:    func(context.Context, string) ([]string, error) { return []string{"v=spf1 -all"}, nil },
		mx:     []*net.MX{{Host: "a."}, {Host: "b."}},
		ip:     []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
		exists: func(string) (bool, error) { return true, nil },
	}
	c := NewCache(fakeExister{f}, CacheOptions{})
	defer c.Close()
	ctx := t.Context()
	for _, tt := range []struct {
		name string
		most float64
		ask  func()
	}{
		{"TXT", 1, func() { c.LookupTXT(ctx, "example.com") }},
		{"MX", 2, func() { c.LookupMX(ctx, "example.com") }},
		{"addresses", 2, func() { c.LookupNetIP(ctx, "ip", "example.com") }},
		{"exists", 0, func() { c.Exists(ctx, "example.com") }},
		{"a name in mixed case", 2, func() { c.LookupTXT(ctx, "Example.Com.") }},
	} {
		if n := testing.AllocsPerRun(100, tt.ask); n > tt.most {
			t.Errorf("%s: %v allocations, want %v at most", tt.name, n, tt.most)
		}
	}
}

func BenchmarkCacheHit(b *testing.B) {
	f := &fake{txt: func(context.Context, string) ([]string, error) { return []string{"v=spf1 -all"}, nil }}
	c := NewCache(f, CacheOptions{})
	defer c.Close()
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("selector._domainkey.sender%d.example.com", i)
		c.LookupTXT(b.Context(), names[i])
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			c.LookupTXT(b.Context(), names[i%len(names)])
		}
	})
	b.Run("parallel", func(b *testing.B) {
		ctx := b.Context()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				c.LookupTXT(ctx, names[i%len(names)])
			}
		})
	})
}

func BenchmarkCacheMiss(b *testing.B) {
	c := NewCache(&fake{}, CacheOptions{})
	defer c.Close()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.LookupTXT(b.Context(), fmt.Sprintf("sender%d.example.com", i))
	}
}
