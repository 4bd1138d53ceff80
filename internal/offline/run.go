package offline

import (
	"context"
	"io"
	"sync"
	"time"
)

// ahead is how many messages may be finished before one that came earlier, for each
// worker.
const ahead = 16

// A job is a message on its way.
type job struct {
	m    *Message
	r    *Result
	err  error
	done chan struct{}
}

// Run tests the messages of the inputs, and calls done with each result in their
// order, from one goroutine. It returns the first error of done, or that of ctx, and
// an error of the scratch folder; a message that cannot be read is a Result.
//
// A read of stdin that hangs when Run returns early is left behind.
func (t *Tester) Run(ctx context.Context, stdin io.Reader, inputs []*Input, done func(*Result) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs, order := make(chan *job), make(chan *job, ahead*len(t.workers))

	rd := &reader{stdin: stdin, room: t.room, max: t.o.MaxSize}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(order)
		defer close(jobs)
		for _, in := range inputs {
			err := rd.messages(ctx, in, func(m *Message) error {
				j := &job{m: m, done: make(chan struct{})}
				for _, to := range []chan *job{order, jobs} {
					select {
					case to <- j:
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				}
				return nil
			})
			if err != nil {
				cancel(err)
				return
			}
		}
	}()
	var working sync.WaitGroup
	for _, w := range t.workers {
		working.Go(func() {
			for {
				select {
				case j, ok := <-jobs:
					if !ok {
						return
					}
					j.r, j.err = w.test(ctx, j.m)
					close(j.done)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	err := t.finish(ctx, order, done)
	cancel(err)
	working.Wait()
	late := time.NewTimer(stopTimeout)
	defer late.Stop()
	select {
	case <-read:
	case <-late.C: // it hangs
	}
	return err
}

// finish calls done in the order in which the messages were read.
func (t *Tester) finish(ctx context.Context, order <-chan *job, done func(*Result) error) error {
	for {
		var j *job
		var ok bool
		select {
		case j, ok = <-order:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !ok {
			return context.Cause(ctx) // nil where all was read
		}
		select {
		case <-j.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if j.err != nil {
			return j.err
		}
		if err := done(j.r); err != nil {
			return err
		}
		t.room.give(int64(cap(j.m.Data)))
	}
}
