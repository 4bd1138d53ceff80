package peertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// postfix runs Postfix's daemons below its master, with the shim preloaded. Its
// own way of logging to a file begins too late to tell why it does not start.
type postfix struct{}

func (p *postfix) start(m *MTA) (*process, error) {
	mainCF, err := p.mainCF(m)
	if err != nil {
		return nil, err
	}
	if err := p.makeDirs(m); err != nil {
		return nil, err
	}
	if len(m.cfg.Auth) > 0 {
		// Debian's Postfix looks for SASL's file in its configuration directory alone.
		if err := writeSASL(m.path("conf", "sasl"), "smtpd", m.Host, m.cfg.Auth); err != nil {
			return nil, err
		}
		if err := chown(m.path("conf", "sasl", "sasldb2"), postfixUser, ""); err != nil {
			return nil, err
		}
	}
	err = errors.Join(
		m.write("conf/main.cf", mainCF),
		m.write("conf/master.cf", p.masterCF(m)),
		m.write("conf/refused", "mta-reject@\t550 5.1.1 recipient refused by the MTA\n"+
			"mta-tempfail@\t450 4.2.0 recipient deferred by the MTA\n"+
			"mta-unknown@\t550 5.1.1 User unknown\n"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(postfixDaemons(), "master"), "-s", "-c", m.path("conf"))
	cmd.Env = append(shimEnv(m.logSocket()), "MAIL_CONFIG="+m.path("conf"))
	return m.launch(cmd, "daemon started") // logged once it listens everywhere
}

// makeDirs makes what "postfix check" would, with owners of ours.
func (*postfix) makeDirs(m *MTA) error {
	var errs []error
	dir := func(name string, mode fs.FileMode, owner, group string) {
		errs = append(errs, os.MkdirAll(m.path(name), 0o755), os.Chmod(m.path(name), mode))
		if owner != "" {
			errs = append(errs, chown(m.path(name), owner, group))
		}
	}
	dir("conf", 0o755, "", "")
	dir("data", 0o700, postfixUser, "")
	dir("spool", 0o755, "", "")
	dir("spool/pid", 0o755, "", "")
	for _, name := range []string{"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"} {
		dir("spool/"+name, 0o700, postfixUser, "")
	}
	dir("spool/public", 0o710, postfixUser, postfixGroup)
	dir("spool/maildrop", 0o730, postfixUser, postfixGroup)
	return errors.Join(errs...)
}

func (*postfix) mainCF(m *MTA) (string, error) {
	filters, err := postfixMilters(m.cfg.Milters)
	if err != nil {
		return "", err
	}
	local, err := postfixMilters(m.cfg.NonSMTPMilters)
	if err != nil {
		return "", err
	}
	host, port, _ := strings.Cut(m.cfg.Sink.Addr, ":")
	protocols, interfaces := "ipv4", "127.0.0.1"
	if haveIPv6() {
		protocols = "all"
	}
	if m.Addr6 != "" {
		interfaces += " [::1]"
	}
	b := new(strings.Builder)
	set := func(name, value string) { fmt.Fprintf(b, "%s = %s\n", name, value) }

	set("compatibility_level", "3.6")
	set("queue_directory", m.path("spool"))
	set("data_directory", m.path("data"))
	set("command_directory", postfixCommands())
	set("daemon_directory", postfixDaemons())
	set("shlib_directory", installed("postfix/usr/lib/postfix"))
	set("meta_directory", installed("postfix/etc/postfix"))
	set("mail_owner", postfixUser)
	set("setgid_group", postfixGroup)
	set("default_privs", "nobody")
	set("import_environment", "MAIL_CONFIG LD_PRELOAD PEER_LOG") // what the daemons keep of master's

	set("myhostname", m.Host)
	set("mydomain", "peers.test")
	set("mynetworks", "127.0.0.0/8 [::1]/128")
	set("inet_protocols", protocols) // a filter may be there though clients are not
	set("inet_interfaces", interfaces)
	// All mail goes to the sink, and no name is ever looked up.
	set("mydestination", "")
	set("local_recipient_maps", "")
	set("alias_maps", "")
	set("alias_database", "")
	set("default_database_type", "texthash")
	set("relayhost", "["+host+"]:"+port)
	set("smtp_dns_support_level", "disabled")
	set("smtp_host_lookup", "native")
	set("smtp_bind_address", "127.0.0.1")
	set("smtpd_relay_restrictions", "permit_mynetworks, permit_sasl_authenticated, reject")
	set("smtpd_recipient_restrictions", "check_recipient_access texthash:"+m.path("conf/refused"))
	// A test may err as often and as fast as it likes.
	set("smtpd_client_connection_rate_limit", "0")
	set("smtpd_client_connection_count_limit", "0")
	set("smtpd_error_sleep_time", "0")
	set("smtpd_soft_error_limit", "1000")
	set("smtpd_hard_error_limit", "1000")
	set("smtpd_junk_command_limit", "1000")
	set("disable_vrfy_command", "no")
	set("message_size_limit", "51200000")

	set("milter_default_action", "tempfail")
	set("smtpd_milters", filters)
	set("non_smtpd_milters", local)
	if m.cfg.FilterBounces {
		set("internal_mail_filter_classes", "bounce")
	}
	for stage, names := range m.cfg.Macros {
		name := postfixStages[stage]
		if name == "" {
			return "", fmt.Errorf("no macros at stage %q", stage)
		}
		set("milter_"+name+"_macros", names)
	}
	if m.cfg.TLS {
		set("smtpd_tls_security_level", "may")
		set("smtpd_tls_cert_file", m.path("tls/cert.pem"))
		set("smtpd_tls_key_file", m.path("tls/key.pem"))
		set("smtpd_tls_loglevel", "1")
		set("smtpd_tls_received_header", "yes")
	}
	if len(m.cfg.Auth) > 0 {
		set("smtpd_sasl_auth_enable", "yes")
		set("smtpd_sasl_type", "cyrus")
		set("smtpd_sasl_path", "smtpd")
		set("smtpd_sasl_local_domain", m.Host)
		set("smtpd_sasl_security_options", "noanonymous")
	}
	for _, line := range m.cfg.Extra[Postfix] {
		fmt.Fprintln(b, line)
	}
	return b.String(), nil
}

var postfixStages = map[string]string{
	"connect": "connect", "helo": "helo", "mail": "mail", "rcpt": "rcpt", "data": "data",
	"eoh": "end_of_header", "eom": "end_of_data", "unknown": "unknown_command",
}

// postfixMilters writes a list of filters as main.cf has it.
func postfixMilters(list []Milter) (string, error) {
	var out []string
	for _, f := range list {
		e, err := parseSpec(f.Spec)
		if err != nil {
			return "", err
		}
		one := e.postfix()
		if f.DefaultAction != "" {
			one += ", default_action=" + f.DefaultAction
		}
		for _, timeout := range []struct {
			name  string
			value time.Duration
		}{
			{"connect_timeout", f.ConnectTimeout},
			{"command_timeout", f.CommandTimeout},
			{"content_timeout", f.ContentTimeout},
		} {
			if timeout.value > 0 {
				one += fmt.Sprintf(", %s=%ds", timeout.name, wholeSeconds(timeout.value))
			}
		}
		out = append(out, "{ "+one+" }")
	}
	return strings.Join(out, " "), nil
}

// wholeSeconds rounds up: both MTAs count nothing finer.
func wholeSeconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}

