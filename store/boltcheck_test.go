package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// edit changes bytes of a file: each 4 bytes of a place and one of a change in edits are one. The
// checksums of meta pages are made right.
func edit(file, edits []byte) []byte {
	b := bytes.Clone(file)
	for ; len(edits) >= 5; edits = edits[5:] {
		b[binary.BigEndian.Uint32(edits)%uint32(len(b))] ^= edits[4]
	}
	for _, at := range []int{0, os.Getpagesize()} {
		m := b[at+boltPageHeader:][:boltMeta]
		sum := fnv.New64a()
		sum.Write(m[:56])
		binary.NativeEndian.PutUint64(m[56:], sum.Sum64())
	}
	return b
}

// editOf is an edit of one byte.
func editOf(at int, change byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(at)), change)
}

// boltSample returns a small file with pages of each kind.
func boltSample(t testing.TB) []byte {
	path := filepath.Join(t.TempDir(), "store.db")
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC) // the same file each time
	s, err := OpenFile(path, FileOptions{Delay: time.Minute, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		it := Item{Key: fmt.Sprint("key ", i), Value: bytes.Repeat([]byte("v"), i), Expires: now.AddDate(1+i%2, 0, 0)}
		if i == 70 {
			it.Value = make([]byte, 10_000)
		}
		if err := s.Put(context.Background(), it, Buffered); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimRight(b, "\x00")
}

func TestCheckBoltNamesWhatIsWrong(t *testing.T) {
	good := boltSample(t)
	page := os.Getpagesize()
	good = append(good, make([]byte, page-len(good)%page)...)
	check := func(b []byte) error { return checkBolt(bytes.NewReader(b), int64(len(b))) }
	if err := check(good); err != nil {
		t.Fatal(err)
	}
	if err := check(nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	leaf := -1 // a leaf page, and another follows it
	for at := 2 * page; at < len(good)-page && leaf < 0; at += page {
		head := func(at int) uint64 { return binary.NativeEndian.Uint64(good[at:]) }
		if head(at) == uint64(at/page) && good[at+8] == boltLeaf && good[at+12] == 0 && bytes.Contains(good[at:at+page], []byte("key 2")) && head(at+page) == uint64(at/page+1) {
			leaf = at
		}
	}
	if leaf < 0 {
		t.Fatal("the sample is bad")
	}
	for _, tt := range []struct {
		name string
		b    []byte
		err  string
	}{
		{"nothing of it", make([]byte, 3*page), "does not begin"},
		{"only a beginning", good[:100], "cut short"},
		{"the last page is missing", good[:len(good)-page], "cut short"},
		{"a page with the number of another", edit(good, editOf(leaf, 1)), "is another"},
		{"a page of another kind", edit(good, editOf(leaf+8, 0x10)), "unknown kind"},
		{"too many elements", edit(good, editOf(leaf+11, 0xff)), "more elements than room"},
		{"a page that goes on after the end", edit(good, editOf(leaf+13, 0xff)), "goes on after the end"},
		{"a page that takes the next", edit(good, editOf(leaf+12, 1)), "in use twice"},
		{"an element outside", edit(good, editOf(leaf+16+8+2, 0xff)), "element 0 is outside"},
		{"a bucket in a bucket", edit(good, editOf(leaf+16, 1)), "is a bucket: true"},
		{"keys out of order", edit(good, editOf(leaf+bytes.Index(good[leaf:], []byte("key ")), 0x80)), "out of order"},
	} {
		if err := check(tt.b); err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		}
	}
}

// FuzzOpenFile opens files that were spoilt: bbolt must not panic in a goroutine of its own, which
// would end the process, and what can be opened can be read and written, or is told to be damaged.
func FuzzOpenFile(f *testing.F) {
	good := boltSample(f)
	dir := f.TempDir()
	f.Add([]byte{})
	for at := 0; at < len(good); at += 997 {
		f.Add(editOf(at, 1))
	}
	page := os.Getpagesize()
	for _, at := range []int{16 + 8, 16 + 16, 16 + 32, 16 + 40, 16 + 48} { // of the meta pages
		f.Add(append(editOf(at, 1), editOf(page+at, 1)...))
		f.Add(append(editOf(at+1, 0xff), editOf(page+at+1, 0xff)...))
	}
	f.Fuzz(func(t *testing.T, edits []byte) {
		path := filepath.Join(dir, "store.db")
		if err := os.WriteFile(path, edit(good, edits), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := OpenFile(path, FileOptions{Log: slog.New(slog.DiscardHandler), LockWait: time.Second})
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("OpenFile: %v", err)
			}
			return
		}
		ctx := context.Background()
		for _, err := range s.Scan(ctx, "") {
			if err != nil {
				t.Errorf("Scan: %v", err)
			}
		}
		err = s.Put(ctx, Item{Key: "new", Value: make([]byte, 100)}, Durable)
		if err == nil {
			err = s.Delete(ctx, "key 100", Durable)
		}
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnavailable) {
			t.Errorf("a write: %v", err)
		}
		if closed := s.Close(); closed != nil && err == nil {
			t.Errorf("Close: %v", closed)
		}
	})
}

// TestMetaPagesThatDisagree was found by FuzzOpenFile: bbolt goes by the page size of the first
// meta page, and by what the second says all the same.
func TestMetaPagesThatDisagree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	b := edit(boltSample(t), append(editOf(os.Getpagesize()+16+9, 0x34), editOf(os.Getpagesize()+16+36, 0x32)...))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the lock is let go of
		if _, err := OpenFile(path, FileOptions{LockWait: time.Millisecond}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "page size") {
			t.Errorf("OpenFile: %v", err)
		}
	}
}
