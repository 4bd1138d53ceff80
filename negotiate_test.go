package milter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

const allProtocol = wire.CurrentProtocol | wire.Data256K | wire.Data1M

// ask returns what a filter asks for, given an offer.
func ask(t *testing.T, h Hooks, version uint32, actions Actions, protocol Protocol) wire.Negotiation {
	t.Helper()
	p := serve(t, filter(h)).dial(t)
	defer p.nc.Close()
	n := p.negotiate(version, actions, protocol)
	for i := range n.Macros {
		n.Macros[i] = slices.Clone(n.Macros[i])
	}
	return n
}

func TestNilHooksAreNegotiatedAway(t *testing.T) {
	all := new(notes).hooks(nil)
	for _, tt := range []struct {
		name string
		drop func(*Hooks)
		want Protocol
	}{
		{"all hooks", func(*Hooks) {}, wire.Skip},
		{"no connect", func(h *Hooks) { h.Connect = nil }, wire.Skip | wire.NoConnect},
		{"no helo", func(h *Hooks) { h.Helo = nil }, wire.Skip | wire.NoHelo},
		{"no mail", func(h *Hooks) { h.Mail = nil }, wire.Skip | wire.NoMail},
		{"no rcpt", func(h *Hooks) { h.Rcpt = nil }, wire.Skip | wire.NoRcpt},
		{"no data", func(h *Hooks) { h.Data = nil }, wire.Skip | wire.NoData},
		{"no unknown", func(h *Hooks) { h.Unknown = nil }, wire.Skip | wire.NoUnknown},
		{"no header", func(h *Hooks) { h.Header = nil }, wire.Skip | wire.NoHeaders},
		{"no end of headers", func(h *Hooks) { h.EndOfHeaders = nil }, wire.Skip | wire.NoEndOfHeaders},
		{"no body, nothing to skip", func(h *Hooks) { h.Body = nil }, wire.NoBody},
		{"no end: it comes anyway", func(h *Hooks) { h.End = nil }, wire.Skip},
		{"no abort and close: nobody knows", func(h *Hooks) { h.Abort, h.Close = nil, nil }, wire.Skip},
		{"no hook at all", func(h *Hooks) { *h = Hooks{} }, wire.NoSteps},
		{"rejected recipients", func(h *Hooks) { h.RejectedRcpts = true }, wire.Skip | wire.RejectedRcpts},
		{"leading space", func(h *Hooks) { h.LeadingSpace = true }, wire.Skip | wire.LeadingSpace},
		{"data size 64K", func(h *Hooks) { h.DataSize = 64 << 10 }, wire.Skip},
		{"data size 256K", func(h *Hooks) { h.DataSize = 256 << 10 }, wire.Skip | wire.Data256K},
		{"data size 1M", func(h *Hooks) { h.DataSize = 1 << 20 }, wire.Skip | wire.Data1M},
		{"silent without a hook", func(h *Hooks) { h.Helo, h.Silent = nil, Stages(StageHelo) }, wire.Skip | wire.NoHelo},
		{"silent where an answer is due", func(h *Hooks) { h.Silent = Stages(StageEnd, StageAbort, StageClose, StageNegotiate) }, wire.Skip},
		{"all silent", func(h *Hooks) { h.Silent = ^StageSet(0) }, wire.Skip | wire.NoReplies},
		{"silent connect", func(h *Hooks) { h.Silent = Stages(StageConnect) }, wire.Skip | wire.NoReplyConnect},
		{"silent helo", func(h *Hooks) { h.Silent = Stages(StageHelo) }, wire.Skip | wire.NoReplyHelo},
		{"silent mail", func(h *Hooks) { h.Silent = Stages(StageMail) }, wire.Skip | wire.NoReplyMail},
		{"silent rcpt", func(h *Hooks) { h.Silent = Stages(StageRcpt) }, wire.Skip | wire.NoReplyRcpt},
		{"silent data", func(h *Hooks) { h.Silent = Stages(StageData) }, wire.Skip | wire.NoReplyData},
		{"silent unknown", func(h *Hooks) { h.Silent = Stages(StageUnknown) }, wire.Skip | wire.NoReplyUnknown},
		{"silent header", func(h *Hooks) { h.Silent = Stages(StageHeader) }, wire.Skip | wire.NoReplyHeader},
		{"silent end of headers", func(h *Hooks) { h.Silent = Stages(StageEndOfHeaders) }, wire.Skip | wire.NoReplyEndOfHeaders},
		{"silent body", func(h *Hooks) { h.Silent = Stages(StageBody) }, wire.Skip | wire.NoReplyBody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := all
			tt.drop(&h)
			n := ask(t, h, 6, wire.CurrentActions, allProtocol)
			if n.Protocol != tt.want || n.Version != 6 {
				t.Errorf("version %d, protocol %v, want 6, %v", n.Version, n.Protocol, tt.want)
			}
			wantActions := AllEdits
			if h.End == nil {
				wantActions = 0
			}
			if n.Actions != wantActions {
				t.Errorf("actions %v, want %v", n.Actions, wantActions)
			}
		})
	}
}

