package filter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/quarantine"
)

// connect begins an SMTP connection to which the chain listens.
func (c *chainTest) connect(t *testing.T) *mta.Session {
	t.Helper()
	c.client.Milters = nil
	stop := attach(t, &c.client, []*milter.Server{{New: c.Hooks, Log: c.Log}})
	s, _, err := c.client.Connect(t.Context(), c.mail.Conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); stop() })
	if _, err := s.Helo(t.Context(), "client.example"); err != nil {
		t.Fatal(err)
	}
	return s
}

// sendOver sends a message over the connection.
func sendOver(t *testing.T, s *mta.Session, rcpt, raw string) *mta.Result {
	t.Helper()
	ctx := t.Context()
	if out, err := s.Mail(ctx, "<a@example.com>"); err != nil || out.Reply != nil {
		return s.Result()
	}
	if out, err := s.Rcpt(ctx, rcpt); err != nil || out.Reply != nil {
		r := s.Result()
		s.Reset(ctx)
		return r
	}
	if _, err := s.Data(ctx); err != nil {
		t.Fatal(err)
	}
	r, err := s.Message(ctx, []byte(strings.ReplaceAll(raw, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Nothing of a message is left for the next one, also where the server ended the
// first by a limit of its own.
func TestMessagesOfAConnectionAreApart(t *testing.T) {
	var seen []string
	c := newChainTest(filter.Step{Filter: onMessage("look", func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		var b strings.Builder
		tr.Message().WriteTo(&b)
		seen = append(seen, fmt.Sprint(tr.Rcpts(), b.Len()))
		return milter.Accept, nil
	})})
	s := c.connect(t)
	for i, raw := range []string{"Subject: one\n\nbody\n", strings.Repeat("X: y\n", 1100) + "\nbody\n", "Subject: two\n\nbody\n", "Subject: three\n\nbody\n"} {
		r := sendOver(t, s, fmt.Sprintf("<r%d@example.net>", i), raw)
		if want := i != 1; (r.Verdict == mta.Accept) != want {
			t.Errorf("message %d: %s", i, r.Verdict)
		}
	}
	if got := strings.Join(seen, " "); got != "[<r0@example.net>] 22 [<r2@example.net>] 22 [<r3@example.net>] 24" {
		t.Errorf("the filter saw %s", got)
	}
	if len(c.told) != 4 || c.told[1].Verdict != "reject" {
		t.Errorf("%d explanations: %v", len(c.told), c.told)
	}
}

// A hook that is left behind may go on telling facts.
func TestAbandonedHookTellsFacts(t *testing.T) {
	var stop atomic.Bool
	c := newChainTest(filter.Step{Timeout: 20 * time.Millisecond, OnError: filter.ErrorSkip,
		Filter: onMessage("tells", func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
			for i := 0; !stop.Load(); i++ {
				filter.Tell(tr, i)
				filter.Tell(tr.Connection, int64(i))
				tr.Explain("x")
				if i > 1000 {
					time.Sleep(time.Microsecond)
				}
			}
			return milter.Accept, nil
		})})
	defer stop.Store(true)
	if r := c.send(t); r.Verdict != mta.Accept {
		t.Error(r.Verdict)
	}
}

// The chain goes on behind an abandoned hook with the edits made before, and no
// others.
func TestEditsOutliveAnAbandonedHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := onMessage("hangs", func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
			time.Sleep(time.Hour)
			return milter.Accept, nil
		})
		c := newChainTest(filter.Step{Filter: mark("before")}, filter.Step{Filter: hangs, Timeout: time.Second, OnError: filter.ErrorSkip}, filter.Step{Filter: mark("after")})
		c.mail.From = "<sender@example.com> SIZE=100"
		r := c.send(t)
		if line(r) != "accept" || marks(r) != "before after" || len(r.Envelope.Rcpts) != 3 || len(r.Edits) != 2 {
			t.Errorf("%s, marks %q, envelope %v, edits %v", line(r), marks(r), r.Envelope, r.Edits)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestSenderIsChangedBesideTheClientsParameters(t *testing.T) {
	c := newChainTest(filter.Step{Filter: onMessage("from", func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		return milter.Accept, e.ChangeFrom("new@example.org", "RET=HDRS")
	})})
	c.mail.From = "<sender@example.com> SIZE=100 BODY=8BITMIME ENVID=x"
	if r := c.send(t); line(r) != "accept" || r.Envelope.From != "new@example.org" || !strings.Contains(fmt.Sprint(r.Envelope.FromArgs), "RET=HDRS") {
		t.Errorf("%s, envelope %v", line(r), r.Envelope)
	}
}

// A filter that fails and lets pass ends its own part and that of those behind it.
func TestErrorAcceptAtEarlierStages(t *testing.T) {
	fails := func(at string) *filter.Filter {
		f := &filter.Filter{Name: "fails"}
		oops := errors.New("oops")
		switch at {
		case "connect":
			f.Connect = func(context.Context, *filter.Connection) (milter.ConnectReply, error) { return nil, oops }
		case "mail":
			f.Mail = func(context.Context, *filter.Transaction) (milter.MailReply, error) { return nil, oops }
		case "rcpt":
			f.Rcpt = func(context.Context, *filter.Transaction, filter.Path) (milter.RcptReply, error) { return nil, oops }
		}
		return f
	}
	for _, at := range []string{"connect", "mail", "rcpt"} {
		c := newChainTest(filter.Step{Filter: mark("before")}, filter.Step{Filter: fails(at), OnError: filter.ErrorAccept}, filter.Step{Filter: mark("after")})
		s := c.connect(t)
		for i, want := range []string{"before", map[string]string{"connect": "before after"}[at]} {
			if want == "" {
				want = "before"
			}
			if r := sendOver(t, s, "<b@example.net>", "Subject: x\n\nx\n"); marks(r) != want {
				t.Errorf("%s, message %d: %s, marks %q, want %q", at, i, r.Verdict, marks(r), want)
			}
		}
	}
}

// AUTH is for one message; a failure is no refusal that it cancels.
func TestD10AuthIsForOneMessage(t *testing.T) {
	for _, failed := range []bool{false, true} {
		c := newChainTest(filter.Step{Filter: &filter.Filter{Name: "bad", Connect: func(context.Context, *filter.Connection) (milter.ConnectReply, error) {
			if failed {
				return nil, errors.New("no answer")
			}
			return milter.Reject(550, "5.7.1", "no"), nil
		}}}, filter.Step{Filter: &filter.Filter{Name: "asked", Connect: func(_ context.Context, c *filter.Connection) (milter.ConnectReply, error) {
			filter.Tell(c, true)
			return milter.Continue, nil
		}, Mail: func(_ context.Context, tr *filter.Transaction) (milter.MailReply, error) {
			if _, ok := filter.Told[bool](tr); !ok {
				t.Error("a filter was not told of the connection")
			}
			return milter.Continue, nil
		}}})
		s := c.connect(t)
		s.SetMacros(map[string]string{"auth_authen": "joe"})
		if r := sendOver(t, s, "<b@example.net>", "Subject: x\n\nx\n"); (r.Verdict == mta.Accept) == failed {
			t.Errorf("failed %v, with AUTH: %s", failed, r.Verdict)
		}
		s.UnsetMacros("auth_authen")
		if r := sendOver(t, s, "<b@example.net>", "Subject: x\n\nx\n"); r.Recipients[0].Reply == nil {
			t.Errorf("failed %v, without AUTH: %s", failed, r.Verdict)
		}
	}
	sub := newChainTest(filter.Step{Filter: &filter.Filter{Name: "bad", Connect: func(context.Context, *filter.Connection) (milter.ConnectReply, error) { panic("oops") }}})
	sub.Submission = true
	if got := line(sub.send(t)); !strings.HasPrefix(got, "tempfail") {
		t.Errorf("a failure on a submission listener: %s", got)
	}
}

// Recipients that differ in letters are two to Sendmail.
func TestRecipientsThatDifferInLetters(t *testing.T) {
	c := newChainTest(filter.Step{Filter: onMessage("picky", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		no := milter.Reject(550, "5.7.1", "no")
		return milter.Accept, errors.Join(e.RefuseRcpt("bob@example.net", no), e.RefuseRcpt("BOB@example.net", no))
	})})
	c.Disagree, c.client.Profile = filter.DropRefused, mta.Sendmail
	c.mail.Rcpts = []string{"<bob@example.net>", "<BOB@example.net>", "<carol@example.net>"}
	if r := c.send(t); len(r.Envelope.Rcpts) != 1 || r.Envelope.Rcpts[0].Address != "carol@example.net" {
		t.Errorf("delivered to %v", r.Envelope.Rcpts)
	}
}

