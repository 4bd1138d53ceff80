package milter

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	tooManyRcpts  = "y452 4.5.3 too many recipients for the mail filter\x00"
	tooMuchHeader = "y552 5.3.4 message header is too large for the mail filter\x00"
)

// limited returns a server, what it counts, and a connection up to HELO.
func limited(t *testing.T, set func(*Server), h Hooks) (*Server, *counts, *peer) {
	m := new(counts)
	s := filter(h)
	s.Metrics = m
	set(s)
	p := serve(t, s).dial(t)
	p.greet()
	return s, m, p
}

func (c *counts) wantLimits(t *testing.T, want ...string) {
	t.Helper()
	if _, _, got := c.got(); !slices.Equal(got, want) {
		t.Errorf("limits = %q, want %q", got, want)
	}
}

func TestRecipientLimit(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  int
		max  int
	}{{"default", 0, 1000}, {"knob", 3, 3}} {
		t.Run(tt.name, func(t *testing.T) {
			var n notes
			_, m, p := limited(t, func(s *Server) { s.MaxRcpts = tt.set }, n.hooks(nil))
			p.want("c", mailFrame)
			n.take()
			for range tt.max {
				p.want("c", rcptFrame)
			}
			p.want(tooManyRcpts, rcptFrame)
			p.want(tooManyRcpts, rcptFrame)
			if got := n.take(); len(got) != tt.max {
				t.Errorf("hooks saw %d recipients", len(got))
			}
			p.talk(">T", "<c", ">N", "<c", ">E", "<c", ">"+mailFrame, "<c", ">"+rcptFrame, "<c") // the message goes on, the next is counted anew
			m.wantLimits(t, LimitRcpts)
		})
	}
	t.Run("none", func(t *testing.T) {
		_, m, p := limited(t, func(s *Server) { s.MaxRcpts = -1 }, Hooks{Rcpt: new(notes).hooks(nil).Rcpt})
		for range 1100 {
			p.want("c", rcptFrame)
		}
		m.wantLimits(t)
	})
	t.Run("silent", func(t *testing.T) {
		h := new(notes).hooks(nil)
		h.Silent = Stages(StageRcpt)
		_, _, p := limited(t, func(s *Server) { s.MaxRcpts = 1 }, h)
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, ">"+rcptFrame, ">T", "<"+tooManyRcpts) // nobody is left out unchecked
	})
}

func TestHeaderLimits(t *testing.T) {
	field := func(size int) string { return "LX\x00" + strings.Repeat("v", size-4) + "\x00" }
	for _, tt := range []struct {
		name  string
		set   func(*Server)
		size  int // of a field
		count int // that still fit
	}{
		{"default number", func(*Server) {}, 10, 1000},
		{"number", func(s *Server) { s.MaxHeaders = 5 }, 10, 5},
		{"default bytes", func(*Server) {}, 65535 / 2, 1 << 20 / (65535/2 - 1)},
		{"bytes", func(s *Server) { s.MaxHeaderBytes = 1000 }, 101, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, m, p := limited(t, tt.set, new(notes).hooks(nil))
			p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">T", "<c")
			f := field(tt.size)
			for range tt.count {
				p.send(f)
				p.expect("c")
			}
			p.send(f)
			p.expect(tooMuchHeader)
			p.talk(">A", ">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">"+headerFrame, "<c")
			m.wantLimits(t, LimitHeaders)
		})
	}
	t.Run("none", func(t *testing.T) {
		_, m, p := limited(t, func(s *Server) { s.MaxHeaders, s.MaxHeaderBytes = -1, -1 }, new(notes).hooks(nil))
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">T", "<c")
		for range 1100 {
			p.want("c", "LX\x00"+strings.Repeat("v", 1000)+"\x00")
		}
		m.wantLimits(t)
	})
	t.Run("silent", func(t *testing.T) {
		h := new(notes).hooks(nil)
		h.Silent = Stages(StageHeader, StageEndOfHeaders, StageBody)
		_, m, p := limited(t, func(s *Server) { s.MaxHeaders = 2 }, h)
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">T", "<c", ">"+headerFrame, ">"+headerFrame, ">"+headerFrame, ">"+headerFrame, ">N", ">E", "<"+tooMuchHeader)
		m.wantLimits(t, LimitHeaders)
	})
	t.Run("nobody looks", func(t *testing.T) {
		_, m, p := limited(t, func(s *Server) { s.MaxHeaders = 2 }, Hooks{Connect: new(notes).hooks(nil).Connect, Helo: new(notes).hooks(nil).Helo})
		p.talk(">"+headerFrame, "<c", ">"+headerFrame, "<c", ">"+headerFrame, "<"+tooMuchHeader)
		m.wantLimits(t, LimitHeaders)
	})
}

