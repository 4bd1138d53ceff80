package wire

import (
	"errors"
	"sync/atomic"
)

// ErrBudget is returned by Next when a frame that has begun to arrive would have to
// wait for its rest in memory that the Budget does not have.
var ErrBudget = errors.New("too much memory is held by frames that have begun to arrive")

// A Budget bounds what the buffers of many Readers take while they wait in the
// middle of a frame. Small buffers do not count, nor do those of frames that are
// being worked on.
type Budget struct {
	max  int64
	used atomic.Int64
}

// NewBudget returns a Budget of so many bytes.
func NewBudget(max int) *Budget { return &Budget{max: int64(max)} }

// SetBudget makes the Reader wait on a Budget. Only a Reader of a socket does.
func (r *Reader) SetBudget(b *Budget) { r.budget = b }

// hold takes the buffer into account before a wait.
func (r *Reader) hold() error {
	if r.budget == nil || r.lent == nil || r.lent.class == 0 {
		return nil
	}
	r.held = int64(len(r.buf))
	if r.budget.used.Add(r.held) > r.budget.max {
		r.release()
		return ErrBudget
	}
	return nil
}

// release is called behind a wait.
func (r *Reader) release() {
	if r.held > 0 {
		r.budget.used.Add(-r.held)
		r.held = 0
	}
}
