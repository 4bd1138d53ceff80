package store_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/gomilter/gomilter/store"
)

func ExampleStore() {
	var s store.Store = store.NewMemory(store.MemoryOptions{})
	defer s.Close()
	ctx := context.Background()
	put := func(key string, m store.Mode) {
		if err := s.Put(ctx, store.Item{Key: key, Value: []byte("by hand")}, m); err != nil {
			log.Fatal(err)
		}
	}
	put("block/spammer.example", store.Durable) // the administrator is told that it is done
	put("block/phisher.example", store.Durable)
	put("seen/203.0.113.7", store.Buffered)
	for it, err := range s.Scan(ctx, "block/") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(it.Key)
	}
	// Output:
	// block/phisher.example
	// block/spammer.example
}

func ExampleOpenFile() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var s *store.File
	if s, err = store.OpenFile(filepath.Join(dir, "state.db"), store.FileOptions{MaxEntries: 10_000}); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	ban := store.Item{Key: "ban/203.0.113.7", Value: []byte("3 demerits"), Expires: time.Now().Add(time.Hour)}
	if err := s.Put(ctx, ban, store.Durable); err != nil {
		log.Fatal(err) // a filter goes by its policy for a store that does not answer
	}
	var held store.Stats = s.Stats()
	fmt.Println(held.Entries, held.Pending)
	if err := s.Close(); err != nil {
		log.Fatal(err)
	}
	// Output: 1 0
}

func ExampleMemory() {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var s *store.Memory = store.NewMemory(store.MemoryOptions{Now: func() time.Time { return now }})
	ctx := context.Background()
	for range 2 {
		// Each demerit counts for an hour from the last one on.
		n, err := s.Increment(ctx, "demerits/203.0.113.7", 2, now.Add(time.Hour), store.Buffered)
		fmt.Println(n, err)
		now = now.Add(59 * time.Minute)
	}
	now = now.Add(time.Minute)
	_, err := s.Get(ctx, "demerits/203.0.113.7")
	fmt.Println(err, errors.Is(err, store.ErrNotFound))
	// Output:
	// 2 <nil>
	// 4 <nil>
	// store: no such key true
}

func ExampleUpdate() {
	s := store.NewMemory(store.MemoryOptions{})
	retried := func(it store.Item) (store.Item, error) {
		it.Value = append(it.Value, '+')
		it.Expires = time.Now().Add(36 * 24 * time.Hour)
		return it, nil
	}
	for range 3 { // by several goroutines, and none would be lost
		if _, err := store.Update(context.Background(), s, "grey/192.0.2.0/24", store.Buffered, retried); err != nil {
			log.Fatal(err)
		}
	}
	it, err := s.Get(context.Background(), "grey/192.0.2.0/24")
	fmt.Printf("%s %v\n", it.Value, err)
	// Output: +++ <nil>
}
