package peertest

import (
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

//go:embed testdata/cfilter.c
var cfilterSource string

// CFilter starts a filter on libmilter, the reference, that does what actions
// say: see testdata/cfilter.c. An action is words with "|" between them, such as
//
//	accept|helo   reject|rcpt|bad@   reply|mail||554|5.7.1|one line|another
//	addheader|X-Name|value   replacebody|text   quarantine|why   noreply|header
//
// Its log has a line for each callback: the number of the connection, the stage
// and the arguments, as in "1 rcpt <a@example.net>". network is unix, inet or
// inet6; or it is the address to listen at, in libmilter's notation.
func CFilter(t testing.TB, network string, actions ...string) *Filter {
	t.Helper()
	need(t, "gcc", "/usr/include/libmilter/mfapi.h")
	binary, err := compileCFilter()
	if err != nil {
		t.Fatal(err)
	}
	spec := network
	if !strings.Contains(spec, ":") {
		spec = FreeSpec(t, network)
	}
	e, err := parseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	log := new(Lines)
	return startFilter(t, spec, exec.Command(binary, append([]string{e.libmilter()}, actions...)...), log, log, "ready")
}

// compileCFilter returns the program, which is kept beside the peers: under a
// name made from its source, so that a changed one is compiled anew.
var compileCFilter = sync.OnceValues(func() (string, error) {
	dir := installed("cache")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("peertest: %w", err)
	}
	binary := filepath.Join(dir, fmt.Sprintf("cfilter-%x", sha256.Sum256([]byte(cfilterSource)))[:40])
	if isFile(binary) {
		return binary, nil
	}
	// Another test binary may be at it too: each makes its own, the last one stays.
	f, err := os.CreateTemp(dir, "new")
	if err != nil {
		return "", fmt.Errorf("peertest: %w", err)
	}
	f.Close()
	defer os.Remove(f.Name())
	cmd := exec.Command("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-x", "c", "-", "-o", f.Name(), "-lmilter")
	cmd.Stdin = strings.NewReader(cfilterSource)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("peertest: compile the C filter: %w\n%s", err, out)
	}
	if err := errors.Join(os.Chmod(f.Name(), 0o755), os.Rename(f.Name(), binary)); err != nil {
		return "", fmt.Errorf("peertest: %w", err)
	}
	return binary, nil
})
