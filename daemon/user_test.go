package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gomilter/gomilter/daemon/config"
)

// asRoot skips a test that takes root, and returns another user.
func asRoot(t *testing.T) *user.User {
	t.Helper()
	u, err := user.Lookup("nobody")
	if os.Geteuid() != 0 || err != nil {
		t.Skip("takes root and a user nobody")
	}
	return u
}

func owner(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return errors.Unwrap(err).Error()
	}
	return fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid)
}

// childFolder makes TestGoOnAsChild run in another process.
const childFolder = "GOMILTER_TEST_CHILD_FOLDER"

func TestGoOnAsChild(t *testing.T) {
	dir := os.Getenv(childFolder)
	if dir == "" {
		t.Skip("is run by TestGoOnAs")
	}
	s := &setup{config: &config.Config{StateDir: dir}}
	if err := s.makeFoldersFor(asRoot(t)); err != nil {
		t.Error(err)
	}
	fmt.Printf("by root: %s\n", owner(dir))
	err := s.goOnAs(asRoot(t))
	fmt.Printf("in the end: %s, %v, process of %d\n", owner(dir), errors.Is(err, os.ErrPermission), os.Geteuid())
}

func TestGoOnAs(t *testing.T) {
	u := asRoot(t)
	uid, gid := 0, 0
	fmt.Sscan(u.Uid, &uid)
	fmt.Sscan(u.Gid, &gid)
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	base, err := os.MkdirTemp("/var/tmp", "gomilter") // sticky, and all above is root's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	path := func(name string) string { return filepath.Join(base, name) }
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(base, 0o755), os.Mkdir(path("roots"), 0o755), os.Mkdir(path("theirs"), 0o755), os.Mkdir(path("group"), 0o755),
		os.Mkdir(path("precious"), 0o700), os.Mkdir(path("roots/there"), 0o700),
		os.Chmod(path("group"), 0o775), os.Symlink(path("roots"), path("theirs/link")), os.Symlink("../precious", path("theirs/swapped")),
		os.Symlink("roots", path("link")), os.Chown(path("theirs"), uid, gid))
	for name, tt := range map[string]struct{ dir, byRoot, inTheEnd string }{
		"in a folder of root's":             {"roots/a", u.Uid, u.Uid + ", false"},
		"by a link of root's":               {"link/b", u.Uid, u.Uid + ", false"},
		"there already":                     {"roots/there", "0", "0, false"},
		"in a folder of the user's":         {"theirs/c", "no such file or directory", u.Uid + ", false"},
		"by a link of the user's":           {"theirs/link/d", "no such file or directory", "no such file or directory, true"},
		"a link of the user's":              {"theirs/swapped", "0", "0, false"},
		"where a group may write":           {"group/e", "no such file or directory", "no such file or directory, true"},
		"in a folder that is not there":     {"none/f", "no such file or directory", "no such file or directory, false"},
		"below a folder that is the user's": {"theirs/link/../precious/g", "no such file or directory", "permission denied, true"},
	} {
		cmd := exec.CommandContext(t.Context(), me, "-test.run=^TestGoOnAsChild$")
		cmd.Env = append(os.Environ(), childFolder+"="+path("")+"/"+tt.dir)
		out, err := cmd.CombinedOutput()
		want := fmt.Sprintf("by root: %s\nin the end: %s, process of %s\n", tt.byRoot, tt.inTheEnd, u.Uid)
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%swant\n%s", name, err, out, want)
		}
	}
	if got := owner(path("precious")); got != "0" {
		t.Errorf("a folder of root's is of %s", got)
	}
}

func TestStartAsRoot(t *testing.T) {
	asRoot(t)
	for _, name := range []string{"", "root"} {
		conf := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(conf, fmt.Appendf(nil, "user = %q\n[[listener]]\nsocket = %q\nchain = []\n", name, "unix:"+conf+".sock"), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Start(t.Context(), Options{Stderr: io.Discard, Load: func() (*config.Source, error) { return config.Load(conf) }})
		if !errors.Is(err, ErrRoot) {
			t.Errorf("user %q: %v, %v, want %v", name, d, err, ErrRoot)
		}
	}
}
