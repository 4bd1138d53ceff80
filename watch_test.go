package milter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

const (
	failedFrame = "y451 4.3.0 mail filter gomilter failed, please try again later\x00"
	busyFrame   = "y451 4.3.2 mail filter is busy, please try again later\x00"
)

// The conversation up to each stage, and the frame that brings its hook to run.
var stageFrames = []struct {
	stage Stage
	lead  []string // after the offer
	frame string
}{
	{StageConnect, nil, connectFrame},
	{StageHelo, []string{connectFrame}, heloFrame},
	{StageUnknown, []string{connectFrame, heloFrame}, "UFOO\x00"},
	{StageMail, []string{connectFrame, heloFrame}, mailFrame},
	{StageRcpt, []string{connectFrame, heloFrame, mailFrame}, rcptFrame},
	{StageData, []string{connectFrame, heloFrame, mailFrame, rcptFrame}, "T"},
	{StageHeader, []string{connectFrame, heloFrame, mailFrame, rcptFrame, "T"}, headerFrame},
	{StageEndOfHeaders, []string{connectFrame, heloFrame, mailFrame, rcptFrame, "T", headerFrame}, "N"},
	{StageBody, []string{connectFrame, heloFrame, mailFrame, rcptFrame, "T", headerFrame, "N"}, bodyFrame},
	{StageEnd, []string{connectFrame, heloFrame, mailFrame, rcptFrame, "T", headerFrame, "N", bodyFrame}, "E"},
}

// on returns hooks that note what they see, and of which one first does do.
func on(n *notes, s Stage, do func(context.Context)) Hooks {
	h := n.hooks(nil)
	switch s {
	case StageNegotiate:
		h.Negotiate = func(ctx context.Context, _ *Negotiation) error { do(ctx); return nil }
	case StageConnect:
		f := h.Connect
		h.Connect = func(ctx context.Context, c *Client) ConnectReply { do(ctx); return f(ctx, c) }
	case StageHelo:
		f := h.Helo
		h.Helo = func(ctx context.Context, b []byte) HeloReply { do(ctx); return f(ctx, b) }
	case StageUnknown:
		f := h.Unknown
		h.Unknown = func(ctx context.Context, b []byte) UnknownReply { do(ctx); return f(ctx, b) }
	case StageMail:
		f := h.Mail
		h.Mail = func(ctx context.Context, m *Mail) MailReply { do(ctx); return f(ctx, m) }
	case StageRcpt:
		f := h.Rcpt
		h.Rcpt = func(ctx context.Context, r *Rcpt) RcptReply { do(ctx); return f(ctx, r) }
	case StageData:
		f := h.Data
		h.Data = func(ctx context.Context) DataReply { do(ctx); return f(ctx) }
	case StageHeader:
		f := h.Header
		h.Header = func(ctx context.Context, l *Header) HeaderReply { do(ctx); return f(ctx, l) }
	case StageEndOfHeaders:
		f := h.EndOfHeaders
		h.EndOfHeaders = func(ctx context.Context) EndOfHeadersReply { do(ctx); return f(ctx) }
	case StageBody:
		f := h.Body
		h.Body = func(ctx context.Context, b []byte) BodyReply { do(ctx); return f(ctx, b) }
	case StageEnd:
		f := h.End
		h.End = func(ctx context.Context, e *Edits) EndReply { do(ctx); return f(ctx, e) }
	case StageAbort:
		f := h.Abort
		h.Abort = func(ctx context.Context) { do(ctx); f(ctx) }
	case StageClose:
		f := h.Close
		h.Close = func() { do(context.Background()); f() }
	}
	return h
}

// readPast reads the next frame that is no sign of life.
func (p *peer) readPast() string {
	p.t.Helper()
	for {
		if f := p.read(); f != "p" {
			return f
		}
	}
}

// takes fails unless f takes as long as it should, give or take what the watcher
// and the deadlines are coarse by.
func takes(t *testing.T, what string, want, slack time.Duration, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took < want || took > want+slack {
		t.Errorf("%s took %v, want %v to %v", what, took, want, want+slack)
	}
}

