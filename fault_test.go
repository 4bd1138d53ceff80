package milter

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

var policies = []struct {
	policy FaultPolicy
	answer string
}{
	{FaultTempFail, failedFrame},
	{FaultReject, "y554 5.3.0 mail filter gomilter failed\x00"},
	{FaultAccept, "a"},
	{FaultContinue, "c"},
}

func TestPanicAtEachStage(t *testing.T) {
	for _, tt := range stageFrames {
		for _, p := range policies {
			t.Run(tt.stage.String()+" "+p.policy.String(), func(t *testing.T) {
				var n notes
				var book logBook
				m := new(counts)
				s := filter(on(&n, tt.stage, func(context.Context) { panic("oh no") }))
				s.OnFault, s.Log, s.Metrics = p.policy, book.logger(), m
				ln := serve(t, s)
				other := ln.dial(t) // another conversation is not touched
				other.offer()
				mta := ln.dial(t)
				mta.offer()
				for _, f := range tt.lead {
					mta.want("c", f)
				}
				answer := p.answer
				if tt.stage == StageUnknown && p.policy == FaultAccept {
					answer = "c" // the MTA would take more for the next message
				}
				mta.want(answer, tt.frame)
				m.wantFaults(t, tt.stage.String()+" panic")
				if log := book.String(); !strings.Contains(log, "oh no") || !strings.Contains(log, "fault_test.go") || !strings.Contains(log, "policy="+p.policy.String()) {
					t.Errorf("log = %s", log)
				}
				other.write("Q")
				other.closed()
				// The connection itself goes on.
				mta.write("A", heloFrame)
				if tt.stage == StageHelo {
					mta.expect(p.answer)
				} else {
					mta.expect("c")
				}
				mta.write("Q")
				mta.closed()
				if got := n.take(); got[len(got)-1] != "close" {
					t.Errorf("hooks saw %q", got)
				}
			})
		}
	}
}

func TestPanicWhereNothingIsAnswered(t *testing.T) {
	for _, stage := range []Stage{StageAbort, StageClose} {
		t.Run(stage.String(), func(t *testing.T) {
			var n notes
			m := new(counts)
			s := filter(on(&n, stage, func(context.Context) { panic("oh no") }))
			s.Metrics = m
			p := serve(t, s).dial(t)
			p.greet()
			p.talk(">"+mailFrame, "<c", ">A", ">"+mailFrame, "<c", ">"+mailFrame, "<c", ">Q", "<!")
			want := []string{"close panic"}
			if stage == StageAbort {
				want = []string{"abort panic", "abort panic", "abort panic"}
			}
			m.wantFaults(t, want...)
		})
	}
}

// Values that panic in unusual ways are all the same.
func TestOddPanics(t *testing.T) {
	for name, do := range map[string]func(){
		"nil":          func() { panic(nil) },
		"error":        func() { panic(errors.New("x")) },
		"ErrAbort":     func() { panic(errAbandoned) },
		"runtime":      func() { var m map[int]int; m[1] = 1 },
		"nil function": func() { var f func(); f() },
		"bad Error":    func() { panic(badError{}) },
		"nested":       func() { defer func() { panic("second") }(); panic("first") },
		"repanic":      func() { defer func() { panic(recover()) }(); panic("first") },
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, filter(on(new(notes), StageHelo, func(context.Context) { do() }))).dial(t)
			p.offer()
			p.talk(">"+heloFrame, "<"+failedFrame, ">"+mailFrame, "<c")
		})
	}
}

type badError struct{}

func (badError) Error() string { panic("in Error") }

func TestGoexitAtEachStage(t *testing.T) {
	for _, tt := range stageFrames {
		for _, p := range policies {
			t.Run(tt.stage.String()+" "+p.policy.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var n notes
					m := new(counts)
					s := filter(on(&n, tt.stage, func(context.Context) { runtime.Goexit() }))
					s.OnFault, s.Metrics = p.policy, m
					mta := serve(t, s).dial(t)
					mta.offer()
					for _, f := range tt.lead {
						mta.want("c", f)
					}
					answer := p.answer
					if tt.stage == StageUnknown && p.policy == FaultAccept {
						answer = "c"
					}
					mta.want(answer, tt.frame)
					// The next message has new hooks, unless the policy's answer was for
					// the connection.
					next, sets, faults := "c", 2, []string{tt.stage.String() + " panic"}
					switch {
					case (tt.stage == StageConnect || tt.stage == StageHelo) && p.policy != FaultContinue:
						next, sets = p.answer, 1
					case tt.stage == StageMail:
						next, faults = p.answer, append(faults, faults...)
					}
					mta.want(next, mailFrame)
					mta.write("Q")
					mta.closed()
					synctest.Wait()
					m.wantFaults(t, faults...)
					if got := n.take(); got[len(got)-1] != "close" || strings.Count(strings.Join(got, " "), "close") != sets {
						t.Errorf("hooks saw %q, want close %d times", got, sets)
					}
					if got := s.abandoned.Load(); got != 0 {
						t.Errorf("%d hooks abandoned", got)
					}
					if got := s.conns.Load(); got != 0 {
						t.Errorf("%d connections", got)
					}
				})
			})
		}
	}
}