// A filter may put into its own words what the server refuses by a limit; where it
// cannot, the server's stand.
func TestLimitHook(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hook   func(context.Context, Stage, *Refusal) *Refusal
		words  string // behind the server's
		faults int
	}{
		{"other words", func(_ context.Context, _ Stage, r *Refusal) *Refusal {
			if r.Temporary() {
				return TempFail(r.Code(), r.Enhanced(), r.Lines()[0]+" (ref 1)")
			}
			return Reject(r.Code(), r.Enhanced(), r.Lines()[0]+" (ref 1)")
		}, " (ref 1)", 0},
		{"the same", func(context.Context, Stage, *Refusal) *Refusal { return nil }, "", 0},
		{"what cannot be sent", func(context.Context, Stage, *Refusal) *Refusal { return Reject(250, "", "x") }, "", 1},
		{"panic", func(context.Context, Stage, *Refusal) *Refusal { panic("oops") }, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			say := func(s string) string { return strings.TrimSuffix(s, "\x00") + tt.words + "\x00" }
			for _, silent := range []bool{true, false} {
				var stages []Stage
				h := new(notes).hooks(nil)
				h.Limit = func(ctx context.Context, st Stage, r *Refusal) *Refusal {
					stages = append(stages, st)
					if ctx.Err() != nil {
						t.Errorf("the message's context has ended: %v", ctx.Err())
					}
					return tt.hook(ctx, st, r)
				}
				if silent {
					h.Silent = Stages(StageHeader, StageEndOfHeaders, StageBody)
				}
				_, m, p := limited(t, func(s *Server) { s.MaxHeaders, s.MaxRcpts = 2, 1 }, h)
				p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">"+rcptFrame, "<"+say(tooManyRcpts), ">T", "<c")
				if silent {
					p.talk(">"+headerFrame, ">"+headerFrame, ">"+headerFrame, ">"+headerFrame, ">N", ">E", "<"+say(tooMuchHeader))
				} else {
					p.talk(">"+headerFrame, "<c", ">"+headerFrame, "<c", ">"+headerFrame, "<"+say(tooMuchHeader))
				}
				p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c")
				if !slices.Equal(stages, []Stage{StageRcpt, StageHeader}) {
					t.Errorf("the hook was told at %v", stages)
				}
				if _, faults, _ := m.got(); len(faults) != 2*tt.faults {
					t.Errorf("faults %v", faults)
				}
			}
		})
	}
}

// A Limit hook that hangs is abandoned as any other.
func TestLimitHookThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(notes).hooks(nil)
		h.Limit = func(context.Context, Stage, *Refusal) *Refusal { time.Sleep(time.Hour); return nil }
		_, _, p := limited(t, func(s *Server) { s.MaxRcpts = 1 }, h)
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">"+rcptFrame, "<y451 4.3.0 mail filter gomilter failed, please try again later\x00")
		time.Sleep(2 * time.Hour)
	})
}

func TestConnectionLimit(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  int
		max  int
	}{{"default", 0, 1000}, {"knob", 2, 2}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := new(counts)
				s := filter(new(notes).hooks(nil))
				s.MaxConns, s.Metrics = tt.set, m
				ln := serve(t, s)
				var first *peer
				for range tt.max {
					p := ln.dial(t)
					p.offer()
					p.want("c", connectFrame)
					first = p
				}
				// Over it, they are answered; over twice as many, they are closed.
				for range tt.max {
					p := ln.dial(t)
					if n := p.offer(); n.Version != 6 || n.Actions != 0 || n.Protocol != 0 {
						t.Fatalf("busy server answered %+v", n)
					}
					p.want(busyFrame, connectFrame)
				}
				ln.dial(t).closed()
				synctest.Wait()
				if got := s.conns.Load(); got != int64(2*tt.max) || m.conns != 2*tt.max {
					t.Errorf("%d and %d connections", got, m.conns)
				}
				_, _, limits := m.got()
				if len(limits) != tt.max+1 || limits[0] != LimitConns {
					t.Errorf("%d limits", len(limits))
				}
				// One that leaves makes room, once those turned away are gone.
				first.write("Q")
				first.closed()
				time.Sleep(70 * time.Second)
				if got := s.conns.Load(); got != int64(tt.max-1) {
					t.Errorf("%d connections after the others were given up", got)
				}
				p := ln.dial(t)
				p.offer()
				p.want("c", connectFrame)
			})
		})
	}
	t.Run("none", func(t *testing.T) {
		s := filter(Hooks{})
		s.MaxConns = -1
		ln := serve(t, s)
		for range 1050 {
			ln.dial(t).offer()
		}
	})
}

