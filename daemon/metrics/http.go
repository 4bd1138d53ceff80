package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves /metrics, /healthz, which answers 200 as long as the process
// lives, and /readyz, which answers 503 and the reasons, one a line, while it
// shall get no messages. It answers GET and HEAD.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 8, Timeout: 15 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if reasons := m.notReady(r.Context()); len(reasons) > 0 {
			answer(w, http.StatusServiceUnavailable, reasons...)
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	return mux
}

// answer writes lines of text.
func answer(w http.ResponseWriter, code int, lines ...string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	for _, line := range lines {
		io.WriteString(w, strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return ' '
		}, line)+"\n")
	}
}

// errNoAnswer is the reason of a check that has not returned.
var errNoAnswer = errors.New("a check of readiness does not return")

// notReady returns why the daemon takes no messages.
func (m *Metrics) notReady(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, m.limit)
	defer cancel()
	runs := make([]*run, len(m.ready))
	for i, c := range m.ready {
		runs[i] = c.start(m.limit)
	}
	var reasons []string
	for _, r := range runs {
		if err := r.wait(ctx); err != nil {
			reasons = append(reasons, err.Error())
		}
	}
	return reasons
}

// A check is one that says whether the daemon is ready. It runs once at a time,
// whoever asks.
type check struct {
	f func(context.Context) error

	mu      sync.Mutex
	running *run
}

// A run is a check that was started.
type run struct {
	done chan struct{}
	err  error // once done is closed
}

// start returns the run that is under way, or a new one.
func (c *check) start(limit time.Duration) *run {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != nil {
		return c.running
	}
	r := &run{done: make(chan struct{})}
	c.running = r
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("a check of readiness panicked: %v", p)
			}
			c.mu.Lock()
			c.running = nil
			c.mu.Unlock()
			close(r.done)
		}()
		r.err = c.f(ctx)
	}()
	return r
}

// wait returns what the check said, once it has.
func (r *run) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
	}
	select {
	case <-r.done: // both were
		return r.err
	default:
		return errNoAnswer
	}
}
