package hostile_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/hostile"
	"github.com/gomilter/gomilter/internal/wire"
)

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// A life is what the hooks of one session saw, and what is wrong with it.
type life struct {
	mu    sync.Mutex
	open  bool // a message is open
	ended bool // Close was called
	wrong []string
}

func (l *life) see(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		l.wrong = append(l.wrong, what+" after close")
	case (what == "end" || what == "abort") && !l.open && what == "abort":
		l.wrong = append(l.wrong, "abort without a message")
	}
	switch what {
	case "mail", "rcpt", "data", "header", "eoh", "body":
		l.open = true
	case "end", "abort":
		l.open = false
	case "close":
		l.ended = true
	}
}

// obeying are hooks that note what they see and do as the bytes they see tell them.
func obeying(l *life, silent milter.StageSet) milter.Hooks {
	refusal := milter.TempFail(451, "4.7.1", "as told")
	verdict := func(b []byte) (m interface {
		milter.MailReply
		milter.HeaderReply
		milter.BodyReply
		milter.RcptReply
		milter.ConnectReply
		milter.HeloReply
		milter.UnknownReply
	}) {
		switch {
		case bytes.Contains(b, []byte("panic")):
			panic("as told")
		case bytes.Contains(b, []byte("refuse")):
			return refusal
		case bytes.Contains(b, []byte("nothing")):
			return nil
		}
		return milter.Continue
	}
	return milter.Hooks{
		Connect: func(_ context.Context, c *milter.Client) milter.ConnectReply {
			l.see("connect")
			return verdict([]byte(c.Host))
		},
		Helo:         func(_ context.Context, b []byte) milter.HeloReply { l.see("helo"); return verdict(b) },
		Mail:         func(_ context.Context, m *milter.Mail) milter.MailReply { l.see("mail"); return verdict(m.Raw()) },
		Rcpt:         func(_ context.Context, r *milter.Rcpt) milter.RcptReply { l.see("rcpt"); return verdict(r.Raw()) },
		Data:         func(context.Context) milter.DataReply { l.see("data"); return milter.Continue },
		Header:       func(_ context.Context, h *milter.Header) milter.HeaderReply { l.see("header"); return verdict(h.Raw()) },
		EndOfHeaders: func(context.Context) milter.EndOfHeadersReply { l.see("eoh"); return milter.Continue },
		Body: func(_ context.Context, b []byte) milter.BodyReply {
			l.see("body")
			if bytes.Contains(b, []byte("skip")) {
				return milter.Skip
			}
			return verdict(b)
		},
		End: func(_ context.Context, e *milter.Edits) milter.EndReply {
			l.see("end")
			e.AddHeader("X", "v")
			e.ReplaceBody(strings.NewReader("new body"))
			return milter.Accept
		},
		Abort:   func(context.Context) { l.see("abort") },
		Unknown: func(_ context.Context, b []byte) milter.UnknownReply { l.see("unknown"); return verdict(b) },
		Close:   func() { l.see("close") },
		Silent:  silent,
	}
}

var words = []string{
	"O\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff", "O\x00\x00\x00\x02\x00\x00\x00\x3f\x00\x00\x00\x7f",
	"Cclient.example\x004\x12\x34192.0.2.7\x00", "Cpanic\x00U", "Hname\x00", "Hpanic\x00", "Hrefuse\x00", "Hnothing\x00",
	"M<a@b>\x00", "M<refuse>\x00", "M<panic>\x00", "R<a@b>\x00", "R<refuse>\x00", "R<nothing>\x00", "T", "LSubject\x00x\x00", "LX\x00panic\x00",
	"N", "Bbody\r\n", "Bskip", "Brefuse", "E", "Emore", "A", "K", "UFOO\x00", "Upanic\x00", "DCj\x00x\x00", "DMi\x00Q\x00", "DLi\x00Q\x00", "DEi\x00Q\x00", "Q",
}

