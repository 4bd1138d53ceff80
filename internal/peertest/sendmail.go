package peertest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// sendmail runs Sendmail's daemon, as root, with the shim preloaded.
type sendmail struct{}

func (s *sendmail) start(m *MTA) (*process, error) {
	if err := s.configure(m); err != nil {
		return nil, err
	}
	var ready []string
	for _, addr := range []string{m.Addr, m.Addr6, m.Submission} {
		if addr != "" {
			ready = append(ready, "listening at "+addr)
		}
	}
	return m.launch(s.command(m, "-bD"), ready...)
}

// command prepares a run of Sendmail for this instance.
func (*sendmail) command(m *MTA, args ...string) *exec.Cmd {
	cmd := exec.Command(sendmailBinary(), append([]string{"-C" + m.path("sendmail.cf")}, args...)...)
	cmd.Env = append(shimEnv(m.logSocket()), "PEER_HOSTNAME="+m.Host, "SASL_CONF_PATH="+m.path("sasl"))
	return cmd
}

func (s *sendmail) configure(m *MTA) error {
	err := errors.Join(
		os.Mkdir(m.path("queue"), 0o700),
		m.write("service.switch", "hosts\tfiles\naliases\tfiles\npasswd\tfiles\n"),
		m.write("aliases", ""), m.write("statistics", ""),
		m.write("local-host-names", ""), m.write("trusted-users", ""))
	if err != nil {
		return err
	}
	if len(m.cfg.Auth) > 0 {
		if err := writeSASL(m.path("sasl"), "Sendmail", m.Host, m.cfg.Auth); err != nil {
			return err
		}
	}
	mc, err := s.mc(m)
	if err != nil {
		return err
	}
	return expandMC(m, "sendmail", mc)
}

// expandMC writes name.mc and makes name.cf of it.
func expandMC(m *MTA, name, mc string) error {
	if err := m.write(name+".mc", mc); err != nil {
		return err
	}
	cmd := exec.Command("m4", m.path(name+".mc"))
	cf, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		return fmt.Errorf("m4 %s.mc: %w", name, err)
	}
	return m.write(name+".cf", string(cf))
}

func macroDir() string { return installed("sendmail/usr/share/sendmail/cf") }

// An mcWriter writes a configuration in Sendmail's m4 dialect.
type mcWriter struct{ strings.Builder }

func (w *mcWriter) define(name, value string) { fmt.Fprintf(w, "define(`%s', `%s')dnl\n", name, value) }
func (w *mcWriter) line(text string)          { w.WriteString(text + "dnl\n") }

