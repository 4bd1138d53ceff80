package peertest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// ClamAV starts Debian's clamd, which knows no signatures but those it is given: by
// name, a text in messages and attachments. network is unix or inet; extra are lines
// of clamd.conf.
func ClamAV(t testing.TB, network string, signatures map[string]string, extra ...string) *Filter {
	t.Helper()
	dir, spec, e := scannerPlace(t, network)
	var db strings.Builder
	for _, name := range slices.Sorted(maps.Keys(signatures)) {
		fmt.Fprintf(&db, "%s:0:*:%x\n", name, signatures[name])
	}
	socket := []string{"LocalSocket " + e.path, "LocalSocketMode 666"}
	if e.network != "unix" {
		socket = []string{"TCPSocket " + e.port, "TCPAddr " + e.host}
	}
	lines := append(socket, "DatabaseDirectory "+dir, "TemporaryDirectory "+dir, "Foreground yes", "LogFile "+filepath.Join(dir, "log"), "LogFileUnlock yes")
	writeFiles(t, dir, map[string]string{
		"own.ndb":    db.String(),
		"clamd.conf": strings.Join(append(lines, extra...), "\n") + "\n",
	})
	return startScanner(t, spec, "Self checking every", dir, installed("scanners/usr/sbin/clamd"), "-c", filepath.Join(dir, "clamd.conf"))
}

// SpamAssassin starts Debian's spamd, whose rules are those it is given, as lines of
// a .cf file. It asks nobody on the net.
func SpamAssassin(t testing.TB, network string, rules ...string) *Filter {
	t.Helper()
	dir, spec, e := scannerPlace(t, network)
	writeFiles(t, dir, map[string]string{
		"rules/own.cf": strings.Join(append([]string{"use_bayes 0", "dns_available no", "skip_rbl_checks 1"}, rules...), "\n") + "\n",
		"site/own.pre": "loadplugin Mail::SpamAssassin::Plugin::Check\n",
	})
	socket := []string{"--socketpath=" + e.path, "--socketmode=0666"}
	if e.network != "unix" {
		socket = []string{"--listen=" + e.host + ":" + e.port, "--allowed-ips=127.0.0.1"}
	}
	root := installed("scanners/usr")
	args := append([]string{"-T", "-I" + filepath.Join(root, "share/perl5"), "-I" + filepath.Join(systemLibraries(), "perl5/5.36"),
		filepath.Join(root, "sbin/spamd"), "-x", "--local", "--syslog=stderr", "--max-children=2", "--min-children=1", "--max-spare=1",
		"--configpath=" + filepath.Join(dir, "rules"), "--siteconfigpath=" + filepath.Join(dir, "site"), "--helper-home-dir=" + dir}, socket...)
	return startScanner(t, spec, "server successfully spawned", dir, "perl", args...)
}

// Rspamd starts Debian's rspamd with one worker. Its rules are those of a program in
// Lua; a message is refused from 15 points on, and marked from 6 on. It asks nobody on
// the net.
func Rspamd(t testing.TB, network, lua string) *Filter {
	t.Helper()
	dir, spec, e := scannerPlace(t, network)
	socket := e.path + " mode=0666"
	if e.network != "unix" {
		socket = e.host + ":" + e.port
	}
	writeFiles(t, dir, map[string]string{
		"tlds":    "com\nexample\nnet\norg\n",
		"own.lua": lua,
		"rspamd.conf": fmt.Sprintf(`options {
	filters = ""; url_tld = %[1]q; pidfile = %[2]q; control_socket = %[3]q; hs_cache_dir = %[4]q; cache_file = %[5]q; tempdir = %[4]q; local_addrs = [];
	dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; }
}
logging { type = "console"; level = "info"; }
worker "normal" { bind_socket = %[6]q; count = 1; }
actions { reject = 15; add_header = 6; }
lua = %[7]q;
`, filepath.Join(dir, "tlds"), filepath.Join(dir, "pid"), filepath.Join(dir, "control.sock mode=0600"), dir, filepath.Join(dir, "cache"), socket, filepath.Join(dir, "own.lua")),
	})
	share := installed("scanners/usr/share/rspamd")
	args := []string{"-f", "-c", filepath.Join(dir, "rspamd.conf"), "--var=CONFDIR=" + installed("scanners/etc/rspamd"), "--var=LOCAL_CONFDIR=" + dir,
		"--var=RUNDIR=" + dir, "--var=DBDIR=" + dir, "--var=LOGDIR=" + dir, "--var=WWWDIR=" + dir, "--var=SHAREDIR=" + share}
	for name, sub := range map[string]string{"RULESDIR": "rules", "LUALIBDIR": "lualib", "PLUGINSDIR": "plugins"} {
		args = append(args, "--var="+name+"="+filepath.Join(share, sub))
	}
	return startScanner(t, spec, "starting normal process", dir, installed("scanners/usr/bin/rspamd"), args...)
}

// scannerPlace makes a directory and an address for a scanner.
func scannerPlace(t testing.TB, network string) (dir, spec string, e endpoint) {
	t.Helper()
	needScanners(t)
	dir = Dir(t)
	if network == "unix" { // in a directory of the scanner's user, who makes the socket
		spec = "unix:" + filepath.Join(dir, "s.sock")
	} else {
		spec = FreeSpec(t, network)
	}
	e, err := parseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	return dir, spec, e
}

func writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatalf("peertest: %v", err)
		}
	}
}

// startScanner starts a program as a user without rights, which owns the directory.
func startScanner(t testing.TB, spec, ready, dir, program string, args ...string) *Filter {
	t.Helper()
	if err := chown(dir, postfixUser, postfixUser); err != nil {
		t.Fatalf("peertest: %v", err)
	}
	// setpriv becomes the program: the process is the same.
	cmd := exec.Command("setpriv", append([]string{"--reuid=" + postfixUser, "--regid=" + postfixUser, "--clear-groups", "--", program}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C",
		"LD_LIBRARY_PATH=" + systemLibraries() + ":" + installed("scanners/usr/lib/rspamd")}
	log := new(Lines)
	return startFilter(t, spec, cmd, log, log, ready)
}

// systemLibraries is where the scanners' own libraries are.
func systemLibraries() string {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	return installed("scanners/usr/lib/" + arch + "-linux-gnu")
}
