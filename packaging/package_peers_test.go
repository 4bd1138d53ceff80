//go:build peers && linux

package packaging_test

import (
	"bytes"
	"cmp"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// packages makes the packages for this machine, once, and returns their folder.
var packages = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "packages")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("make", "-C", "..", "deb", "rpm", "OUT="+dir, "ARCHS="+runtime.GOARCH)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		os.RemoveAll(dir)
		return "", &exec.Error{Name: out.String(), Err: err}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := packages(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// pack returns the file of a package.
func pack(t *testing.T, pattern string) string {
	t.Helper()
	dir, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(list) != 1 {
		t.Fatalf("%s: %v, %v", pattern, list, err)
	}
	return list[0]
}

// newMailBox returns a box with Debian's Postfix, which takes mail for reader@box.example.
func newMailBox(t *testing.T) *box {
	b := newBox(t)
	b.run("hostname", "box.example")
	b.write("/etc/hosts", "127.0.0.1 localhost box.example\n")
	b.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n") // a package starts nothing
	b.run("chmod", "755", "/usr/sbin/policy-rc.d")
	deb, err := filepath.Glob(filepath.Join(cmp.Or(os.Getenv("GOMILTER_PEERS"), "/opt/gomilter-peers"), "deb/postfix_*.deb"))
	if err != nil || len(deb) != 1 {
		t.Fatalf("Debian's package of Postfix is not there (%v, %v): make peers", deb, err)
	}
	b.copyIn(deb[0], "/run/postfix.deb")
	b.run("sh", "-c", "echo postfix postfix/main_mailer_type select Local only | debconf-set-selections")
	b.run("dpkg", "--force-depends", "-i", "/run/postfix.deb") // cpio is what it lacks, and does not need here
	b.run("useradd", "-M", "reader")
	b.run("postconf", "-e", "myhostname=box.example", "mydestination=box.example", "inet_interfaces=loopback-only", "inet_protocols=ipv4",
		"alias_maps=", "maillog_file=/var/log/postfix.log", "biff=no")
	b.run("sh", "-c", "/usr/lib/postfix/configure-instance.sh -; postfix start")
	return b
}

var subjects int

// mail sends a message with a program attached by swaks, and returns it as it was
// delivered.
func (b *box) mail() string {
	b.t.Helper()
	subjects++
	subject := "number-" + strings.Repeat("x", subjects)
	b.run("swaks", "--server", "127.0.0.1", "--from", "sender@example.net", "--to", "reader@box.example", "--silent", "2",
		"--header", "Subject: "+subject, "--body", "have a look", "--attach-type", "application/octet-stream",
		"--attach-name", "game.exe", "--attach", "this is the program")
	return b.delivered(subject)
}

// delivered waits for the message with a subject.
func (b *box) delivered(subject string) (text string) {
	b.t.Helper()
	waitFor(b.t, "delivery of "+subject, func() bool {
		data, err := os.ReadFile(b.path("/var/mail/reader"))
		if err != nil {
			return false
		}
		for part := range strings.SplitSeq(string(data), "\nFrom sender@") {
			if strings.Contains(part, "Subject: "+subject+"\n") {
				text = part
			}
		}
		return text != ""
	})
	return text
}

const program = "dGhpcyBpcyB0aGUgcHJvZ3JhbQ==" // base64 of what mail attaches

// A unitProcess is the service of a unit, started as systemd would.
type unitProcess struct {
	b    *box
	unit map[string][]string
	cmd  *exec.Cmd
	log  lockedBuffer
	done chan error
	told *net.UnixConn // what it tells systemd
}

// startUnit starts a service whose unit is in the box, by its ExecStart as its
// user, and waits until it says that it is ready.
func (b *box) startUnit(file string) *unitProcess {
	b.t.Helper()
	p := &unitProcess{b: b, unit: readUnit(b.t, b.path(file)), done: make(chan error, 1)}
	user := p.unit["User"][0]
	b.run("install", "-d", "-o", user, "-g", p.unit["Group"][0], "-m", p.unit["RuntimeDirectoryMode"][0], "/run/"+p.unit["RuntimeDirectory"][0])
	const notify = "/run/notify"
	var err error
	if p.told, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: b.path(notify), Net: "unixgram"}); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chmod(b.path(notify), 0o666); err != nil {
		b.t.Fatal(err)
	}

	b.run(p.words(p.unit["ExecStartPre"][0])...)
	p.cmd = b.command(b.t.Context(), p.words(p.unit["ExecStart"][0])...)
	p.cmd.Env = append(p.cmd.Env, "NOTIFY_SOCKET="+notify)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	p.hear("READY=1")
	return p
}