func TestHangAtEachStage(t *testing.T) {
	for _, tt := range stageFrames {
		t.Run(tt.stage.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n notes
				release := make(chan struct{})
				ctxErr := make(chan error, 1)
				s := filter(on(&n, tt.stage, func(ctx context.Context) {
					began := time.Now()
					<-ctx.Done()
					if took := time.Since(began); took < 8*time.Second && tt.stage != StageEnd {
						t.Errorf("the context ended after %v", took)
					}
					ctxErr <- ctx.Err()
					<-release
				}))
				m := new(counts)
				s.Metrics = m
				p := serve(t, s).dial(t)
				p.offer()
				for _, f := range tt.lead {
					p.want("c", f)
				}
				n.take()
				limit := 8 * time.Second
				if tt.stage == StageEnd {
					limit = 240 * time.Second
				}
				p.wc.SetReadTimeout(time.Hour)
				p.write(tt.frame)
				takes(t, "the answer", limit+time.Second, time.Second, func() {
					if got := p.readPast(); got != failedFrame {
						t.Errorf("answer = %q", got)
					}
				})
				if err := <-ctxErr; err != context.DeadlineExceeded {
					t.Errorf("Err of the context = %v", err)
				}
				if got := s.abandoned.Load(); got != 1 {
					t.Errorf("%d hooks abandoned, want 1", got)
				}
				// The hook costs its own message. The next one has new hooks, which are told
				// who the client is; a verdict at connect or HELO is for the connection.
				switch tt.stage {
				case StageConnect, StageHelo:
					p.talk(">A", ">DMi\x00Q2\x00", ">"+mailFrame, "<"+failedFrame, ">A", ">UFOO\x00", "<"+failedFrame)
					n.want(t)
				case StageMail: // would hang again
					n.want(t)
				case StageRcpt:
					p.talk(">"+rcptFrame, "<"+failedFrame, ">T", "<"+failedFrame)
					fallthrough
				default:
					p.talk(">A", ">"+mailFrame, "<c")
					if got := n.take(); len(got) == 0 || got[len(got)-1] != "mail a@example.org" {
						t.Errorf("the new hooks saw %q", got)
					}
				}
				close(release)
				synctest.Wait()
				// The hook that came back hears of the end of its message and connection.
				want := []string{"abort", "close"}
				if tt.stage == StageConnect || tt.stage == StageHelo || tt.stage == StageUnknown || tt.stage == StageEnd {
					want = want[1:]
				}
				if got := n.take(); len(got) != 1+len(want) || !strings.HasPrefix(got[0], tt.stage.String()) || !slices.Equal(got[1:], want) {
					t.Errorf("hooks saw %q after the hook returned, want %q and %q", got, tt.stage, want)
				}
				if got := s.abandoned.Load(); got != 0 {
					t.Errorf("%d hooks abandoned after it returned, want 0", got)
				}
				p.talk(">Q", "<!")
				m.wantFaults(t, tt.stage.String()+" hang")
			})
		})
	}
}

func TestHangBeforeTheOfferIsAnswered(t *testing.T) {
	for _, where := range []string{"New", "Negotiate"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n notes
				release := make(chan struct{})
				hang := func(context.Context) { <-release }
				s := filter(on(&n, StageNegotiate, hang))
				if where == "New" {
					s.New = func(*Session) Hooks { hang(nil); return n.hooks(nil) }
				}
				p := serve(t, s).dial(t)
				takes(t, "the answer to the offer", 9*time.Second, time.Second, func() {
					if got := p.negotiate(4, wire.CurrentActions, 0x37f); got.Version != 4 || got.Actions != 0 || got.Protocol != 0 {
						t.Errorf("answer to the offer = %+v", got)
					}
				})
				p.talk(">"+connectFrame, "<"+failedFrame)
				close(release)
				synctest.Wait()
				n.want(t, "close")
				p.talk(">"+heloFrame, "<"+failedFrame, ">Q", "<!")
			})
		})
	}
}

func TestHangInNewAfterQuitNC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		sessions := 0
		s := &Server{New: func(*Session) Hooks {
			if sessions++; sessions > 1 {
				<-release
			}
			return new(notes).hooks(nil)
		}}
		p := serve(t, s).dial(t)
		p.greet()
		p.talk(">K", ">"+connectFrame, "<"+failedFrame, ">"+heloFrame, "<"+failedFrame)
	})
}

