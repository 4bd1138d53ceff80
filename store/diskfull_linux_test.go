package store_test

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/store"
)

// TestFileDiskIsFull has the system refuse what would make the file longer.
func TestFileDiskIsFull(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	path := newPath(t)
	s := openFile(t, path, store.FileOptions{Delay: 1, Retry: time.Millisecond})
	want := make(map[string]string)
	n := 0
	put := func(m store.Mode) error {
		key, value := fmt.Sprint(n), strings.Repeat("v", 5000)
		n++
		err := s.Put(t.Context(), store.Item{Key: key, Value: []byte(value)}, m)
		if err == nil || m == store.Durable && n > 1 {
			want[key] = value // with an error too, if not at once
		}
		return err
	}
	if err := put(store.Durable); err != nil {
		t.Fatal(err)
	}
	i, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	limit := before
	limit.Cur = uint64(i.Size())
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	back := func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
	}
	defer back()
	for err = nil; err == nil && n < 2000; {
		err = put(store.Durable)
	}
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, syscall.EFBIG) && !strings.Contains(err.Error(), "file too large") {
		t.Errorf("when the disk is full: %v", err)
	}
	for _, m := range []store.Mode{store.Buffered, store.Durable} {
		if err := s.Put(t.Context(), store.Item{Key: "refused"}, m); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("the next write: %v", err)
		}
	}
	if diff := cmp.Diff(want, all(t, s)); diff != "" {
		t.Errorf("while the disk is full: %s", diff)
	}
	back()
	for s.Stats().Err != nil {
		time.Sleep(time.Millisecond)
	}
	if err := put(store.Buffered); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, all(t, openFile(t, path, store.FileOptions{}))); diff != "" {
		t.Errorf("opened again: %s", diff)
	}
}
