package scan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// A scanner speaks the protocol of one kind. The connection has a deadline; at most
// max bytes of an answer may be read.
type scanner interface {
	scan(c net.Conn, l *letter, max int64) (verdict, error)
	ping(c net.Conn, max int64) error
}

// A verdict is what a scanner said.
type verdict struct {
	found, infected  bool
	names            []string
	score, threshold float64
	action           string // that rspamd advises
	text             string // that rspamd wants the client to be told
	edits            *fieldEdits
}

// errTooLarge says that the scanner takes no message of this size.
var errTooLarge = errors.New("the message is larger than the scanner takes")

// A letterError says that the message cannot be read, for which no server is to blame.
type letterError struct{ err error }

func (e *letterError) Error() string { return "scan: read the message: " + e.err.Error() }
func (e *letterError) Unwrap() error { return e.err }

// A downError says why no server answered.
type downError struct{ tries []string }

// maxTries bounds what an explanation tells of servers that failed.
const maxTries = 6

func (e *downError) add(spec string, err error) {
	if len(e.tries) <= maxTries {
		e.tries = append(e.tries, spec+": "+strings.ReplaceAll(show(reason(err), 160), `"`, "'"))
	}
}

func (e *downError) Error() string {
	if len(e.tries) > maxTries {
		return strings.Join(e.tries[:maxTries], "; ") + "; and more"
	}
	return strings.Join(e.tries, "; ")
}

func isTimeout(err error) bool {
	return wire.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded)
}

// reason returns an error without the addresses that package net writes into it.
func reason(err error) string {
	if isTimeout(err) {
		return "no answer in time"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// A pool is the servers of a filter.
type pool struct {
	o       *Options
	servers []*server
	next    atomic.Uint64 // where the next message begins
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

type server struct {
	spec, network, address string

	mu     sync.Mutex
	failed bool
	until  time.Time // it rests
}

func (s *server) resting(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed && now.Before(s.until)
}

func (s *server) judge(failed bool, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed, s.until = failed, until
}

// order returns the servers as a message tries them: those that rest come last,
// since one of them may be back, and there is nobody else then.
func (p *pool) order() []*server {
	start := 0
	if p.o.RoundRobin {
		start = int((p.next.Add(1) - 1) % uint64(len(p.servers)))
	}
	now := p.o.Now()
	var fit, rest []*server
	for i := range p.servers {
		if s := p.servers[(start+i)%len(p.servers)]; s.resting(now) {
			rest = append(rest, s)
		} else {
			fit = append(fit, s)
		}
	}
	return append(fit, rest...)
}

// ask lets the servers look at a letter until one has an answer, and returns it, the
// server, and a note of those that failed. The error is errTooLarge, a *downError, a
// *letterError, or that of the context.
func (p *pool) ask(ctx context.Context, sc scanner, l *letter) (v verdict, at *server, failures *downError, err error) {
	// What is decided when all are down has to be told in the time of the stage.
	total := p.o.Total
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		total = min(total, left-min(left/10, time.Second))
	}
	all, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	failures = new(downError)
	order := p.order()
	slow := make(map[*server]bool)
	for round := 0; ; round++ {
		for _, s := range order {
			if slow[s] {
				continue
			}
			err := p.talk(all, s, func(c net.Conn) (err error) {
				v, err = sc.scan(c, l, p.o.MaxAnswer)
				return err
			})
			if err == nil || errors.Is(err, errTooLarge) {
				s.judge(false, time.Time{})
				return v, s, failures, err
			}
			if _, ours := errors.AsType[*letterError](err); ours {
				return v, s, failures, err
			}
			if ctx.Err() != nil {
				return v, s, failures, ctx.Err()
			}
			s.judge(true, p.o.Now().Add(p.o.Rest))
			failures.add(s.spec, err)
			if isTimeout(err) {
				slow[s] = true
			}
			if all.Err() != nil {
				return v, nil, failures, failures
			}
		}
		if round >= p.o.Retries || len(slow) == len(order) {
			return v, nil, failures, failures
		}
		pause := time.NewTimer(p.o.Pause)
		select {
		case <-pause.C:
		case <-all.Done():
			pause.Stop()
			if ctx.Err() != nil {
				return v, nil, failures, ctx.Err()
			}
			return v, nil, failures, failures
		}
	}
}

// talk connects to a server and hands over the connection, which breaks when the
// time of one try is over or the context ends.
func (p *pool) talk(ctx context.Context, s *server, do func(net.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	connecting, connected := context.WithTimeout(ctx, p.o.Connect)
	c, err := p.dial(connecting, s.network, s.address)
	connected()
	if err != nil {
		return err
	}
	defer c.Close()
	end, _ := ctx.Deadline()
	if err := c.SetDeadline(end); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	return do(c)
}

// maxPing is how long a server may take to say that it lives.
const maxPing = 5 * time.Second

// ready returns nil once any server answers. They are asked all at once: one that is
// silent takes no time from the others.
func (s *scan) ready(ctx context.Context) error {
	var asked sync.WaitGroup
	defer asked.Wait()
	ctx, cancel := context.WithTimeout(ctx, maxPing)
	defer cancel() // those that are still asked are no longer of interest
	type answer struct {
		from int
		err  error
	}
	answers := make(chan answer, len(s.pool.servers))
	for i, x := range s.pool.servers {
		asked.Go(func() {
			answers <- answer{i, s.pool.talk(ctx, x, func(c net.Conn) error { return s.scanner.ping(c, s.o.MaxAnswer) })}
		})
	}
	errs := make([]error, len(s.pool.servers))
	for range errs {
		a := <-answers
		if a.err == nil {
			return nil
		}
		errs[a.from] = a.err
	}
	failures := new(downError)
	for i, x := range s.pool.servers {
		failures.add(x.spec, errs[i])
	}
	return fmt.Errorf("scan: %s: no %v answers: %w", s.name, s.o.Scanner, failures)
}
