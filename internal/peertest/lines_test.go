package peertest

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"
)

func TestLinesWait(t *testing.T) {
	l := new(Lines)
	found := make(chan string)
	go func() {
		line, err := l.Wait(t.Context(), "ready")
		if err != nil {
			t.Error(err)
		}
		found <- line
	}()
	for _, piece := range []string{"not yet\nalmost rea", "dy", " now\nmore"} {
		io.WriteString(l, piece)
	}
	if got := <-found; got != "almost ready now" {
		t.Errorf("found %q", got)
	}
	if got, want := l.All(), []string{"not yet", "almost ready now"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if line, err := l.Wait(ctx, "more"); err == nil {
		t.Errorf("found %q, a line that has no end", line)
	}
	l.end()
	if line, err := l.Wait(t.Context(), "more"); err != nil || line != "more" {
		t.Errorf("found %q, %v", line, err)
	}
	if _, err := l.Wait(t.Context(), "nothing"); err == nil {
		t.Error("found a line after the end")
	}
	l.Clear()
	if got := l.String(); got != "" {
		t.Errorf("after Clear: %q", got)
	}
}