// hear waits until the service tells systemd a state.
func (p *unitProcess) hear(state string) {
	p.b.t.Helper()
	p.told.SetReadDeadline(time.Now().Add(15 * time.Second))
	for buf := make([]byte, 4096); ; {
		n, err := p.told.Read(buf)
		if err != nil {
			p.b.t.Fatalf("systemd is not told %s: %v\n%s", state, err, p.log.String())
		}
		if slices.Contains(strings.Split(string(buf[:n]), "\n"), state) {
			return
		}
	}
}

// words returns a line of the unit as a command of its user without privileges.
func (p *unitProcess) words(line string) []string {
	return append([]string{"setpriv", "--reuid", p.unit["User"][0], "--regid", p.unit["Group"][0], "--init-groups", "--no-new-privs",
		"--bounding-set=-all", "--inh-caps=-all", "--"}, strings.Fields(line)...)
}

// reload does what the unit says.
func (p *unitProcess) reload() string {
	p.b.t.Helper()
	out := p.b.run(p.words(p.unit["ExecReload"][0])...)
	p.hear("RELOADING=1")
	p.hear("READY=1")
	return out
}

// stop ends the service, which must end well.
func (p *unitProcess) stop() {
	p.b.t.Helper()
	p.b.run("kill", "-TERM", p.pid())
	p.hear("STOPPING=1")
	defer p.told.Close()
	select {
	case err := <-p.done:
		if err != nil {
			p.b.t.Errorf("the service ended: %v\n%s", err, p.log.String())
		}
	case <-time.After(20 * time.Second):
		p.b.t.Errorf("the service does not stop:\n%s", p.log.String())
	}
}

// pid returns the service's own number in the box, where there is one.
func (p *unitProcess) pid() string {
	p.b.t.Helper()
	return strings.TrimSpace(p.b.run("pgrep", "-x", "-u", p.unit["User"][0], "gomilter"))
}

// messages returns the lines of the log about the messages of mail.
func (p *unitProcess) messages() (lines []string) {
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, "sender@example.net") {
			lines = append(lines, line)
		}
	}
	return lines
}