func TestBusyAnswers(t *testing.T) {
	s := filter(Hooks{})
	s.MaxConns = 8 // so many more are answered
	ln := serve(t, s)
	for range s.MaxConns {
		ln.dial(t)
	}
	busy := "<" + busyFrame
	p := ln.dial(t)
	p.talk(">"+heloFrame, busy) // even before an offer
	p.negotiate(2, 0x3f, 0x7f)
	p.talk(">DCj\x00x\x00", ">"+connectFrame, busy, ">"+heloFrame, busy, ">"+mailFrame, busy, ">"+rcptFrame, busy, ">T", busy, ">"+headerFrame, busy,
		">N", busy, ">"+bodyFrame, busy, ">E", busy, ">A", ">UX\x00", busy, ">K", ">Q", "<!")
	for _, bad := range []string{"X", "c", "O", offer(1, 0xf, 0x3f)} {
		p := ln.dial(t)
		p.write(bad)
		p.closed()
	}
	p = ln.dial(t)
	go p.nc.Write([]byte{0, 0, 0, 0})
	p.closed()
}

// Frames that have begun to arrive, and those who sent them wait, take so much
// memory and no more, whoever sends them.
func TestFrameMemoryLimit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		set   int
		conns int // that may hold most of a frame
	}{{"default", 0, 32 << 20 / (128 << 10)}, {"knob", 300 << 10, 2}, {"none", -1, 300}} {
		t.Run(tt.name, func(t *testing.T) {
			m := new(counts)
			s := filter(Hooks{Body: new(notes).hooks(nil).Body})
			s.MaxFrameBytes, s.Metrics = tt.set, m
			addr := serveSocket(t, s, "unix")
			begin := frames("B" + strings.Repeat("x", 65535))
			begin, rest := begin[:40000], begin[40000:]
			var last *peer
			for range tt.conns {
				last = connect(t, addr)
				last.offer()
				if _, err := last.nc.Write(begin); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(100 * time.Millisecond) // until all was read
			p := connect(t, addr)
			p.offer()
			p.nc.Write(begin)
			if tt.set < 0 {
				p.nc.Write(rest)
				p.expect("c")
				return
			}
			p.closed()
			m.wantLimits(t, LimitBuffers)
			p = connect(t, addr) // who sends his at once, or little, is served
			p.offer()
			p.want("c", "B"+strings.Repeat("x", 65535))
			p.want("c", bodyFrame)
			last.nc.Write(rest)
			last.expect("c")
			p.nc.Write(begin) // there is room again
			time.Sleep(20 * time.Millisecond)
			p.nc.Write(rest)
			p.expect("c")
		})
	}
}

func TestLongNamesAreCut(t *testing.T) {
	var s *Session
	long := strings.Repeat("x", 60000)
	heard := 0
	p := serve(t, &Server{New: func(session *Session) Hooks {
		s = session
		return Hooks{
			Connect: func(_ context.Context, c *Client) ConnectReply { return Continue },
			Helo:    func(_ context.Context, name []byte) HeloReply { heard = len(name); return Continue },
		}
	}}).dial(t)
	p.offer()
	p.send("C" + long + "\x00L\x00\x00" + long[:5000] + "\x00")
	p.expect("c")
	p.send("H" + long + "\x00")
	p.expect("c")
	if len(s.Client().Host) != maxKept || len(s.Client().Path) != maxKept || len(s.Helo()) != maxKept || heard != len(long) {
		t.Errorf("host %d, path %d, helo %d and %d bytes", len(s.Client().Host), len(s.Client().Path), len(s.Helo()), heard)
	}
}

func TestOr(t *testing.T) {
	for _, tt := range []struct{ v, def, want int }{{0, 5, 5}, {3, 5, 3}, {-1, 5, 0}} {
		if got := or(tt.v, tt.def); got != tt.want {
			t.Errorf("or(%d, %d) = %d", tt.v, tt.def, got)
		}
	}
	s := &Server{StageTimeout: -1, EndTimeout: -1, ProgressInterval: -1}
	if s.tick() != 250*time.Millisecond || s.grace() <= 0 {
		t.Errorf("tick %v, grace %v", s.tick(), s.grace())
	}
	s = &Server{StageTimeout: 1, EndTimeout: 1}
	if s.tick() != time.Millisecond {
		t.Errorf("tick %v", s.tick())
	}
}
