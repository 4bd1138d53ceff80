package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/gomilter/gomilter/store"
	"github.com/gomilter/gomilter/store/storetest"
)

func openFile(t testing.TB, path string, o store.FileOptions) *store.File {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s, err := store.OpenFile(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "store.db") }

func mustPut(t testing.TB, s store.Store, key, value string, expires time.Time, m store.Mode) {
	t.Helper()
	if err := s.Put(t.Context(), store.Item{Key: key, Value: []byte(value), Expires: expires}, m); err != nil {
		t.Fatalf("Put(%q): %v", key, err)
	}
}

func all(t testing.TB, s store.Store) map[string]string {
	t.Helper()
	got := make(map[string]string)
	for it, err := range s.Scan(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got[it.Key] = string(it.Value)
	}
	return got
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFile(t *testing.T) {
	storetest.Test(t, func(t *testing.T, s storetest.Setup) store.Store {
		return openFile(t, filepath.Join(t.TempDir(), "new", "store.db"), store.FileOptions{MaxKey: s.MaxKey, MaxValue: s.MaxValue, MaxEntries: s.MaxEntries, Now: s.Now})
	})
}

// TestFileWritesAllTheTime has a flush follow the other while the suite runs.
func TestFileWritesAllTheTime(t *testing.T) {
	storetest.Test(t, func(t *testing.T, s storetest.Setup) store.Store {
		return openFile(t, newPath(t), store.FileOptions{MaxKey: s.MaxKey, MaxValue: s.MaxValue, MaxEntries: s.MaxEntries, Now: s.Now, Delay: 1, Settle: -1, MaxPending: 5000})
	})
}

func TestFileKeepsWhatItHas(t *testing.T) {
	path := newPath(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	o := store.FileOptions{Now: func() time.Time { return now }}
	s := openFile(t, path, o)
	want := make(map[string]string)
	for i := range 5000 {
		key, value := fmt.Sprint("key ", i), strings.Repeat("v", i%300)
		mustPut(t, s, key, value, now.Add(time.Duration(i%2)*time.Hour*time.Duration(i)), store.Buffered)
		if i%2 == 1 {
			want[key] = value
		}
	}
	for i := range 100 {
		key := fmt.Sprint("key ", i)
		if err := s.Delete(t.Context(), key, store.Buffered); err != nil {
			t.Fatal(err)
		}
		delete(want, key)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	s = openFile(t, path, o)
	if diff := cmp.Diff(want, all(t, s)); diff != "" {
		t.Error(diff)
	}
	if it, err := s.Get(t.Context(), "key 1001"); err != nil || !it.Expires.Equal(now.Add(1001*time.Hour)) {
		t.Errorf("it expires %v, %v", it.Expires, err)
	}
	if got := s.Stats(); got.Entries != int64(len(want)) || got.Bytes < 100_000 {
		t.Errorf("Stats = %+v, want %d entries", got, len(want))
	}
	last := ""
	for it := range s.Scan(t.Context(), "") {
		if it.Key <= last {
			t.Errorf("%q is yielded after %q", it.Key, last)
		}
		last = it.Key
	}
}

func TestFileModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "er")
	path := filepath.Join(dir, "store.db")
	mode := func(path string, want os.FileMode) {
		t.Helper()
		if i, err := os.Stat(path); err != nil || i.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, i.Mode(), err, want)
		}
	}
	openFile(t, path, store.FileOptions{}).Close()
	mode(path, 0o600)
	mode(dir, 0o700)
	mode(filepath.Dir(dir), 0o700)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	openFile(t, path, store.FileOptions{}).Close()
	mode(path, 0o600)
	if got, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(got) != 1 {
		t.Errorf("in the folder: %v, %v", got, err)
	}
	if _, err := store.OpenFile(dir, store.FileOptions{}); err == nil || !strings.Contains(err.Error(), "it is no file but d") {
		t.Errorf("a folder: %v", err)
	}
}

