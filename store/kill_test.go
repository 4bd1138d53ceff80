//go:build unix && !aix && !solaris && !illumos

package store_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/gomilter/gomilter/store"
)

// The test binary is also the process that is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("STORE_TEST_VICTIM"); path != "" {
		fmt.Println(victim(path))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

const victimRounds = 12

// victim writes to a store as greylisting, a list and a queue do, and says which rounds are
// safe. It kills itself at the step that it was told.
func victim(path string) error {
	left, err := strconv.Atoi(os.Getenv("STORE_TEST_KILL"))
	if err != nil {
		return err
	}
	s, err := store.OpenFile(path, store.WithStep(store.FileOptions{Delay: time.Minute}, func(string) error {
		if left--; left == -1 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}))
	if err != nil {
		return err
	}
	ctx := context.Background()
	for round := range victimRounds {
		// The buffered writes go with the durable one that follows.
		_, err := store.Update(ctx, s, "grey", store.Buffered, func(it store.Item) (store.Item, error) {
			var n uint64
			if it.Value != nil {
				n = binary.BigEndian.Uint64(it.Value)
			}
			return store.Item{Value: append(binary.BigEndian.AppendUint64(nil, n+1), make([]byte, 16)...), Expires: time.Now().Add(time.Hour)}, nil
		})
		if err == nil {
			_, err = s.Increment(ctx, "demerits", 2, time.Now().Add(time.Hour), store.Buffered)
		}
		if err == nil && round >= 3 {
			err = s.Delete(ctx, fmt.Sprint("queue/", round-3), store.Buffered)
		}
		if err == nil {
			err = s.Put(ctx, store.Item{Key: fmt.Sprint("queue/", round), Value: bytes.Repeat([]byte{byte(round)}, 3000)}, store.Durable)
		}
		if err != nil {
			return err
		}
		fmt.Println("safe", round)
	}
	if err := s.Close(); err != nil {
		return err
	}
	return errors.New("ended")
}

// afterRounds is what the victim has written after some rounds.
func afterRounds(n int) map[string]string {
	want := make(map[string]string)
	if n > 0 {
		want["grey"] = string(append(binary.BigEndian.AppendUint64(nil, uint64(n)), make([]byte, 16)...))
		want["demerits"] = fmt.Sprint(2 * n)
	}
	for i := max(0, n-3); i < n; i++ {
		want[fmt.Sprint("queue/", i)] = strings.Repeat(string(rune(i)), 3000)
	}
	return want
}

// runVictim runs the victim until it ends. While it says what is safe, said is called.
func runVictim(t *testing.T, path string, kill int, said func(*exec.Cmd, int)) (safe int, ended bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), "STORE_TEST_VICTIM="+path, fmt.Sprint("STORE_TEST_KILL=", kill))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var n int
		switch _, err := fmt.Sscanf(lines.Text(), "safe %d", &n); {
		case err == nil:
			safe = n + 1
			said(c, safe)
		case lines.Text() == "ended":
			ended = true
		default:
			t.Errorf("the victim says %q", lines.Text())
		}
	}
	c.Wait()
	return safe, ended
}

// checkVictim checks that what was said to be safe is there, and no round in part.
func checkVictim(t *testing.T, path string, safe int) {
	t.Helper()
	s := openFile(t, path, store.FileOptions{})
	defer s.Close()
	got := all(t, s)
	for n := safe; n <= min(safe+1, victimRounds); n++ {
		if cmp.Equal(got, afterRounds(n)) {
			return
		}
	}
	t.Errorf("%d rounds are safe: %s", safe, cmp.Diff(afterRounds(safe), got))
	if left, err := filepath.Glob(path + "?*"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestKilledAtEveryStep kills a process at each step of each flush.
func TestKilledAtEveryStep(t *testing.T) {
	steps, most := 0, 0
	for ended := false; !ended; steps++ {
		path := newPath(t)
		var safe int
		safe, ended = runVictim(t, path, steps, func(*exec.Cmd, int) {})
		checkVictim(t, path, safe)
		most = max(most, safe)
	}
	if steps < 4*victimRounds || most != victimRounds {
		t.Errorf("%d steps, %d rounds", steps, most)
	}
}

// TestKilledAnywhere kills a process while it writes, at moments that nobody chose.
func TestKilledAnywhere(t *testing.T) {
	for after := range victimRounds {
		path := newPath(t)
		safe, _ := runVictim(t, path, 1_000_000, func(c *exec.Cmd, safe int) {
			if safe == after {
				c.Process.Kill()
			}
		})
		checkVictim(t, path, safe)
	}
}
