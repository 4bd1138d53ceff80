package miltertest

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The name is our own: a test that registers an -update of its own shall not find
// it taken.
const updateFlag = "miltertest.update"

func init() {
	if testing.Testing() && flag.Lookup(updateFlag) == nil {
		flag.Bool(updateFlag, false, "write golden files of miltertest anew")
	}
}

// Update reports whether the test was called with -miltertest.update, or with an
// -update that the test itself registered as a boolean flag.
func Update() bool {
	for _, name := range []string{updateFlag, "update"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() == "true" {
			return true
		}
	}
	return false
}

// Golden compares what [Result.String] returns with a file, and writes that file
// when the test was called with -miltertest.update (see [Update]).
func (r *Result) Golden(t testing.TB, file string) {
	t.Helper()
	got := r.String()
	if Update() {
		err := os.MkdirAll(filepath.Dir(file), 0o777)
		if err == nil {
			err = os.WriteFile(file, []byte(got), 0o666)
		}
		if err != nil {
			t.Fatalf("miltertest: %v", err)
		}
		return
	}
	want, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.Errorf("miltertest: %s is missing; -miltertest.update writes it:\n%s", file, got)
	case err != nil:
		t.Errorf("miltertest: %v", err)
	default:
		if d := difference(strings.ReplaceAll(string(want), "\r\n", "\n"), got); d != "" {
			t.Errorf("miltertest: the result is not that of %s; -miltertest.update writes it anew:\n%s", file, d)
		}
	}
}

// difference shows where two texts part, with the lines before: those of want with
// "-" before them, those of got with "+". It is "" when they are the same.
func difference(want, got string) string {
	if want == got {
		return ""
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	head := 0
	for head < min(len(w), len(g)) && w[head] == g[head] {
		head++
	}
	tail := 0
	for tail < min(len(w), len(g))-head && w[len(w)-1-tail] == g[len(g)-1-tail] {
		tail++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "from line %d\n", head+1)
	show := func(mark string, lines []string) {
		for _, l := range lines {
			fmt.Fprintf(&b, "%s %s\n", mark, l)
		}
	}
	show(" ", w[max(0, head-3):head])
	show("-", w[head:len(w)-tail])
	show("+", g[head:len(g)-tail])
	show(" ", w[len(w)-tail:min(len(w), len(w)-tail+3)])
	return b.String()
}
