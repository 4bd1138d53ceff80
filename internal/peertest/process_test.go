//go:build peers

package peertest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/peertest"
)

// child runs one test of this binary in a process of its own.
func child(t *testing.T, test string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(append(os.Environ(), "PEERTEST_CHILD=1"), env...)
	return cmd
}

func TestMissingPeersAreNamed(t *testing.T) {
	if os.Getenv("PEERTEST_CHILD") != "" {
		peertest.Start(t, peertest.Sendmail, peertest.Config{})
		return
	}
	out, err := child(t, t.Name(), "GOMILTER_PEERS=/nonexistent").CombinedOutput()
	if err == nil {
		t.Errorf("passes without the peers:\n%s", out)
	}
	for _, want := range []string{"/nonexistent/sendmail/usr/libexec/sendmail/sendmail", "make peers"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the failure does not name %s:\n%s", want, out)
		}
	}
}

func TestPeersDieWithTheTestBinary(t *testing.T) {
	if os.Getenv("PEERTEST_CHILD") != "" {
		for _, kind := range peertest.Kinds {
			fmt.Println("started", peertest.Start(t, kind, peertest.Config{}).Addr)
		}
		select {} // until killed
	}
	cmd := child(t, t.Name(), "TMPDIR="+peertest.Dir(t)) // its directories stay behind
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var clients []*peertest.Dialogue
	for lines := bufio.NewScanner(stdout); len(clients) < len(peertest.Kinds) && lines.Scan(); {
		if _, addr, ok := strings.Cut(lines.Text(), "started "); ok {
			clients = append(clients, peertest.Dial(t, addr))
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	if len(clients) < len(peertest.Kinds) {
		t.Fatalf("only %d MTAs were started", len(clients))
	}
	for _, c := range clients {
		c.Timeout = 20 * time.Second
		if r := c.Read(); !errors.Is(r.Err, io.EOF) && !errors.Is(r.Err, syscall.ECONNRESET) {
			t.Errorf("%q is still there: %v", c.Banner, r)
		}
	}
}