func TestHangInAbort(t *testing.T) {
	for _, tt := range []struct {
		name string
		talk []string // after RCPT
	}{
		{"has new hooks for the next message", []string{">A", ">" + mailFrame, "<c"}},
		{"has them for the MAIL that came instead", []string{">" + mailFrame, "<c", ">" + rcptFrame, "<c"}},
		{"has them for the HELO that came instead", []string{">" + heloFrame, "<c"}},
		{"closes after QUIT", []string{">Q", "<!"}},
		{"closes after a broken frame", []string{">B", "<!"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n notes
				release := make(chan struct{})
				p := serve(t, filter(on(&n, StageAbort, func(context.Context) { <-release }))).dial(t)
				p.greet()
				p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c")
				n.take()
				p.talk(tt.talk...)
				told := strings.Join(n.take(), ", ")
				if last := tt.talk[len(tt.talk)-1]; last == "<c" && !strings.HasPrefix(told, "connect client.example, helo client.example") {
					t.Errorf("the new hooks saw %q", told)
				} else if last == "<!" && told != "" {
					t.Errorf("hooks saw %q", told)
				}
				close(release)
				synctest.Wait()
				n.want(t, "abort", "close")
			})
		})
	}
}

func TestHangInClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		release := make(chan struct{})
		s := filter(on(&n, StageClose, func(context.Context) { <-release }))
		p := serve(t, s).dial(t)
		p.offer()
		p.write("Q")
		takes(t, "closing", 9*time.Second, time.Second, p.closed)
		if got := s.abandoned.Load(); got != 1 {
			t.Errorf("%d hooks abandoned, want 1", got)
		}
		close(release)
		synctest.Wait()
		n.want(t, "close")
	})
}

// What the MTA sent behind the frame whose hook hangs is still read.
func TestHangAtSilentStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		release := make(chan struct{})
		defer close(release)
		h := on(&n, StageHeader, func(context.Context) { <-release })
		h.Silent = Stages(StageMail, StageRcpt, StageHeader, StageEndOfHeaders, StageBody)
		s := filter(h)
		p := serve(t, s).dial(t)
		p.greet()
		p.write(mailFrame, rcptFrame)
		p.want("c", "T")
		p.write(headerFrame, "LTo\x00x\x00", "N", "B"+strings.Repeat("x", 100))
		p.quiet(7 * time.Second)
		p.want(failedFrame, "E")
		p.talk(">A", ">"+mailFrame, ">"+rcptFrame, ">T", "<c") // the next one has new hooks
	})
}

// Also when the bytes behind it are cut anywhere, and are more than one read brings.
func TestHangKeepsWhatWasReadTooEarly(t *testing.T) {
	for _, cut := range []int{1, 4, 5, 700, 20000} {
		synctest.Test(t, func(t *testing.T) {
			var n notes
			release := make(chan struct{})
			defer close(release)
			h := on(&n, StageHeader, func(context.Context) { <-release })
			h.Silent = Stages(StageHeader, StageEndOfHeaders, StageBody)
			p := serve(t, filter(h)).dial(t)
			p.greet()
			p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">T", "<c")
			b := frames(headerFrame, "N", "B"+strings.Repeat("x", 30000), "E")
			go func() {
				p.nc.Write(b[:len(frames(headerFrame))+cut])
				time.Sleep(20 * time.Second)
				p.nc.Write(b[len(frames(headerFrame))+cut:])
			}()
			p.expect(failedFrame)
		})
	}
}

func TestHangByPolicy(t *testing.T) {
	for _, tt := range []struct {
		policy FaultPolicy
		answer string
	}{
		{FaultTempFail, failedFrame},
		{FaultReject, "y554 5.3.0 mail filter gomilter failed\x00"},
		{FaultAccept, "a"},
		{FaultContinue, "c"},
	} {
		t.Run(tt.policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				s := filter(on(new(notes), StageRcpt, func(context.Context) { <-release }))
				s.OnFault = tt.policy
				p := serve(t, s).dial(t)
				p.greet()
				p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<"+tt.answer)
				switch tt.policy {
				case FaultTempFail, FaultReject: // the rest of the message, too
					p.talk(">T", "<"+tt.answer)
				case FaultContinue: // no hook sees the rest of it
					p.talk(">T", "<c", ">N", "<c", ">E", "<c")
				}
				p.talk(">A", ">"+mailFrame, "<c")
			})
		})
	}
}

func TestHookThatHeedsItsContextIsNotAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		s := filter(on(&n, StageRcpt, func(ctx context.Context) { <-ctx.Done() }))
		p := serve(t, s).dial(t)
		p.greet()
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c")
		// The next hook has a context of its own.
		p.talk(">"+rcptFrame, "<c", ">T", "<c", ">E", "<!")
		if got := s.abandoned.Load(); got != 0 {
			t.Errorf("%d hooks abandoned", got)
		}
	})
}

func TestContextAfterTheTimeIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		h := on(&n, StageHelo, func(ctx context.Context) { <-ctx.Done() })
		h.Mail = func(ctx context.Context, _ *Mail) MailReply { n.add("mail %v", ctx.Err()); return Continue }
		h.Unknown = func(ctx context.Context, _ []byte) UnknownReply { n.add("unknown %v", ctx.Err()); return Continue }
		p := serve(t, filter(h)).dial(t)
		p.greet()
		n.take()
		p.talk(">"+mailFrame, "<c", ">UX\x00", "<c")
		n.want(t, "mail <nil>", "unknown <nil>")
	})
}

// The fields that came before a command whose hook hangs still count.
func TestFieldsAreCountedAfterAHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		s := filter(on(new(notes), StageUnknown, func(context.Context) { <-release }))
		hooks := s.New
		s.New = func(c *Session) Hooks {
			h := hooks(c)
			h.End = func(_ context.Context, e *Edits) EndReply { must(t, e.ChangeHeader("Subject", 1, "v")); return Accept }
			return h
		}
		p := serve(t, s).dial(t)
		p.greet()
		p.wc.SetReadTimeout(time.Hour)
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">LSubject\x00x\x00", "<c", ">UFOO\x00", "<"+failedFrame,
			">N", "<c", ">E", "<m\x00\x00\x00\x01Subject\x00v\x00", "<a", ">Q", "<!")
	})
}

func TestTimesAreKnobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		hang := func(context.Context) { <-release }
		s := filter(on(new(notes), StageRcpt, hang))
		s.StageTimeout = 100 * time.Millisecond
		p := serve(t, s).dial(t)
		p.greet()
		p.want("c", mailFrame)
		takes(t, "the answer", 112*time.Millisecond, 50*time.Millisecond, func() { p.want(failedFrame, rcptFrame) })

		s = filter(on(new(notes), StageEnd, hang))
		s.EndTimeout, s.ProgressInterval = 10*time.Second, -1
		p = serve(t, s).dial(t)
		p.greet()
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c")
		takes(t, "the answer", 11*time.Second, time.Second, func() { p.want(failedFrame, "E") })

		s = filter(on(new(notes), StageRcpt, func(context.Context) { time.Sleep(3 * time.Hour) }))
		s.StageTimeout = -1
		p = serve(t, s).dial(t)
		p.greet()
		p.wc.SetReadTimeout(48 * time.Hour)
		p.want("c", mailFrame)
		takes(t, "a hook without limit", 3*time.Hour, 0, func() { p.want("c", rcptFrame) })
	})
}

// The hook and the reader of the new body share the time of the end of message.
func TestEndTimeIncludesTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(counts)
		release := make(chan struct{})
		defer close(release)
		h := Hooks{End: func(_ context.Context, e *Edits) EndReply {
			time.Sleep(200 * time.Second)
			if err := e.ReplaceBody(readerFunc(func([]byte) (int, error) { <-release; return 0, io.EOF })); err != nil {
				t.Error(err)
			}
			return Accept
		}}
		s := filter(h)
		s.Metrics = m
		p := serve(t, s).dial(t)
		p.wc.SetReadTimeout(time.Hour)
		p.offer()
		p.write("E")
		takes(t, "the answer", 241*time.Second, time.Second, func() {
			if got := p.readPast(); got != failedFrame {
				t.Errorf("answer = %q", got)
			}
		})
		m.wantFaults(t, "end hang")
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestProgressAtTheEndOfMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := filter(on(new(notes), StageEnd, func(context.Context) { time.Sleep(10 * time.Second) }))
		p := serve(t, s).dial(t)
		p.greet()
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c")
		p.write("E")
		for range 3 {
			takes(t, "progress", 2900*time.Millisecond, 600*time.Millisecond, func() { p.expect("p") })
		}
		p.expect("c")
		p.quiet(time.Minute)
	})
}

