package smtpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/internal/smtpc"
	"github.com/gomilter/gomilter/internal/smtpc/fakemx"
)

const host = "192.0.2.1:25"

func dial(t *testing.T, f *fakemx.Fleet, o smtpc.Options) (*smtpc.Client, error) {
	t.Helper()
	o.Dial = f.Dial
	if o.Helo == "" {
		o.Helo = "mail.example.net"
	}
	c, err := smtpc.Dial(t.Context(), o, "mx.example.com", netip.MustParseAddrPort(host))
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

func mustDial(t *testing.T, f *fakemx.Fleet, o smtpc.Options) *smtpc.Client {
	t.Helper()
	c, err := dial(t, f, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// failed checks that err is of a step, and what it says.
func failed(t *testing.T, err error, step smtpc.Step, want string) *smtpc.Error {
	t.Helper()
	e, ok := errors.AsType[*smtpc.Error](err)
	if !ok {
		t.Fatalf("error = %v, want an *Error", err)
	}
	if e.Step != step || !strings.Contains(e.Error(), want) {
		t.Errorf("error = %v (%s), want %q (%s)", e, e.Step, want, step)
	}
	return e
}

// on answers commands that begin so.
func on(replies ...string) func(*fakemx.Session, string) string {
	return func(_ *fakemx.Session, line string) string {
		for i := 0; i < len(replies); i += 2 {
			if strings.HasPrefix(line, replies[i]) {
				return replies[i+1]
			}
		}
		return ""
	}
}

func TestDialogue(t *testing.T) {
	f := fakemx.New(t)
	h := f.Add(host, fakemx.Script{Name: "MX.example.com.", Offers: []string{"8bitmime", "SIZE 1000", "SMTPUTF8"},
		On: on("RCPT TO:<nobody@", "550-5.1.1 no\r\n550 5.1.1 such user\r\n", "RCPT TO:<moved@", "251 will forward\r\n")})
	c := mustDial(t, f, smtpc.Options{})
	if got, want := c.Greeting().String(), "220 MX.example.com. ESMTP"; got != want {
		t.Errorf("Greeting() = %q, want %q", got, want)
	}
	if got, want := c.Name(), "MX.example.com"; got != want {
		t.Errorf("Name() = %q, want %q", got, want)
	}
	if !c.Offers("8BITMIME") || !c.Offers("size") || c.Offers("STARTTLS") || c.Offers("MX.example.com.") {
		t.Errorf("offers %v", c.Hello())
	}
	if _, ok := c.TLS(); ok || c.TLSFault() != nil {
		t.Errorf("TLS: %v, fault %v", ok, c.TLSFault())
	}
	if _, err := c.Mail("", smtpc.MailOptions{Size: 17}); err != nil {
		t.Error(err)
	}
	_, err := c.Rcpt("nobody@example.com")
	e := failed(t, err, smtpc.Rcpt, "smtpc: RCPT: 550 5.1.1 no such user")
	if diff := cmp.Diff(smtpc.Reply{Code: 550, Enhanced: "5.1.1", Lines: []string{"no", "such user"}}, e.Reply); diff != "" || e.Broken() {
		t.Errorf("broken: %v, reply (-want +got):\n%s", e.Broken(), diff)
	}
	if r, err := c.Rcpt("moved@example.com"); err != nil || r.Code != 251 {
		t.Errorf("Rcpt() = %v, %v", r, err)
	}
	if r, err := c.Data(strings.NewReader("Subject: a\n\n.b\r\n")); err != nil || r.Code != 250 || r.Text() != "queued" {
		t.Errorf("Data() = %v, %v", r, err)
	}
	c.Quit()
	f.Wait()
	want := []string{"EHLO mail.example.net", "MAIL FROM:<> SIZE=17", "RCPT TO:<nobody@example.com>", "RCPT TO:<moved@example.com>", "DATA", "QUIT"}
	if diff := cmp.Diff(want, h.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestMessageArrivesAsItIs(t *testing.T) {
	f := fakemx.New(t)
	got := make(chan string, 1)
	f.Add(host, fakemx.Script{On: func(s *fakemx.Session, line string) string {
		if line == "." {
			got <- string(s.Message)
		}
		return ""
	}})
	c := mustDial(t, f, smtpc.Options{})
	c.Mail("a@example.net", smtpc.MailOptions{})
	c.Rcpt("b@example.com")
	if _, err := c.Data(strings.NewReader("Subject: \xff\n\n.\n..\r\nend")); err != nil {
		t.Fatal(err)
	}
	if got, want := <-got, "Subject: \xff\r\n\r\n.\r\n..\r\nend\r\n"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

// A message that cannot be read to its end must not arrive, cut.
func TestMessageCutIsNotSent(t *testing.T) {
	f := fakemx.New(t)
	h := f.Add(host, fakemx.Script{On: func(s *fakemx.Session, line string) string {
		if line == "." {
			t.Error("the message arrived")
		}
		return ""
	}})
	c := mustDial(t, f, smtpc.Options{})
	c.Mail("a@example.net", smtpc.MailOptions{})
	c.Rcpt("b@example.com")
	broken := errors.New("disk broken")
	_, err := c.Data(io.MultiReader(strings.NewReader(strings.Repeat("a\n", 10000)), iotest.ErrReader(broken)))
	if e := failed(t, err, smtpc.Content, "disk broken"); !e.Broken() || !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	c.Quit()
	f.Wait()
	if got := h.Commands(); got[len(got)-1] != "DATA" {
		t.Errorf("commands %q", got)
	}
}

func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script fakemx.Script
		step   smtpc.Step
		want   string
		broken bool
	}{
		{"greeting 554", fakemx.Script{Greeting: "554 5.7.1 go away\r\n"}, smtpc.Greeting, "554 5.7.1 go away", false},
		{"greeting 421", fakemx.Script{Greeting: "421 busy\r\n"}, smtpc.Greeting, "421 busy", true},
		{"greeting 250", fakemx.Script{Greeting: "250 hello\r\n"}, smtpc.Greeting, "not SMTP: unexpected reply 250 hello", true},
		{"greeting of another protocol", fakemx.Script{Greeting: "SSH-2.0-OpenSSH_9.9\r\n"}, smtpc.Greeting, `not SMTP: reply "SSH-2.0-OpenSSH_9.9"`, true},
		{"greeting of bytes", fakemx.Script{Greeting: "\x16\x03\x01\x00\n"}, smtpc.Greeting, `not SMTP: reply "????"`, true},
		{"EHLO and HELO unknown", fakemx.Script{On: on("EHLO", "502 what\r\n", "HELO", "550 no\r\n")}, smtpc.Hello, "550 no", false},
		{"EHLO refused", fakemx.Script{On: on("EHLO", "550 5.7.1 bad name\r\n")}, smtpc.Hello, "550 5.7.1 bad name", false},
		{"MAIL refused", fakemx.Script{On: on("MAIL", "550 5.7.1 no bounces\r\n")}, smtpc.Mail, "550 5.7.1 no bounces", false},
		{"RCPT put off", fakemx.Script{On: on("RCPT", "451 4.7.1 greylisted\r\n")}, smtpc.Rcpt, "451 4.7.1 greylisted", false},
		{"RCPT of two replies", fakemx.Script{On: on("RCPT", "250 ok\r\n550 no\r\n")}, smtpc.Data, "", true},
		{"RCPT with 354", fakemx.Script{On: on("RCPT", "354 go ahead\r\n")}, smtpc.Rcpt, "not SMTP: unexpected reply 354", true},
		{"RCPT closes", fakemx.Script{On: func(s *fakemx.Session, line string) string {
			if strings.HasPrefix(line, "RCPT") {
				return s.HangUp() + "250 ok\r\n"
			}
			return ""
		}}, smtpc.Rcpt, "server closed the connection", true},
		{"RCPT with 421", fakemx.Script{On: on("RCPT", "421 4.3.2 bye\r\n")}, smtpc.Rcpt, "421 4.3.2 bye", true},
		{"DATA refused", fakemx.Script{On: on("DATA", "503 5.5.1 no\r\n")}, smtpc.Data, "503 5.5.1 no", false},
		{"message refused", fakemx.Script{On: on(".", "554 5.6.0 no\r\n")}, smtpc.Content, "554 5.6.0 no", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakemx.New(t)
			f.Add(host, tt.script)
			c, err := dial(t, f, smtpc.Options{})
			if err == nil {
				_, err = c.Mail("", smtpc.MailOptions{})
			}
			if err == nil {
				_, err = c.Rcpt("a@example.com")
			}
			if err == nil {
				_, err = c.Data(strings.NewReader("Subject: a\n\n"))
			}
			if e := failed(t, err, tt.step, tt.want); e.Broken() != tt.broken {
				t.Errorf("Broken() = %v, want %v", e.Broken(), tt.broken)
			}
		})
	}
}

// A reply that came before the command is not the reply to it.
func TestReplyOutOfTurn(t *testing.T) {
	f := fakemx.New(t)
	f.Add(host, fakemx.Script{On: on("MAIL", "250 ok\r\n250 and the recipient is fine\r\n")})
	c := mustDial(t, f, smtpc.Options{})
	c.Mail("", smtpc.MailOptions{})
	_, err := c.Rcpt("a@example.com")
	if failed(t, err, smtpc.Rcpt, "talks out of turn"); !errors.Is(err, smtpc.ErrProtocol) {
		t.Errorf("error %v, want ErrProtocol", err)
	}
}

func TestHELOWithoutEHLO(t *testing.T) {
	f := fakemx.New(t)
	f.Add(host, fakemx.Script{On: on("EHLO", "502 5.5.1 what?\r\n")})
	c := mustDial(t, f, smtpc.Options{})
	if c.Name() != "mx.example.com" || c.Offers("SIZE") {
		t.Errorf("Name() = %q", c.Name())
	}
	if _, err := c.Mail("", smtpc.MailOptions{}); err != nil {
		t.Error(err)
	}
}

func TestHelloWithoutName(t *testing.T) {
	f := fakemx.New(t)
	f.Add(host, fakemx.Script{On: on("EHLO", "250\r\n")})
	if c := mustDial(t, f, smtpc.Options{}); c.Name() != "" {
		t.Errorf("Name() = %q", c.Name())
	}
}

func TestStartTLS(t *testing.T) {
	for _, tt := range []struct {
		name     string
		tls      fakemx.TLS
		o        smtpc.Options
		on       func(*fakemx.Session, string) string
		secure   bool
		sessions int
		fault    string
	}{
		{"taken with a certificate nobody would trust", fakemx.GoodTLS, smtpc.Options{}, nil, true, 1, ""},
		{"left out", fakemx.GoodTLS, smtpc.Options{Clear: true}, nil, false, 1, ""},
		{"refused", fakemx.RefusedTLS, smtpc.Options{}, nil, false, 1, "STARTTLS: 454 4.7.0 TLS not available"},
		{"broken handshake", fakemx.BrokenTLS, smtpc.Options{}, nil, false, 2, "STARTTLS: tls: first record does not look like a TLS handshake"},
		{"words before the handshake", fakemx.InjectedTLS, smtpc.Options{}, nil, false, 2, "talks before the handshake"},
		{"mute", fakemx.MuteTLS, smtpc.Options{Step: 50 * time.Millisecond}, nil, false, 2, "no answer in time"},
		{"EHLO within refused", fakemx.GoodTLS, smtpc.Options{}, func(s *fakemx.Session, line string) string {
			if s.Encrypted {
				return "550 5.7.0 no\r\n"
			}
			return ""
		}, false, 2, "EHLO: 550 5.7.0 no"},
		{"closes at STARTTLS", fakemx.GoodTLS, smtpc.Options{}, func(s *fakemx.Session, line string) string {
			if line == "STARTTLS" {
				return s.HangUp() + "220 go\r\n"
			}
			return ""
		}, false, 2, "closed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakemx.New(t)
			h := f.Add(host, fakemx.Script{TLS: tt.tls, On: tt.on})
			c := mustDial(t, f, tt.o)
			state, secure := c.TLS()
			if secure != tt.secure || secure && state.ServerName != "mx.example.com" {
				t.Errorf("TLS() = %v, %v", state.ServerName, secure)
			}
			if h.Sessions() != tt.sessions {
				t.Errorf("%d connections, want %d", h.Sessions(), tt.sessions)
			}
			if fault := c.TLSFault(); (fault == nil) != (tt.fault == "") || fault != nil && !strings.Contains(fault.Error(), tt.fault) {
				t.Errorf("TLSFault() = %v, want %q", fault, tt.fault)
			}
			if c.Greeting().Code != 220 || c.Name() != "mx.example.com" {
				t.Errorf("greeting %v, name %q", c.Greeting(), c.Name())
			}
			if _, err := c.Mail("", smtpc.MailOptions{}); err != nil {
				t.Error(err)
			}
			c.Quit()
			f.Wait()
			for _, line := range h.Commands() {
				if strings.Contains(line, "localhost") {
					t.Errorf("said %q", line)
				}
			}
		})
	}
}

func TestWhatCannotBeSaid(t *testing.T) {
	f := fakemx.New(t)
	h := f.Add(host, fakemx.Script{})
	for _, name := range []string{"a b", "a\r\nb", strings.Repeat("a", 256), "b\u00fccher.example"} {
		if _, err := dial(t, f, smtpc.Options{Helo: name}); !errors.Is(err, smtpc.ErrArgument) {
			t.Errorf("Dial() as %.20q error = %v, want ErrArgument", name, err)
		}
	}
	if _, err := smtpc.Dial(t.Context(), smtpc.Options{Dial: f.Dial}, "", netip.MustParseAddrPort(host)); !errors.Is(err, smtpc.ErrArgument) {
		t.Errorf("Dial() without a name error = %v, want ErrArgument", err)
	}
	c := mustDial(t, f, smtpc.Options{})
	for _, addr := range []string{
		"a@example.com\r\nRCPT TO:<b@example.com", "a@example.com> SIZE=1", "a b@example.com", "<a@example.com", `"a`, `"a\"@example.com`,
		"\x00@example.com", "\u00fc@example.com", strings.Repeat("a", 321), `"a"> X="b"@c`,
	} {
		if _, err := c.Mail(addr, smtpc.MailOptions{}); !errors.Is(err, smtpc.ErrArgument) {
			t.Errorf("Mail(%.40q) error = %v, want ErrArgument", addr, err)
		}
		_, err := c.Rcpt(addr)
		if e := failed(t, err, smtpc.Rcpt, ""); !errors.Is(err, smtpc.ErrArgument) || e.Broken() {
			t.Errorf("Rcpt(%.40q) error = %v, want ErrArgument", addr, err)
		}
	}
	if _, err := c.Rcpt(""); !errors.Is(err, smtpc.ErrArgument) {
		t.Errorf("Rcpt() error = %v, want ErrArgument", err)
	}
	if _, err := c.Mail("\u00fc@example.com", smtpc.MailOptions{UTF8: true}); !errors.Is(err, smtpc.ErrArgument) {
		t.Errorf("Mail() without SMTPUTF8 offered: %v, want ErrArgument", err)
	}
	if got := h.Commands(); len(got) != 1 {
		t.Errorf("commands %q, want EHLO only", got)
	}
	for _, addr := range []string{`"a b>"@example.com`, `"a\"\\b"@example.com`, "a+b=c@[192.0.2.1]"} {
		if _, err := c.Mail(addr, smtpc.MailOptions{}); err != nil {
			t.Errorf("Mail(%q): %v", addr, err)
		}
	}
}

func TestSMTPUTF8(t *testing.T) {
	f := fakemx.New(t)
	h := f.Add(host, fakemx.Script{Offers: []string{"SMTPUTF8"}})
	c := mustDial(t, f, smtpc.Options{})
	if _, err := c.Mail("\u00fc@example.com", smtpc.MailOptions{UTF8: true}); err != nil {
		t.Error(err)
	}
	if _, err := c.Rcpt("\u00e9@example.com"); err != nil {
		t.Error(err)
	}
	want := []string{"EHLO mail.example.net", "MAIL FROM:<\u00fc@example.com> SMTPUTF8", "RCPT TO:<\u00e9@example.com>"}
	if diff := cmp.Diff(want, h.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestSource(t *testing.T) {
	for _, tt := range []struct{ name, to, want string }{
		{"IPv4", "192.0.2.1:25", "192.0.2.9"},
		{"IPv4 in IPv6", "[::ffff:192.0.2.1]:25", "192.0.2.9"},
		{"IPv6", "[2001:db8::1]:25", "2001:db8::9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got netip.Addr
			_, err := smtpc.Dial(t.Context(), smtpc.Options{
				Helo:   "mail.example.net",
				Source: []netip.Addr{netip.MustParseAddr("2001:db8::9"), netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.10")},
				Dial: func(_ context.Context, source netip.Addr, to netip.AddrPort) (net.Conn, error) {
					got = source
					return nil, errors.New("not now")
				},
			}, "", netip.MustParseAddrPort(tt.to))
			if failed(t, err, smtpc.Connect, "not now"); got.String() != tt.want {
				t.Errorf("source %v, want %v", got, tt.want)
			}
		})
	}
}

// Without a Dial of its own, a Client connects by TCP, from the source it is given.
func TestTCP(t *testing.T) {
	f := fakemx.New(t)
	from := make(chan net.Addr, 1)
	h := f.Add(host, fakemx.Script{On: func(s *fakemx.Session, line string) string {
		if strings.HasPrefix(line, "MAIL") {
			from <- s.RemoteAddr()
		}
		return ""
	}})
	source := netip.MustParseAddr("127.0.0.1")
	c, err := smtpc.Dial(t.Context(), smtpc.Options{Helo: "mail.example.net", Source: []netip.Addr{source}}, "", h.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Mail("", smtpc.MailOptions{})
	if got := netip.MustParseAddrPort((<-from).String()).Addr(); got != source {
		t.Errorf("came from %v, want %v", got, source)
	}
}

func TestErrorsNameNoAddressOfOurs(t *testing.T) {
	_, err := smtpc.Dial(t.Context(), smtpc.Options{
		Helo: "mail.example.net",
		Dial: func(ctx context.Context, source netip.Addr, to netip.AddrPort) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Source: net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.1.2.3:4")), Err: errors.New("no route")}
		},
	}, "", netip.MustParseAddrPort(host))
	if got, want := err.Error(), "smtpc: connect: no route"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

// Each wait ends: by its own time, by that of the whole, or with the context.
func TestTimes(t *testing.T) {
	stallAt := func(verb string) func(*fakemx.Session, string) string {
		return func(s *fakemx.Session, line string) string {
			if strings.HasPrefix(line, verb) {
				return s.Stall() + "250 late\r\n"
			}
			return ""
		}
	}
	drip := func(s *fakemx.Session, line string) string {
		if strings.HasPrefix(line, "RCPT") {
			return s.Drip(strings.Repeat("250-a\r\n", 100), time.Second) + "250 late\r\n"
		}
		return ""
	}
	slow := func(s *fakemx.Session, line string) string {
		time.Sleep(8 * time.Second)
		return ""
	}
	o := smtpc.Options{Connect: 5 * time.Second, Step: 10 * time.Second, Content: 30 * time.Second, Total: time.Minute}
	for _, tt := range []struct {
		name   string
		script *fakemx.Script // nil where nothing answers
		step   smtpc.Step
		took   time.Duration
	}{
		{"connection", nil, smtpc.Connect, 5 * time.Second},
		{"greeting", &fakemx.Script{Greeting: "220-"}, smtpc.Greeting, 10 * time.Second},
		{"EHLO", &fakemx.Script{On: stallAt("EHLO")}, smtpc.Hello, 10 * time.Second},
		{"RCPT", &fakemx.Script{On: stallAt("RCPT")}, smtpc.Rcpt, 10 * time.Second},
		{"RCPT a byte at a time", &fakemx.Script{On: drip}, smtpc.Rcpt, 10 * time.Second},
		{"message", &fakemx.Script{On: stallAt(".")}, smtpc.Content, 30 * time.Second},
		{"the whole", &fakemx.Script{On: slow, Offers: []string{"8BITMIME"}}, smtpc.Rcpt, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := fakemx.InMemory(t)
				if tt.script == nil {
					f.Silent(host)
				} else {
					f.Add(host, *tt.script)
				}
				start := time.Now()
				c, err := dial(t, f, o)
				if err == nil {
					_, err = c.Mail("", smtpc.MailOptions{})
				}
				for i := 0; err == nil && (i < 1 || tt.name == "the whole"); i++ {
					_, err = c.Rcpt("a@example.com")
				}
				if err == nil {
					_, err = c.Data(strings.NewReader("Subject: a\n\n"))
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if failed(t, err, tt.step, "no answer in time"); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v is no end of a time", err)
				}
				if c != nil {
					c.Close()
				}
				f.Wait()
			})
		})
	}
}

// A server that reads no message holds nobody.
func TestMessageNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fakemx.InMemory(t)
		hold := make(chan bool)
		f.Add(host, fakemx.Script{On: func(s *fakemx.Session, line string) string {
			if line == "DATA" {
				s.Say("354 go ahead\r\n")
				<-hold
			}
			return ""
		}})
		c := mustDial(t, f, smtpc.Options{Step: 10 * time.Second})
		c.Mail("", smtpc.MailOptions{})
		c.Rcpt("a@example.com")
		start := time.Now()
		_, err := c.Data(strings.NewReader(strings.Repeat("a line of a message\n", 100000)))
		if failed(t, err, smtpc.Content, "no answer in time"); time.Since(start) != 10*time.Second {
			t.Errorf("took %v", time.Since(start))
		}
		c.Close()
		close(hold)
		f.Wait()
	})
}

