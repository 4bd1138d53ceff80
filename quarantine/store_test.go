package quarantine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newDir(t testing.TB) string { return filepath.Join(t.TempDir(), "kept") }

func mustOpen(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openTest(t testing.TB, o Options) *Store { return mustOpen(t, newDir(t), o) }

func keep(t testing.TB, s *Store, e Entry, raw string) Entry {
	t.Helper()
	got, err := s.Keep(t.Context(), e, strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// files returns the names in a folder, references cut off.
func files(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range list {
		names = append(names, f.Name()[min(refLen, len(f.Name())):])
	}
	return names
}

// checkCount compares what a store has counted with the folder.
func checkCount(t testing.TB, s *Store, dir string) {
	t.Helper()
	var bytes int64
	entries := 0
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		i, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		bytes += i.Size()
		if strings.HasSuffix(f.Name(), entryFile) {
			entries++
		}
	}
	if u := s.Used(); u.Bytes != bytes || u.Entries != entries {
		t.Errorf("the store counts %d bytes in %d entries, the folder has %d in %d", u.Bytes, u.Entries, bytes, entries)
	}
}

// A clock is a time that a test moves.
type clock struct{ atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.Store(noon.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.Load()) }
func (c *clock) advance(d time.Duration) { c.Add(int64(d)) }

// SAMP-06, ATT-02: the original is kept octet by octet.
func TestKeepAndGet(t *testing.T) {
	dir := newDir(t)
	c := newClock()
	s := mustOpen(t, dir, Options{Now: c.now})
	raw := "Subject: x\r\n\n\x00\xff\r" + strings.Repeat("long line", 20_000)
	in := Entry{QueueID: "4XyZ", From: "a@b", Rcpts: []string{"c@d", "\xff@e"}, Client: "mx.example", Filter: "scan", Reason: "virus"}
	e := keep(t, s, in, raw)
	want := in
	want.Ref, want.Time, want.Size, want.SHA256 = e.Ref, noon, int64(len(raw)), sha256.Sum256([]byte(raw))
	if diff := cmp.Diff(want, e); diff != "" || !ValidRef(e.Ref) {
		t.Errorf("Keep = %q: %s", e.Ref, diff)
	}
	got, r, err := s.Get(e.Ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Get: %s", diff)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != raw {
		t.Errorf("the message came back as %d bytes, %v, of %d", len(b), err, len(raw))
	}
	if b, err := os.ReadFile(filepath.Join(dir, e.Ref+".eml")); err != nil || string(b) != raw {
		t.Errorf("the file has %d bytes, %v", len(b), err)
	}
	checkCount(t, s, dir)
	if err := s.Remove(e.Ref); err != nil {
		t.Errorf("Remove: %v", err)
	}
	if _, _, err := s.Get(e.Ref); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of what is removed: %v", err)
	}
	checkCount(t, s, dir)
	if n := files(t, dir); len(n) != 0 {
		t.Errorf("left: %v", n)
	}
}

func TestListIsNewestFirst(t *testing.T) {
	dir := newDir(t)
	c := newClock()
	s := mustOpen(t, dir, Options{Now: c.now})
	var want []string
	for i := range 20 {
		c.advance(time.Millisecond)
		want = append(want, keep(t, s, Entry{Reason: fmt.Sprint(i)}, "x").Ref)
	}
	slices.Reverse(want)
	if err := os.WriteFile(filepath.Join(dir, want[3]+".json"), []byte(`{"ref":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, want[5]+".json"), filepath.Join(dir, want[4]+".json")); err != nil {
		t.Fatal(err)
	}
	want = slices.Delete(want, 5, 6)
	if err := os.WriteFile(filepath.Join(dir, "README"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	for e, err := range s.List(t.Context()) {
		if bad := len(got) == 3 || len(got) == 4; (err != nil) != bad || bad && !strings.Contains(err.Error(), e.Ref) {
			t.Errorf("entry %d, %s: %v", len(got), e.Ref, err)
		}
		got = append(got, e.Ref)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for e, err := range s.List(ctx) {
		if n++; n == 2 {
			cancel()
		}
		if n == 3 && (!errors.Is(err, context.Canceled) || e.Ref != "") {
			t.Errorf("after the end of the context: %v, %v", e, err)
		}
	}
	if n != 3 {
		t.Errorf("%d entries, want 3", n)
	}
}

func TestLimitOfBytesIsExact(t *testing.T) {
	dir := newDir(t)
	c := newClock()
	probe := openTest(t, Options{Now: c.now})
	keep(t, probe, Entry{}, strings.Repeat("x", 1000))
	one := probe.Used().Bytes // JSON has the same length for the same number of digits

	s := mustOpen(t, dir, Options{Now: c.now, MaxBytes: 3*one + 1})
	for range 3 {
		keep(t, s, Entry{}, strings.Repeat("x", 1000))
	}
	for _, size := range []int{0, 1, 1000, 1 << 20} {
		if _, err := s.Keep(t.Context(), Entry{}, strings.NewReader(strings.Repeat("x", size))); !errors.Is(err, ErrFull) {
			t.Errorf("one more of %d bytes: %v", size, err)
		}
	}
	checkCount(t, s, dir)
	for e := range s.List(t.Context()) {
		if err := s.Remove(e.Ref); err != nil {
			t.Fatal(err)
		}
		break
	}
	keep(t, s, Entry{}, strings.Repeat("x", 1000)) // there is room again
	checkCount(t, s, dir)
}

func TestLimitOfEntries(t *testing.T) {
	s := openTest(t, Options{MaxEntries: 2})
	keep(t, s, Entry{}, "")
	keep(t, s, Entry{}, "")
	if _, err := s.Keep(t.Context(), Entry{}, iotest.ErrReader(errors.New("read"))); !errors.Is(err, ErrFull) {
		t.Errorf("a third: %v", err)
	}
}

func TestLimitOfAnEntry(t *testing.T) {
	dir := newDir(t)
	s := mustOpen(t, dir, Options{})
	e := keep(t, s, Entry{Stack: strings.Repeat("s", 1<<20)}, "x")
	if len(e.Stack) != maxStack {
		t.Errorf("a stack of %d bytes, want %d", len(e.Stack), maxStack)
	}
	if _, err := s.Keep(t.Context(), Entry{From: strings.Repeat("r", 4<<20)}, strings.NewReader("x")); !errors.Is(err, ErrEntry) {
		t.Errorf("a sender of four megabytes: %v", err)
	}
	checkCount(t, s, dir)
	s = mustOpen(t, dir, Options{MaxEntry: 1000})
	if _, err := s.Keep(t.Context(), Entry{Reason: strings.Repeat("r", 1000)}, strings.NewReader("x")); !errors.Is(err, ErrEntry) {
		t.Errorf("a reason of 1000 bytes: %v", err)
	}
	if _, _, err := s.Get(e.Ref); !errors.Is(err, ErrEntry) { // no file is read that is larger
		t.Errorf("Get of a larger entry: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	s := openTest(t, Options{})
	want := Usage{MaxBytes: 1 << 30, MaxEntries: 10_000}
	if u := s.Used(); u != want {
		t.Errorf("Used = %+v, want %+v", u, want)
	}
	if o := s.o; o.MaxAge != 7*24*time.Hour || o.MaxEntry != 4<<20 || o.MaxSame != 3 || o.DropOldest {
		t.Errorf("options %+v", o)
	}
}

func TestAlertOncePerCrossing(t *testing.T) {
	dir := newDir(t)
	var alerts []Usage
	o := Options{MaxEntries: 10, Alert: func(u Usage) { alerts = append(alerts, u) }}
	s := mustOpen(t, dir, o)
	var refs []string
	step := func(name string, want int, do func()) {
		t.Helper()
		do()
		if len(alerts) != want {
			t.Errorf("%s: %d alerts, want %d", name, len(alerts), want)
		}
	}
	add := func() { refs = append(refs, keep(t, s, Entry{}, "x").Ref) }
	remove := func() {
		if err := s.Remove(refs[0]); err != nil {
			t.Fatal(err)
		}
		refs = refs[1:]
	}
	for range 7 {
		step("below 80 %", 0, add)
	}
	step("at 80 %", 1, add)
	step("above", 1, add)
	step("above", 1, add)
	step("full", 1, func() {
		if _, err := s.Keep(t.Context(), Entry{}, strings.NewReader("")); !errors.Is(err, ErrFull) {
			t.Errorf("Keep: %v", err)
		}
	})
	step("less", 1, remove)
	step("at 80 %", 1, remove)
	step("below", 1, remove)
	step("at 80 % again", 2, add)
	step("opened anew", 3, func() { mustOpen(t, dir, o) })
	if u := alerts[0]; u.Entries != 8 || u.MaxEntries != 10 || u.Bytes == 0 {
		t.Errorf("alert with %+v", u)
	}

	alerts = nil
	s = openTest(t, Options{MaxBytes: 100_000, Alert: o.Alert})
	step("a message that does not fit at all", 1, func() {
		if _, err := s.Keep(t.Context(), Entry{}, strings.NewReader(strings.Repeat("x", 100_001))); !errors.Is(err, ErrFull) {
			t.Errorf("Keep: %v", err)
		}
	})
}

func TestPurgeByAge(t *testing.T) {
	dir := newDir(t)
	c := newClock()
	s := mustOpen(t, dir, Options{Now: c.now, MaxEntries: 5})
	for range 5 {
		keep(t, s, Entry{}, "x")
		c.advance(24 * time.Hour)
	}
	purge := func(want int) {
		t.Helper()
		before := s.Used().Bytes
		n, bytes, err := s.Purge(t.Context())
		if err != nil || n != want || bytes != before-s.Used().Bytes || (bytes == 0) != (want == 0) {
			t.Errorf("Purge = %d, %d, %v, want %d", n, bytes, err, want)
		}
		checkCount(t, s, dir)
	}
	purge(0) // full, and nothing is thrown away
	c.advance(2 * 24 * time.Hour)
	purge(0) // the first is seven days old, and not older
	c.advance(time.Millisecond)
	purge(1)
	c.advance(2 * 24 * time.Hour)
	purge(2)
	c.advance(365 * 24 * time.Hour)
	s.o.MaxAge = -1
	purge(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cancel()
	s.o.MaxAge = time.Hour
	if n, _, err := s.Purge(ctx); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Purge without time = %d, %v", n, err)
	}
	purge(2)
}

func TestPurgeDropsTheOldestWhenTold(t *testing.T) {
	c := newClock()
	s := openTest(t, Options{Now: c.now, MaxEntries: 10, DropOldest: true})
	var refs []string
	for range 10 {
		refs = append(refs, keep(t, s, Entry{}, "x").Ref)
		c.advance(time.Second)
	}
	if n, _, err := s.Purge(t.Context()); n != 3 || err != nil {
		t.Errorf("Purge = %d, %v, want 3", n, err)
	}
	for i, ref := range refs {
		if _, r, err := s.Get(ref); (err == nil) != (i >= 3) {
			t.Errorf("message %d: %v", i, err)
		} else if err == nil {
			r.Close()
		}
	}
}

func TestFailuresOfOneContent(t *testing.T) {
	dir := newDir(t)
	c := newClock()
	s := mustOpen(t, dir, Options{Now: c.now})
	bad := sha256.Sum256([]byte("bad"))
	check := func(want int) {
		t.Helper()
		if n := s.Failures("f", bad); n != want {
			t.Errorf("Failures = %d, want %d", n, want)
		}
	}
	keep(t, s, Entry{Reason: "not for a failure"}, "bad")
	keep(t, s, Entry{Filter: "f", Failed: true}, "other")
	check(0)
	var refs []string
	for i := range 3 {
		c.advance(time.Second)
		refs = append(refs, keep(t, s, Entry{Filter: "f", Failed: true, Stack: "panic"}, "bad").Ref)
		check(i + 1)
	}
	used := s.Used()
	e := keep(t, s, Entry{Filter: "f", Failed: true}, "bad")
	if e.Ref != refs[2] || e.SHA256 != bad || s.Used() != used {
		t.Errorf("the fourth is kept as %s, want %s; used %+v, before %+v", e.Ref, refs[2], s.Used(), used)
	}
	check(4)
	keep(t, s, Entry{Reason: "not for a failure"}, "bad")
	check(4)

	s = mustOpen(t, dir, Options{Now: c.now}) // a restart
	check(3)
	if err := s.Remove(refs[2]); err != nil {
		t.Error(err)
	}
	check(2)
	if e := keep(t, s, Entry{Filter: "f", Failed: true}, "bad"); slices.Contains(refs, e.Ref) {
		t.Error("two are kept and the third is not")
	}
	check(3)
	c.advance(8 * 24 * time.Hour)
	if _, _, err := s.Purge(t.Context()); err != nil {
		t.Error(err)
	}
	check(0)
	if len(s.failures) != 0 || len(s.kept) != 0 {
		t.Errorf("%d contents are remembered, %d entries", len(s.failures), len(s.kept))
	}
}

// What one filter failed on says nothing of another.
func TestFailuresAreOfOneFilter(t *testing.T) {
	dir := newDir(t)
	s := mustOpen(t, dir, Options{})
	for range 5 {
		keep(t, s, Entry{Filter: "a", Failed: true}, "bad")
	}
	for i := range 4 {
		s = mustOpen(t, dir, Options{}) // restarted between tries
		ref := keep(t, s, Entry{Filter: "b", Failed: true}, "bad").Ref
		if e, err := s.entry(ref); err != nil || e.Filter != "b" {
			t.Errorf("try %d is kept as one of %q, %v", i+1, e.Filter, err)
		}
		if n := s.Failures("b", sha256.Sum256([]byte("bad"))); n != i+1 {
			t.Errorf("try %d: Failures = %d", i+1, n)
		}
	}
	if n := s.Used().Entries; n != 6 {
		t.Errorf("%d are kept, want 6", n)
	}
}

// MaxSame holds where many fail at once.
func TestFailuresAtOnce(t *testing.T) {
	s := mustOpen(t, newDir(t), Options{})
	var wg sync.WaitGroup
	var refs sync.Map
	for range 20 {
		wg.Go(func() {
			e, err := s.Keep(t.Context(), Entry{Filter: "f", Failed: true}, strings.NewReader("bad"))
			if err != nil {
				t.Error(err)
			}
			refs.Store(e.Ref, true)
		})
	}
	wg.Wait()
	if n, failures := s.Used().Entries, s.Failures("f", sha256.Sum256([]byte("bad"))); n != 3 || failures != 20 {
		t.Errorf("%d are kept of %d failures, want 3 of 20", n, failures)
	}
	for ref := range refs.Range {
		if _, err := s.entry(ref.(string)); err != nil {
			t.Error(err)
		}
	}
}

func TestKeepOnce(t *testing.T) {
	c := newClock()
	dir := newDir(t)
	s := mustOpen(t, dir, Options{Now: c.now})
	once := func(e Entry, raw string) string {
		t.Helper()
		c.advance(time.Second)
		e, err := s.KeepOnce(t.Context(), e, strings.NewReader(raw))
		if err != nil || e.Size != int64(len(raw)) || e.SHA256 != sha256.Sum256([]byte(raw)) {
			t.Fatalf("KeepOnce = %+v, %v", e, err)
		}
		return e.Ref
	}
	e := Entry{QueueID: "1", Client: "a", Filter: "f", Reason: "r", From: "a@x", Rcpts: []string{"b@x", "c@x"}}
	ref := once(e, "x")
	again := e
	again.QueueID, again.Client, again.Explanation = "2", "b", "other"
	if got := once(again, "x"); got != ref || s.Used().Entries != 1 {
		t.Errorf("sent again it is kept as %s, want %s; %d are kept", got, ref, s.Used().Entries)
	}
	for name, change := range map[string]func(*Entry){
		"reason": func(e *Entry) { e.Reason = "s" }, "filter": func(e *Entry) { e.Filter = "g" }, "sender": func(e *Entry) { e.From = "" },
		"recipients": func(e *Entry) { e.Rcpts = []string{"b@xc@x"} }, "failed": func(e *Entry) { e.Failed = true },
	} {
		other := e
		change(&other)
		if once(other, "x") == ref {
			t.Errorf("another %s is taken for the same", name)
		}
	}
	if once(e, "y") == ref {
		t.Error("another content is taken for the same")
	}
	s = mustOpen(t, dir, Options{Now: c.now}) // a restart
	if got := once(e, "x"); got != ref {
		t.Errorf("after a restart it is kept as %s, want %s", got, ref)
	}
	c.advance(4 * 24 * time.Hour)
	late := once(e, "x")
	if late == ref {
		t.Error("an original that goes soon serves for a message of now")
	}
	if err := s.Remove(late); err != nil {
		t.Fatal(err)
	}
	if got := once(e, "x"); got == late || got == ref {
		t.Errorf("what is removed serves: %s", got)
	}
	other := mustOpen(t, dir, Options{Now: c.now})
	last := once(e, "x")
	if err := other.Remove(last); err != nil {
		t.Fatal(err)
	}
	if once(e, "x") == last {
		t.Error("what another Store removed serves")
	}
}

func TestLongReasonIsCut(t *testing.T) {
	s := mustOpen(t, newDir(t), Options{})
	ref := keep(t, s, Entry{Reason: strings.Repeat("ä", 1<<20), Explanation: "k3m9"}, "x").Ref
	if e, err := s.entry(ref); err != nil || e.Reason != strings.Repeat("ä", 2<<10) || e.Explanation != "k3m9" {
		t.Errorf("entry %v, %v", len(e.Reason), err)
	}
}

func TestOpenMakesEachFolderDurable(t *testing.T) {
	base := t.TempDir()
	var synced []string
	if err := makeDirs(base+"/a/b/c", func(d dir) error { synced = append(synced, strings.TrimPrefix(string(d), base)); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(synced, " "); got != " /a /a/b" {
		t.Errorf("synced are %q", got)
	}
	if _, err := Open("", Options{}); err == nil || !strings.Contains(err.Error(), "no folder is named") {
		t.Errorf("Open of no folder: %v", err)
	}
}

func TestStoresShareAFolder(t *testing.T) {
	dir := newDir(t)
	c := newClock()
	o := Options{Now: c.now, MaxEntries: 4}
	a, b := mustOpen(t, dir, o), mustOpen(t, dir, o)
	bad := sha256.Sum256([]byte("bad"))
	ref := keep(t, a, Entry{Filter: "f", Failed: true}, "bad").Ref
	if _, r, err := b.Get(ref); err != nil {
		t.Errorf("the other does not get it: %v", err)
	} else {
		r.Close()
	}
	c.advance(recount)
	keep(t, b, Entry{Filter: "f", Failed: true}, "bad")
	if u, n := b.Used(), b.Failures("f", bad); u.Entries != 2 || n != 2 {
		t.Errorf("the other counts %+v, %d failures", u, n)
	}
	c.advance(recount)
	keep(t, a, Entry{}, "x")
	keep(t, a, Entry{}, "x")
	if _, err := a.Keep(t.Context(), Entry{}, strings.NewReader("")); !errors.Is(err, ErrFull) {
		t.Errorf("a fifth: %v", err)
	}
	if err := b.Remove(ref); err != nil {
		t.Error(err)
	}
	c.advance(recountFull)
	keep(t, a, Entry{}, "x") // sees the room that the other made
	checkCount(t, a, dir)
	if n := a.Failures("f", bad); n != 1 {
		t.Errorf("%d failures, want 1", n)
	}
}

func TestManyKeepAtOnce(t *testing.T) {
	dir := newDir(t)
	const limit = 100_000
	s := mustOpen(t, dir, Options{MaxBytes: limit, MaxEntries: 30, Alert: func(u Usage) {
		if u.Bytes > limit || u.Entries > 30 {
			t.Errorf("alert at %+v", u)
		}
	}})
	var kept, full atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 8 {
				raw := strings.Repeat("x", 1+i*797+j*131)
				e, err := s.Keep(t.Context(), Entry{Reason: raw[:min(50, len(raw))], Failed: j%4 == 0}, iotest.OneByteReader(strings.NewReader(raw)))
				switch {
				case err == nil:
					kept.Add(1)
					if j%3 == 0 {
						if err := s.Remove(e.Ref); err != nil {
							t.Errorf("Remove: %v", err)
						}
					}
				case errors.Is(err, ErrFull):
					full.Add(1)
				default:
					t.Errorf("Keep: %v", err)
				}
				if u := s.Used(); u.Bytes > limit || u.Bytes < 0 || u.Entries > 30 {
					t.Errorf("used %+v", u)
				}
				for e, err := range s.List(t.Context()) {
					if err != nil {
						t.Errorf("List: %v, %v", e.Ref, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if kept.Load() == 0 || full.Load() == 0 {
		t.Errorf("%d kept, %d refused: want both", kept.Load(), full.Load())
	}
	checkCount(t, s, dir)
	if s.reserved != 0 || len(s.writing) != 0 {
		t.Errorf("%d bytes in %d messages stay reserved", s.reserved, len(s.writing))
	}
}

// EOM-01: a message that cannot be kept whole leaves nothing, and the caller hears why.
func TestKeepOfWhatBreaksOff(t *testing.T) {
	dir := newDir(t)
	s := mustOpen(t, dir, Options{})
	broken := errors.New("broken off")
	if _, err := s.Keep(t.Context(), Entry{}, io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("Keep: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reads := 0
	_, err := s.Keep(ctx, Entry{}, readerFunc(func(b []byte) (int, error) {
		if reads++; reads == 3 {
			cancel()
		}
		return len(b), nil
	}))
	if !errors.Is(err, context.Canceled) || reads != 3 {
		t.Errorf("Keep: %v after %d reads", err, reads)
	}
	if n := files(t, dir); len(n) != 0 {
		t.Errorf("left: %v", n)
	}
	checkCount(t, s, dir)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestOpenRefusesFolders(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(base, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o770); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below"), open} {
		if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Open(%s): %v", path, err)
		}
	}
	if os.Getuid() != 0 { // root writes anywhere
		closed := filepath.Join(base, "closed")
		if err := os.Mkdir(closed, 0o500); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(closed, Options{}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Open of a folder that cannot be written: %v", err)
		}
	}
	mustOpen(t, filepath.Join(base, "a", "b", "c"), Options{})
}

func BenchmarkKeep(b *testing.B) {
	s := openTest(b, Options{MaxEntries: 1 << 30, MaxBytes: 1 << 60})
	raw := bytes.Repeat([]byte("x"), 10_000)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := s.Keep(b.Context(), Entry{From: "a@b"}, bytes.NewReader(raw)); err != nil {
			b.Fatal(err)
		}
	}
}

// Whoever wants the oldest dropped never finds the store full, however many write
// at once; a message that would throw out many others is not let in.
func TestKeepMakesRoom(t *testing.T) {
	s := openTest(t, Options{MaxEntries: 50, MaxBytes: 1 << 20, DropOldest: true})
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			for n := range 100 {
				if _, err := s.Keep(t.Context(), Entry{From: "a@example.com"}, strings.NewReader(fmt.Sprint(i, n))); err != nil {
					t.Errorf("message %d: %v", n, err)
					return
				}
			}
		})
	}
	writers.Wait()
	if u := s.Used(); u.Entries > 50 || u.Entries < 20 {
		t.Errorf("%d are kept", u.Entries)
	}
	before := s.Used().Entries
	if _, err := s.Keep(t.Context(), Entry{}, strings.NewReader(strings.Repeat("x", 2<<20))); !errors.Is(err, ErrFull) {
		t.Errorf("a message larger than the store: %v", err)
	}
	if after := s.Used().Entries; after < before-1 {
		t.Errorf("it threw out %d others", before-after)
	}
}
