package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gomilter/gomilter/internal/offline"
)

func TestTest(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/test",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // or each command takes a second
			// Scratch folders must be gone when a command ends.
			tmp := filepath.Join(env.WorkDir, "tmp")
			env.Setenv("TMPDIR", tmp)
			for _, name := range []string{"defang", "null"} {
				b, err := os.ReadFile("../../examples/" + name + ".toml")
				if err != nil {
					return err
				}
				conf := strings.NewReplacer("inet:8891@127.0.0.1", "unix:"+filepath.Join(env.WorkDir, "s.sock"),
					"user = \"gomilter\"", "state_dir = \"state\"\ncontrol = { socket = \"\" }", "listen = \"127.0.0.1:9109\"", "").Replace(string(b))
				if err := os.WriteFile(filepath.Join(env.WorkDir, name+".toml"), []byte(conf), 0o600); err != nil {
					return err
				}
			}
			return os.MkdirAll(tmp, 0o700)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":       cmdExits,
			"serving":     cmdServing,
			"scrub":       cmdScrub,
			"sameverdict": cmdSameVerdict,
			"tree":        cmdTree,
			"alone":       cmdAlone,
			"crlf":        cmdCRLF,
		},
	})
}

var varies = regexp.MustCompile(`[0-9.]+ ms|in [0-9.]+ s, [0-9]+/s|Reference:  \w+`)

// scrub FROM TO: copies a text without what differs from run to run.
func cmdScrub(ts *testscript.TestScript, neg bool, args []string) {
	text := varies.ReplaceAllStringFunc(ts.ReadFile(args[0]), func(s string) string {
		return regexp.MustCompile(`\w{20}|[0-9][0-9.]*`).ReplaceAllString(s, "N")
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// crlf FILE...: makes LF CRLF.
func cmdCRLF(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(strings.ReplaceAll(ts.ReadFile(name), "\n", "\r\n")), 0o600))
	}
}

// sameverdict MTA TEST: what gomilter mta --json printed, and what gomilter test --json
// did, are the same but for filters and what only the latter has.
func cmdSameVerdict(ts *testscript.TestScript, neg bool, args []string) {
	var got [2]map[string]any
	for i, name := range args {
		ts.Check(json.Unmarshal([]byte(regexp.MustCompile(`\(ref \w+\)`).ReplaceAllString(ts.ReadFile(name), "(ref)")), &got[i]))
		for _, key := range []string{"file", "filters", "class", "time"} {
			delete(got[i], key)
		}
	}
	if len(got[0]) != 7 {
		ts.Fatalf("%s has %d members", args[0], len(got[0]))
	}
	if d := cmp.Diff(got[0], got[1]); (d != "") != neg {
		ts.Fatalf("(-mta +test):\n%s", d)
	}
}

// tree FILE: writes what is in the folder, and what the files hold.
func cmdTree(ts *testscript.TestScript, neg bool, args []string) {
	var b bytes.Buffer
	root := ts.MkAbs(".")
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || strings.HasPrefix(d.Name(), "trace") || strings.HasPrefix(d.Name(), "tree") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %v", path, info.Mode())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %v %q", info.ModTime(), text)
		}
		b.WriteByte('\n')
		return nil
	}))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o600))
}

// alone TRACE: by what strace saw, no socket was used, and no file changed but below
// the folder for temporary files.
func cmdAlone(ts *testscript.TestScript, neg bool, args []string) {
	bad, seen := notAlone(ts.ReadFile(args[0]), ts.Getenv("TMPDIR"))
	if seen < 10 {
		ts.Fatalf("the trace has %d lines about files", seen)
	}
	if (len(bad) > 0) != neg {
		ts.Fatalf("not alone:\n%s", strings.Join(bad, "\n"))
	}
}

var (
	tracedCall = regexp.MustCompile(`^(?:\[pid +\d+\] |\d+ +)?(?:<\.\.\. )?(\w+)(\(.*| resumed.*)$`)
	fileChange = regexp.MustCompile(`O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE`)
	socketCall = regexp.MustCompile(`^(socket|socketpair|connect|bind|listen|accept4?|send\w*|recv\w*|getsockname|getpeername|[gs]etsockopt|shutdown)$`)
	changeCall = regexp.MustCompile(`^(open|openat|openat2|creat|mkdir\w*|mknod\w*|rmdir|unlink\w*|rename\w*|link\w*|symlink\w*|f?truncate|f?chmod\w*|f?chown\w*|lchown|utime\w*|[fl]?setxattr|[fl]?removexattr|mount|umount2?|pivot_root|chroot)$`)
	tracedPath = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"|<(/[^>]*)>`)
)

// notAlone returns the lines of a trace, made by strace -f -y, that tell of a socket or
// of a file outside of dir that may change, and how many lines tell of files.
func notAlone(trace, dir string) (bad []string, seen int) {
	for sc := bufio.NewScanner(strings.NewReader(trace)); sc.Scan(); {
		line := sc.Text()
		m := tracedCall.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch name := m[1]; {
		case socketCall.MatchString(name):
			bad = append(bad, line)
		case !changeCall.MatchString(name):
		case strings.HasPrefix(name, "open") && !fileChange.MatchString(line):
			seen++
		case strings.Contains(m[2], " resumed"): // its beginning was judged
		default:
			seen++
			for _, path := range changed(m[2]) {
				if path != "/dev/null" && !strings.HasPrefix(path, dir+"/") {
					bad = append(bad, line)
					break
				}
			}
		}
	}
	return bad, seen
}