func TestContextEndsTheDialogue(t *testing.T) {
	why := errors.New("the asker left")
	for _, at := range []string{"greeting", "RCPT", "connection"} {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := fakemx.InMemory(t)
				switch at {
				case "connection":
					f.Silent(host)
				case "greeting":
					f.Add(host, fakemx.Script{Greeting: "220-wait\r\n"})
				default:
					f.Add(host, fakemx.Script{On: func(s *fakemx.Session, line string) string {
						if strings.HasPrefix(line, at) {
							return s.Stall() + "250 late\r\n"
						}
						return ""
					}})
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(3*time.Second, func() { cancel(why) })
				start := time.Now()
				c, err := smtpc.Dial(ctx, smtpc.Options{Helo: "mail.example.net", Dial: f.Dial}, "", netip.MustParseAddrPort(host))
				if err == nil {
					c.Mail("", smtpc.MailOptions{})
					_, err = c.Rcpt("a@example.com")
					c.Close()
				}
				if took := time.Since(start); took != 3*time.Second || !errors.Is(err, why) {
					t.Errorf("after %v: %v, want %v after 3s", took, err, why)
				}
				f.Wait()
			})
		})
	}
}

// A context's deadline reads as any time that ran out.
func TestContextOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fakemx.InMemory(t)
		f.Add(host, fakemx.Script{Greeting: "220-wait\r\n"})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := smtpc.Dial(ctx, smtpc.Options{Helo: "mail.example.net", Dial: f.Dial}, "", netip.MustParseAddrPort(host))
		if e := failed(t, err, smtpc.Greeting, "no answer in time"); !e.Broken() || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		f.Wait()
	})
}

