package peertest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Kind says which MTA.
type Kind string

// The MTAs there are.
const (
	Sendmail Kind = "sendmail"
	Postfix  Kind = "postfix"
)

// Kinds lists all of them, for tests that run once for each.
var Kinds = []Kind{Sendmail, Postfix}

// A Config says how an MTA is set up. Its zero value is one without a filter.
type Config struct {
	Milters []Milter // for mail that comes by SMTP, in the order they are called
	// NonSMTPMilters see what Postfix takes otherwise: local submission and, with
	// FilterBounces, its own bounces. Sendmail has no such thing: its local
	// submission comes by SMTP.
	NonSMTPMilters []Milter
	FilterBounces  bool

	Sink *Sink // where all mail goes, whatever its domain; nil starts one

	TLS        bool              // offer STARTTLS, with a certificate made for it
	Auth       map[string]string // user to password; offers AUTH PLAIN and LOGIN, without TLS too
	IPv6       bool              // listen at [::1] too, on the same port
	Submission bool              // a second service, for clients that log in; see MTA.Submission

	// Macros replaces the list of macros sent at a stage: connect, helo, mail,
	// rcpt, data, eoh, eom, and with Postfix unknown. Names are written as in {j}
	// or i; several are separated by spaces.
	Macros map[string]string

	// Extra has lines for one kind of MTA: of main.cf for Postfix; of sendmail.cf,
	// such as "O DeliveryMode=interactive", for Sendmail.
	Extra map[Kind][]string
}

// A Milter is a filter as an MTA is told of it.
type Milter struct {
	Spec          string // in libmilter's notation: unix:/path, inet:port@host, inet6:port@host
	DefaultAction string // accept, reject, tempfail, shutdown or, with Postfix, quarantine; empty means tempfail

	// How long the MTA waits for a connection, for the reply to a command, and
	// for the reply to content: Sendmail's C, S with R, and E; Postfix's
	// milter_*_timeout. 0 means the MTA's own default. Both count whole seconds,
	// Sendmail by the clock, so that anything below 3 s is too short to rely on.
	ConnectTimeout, CommandTimeout, ContentTimeout time.Duration
}

// An MTA is a running mail server. Recipients mta-reject@ and mta-unknown@ of any
// domain it refuses by itself with 550, mta-tempfail@ with 450; all else it takes
// and passes on to the sink.
type MTA struct {
	Kind       Kind
	Host       string // its host name
	Addr       string // where it takes SMTP: 127.0.0.1:port
	Addr6      string // [::1]:port; empty without Config.IPv6
	Submission string // where it takes submissions; empty without Config.Submission
	Sink       *Sink
	Log        *Lines // its log, from the start or the last Clear

	dir     string
	cfg     Config
	impl    impl
	proc    *process
	logging *logReader
	claims  []net.PacketConn // of its ports
	stopped sync.Once
}

// An impl is what differs between the MTAs.
type impl interface {
	// start writes the configuration below m.dir and launches the daemon, which
	// is ready to take mail when it returns.
	start(m *MTA) (*process, error)
	// queue returns what the MTA holds.
	queue(m *MTA) ([]Queued, error)
	// busy reports whether a mail is on its way.
	busy(m *MTA) (bool, error)
	// flush makes the MTA try again what it could not deliver.
	flush(m *MTA) error
	// purge throws away what it holds.
	purge(m *MTA) error
	// submit hands over a mail as a local program does.
	submit(m *MTA, from string, to []string, message string) error
}

// Start starts an MTA that is stopped when the test ends. It is ready to take
// mail. When the test has failed by then, the end of the MTA's log is printed.
func Start(t testing.TB, kind Kind, cfg Config) *MTA {
	t.Helper()
	need(t, peersOf(kind)...)
	if cfg.Sink == nil {
		cfg.Sink = StartSink(t)
	}
	m, err := startMTA(Dir(t), kind, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of %s's log:\n%s", kind, m.Log.tail())
		}
		m.Stop()
	})
	return m
}

// peersOf lists the programs an MTA needs.
func peersOf(kind Kind) []string {
	if kind == Sendmail {
		return []string{sendmailBinary(), shimLibrary(), installed("sendmail/usr/share/sendmail/cf/m4/cf.m4"), saslpasswdBinary(), "m4"}
	}
	return []string{filepath.Join(postfixDaemons(), "master"), filepath.Join(postfixDaemons(), "smtpd"),
		postfixCommand("sendmail"), postfixCommand("postqueue"), saslpasswdBinary()}
}

