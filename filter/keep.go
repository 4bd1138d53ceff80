package filter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/quarantine"
)

// ErrNoStore is returned where an original shall be kept and the chain has no
// place for it.
var ErrNoStore = errors.New("filter: the chain keeps no originals")

// Keep keeps the message as it was received, before the filter changes or refuses
// it, and returns the reference under which it is found. A message is kept once,
// whoever asks for it. The filter's Needs must say Originals.
//
// Where it returns an error the message must not be changed: return the error.
func (t *Transaction) Keep(ctx context.Context, reason string) (ref string, err error) {
	m := t.m
	if t.report {
		return newRef(), nil // nothing is changed, either
	}
	if ref := m.kept.Load(); ref != nil {
		return *ref, nil
	}
	e, err := m.keep(ctx, t.Connection, quarantine.Entry{Filter: t.filter, Reason: reason})
	if err == nil {
		m.kept.Store(&e.Ref)
	}
	return e.Ref, err
}

func (m *mail) keep(ctx context.Context, c *Connection, e quarantine.Entry) (quarantine.Entry, error) {
	s := m.chain.Originals
	if s == nil || !m.chain.plan.body {
		return e, ErrNoStore
	}
	e.QueueID, e.From, e.Client = m.queueID, m.from.Address, describe(c)
	for _, r := range m.rcpts {
		e.Rcpts = append(e.Rcpts, r.Address)
	}
	return s.Keep(ctx, e, m.received.reader())
}

// reader returns the message's bytes.
func (m *Message) reader() io.Reader {
	r := []io.Reader{bytes.NewReader(append(m.Header.Bytes(), "\r\n"...))}
	if m.Body != nil {
		r = append(r, io.NewSectionReader(m.Body, 0, m.Body.Size()))
	}
	return io.MultiReader(r...)
}

// OnRepeat is what happens to a message when the same filter has failed on the
// same content for the third time.
type OnRepeat uint8

// What may happen.
const (
	RepeatTempFail   OnRepeat = iota // as OnError says
	RepeatQuarantine                 // the MTA holds it in its queue, as the filters before left it
	RepeatSkip                       // it goes on as if the filter were not there
)

var onRepeatNames = [...]string{"tempfail", "quarantine", "skip"}

// String returns the policy as in configurations.
func (o OnRepeat) String() string { return name(onRepeatNames[:], int(o)) }

// repeats is how often the same content fails before OnRepeat applies.
const repeats = 3

// keepFailed keeps a message on which a filter failed, and reports whether its
// content has failed often enough for OnRepeat.
func (v *conversation) keepFailed(ctx context.Context, f *Failure, policy OnRepeat) bool {
	if v.chain.Originals == nil || v.m == nil || f.Stage != milter.StageEnd || !v.chain.plan.body {
		return false
	}
	log := v.chain.log().With("conn", v.conn.ID, "queue", v.m.queueID, "filter", f.Filter)
	e, err := v.m.keep(ctx, v.conn, quarantine.Entry{Filter: f.Filter, Reason: f.Err.Error(), Stack: f.Stack, Failed: true})
	if err != nil {
		log.Error("failed message cannot be kept", "err", err)
		return false
	}
	n := v.chain.failures.count(ctx, v.chain.Originals, f.Filter, e)
	log.Warn("failed message kept", "ref", e.Ref, "times", n)
	if n < repeats {
		return false
	}
	v.chain.repeated.Add(1)
	return true
}

// failures counts how often each filter failed on a content. What an earlier
// process kept of it counts, too.
type failures struct {
	mu    sync.Mutex
	began time.Time // of this process's counting
	n     map[failure]int
}

type failure struct {
	filter string
	digest [32]byte
}

// maxFailures bounds what is counted; then counting begins anew, from the store.
const maxFailures = 10_000

// count counts the failure that e was kept for, and returns how many there were.
func (f *failures) count(ctx context.Context, s *quarantine.Store, filter string, e quarantine.Entry) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := failure{filter, e.SHA256}
	if n, ok := f.n[key]; ok {
		f.n[key] = n + 1
		return n + 1
	}
	if f.n == nil || len(f.n) >= maxFailures {
		f.n = make(map[failure]int)
	}
	n := 0
	for old, err := range s.List(ctx) {
		if err == nil && old.Failed && old.Filter == filter && old.SHA256 == e.SHA256 && old.Time.Before(f.began) {
			n++
		}
	}
	f.n[key] = n + 1
	return n + 1
}

// Repeated returns how many messages failed for the third time or more.
func (c *Chain) Repeated() int64 { return c.repeated.Load() }
