package headers

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A glob matches what the regular expression does that says the same.
func TestGlobIsARegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"*", "?", "a", "b", "ab", "ü", "."}), 1, 8).Draw(t, "pattern"), "")
		s := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "ü", "ab", ".", "\n", "\xff"})).Draw(t, "s"), "")
		re := regexp.MustCompile(`(?s)\A` + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern)) + `\z`)
		if got, want := newGlob(pattern).match(s), re.MatchString(s); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func TestGlobTakesBoundedTime(t *testing.T) {
	g := newGlob(strings.Repeat("*a", 50) + "*?b*c")
	start := time.Now()
	if g.match(strings.Repeat("a", 64<<10)) {
		t.Error("matches")
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
}