// The package goes from nothing to a filter on Postfix's mail and away again, by
// the steps of docs/install.md, and leaves nothing.
func TestDebianPackageFromInstallToPurge(t *testing.T) {
	t.Parallel()
	b := newMailBox(t)
	if got := b.mail(); !strings.Contains(got, program) {
		t.Fatalf("without a filter the program does not arrive:\n%s", got)
	}
	before, accounts := b.changed(), b.accounts()

	b.copyIn(pack(t, "*.deb"), "/run/gomilter.deb")
	b.run("dpkg", "-i", "/run/gomilter.deb")
	if got, want := b.run("getent", "passwd", "gomilter"), ":/var/lib/gomilter:/usr/sbin/nologin\n"; !strings.HasSuffix(got, want) {
		t.Errorf("the user is %q", got)
	}
	const stats = "" +
		"/etc/gomilter root gomilter 750\n/etc/gomilter/gomilter.toml root gomilter 640\n" +
		"/var/lib/gomilter gomilter gomilter 750\n/var/log/gomilter gomilter gomilter 750\n/usr/bin/gomilter root root 755\n"
	if diff := gocmp.Diff(stats, b.run("stat", "-c", "%n %U %G %a", "/etc/gomilter", "/etc/gomilter/gomilter.toml", "/var/lib/gomilter", "/var/log/gomilter", "/usr/bin/gomilter")); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got := b.mail(); !strings.Contains(got, program) {
		t.Errorf("installing the package alone changes mail:\n%s", got)
	}

	service := b.startUnit("/usr/lib/systemd/system/gomilter.service")
	if got := b.mail(); !strings.Contains(got, program) || len(service.messages()) > 0 {
		t.Errorf("a service that is not attached sees mail: %q", service.messages())
	}

	lines := b.run("gomilter", "config", "postfix", "--lines")
	mainCF := b.read("/etc/postfix/main.cf")
	b.write("/etc/postfix/main.cf", mainCF+lines)
	b.run("postfix", "reload")
	b.run("gomilter", "doctor", "postfix")
	if got := b.mail(); !strings.Contains(got, program) {
		t.Errorf("in report mode the program does not arrive:\n%s", got)
	}
	waitFor(t, "a line about the message", func() bool { return len(service.messages()) == 1 })
	if line := service.messages()[0]; !strings.Contains(line, "its name ends in .exe") {
		t.Errorf("the log does not say what attachments would have done: %s", line)
	}

	conf := b.read("/etc/gomilter/gomilter.toml")
	on := strings.Replace(conf, "[filter.attachments]\nmode = \"report\"", "[filter.attachments]\nmode = \"on\"", 1)
	if on == conf {
		t.Fatalf("the configuration has no attachments to switch on:\n%s", conf)
	}
	b.write("/etc/gomilter/gomilter.toml", on)
	if got := service.reload(); !strings.Contains(got, "configuration 2 is in force") {
		t.Errorf("reload says %q", got)
	}
	got := b.mail()
	if strings.Contains(got, program) || !strings.Contains(got, "have a look") || !strings.Contains(got, "An attachment was removed") {
		t.Errorf("with attachments on the message arrives as:\n%s", got)
	}
	if list := b.run("gomilter", "kept", "list"); !strings.Contains(list, "sender@example.net") {
		t.Errorf("the original is not kept:\n%s", list)
	}
	b.write("/etc/gomilter/gomilter.toml", on+"\nnonsense = 1\n")
	if out, err := b.try(service.words(service.unit["ExecReload"][0])...); err == nil || !strings.Contains(out, "nonsense") {
		t.Errorf("a bad configuration is answered %q, %v", out, err)
	}

	b.write("/etc/postfix/main.cf", mainCF)
	b.run("postfix", "reload")
	if got := b.mail(); !strings.Contains(got, program) || len(service.messages()) != 2 {
		t.Errorf("once detached, %q is logged, and this arrives:\n%s", service.messages(), got)
	}
	service.stop()

	b.run("dpkg", "-r", "gomilter")
	for name, want := range map[string]bool{"/usr/bin/gomilter": false, "/etc/gomilter/gomilter.toml": true, "/var/lib/gomilter/kept": true} {
		if _, err := os.Stat(b.path(name)); (err == nil) != want {
			t.Errorf("after removal %s: %v", name, err)
		}
	}
	b.run("dpkg", "-P", "gomilter")
	if diff := gocmp.Diff(before, b.changed()); diff != "" {
		t.Errorf("the package leaves traces (-before +after):\n%s", diff)
	}
	if diff := gocmp.Diff(accounts, b.accounts()); diff != "" {
		t.Errorf("the package leaves accounts (-before +after):\n%s", diff)
	}
}

// accounts returns the users and groups of the box.
func (b *box) accounts() string {
	return b.read("/etc/passwd") + b.read("/etc/group") + b.read("/etc/shadow") + b.read("/etc/gshadow")
}

