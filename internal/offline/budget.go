package offline

import (
	"context"
	"errors"
	"sync"
)

// ErrTooLarge is the error of a message that is larger than Options.MaxSize.
var ErrTooLarge = errors.New("message is too large")

// A budget is the bytes that messages in memory may have together.
type budget struct {
	mu      sync.Mutex
	changed sync.Cond
	free    int64
}

func newBudget(n int64) *budget {
	b := &budget{free: n}
	b.changed.L = &b.mu
	return b
}

// take waits until there are n bytes, or ctx ends.
func (b *budget) take(ctx context.Context, n int64) error {
	defer context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.changed.Broadcast()
	})()
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.free < n {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b.changed.Wait()
	}
	b.free -= n
	return nil
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	b.changed.Broadcast()
}

// A buffer takes a message whose size is not known, with memory from the budget. One
// goroutine fills buffers, one after the other: others that waited at the same time
// could wait for each other.
type buffer struct {
	ctx  context.Context
	room *budget
	max  int64
	b    []byte
	held int64 // of the budget; b has that capacity
}

// firstBuffer is what a buffer begins with, in bytes.
const firstBuffer = 8 << 10

// Write adds to the message. The error is ErrTooLarge, or that of the context.
func (b *buffer) Write(p []byte) (int, error) {
	n := int64(len(b.b)) + int64(len(p))
	if n > b.max {
		return 0, ErrTooLarge
	}
	if n > b.held {
		if err := b.grow(min(b.max, max(n, 2*b.held, firstBuffer))); err != nil {
			return 0, err
		}
	}
	b.b = append(b.b, p...)
	return len(p), nil
}

// grow makes room for n bytes in all.
func (b *buffer) grow(n int64) error {
	if n > b.max {
		return ErrTooLarge
	}
	if n <= b.held {
		return nil
	}
	if err := b.room.take(b.ctx, n-b.held); err != nil {
		return err
	}
	b.held = n
	b.b = append(make([]byte, 0, n), b.b...)
	return nil
}

// drop gives the memory back.
func (b *buffer) drop() {
	b.room.give(b.held)
	b.b, b.held = nil, 0
}
