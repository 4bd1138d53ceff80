package miltertest_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A fakeT is the test of somebody else, who is watched.
type fakeT struct {
	testing.TB // for the methods that nobody calls

	mu       sync.Mutex
	errors   []string
	cleanups []func()
}

func (t *fakeT) Helper()                  {}
func (t *fakeT) Context() context.Context { return context.Background() }
func (t *fakeT) Output() io.Writer        { return io.Discard }

func (t *fakeT) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *fakeT) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errors = append(t.errors, fmt.Sprintf(format, args...))
}

func (t *fakeT) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *fakeT) Fatal(args ...any) { t.Fatalf("%s", fmt.Sprint(args...)) }

func (t *fakeT) finish() {
	for len(t.cleanups) > 0 {
		last := len(t.cleanups) - 1
		f := t.cleanups[last]
		t.cleanups = t.cleanups[:last]
		f()
	}
}

// watch runs somebody else's test and returns what failed in it.
func watch(test func(t *fakeT)) []string {
	t := new(fakeT)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer t.finish()
		test(t)
	}()
	<-done
	return t.errors
}

// wantErrors compares errors with what they shall contain, one by one.
func wantErrors(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d errors, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("error %d = %q, want %q in it", i, got[i], want[i])
		}
	}
}

// exampleT is what an example has for the test's t; errors are printed.
func exampleT() *fakeT { return new(fakeT) }

func (t *fakeT) done() {
	t.finish()
	for _, e := range t.errors {
		fmt.Fprintln(os.Stdout, e)
	}
}