func TestFileOptionsOutOfBounds(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    store.FileOptions
	}{
		{"MaxKey", store.FileOptions{MaxKey: 32761}},
		{"MaxValue", store.FileOptions{MaxValue: 16<<20 + 1}},
		{"MaxEntries", store.FileOptions{MaxEntries: -1}},
		{"MaxBytes", store.FileOptions{MaxBytes: 1 << 20}},
		{"MaxPending", store.FileOptions{MaxPending: -1}},
		{"Delay", store.FileOptions{Delay: time.Hour}},
		{"Retry", store.FileOptions{Retry: -1}},
		{"LockWait", store.FileOptions{LockWait: -1}},
	} {
		if _, err := store.OpenFile(newPath(t), tt.o); err == nil || !strings.HasPrefix(err.Error(), "store: "+tt.name+" is ") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	s := openFile(t, newPath(t), store.FileOptions{MaxKey: 32760, MaxValue: 1 << 20, MaxBytes: 64 << 20})
	key := strings.Repeat("k", 32760)
	mustPut(t, s, key, strings.Repeat("v", 1<<20), time.Now().Add(time.Hour), store.Durable)
	if it, err := s.Get(t.Context(), key); err != nil || len(it.Value) != 1<<20 {
		t.Errorf("the longest item: %d bytes, %v", len(it.Value), err)
	}
}

func TestFileIsLocked(t *testing.T) {
	path := newPath(t)
	s := openFile(t, path, store.FileOptions{})
	mustPut(t, s, "k", "v", time.Time{}, store.Durable)
	if _, err := store.OpenFile(path, store.FileOptions{LockWait: time.Millisecond}); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second File: %v, want ErrLocked", err)
	}
	mustPut(t, s, "k", "w", time.Time{}, store.Durable)
	opened := make(chan map[string]string) // one that waits gets it
	go func() {
		defer close(opened)
		s, err := store.OpenFile(path, store.FileOptions{LockWait: time.Minute})
		if err != nil {
			t.Error(err)
			return
		}
		defer s.Close()
		opened <- all(t, s)
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := <-opened; got["k"] != "w" {
		t.Errorf("the one who waited sees %v", got)
	}
	<-opened
}

// TestFileDelay checks when writes are safe.
func TestFileDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		s := openFile(t, path, store.FileOptions{})
		defer s.Close()
		saved := func() map[string]string {
			synctest.Wait()
			other := openFile(t, write(t, path+".copy", read(t, path)), store.FileOptions{})
			defer other.Close()
			return all(t, other)
		}
		mustPut(t, s, "a", "1", time.Time{}, store.Buffered)
		time.Sleep(100 * time.Millisecond)
		mustPut(t, s, "b", "1", time.Time{}, store.Buffered)
		time.Sleep(99 * time.Millisecond)
		if got := saved(); len(got) != 0 || s.Stats().Pending != 2 {
			t.Errorf("after 199 ms: %v is safe, %+v", got, s.Stats())
		}
		time.Sleep(time.Millisecond)
		if got := saved(); len(got) != 2 || s.Stats().Pending != 0 {
			t.Errorf("after 200 ms: %v is safe, %+v", got, s.Stats())
		}
		mustPut(t, s, "c", "1", time.Time{}, store.Buffered)
		start := time.Now()
		mustPut(t, s, "d", "1", time.Time{}, store.Durable)
		if got := saved(); len(got) != 4 || time.Since(start) != 0 {
			t.Errorf("after a durable write: %v is safe, and %v have passed", got, time.Since(start))
		}
	})
}

// held is a step at which a commit stops.
type held struct {
	name          string
	on            atomic.Bool
	reached, goOn chan struct{}
}

func newHeld(name string) *held {
	return &held{name: name, reached: make(chan struct{}), goOn: make(chan struct{})}
}

func (h *held) step(name string) error {
	if name == h.name && h.on.Load() {
		h.reached <- struct{}{}
		<-h.goOn
	}
	return nil
}

