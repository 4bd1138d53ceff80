package filter_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
)

// A filter behind scanners sees what each of them said.
func ExampleScans() {
	tell := func(name string, s filter.Scanned) *filter.Filter {
		return &filter.Filter{Name: name, Message: func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
			filter.TellScanned(t, s)
			return milter.Continue, nil
		}}
	}
	hear := &filter.Filter{Name: "hear", Message: func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		scans, _ := filter.Told[filter.Scans](t)
		for _, s := range scans {
			fmt.Println(s.Scanner, s.Found, s.Names, s.Score)
		}
		return milter.Continue, nil
	}}
	chain := &filter.Chain{Explain: func(*filter.Explanation) {}, Steps: []filter.Step{
		{Filter: tell("viruses", filter.Scanned{Scanner: "clamd"})},
		{Filter: tell("spam", filter.Scanned{Scanner: "rspamd", Found: true, Names: []string{"URIBL_BLACK"}, Score: 7.5, Threshold: 6})},
		{Filter: hear},
	}}
	play(chain, "Subject: lunch\n\nAt noon?\n")
	// Output:
	// clamd false [] 0
	// rspamd true [URIBL_BLACK] 7.5
}

// A message has the facts of its own scanners only.
func TestScansAreOfOneMessage(t *testing.T) {
	var seen []int
	f := onMessage("scan", func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		filter.TellScanned(tr, filter.Scanned{Scanner: "clamd"})
		scans, _ := filter.Told[filter.Scans](tr)
		seen = append(seen, len(scans))
		return milter.Continue, nil
	})
	g := *f
	g.Name = "again"
	c := newChainTest(filter.Step{Filter: f}, filter.Step{Filter: &g})
	c.send(t)
	c.send(t)
	if fmt.Sprint(seen) != "[1 2 1 2]" {
		t.Errorf("facts were %v", seen)
	}
}

func ExampleTellScanned() {
	f := &filter.Filter{Name: "own scanner", Message: func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		filter.TellScanned(t, filter.Scanned{Filter: "own scanner", Scanner: "own", Found: true, Infected: true, Names: []string{"Worm"}})
		scans, ok := filter.Told[filter.Scans](t)
		fmt.Println(scans[0].Names, ok)
		return milter.Accept, nil
	}}
	play(&filter.Chain{Steps: []filter.Step{{Filter: f}}, Explain: func(*filter.Explanation) {}}, "\n")
	// Output: [Worm] true
}
