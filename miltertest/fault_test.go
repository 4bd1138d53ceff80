package miltertest_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

func panics() *milter.Server {
	return filter(milter.Hooks{End: func(context.Context, *milter.Edits) milter.EndReply { panic("oops") }})
}

func TestFailingHookFailsTheTest(t *testing.T) {
	wantErrors(t, watch(func(t *fakeT) {
		miltertest.New(t, panics()).Send(t, miltertest.Mail{})
	}), "filter: panic of the end hook: oops")

	c := miltertest.New(t, panics())
	c.FaultsOK = true
	res := c.Send(t, miltertest.Mail{})
	equal(t, "told", res.Told(), "451 4.3.0 mail filter gomilter failed, please try again later")
	equal(t, "faults the MTA saw", len(res.Faults), 0)
}

func TestFilterThatBreaksTheProtocolFailsTheTest(t *testing.T) {
	liar := func(c *miltertest.Client) { // it answers MAIL with an edit
		c.Milters = append(c.Milters, mta.Milter{Name: "liar", Dial: func(context.Context) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				buf := make([]byte, 4096)
				for {
					n, err := theirs.Read(buf)
					switch {
					case err != nil:
						return
					case buf[4] == 'O': // it wants neither connect nor HELO
						theirs.Write([]byte("\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00\x00\x03"))
					case strings.Contains(string(buf[:n]), "M<sender"):
						theirs.Write([]byte("\x00\x00\x00\x05hX\x001\x00"))
					}
				}
			}()
			return ours, nil
		}})
	}
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		wantErrors(t, watch(func(t *fakeT) {
			c := miltertest.New(t)
			c.Profile = profile
			liar(c)
			c.Send(t, miltertest.Mail{})
		}), "mta: milter liar: mail: "+mta.ErrUnexpectedReply.Error())

		c := miltertest.New(t, end(func(*milter.Edits) {}))
		c.Profile, c.FaultsOK, c.Failure = profile, true, mta.FailReject
		liar(c)
		res := c.Send(t, miltertest.Mail{})
		equal(t, "verdict", res.Verdict, mta.Reject)
		if len(res.Faults) != 1 || !errors.Is(res.Faults[0], mta.ErrUnexpectedReply) {
			t.Errorf("faults = %v", res.Faults)
		}
		if s := res.String(); !strings.Contains(s, "fault mta: milter liar") {
			t.Errorf("String = %s", s)
		}
	})
}

func TestHookThatNeverReturnsFailsTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		errs := watch(func(t *fakeT) {
			c := miltertest.New(t, filter(milter.Hooks{Data: func(context.Context) milter.DataReply { <-release; return milter.Continue }}))
			c.FaultsOK = true
			c.Background = true // which is not for hooks
			res := c.Send(t, miltertest.Mail{})
			if res.Verdict != mta.TempFail || res.Stage != "data" {
				t.Errorf("verdict = %v at %v", res.Verdict, res.Stage)
			}
		})
		wantErrors(t, errs, "filter has stopped and leaves a goroutine behind")
		if !strings.Contains(errs[0], "TestHookThatNeverReturnsFailsTheTest") {
			t.Errorf("the stack does not name the hook: %s", errs[0])
		}
	})
}

func TestGoroutineLeftByAHookFailsTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		leaky := func() *milter.Server {
			return filter(milter.Hooks{Data: func(context.Context) milter.DataReply {
				go func() { <-release }()
				return milter.Continue
			}})
		}
		wantErrors(t, watch(func(t *fakeT) { miltertest.New(t, leaky()).Send(t, miltertest.Mail{}) }), "leaves a goroutine behind")
		wantErrors(t, watch(func(t *fakeT) {
			c := miltertest.New(t, leaky())
			c.Background = true
			c.Send(t, miltertest.Mail{})
		}))
	})
}

func TestServerIsGivenBack(t *testing.T) {
	srv := end(func(*milter.Edits) {})
	for range 2 {
		errs := watch(func(t *fakeT) {
			miltertest.New(t, srv).Send(t, miltertest.Mail{})
			wantFatal := watch(func(t *fakeT) { miltertest.New(t, srv) })
			if len(wantFatal) != 1 || !strings.Contains(wantFatal[0], "served by another Client") {
				t.Errorf("a second New: %q", wantFatal)
			}
		})
		wantErrors(t, errs)
	}
	if srv.Log != nil || srv.Metrics != nil {
		t.Errorf("Log = %v, Metrics = %v after the test", srv.Log, srv.Metrics)
	}
	wantErrors(t, watch(func(t *fakeT) { miltertest.New(t, &milter.Server{}) }), "Server.New is nil")
}

