//go:build peers

package main

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/examples/headerrules"
	"github.com/gomilter/gomilter/internal/peertest"
)

// configLines returns the lines that "gomilter config" says to paste, those with
// one of the beginnings.
func configLines(t *testing.T, kind peertest.Kind, spec string, beginnings ...string) (lines []string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run([]string{"config", string(kind), "--socket", spec}, stdio{nil, &out, &errs}); code != 0 {
		t.Fatalf("config: exit code %d: %s", code, errs.String())
	}
	for line := range strings.Lines(out.String()) {
		if slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(line, b) }) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// The lines attach the filter to the real thing, and mail waits while it is stopped.
func TestConfigLinesOnRealMTAs(t *testing.T) {
	for _, kind := range peertest.Kinds {
		for _, network := range []string{"unix", "inet", "inet6"} {
			t.Run(string(kind)+" "+network, func(t *testing.T) {
				t.Parallel()
				spec := peertest.FreeSpec(t, network)
				lines := configLines(t, kind, spec, "smtpd_milters =", "non_smtpd_milters =", "milter_", "O InputMailFilters", "Xgomilter")
				lines = slices.DeleteFunc(lines, func(l string) bool { return kind == peertest.Postfix && !strings.Contains(l, " = ") })
				if len(lines) < 2 {
					t.Fatalf("config prints the lines %q", lines)
				}
				m := peertest.Start(t, kind, peertest.Config{Extra: map[peertest.Kind][]string{kind: lines}})

				srv := &milter.Server{New: headerrules.New(headerrules.Rules...), Log: slog.New(slog.DiscardHandler)}
				stop := serveFilter(t, srv, spec)
				passes := func(what string) {
					t.Helper()
					if got := m.Sink.Next(t).Header().Values(headerrules.Mark); !slices.Equal(got, []string{"passed"}) {
						t.Errorf("%s has the mark %q, want that it passed the filter", what, got)
					}
				}
				if r := m.Send(t, peertest.Letter{}); !r.OK() {
					t.Fatalf("mail by SMTP is answered %v", r)
				}
				passes("mail by SMTP")
				if r := m.Send(t, peertest.Letter{Data: "Subject: FREE\r\n\r\nx\r\n"}); r.Code != 550 || !strings.Contains(r.String(), "without shouting") {
					t.Errorf("mail that breaks a rule is answered %v", r)
				}
				if err := m.SubmitLocal(peertest.Letter{}); err != nil {
					t.Fatal(err)
				}
				passes("local mail")

				stop()
				want := map[peertest.Kind]string{
					peertest.Sendmail: "451 4.3.2 Please try again later",
					peertest.Postfix:  "451 4.7.1 Service unavailable - try again later",
				}[kind]
				if r := m.Send(t, peertest.Letter{}); !strings.HasPrefix(r.String(), want) {
					t.Errorf("with the filter stopped mail is answered %v, want %s", r, want)
				}
				// Local mail is taken and waits; Sendmail's until its submission program runs
				// its queue, which none does here.
				if err := m.SubmitLocal(peertest.Letter{}); err != nil {
					t.Errorf("local mail with the filter stopped: %v", err)
				}
				if kind == peertest.Sendmail {
					return
				}
				srv = &milter.Server{New: headerrules.New(headerrules.Rules...), Log: slog.New(slog.DiscardHandler)}
				defer serveFilter(t, srv, spec)()
				if err := m.SubmitLocal(peertest.Letter{}); err != nil { // wakes the MTA, too
					t.Fatal(err)
				}
				passes("local mail after the stop")
				passes("local mail that waited")
			})
		}
	}
}

// Local mail to MAILER-DAEMON does not wait in Postfix's queue for ever: it comes back.
func TestLocalMailToDaemonIsReturned(t *testing.T) {
	t.Parallel()
	spec := peertest.FreeSpec(t, "unix")
	lines := configLines(t, peertest.Postfix, spec, "smtpd_milters = ", "non_smtpd_milters = ", "milter_default_action = ")
	m := peertest.Start(t, peertest.Postfix, peertest.Config{Extra: map[peertest.Kind][]string{peertest.Postfix: lines}})
	var log bytes.Buffer
	stop := serveFilter(t, &milter.Server{New: headerrules.New(headerrules.Rules...), Log: slog.New(slog.NewTextHandler(&log, nil))}, spec)
	if err := m.SubmitLocal(peertest.Letter{To: []string{"mailer-daemon@example.net"}}); err != nil {
		t.Fatal(err)
	}
	got := m.Sink.Next(t)
	if text := string(got.Data); got.From.Addr != "" || !strings.Contains(text, "MAILER-DAEMON sends mail but takes none") {
		t.Errorf("a message from %q arrives, want one that is returned with the reason:\n%s", got.From.Addr, text)
	}
	stop()
	if want := `verdict=reject why="local mail to mailer-daemon"`; strings.Count(log.String(), "msg=message ") != 1 || !strings.Contains(log.String(), want) {
		t.Errorf("log = %s, want one message with %s", log.String(), want)
	}
}

// serveFilter serves until stop is called.
func serveFilter(t *testing.T, srv *milter.Server, spec string) (stop func()) {
	t.Helper()
	ln, err := milter.Listen(spec, milter.SocketOptions{Mode: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func(ln net.Listener) { ended <- srv.Serve(context.WithoutCancel(t.Context()), ln) }(ln)
	return func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		<-ended
	}
}

// The line for sendmail.mc becomes those for sendmail.cf.
func TestConfigMCLine(t *testing.T) {
	const spec = "unix:/run/gomilter/gomilter.sock"
	mc := configLines(t, peertest.Sendmail, spec, "INPUT_MAIL_FILTER")
	want := configLines(t, peertest.Sendmail, spec, "O InputMailFilters", "Xgomilter")
	cf := filepath.Join(cmp.Or(os.Getenv("GOMILTER_PEERS"), "/opt/gomilter-peers"), "sendmail/usr/share/sendmail/cf/")
	cmd := exec.Command("m4", "-D_CF_DIR_="+cf+"/", cf+"/m4/cf.m4", "-")
	cmd.Stdin = strings.NewReader("OSTYPE(`linux')dnl\n" + mc[0] + "\nMAILER(`smtp')dnl\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("m4: %v", err)
	}
	for _, line := range want {
		if !slices.Contains(strings.Split(string(out), "\n"), line) {
			t.Errorf("sendmail.cf made of %q lacks the line %q", mc[0], line)
		}
	}
}
