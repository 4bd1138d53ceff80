//go:build peers && linux

package packaging_test

import (
	"os"
	"strings"
	"testing"
)

// property returns what systemd knows of the service.
func (b *box) property(name string) string {
	b.t.Helper()
	return strings.TrimSpace(b.run("systemctl", "show", "-P", name, "gomilter.service"))
}

// asksFilter puts a message with a program in it through the filter at a socket.
func (b *box) asksFilter(socket string) string {
	b.t.Helper()
	b.write("/run/message", "From: a@example.net\nSubject: s\nMIME-Version: 1.0\nContent-Type: application/octet-stream; name=game.exe\n"+
		"Content-Transfer-Encoding: base64\n\n"+program+"\n")
	return b.run("gomilter", "mta", "--socket", socket, "--client", "192.0.2.7", "/run/message")
}

// The unit works as it is written: with all its protections, under systemd.
func TestServiceUnderSystemd(t *testing.T) {
	t.Parallel()
	b := newSystemdBox(t)
	b.copyIn(pack(t, "*.deb"), "/run/gomilter.deb")
	b.run("dpkg", "-i", "/run/gomilter.deb")
	if enabled, active := b.property("UnitFileState"), b.property("ActiveState"); enabled != "disabled" || active != "inactive" {
		t.Errorf("as installed the service is %s and %s", enabled, active)
	}
	b.run("systemctl", "enable", "--now", "gomilter")
	if got := b.property("StatusText"); !strings.HasPrefix(got, "configuration 1") {
		t.Errorf("systemd shows the status %q", got)
	}
	status := strings.Join(strings.Fields(b.run("cat", "/proc/"+b.property("MainPID")+"/status")), " ")
	for _, want := range []string{" CapEff: 0000000000000000 ", " CapBnd: 0000000000000000 ", " NoNewPrivs: 1 ", " Seccomp: 2 "} {
		if !strings.Contains(status, want) {
			t.Errorf("the process has no %q: %s", want, status)
		}
	}
	if got := b.asksFilter("inet:8891@127.0.0.1"); !strings.HasPrefix(got, "accept") || !strings.Contains(got, "none") {
		t.Errorf("as installed a message is answered %s", got)
	}

	// What docs/install.md says of a chrooted Postfix, and of a log file.
	b.run("groupadd", "--system", "postfix")
	b.run("usermod", "-aG", "postfix", "gomilter")
	b.run("install", "-d", "-o", "gomilter", "-g", "postfix", "-m", "0710", "/var/spool/postfix/gomilter")
	const socket = "unix:/var/spool/postfix/gomilter/gomilter.sock"
	conf := `log = { to = "/var/log/gomilter/gomilter.log" }
[[listener]]
socket = "` + socket + `"
group = "postfix"
chain = ["attachments"]
[filter.attachments]
`
	b.write("/etc/gomilter/gomilter.toml", conf)
	b.run("systemctl", "restart", "gomilter")
	if got := b.run("stat", "-c", "%U %G %a", strings.TrimPrefix(socket, "unix:")); got != "gomilter postfix 660\n" {
		t.Errorf("the socket is of %s", got)
	}
	if got := b.asksFilter(socket); !strings.Contains(got, "WARNING.TXT") {
		t.Errorf("a program is answered %s", got)
	}
	if got := b.run("gomilter", "kept", "list"); !strings.Contains(got, "sender@example.com") {
		t.Errorf("kept is %s", got)
	}
	const log = "/var/log/gomilter/gomilter.log"
	if !strings.Contains(b.read(log), "attachments") {
		t.Errorf("the log has no line about the message:\n%s", b.read(log))
	}
	b.run("mv", log, log+".1")
	_, script, _ := strings.Cut(b.read("/etc/logrotate.d/gomilter"), "postrotate\n")
	script, _, _ = strings.Cut(script, "endscript")
	b.run("sh", "-ec", script)
	waitFor(t, "another log file", func() bool { _, err := os.Stat(b.path(log)); return err == nil })

	// Reload.
	b.write("/etc/gomilter/gomilter.toml", conf+"mode = \"report\"\n")
	b.run("systemctl", "reload", "gomilter")
	if got := b.property("StatusText"); !strings.HasPrefix(got, "configuration 2") {
		t.Errorf("after a reload the status is %q", got)
	}
	b.write("/etc/gomilter/gomilter.toml", conf+"nonsense = 1\n")
	if out, err := b.try("systemctl", "reload", "gomilter"); err == nil {
		t.Errorf("a bad configuration is loaded: %s", out)
	}
	if got := b.property("ActiveState"); got != "active" {
		t.Errorf("after a bad configuration the service is %s", got)
	}
	b.write("/etc/gomilter/gomilter.toml", conf)

	// It comes again when it dies.
	b.run("mkdir", "-p", "/run/systemd/system/gomilter.service.d")
	b.write("/run/systemd/system/gomilter.service.d/soon.conf", "[Service]\nRestartSec=100ms\n")
	b.run("systemctl", "daemon-reload")
	b.run("kill", "-KILL", b.property("MainPID"))
	waitFor(t, "a restart", func() bool { return b.property("NRestarts") == "1" && b.property("ActiveState") == "active" })
	b.asksFilter(socket)

	// A newer package restarts it.
	pid := b.property("MainPID")
	b.run("dpkg", "--force-confold", "-i", "/run/gomilter.deb")
	if now := b.property("MainPID"); now == pid || b.property("ActiveState") != "active" {
		t.Errorf("after an upgrade the process is %s, and was %s; the service is %s", now, pid, b.property("ActiveState"))
	}

	// Socket activation.
	b.run("cp", "/usr/share/doc/gomilter/examples/gomilter.socket", "/etc/systemd/system")
	b.write("/etc/gomilter/gomilter.toml", strings.NewReplacer(socket, "fd://3", "group = \"postfix\"\n", "").Replace(conf))
	b.run("systemctl", "stop", "gomilter")
	b.run("systemctl", "daemon-reload")
	b.run("systemctl", "enable", "--now", "gomilter.socket")
	if got := b.asksFilter("unix:/run/gomilter-socket/gomilter.sock"); !strings.Contains(got, "WARNING.TXT") {
		t.Errorf("by the socket of systemd a program is answered %s", got)
	}
	b.run("systemctl", "disable", "--now", "gomilter.socket")
	b.run("rm", "/etc/systemd/system/gomilter.socket")

	b.run("dpkg", "-P", "gomilter")
	if out, err := b.try("pgrep", "-x", "gomilter"); err == nil {
		t.Errorf("once purged the process %s runs", out)
	}
	if got := b.property("LoadState"); got != "not-found" {
		t.Errorf("once purged the unit is %s", got)
	}
}