// QUIT is polite, and not worth a wait.
func TestQuitWaitsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fakemx.InMemory(t)
		f.Add(host, fakemx.Script{On: func(s *fakemx.Session, line string) string {
			if line == "QUIT" {
				return s.Stall() + "221 late\r\n"
			}
			return ""
		}})
		c := mustDial(t, f, smtpc.Options{})
		start := time.Now()
		c.Quit()
		c.Close()
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		f.Wait()
	})
}

// However much a server says, little of it is read.
func TestEndlessReplies(t *testing.T) {
	for _, line := range []string{"250-a\r\n", "250-" + strings.Repeat("a", 100)} {
		t.Run(line[:5], func(t *testing.T) {
			f := fakemx.New(t)
			f.Add(host, fakemx.Script{On: func(s *fakemx.Session, cmd string) string {
				if strings.HasPrefix(cmd, "RCPT") {
					return s.Endless(line) + "250 done\r\n"
				}
				return ""
			}})
			c := mustDial(t, f, smtpc.Options{})
			c.Mail("", smtpc.MailOptions{})
			_, err := c.Rcpt("a@example.com")
			if failed(t, err, smtpc.Rcpt, "more bytes than are taken"); !errors.Is(err, smtpc.ErrProtocol) {
				t.Errorf("error %v, want ErrProtocol", err)
			}
			c.Close()
		})
	}
}

