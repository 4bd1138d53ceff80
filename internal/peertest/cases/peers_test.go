//go:build peers

package cases

import (
	"cmp"
	"sync"
	"testing"

	"github.com/gomilter/gomilter/internal/peertest"
)

// TestCasesOnRealMTAs plays every case on the real MTAs, and compares what comes
// of it with what comes of it on package mta's profile. Cases of one setup share
// an MTA and follow each other; the setups run beside each other.
func TestCasesOnRealMTAs(t *testing.T) {
	all := load(t)
	var mu sync.Mutex
	played, needed := make(map[*Case]bool), make(map[Excuse]bool) // by case and key
	t.Cleanup(func() {
		for c := range played {
			for _, e := range c.Excuses {
				if !needed[Excuse{c.Name, e.Key}] {
					t.Errorf("%s: the excuse %s for %q is not needed", c, e.ID, e.Key)
				}
			}
		}
	})
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
					start := func(t testing.TB) [2]*Judge {
						return [2]*Judge{NewReal(t, kind, name), NewProfile(t, kind, name)}
					}
					each(t, list, start, func(t *testing.T, j [2]*Judge, c *Case) {
						real, profile := j[0], j[1]
						out := judge(t, real, c)
						if !c.profiled() || t.Failed() {
							return
						}
						want, err := profile.Play(t, c)
						if err != nil {
							t.Errorf("%s: %s: %v", c, profile, err)
						}
						diffs, excused := c.Diff(out, want)
						for _, d := range diffs {
							t.Errorf("%s: %s is not what %s is: %s", c, profile, real, d)
						}
						mu.Lock()
						defer mu.Unlock()
						if kind == peertest.Postfix || !c.applies(string(peertest.Postfix)) {
							played[c] = true // on both, that is
						}
						for _, key := range excused {
							needed[Excuse{c.Name, key}] = true
						}
					})
				})
			}
		})
	}
}