func TestOffersOfOlderMTAs(t *testing.T) {
	h := new(notes).hooks(nil)
	h.Silent = ^StageSet(0)
	h.RejectedRcpts, h.LeadingSpace, h.DataSize = true, true, 1<<20
	h.Macros = map[Stage][]string{StageConnect: {"j"}}
	none := Hooks{}
	for _, tt := range []struct {
		name     string
		hooks    Hooks
		version  uint32
		actions  Actions
		protocol Protocol
		want     string // version, actions, protocol
	}{
		{"version 2", h, 2, 0x3f, 0x7f, "2 0x3f 0x0"},
		{"version 2, no hooks", none, 2, 0x3f, 0x7f, "2 0x0 0x7f"},
		{"Postfix with milter_protocol=2", h, 2, 0x1ff, 0x7f, "2 0x1ff 0x0"},
		{"Postfix with milter_protocol=3", none, 3, 0x1ff, 0x17f, "3 0x0 0x17f"},
		{"Postfix with milter_protocol=4", none, 4, 0x1ff, 0x37f, "4 0x0 0x37f"},
		{"Postfix with no_header_reply", h, 4, 0x1ff, 0x3ff, "4 0x1ff 0x80"},
		{"version 6", h, 6, 0x1ff, 0x1fffff, "6 0x1ff 0x1ffc80"},
		{"version 6 with 256K only", h, 6, 0x1ff, 0x101fffff, "6 0x1ff 0x101ffc80"},
		{"version 6 with 1M", h, 6, 0x1ff, 0x301fffff, "6 0x1ff 0x201ffc80"},
		{"no silent stages", h, 6, 0x1ff, 0x7f | 0x700, "6 0x1ff 0x400"},
		{"no macro lists", h, 6, 0xff, 0x1fffff, "6 0xff 0x1ffc80"},
		{"few actions", h, 6, 0x11, 0x1fffff, "6 0x11 0x1ffc80"},
		{"an offer of nothing is the first version's", h, 6, 0, 0, "6 0xf 0x0"},
		{"an offer of nothing, no hooks", none, 6, 0, 0, "6 0x0 0x3f"},
		{"a version from the future", h, 9, 0xffff, 0xffffffff, "6 0x1ff 0x201ffc80"},
		{"the largest version", h, 0xffffffff, 0x1ff, 0x1fffff, "6 0x1ff 0x1ffc80"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := ask(t, tt.hooks, tt.version, tt.actions, tt.protocol)
			if got := fmt.Sprintf("%d %#x %#x", n.Version, uint32(n.Actions), uint32(n.Protocol)); got != tt.want {
				t.Errorf("answer = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRefusedOffers(t *testing.T) {
	for _, tt := range []struct {
		name, frame string
		err         error
		begun       bool
	}{
		{"version 0", offer(0, 0x1ff, 0x1fffff), wire.ErrVersion, true},
		{"version 1", offer(1, 0xf, 0x3f), wire.ErrVersion, true},
		{"empty", "O", wire.ErrTooShort, false},
		{"eleven bytes", "O\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff", wire.ErrTooShort, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n notes
			var book logBook
			s := filter(n.hooks(nil))
			s.Log = book.logger()
			p := serve(t, s).dial(t)
			p.write(tt.frame)
			p.closed()
			want := []string(nil)
			if tt.begun {
				want = []string{"close"}
			}
			n.want(t, want...)
			if log := book.String(); !strings.Contains(log, "OPTNEG at offset 0, after negotiate: "+tt.err.Error()) {
				t.Errorf("log = %s", log)
			}
		})
	}
}

func TestMoreThanAnOfferIsPassedOver(t *testing.T) {
	p := serve(t, filter(Hooks{})).dial(t)
	p.write(offer(6, 0x1ff, 0x1fffff) + "more")
	if got := p.read(); got != offer(6, 0, 0x37f) {
		t.Errorf("answer = %q", got)
	}
}

// Hooks that are silent but must answer are answered for.
func TestSilentWhereTheMTADoesNotGrantIt(t *testing.T) {
	var n notes
	h := n.hooks(map[Stage]Reply{StageBody: Skip})
	h.Silent = ^StageSet(0)
	p := serve(t, filter(h)).dial(t)
	p.negotiate(6, wire.CurrentActions, wire.NoSteps)
	p.talk(">"+connectFrame, "<c", ">"+heloFrame, "<c", ">"+mailFrame, "<c", ">UX\x00", "<c", ">"+rcptFrame, "<c", ">T", "<c",
		">"+headerFrame, "<c", ">N", "<c", ">"+bodyFrame, "<c", ">"+bodyFrame, "<c", ">E", "<c")
	n.want(t, "connect client.example", "helo client.example", "mail a@example.org", "unknown X", "rcpt b@example.net", "data",
		"header Subject", "eoh", `body "body\r\n"`, "end")
}

func TestSilentWhereItIsGranted(t *testing.T) {
	var n notes
	h := n.hooks(nil)
	h.Silent = ^StageSet(0)
	p := serve(t, filter(h)).dial(t)
	p.offer()
	p.talk(">"+connectFrame, ">"+heloFrame, ">"+mailFrame, ">UX\x00", ">"+rcptFrame, ">T", ">"+headerFrame, ">N", ">"+bodyFrame, ">E", "<c")
	n.want(t, "connect client.example", "helo client.example", "mail a@example.org", "unknown X", "rcpt b@example.net", "data",
		"header Subject", "eoh", `body "body\r\n"`, "end")
}

func TestActionsAskedFor(t *testing.T) {
	end := func(context.Context, *Edits) EndReply { return Accept }
	for _, tt := range []struct {
		name  string
		hooks Hooks
		want  Actions
	}{
		{"end without a wish", Hooks{End: end}, AllEdits},
		{"nothing wanted", Hooks{End: end, Actions: NoEdits}, 0},
		{"some", Hooks{End: end, Actions: CanAddHeaders | CanQuarantine}, CanAddHeaders | CanQuarantine},
		{"some and a stray bit", Hooks{End: end, Actions: CanAddHeaders | 1<<20}, CanAddHeaders},
		{"macro lists are not asked for by hand", Hooks{End: end, Actions: CanAddHeaders | wire.SetMacros}, CanAddHeaders},
		{"wish without end", Hooks{Actions: CanAddHeaders}, CanAddHeaders},
	} {
		if n := ask(t, tt.hooks, 6, wire.CurrentActions, wire.CurrentProtocol); n.Actions != tt.want {
			t.Errorf("%s: actions %v, want %v", tt.name, n.Actions, tt.want)
		}
	}
}

func TestMacroLists(t *testing.T) {
	type lists = map[Stage]string
	for _, tt := range []struct {
		name   string
		macros map[Stage][]string
		want   lists
	}{
		{"none", nil, lists{}},
		{"empty map", map[Stage][]string{}, lists{}},
		{"connect", map[Stage][]string{StageConnect: {"j", "{daemon_name}"}}, lists{StageConnect: "j {daemon_name}"}},
		{"nothing wanted at helo", map[Stage][]string{StageHelo: {}}, lists{StageHelo: ""}},
		{"nothing wanted at helo, nil", map[Stage][]string{StageHelo: nil}, lists{StageHelo: ""}},
		{"end alone takes the end of headers along", map[Stage][]string{StageEnd: {"i"}}, lists{StageEnd: "i", StageEndOfHeaders: ""}},
		{"end of headers alone takes the end along", map[Stage][]string{StageEndOfHeaders: {"i"}}, lists{StageEnd: "{msg_id} i", StageEndOfHeaders: "i"}},
		{"both", map[Stage][]string{StageEnd: {"{x}"}, StageEndOfHeaders: {"i"}}, lists{StageEnd: "{x}", StageEndOfHeaders: "i"}},
		{"both empty", map[Stage][]string{StageEnd: {}, StageEndOfHeaders: {}}, lists{StageEnd: "", StageEndOfHeaders: ""}},
		{"a stage that has no list", map[Stage][]string{StageHeader: {"i"}}, lists{}},
		{"all", map[Stage][]string{StageConnect: {"a"}, StageHelo: {"b"}, StageMail: {"c"}, StageRcpt: {"d"}, StageData: {"e"}, StageEnd: {"f"}, StageEndOfHeaders: {"g"}},
			lists{StageConnect: "a", StageHelo: "b", StageMail: "c", StageRcpt: "d", StageData: "e", StageEnd: "f", StageEndOfHeaders: "g"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := ask(t, Hooks{Macros: tt.macros}, 6, wire.CurrentActions, wire.CurrentProtocol)
			got := lists{}
			for s, names := range n.Macros {
				if names != nil {
					got[Stage(s)] = string(names)
				}
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("lists = %v, want %v", got, tt.want)
			}
			if asked := n.Actions&wire.SetMacros != 0; asked != (len(tt.want) > 0) {
				t.Errorf("actions = %v", n.Actions)
			}
			n = ask(t, Hooks{Macros: tt.macros}, 6, wire.CurrentActions&^wire.SetMacros, wire.CurrentProtocol)
			if n.Actions != 0 || slices.ContainsFunc(n.Macros[:], func(b []byte) bool { return b != nil }) {
				t.Errorf("not granted, but asked for: %v %q", n.Actions, n.Macros)
			}
		})
	}
}

func TestWhatWasGrantedShowsOnTheSession(t *testing.T) {
	var n notes
	s := &Server{New: func(s *Session) Hooks {
		return Hooks{
			Connect: func(context.Context, *Client) ConnectReply {
				n.add("%d %v %v", s.Version(), s.Actions(), s.Protocol())
				return Continue
			},
			End:          func(context.Context, *Edits) EndReply { return Accept },
			Silent:       Stages(StageConnect),
			LeadingSpace: true,
		}
	}}
	ln := serve(t, s)
	p := ln.dial(t)
	p.offer()
	p.write(connectFrame, "Q")
	p.closed()
	n.want(t, "6 ADDHDRS|CHGBODY|ADDRCPT|DELRCPT|CHGHDRS|QUARANTINE|CHGFROM|ADDRCPT_PAR "+
		"NOHELO|NOMAIL|NORCPT|NOBODY|NOHDRS|NOEOH|NOUNKNOWN|NODATA|NR_CONN|HDR_LEADSPC")
	p = ln.dial(t)
	p.negotiate(2, 1, 1)
	p.want("c", connectFrame)
	n.want(t, "2 ADDHDRS 0")
}

func TestNegotiateHook(t *testing.T) {
	all := func(do func(*Negotiation) error) Hooks {
		h := new(notes).hooks(nil)
		h.Macros = map[Stage][]string{StageMail: {"i"}}
		h.Negotiate = func(_ context.Context, n *Negotiation) error { return do(n) }
		return h
	}
	for _, tt := range []struct {
		name string
		do   func(*Negotiation) error
		want string
	}{
		{"sees the offer and what is going to be asked", func(n *Negotiation) error {
			if got := fmt.Sprintf("%d %#x %#x %v %v %v", n.OfferedVersion, uint32(n.OfferedActions), uint32(n.OfferedProtocol), n.Actions, n.Protocol, n.Macros); got !=
				"6 0x1ff 0x1fffff "+AllEdits.String()+" SKIP map[mail:[i]]" {
				return errors.New(got)
			}
			return nil
		}, "6 0x1ff 0x400"},
		{"asks for less", func(n *Negotiation) error { n.Actions, n.Macros = CanAddHeaders, nil; return nil }, "6 0x1 0x400"},
		{"asks for nothing", func(n *Negotiation) error { n.Actions, n.Protocol, n.Macros = 0, 0, nil; return nil }, "6 0x0 0x0"},
		{"switches a step off", func(n *Negotiation) error { n.Protocol |= StageRcpt.NoBit(); return nil }, "6 0x1ff 0x408"},
		{"asks for what was not offered", func(n *Negotiation) error { n.Actions, n.Protocol = ^Actions(0), ^Protocol(0); return nil }, "6 0x1ff 0x1fffff"},
		{"changes macros", func(n *Negotiation) error { delete(n.Macros, StageMail); return nil }, "6 0xff 0x400"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := all(tt.do)
			n := ask(t, h, 6, wire.CurrentActions, wire.CurrentProtocol)
			if got := fmt.Sprintf("%d %#x %#x", n.Version, uint32(n.Actions), uint32(n.Protocol)); got != tt.want {
				t.Errorf("answer = %s, want %s", got, tt.want)
			}
			if len(h.Macros) != 1 {
				t.Error("the hooks' own map changed")
			}
		})
	}
}

// A hook may make a stage silent that an MTA does not grant, and switch a step off
// that it sends all the same.
func TestNegotiateHookIsAnsweredFor(t *testing.T) {
	var n notes
	h := n.hooks(nil)
	h.Negotiate = func(_ context.Context, n *Negotiation) error {
		n.Protocol |= StageMail.NoReplyBit()
		return nil
	}
	p := serve(t, filter(h)).dial(t)
	p.negotiate(6, wire.CurrentActions, wire.NoSteps)
	p.talk(">"+connectFrame, "<c", ">"+heloFrame, "<c", ">"+mailFrame, "<c")
}

func TestNegotiateRefused(t *testing.T) {
	for _, tt := range []struct {
		policy FaultPolicy
		answer string
	}{
		{FaultTempFail, failedFrame},
		{FaultReject, "y554 5.3.0 mail filter gomilter failed\x00"},
		{FaultAccept, "a"},
		{FaultContinue, "c"},
	} {
		for _, how := range []string{"error", "panic", "panic in New"} {
			t.Run(tt.policy.String()+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var n notes
					h := n.hooks(nil)
					h.Negotiate = func(context.Context, *Negotiation) error {
						if how == "panic" {
							panic("no")
						}
						return errors.New("no")
					}
					s := filter(h)
					if how == "panic in New" {
						s.New = func(*Session) Hooks { panic("no") }
					}
					m := new(counts)
					s.OnFault, s.Metrics = tt.policy, m
					p := serve(t, s).dial(t)
					if got := p.offer(); got.Version != 6 || got.Actions != 0 || got.Protocol != 0 {
						t.Errorf("answer = %+v, want every step asked for", got)
					}
					p.talk(">"+connectFrame, "<"+tt.answer, ">"+heloFrame, "<"+tt.answer, ">"+mailFrame, "<"+tt.answer)
					p.write("Q")
					p.closed()
					if kind := map[string]string{"error": FaultOffer}[how]; kind != "" {
						m.wantFaults(t, "negotiate "+kind)
					} else {
						m.wantFaults(t, "negotiate "+FaultPanic)
					}
					if how != "panic in New" {
						n.want(t, "close")
					}
				})
			})
		}
	}
}

