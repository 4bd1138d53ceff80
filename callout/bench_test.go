package callout_test

import (
	"testing"

	"github.com/gomilter/gomilter/callout"
	"github.com/gomilter/gomilter/internal/smtpc/fakemx"
)

// What a call-out costs whose answer is known.
func BenchmarkAskCached(b *testing.B) {
	f := fakemx.New(b)
	f.Add(mx1, fakemx.Script{})
	c := newChecker(b, f, callout.Options{Local: true})
	c.Ask(b.Context(), "ann@one.example")
	b.ReportAllocs()
	for b.Loop() {
		if !c.Ask(b.Context(), "ann@one.example")[0].Cached {
			b.Fatal("not known")
		}
	}
}

// What one costs on loopback, with the random address.
func BenchmarkAsk(b *testing.B) {
	f := fakemx.New(b)
	f.Add(mx1, fakemx.Script{})
	c := newChecker(b, f, callout.Options{Local: true, PerDomain: 1 << 30, PerServer: 1 << 30, PerMinute: 1 << 30, Cache: brokenCache{}})
	for b.Loop() {
		if c.Ask(b.Context(), "ann@one.example")[0].Verdict != callout.Accepted {
			b.Fatal("not accepted")
		}
	}
}
