package milter

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// looking is a filter that looks at everything and says nothing of it.
func looking(silent StageSet) *Server {
	seen := 0
	return filter(Hooks{
		Connect: func(context.Context, *Client) ConnectReply { return Continue },
		Helo:    func(_ context.Context, name []byte) HeloReply { seen += len(name); return Continue },
		Mail:    func(_ context.Context, m *Mail) MailReply { seen += len(m.Raw()); return Continue },
		Rcpt:    func(_ context.Context, r *Rcpt) RcptReply { seen += len(r.Raw()); return Continue },
		Data:    func(context.Context) DataReply { return Continue },
		Header: func(_ context.Context, h *Header) HeaderReply {
			seen += len(h.NameBytes()) + len(h.ValueBytes())
			return Continue
		},
		EndOfHeaders: func(context.Context) EndOfHeadersReply { return Continue },
		Body:         func(_ context.Context, b []byte) BodyReply { seen += len(b); return Continue },
		End:          func(context.Context, *Edits) EndReply { return Accept },
		Abort:        func(context.Context) {},
		Unknown:      func(_ context.Context, b []byte) UnknownReply { seen += len(b); return Continue },
		Silent:       silent,
	})
}

// An exchange writes bytes to a server and reads an answer of known length, without
// allocating itself.
type exchange struct {
	nc     net.Conn
	send   []byte
	answer []byte
}

func (x *exchange) do(t *testing.T) {
	if _, err := x.nc.Write(x.send); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(x.nc, x.answer); err != nil {
		t.Fatal(err)
	}
}

// allocs returns how many times a server allocates for what x sends, on average.
// What else goes on in the process is in it too, so the smallest of some runs counts.
func (x *exchange) allocs(t *testing.T, runs int) float64 {
	for range 20 {
		x.do(t) // buffers and goroutines settle
	}
	least := 1e9
	for range 5 {
		least = min(least, testing.AllocsPerRun(runs, func() { x.do(t) }))
	}
	return least
}

// Nothing is allocated per frame, whatever frames come and whether they are
// answered, and a message costs the same however many it has.
func TestNoAllocationPerFrame(t *testing.T) {
	if raceEnabled {
		t.Skip("counts of allocations say nothing under the race detector")
	}
	silent := Stages(StageConnect, StageHelo, StageMail, StageRcpt, StageData, StageHeader, StageEndOfHeaders, StageBody)
	chunk := "B" + strings.Repeat("x", 65535)
	for _, network := range []string{"unix", "tcp"} {
		for _, quiet := range []bool{false, true} {
			name := network + ", answered"
			s := looking(0)
			if quiet {
				name = network + ", silent"
				s = looking(silent)
				s.Metrics = uncounted{}
			}
			t.Run(name, func(t *testing.T) {
				p := connect(t, serveSocket(t, s, network))
				p.greetQuietly(quiet)
				for _, tt := range []struct{ name, frame string }{
					{"macros", "DMi\x00Q1\x00{mail_addr}\x00a@example.org\x00"},
					{"recipients", "DR{rcpt_addr}\x00b\x00\x00"},
					{"rcpt", rcptFrame},
					{"header", "LSubject\x00" + strings.Repeat("value ", 10) + "\x00"},
					{"header macros", "DLi\x00Q1\x00"},
					{"body", bodyFrame},
					{"full chunk", chunk},
				} {
					lead, tail := []string{mailFrame, rcptFrame}, []string{"E"}
					switch tt.frame[0] {
					case 'L':
						lead = append(lead, "T")
						tail = []string{"N", "E"}
					case 'B':
						lead = append(lead, "T", headerFrame, "N")
					}
					cost := func(n int) float64 {
						list := append([]string{}, lead...)
						for range n {
							list = append(list, tt.frame)
						}
						list = append(list, tail...)
						answers := 0
						for _, f := range list {
							if f[0] != 'D' && (!quiet || f[0] == 'E') {
								answers++
							}
						}
						x := &exchange{p.nc, frames(list...), make([]byte, 5*answers)}
						return x.allocs(t, 100)
					}
					one, many := cost(1), cost(21)
					t.Logf("%-14s a message with 1: %v, with 21: %v", tt.name, one, many)
					if many > one {
						t.Errorf("%s: 20 frames more cost %v allocations", tt.name, many-one)
					}
					if one > 1 {
						t.Errorf("%s: a message costs %v allocations, want at most 1", tt.name, one)
					}
				}
			})
		}
	}
}

// uncounted is Metrics that costs nothing itself.
type uncounted struct{}

func (uncounted) Connection(int)                       {}
func (uncounted) Verdict(Stage, string, time.Duration) {}
func (uncounted) Fault(Stage, string)                  {}
func (uncounted) Limit(string)                         {}

// greetQuietly takes a conversation up to HELO, answered or not.
func (p *peer) greetQuietly(silent bool) {
	p.t.Helper()
	p.offer()
	if silent {
		p.write(connectFrame, heloFrame)
		return
	}
	p.talk(">"+connectFrame, "<c", ">"+heloFrame, "<c")
}

// The same for what is outside messages.
func TestNoAllocationOutsideMessages(t *testing.T) {
	if raceEnabled {
		t.Skip("counts of allocations say nothing under the race detector")
	}
	p := connect(t, serveSocket(t, looking(0), "unix"))
	p.greetQuietly(false)
	for name, list := range map[string][]string{
		"helo":    {"DH{tls_version}\x00TLSv1.3\x00{cipher}\x00x\x00", heloFrame},
		"unknown": {"DU", unknownFrame},
		"abort":   {"A", "A", "A", heloFrame},
	} {
		x := &exchange{p.nc, frames(list...), make([]byte, 5)}
		if n := x.allocs(t, 200); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Looking at what is lent allocates nothing either, and edits only what they hold.
func TestAllocationsOfEdits(t *testing.T) {
	if raceEnabled {
		t.Skip("counts of allocations say nothing under the race detector")
	}
	s := filter(Hooks{End: func(_ context.Context, e *Edits) EndReply {
		e.InsertHeader(0, "X-Filter", "seen")
		return Accept
	}})
	p := connect(t, serveSocket(t, s, "unix"))
	p.offer()
	x := &exchange{p.nc, frames("E"), make([]byte, len(frames("i\x00\x00\x00\x00X-Filter\x00seen\x00", "a")))}
	if n := x.allocs(t, 200); n > 4 {
		t.Errorf("a message with one edit costs %v allocations", n)
	}
}
