package peertest

import (
	"context"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// A Filter is a foreign milter that runs until the test ends.
type Filter struct {
	Spec string // its address in libmilter's notation
	Log  *Lines // what it says

	proc    *process
	stopped sync.Once
}

// startFilter starts cmd as the filter at spec. It is ready once log has a line
// with text; its output goes to output, which may be log.
func startFilter(t testing.TB, spec string, cmd *exec.Cmd, output, log *Lines, text string) *Filter {
	t.Helper()
	p, err := launch(cmd, output)
	if err != nil {
		t.Fatal(err)
	}
	f := &Filter{Spec: spec, Log: log, proc: p}
	t.Cleanup(f.Stop)
	if err := p.ready(log, text); err != nil {
		f.Stop() // then all it said is here
		said := log.tail()
		if output != log {
			said += "\n" + output.tail()
		}
		t.Fatalf("peertest: %s does not start: %v; it said:\n%s", filepath.Base(cmd.Path), err, said)
	}
	return f
}

// Stop ends the filter at once; a unix socket's file stays behind, as after a
// crash. Doing it again does nothing.
func (f *Filter) Stop() { f.stopped.Do(f.proc.kill) }

// Wait returns the first line of the log with text, or fails the test when none
// comes in 20 seconds.
func (f *Filter) Wait(t testing.TB, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	line, err := f.Log.Wait(ctx, text)
	if err != nil {
		t.Fatal(err)
	}
	return line
}
