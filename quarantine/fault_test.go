package quarantine

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
)

// A failing folder fails at the nth operation of a kind, or at the nth of any.
type failing struct {
	folder
	kind  string // "" for any
	left  int    // operations before the one that fails
	err   error
	crash bool // all that follow fail too, as if the process had ended
	dead  bool
	ops   []string
}

func (f *failing) fail(kind string) error {
	f.ops = append(f.ops, kind)
	if f.dead {
		return f.err
	}
	if f.kind != "" && f.kind != kind {
		return nil
	}
	if f.left--; f.left != -1 {
		return nil
	}
	f.dead = f.crash
	return f.err
}

func (f *failing) create(name string) (file, error) {
	if err := f.fail("create"); err != nil {
		return nil, err
	}
	got, err := f.folder.create(name)
	return &failingFile{got, f}, err
}

func (f *failing) rename(from, to string) error {
	if err := f.fail("rename"); err != nil {
		return err
	}
	return f.folder.rename(from, to)
}

func (f *failing) remove(name string) error {
	if err := f.fail("remove"); err != nil {
		return err
	}
	return f.folder.remove(name)
}

func (f *failing) sync() error {
	if err := f.fail("sync of the folder"); err != nil {
		return err
	}
	return f.folder.sync()
}

type failingFile struct {
	file
	f *failing
}

// Write writes half before it fails, as a full disk does.
func (f *failingFile) Write(b []byte) (int, error) {
	if err := f.f.fail("write"); err != nil {
		n, _ := f.file.Write(b[:len(b)/2])
		return n, err
	}
	return f.file.Write(b)
}

func (f *failingFile) Sync() error {
	if err := f.f.fail("sync"); err != nil {
		return err
	}
	return f.file.Sync()
}

const faultRaw = 100_000 // bytes: several writes

// TestDiskFails lets the nth operation of a kind fail, for each n that occurs.
func TestDiskFails(t *testing.T) {
	for _, kind := range []string{"create", "write", "sync", "rename", "sync of the folder"} {
		for n := 0; ; n++ {
			failed := false
			t.Run(fmt.Sprintf("%s %d", kind, n), func(t *testing.T) {
				path := newDir(t)
				d, err := openDir(path)
				if err != nil {
					t.Fatal(err)
				}
				s, err := open(d, Options{})
				if err != nil {
					t.Fatal(err)
				}
				before := keep(t, s, Entry{}, "before")
				f := &failing{folder: d, kind: kind, left: n, err: syscall.ENOSPC}
				s.dir = f
				e, err := s.Keep(t.Context(), Entry{Failed: true}, strings.NewReader(strings.Repeat("x", faultRaw)))
				failed = f.left < 0
				if !failed {
					if err != nil {
						t.Errorf("Keep: %v", err)
					}
					return
				}
				if !errors.Is(err, syscall.ENOSPC) || e.Ref != "" {
					t.Errorf("Keep = %+v, %v, want ENOSPC", e, err)
				}
				if got := files(t, path); len(got) != 2 {
					t.Errorf("left: %v", got)
				}
				checkCount(t, s, path)
				s.dir = d
				keep(t, s, Entry{}, "after") // it goes on
				if _, r, err := s.Get(before.Ref); err != nil {
					t.Error(err)
				} else {
					r.Close()
				}
				checkCount(t, s, path)
			})
			if !failed {
				if n == 0 {
					t.Errorf("no %s occurred", kind)
				}
				break
			}
		}
	}
}

// TestCrashes ends the process before each operation of Keep and of Remove in turn.
func TestCrashes(t *testing.T) {
	raw := strings.Repeat("x", faultRaw)
	for _, tt := range []struct {
		name string
		do   func(*testing.T, *Store, string) error
	}{
		{"Keep", func(t *testing.T, s *Store, _ string) error {
			_, err := s.Keep(t.Context(), Entry{Reason: "new"}, strings.NewReader(raw))
			return err
		}},
		{"Remove", func(_ *testing.T, s *Store, ref string) error { return s.Remove(ref) }},
	} {
		for n, ended := 0, false; !ended; n++ {
			t.Run(fmt.Sprintf("%s %d", tt.name, n), func(t *testing.T) {
				path := newDir(t)
				d, err := openDir(path)
				if err != nil {
					t.Fatal(err)
				}
				s, err := open(d, Options{})
				if err != nil {
					t.Fatal(err)
				}
				old := keep(t, s, Entry{Reason: "old"}, raw)
				f := &failing{folder: d, left: n, err: errors.New("the process is gone"), crash: true}
				s.dir = f
				err = tt.do(t, s, old.Ref)
				if ended = f.left >= 0; ended && err != nil {
					t.Fatalf("%s: %v", tt.name, err)
				} else if !ended && err == nil {
					t.Fatalf("%s succeeds without %s", tt.name, f.ops[n])
				}
				s = mustOpen(t, path, Options{})
				found := 0
				for e, err := range s.List(t.Context()) {
					if err != nil {
						t.Fatalf("after %v: %v", f.ops, err)
					}
					found++
					got, r, err := s.Get(e.Ref)
					if err != nil {
						t.Fatalf("after %v an entry without message: %v", f.ops, err)
					}
					b, err := io.ReadAll(r)
					r.Close()
					if err != nil || string(b) != raw || got.Size != faultRaw {
						t.Errorf("after %v: %d bytes, %v", f.ops, len(b), err)
					}
				}
				if got := files(t, path); len(got) != 2*found {
					t.Errorf("after %v: %v", f.ops, got)
				}
				if tt.name == "Keep" && found == 0 || found > 2 || ended && tt.name == "Keep" && found != 2 || ended && tt.name == "Remove" && found != 0 {
					t.Errorf("after %v: %d messages", f.ops, found)
				}
				checkCount(t, s, path)
			})
		}
	}
}

func TestRemoveAndPurgeSayWhatFails(t *testing.T) {
	c := newClock()
	d, err := openDir(newDir(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(d, Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	ref := keep(t, s, Entry{}, "x").Ref
	keep(t, s, Entry{}, "x")
	broken := errors.New("read-only")
	s.dir = &failing{folder: d, kind: "remove", err: broken, crash: true}
	if err := s.Remove(ref); !errors.Is(err, broken) {
		t.Errorf("Remove: %v", err)
	}
	c.advance(8 * 24 * 3600e9)
	s.dir = &failing{folder: d, kind: "remove", err: broken}
	if n, _, err := s.Purge(t.Context()); n != 1 || !errors.Is(err, broken) { // the second goes
		t.Errorf("Purge = %d, %v", n, err)
	}
	s.dir = d
	if n, _, err := s.Purge(t.Context()); n != 1 || err != nil {
		t.Errorf("Purge = %d, %v", n, err)
	}
}

func TestOpenSaysWhatFails(t *testing.T) {
	d, err := openDir(newDir(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"create", "remove"} {
		broken := errors.New("read-only")
		if _, err := open(&failing{folder: d, kind: kind, err: broken}, Options{}); !errors.Is(err, broken) {
			t.Errorf("open where %s fails: %v", kind, err)
		}
	}
}
