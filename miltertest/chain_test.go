package miltertest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	mailfilter "github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

func onMessage(name string, f func() (milter.EndReply, error)) *mailfilter.Filter {
	return &mailfilter.Filter{Name: name, Message: func(context.Context, *mailfilter.Transaction, *mailfilter.Edits) (milter.EndReply, error) { return f() }}
}

func TestFailingFilterOfAChainFailsTheTest(t *testing.T) {
	bad := onMessage("bad", func() (milter.EndReply, error) { panic("oops\nand more") })
	silent := onMessage("silent", func() (milter.EndReply, error) { return nil, errors.New("no answer") })
	chain := &mailfilter.Chain{Steps: []mailfilter.Step{{Filter: bad, OnError: mailfilter.ErrorSkip}, {Filter: silent, Mode: mailfilter.Report}}}
	wantErrors(t, watch(func(t *fakeT) {
		miltertest.NewChain(t, chain).Send(t, miltertest.Mail{})
	}), "chain: filter: bad failed at end: hook panicked: oops", "chain: filter: silent failed at end: no answer")
	if chain.Log != nil || chain.OnFailure != nil {
		t.Errorf("the chain has a logger %v and is watched", chain.Log)
	}

	var told []string
	chain.OnFailure = func(f *mailfilter.Failure) { told = append(told, f.Filter) }
	var log strings.Builder
	chain.Log = slog.New(slog.NewTextHandler(&log, nil))
	c := miltertest.NewChain(t, chain)
	c.FaultsOK = true
	if res := c.Send(t, miltertest.Mail{}); res.Verdict != mta.Accept || len(told) != 2 || !strings.Contains(log.String(), "filter=bad") {
		t.Errorf("%v, told %q, logged %s", res.Verdict, told, log.String())
	}
}

func ExampleNewChain() {
	moved := &mailfilter.Filter{Name: "moved", Rcpt: func(_ context.Context, _ *mailfilter.Transaction, to mailfilter.Path) (milter.RcptReply, error) {
		if to.Domain == "old.example.com" {
			return milter.Reject(550, "5.1.6", "that domain has moved"), nil
		}
		return milter.Continue, nil
	}}
	t := exampleT()
	defer t.done()

	c := miltertest.NewChain(t, &mailfilter.Chain{Steps: []mailfilter.Step{{Filter: moved}}, NewRef: func() string { return "fixed" }})
	res := c.Send(t, miltertest.Mail{Rcpts: []string{"a@old.example.com", "b@example.com"}})
	fmt.Println(res.At(milter.StageRcpt)[0].Said(), res.Rcpts())
	// Output: 550 5.1.6 that domain has moved (ref fixed) [b@example.com]
}
