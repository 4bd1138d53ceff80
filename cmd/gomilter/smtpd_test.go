package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/mta"
)

// An smtpTest is an SMTP server in front of a filter.
type smtpTest struct {
	addr, dir string
	stop      func()        // as a signal does
	ended     chan delivery // results of transactions
}

func startSMTP(t *testing.T, filter func(*milter.Session) milter.Hooks) *smtpTest {
	t.Helper()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	ln, err := milter.Listen(filepath.Join(dir, "s"), milter.SocketOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { (&milter.Server{New: filter, Log: log}).Serve(ctx, ln) })

	st := &smtpTest{dir: filepath.Join(dir, "box"), ended: make(chan delivery, 100)}
	box, err := openMailbox(st.dir)
	if err != nil {
		t.Fatal(err)
	}
	smtpLn, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	st.addr = smtpLn.Addr().String()
	srv := &smtpServer{
		client: func() *mta.Client {
			return &mta.Client{Profile: mta.Postfix, Milters: []mta.Milter{{Name: "test", Address: ln.Addr().String()}}, Hostname: "mx.example"}
		},
		box: box, maxSize: 1000, log: log, done: func(d delivery) { st.ended <- d },
	}
	smtpCtx, stop := context.WithCancel(ctx)
	st.stop = stop
	running.Go(func() {
		if err := srv.serve(smtpCtx, smtpLn); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		time.AfterFunc(10*time.Millisecond, cancel)
		running.Wait()
		goleak.VerifyNone(t)
	})
	return st
}

// files returns what is in a folder of the Maildir.
func (st *smtpTest) files(t *testing.T, sub string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(st.dir, sub))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(st.dir, sub, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b))
	}
	return all
}

const (
	smtpHead = "S: 220 \nEHLO client.example\nS: ...\n"
	smtpTo   = smtpHead + "MAIL FROM:<a@example.com>\nS: 250 \nRCPT TO:<b@example.com>\nS: 250 \n"
	smtpData = smtpTo + "DATA\nS: 354 \nSubject: x\n\nbody\n.\n"
)

func TestSMTPRepliesAtEachStage(t *testing.T) {
	no := milter.Reject(550, "5.7.1", "first line", "100% no")
	const told = "S: 550-5.7.1 first line\nS: 550 5.7.1 100% no\n"
	later := milter.TempFail(421, "4.7.0", "go away")
	for _, tt := range []struct {
		name   string
		hooks  milter.Hooks
		script string
	}{
		{"connect", milter.Hooks{Connect: func(context.Context, *milter.Client) milter.ConnectReply { return no }},
			"S: 554 mx.example \n"},
		{"helo, told at MAIL as Postfix does", milter.Hooks{Helo: func(context.Context, []byte) milter.HeloReply { return no }},
			smtpHead + "MAIL FROM:<a@example.com>\n" + told + "QUIT\nS: 221 \n"},
		{"mail", milter.Hooks{Mail: func(_ context.Context, m *milter.Mail) milter.MailReply {
			if m.Null() {
				return no
			}
			return milter.Continue
		}}, smtpHead + "MAIL FROM:<>\n" + told + "MAIL FROM:<a@example.com>\nS: 250 \nQUIT\nS: 221 \n"},
		{"rcpt", milter.Hooks{Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
			if r.Local() == "no" {
				return no
			}
			return milter.Continue
		}}, smtpTo + "RCPT TO:<no@example.com>\n" + told + "DATA\nS: 354 \n\nx\n.\nS: 250 2.0.0 Ok: queued as \n"},
		{"data, told after the message", milter.Hooks{Data: func(context.Context) milter.DataReply { return no }},
			smtpData + told + "MAIL FROM:<a@example.com>\nS: 250 \n"},
		{"header", milter.Hooks{Header: func(context.Context, *milter.Header) milter.HeaderReply { return no }}, smtpData + told},
		{"end of headers", milter.Hooks{EndOfHeaders: func(context.Context) milter.EndOfHeadersReply { return no }}, smtpData + told},
		{"body", milter.Hooks{Body: func(context.Context, []byte) milter.BodyReply { return no }}, smtpData + told},
		{"end", milter.Hooks{End: func(context.Context, *milter.Edits) milter.EndReply { return no }}, smtpData + told},
		{"default text", milter.Hooks{End: func(context.Context, *milter.Edits) milter.EndReply { return milter.DefaultTempFail }},
			smtpData + "S: 451 4.7.1 Service unavailable\n"},
		{"421 at rcpt hangs up", milter.Hooks{Rcpt: func(context.Context, *milter.Rcpt) milter.RcptReply { return later }},
			smtpHead + "MAIL FROM:<a@example.com>\nS: 250 \nRCPT TO:<b@example.com>\nS: 421 4.7.0 go away\nS: EOF\n"},
		{"421 at end hangs up", milter.Hooks{End: func(context.Context, *milter.Edits) milter.EndReply { return later }},
			smtpData + "S: 421 4.7.0 go away\nS: EOF\n"},
		{"discard", milter.Hooks{End: func(context.Context, *milter.Edits) milter.EndReply { return milter.Discard }},
			smtpData + "S: 250 2.0.0 Ok: queued as \n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := startSMTP(t, func(*milter.Session) milter.Hooks { return tt.hooks })
			if err := playSMTP(st.addr, tt.script); err != nil {
				t.Error(err)
			}
			want := 0
			if tt.name == "rcpt" {
				want = 1
			}
			if got := st.files(t, "new"); len(got) != want {
				t.Errorf("%d messages delivered, want %d:\n%s", len(got), want, got)
			}
		})
	}
}

