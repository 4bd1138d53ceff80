//go:build unix

package doctor

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script makes a program of the shell's.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunReturnsOutput(t *testing.T) {
	out, err := machine{}.run(t.Context(), script(t, `echo "$1 $LC_ALL"; pwd`), []string{"a b"}, nil)
	if err != nil || string(out) != "a b C\n/\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestRunTellsWhatWentWrong(t *testing.T) {
	_, err := machine{}.run(t.Context(), script(t, "echo broken >&2; exit 3"), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "exit status 3: broken") {
		t.Errorf("%v", err)
	}
	if _, err = (machine{}).run(t.Context(), "/nonexistent/postconf", nil, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestRunIsBounded(t *testing.T) {
	out, err := machine{}.run(t.Context(), script(t, "exec yes"), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "says more than") || len(out) != maxOutput {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err = (machine{}).run(ctx, script(t, "exec sleep 60"), nil, nil); err == nil {
		t.Error("a program that hangs is waited for")
	}
}

func TestRunStopsWhenEnoughWasSaid(t *testing.T) {
	start := time.Now()
	out, err := machine{}.run(t.Context(), script(t, "echo enough; exec sleep 60"), nil, func(b []byte) bool { return bytes.Contains(b, []byte("enough")) })
	if err != nil || string(out) != "enough\n" || time.Since(start) > runTime/2 {
		t.Errorf("%q, %v after %v", out, err, time.Since(start))
	}
}

func TestReadFileIsBounded(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (machine{}).readFile(big); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a large file: %v", err)
	}
	if _, err := (machine{}).readFile(dir); err == nil {
		t.Error("a directory is read")
	}
	if b, err := (machine{}).readFile("/dev/zero"); err == nil {
		t.Errorf("a device is read: %d bytes", len(b))
	}
}

func TestMachineSeesRealThings(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{me.Username, me.Uid} {
		if a, err := (machine{}).account(name); err != nil || a.uid != os.Getuid() || len(a.groups) == 0 {
			t.Errorf("account(%q) = %+v, %v", name, a, err)
		}
	}
	if _, err := (machine{}).account("no such user"); err == nil {
		t.Error("a user that does not exist is found")
	}
	if gid, err := (machine{}).group(me.Gid); err != nil || gid != os.Getgid() {
		t.Errorf("group(%q) = %d, %v", me.Gid, gid, err)
	}
	sock := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	if err := (machine{}).dial(t.Context(), "unix", sock); err != nil {
		t.Errorf("dial: %v", err)
	}
	if n, err := (machine{}).lstat(sock); err != nil || n.mode&fs.ModeSocket == 0 || n.uid != os.Getuid() || n.links != 1 {
		t.Errorf("lstat: %+v, %v", n, err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	if err := (machine{}).dial(t.Context(), "unix", sock); !isRefused(err) {
		t.Errorf("dial to nobody: %v", err)
	}
}

func TestVisitsFollowLinks(t *testing.T) {
	h := newHost()
	link := func(path, target string) {
		h.nodes[path] = node{mode: fs.ModeSymlink | 0o777, links: 1}
		h.targets[path] = target
	}
	link("/var/run", "/run")
	if got := realPath(h, "/var/run/new/g.sock"); got != "/run/new/g.sock" {
		t.Errorf("realPath = %s", got)
	}
	link("/a", "b")
	link("/b", "a")
	link("/var/spool/postfix/out", "/gomilter") // in the chroot, that is
	for _, tt := range []struct{ root, path, want string }{
		{"/", "/var/run/gomilter/g.sock", "/ /var /run /run/gomilter /run/gomilter/g.sock"},
		{"/var/spool/postfix", "/var/spool/postfix/out/g.sock", "/var/spool/postfix /var/spool/postfix/gomilter /var/spool/postfix/gomilter/g.sock"},
		{"/", "/a/x", "error"},
		{"/run", "/var/x", "error"},
	} {
		list, err := visits(h, tt.root, tt.path)
		var got []string
		for _, v := range list {
			if v.path == "/run" && got[len(got)-1] == "/var" {
				got = append(got, v.path)
				continue
			}
			got = append(got, v.path)
		}
		if err != nil {
			got = []string{"error"}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("visits(%s, %s) = %s, %v; want %s", tt.root, tt.path, s, err, tt.want)
		}
	}
}

func TestNotEvenAnAnswer(t *testing.T) {
	ok := Filter{Listeners: listen(insideSocket)}
	for _, f := range []Filter{{}, {Listeners: listen("fd://3")}, {Listeners: listen("unix:rel/path")}, {Listeners: listen("bogus")}} {
		if _, err := Postfix(t.Context(), PostfixOptions{}, f); err == nil || !strings.HasPrefix(err.Error(), "doctor: ") {
			t.Errorf("Postfix, %+v: %v", f.Listeners, err)
		}
		if _, err := Sendmail(t.Context(), SendmailOptions{}, f); err == nil || !strings.HasPrefix(err.Error(), "doctor: ") {
			t.Errorf("Sendmail, %+v: %v", f.Listeners, err)
		}
	}
	if _, err := Postfix(t.Context(), PostfixOptions{Postconf: "/nonexistent/postconf"}, ok); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no postconf: %v", err)
	}
	if _, err := Postfix(t.Context(), PostfixOptions{Postconf: script(t, "echo hello")}, ok); err == nil || !strings.Contains(err.Error(), "mail_version") {
		t.Errorf("another postconf: %v", err)
	}
	if _, err := Sendmail(t.Context(), SendmailOptions{Sendmail: script(t, "echo postfix >&2; exit 1")}, ok); err == nil || !strings.Contains(err.Error(), "postfix") {
		t.Errorf("another sendmail that complains: %v", err)
	}
	if _, err := Sendmail(t.Context(), SendmailOptions{Sendmail: script(t, "echo hello")}, ok); err == nil || !strings.Contains(err.Error(), "not Sendmail") {
		t.Errorf("another sendmail: %v", err)
	}
	real := script(t, "echo 'Version 8.18.1'; echo ' Compiled with: MILTER NETUNIX'; exit 72")
	if _, err := Sendmail(t.Context(), SendmailOptions{Sendmail: real, CF: "/nonexistent/sendmail.cf"}, ok); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no sendmail.cf: %v", err)
	}
}
