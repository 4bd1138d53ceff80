package peertest

import (
	"context"
	"maps"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// MilterTest runs a Lua script with OpenDKIM's miltertest, which plays the MTA,
// and returns what it printed. vars become global variables of the script. A
// script that fails fails the test; after a minute it has failed.
func MilterTest(t testing.TB, script string, vars map[string]string) string {
	t.Helper()
	need(t, "miltertest")
	args := []string{"-s", script}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		args = append(args, "-D", name+"="+vars[name])
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "miltertest", args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("peertest: miltertest %s: %v\n%s", script, err, out)
	}
	return string(out)
}
