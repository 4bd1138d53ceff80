package scan

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestScoresAreShort(t *testing.T) {
	for _, tt := range []struct {
		score float64
		want  string
	}{
		{0, "0.0"}, {-1.25, "-1.2"}, {999_999, "999999.0"}, {1e6, "1e+06"}, {-1234567.5, "-1.23457e+06"},
		{1e308, "1e+308"}, {-math.MaxFloat64, "-1.79769e+308"}, {math.Inf(-1), "-Inf"}, {math.NaN(), "NaN"}, {math.SmallestNonzeroFloat64, "0.0"},
	} {
		if got := score(tt.score); got != tt.want {
			t.Errorf("score(%g) = %s, want %s", tt.score, got, tt.want)
		}
	}
}

// Why a scanner failed is no evidence, which logs may leave out with its double quotes;
// one that were left open would take the rest with it.
func TestFailuresAreNotQuoted(t *testing.T) {
	var e downError
	e.add("a:1", errors.New(`it says "x\"`))
	e.add("b:1", errors.New(strings.Repeat("x", 155)+` "cut here"`))
	if got := e.Error(); strings.Contains(got, `"`) || !strings.HasPrefix(got, `a:1: it says 'x\'; b:1: xxx`) || len(got) > 200 {
		t.Errorf("got %s", got)
	}
	for in, want := range map[string]string{
		"say \"x\"\r\n\x00\xff":  "'say 'x'????'",
		strings.Repeat("x", 300): "'" + strings.Repeat("x", 120) + "...'",
	} {
		if got := told(in, 120); got != want {
			t.Errorf("told(%q) = %s, want %s", in, got, want)
		}
	}
}
