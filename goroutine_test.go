package milter

import (
	"context"
	"log/slog"
	"strings"
	"testing"
)

func TestPanicInAGoroutineOfAHookEndsNothingElse(t *testing.T) {
	lines := make(lineChan, 16)
	ln := serve(t, &Server{Log: slog.New(slog.NewTextHandler(lines, nil)), New: func(s *Session) Hooks {
		return Hooks{Helo: func(_ context.Context, name []byte) HeloReply {
			if string(name) == "bad" {
				s.Go(func() { panic("in the background") })
			}
			return Continue
		}}
	}})
	p := ln.dial(t)
	p.offer()
	p.want("c", "Hbad\x00")
	if line := <-lines; !strings.Contains(line, "in the background") || !strings.Contains(line, "stage=helo") {
		t.Errorf("logged %q, want the panic and its stage", line)
	}
	p.want("c", "Hgood\x00")
}

// A lineChan is a log whose lines a test receives.
type lineChan chan string

func (c lineChan) Write(p []byte) (int, error) { c <- string(p); return len(p), nil }
