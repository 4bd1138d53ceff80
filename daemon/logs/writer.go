package logs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A destination is where lines are written. It is used by one goroutine.
type destination interface {
	// write writes lines in their order. done of them are not to be tried again; lost
	// of those could not be written. There is an error unless done is all.
	write(lines []line) (done, lost int, err error)

	// close ends it; lost is how many lines that were done are not whole.
	close() (lost int, err error)
}

// errWaiting is returned when lines could not be written in time.
var errWaiting = errors.New("logs: lines are not written yet")

// A writer is the goroutine that writes.
type writer struct {
	q     *queue
	retry time.Duration
	gap   func(uint64) line
	alarm *alarm // told of each try; nil for nobody

	stopping chan struct{} // closed when no more lines come
	done     chan struct{} // closed when the goroutine has ended
	next     chan change

	mu       sync.Mutex
	err      error // of the last try
	closeErr error
}

// A change is a destination in place of the one before.
type change struct {
	dest  destination
	taken chan struct{}
}

func (w *writer) start(q *queue, dest destination, retry time.Duration, gap func(uint64) line) {
	w.q, w.retry, w.gap = q, retry, gap
	w.stopping, w.done, w.next = make(chan struct{}), make(chan struct{}), make(chan change)
	go w.run(dest)
}

// run writes what is put into the queue until the queue is closed.
func (w *writer) run(dest destination) {
	defer close(w.done)
	defer w.alarm.end()
	var lines []line // taken and not yet written
	stopping := w.stopping
	take := func() {
		more, gap := w.q.take()
		lines = append(lines, more...)
		if gap > 0 {
			lines = append(lines, w.ownLine(gap))
		}
	}
	for {
		if len(lines) == 0 {
			take()
		}
		var retry <-chan time.Time
		var timer *time.Timer
		wake := w.q.wake
		if len(lines) > 0 {
			n, lost, err := dest.write(lines)
			w.q.settle(lines[:n])
			if lost > 0 {
				w.q.lose(lost)
			}
			lines = lines[n:]
			w.setErr(err)
			w.alarm.tried(err)
			if err == nil {
				continue
			}
			if stopping == nil {
				break
			}
			// What wakes now cannot be written either.
			timer = time.NewTimer(w.retry)
			retry, wake = timer.C, nil
		} else if stopping == nil {
			break
		}
		select {
		case <-wake:
		case <-retry:
		case <-stopping: // what is in the queue gets its last try
			stopping = nil
		case c := <-w.next:
			lost, err := dest.close()
			w.q.lose(lost)
			w.setErr(err)
			dest = c.dest
			close(c.taken)
		}
		if timer != nil {
			timer.Stop()
		}
	}
	more, _ := w.q.take()
	lost, err := dest.close()
	lost += len(lines) + len(more)
	w.q.settle(lines)
	w.q.settle(more)
	w.q.lose(lost)
	if lost > 0 {
		err = errors.Join(err, fmt.Errorf("logs: %d lines lost: %w", lost, w.lastErr()))
	}
	w.mu.Lock()
	w.closeErr = err
	w.mu.Unlock()
}

// ownLine returns the line about a gap, with its room in the queue taken, which
// it does not have to ask for.
func (w *writer) ownLine(gap uint64) line {
	l := w.gap(gap)
	w.q.reserve(l)
	return l
}

func (w *writer) setErr(err error) {
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
}

func (w *writer) lastErr() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// change makes the goroutine write to another destination.
func (w *writer) change(ctx context.Context, dest destination) error {
	c := change{dest, make(chan struct{})}
	select {
	case w.next <- c:
		<-c.taken
		return nil
	case <-w.done:
	case <-ctx.Done():
	}
	_, err := dest.close()
	return errors.Join(errWaiting, err)
}

// stop ends the goroutine once all is written. One that does not return from
// writing is left behind.
func (w *writer) stop(ctx context.Context) error {
	w.q.close()
	close(w.stopping)
	select {
	case <-w.done:
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.closeErr
	case <-ctx.Done():
		return errWaiting
	}
}
