// Package storetest tries implementations of [store.Store]: any that passes can stand where
// another does.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/gomilter/gomilter/store"
)

// Setup is what a test wants of a store. Fields that are 0 are left to the implementation.
type Setup struct {
	Now        func() time.Time // the clock that judges expiry; never nil
	MaxKey     int              // bytes
	MaxValue   int              // bytes
	MaxEntries int
}

// Test runs the tests of what Store promises. open returns an empty store of its own each
// time, which Test closes; where the implementation cannot bound its entries it returns nil for
// a Setup with MaxEntries, and the test of a full store is left out.
func Test(t *testing.T, open func(t *testing.T, s Setup) store.Store) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, *suite)
	}{
		{"what is put is got", testGet},
		{"bytes are copied", testBytes},
		{"compare and set", testCompareAndSet},
		{"one of many wins", testRace},
		{"updates add up", testUpdate},
		{"increments", testIncrement},
		{"increments add up", testIncrementRace},
		{"deletes", testDelete},
		{"expiry", testExpiry},
		{"expiry is kept", testExpiryKept},
		{"a clock that jumps", testClockJumps},
		{"scans", testScan},
		{"scans many", testScanMany},
		{"scan and write", testScanWrites},
		{"scan is whole while others write", testScanWhole},
		{"bounds of keys and values", testBounds},
		{"full", testFull},
		{"contexts", testContexts},
		{"closed", testClosed},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, &suite{start: open, clock: newClock()}) })
	}
}

type suite struct {
	start func(*testing.T, Setup) store.Store
	clock *clock
}