func TestMacrosOfConnectAndRcpt(t *testing.T) {
	var seen []string
	f := &filter.Filter{Name: "f", Needs: filter.Needs{Macros: map[milter.Stage][]string{milter.StageConnect: {"{daemon_name}"}, milter.StageRcpt: {"{rcpt_addr}"}}},
		Rcpt: func(_ context.Context, tr *filter.Transaction, _ filter.Path) (milter.RcptReply, error) {
			d, _ := tr.Macro("daemon_name")
			r, _ := tr.Macro("{rcpt_addr}")
			seen = append(seen, d+" "+r)
			return milter.Continue, nil
		}}
	c := newChainTest(filter.Step{Filter: f})
	c.client.Macros = map[string]string{"daemon_name": "smtpd"}
	c.send(t)
	if got := strings.Join(seen, ", "); got != "smtpd a@example.net, smtpd b@example.net, smtpd c@example.net" {
		t.Errorf("macros %q", got)
	}
}

func TestAbandonedHooksAreLimitedAtEveryStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int32
		c := newChainTest(filter.Step{Timeout: time.Second, OnError: filter.ErrorSkip, Filter: &filter.Filter{Name: "hangs",
			Rcpt: func(context.Context, *filter.Transaction, filter.Path) (milter.RcptReply, error) {
				running.Add(1)
				time.Sleep(time.Hour)
				return milter.Continue, nil
			}}})
		c.MaxAbandoned = 2
		for range 3 {
			c.send(t)
		}
		if n := running.Load(); n != 2 {
			t.Errorf("%d hooks hang", n)
		}
		time.Sleep(2 * time.Hour)
	})
}

