package milter

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// A peer plays the MTA on a pipe to a server, frame by frame.
type peer struct {
	t  *testing.T
	wc *wire.Conn
	nc net.Conn
}

// serve starts a server on an in-process listener and stops it with the test.
func serve(t *testing.T, s *Server) *pipeListener {
	t.Helper()
	ln := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != ErrServerClosed {
			t.Errorf("Serve = %v, want %v", err, ErrServerClosed)
		}
	})
	return ln
}

func (ln *pipeListener) dial(t *testing.T) *peer {
	t.Helper()
	ours, theirs := net.Pipe()
	ln.conns <- theirs
	t.Cleanup(func() { ours.Close() })
	return &peer{t, wire.NewConn(ours, 1<<20, 10*time.Second, 10*time.Second), ours}
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (ln *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-ln.conns:
		return c, nil
	case <-ln.closed:
		return nil, net.ErrClosed
	}
}
func (ln *pipeListener) Close() error   { close(ln.closed); return nil }
func (ln *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// write sends frames; each is a command byte and its payload.
func (p *peer) write(frames ...string) {
	p.t.Helper()
	var b []byte
	for _, f := range frames {
		b = wire.AppendFrame(b, f[0], f[1:])
	}
	if err := p.wc.Write(b); err != nil {
		p.t.Fatalf("write %q: %v", frames, err)
	}
}

// read returns the next frame, command byte and payload.
func (p *peer) read() string {
	p.t.Helper()
	cmd, payload, err := p.wc.Next()
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return string(cmd) + string(payload)
}

// want sends frames and compares the one answer.
func (p *peer) want(answer string, frames ...string) {
	p.t.Helper()
	p.write(frames...)
	if got := p.read(); got != answer {
		p.t.Fatalf("answer to %q = %q, want %q", frames, got, answer)
	}
}

// offer negotiates as both MTAs do and returns the bits granted.
func (p *peer) offer() wire.Negotiation {
	p.t.Helper()
	p.write("O" + string(wire.AppendNegotiation(nil, &wire.Negotiation{Version: 6, Actions: wire.CurrentActions, Protocol: wire.CurrentProtocol})))
	n, err := wire.Negotiate([]byte(p.read()[1:]))
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

func TestConversation(t *testing.T) {
	var got []string
	note := func(s string) { got = append(got, s) }
	ln := serve(t, &Server{New: func(s *Session) Hooks {
		return Hooks{
			Connect: func(_ context.Context, c *Client) ConnectReply {
				note("connect " + c.Host + " " + c.Addr.String())
				return Continue
			},
			Helo: func(_ context.Context, name []byte) HeloReply { note("helo " + string(name)); return Continue },
			Mail: func(_ context.Context, m *Mail) MailReply { note("mail " + m.Address()); return Continue },
			Rcpt: func(_ context.Context, r *Rcpt) RcptReply {
				note("rcpt " + r.Address())
				if r.Domain() == "old.example" {
					return Reject(550, "5.1.6", "100% gone")
				}
				return Continue
			},
			Data: func(context.Context) DataReply { note("data " + s.QueueID()); return Continue },
			Header: func(_ context.Context, h *Header) HeaderReply {
				note("header " + h.Name() + "=" + h.Value())
				return Continue
			},
			EndOfHeaders: func(context.Context) EndOfHeadersReply { note("eoh"); return Continue },
			Body:         func(_ context.Context, b []byte) BodyReply { note("body " + string(b)); return Continue },
			End: func(_ context.Context, e *Edits) EndReply {
				note("end")
				if err := e.DeleteHeader("X", 1); err != nil {
					t.Error(err)
				}
				if err := e.ChangeHeader("X", 2, "two"); err != nil {
					t.Error(err)
				}
				if err := e.InsertHeader(0, "A", "b\r\n c"); err != nil {
					t.Error(err)
				}
				return Accept
			},
			Abort: func(context.Context) { note("abort") },
			Close: func() { note("close") },
		}
	}})
	p := ln.dial(t)
	if n := p.offer(); n.Protocol != wire.NoUnknown|wire.Skip {
		t.Errorf("protocol = %v", n.Protocol)
	}
	p.want("c", "DCj\x00mx\x00", "Cclient.example\x004\x12\x34192.0.2.7\x00")
	p.want("c", "Hclient\x00")
	p.want("c", "M<a@b>\x00SIZE=1\x00")
	p.want("y550 5.1.6 100%% gone\x00", "R<x@OLD.example>\x00")
	p.want("c", "R<y@new.example>\x00")
	p.want("c", "DTi\x00Q1\x00", "T")
	p.want("c", "LSubject\x00hi\x00")
	p.want("c", "N")
	p.want("c", "Bbody\r\n")
	p.write("E")
	for _, want := range []string{"m\x00\x00\x00\x02X\x00two\x00", "m\x00\x00\x00\x01X\x00\x00", "i\x00\x00\x00\x00A\x00b\n c\x00", "a"} {
		if got := p.read(); got != want {
			t.Errorf("at the end got %q, want %q", got, want)
		}
	}
	p.write("A", "Q")
	p.nc.Read(make([]byte, 1)) // until the other end closed
	want := []string{"connect client.example 192.0.2.7:4660", "helo client", "mail a@b", "rcpt x@OLD.example", "rcpt y@new.example",
		"data Q1", "header Subject=hi", "eoh", "body body\r\n", "end", "close"}
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || got[i] != want[i] {
			t.Fatalf("hooks = %q\nwant %q", got, want)
		}
	}
}
