package milter

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/internal/wire"
)

// Conversations that end in each state of libmilter's engine (its numbers are in
// the names), with all steps negotiated.
var states = []struct {
	name    string
	lead    []string
	open    bool   // a message is open
	accepts string // commands accepted and answered there, libmilter's reset rule included
}{
	{"0 INIT", nil, false, "HMU"},
	{"1 OPTS", []string{">" + offerFrame, "<" + answerFrame}, false, "CHMU"},
	{"2 CONN", []string{">" + offerFrame, "<" + answerFrame, ">" + connectFrame, "<c"}, false, "HMU"},
	{"3 HELO", lead(heloFrame), false, "HMU"},
	{"4 MAIL", lead(heloFrame, mailFrame), true, "HMUR"},
	{"5 RCPT", lead(heloFrame, mailFrame, rcptFrame), true, "HMURTLNBE"},
	{"6 DATA", lead(heloFrame, mailFrame, rcptFrame, "T"), true, "HMULN"},
	{"7 HDRS", lead(heloFrame, mailFrame, rcptFrame, "T", headerFrame), true, "HMULN"},
	{"8 EOHS", lead(heloFrame, mailFrame, rcptFrame, "T", headerFrame, "N"), true, "HMUBE"},
	{"9 BODY", lead(heloFrame, mailFrame, rcptFrame, "T", headerFrame, "N", bodyFrame), true, "HMUBE"},
	{"10 ENDM", lead(heloFrame, mailFrame, rcptFrame, "T", headerFrame, "N", bodyFrame, "E"), false, "HMU"},
	{"12 ABRT", append(lead(heloFrame, mailFrame, rcptFrame), ">A"), false, "HMU"},
	// Our UNKN keeps the state before it, and accepts what libmilter would besides.
	{"13 UNKN after HELO", lead(heloFrame, unknownFrame), false, "HMURTBU"},
	{"13 UNKN after RCPT", lead(heloFrame, mailFrame, rcptFrame, unknownFrame), true, "HMURTLNBEU"},
	{"13 UNKN after DATA", lead(heloFrame, mailFrame, rcptFrame, "T", unknownFrame), true, "HMURTLNBU"},
	{"14 Q_NC", append(lead(heloFrame, mailFrame, rcptFrame, "E"), ">K"), false, "CHMU"},
}

const (
	unknownFrame = "UFOO\x00"
	offerFrame   = "O\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"
	answerFrame  = "O\x00\x00\x00\x06\x00\x00\x00\xff\x00\x00\x04\x00"
)

// lead returns a conversation from the offer on in which every frame is answered
// with continue.
func lead(list ...string) []string {
	lines := []string{">" + offerFrame, "<" + answerFrame}
	for _, f := range append([]string{connectFrame}, list...) {
		lines = append(lines, ">"+f, "<c")
	}
	return lines
}

var anyFrame = map[byte]string{
	'C': connectFrame, 'H': heloFrame, 'M': mailFrame, 'R': rcptFrame, 'T': "T", 'U': unknownFrame,
	'L': headerFrame, 'N': "N", 'B': bodyFrame, 'E': "E", 'O': offerFrame,
}

var hookOf = map[byte]string{
	'C': "connect client.example", 'H': "helo client.example", 'M': "mail a@example.org", 'R': "rcpt b@example.net", 'T': "data",
	'U': "unknown FOO", 'L': "header Subject", 'N': "eoh", 'B': `body "body\r\n"`, 'E': "end",
}

// Every command in every state: what libmilter answers is answered, what it would
// drop without an answer closes the connection, and says where.
func TestEveryCommandInEveryState(t *testing.T) {
	for _, st := range states {
		for cmd, frame := range anyFrame {
			accepted := strings.IndexByte(st.accepts, cmd) >= 0
			if st.name == "0 INIT" && cmd == 'O' {
				continue
			}
			t.Run(st.name+" "+wire.CommandName(cmd), func(t *testing.T) {
				var n notes
				var book logBook
				s := filter(n.hooks(nil))
				s.Log = book.logger()
				p := serve(t, s).dial(t)
				p.talk(st.lead...)
				p.sync()
				n.take()
				// A command that needs a new message, or fits nowhere, ends an open one.
				restart := st.open && (cmd == 'H' || cmd == 'M' || !accepted && cmd != 'O')
				var want []string
				if restart {
					want = append(want, "abort")
				}
				if !accepted {
					p.write(frame)
					p.closed()
					if cmd == 'O' && st.open {
						want = append(want, "abort")
					}
					if !strings.HasPrefix(st.name, "0 ") && !strings.HasPrefix(st.name, "14 ") { // no session is open there
						want = append(want, "close")
					}
					n.want(t, want...)
					if log := book.String(); !strings.Contains(log, "command out of order") || !strings.Contains(log, wire.CommandName(cmd)+" at offset") {
						t.Errorf("log = %s", log)
					}
					return
				}
				p.want("c", frame)
				n.want(t, append(want, hookOf[cmd])...)
				p.write("Q")
				p.closed()
				want = nil
				if cmd != 'E' && (st.open && !restart || strings.IndexByte("MRTLNB", cmd) >= 0) {
					want = append(want, "abort")
				}
				n.want(t, append(want, "close")...)
			})
		}
	}
}

