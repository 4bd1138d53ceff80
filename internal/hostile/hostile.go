// Package hostile is an MTA that means no good. It attacks a running milter in
// every way the protocol's framing, its order and plain sockets allow, so that a
// test can see that the milter survives and still serves others.
//
// Each attack is bounded in time, connections and frames, and goes to this machine
// only.
package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// A Target is a milter on this machine.
type Target struct{ network, address string }

// NewTarget returns the milter at an address as net.Dial takes it: "unix" and a
// path, or "tcp" and a loopback address. Any other address is refused.
func NewTarget(network, address string) (Target, error) {
	switch network {
	case "unix":
		return Target{network, address}, nil
	case "tcp", "tcp4", "tcp6":
		if ap, err := netip.ParseAddrPort(address); err == nil && ap.Addr().IsLoopback() {
			return Target{network, address}, nil
		}
	}
	return Target{}, fmt.Errorf("hostile: %s %s is not on this machine", network, address)
}

func (t Target) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, t.network, t.address)
}

// Limits bound an attack. Zero values mean the defaults.
type Limits struct {
	Time  time.Duration // after which it gives up; 3 s
	Conns int           // open at once, where the attack is not about their number; 16
	Flood int           // open at once where it is; 500
	Count int           // frames, macros, header fields, where it is about those; 100 000
	Seed  uint64        // of what is random
}

func or[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// An Attack is one way to mistreat a milter.
type Attack struct {
	Name string
	run  func(*assault)
}

// A Report says what an attack did.
type Report struct {
	Conns    int64 // connections made
	Failed   int64 // connections that could not be made
	Ended    int64 // connections that the milter ended
	Sent     int64 // bytes
	Received int64 // bytes
}

func (r Report) String() string {
	return fmt.Sprintf("%d connections, %d of them ended by the milter, %d not made, %d bytes sent, %d received", r.Conns, r.Ended, r.Failed, r.Sent, r.Received)
}

// Run carries the attack out. It returns when it is over, at the latest a little
// after l.Time, with all its connections closed.
func (a Attack) Run(ctx context.Context, t Target, l Limits) Report {
	l = Limits{or(l.Time, 3*time.Second), or(l.Conns, 16), or(l.Flood, 500), or(l.Count, 100_000), l.Seed}
	ctx, cancel := context.WithTimeout(ctx, l.Time)
	defer cancel()
	s := &assault{ctx: ctx, target: t, Limits: l, open: make(map[*line]struct{})}
	defer context.AfterFunc(ctx, s.closeAll)()
	a.run(s)
	s.closeAll()
	s.wg.Wait()
	return Report{s.conns.Load(), s.failed.Load(), s.ended.Load(), s.sent.Load(), s.received.Load()}
}

// An assault is an attack under way.
type assault struct {
	Limits
	ctx    context.Context
	target Target
	wg     sync.WaitGroup // readers of answers

	mu   sync.Mutex
	open map[*line]struct{} // nil once all were closed

	conns, failed, ended, sent, received atomic.Int64
}

// over reports whether the time is up.
func (s *assault) over() bool { return s.ctx.Err() != nil }

// rand returns the randomness of the n-th part of the attack.
func (s *assault) rand(n int) *rand.Rand { return rand.New(rand.NewPCG(s.Seed, uint64(n))) }

// each calls f for n connections, some at once, and closes them behind it.
func (s *assault) each(n int, f func(i int, l *line)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(n, s.Conns) {
		wg.Go(func() {
			for !s.over() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if l := s.dial(); l != nil {
					f(i, l)
					l.close()
				}
			}
		})
	}
	wg.Wait()
}

// pause waits, but not past the end.
func (s *assault) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

func (s *assault) closeAll() {
	s.mu.Lock()
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for l := range open {
		l.nc.Close()
	}
}

// A line is one connection of an attack. Errors end it: what comes after is lost.
type line struct {
	s  *assault
	nc net.Conn
	in *wire.Reader
}

// dial returns nil when the connection cannot be made.
func (s *assault) dial() *line {
	nc, err := s.target.dial(s.ctx)
	if err != nil {
		s.failed.Add(1)
		return nil
	}
	l := &line{s: s, nc: nc}
	l.in = wire.NewReader(counted{nc, &s.received}, 1<<20)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		nc.Close()
		return nil
	}
	s.open[l] = struct{}{}
	s.conns.Add(1)
	return l
}

type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (l *line) close() {
	l.s.mu.Lock()
	delete(l.s.open, l)
	l.s.mu.Unlock()
	l.nc.Close()
}

// write sends bytes and reports whether they left.
func (l *line) write(b []byte) bool {
	n, err := l.nc.Write(b)
	l.s.sent.Add(int64(n))
	return err == nil
}