func (u *suite) open(t *testing.T, s Setup) store.Store {
	t.Helper()
	s.Now = u.clock.now
	got := u.start(t, s)
	if got != nil {
		t.Cleanup(func() {
			if err := got.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	return got
}

// A clock stands still until it is told to go on.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 29, 0, 59, 59, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// modes are tried in turn where it should not matter which.
var modes = []store.Mode{store.Buffered, store.Durable}

func put(t *testing.T, s store.Store, key, value string, expires time.Time, m store.Mode) {
	t.Helper()
	if err := s.Put(t.Context(), store.Item{Key: key, Value: []byte(value), Expires: expires}, m); err != nil {
		t.Fatalf("Put(%q, %q): %v", key, value, err)
	}
}

// want checks that a key has a value.
func want(t *testing.T, s store.Store, key, value string) {
	t.Helper()
	it, err := s.Get(t.Context(), key)
	if err != nil || it.Key != key || string(it.Value) != value {
		t.Errorf("Get(%.40q) = %.40q at %.40q, %v, want %.40q", key, it.Value, it.Key, err, value)
	}
}

func wantNone(t *testing.T, s store.Store, key string) {
	t.Helper()
	if it, err := s.Get(t.Context(), key); !errors.Is(err, store.ErrNotFound) || it.Key != "" || it.Value != nil {
		t.Errorf("Get(%q) = %+v, %v, want ErrNotFound", key, it, err)
	}
}

func testGet(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	for _, m := range modes {
		for i, key := range []string{"a", "a b", "\x00", "a\x00", "\xff\xff", "naïve@exämple.org", "a:b:c", "*?[a]{}\r\n", string(bytes.Repeat([]byte("k"), 500))} {
			wantNone(t, s, key)
			put(t, s, key, fmt.Sprint("first ", i), time.Time{}, m)
			want(t, s, key, fmt.Sprint("first ", i))
			put(t, s, key, "", time.Time{}, m)
			want(t, s, key, "")
			put(t, s, key, "\x00\xff\r\n", time.Time{}, m)
			want(t, s, key, "\x00\xff\r\n")
			if err := s.Delete(t.Context(), key, m); err != nil {
				t.Errorf("Delete: %v", err)
			}
		}
	}
	if err := s.Put(t.Context(), store.Item{Key: "nil"}, store.Buffered); err != nil {
		t.Error(err)
	}
	if it, err := s.Get(t.Context(), "nil"); err != nil || it.Value == nil || len(it.Value) != 0 || !it.Expires.IsZero() {
		t.Errorf("a nil value is got as %#v, %v", it, err)
	}
}

func testBytes(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	value := []byte("mine")
	if err := s.Put(t.Context(), store.Item{Key: "k", Value: value}, store.Buffered); err != nil {
		t.Fatal(err)
	}
	copy(value, "xxxx")
	want(t, s, "k", "mine")
	it, err := s.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	copy(it.Value, "yyyy")
	want(t, s, "k", "mine")
	value = []byte("next")
	if err := s.CompareAndSet(t.Context(), []byte("mine"), store.Item{Key: "k", Value: value}, store.Buffered); err != nil {
		t.Fatal(err)
	}
	copy(value, "zzzz")
	for it, err := range s.Scan(t.Context(), "") {
		if err != nil || string(it.Value) != "next" {
			t.Errorf("Scan yields %q, %v", it.Value, err)
		}
		copy(it.Value, "zzzz")
	}
	want(t, s, "k", "next")
}

func testCompareAndSet(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	for _, m := range modes {
		for _, tt := range []struct {
			name string
			had  []byte // nil for none
			old  []byte
			err  error
		}{
			{"none where none is", nil, nil, nil},
			{"some where none is", nil, []byte("a"), store.ErrChanged},
			{"an empty value where none is", nil, []byte{}, store.ErrChanged},
			{"none where some is", []byte("a"), nil, store.ErrChanged},
			{"none where an empty value is", []byte{}, nil, store.ErrChanged},
			{"an empty value", []byte{}, []byte{}, nil},
			{"the same", []byte("a"), []byte("a"), nil},
			{"another", []byte("a"), []byte("b"), store.ErrChanged},
			{"a longer one", []byte("a"), []byte("ab"), store.ErrChanged},
			{"a shorter one", []byte("ab"), []byte("a"), store.ErrChanged},
		} {
			if err := s.Delete(t.Context(), "k", m); err != nil {
				t.Fatal(err)
			}
			if tt.had != nil {
				put(t, s, "k", string(tt.had), time.Time{}, m)
			}
			if err := s.CompareAndSet(t.Context(), tt.old, store.Item{Key: "k", Value: []byte("new")}, m); !errors.Is(err, tt.err) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
			}
			switch {
			case tt.err == nil:
				want(t, s, "k", "new")
			case tt.had != nil:
				want(t, s, "k", string(tt.had))
			default:
				wantNone(t, s, "k")
			}
		}
	}
}

func testRace(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	for _, old := range [][]byte{nil, []byte("first")} {
		for _, m := range modes {
			for round := range 20 {
				key := fmt.Sprint("race ", m, round, old == nil)
				if old != nil {
					put(t, s, key, string(old), time.Time{}, m)
				}
				var wg sync.WaitGroup
				errs := make([]error, 8)
				for i := range errs {
					wg.Go(func() {
						errs[i] = s.CompareAndSet(t.Context(), old, store.Item{Key: key, Value: fmt.Append(nil, i)}, m)
					})
				}
				wg.Wait()
				winner := -1
				for i, err := range errs {
					if err == nil && winner < 0 {
						winner = i
					} else if !errors.Is(err, store.ErrChanged) {
						t.Errorf("number %d: %v, and %d has won", i, err, winner)
					}
				}
				if winner < 0 {
					t.Fatal("none has won")
				}
				want(t, s, key, fmt.Sprint(winner))
			}
		}
	}
}

// testUpdate has several write 24-byte values at the same keys, as greylisting does.
func testUpdate(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	const writers, rounds, keys = 8, 30, 2
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range rounds {
				_, err := store.Update(t.Context(), s, fmt.Sprint("tuple ", i%keys), store.Buffered, func(it store.Item) (store.Item, error) {
					next := make([]byte, 24)
					copy(next, it.Value)
					next[23]++
					it.Value = next
					return it, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range keys {
		it, err := s.Get(t.Context(), fmt.Sprint("tuple ", i))
		if err != nil || len(it.Value) != 24 || it.Value[23] != writers*rounds/keys {
			t.Errorf("after %d updates: %v, %v", writers*rounds/keys, it.Value, err)
		}
	}
	if it, err := store.Update(t.Context(), s, "tuple 0", store.Durable, func(it store.Item) (store.Item, error) {
		it.Value[0] = 7 // in place
		return it, nil
	}); err != nil || it.Value[0] != 7 {
		t.Errorf("Update in place: %v, %v", it, err)
	}
	broken := errors.New("broken")
	if _, err := store.Update(t.Context(), s, "tuple 0", store.Durable, func(store.Item) (store.Item, error) { return store.Item{}, broken }); !errors.Is(err, broken) {
		t.Errorf("Update that is given up: %v", err)
	}
}

func testIncrement(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	for _, m := range modes {
		for _, tt := range []struct {
			name  string
			had   string // "none" for none
			delta int64
			want  int64
			err   error
		}{
			{"from nothing", "none", 3, 3, nil},
			{"by nothing", "none", 0, 0, nil},
			{"below 0", "none", -3, -3, nil},
			{"up", "39", 3, 42, nil},
			{"down", "1", -2, -1, nil},
			{"to the largest", "9223372036854775800", 7, math.MaxInt64, nil},
			{"over the largest", "9223372036854775800", 8, 0, store.ErrNumber},
			{"over the largest at once", "9223372036854775807", math.MaxInt64, 0, store.ErrNumber},
			{"to the least", "-9223372036854775800", -8, math.MinInt64, nil},
			{"below the least", "-9223372036854775800", -9, 0, store.ErrNumber},
			{"beyond what a float holds", "9007199254740993", 2, 9007199254740995, nil},
			{"not a number", "x", 1, 0, store.ErrNumber},
			{"nothing in it", "", 1, 0, store.ErrNumber},
			{"a blank", " 1", 1, 0, store.ErrNumber},
			{"a zero in front", "01", 1, 0, store.ErrNumber},
			{"a sign", "+1", 1, 0, store.ErrNumber},
			{"a fraction", "1.5", 1, 0, store.ErrNumber},
			{"more than an int64", "9223372036854775808", -1, 0, store.ErrNumber},
		} {
			if err := s.Delete(t.Context(), "n", m); err != nil {
				t.Fatal(err)
			}
			if tt.had != "none" {
				put(t, s, "n", tt.had, time.Time{}, m)
			}
			if got, err := s.Increment(t.Context(), "n", tt.delta, time.Time{}, m); got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%s: %d, %v, want %d, %v", tt.name, got, err, tt.want, tt.err)
			}
			if tt.err != nil {
				want(t, s, "n", tt.had)
			} else {
				want(t, s, "n", fmt.Sprint(tt.want))
			}
		}
	}
}

func testIncrementRace(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	const writers, rounds = 8, 50
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := make(map[int64]bool)
	for range writers {
		wg.Go(func() {
			for range rounds {
				n, err := s.Increment(t.Context(), "n", 2, time.Time{}, store.Buffered)
				mu.Lock()
				if err != nil || seen[n] {
					t.Errorf("Increment = %d, %v, the same as before is %v", n, err, seen[n])
				}
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	want(t, s, "n", fmt.Sprint(2*writers*rounds))
}

func testDelete(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	for _, m := range modes {
		if err := s.Delete(t.Context(), "none", m); err != nil {
			t.Errorf("Delete of what is not there: %v", err)
		}
		put(t, s, "a", "1", time.Time{}, m)
		put(t, s, "ab", "2", time.Time{}, m)
		if err := s.Delete(t.Context(), "a", m); err != nil {
			t.Errorf("Delete: %v", err)
		}
		wantNone(t, s, "a")
		want(t, s, "ab", "2")
		if err := s.CompareAndSet(t.Context(), nil, store.Item{Key: "a", Value: []byte("3")}, m); err != nil {
			t.Errorf("CompareAndSet after Delete: %v", err)
		}
	}
}

func testExpiry(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	for _, m := range modes {
		at := u.clock.now().Add(time.Hour)
		put(t, s, "put", "1", at, m)
		put(t, s, "forever", "1", time.Time{}, m)
		put(t, s, "put off", "1", at, m)
		put(t, s, "put off", "2", at.Add(time.Hour), m)
		put(t, s, "put forward", "1", at.Add(time.Hour), m)
		put(t, s, "put forward", "2", at, m)
		put(t, s, "not any more", "1", at, m)
		put(t, s, "not any more", "2", time.Time{}, m)
		if err := s.CompareAndSet(t.Context(), nil, store.Item{Key: "set", Value: []byte("1"), Expires: at}, m); err != nil {
			t.Error(err)
		}
		for i, expires := range []time.Time{at.Add(time.Hour), at} {
			if n, err := s.Increment(t.Context(), "count", 1, expires, m); n != int64(i+1) || err != nil {
				t.Errorf("Increment = %d, %v", n, err)
			}
		}
		all := []string{"put", "forever", "put off", "put forward", "not any more", "set", "count"}
		u.clock.advance(time.Hour - time.Millisecond)
		wantScan(t, s, "", all...)
		u.clock.advance(time.Millisecond)
		wantScan(t, s, "", "forever", "put off", "not any more")
		for _, key := range []string{"put", "put forward", "set", "count"} {
			wantNone(t, s, key)
		}
		if err := s.CompareAndSet(t.Context(), []byte("1"), store.Item{Key: "put", Value: []byte("2")}, m); !errors.Is(err, store.ErrChanged) {
			t.Errorf("CompareAndSet with a value that has expired: %v", err)
		}
		if err := s.CompareAndSet(t.Context(), nil, store.Item{Key: "set", Value: []byte("2")}, m); err != nil {
			t.Errorf("CompareAndSet where a value has expired: %v", err)
		}
		if n, err := s.Increment(t.Context(), "count", 5, time.Time{}, m); n != 5 || err != nil {
			t.Errorf("Increment of what has expired = %d, %v", n, err)
		}
		if err := s.Delete(t.Context(), "put", m); err != nil {
			t.Errorf("Delete of what has expired: %v", err)
		}
		want(t, s, "set", "2")

		put(t, s, "forever", "late", u.clock.now(), m)
		wantNone(t, s, "forever")
		put(t, s, "old", "late", time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC), m)
		wantNone(t, s, "old")
		put(t, s, "not any more", "1", at, m) // cut short
		for _, key := range append(all, "old") {
			if err := s.Delete(t.Context(), key, m); err != nil {
				t.Error(err)
			}
		}
		wantScan(t, s, "")
	}
}

func testExpiryKept(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	for _, at := range []time.Time{u.clock.now().Add(1234567 * time.Microsecond), u.clock.now().In(time.FixedZone("", 3600)).Add(time.Hour), u.clock.now().AddDate(200, 0, 0), {}} {
		put(t, s, "k", "v", at, store.Buffered)
		ms := at.Truncate(time.Millisecond)
		if it, err := s.Get(t.Context(), "k"); err != nil || !it.Expires.Equal(ms) {
			t.Errorf("Get: expires %v, %v, want %v", it.Expires, err, ms)
		}
		for it, err := range s.Scan(t.Context(), "k") {
			if err != nil || !it.Expires.Equal(ms) {
				t.Errorf("Scan: expires %v, %v, want %v", it.Expires, err, ms)
			}
		}
	}
}

// testClockJumps puts the clock forward and back: what has not expired is there whatever
// the clock said in the meantime, and nothing fails.
func testClockJumps(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	at := u.clock.now().Add(time.Hour)
	put(t, s, "forever", "1", time.Time{}, store.Durable)
	put(t, s, "hour", "1", at, store.Durable)
	u.clock.advance(-100 * 365 * 24 * time.Hour) // before 1970
	want(t, s, "forever", "1")
	want(t, s, "hour", "1")
	put(t, s, "early", "1", u.clock.now().Add(time.Hour), store.Durable)
	u.clock.advance(50 * 365 * 24 * time.Hour)
	put(t, s, "between", "1", u.clock.now().Add(100*365*24*time.Hour), store.Durable)
	want(t, s, "hour", "1")
	u.clock.advance(50 * 365 * 24 * time.Hour)
	want(t, s, "hour", "1")
	want(t, s, "between", "1")
	wantNone(t, s, "early")
	u.clock.advance(2 * time.Hour)
	wantNone(t, s, "hour")
	want(t, s, "forever", "1")
}

// scan returns what is yielded, and fails if a key is twice.
func scan(t *testing.T, s store.Store, prefix string) map[string]string {
	t.Helper()
	got := make(map[string]string)
	for it, err := range s.Scan(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("Scan(%q): %v", prefix, err)
		}
		if _, twice := got[it.Key]; twice {
			t.Errorf("Scan(%q) yields %q twice", prefix, it.Key)
		}
		got[it.Key] = string(it.Value)
	}
	return got
}

func wantScan(t *testing.T, s store.Store, prefix string, keys ...string) {
	t.Helper()
	got := scan(t, s, prefix)
	for _, key := range keys {
		if _, ok := got[key]; !ok {
			t.Errorf("Scan(%q) leaves out %q", prefix, key)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("Scan(%q) also yields %v", prefix, got)
	}
}

func testScan(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	wantScan(t, s, "")
	keys := []string{"a", "a/1", "a/2", "b", "a*", "a*1", "a?", "a\xff", "a\xff\xff", "\xff", "\xff\xff", "[a]x", "A"}
	for i, key := range keys {
		put(t, s, key, "", time.Time{}, modes[i%2])
	}
	wantScan(t, s, "", keys...)
	wantScan(t, s, "a", "a", "a/1", "a/2", "a*", "a*1", "a?", "a\xff", "a\xff\xff")
	wantScan(t, s, "a/", "a/1", "a/2")
	wantScan(t, s, "a/1", "a/1")
	wantScan(t, s, "a/11")
	wantScan(t, s, "a*", "a*", "a*1")
	wantScan(t, s, "a?", "a?")
	wantScan(t, s, "[a]", "[a]x")
	wantScan(t, s, "a\xff", "a\xff", "a\xff\xff")
	wantScan(t, s, "\xff", "\xff", "\xff\xff")
	wantScan(t, s, "c")
	n := 0
	for _, err := range s.Scan(t.Context(), "") {
		if n++; err != nil || n == 3 {
			break // and the store goes on
		}
	}
	put(t, s, "a", "after", time.Time{}, store.Durable)
	want(t, s, "a", "after")
}

func testScanMany(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	const n = 3000 // more than an implementation takes at a time
	key := func(i int) string { return fmt.Sprintf("many/%d", i) }
	for i := range n {
		put(t, s, key(i), fmt.Sprint(i), time.Time{}, store.Buffered)
		put(t, s, fmt.Sprintf("other/%d", i), "", time.Time{}, store.Buffered)
	}
	put(t, s, key(1), "1", time.Time{}, store.Durable)
	for i := n; i < n+500; i++ { // some are safe, and some are not yet
		put(t, s, key(i), fmt.Sprint(i), time.Time{}, store.Buffered)
	}
	for i := 0; i < n; i += 3 {
		if err := s.Delete(t.Context(), key(i), store.Buffered); err != nil {
			t.Fatal(err)
		}
	}
	got := scan(t, s, "many/")
	for i := range n + 500 {
		value, ok := got[key(i)]
		if deleted := i < n && i%3 == 0; ok == deleted || ok && value != fmt.Sprint(i) {
			t.Errorf("item %d is yielded: %v, with %q", i, ok, value)
		}
	}
	if len(got) != n+500-n/3 {
		t.Errorf("%d items", len(got))
	}
}

func testScanWrites(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	for i := range 700 {
		put(t, s, fmt.Sprintf("k%03d", i), "old", time.Time{}, store.Buffered)
	}
	n := 0
	for it, err := range s.Scan(t.Context(), "k") {
		if err != nil {
			t.Fatal(err)
		}
		m := store.Buffered
		if n%100 == 0 {
			m = store.Durable
		}
		if n++; n%2 == 0 {
			err = s.Delete(t.Context(), it.Key, m)
		} else {
			it.Value = []byte("new")
			err = s.Put(t.Context(), it, m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got := scan(t, s, "k")
	if n != 700 || len(got) != 350 {
		t.Errorf("%d yielded, %d left, want 700 and 350", n, len(got))
	}
	for key, value := range got {
		if value != "new" {
			t.Errorf("%q has %q", key, value)
		}
	}
}

// testScanWhole scans while others write to every key and to keys that come and go.
func testScanWhole(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	const n = 400
	for i := range n {
		put(t, s, fmt.Sprintf("stay/%03d", i), "old", time.Time{}, store.Buffered)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; ctx.Err() == nil; i++ {
				m := store.Buffered
				if i%50 == 0 {
					m = store.Durable
				}
				stay := store.Item{Key: fmt.Sprintf("stay/%03d", i%n), Value: []byte("new")}
				come := store.Item{Key: fmt.Sprintf("stay/%03d come and go", i%n), Value: []byte("new")}
				for _, err := range []error{s.Put(ctx, stay, m), s.Put(ctx, come, m), s.Delete(ctx, come.Key, m)} {
					if err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for range 20 {
		got := scan(t, s, "stay/")
		for i := range n {
			if v := got[fmt.Sprintf("stay/%03d", i)]; v != "old" && v != "new" {
				t.Errorf("item %d is %q", i, v)
			}
		}
	}
	cancel()
	wg.Wait()
}

func testBounds(t *testing.T, u *suite) {
	s := u.open(t, Setup{MaxKey: 10, MaxValue: 20})
	ctx := t.Context()
	key, value := "0123456789", bytes.Repeat([]byte("v"), 20)
	put(t, s, key, string(value), time.Time{}, store.Durable)
	want(t, s, key, string(value))
	for _, tt := range []struct {
		name string
		it   store.Item
		err  error
	}{
		{"no key", store.Item{Key: ""}, store.ErrKey},
		{"a long key", store.Item{Key: key + "x"}, store.ErrKey},
		{"a long value", store.Item{Key: "k", Value: append(value, 'x')}, store.ErrValue},
	} {
		if err := s.Put(ctx, tt.it, store.Durable); !errors.Is(err, tt.err) {
			t.Errorf("Put of %s: %v", tt.name, err)
		}
		if err := s.CompareAndSet(ctx, nil, tt.it, store.Buffered); !errors.Is(err, tt.err) {
			t.Errorf("CompareAndSet of %s: %v", tt.name, err)
		}
		if tt.err != store.ErrKey {
			continue
		}
		if _, err := s.Get(ctx, tt.it.Key); !errors.Is(err, store.ErrKey) {
			t.Errorf("Get of %s: %v", tt.name, err)
		}
		if _, err := s.Increment(ctx, tt.it.Key, 1, time.Time{}, store.Buffered); !errors.Is(err, store.ErrKey) {
			t.Errorf("Increment of %s: %v", tt.name, err)
		}
		if err := s.Delete(ctx, tt.it.Key, store.Buffered); !errors.Is(err, store.ErrKey) {
			t.Errorf("Delete of %s: %v", tt.name, err)
		}
	}
	wantScan(t, s, "", key)
	wantScan(t, s, key+"x")
}

func testFull(t *testing.T, u *suite) {
	s := u.open(t, Setup{MaxEntries: 10})
	if s == nil {
		t.Skip("its entries cannot be bounded")
	}
	ctx := t.Context()
	for i := range 10 {
		at := time.Time{}
		if i%2 == 0 {
			at = u.clock.now().Add(time.Hour)
		}
		put(t, s, fmt.Sprint(i), "v", at, modes[i/2%2])
	}
	full := func() {
		t.Helper()
		for _, m := range modes {
			if err := s.Put(ctx, store.Item{Key: "one more"}, m); !errors.Is(err, store.ErrFull) {
				t.Errorf("Put of a new key: %v, want ErrFull", err)
			}
			if err := s.CompareAndSet(ctx, nil, store.Item{Key: "one more"}, m); !errors.Is(err, store.ErrFull) {
				t.Errorf("CompareAndSet of a new key: %v, want ErrFull", err)
			}
			if _, err := s.Increment(ctx, "one more", 1, time.Time{}, m); !errors.Is(err, store.ErrFull) {
				t.Errorf("Increment of a new key: %v, want ErrFull", err)
			}
			wantNone(t, s, "one more")
		}
	}
	full()
	put(t, s, "1", "w", time.Time{}, store.Buffered) // one that is there
	if err := s.CompareAndSet(ctx, []byte("w"), store.Item{Key: "1", Value: []byte("x")}, store.Durable); err != nil {
		t.Error(err)
	}
	full()
	if err := s.Delete(ctx, "1", store.Buffered); err != nil {
		t.Error(err)
	}
	put(t, s, "1 again", "v", time.Time{}, store.Buffered)
	full()
	u.clock.advance(time.Hour) // five expire
	for i := range 5 {
		put(t, s, fmt.Sprint("new ", i), "v", time.Time{}, modes[i%2])
	}
	full()
	wantScan(t, s, "", "1 again", "3", "5", "7", "9", "new 0", "new 1", "new 2", "new 3", "new 4")
}

func testContexts(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	put(t, s, "k", "v", time.Time{}, store.Durable)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	for it, err := range s.Scan(ctx, "") {
		if n++; n == 1 && (err != nil || it.Key != "k") {
			t.Errorf("Scan yields %v, %v", it, err)
		}
	}
	cancel()
	for name, err := range errorsOf(ctx, s) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that has ended: %v", name, err)
		}
	}
	want(t, s, "k", "v")
	wantNone(t, s, "new")

	for i := range 1000 {
		put(t, s, fmt.Sprint("many", i), "v", time.Time{}, store.Buffered)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	n = 0
	var last error
	for _, err := range s.Scan(ctx, "") {
		if n++; n == 10 {
			cancel()
		}
		last = err
	}
	if n != 11 || !errors.Is(last, context.Canceled) {
		t.Errorf("Scan whose context ends after 10 yields %d, the last %v", n, last)
	}
}

// errorsOf returns the error of each method.
func errorsOf(ctx context.Context, s store.Store) map[string]error {
	errs := make(map[string]error)
	_, errs["Get"] = s.Get(ctx, "k")
	errs["Put"] = s.Put(ctx, store.Item{Key: "new"}, store.Buffered)
	errs["Put, durable"] = s.Put(ctx, store.Item{Key: "new"}, store.Durable)
	errs["CompareAndSet"] = s.CompareAndSet(ctx, nil, store.Item{Key: "new"}, store.Buffered)
	_, errs["Increment"] = s.Increment(ctx, "new", 1, time.Time{}, store.Buffered)
	errs["Delete"] = s.Delete(ctx, "k", store.Buffered)
	_, errs["Update"] = store.Update(ctx, s, "new", store.Buffered, func(it store.Item) (store.Item, error) { return it, nil })
	errs["Scan"] = nil
	for _, err := range s.Scan(ctx, "") {
		errs["Scan"] = err
	}
	return errs
}

func testClosed(t *testing.T, u *suite) {
	s := u.open(t, Setup{})
	put(t, s, "k", "v", time.Time{}, store.Buffered)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, err := range errorsOf(t.Context(), s) {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}