// TestFileWhileItIsWritten reads and writes in the middle of a flush.
func TestFileWhileItIsWritten(t *testing.T) {
	for _, name := range []string{"begin", "half", "commit", "committed"} {
		t.Run(name, func(t *testing.T) {
			h := newHeld(name)
			path := newPath(t)
			s := openFile(t, path, store.WithStep(store.FileOptions{Delay: time.Minute}, h.step))
			ctx := t.Context()
			want := make(map[string]string)
			put := func(key, value string, m store.Mode) {
				t.Helper()
				mustPut(t, s, key, value, time.Time{}, m)
				want[key] = value
			}
			for i := range 100 {
				put(fmt.Sprint("file ", i), "old", store.Buffered)
			}
			put("file", "old", store.Durable)
			for i := range 1000 {
				put(fmt.Sprint("flushing ", i), "new", store.Buffered)
			}
			for i := range 50 {
				put(fmt.Sprint("file ", i), "new", store.Buffered)
			}
			h.on.Store(true)
			durable := make(chan error)
			go func() {
				durable <- s.Put(ctx, store.Item{Key: "durable"}, store.Durable)
			}()
			want["durable"] = ""
			<-h.reached
			if diff := cmp.Diff(want, all(t, s)); diff != "" {
				t.Errorf("while it is written: %s", diff)
			}
			for key, value := range want {
				if it, err := s.Get(ctx, key); err != nil || string(it.Value) != value {
					t.Fatalf("while it is written %q is %q, %v", key, it.Value, err)
				}
			}
			put("dirty", "new", store.Buffered)
			put("flushing 1", "newer", store.Buffered)
			if err := s.CompareAndSet(ctx, []byte("new"), store.Item{Key: "file 1", Value: []byte("newer")}, store.Buffered); err != nil {
				t.Error(err)
			}
			want["file 1"] = "newer"
			for _, key := range []string{"flushing 2", "file 2", "file 99"} {
				if err := s.Delete(ctx, key, store.Buffered); err != nil {
					t.Error(err)
				}
				delete(want, key)
			}
			if got := s.Stats(); got.Entries != int64(len(want)) {
				t.Errorf("while it is written: %+v, want %d entries", got, len(want))
			}
			short, cancel := context.WithCancel(ctx)
			cancel()
			if err := s.Put(short, store.Item{Key: "late"}, store.Durable); !errors.Is(err, context.Canceled) {
				t.Errorf("a durable write that cannot wait: %v", err)
			}
			h.on.Store(false)
			h.goOn <- struct{}{}
			if err := <-durable; err != nil {
				t.Errorf("the durable write: %v", err)
			}
			if diff := cmp.Diff(want, all(t, s)); diff != "" {
				t.Errorf("after it: %s", diff)
			}
			s.Close()
			s = openFile(t, path, store.FileOptions{})
			if diff := cmp.Diff(want, all(t, s)); diff != "" {
				t.Errorf("opened again: %s", diff)
			}
			if got := s.Stats(); got.Entries != int64(len(want)) {
				t.Errorf("opened again: %+v, want %d entries", got, len(want))
			}
		})
	}
}

// TestFilePendingIsBounded checks that writers wait for a slow disk, and not for ever.
func TestFilePendingIsBounded(t *testing.T) {
	h := newHeld("commit")
	s := openFile(t, newPath(t), store.WithStep(store.FileOptions{MaxPending: 10_000, MaxValue: 1000, Delay: 1}, h.step))
	h.on.Store(true)
	mustPut(t, s, "first", "", time.Time{}, store.Buffered)
	<-h.reached
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan int)
	go func() {
		for n := 0; ; n++ {
			if err := s.Put(ctx, store.Item{Key: fmt.Sprint(n), Value: make([]byte, 1000)}, store.Buffered); err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				written <- n
				return
			}
		}
	}()
	for s.Stats().Pending < 10 { // the writer comes to its limit, and then it has to wait
		time.Sleep(time.Millisecond)
	}
	cancel()
	if n := <-written; n < 8 || n > 10 {
		t.Errorf("%d writes of 1000 bytes are taken", n)
	}
	h.on.Store(false)
	h.goOn <- struct{}{}
	mustPut(t, s, "last", "", time.Time{}, store.Durable)
}

