package main

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// A short run, in which everything happens that happens in a long one.
func TestSoak(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	gomilter := filepath.Join(t.TempDir(), "gomilter")
	if out, err := exec.Command("go", "build", "-o", gomilter, "../../cmd/gomilter").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := soak{gomilter: gomilter, messages: 10_000, reload: 300 * time.Millisecond, clients: 8, each: 5}
	if err := s.run(t.Context()); err != nil {
		t.Error(err)
	}
	if s.reloads < 3 {
		t.Errorf("only %d configurations", s.reloads)
	}
}

func TestWhatDoesNotComeBackIsTold(t *testing.T) {
	start := held{memory: 20 << 20, heap: 4 << 20, descriptors: 14, goroutines: 19}
	for name, end := range map[string]held{
		"memory":          {memory: 40 << 20, heap: 4 << 20, descriptors: 14, goroutines: 19},
		"heap":            {memory: 20 << 20, heap: 13 << 20, descriptors: 14, goroutines: 19},
		"descriptors":     {memory: 20 << 20, heap: 4 << 20, descriptors: 15, goroutines: 19},
		"goroutines":      {memory: 20 << 20, heap: 4 << 20, descriptors: 14, goroutines: 20},
		"temporary files": {memory: 20 << 20, heap: 4 << 20, descriptors: 14, goroutines: 19, files: 1},
	} {
		if end.since(start) == nil {
			t.Errorf("%s: nothing is told", name)
		}
	}
	if err := start.since(start); err != nil {
		t.Error(err)
	}
}
