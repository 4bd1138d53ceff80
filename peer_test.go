package milter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// A peer plays the MTA against a server, frame by frame.
type peer struct {
	t  testing.TB
	wc *wire.Conn
	nc net.Conn
}

func newPeer(t testing.TB, nc net.Conn) *peer {
	t.Cleanup(func() { nc.Close() })
	return &peer{t, wire.NewConn(nc, 1<<20, time.Minute, 0), nc}
}

// serve starts a server on an in-process listener and stops it with the test.
func serve(t testing.TB, s *Server) *pipeListener {
	t.Helper()
	ln := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	start(t, s, ln)
	return ln
}

// start starts a server on a listener and stops it with the test. What it logs is
// shown when the test fails.
func start(t testing.TB, s *Server, ln net.Listener) {
	t.Helper()
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != ErrServerClosed {
			t.Errorf("Serve = %v, want %v", err, ErrServerClosed)
		}
	})
}

// serveSocket is like serve on a real socket: "unix" or "tcp".
func serveSocket(t testing.TB, s *Server, network string) net.Addr {
	t.Helper()
	spec := "inet:0@127.0.0.1"
	if network == "unix" {
		spec = "unix:" + filepath.Join(t.TempDir(), "s")
	}
	ln, err := Listen(spec, SocketOptions{})
	if err != nil {
		t.Fatal(err)
	}
	start(t, s, ln)
	return ln.Addr()
}

// connect connects to a real socket.
func connect(t testing.TB, addr net.Addr) *peer {
	t.Helper()
	nc, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, nc)
}

// A pipeListener hands out the far ends of pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (ln *pipeListener) dial(t testing.TB) *peer {
	t.Helper()
	ours, theirs := net.Pipe()
	select {
	case ln.conns <- theirs:
	case <-ln.closed:
		t.Fatal("dial: the server does not listen")
	}
	return newPeer(t, ours)
}

func (ln *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-ln.conns:
		return c, nil
	case <-ln.closed:
		return nil, net.ErrClosed
	}
}
func (ln *pipeListener) Close() error {
	ln.once.Do(func() { close(ln.closed) })
	return nil
}
func (ln *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// frames encodes frames; each is a command byte and its payload.
func frames(list ...string) []byte {
	var b []byte
	for _, f := range list {
		b = wire.AppendFrame(b, f[0], f[1:])
	}
	return b
}

// write sends frames together.
func (p *peer) write(list ...string) {
	p.t.Helper()
	if err := p.wc.Write(frames(list...)); err != nil {
		p.t.Fatalf("write %.100q: %v", list, err)
	}
}

// send is write without waiting for the other end to read.
func (p *peer) send(list ...string) {
	go p.wc.Write(frames(list...))
}

// next returns the next frame, command byte and payload, or the error.
func (p *peer) next() (string, error) {
	cmd, payload, err := p.wc.Next()
	if err != nil {
		return "", err
	}
	return string(cmd) + string(payload), nil
}

func (p *peer) read() string {
	p.t.Helper()
	f, err := p.next()
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return f
}

// expect reads these frames and no other.
func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, want := range want {
		if got := p.read(); got != want {
			p.t.Fatalf("got %.200q, want %.200q", got, want)
		}
	}
}

// want sends frames and compares the one answer.
func (p *peer) want(answer string, list ...string) {
	p.t.Helper()
	p.write(list...)
	if got := p.read(); got != answer {
		p.t.Fatalf("answer to %.100q = %.200q, want %q", list, got, answer)
	}
}

// closed waits for the other end to close, without an answer before.
func (p *peer) closed() {
	p.t.Helper()
	if f, err := p.next(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) && !isReset(err) {
		p.t.Fatalf("got %q, %v, want the connection closed", f, err)
	}
}

func isReset(err error) bool { return err != nil && strings.Contains(err.Error(), "reset by peer") }

// sync returns when the server has carried out what it was sent: it takes a frame
// from the pipe, which says nothing, only after those before.
func (p *peer) sync() {
	p.t.Helper()
	p.write("D!")
}

// quiet fails when something arrives within d.
func (p *peer) quiet(d time.Duration) {
	p.t.Helper()
	p.wc.SetReadTimeout(d)
	defer p.wc.SetReadTimeout(time.Minute)
	if f, err := p.next(); !wire.IsTimeout(err) {
		p.t.Fatalf("got %q, %v, want nothing", f, err)
	}
}

// talk plays a conversation: each line is ">" and a frame to send, "<" and the
// frame wanted in answer, or "<!" when the connection is to be closed.
func (p *peer) talk(lines ...string) {
	p.t.Helper()
	var out []string
	flush := func() {
		if len(out) > 0 {
			p.write(out...)
		}
		out = nil
	}
	for i, line := range lines {
		if line[0] == '>' {
			out = append(out, line[1:])
			continue
		}
		flush()
		if line == "<!" {
			p.closed()
			continue
		}
		if got, err := p.next(); err != nil || got != line[1:] {
			p.t.Fatalf("line %d: got %.200q, %v, want %.200q\n%q", i, got, err, line[1:], lines[:i+1])
		}
	}
	flush()
}

