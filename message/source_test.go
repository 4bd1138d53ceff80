package message

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestSpoolIsWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		memory := rapid.SampledFrom([]int64{-1, 1, 10, 100, 1000}).Draw(t, "memory")
		s := NewSpool(memory, dir)
		defer s.Close()
		var want []byte
		for range rapid.IntRange(0, 10).Draw(t, "writes") {
			b := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "bytes")
			if n, err := s.Write(b); n != len(b) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
			want = append(want, b...)
		}
		if s.Size() != int64(len(want)) || s.InMemory() != (int64(len(want)) <= max(memory, 0)) {
			t.Errorf("%d bytes with %d in memory: Size %d, InMemory %v", len(want), memory, s.Size(), s.InMemory())
		}
		if int64(cap(s.mem)) > max(memory, 0) {
			t.Errorf("a spool for %d bytes in memory took %d", memory, cap(s.mem))
		}
		if err := iotest.TestReader(io.NewSectionReader(s, 0, s.Size()), want); err != nil {
			t.Error(err)
		}
	})
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestSpoolFileIsPrivateAndNameless(t *testing.T) {
	dir := t.TempDir()
	s := NewSpool(-1, dir)
	defer s.Close()
	io.WriteString(s, "x")
	info, err := s.file.Stat()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("the file has a name: %v", left)
	}
}

func TestSpoolEnds(t *testing.T) {
	s := NewSpool(4, t.TempDir())
	io.WriteString(s, "0123456789")
	if err := s.Reset(); err != nil || s.Size() != 0 || !s.InMemory() {
		t.Errorf("Reset: %v, size %d", err, s.Size())
	}
	io.WriteString(s, "ab")
	b := make([]byte, 5)
	if n, err := s.ReadAt(b, 0); n != 2 || err != io.EOF || !bytes.Equal(b[:n], []byte("ab")) {
		t.Errorf("ReadAt behind Reset = %d, %v, %q", n, err, b)
	}
	if n, err := s.ReadAt(b, 2); n != 0 || err != io.EOF {
		t.Errorf("ReadAt at the end = %d, %v", n, err)
	}
	if _, err := s.ReadAt(b, -1); err == nil {
		t.Error("ReadAt before the beginning returns no error")
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Write(b); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write behind Close error = %v", err)
	}
	if _, err := s.ReadAt(b, 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("ReadAt behind Close error = %v", err)
	}
	bad := NewSpool(-1, filepath.Join(t.TempDir(), "missing"))
	if _, err := bad.Write(b); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Write to a missing folder error = %v", err)
	}
}
