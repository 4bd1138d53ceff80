package offline

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The rules are those that the real filters name.
func TestSummary(t *testing.T) {
	ts := tester(t, conf, Options{Workers: 2, MaxSize: 1000})
	var s Summary
	box := "From a\n" + exe + "\nFrom a\nSubject: FREE\n\nFrom a\nSubject: FREE\n\nFrom a\nSubject: tag; rule shouting on x: no\n\nFrom a\nSubject: x\nContent-Type: text/html\n\n<script>x</script>\n\n" +
		"From a\nSubject: x\n\n\nFrom a\n" + strings.Repeat("x", 2000) + "\n"
	if err := run(t, ts, Auto, box, func(r *Result) error { s.Add(r); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(s.Slowest) != maxSlowest || s.Slowest[0].Took < s.Slowest[4].Took || s.Slowest[4].Took <= 0 {
		t.Errorf("slowest %v", s.Slowest)
	}
	s.Slowest = nil
	want := Summary{Messages: 6, Unread: 1, Verdicts: map[string]int{"accept": 4, "reject": 2}, Changed: 3, Hits: map[Hit]int{
		{"headers", false, "reject", "shouting"}: 2,
		{"headers", false, "edits", "tagging"}:   1,
		{"attachments", false, "edits", "name"}:  1,
		{"html", false, "edits", ""}:             1,
	}}
	if d := cmp.Diff(want, s); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// In report mode the same is counted apart.
func TestSummaryOfReports(t *testing.T) {
	ts := tester(t, strings.Replace(conf, "[filter.headers]\n", "[filter.headers]\nmode = \"report\"\n", 1), Options{Workers: 1})
	var s Summary
	s.Add(one(t, ts, "Subject: FREE\n\n"))
	if n := s.Hits[Hit{"headers", true, "reject", "shouting"}]; n != 1 || s.Verdicts["accept"] != 1 || s.Changed != 0 {
		t.Errorf("%+v", s)
	}
}

func TestRules(t *testing.T) {
	for in, want := range map[string][]string{
		"": nil,
		`rule a b on Subject "x; rule c on Y \" z": reject; rule d: no Date: tag`:                                        {"a b", "d"},
		`"x; (y, z).exe": its name ends in .exe (name, replace); "y": it is damaged (damaged, tag); "z" (name, replace)`: {"name", "damaged"},
		"part 3: 1 of active content removed":                                                                            nil,
		"not asked; ":                                                                                                    nil,
	} {
		if d := cmp.Diff(want, rules(in)); d != "" {
			t.Errorf("%q (-want +got):\n%s", in, d)
		}
	}
}

// However many rules messages pretend to meet, the summary stays small.
func TestSummaryIsBounded(t *testing.T) {
	ts := tester(t, conf, Options{Workers: 1})
	r := one(t, ts, "Subject: FREE\n\n")
	var s Summary
	for i := range 3 * maxHits {
		r.Explanation.Filters[0].Why = "rule " + strings.Repeat("x", i) + " on x"
		s.Add(r)
	}
	if len(s.Hits) > maxHits+1 || s.Hits[Hit{"headers", false, "reject", ""}] < maxHits {
		t.Errorf("%d hits", len(s.Hits))
	}
}
