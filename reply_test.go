package milter

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gomilter/gomilter/internal/wire"
)

var (
	own5xx = Reject(550, "5.7.1", "no")
	own4xx = TempFail(450, "4.7.1", "later")
	own421 = TempFail(421, "4.3.2", "closing")
)

// Every reply at every stage: on the wire where the stage's type knows it; the
// compiler refuses the others, and what gets past it is the hook's fault.
func TestEveryReplyAtEveryStage(t *testing.T) {
	replies := []struct {
		reply Reply
		wire  string
	}{
		{Continue, "c"},
		{Accept, "a"},
		{AcceptMessage, "a"},
		{AcceptConnection, "a"},
		{Discard, "d"},
		{Skip, "s"},
		{DefaultReject, "r"},
		{DefaultTempFail, "t"},
		{own5xx, "y550 5.7.1 no\x00"},
		{own4xx, "y450 4.7.1 later\x00"},
		{own421, "y421 4.3.2 closing\x00"},
	}
	want := map[Stage]string{ // as in section 4.0 of the protocol, without what no MTA understands there
		StageConnect:      "caC rtyyy",
		StageHelo:         "caC rtyyy",
		StageUnknown:      "c   rtyyy",
		StageMail:         "caM drtyyy",
		StageRcpt:         "caM rtyyy",
		StageData:         "caM drtyyy",
		StageHeader:       "caM drtyyy",
		StageEndOfHeaders: "caM drtyyy",
		StageBody:         "caM dsrtyyy",
		StageEnd:          "caE drtyyy",
	}
	for _, tt := range stageFrames {
		known := ""
		for _, r := range replies {
			if !knows(tt.stage, r.reply) {
				continue
			}
			switch r.reply {
			case Accept:
				known += "aE "
			case AcceptMessage:
				known += "aM "
			case AcceptConnection:
				known += "aC "
			default:
				known += r.wire[:1]
			}
			t.Run(tt.stage.String()+" "+r.reply.String(), func(t *testing.T) {
				var n notes
				p := serve(t, filter(n.hooks(map[Stage]Reply{tt.stage: r.reply}))).dial(t)
				p.offer()
				for _, f := range tt.lead {
					p.want("c", f)
				}
				p.want(r.wire, tt.frame)
				if tt.stage == StageEnd || tt.stage == StageUnknown {
					return
				}
				// What may come next says what the reply ended.
				ended := r.wire != "c" && r.wire != "s" && !(tt.stage == StageRcpt && strings.Contains("rty", r.wire[:1]))
				if ended && tt.stage >= StageMail {
					p.write("E")
					p.closed()
					return
				}
				p.want("c", mailFrame)
			})
		}
		if got, want := strings.ReplaceAll(known, " ", ""), strings.ReplaceAll(want[tt.stage], " ", ""); got != want {
			t.Errorf("%s knows %s, want %s", tt.stage, got, want)
		}
	}
}

// A refused recipient is refused alone.
func TestRefusedRecipient(t *testing.T) {
	var n notes
	h := n.hooks(nil)
	h.Rcpt = func(_ context.Context, r *Rcpt) RcptReply {
		if r.Local() == "bad" {
			return own5xx
		}
		return Continue
	}
	p := serve(t, filter(h)).dial(t)
	p.greet()
	p.talk(">"+mailFrame, "<c", ">R<bad@x>\x00", "<y550 5.7.1 no\x00", ">R<good@x>\x00", "<c", ">R<bad@x>\x00", "<y550 5.7.1 no\x00",
		">T", "<c", ">N", "<c", ">E", "<c")
}

