package metrics_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/daemon/metrics"
	"github.com/gomilter/gomilter/filter"
)

// A program with a server of its own counts what it does.
func ExampleNew() {
	var m *metrics.Metrics = metrics.New(metrics.Options{Version: "1.0", Ready: []func(context.Context) error{
		func(context.Context) error { return nil },
	}})
	m.Configure(map[string][]string{"mx": {"attachments"}})
	chain := &filter.Chain{Explain: func(e *filter.Explanation) { m.Observe("mx", e) }}
	srv := &milter.Server{New: chain.Hooks, Metrics: m.Listener("mx")}
	_ = srv // is to serve, and m.Handler() elsewhere

	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "gomilter_connections") {
			fmt.Print(line)
		}
	}
	// Output:
	// gomilter_connections{listener="mx"} 0
	// gomilter_connections_total{listener="mx"} 0
}