// TestFileSharesDurableWrites checks that those who wait at the same time wait for one flush.
func TestFileSharesDurableWrites(t *testing.T) {
	h := newHeld("begin")
	commits := 0
	s := openFile(t, newPath(t), store.WithStep(store.FileOptions{Delay: time.Minute}, func(name string) error {
		if name == "begin" {
			commits++
		}
		return h.step(name)
	}))
	h.on.Store(true)
	var wg sync.WaitGroup
	write := func(i int) {
		wg.Go(func() { mustPut(t, s, fmt.Sprint(i), "", time.Time{}, store.Durable) })
	}
	write(0)
	<-h.reached
	for i := range 100 {
		write(1 + i)
	}
	for s.Stats().Pending != 101 {
		time.Sleep(time.Millisecond)
	}
	h.on.Store(false)
	h.goOn <- struct{}{}
	wg.Wait()
	if commits > 3 {
		t.Errorf("101 durable writes take %d transactions", commits)
	}
}

// TestFileDiskFails lets each step of each flush fail, once and for a while.
func TestFileDiskFails(t *testing.T) {
	for _, name := range []string{"begin", "half", "commit", "committed"} {
		for _, mode := range []store.Mode{store.Buffered, store.Durable} {
			t.Run(fmt.Sprint(name, " ", mode), func(t *testing.T) {
				full := errors.New("no space left on device")
				var on atomic.Bool
				tried := make(chan struct{}, 100)
				step := func(at string) error {
					if !on.Load() || at != name {
						return nil
					}
					tried <- struct{}{}
					return full
				}
				path := newPath(t)
				var said bytes.Buffer
				s := openFile(t, path, store.WithStep(store.FileOptions{Delay: 1, Retry: time.Millisecond, Log: slog.New(slog.NewTextHandler(&said, nil))}, step))
				mustPut(t, s, "safe", "1", time.Time{}, store.Durable)
				mustPut(t, s, "deleted", "1", time.Time{}, store.Durable)
				on.Store(true)
				err := s.Put(t.Context(), store.Item{Key: "during", Value: []byte("1")}, mode)
				if mode == store.Durable && (!errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "no space left")) || mode == store.Buffered && err != nil {
					t.Errorf("the first write: %v", err)
				}
				for range 3 {
					<-tried
				}
				for _, m := range []store.Mode{store.Buffered, store.Durable} {
					if err := s.Put(t.Context(), store.Item{Key: "refused", Value: []byte("1")}, m); !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("another write: %v", err)
					}
				}
				if err := s.Delete(t.Context(), "deleted", store.Buffered); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("Delete: %v", err)
				}
				want := map[string]string{"safe": "1", "deleted": "1", "during": "1"}
				if diff := cmp.Diff(want, all(t, s)); diff != "" {
					t.Errorf("while the disk fails: %s", diff)
				}
				if got := s.Stats(); got.Err == nil || got.Pending != 1 || got.Failed == 0 || got.Entries != 3 {
					t.Errorf("Stats = %+v", got)
				}
				on.Store(false)
				for s.Stats().Err != nil {
					time.Sleep(time.Millisecond)
				}
				mustPut(t, s, "after", "1", time.Time{}, store.Durable)
				want["after"] = "1"
				if diff := cmp.Diff(want, all(t, s)); diff != "" {
					t.Errorf("after it: %s", diff)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(want, all(t, openFile(t, path, store.FileOptions{}))); diff != "" {
					t.Errorf("opened again: %s", diff)
				}
				if n := strings.Count(said.String(), "level=ERROR"); n != 1 || strings.Count(said.String(), "writes again") != 1 {
					t.Errorf("the log has:\n%s", &said)
				}
			})
		}
	}
}

// TestFileIsUnsure checks that after a commit that counts and failed all the same, the file is opened again.
func TestFileIsUnsure(t *testing.T) {
	var on atomic.Bool
	s := openFile(t, newPath(t), store.WithStep(store.FileOptions{Delay: time.Minute, Retry: time.Millisecond}, func(at string) error {
		if on.CompareAndSwap(at == "committed", false) && at == "committed" {
			return errors.New("fsync")
		}
		return nil
	}))
	mustPut(t, s, "a", "1", time.Time{}, store.Durable)
	before := store.BoltOf(s)
	on.Store(true)
	if err := s.Put(t.Context(), store.Item{Key: "b"}, store.Durable); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Put: %v", err)
	}
	for s.Stats().Err != nil {
		time.Sleep(time.Millisecond)
	}
	if store.BoltOf(s) == before {
		t.Error("the file was not opened again")
	}
	if got := s.Stats(); got.Entries != 2 || len(all(t, s)) != 2 {
		t.Errorf("Stats = %+v", got)
	}
}

