package store

import (
	"context"
	"fmt"
	"time"
)

// perPending is what a write that waits takes beside the bytes of key and value, about.
const perPending = 120

// sweepEvery is how often a File that is not written to looks for what has expired.
const sweepEvery = time.Minute

// write puts a change into dirty. decide is called with what is at key and has not expired,
// perhaps several times; the value that it is given is not to be kept.
func (f *File) write(ctx context.Context, key string, m Mode, decide func(is record, ok bool) (change, error)) error {
	if err := f.checkKey(key); err != nil {
		return err
	}
	for sweeps := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.mu.Lock()
		r, urgent, err := f.next, m == Durable, error(nil)
		done := f.bytes <= f.o.MaxPending && f.failed == nil && !f.closed
		switch {
		case f.closed:
			err = ErrClosed
		case f.failed != nil:
			err = f.failed
		case !done: // too much waits already
			urgent = true
		default:
			if err = f.change(key, decide); err == errNoRoom {
				if sweeps++; sweeps <= 2 && f.due() {
					f.force, urgent, done, err = true, true, false, nil
				} else {
					f.stats.Full++
					err = ErrFull
				}
			}
		}
		f.mu.Unlock()
		if err != nil {
			return err
		}
		if urgent {
			signal(f.urgent)
		} else {
			signal(f.wake)
		}
		if done && m == Buffered {
			return nil
		}
		select {
		case <-r.done:
			if r.err != nil || done {
				return r.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is on its way
	}
}

// errNoRoom is write's own.
var errNoRoom = fmt.Errorf("%w, but something may have expired", ErrFull)

// change puts what decide says into dirty, if there is room. mu is locked.
func (f *File) change(key string, decide func(record, bool) (change, error)) error {
	is, have, err := f.look(key)
	if err != nil {
		return err
	}
	now := f.o.Now()
	live, ok := is, have
	if have && is.expired(now) {
		live, ok = record{}, false
	}
	c, err := decide(live, ok)
	if err != nil {
		return err
	}
	c.gone = c.gone || c.expired(now)
	if c.gone {
		c.record = record{}
		if !have {
			return nil
		}
		f.fresh--
	} else if grows := len(c.value) - len(is.value); !have || grows > 0 {
		if !have {
			grows += len(key)
		}
		if !have && f.bolt.count+f.fresh+f.adding >= f.o.MaxEntries || f.bolt.used+2*int64(f.bytes+grows) > f.o.MaxBytes/4 {
			return errNoRoom
		}
		if !have {
			f.fresh++
		}
	}
	if old, was := f.dirty[key]; was {
		f.bytes -= pendingSize(key, old)
	}
	f.bytes += pendingSize(key, c)
	f.dirty[key] = c
	if c.expires != 0 && (f.earliest == 0 || c.expires < f.earliest) {
		f.earliest = c.expires
	}
	return nil
}

func pendingSize(key string, c change) int { return len(key) + len(c.value) + perPending }

// due tells whether something has expired, in the file or on its way there. mu is locked.
func (f *File) due() bool {
	now := f.o.Now().UnixMilli()
	if f.earliest != 0 && f.earliest <= now || f.flushing != nil {
		return true
	}
	first, err := f.bolt.firstExpiry()
	f.noteDamage(err)
	return first != 0 && first <= now
}

// run writes to the file, until Close.
func (f *File) run() {
	defer close(f.stopped)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	ended := false
	// wait waits for a time, for something that cannot wait if there may be, or for Close.
	wait := func(d time.Duration, urgent <-chan struct{}) {
		pause.Reset(d)
		select {
		case <-pause.C:
		case <-urgent:
		case <-f.stop:
			ended = true
		}
	}
	for !ended {
		select {
		case <-f.urgent:
		case <-f.wake:
			wait(f.o.Delay, f.urgent)
		case <-tick.C:
		case <-f.stop:
			ended = true
		}
		for err := f.flush(); err != nil && !ended; {
			if wait(f.o.Retry, nil); !ended {
				err = f.flush()
			}
		}
	}
	f.endErr = f.flush()
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.dirty); n > 0 && f.endErr != nil {
		f.endErr = fmt.Errorf("%w; %d writes are lost", f.endErr, n)
	}
	if f.bolt != nil {
		if err := f.bolt.close(); err != nil && f.endErr == nil {
			f.endErr = fmt.Errorf("store: %s: close: %w", f.path, err)
		}
		f.bolt = nil
	}
	f.failed = ErrClosed
}

