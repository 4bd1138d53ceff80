package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/daemon/logs"
)

// A logHandler passes records on to the log in force, which a reload may change.
type logHandler struct {
	to     *atomic.Pointer[logs.Log]
	derive []func(slog.Handler) slog.Handler // what With and WithGroup were given
}

func (h *logHandler) handler() slog.Handler {
	l := h.to.Load()
	if l == nil {
		return slog.Default().Handler()
	}
	to := l.Logger().Handler()
	for _, f := range h.derive {
		to = f(to)
	}
	return to
}

// Enabled implements [slog.Handler].
func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	if l := h.to.Load(); l != nil {
		return l.Logger().Handler().Enabled(ctx, level)
	}
	return true
}

// Handle implements [slog.Handler].
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.handler().Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

// WithGroup implements [slog.Handler].
func (h *logHandler) WithGroup(name string) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *logHandler) with(f func(slog.Handler) slog.Handler) slog.Handler {
	return &logHandler{h.to, append(h.derive[:len(h.derive):len(h.derive)], f)}
}

// openLog opens the log that a configuration wants.
func (d *Daemon) openLog(cfg *config.Config) (*logs.Log, error) {
	c := cfg.Log
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	o := logs.Options{To: c.To, Level: level, Tags: c.Tags, Evidence: c.Evidence, Mode: c.Mode, Stderr: d.o.Stderr}
	if c.Format == config.LogJSON {
		o.Format = logs.JSON
	}
	l, err := logs.Open(o)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return l, nil
}

// ReopenLog opens the file of the log anew, after it was rotated.
func (d *Daemon) ReopenLog() {
	if err := d.out.Load().Reopen(); err != nil {
		d.log.Error("the log cannot be opened anew", "err", err)
	}
}

// logGrace is how long a log that was replaced stays open, for those who hold it.
const logGrace = time.Second

// changeLog puts another log in force.
func (d *Daemon) changeLog(cfg *config.Config) error {
	next, err := d.openLog(cfg)
	if err != nil {
		return err
	}
	before := d.out.Swap(next)
	d.logs.Go(func() {
		time.Sleep(logGrace)
		before.Close()
		d.lostBefore.Add(before.Lost())
	})
	return nil
}

// logLost returns how many lines could not be written.
func (d *Daemon) logLost() uint64 { return d.lostBefore.Load() + d.out.Load().Lost() }
