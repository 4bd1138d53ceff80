//go:build peers

package milter_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/peertest"
)

// What docs/attach.md tells to paste attaches gomilter serve to both MTAs at every
// kind of socket, and no mail passes while it is stopped.
func TestAttachAsTheDocsSay(t *testing.T) {
	gomilter := buildGomilter(t)
	doc, sample := readDoc(t, "docs/attach.md"), readDoc(t, "examples/sample.toml")
	for _, c := range []struct {
		name string
		kind peertest.Kind
		// The lines, without the blanks before them, and the address in them; with
		// %PORT% and %SOCKET% it is that of the test.
		lines, address, put, serve string
	}{
		{"sendmail.cf unix", peertest.Sendmail, `(?m)^ +((?:O InputMailFilters=|O Milter\.macros\.|Xgomilter, S=local:).*)$`, "/run/gomilter/gomilter.sock", "%SOCKET%", "unix:%SOCKET%"},
		{"sendmail.cf inet", peertest.Sendmail, `(?m)^ +((?:O InputMailFilters=|O Milter\.macros\.|Xgomilter, S=inet:).*)$`, "8891", "%PORT%", "inet:%PORT%@127.0.0.1"},
		{"sendmail.cf inet6", peertest.Sendmail, `(?m)^ +((?:O InputMailFilters=|O Milter\.macros\.|Xgomilter, S=inet6:).*)$`, "8891", "%PORT%", "inet6:%PORT%@[::1]"},
		{"sendmail.mc unix", peertest.Sendmail, "(?m)^ +(INPUT_MAIL_FILTER.*S=local:.*)$", "/run/gomilter/gomilter.sock", "%SOCKET%", "unix:%SOCKET%"},
		{"main.cf unix", peertest.Postfix, `(?m)^ +((?:smtpd_milters = unix:|non_smtpd_milters|milter_).*)$`, "gomilter/gomilter.sock", "%SOCKET%", "unix:%SOCKET%"},
		{"main.cf inet", peertest.Postfix, `(?m)^ +((?:smtpd_milters = inet:127|non_smtpd_milters|milter_).*)$`, "8891", "%PORT%", "inet:%PORT%@127.0.0.1"},
		{"main.cf inet6", peertest.Postfix, `(?m)^ +((?:smtpd_milters = inet:\[|non_smtpd_milters|milter_).*)$`, "8891", "%PORT%", "inet6:%PORT%@[::1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sample := sample
			place := strings.NewReplacer("%SOCKET%", filepath.Join(peertest.Dir(t), "s"), "%PORT%", strconv.Itoa(peertest.FreePort(t)))
			var lines []string
			for _, m := range regexp.MustCompile(c.lines).FindAllStringSubmatch(doc, -1) {
				lines = append(lines, strings.ReplaceAll(m[1], c.address, place.Replace(c.put)))
			}
			if joined := strings.Join(lines, "\n"); !strings.Contains(joined, place.Replace(c.put)) {
				t.Fatalf("the doc has no such lines: %q", joined)
			}
			m := peertest.Start(t, c.kind, peertest.Config{Extra: map[peertest.Kind][]string{c.kind: lines}})

			wantReply := func(code int, subject string) {
				t.Helper()
				if r := m.Send(t, peertest.Letter{Data: "Subject: " + subject + "\r\nMessage-ID: <1@example.com>\r\n\r\ntext\r\n"}); r.Code != code {
					t.Errorf("%s: reply %v, want %d", subject, r, code)
				}
			}
			wantReply(451, "hello") // it does not run yet
			conf, mode := filepath.Join(peertest.Dir(t), "gomilter.toml"), ""
			if strings.HasPrefix(c.serve, "unix:") {
				mode = "\nmode = \"0666\"" // the MTA's group here is another than in the docs
			}
			for _, r := range [][2]string{
				{`user = "gomilter"`, "state_dir = \"state\"\ncontrol = { socket = \"control.sock\" }"},
				{`socket = "unix:/run/gomilter/gomilter.sock"`, `socket = "` + place.Replace(c.serve) + `"` + mode},
			} {
				if !strings.Contains(sample, r[0]) {
					t.Fatalf("examples/sample.toml lacks %q", r[0])
				}
				sample = strings.Replace(sample, r[0], r[1], 1)
			}
			if err := os.WriteFile(conf, []byte(sample), 0o644); err != nil {
				t.Fatal(err)
			}
			serve := exec.Command(gomilter, "serve", "-c", conf)
			if os.Geteuid() == 0 {
				serve.Args = append(serve.Args, "--allow-root")
			}
			filter := startServe(t, serve)
			wantReply(250, "hello")
			if got := m.Sink.Next(t).Header().Values("X-Gomilter-Sample"); len(got) != 1 || strings.TrimSpace(got[0]) != "passed" {
				t.Errorf("delivered with marks %q", got)
			}
			wantReply(550, "make money FREE!!!")
			filter.stop(t)
			wantReply(451, "hello")
			if strings.Contains(filter.log(), "NOQUEUE") {
				t.Errorf("a line has no queue id:\n%s", filter.log())
			}
		})
	}
}