func TestProtocolErrorNamesThePlace(t *testing.T) {
	start := len(frames(offerFrame, connectFrame, heloFrame))
	for _, tt := range []struct {
		name  string
		bytes []byte // behind HELO
		want  string
	}{
		{"out of order", frames("E"), fmt.Sprintf("milter: BODYEOB at offset %d, after helo: command out of order", start)},
		{"out of order in a message", frames(mailFrame, "N"), fmt.Sprintf("milter: EOH at offset %d, after mail: command out of order", start+len(frames(mailFrame)))},
		{"unknown command", frames("Xyz"), fmt.Sprintf("milter: command 'X' at offset %d, after helo: unknown command", start)},
		{"reply as a command", frames("c"), fmt.Sprintf("milter: command 'c' at offset %d, after helo: unknown command", start)},
		{"empty frame", []byte{0, 0, 0, 0}, fmt.Sprintf("milter: frame at offset %d, after helo: frame has no command byte", start)},
		{"bit 31 set", []byte{0x80, 0, 0, 1, 'H'}, fmt.Sprintf("milter: frame at offset %d, after helo: frame is longer than allowed: 2147483649 bytes, limit 65536", start)},
		{"2^32-1 bytes", []byte{0xff, 0xff, 0xff, 0xff, 'H'}, fmt.Sprintf("milter: frame at offset %d, after helo: frame is longer than allowed: 4294967295 bytes, limit 65536", start)},
		{"one byte too long", []byte{0, 1, 0, 1, 'H'}, fmt.Sprintf("milter: frame at offset %d, after helo: frame is longer than allowed: 65537 bytes, limit 65536", start)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var book logBook
			m := new(counts)
			s := filter(new(notes).hooks(nil))
			s.Log, s.Metrics = book.logger(), m
			p := serve(t, s).dial(t)
			p.talk(lead(heloFrame)...)
			go p.nc.Write(tt.bytes)
			for {
				f, err := p.next()
				if err != nil {
					break
				}
				if f != "c" {
					t.Errorf("got %q", f)
				}
			}
			if log := book.String(); !strings.Contains(log, strings.ReplaceAll(tt.want, `"`, `\"`)) {
				t.Errorf("log = %s\nwant %s", log, tt.want)
			}
			_, _, limits := m.got()
			if byFrame := strings.Contains(tt.want, "frame at"); byFrame != (len(limits) == 1 && limits[0] == LimitFrame) {
				t.Errorf("limits = %q", limits)
			}
		})
	}
}

