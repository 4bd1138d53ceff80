package callout_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/callout"
	"github.com/gomilter/gomilter/internal/smtpc/fakemx"
)

// CBV-01, CBV-08: the dialogue ends before there is a message, and says nothing but this.
func TestDialogue(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    callout.Options
		want []string
	}{
		{"null sender", callout.Options{NoProbe: true},
			[]string{"EHLO mail.example.net", "MAIL FROM:<>", "RCPT TO:<Ann@one.example>", "QUIT"}},
		{"sender that is given", callout.Options{NoProbe: true, From: "<postmaster@EXAMPLE.net>"},
			[]string{"EHLO mail.example.net", "MAIL FROM:<postmaster@example.net>", "RCPT TO:<Ann@one.example>", "QUIT"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakemx.New(t)
			h := f.Add(mx1, fakemx.Script{On: on("RCPT", "250 2.1.5 fine\r\n")})
			got := ask(t, f, tt.o, "Ann@ONE.example")
			wants(t, got, callout.Accepted, callout.Taken)
			if got.Host != "mx1.example" || got.Addr.String() != "240.0.0.1" || got.Reply != (callout.Reply{Code: 250, Enhanced: "2.1.5", Text: "fine"}) || got.Address != "Ann@ONE.example" {
				t.Errorf("result %+v", got)
			}
			f.Wait()
			if diff := cmp.Diff(tt.want, h.Commands()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

// CBV-02: several addresses on one connection, each with a result of its own.
func TestSeveralAddressesOnOneConnection(t *testing.T) {
	f := fakemx.New(t)
	h1 := f.Add(mx1, fakemx.Script{On: knows("ann", "bob")})
	f.Add(mx2, fakemx.Script{On: knows("ann")})
	c := newChecker(t, f, callout.Options{Local: true, NoProbe: true, Resolver: zone(t, domains+"other.example. MX 10 mx2.example.\n")})
	got := c.Ask(t.Context(), "ann@one.example", "carl@one.example", "ann@other.example", "", "bob@one.example", "ANN@one.example", "a@b@one.example")
	for i, want := range []struct {
		verdict callout.Verdict
		why     callout.Reason
	}{
		{callout.Accepted, callout.Taken}, {callout.Refused, callout.NoMailbox}, {callout.Accepted, callout.Taken},
		{callout.Unknown, callout.NotAsked}, {callout.Accepted, callout.Taken}, {callout.Accepted, callout.Taken},
		{callout.Refused, callout.NoMailbox},
	} {
		wants(t, got[i], want.verdict, want.why)
	}
	if got[5].Address != "ANN@one.example" || got[0].Address != "ann@one.example" {
		t.Errorf("addresses %q and %q", got[0].Address, got[5].Address)
	}
	if h1.Sessions() != 1 {
		t.Errorf("%d connections, want 1", h1.Sessions())
	}
	if s := c.Stats(); s.Asked != 7 || s.Joined != 1 || s.Questions != 2 || s.Connections != 2 || s.Cached != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestMoreAddressesThanAreAsked(t *testing.T) {
	f := fakemx.New(t)
	f.Add(mx1, fakemx.Script{})
	c := newChecker(t, f, callout.Options{Local: true, NoProbe: true, Recipients: 2})
	got := c.Ask(t.Context(), "a@one.example", "b@one.example", "c@one.example")
	wants(t, got[1], callout.Accepted, callout.Taken)
	wants(t, got[2], callout.Unknown, callout.OverBudget)
}

// CBV-03, CBV-04: where mail for a domain goes, and what it means that it goes nowhere. Null
// MX is a refusal, and nothing is connected to.
func TestWhereMailGoes(t *testing.T) {
	for _, tt := range []struct {
		address string
		verdict callout.Verdict
		why     callout.Reason
		said    string
		dialed  []string
	}{
		{"a@bare.example", callout.Accepted, callout.Taken, "250 2.1.0 ok", []string{mx1}},
		{"a@null.example", callout.Refused, callout.NullMX, "556 5.1.10 null.example takes no mail (null MX)", nil},
		{"a@no.example", callout.Refused, callout.NoHost, "550 5.1.2 no.example has no mail server", nil},
		{"a@hostless.example", callout.Refused, callout.NoHost, "550 5.1.2 hostless.example has no mail server", nil},
		{"a@slow.example", callout.Unknown, callout.NoDNS, "450 4.4.3 the mail servers of slow.example could not be looked up", nil},
		{"a@failing.example", callout.Unknown, callout.NoDNS, "450 4.4.3 the mail servers of failing.example could not be looked up", nil},
		{"a@three.example", callout.Accepted, callout.Taken, "250 2.1.0 ok", []string{mx3, mx1, mx2}},
	} {
		t.Run(tt.address, func(t *testing.T) {
			f := fakemx.New(t)
			if tt.address == "a@three.example" {
				f.Dead(mx1)
				f.Add(mx2, fakemx.Script{})
			} else {
				f.Add(mx1, fakemx.Script{})
			}
			f.Dead(mx3)
			got := ask(t, f, callout.Options{NoProbe: true}, tt.address)
			wants(t, got, tt.verdict, tt.why)
			if got.Reply.String() != tt.said {
				t.Errorf("reply %q, want %q", got.Reply, tt.said)
			}
			if tt.why == callout.NoDNS && got.Problem == "" {
				t.Error("no problem is named")
			}
			if got := dialed(f); !slices.Equal(got, tt.dialed) {
				t.Errorf("called %v, want %v", got, tt.dialed)
			}
		})
	}
}

func dialed(f *fakemx.Fleet) (addrs []string) {
	for _, a := range f.Dialed() {
		addrs = append(addrs, a.String())
	}
	return addrs
}

// CBV-04: servers of the same preference are asked in any order.
func TestEqualPreferencesAreShuffled(t *testing.T) {
	first := make(map[string]int)
	z := zone(t, "even.example. MX 10 mx1.example.\neven.example. MX 10 mx2.example.\nmx1.example. A 240.0.0.1\nmx2.example. A 240.0.0.2\n")
	for range 64 {
		f := fakemx.New(t)
		f.Dead(mx1)
		f.Dead(mx2)
		ask(t, f, callout.Options{Resolver: z}, "a@even.example")
		first[dialed(f)[0]]++
	}
	if first[mx1] == 0 || first[mx2] == 0 {
		t.Errorf("first called: %v", first)
	}
}

// CBV-06, D-11: addresses that are no server's, and our own, are not called.
func TestWhatIsNotCalled(t *testing.T) {
	public := "11.0.0.1:25"
	for _, tt := range []struct {
		address string
		own     string
		public  fakemx.Script
		verdict callout.Verdict
		why     callout.Reason
		dialed  []string
	}{
		{"a@bogus.example", "", fakemx.Script{}, callout.Refused, callout.BogusHost, nil},
		{"a@one.example", "", fakemx.Script{}, callout.Refused, callout.BogusHost, nil}, // addresses that are reserved
		{"a@mixed.example", "", fakemx.Script{}, callout.Accepted, callout.Taken, []string{public}},
		{"a@self.example", "11.0.0.9", fakemx.Script{}, callout.Unknown, callout.OwnHost, nil},
		{"a@self.example", "::ffff:11.0.0.9", fakemx.Script{}, callout.Unknown, callout.OwnHost, nil},
		{"a@backup.example", "11.0.0.9", fakemx.Script{}, callout.Accepted, callout.Taken, []string{public}},
		{"a@backup.example", "11.0.0.9", fakemx.Script{Greeting: "421 busy\r\n"}, callout.Unknown, callout.PutOff, []string{public}},
	} {
		t.Run(tt.address+" "+tt.own, func(t *testing.T) {
			f := fakemx.New(t)
			f.Add(public, tt.public)
			o := callout.Options{NoProbe: true}
			if tt.own != "" {
				o.Own = []netip.Addr{netip.MustParseAddr(tt.own)}
			}
			c := newChecker(t, f, o)
			wants(t, c.Ask(t.Context(), tt.address)[0], tt.verdict, tt.why)
			if got := dialed(f); !slices.Equal(got, tt.dialed) {
				t.Errorf("called %v, want %v", got, tt.dialed)
			}
		})
	}
}

// An address of an interface of this machine is ours, without being named so.
func TestOwnInterfaces(t *testing.T) {
	own := ""
	for _, a := range interfaces(t) {
		if !a.IsLoopback() && !a.IsLinkLocalUnicast() {
			own = a.String()
		}
	}
	if own == "" {
		t.Skip("this machine has loopback only")
	}
	record := "A"
	if strings.Contains(own, ":") {
		record = "AAAA"
	}
	f := fakemx.New(t)
	z := zone(t, fmt.Sprintf("here.example. %s %s\n", record, own))
	wants(t, ask(t, f, callout.Options{Resolver: z}, "a@here.example"), callout.Unknown, callout.OwnHost)
}

// CBV-06: who calls himself by our name is none to ask; where there is no other, the domain
// has no server of its own. Who does not name himself is passed by.
func TestNamesInTheReplyToHELO(t *testing.T) {
	ours := fakemx.Script{Name: "MAIL.example.net."}
	nameless := fakemx.Script{On: on("EHLO", "250 \r\n")}
	for _, tt := range []struct {
		name     string
		one, two fakemx.Script
		verdict  callout.Verdict
		why      callout.Reason
	}{
		{"our name, then another", ours, fakemx.Script{On: knows("a")}, callout.Accepted, callout.Taken},
		{"our name, then nobody", ours, fakemx.Script{Greeting: "554 no\r\n"}, callout.Unknown, callout.Policy},
		{"our name, by all", ours, ours, callout.Refused, callout.FraudHost},
		{"no name, then another", nameless, fakemx.Script{On: knows("a")}, callout.Accepted, callout.Taken},
		{"no name", nameless, nameless, callout.Unknown, callout.NoAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakemx.New(t)
			h := f.Add(mx1, tt.one)
			f.Add(mx2, tt.two)
			wants(t, ask(t, f, callout.Options{}, "a@two.example"), tt.verdict, tt.why)
			f.Wait()
			if got, want := h.Commands(), []string{"EHLO mail.example.net", "QUIT"}; !slices.Equal(got, want) {
				t.Errorf("commands %q, want %q", got, want)
			}
		})
	}
}

// CBV-05, D-11: EHLO with HELO to fall back on, and STARTTLS as far as it goes.
func TestHelloAndTLS(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script fakemx.Script
		o      callout.Options
		tls    bool
	}{
		{"EHLO", fakemx.Script{}, callout.Options{}, false},
		{"HELO", fakemx.Script{On: on("EHLO", "500 what?\r\n")}, callout.Options{}, false},
		{"TLS", fakemx.Script{TLS: fakemx.GoodTLS}, callout.Options{}, true},
		{"TLS left out", fakemx.Script{TLS: fakemx.GoodTLS}, callout.Options{Clear: true}, false},
		{"TLS refused", fakemx.Script{TLS: fakemx.RefusedTLS}, callout.Options{}, false},
		{"TLS broken", fakemx.Script{TLS: fakemx.BrokenTLS}, callout.Options{}, false},
		{"TLS with words before it", fakemx.Script{TLS: fakemx.InjectedTLS}, callout.Options{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakemx.New(t)
			f.Add(mx1, tt.script)
			got := ask(t, f, tt.o, "a@one.example")
			if wants(t, got, callout.Accepted, callout.Taken); got.TLS != tt.tls {
				t.Errorf("TLS = %v, want %v", got.TLS, tt.tls)
			}
		})
	}
}

// CBV-05: connections come from the address whose name we say.
func TestSource(t *testing.T) {
	f := fakemx.New(t)
	f.Add(mx1, fakemx.Script{})
	source := netip.MustParseAddr("192.0.2.99")
	var got netip.Addr
	c, err := callout.New(callout.Options{Resolver: zone(t, domains), Helo: "mail.example.net", Local: true, Source: []netip.Addr{source},
		Dial: func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
			got = from
			return f.Dial(ctx, from, to)
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if wants(t, c.Ask(t.Context(), "a@one.example")[0], callout.Accepted, callout.Taken); got != source {
		t.Errorf("came from %v, want %v", got, source)
	}
}

// CBV-07, CBV-10: a server that breaks, or refuses before MAIL, is passed by; its answer counts
// where no other has a better one.
func TestServersThatDoNotAnswer(t *testing.T) {
	broken := map[string]fakemx.Script{
		"greeting 554":             {Greeting: "554 5.7.1 go away\r\n"},
		"greeting 421":             {Greeting: "421 busy\r\n"},
		"greeting of two lines":    {Greeting: "220-mx\r\n554 no\r\n"},
		"greeting that lies":       {Greeting: "250 2.1.5 ann@one.example is fine\r\n"},
		"greeting of all replies":  {Greeting: "220 mx\r\n250 mx\r\n250 ok\r\n250 ok\r\n"},
		"greeting of other bytes":  {Greeting: "\x00\xff\xfe\x16\x03\x01 no SMTP\n"},
		"greeting without end":     {Greeting: strings.Repeat("220-mx\r\n", 10000)},
		"greeting line too long":   {Greeting: "220 " + strings.Repeat("a", 100000) + "\r\n"},
		"EHLO and HELO refused":    {On: on("EHLO", "502 no\r\n", "HELO", "550 no\r\n")},
		"EHLO closes":              {On: at("EHLO", (*fakemx.Session).HangUp)},
		"MAIL closes":              {On: at("MAIL", (*fakemx.Session).HangUp)},
		"RCPT closes":              {On: at("RCPT", (*fakemx.Session).HangUp)},
		"RCPT closes in a line":    {On: at("RCPT", func(s *fakemx.Session) string { s.Say("250-2.1"); return s.HangUp() })},
		"RCPT with 421":            {On: on("RCPT", "421 4.3.2 shutting down\r\n")},
		"RCPT with no SMTP":        {On: on("RCPT", "fine with me\r\n")},
		"RCPT with two replies":    {On: on("RCPT", "250-ok\r\n550 no\r\n")},
		"RCPT with 354":            {On: on("RCPT", "354 go on\r\n")},
		"MAIL with reply to spare": {On: on("MAIL", "250 ok\r\n250 ok\r\n")},
		"RCPT without end":         {On: at("RCPT", func(s *fakemx.Session) string { return s.Endless("250-fine\r\n") })},
	}
	for name, script := range broken {
		t.Run(name, func(t *testing.T) {
			f := fakemx.New(t)
			f.Add(mx1, script)
			f.Add(mx2, fakemx.Script{On: knows("ann")})
			c := newChecker(t, f, callout.Options{Local: true, NoProbe: true})
			got := c.Ask(t.Context(), "ann@two.example")[0]
			if wants(t, got, callout.Accepted, callout.Taken); got.Host != "mx2.example" {
				t.Errorf("asked %s", got.Host)
			}
			got = c.Ask(t.Context(), "ann@one.example")[0]
			if got.Verdict != callout.Unknown || got.Problem == "" && got.Reply.Code == 0 {
				t.Errorf("alone: %v", got)
			}
		})
	}
}

// CBV-10: which of several failures is told.
func TestReplyIsToldRatherThanSilence(t *testing.T) {
	f := fakemx.New(t)
	f.Add(mx1, fakemx.Script{Greeting: "421 4.3.2 busy\r\n"})
	f.Dead(mx2)
	f.Dead(mx3)
	c := newChecker(t, f, callout.Options{Local: true})
	got := c.Ask(t.Context(), "a@three.example")[0]
	wants(t, got, callout.Unknown, callout.PutOff)
	if want := "unknown (put-off): mx1.example [240.0.0.1] said 421 4.3.2 busy"; got.String() != want {
		t.Errorf("result %q, want %q", got, want)
	}
}

// What a server said of some addresses before it broke holds.
func TestServerBreaksBetweenAddresses(t *testing.T) {
	f := fakemx.New(t)
	f.Add(mx1, fakemx.Script{On: func(s *fakemx.Session, line string) string {
		switch {
		case strings.HasPrefix(line, "RCPT TO:<a@"):
			return "550 5.1.1 no\r\n"
		case strings.HasPrefix(line, "RCPT"):
			return s.HangUp() + "250 ok\r\n"
		}
		return ""
	}})
	h2 := f.Add(mx2, fakemx.Script{})
	c := newChecker(t, f, callout.Options{Local: true, NoProbe: true})
	got := c.Ask(t.Context(), "a@two.example", "b@two.example")
	wants(t, got[0], callout.Refused, callout.NoMailbox)
	wants(t, got[1], callout.Accepted, callout.Taken)
	f.Wait()
	for _, line := range h2.Commands() {
		if strings.Contains(line, "<a@") {
			t.Errorf("asked again: %q", line)
		}
	}
}

// CBV-08, DSN-01: that the null sender is refused is not that the address is, and is not
// got round with another sender.
func TestNullSenderRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		on   func(*fakemx.Session, string) string
	}{
		{"at MAIL", on("MAIL FROM:<>", "550 5.7.1 no\r\n")},
		{"at RCPT", on("RCPT", "550 5.7.1 <>: Sender address rejected: no bounces please\r\n")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakemx.New(t)
			h := f.Add(mx1, fakemx.Script{On: tt.on})
			f.Add(mx2, fakemx.Script{})
			wants(t, ask(t, f, callout.Options{NoProbe: true}, "a@two.example"), callout.Unknown, callout.NoBounces)
			f.Wait()
			mails := 0
			for _, line := range h.Commands() {
				if strings.HasPrefix(line, "MAIL") {
					mails++
				}
			}
			if mails != 1 || len(dialed(f)) != 1 {
				t.Errorf("commands %q, called %v", h.Commands(), dialed(f))
			}
			f = fakemx.New(t)
			f.Add(mx1, fakemx.Script{On: tt.on})
			wants(t, ask(t, f, callout.Options{From: "a@example.net", NoProbe: true}, "a@one.example"),
				map[string]callout.Verdict{"at MAIL": callout.Accepted, "at RCPT": callout.Unknown}[tt.name],
				map[string]callout.Reason{"at MAIL": callout.Taken, "at RCPT": callout.NoSender}[tt.name])
		})
	}
}

// CBV-08: 4xx, greylisting and refusals of us are told apart from refusals of the address.
func TestRepliesToRCPT(t *testing.T) {
	for _, tt := range []struct {
		reply   string
		verdict callout.Verdict
		why     callout.Reason
	}{
		{"250 2.1.5 ok", callout.Accepted, callout.Taken},
		{"251 will forward", callout.Accepted, callout.Taken},
		{"252 cannot verify", callout.Unknown, callout.Unclear},
		{"550 5.1.1 user unknown", callout.Refused, callout.NoMailbox},
		{"450 4.2.0 <a@one.example>: Recipient address rejected: Greylisted, see http://postgrey.example", callout.Unknown, callout.Greylisted},
		{"451 4.3.0 try later", callout.Unknown, callout.PutOff},
		{"550 5.7.1 blocked using zen.spamhaus.org", callout.Unknown, callout.Policy},
		{"552 5.2.2 over quota", callout.Unknown, callout.Unclear},
	} {
		t.Run(tt.reply, func(t *testing.T) {
			f := fakemx.New(t)
			f.Add(mx1, fakemx.Script{On: on("RCPT", tt.reply+"\r\n")})
			f.Add(mx2, fakemx.Script{})
			got := ask(t, f, callout.Options{NoProbe: true}, "a@two.example")
			if wants(t, got, tt.verdict, tt.why); got.Reply.String() != tt.reply {
				t.Errorf("reply %q, want %q", got.Reply, tt.reply)
			}
			if len(dialed(f)) != 1 {
				t.Errorf("called %v: an answer is asked for again", dialed(f))
			}
		})
	}
}

// A domain that takes any address is told apart, at the price of one random address.
func TestCatchAll(t *testing.T) {
	for _, tt := range []struct {
		name  string
		on    func(*fakemx.Session, string) string
		probe callout.Verdict
		all   bool
	}{
		{"all addresses", nil, callout.Accepted, true},
		{"one address", knows("a"), callout.Refused, false},
		{"others later", on("RCPT TO:<a@", "250 ok\r\n", "RCPT", "451 later\r\n"), callout.Unknown, false},
		{"closes at the second", func(s *fakemx.Session, line string) string {
			if strings.HasPrefix(line, "RCPT") && len(s.Rcpts) == 1 {
				return s.HangUp() + "250 ok\r\n"
			}
			return ""
		}, callout.Unknown, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakemx.New(t)
			f.Add(mx1, fakemx.Script{On: tt.on})
			got := ask(t, f, callout.Options{}, "a@one.example")
			wants(t, got, callout.Accepted, callout.Taken)
			if got.Probe != tt.probe || got.CatchAll() != tt.all {
				t.Errorf("probe %q, catch-all %v; want %q, %v", got.Probe, got.CatchAll(), tt.probe, tt.all)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	f := fakemx.New(t)
	h := f.Add(mx1, fakemx.Script{On: knows("a", "b")})
	c := newChecker(t, f, callout.Options{Local: true})
	c.Ask(t.Context(), "nobody@one.example")
	got := c.Ask(t.Context(), "a@one.example")[0]
	again := c.Ask(t.Context(), "b@one.example")[0]
	if got.Probe != callout.Refused || again.Probe != callout.Refused || again.Cached {
		t.Errorf("results %+v, %+v", got, again)
	}
	c.Close()
	f.Wait()
	var probes []string
	for _, line := range h.Commands() {
		if strings.HasPrefix(line, "RCPT TO:<callout-") {
			probes = append(probes, line)
		}
	}
	if len(probes) != 1 || len(probes[0]) != len("RCPT TO:<callout-abcdefghijklmnopqrstuvwxyz@one.example>") {
		t.Errorf("random addresses %q, want one for three questions", probes)
	}
}

// CBV-11: each wait has a time, and all together have one.
func TestTimes(t *testing.T) {
	o := callout.Options{Connect: 5 * time.Second, Step: 10 * time.Second, Total: 25 * time.Second, NoProbe: true, Local: true}
	stall := func(s *fakemx.Session) string { return s.Stall() }
	drip := func(s *fakemx.Session) string { return s.Drip(strings.Repeat("250-a\r\n", 1000), time.Second) }
	for _, tt := range []struct {
		name   string
		script *fakemx.Script // nil: nothing answers
		domain string
		took   time.Duration
	}{
		{"no connection", nil, "one.example", 5 * time.Second},
		{"tarpit at the greeting", &fakemx.Script{Greeting: "220-"}, "one.example", 10 * time.Second},
		{"tarpit at EHLO", &fakemx.Script{On: at("EHLO", stall)}, "one.example", 10 * time.Second},
		{"tarpit at RCPT", &fakemx.Script{On: at("RCPT", stall)}, "one.example", 10 * time.Second},
		{"a byte a second", &fakemx.Script{On: at("RCPT", drip)}, "one.example", 10 * time.Second},
		{"mute in the handshake", &fakemx.Script{TLS: fakemx.MuteTLS, On: at("RCPT", stall)}, "one.example", 20 * time.Second},
		{"all three servers", &fakemx.Script{On: at("RCPT", stall)}, "three.example", 25 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := fakemx.InMemory(t)
				for _, a := range []string{mx1, mx2, mx3} {
					if tt.script == nil {
						f.Silent(a)
					} else {
						f.Add(a, *tt.script)
					}
				}
				c := newChecker(t, f, o)
				start := time.Now()
				got := c.Ask(t.Context(), "a@"+tt.domain)[0]
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if wants(t, got, callout.Unknown, callout.NoAnswer); got.Problem == "" {
					t.Error("no problem is named")
				}
				c.Close()
				f.Wait()
			})
		})
	}
}

func TestServersCalledAtMost(t *testing.T) {
	f := fakemx.New(t)
	f.Dead(mx3)
	f.Dead(mx1)
	f.Add(mx2, fakemx.Script{})
	wants(t, ask(t, f, callout.Options{Servers: 2}, "a@three.example"), callout.Unknown, callout.NoAnswer)
	if got := dialed(f); !slices.Equal(got, []string{mx3, mx1}) {
		t.Errorf("called %v", got)
	}
}

// A machine without IPv6 gets through to the servers' other addresses.
func TestNoWayToSomeAddresses(t *testing.T) {
	f := fakemx.New(t)
	f.Add(mx1, fakemx.Script{})
	var text strings.Builder
	text.WriteString("six.example. MX 10 mx6.example.\nsix.example. MX 20 mx1.example.\nmx1.example. A 240.0.0.1\n")
	for i := range 8 {
		fmt.Fprintf(&text, "mx6.example. AAAA 2001:db8::%d\n", i+1)
	}
	tries := 0
	c, err := callout.New(callout.Options{Resolver: zone(t, text.String()), Helo: "mail.example.net", Local: true, Servers: 1,
		Dial: func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
			if tries++; to.Addr().Is6() {
				return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
			}
			return f.Dial(ctx, from, to)
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if wants(t, c.Ask(t.Context(), "a@six.example")[0], callout.Accepted, callout.Taken); tries != 9 {
		t.Errorf("%d tries", tries)
	}
}

func TestInternationalAddresses(t *testing.T) {
	z := zone(t, "xn--bcher-kva.example. MX 10 mx1.example.\nmx1.example. A 240.0.0.1\n")
	for _, tt := range []struct {
		name, address string
		offers        []string
		verdict       callout.Verdict
		why           callout.Reason
		want          []string
	}{
		{"domain", "a@B\u00fccher.example", nil, callout.Accepted, callout.Taken, []string{"MAIL FROM:<>", "RCPT TO:<a@xn--bcher-kva.example>"}},
		{"local part", "\u00e9@b\u00fccher.example", []string{"SMTPUTF8"}, callout.Accepted, callout.Taken,
			[]string{"MAIL FROM:<> SMTPUTF8", "RCPT TO:<\u00e9@xn--bcher-kva.example>"}},
		{"local part, to a server without SMTPUTF8", "\u00e9@b\u00fccher.example", nil, callout.Unknown, callout.Unclear, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakemx.New(t)
			h := f.Add(mx1, fakemx.Script{Offers: tt.offers})
			wants(t, ask(t, f, callout.Options{NoProbe: true, Resolver: z}, tt.address), tt.verdict, tt.why)
			f.Wait()
			cmds := h.Commands()
			if diff := cmp.Diff(tt.want, cmds[1:len(cmds)-1], cmp.Transformer("all", func(s []string) string { return strings.Join(s, "\n") })); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

// CBV-16: the null sender is never asked about, nor what is no address.
func TestWhatIsNotAsked(t *testing.T) {
	f := fakemx.New(t)
	for _, a := range []string{"", "<>", "postmaster", "@one.example", "a@[192.0.2.1]", "a@192.0.2.1", "a@one..example", "a@one_\x01", "a b\r\nQUIT@one.example",
		strings.Repeat("a", 65) + "@one.example", "a@" + strings.Repeat("a", 64) + ".example"} {
		if got := ask(t, f, callout.Options{}, a); got.Reason != callout.NotAsked || got.Verdict != callout.Unknown || got.Problem == "" {
			t.Errorf("Ask(%q) = %v", a, got)
		}
	}
}

func interfaces(t *testing.T) (addrs []netip.Addr) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			ip, _ := netip.AddrFromSlice(n.IP)
			addrs = append(addrs, ip.Unmap())
		}
	}
	return addrs
}