type tally struct {
	conns, verdicts, faults, limits atomic.Int64
}

func (m *tally) Connection(delta int)                        { m.conns.Add(int64(delta)) }
func (m *tally) Verdict(milter.Stage, string, time.Duration) { m.verdicts.Add(1) }
func (m *tally) Fault(milter.Stage, string)                  { m.faults.Add(1) }
func (m *tally) Limit(string)                                { m.limits.Add(1) }

func TestMetricsOfTheServerCount(t *testing.T) {
	m := new(tally)
	srv := panics()
	srv.Metrics, srv.MaxRcpts = m, 1
	c := miltertest.New(t, srv)
	c.FaultsOK = true
	s := c.Connect(t)
	equal(t, "connections", m.conns.Load(), 1)
	res := s.Send(miltertest.Mail{Rcpts: []string{"a@x", "b@x"}})
	s.Quit()
	equal(t, "recipients", len(res.Rcpts()), 2) // no Rcpt hook, nothing counted
	equal(t, "connections", m.conns.Load(), 0)
	equal(t, "faults", m.faults.Load(), 1)
	equal(t, "verdicts", m.verdicts.Load(), 1)
	equal(t, "limits", m.limits.Load(), 0)
}

func TestHangIsPlayedOnTheClockOfABubble(t *testing.T) {
	for _, profile := range []mta.Profile{mta.Sendmail, mta.Postfix} {
		t.Run(profile.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := miltertest.New(t, filter(milter.Hooks{Rcpt: func(ctx context.Context, _ *milter.Rcpt) milter.RcptReply {
					<-ctx.Done() // and a little longer
					time.Sleep(5 * time.Second)
					return milter.Continue
				}}))
				c.Profile = profile
				c.FaultsOK = true
				s := c.Connect(t)
				s.Helo("h")
				s.Mail("<a@example.org>")
				began := time.Now()
				step := s.Rcpt("<b@example.net>")
				equal(t, "verdict", step.Verdict, mta.TempFail)
				equal(t, "why", step.Answers[0].Said(), "451 4.3.0 mail filter gomilter failed, please try again later")
				if took := time.Since(began); took < 8*time.Second || took > 10*time.Second {
					t.Errorf("the answer took %v", took)
				}
			})
		})
	}
}

func TestFilterThatOutwaitsTheMTA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := filter(milter.Hooks{Data: func(context.Context) milter.DataReply {
			time.Sleep(24 * time.Second)
			return milter.Continue
		}})
		srv.StageTimeout = -1
		c := miltertest.New(t, srv)
		c.Profile, c.FaultsOK = mta.Sendmail, true
		c.Milters[0].Failure = mta.FailTempFail
		c.Timeouts.Command = 20 * time.Second
		began := time.Now()
		res := c.Send(t, miltertest.Mail{})
		equal(t, "verdict", res.Verdict, mta.TempFail)
		equal(t, "answer", res.At(mta.StageData)[0].Said(), "nothing")
		if took := time.Since(began); took < 20*time.Second || took > 40*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestProgressWhileTheEndRunsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := miltertest.New(t, filter(milter.Hooks{End: func(_ context.Context, e *milter.Edits) milter.EndReply {
			must(t, e.Progress())
			time.Sleep(10 * time.Second)
			must(t, e.Quarantine("slow"), e.AddHeader("X", "1"))
			return milter.Accept
		}}))
		res := c.Send(t, miltertest.Mail{})
		a := res.At(mta.StageEnd)[0]
		if a.Progress != 4 || a.Edits != 2 || a.Said() != "accept" {
			t.Errorf("answer = %+v", a)
		}
		if res.Quarantine == nil || *res.Quarantine != "slow" {
			t.Errorf("quarantine = %v", res.Quarantine)
		}
	})
}

