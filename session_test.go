package milter

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/internal/wire"
)

func TestSessionIDs(t *testing.T) {
	ids := map[string]bool{}
	for range 2 {
		var book logBook
		got := make(chan string, 4)
		s := &Server{New: func(s *Session) Hooks {
			if s.ID() != s.ID() {
				t.Error("the id changes")
			}
			s.Log().Info("hello", "from", "a hook")
			got <- s.ID()
			return Hooks{}
		}}
		s.Log = book.logger()
		ln := serve(t, s)
		for range 2 {
			ln.dial(t).offer()
			id := <-got
			if ids[id] || !strings.Contains(book.String(), "msg=hello conn="+id+` from="a hook"`) {
				t.Errorf("id %s, ids before %v, log %s", id, ids, book.String())
			}
			ids[id] = true
		}
	}
}

func TestMTA(t *testing.T) {
	for _, tt := range []struct {
		name   string
		frames []string
		want   MTA
	}{
		{"nothing said", nil, MTAUnknown},
		{"Sendmail", []string{"DCj\x00mx\x00_\x00x\x00v\x008.17.1\x00", "DMi\x00Q\x00"}, MTAUnknown},
		{"Postfix", []string{"DCj\x00mx\x00v\x00Postfix 3.7.11\x00"}, MTAPostfix},
		{"Postfix, in braces", []string{"DC{v}\x00Postfix\x00"}, MTAPostfix},
		{"header macros", []string{"DL"}, MTAPostfix},
		{"body macros", []string{"DBi\x00Q\x00"}, MTAPostfix},
		{"unknown macros", []string{"DU"}, MTAPostfix},
	} {
		var s *Session
		p := serve(t, &Server{New: func(session *Session) Hooks { s = session; return Hooks{} }}).dial(t)
		p.offer()
		p.write(tt.frames...)
		p.sync()
		if got := s.MTA(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if fmt.Sprint(MTAUnknown, MTAPostfix) != "unknown Postfix" {
		t.Error("names")
	}
}

func TestQueueID(t *testing.T) {
	var n notes
	p := serve(t, &Server{New: func(s *Session) Hooks {
		return Hooks{
			Mail: func(context.Context, *Mail) MailReply { n.add("mail %q", s.QueueID()); return Continue },
			Rcpt: func(context.Context, *Rcpt) RcptReply { n.add("rcpt %q", s.QueueID()); return Continue },
			Data: func(context.Context) DataReply { n.add("data %q", s.QueueID()); return Continue },
		}
	}}).dial(t)
	p.offer()
	// Sendmail tells it at MAIL, Postfix from the second RCPT on.
	p.talk(">DMi\x00S1\x00", ">"+mailFrame, "<c", ">DR", ">"+rcptFrame, "<c", ">T", "<c", ">A",
		">DM", ">"+mailFrame, "<c", ">DR{rcpt_addr}\x00x\x00", ">"+rcptFrame, "<c", ">DRi\x00P1\x00", ">"+rcptFrame, "<c", ">DTi\x00P1\x00", ">T", "<c")
	n.want(t, `mail "S1"`, `rcpt "S1"`, `data "S1"`, `mail ""`, `rcpt ""`, `rcpt "P1"`, `data "P1"`)
}

func TestMacroNames(t *testing.T) {
	var s *Session
	p := serve(t, &Server{New: func(session *Session) Hooks { s = session; return Hooks{} }}).dial(t)
	p.offer()
	p.write("DCi\x00one\x00{j}\x00two\x00{auth_type}\x00three\x00long\x00four\x00empty\x00\x00{}\x00five\x00odd", "DHi\x00later\x00")
	p.sync()
	for name, want := range map[string]string{"i": "later", "{i}": "later", "j": "two", "{j}": "two", "{auth_type}": "three", "auth_type": "three",
		"{long}": "four", "long": "four", "empty": "", "{}": "five", "odd": ""} {
		if v, ok := s.Macro(name); !ok || v != want {
			t.Errorf("Macro(%q) = %q, %v, want %q", name, v, ok, want)
		}
	}
	for _, name := range []string{"x", "{x}", "{i", "i}", "I", "lon"} {
		if v, ok := s.Macro(name); ok {
			t.Errorf("Macro(%q) = %q", name, v)
		}
	}
}

func TestMacroLifetimes(t *testing.T) {
	// Each stage sets a macro of its name; what is alive is then looked at.
	var s *Session
	p := serve(t, &Server{New: func(session *Session) Hooks { s = session; return new(notes).hooks(nil) }}).dial(t)
	p.offer()
	alive := func() string {
		p.sync()
		var b strings.Builder
		for _, cmd := range "CHMRTNLBEU" {
			if v, ok := s.Macro(string(cmd) + "x"); ok {
				b.WriteString(v)
			}
		}
		return b.String()
	}
	set := func(cmd string) string { return "D" + cmd + cmd + "x\x00" + cmd + "\x00" }
	for _, tt := range []struct {
		what  string
		talk  []string
		alive string
	}{
		{"CONNECT", []string{">" + set("C"), ">" + connectFrame, "<c"}, "C"},
		{"HELO", []string{">" + set("H"), ">" + heloFrame, "<c"}, "CH"},
		{"MAIL", []string{">" + set("M"), ">" + mailFrame, "<c"}, "CHM"},
		{"RCPT", []string{">" + set("R"), ">" + rcptFrame, "<c"}, "CHMR"},
		{"RCPT without macros", []string{">" + rcptFrame, "<c"}, "CHM"},
		{"UNKNOWN", []string{">" + set("U"), ">" + unknownFrame, "<c"}, "CHMU"},
		{"another RCPT", []string{">" + set("R"), ">" + rcptFrame, "<c"}, "CHMR"},
		{"DATA", []string{">" + set("T"), ">T", "<c"}, "CHMRT"},
		{"HEADER", []string{">" + set("L"), ">" + headerFrame, "<c"}, "CHMRTL"},
		{"another HEADER", []string{">" + set("L"), ">" + headerFrame, "<c"}, "CHMRTL"},
		{"EOH", []string{">" + set("N"), ">N", "<c"}, "CHMRTNL"},
		{"BODY", []string{">" + set("B"), ">" + bodyFrame, "<c"}, "CHMRTNLB"},
		{"end, before it is answered", []string{">" + set("E")}, "CHMRTNLBE"},
		{"end", []string{">E", "<c"}, "CH"},
		{"next MAIL", []string{">" + set("M"), ">" + mailFrame, "<c"}, "CHM"},
		{"HELO again", []string{">" + set("H"), ">" + heloFrame, "<c"}, "CH"},
		{"HELO without macros", []string{">" + heloFrame, "<c"}, "C"},
		{"MAIL and ABORT", []string{">" + set("M"), ">" + mailFrame, "<c", ">" + set("R"), ">A"}, "C"},
		{"an empty packet", []string{">" + set("H"), ">DH"}, "C"},
		{"two packets for one command", []string{">" + set("H"), ">DHy\x00z\x00"}, "C"},
		{"letters that are no stage", []string{">DAAx\x00A\x00", ">DDDx\x00D\x00", ">DQQx\x00Q\x00", ">DOOx\x00O\x00"}, "C"},
		{"QUIT_NC", []string{">K"}, ""},
	} {
		p.talk(tt.talk...)
		if got := alive(); got != tt.alive {
			t.Fatalf("after %s: %q, want %q", tt.what, got, tt.alive)
		}
	}
}

// Where the filter does not see a command, its macros stand for it.
func TestMacroLifetimesOfUnseenCommands(t *testing.T) {
	var s *Session
	p := serve(t, &Server{New: func(session *Session) Hooks { s = session; return Hooks{Header: new(notes).hooks(nil).Header} }}).dial(t)
	p.offer()
	alive := func(want string) {
		t.Helper()
		p.sync()
		got := ""
		for _, name := range []string{"c", "h", "m", "r", "t"} {
			if v, ok := s.Macro(name); ok {
				got += v
			}
		}
		if got != want {
			t.Errorf("alive: %q, want %q", got, want)
		}
	}
	p.write("DCc\x00C\x00", "DHh\x00H\x00", "DMm\x00M\x00", "DRr\x00R\x00", "DTt\x00T\x00")
	alive("CHMRT")
	p.write("DRr\x00S\x00")
	alive("CHMS")
	p.write("DM")
	alive("CH")
	p.write("DTt\x00T\x00", "DHh\x00I\x00")
	alive("CI")
	p.want("c", headerFrame)
	alive("CI")
}

func TestMacroLimit(t *testing.T) {
	pairs := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "{m%d}\x00%d\x00", i, i)
		}
		return b.String()
	}
	for _, tt := range []struct {
		name  string
		limit int
		frame string
		last  string // macro that is still there
		lost  string // macro that is not
	}{
		{"default", 0, "DC" + pairs(256), "{m255}", ""},
		{"one more than the default", 0, "DC" + pairs(257), "{m255}", "{m256}"},
		{"knob", 3, "DC" + pairs(5), "{m2}", "{m3}"},
		{"no limit", -1, "DC" + pairs(4000), "{m3999}", ""},
		{"many empty strings", 3, "DC" + strings.Repeat("\x00", 1000) + pairs(1), "{}", "{m0}"},
		{"too many bytes", 0, "DC{m0}\x00" + strings.Repeat("x", 15000) + "\x00{m1}\x00" + strings.Repeat("x", 3000) + "\x00", "{m0}", "{m1}"},
		{"too many bytes, no limit", -1, "DC{m0}\x00" + strings.Repeat("x", 15000) + "\x00{m1}\x00" + strings.Repeat("x", 3000) + "\x00", "{m1}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := new(counts)
			var s *Session
			p := serve(t, &Server{MaxMacros: tt.limit, Metrics: m, New: func(session *Session) Hooks { s = session; return Hooks{} }}).dial(t)
			p.offer()
			p.write(tt.frame)
			p.sync()
			if _, ok := s.Macro(tt.last); !ok {
				t.Errorf("%s is missing", tt.last)
			}
			if _, ok := s.Macro(tt.lost); tt.lost != "" && ok {
				t.Errorf("%s was kept", tt.lost)
			}
			if _, _, limits := m.got(); (len(limits) == 1 && limits[0] == LimitMacros) != (tt.lost != "") {
				t.Errorf("limits = %q", limits)
			}
		})
	}
}