func (*sendmail) mc(m *MTA) (string, error) {
	host, port, _ := strings.Cut(m.cfg.Sink.Addr, ":")
	w := new(mcWriter)
	w.define("_CF_DIR_", macroDir()+"/")
	w.line("include(`" + macroDir() + "/m4/cf.m4')")
	w.line("OSTYPE(`linux')")
	w.line("DOMAIN(`generic')")
	w.define("confDOMAIN_NAME", m.Host)
	w.define("QUEUE_DIR", m.path("queue"))
	w.define("ALIAS_FILE", m.path("aliases"))
	w.define("STATUS_FILE", m.path("statistics"))
	w.define("HELP_FILE", installed("sendmail/etc/mail/helpfile"))
	w.define("confPID_FILE", m.path("pid"))
	w.define("confSERVICE_SWITCH_FILE", m.path("service.switch"))
	w.define("confDEAD_LETTER_DROP", m.path("dead.letter"))
	w.define("confCW_FILE", m.path("local-host-names"))
	w.define("confCT_FILE", m.path("trusted-users"))
	w.define("confDONT_BLAME_SENDMAIL", "GroupWritableDirPathSafe,GroupReadableKeyFile,GroupReadableSASLDBFile,TrustStickyBit")
	w.define("confLOG_LEVEL", "14")
	w.define("confSAFE_QUEUE", "True")
	w.define("confDELIVERY_MODE", "background")
	w.define("confPRIVACY_FLAGS", "noetrn")
	w.define("confMAX_HOP", "100")
	// No name is ever looked up, and a busy machine is no reason to be slow.
	w.define("confBIND_OPTS", "-DNSRCH -DEFNAMES")
	w.define("confDONT_PROBE_INTERFACES", "True")
	w.define("confTO_IDENT", "0")
	w.define("confTO_ICONNECT", "10s")
	w.define("confTO_CONNECT", "10s")
	for _, load := range []string{"confQUEUE_LA", "confREFUSE_LA", "confDELAY_LA"} {
		w.define(load, "100000")
	}
	for _, feature := range []string{"no_default_msa", "nocanonify", "accept_unresolvable_domains", "accept_unqualified_senders", "promiscuous_relay"} {
		w.line("FEATURE(`" + feature + "')")
	}
	// All mail goes to the sink.
	for _, relay := range []string{"SMART_HOST", "MAIL_HUB", "LOCAL_RELAY"} {
		w.define(relay, "relay:["+host+"]")
	}
	for _, mailer := range []string{"RELAY", "SMTP", "ESMTP"} {
		w.define(mailer+"_MAILER_ARGS", "TCP $h "+port)
	}
	w.define("LOCAL_MAILER_PATH", "/bin/true")

	daemon := func(name, family, addr, modifiers string) {
		if addr == "" {
			return
		}
		host, port, _ := net.SplitHostPort(addr)
		if len(m.cfg.Auth) == 0 {
			modifiers += "A" // else it offers the mechanisms that happen to be installed
		}
		w.line(fmt.Sprintf("DAEMON_OPTIONS(`Name=%s, Family=%s, Addr=%s, Port=%s, Modifiers=%s')", name, family, host, port, modifiers))
	}
	daemon("MTA", "inet", m.Addr, "")
	daemon("MTA6", "inet6", m.Addr6, "")
	daemon("MSA", "inet", m.Submission, "Ea")
	w.define("confTLS_SRV_OPTIONS", "V")
	if m.cfg.TLS {
		w.define("confCACERT_PATH", m.path("tls"))
		w.define("confCACERT", m.path("tls/cert.pem"))
		w.define("confSERVER_CERT", m.path("tls/cert.pem"))
		w.define("confSERVER_KEY", m.path("tls/key.pem"))
	}
	if len(m.cfg.Auth) > 0 {
		w.line("TRUST_AUTH_MECH(`PLAIN LOGIN')")
		w.define("confAUTH_MECHANISMS", "PLAIN LOGIN")
		w.define("confAUTH_REALM", m.Host)
		w.define("confAUTH_OPTIONS", "A")
	}
	for i, f := range m.cfg.Milters {
		equates, err := sendmailMilter(f)
		if err != nil {
			return "", err
		}
		w.line(fmt.Sprintf("INPUT_MAIL_FILTER(`m%d', `%s')", i+1, equates))
	}
	for stage, names := range m.cfg.Macros {
		name := sendmailStages[stage]
		if name == "" {
			return "", fmt.Errorf("no macros at stage %q", stage)
		}
		w.define("confMILTER_MACROS_"+name, "`"+strings.Join(strings.Fields(names), ", ")+"'")
	}
	w.line("MAILER(`local')")
	w.line("MAILER(`smtp')")
	w.WriteString("LOCAL_CONFIG\n")
	for _, line := range m.cfg.Extra[Sendmail] {
		fmt.Fprintln(w, line)
	}
	w.WriteString("LOCAL_RULE_0\n" +
		"Rmta-unknown $* < @ $* > $*\t\t$#error $@ 5.1.1 $: \"550 5.1.1 User unknown\"\n" +
		"LOCAL_RULESETS\n" +
		"SLocal_check_rcpt\n" +
		"R< mta-reject @ $* >\t\t$#error $@ 5.1.1 $: \"550 5.1.1 recipient refused by the MTA\"\n" +
		"R< mta-tempfail @ $* >\t\t$#error $@ 4.2.0 $: \"450 4.2.0 recipient deferred by the MTA\"\n")
	return w.String(), nil
}

var sendmailStages = map[string]string{
	"connect": "CONNECT", "helo": "HELO", "mail": "ENVFROM", "rcpt": "ENVRCPT", "data": "DATA", "eoh": "EOH", "eom": "EOM",
}