func (*postfix) masterCF(m *MTA) string {
	b := new(strings.Builder)
	fmt.Fprintf(b, "%s inet n - n - - smtpd\n", m.Addr)
	if m.Addr6 != "" {
		fmt.Fprintf(b, "%s inet n - n - - smtpd\n", m.Addr6)
	}
	if m.Submission != "" {
		fmt.Fprintf(b, "%s inet n - n - - smtpd\n", m.Submission)
		b.WriteString("  -o syslog_name=postfix/submission\n" +
			"  -o milter_macro_daemon_name=ORIGINATING\n" +
			"  -o smtpd_client_restrictions=permit_sasl_authenticated,reject\n")
	}
	b.WriteString(`pickup     unix       n - n 1     1 pickup
cleanup    unix       n - n -     0 cleanup
qmgr       unix       n - n 300   1 qmgr
tlsmgr     unix       - - n 1000? 1 tlsmgr
rewrite    unix       - - n -     - trivial-rewrite
bounce     unix       - - n -     0 bounce
defer      unix       - - n -     0 bounce
trace      unix       - - n -     0 bounce
verify     unix       - - n -     1 verify
flush      unix       n - n 1000? 0 flush
proxymap   unix       - - n -     - proxymap
proxywrite unix       - - n -     1 proxymap
smtp       unix       - - n -     - smtp
relay      unix       - - n -     - smtp
showq      unix       n - n -     - showq
error      unix       - - n -     - error
retry      unix       - - n -     - error
discard    unix       - - n -     - discard
anvil      unix       - - n -     1 anvil
scache     unix       - - n -     1 scache
`)
	return b.String()
}

