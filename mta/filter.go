package mta

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// Errors of filters, in faults.
var (
	ErrUnexpectedReply = errors.New("reply is not one for this stage")
	ErrBadReply        = errors.New("reply is malformed")
	ErrTooManyEdits    = errors.New("filter makes too many edits")
	ErrConfiguration   = errors.New("configuration error") // as the MTA sees it
)

// A state is what the MTA holds of a filter.
type state uint8

const (
	stateClosed  state = iota // not connected, or done with for the session
	stateOpen                 // may be told things
	stateMessage              // Sendmail: knows of a message
	stateDone                 // has decided on the message
	stateIgnored              // Sendmail: answered SKIP where it may not
	stateRefused              // Postfix: has refused the client for good
	stateFailed               // broke the protocol, or its connection
)

// A filter is one filter in a session.
type filter struct {
	*Milter
	c    *Client
	name string
	t    Timeouts

	state  state
	err    error  // what failed
	sticky *Reply // Postfix: the answer to everything after that
	hold   bool   // Postfix: what fails is put on hold instead

	nc    net.Conn
	mu    sync.Mutex // guards deadlines against interrupt
	cut   bool       // interrupted: no wait any more
	r     *wire.Reader
	out   []byte
	offer wire.Negotiation
	neg   wire.Negotiation
	lists [wire.MacroStages]*string // asked for by the filter
	skip  Stage                     // Postfix: told no more of these until told of another stage

	stage    Stage // what it was told last
	decision Verdict
	began    time.Time
	took     time.Duration
	edits    int
	editSize int64
}

const noStage = Stage(255)

func newFilter(c *Client, m *Milter) *filter {
	return &filter{
		Milter: m, c: c, name: cmp.Or(m.Name, m.Address),
		t:    m.Timeouts.or(c.Timeouts, defaultTimeouts[c.Profile]),
		skip: noStage,
	}
}

func (f *filter) failure() Failure {
	p := cmp.Or(f.Failure, f.c.Failure)
	switch {
	case f.c.Profile == Sendmail && (p == FailDefault || p == FailQuarantine):
		return FailAccept
	case p == FailDefault:
		return FailTempFail
	}
	return p
}

// open connects to the filter and negotiates.
func (f *filter) open(ctx context.Context) error {
	f.stage = StageNegotiate
	defer f.clock()()
	if err := f.dial(ctx); err != nil {
		return err
	}
	return f.negotiate()
}

func (f *filter) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.t.Connect)
	defer cancel()
	var err error
	var nc net.Conn
	switch {
	case f.Dial != nil:
		nc, err = f.Dial(ctx)
	default:
		network, address := f.Network, f.Address
		if network == "" {
			if network, address, err = wire.ParseAddr(f.Address); err != nil {
				return fmt.Errorf("%w: %w", ErrConfiguration, err)
			}
		}
		var d net.Dialer
		nc, err = d.DialContext(ctx, network, address)
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.nc = nc
	if f.cut { // a Dial that did not heed ctx
		nc.SetDeadline(time.Unix(1, 0))
	}
	f.mu.Unlock()
	f.r = wire.NewReader(nc, cmp.Or(f.c.MaxReply, defaultMaxReply))
	f.state = stateOpen
	return nil
}

// offered returns what the MTA offers at a version.
func offered(p Profile, version uint32) wire.Negotiation {
	n := wire.Negotiation{Version: version, Actions: wire.CurrentActions, Protocol: wire.CurrentProtocol}
	switch {
	case version >= 6:
	case version >= 4:
		n.Protocol = 0x37f
	case version == 3:
		n.Protocol = 0x17f
	default:
		n.Protocol = 0x7f
	}
	if version < 6 && p == Sendmail {
		n.Actions = wire.V2Actions
	}
	return n
}

func (f *filter) negotiate() error {
	f.offer = offered(f.c.Profile, cmp.Or(f.Version, f.c.Version, wire.MaxVersion))
	f.frame(wire.CmdNegotiate, wire.AppendNegotiation(nil, &f.offer))
	if err := f.flush(); err != nil {
		return err
	}
	cmd, payload, err := f.next(time.Time{})
	if err != nil {
		return err
	}
	if cmd != wire.CmdNegotiate {
		return fmt.Errorf("%w: %q", ErrUnexpectedReply, cmd)
	}
	if f.neg, err = wire.Negotiate(payload); err != nil {
		return fmt.Errorf("%w: OPTNEG: %w", ErrBadReply, err)
	}
	if extra := f.neg.Actions &^ f.offer.Actions; extra != 0 {
		return fmt.Errorf("%w: actions %v were not offered", ErrBadReply, extra)
	}
	const maxSendmail = 0x01000001 // it compares with the version of its library
	switch f.c.Profile {
	case Sendmail:
		if f.neg.Version == 1 || f.neg.Version > maxSendmail {
			return fmt.Errorf("%w: %w: %d", ErrBadReply, wire.ErrVersion, f.neg.Version)
		}
		if extra := f.neg.Protocol &^ f.offer.Protocol; extra != 0 {
			return fmt.Errorf("%w: protocol bits %v were not offered", ErrBadReply, extra)
		}
	case Postfix:
		if f.neg.Version > f.offer.Version {
			return fmt.Errorf("%w: %w: %d, offered %d", ErrBadReply, wire.ErrVersion, f.neg.Version, f.offer.Version)
		}
		// Bits that were not offered it tolerates.
	}
	clear(f.neg.Macros[:]) // views
	f.neg.Protocol |= f.implied()
	return f.takeLists(payload[optionSize:])
}