// negotiate offers and returns what the filter asked for.
func (p *peer) negotiate(version uint32, actions Actions, protocol Protocol) wire.Negotiation {
	p.t.Helper()
	p.write(offer(version, actions, protocol))
	f := p.read()
	if f[0] != wire.CmdNegotiate {
		p.t.Fatalf("answer to the offer = %q", f)
	}
	n, err := wire.Negotiate([]byte(f[1:]))
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

func offer(version uint32, actions Actions, protocol Protocol) string {
	return "O" + string(wire.AppendNegotiation(nil, &wire.Negotiation{Version: version, Actions: actions, Protocol: protocol}))
}

// offer negotiates as both MTAs do.
func (p *peer) offer() wire.Negotiation {
	p.t.Helper()
	return p.negotiate(6, wire.CurrentActions, wire.CurrentProtocol)
}

// Frames of an ordinary conversation.
const (
	connectFrame = "Cclient.example\x004\x12\x34192.0.2.7\x00"
	heloFrame    = "Hclient.example\x00"
	mailFrame    = "M<a@example.org>\x00"
	rcptFrame    = "R<b@example.net>\x00"
	headerFrame  = "LSubject\x00hello\x00"
	bodyFrame    = "Bbody\r\n"
)

// greet offers and takes the conversation up to HELO, with hooks for both.
func (p *peer) greet() {
	p.t.Helper()
	p.offer()
	p.talk(">"+connectFrame, "<c", ">"+heloFrame, "<c")
}

// ordinary plays a whole conversation with a server whose hooks, whichever are
// set, let everything pass.
func (p *peer) ordinary() {
	p.t.Helper()
	n := p.offer()
	for _, f := range []string{connectFrame, heloFrame, mailFrame, rcptFrame, "T", headerFrame, "N", bodyFrame, "E"} {
		st, _ := wire.StageOf(f[0])
		switch {
		case n.Protocol&st.NoBit() != 0:
		case n.Protocol&st.NoReplyBit() != 0:
			p.write(f)
		default:
			p.write(f)
			if got := p.read(); got != "c" && got != "a" {
				p.t.Fatalf("answer to %q = %q", f, got)
			}
		}
	}
	p.write("Q")
	p.closed()
}

// notes collects what hooks saw.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, fmt.Sprintf(format, args...))
}

// take returns the notes and forgets them.
func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.list
	n.list = nil
	return list
}

func (n *notes) want(t testing.TB, want ...string) {
	t.Helper()
	if got := n.take(); !slices.Equal(got, want) {
		t.Fatalf("hooks saw %q\nwant %q", got, want)
	}
}

// hooks returns all hooks: each notes its stage and argument and answers what the
// map has for the stage, or Continue.
func (n *notes) hooks(replies map[Stage]Reply) Hooks {
	return Hooks{
		Connect: func(_ context.Context, c *Client) ConnectReply {
			n.add("connect %s", c.Host)
			return reply[ConnectReply](replies, StageConnect)
		},
		Helo: func(_ context.Context, name []byte) HeloReply {
			n.add("helo %s", name)
			return reply[HeloReply](replies, StageHelo)
		},
		Mail: func(_ context.Context, m *Mail) MailReply {
			n.add("mail %s", m.Address())
			return reply[MailReply](replies, StageMail)
		},
		Rcpt: func(_ context.Context, r *Rcpt) RcptReply {
			n.add("rcpt %s", r.Address())
			return reply[RcptReply](replies, StageRcpt)
		},
		Data: func(context.Context) DataReply {
			n.add("data")
			return reply[DataReply](replies, StageData)
		},
		Header: func(_ context.Context, h *Header) HeaderReply {
			n.add("header %s", h.Name())
			return reply[HeaderReply](replies, StageHeader)
		},
		EndOfHeaders: func(context.Context) EndOfHeadersReply {
			n.add("eoh")
			return reply[EndOfHeadersReply](replies, StageEndOfHeaders)
		},
		Body: func(_ context.Context, b []byte) BodyReply {
			n.add("body %.20q", b)
			return reply[BodyReply](replies, StageBody)
		},
		End: func(context.Context, *Edits) EndReply {
			n.add("end")
			return reply[EndReply](replies, StageEnd)
		},
		Abort: func(context.Context) { n.add("abort") },
		Unknown: func(_ context.Context, b []byte) UnknownReply {
			n.add("unknown %s", b)
			return reply[UnknownReply](replies, StageUnknown)
		},
		Close: func() { n.add("close") },
	}
}

// reply returns what a map has for a stage. A value that is no reply of the stage
// becomes nil.
func reply[T Reply](replies map[Stage]Reply, s Stage) (t T) {
	r, ok := replies[s]
	if !ok {
		r = Continue
	}
	t, _ = r.(T)
	return t
}

// filter returns a server all of whose connections have these hooks.
func filter(h Hooks) *Server { return &Server{New: func(*Session) Hooks { return h }} }

// A logBook keeps what a server logs, a line a record, for tests to look at.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// counts is a Metrics that remembers everything.
type counts struct {
	mu       sync.Mutex
	conns    int
	opened   int
	verdicts []string
	faults   []string
	limits   []string
	took     []time.Duration
}

func (c *counts) Connection(delta int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns += delta
	c.opened += max(delta, 0)
}

func (c *counts) Verdict(s Stage, verdict string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.verdicts = append(c.verdicts, s.String()+" "+verdict)
	c.took = append(c.took, took)
}

func (c *counts) Fault(s Stage, kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, s.String()+" "+kind)
}

func (c *counts) Limit(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = append(c.limits, name)
}

// got returns a copy of what was counted so far.
func (c *counts) got() (verdicts, faults, limits []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.verdicts), slices.Clone(c.faults), slices.Clone(c.limits)
}

func (c *counts) wantFaults(t testing.TB, want ...string) {
	t.Helper()
	if _, got, _ := c.got(); !slices.Equal(got, want) {
		t.Errorf("faults = %q, want %q", got, want)
	}
}
