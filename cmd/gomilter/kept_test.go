package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/internal/release"
	"github.com/gomilter/gomilter/quarantine"
)

// keepingChain replaces dangerous attachments, keeps originals in STATE/kept and lets
// released ones pass. It refuses recipients called refused and later.
func keepingChain(state string, o release.Options) (*filter.Chain, error) {
	store, err := quarantine.Open(filepath.Join(state, "kept"), quarantine.Options{})
	if err != nil {
		return nil, err
	}
	marks, err := release.Open(state, o)
	if err != nil {
		return nil, err
	}
	dangerous, err := attachments.New("attachments", attachments.Options{})
	if err != nil {
		return nil, err
	}
	rcpts := &filter.Filter{Name: "rcpts", Rcpt: func(_ context.Context, _ *filter.Transaction, p filter.Path) (milter.RcptReply, error) {
		switch p.Local {
		case "refused":
			return milter.Reject(550, "5.1.1", "no such user here", "look elsewhere"), nil
		case "later":
			return milter.TempFail(450, "4.2.1", "not now"), nil
		}
		return milter.Continue, nil
	}}
	return &filter.Chain{Steps: []filter.Step{{Filter: rcpts}, {Filter: dangerous}}, Originals: store, Pass: marks.Pass, Log: o.Log}, nil
}

// keepingMilter serves such a chain: keepingmilter SPEC STATE.
func keepingMilter() {
	log := newLog(os.Stderr)
	chain, err := keepingChain(os.Args[2], release.Options{Log: log})
	if err == nil {
		ctx, stop := untilSignal()
		defer stop()
		err = (&milter.Server{New: chain.Hooks, Log: log}).ListenAndServe(ctx, os.Args[1])
	}
	if !errors.Is(err, milter.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// ref NAME DIR: sets a variable to the newest reference in a folder of originals.
func cmdRef(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ref NAME DIR")
	}
	names, err := filepath.Glob(filepath.Join(ts.MkAbs(args[1]), "*.json"))
	ts.Check(err)
	if len(names) == 0 {
		ts.Fatalf("nothing is kept in %s", args[1])
	}
	ts.Setenv(args[0], strings.TrimSuffix(filepath.Base(slices.Max(names)), ".json"))
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true}, {"*@example.com", "Ann@EXAMPLE.com", true}, {"*@example.com", "ann@example.com.org", false},
		{"a?n@*", "ann@x", true}, {"", "", true}, {"", "a", false}, {"a.b", "axb", false}, {"[a]*", "[a]b", true}, {"*", "a\nb", true},
	} {
		if got := glob(tt.pattern).MatchString(tt.text); got != tt.want {
			t.Errorf("%q matches %q: %v", tt.pattern, tt.text, got)
		}
	}
}

func TestServerAddress(t *testing.T) {
	for in, want := range map[string]string{"127.0.0.1:25": "127.0.0.1:25", "mail": "mail:25", "[::1]:2525": "[::1]:2525", "::1": "[::1]:25", "[::1]": "[::1]:25"} {
		if got, err := serverAddress(in); got != want || err != nil {
			t.Errorf("serverAddress(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", ":25", "a:b:c", "mail:"} {
		if got, err := serverAddress(in); err == nil {
			t.Errorf("serverAddress(%q) = %q, want an error", in, got)
		}
	}
}

// A fakeMTA is an SMTP server that remembers what it was sent.
type fakeMTA struct {
	*smtp.Server
	addr     string
	from, to string
	utf8     bool
	body     smtp.BodyType
	tls      bool
	data     []byte
}

func newFakeMTA(t *testing.T, set func(*fakeMTA)) *fakeMTA {
	f := &fakeMTA{}
	f.Server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &fakeSession{f, c}, nil
	}))
	f.MaxLineLength = 1 << 20
	set(f)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- f.Serve(ln) }()
	t.Cleanup(func() { f.Close(); <-done })
	return f
}

type fakeSession struct {
	f *fakeMTA
	c *smtp.Conn
}

