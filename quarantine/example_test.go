package quarantine_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomilter/gomilter/quarantine"
)

// tempStore opens a store that cleanup removes.
func tempStore(o quarantine.Options) (s *quarantine.Store, cleanup func()) {
	dir, err := os.MkdirTemp("", "kept")
	if err != nil {
		log.Fatal(err)
	}
	if s, err = quarantine.Open(filepath.Join(dir, "kept"), o); err != nil {
		log.Fatal(err)
	}
	return s, func() { os.RemoveAll(dir) }
}

const mail = "Subject: invoice\r\n\r\nsee attachment\r\n"

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "kept")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := quarantine.Open(filepath.Join(dir, "kept"), quarantine.Options{MaxEntries: 100})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Used().Entries, "of", s.Used().MaxEntries)
	// Output: 0 of 100
}

func ExampleStore() {
	s, cleanup := tempStore(quarantine.Options{})
	defer cleanup()
	ctx := context.Background()
	e, err := s.Keep(ctx, quarantine.Entry{From: "a@example.com", Filter: "attachments", Reason: "invoice.exe"}, strings.NewReader(mail))
	if err != nil {
		log.Fatal(err) // a filter defers the message
	}
	_, original, err := s.Get(e.Ref)
	if err != nil {
		log.Fatal(err)
	}
	defer original.Close()
	b, _ := io.ReadAll(original)
	fmt.Println(e.Size, string(b) == mail)
	// Output: 36 true
}

func ExampleStore_Keep() {
	s, cleanup := tempStore(quarantine.Options{MaxBytes: 10})
	defer cleanup()
	_, err := s.Keep(context.Background(), quarantine.Entry{}, strings.NewReader(mail))
	fmt.Println(errors.Is(err, quarantine.ErrFull), err)
	// Output: true quarantine: full
}

func ExampleStore_Get() {
	s, cleanup := tempStore(quarantine.Options{})
	defer cleanup()
	_, _, err := s.Get("../../etc/passwd")
	fmt.Println(errors.Is(err, quarantine.ErrRef), err)
	// Output: true quarantine: not a reference
}

func ExampleStore_List() {
	s, cleanup := tempStore(quarantine.Options{})
	defer cleanup()
	ctx := context.Background()
	s.Keep(ctx, quarantine.Entry{Reason: "invoice.exe"}, strings.NewReader(mail))
	for e, err := range s.List(ctx) {
		fmt.Println(e.Reason, e.Size, err)
	}
	// Output: invoice.exe 36 <nil>
}

func ExampleStore_Remove() {
	s, cleanup := tempStore(quarantine.Options{})
	defer cleanup()
	e, _ := s.Keep(context.Background(), quarantine.Entry{}, strings.NewReader(mail))
	fmt.Println(s.Remove(e.Ref), s.Used().Entries)
	// Output: <nil> 0
}

func ExampleStore_Purge() {
	s, cleanup := tempStore(quarantine.Options{MaxEntries: 5, DropOldest: true})
	defer cleanup()
	ctx := context.Background()
	for range 5 {
		s.Keep(ctx, quarantine.Entry{}, strings.NewReader(mail))
	}
	n, _, err := s.Purge(ctx)
	fmt.Println(n, err, s.Used().Entries)
	// Output: 2 <nil> 3
}

func ExampleStore_Used() {
	s, cleanup := tempStore(quarantine.Options{})
	defer cleanup()
	s.Keep(context.Background(), quarantine.Entry{}, strings.NewReader(mail))
	u := s.Used()
	fmt.Println(u.Entries, u.Bytes > int64(len(mail)))
	// Output: 1 true
}

func ExampleStore_Failures() {
	s, cleanup := tempStore(quarantine.Options{})
	defer cleanup()
	for range 3 {
		s.Keep(context.Background(), quarantine.Entry{Failed: true, Filter: "html", Stack: "goroutine 1 …"}, strings.NewReader(mail))
	}
	fmt.Println(s.Failures("html", sha256.Sum256([]byte(mail))))
	// Output: 3
}

// A client that was told to come again sends the same message again.
func ExampleStore_KeepOnce() {
	s, cleanup := tempStore(quarantine.Options{})
	defer cleanup()
	for range 3 {
		s.KeepOnce(context.Background(), quarantine.Entry{Filter: "attachments", From: "a@example.org"}, strings.NewReader(mail))
	}
	fmt.Println(s.Used().Entries)
	// Output: 1
}

func ExampleOptions() {
	o := quarantine.Options{MaxEntries: 5, Alert: func(u quarantine.Usage) { fmt.Println("alert:", u.Entries, "of", u.MaxEntries) }}
	s, cleanup := tempStore(o)
	defer cleanup()
	for range 5 {
		s.Keep(context.Background(), quarantine.Entry{}, strings.NewReader(mail))
	}
	// Output: alert: 4 of 5
}

func ExampleUsage() {
	u := quarantine.Usage{Bytes: 1 << 20, MaxBytes: 1 << 30, Entries: 3, MaxEntries: 10_000}
	fmt.Printf("%.1f %%\n", 100*float64(u.Bytes)/float64(u.MaxBytes))
	// Output: 0.1 %
}
