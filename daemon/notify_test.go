package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomilter/gomilter/daemon"
)

// A manager stands for systemd: it hears what the daemon tells it.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newManager(t *testing.T) *manager {
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &manager{t, c}
}

// hears waits for a message with the line, and returns it whole.
func (m *manager) hears(line string) string {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 4096)
	var others []string
	for {
		n, err := m.conn.Read(buf)
		if err != nil {
			m.t.Fatalf("no %q, but %q: %v", line, others, err)
		}
		if got := string(buf[:n]); strings.Contains("\n"+got+"\n", "\n"+line+"\n") {
			return got
		} else {
			others = append(others, got)
		}
	}
}

func TestSystemdIsTold(t *testing.T) {
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "100000")
	r := start(t, refusing("red"))
	if got := m.hears("READY=1"); !strings.Contains(got, "STATUS=configuration 1, 1 listeners") {
		t.Errorf("told %q", got)
	}
	m.hears("WATCHDOG=1")
	m.hears("WATCHDOG=1")
	if _, err := r.ctl.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.hears("RELOADING=1"); !strings.Contains(got, "\nMONOTONIC_USEC=") {
		t.Errorf("told %q", got)
	}
	if got := m.hears("READY=1"); !strings.Contains(got, "configuration 2") {
		t.Errorf("told %q", got)
	}
	if err := r.ctl.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	m.hears("STOPPING=1")
}

// A socket that systemd opened is served, and goes on to be over reloads.
func TestSocketActivation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.sock")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	f, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	fd, err := syscall.Dup(int(f.Fd())) // stays open when programs are started, as systemd's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	f.Close()
	conf := func(word string) string {
		return strings.Replace(refusing(word), "unix:DIR/m.sock", fmt.Sprintf("fd://%d", fd), 1)
	}
	r := start(t, conf("red"))
	if got := send(t, r.connect("unix:"+path), "red"); got == "" {
		t.Error("red passes")
	}
	r.configure("limits = { headers = 7 }\n" + conf("blue"))
	if _, err := r.ctl.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := send(t, r.connect("unix:"+path), "blue"); got == "" {
		t.Error("blue passes")
	}

	// It can be given up and taken again.
	r.configure(strings.Replace(refusing("green"), "unix:DIR/m.sock", "inet:0@127.0.0.1", 1))
	if _, err := r.ctl.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.configure(conf("green"))
	if _, err := r.ctl.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := send(t, r.connect("unix:"+path), "green"); got == "" {
		t.Error("green passes")
	}
}

// A reload that names a descriptor which was not handed over is refused, and does the
// daemon no harm, whichever it is.
func TestDescriptorsThatAreNotHandedOver(t *testing.T) {
	r := start(t, refusing("red"))
	for fd := range 32 {
		r.configure(strings.Replace(refusing("blue"), "unix:DIR/m.sock", fmt.Sprintf("fd://%d", fd), 1))
		if _, err := r.ctl.Reload(t.Context()); !errors.Is(err, daemon.ErrRefused) {
			t.Errorf("fd://%d: %v", fd, err)
		}
	}
	if got := send(t, r.connect("unix:DIR/m.sock"), "red"); got == "" {
		t.Error("red passes")
	}
	if s := r.Status(t.Context()); s.Generation != 1 || len(s.NotReady) > 0 {
		t.Errorf("status %+v", s)
	}
}