func TestFileCloseTellsWhatIsLost(t *testing.T) {
	full := errors.New("no space left on device")
	var on atomic.Bool
	s := openFile(t, newPath(t), store.WithStep(store.FileOptions{Delay: time.Minute}, func(string) error {
		if on.Load() {
			return full
		}
		return nil
	}))
	mustPut(t, s, "a", "1", time.Time{}, store.Durable)
	on.Store(true)
	mustPut(t, s, "b", "1", time.Time{}, store.Buffered)
	mustPut(t, s, "c", "1", time.Time{}, store.Buffered)
	if err := s.Close(); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, full) || !strings.HasSuffix(err.Error(), "2 writes are lost") {
		t.Errorf("Close: %v", err)
	}
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Get after it: %v", err)
	}
}

// TestFileIsBounded fills a file until it is full, and goes on writing to what is there.
func TestFileIsBounded(t *testing.T) {
	path := newPath(t)
	now := time.Unix(1e9, 0)
	var mu sync.Mutex
	o := store.FileOptions{MaxBytes: 8 << 20, MaxPending: 100_000, Delay: time.Millisecond, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}}
	s := openFile(t, path, o)
	random := rand.New(rand.NewPCG(1, 2))
	n := 0
	fill := func() {
		t.Helper()
		for ; ; n++ {
			err := s.Put(t.Context(), store.Item{Key: fmt.Sprint(random.Uint64()), Value: make([]byte, 100+random.IntN(2000)), Expires: o.Now().Add(time.Hour)}, store.Buffered)
			if errors.Is(err, store.ErrFull) {
				break
			} else if err != nil || n > 20_000 {
				t.Fatalf("after %d writes: %v", n, err)
			}
		}
	}
	fill()
	if n < 500 {
		t.Errorf("%d entries of 1100 bytes fit in 8 MiB", n)
	}
	size := func() {
		t.Helper()
		if i, err := os.Stat(path); err != nil || i.Size() > 8<<20 {
			t.Errorf("the file has %d bytes, %v", i.Size(), err)
		}
	}
	size()
	for key, value := range all(t, s) { // each anew, in an order of its own
		mustPut(t, s, key, strings.Repeat("w", len(value)), o.Now().Add(time.Hour), store.Mode(random.IntN(2)))
	}
	size()
	if got := s.Stats(); got.Failed != 0 || got.Full == 0 {
		t.Errorf("Stats = %+v", got)
	}
	mu.Lock()
	now = now.Add(time.Hour)
	mu.Unlock()
	before := n
	fill()
	if n-before < 500 {
		t.Errorf("%d fit after the first have expired", n-before)
	}
	size()
	if got := s.Stats(); got.Failed != 0 || got.Swept == 0 {
		t.Errorf("Stats = %+v", got)
	}
}

// TestFileSweeps checks when what has expired is removed.
func TestFileSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var off atomic.Int64
		o := store.FileOptions{Now: func() time.Time { return time.Now().Add(time.Duration(off.Load())) }}
		s := openFile(t, newPath(t), o)
		defer s.Close()
		entries := func(when string, want int64) {
			t.Helper()
			synctest.Wait()
			if got := s.Stats(); got.Entries != want {
				t.Errorf("%s: %d entries are kept, want %d", when, got.Entries, want)
			}
		}
		for i := range 3000 { // more than go in one transaction
			mustPut(t, s, fmt.Sprint(i), "", o.Now().Add(5*time.Minute), store.Buffered)
		}
		mustPut(t, s, "day", "", o.Now().Add(24*time.Hour), store.Durable)
		time.Sleep(9 * time.Minute)
		if got := all(t, s); len(got) != 1 {
			t.Errorf("%d entries are there", len(got))
		}
		entries("while the clock may be wrong", 3001)
		time.Sleep(3 * time.Minute)
		entries("later", 1)

		off.Store(int64(48 * time.Hour)) // someone sets the clock
		time.Sleep(9 * time.Minute)
		if got := all(t, s); len(got) != 0 {
			t.Errorf("the day is over, and there is %v", got)
		}
		entries("while the clock may be wrong", 1)
		off.Store(0) // it was
		time.Sleep(time.Minute)
		if got := all(t, s); len(got) != 1 {
			t.Errorf("the clock is right again, and there is %v", got)
		}
		off.Store(int64(48 * time.Hour))
		time.Sleep(13 * time.Minute)
		entries("when the clock stays so", 0)
	})
}

