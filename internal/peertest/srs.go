package peertest

import (
	"bufio"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// An SRSConfig says how a program for the Sender Rewriting Scheme is set up.
type SRSConfig struct {
	Secrets    []string // the first makes, all are accepted
	Domain     string   // that of rewritten senders; empty means forward.example
	Separator  string   // empty means "="
	HashLength int      // 0 means 8; the least is 4
	Time       int64    // seconds since 1970 on its clock, for Mail::SRS only; 0 means the machine's
}

// An SRS is such a program that answers questions until the test ends.
type SRS struct {
	Name string // "Mail::SRS" or "postsrsd"
	ask  func(verb, address string) (answer string, ok bool, err error)
}

// Forward returns the sender that a mail is forwarded with.
func (s *SRS) Forward(t testing.TB, sender string) string {
	t.Helper()
	answer, ok, err := s.ask("forward", sender)
	if err != nil || !ok {
		t.Fatalf("peertest: %s does not forward %q: %v", s.Name, sender, err)
	}
	return answer
}

// Reverse returns the address behind one, or ok false when it is refused.
func (s *SRS) Reverse(t testing.TB, address string) (original string, ok bool) {
	t.Helper()
	answer, ok, err := s.ask("reverse", address)
	if err != nil {
		t.Fatalf("peertest: %s: reverse %q: %v", s.Name, address, err)
	}
	return answer, ok
}

//go:embed testdata/mailsrs.pl
var mailSRSProgram string

// MailSRS starts a program on Debian's Mail::SRS.
func MailSRS(t testing.TB, cfg SRSConfig) *SRS {
	t.Helper()
	need(t, "perl", "/usr/share/perl5/Mail/SRS.pm")
	cmd := exec.Command("perl", append([]string{"-e", mailSRSProgram, strconv.FormatInt(cfg.Time, 10),
		strconv.Itoa(cmp.Or(cfg.HashLength, 8)), cmp.Or(cfg.Separator, "=")}, cfg.Secrets...)...)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatalf("peertest: %v", err)
	}
	hung := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		in.Close() // its end
		if err := cmd.Wait(); err != nil {
			t.Errorf("peertest: Mail::SRS: %v", err)
		}
		hung.Stop()
	})
	answers := bufio.NewReader(out)
	domain := cmp.Or(cfg.Domain, "forward.example")
	return &SRS{"Mail::SRS", func(verb, address string) (string, bool, error) {
		if _, err := fmt.Fprintf(in, "%s\t%s\t%s\n", verb, address, domain); err != nil {
			return "", false, err
		}
		line, err := answers.ReadString('\n')
		answer, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "ok\t")
		return answer, ok && err == nil, err
	}}
}

// PostSRSd starts Debian's postsrsd. It answers both questions on loopback, by the
// protocol of Postfix's tcp_table(5).
func PostSRSd(t testing.TB, cfg SRSConfig) *SRS {
	t.Helper()
	program := installed("postsrsd/usr/sbin/postsrsd")
	need(t, program)
	dir := Dir(t)
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(strings.Join(cfg.Secrets, "\n")+"\n"), 0o600); err != nil {
		t.Fatalf("peertest: %v", err)
	}
	ports := map[string]string{"forward": strconv.Itoa(FreePort(t)), "reverse": strconv.Itoa(FreePort(t))}
	log := new(Lines)
	p, err := launch(exec.Command(program, "-4", "-l127.0.0.1", "-s"+filepath.Join(dir, "secret"), "-d"+cmp.Or(cfg.Domain, "forward.example"),
		"-a"+cmp.Or(cfg.Separator, "="), "-n"+strconv.Itoa(cmp.Or(cfg.HashLength, 8)), "-N4", "-f"+ports["forward"], "-r"+ports["reverse"]), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	tables := make(map[string]net.Conn)
	for verb, port := range ports {
		c, err := dialUntil(p, net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			t.Fatalf("peertest: postsrsd does not start: %v; its log:\n%s", err, log.tail())
		}
		t.Cleanup(func() { c.Close() })
		tables[verb] = c
	}
	return &SRS{"postsrsd", func(verb, address string) (string, bool, error) {
		c := tables[verb]
		c.SetDeadline(time.Now().Add(patience))
		if _, err := fmt.Fprintf(c, "get %s\n", address); err != nil {
			return "", false, err
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		answer, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "200 ")
		return answer, ok && err == nil, err
	}}
}

// dialUntil connects to a program that does not say when it listens.
func dialUntil(p *process, addr string) (net.Conn, error) {
	for deadline := time.Now().Add(patience); ; {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil || time.Now().After(deadline) {
			return c, err
		}
		select {
		case <-p.exited:
			return nil, errors.New("the program has ended")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Lookup asks the MTA for a key in one of its maps. table is Postfix's notation,
// "type:name", or the name of a map in Sendmail's configuration (Config.Extra).
func (m *MTA) Lookup(t testing.TB, table, key string) (value string, ok bool) {
	t.Helper()
	value, ok, err := m.lookup(table, key)
	if err != nil {
		t.Fatalf("peertest: %s: look up %q in %s: %v", m.Kind, key, table, err)
	}
	return value, ok
}

func (m *MTA) lookup(table, key string) (string, bool, error) {
	if p, ok := m.impl.(*postfix); ok {
		out, err := p.command(m, "postmap", "-q", key, table).Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			if exit.ExitCode() == 1 && len(out) == 0 && len(exit.Stderr) == 0 {
				return "", false, nil
			}
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return strings.TrimSuffix(string(out), "\n"), err == nil, err
	}
	cmd := new(sendmail).command(m, "-bt")
	cmd.Stdin = strings.NewReader("/map " + table + " " + key + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", false, fmt.Errorf("%w: %s", err, out)
	}
	_, answer, found := strings.Cut(string(out), "map_lookup: "+table+" ("+key+") ")
	answer, _, _ = strings.Cut(answer, "\n")
	if value, ok := strings.CutPrefix(answer, "returns "); ok {
		if value, ok = strings.CutSuffix(value, " (0)"); ok {
			return value, true, nil
		}
	}
	if found && (answer == "no match (0)" || answer == "no match (68)") { // EX_NOHOST
		return "", false, nil
	}
	return "", false, fmt.Errorf("sendmail says %q", out)
}
