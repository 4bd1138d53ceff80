package peertest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