// A serveProcess is gomilter serve.
type serveProcess struct {
	cmd   *exec.Cmd
	ended chan error
	buf   lockedBuffer
}

func (p *serveProcess) log() string { return p.buf.String() }

// startServe starts a daemon and waits until it serves.
func startServe(t *testing.T, cmd *exec.Cmd) *serveProcess {
	t.Helper()
	p := &serveProcess{cmd: cmd, ended: make(chan error, 1)}
	cmd.Stderr = &p.buf
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	p.waitLog(t, 0, "msg=serving ")
	return p
}

// waitLog returns the first line of the log, from a place in it on, that has a text.
func (p *serveProcess) waitLog(t *testing.T, from int, text string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		for line := range strings.Lines(p.log()[from:]) {
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
				return line
			}
		}
		select {
		case err := <-p.ended:
			t.Fatalf("gomilter serve: %v\n%s", err, p.log())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("gomilter serve does not log %q:\n%s", text, p.log())
		}
	}
}

func (p *serveProcess) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
}

// wait waits until it has ended, without an error.
func (p *serveProcess) wait(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("gomilter serve: %v\n%s", err, p.log())
		}
	case <-ctx.Done():
		t.Fatalf("gomilter serve does not stop:\n%s", p.log())
	}
}

// A filter gets the macros that it asks for from an MTA that is not set up for it,
// and those that docs/attach.md sets up without asking.
func TestDaemonPortIsSentWhenAskedFor(t *testing.T) {
	macros := map[milter.Stage][]string{milter.StageConnect: {"j", "{daemon_port}"}}
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			m, got := macrosAtMail(t, kind, macros, nil, "{daemon_port}", "j", "{client_addr}")
			if want := []string{m.port(), m.Host, ""}; !slices.Equal(got, want) {
				t.Errorf("macros = %q, want %q", got, want)
			}
		})
	}
}

func TestMacroLinesOfAttach(t *testing.T) {
	lines := map[peertest.Kind]string{peertest.Sendmail: `(?m)^    (define\(.confMILTER_MACROS_.*)$`, peertest.Postfix: `(?m)^    (milter_\w+_macros = .*)$`}
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			var extra []string
			for _, l := range regexp.MustCompile(lines[kind]).FindAllStringSubmatch(readDoc(t, "docs/attach.md"), -1) {
				extra = append(extra, l[1])
			}
			m, got := macrosAtMail(t, kind, nil, extra, "{daemon_port}", "j", "{client_addr}", "{mail_addr}")
			if want := []string{m.port(), m.Host, "127.0.0.1", "sender@example.com"}; !slices.Equal(got, want) {
				t.Errorf("with %q: macros = %q, want %q", extra, got, want)
			}
		})
	}
}

type attachedMTA struct{ *peertest.MTA }

func (m attachedMTA) port() string {
	_, port, _ := strings.Cut(m.Addr, ":")
	return port
}

// macrosAtMail sends a message through an MTA with lines of its own, and returns
// the values that macros have at MAIL.
func macrosAtMail(t *testing.T, kind peertest.Kind, ask map[milter.Stage][]string, lines []string, names ...string) (attachedMTA, []string) {
	t.Helper()
	seen := make(chan []string, 1)
	srv := &milter.Server{New: func(s *milter.Session) milter.Hooks {
		return milter.Hooks{Macros: ask, Mail: func(context.Context, *milter.Mail) milter.MailReply {
			values := make([]string, len(names))
			for i, name := range names {
				values[i], _ = s.Macro(name)
			}
			seen <- values
			return milter.Continue
		}}
	}}
	spec := "unix:" + filepath.Join(peertest.Dir(t), "s")
	ln, err := milter.Listen(spec, milter.SocketOptions{Mode: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(context.Background(), ln) }()
	t.Cleanup(func() {
		srv.Shutdown(context.Background())
		<-ended
	})
	m := peertest.Start(t, kind, peertest.Config{
		Milters: []peertest.Milter{{Spec: spec}},
		Extra:   map[peertest.Kind][]string{kind: lines},
	})
	if r := m.Send(t, peertest.Letter{}); r.Code != 250 {
		t.Fatalf("reply %v", r)
	}
	return attachedMTA{m}, <-seen
}
