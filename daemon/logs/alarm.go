package logs

import (
	"cmp"
	"context"
	"log/slog"
	"time"
)

// An alarm says on standard error that the log cannot be written, and when it can
// again. It has a goroutine: a standard error that nobody reads holds up nothing
// else.
type alarm struct {
	interval time.Duration
	line     func(level slog.Level, msg string, err error) line

	// Of the writer's goroutine.
	announced bool      // that it cannot be written
	told      time.Time // when, the last time; zero for never

	next chan line
	done chan struct{} // closed when the goroutine has ended
}

// newAlarm returns an alarm, or nil where there is nobody to tell.
func (l *Log) newAlarm() *alarm {
	if l.o.To == "" || l.o.To == "stderr" {
		return nil
	}
	dest, journal, err := openStderr(l.o.Stderr)
	if err != nil {
		return nil // the daemon runs without standard error
	}
	form := &Log{format: l.format, maxValue: l.maxValue, maxLine: l.maxLine, headed: journal}
	a := &alarm{interval: cmp.Or(l.o.AlarmInterval, time.Minute), next: make(chan line, 1), done: make(chan struct{})}
	a.line = func(level slog.Level, msg string, err error) line {
		fields := []field{{"to", slog.StringValue(l.o.To)}}
		if err != nil {
			fields = append(fields, field{"err", slog.StringValue(err.Error())})
		}
		fields = append(fields, field{"waiting", slog.IntValue(l.Waiting())}, field{"lost", slog.Uint64Value(l.Lost())})
		return line{level, form.line(time.Now(), level, msg, fields)}
	}
	go a.run(dest)
	return a
}

// run writes lines until there are no more. What cannot be written is forgotten.
func (a *alarm) run(dest destination) {
	defer close(a.done)
	defer dest.close()
	for l := range a.next {
		if _, _, err := dest.write([]line{l}); err != nil {
			dest.(*stream).rest = nil // a piece of the line before is no use to the next
		}
	}
}

// tried is told how the last try to write went. One failure in each interval is told,
// the first at once, and that it went well after one that was told.
func (a *alarm) tried(err error) {
	switch {
	case a == nil:
	case err == nil && a.announced:
		a.announced = false
		a.tell(a.line(slog.LevelWarn, "the log is written again", nil))
	case err != nil && (a.told.IsZero() || time.Since(a.told) >= a.interval):
		a.announced, a.told = true, time.Now()
		a.tell(a.line(slog.LevelError, "the log cannot be written", err))
	}
}

// tell writes a line, unless the one before is still not written.
func (a *alarm) tell(l line) {
	select {
	case a.next <- l:
	default:
	}
}

// end says that no more tries come.
func (a *alarm) end() {
	if a != nil {
		close(a.next)
	}
}

// wait waits until all is told. A standard error that does not take it is left behind.
func (a *alarm) wait(ctx context.Context) {
	if a == nil {
		return
	}
	select {
	case <-a.done:
	case <-ctx.Done():
	}
}
