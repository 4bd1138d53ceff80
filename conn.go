package milter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// A conn serves one connection of an MTA. Its goroutine reads frames, runs the
// hooks and gathers the answers; the watcher of the server looks at it from
// outside through guard.
type conn struct {
	srv     *Server
	set     *connSet
	id      uint64
	wc      *wire.Conn
	hooks   Hooks
	session Session
	begun   bool // New was called

	granted agreement
	silent  Protocol // stages whose hooks may only continue

	phase        phase
	cmd          byte     // the command being carried out
	payload      []byte   // and its payload
	pending      Stage    // whose command awaits its answer; StageClose for none
	told         StageSet // of connect and helo, what hooks were told
	aborting     bool     // the Abort hook was called
	ending       bool     // nothing is awaited any more
	afterUnknown bool
	inMessage    bool
	shown        bool // a hook saw the message
	skipBody     bool
	connVerdict  *answer // owed since a silent stage of the connection
	msgVerdict   *answer // owed since a silent stage of the message
	headerLimit  *answer // what it is told because its header is too large
	rcpts        int
	headers      int
	headerBytes  int
	fields       *fieldNames // of the message, where edits may need them

	macros  macroSlots
	postfix atomic.Bool // the MTA is known to be Postfix
	watched watched     // the watcher's
	client  Client
	helo    []byte
	arg     []byte       // of HELO, UNKNOWN and BODY
	tx      *transaction // the message, or the last one

	connScope atomic.Pointer[scope]
	msgScope  atomic.Pointer[scope]

	guard   guard
	idle    atomic.Int32 // one of the conn constants
	nudged  atomic.Bool  // the watcher ended the wait for a command
	expired atomic.Bool  // the watcher ended the scope of the running hook
	wmu     sync.Mutex   // held while writing

	progressing atomic.Bool // progress is on its way: see returned
	bodyLeft    atomic.Bool // something of the new body was written
	smu         sync.Mutex  // held while scopes are ended from outside

	answered atomic.Uint32 // counts the writes that carry answers
	limits   []string      // names of the limits hit so far
	took     time.Duration // of the last hook, measured when somebody counts
}

// States of a connection between messages, as the watcher sees them.
const (
	connBusy = iota // a message is open, or a command is carried out
	connIdle        // it waits for a command
	connCalm        // and was told to save memory
)

// maxGathered bounds the answers gathered for an MTA that sends commands without
// waiting for them.
const maxGathered = 16 << 10

var (
	errNudged    = errors.New("go on in another goroutine")
	errQuit      = errors.New("quit")
	errAbandoned = errors.New("hook was abandoned")
	errLost      = errors.New("connection given up")
)

// serve runs the connection to its end.
func (c *conn) serve() { c.serveFrom(c.next) }

// serveFrom does so with something else first.
func (c *conn) serveFrom(step func() error) {
	moved := false
	defer func() {
		if !moved {
			c.end()
		}
	}()
	defer c.survive()
	for err := step(); ; err = c.next() {
		switch err {
		case nil:
		case errNudged:
			moved = true
			go c.serve() // with a stack as small as at the beginning
			return
		case errAbandoned:
			return
		default:
			c.quit(err)
			return
		}
	}
}

// survive keeps the process and the other connections alive when this package
// makes a mistake; hooks have a guard of their own.
func (c *conn) survive() {
	if v := recover(); v != nil {
		c.log().Error("connection failed", "err", v, "stack", string(debug.Stack()))
		c.ending = true
		c.close()
	}
}