func TestLargerDataSize(t *testing.T) {
	for _, tt := range []struct {
		asked, frame int
		ok           bool
	}{
		{0, 65535, true},
		{0, 65536, false},
		{256 << 10, 262143, true},
		{256 << 10, 262144, false},
		{1 << 20, 1048575, true},
		{1 << 20, 1048576, false},
	} {
		t.Run(fmt.Sprintf("%d bytes of %d", tt.frame, tt.asked), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got int
				p := serve(t, filter(Hooks{DataSize: tt.asked, Body: func(_ context.Context, b []byte) BodyReply { got = len(b); return Continue }})).dial(t)
				p.negotiate(6, wire.CurrentActions, allProtocol)
				p.send("B" + strings.Repeat("x", tt.frame))
				if !tt.ok {
					p.closed()
					return
				}
				p.expect("c")
				if got != tt.frame {
					t.Errorf("the hook got %d bytes", got)
				}
			})
		})
	}
}

func TestLessDataThanAskedFor(t *testing.T) {
	p := serve(t, filter(Hooks{DataSize: 1 << 20, Body: func(context.Context, []byte) BodyReply { return Continue }})).dial(t)
	if n := p.negotiate(6, wire.CurrentActions, allProtocol&^wire.Data1M); n.Protocol.DataSize() != wire.DataSize256K {
		t.Errorf("data size = %d, want %d", n.Protocol.DataSize(), wire.DataSize256K)
	}
}

// The first frame may not be larger than usual, whatever is asked for later.
func TestLargeFrameBeforeTheOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, filter(Hooks{DataSize: 1 << 20})).dial(t)
		p.send("O" + strings.Repeat("x", 70000))
		p.closed()
		time.Sleep(time.Second)
	})
}