func TestBrokenPayloads(t *testing.T) {
	long := strings.Repeat("x", 60000)
	for _, tt := range []struct {
		name  string
		lead  []string
		frame string
		want  string // in the log; "" when the frame is accepted
	}{
		{"CONNECT empty", nil, "C", "payload is empty"},
		{"CONNECT without NUL", nil, "Chost", "does not end in NUL"},
		{"CONNECT without family", nil, "Chost\x00", "too short"},
		{"CONNECT with unknown family", nil, "Chost\x00X\x00\x19127.0.0.1\x00", "unknown address family"},
		{"CONNECT without port", nil, "Chost\x004", "too short"},
		{"CONNECT without address", nil, "Chost\x004\x00\x19", "too short"},
		{"CONNECT without NUL behind the address", nil, "Chost\x004\x00\x19127.0.0.1", "does not end in NUL"},
		{"CONNECT with no address", nil, "Chost\x004\x00\x19what\x00", "address cannot be read"},
		{"CONNECT with an address of the other family", nil, "Chost\x004\x00\x19::1\x00", "address cannot be read"},
		{"CONNECT unknown, and more", nil, "Clocalhost\x00Uwhatever", ""},
		{"HELO empty", []string{connectFrame}, "H", "payload is empty"},
		{"HELO without NUL", []string{connectFrame}, "Hname", "does not end in NUL"},
		{"HELO without a name", []string{connectFrame}, "H\x00", ""},
		{"HELO with a NUL inside", []string{connectFrame}, "Hname\x00more\x00", ""},
		{"HELO with a NUL inside but not at the end", []string{connectFrame}, "Hname\x00more", "does not end in NUL"},
		{"HELO of 60000 bytes", []string{connectFrame}, "H" + long + "\x00", ""},
		{"MAIL empty", []string{connectFrame}, "M", "payload is empty"},
		{"MAIL without NUL", []string{connectFrame}, "M<a@b>", "does not end in NUL"},
		{"MAIL of Postfix for a local bounce", []string{connectFrame}, "M\x00", ""},
		{"MAIL with a parameter without NUL", []string{connectFrame}, "M<>\x00SIZE=1", ""},
		{"RCPT empty", []string{connectFrame, mailFrame}, "R", "payload is empty"},
		{"RCPT without NUL", []string{connectFrame, mailFrame}, "R<a@b>", "does not end in NUL"},
		{"DATA with a payload", []string{connectFrame, mailFrame, rcptFrame}, "Tmore", ""},
		{"HEADER empty", []string{connectFrame, mailFrame, rcptFrame}, "L", "payload is empty"},
		{"HEADER without NUL", []string{connectFrame, mailFrame, rcptFrame}, "LSubject", "does not end in NUL"},
		{"HEADER with one string", []string{connectFrame, mailFrame, rcptFrame}, "LSubject\x00", "too short"},
		{"HEADER without a last NUL", []string{connectFrame, mailFrame, rcptFrame}, "LSubject\x00x", "does not end in NUL"},
		{"HEADER without a name", []string{connectFrame, mailFrame, rcptFrame}, "L\x00x\x00", "header name is empty"},
		{"HEADER without a value", []string{connectFrame, mailFrame, rcptFrame}, "LX\x00\x00", ""},
		{"EOH with a payload", []string{connectFrame, mailFrame, rcptFrame}, "Nmore", ""},
		{"BODY empty", []string{connectFrame, mailFrame, rcptFrame, "N"}, "B", "payload is empty"},
		{"UNKNOWN empty", []string{connectFrame}, "U", "payload is empty"},
		{"UNKNOWN without NUL", []string{connectFrame}, "UFOO", "does not end in NUL"},
		{"MACRO empty", []string{connectFrame}, "D", "payload is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n notes
			var book logBook
			s := filter(n.hooks(nil))
			s.Log = book.logger()
			p := serve(t, s).dial(t)
			p.offer()
			for _, f := range tt.lead {
				p.want("c", f)
			}
			p.send(tt.frame)
			if tt.want == "" {
				p.expect("c")
				return
			}
			p.closed()
			if log := book.String(); !strings.Contains(log, tt.want) {
				t.Errorf("log = %s, want %q", log, tt.want)
			}
			if got := n.take(); got[len(got)-1] != "close" || len(tt.lead) > 1 && got[len(got)-2] != "abort" {
				t.Errorf("hooks saw %q", got)
			}
		})
	}
}

// Without a Connect hook nobody looks at the client, and libmilter does not either.
func TestBrokenClientNobodyLooksAt(t *testing.T) {
	var n notes
	h := n.hooks(nil)
	h.Connect = nil
	p := serve(t, filter(h)).dial(t)
	p.offer()
	p.talk(">C", "<c", ">"+heloFrame, "<c")
}

func TestMacrosAreNeverAnswered(t *testing.T) {
	var n notes
	h := n.hooks(nil)
	h.Silent = Stages(StageHeader)
	p := serve(t, filter(h)).dial(t)
	p.talk(">Dx", ">DC", ">DCa\x00", ">DCa\x00b", ">DCa\x00b\x00c\x00", ">D\x00\x00\x00", ">DDi\x00x\x00", ">DAi\x00x\x00", ">DKi\x00x\x00", ">DOi\x00x\x00")
	p.offer()
	for _, f := range []string{connectFrame, heloFrame, mailFrame, rcptFrame, "T", "N", bodyFrame, "E"} {
		p.want("c", "D"+f[:1]+"i\x00Q1\x00", f, "DUx\x00y\x00", "D!x\x00y\x00")
	}
}