func TestProgressOnlyWhereItIsUnderstood(t *testing.T) {
	for _, tt := range stageFrames {
		if tt.stage == StageEnd {
			continue
		}
		for _, postfix := range []bool{false, true} {
			for _, silent := range []bool{false, true} {
				name := tt.stage.String()
				if postfix {
					name += " of Postfix"
				}
				if silent {
					name += ", silent"
				}
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						h := on(new(notes), tt.stage, func(context.Context) { time.Sleep(5 * time.Second) })
						if silent {
							h.Silent = Stages(tt.stage)
						}
						p := serve(t, filter(h)).dial(t)
						p.offer()
						if postfix {
							p.write("DCv\x00Postfix 3.7.11\x00")
						}
						for _, f := range tt.lead {
							p.want("c", f)
						}
						p.write(tt.frame)
						if postfix && !silent {
							p.expect("p")
						}
						if !silent {
							p.expect("c")
						}
						p.quiet(20 * time.Second)
					})
				})
			}
		}
	}
}

func TestNoProgressForAbortAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := on(new(notes), StageAbort, func(context.Context) { time.Sleep(5 * time.Second) })
		h.Close = func() { time.Sleep(5 * time.Second) }
		p := serve(t, filter(h)).dial(t)
		p.offer()
		p.talk(">DCv\x00Postfix 3.7.11\x00", ">"+connectFrame, "<c", ">"+heloFrame, "<c", ">"+mailFrame, "<c", ">A")
		p.quiet(10 * time.Second)
		p.talk(">Q", "<!")
	})
}

func TestProgressByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept *Edits
		h := Hooks{End: func(_ context.Context, e *Edits) EndReply {
			kept = e
			if err := e.Progress(); err != nil {
				t.Error(err)
			}
			return Accept
		}}
		p := serve(t, filter(h)).dial(t)
		p.offer()
		p.talk(">E", "<p", "<a")
		if err := kept.Progress(); err != ErrEnded {
			t.Errorf("Progress after the hook = %v", err)
		}
	})
}

// An abandoned hook can send nothing any more.
func TestAbandonedHookCannotEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		release := make(chan struct{})
		s := filter(Hooks{End: func(_ context.Context, e *Edits) EndReply {
			if err := e.AddHeader("X", "early"); err != nil {
				t.Error(err)
			}
			<-release
			n.add("add: %v", e.AddHeader("X", "late"))
			n.add("body: %v", e.ReplaceBody(strings.NewReader("x")))
			n.add("progress: %v", e.Progress())
			return Accept
		}})
		s.OnFault = FaultAccept
		s.ProgressInterval = -1
		p := serve(t, s).dial(t)
		p.wc.SetReadTimeout(time.Hour)
		p.offer()
		p.talk(">E", "<a")
		close(release)
		synctest.Wait()
		n.want(t, "add: "+ErrEnded.Error(), "body: "+ErrEnded.Error(), "progress: "+ErrEnded.Error())
		p.quiet(time.Minute)
	})
}

// Bytes lent to a hook are not reused when it is abandoned.
func TestAbandonedHookKeepsItsBytes(t *testing.T) {
	addr := func(t *testing.T, release chan struct{}, got chan []byte) *peer {
		var hung atomic.Bool
		s := filter(Hooks{Header: func(_ context.Context, h *Header) HeaderReply {
			if hung.Swap(true) {
				return Continue
			}
			b := h.ValueBytes()
			<-release
			got <- bytes.Clone(b)
			return Continue
		}})
		s.StageTimeout = 20 * time.Millisecond
		return connect(t, serveSocket(t, s, "unix"))
	}
	release, got := make(chan struct{}), make(chan []byte, 1)
	p := addr(t, release, got)
	p.offer()
	want := strings.Repeat("a", 5000)
	p.want(failedFrame, "LX\x00"+want+"\x00")
	for range 100 { // whatever buffer these use
		p.want("c", "LX\x00"+strings.Repeat("b", 5000)+"\x00")
	}
	close(release)
	if b := <-got; string(b) != want {
		t.Errorf("the hook's bytes changed to %.20q", b)
	}
}

func TestTooManyAbandonedHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		m := new(counts)
		s := filter(on(new(notes), StageHelo, func(context.Context) { <-release }))
		s.MaxAbandoned, s.Metrics = 2, m
		ln := serve(t, s)
		synctest.Wait()
		for i := range 2 {
			if err := s.Ready(); err != nil {
				t.Errorf("Ready with %d abandoned hooks = %v", i, err)
			}
			p := ln.dial(t)
			p.offer()
			p.talk(">"+connectFrame, "<c", ">"+heloFrame, "<"+failedFrame)
		}
		if err := s.Ready(); err == nil || !strings.Contains(err.Error(), "2 hooks overstayed") {
			t.Errorf("Ready with 2 abandoned hooks = %v", err)
		}
		p := ln.dial(t)
		if n := p.offer(); n.Protocol != 0 || n.Actions != 0 || n.Version != 6 {
			t.Errorf("busy server answered the offer with %+v", n)
		}
		p.talk(">"+connectFrame, "<"+busyFrame, ">DHx\x00y\x00", ">"+heloFrame, "<"+busyFrame, ">"+mailFrame, "<"+busyFrame, ">A", ">K",
			">"+connectFrame, "<"+busyFrame, ">Q", "<!")
		if _, _, limits := m.got(); strings.Join(limits, " ") != LimitAbandoned+" "+LimitAbandoned { // the second of the two, and the new one
			t.Errorf("limits = %q", limits)
		}
		close(release)
		synctest.Wait()
		if err := s.Ready(); err != nil {
			t.Errorf("Ready after they returned = %v", err)
		}
		p = ln.dial(t)
		p.offer()
		p.talk(">"+connectFrame, "<c", ">Q", "<!")
	})
}

func TestMTAGoesAwayDuringHook(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		for _, how := range []string{"close", "QUIT", "ABORT", "reset"} {
			t.Run(network+" "+how, func(t *testing.T) {
				got := make(chan error, 1)
				in := make(chan struct{})
				s := filter(on(new(notes), StageRcpt, func(ctx context.Context) {
					close(in)
					select {
					case <-ctx.Done():
						got <- ctx.Err()
					case <-time.After(5 * time.Second):
						got <- errors.New("the context did not end")
					}
				}))
				s.ProgressInterval = 20 * time.Millisecond // makes the watcher look often
				p := connect(t, serveSocket(t, s, network))
				p.greet()
				p.want("c", mailFrame)
				p.write(rcptFrame)
				<-in
				switch how {
				case "close":
					p.nc.Close()
				case "reset":
					if l, ok := p.nc.(interface{ SetLinger(int) error }); ok {
						l.SetLinger(0)
					}
					p.nc.Close()
				case "QUIT":
					p.write("Q")
				case "ABORT":
					p.write("A")
				}
				if err := <-got; err != context.Canceled {
					t.Errorf("Err of the context = %v, want %v", err, context.Canceled)
				}
				if how == "ABORT" { // the connection lives on
					p.expect("c")
					p.talk(">"+mailFrame, "<c", ">Q", "<!")
				}
			})
		}
	}
}

func TestPipelinedFrameDoesNotLookLikeLeaving(t *testing.T) {
	done := make(chan error, 1)
	h := on(new(notes), StageHeader, func(ctx context.Context) {
		select {
		case <-ctx.Done():
			done <- ctx.Err()
		case <-time.After(300 * time.Millisecond):
			done <- nil
		}
	})
	s := filter(h)
	s.ProgressInterval = 20 * time.Millisecond
	p := connect(t, serveSocket(t, s, "unix"))
	p.greet()
	p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">T", "<c")
	p.write(headerFrame)
	time.Sleep(50 * time.Millisecond)
	p.write("N")
	if err := <-done; err != nil {
		t.Errorf("the context ended: %v", err)
	}
	p.expect("c", "c")
}

