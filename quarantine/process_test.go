//go:build unix && !aix && !solaris && !illumos

package quarantine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The test binary is also the other process that uses the folder.
func TestMain(m *testing.M) {
	dir := os.Getenv("QUARANTINE_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := Open(dir, Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if os.Getenv("QUARANTINE_TEST_HANG") != "" {
		said := false
		fmt.Println(s.Keep(context.Background(), Entry{}, readerFunc(func(b []byte) (int, error) {
			if said {
				fmt.Println("writing")
				select {}
			}
			said = true
			return len(b), nil
		})))
		os.Exit(1)
	}
	for i := range 50 {
		if _, err := s.Keep(context.Background(), Entry{Reason: fmt.Sprint(i)}, strings.NewReader(fmt.Sprint("message ", i))); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

func startOther(t *testing.T, dir string, env ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(append(os.Environ(), "QUARANTINE_TEST_DIR="+dir), env...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(out)
}

func TestD13ProcessesShareAFolder(t *testing.T) {
	dir := newDir(t)
	s := mustOpen(t, dir, Options{})
	a, outA := startOther(t, dir)
	b, outB := startOther(t, dir)
	for i := range 50 {
		keep(t, s, Entry{}, fmt.Sprint("mine ", i))
		mustOpen(t, dir, Options{}) // sweeps, and must not take what the others write
	}
	for _, o := range []struct {
		c   *exec.Cmd
		out io.Reader
	}{{a, outA}, {b, outB}} {
		said, _ := io.ReadAll(o.out)
		if err := o.c.Wait(); err != nil {
			t.Errorf("the other: %v: %s", err, said)
		}
	}
	s = mustOpen(t, dir, Options{})
	if u := s.Used(); u.Entries != 150 || len(files(t, dir)) != 300 {
		t.Errorf("%d entries in %d files, want 150 in 300", u.Entries, len(files(t, dir)))
	}
	checkCount(t, s, dir)
}

func TestLeftoversOfAKilledProcess(t *testing.T) {
	dir := newDir(t)
	mustOpen(t, dir, Options{})
	c, out := startOther(t, dir, "QUARANTINE_TEST_HANG=1")
	line, err := out.ReadString('\n')
	if line != "writing\n" {
		t.Fatalf("the other says %q, %v", line, err)
	}
	s := mustOpen(t, dir, Options{})
	if _, _, err := s.Purge(t.Context()); err != nil {
		t.Error(err)
	}
	if got := files(t, dir); len(got) != 1 || got[0] != rawTemp {
		t.Errorf("while the other writes: %v", got)
	}
	if u := s.Used(); u.Bytes == 0 || u.Entries != 0 {
		t.Errorf("while the other writes: %+v", u)
	}
	c.Process.Kill()
	c.Wait()
	if _, _, err := s.Purge(t.Context()); err != nil {
		t.Error(err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("after the other was killed: %v", got)
	}
	checkCount(t, s, dir)
}

func TestOpenSweepsLeftovers(t *testing.T) {
	dir := newDir(t)
	s := mustOpen(t, dir, Options{})
	whole := keep(t, s, Entry{}, "x").Ref
	for _, name := range []string{newRef(noon) + rawTemp, newRef(noon) + rawFile, newRef(noon) + entryTemp, "README", "notes.eml.tmp", newRef(noon) + ".txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, dir, Options{})
	got, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(got) != 5 {
		t.Errorf("left: %v", got)
	}
	if _, r, err := s.Get(whole); err != nil {
		t.Error(err)
	} else {
		r.Close()
	}
}

func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := filepath.Join(newDir(t), "deep")
	s := mustOpen(t, dir, Options{})
	check := func(path string, want os.FileMode) {
		t.Helper()
		if i, err := os.Stat(path); err != nil || i.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, i.Mode(), err, want)
		}
	}
	_, err := s.Keep(t.Context(), Entry{}, readerFunc(func([]byte) (int, error) {
		temp, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
		if err != nil || len(temp) != 1 {
			t.Errorf("while it is written: %v, %v", temp, err)
		}
		check(temp[0], 0o600)
		return 0, io.EOF
	}))
	if err != nil {
		t.Fatal(err)
	}
	check(dir, 0o700)
	check(filepath.Dir(dir), 0o700)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 2 {
		t.Errorf("%v, %v", names, err)
	}
	for _, name := range names {
		check(name, 0o600)
	}
}