func TestSkippedSteps(t *testing.T) {
	for _, tt := range []struct {
		name string
		off  func(*Hooks)
		send []string // after the offer, all to be answered
	}{
		{"no CONNECT", func(h *Hooks) { h.Connect = nil }, []string{heloFrame, mailFrame}},
		{"no CONNECT and HELO", func(h *Hooks) { h.Connect, h.Helo = nil, nil }, []string{mailFrame}},
		{"nothing before RCPT", func(h *Hooks) { h.Connect, h.Helo, h.Mail = nil, nil, nil }, []string{rcptFrame, rcptFrame, "T"}},
		{"nothing before DATA", func(h *Hooks) { h.Connect, h.Helo, h.Mail, h.Rcpt = nil, nil, nil, nil }, []string{"T", headerFrame}},
		{"nothing before HEADER", func(h *Hooks) { h.Connect, h.Helo, h.Mail, h.Rcpt, h.Data = nil, nil, nil, nil, nil }, []string{headerFrame, "N", "E"}},
		{"nothing before BODY", func(h *Hooks) { *h = Hooks{Body: h.Body} }, []string{bodyFrame, bodyFrame, "E", bodyFrame, "E"}},
		{"end only", func(h *Hooks) { *h = Hooks{End: h.End} }, []string{"E", "E"}},
		{"no EOH", func(h *Hooks) { h.EndOfHeaders = nil }, []string{connectFrame, mailFrame, rcptFrame, "T", headerFrame, bodyFrame, "E"}},
		{"no EOH and BODY", func(h *Hooks) { h.EndOfHeaders, h.Body = nil, nil }, []string{connectFrame, mailFrame, rcptFrame, "T", headerFrame, "E"}},
		{"no HEADER and EOH", func(h *Hooks) { h.Header, h.EndOfHeaders = nil, nil }, []string{connectFrame, mailFrame, rcptFrame, "T", bodyFrame, "E"}},
		{"no content", func(h *Hooks) { h.Header, h.EndOfHeaders, h.Body = nil, nil, nil }, []string{connectFrame, mailFrame, rcptFrame, "T", "E"}},
		{"RCPT to HEADER, as with version 3", func(h *Hooks) {}, []string{connectFrame, mailFrame, rcptFrame, headerFrame, "N", "E"}},
		{"RCPT to the end, without a header", func(h *Hooks) {}, []string{connectFrame, mailFrame, rcptFrame, "E"}},
		{"steps that were switched off come all the same", func(h *Hooks) { *h = Hooks{End: h.End} },
			[]string{connectFrame, heloFrame, mailFrame, unknownFrame, rcptFrame, "T", headerFrame, "N", bodyFrame, "E"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n notes
			h := n.hooks(nil)
			tt.off(&h)
			p := serve(t, filter(h)).dial(t)
			p.offer()
			for _, f := range tt.send {
				p.want("c", f)
			}
			var want []string
			for _, f := range tt.send {
				if st, _ := wire.StageOf(f[0]); h.has(st) || st == StageEnd && h.End != nil {
					want = append(want, hookOf[f[0]])
				}
			}
			n.want(t, want...)
		})
	}
}

// libmilter loses the message there, and then hangs.
func TestUnknownKeepsTheMessage(t *testing.T) {
	var n notes
	h := n.hooks(nil)
	h.Data = nil
	p := serve(t, filter(h)).dial(t)
	p.offer()
	p.talk(">"+connectFrame, "<c", ">"+heloFrame, "<c", ">"+mailFrame, "<c", ">"+unknownFrame, "<c", ">"+rcptFrame, "<c", ">"+unknownFrame, "<c",
		">"+headerFrame, "<c", ">"+unknownFrame, "<c", ">N", "<c", ">"+unknownFrame, "<c", ">"+bodyFrame, "<c", ">"+unknownFrame, "<c")
	n.take()
	p.write("Q")
	p.closed()
	n.want(t, "abort", "close")
}

