package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// Flags take the times that configurations take, whichever verb they are of.
func TestDurationsOfFlags(t *testing.T) {
	const h = time.Hour
	read := func(args ...string) (time.Duration, error) {
		var c struct {
			Wait time.Duration
			End  *time.Duration
			Long time.Duration `default:"1w"`
		}
		p, err := kong.New(&c, durations(), kong.Writers(io.Discard, io.Discard))
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Parse(args)
		if c.End != nil {
			c.Wait = *c.End
		}
		if err == nil && c.Long != 168*h {
			t.Errorf("the default is %v, want a week", c.Long)
		}
		return c.Wait, err
	}
	for in, want := range map[string]time.Duration{"300ms": 300 * time.Millisecond, "90m": 90 * time.Minute, "1.5h": 90 * time.Minute, "7d": 168 * h, "1w3d12h": 252 * h, "1d30m": 24*h + 30*time.Minute} {
		for _, flag := range []string{"--wait", "--end"} {
			if got, err := read(flag, in); err != nil || got != want {
				t.Errorf("%s %s is %v, %v; want %v", flag, in, got, err, want)
			}
		}
	}
	for _, in := range []string{"", "7", "d", "0", "0d", "-2h", "+2h", "1d-2h", "9999w", "2 h"} {
		got, err := read("--wait=" + in)
		if err == nil || !strings.Contains(err.Error(), "--wait") {
			t.Errorf("%q is %v, %v; want an error that names the flag", in, got, err)
		}
	}
}
