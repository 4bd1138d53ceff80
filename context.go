package milter

import (
	"context"
	"sync"
	"time"
)

// A scope is the context of a connection or a message. It costs one allocation,
// and its channel only when somebody asks for it.
type scope struct {
	parent context.Context // for values and a deadline; ending is told to the scope itself
	mu     sync.Mutex
	done   chan struct{}
	err    error
	after  map[*func()]struct{}
}

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func newScope(parent context.Context) *scope { return &scope{parent: parent} }

// Deadline implements context.Context.
func (s *scope) Deadline() (time.Time, bool) { return s.parent.Deadline() }

// Value implements context.Context.
func (s *scope) Value(key any) any { return s.parent.Value(key) }

// Done implements context.Context.
func (s *scope) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.err != nil {
			s.done = closedChan
		}
	}
	return s.done
}

// Err implements context.Context.
func (s *scope) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// AfterFunc lets package context watch the scope without a goroutine.
func (s *scope) AfterFunc(f func()) (stop func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		go f()
		return func() bool { return false }
	}
	if s.after == nil {
		s.after = make(map[*func()]struct{})
	}
	key := &f
	s.after[key] = struct{}{}
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, ok := s.after[key]
		delete(s.after, key)
		return ok
	}
}

// end ends the scope with context.Canceled or context.DeadlineExceeded. Only the
// first call counts.
func (s *scope) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	if s.done != nil {
		close(s.done)
	}
	for f := range s.after {
		go (*f)()
	}
	s.after = nil
}
