//go:build peers && linux

package packaging_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A box is this machine with another disk over its own and a network of its own:
// what is installed or sent in it stays in it, and goes with it.
type box struct {
	t   *testing.T
	pid string // of its first process
	dir string // of its file systems, as its first process sees it
}

// The file systems of a box: all of the machine's, with what changes kept in memory.
const boxScript = `
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755,size=1g tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" overlay "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs -o mode=755 tmpfs "$1/root/run"
ip link set lo up
echo ready
while read -r line; do :; done
`

func newBox(t *testing.T) *box {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root: it installs packages, in a place of its own")
	}
	dir, err := os.MkdirTemp("", "box")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "sh", "-c", boxScript, "sh", dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill() // which kills all in the box
		cmd.Wait()
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the box says %q, %v", line, err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return &box{t: t, pid: strings.TrimSpace(string(children)), dir: dir}
}

// command returns a command that runs in the box.
func (b *box) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", b.pid, "--mount", "--net", "--pid", "--ipc", "--uts",
		"chroot", b.dir + "/root"}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "HOME=/root"}
	return cmd
}

// try runs a command in the box and returns what it prints.
func (b *box) try(args ...string) (string, error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 50*time.Second)
	defer cancel()
	cmd := b.command(ctx, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // a daemon may keep the pipe
	err := cmd.Run()
	if ctx.Err() == nil && err == exec.ErrWaitDelay {
		err = nil
	}
	return out.String(), err
}

// run does the same with a command that must not fail.
func (b *box) run(args ...string) string {
	b.t.Helper()
	out, err := b.try(args...)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// path returns where this test finds a file of the box.
func (b *box) path(name string) string {
	return filepath.Join("/proc", b.pid, "root", b.dir, "root", name)
}

// read returns a file of the box.
func (b *box) read(name string) string {
	b.t.Helper()
	data, err := os.ReadFile(b.path(name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

// write writes one, keeping its owner and permissions if it is there.
func (b *box) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// copyIn puts a file of this machine into the box.
func (b *box) copyIn(from, to string) {
	b.t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(to, string(data))
}

// changed returns the files in the box that are not as on this machine, and the
// folders that this machine has not.
func (b *box) changed() []string {
	b.t.Helper()
	upper := filepath.Join("/proc", b.pid, "root", b.dir, "upper")
	list := []string{}
	err := filepath.WalkDir(upper, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, upper)
		if d.IsDir() {
			if _, err := os.Stat("/" + name); err == nil {
				return nil
			}
		}
		list = append(list, name)
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 15 s", what)
		}
	}
}