func TestGoexitElsewhere(t *testing.T) {
	for _, where := range []string{"New", "Negotiate", "Abort", "Close"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n notes
				stage := map[string]Stage{"Negotiate": StageNegotiate, "Abort": StageAbort, "Close": StageClose}[where]
				s := filter(on(&n, stage, func(context.Context) { runtime.Goexit() }))
				if where == "New" {
					s.New = func(*Session) Hooks { runtime.Goexit(); return Hooks{} }
				}
				p := serve(t, s).dial(t)
				p.offer()
				switch where {
				case "New", "Negotiate":
					p.talk(">"+heloFrame, "<"+failedFrame, ">Q", "<!")
				case "Abort":
					p.talk(">"+mailFrame, "<c", ">"+mailFrame, "<c", ">Q", "<!")
				case "Close":
					p.talk(">Q", "<!")
				}
				synctest.Wait()
				if got := s.conns.Load() + s.abandoned.Load(); got != 0 {
					t.Errorf("%d connections and abandoned hooks", got)
				}
			})
		})
	}
}

// Whatever a hook queued before it panicked stays here, and so does what its
// goroutines queue afterwards.
func TestNoEditLeavesAfterPanic(t *testing.T) {
	for _, p := range policies {
		for _, how := range []string{"panic", "Goexit", "nil reply"} {
			t.Run(p.policy.String()+" "+how, func(t *testing.T) {
				var stop atomic.Bool
				defer stop.Store(true)
				s := filter(Hooks{End: func(_ context.Context, e *Edits) EndReply {
					e.AddHeader("X", "1")
					e.ChangeHeader("Y", 1, "2")
					e.AddRcpt("a@b")
					e.Quarantine("why")
					e.ReplaceBody(strings.NewReader("new"))
					started := make(chan struct{})
					go func() {
						for !stop.Load() {
							if e.AddHeader("Z", "3") == nil {
								e.ReplaceBody(strings.NewReader("newer"))
							}
							select {
							case <-started:
							default:
								close(started)
							}
							runtime.Gosched()
						}
					}()
					<-started
					switch how {
					case "panic":
						panic("oh no")
					case "Goexit":
						runtime.Goexit()
					}
					return nil
				}})
				s.OnFault = p.policy
				mta := serve(t, s).dial(t)
				mta.offer()
				mta.want(p.answer, "E")
				mta.write("Q")
				mta.closed()
			})
		}
	}
}

func TestNameInTheAnswer(t *testing.T) {
	for name, want := range map[string]string{
		"":         failedFrame,
		"greylist": "y451 4.3.0 mail filter greylist failed, please try again later\x00",
		"100%":     "y451 4.3.0 mail filter 100%% failed, please try again later\x00",
		"b\xe4d":   "t", // what cannot be said is left to the MTA
	} {
		s := filter(on(new(notes), StageHelo, func(context.Context) { panic("x") }))
		s.Name = name
		p := serve(t, s).dial(t)
		p.offer()
		p.want(want, heloFrame)
	}
}

func TestFaultTypes(t *testing.T) {
	cause := errors.New("cause")
	he := &HookError{StageRcpt, FaultPanic, cause}
	if he.Error() != "milter: panic in the rcpt hook: cause" || !errors.Is(he, cause) {
		t.Errorf("HookError: %v", he)
	}
	pe := &ProtocolError{wire.CmdHelo, StageConnect, 17, cause}
	if pe.Error() != "milter: HELO at offset 17, after connect: cause" || !errors.Is(pe, cause) {
		t.Errorf("ProtocolError: %v", pe)
	}
	for p, want := range map[FaultPolicy]string{FaultTempFail: "tempfail", FaultReject: "reject", FaultAccept: "accept", FaultContinue: "continue", 9: "invalid policy"} {
		if p.String() != want {
			t.Errorf("%d is called %q", p, p)
		}
	}
}

// A panic behind the time of a hook, when the connection is somebody else's.
func TestPanicOfAbandonedHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		s := filter(on(&n, StageRcpt, func(context.Context) {
			time.Sleep(20 * time.Second)
			panic("late")
		}))
		p := serve(t, s).dial(t)
		p.greet()
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<"+failedFrame)
		n.take()
		time.Sleep(20 * time.Second)
		n.want(t, "abort", "close")
		p.talk(">T", "<"+failedFrame, ">Q", "<!")
		if got := s.abandoned.Load(); got != 0 {
			t.Errorf("%d hooks abandoned", got)
		}
	})
}

// Close of an abandoned connection may fail in every way, too.
func TestCloseAfterAbandonment(t *testing.T) {
	for name, do := range map[string]func(){"panic": func() { panic("x") }, "Goexit": runtime.Goexit, "slow": func() { time.Sleep(time.Minute) }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := on(new(notes), StageRcpt, func(context.Context) { time.Sleep(20 * time.Second) })
				h.Close = do
				s := filter(h)
				p := serve(t, s).dial(t)
				p.greet()
				p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<"+failedFrame)
				time.Sleep(2 * time.Minute)
				if got := s.abandoned.Load(); got != 0 {
					t.Errorf("%d hooks abandoned", got)
				}
				p.talk(">T", "<"+failedFrame, ">Q")
				time.Sleep(2 * time.Minute) // that of the hooks after them
			})
		})
	}
}

func TestNewIsNil(t *testing.T) {
	ln := &pipeListener{closed: make(chan struct{})}
	if err := new(Server).Serve(t.Context(), ln); err == nil || err == ErrServerClosed {
		t.Errorf("Serve = %v", err)
	}
	if _, err := ln.Accept(); err == nil {
		t.Error("the listener was left open")
	}
}
