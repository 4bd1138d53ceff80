package miltertest

import (
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
)

// NewChain serves a chain of filters as New serves a filter. A filter of it that
// fails fails the test, whatever its OnError and its Mode, unless FaultsOK is set: an
// error, a panic, a hang, no reply. A chain without Log logs to the test. Both are given
// back when the test ends.
func NewChain(t testing.TB, chain *filter.Chain) *Client {
	t.Helper()
	log, told := chain.Log, chain.OnFailure
	t.Cleanup(func() { chain.Log, chain.OnFailure = log, told }) // after the server was stopped
	c := New(t, &milter.Server{Name: "chain", New: chain.Hooks, Log: log})
	h := c.hosts[0]
	chain.Log = h.srv.Log
	chain.OnFailure = func(f *filter.Failure) {
		h.failed(f)
		if told != nil {
			told(f)
		}
	}
	return c
}

// failed has the failure of a chain's filter told.
func (h *host) failed(f *filter.Failure) {
	text, _, _ := strings.Cut(f.Error(), "\n")
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, text)
}
