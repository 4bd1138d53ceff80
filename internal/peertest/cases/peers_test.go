//go:build peers

package cases

import (
	"testing"

	"github.com/gomilter/gomilter/internal/peertest"
)

// TestCasesOnRealMTAs plays every case on the real MTAs, and compares what comes
// of it with what comes of it on package mta's profile. Cases of one setup share
// an MTA and follow each other; the setups run beside each other.
func TestCasesOnRealMTAs(t *testing.T) {
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
					real, profile := NewReal(t, kind, name), NewProfile(t, kind, name)
					for _, c := range list {
						t.Run(c.Name, func(t *testing.T) {
							out := judge(t, real, c)
							if !c.profiled() || t.Failed() {
								return
							}
							want, err := profile.Play(t, c)
							if err != nil {
								t.Errorf("%s: %s: %v", c.Place, profile, err)
							}
							for _, d := range c.Diff(out, want) {
								t.Errorf("%s: %s is not what %s is: %s", c.Place, profile, real, d)
							}
						})
					}
				})
			}
		})
	}
}