// OnRepeat counts the failures of each filter on its own.
func TestFailuresAreCountedByFilter(t *testing.T) {
	store, err := quarantine.Open(t.TempDir()+"/kept", quarantine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var steps []filter.Step
	for i := range 3 {
		steps = append(steps, filter.Step{OnError: filter.ErrorSkip, OnRepeat: filter.RepeatQuarantine,
			Filter: onMessage(fmt.Sprint("f", i), func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
				return nil, errors.New("oops")
			})})
	}
	c := newChainTest(append(steps, filter.Step{Filter: mark("last")})...)
	c.Originals = store
	for i, want := range []bool{false, false, true} {
		if r := c.send(t); (r.Quarantine != nil) != want || !want && marks(r) != "last" {
			t.Errorf("message %d: held %v, marks %q", i, r.Quarantine, marks(r))
		}
	}
	if err := (&filter.Chain{Steps: steps}).Check(); !errors.Is(err, filter.ErrChain) {
		t.Errorf("OnRepeat without a place for originals: %v", err)
	}
}

// A client cannot make explanations grow by repeating HELO.
func TestExplanationsOfManyHelos(t *testing.T) {
	c := newChainTest(filter.Step{Filter: &filter.Filter{Name: "f", Helo: func(_ context.Context, c *filter.Connection) (milter.HeloReply, error) {
		c.Explain("seen")
		return milter.Continue, nil
	}}})
	s := c.connect(t)
	for range 200 {
		if _, err := s.Helo(t.Context(), "again.example"); err != nil {
			t.Fatal(err)
		}
	}
	sendOver(t, s, "<b@example.net>", "Subject: x\n\nx\n")
	if n := len(c.told[0].Filters); n != 50 {
		t.Errorf("%d outcomes", n)
	}
}

