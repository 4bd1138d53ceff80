package archive

import (
	"bytes"
	"io"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// TestSpool writes any pieces and reads them back anywhere, below and above its memory.
func TestSpool(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &spool{memory: rapid.IntRange(0, 200).Draw(rt, "memory"), dir: t.TempDir()}
		defer s.Close()
		var all []byte
		for _, p := range rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 100)).Draw(rt, "pieces") {
			if n, err := s.Write(p); n != len(p) || err != nil {
				rt.Fatalf("Write = %d, %v", n, err)
			}
			all = append(all, p...)
		}
		if s.Size() != int64(len(all)) || (s.file != nil) != (len(all) > s.memory) {
			rt.Errorf("Size %d of %d; a file: %t", s.Size(), len(all), s.file != nil)
		}
		off := rapid.Int64Range(0, 300).Draw(rt, "offset")
		got, want := make([]byte, rapid.IntRange(1, 300).Draw(rt, "length")), make([]byte, 300)
		n, err := s.ReadAt(got, off)
		wn, werr := bytes.NewReader(all).ReadAt(want[:len(got)], off)
		if n != wn || (err == io.EOF) != (werr == io.EOF) || !bytes.Equal(got[:n], want[:n]) {
			rt.Errorf("ReadAt(%d bytes, %d) = %d, %v; want %d, %v", len(got), off, n, err, wn, werr)
		}
	})
}

func TestSpoolLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	s := &spool{dir: dir}
	if _, err := s.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(dir); len(names) > 0 || err != nil {
		t.Errorf("%v, %v while it is open", names, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := (&spool{dir: dir + "/none"}).Write([]byte("a")); err == nil {
		t.Error("no error without a directory")
	}
	if _, err := (&spool{memory: 1}).ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("no error before the start")
	}
}
