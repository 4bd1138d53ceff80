package filter

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/quarantine"
)

// ErrNoStore is returned where an original shall be kept and the chain has no
// place for it.
var ErrNoStore = errors.New("filter: the chain keeps no originals")

// errUnkept is the failure of a hook that went on although Keep failed.
var errUnkept = errors.New("original cannot be kept")

// Keep keeps the message as it was received, before the filter changes or refuses
// it, and returns the reference under which it is found. reason says in a line which
// rule the message met, and in what. A message is kept once, whoever asks for it, and
// one that the client sends again has the reference that it had. The filter's Needs
// must say Originals.
//
// Where it returns an error the message must not be changed: return the error. The
// client is told to try again then, whatever the [Step]'s OnError is. The error is
// ErrNoStore, one that wraps ErrNeeds, ErrEarly, or that of [quarantine.Store.Keep].
func (t *Transaction) Keep(ctx context.Context, reason string) (ref string, err error) {
	m := t.m
	if !t.report {
		m.unkept.Store(true) // until it is
	}
	switch {
	case !t.needs.Originals:
		return "", errNeedsOriginals
	case !m.whole:
		return "", ErrEarly
	case t.report:
		return newRef(), nil // nothing is changed, either
	}
	if ref := m.kept.Load(); ref != nil {
		m.unkept.Store(false)
		return *ref, nil
	}
	e, err := m.keep(ctx, t.Connection, quarantine.Entry{Filter: t.filter, Reason: reason})
	if err != nil {
		return "", err
	}
	m.kept.Store(&e.Ref)
	m.unkept.Store(false)
	return e.Ref, nil
}

// keep keeps the message as received, a failed one again and again.
func (m *mail) keep(ctx context.Context, c *Connection, e quarantine.Entry) (quarantine.Entry, error) {
	s := m.chain.Originals
	if s == nil || !m.chain.plan.body {
		return e, ErrNoStore
	}
	e.QueueID, e.From, e.Client, e.Explanation = m.queueID, m.from.Address, describe(c), m.expl.Ref
	for _, r := range m.rcpts {
		e.Rcpts = append(e.Rcpts, r.Address)
	}
	if e.Failed {
		return s.Keep(ctx, e, m.received.reader())
	}
	return s.KeepOnce(ctx, e, m.received.reader())
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

// MarshalText writes the policy as in configurations.
func (o OnRepeat) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// repeats is how often the same content fails before OnRepeat applies.
const repeats = 3

// keepFailed keeps a message on which a filter failed, and reports whether the filter
// has failed on its content often enough for OnRepeat.
func (v *conversation) keepFailed(ctx context.Context, f *Failure, o *Outcome) bool {
	m, store := v.m, v.chain.Originals
	if store == nil || f.Stage != milter.StageEnd || !v.chain.plan.body {
		return false
	}
	log := v.chain.log().With("conn", v.conn.ID, "queue", m.queueID, "filter", f.Filter)
	e, err := m.keep(ctx, v.conn, quarantine.Entry{Filter: f.Filter, Reason: f.Err.Error(), Stack: f.Stack, Failed: true})
	if err != nil {
		log.Error("failed message cannot be kept", "err", err)
		return false
	}
	o.Kept = e.Ref
	m.expl.kept(e.Ref)
	n := store.Failures(f.Filter, e.SHA256)
	log.Warn("failed message kept", "kept", e.Ref, "times", n)
	if n < repeats {
		return false
	}
	v.chain.repeated.Add(1)
	return true
}

// Repeated returns how many messages failed for the third time or more.
func (c *Chain) Repeated() int64 { return c.repeated.Load() }
