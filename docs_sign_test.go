//go:build unix

package milter_test

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The steps that make a key, in the docs and in the example, make one that the daemon's user can read and
// check has nothing to say about.
func TestKeyStepsInDocs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to a group of others")
	}
	nobody, err := user.Lookup("nobody") // in place of gomilter
	if err != nil {
		t.Skip(err)
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(nobody.Gid)
	if err != nil {
		t.Fatal(err)
	}
	gomilter := buildGomilter(t)
	open := func(t *testing.T, dir string) { // to that user
		for ; dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	open(t, filepath.Dir(gomilter))
	step := regexp.MustCompile(`(?m)^#? {4,5}((?:install|chgrp|chmod|gomilter dkim keygen) .*/etc/gomilter/dkim.*)$`)
	for name, section := range map[string]string{"docs/filters.md": "## Signing", "examples/dkim-milter.toml": ""} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			dir := t.TempDir()
			open(t, dir)
			etc, key := filepath.Join(dir, "etc"), filepath.Join(dir, "etc/dkim/2026.pem")
			here := strings.NewReplacer("/etc/gomilter", etc, "gomilter dkim", gomilter+" dkim", "-g gomilter", "-g "+nobody.Gid, "chgrp gomilter", "chgrp "+nobody.Gid)
			_, text, found := strings.Cut(readDoc(t, name), section)
			steps := step.FindAllStringSubmatch(text, -1)
			if !found || len(steps) != 4 {
				t.Fatalf("%d steps: %q", len(steps), steps)
			}
			for _, s := range steps {
				if out, err := exec.Command("sh", "-c", here.Replace(s[1])).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", s[1], err, out)
				}
			}
			cmd := exec.Command(gomilter, "dkim", "record", "--key", key)
			cmd.Dir = dir
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
			if out, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "v=DKIM1; ") {
				t.Errorf("the daemon's user: %v\n%s", err, out)
			}
			conf := filepath.Join(dir, "x.toml")
			err := os.WriteFile(conf, []byte("user = \"nobody\"\nstate_dir = \"state\"\ncontrol = { socket = \"c\" }\n[[listener]]\nsocket = \"inet:0@127.0.0.1\"\nchain = [\"sign\"]\n"+
				"[[filter.sign.key]]\ndomain = \"example.com\"\nselector = \"2026\"\nfile = \""+key+"\"\n"), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(gomilter, "check", "-c", conf).CombinedOutput(); err != nil || !strings.Contains(string(out), "no warnings") {
				t.Errorf("check: %v\n%s", err, out)
			}
		})
	}
}