// implied returns the steps that the filter's version does not know. Postfix
// looks for versions 2 and 3 only, and tells those below of everything.
func (f *filter) implied() wire.Protocol {
	if f.neg.Version < wire.MinVersion && f.c.Profile == Postfix {
		return 0
	}
	return wire.ImpliedBy(f.neg.Version)
}

const optionSize = 12 // MILTER_OPTLEN

// takeLists reads the macro lists behind an answer; the last one for a stage
// counts. Sendmail stops at a stage it does not know, and needs no NUL behind the
// last list. Postfix passes over a stage it does not know, and takes nothing that
// is malformed. Neither minds whether the filter asked for the action.
func (f *filter) takeLists(p []byte) error {
	for len(p) > 0 {
		if len(p) < 4 || f.c.Profile == Postfix && bytes.IndexByte(p[4:], 0) < 0 {
			if f.c.Profile == Postfix {
				return fmt.Errorf("%w: OPTNEG: macro list is cut short", ErrBadReply)
			}
			return nil
		}
		st := binary.BigEndian.Uint32(p)
		names, rest, _ := bytes.Cut(p[4:], []byte{0})
		p = rest
		if st < wire.MacroStages {
			list := string(names)
			f.lists[st] = &list
		} else if f.c.Profile == Sendmail {
			return nil
		}
	}
	return nil
}

// sends reports whether the filter is to be told of a stage.
func (f *filter) sends(st Stage) bool { return f.neg.Protocol&st.NoBit() == 0 }

// answers reports whether the filter answers when told of a stage.
func (f *filter) answers(st Stage) bool { return f.neg.Protocol&st.NoReplyBit() == 0 }

// leadingSpace reports whether header values keep their leading space.
func (f *filter) leadingSpace() bool { return f.neg.Protocol&wire.LeadingSpace != 0 }

// frame adds a frame to what the next flush writes.
func (f *filter) frame(cmd byte, payload []byte) {
	if f.c.Trace != nil {
		f.c.Trace(Packet{f.name, true, cmd, payload})
	}
	f.out = wire.AppendFrame(f.out, cmd, payload)
}

// outLimit is how much is gathered before it is written without need, in bytes.
const outLimit = 256 << 10

// room flushes when much is gathered.
func (f *filter) room() error {
	if len(f.out) < outLimit {
		return nil
	}
	return f.flush()
}

func (f *filter) flush() error {
	if len(f.out) == 0 {
		return nil
	}
	timeout := f.t.Write
	if f.c.Profile == Postfix {
		timeout = f.operation()
	}
	f.deadline(time.Now().Add(timeout), f.nc.SetWriteDeadline)
	_, err := f.nc.Write(f.out)
	if f.out = f.out[:0]; cap(f.out) > outLimit {
		f.out = nil
	}
	return err
}

// deadline sets one unless the filter has been interrupted.
func (f *filter) deadline(t time.Time, set func(time.Time) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.cut {
		set(t)
	}
}

// interrupt ends all waits for the filter, now and from now on. It may be called
// from another goroutine.
func (f *filter) interrupt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = true
	if f.nc != nil {
		f.nc.SetDeadline(time.Unix(1, 0))
	}
}

// operation returns the bound on one read or write at the present stage.
func (f *filter) operation() time.Duration {
	if f.c.Profile == Postfix {
		switch f.stage {
		case StageHeader, StageEndOfHeaders, StageBody, StageEnd:
			return f.t.Content
		}
	}
	return f.t.Command
}

// next returns the next packet of the filter. Past end, unless it is zero, it
// waits no longer.
func (f *filter) next(end time.Time) (cmd byte, payload []byte, err error) {
	deadline := time.Now().Add(f.operation())
	if !end.IsZero() && end.Before(deadline) {
		deadline = end
	}
	f.deadline(deadline, f.nc.SetReadDeadline)
	cmd, payload, err = f.r.Next()
	if err == nil && f.c.Trace != nil {
		f.c.Trace(Packet{f.name, false, cmd, payload})
	}
	return cmd, payload, err
}

// close closes the connection without a word.
func (f *filter) close() {
	if f.nc != nil {
		f.nc.Close()
		f.r.Close()
		f.mu.Lock()
		f.nc, f.out = nil, nil
		f.mu.Unlock()
	}
}

// quit says goodbye.
func (f *filter) quit() {
	if f.nc != nil {
		f.frame(wire.CmdQuit, nil)
		f.flush() // nobody is left to be told of an error
	}
	f.close()
	f.state = stateClosed
}

// fail gives the filter up for the session.
func (f *filter) fail(err error) {
	f.close()
	f.state, f.err = stateFailed, err
}

func noData(cmd byte, payload []byte) error {
	if len(payload) > 0 {
		return fmt.Errorf("%w: %d bytes behind %q", ErrBadReply, len(payload), cmd)
	}
	return nil
}

// cString returns b up to its first NUL: what a C program would send of it.
func cString(b string) string {
	s, _, _ := strings.Cut(b, "\x00")
	return s
}

// clock counts the time until the function it returns is called to the filter.
func (f *filter) clock() func() {
	if !f.began.IsZero() {
		return func() {}
	}
	f.began = time.Now()
	return func() {
		f.took += time.Since(f.began)
		f.began = time.Time{}
	}
}