func TestAbort(t *testing.T) {
	for _, tt := range []struct {
		name string
		talk []string // after HELO
		want []string
	}{
		{"no message", []string{">A", ">A"}, nil},
		{"after MAIL", []string{">" + mailFrame, "<c", ">A"}, []string{"mail a@example.org", "abort"}},
		{"repeated", []string{">" + mailFrame, "<c", ">A", ">A", ">A"}, []string{"mail a@example.org", "abort"}},
		{"with a payload", []string{">" + mailFrame, "<c", ">Awhatever"}, []string{"mail a@example.org", "abort"}},
		{"after RCPT", []string{">" + mailFrame, "<c", ">" + rcptFrame, "<c", ">A"}, []string{"mail a@example.org", "rcpt b@example.net", "abort"}},
		{"in the content", []string{">" + mailFrame, "<c", ">" + rcptFrame, "<c", ">T", "<c", ">" + headerFrame, "<c", ">A"},
			[]string{"mail a@example.org", "rcpt b@example.net", "data", "header Subject", "abort"}},
		{"after the end, as Postfix does", []string{">" + mailFrame, "<c", ">" + rcptFrame, "<c", ">E", "<c", ">A", ">A"},
			[]string{"mail a@example.org", "rcpt b@example.net", "end"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n notes
			p := serve(t, filter(n.hooks(nil))).dial(t)
			p.greet()
			n.take()
			p.talk(tt.talk...)
			p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">E", "<c") // goes on as if nothing had been
			n.want(t, append(tt.want, "mail a@example.org", "rcpt b@example.net", "end")...)
		})
	}
}

// A verdict of the filter ends the message: no abort follows it.
func TestNoAbortAfterVerdict(t *testing.T) {
	for _, tt := range stageFrames {
		for _, r := range []Reply{AcceptMessage, Accept, Discard, DefaultReject, DefaultTempFail} {
			replies := map[Stage]Reply{tt.stage: r}
			if tt.stage == StageUnknown || !knows(tt.stage, r) || tt.stage < StageMail {
				continue
			}
			t.Run(tt.stage.String()+" "+r.String(), func(t *testing.T) {
				var n notes
				p := serve(t, filter(n.hooks(replies))).dial(t)
				p.offer()
				for _, f := range tt.lead {
					p.want("c", f)
				}
				p.write(tt.frame)
				if got := p.read(); got[0] != r.answer().code {
					t.Errorf("answer = %q", got)
				}
				n.take()
				p.write("A", "Q")
				p.closed()
				want := []string{"close"}
				if tt.stage == StageRcpt && (r == Reply(DefaultReject) || r == Reply(DefaultTempFail)) {
					want = []string{"abort", "close"} // only the recipient was refused
				}
				n.want(t, want...)
			})
		}
	}
}

// knows reports whether a stage knows a reply, as its type says.
func knows(s Stage, r Reply) bool {
	var ok bool
	switch s {
	case StageConnect:
		_, ok = r.(ConnectReply)
	case StageHelo:
		_, ok = r.(HeloReply)
	case StageMail:
		_, ok = r.(MailReply)
	case StageRcpt:
		_, ok = r.(RcptReply)
	case StageData:
		_, ok = r.(DataReply)
	case StageHeader:
		_, ok = r.(HeaderReply)
	case StageEndOfHeaders:
		_, ok = r.(EndOfHeadersReply)
	case StageBody:
		_, ok = r.(BodyReply)
	case StageEnd:
		_, ok = r.(EndReply)
	case StageUnknown:
		_, ok = r.(UnknownReply)
	}
	return ok
}

func TestEndsOfConnections(t *testing.T) {
	message := []string{">" + mailFrame, "<c", ">" + rcptFrame, "<c"}
	for _, tt := range []struct {
		name string
		talk []string
		end  string // "Q", or "" for the end of the stream
		want []string
	}{
		{"QUIT at once", nil, "Q", nil},
		{"end of stream at once", nil, "", nil},
		{"QUIT after the offer", lead()[:2], "Q", []string{"close"}},
		{"end of stream after the offer", lead()[:2], "", []string{"close"}},
		{"QUIT with a payload", lead()[:2], "Qbye", []string{"close"}},
		{"QUIT in mid-message", append(lead(), message...), "Q", []string{"connect client.example", "mail a@example.org", "rcpt b@example.net", "abort", "close"}},
		{"end of stream in mid-message", append(lead(), message...), "", []string{"connect client.example", "mail a@example.org", "rcpt b@example.net", "abort", "close"}},
		{"QUIT between messages", append(append(lead(), message...), ">E", "<c"), "Q", []string{"connect client.example", "mail a@example.org", "rcpt b@example.net", "end", "close"}},
		{"end of stream between messages", append(append(lead(), message...), ">E", "<c"), "", []string{"connect client.example", "mail a@example.org", "rcpt b@example.net", "end", "close"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n notes
			s := filter(n.hooks(nil))
			ln := serve(t, s)
			p := ln.dial(t)
			p.talk(tt.talk...)
			if tt.end == "" {
				p.nc.Close()
			} else {
				p.write(tt.end)
				p.closed()
			}
			for s.conns.Load() > 0 { // until Close has run
				ln.dial(t).nc.Close()
			}
			n.want(t, tt.want...)
		})
	}
}

