// Command soak runs gomilter serve at full speed for a long time, with a new
// configuration every so often, and sees that what it holds of the machine comes
// back to what it was: memory, descriptors, goroutines, temporary files.
//
//	soak -gomilter bin/gomilter -messages 1000000 -reload 1m
//
// The exit code is 0 when all messages got the verdict they should have and
// everything came back, 1 otherwise.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gomilter/gomilter/daemon"
	"github.com/gomilter/gomilter/mta"
)

func main() {
	var s soak
	flag.StringVar(&s.gomilter, "gomilter", "bin/gomilter", "the `program`")
	flag.Int64Var(&s.messages, "messages", 1_000_000, "how many messages")
	flag.DurationVar(&s.reload, "reload", time.Minute, "how often the configuration changes")
	flag.IntVar(&s.clients, "clients", 8, "SMTP clients at once")
	flag.IntVar(&s.each, "each", 5, "messages of a connection")
	flag.Parse()
	if flag.NArg() > 0 || s.messages < 1 || s.clients < 1 || s.each < 1 || s.reload <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := s.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

type soak struct {
	gomilter string
	messages int64
	reload   time.Duration
	clients  int
	each     int

	dir     string
	pid     int
	control daemon.Control

	given   atomic.Int64 // messages handed out
	done    atomic.Int64
	reloads int
	peak    held
}

func (s *soak) run(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("", "soak"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	for _, d := range []string{"spool", "state"} {
		if err := os.Mkdir(filepath.Join(s.dir, d), 0o700); err != nil {
			return err
		}
	}
	s.control.Socket = filepath.Join(s.dir, "control.sock")
	if err := s.configure(0); err != nil {
		return err
	}
	stop, err := s.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	// Pools and buffers fill in the beginning; what is held then is the start.
	mails := soakMails()
	warm := min(s.messages/20, 20_000)
	if err := s.load(ctx, mails, warm); err != nil {
		return err
	}
	start, err := s.settle(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("start    %v\n", start)

	began := time.Now()
	if err := s.load(ctx, mails, s.messages); err != nil {
		return err
	}
	took := time.Since(began)
	end, err := s.settle(ctx)
	if err != nil {
		return err
	}
	if s.peak.memory > 0 {
		fmt.Printf("loaded   %v\n", s.peak)
	}
	fmt.Printf("end      %v\n", end)
	fmt.Printf("%d messages in %v, %.0f a second, %d configurations\n", s.messages, took.Round(time.Second), float64(s.messages)/took.Seconds(), s.reloads)
	return end.since(start)
}

// configure writes the n-th configuration: from one to the next, a filter comes or
// goes, and every third time the limits are others, which takes a new server.
func (s *soak) configure(n int) error {
	chain := `"attachments", "html", "rules"`
	if n%2 == 1 {
		chain = `"attachments", "rules", "mark", "html"`
	}
	conf := fmt.Sprintf(`
state_dir = "%[1]s/state"
[log]
to = "%[1]s/log"
level = "warn"
[control]
socket = "%[1]s/control.sock"
[http]
listen = "unix:%[1]s/http.sock"
[spool]
dir = "%[1]s/spool"
memory = "64 KiB"
[kept]
max_messages = 500
max_size = "64 MiB"
drop_oldest = true
[limits]
headers = %[3]d
[[listener]]
socket = "unix:%[1]s/milter.sock"
chain = [%[2]s]
[filter.attachments]
actions = { name = "reject", content = "reject", member = "reject" }
[filter.html]
[filter.rules]
kind = "headers"
rule = [{ name = "shouting", fields = ["Subject"], match = "contains", values = ["FREE"], action = "reject" }]
[filter.mark]
kind = "headers"
rule = [{ name = "mark", fields = ["X-Mark"], match = "missing", action = "add", edit = { name = "X-Mark", value = "%[4]d" } }]
`, s.dir, chain, 1000+n/3%2, n)
	tmp := filepath.Join(s.dir, "new.toml")
	if err := os.WriteFile(tmp, []byte(conf), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(s.dir, "gomilter.toml"))
}

// start runs gomilter serve. stop ends it as an admin does.
func (s *soak) start(ctx context.Context) (stop func() error, err error) {
	cmd := exec.Command(s.gomilter, "serve", "-c", filepath.Join(s.dir, "gomilter.toml"), "--allow-root")
	cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Join(s.dir, "spool"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.pid = cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			cmd.Process.Kill()
			return errors.New("gomilter serve does not stop")
		}
	}
	for late := time.After(20 * time.Second); ; {
		if _, err := s.control.Status(ctx); err == nil {
			return stop, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("gomilter serve ended: %w", err)
		case <-late:
			return nil, errors.Join(errors.New("gomilter serve does not answer"), stop())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// load sends n messages, while the configuration changes.
func (s *soak) load(ctx context.Context, mails []soakMail, n int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.given.Store(0)
	s.done.Store(0)
	var clients, reloader sync.WaitGroup
	for range s.clients {
		clients.Go(func() {
			if err := s.client(ctx, mails, n); err != nil {
				cancel(err)
			}
		})
	}
	over := make(chan struct{})
	reloader.Go(func() {
		t := time.NewTicker(s.reload)
		defer t.Stop()
		for {
			select {
			case <-over:
				return
			case <-t.C:
				s.reloads++
				err := s.configure(s.reloads)
				if err == nil {
					_, err = s.control.Reload(ctx)
				}
				if err != nil {
					cancel(fmt.Errorf("reload %d: %w", s.reloads, err))
				}
				if now, err := s.take(ctx); err == nil && now.memory > s.peak.memory {
					s.peak = now
				}
				fmt.Fprintf(os.Stderr, "%d messages\n", s.done.Load())
			}
		}
	})
	clients.Wait()
	close(over)
	reloader.Wait()
	return context.Cause(ctx)
}

// client sends messages over one connection after the other, and holds the answers
// against what they should be.
func (s *soak) client(ctx context.Context, mails []soakMail, n int64) error {
	c := &mta.Client{Milters: []mta.Milter{{Address: "unix:" + filepath.Join(s.dir, "milter.sock")}}}
	for ctx.Err() == nil {
		session, _, err := c.Connect(ctx, mta.Conn{Name: "client.example"})
		if err != nil {
			return err
		}
		for range s.each {
			i := s.given.Add(1)
			if i > n {
				session.Quit(ctx)
				return session.Close()
			}
			if err := mails[i%int64(len(mails))].send(ctx, session); err != nil {
				session.Close()
				return fmt.Errorf("message %d: %w", i, err)
			}
			s.done.Add(1)
		}
		if err := session.Quit(ctx); err != nil {
			return err
		}
		session.Close()
	}
	return nil
}

func (m *soakMail) send(ctx context.Context, s *mta.Session) error {
	for _, step := range []func() (mta.Outcome, error){
		func() (mta.Outcome, error) { return s.Mail(ctx, "<sender@example.com>") },
		func() (mta.Outcome, error) { return s.Rcpt(ctx, "<rcpt@example.com>") },
		func() (mta.Outcome, error) { return s.Data(ctx) },
	} {
		if out, err := step(); err != nil || out.Verdict != mta.Continue {
			return fmt.Errorf("%v, %w", out, err)
		}
	}
	res, err := s.Message(ctx, m.data)
	if err != nil {
		return err
	}
	if res.Verdict != m.want {
		return fmt.Errorf("%s: %v %v, want %v", m.name, res.Verdict, res.Reply, m.want)
	}
	return nil
}

// soakMail is a message and the verdict it is to get from each configuration.
type soakMail struct {
	name string
	data []byte
	want mta.Verdict
}

func soakMails() []soakMail {
	head := "From: Ann <ann@example.com>\r\nTo: bob@example.com\r\nSubject: SUBJECT\r\nMessage-ID: <1@example.com>\r\n"
	text := strings.Repeat("All work and no play makes Jack a dull boy.\r\n", 80)
	mixed := func(name, part string) string {
		return "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + text +
			"\r\n--b\r\nContent-Type: application/octet-stream; name=" + name + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + part + "\r\n--b--\r\n"
	}
	mail := func(name, subject, rest string, want mta.Verdict) soakMail {
		return soakMail{name, []byte(strings.Replace(head, "SUBJECT", subject, 1) + rest), want}
	}
	plain := mail("text", "hello", "\r\n"+text, mta.Accept)
	page := mail("page", "page", "Content-Type: text/html\r\n\r\n<p onclick=x()>"+text+"<script>x()</script>\r\n", mta.Accept)
	return []soakMail{
		plain, page, plain,
		mail("attachment", "figures", mixed("a.csv", strings.Repeat("YSxiLGMKMSwyLDMK", 1000)), mta.Accept), plain,
		mail("program", "setup", mixed("setup.exe", "TVqQAAMAAAAEAAAA"), mta.Reject), plain,
		mail("shouting", "FREE", "\r\n"+text, mta.Reject), plain,
		mail("spooled", "large", "\r\n"+strings.Repeat(text, 40), mta.Accept), plain, page,
	}
}