// A body that begins like a QUIT is no QUIT.
func TestBodyThatLooksLikeQuit(t *testing.T) {
	done := make(chan error, 1)
	h := on(new(notes), StageHeader, func(ctx context.Context) {
		select {
		case <-ctx.Done():
			done <- ctx.Err()
		case <-time.After(200 * time.Millisecond):
			done <- nil
		}
	})
	h.Silent = Stages(StageHeader)
	s := filter(h)
	s.ProgressInterval = 20 * time.Millisecond
	p := connect(t, serveSocket(t, s, "unix"))
	p.greet()
	p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">T", "<c")
	b := frames(headerFrame, "N", "B"+string(frames("Q")))
	cut := len(b) - 5
	p.nc.Write(b[:cut])
	time.Sleep(50 * time.Millisecond)
	p.nc.Write(b[cut:])
	if err := <-done; err != nil {
		t.Errorf("the context ended: %v", err)
	}
	p.expect("c", "c")
}

func TestIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		p := serve(t, filter(n.hooks(nil))).dial(t)
		p.greet()
		time.Sleep(7200 * time.Second)
		p.talk(">"+mailFrame, "<c")
		time.Sleep(7200 * time.Second)
		p.talk(">"+rcptFrame, "<c")
		n.take()
		p.wc.SetReadTimeout(24 * time.Hour)
		takes(t, "closing an idle connection", 7210*time.Second, 7210*time.Second/15, p.closed)
		n.want(t, "abort", "close")

		s := filter(n.hooks(nil))
		s.IdleTimeout = time.Minute
		p = serve(t, s).dial(t)
		p.greet()
		p.wc.SetReadTimeout(24 * time.Hour)
		takes(t, "closing an idle connection", 59*time.Second, 7*time.Second, p.closed)

		s = filter(n.hooks(nil))
		s.IdleTimeout = -1
		p = serve(t, s).dial(t)
		p.greet()
		time.Sleep(5 * time.Hour)
		p.talk(">"+mailFrame, "<c")
		b := frames(rcptFrame)
		p.nc.Write(b[:5])
		time.Sleep(time.Minute / 2)
		p.nc.Write(b[5:])
		p.expect("c")
		time.Sleep(5 * time.Hour)
		p.want("c", rcptFrame)
	})
}

func TestFirstFrameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		ln := serve(t, filter(n.hooks(nil)))
		p := ln.dial(t)
		p.wc.SetReadTimeout(time.Hour)
		takes(t, "closing a connection that says nothing", 60*time.Second, 5*time.Second, p.closed)
		n.want(t)
		p = ln.dial(t)
		p.wc.SetReadTimeout(time.Hour)
		p.nc.Write([]byte{0, 0, 0})
		takes(t, "closing a connection that says half a word", 60*time.Second, 4*time.Second, p.closed)
	})
}

// A frame that has begun to arrive must end in time, wherever it stands.
func TestFrameTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		lead []string
	}{
		{"between messages", nil},
		{"in a message", []string{">" + mailFrame, "<c", ">" + rcptFrame, "<c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := serve(t, filter(new(notes).hooks(nil))).dial(t)
				p.greet()
				p.talk(tt.lead...)
				p.wc.SetReadTimeout(time.Hour)
				time.Sleep(20 * time.Minute)
				go func() {
					for _, b := range frames("U" + strings.Repeat("x", 100) + "\x00") {
						if _, err := p.nc.Write([]byte{b}); err != nil {
							return
						}
						time.Sleep(5 * time.Second)
					}
				}()
				takes(t, "closing a dribbling connection", 60*time.Second, 4*time.Second, p.closed)
				time.Sleep(10 * time.Second) // the writer notices
			})
		})
	}
}

func TestWriteTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		p := serve(t, filter(n.hooks(nil))).dial(t)
		p.greet()
		p.write(mailFrame) // and never read the answer
		synctest.Wait()
		n.take()
		time.Sleep(9 * time.Second)
		n.want(t)
		time.Sleep(3 * time.Second)
		n.want(t, "abort", "close")
		p.closed()
	})
}

// A nudge that comes when the wait has just ended by itself must not pass a later
// timeout off as a nudge.
func TestLateNudgeProlongsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		s := filter(n.hooks(nil))
		p := serve(t, s).dial(t)
		p.wc.SetReadTimeout(time.Hour)
		p.nc.Write([]byte{0, 0, 0})
		time.Sleep(2 * time.Second) // the nudge that lets it save memory is over
		for set := range s.sets {
			for _, c := range set.all() {
				c.nudged.Store(true)
			}
		}
		takes(t, "closing a connection that says half a word", 58*time.Second, 5*time.Second, p.closed)
	})
}