// sendmailMilter writes the equates of a filter.
func sendmailMilter(f Milter) (string, error) {
	e, err := parseSpec(f.Spec)
	if err != nil {
		return "", err
	}
	equates := "S=" + e.libmilter()
	switch f.DefaultAction {
	case "", "tempfail":
		equates += ", F=T"
	case "reject":
		equates += ", F=R"
	case "shutdown":
		equates += ", F=4"
	case "accept":
	default:
		return "", fmt.Errorf("Sendmail has no default action %q", f.DefaultAction)
	}
	var timeouts []string
	add := func(letter string, seconds int) {
		if seconds > 0 {
			timeouts = append(timeouts, fmt.Sprintf("%s:%ds", letter, seconds))
		}
	}
	add("C", wholeSeconds(f.ConnectTimeout))
	add("S", wholeSeconds(f.CommandTimeout))
	add("R", wholeSeconds(f.CommandTimeout))
	add("E", wholeSeconds(f.ContentTimeout))
	if len(timeouts) > 0 {
		equates += ", T=" + strings.Join(timeouts, ";")
	}
	return equates, nil
}

func (*sendmail) queue(m *MTA) ([]Queued, error) { return readSendmailQueue(m.path("queue")) }

func (s *sendmail) busy(m *MTA) (bool, error) {
	queue, err := s.queue(m)
	for _, q := range queue {
		if q.State == Active {
			return true, err
		}
	}
	return false, err
}

// flush runs the queue once. A run passes over a mail that is locked, as one is
// for a moment after its queue file says that it is deferred: run it again.
func (s *sendmail) flush(m *MTA) error {
	for deadline := time.Now().Add(patience); ; {
		out, err := s.command(m, "-q", "-v").CombinedOutput()
		if err != nil {
			return fmt.Errorf("peertest: sendmail -q: %w: %s", err, out)
		}
		if !bytes.Contains(out, []byte(": locked")) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("peertest: sendmail -q: %s", out)
		}
	}
}

func (*sendmail) purge(m *MTA) error {
	files, err := filepath.Glob(m.path("queue", "*"))
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

// submit is what the command sendmail does on a machine of Sendmail's: with a
// configuration of its own it passes the mail to the daemon by SMTP.
func (s *sendmail) submit(m *MTA, from string, to []string, message string) error {
	if err := s.configureSubmit(m); err != nil {
		return err
	}
	cmd := exec.Command(sendmailBinary(), append([]string{"-C" + m.path("submit.cf"), "-i", "-f", from, "--"}, to...)...)
	cmd.Env = append(shimEnv(m.logSocket()), "PEER_HOSTNAME="+m.Host)
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(message, "\r\n", "\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("peertest: Sendmail's submission: %w: %s", err, out)
	}
	return nil
}

func (*sendmail) configureSubmit(m *MTA) error {
	if isFile(m.path("submit.cf")) {
		return nil
	}
	err := errors.Join(
		os.MkdirAll(m.path("submit"), 0o700),
		chown(m.path("submit"), postfixUser, ""))
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(m.Addr)
	w := new(mcWriter)
	w.define("_CF_DIR_", macroDir()+"/")
	w.line("include(`" + macroDir() + "/m4/cf.m4')")
	w.define("confCF_VERSION", "Submit")
	w.define("__OSTYPE__", "") // a mail submission program has none
	w.define("confDOMAIN_NAME", m.Host)
	w.define("MSP_QUEUE_DIR", m.path("submit"))
	w.define("confRUN_AS_USER", postfixUser) // it insists on one that is not root
	w.define("confTRUSTED_USER", postfixUser)
	w.define("STATUS_FILE", m.path("statistics"))
	w.define("confPID_FILE", m.path("submit.pid"))
	w.define("confSERVICE_SWITCH_FILE", m.path("service.switch"))
	w.define("confDEAD_LETTER_DROP", m.path("dead.letter"))
	w.define("confCT_FILE", m.path("trusted-users"))
	w.define("confBIND_OPTS", "-DNSRCH -DEFNAMES")
	w.define("confDELIVERY_MODE", "interactive")
	w.define("RELAY_MAILER_ARGS", "TCP $h "+port)
	w.line("FEATURE(`msp', `[127.0.0.1]')")
	return expandMC(m, "submit", w.String())
}