// A new body that does not come is the filter's to answer for, in its time.
func TestNewBodyThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChainTest(filter.Step{Timeout: time.Second, OnError: filter.ErrorSkip, Filter: onMessage("slow", func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			return milter.Accept, e.ReplaceBody(slowReader{})
		})}, filter.Step{Filter: mark("after")})
		began := time.Now()
		if r := c.send(t); marks(r) != "after" || time.Since(began) > 3*time.Second {
			t.Errorf("marks %q after %v", marks(r), time.Since(began))
		}
		time.Sleep(2 * time.Hour)
	})
}

type slowReader struct{}

func (slowReader) Read([]byte) (int, error) { time.Sleep(time.Hour); return 0, errors.New("late") }

// A filter that was not called because others took the time did not fail on the content.
func TestUncalledFiltersDoNotFailOnContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := quarantine.Open(t.TempDir()+"/kept", quarantine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		slow := onMessage("slow", func(ctx context.Context, _ *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
			<-ctx.Done()
			return milter.Accept, nil
		})
		c := newChainTest(filter.Step{Filter: slow, OnError: filter.ErrorSkip, Timeout: time.Second}, filter.Step{Filter: mark("scanner"), OnRepeat: filter.RepeatSkip})
		c.Originals, c.EndTimeout = store, time.Second
		for i := range 5 {
			if r := c.send(t); r.Verdict != mta.TempFail {
				t.Errorf("message %d: %s", i, r.Verdict)
			}
		}
	})
}

// Refusals at connect, at MAIL, and failures are held apart.
func TestHoldsAreApart(t *testing.T) {
	no := milter.Reject(550, "5.7.1", "no")
	early := &filter.Filter{Name: "early", Connect: func(context.Context, *filter.Connection) (milter.ConnectReply, error) { return no, nil }}
	fails := &filter.Filter{Name: "fails", Connect: func(context.Context, *filter.Connection) (milter.ConnectReply, error) { return nil, errors.New("oops") }}
	mail := &filter.Filter{Name: "mail", Mail: func(_ context.Context, tr *filter.Transaction) (milter.MailReply, error) { return no, nil }}
	for _, tt := range []struct {
		name  string
		steps []filter.Step
		want  [2]bool // accepted: with AUTH, then without
	}{
		{"refusal", []filter.Step{{Filter: early}}, [2]bool{true, false}},
		{"failure behind a refusal", []filter.Step{{Filter: early}, {Filter: fails}}, [2]bool{false, false}},
		{"MAIL behind a refusal", []filter.Step{{Filter: early}, {Filter: mail, Classes: []filter.Class{filter.Authenticated}}}, [2]bool{false, false}},
	} {
		s := newChainTest(tt.steps...).connect(t)
		s.SetMacros(map[string]string{"auth_authen": "joe"})
		for i, want := range tt.want {
			if r := sendOver(t, s, "<b@example.net>", "Subject: x\n\nx\n"); (r.Recipients[0].Reply == nil) != want {
				t.Errorf("%s, message %d: %v", tt.name, i, r.Recipients[0].Reply)
			}
			s.UnsetMacros("auth_authen")
		}
	}
}

// What takes the tree apart has to be among the Needs, too.
func TestEditsTreeTakesTheBody(t *testing.T) {
	c := newChainTest(filter.Step{Filter: &filter.Filter{Name: "f", Needs: filter.Needs{Header: true, Actions: milter.CanChangeBody},
		Message: func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			if _, err := e.Tree(); !errors.Is(err, filter.ErrNeeds) {
				t.Errorf("error %v", err)
			}
			return milter.Accept, nil
		}}})
	c.send(t)
}