// command prepares one of Postfix's commands for this instance.
func (*postfix) command(m *MTA, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(postfixCommand(name), args...)
	cmd.Env = append(shimEnv(m.logSocket()), "MAIL_CONFIG="+m.path("conf"))
	return cmd
}

// run runs one of Postfix's commands and returns what it writes to stdout.
func (p *postfix) run(m *MTA, name string, args ...string) ([]byte, error) {
	out, err := p.command(m, name, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

func (p *postfix) queue(m *MTA) ([]Queued, error) {
	list, err := p.run(m, "postqueue", "-j")
	if err != nil {
		return nil, err
	}
	var out []Queued
	dec := json.NewDecoder(bytes.NewReader(list))
	for dec.More() {
		var j struct {
			ID         string `json:"queue_id"`
			Queue      string `json:"queue_name"`
			Sender     string `json:"sender"`
			Recipients []struct {
				Address string `json:"address"`
				Reason  string `json:"delay_reason"`
			} `json:"recipients"`
		}
		if err := dec.Decode(&j); err != nil {
			return nil, fmt.Errorf("postqueue -j: %w", err)
		}
		q := Queued{ID: j.ID, State: Active, Sender: j.Sender}
		switch j.Queue {
		case "hold":
			q.State = Quarantined
		case "deferred":
			q.State = Deferred
		}
		for _, r := range j.Recipients {
			q.Rcpts = append(q.Rcpts, r.Address)
			if q.Reason == "" {
				q.Reason = r.Reason
			}
		}
		message, err := p.run(m, "postcat", "-q", "-h", "-b", j.ID)
		if err != nil {
			if q.State == Active {
				continue // delivered in the meantime
			}
			return nil, err
		}
		q.Header, q.Body = splitMessage(message)
		out = append(out, q)
	}
	slices.SortFunc(out, func(a, b Queued) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// busy looks into the directories themselves: in the order mail moves through
// them, so that one that moves meanwhile is still seen.
func (*postfix) busy(m *MTA) (bool, error) {
	for _, dir := range []string{"maildrop", "incoming", "active"} {
		f, err := os.Open(m.path("spool", dir))
		if err != nil {
			return false, err
		}
		names, _ := f.Readdirnames(1)
		f.Close()
		if len(names) > 0 {
			return true, nil
		}
	}
	return false, nil
}

func (p *postfix) flush(m *MTA) error {
	_, err := p.run(m, "postqueue", "-f")
	return err
}

func (p *postfix) purge(m *MTA) error {
	_, err := p.run(m, "postsuper", "-d", "ALL")
	return err
}

func (p *postfix) submit(m *MTA, from string, to []string, message string) error {
	cmd := p.command(m, "sendmail", append([]string{"-C", m.path("conf"), "-i", "-f", from, "--"}, to...)...)
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(message, "\r\n", "\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("peertest: Postfix's sendmail: %w: %s", err, out)
	}
	return nil
}

// chown gives a file to a user and, unless empty, a group.
func chown(path, owner, group string) error {
	u, err := user.Lookup(owner)
	if err != nil {
		return err
	}
	gid := u.Gid
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return err
		}
		gid = g.Gid
	}
	uidNumber, err1 := strconv.Atoi(u.Uid)
	gidNumber, err2 := strconv.Atoi(gid)
	return errors.Join(err1, err2, os.Chown(path, uidNumber, gidNumber))
}