// next handles one frame.
func (c *conn) next() error {
	waits := !c.wc.Buffered()
	if waits || len(c.wc.Out()) > maxGathered {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if waits {
		if !c.inMessage {
			if c.idle.CompareAndSwap(connBusy, connIdle); c.set.stopping.Load() {
				return errQuit
			}
		}
	}
	at := c.wc.Offset()
	cmd, payload, err := c.wc.Next()
	if err != nil {
		// A nudge may come too late to end the wait; the next timeout is a real one then.
		if wire.IsTimeout(err) && c.nudged.Swap(false) && !c.wc.Overdue() {
			return c.rearm()
		}
		if errors.Is(err, wire.ErrFrameSize) || errors.Is(err, wire.ErrEmptyFrame) {
			c.limit(LimitFrame, "offset", at)
			return protocolError(0, c.phase.stage(), at, err)
		}
		if errors.Is(err, wire.ErrBudget) {
			c.limit(LimitBuffers, "offset", at)
		}
		return err
	}
	if c.idle.Load() != connBusy {
		c.idle.Store(connBusy)
	}
	state := c.phase.stage()
	err = c.handle(cmd, payload)
	if err == nil || err == errQuit || err == errAbandoned || errors.Is(err, errLost) {
		return err
	}
	return protocolError(cmd, state, at, err)
}

// rearm is called when the watcher ended the wait for a command. A connection
// that idles goes on in a goroutine of its own.
func (c *conn) rearm() error {
	wait := or(c.srv.IdleTimeout, defaultIdleTimeout)
	if c.phase == phaseNew {
		wait = or(c.srv.FrameTimeout, defaultFrameTimeout)
	}
	c.wc.NetConn().SetReadDeadline(time.Time{})
	c.wc.SetReadTimeout(0)
	c.wc.SetReadTimeout(wait)
	if c.inMessage || c.set.stopping.Load() {
		return nil
	}
	c.wc.SetOut(nil)
	c.tx = nil
	return errNudged
}

func protocolError(cmd byte, state Stage, at int64, err error) error {
	return &ProtocolError{Cmd: cmd, State: state, Offset: at, Err: err}
}

// handle carries out one command. Its errors but errQuit, errAbandoned and
// errLost are the peer's.
func (c *conn) handle(cmd byte, p []byte) error {
	c.cmd, c.payload, c.pending, c.took = cmd, p, StageClose, 0
	switch cmd {
	case wire.CmdMacro:
		return c.onMacro(p)
	case wire.CmdNegotiate:
		c.pending = StageNegotiate
		return c.onNegotiate(p)
	case wire.CmdAbort:
		return c.abort()
	case wire.CmdQuit:
		return errQuit
	case wire.CmdQuitNew:
		return c.onQuitNew()
	}
	st, ok := wire.StageOf(cmd)
	if !ok {
		return ErrCommand
	}
	c.pending = st
	if err := c.advance(st); err != nil {
		return err
	}
	switch st {
	case StageConnect, StageHelo, StageUnknown:
		return c.onConnection(st, p)
	case StageEnd:
		return c.onEnd(p)
	}
	return c.onMessage(st, p)
}

func (c *conn) onMacro(p []byte) error {
	cmd, pairs, err := wire.Macros(p)
	if err != nil {
		return err
	}
	st, ok := wire.StageOf(cmd)
	if !ok {
		return nil // as libmilter
	}
	// A filter that does not see MAIL learns from its macros that a message
	// begins: Sendmail sends it no ABORT for the one before.
	if st == StageMail && c.inMessage && c.granted.Protocol&wire.NoMail != 0 {
		if err := c.abort(); err != nil {
			return err
		}
	}
	if c.granted.Protocol&st.NoBit() != 0 && st <= StageData {
		c.macros.begin(st) // the command itself does not come
	}
	if !c.macros.set(st, pairs, c.srv.maxMacros()) {
		c.limit(LimitMacros, "stage", st)
	}
	c.noteMTA(cmd)
	return nil
}

func (c *conn) onNegotiate(p []byte) error {
	if c.phase != phaseNew {
		return ErrOrder
	}
	offer, err := wire.Negotiate(p)
	if err != nil {
		return err
	}
	c.macros.clear()
	c.granted.Version = min(offer.Version, wire.MaxVersion)
	if err := c.begin(); err != nil {
		return err
	}
	answer, err := c.negotiate(&offer)
	if err == errAbandoned || err == wire.ErrVersion {
		return err
	}
	if err != nil { // the hook's
		c.fault(&HookError{StageNegotiate, FaultOffer, err})
		c.connVerdict = c.srv.faultAnswer()
	}
	if c.connVerdict != nil {
		// Every step is asked for, so that the verdict comes early.
		answer = wire.Negotiation{Version: min(offer.Version, wire.MaxVersion)}
		c.granted, c.silent = agreed(&answer), 0
	}
	c.phase = phaseOffered
	c.wc.SetReadTimeout(or(c.srv.IdleTimeout, defaultIdleTimeout))
	c.wc.SetMax(max(wire.DataSize64K, answer.Protocol.DataSize()))
	b, at := wire.BeginFrame(c.wc.Out(), wire.CmdNegotiate)
	c.wc.SetOut(wire.EndFrame(wire.AppendNegotiation(b, &answer), at))
	return nil
}

// begin calls New, once for each SMTP session.
func (c *conn) begin() (err error) {
	if c.begun {
		return nil
	}
	c.begun = true
	if err := c.run(StageNegotiate, func(context.Context) { c.hooks = c.srv.New(&c.session) }); err != nil {
		return err
	}
	// After an abandoned hook: what the old hooks were told.
	for _, st := range []Stage{StageConnect, StageHelo} {
		if !c.told.Has(st) {
			continue
		}
		c.arg = c.helo
		a, err := c.ask(st, c.connVerdict)
		if err != nil {
			return err
		}
		c.owe(&c.connVerdict, a)
	}
	return nil
}

func (c *conn) onQuitNew() error {
	if err := c.abort(); err != nil {
		return err
	}
	if err := c.close(); err != nil {
		return err
	}
	c.macros.clear()
	c.told = 0
	c.connVerdict, c.client, c.helo = nil, Client{Family: FamilyUnknown}, nil
	c.begun, c.hooks, c.afterUnknown = false, Hooks{}, false
	if c.phase != phaseNew {
		c.phase = phaseOffered
	}
	c.connScope.Store(newScope(c.set.ctx))
	return nil
}

// onConnection handles the stages outside messages.
func (c *conn) onConnection(st Stage, p []byte) (err error) {
	c.macros.begin(st)
	switch st {
	case StageConnect:
		var client Client
		if client, err = newClient(p); err == nil {
			c.client = client
		} else if c.hooks.Connect == nil {
			err = nil // nobody looks at it; libmilter does not even parse it
		}
	case StageHelo:
		if c.arg, err = firstString(p); err == nil {
			c.helo = append(c.helo[:0], kept(c.arg)...)
		}
	case StageUnknown:
		c.arg, err = firstString(p)
	}
	if err != nil {
		return err
	}
	a, err := c.ask(st, c.connVerdict)
	if err != nil {
		return err
	}
	if st != StageUnknown {
		c.told |= Stages(st)
	}
	if !c.answers(st) {
		if st != StageUnknown { // that is about one command, whatever went wrong there
			c.owe(&c.connVerdict, a)
		}
		return nil
	}
	if a != continueAnswer {
		c.verdict(st, a)
		if st != StageUnknown {
			c.phase = phaseHelo
		}
	}
	c.send(a)
	return nil
}

// firstString decodes HELO and UNKNOWN. As in libmilter the payload ends in NUL,
// and counts up to the first one.
func firstString(p []byte) ([]byte, error) {
	s, rest, err := wire.CutString(p)
	if len(rest) > 0 && rest[len(rest)-1] != 0 {
		err = wire.ErrUnterminated
	}
	return s, err
}

// ask returns the answer of a stage: what is owed, or the hook's.
func (c *conn) ask(st Stage, owed *answer) (*answer, error) {
	switch {
	case owed != nil:
		return owed, nil
	case st != StageEnd && !c.hooks.has(st) || st == StageEnd && c.hooks.End == nil || st == StageBody && c.skipBody:
		return continueAnswer, nil
	}
	var began time.Time
	if c.srv.Metrics != nil {
		began = time.Now()
	}
	if st >= StageMail && st != StageUnknown {
		c.shown = true
	}
	a, err := c.call(st)
	if c.srv.Metrics != nil {
		c.took = time.Since(began)
	}
	if err == nil {
		err = c.judge(st, a)
	}
	if err == nil || err == errAbandoned {
		return a, err
	}
	c.fault(err)
	switch st {
	case StageEnd:
		c.tx.edits.drop()
	case StageUnknown:
		return c.srv.unknownFaultAnswer(), nil
	}
	return c.srv.faultAnswer(), nil
}

// judge finds the answers that a stage does not know.
func (c *conn) judge(st Stage, a *answer) error {
	switch {
	case a == nil:
		return &HookError{st, FaultAnswer, errors.New("no reply")}
	case a.err != nil:
		return &HookError{st, FaultAnswer, a.err}
	case a.code == 0:
		return &HookError{st, FaultAnswer, errors.New("empty Refusal")}
	case a.code == wire.ReplySkip && st != StageBody, // types of the caller's own can get it past the compiler
		a.code == wire.ReplyDiscard && (st <= StageHelo || st == StageRcpt || st == StageUnknown),
		a.code == wire.ReplyAccept && st == StageUnknown:
		return &HookError{st, FaultAnswer, fmt.Errorf("the stage does not know %q", a.name)}
	case a != continueAnswer && a != skipAnswer && st != StageEnd && c.silent&st.NoReplyBit() != 0:
		return &HookError{st, FaultAnswer, fmt.Errorf("silent stage answered %q", a.name)}
	}
	return nil
}

// owed returns the verdict that waits for a stage that is answered.
func (c *conn) owed() *answer {
	if c.msgVerdict != nil {
		return c.msgVerdict
	}
	return c.connVerdict
}

// owe keeps a verdict that a silent stage cannot give.
func (c *conn) owe(slot **answer, a *answer) {
	if *slot == nil && a != continueAnswer {
		*slot = a
	}
}

// answers reports whether the MTA awaits a reply at a stage.
func (c *conn) answers(st Stage) bool { return c.granted.Protocol&st.NoReplyBit() == 0 }

func (c *conn) send(a *answer) {
	if a.frame != nil {
		c.wc.SetOut(append(c.wc.Out(), a.frame...))
		return
	}
	c.wc.SetOut(append(c.wc.Out(), 0, 0, 0, 1, a.code))
}

// frameOf returns an answer as it stands on the wire.
func frameOf(a *answer) []byte {
	if a.frame != nil {
		return a.frame
	}
	return []byte{0, 0, 0, 1, a.code}
}

func (c *conn) flush() error {
	if len(c.wc.Out()) == 0 {
		return nil
	}
	c.answered.Add(1)
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return c.wc.Flush()
}

// writeBuffers writes a part of a new body, unless its reader was abandoned.
func (c *conn) writeBuffers(bufs *net.Buffers) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.guard.abandoned() {
		return errAbandoned
	}
	c.bodyLeft.Store(true)
	return c.wc.WriteBuffers(bufs)
}

