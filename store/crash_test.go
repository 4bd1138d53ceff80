package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/store"
)

// TestPowerCut builds the files that a power cut can leave in the middle of a commit: some of the
// pages written and others not, in any order, and then the meta page, which is written
// after all others are safe, in part.
func TestPowerCut(t *testing.T) {
	const page = 4096
	random := rand.New(rand.NewPCG(3, 4))
	path := newPath(t)
	o := store.FileOptions{Delay: time.Minute, Settle: -1}
	s := openFile(t, path, o)
	for i := range 300 {
		mustPut(t, s, fmt.Sprint(i), "old", time.Now().Add(time.Hour), store.Buffered)
	}
	for round := range 4 {
		mustPut(t, s, "round", fmt.Sprint(round), time.Time{}, store.Durable)
		before, old := read(t, path), all(t, s)
		for range 60 {
			key := fmt.Sprint(random.IntN(400))
			if random.IntN(3) == 0 {
				if err := s.Delete(t.Context(), key, store.Buffered); err != nil {
					t.Fatal(err)
				}
			} else {
				mustPut(t, s, key, fmt.Sprint("new ", round), time.Now().Add(2*time.Hour), store.Buffered)
			}
		}
		mustPut(t, s, "last", fmt.Sprint(round), time.Time{}, store.Durable)
		after, fresh := read(t, path), all(t, s)
		before = append(before, make([]byte, len(after)-len(before))...) // the file grows first
		var data []int
		meta := -1
		for at := 0; at < len(after); at += page {
			switch {
			case bytes.Equal(before[at:at+page], after[at:at+page]):
			case at < 2*page && meta < 0:
				meta = at
			case at < 2*page:
				t.Fatal("both meta pages are written at once")
			default:
				data = append(data, at)
			}
		}
		if len(data) < 5 || meta < 0 {
			t.Fatalf("a commit writes %d pages, and meta page %d", len(data), meta)
		}
		other := newPath(t)
		check := func(what string, b []byte, states ...map[string]string) {
			t.Helper()
			s, err := store.OpenFile(write(t, other, b), o)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				return
			}
			defer s.Close()
			got := all(t, s)
			for _, state := range states {
				if maps.Equal(got, state) {
					mustPut(t, s, "goes on", "", time.Time{}, store.Durable)
					return
				}
			}
			t.Errorf("%s: %s", what, cmp.Diff(states[0], got))
		}
		for range 20 {
			b := bytes.Clone(before)
			for _, at := range data {
				switch random.IntN(3) {
				case 0:
					copy(b[at:at+page], after[at:])
				case 1: // torn
					copy(b[at:at+512*random.IntN(8)], after[at:])
				}
			}
			check("some pages", b, old)
		}
		for n := 0; n <= 16+64; n += 4 {
			b := bytes.Clone(after)
			copy(b[meta:meta+page], before[meta:])
			copy(b[meta:meta+n], after[meta:])
			check(fmt.Sprint("meta page to ", n), b, old, fresh)
		}
	}
}

// TestFileIsSpoiltInUse has damage met while a file is in use: nothing is written any more.
func TestFileIsSpoiltInUse(t *testing.T) {
	path := newPath(t)
	s := openFile(t, path, store.FileOptions{})
	for i := range 1000 {
		mustPut(t, s, fmt.Sprintf("%04d", i), "value", time.Time{}, store.Buffered)
	}
	mustPut(t, s, "last", "", time.Time{}, store.Durable)
	b := read(t, path)
	for at := 2 * 4096; at < len(b); at++ {
		if bytes.HasPrefix(b[at:], []byte("value")) {
			b[at] ^= 1
		}
	}
	write(t, path, b)
	for range 2 {
		if it, err := s.Get(t.Context(), "0500"); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("Get = %q, %v, want ErrDamaged", it.Value, err)
		}
		if err := s.Put(t.Context(), store.Item{Key: "new"}, store.Buffered); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("Put: %v, want ErrDamaged", err)
		}
	}
	if err := s.Close(); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("Close: %v, want ErrDamaged", err)
	}
	if !bytes.Equal(read(t, path), b) {
		t.Error("the file was changed")
	}
}