// FuzzServer plays frames in any order, whole or broken. Answers are never more than
// were due and always well-formed, the hooks see a life that makes sense, and the
// next who comes is served.
func FuzzServer(f *testing.F) {
	for _, in := range []string{"\x00\x02\x04\x08\x0b\x0e\x0f\x11\x12\x15\x1f", "\x00\x04\x09\x08\x0b\x15\x17\x18\x02\x04", "\x01\x02\x19\x08\x19\x0c\x0d\x14", "\x00\xf0H\x05abc\x00x\xf1\x03abc"} {
		for flags := range byte(4) {
			f.Add(flags, []byte(in))
		}
	}
	sessions := make(chan *life, 1000)
	var kinds [4]*pipes
	for i := range kinds {
		kinds[i] = &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		srv := &milter.Server{Log: slog.New(slog.DiscardHandler)}
		silent := milter.StageSet(0)
		if i&1 != 0 {
			silent = ^silent
		}
		if i&2 != 0 {
			srv.OnFault = milter.FaultAccept
		}
		srv.New = func(*milter.Session) milter.Hooks {
			l := new(life)
			sessions <- l
			return obeying(l, silent)
		}
		go srv.Serve(f.Context(), kinds[i])
	}

	f.Fuzz(func(t *testing.T, how byte, script []byte) {
		to := kinds[how&3]
		for len(sessions) > 0 {
			<-sessions
		}
		nc := to.dial()
		nc.SetDeadline(time.Now().Add(10 * time.Second))
		answers := make(chan int)
		go func() {
			n := 0
			defer func() { answers <- n }()
			r := wire.NewReader(nc, 1<<20)
			for {
				cmd, p, err := r.Next()
				switch {
				case err != nil:
					if wire.IsTimeout(err) {
						t.Error("the server hangs")
					}
					return
				case strings.IndexByte("Ocatrdsy", cmd) >= 0:
					n++
				case strings.IndexByte("hib", cmd) < 0:
					t.Errorf("answer %q %q", cmd, p)
				}
				if cmd == 'y' && (len(p) < 5 || p[len(p)-1] != 0) || cmd == 'O' && len(p) < 12 || strings.IndexByte("catrds", cmd) >= 0 && len(p) > 0 {
					t.Errorf("answer %q %q", cmd, p)
				}
			}
		}()
		due := 0
		for i := 0; i < len(script); i++ {
			var b []byte
			switch op := script[i]; {
			case op < 0xf0:
				w := words[int(op)%len(words)]
				b = wire.AppendFrame(b, w[0], w[1:])
				due++
			case op < 0xf8 && i+2 < len(script): // a command and some of what follows
				n := min(int(script[i+2]), len(script)-i-3)
				b = wire.AppendFrame(b, script[i+1], script[i+3:i+3+n])
				i += 2 + n
				due++
			default: // as it is
				n := min(int(op), len(script)-i-1)
				b = script[i+1 : i+1+n]
				i += n
				due += n // there may be frames in it
			}
			if _, err := nc.Write(b); err != nil {
				break
			}
		}
		nc.Close()
		if got := <-answers; got > due {
			t.Errorf("%d answers to %d frames", got, due)
		}
		if err := honest(to); err != nil {
			t.Error(err)
		}
		for len(sessions) > 0 {
			l := <-sessions
			for began := time.Now(); ; time.Sleep(100 * time.Microsecond) {
				l.mu.Lock()
				ended, wrong := l.ended, l.wrong
				l.mu.Unlock()
				if len(wrong) > 0 {
					t.Errorf("hooks saw %q", wrong)
				}
				if ended {
					break
				}
				if time.Since(began) > 10*time.Second {
					t.Error("Close was not called")
					break
				}
			}
		}
	})
}

// honest plays an ordinary conversation on a pipe.
func honest(p *pipes) error {
	return hostile.OrdinaryOn(context.Background(), p.dial())
}