func TestReplyLimit(t *testing.T) {
	f := fakemx.New(t)
	f.Add(host, fakemx.Script{Offers: slices.Repeat([]string{"X-EXTENSION"}, 100)})
	if _, err := dial(t, f, smtpc.Options{Reply: 1000}); !errors.Is(err, smtpc.ErrProtocol) {
		t.Errorf("error %v, want ErrProtocol", err)
	}
	mustDial(t, f, smtpc.Options{Reply: 2000})
}

// Whatever a server says, a Client returns, and its texts can be printed.
func FuzzServer(f *testing.F) {
	f.Add([]byte("220 mx\r\n250-mx\r\n250 SMTPUTF8\r\n"), []byte("250 ok\r\n"))
	f.Add([]byte("220 mx\r\n502 what\r\n250 mx\r\n"), []byte("550-5.1.1 a\r\n550 5.1.1 b\r\n"))
	f.Add([]byte("220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n"), []byte("\x15\x03\x01\x00\x02\x02\x28"))
	f.Add([]byte("421 \xff\r\n"), []byte(""))
	f.Fuzz(func(t *testing.T, first, then []byte) {
		c, err := smtpc.Dial(t.Context(), smtpc.Options{
			Helo: "mail.example.net",
			Dial: func(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
				return &tape{in: append([]byte(nil), first...), then: then}, nil
			},
		}, "mx.example.com", netip.MustParseAddrPort(host))
		if err == nil {
			defer c.Close()
			_, err = c.Mail("", smtpc.MailOptions{})
		}
		if err == nil {
			_, err = c.Rcpt("a@example.com")
		}
		if err == nil {
			_, err = c.Data(strings.NewReader("Subject: a\n\n"))
		}
		if e, ok := errors.AsType[*smtpc.Error](err); err != nil && (!ok || e.Err == nil && e.Reply.Code < 400) {
			t.Errorf("error %#v", err)
		}
	})
}

// A tape is a connection that says first one thing, and another after each command.
type tape struct {
	net.Conn
	in, then []byte
	commands int
}

func (c *tape) Read(p []byte) (int, error) {
	// A line at a time, as a server would that waits for its turn.
	line := c.in
	if i := slices.Index(line, '\n'); i >= 0 {
		line = line[:i+1]
	}
	if len(line) == 0 {
		return 0, io.EOF
	}
	n := copy(p, line)
	c.in = c.in[n:]
	return n, nil
}

func (c *tape) Write(p []byte) (int, error) {
	if c.commands++; c.commands > 1 && c.commands < 10 {
		c.in = append(c.in, c.then...)
	}
	return len(p), nil
}
func (c *tape) Close() error                     { return nil }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }
