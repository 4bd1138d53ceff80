package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/daemon/config"
)

// readUnit returns the settings of a systemd unit, each with its values in order.
func readUnit(t *testing.T, file string) map[string][]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	unit := make(map[string][]string)
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			unit[key] = append(unit[key], value)
		}
	}
	return unit
}

const service = "systemd/gomilter.service"

// maxExposure is what systemd-analyze security may count, of 10: "OK" ends at 4.9.
const maxExposure = 1.4

func TestUnitIsHardened(t *testing.T) {
	need(t, "systemd-analyze")
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", service).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m := regexp.MustCompile(`Overall exposure level for gomilter.service: ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no exposure level in %s", out)
	}
	if got, err := strconv.ParseFloat(string(m[1]), 64); err != nil || got > maxExposure {
		t.Errorf("exposure is %s, want at most %.1f:\n%s", m[1], maxExposure, out)
	}
}

// systemd understands the units: it warns of what it does not know.
func TestUnitsAreUnderstood(t *testing.T) {
	need(t, "systemd-analyze")
	dir := t.TempDir()
	for _, name := range []string{"gomilter.service", "gomilter.socket"} {
		data, err := os.ReadFile("systemd/" + name)
		if err != nil {
			t.Fatal(err)
		}
		// It looks for programs and pages of the manual that are not installed here.
		text := strings.ReplaceAll(string(data), "/usr/bin/gomilter", "/bin/true")
		text = regexp.MustCompile(`(?m)^Documentation=.*\n`).ReplaceAllString(text, "")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(dir, "gomilter.service"), filepath.Join(dir, "gomilter.socket")).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "gomilter") {
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
	if err != nil {
		t.Logf("%v: %s", err, out) // of units of the machine
	}
}

