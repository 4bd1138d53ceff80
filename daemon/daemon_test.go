package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomilter/gomilter/daemon"
	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/mta"
)

// A running is a daemon under test, in a folder of its own.
type running struct {
	*daemon.Daemon
	t    *testing.T
	dir  string
	log  *lines
	ctl  *daemon.Control
	done chan error
}

// start runs a daemon. In conf, DIR is its folder; the control socket and the
// folder for state are added.
func start(t *testing.T, conf string) *running {
	t.Helper()
	r, err := tryStart(t, conf)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryStart(t *testing.T, conf string) (*running, error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gomilter") // short, for the sake of sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return tryStartIn(t, dir, conf)
}

// startIn runs a daemon in a folder that there is.
func startIn(t *testing.T, dir, conf string) *running {
	t.Helper()
	r, err := tryStartIn(t, dir, conf)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryStartIn(t *testing.T, dir, conf string) (_ *running, err error) {
	t.Helper()
	r := &running{t: t, dir: dir, log: new(lines), done: make(chan error, 1)}
	r.ctl = &daemon.Control{Socket: r.path("control.sock")}
	r.configure(conf)
	ctx, cancel := context.WithCancel(context.Background())
	r.Daemon, err = daemon.Start(ctx, daemon.Options{Load: func() (*config.Source, error) { return config.Load(r.path("gomilter.toml")) },
		AllowRoot: true, Version: "test", Stderr: r.log})
	if err != nil {
		cancel()
		return nil, err
	}
	go func() { r.done <- r.Wait() }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-r.done:
			if err != nil {
				t.Errorf("the daemon ended: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the daemon does not stop")
		}
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
	})
	return r, nil
}

func (r *running) path(name string) string { return filepath.Join(r.dir, name) }

// configure writes the configuration.
func (r *running) configure(conf string) {
	r.t.Helper()
	r.write("gomilter.toml", "state_dir = \"DIR/state\"\ncontrol = { socket = \"DIR/control.sock\" }\n"+conf)
}

