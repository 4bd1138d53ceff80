package daemon_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomilter/gomilter/mta"
)

// Where the disk is full, mail that needs it is deferred and the rest goes on; the
// daemon says that it is not ready, and when there is room again nothing needs to be
// done.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	for _, d := range []string{"state", "spool"} {
		if err := os.Mkdir(disk+"/"+d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, strings.ReplaceAll(`
log = { to = "DISK/log" }
kept = { dir = "DISK/state/kept" }
spool = { dir = "DISK/spool", memory = "16 KiB" }
http = { listen = "unix:DIR/http.sock" }
[[listener]]
socket = "unix:DIR/m.sock"
chain = ["attachments"]
[filter.attachments]
`, "DISK", disk))
	program := "MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=setup.exe\r\nContent-Transfer-Encoding: base64\r\n\r\nTVqQAAMA\r\n"
	large := "Subject: large\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 1000)
	plain := "Subject: plain\r\n\r\nbody\r\n"
	verdicts := func() string {
		var got []string
		for _, data := range []string{plain, large, program} {
			c := &mta.Client{Milters: []mta.Milter{{Address: "unix:" + r.path("m.sock")}}}
			res, err := c.Send(t.Context(), mta.Mail{From: "a@example.com", Rcpts: []string{"b@example.com"}, Data: []byte(data)})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%v/%d", res.Verdict, len(res.Edits)))
		}
		return strings.Join(got, " ")
	}
	if got := verdicts(); got != "accept/0 accept/0 accept/4" {
		t.Fatalf("with room: %s", got)
	}
	with := verdicts() // nothing is kept a second time

	fill, err := os.Create(disk + "/fill")
	if err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte{1}, 4096)
	for err == nil {
		_, err = fill.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if got := verdicts(); got != "accept/0 tempfail/0 tempfail/0" {
		t.Errorf("without room: %s", got)
	}
	// The answer of before may be good for ten seconds; it is asked here for the first time.
	s, err := r.ctl.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.NotReady, "\n"); !strings.Contains(got, "no space left") {
		t.Errorf("not ready: %q", got)
	}

	fill.Close()
	if err := os.Remove(fill.Name()); err != nil {
		t.Fatal(err)
	}
	if got := verdicts(); got != with {
		t.Errorf("with room again: %s, before %s", got, with)
	}
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(disk + "/log")
		if err == nil && strings.Count(string(b), "verdict=accept") == 10 {
			break // those of the time without room were kept in memory
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log has %d messages:\n%s", strings.Count(string(b), "msg=message"), b)
		}
	}
}
