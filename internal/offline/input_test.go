package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// files writes files below a new folder, names that end in a slash being folders.
func files(t testing.TB, contents map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range contents {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			os.Mkdir(path, 0o700)
		} else if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// list reads inputs and returns a line for each message, relative to a folder.
func list(t *testing.T, dir, stdin string, f Format, paths ...string) (lines []string) {
	t.Helper()
	const most = 10_000
	r := &reader{stdin: strings.NewReader(stdin), room: newBudget(most), max: 100}
	for i, p := range paths {
		if p != "-" {
			paths[i] = filepath.Join(dir, p)
		}
	}
	for _, in := range Find(f, paths...) {
		err := r.messages(t.Context(), in, func(m *Message) error {
			line := fmt.Sprintf("%s %s %q", m.File, m.Name, m.Data)
			if m.Err != nil {
				line = fmt.Sprintf("%s: %v", m.File, m.Err)
			}
			lines = append(lines, strings.ReplaceAll(line, dir+"/", ""))
			r.room.give(int64(cap(m.Data)))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if r.room.free != most {
		t.Errorf("%d bytes of the budget are left, want %d", r.room.free, most)
	}
	return lines
}

func TestInputs(t *testing.T) {
	large := strings.Repeat("x", 101)
	dir := files(t, map[string]string{
		"a.eml": "A: b\r\n\r\nx", "box": "From a\nA: b\n\nFrom b\nA: c\n", "o": "From a\n\n>>From x\n", "empty": "", "large": large, "largebox": "From a\n" + large + "\n\nFrom b\nA: b\n",
		"dir/a.eml": "x", "Maildir/tmp/3": "no", "Maildir/new/2.x": "A: 2\n", "Maildir/cur/1.x:2,S": "A: 1\n", "Maildir/cur/.hidden": "no", "Maildir/cur/sub/x": "no", "Maildir/.Sent/cur/4": "no",
		"Maildir/new/5": "", "New/new/1": "A: 1\n", "None/cur/": "",
	})
	for _, tt := range []struct {
		name   string
		format Format
		paths  []string
		stdin  string
		want   []string
	}{
		{"message", Auto, []string{"a.eml"}, "", []string{`a.eml a.eml "A: b\r\n\r\nx"`}},
		{"mailbox", Auto, []string{"box"}, "", []string{`box#1 000001.eml "A: b\n"`, `box#2 000002.eml "A: c\n"`}},
		{"mailbox, by the flag none", None, []string{"box"}, "", []string{`box box "From a\nA: b\n\nFrom b\nA: c\n"`}},
		{"mboxo", MboxO, []string{"o"}, "", []string{`o#1 000001.eml "\n>>From x\n"`}},
		{"no mailbox, by the flag one", MboxRD, []string{"a.eml", "empty"}, "", []string{`a.eml: ` + ErrMbox.Error()}},
		{"empty file", Auto, []string{"empty"}, "", []string{`empty: is empty`}},
		{"too large", Auto, []string{"large", "a.eml"}, "", []string{`large: message is too large`, `a.eml a.eml "A: b\r\n\r\nx"`}},
		{"too large in a mailbox", Auto, []string{"largebox"}, "", []string{`largebox#1: message is too large`, `largebox#2 000002.eml "A: b\n"`}},
		{"Maildir", Auto, []string{"Maildir"}, "", []string{`Maildir/cur/1.x:2,S 1.x:2,S "A: 1\n"`, `Maildir/new/2.x 2.x "A: 2\n"`, `Maildir/new/5: is empty`}},
		{"Maildir without cur", Auto, []string{"New"}, "", []string{`New/new/1 1 "A: 1\n"`}},
		{"Maildir of nothing", Auto, []string{"None"}, "", nil},
		{"another folder", Auto, []string{"dir"}, "", []string{`dir: read dir: is a folder, and no Maildir`}},
		{"not there", Auto, []string{"nix", "a.eml"}, "", []string{`nix: stat nix: no such file or directory`, `a.eml a.eml "A: b\r\n\r\nx"`}},
		{"message from standard input", Auto, []string{"-"}, "A: b\n", []string{`- stdin.eml "A: b\n"`}},
		{"mailbox from standard input", Auto, []string{"-"}, "From x\nA: b\n", []string{`-#1 000001.eml "A: b\n"`}},
		{"a message that looks like one", None, []string{"-"}, "From x\nA: b\n", []string{`- stdin.eml "From x\nA: b\n"`}},
		{"nothing from standard input", Auto, []string{"-"}, "", []string{`-: is empty`}},
		{"no mailbox from standard input", MboxO, []string{"-"}, "A: b\n", []string{`-: ` + ErrMbox.Error()}},
		{"too large from standard input", Auto, []string{"-"}, large, []string{`-: message is too large`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, list(t, dir, tt.stdin, tt.format, tt.paths...)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	if n, ok := Size(Find(Auto, filepath.Join(dir, "a.eml"), filepath.Join(dir, "Maildir"))); n != 19 || !ok {
		t.Errorf("size %d, %v; want 19", n, ok)
	}
	if _, ok := Size(Find(Auto, "-")); ok {
		t.Error("the size of standard input is known")
	}
}

func TestNames(t *testing.T) {
	dir := files(t, map[string]string{
		"a.eml": "A: b\n", "b/a.eml": "A: b\n", "box": "From a\nA: b\n", "box2": "From a\nA: b\n", "000009.eml": "A: b\n", "stdin.eml": "A: b\n", "b/box": "A: b\n",
		"M/cur/a.eml": "A: b\n", "N/cur/x": "", "N/new/x": "",
	})
	for _, tt := range []struct {
		format Format
		paths  string
		want   string
	}{
		{Auto, "a.eml box M2 b/box nix", ""},
		{Auto, "a.eml b/a.eml", "a.eml: a.eml and b/a.eml"},
		{Auto, "a.eml M", "a.eml: a.eml and M/cur/a.eml"},
		{Auto, "N", "x: N/new/x and N/cur/x"},
		{Auto, "box box2", "000001.eml: box and box2"},
		{Auto, "box 000009.eml", ": 000009.eml is called as those of box are"},
		{Auto, "000009.eml -", ": 000009.eml is called as those of - are"},
		{None, "000009.eml - box", ""},
		{Auto, "box -", "000001.eml: box and -"},
		{Auto, "- stdin.eml", "stdin.eml: - and stdin.eml"},
	} {
		paths := strings.Fields(tt.paths)
		for i, p := range paths {
			if p != "-" {
				paths[i] = filepath.Join(dir, p)
			}
		}
		err := CheckNames(Find(tt.format, paths...))
		switch {
		case tt.want == "" && err != nil, tt.want != "" && !errors.Is(err, ErrNames):
			t.Errorf("%s: %v", tt.paths, err)
		case err != nil && !strings.HasSuffix(strings.ReplaceAll(err.Error(), dir+"/", ""), tt.want):
			t.Errorf("%s: %v, want %s", tt.paths, err, tt.want)
		}
	}
}

func TestFormats(t *testing.T) {
	for _, f := range []Format{Auto, MboxRD, MboxO, None} {
		var got Format
		if b, _ := f.MarshalText(); got.UnmarshalText(b) != nil || got != f {
			t.Errorf("%v reads as %v", f, got)
		}
	}
	var f Format
	if err := f.UnmarshalText([]byte("x")); err == nil || f != Auto {
		t.Errorf("x is the format %v", f)
	}
	if s := Format(9).String(); s != "format 9" {
		t.Errorf("format 9 is %q", s)
	}
}

// Messages in memory have no more than the budget together, however many there are.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, most = 1000, 2500
		room := newBudget(most)
		r := &reader{stdin: io.LimitReader(endless{}, 100*(size+1)), room: room, max: size}
		var mu sync.Mutex
		var held, peak int64
		n := 0
		err := r.messages(t.Context(), Find(MboxRD, "-")[0], func(m *Message) error {
			mu.Lock()
			defer mu.Unlock()
			n++
			held += int64(cap(m.Data))
			peak = max(peak, held)
			time.AfterFunc(time.Second, func() {
				mu.Lock()
				defer mu.Unlock()
				held -= int64(cap(m.Data))
				room.give(int64(cap(m.Data)))
			})
			return nil
		})
		time.Sleep(time.Minute)
		room.mu.Lock()
		defer room.mu.Unlock()
		if err != nil || n < 90 || peak > most || peak < size || room.free != most {
			t.Errorf("%d messages, %d bytes at once, %d free, %v", n, peak, room.free, err)
		}
	})
}

// endless is messages of some 900 bytes.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	const text = "From a\n"
	n := copy(b, text+strings.Repeat("x", 900)+"\n\n")
	if n < len(text)+902 {
		return n, errors.New("buffer is too small")
	}
	return n, nil
}

// Who waits for memory is woken when the test ends.
func TestBudgetEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := newBudget(10)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("late"))
		defer cancel()
		if err := room.take(ctx, 8); err != nil {
			t.Fatal(err)
		}
		if err := room.take(ctx, 3); err == nil || err.Error() != "late" {
			t.Errorf("error %v", err)
		}
		room.give(8)
		if room.free != 10 {
			t.Errorf("%d free", room.free)
		}
	})
}
