package cases

import (
	"flag"
	"testing"

	"github.com/gomilter/gomilter/internal/peertest"
)

var show = flag.Bool("show", false, "print the outcome of each case")

// TestCasesOnProfiles plays every case that package mta can play, once as
// Sendmail and once as Postfix.
func TestCasesOnProfiles(t *testing.T) {
	all := load(t)
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			for name, s := range setups {
				list := of(all, kind, name)
				if len(list) == 0 || s.only != "" && s.only != string(kind) {
					continue
				}
				t.Run("setup "+name, func(t *testing.T) {
					t.Parallel()
					j := NewProfile(t, kind, name)
					for _, c := range list {
						if c.Only != "real" {
							t.Run(c.Name, func(t *testing.T) { judge(t, j, c) })
						}
					}
				})
			}
		})
	}
}

func load(t *testing.T) []*Case {
	t.Helper()
	all, err := Load("testdata/*.case")
	if err != nil {
		t.Fatal(err)
	}
	return all
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

// judge plays a case and compares what comes of it with what the case expects.
func judge(t *testing.T, j *Judge, c *Case) Outcome {
	t.Helper()
	out, err := j.Play(t, c)
	if err != nil {
		t.Errorf("%s: %s: %v\n%s", c.Place, j, err, out)
	}
	if *show {
		t.Logf("%s on %s\n%s", c.Name, j, out)
	}
	for _, d := range c.Check(string(j.Kind), out, j.mta == nil) {
		t.Errorf("%s: %s: %s", c.Place, j, d)
	}
	return out
}
