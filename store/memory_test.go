package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gomilter/gomilter/store"
	"github.com/gomilter/gomilter/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Test(t, func(t *testing.T, s storetest.Setup) store.Store {
		return store.NewMemory(store.MemoryOptions{MaxKey: s.MaxKey, MaxValue: s.MaxValue, MaxEntries: s.MaxEntries, Now: s.Now})
	})
}

func TestMemoryBoundsItsBytes(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := store.NewMemory(store.MemoryOptions{MaxBytes: 10_000, Now: func() time.Time { return now }})
	ctx := t.Context()
	n := 0
	for ; ; n++ {
		err := s.Put(ctx, store.Item{Key: fmt.Sprintf("%04d", n), Value: make([]byte, 96), Expires: now.Add(time.Hour)}, store.Buffered)
		if errors.Is(err, store.ErrFull) {
			break
		} else if err != nil || n > 1000 {
			t.Fatal(n, err)
		}
	}
	if n != 40 { // of 4 + 96 + 150 bytes
		t.Errorf("%d entries fit", n)
	}
	if err := s.Put(ctx, store.Item{Key: "0000", Value: make([]byte, 97)}, store.Buffered); !errors.Is(err, store.ErrFull) {
		t.Errorf("a longer value: %v, want ErrFull", err)
	}
	if err := s.Put(ctx, store.Item{Key: "0000", Value: make([]byte, 46)}, store.Buffered); err != nil {
		t.Errorf("a shorter value: %v", err)
	}
	if got := s.Stats(); got.Entries != 40 || got.Bytes != 9950 || got.Full != 2 {
		t.Errorf("Stats = %+v", got)
	}
	now = now.Add(time.Hour)
	if err := s.Put(ctx, store.Item{Key: "x", Value: make([]byte, 1000)}, store.Buffered); err != nil {
		t.Errorf("when some have expired: %v", err)
	}
	if got := s.Stats(); got.Entries != 2 || got.Swept != 39 {
		t.Errorf("Stats = %+v", got)
	}
}

// TestMemoryForgets checks that a counter that is put off for ever takes no more room than one.
func TestMemoryForgets(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := store.NewMemory(store.MemoryOptions{Now: func() time.Time { return now }})
	ctx := t.Context()
	for i := range 100_000 {
		now = now.Add(time.Second)
		if _, err := s.Increment(ctx, "same", 1, now.Add(time.Hour), store.Buffered); err != nil {
			t.Fatal(err)
		}
		if err := s.Put(ctx, store.Item{Key: fmt.Sprint(i), Expires: now.Add(time.Minute)}, store.Buffered); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Stats(); got.Entries > 100 {
		t.Errorf("%d entries, of which 61 have not expired", got.Entries)
	}
	if n := store.DueOf(s); n > 300 {
		t.Errorf("%d times are kept", n)
	}
}