func TestEndOfStreamInMidFrame(t *testing.T) {
	var n notes
	var book logBook
	s := filter(n.hooks(nil))
	s.Log = book.logger()
	p := connect(t, serveSocket(t, s, "unix"))
	p.talk(lead(mailFrame)...)
	b := frames(rcptFrame)
	p.nc.Write(b[:len(b)-1])
	p.nc.(interface{ CloseWrite() error }).CloseWrite()
	p.closed()
	n.want(t, "connect client.example", "mail a@example.org", "abort", "close")
	if log := book.String(); !strings.Contains(log, "unexpected EOF") || strings.Contains(log, "level=WARN") {
		t.Errorf("log = %s", log)
	}
}

func TestQuitNC(t *testing.T) {
	for _, st := range states {
		t.Run(st.name, func(t *testing.T) {
			var n notes
			sessions := 0
			s := &Server{New: func(s *Session) Hooks {
				sessions++
				h := n.hooks(nil)
				h.Helo = func(context.Context, []byte) HeloReply {
					n.add("helo %q %v %d", s.Helo(), s.Client().Family, sessions)
					return Continue
				}
				return h
			}}
			p := serve(t, s).dial(t)
			p.talk(st.lead...)
			p.sync()
			n.take()
			before := sessions
			p.write("K")
			if st.name == "0 INIT" {
				p.talk(">"+offerFrame, "<"+answerFrame, ">"+connectFrame, "<c")
				return
			}
			p.talk(">"+connectFrame, "<c")
			want := []string{"connect client.example"}
			if !strings.HasPrefix(st.name, "14") {
				want = append([]string{"close"}, want...)
			}
			if st.open {
				want = append([]string{"abort"}, want...)
			}
			n.want(t, want...)
			p.want("c", heloFrame)
			n.want(t, fmt.Sprintf("helo %q %v %d", "client.example", FamilyInet, before+1))
			p.write("Q")
			p.closed()
			n.want(t, "close")
		})
	}
}

func TestQuitNCStartsAfresh(t *testing.T) {
	var n notes
	s := &Server{New: func(s *Session) Hooks {
		n.add("new %v %q", s.Client().Family == FamilyUnknown, s.Helo())
		return Hooks{
			Mail: func(context.Context, *Mail) MailReply {
				_, ok := s.Macro("j")
				n.add("mail %v %s", ok, s.Protocol())
				return Continue
			},
			Close: func() { n.add("close") },
		}
	}}
	p := serve(t, s).dial(t)
	p.offer()
	off := (wire.NoSteps &^ wire.NoMail).String()
	p.talk(">DCj\x00mx\x00", ">"+connectFrame, "<c", ">"+heloFrame, "<c", ">"+mailFrame, "<c", ">K", ">"+mailFrame, "<c")
	n.want(t, `new true ""`, "mail true "+off, "close", `new true ""`, "mail false "+off)
	p.talk(">K", ">K", ">K")
	p.nc.Close()
}

// A message that comes first in a session, before any step that is switched off, is
// seen by the hooks all the same.
func TestMessageWithoutGreeting(t *testing.T) {
	var n notes
	p := serve(t, filter(Hooks{Rcpt: n.hooks(nil).Rcpt, Close: n.hooks(nil).Close})).dial(t)
	p.offer()
	p.talk(">"+rcptFrame, "<c", ">K", ">"+rcptFrame, "<c", ">Q", "<!")
	n.want(t, "rcpt b@example.net", "close", "rcpt b@example.net", "close")
	p = serve(t, filter(n.hooks(nil))).dial(t)
	p.talk(">"+mailFrame, "<c", ">Q", "<!") // libmilter takes it without an offer, too
	n.want(t, "mail a@example.org", "abort", "close")
}

