package peertest

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// Dir makes a directory for the files and sockets of one test, and removes it
// when the test ends. Unlike t.TempDir's it is open to other users, as Postfix
// needs to reach a filter's socket, and its name is short, as a socket's must be.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := makeDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("peertest: %v", err)
		}
	})
	return dir
}

func makeDir() (string, error) {
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		return "", fmt.Errorf("peertest: %w", err)
	}
	err = os.Chmod(dir, 0o755)
	for d := filepath.Dir(dir); err == nil; d = filepath.Dir(d) {
		var st fs.FileInfo
		if st, err = os.Stat(d); err == nil && st.Mode()&0o001 == 0 {
			err = fmt.Errorf("%s is closed to other users, and Postfix runs as one: set TMPDIR to an open directory", d)
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	if err != nil {
		return "", fmt.Errorf("peertest: %w", errors.Join(err, os.RemoveAll(dir)))
	}
	return dir, nil
}

// FreePort returns a TCP port nobody listens on, at 127.0.0.1 and at ::1, for
// programs that cannot be handed a listener or pick one themselves. No two calls
// in one process return the same; the numbers lie below those the kernel gives
// to outgoing connections, so that none of these takes one before the program.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

var ports struct {
	sync.Mutex
	given map[int]bool
}

func freePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	if ports.given == nil {
		ports.given = make(map[int]bool)
	}
	for range 200 {
		port := 20000 + rand.IntN(12000)
		if ports.given[port] || !vacant("127.0.0.1", port) || (haveIPv6() && !vacant("::1", port)) {
			continue
		}
		ports.given[port] = true
		return port, nil
	}
	return 0, errors.New("peertest: no free port between 20000 and 32000")
}

func vacant(host string, port int) bool {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err == nil {
		ln.Close()
	}
	return err == nil
}

var haveIPv6 = sync.OnceValue(func() bool { return vacant("::1", 0) })