func TestFileOfAnotherProgram(t *testing.T) {
	path := newPath(t)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err }); err != nil {
		t.Fatal(err)
	}
	db.Close()
	before := read(t, path)
	if _, err := store.OpenFile(path, store.FileOptions{}); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "another program") {
		t.Errorf("OpenFile: %v", err)
	}
	if !bytes.Equal(read(t, path), before) {
		t.Error("the file was changed")
	}
	openFile(t, write(t, path, nil), store.FileOptions{}) // an empty file is a new one
}

// sample returns the bytes of a file with pages of each kind, and what is in it.
func sample(t testing.TB, n int) ([]byte, map[string]string) {
	path := newPath(t)
	s := openFile(t, path, store.FileOptions{Delay: time.Minute})
	for i := range n {
		value := strings.Repeat("v", i%50)
		if i == n/2 {
			value = strings.Repeat("long ", 2000)
		}
		mustPut(t, s, fmt.Sprintf("key/%05d", i), value, time.Now().Add(time.Duration(i%3)*time.Hour), store.Buffered)
		if i == n/2 {
			mustPut(t, s, "half", "", time.Time{}, store.Durable)
		}
	}
	for i := 0; i < n; i += 3 {
		mustPut(t, s, fmt.Sprintf("key/%05d", i), "no expiry", time.Time{}, store.Buffered)
	}
	want := all(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b := read(t, path)
	for len(b) > 4096 && bytes.Equal(b[len(b)-4096:], make([]byte, 4096)) { // allocated, and not in use
		b = b[:len(b)-4096]
	}
	return b, want
}

// TestFileIsDamaged spoils files in many ways: either that is told and the file stays as it
// is, or all that was in it is there.
func TestFileIsDamaged(t *testing.T) {
	good, want := sample(t, 300)
	path := newPath(t)
	told := 0
	try := func(name string, b []byte) {
		t.Helper()
		s, err := store.OpenFile(write(t, path, b), store.FileOptions{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			told++
			if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "Nothing in it was changed. Move it away") {
				t.Errorf("%s: %v", name, err)
			}
			if !bytes.Equal(read(t, path), b) {
				t.Errorf("%s: the file was changed", name)
			}
			return
		}
		got := all(t, s)
		if err := s.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
		// The meta page in use may be lost: then the state before counts, as after a crash.
		if name == "page 0" || name == "page 1" {
			return
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: something is lost or invented: %s", name, cmp.Diff(want, got))
		}
	}
	try("as it was", good)
	if told > 0 {
		t.Fatal("the sample is bad")
	}
	for size := 1; size < len(good); size += 1 + len(good)/100 {
		try(fmt.Sprint("cut at ", size), good[:size])
	}
	if told < 90 {
		t.Errorf("of 100 files that were cut, %d are told", told)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for at := 0; at < len(good); at += 1 + random.IntN(300) {
		b := bytes.Clone(good)
		b[at] ^= 1 << random.IntN(8)
		try(fmt.Sprint("page ", at/4096), b)
	}
	for page := range len(good) / 4096 {
		b := bytes.Clone(good)
		for i := range 4096 {
			b[page*4096+i] = byte(random.Uint32())
		}
		try(fmt.Sprint("page ", page), b)
		clear(b[page*4096:][:4096])
		try(fmt.Sprint("page ", page), b)
		copy(b[page*4096:], good[random.IntN(len(good)/4096)*4096:][:4096])
		try(fmt.Sprint("page ", page), b)
	}
	try("text", bytes.Repeat([]byte("no store\n"), 10_000))
	if told < 200 {
		t.Errorf("%d are told", told)
	}
}