func TestMTAThatDiesInTheMiddle(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		for _, st := range []mta.Stage{mta.StageRcpt, mta.StageHeader, mta.StageBody} {
			var log []string
			c := miltertest.New(t, filter(milter.Hooks{
				Rcpt: func(context.Context, *milter.Rcpt) milter.RcptReply {
					log = append(log, "rcpt")
					return milter.Continue
				},
				Header: func(_ context.Context, h *milter.Header) milter.HeaderReply {
					log = append(log, h.Name())
					return milter.Continue
				},
				Body:   func(context.Context, []byte) milter.BodyReply { log = append(log, "body"); return milter.Continue },
				End:    func(context.Context, *milter.Edits) milter.EndReply { log = append(log, "end"); return milter.Accept },
				Abort:  func(context.Context) { log = append(log, "abort") },
				Close:  func() { log = append(log, "close") },
				Silent: milter.Stages(milter.StageHeader, milter.StageBody), // which leave in one write
			}))
			c.Profile = profile
			s := c.Connect(t)
			s.BreakAfter(st)
			s.Send(miltertest.Mail{Text: "A: 1\nB: 2\n\nx\n"})
			s.Quit()
			want := map[mta.Stage][]string{
				mta.StageRcpt:   {"rcpt", "abort", "close"},
				mta.StageHeader: {"rcpt", "A", "abort", "close"},
				mta.StageBody:   {"rcpt", "A", "B", "body", "abort", "close"},
			}[st]
			equal(t, "the hooks saw", log, want)
		}
		closed := false
		c := miltertest.New(t, filter(milter.Hooks{Close: func() { closed = true }}))
		c.Profile = profile
		c.Connect(t).Close()
		equal(t, "closed", closed, true)
	})
}

func TestRawFrames(t *testing.T) {
	c := miltertest.New(t, filter(milter.Hooks{
		Helo: func(context.Context, []byte) milter.HeloReply { return milter.Continue },
		Mail: func(context.Context, *milter.Mail) milter.MailReply { return refusal },
	}))
	raw := c.Raw(t, 0)
	a := raw.Offer()
	if a.Told(mta.StageRcpt) || !a.Told(mta.StageMail) {
		t.Errorf("agreement = %+v", a)
	}
	raw.Send(miltertest.Frame('H', "h.example"), miltertest.Frame('D', "Mi", "Q1"), miltertest.Frame('M', "<a@example.org>", "SIZE=1"))
	raw.Expect("c", "y554 5.7.1 refused here\x00")
	raw.ExpectNothing(time.Millisecond)
	raw.Send("O") // a second offer may not come
	raw.ExpectClosed()

	raw = c.Raw(t, 0)
	raw.Write([]byte{0xff, 0xff, 0xff, 0xff})
	raw.Settle()
	raw.Write([]byte("O"))
	raw.ExpectClosed()

	wantErrors(t, watch(func(t *fakeT) {
		raw := miltertest.New(t, end(func(*milter.Edits) {})).Raw(t, 0)
		raw.Offer()
		raw.Send("E")
		raw.Expect("t")
	}), `the filter sent "a"`)
}

func TestServerThatStopped(t *testing.T) {
	srv := end(func(*milter.Edits) {})
	c := miltertest.New(t, srv)
	c.Send(t, miltertest.Mail{})
	must(t, srv.Shutdown(t.Context()))
	c.FaultsOK = true
	res := c.Send(t, miltertest.Mail{})
	equal(t, "verdict", res.Verdict, mta.TempFail)
	if len(res.Faults) == 0 || !strings.Contains(res.Faults[0].Error(), "does not serve") {
		t.Errorf("faults = %v", res.Faults)
	}
	equal(t, "agreements", len(res.Agreements), 0)
}

func TestGolden(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		c := miltertest.New(t, filter(milter.Hooks{
			Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
				if r.Local() == "no" {
					return milter.Reject(550, "5.1.1", "no such user", "really")
				}
				return milter.Continue
			},
			Header: func(context.Context, *milter.Header) milter.HeaderReply { return milter.Continue },
			End: func(_ context.Context, e *milter.Edits) milter.EndReply {
				must(t, e.InsertHeader(0, "X-Top", "caf\xe9 \\o/"), e.AddRcpt("<more@example.net>", "NOTIFY=NEVER"), e.Quarantine("to be looked at"))
				return milter.Accept
			},
		}))
		c.Profile = profile
		res := c.Send(t, miltertest.Mail{
			From: "sender@example.org RET=HDRS", Rcpts: []string{"no@example.net", "yes@example.net"}, File: "testdata/golden.eml",
		})
		file := "testdata/golden." + profile.String() + ".want"
		res.Golden(t, file)
		if miltertest.Update() {
			return
		}
		res.Message.Body = append([]byte("one more\r\n"), res.Message.Body...)
		wantErrors(t, watch(func(t *fakeT) { res.Golden(t, file) }), "+ one more\n")
		wantErrors(t, watch(func(t *fakeT) { res.Golden(t, filepath.Join("testdata", "missing")) }), "-miltertest.update writes it:\nverdict accept")
	})
}
