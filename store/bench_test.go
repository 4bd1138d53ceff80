package store_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomilter/gomilter/store"
)

// A tuple of greylisting has about 100 bytes of key and 24 of value.
func tupleKey(i int) string {
	return fmt.Sprintf("grey/192.0.2.0/24/%040d@example.com/%030d@example.org", i, i)
}

const tuples = 100_000

func benchStores(b *testing.B, run func(b *testing.B, s store.Store)) {
	b.Run("memory", func(b *testing.B) { run(b, store.NewMemory(store.MemoryOptions{})) })
	b.Run("file", func(b *testing.B) {
		s, err := store.OpenFile(newPath(b), store.FileOptions{})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		run(b, s)
	})
}

// parallel shares b.N operations among n goroutines.
func parallel(b *testing.B, n int, do func(i int) error) {
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for g := range n {
		wg.Go(func() {
			for i := g; i < b.N; i += n {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

func BenchmarkGet(b *testing.B) {
	benchStores(b, func(b *testing.B, s store.Store) {
		keys := make([]string, tuples)
		for i := range keys {
			keys[i] = tupleKey(i)
			mustPut(b, s, keys[i], strings.Repeat("v", 24), time.Time{}, store.Buffered)
		}
		mustPut(b, s, "last", "", time.Time{}, store.Durable)
		for _, n := range []int{2, 32} {
			b.Run(fmt.Sprint(n), func(b *testing.B) {
				parallel(b, n, func(i int) error {
					_, err := s.Get(b.Context(), keys[i*7919%tuples])
					return err
				})
			})
		}
	})
}

func benchModes(b *testing.B, do func(b *testing.B, s store.Store, m store.Mode, i int) error) {
	benchStores(b, func(b *testing.B, s store.Store) {
		for m, name := range map[store.Mode]string{store.Buffered: "buffered", store.Durable: "durable"} {
			for _, n := range []int{2, 32} {
				b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
					parallel(b, n, func(i int) error { return do(b, s, m, i) })
				})
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	value, at := make([]byte, 24), time.Now().Add(time.Hour)
	benchModes(b, func(b *testing.B, s store.Store, m store.Mode, i int) error {
		return s.Put(b.Context(), store.Item{Key: tupleKey(i % tuples), Value: value, Expires: at}, m)
	})
}

// BenchmarkUpdate is what greylisting does: Get, and CompareAndSet of what came of it.
func BenchmarkUpdate(b *testing.B) {
	at := time.Now().Add(time.Hour)
	benchModes(b, func(b *testing.B, s store.Store, m store.Mode, i int) error {
		_, err := store.Update(b.Context(), s, tupleKey(i%tuples), m, func(it store.Item) (store.Item, error) {
			if it.Value == nil {
				it.Value = make([]byte, 24)
			}
			binary.BigEndian.PutUint64(it.Value, binary.BigEndian.Uint64(it.Value)+1)
			it.Expires = at
			return it, nil
		})
		return err
	})
}

// TestGetAllocates checks that a Get of a key that is there allocates its value and no more.
func TestGetAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	file := openFile(t, newPath(t), store.FileOptions{Delay: time.Minute})
	for _, tt := range []struct {
		name string
		s    store.Store
		mode store.Mode
	}{
		{"memory", store.NewMemory(store.MemoryOptions{}), store.Buffered},
		{"on its way to the file", file, store.Buffered},
		{"in the file", file, store.Durable},
	} {
		for i := range 2000 {
			mustPut(t, tt.s, tupleKey(i), strings.Repeat("v", 24), time.Now().Add(time.Hour), store.Buffered)
		}
		mustPut(t, tt.s, "last", "", time.Time{}, tt.mode)
		key, none := tupleKey(1000), tupleKey(9999)
		ctx := t.Context()
		if n := testing.AllocsPerRun(100, func() {
			if _, err := tt.s.Get(ctx, key); err != nil {
				t.Error(err)
			}
		}); n > 1 {
			t.Errorf("%s: Get allocates %v times, want 1", tt.name, n)
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, err := tt.s.Get(ctx, none); !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		}); n > 0 {
			t.Errorf("%s: Get of what is not there allocates %v times, want 0", tt.name, n)
		}
	}
}
