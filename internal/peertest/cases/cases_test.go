package cases

import (
	"cmp"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/internal/peertest"
)

var show = flag.Bool("show", false, "print the outcome of each case")

// TestMain lets many tests run beside each other: they wait most of the time.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "12")
	}
	os.Exit(m.Run())
}

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
				t.Run(cmp.Or(name, "plain"), func(t *testing.T) {
					t.Parallel()
					each(t, list, func(t testing.TB) *Judge { return NewProfile(t, kind, name) }, func(t *testing.T, j *Judge, c *Case) {
						if c.profiled() {
							judge(t, j, c)
						}
					})
				})
			}
		})
	}
}

// each runs f for each case. They share what start returns and follow each other,
// but for those that wait for timeouts: each of these has its own.
func each[J any](t *testing.T, list []*Case, start func(testing.TB) J, f func(*testing.T, J, *Case)) {
	if setups[list[0].Setup].command > 0 {
		for _, c := range list {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				f(t, start(t), c)
			})
		}
		return
	}
	shared := start(t)
	for _, c := range list {
		t.Run(c.Name, func(t *testing.T) { f(t, shared, c) })
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
		t.Errorf("%s: %s: %v\n%s", c, j, err, out)
	}
	if *show {
		t.Logf("%s on %s\n%s", c.Name, j, out)
	}
	for _, d := range c.Check(string(j.Kind), out, j.mta == nil) {
		t.Errorf("%s: %s: %s", c, j, d)
	}
	return out
}

// TestDifferencesAreDocumented compares the ids in the cases with those in
// docs/mta-differences.md, and the cases that it names with those there are.
func TestDifferencesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/mta-differences.md")
	if err != nil {
		t.Fatal(err)
	}
	shows := make(map[string][]string) // ids by case
	used := make(map[string]string)    // places by id
	for _, c := range load(t) {
		ids := slices.Clone(c.Shows)
		for _, e := range c.Excuses {
			ids = append(ids, e.ID)
		}
		shows[c.Name] = ids
		for _, id := range ids {
			used[id] = c.Place
		}
		differs := slices.ContainsFunc(c.Wants, func(w Want) bool { return w.MTA != "" })
		if differs && len(c.Shows) == 0 && c.applies("sendmail") && c.applies("postfix") {
			t.Errorf("%s: the MTAs differ, and no id of a difference is given", c)
		}
	}
	documented := make(map[string]bool)
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		m := regexp.MustCompile("(?s)^`(.+?)`\n.*\nShown by: (.*?)\\.\n").FindStringSubmatch(section)
		if m == nil {
			t.Errorf("docs/mta-differences.md: a section names no id, or no case that shows it:\n%s", section)
			continue
		}
		id := m[1]
		if documented[id] {
			t.Errorf("docs/mta-differences.md has %q twice", id)
		}
		documented[id] = true
		if used[id] == "" {
			t.Errorf("docs/mta-differences.md has %q, which no case shows", id)
		}
		for _, c := range regexp.MustCompile("`(.+?)`").FindAllStringSubmatch(m[2], -1) {
			if _, ok := shows[c[1]]; !ok {
				t.Errorf("docs/mta-differences.md: %s: there is no case %q", id, c[1])
			}
		}
	}
	for id, place := range used {
		if !documented[id] {
			t.Errorf("%s: %q is not in docs/mta-differences.md", place, id)
		}
	}
}
