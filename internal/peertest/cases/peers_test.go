//go:build peers

package cases

import (
	"flag"
	"testing"

	"github.com/gomilter/gomilter/internal/peertest"
)

var show = flag.Bool("show", false, "print the outcome of each case")

// TestCasesOnRealMTAs plays every case on the real MTAs. Cases of one setup share
// an MTA and follow each other; the setups run beside each other.
func TestCasesOnRealMTAs(t *testing.T) {
	all, err := Load("testdata/*.case")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			for name, s := range setups {
				if s.only != "" && s.only != string(kind) {
					continue
				}
				t.Run("setup "+name, func(t *testing.T) {
					t.Parallel()
					list := of(all, kind, name)
					if len(list) == 0 {
						return
					}
					real := NewReal(t, kind, name)
					for _, c := range list {
						t.Run(c.Name, func(t *testing.T) { play(t, real, c) })
					}
				})
			}
		})
	}
}

// of returns the cases for an MTA in a setup.
func of(all []*Case, kind peertest.Kind, setup string) (out []*Case) {
	for _, c := range all {
		if c.Setup == setup && c.applies(string(kind)) {
			out = append(out, c)
		}
	}
	return out
}

func play(t *testing.T, j *Judge, c *Case) Outcome {
	out, err := j.Play(t, c)
	if err != nil {
		t.Errorf("%s: real %s: %v\n%s", c.Place, j.Kind, err, out)
	}
	if *show {
		t.Logf("%s\n%s", c.Name, out)
	}
	for _, d := range c.Check(string(j.Kind), out) {
		t.Errorf("%s: real %s: %s", c.Place, j.Kind, d)
	}
	return out
}