// changed returns the paths that a call names, or else those of its descriptors.
func changed(call string) (paths []string) {
	args, _, _ := strings.Cut(call, ") = ")
	var folder string
	for _, m := range tracedPath.FindAllStringSubmatch(args, -1) {
		switch {
		case m[2] != "":
			folder = m[2]
		case strings.HasPrefix(m[1], "/"):
			paths = append(paths, filepath.Clean(m[1]))
		default:
			paths = append(paths, filepath.Join(folder, m[1]))
		}
	}
	if paths == nil {
		paths = []string{folder}
	}
	return paths
}

// The judge of traces knows what is wrong.
func TestNotAlone(t *testing.T) {
	for line, want := range map[string]bool{
		`12 openat(AT_FDCWD</w>, "/w/a.eml", O_RDONLY|O_CLOEXEC) = 3</w/a.eml>`:                        true,
		`12 openat(AT_FDCWD</w>, "a.eml", O_RDONLY|O_CLOEXEC) = 3</w/a.eml>`:                           true,
		`12 openat(AT_FDCWD</w>, "/w/tmp/x/y", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 3</w/tmp/x/y>`: true,
		`12 openat(7</w/tmp/x>, "y", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 3</w/tmp/x/y>`:         true,
		`12 unlinkat(7</w/tmp/x>, "y", 0) = 0`:                                                         true,
		`12 unlinkat(AT_FDCWD</w>, "/w/tmp/x", AT_REMOVEDIR) = 0`:                                      true,
		`12 renameat(7</w/tmp/x>, "y", 7</w/tmp/x>, "z") = 0`:                                          true,
		`12 newfstatat(AT_FDCWD</w>, "/etc/passwd", {...}, 0) = 0`:                                     true,
		`12 execve("/bin/gomilter", ["gomilter"], 0x7ffd /* 9 vars */) = 0`:                            true,
		`12 openat(AT_FDCWD</w>, "/dev/null", O_RDWR) = 3</dev/null>`:                                  true,
		`12 socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0) = 3`:                            false,
		`[pid 12] connect(3, {sa_family=AF_INET, sin_port=htons(53)}, 16) = 0`:                         false,
		`12 openat(AT_FDCWD</w>, "out.txt", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = 3</w/out.txt>`: false,
		`12 openat(AT_FDCWD</w>, "/w/out", O_WRONLY|O_CREAT|O_CLOEXEC, 0666 <unfinished ...>`:          false,
		`12 openat(7</w/tmp/x>, "/w/out", O_RDWR|O_CREAT, 0600) = 3</w/out>`:                           false,
		`12 mkdirat(AT_FDCWD</w>, "/var/lib/gomilter", 0750) = 0`:                                      false,
		`12 unlinkat(8</w>, "a.eml", 0) = 0`:                                                           false,
		`12 renameat(7</w/tmp/x>, "y", AT_FDCWD</w>, "/w/z") = 0`:                                      false,
		`12 renameat(7</w/tmp/x>, "y", 8</w>, "z") = 0`:                                                false,
		`12 fchmod(3</w/tmp/x/y>, 0600) = 0`:                                                           true,
		`12 fchmod(3</w/a.eml>, 0600) = 0`:                                                             false,
		`12 openat(AT_FDCWD</w>, "/w/tmp/../out", O_RDWR|O_CREAT, 0600) = 3</w/out>`:                   false,
		`12 <... openat resumed>) = 3</w/out>`:                                                         true,
		`12 utimensat(AT_FDCWD</w>, "/w/a.eml", NULL, 0) = 0`:                                          false,
		`12 fchmodat(AT_FDCWD</w>, "/w/a.eml", 0600) = 0`:                                              false,
	} {
		if bad, _ := notAlone(line, "/w/tmp"); (len(bad) == 0) != want {
			t.Errorf("alone is %v: %s", !want, line)
		}
	}
}

func TestTestBar(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.eml")
	if err := os.WriteFile(path, make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	var b testBar
	b.start(&out, offline.Find(offline.None, path))
	b.done(250)
	if got, want := b.line(2*time.Second), "[==========                              ]  25 %  1 message, 0/s"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	b.done(5000)
	if got, want := b.line(time.Second), "[========================================] 100 %  2 messages, 2/s"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	b.shown = true
	fmt.Fprint(&b, "a line\n")
	b.stop()
	b.stop()
	if got := out.String(); got != "\r\x1b[Ka line\n" { // it is no terminal: nothing is drawn
		t.Errorf("written %q", got)
	}
	b = testBar{}
	b.start(&out, offline.Find(offline.None, "-"))
	b.done(5)
	if got := b.line(time.Second); got != "1 message, 1/s" {
		t.Errorf("line of unknown length %q", got)
	}
}

// A pipe that is closed early ends the test, and no scratch folder stays.
func TestTestIntoClosedPipe(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(conf, []byte("[[listener]]\nsocket = \"unix:/x/s.sock\"\nchain = [\"html\"]\n[filter.html]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The test's program is gomilter when it is called so, see TestMain.
	if err := os.Symlink(exe, filepath.Join(dir, "gomilter")); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "gomilter"), "test", "-c", conf, "-")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(in, "From a\nSubject: 1\n\n\nFrom a\n")
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	out.Close()
	for err == nil { // until it has gone
		_, err = fmt.Fprint(in, "Subject: more\n\n\nFrom a\n")
	}
	in.Close()
	if cmd.Wait(); cmd.ProcessState.ExitCode() != exitCantCreate {
		t.Errorf("exit code %d, want %d: %s", cmd.ProcessState.ExitCode(), exitCantCreate, &errs)
	}
	if left, err := os.ReadDir(tmp); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
