package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What can become of a list on disk is noticed once, also when it came between
// reading and watching.
func TestListChanges(t *testing.T) {
	rename := func(dir, from, to string) error { return os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)) }
	write := func(dir, name, text string) error {
		return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
	}
	for name, tt := range map[string]struct {
		list   string // "plain" where it is ""
		change func(dir string) error
		same   bool
	}{
		"none":                    {change: func(string) error { return nil }, same: true},
		"written":                 {change: func(dir string) error { return write(dir, "plain", "two\n") }},
		"another moved over it":   {change: func(dir string) error { return rename(dir, "older", "plain") }},
		"removed":                 {change: func(dir string) error { return os.Remove(filepath.Join(dir, "plain")) }},
		"not to be read any more": {change: func(dir string) error { return os.Chmod(filepath.Join(dir, "plain"), 0) }},
		"a neighbour written":     {change: func(dir string) error { return write(dir, "other", "x") }, same: true},
		"a link that leads elsewhere": {list: "link", change: func(dir string) error {
			return errors.Join(os.Symlink("older", filepath.Join(dir, "new")), rename(dir, "new", "link"))
		}},
		"what a link leads to": {list: "link", change: func(dir string) error { return write(dir, "plain", "three\n") }},
		"a link that leads nowhere": {list: "link", change: func(dir string) error {
			return errors.Join(os.Symlink("none", filepath.Join(dir, "new")), rename(dir, "new", "link"))
		}},
		"a link mended": {list: "dangling", change: func(dir string) error { return write(dir, "none", "x") }},
		"a link of a folder elsewhere": {list: "cur/l", change: func(dir string) error {
			return errors.Join(os.Symlink("v2", filepath.Join(dir, "new")), rename(dir, "new", "cur"))
		}},
		"a link of a folder to a copy": {list: "cur/l", change: func(dir string) error {
			return errors.Join(os.Symlink("../"+filepath.Base(dir)+"/v1", filepath.Join(dir, "new")), rename(dir, "new", "cur"))
		}, same: true},
		"the folder away":    {list: "v1/l", change: func(dir string) error { return os.RemoveAll(filepath.Join(dir, "v1")) }},
		"the folder another": {list: "v1/l", change: func(dir string) error { return errors.Join(rename(dir, "v1", "old"), rename(dir, "v2", "v1")) }},
	} {
		for _, early := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				errs := []error{os.Mkdir(filepath.Join(dir, "v1"), 0o700), os.Mkdir(filepath.Join(dir, "v2"), 0o700),
					os.Symlink("plain", filepath.Join(dir, "link")), os.Symlink("none", filepath.Join(dir, "dangling")), os.Symlink("v1", filepath.Join(dir, "cur"))}
				for i, file := range []string{"plain", "other", "older", "v1/l", "v2/l"} {
					errs = append(errs, write(dir, file, "one\n"), os.Chtimes(filepath.Join(dir, file), time.Time{}, time.Now().Add(-time.Duration(1+i/2)*time.Hour)))
				}
				if err := errors.Join(errs...); err != nil {
					t.Fatal(err)
				}
				list := tt.list
				if list == "" {
					list = "plain"
				}
				list = filepath.Join(dir, list)
				info, err := os.Stat(list)
				if err != nil {
					info = nil
				}
				w := new(listWatcher)
				if !early {
					w.watch(map[string]fs.FileInfo{list: info})
					w.look()
				}
				if err := tt.change(dir); err != nil {
					t.Fatal(err)
				}
				if early {
					w.watch(map[string]fs.FileInfo{list: info})
				}
				var got []string
				for range 4 {
					got = append(got, w.look()...)
				}
				if want := []string{list}; tt.same != (len(got) == 0) || !tt.same && !slices.Equal(got, want) {
					t.Errorf("before it was watched %v: %q", early, got)
				}
			})
		}
	}
}

// A folder that goes and comes back, and a bad link that is mended, are read at each
// step, whatever became of reading it.
func TestListsAreReadAfterRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		list := filepath.Join(dir, "d", "l")
		w := new(listWatcher)
		w.watch(map[string]fs.FileInfo{list: nil})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		var reads atomic.Int64
		go func() {
			defer close(done)
			w.run(ctx, func([]string) { reads.Add(1) }) // and refuses
		}()
		for i, change := range []func() error{
			func() error { return errors.Join(os.Mkdir(filepath.Dir(list), 0o700), os.WriteFile(list, nil, 0o600)) },
			func() error { return os.RemoveAll(filepath.Dir(list)) },
			func() error { return errors.Join(os.Mkdir(filepath.Dir(list), 0o700), os.Symlink("none", list)) }, // as before: nothing to read
			func() error { return os.WriteFile(filepath.Join(dir, "d", "none"), nil, 0o600) },
			func() error { return os.RemoveAll(filepath.Dir(list)) },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * lookTime)
			synctest.Wait()
			if want := []int64{1, 2, 2, 3, 4}[i]; reads.Load() != want {
				t.Errorf("after change %d: %d reads, want %d", i, reads.Load(), want)
			}
		}
		cancel()
		<-done
	})
}

func TestListsAreReadWhenAllStayTheSame(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	w := new(listWatcher)
	w.watch(map[string]fs.FileInfo{a: nil, b: nil})
	for i, step := range []struct {
		write string
		want  []string
	}{{a, nil}, {b, nil}, {b, nil}, {"", []string{a, b}}, {"", nil}} {
		if step.write != "" {
			f, err := os.OpenFile(step.write, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			f.WriteString("piece\n")
			f.Close()
		}
		if got := w.look(); !slices.Equal(got, step.want) {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
}