func startMTA(dir string, kind Kind, cfg Config) (*MTA, error) {
	m := &MTA{
		Kind: kind,
		Host: string(kind) + ".peers.test",
		Sink: cfg.Sink,
		Log:  new(Lines),
		dir:  dir,
		cfg:  cfg,
	}
	switch kind {
	case Sendmail:
		m.impl = new(sendmail)
	case Postfix:
		m.impl = new(postfix)
	default:
		return nil, fmt.Errorf("peertest: unknown kind of MTA %q", kind)
	}
	if cfg.Submission && len(cfg.Auth) == 0 {
		return nil, fmt.Errorf("peertest: %s: Submission needs Auth", kind)
	}
	if cfg.IPv6 && !haveIPv6() {
		return nil, fmt.Errorf("peertest: %s: this machine has no ::1", kind)
	}
	if err := m.start(); err != nil {
		m.Stop() // then the log has all that was said
		return nil, fmt.Errorf("peertest: %s does not start: %w; its log:\n%s", kind, err, m.Log.tail())
	}
	return m, nil
}

func (m *MTA) start() error {
	port, err := m.claimPort()
	if err != nil {
		return err
	}
	m.Addr = net.JoinHostPort("127.0.0.1", port)
	if m.cfg.IPv6 {
		m.Addr6 = net.JoinHostPort("::1", port)
	}
	if m.cfg.Submission {
		if port, err = m.claimPort(); err != nil {
			return err
		}
		m.Submission = net.JoinHostPort("127.0.0.1", port)
	}
	if m.cfg.TLS {
		if err := writeCertificate(m.Host, m.path("tls")); err != nil {
			return err
		}
	}
	if m.logging, err = listenLog(m.logSocket(), m.Log); err != nil {
		return err
	}
	m.proc, err = m.impl.start(m)
	return err
}

// claimPort takes a port until the MTA is stopped.
func (m *MTA) claimPort() (string, error) {
	port, claim, err := freePort()
	if err != nil {
		return "", err
	}
	m.claims = append(m.claims, claim)
	return strconv.Itoa(port), nil
}

// launch starts the daemon and waits until its log has all of ready.
func (m *MTA) launch(cmd *exec.Cmd, ready ...string) (*process, error) {
	output := new(Lines)
	proc, err := launch(cmd, output)
	if err != nil {
		return nil, err
	}
	for _, text := range ready {
		if err := proc.ready(m.Log, text); err != nil {
			proc.kill()
			return nil, fmt.Errorf("%w\n%s", err, output.tail())
		}
	}
	return proc, nil
}

// Stop stops the MTA at once, whatever it is doing. Doing it again does nothing.
func (m *MTA) Stop() {
	m.stopped.Do(func() {
		if m.proc != nil {
			m.proc.stop(syscall.SIGTERM)
		}
		if m.logging != nil {
			m.logging.stop()
		}
		for _, c := range m.claims {
			c.Close()
		}
	})
}

// Dial is [Dial] to the MTA.
func (m *MTA) Dial(t testing.TB) *Dialogue {
	t.Helper()
	return Dial(t, m.Addr)
}

// Send is the function [Send] to the MTA.
func (m *MTA) Send(t testing.TB, l Letter) Reply {
	t.Helper()
	return Send(t, m.Addr, l)
}

// SubmitLocal hands over a mail as a program on the MTA's machine does, by the
// command sendmail, and returns what that command said when it did not succeed.
// Sendmail's own passes it on by SMTP; Postfix's leaves it for pickup and cleanup.
func (m *MTA) SubmitLocal(l Letter) error {
	from, to, message := l.envelope()
	return m.impl.submit(m, from, to, message)
}

// Queue returns what the MTA holds at this moment, by queue id.
func (m *MTA) Queue(t testing.TB) []Queued {
	t.Helper()
	q, err := m.impl.queue(m)
	if err != nil {
		t.Fatalf("peertest: %s's queue: %v", m.Kind, err)
	}
	return q
}

// Settle waits until no mail is on its way: each is in the sink, was dropped, or
// is in the queue because it is quarantined or could not be delivered.
func (m *MTA) Settle(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond) // a queue is a directory: nothing tells of a change
	defer tick.Stop()
	for {
		busy, err := m.impl.busy(m)
		if err != nil || !busy {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("peertest: %s is still at work: %w; end of its log:\n%s", m.Kind, context.Cause(ctx), m.Log.tail())
		}
	}
}

// Flush makes the MTA try again to deliver what it could not.
func (m *MTA) Flush() error { return m.impl.flush(m) }

// Purge throws away what the MTA holds.
func (m *MTA) Purge() error { return m.impl.purge(m) }

// logSocket is where the shim sends the log.
func (m *MTA) logSocket() string { return m.path("log") }

// path names a file in the MTA's directory.
func (m *MTA) path(name ...string) string {
	return filepath.Join(append([]string{m.dir}, name...)...)
}

// write writes a file into the MTA's directory that everybody may read. It looks
// a minute old: Postfix waits for two seconds after a change of a configuration
// file, lest somebody is still at it.
func (m *MTA) write(name, content string) error {
	old := time.Now().Add(-time.Minute)
	if err := os.WriteFile(m.path(name), []byte(content), 0o644); err != nil {
		return err
	}
	return os.Chtimes(m.path(name), old, old)
}