func (s *fakeSession) Mail(from string, o *smtp.MailOptions) error {
	s.f.from, s.f.utf8, s.f.body = from, o.UTF8, o.Body
	_, s.f.tls = s.c.TLSConnectionState()
	return nil
}

func (s *fakeSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "no@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no \x1b[31m\nnever"}
	}
	s.f.to += to + " "
	return nil
}

func (s *fakeSession) Data(r io.Reader) (err error) {
	s.f.data, err = io.ReadAll(r)
	return err
}
func (*fakeSession) Reset()        {}
func (*fakeSession) Logout() error { return nil }

// ownCertificate makes a certificate that nobody trusts.
func ownCertificate(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"mail.example"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func TestSend(t *testing.T) {
	const text = "Subject: \xff\r\n\r\n.dots\r\n..\r\n.\r\nbare \r in a line, \x00, gr\xfc\xdfe\r\n" + "long\r\n\r\n\r\n"
	text2 := strings.Replace(text, "long", strings.Repeat("long ", 1000), 1)
	for _, tt := range []struct {
		name     string
		from     string
		to       []string
		set      func(*fakeMTA)
		want     fakeMTA
		accepted []string
		refused  string
		err      string
		code     int
	}{
		{name: "as it is", from: "a@example.com", to: []string{"b@example.net", "c@example.net"}, set: func(f *fakeMTA) {},
			want: fakeMTA{from: "a@example.com", to: "b@example.net c@example.net ", body: smtp.Body8BitMIME}, accepted: []string{"b@example.net", "c@example.net"}},
		{name: "from nobody", from: "", to: []string{"b@example.net"}, set: func(f *fakeMTA) {},
			want: fakeMTA{to: "b@example.net ", body: smtp.Body8BitMIME}, accepted: []string{"b@example.net"}},
		{name: "under TLS", from: "a@example.com", to: []string{"b@example.net"}, set: func(f *fakeMTA) { f.TLSConfig = ownCertificate(t) },
			want: fakeMTA{from: "a@example.com", to: "b@example.net ", body: smtp.Body8BitMIME, tls: true}, accepted: []string{"b@example.net"}},
		{name: "where TLS is offered and fails", from: "a@example.com", to: []string{"b@example.net"}, set: func(f *fakeMTA) { f.TLSConfig = &tls.Config{} },
			want: fakeMTA{from: "a@example.com", to: "b@example.net ", body: smtp.Body8BitMIME}, accepted: []string{"b@example.net"}},
		{name: "to an address in UTF-8", from: "a@example.com", to: []string{"grüße@example.net"}, set: func(f *fakeMTA) { f.EnableSMTPUTF8 = true },
			want: fakeMTA{from: "a@example.com", to: "grüße@example.net ", utf8: true, body: smtp.Body8BitMIME}, accepted: []string{"grüße@example.net"}},
		{name: "no UTF-8 where it is not needed", from: "a@example.com", to: []string{"b@example.net"}, set: func(f *fakeMTA) { f.EnableSMTPUTF8 = true },
			want: fakeMTA{from: "a@example.com", to: "b@example.net ", body: smtp.Body8BitMIME}, accepted: []string{"b@example.net"}},
		{name: "UTF-8 that is not offered", from: "a@example.com", to: []string{"grüße@example.net"}, set: func(f *fakeMTA) {},
			err: "an address is not ASCII, and the server does not know SMTPUTF8", code: exitUnavailable},
		{name: "one is refused", from: "a@example.com", to: []string{"no@example.net", "b@example.net"}, set: func(f *fakeMTA) {},
			want: fakeMTA{from: "a@example.com", to: "b@example.net ", body: smtp.Body8BitMIME}, accepted: []string{"b@example.net"}, refused: `550 5.1.1 no \x1b[31m / never`},
		{name: "all are refused", from: "a@example.com", to: []string{"no@example.net"}, set: func(f *fakeMTA) {},
			want: fakeMTA{from: "a@example.com", body: smtp.Body8BitMIME}, refused: `550 5.1.1 no \x1b[31m / never`, err: `550 5.1.1 no \x1b[31m / never`, code: exitUnavailable},
		{name: "too large", from: "a@example.com", to: []string{"b@example.net"}, set: func(f *fakeMTA) { f.MaxMessageBytes = 1000 },
			err: "552 5.3.4 Max message size exceeded", code: exitUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeMTA(t, tt.set)
			m := outgoing{from: tt.from, rcpts: tt.to, size: int64(len(text2)), data: strings.NewReader(text2)}
			sent, err := m.send(t.Context(), f.addr)
			if d := cmp.Diff(tt.accepted, sent.accepted); d != "" {
				t.Errorf("accepted (-want +got):\n%s", d)
			}
			refused := ""
			for _, r := range sent.refused {
				refused += smtpText(r.err).Error()
			}
			if refused != tt.refused {
				t.Errorf("refused: %s, want %s", refused, tt.refused)
			}
			if tt.err != "" {
				if err == nil || smtpText(err).Error() != tt.err || smtpExit(err) != tt.code {
					t.Errorf("error %v, want %v", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(smtpText(err))
			}
			if f.from != tt.want.from || f.to != tt.want.to || f.utf8 != tt.want.utf8 || f.tls != tt.want.tls || f.body != tt.want.body {
				t.Errorf("from %q to %q, UTF-8 %v, TLS %v, body %q", f.from, f.to, f.utf8, f.tls, f.body)
			}
			if !bytes.Equal(f.data, []byte(text2)) {
				t.Errorf("arrived:\n%q\nwant\n%q", f.data, text2)
			}
		})
	}
}

// A server that goes in the middle, or does not answer, is told of; the wait ends with
// the context.
func TestSendToServersThatBreak(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		talk       func(cancel func(), c net.Conn, r *bufio.Reader)
		code       int
	}{
		{"gone at once", "EOF", func(_ func(), c net.Conn, _ *bufio.Reader) {}, exitUnavailable},
		{"too busy", "421 4.3.2 come again", func(_ func(), c net.Conn, _ *bufio.Reader) { io.WriteString(c, "421 4.3.2 come again\r\n") }, exitTemporary},
		{"silent from the start", "interrupted", func(cancel func(), c net.Conn, r *bufio.Reader) { cancel(); r.ReadString('\n') }, exitUnavailable},
		{"silent after the message", "may deliver", func(cancel func(), c net.Conn, r *bufio.Reader) {
			io.WriteString(c, "220 x\r\n")
			for {
				line, err := r.ReadString('\n')
				switch {
				case err != nil:
					return
				case line == "DATA\r\n":
					io.WriteString(c, "354 go on\r\n")
				case line == ".\r\n":
					cancel()
				case strings.HasPrefix(line, "EHLO"), strings.HasPrefix(line, "MAIL"), strings.HasPrefix(line, "RCPT"):
					io.WriteString(c, "250 ok\r\n")
				}
			}
		}, exitUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				c, err := ln.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				tt.talk(cancel, c, bufio.NewReader(c))
			}()
			defer func() { ln.Close(); <-done }()
			m := outgoing{rcpts: []string{"b@example.net"}, data: strings.NewReader("\r\nx\r\n")}
			_, err = m.send(ctx, ln.Addr().String())
			if err == nil || !strings.Contains(smtpText(err).Error(), tt.want) || smtpExit(err) != tt.code {
				t.Errorf("error %v, exit code %d; want %q and %d", err, smtpExit(err), tt.want, tt.code)
			}
		})
	}
}

