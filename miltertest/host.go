package miltertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/memconn"
)

const (
	// patience bounds the waits for a server to do what it was told.
	patience = 5 * time.Second
	// stopTimeout is the StopTimeout of servers that name none.
	stopTimeout = 2 * time.Second
)

// A host serves one filter until the test ends.
type host struct {
	name string
	srv  *milter.Server
	ln   *memconn.Listener
	log  *testLog       // for a server without a logger
	logs *slog.Logger   // the server's own, or nil
	next milter.Metrics // the server's own
	stop context.CancelFunc
	err  chan error // of Serve
	id   string

	mu        sync.Mutex
	faults    []string
	reasons   []reason // of faults that are about to be told
	abandoned bool     // a hook was
	closed    bool
}

var hosts atomic.Uint64

// serve starts a server. It lends the server a logger, its Metrics and a
// StopTimeout until close.
func serve(t testing.TB, name string, srv *milter.Server) *host {
	t.Helper()
	h := &host{name: name, srv: srv, ln: memconn.Listen(name), next: srv.Metrics, err: make(chan error, 1), id: strconv.FormatUint(hosts.Add(1), 10)}
	if before, ours := srv.Metrics.(*host); ours {
		if !before.closed {
			t.Fatalf("miltertest: %s is served by another Client; make a Server for each", name)
		}
		h.next, srv.Log = before.next, before.logs
	}
	h.logs = srv.Log
	srv.Metrics = h
	if srv.Log == nil {
		h.log = &testLog{t: t}
		srv.Log = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime})).With("filter", name)
	}
	srv.Log = slog.New(reasonHandler{srv.Log.Handler(), h})
	if srv.StopTimeout == 0 {
		srv.StopTimeout = stopTimeout
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	go pprof.Do(ctx, pprof.Labels(label, h.id), func(ctx context.Context) { h.err <- srv.Serve(ctx, h.ln) })
	return h
}

// close stops the server and tells what it leaves behind.
func (h *host) close(t testing.TB, background bool) {
	t.Helper()
	h.stop()
	late := time.NewTimer(h.srv.StopTimeout + patience)
	defer late.Stop()
	select {
	case err := <-h.err:
		if !errors.Is(err, milter.ErrServerClosed) {
			t.Errorf("miltertest: Serve of %s = %v", h.name, err)
		}
	case <-late.C:
		t.Errorf("miltertest: %s does not stop", h.name)
	}
	left := h.leaked()
	began := time.Now()
	for wait := time.Millisecond; left != nil && time.Since(began) < patience; wait *= 2 {
		time.Sleep(wait) // it may be on its way out
		left = h.leaked()
	}
	for _, stack := range left {
		if hook := strings.Contains(stack, "/gomilter.(*conn)."); hook || !background {
			t.Errorf("miltertest: %s has stopped and leaves a goroutine behind:\n%s", h.name, stack)
		}
	}
	if h.log != nil {
		h.log.close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if !h.abandoned { // nobody looks at these any more
		h.srv.Metrics, h.srv.Log = h.next, h.logs
	}
}

// label marks the goroutines of a server, and all that they start.
const label = "miltertest"

// leaked returns the stacks of the server's goroutines.
func (h *host) leaked() (stacks []string) {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return nil
	}
	mark := fmt.Sprintf("%q:%q", label, h.id)
	for stack := range strings.SplitSeq(b.String(), "\n\n") {
		labels, _, _ := strings.Cut(stack[strings.IndexByte(stack, '\n')+1:], "\n")
		if strings.HasPrefix(labels, "# labels:") && strings.Contains(labels, mark) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// takeFaults returns what hooks have done wrong since the last call.
func (h *host) takeFaults() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	faults := h.faults
	h.faults = nil
	return faults
}

// A host counts for its server: it has the hooks' faults told, and hands all on to
// the server's own Metrics.

func (h *host) Fault(st milter.Stage, kind string) {
	h.mu.Lock()
	fault := fmt.Sprintf("%s of the %v hook", kind, st)
	for i, r := range h.reasons {
		if r.stage == st && r.kind == kind {
			fault += ": " + r.text
			h.reasons = slices.Delete(h.reasons, i, i+1)
			break
		}
	}
	h.faults = append(h.faults, fault)
	h.abandoned = h.abandoned || kind != milter.FaultAnswer && kind != milter.FaultOffer
	h.mu.Unlock()
	if h.next != nil {
		h.next.Fault(st, kind)
	}
}

func (h *host) Connection(delta int) {
	if h.next != nil {
		h.next.Connection(delta)
	}
}

func (h *host) Verdict(st milter.Stage, verdict string, took time.Duration) {
	if h.next != nil {
		h.next.Verdict(st, verdict, took)
	}
}

func (h *host) Limit(name string) {
	if h.next != nil {
		h.next.Limit(name)
	}
}

// A reason is why a hook failed. The server logs it before it counts the fault.
type reason struct {
	stage milter.Stage
	kind  string
	text  string
}

// A reasonHandler hands the server's log on, and keeps the reasons of faults.
type reasonHandler struct {
	next slog.Handler
	h    *host
}

func (r reasonHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError || r.next.Enabled(ctx, l)
}

func (r reasonHandler) Handle(ctx context.Context, rec slog.Record) error {
	var why reason
	found := 0
	if rec.Level >= slog.LevelError {
		rec.Attrs(func(a slog.Attr) bool {
			switch v := a.Value.Any().(type) {
			case milter.Stage:
				why.stage = v
				found |= 1
			case string:
				if a.Key == "kind" {
					why.kind = v
					found |= 2
				}
			case error:
				why.text, _, _ = strings.Cut(v.Error(), "\n")
				found |= 4
			}
			return true
		})
	}
	if found == 7 {
		r.h.mu.Lock()
		r.h.reasons = append(r.h.reasons, why)
		r.h.mu.Unlock()
	}
	if !r.next.Enabled(ctx, rec.Level) {
		return nil
	}
	return r.next.Handle(ctx, rec)
}

func (r reasonHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return reasonHandler{r.next.WithAttrs(attrs), r.h}
}

func (r reasonHandler) WithGroup(name string) slog.Handler {
	return reasonHandler{r.next.WithGroup(name), r.h}
}

// A testLog writes a server's log to that of the test, as long as it runs.
type testLog struct {
	mu sync.Mutex
	t  testing.TB
}

func (l *testLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.t != nil {
		l.t.Output().Write(b)
	}
	return len(b), nil
}

func (l *testLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t = nil
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}