// flush writes what is dirty to the file, and removes what has expired.
func (f *File) flush() error {
	now := f.o.Now()
	settled := f.clock.ran(now, f.o.Settle)
	f.mu.Lock()
	if f.broken != nil {
		return f.endRound(f.broken)
	}
	if f.bolt == nil {
		if err := f.reopen(); err != nil {
			return f.endRound(f.unavailable(err))
		}
	}
	b := f.bolt
	first, err := b.firstExpiry()
	if err != nil {
		return f.endRound(f.noteDamage(err))
	}
	until := now.UnixMilli()
	if !settled && !f.force {
		until = 0
	}
	if len(f.dirty) == 0 && (first == 0 || first > until) && f.failed == nil {
		return f.endRound(nil)
	}
	batch := f.dirty
	f.flushing, f.dirty = batch, make(map[string]change)
	f.adding, f.fresh = f.fresh, 0
	f.bytes, f.earliest, f.force = 0, 0, false
	r := f.next
	f.next = &round{done: make(chan struct{})}
	f.mu.Unlock()

	swept, more, err := b.commit(batch, until)

	f.mu.Lock()
	f.flushing = nil
	if err == nil {
		err = b.refresh()
	}
	if err != nil {
		for key, c := range batch { // what was written meanwhile is newer
			if _, newer := f.dirty[key]; !newer {
				f.dirty[key] = c
				f.bytes += pendingSize(key, c)
				if c.expires != 0 && (f.earliest == 0 || c.expires < f.earliest) {
					f.earliest = c.expires
				}
			}
		}
		f.fresh += f.adding
		f.adding = 0
		if err = f.noteDamage(err); f.broken == nil {
			err = f.unavailable(err)
			if b.unsure() {
				// The transaction may count or not, as far as memory tells: only the file knows. If
				// it cannot be opened now, the next flush tries again.
				b.close()
				if openErr := f.reopen(); openErr != nil {
					f.o.Log.Error("store cannot be opened again, nothing is read until it can", "path", f.path, "err", openErr)
				}
			}
		}
	} else {
		f.adding = 0
		f.stats.Swept += uint64(swept)
		if more || len(f.dirty) > 0 {
			signal(f.wake)
		}
	}
	r.err = err
	close(r.done)
	return f.report(err)
}

// reopen opens the file that was closed, and counts what is dirty anew. mu is locked.
func (f *File) reopen() (err error) {
	f.fresh = 0
	if f.bolt, err = openBolt(f.path, f.o, false); err != nil {
		f.bolt = nil
		return err
	}
	for key, c := range f.dirty {
		_, had, err := f.bolt.get(key)
		switch {
		case err != nil:
			return f.noteDamage(err)
		case had && c.gone:
			f.fresh--
		case !had && !c.gone:
			f.fresh++
		}
	}
	return nil
}

// endRound ends a flush before it began, and unlocks mu.
func (f *File) endRound(err error) error {
	r := f.next
	r.err = err
	f.next = &round{done: make(chan struct{})}
	f.force = false
	close(r.done)
	return f.report(err)
}

// report remembers and logs how a flush ended, and unlocks mu.
func (f *File) report(err error) error {
	before := f.failed
	f.failed = err
	if err != nil {
		f.stats.Failed++
	}
	pending, broken := len(f.dirty), f.broken != nil
	f.mu.Unlock()
	switch {
	case err != nil && before == nil && !broken: // damage was told when it was found
		f.o.Log.Error("store cannot write and refuses to take more, it tries again until it can", "path", f.path, "pending", pending, "err", err)
	case err == nil && before != nil:
		f.o.Log.Info("store writes again", "path", f.path)
	}
	return err
}

func (f *File) unavailable(err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, f.path, err)
}

// A steadiness watches a clock that may be put forward or back.
type steadiness struct {
	real  time.Time // by the monotonic clock of the process, when last looked at
	clock time.Time // at that time
	since time.Time // real time, since when the clock has run evenly
}

// clockSlack is by how much the clock may be ahead or behind between two looks.
const clockSlack = time.Minute

func (s *steadiness) start(clock time.Time) {
	s.real, s.clock = time.Now(), clock.Round(0) // Round has the difference be that of the wall clock
	s.since = s.real
}

// ran tells whether the clock has run evenly for a while.
func (s *steadiness) ran(clock time.Time, while time.Duration) bool {
	if while < 0 {
		return true
	}
	real := time.Now()
	if off := clock.Round(0).Sub(s.clock) - real.Sub(s.real); off.Abs() > clockSlack {
		s.since = real
	}
	s.real, s.clock = real, clock.Round(0)
	return real.Sub(s.since) >= while
}