// A mark that was on its way lets no message pass later, whatever became of it.
func TestMarkIsVoidWhenTheReleaseBreaks(t *testing.T) {
	large := "Subject: x\r\n\r\n" + strings.Repeat("virus\r\n", 1<<20)
	for _, tt := range []struct {
		name, text string
		breaks     func(mark func() string, r *bufio.Reader, c net.Conn, pass func(mark string)) // after DATA
		want       string
	}{
		{name: "after the message", text: "Subject: x\r\n\r\nvirus\r\n", want: "may deliver",
			breaks: func(mark func() string, r *bufio.Reader, c net.Conn, _ func(string)) {
				mark()
				for line := ""; line != ".\r\n"; line, _ = r.ReadString('\n') {
				}
			}},
		{name: "after the message, which passed", text: "Subject: x\r\n\r\nvirus\r\n", want: "the daemon let it pass, so it may have been delivered",
			breaks: func(mark func() string, r *bufio.Reader, c net.Conn, pass func(string)) {
				m := mark()
				for line := ""; line != ".\r\n"; line, _ = r.ReadString('\n') {
				}
				pass(m)
			}},
		{name: "in the message", text: large, want: "not released, and still kept",
			breaks: func(mark func() string, r *bufio.Reader, c net.Conn, _ func(string)) { mark() }},
		{name: "with a refusal of the message", text: "Subject: x\r\n\r\nvirus\r\n", want: "554 no",
			breaks: func(mark func() string, r *bufio.Reader, c net.Conn, _ func(string)) {
				mark()
				for line := ""; line != ".\r\n"; line, _ = r.ReadString('\n') {
				}
				io.WriteString(c, "554 no\r\n")
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := t.TempDir()
			if err := os.Chmod(state, 0o700); err != nil {
				t.Fatal(err)
			}
			store, err := quarantine.Open(state+"/kept", quarantine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			e, err := store.Keep(t.Context(), quarantine.Entry{From: "a@example.com", Rcpts: []string{"b@example.com"}, Time: time.Now()}, strings.NewReader(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			marks, err := release.Open(state, release.Options{})
			if err != nil {
				t.Fatal(err)
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			marked := make(chan string, 1)
			go func() {
				defer close(marked)
				c, err := ln.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				r := bufio.NewReader(c)
				io.WriteString(c, "220 x\r\n")
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if line != "DATA\r\n" {
						io.WriteString(c, "250 ok\r\n")
						continue
					}
					io.WriteString(c, "354 go on\r\n")
					tt.breaks(func() string {
						mark, _ := r.ReadString('\n')
						marked <- mark
						return mark
					}, r, c, func(mark string) {
						if _, err := marks.Void(mark); err != nil { // as Pass uses it up
							t.Error(err)
						}
					})
					return
				}
			}()
			var out, errs bytes.Buffer
			if code := run([]string{"kept", "--dir", state + "/kept", "release", e.Ref, "--server", ln.Addr().String()}, stdio{nil, &out, &errs}); code == 0 || !strings.Contains(errs.String(), tt.want) {
				t.Errorf("exit code %d, %s%swant %q", code, out.String(), errs.String(), tt.want)
			}
			if used, err := marks.Void(<-marked); err != nil || !used {
				t.Errorf("the mark is good: %v, %v", used, err)
			}
		})
	}
}

// A mark that stayed here takes no room among those that were used.
func TestMarkThatNobodySaw(t *testing.T) {
	state := t.TempDir()
	if err := os.Chmod(state, 0o700); err != nil {
		t.Fatal(err)
	}
	store, err := quarantine.Open(state+"/kept", quarantine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := store.Keep(t.Context(), quarantine.Entry{Rcpts: []string{"no@example.com"}, Time: time.Now()}, strings.NewReader("\r\nx\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	f := newFakeMTA(t, func(*fakeMTA) {})
	var out, errs bytes.Buffer
	if code := run([]string{"kept", "--dir", state + "/kept", "release", e.Ref, "--server", f.addr}, stdio{nil, &out, &errs}); code == 0 {
		t.Errorf("exit code 0: %s", out.String())
	}
	if used, err := os.ReadDir(filepath.Join(state, "released")); err != nil || len(used) > 0 {
		t.Errorf("used marks %v, %v", used, err)
	}
}
