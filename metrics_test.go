package milter

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMetricsOfVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(counts)
		end := EndReply(Accept)
		h := Hooks{
			Connect: func(_ context.Context, c *Client) ConnectReply {
				if c.Host == "bad" {
					return DefaultReject
				}
				return Continue
			},
			Mail: func(_ context.Context, m *Mail) MailReply {
				switch m.Local() {
				case "reject":
					return own5xx
				case "discard":
					return Discard
				case "accept":
					return AcceptMessage
				}
				return Continue
			},
			Rcpt: func(_ context.Context, r *Rcpt) RcptReply {
				if r.Local() == "bad" {
					return own4xx
				}
				return Continue
			},
			End: func(context.Context, *Edits) EndReply { time.Sleep(2 * time.Second); return end },
		}
		s := filter(h)
		s.Metrics = m
		ln := serve(t, s)
		p := ln.dial(t)
		p.offer()
		p.talk(">Cbad\x00U", "<r", ">Q", "<!")
		p = ln.dial(t)
		p.offer()
		p.talk(">Cgood\x00U", "<c",
			">M<reject@x>\x00", "<y550 5.7.1 no\x00", ">M<discard@x>\x00", "<d", ">M<accept@x>\x00", "<a",
			">M<a@x>\x00", "<c", ">R<bad@x>\x00", "<y450 4.7.1 later\x00", ">R<b@x>\x00", "<c", ">R<bad@x>\x00", "<y450 4.7.1 later\x00", ">E", "<a")
		for _, r := range []EndReply{Continue, Discard, DefaultReject, own4xx, nil} {
			end = r
			p.talk(">M<a@x>\x00", "<c", ">R<b@x>\x00", "<c")
			p.write("E")
			p.read()
		}
		p.talk(">M<a@x>\x00", "<c", ">A", ">M<a@x>\x00", "<c", ">M<a@x>\x00", "<c")
		p.nc.Close()
		synctest.Wait()
		want := []string{"connect reject", "mail reject", "mail discard", "mail accept", "rcpt tempfail", "rcpt tempfail", "end accept",
			"end continue", "end discard", "end reject", "end tempfail", "end tempfail", "abort abort", "abort abort", "abort abort"}
		got, faults, _ := m.got()
		if !slices.Equal(got, want) {
			t.Errorf("verdicts = %q\nwant %q", got, want)
		}
		if !slices.Equal(faults, []string{"end answer"}) {
			t.Errorf("faults = %q", faults)
		}
		for i, took := range m.took {
			if at := strings.HasPrefix(got[i], "end "); took != 0 && !at || took != 2*time.Second && at {
				t.Errorf("%s took %v", got[i], took)
			}
		}
		if m.conns != 0 || m.opened != 2 {
			t.Errorf("%d connections, %d opened", m.conns, m.opened)
		}
	})
}

// The verdict of a new body is counted once it has left.
func TestMetricsOfNewBody(t *testing.T) {
	m := new(counts)
	s := replacing(func() io.Reader { return strings.NewReader("new") })
	s.Metrics = m
	newBody(t, s)
	if got, _, _ := m.got(); !slices.Equal(got, []string{"end accept"}) {
		t.Errorf("verdicts = %q", got)
	}
}

type unruly struct{}

func (unruly) Connection(int)                       { panic("connection") }
func (unruly) Verdict(Stage, string, time.Duration) { panic("verdict") }
func (unruly) Fault(Stage, string)                  { panic("fault") }
func (unruly) Limit(string)                         { panic("limit") }

func TestMetricsThatPanic(t *testing.T) {
	var n notes
	var book logBook
	s := filter(on(&n, StageHeader, func(context.Context) { panic("hook") }))
	s.Metrics, s.Log, s.MaxRcpts = unruly{}, book.logger(), 1
	p := serve(t, s).dial(t)
	p.greet()
	p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">"+rcptFrame, "<"+tooManyRcpts, ">T", "<c", ">"+headerFrame, "<"+failedFrame, ">"+mailFrame, "<c", ">Q", "<!")
	for _, what := range []string{"connection", "verdict", "fault", "limit"} {
		if !strings.Contains(book.String(), `msg="metrics failed" err=`+what) {
			t.Errorf("%s is not in the log", what)
		}
	}
	if got := n.take(); got[len(got)-1] != "close" {
		t.Errorf("hooks saw %q", got)
	}
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		h := on(new(notes), StageHeader, func(context.Context) { panic("oh no") })
		s := filter(h)
		s.Log, s.OnFault = book.logger(), FaultAccept
		p := serve(t, s).dial(t)
		p.greet()
		p.talk(">DMi\x00Q17\x00", ">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">T", "<c", ">"+headerFrame, "<a", ">DMi\x00Q18\x00", ">"+mailFrame, "<c", ">A", ">E", "<!")
		log := book.String()
		for _, want := range []string{
			`level=ERROR msg="hook failed" conn=`, ` stage=header kind=panic queue=Q17 policy=accept err="oh no\n`,
			`level=DEBUG msg=verdict conn=`, ` stage=header queue=Q17 verdict=accept`, ` stage=abort queue=Q18 verdict=abort`,
			`level=WARN msg="connection closed" conn=`, ` err="milter: BODYEOB at offset `, `after helo: command out of order"`,
		} {
			if !strings.Contains(log, want) {
				t.Errorf("no %q in the log:\n%s", want, log)
			}
		}
	})
}

// Ordinary conversations leave no trace in a log of warnings, however they end.
func TestLogIsQuiet(t *testing.T) {
	var n notes
	var book logBook
	s := filter(n.hooks(nil))
	s.Log = book.logger()
	addr := serveSocket(t, s, "unix")
	connect(t, addr).ordinary()
	p := connect(t, addr)
	p.greet()
	p.talk(">"+mailFrame, "<c")
	p.nc.Close()
	connect(t, addr).nc.Close()
	for s.conns.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	if log := book.String(); strings.Contains(log, "WARN") || strings.Contains(log, "ERROR") {
		t.Errorf("log:\n%s", log)
	}
}