func (r *running) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(strings.ReplaceAll(text, "DIR", r.dir)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// connect opens a connection of an MTA.
func (r *running) connect(socket string) *mta.Session {
	r.t.Helper()
	c := &mta.Client{Milters: []mta.Milter{{Address: strings.ReplaceAll(socket, "DIR", r.dir)}}}
	s, out, err := c.Connect(r.t.Context(), mta.Conn{})
	if err != nil || out.Verdict != mta.Continue {
		r.t.Fatalf("connect to %s: %v, %v", socket, out, err)
	}
	r.t.Cleanup(func() { s.Close() })
	return s
}

// send sends a message with a subject and returns the answer, "" for 250.
func send(t *testing.T, s *mta.Session, subject string) string {
	t.Helper()
	ctx := t.Context()
	for _, step := range []func() (mta.Outcome, error){
		func() (mta.Outcome, error) { return s.Mail(ctx, "<a@example.com>") },
		func() (mta.Outcome, error) { return s.Rcpt(ctx, "<b@example.com>") },
		func() (mta.Outcome, error) { return s.Data(ctx) },
	} {
		if out, err := step(); err != nil || out.Verdict != mta.Continue {
			t.Errorf("%v, %v", out, err)
			return "no message"
		}
	}
	res, err := s.Message(ctx, []byte("Subject: "+subject+"\r\n\r\nbody\r\n"))
	if err != nil {
		t.Error(err)
		return "no result"
	}
	if res.Reply == nil {
		return ""
	}
	return strings.Join(res.Reply.Lines(), " ")
}

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits until the log has the text.
func (l *lines) await(t *testing.T, text string) {
	t.Helper()
	for late := time.After(20 * time.Second); !strings.Contains(l.String(), text); {
		select {
		case <-late:
			t.Fatalf("the log has no %q:\n%s", text, l)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// refusing is a configuration that refuses a word in the subject.
func refusing(word string) string {
	return fmt.Sprintf(`
[[listener]]
socket = "unix:DIR/m.sock"
chain = ["rules"]
[filter.rules]
kind = "headers"
[[filter.rules.rule]]
fields = ["Subject"]
match = "contains"
values = [%q]
action = "reject"
text = "no %s here"
`, word, word)
}

func TestReload(t *testing.T) {
	r := start(t, refusing("red"))
	before := r.connect("unix:DIR/m.sock")
	if got := send(t, before, "red"); !strings.Contains(got, "no red here") {
		t.Errorf("answer %q", got)
	}

	r.configure(refusing("blue"))
	reloaded, err := r.ctl.Reload(t.Context())
	if err != nil || reloaded.Generation != 2 {
		t.Fatalf("%+v, %v", reloaded, err)
	}
	if got := send(t, before, "red"); !strings.Contains(got, "no red here") {
		t.Errorf("a connection that has begun answers %q", got)
	}
	after := r.connect("unix:DIR/m.sock")
	if got := send(t, after, "red"); got != "" {
		t.Errorf("a new connection answers %q", got)
	}
	if got := send(t, after, "blue"); !strings.Contains(got, "no blue here") {
		t.Errorf("a new connection answers %q", got)
	}
}

func TestReloadOfOtherLimitsTakesAnotherServer(t *testing.T) {
	r := start(t, refusing("red"))
	before := r.connect("unix:DIR/m.sock")
	r.configure("limits = { headers = 1 }\n" + refusing("blue"))
	if _, err := r.ctl.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := r.Status(t.Context()); s.Earlier != 1 {
		t.Errorf("%d connections of before", s.Earlier)
	}
	if got := send(t, before, "red"); !strings.Contains(got, "no red here") {
		t.Errorf("a connection that has begun answers %q", got)
	}
	if got := send(t, r.connect("unix:DIR/m.sock"), "blue"); !strings.Contains(got, "no blue here") {
		t.Errorf("a new connection answers %q", got)
	}
	before.Quit(t.Context())
	before.Close()
	for deadline := time.Now().Add(10 * time.Second); r.Status(t.Context()).Earlier > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the server of before does not end")
		}
	}
}

func TestReloadOfSockets(t *testing.T) {
	r := start(t, refusing("red"))
	before := r.connect("unix:DIR/m.sock")
	r.configure(strings.ReplaceAll(refusing("blue"), "m.sock", "n.sock"))
	if _, err := r.ctl.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := send(t, before, "red"); !strings.Contains(got, "no red here") {
		t.Errorf("a connection that has begun answers %q", got)
	}
	if got := send(t, r.connect("unix:DIR/n.sock"), "blue"); !strings.Contains(got, "no blue here") {
		t.Errorf("the new socket answers %q", got)
	}
	if _, err := os.Stat(r.path("m.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old socket is still there: %v", err)
	}
}

func TestRefusedReloadChangesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct{ conf, want string }{
		"half-written":          {"[[listener]\nsocket", "gomilter.toml:3"},
		"unknown key":           {"nonsense = 1\n" + refusing("blue"), "there is no such key"},
		"bad rule":              {strings.Replace(refusing("blue"), "contains", "regexp", 1) + `values = ["("]`, ""},
		"socket taken":          {strings.Replace(refusing("blue"), "unix:DIR/m.sock", taken.Addr().String(), 1), "address already in use"},
		"second socket taken":   {refusing("blue") + "[[listener]]\nsocket = \"" + taken.Addr().String() + "\"\nchain = [\"rules\"]\n", "address already in use"},
		"metrics socket taken":  {"http = { listen = \"" + taken.Addr().String() + "\" }\n" + refusing("blue"), "address already in use"},
		"folder cannot be made": {"kept = { dir = \"/proc/no/such\" }\n" + refusing("blue"), "kept:"},
		"log cannot be opened":  {"log = { to = \"DIR/no/such/log\" }\n" + refusing("blue"), "log:"},
		"another user":          {"user = \"nobody\"\n" + refusing("blue"), "restart"},
		"mode of a socket":      {strings.Replace(refusing("blue"), "chain", "mode = \"0600\"\nchain", 1), "restart"},
		"list gone":             {strings.Replace(refusing("blue"), `values = ["blue"]`, `values = ["file:DIR/gone"]`, 1), "gone"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, refusing("red"))
			r.configure(c.conf)
			_, err := r.ctl.Reload(t.Context())
			if !errors.Is(err, daemon.ErrRefused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("reload: %v, want %q", err, c.want)
			}
			s := r.Status(t.Context())
			if s.Generation != 1 || s.Refused == "" || len(s.NotReady) > 0 || len(s.Listeners) != 1 {
				t.Errorf("status %+v", s)
			}
			if got := send(t, r.connect("unix:DIR/m.sock"), "red"); !strings.Contains(got, "no red here") {
				t.Errorf("answer %q", got)
			}
			r.configure(refusing("blue"))
			if _, err := r.ctl.Reload(t.Context()); err != nil {
				t.Errorf("the next reload: %v", err)
			}
			if s := r.Status(t.Context()); s.Generation != 2 || s.Refused != "" {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestListsAreReadAgainWhenTheyChange(t *testing.T) {
	conf := strings.Replace(refusing("red"), `values = ["red"]`, `values = ["file:DIR/words"]`, 1)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "words"), []byte("red\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, strings.ReplaceAll(conf, "DIR/words", dir+"/words"))
	if got := send(t, r.connect("unix:DIR/m.sock"), "red"); got == "" {
		t.Error("red passes")
	}
	r.configure("half-written") // is not read: only lists are

	if err := os.WriteFile(filepath.Join(dir, "new"), []byte("# colours\nblue\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "words")); err != nil {
		t.Fatal(err)
	}
	r.log.await(t, "generation=2")
	if got := send(t, r.connect("unix:DIR/m.sock"), "blue"); got == "" {
		t.Error("blue passes")
	}

	if err := os.Remove(filepath.Join(dir, "words")); err != nil {
		t.Fatal(err)
	}
	r.log.await(t, "configuration refused, the one before stays")
	if got := send(t, r.connect("unix:DIR/m.sock"), "blue"); got == "" {
		t.Error("blue passes without the list")
	}

	if err := os.WriteFile(filepath.Join(dir, "words"), []byte("green\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.log.await(t, "generation=3")
	if got := send(t, r.connect("unix:DIR/m.sock"), "green"); got == "" {
		t.Error("green passes")
	}
}

// answeredRcpt is a rule for which the daemon answers RCPT, so that a client knows
// that its message has begun.
const answeredRcpt = `[[filter.rules.rule]]
part = "recipient"
match = "equal"
values = ["nobody@example.com"]
action = "reject"
`

func TestDrain(t *testing.T) {
	r := start(t, refusing("red")+answeredRcpt)
	s := r.connect("unix:DIR/m.sock")
	ctx := t.Context()
	s.Mail(ctx, "<a@example.com>")
	if out, err := s.Rcpt(ctx, "<b@example.com>"); err != nil || out.Verdict != mta.Continue {
		t.Fatalf("%v, %v", out, err)
	}
	if err := r.ctl.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	r.log.await(t, "msg=stopping")
	s.Data(ctx)
	res, err := s.Message(ctx, []byte("Subject: red\r\n\r\nbody\r\n"))
	if err != nil || res.Reply == nil || res.Reply.Code != 550 {
		t.Errorf("the running message: %+v, %v", res, err)
	}
	select {
	case err := <-r.done:
		r.done <- err
	case <-time.After(20 * time.Second):
		t.Fatal("it does not stop")
	}
	if _, err := os.Stat(r.path("m.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	if _, err := os.Stat(r.path("control.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the control socket is left behind: %v", err)
	}
}

// Whoever floods the control socket holds up himself: the flood waits, and mail goes on.
func TestControlSocketFlooded(t *testing.T) {
	r := start(t, refusing("red"))
	var idle []net.Conn
	for range 200 {
		c, err := net.Dial("unix", r.path("control.sock"))
		if err != nil {
			break // the queue of the kernel is full
		}
		defer c.Close()
		idle = append(idle, c)
	}
	for _, c := range idle[len(idle)/2:] {
		c.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
		io.WriteString(c, "GET /"+strings.Repeat("x", 1<<20)+" HTTP/1.1\r\n")
	}
	if got := send(t, r.connect("unix:DIR/m.sock"), "red"); !strings.Contains(got, "no red here") {
		t.Errorf("answer %q", got)
	}
	for _, c := range idle {
		c.Close()
	}
	if _, err := r.ctl.Status(t.Context()); err != nil {
		t.Errorf("after the flood: %v", err)
	}
}

func TestStartErrors(t *testing.T) {
	for name, c := range map[string]struct {
		conf string
		want error
	}{
		"bad configuration": {"[[listener]]\n", daemon.ErrConfig},
		"unknown user":      {"user = \"no-such-user\"\n" + refusing("red"), daemon.ErrConfig},
		"no folder":         {strings.Replace(refusing("red"), "DIR/m", "DIR/none/m", 1), os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "unknown user" && os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			if _, err := tryStart(t, c.conf); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

func TestNewestFileWinsOfReloadsAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gomilter.toml")
	write := func(connections int) {
		t.Helper()
		conf := fmt.Sprintf("state_dir = %q\ncontrol = { socket = \"\" }\nlimits = { connections = %d }\n%s", dir, connections, strings.ReplaceAll(refusing("red"), "DIR", dir))
		if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(10)
	reads := 0
	read, goOn := make(chan struct{}), make(chan struct{})
	d, err := daemon.Start(context.Background(), daemon.Options{AllowRoot: true, Stderr: io.Discard, Load: func() (*config.Source, error) {
		reads++ // never two at once
		src, err := config.Load(path)
		if reads == 2 {
			close(read)
			<-goOn
		}
		return src, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- d.Wait() }()
	var reloads sync.WaitGroup
	reloads.Go(func() { d.Reload() })
	<-read
	write(20)
	reloads.Go(func() { d.Reload() })
	close(goOn)
	reloads.Wait()
	if s := d.Status(t.Context()); s.Generation != 3 || reads != 3 {
		t.Errorf("configuration %d after %d reads", s.Generation, reads)
	}
	d.Drain()
	<-done
}

// All sockets are closed at once when the daemon stops, not one after the other:
// nobody waits at one for the conversations of another.
func TestDrainClosesAllSockets(t *testing.T) {
	r := start(t, "timeouts = { stop = \"20s\" }\n"+refusing("red")+"[[listener]]\nsocket = \"unix:DIR/n.sock\"\nchain = [\"rules\"]\n")
	s := r.connect("unix:DIR/m.sock")
	s.Mail(t.Context(), "<a@example.com>")
	if out, err := s.Rcpt(t.Context(), "<b@example.com>"); err != nil || out.Verdict != mta.Continue { // which is answered
		t.Fatalf("%v, %v", out, err)
	}
	r.Drain()
	for deadline := time.Now().Add(5 * time.Second); ; {
		c, err := net.Dial("unix", r.path("n.sock"))
		if err != nil {
			break
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("the other socket is open")
		}
	}
	if st, err := r.ctl.Status(t.Context()); err != nil || len(st.NotReady) == 0 {
		t.Errorf("while it stops: %+v, %v", st, err)
	}
	if _, err := r.ctl.Reload(t.Context()); !errors.Is(err, daemon.ErrRefused) {
		t.Errorf("a reload while it stops: %v", err)
	}
	s.Reset(t.Context())
}

func TestNoLineIsLostWhenTheLogChanges(t *testing.T) {
	dir := t.TempDir()
	conf := func(n int) string {
		return fmt.Sprintf("log = { to = \"%s/log%d\" }\n", dir, n%3) + refusing("red")
	}
	r := start(t, conf(0))
	stop := make(chan struct{})
	var clients sync.WaitGroup
	counts := make([]int, 4)
	for i := range counts {
		s := r.connect("unix:DIR/m.sock")
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					send(t, s, "hello")
					counts[i]++
				}
			}
		})
	}
	for n := 1; n <= 20; n++ {
		r.configure(conf(n))
		if _, err := r.ctl.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	clients.Wait()
	r.Drain()
	r.done <- <-r.done
	sent, lines := 0, 0
	for _, n := range counts {
		sent += n
	}
	for n := range 3 {
		b, err := os.ReadFile(fmt.Sprintf("%s/log%d", dir, n))
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(b), "msg=message ")
	}
	if lines != sent {
		t.Errorf("%d lines for %d messages", lines, sent)
	}
}

func TestManyListenersAreReloadedSwiftly(t *testing.T) {
	var conf strings.Builder
	conf.WriteString(refusing("red"))
	for i := range 300 {
		fmt.Fprintf(&conf, "[[listener]]\nsocket = \"unix:DIR/s%d\"\nchain = [\"rules\"]\n", i)
	}
	r := start(t, conf.String())
	for range 3 {
		if _, err := r.ctl.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.Status(t.Context()); len(s.Listeners) != 301 || len(s.NotReady) > 0 {
		t.Errorf("%d listeners, %q", len(s.Listeners), s.NotReady)
	}
}

func TestKeptOverTheControlSocket(t *testing.T) {
	r := start(t, `
[[listener]]
socket = "unix:DIR/m.sock"
chain = ["attachments"]
[filter.attachments]
`)
	c := &mta.Client{Milters: []mta.Milter{{Address: "unix:" + r.path("m.sock")}}}
	for n := range 3 {
		res, err := c.Send(t.Context(), mta.Mail{From: "a@example.com", Rcpts: []string{"b@example.com"},
			Data: fmt.Appendf(nil, "Subject: %d\r\nContent-Type: application/octet-stream; name=a.exe\r\n\r\nMZ\r\n", n)})
		if err != nil || res.Verdict != mta.Accept {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	n := 0
	for e, err := range r.ctl.Kept(t.Context()) {
		if err != nil || e.From != "a@example.com" || e.Filter != "attachments" {
			t.Errorf("%+v, %v", e, err)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d originals", n)
	}
}