func TestNothingIsLeftOverBetweenMessages(t *testing.T) {
	var n notes
	count := 0
	s := &Server{MaxRcpts: 3, MaxHeaders: 3, New: func(s *Session) Hooks {
		macros := func() string {
			var b bytes.Buffer
			for _, name := range []string{"i", "{mail_addr}", "{rcpt_addr}", "{d}", "{l}", "{n}", "{b}", "{e}", "{u}", "j", "{h}"} {
				if v, ok := s.Macro(name); ok {
					fmt.Fprintf(&b, " %s=%s", name, v)
				}
			}
			return b.String()
		}
		return Hooks{
			Mail:   func(context.Context, *Mail) MailReply { n.add("mail%s", macros()); return Continue },
			Rcpt:   func(context.Context, *Rcpt) RcptReply { n.add("rcpt%s", macros()); return Continue },
			Header: func(context.Context, *Header) HeaderReply { return Continue },
			Body: func(_ context.Context, b []byte) BodyReply {
				n.add("body")
				if count++; count == 1 {
					return Skip
				}
				return Continue
			},
			End: func(_ context.Context, e *Edits) EndReply {
				n.add("end%s", macros())
				if count == 1 {
					e.AddHeader("X", "1")
					e.Quarantine("x")
					e.ReplaceBody(strings.NewReader("new"))
					return DefaultReject
				}
				return Accept
			},
		}
	}}
	p := serve(t, s).dial(t)
	p.offer()
	p.talk(">DCj\x00mx\x00", ">"+connectFrame, "<c", ">DH{h}\x001\x00", ">"+heloFrame, "<c",
		">DMi\x00Q1\x00{mail_addr}\x00a\x00", ">"+mailFrame, "<c", ">DR{rcpt_addr}\x00b\x00", ">"+rcptFrame, "<c", ">"+rcptFrame, "<c", ">"+rcptFrame, "<c",
		">DT{d}\x001\x00", ">T", "<c", ">DL{l}\x001\x00", ">"+headerFrame, "<c", ">"+headerFrame, "<c", ">"+headerFrame, "<c",
		">DN{n}\x001\x00", ">N", "<c", ">DB{b}\x001\x00", ">"+bodyFrame, "<s", ">"+bodyFrame, "<c", ">DE{e}\x001\x00i\x00Q1\x00", ">E", "<r")
	n.want(t, "mail i=Q1 {mail_addr}=a j=mx {h}=1", "rcpt i=Q1 {mail_addr}=a {rcpt_addr}=b j=mx {h}=1",
		"rcpt i=Q1 {mail_addr}=a j=mx {h}=1", "rcpt i=Q1 {mail_addr}=a j=mx {h}=1", "body",
		"end i=Q1 {mail_addr}=a {d}=1 {l}=1 {n}=1 {b}=1 {e}=1 j=mx {h}=1")
	p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">"+rcptFrame, "<c", ">"+rcptFrame, "<c", ">"+headerFrame, "<c", ">"+headerFrame, "<c", ">"+headerFrame, "<c",
		">N", "<c", ">"+bodyFrame, "<c", ">"+bodyFrame, "<c", ">E", "<a")
	n.want(t, "mail j=mx {h}=1", "rcpt j=mx {h}=1", "rcpt j=mx {h}=1", "rcpt j=mx {h}=1", "body", "body", "end j=mx {h}=1")
}

// The macros of the next MAIL come before it, so those of an open message that it
// ends must not take them along.
func TestMacrosOfTheMailThatEndsAMessage(t *testing.T) {
	var n notes
	p := serve(t, &Server{New: func(s *Session) Hooks {
		return Hooks{
			Mail: func(context.Context, *Mail) MailReply {
				_, ok := s.Macro("{rcpt_addr}")
				n.add("mail %s %v", s.QueueID(), ok)
				return Continue
			},
			Rcpt: func(context.Context, *Rcpt) RcptReply { return Continue },
		}
	}}).dial(t)
	p.offer()
	p.talk(">DMi\x00Q1\x00", ">"+mailFrame, "<c", ">DR{rcpt_addr}\x00b\x00", ">"+rcptFrame, "<c", ">DMi\x00Q2\x00", ">"+mailFrame, "<c", ">A", ">"+mailFrame, "<c")
	n.want(t, "mail Q1 false", "mail Q2 false", "mail  false")
}