var progressFrame = []byte{0, 0, 0, 1, wire.ReplyProgress}

// writeProgress tells the MTA that a hook is at work. It is called while one
// runs, with wmu held.
func (c *conn) writeProgress() error {
	if err := c.wc.Flush(); err != nil {
		return err
	}
	return c.wc.Write(progressFrame)
}

// close calls the Close hook, once.
func (c *conn) close() error {
	hook := c.hooks.Close
	c.hooks.Close = nil
	if s := c.connScope.Load(); s != nil {
		s.end(context.Canceled)
	}
	if hook == nil {
		return nil
	}
	return c.run(StageClose, func(context.Context) { hook() })
}

// quit ends the conversation: after QUIT, at the end of the stream or for an error.
func (c *conn) quit(err error) {
	c.ending = true
	var pe *ProtocolError
	switch {
	case err == errQuit:
		c.flush()
	case errors.As(err, &pe):
		c.srv.warner.warn(c.log(), "connection closed", "err", err)
		c.flush()
	case !errors.Is(err, io.EOF) || c.inMessage:
		c.log().Debug("connection lost", "err", err)
	}
	if c.abort() == errAbandoned {
		return
	}
	c.close()
}

// end gives up what the connection holds, unless somebody took it over.
func (c *conn) end() {
	if c.guard.abandoned() {
		c.leaveAbandoned()
		return
	}
	c.release()
}

func (c *conn) release() {
	c.wc.Close()
	c.set.remove(c)
}

func (c *conn) log() *slog.Logger { return c.srv.log().With("conn", c.session.ID()) }

func (c *conn) fault(err error) {
	he, ok := errors.AsType[*HookError](err)
	if !ok {
		return
	}
	c.log().Error("hook failed", "stage", he.Stage, "kind", he.Kind, "queue", c.session.QueueID(), "policy", c.srv.OnFault, "err", he.Err)
	c.srv.count(func(m Metrics) { m.Fault(he.Stage, he.Kind) })
}

func (c *conn) limit(name string, attrs ...any) {
	if !slices.Contains(c.limits, name) { // a line each would let a peer fill the log
		c.limits = append(c.limits, name)
		c.srv.warner.warn(c.log(), "limit hit: "+name, attrs...)
	}
	c.srv.count(func(m Metrics) { m.Limit(name) })
}

func (c *conn) verdict(st Stage, a *answer) {
	c.srv.count(func(m Metrics) { m.Verdict(st, a.name, c.took) })
	if log := c.srv.log(); log.Enabled(context.Background(), slog.LevelDebug) {
		c.log().Debug("verdict", "stage", st, "queue", c.session.QueueID(), "verdict", a.name)
	}
}