func TestSMTPShowsParametersAndMacros(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	st := startSMTP(t, func(s *milter.Session) milter.Hooks {
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(&log, format+"\n", args...)
		}
		return milter.Hooks{
			Connect: func(_ context.Context, c *milter.Client) milter.ConnectReply {
				note("connect %s %s", c.Host, c.Addr.Addr())
				return milter.Continue
			},
			Helo: func(_ context.Context, name []byte) milter.HeloReply { note("helo %s", name); return milter.Continue },
			Mail: func(_ context.Context, m *milter.Mail) milter.MailReply {
				for p := range m.RawParams() {
					note("mail %s %s", m.Raw(), p)
				}
				return milter.Continue
			},
			Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
				for p := range r.RawParams() {
					note("rcpt %s %s", r.Raw(), p)
				}
				return milter.Continue
			},
			Abort: func(context.Context) { note("abort") },
			Close: func() { note("close") },
		}
	})
	err := playSMTP(st.addr, smtpHead+`MAIL FROM:<a@example.com> SIZE=99 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=q+2B1 AUTH=<>
S: 250 
RCPT TO:<b@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o+3Dp@example.com
S: 250 
MAIL FROM:<nested@example.com>
S: 503 5.5.1
RSET
S: 250 
EHLO other.example
S: ...
QUIT
S: 221 
S: EOF
`)
	if err != nil {
		t.Fatal(err)
	}
	st.stop()
	for range 1000 {
		mu.Lock()
		done := strings.Contains(log.String(), "close")
		mu.Unlock()
		if done {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	const want = `connect localhost 127.0.0.1
helo client.example
mail <a@example.com> SIZE=99
mail <a@example.com> BODY=8BITMIME
mail <a@example.com> SMTPUTF8
mail <a@example.com> RET=HDRS
mail <a@example.com> ENVID=q+2B1
mail <a@example.com> AUTH=<>
rcpt <b@example.com> NOTIFY=SUCCESS,DELAY
rcpt <b@example.com> ORCPT=rfc822;o+3Dp@example.com
abort
helo other.example
close
`
	if got := log.String(); got != want {
		t.Errorf("the filter was told\n%s\nwant\n%s", got, want)
	}
}

func TestSMTPAppliesEdits(t *testing.T) {
	st := startSMTP(t, func(*milter.Session) milter.Hooks {
		return milter.Hooks{End: func(_ context.Context, e *milter.Edits) milter.EndReply {
			e.InsertHeader(0, "X-Top", "1")
			e.ChangeFrom("<new@example.com>")
			e.DeleteRcpt("<b@example.com>")
			e.AddRcpt("<c@example.com>")
			e.ReplaceBody(strings.NewReader("new\r\n"))
			return milter.Accept
		}}
	})
	if err := playSMTP(st.addr, smtpData+"S: 250 2.0.0\n"); err != nil {
		t.Fatal(err)
	}
	got := st.files(t, "new")
	if len(got) != 1 || !strings.HasPrefix(got[0], "Return-Path: <new@example.com>\nDelivered-To: c@example.com\nX-Top: 1\nReceived: from client.example (localhost [127.0.0.1])\n") ||
		!strings.HasSuffix(got[0], "\nSubject: x\n\nnew\n") {
		t.Errorf("delivered %q", got)
	}
}

func TestSMTPHoldsQuarantined(t *testing.T) {
	st := startSMTP(t, func(*milter.Session) milter.Hooks {
		return milter.Hooks{End: func(_ context.Context, e *milter.Edits) milter.EndReply { e.Quarantine("odd"); return milter.Accept }}
	})
	if err := playSMTP(st.addr, smtpData+"S: 250 2.0.0\n"); err != nil {
		t.Fatal(err)
	}
	if n, held := len(st.files(t, "new")), len(st.files(t, ".Held/new")); n != 0 || held != 1 {
		t.Errorf("%d delivered and %d held, want 0 and 1", n, held)
	}
}

func TestSMTPRefusesWhatItCannotStore(t *testing.T) {
	st := startSMTP(t, func(*milter.Session) milter.Hooks { return milter.Hooks{} })
	if err := os.RemoveAll(filepath.Join(st.dir, "tmp")); err != nil {
		t.Fatal(err)
	}
	if err := playSMTP(st.addr, smtpData+"S: 451 4.3.0 The message cannot be stored now\n"); err != nil {
		t.Error(err)
	}
	if d := <-st.ended; d.res.Verdict != mta.TempFail {
		t.Errorf("verdict = %v, want tempfail", d.res.Verdict)
	}
}

func TestSMTPBounds(t *testing.T) {
	st := startSMTP(t, func(*milter.Session) milter.Hooks {
		return milter.Hooks{Rcpt: func(context.Context, *milter.Rcpt) milter.RcptReply { return milter.Continue }}
	})
	long := strings.Repeat(strings.Repeat("x", 70)+"\n", 20)
	err := playSMTP(st.addr, smtpTo+"DATA\nS: 354 \n\n"+long+".\nS: 552 5.3.4\n"+"MAIL FROM:<a@example.com> SIZE=5000\nS: 552 5.3.4\nMAIL FROM:<a@example.com>\nS: 250 \nQUIT\nS: 221 \n")
	if err != nil {
		t.Error(err)
	}
	var conns []net.Conn
	for range smtpMaxConns + 1 {
		c, err := net.Dial("tcp", st.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	last := conns[len(conns)-1]
	last.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 100)
	n, err := last.Read(b)
	if got := string(b[:n]); !strings.HasPrefix(got, "421 4.3.2 Too many connections") {
		t.Errorf("one connection too many is told %q, %v", got, err)
	}
}

func TestSMTPStopsBetweenTransactions(t *testing.T) {
	st := startSMTP(t, func(*milter.Session) milter.Hooks { return milter.Hooks{} })
	idle := make(chan error, 1)
	go func() { idle <- playSMTP(st.addr, smtpHead+"S: 421 \nS: EOF\n") }()
	c, err := net.Dial("tcp", st.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	said := func(want string) {
		t.Helper()
		line, err := r.ReadString('\n')
		for err == nil && len(line) > 3 && line[3] == '-' {
			line, err = r.ReadString('\n')
		}
		if err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("server says %q, %v; want %q", line, err, want)
		}
	}
	say := func(s string) { fmt.Fprint(c, strings.ReplaceAll(s, "\n", "\r\n")) }
	said("220 ")
	say("EHLO x\n")
	said("250 ")
	say("MAIL FROM:<a@example.com>\n")
	said("250 ")
	time.Sleep(50 * time.Millisecond) // the idle client has come to its end
	st.stop()
	if err := <-idle; err != nil {
		t.Errorf("idle client: %v", err)
	}
	say("RCPT TO:<b@example.com>\n")
	said("250 ")
	say("DATA\n")
	said("354 ")
	say("\nx\n.\n")
	said("250 2.0.0 Ok: queued as ")
	said("421 ")
	if n := len(st.files(t, "new")); n != 1 {
		t.Errorf("%d messages delivered, want that of the running transaction", n)
	}
}

// A client may reset while the library's other goroutine tells us of the chunks.
func TestSMTPChunksAndReset(t *testing.T) {
	st := startSMTP(t, func(*milter.Session) milter.Hooks {
		return milter.Hooks{
			Data: func(context.Context) milter.DataReply { time.Sleep(time.Millisecond); return milter.Continue },
			End:  func(context.Context, *milter.Edits) milter.EndReply { return milter.Accept },
		}
	})
	const again = "MAIL FROM:<a@example.com>\nS: 250 \nRCPT TO:<b@example.com>\nS: 250 \nDATA\nS: 354 \nSubject: y\n\n.\nS: 250 2.0.0 Ok: queued as \nQUIT\nS: 221 \n"
	for range 20 {
		if err := playSMTP(st.addr, smtpTo+"BDAT 0\nS: 250 \nRSET\nS: 250 \n"+again); err != nil {
			t.Error(err)
		}
	}
	if err := playSMTP(st.addr, smtpTo+"BDAT 0\nS: 250 \nBDAT 14 LAST\nSubject: z\n\nS: 250 2.0.0 Ok: queued as \n"); err != nil {
		t.Error(err)
	}
	if n := len(st.files(t, "new")); n != 21 {
		t.Errorf("%d messages delivered, want 21", n)
	}
}