func TestSkip(t *testing.T) {
	t.Run("granted", func(t *testing.T) {
		var n notes
		p := serve(t, filter(Hooks{Body: n.hooks(map[Stage]Reply{StageBody: Skip}).Body, End: n.hooks(nil).End})).dial(t)
		p.offer()
		p.talk(">"+bodyFrame, "<s", ">"+bodyFrame, "<c", ">E", "<c", ">"+bodyFrame, "<s", ">E", "<c")
		n.want(t, `body "body\r\n"`, "end", `body "body\r\n"`, "end")
	})
	t.Run("not granted", func(t *testing.T) {
		var n notes
		p := serve(t, filter(Hooks{Body: n.hooks(map[Stage]Reply{StageBody: Skip}).Body, End: n.hooks(nil).End})).dial(t)
		p.negotiate(6, wire.CurrentActions, wire.CurrentProtocol&^wire.Skip)
		p.talk(">"+bodyFrame, "<c", ">"+bodyFrame, "<c", ">Elast", "<c")
		n.want(t, `body "body\r\n"`, "end")
	})
	t.Run("silent", func(t *testing.T) {
		var n notes
		p := serve(t, filter(Hooks{Body: n.hooks(map[Stage]Reply{StageBody: Skip}).Body, End: n.hooks(nil).End, Silent: Stages(StageBody)})).dial(t)
		p.offer()
		p.talk(">"+bodyFrame, ">"+bodyFrame, ">"+bodyFrame, ">E", "<c")
		n.want(t, `body "body\r\n"`, "end")
	})
}

// What a stage does not know, and mistakes in a reply, are the hook's fault.
func TestBadReplies(t *testing.T) {
	bad := []struct {
		name  string
		reply Reply
	}{
		{"nil", nil},
		{"nil *Refusal", (*Refusal)(nil)},
		{"empty Refusal", new(Refusal)},
		{"code of the other class", Reject(451, "", "x")},
		{"code too large", Reject(600, "", "x")},
		{"enhanced code of the other class", TempFail(451, "5.1.1", "x")},
		{"control character", Reject(550, "", "bell\a")},
		{"too many lines", Reject(550, "", strings.Repeat("x\n", 33))},
	}
	for _, tt := range stageFrames {
		for _, b := range bad {
			t.Run(tt.stage.String()+" "+b.name, func(t *testing.T) {
				var book logBook
				m := new(counts)
				s := filter(new(notes).hooks(map[Stage]Reply{tt.stage: b.reply}))
				s.Log, s.Metrics = book.logger(), m
				p := serve(t, s).dial(t)
				p.offer()
				for _, f := range tt.lead {
					p.want("c", f)
				}
				p.want(failedFrame, tt.frame)
				m.wantFaults(t, tt.stage.String()+" answer")
				if !strings.Contains(book.String(), "hook failed") {
					t.Errorf("log = %s", book.String())
				}
			})
		}
	}
}

// A type of the caller's own that embeds the interfaces of two stages gets the
// reply of one past the compiler at the other.
type (
	inner struct {
		ConnectReply
		HeloReply
		UnknownReply
		MailReply
		RcptReply
		DataReply
		HeaderReply
		EndOfHeadersReply
		EndReply
	}
	smuggled struct {
		BodyReply
		inner
	}
)

func TestSmuggledReplies(t *testing.T) {
	for _, tt := range stageFrames {
		for _, r := range []BodyReply{Continue, Skip, Discard, AcceptMessage, DefaultReject} {
			t.Run(tt.stage.String()+" "+r.String(), func(t *testing.T) {
				p := serve(t, filter(new(notes).hooks(map[Stage]Reply{tt.stage: smuggled{BodyReply: r}}))).dial(t)
				p.offer()
				for _, f := range tt.lead {
					p.want("c", f)
				}
				want := string(r.answer().code)
				if r == Skip && tt.stage != StageBody || r == Discard && !knows(tt.stage, Discard) || r == AcceptMessage && tt.stage == StageUnknown {
					want = failedFrame
				}
				p.want(want, tt.frame)
			})
		}
	}
}

// A verdict of a silent stage is a fault, answered at the next stage that is.
func TestSilentStageThatAnswers(t *testing.T) {
	silent := Stages(StageConnect, StageHelo, StageMail, StageRcpt, StageHeader, StageEndOfHeaders, StageBody, StageUnknown)
	for _, tt := range stageFrames {
		if !silent.Has(tt.stage) {
			continue
		}
		for _, policy := range []FaultPolicy{FaultTempFail, FaultReject, FaultAccept, FaultContinue} {
			for _, granted := range []bool{true, false} {
				name := tt.stage.String() + " " + policy.String()
				if !granted {
					name += " not granted"
				}
				t.Run(name, func(t *testing.T) {
					var n notes
					m := new(counts)
					h := n.hooks(map[Stage]Reply{tt.stage: DefaultReject})
					h.Silent = silent
					s := filter(h)
					s.OnFault, s.Metrics = policy, m
					failed := string(frameOf(s.faultAnswer())[4:])
					p := serve(t, s).dial(t)
					protocol := Protocol(wire.NoSteps)
					if granted {
						protocol = wire.CurrentProtocol
					}
					p.negotiate(6, wire.CurrentActions, protocol)
					verdict := false // was given
					for _, f := range []string{connectFrame, heloFrame, unknownFrame, mailFrame, rcptFrame, "T", headerFrame, "N", bodyFrame, "E"} {
						st, _ := wire.StageOf(f[0])
						p.write(f)
						if granted && silent.Has(st) {
							continue
						}
						want := "c"
						if tt.stage == StageUnknown && (policy == FaultAccept || granted) {
							// It can only be refused, and only there.
						} else if faulty := f[0] == tt.frame[0]; faulty || granted && !faulty && saw(&n, tt.stage) {
							want = failed
						}
						if got := p.read(); got != want {
							t.Fatalf("answer to %q = %q, want %q", f, got, want)
						}
						if want != "c" {
							verdict = true
							break
						}
					}
					if !verdict && policy != FaultContinue && tt.stage != StageUnknown {
						t.Error("no verdict was given")
					}
					m.wantFaults(t, tt.stage.String()+" answer")
				})
			}
		}
	}
}

// saw reports whether a stage's hook ran.
func saw(n *notes, s Stage) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, note := range n.list {
		if strings.HasPrefix(note, s.String()) {
			return true
		}
	}
	return false
}

// A verdict owed since a silent stage of the connection holds for all messages of
// the connection, one of a message for that message.
func TestOwedVerdictLasts(t *testing.T) {
	t.Run("connection", func(t *testing.T) {
		h := new(notes).hooks(map[Stage]Reply{StageConnect: nil})
		h.Silent = Stages(StageConnect, StageHelo)
		p := serve(t, filter(h)).dial(t)
		p.offer()
		p.talk(">"+connectFrame, ">"+heloFrame, ">"+mailFrame, "<"+failedFrame, ">A", ">"+heloFrame, ">"+mailFrame, "<"+failedFrame, ">UX\x00", "<"+failedFrame,
			">K", ">"+heloFrame, ">"+mailFrame, "<c") // another connection
	})
	t.Run("message", func(t *testing.T) {
		var n notes
		first := true
		h := n.hooks(nil)
		h.Mail = func(context.Context, *Mail) MailReply {
			if first {
				first = false
				return nil
			}
			return Continue
		}
		h.Silent = Stages(StageMail)
		p := serve(t, filter(h)).dial(t)
		p.greet()
		n.take()
		p.talk(">"+mailFrame, ">"+rcptFrame, "<"+failedFrame, ">"+rcptFrame, "<"+failedFrame, ">T", "<"+failedFrame,
			">A", ">"+mailFrame, ">"+rcptFrame, "<c", ">E", "<c")
		n.want(t, "rcpt b@example.net", "end")
	})
	t.Run("end of message", func(t *testing.T) {
		var n notes
		h := Hooks{Header: func(context.Context, *Header) HeaderReply { return nil }, End: n.hooks(nil).End, Silent: Stages(StageHeader)}
		p := serve(t, filter(h)).dial(t)
		p.offer()
		p.talk(">"+headerFrame, ">"+headerFrame, ">E", "<"+failedFrame)
		n.want(t)
	})
}

// Answers that an MTA does not wait for do not pile up.
func TestPipelinedAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := Reject(550, "5.7.1", strings.Repeat("x", 10000))
		s := filter(Hooks{Unknown: func(context.Context, []byte) UnknownReply { return long }})
		p := serve(t, s).dial(t)
		p.offer()
		go p.nc.Write(frames(strings.Split(strings.Repeat("U\x00 ", 1000), " ")[:1000]...))
		largest := 0
		buf := make([]byte, 1<<20)
		for total := 0; total < 1000*len(long.a.frame); {
			n, err := p.nc.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			total += n
			largest = max(largest, n)
		}
		if largest > maxGathered+len(long.a.frame) {
			t.Errorf("%d bytes were gathered", largest)
		}
	})
}