// The unit gives the daemon what the configuration it is installed with, and the
// defaults of others, want.
func TestUnitFitsTheConfiguration(t *testing.T) {
	unit := readUnit(t, service)
	src, err := config.Load("../examples/null.toml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, problems := src.Parse()
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if got := unit["User"][0]; got != cfg.User {
		t.Errorf("the user is %s, and %s in the configuration", got, cfg.User)
	}
	if want := "/var/lib/" + unit["StateDirectory"][0]; cfg.StateDir != want {
		t.Errorf("the folder for state is %s, want %s", cfg.StateDir, want)
	}
	if want := "/run/" + unit["RuntimeDirectory"][0]; filepath.Dir(cfg.Control.Socket) != want {
		t.Errorf("the control socket is %s, want it in %s", cfg.Control.Socket, want)
	}
	stop, err := time.ParseDuration(unit["TimeoutStopSec"][0])
	if err != nil || stop <= time.Duration(cfg.Listeners[0].Timeouts.Stop) {
		t.Errorf("systemd waits %v (%v) for the end, the daemon %v for messages", stop, err, cfg.Listeners[0].Timeouts.Stop)
	}
	for _, f := range cfg.Filters {
		if f.Mode.String() != "report" {
			t.Errorf("as installed filter %s is %v, want that it only reports", f.Name, f.Mode)
		}
	}
}

// systemd-sysusers makes the same user as the script of the packages.
func TestUserIsTheSameByAllWays(t *testing.T) {
	need(t, "systemd-sysusers", "useradd")
	if os.Geteuid() != 0 {
		t.Skip("it takes root to make a user, in whatever folder")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs("systemd/sysusers.conf")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-sysusers", "--root="+dir, rules).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	passwd, err := os.ReadFile(filepath.Join(dir, "etc/passwd"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Split(strings.TrimSpace(string(passwd)), ":")
	script, err := os.ReadFile("scripts/preinstall.sh")
	if err != nil {
		t.Fatal(err)
	}
	if len(fields) != 7 || fields[0] != "gomilter" {
		t.Fatalf("systemd-sysusers makes %q", passwd)
	}
	for _, option := range []string{`--comment "` + fields[4] + `"`, "--home-dir " + fields[5] + " ", "--shell " + fields[6] + " gomilter"} {
		if !strings.Contains(string(script), option) {
			t.Errorf("systemd-sysusers makes %q, the script has no %q", passwd, option)
		}
	}
}

func TestInstallBelowAFolder(t *testing.T) {
	out, dest := t.TempDir(), t.TempDir()
	for _, f := range []string{"gomilter", "gomilter.8.gz", "gomilter.toml.5.gz", "gomilter.bash", "_gomilter", "gomilter.fish", "changelog.gz"} {
		if err := os.WriteFile(filepath.Join(out, f), []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := func(verb string, env ...string) {
		t.Helper()
		cmd := exec.Command("./install.sh", verb)
		cmd.Env = append(append(os.Environ(), "OUT="+out, "DESTDIR="+dest, "PREFIX=/opt/mail"), env...)
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", verb, err, b)
		}
	}
	files := func() (list []string) {
		t.Helper()
		b, err := exec.Command("find", dest, "-type", "f", "-printf", "/%P %m\n").Output()
		if err != nil {
			t.Fatal(err)
		}
		list = strings.Fields(strings.ReplaceAll(string(b), " ", "="))
		slices.Sort(list)
		return list
	}

	install("install")
	installed := files()
	for _, want := range []string{"/opt/mail/bin/gomilter=755", "/opt/mail/share/man/man8/gomilter.8.gz=644", "/opt/mail/lib/systemd/system/gomilter.service=644",
		"/opt/mail/share/bash-completion/completions/gomilter=644", "/etc/gomilter/gomilter.toml=640"} {
		if !slices.Contains(installed, want) {
			t.Errorf("%s is not installed: %q", want, installed)
		}
	}
	if got := readUnit(t, filepath.Join(dest, "opt/mail/lib/systemd/system/gomilter.service"))["ExecStart"]; !slices.Equal(got, []string{"/opt/mail/bin/gomilter serve"}) {
		t.Errorf("the unit starts %q", got)
	}

	conf := filepath.Join(dest, "etc/gomilter/gomilter.toml")
	if err := os.WriteFile(conf, []byte("# ours\n"), 0); err != nil {
		t.Fatal(err)
	}
	install("install")
	if b, err := os.ReadFile(conf); err != nil || string(b) != "# ours\n" {
		t.Errorf("after another install the configuration is %q, %v", b, err)
	}
	install("uninstall")
	if got, want := files(), []string{"/etc/gomilter/gomilter.toml=640", "/etc/logrotate.d/gomilter=644"}; !slices.Equal(got, want) {
		t.Errorf("uninstall leaves %q, want %q", got, want)
	}
	install("uninstall", "PURGE=1")
	if got := files(); len(got) > 0 {
		t.Errorf("uninstall with PURGE leaves %q", got)
	}
}

func TestScriptsAreOfThePosixShell(t *testing.T) {
	need(t, "dash")
	scripts, err := filepath.Glob("scripts/*.sh")
	if err != nil || len(scripts) != 4 {
		t.Fatalf("scripts: %v, %v", scripts, err)
	}
	for _, s := range append(scripts, "install.sh", "package.sh", "version.sh") {
		if out, err := exec.Command("dash", "-n", s).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", s, out)
		}
	}
}

// Versions of packages are sorted as releases follow each other.
func TestVersion(t *testing.T) {
	need(t, "git", "dpkg")
	dir := t.TempDir()
	script, err := os.ReadFile("version.sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "packaging"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "packaging/version.sh"), script, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
			"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v", name, args, err)
		}
		return strings.TrimSpace(string(out))
	}
	version := func() string { t.Helper(); return run("packaging/version.sh") }
	commit := func() { t.Helper(); run("git", "commit", "-q", "--allow-empty", "-m", "c") }
	if got := version(); got != "0.0.0+unknown" {
		t.Errorf("without git the version is %s", got)
	}
	run("git", "init", "-q")
	run("git", "add", ".")
	var versions []string
	for _, tag := range []string{"", "v0.1.0-rc.1", "v0.1.0", "", "", "v0.2.0"} {
		commit()
		if tag != "" {
			run("git", "tag", tag)
		}
		versions = append(versions, version())
	}
	shape := regexp.MustCompile(`^0\.0\.0\+1\.g\w{7} 0\.1\.0~rc\.1 0\.1\.0 0\.1\.0\+1\.g\w{7} 0\.1\.0\+2\.g\w{7} 0\.2\.0$`)
	if !shape.MatchString(strings.Join(versions, " ")) {
		t.Errorf("versions are %q", versions)
	}
	for i := range len(versions) - 1 {
		run("dpkg", "--compare-versions", versions[i], "lt", versions[i+1])
	}
	if err := os.WriteFile(filepath.Join(dir, "packaging/version.sh"), append(script, '\n'), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := version(); got != "0.2.0+changed" {
		t.Errorf("with a change the version is %s", got)
	}
}

// need skips a test where a program is missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip("there is no " + p)
		}
	}
}