// frames sends frames, a command byte and its payload each.
func (l *line) frames(list ...string) bool {
	var b []byte
	for _, f := range list {
		b = wire.AppendFrame(b, f[0], f[1:])
	}
	return l.write(b)
}

// answer reads one frame, and returns its code; 0 when none comes.
func (l *line) answer() byte {
	cmd, _, err := l.in.Next()
	if err != nil {
		if !errors.Is(err, net.ErrClosed) {
			l.s.ended.Add(1)
		}
		return 0
	}
	return cmd
}

// listen reads what comes, and throws it away, until the end.
func (l *line) listen() {
	l.s.wg.Go(func() {
		for l.answer() != 0 {
		}
	})
}

// halfClose says that no more will be sent.
func (l *line) halfClose() {
	if c, ok := l.nc.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

// lead takes the conversation to a step of ordinary, and reports whether the
// milter went along. Steps that it does not answer are sent and not waited for.
func (l *line) lead(steps int) bool {
	if steps == 0 {
		return true
	}
	l.frames(offer)
	cmd, p, err := l.in.Next()
	if err != nil || cmd != wire.CmdNegotiate {
		return false
	}
	n, err := wire.Negotiate(p)
	if err != nil {
		return false
	}
	for _, f := range ordinary[:steps-1] {
		st, _ := wire.StageOf(f[0])
		if n.Protocol&st.NoBit() != 0 {
			continue
		}
		if !l.frames(f) {
			return false
		}
		if n.Protocol&st.NoReplyBit() == 0 {
			if c := l.answer(); c != wire.ReplyContinue && c != wire.ReplyAccept {
				return false
			}
		}
	}
	return true
}

// offer is what both MTAs send first.
var offer = "O" + string(wire.AppendNegotiation(nil, &wire.Negotiation{Version: 6, Actions: wire.CurrentActions, Protocol: wire.CurrentProtocol}))

// ordinary is a message as an honest MTA sends it, behind the offer.
var ordinary = []string{
	"Cclient.example\x004\x12\x34192.0.2.7\x00",
	"Hclient.example\x00",
	"M<a@example.org>\x00SIZE=1000\x00",
	"R<b@example.net>\x00",
	"T",
	"LSubject\x00hello\x00",
	"N",
	"Bbody\r\n",
	"E",
}

// Ordinary plays an honest conversation with one message. It returns an error
// unless the milter lets all of it pass.
func Ordinary(ctx context.Context, t Target) error {
	nc, err := t.dial(ctx)
	if err != nil {
		return fmt.Errorf("hostile: %w", err)
	}
	return OrdinaryOn(ctx, nc)
}

// OrdinaryOn is Ordinary on a connection, which it closes.
func OrdinaryOn(ctx context.Context, nc net.Conn) error {
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	r := wire.NewReader(nc, 1<<20)
	ask := func(f string) (byte, []byte, error) {
		if _, err := nc.Write(wire.AppendFrame(nil, f[0], f[1:])); err != nil {
			return 0, nil, fmt.Errorf("hostile: %s: %w", wire.CommandName(f[0]), err)
		}
		cmd, p, err := r.Next()
		if err != nil {
			err = fmt.Errorf("hostile: answer to %s: %w", wire.CommandName(f[0]), err)
		}
		return cmd, p, err
	}
	cmd, p, err := ask(offer)
	if err != nil {
		return err
	}
	n, err := wire.Negotiate(p)
	if cmd != wire.CmdNegotiate || err != nil {
		return fmt.Errorf("hostile: answer to the offer: %q %q, %v", cmd, p, err)
	}
	for _, f := range ordinary {
		st, _ := wire.StageOf(f[0])
		switch {
		case n.Protocol&st.NoBit() != 0:
		case n.Protocol&st.NoReplyBit() != 0:
			if _, err := nc.Write(wire.AppendFrame(nil, f[0], f[1:])); err != nil {
				return fmt.Errorf("hostile: %s: %w", wire.CommandName(f[0]), err)
			}
		default:
			cmd, p, err := ask(f)
			for err == nil && f[0] == wire.CmdEnd && bytes.IndexByte([]byte("phimb+2-eq"), cmd) >= 0 { // edits
				cmd, p, err = r.Next()
			}
			if err != nil {
				return err
			}
			if cmd != wire.ReplyContinue && cmd != wire.ReplyAccept {
				return fmt.Errorf("hostile: answer to %s: %q %q", wire.CommandName(f[0]), cmd, p)
			}
		}
	}
	_, err = nc.Write(wire.AppendFrame(nil, wire.CmdQuit, ""))
	return err
}

// head returns the first bytes of a frame that says it is n bytes long.
func head(n uint32, rest string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, n), rest...)
}
