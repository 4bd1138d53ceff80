package peertest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Lines collects the log of a program line by line and lets a test wait for one.
// The zero value is ready; its methods may be called from several goroutines.
type Lines struct {
	mu     sync.Mutex
	lines  []string
	part   []byte        // a line whose end is still to come
	ended  bool          // no more will come
	change chan struct{} // closed at the next change; nil while nobody waits
}

// Write takes text of any shape; it never fails.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		line, rest, found := bytes.Cut(l.part, []byte("\n"))
		if !found {
			break
		}
		l.lines = append(l.lines, string(line))
		l.part = rest
	}
	l.wake()
	return len(p), nil
}

// end marks the log as complete: those who wait are told that it was in vain.
func (l *Lines) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.part) > 0 {
		l.lines = append(l.lines, string(l.part))
		l.part = nil
	}
	l.ended = true
	l.wake()
}

func (l *Lines) wake() {
	if l.change != nil {
		close(l.change)
		l.change = nil
	}
}

// All returns the lines so far, without their ends.
func (l *Lines) All() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// String returns the lines so far as one text.
func (l *Lines) String() string { return strings.Join(l.All(), "\n") }

// Clear forgets the lines so far, so that [Lines.Wait] sees later ones only.
func (l *Lines) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = nil
}

// Wait returns the first line that contains text, waiting for it if need be. It
// returns an error once ctx is done, or once the program has ended without it.
func (l *Lines) Wait(ctx context.Context, text string) (string, error) {
	line, err := l.wait(ctx, text)
	if err != nil {
		err = fmt.Errorf("%w; last lines:\n%s", err, l.tail())
	}
	return line, err
}

func (l *Lines) wait(ctx context.Context, text string) (string, error) {
	for {
		line, ended, change := l.find(text)
		if line != "" {
			return line, nil
		}
		if ended {
			return "", fmt.Errorf("peertest: no line with %q, and the program has ended", text)
		}
		select {
		case <-change:
		case <-ctx.Done():
			return "", fmt.Errorf("peertest: no line with %q: %w", text, context.Cause(ctx))
		}
	}
}

func (l *Lines) find(text string) (line string, ended bool, change <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.IndexFunc(l.lines, func(s string) bool { return strings.Contains(s, text) }); i >= 0 {
		return l.lines[i], false, nil
	}
	if l.change == nil {
		l.change = make(chan struct{})
	}
	return "", l.ended, l.change
}

// tail is what a failure shows of a log.
func (l *Lines) tail() string {
	all := l.All()
	return strings.Join(all[max(0, len(all)-20):], "\n")
}
