//go:build peers && linux

package packaging_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A box is this machine with another disk over its own and a network of its own:
// what is installed or sent in it stays in it, and goes with it.
type box struct {
	t    *testing.T
	pid  string // of its first process
	dir  string // of its file systems, as its first process sees it
	base string // where this test finds its files
}

// boxScript makes the box, in the folder $1: all file systems of this machine, with
// what changes kept in memory. With $2 systemd is its first process, in control
// groups of its own. Its second half runs in the box.
const boxScript = `
set -e
if [ -n "$2" ]; then
	for root in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
		[ -e "$root/cgroup.procs" ] || continue
		mkdir "$root/$2"
		echo $$ >"$root/$2/cgroup.procs"
	done
	set -- "$1" "$2" --cgroup
fi
exec unshare --mount --net --pid --ipc --uts $3 --fork --kill-child sh -ec '
	mount --make-rprivate /
	mount -t tmpfs -o mode=755,size=1g tmpfs "$1"
	mkdir "$1/upper" "$1/work" "$1/root"
	mount -t overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" overlay "$1/root"
	cd "$1/root"
	mount -t proc proc proc
	mount --rbind /dev dev
	mount -t tmpfs -o mode=755 tmpfs run
	ip link set lo up
	if [ -z "$2" ]; then
		echo ready
		while read -r line; do :; done
		exit
	fi
	mount -t sysfs sysfs sys
	if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
		mount -t cgroup2 cgroup2 sys/fs/cgroup
	else
		mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
		mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
		mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
		[ ! -d /sys/fs/cgroup/unified ] || mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
	fi
	printf "[Unit]\nDescription=nothing but what is asked for\nDefaultDependencies=no\n" >etc/systemd/system/box.target
	echo ready
	exec chroot . env -i container=box PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=box.target --show-status=no
' sh "$1" "$2"
`

// newBox returns a box whose first process does nothing.
func newBox(t *testing.T) *box {
	t.Helper()
	b := startBox(t, "")
	b.base = filepath.Join("/proc", b.pid, "root", b.dir, "root")
	return b
}

// newSystemdBox returns a box that systemd runs.
func newSystemdBox(t *testing.T) *box {
	t.Helper()
	b := startBox(t, "gomilter-box-"+strconv.Itoa(os.Getpid()))
	b.base = filepath.Join("/proc", b.pid, "root") // which is changed by chroot
	waitFor(t, "systemd", func() bool {
		out, _ := b.try("systemctl", "is-system-running")
		return out == "running\n" || out == "degraded\n"
	})
	return b
}

func startBox(t *testing.T, cgroup string) *box {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root: it installs packages, in a place of its own")
	}
	dir, err := os.MkdirTemp("", "box")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", boxScript, "sh", dir, cgroup)
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
		if cgroup != "" {
			removeGroups(t, cgroup)
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

// removeGroups removes control groups once their processes have gone.
func removeGroups(t *testing.T, name string) {
	for _, root := range []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		top := filepath.Join(root, name)
		waitFor(t, "the end of "+top, func() bool {
			var dirs []string
			filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, path)
				}
				return nil
			})
			for _, d := range slices.Backward(dirs) {
				syscall.Rmdir(d) // again, where it is busy
			}
			return len(dirs) == 0
		})
	}
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
	return filepath.Join(b.base, name)
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
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone while we looked
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, upper)
		if d.IsDir() {
			if _, err := os.Stat("/" + name); err == nil {
				return nil
			}
		}
		if !d.IsDir() && strings.HasPrefix(name, "/var/spool/postfix/") {
			return nil // mail that Postfix is about to forget
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