// A newer package takes the place of an older one, and keeps a configuration that
// was changed, and the state.
func TestDebianPackageUpgrade(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.copyIn(pack(t, "*.deb"), "/run/old.deb")
	b.run("dpkg", "-i", "/run/old.deb")
	conf := b.read("/etc/gomilter/gomilter.toml") + "# ours\n"
	b.write("/etc/gomilter/gomilter.toml", conf)
	b.write("/var/lib/gomilter/state", "kept")

	b.run("dpkg-deb", "-R", "/run/old.deb", "/run/new")
	control := b.read("/run/new/DEBIAN/control")
	b.write("/run/new/DEBIAN/control", regexp.MustCompile(`(?m)^Version: .*`).ReplaceAllString(control, "Version: 999"))
	b.write("/run/new/etc/gomilter/gomilter.toml", b.read("/run/new/etc/gomilter/gomilter.toml")+"# theirs\n")
	b.run("dpkg-deb", "-b", "-z0", "/run/new", "/run/new.deb")
	b.run("dpkg", "--force-confdef", "--force-confold", "-i", "/run/new.deb")
	if got := b.read("/etc/gomilter/gomilter.toml"); got != conf {
		t.Errorf("after the upgrade the configuration is\n%s", got)
	}
	if got := b.run("stat", "-c", "%U:%G %a", "/etc/gomilter/gomilter.toml"); got != "root:gomilter 640\n" {
		t.Errorf("after the upgrade the configuration is of %s", got)
	}
	if got := b.read("/var/lib/gomilter/state"); got != "kept" {
		t.Errorf("after the upgrade the state is %q", got)
	}
	if got := b.run("dpkg-query", "-W", "-f", "${Version}", "gomilter"); got != "999" {
		t.Errorf("the version installed is %s", got)
	}
}

// make install does what the package does, below another prefix, and make
// uninstall leaves nothing with PURGE=1.
func TestInstallWithoutAPackage(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	repo, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(pack(t, "*.deb"))
	b.run("mkdir", "/run/generated")
	for _, f := range []string{"gomilter", "gomilter.8.gz", "gomilter.toml.5.gz", "gomilter.bash", "_gomilter", "gomilter.fish", "changelog.gz"} {
		b.copyIn(filepath.Join(dir, f), "/run/generated/"+f)
	}
	before, accounts := b.changed(), b.accounts()
	b.run("env", "OUT=/run/generated", repo+"/packaging/install.sh", "install")
	service := b.startUnit("/usr/local/lib/systemd/system/gomilter.service")
	if got := b.run("/usr/local/bin/gomilter", "ctl", "status"); !strings.Contains(got, "ready") {
		t.Errorf("status is %s", got)
	}
	service.stop()
	b.run("env", "OUT=/run/generated", repo+"/packaging/install.sh", "uninstall")
	if out, err := b.try("sh", "-c", "ls /usr/local/bin/gomilter"); err == nil {
		t.Errorf("after make uninstall there is %s", out)
	}
	b.read("/etc/gomilter/gomilter.toml")
	b.run("env", "OUT=/run/generated", "PURGE=1", repo+"/packaging/install.sh", "uninstall")
	accountFile := regexp.MustCompile(`^/etc/(\.pwd\.lock|(passwd|group|shadow|gshadow|subuid|subgid)-?)$`)
	after := slices.DeleteFunc(b.changed(), func(name string) bool {
		i, err := os.Stat(b.path(name))
		shared := err == nil && i.IsDir() && strings.HasPrefix(name, "/usr/local/") // with what others install
		return shared || accountFile.MatchString(name) && !slices.Contains(before, name)
	})
	if diff := gocmp.Diff(before, after); diff != "" {
		t.Errorf("make uninstall leaves traces (-before +after):\n%s", diff)
	}
	if diff := gocmp.Diff(accounts, b.accounts()); diff != "" {
		t.Errorf("make uninstall leaves accounts (-before +after):\n%s", diff)
	}
}

// A lockedBuffer may be read while a process writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