// Whatever packets come, the macros of a connection take no more than they may.
func TestMacroMemory(t *testing.T) {
	var m macroSlots
	total := func() (n int) {
		for _, s := range m.slots {
			n += cap(s)
		}
		return n
	}
	big := []byte("{x}\x00" + strings.Repeat("x", 30000) + "\x00")
	for range 3 {
		for _, s := range slotOrder {
			m.set(s, big, defaultMaxMacros)
			m.set(s, big[:5000], defaultMaxMacros)
			m.set(s, []byte("i\x00x\x00"), defaultMaxMacros)
			m.set(s, big[:4000], defaultMaxMacros)
			m.begin(StageRcpt)
			if n := total(); n > maxMacroBytes+len(slotOrder)*macroSlotKept {
				t.Fatalf("%d bytes", n)
			}
		}
	}
	m.endMessage(wire.NoMail)
	for i, s := range m.slots[slotOf[StageMail]:] {
		if len(s) > 0 {
			t.Errorf("slot %d holds %d bytes after the message", i, len(s))
		}
	}
}

// FuzzMacros feeds packets in any order: what is found was sent for that name.
func FuzzMacros(f *testing.F) {
	f.Add([]byte("DCi\x00a\x00"), 3)
	f.Fuzz(func(t *testing.T, pairs []byte, limit int) {
		var m macroSlots
		for _, s := range slotOrder {
			m.set(s, pairs, limit)
			if n := len(m.slots[slotOf[s]]); n > len(pairs) {
				t.Fatal("grew")
			}
			for name, value := range wire.Pairs(m.slots[slotOf[s]]) {
				if v, ok := m.get(string(name)); !ok || len(v) > len(pairs) {
					t.Fatalf("%q = %q is lost", name, value)
				}
			}
			m.begin(s)
		}
	})
}