// A filter that does not see MAIL learns from its macros that a message begins.
func TestMacrosOfMailAsBoundary(t *testing.T) {
	var n notes
	p := serve(t, &Server{New: func(s *Session) Hooks {
		return Hooks{
			Header: func(context.Context, *Header) HeaderReply { n.add("header %s", s.QueueID()); return Continue },
			End:    func(context.Context, *Edits) EndReply { n.add("end %s", s.QueueID()); return Accept },
			Abort:  func(context.Context) { n.add("abort %s", s.QueueID()) },
		}
	}}).dial(t)
	p.offer()
	p.talk(">DMi\x00Q1\x00", ">"+headerFrame, "<c", ">DMi\x00Q2\x00", ">"+headerFrame, "<c", ">DEi\x00Q2e\x00", ">E", "<a",
		">DMi\x00Q3\x00", ">"+headerFrame, "<c", ">A", ">"+headerFrame, "<c", ">E", "<a", ">DMi\x00Q4\x00", ">DRi\x00Q4r\x00", ">DMi\x00Q5\x00", ">"+headerFrame, "<c")
	n.want(t, "header Q1", "abort Q1", "header Q2", "end Q2e", "header Q3", "abort Q3", "header ", "end ", "header Q5")
}

func TestBodyInBODYEOB(t *testing.T) {
	for _, tt := range []struct {
		name    string
		replies map[Stage]Reply
		silent  StageSet
		answer  string
		want    []string
	}{
		{"continue", nil, 0, "c", []string{`body "last"`, "end"}},
		{"skip", map[Stage]Reply{StageBody: Skip}, 0, "c", []string{`body "last"`, "end"}},
		{"silent", nil, Stages(StageBody), "c", []string{`body "last"`, "end"}},
		{"one answer, not two", map[Stage]Reply{StageBody: DefaultReject}, 0, "r", []string{`body "last"`}},
		{"discard", map[Stage]Reply{StageBody: Discard}, 0, "d", []string{`body "last"`}},
		{"accept", map[Stage]Reply{StageBody: AcceptMessage}, 0, "a", []string{`body "last"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n notes
			h := n.hooks(tt.replies)
			h.Silent = tt.silent
			p := serve(t, filter(h)).dial(t)
			p.greet()
			p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">N", "<c")
			n.take()
			p.want(tt.answer, "Elast")
			n.want(t, tt.want...)
			p.talk(">A", ">"+mailFrame, "<c", ">"+rcptFrame, "<c")
		})
	}
}

func TestSecondHELO(t *testing.T) {
	var n notes
	p := serve(t, &Server{New: func(s *Session) Hooks {
		return Hooks{
			Helo:  func(_ context.Context, name []byte) HeloReply { n.add("helo %s %s", name, s.Helo()); return Continue },
			Mail:  func(context.Context, *Mail) MailReply { n.add("mail %s", s.Helo()); return Continue },
			Abort: func(context.Context) { n.add("abort %s", s.Helo()) },
		}
	}}).dial(t)
	p.offer()
	p.talk(">Hplain\x00", "<c", ">Hafter.starttls\x00", "<c", ">"+mailFrame, "<c", ">Hthird\x00", "<c", ">A", ">"+mailFrame, "<c")
	n.want(t, "helo plain plain", "helo after.starttls after.starttls", "mail after.starttls", "abort after.starttls", "helo third third", "mail third")
}

// Whether frames come one by one or all at once, the hooks see the same, and the
// answers come in order.
func TestFramesInAnyPieces(t *testing.T) {
	list := []string{connectFrame, heloFrame, mailFrame, rcptFrame, rcptFrame, "T", headerFrame, "N", bodyFrame, "E", mailFrame, rcptFrame, "A", mailFrame, "Q"}
	var want []string
	for _, size := range []int{1 << 20, 1, 2, 3, 7, 64} {
		var n notes
		p := serve(t, filter(n.hooks(map[Stage]Reply{StageRcpt: DefaultTempFail}))).dial(t)
		p.offer()
		go func() {
			for b := frames(list...); len(b) > 0; {
				k := min(size, len(b))
				p.nc.Write(b[:k])
				b = b[k:]
			}
		}()
		p.expect("c", "c", "c", "t", "t", "c", "c", "c", "c", "c", "c", "t", "c")
		p.closed()
		got := n.take()
		if want == nil {
			want = got
		}
		if strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("in pieces of %d hooks saw %q\nwant %q", size, got, want)
		}
	}
}
