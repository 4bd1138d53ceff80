package cases

import (
	"flag"
	"os"
	"regexp"
	"slices"
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
						if c.profiled() {
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

// TestDifferencesAreDocumented compares the ids in the cases with those in
// docs/mta-differences.md.
func TestDifferencesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/mta-differences.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^### `([^`]+)`").FindAllStringSubmatch(string(text), -1) {
		if documented[m[1]] {
			t.Errorf("docs/mta-differences.md has %q twice", m[1])
		}
		documented[m[1]] = true
	}
	used := make(map[string]bool)
	use := func(c *Case, id string) {
		used[id] = true
		if !documented[id] {
			t.Errorf("%s: %q is not in docs/mta-differences.md", c.Place, id)
		}
	}
	for _, c := range load(t) {
		for _, id := range c.Shows {
			use(c, id)
		}
		for _, e := range c.Excuses {
			use(c, e.ID)
		}
		differs := slices.ContainsFunc(c.Wants, func(w Want) bool { return w.MTA != "" })
		if differs && len(c.Shows) == 0 && c.applies("sendmail") && c.applies("postfix") {
			t.Errorf("%s: %s: the MTAs differ, and no id of a difference is given", c.Place, c.Name)
		}
	}
	for id := range documented {
		if !used[id] {
			t.Errorf("docs/mta-differences.md has %q, which no case shows", id)
		}
	}
}
