package milter

import (
	"log/slog"
	"sync"
	"time"
)

// What peers can make the server log, and how often a second: of each kind of
// line, so that a flood of one does not hide another.
const maxWarnings = 10

// A warner writes lines that peers provoke, a few of each kind a second. The first
// one after some were left out says how many.
type warner struct {
	mu    sync.Mutex
	kinds map[string]*warnings
}

type warnings struct {
	since         time.Time
	written, kept int
}

func (w *warner) warn(log *slog.Logger, msg string, attrs ...any) {
	w.mu.Lock()
	if w.kinds == nil {
		w.kinds = make(map[string]*warnings)
	}
	k := w.kinds[msg]
	if k == nil {
		k = &warnings{}
		w.kinds[msg] = k
	}
	if now := time.Now(); now.Sub(k.since) >= time.Second {
		k.since, k.written = now, 0
	}
	if k.written == maxWarnings {
		k.kept++
		w.mu.Unlock()
		return
	}
	k.written++
	if k.kept > 0 {
		attrs = append(attrs, "left_out", k.kept)
		k.kept = 0
	}
	w.mu.Unlock()
	log.Warn(msg, attrs...)
}
