package logs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"sync/atomic"
	"time"
)

// A Format is how lines are written.
type Format uint8

// The formats.
const (
	Text Format = iota
	JSON
)

// String returns the format as in configurations.
func (f Format) String() string {
	if f == JSON {
		return "json"
	}
	return "text"
}

// Options say where a log goes and how it looks. The zero value is text on
// standard error.
type Options struct {
	// To is "stderr", "syslog" or the path of a file; "" means stderr.
	To     string
	Format Format
	Level  slog.Level // the least that is logged; see Log.SetLevel

	// Tags adds to the lines of Log.Message, as tag=, the word that pymilter's
	// application logged.
	Tags bool

	// Evidence adds to the lines of Log.Message what filters quote of the message,
	// such as the Subject that met a rule.
	Evidence bool

	Mode fs.FileMode // of a file that is made, less the umask; 0 means 0640

	MaxValue   int // bytes of a value as written; 0 means 1 KiB, the least is 32
	MaxLine    int // bytes of a line; 0 means 8 KiB, to syslog 2 KiB; the least is 1 KiB
	MaxRefused int // lines about refused recipients of one message, and as many for others that do not fit into its line; 0 means 1000
	MaxQueue   int // bytes of lines that wait to be written; 0 means 4 MiB

	RetryInterval time.Duration // between tries to write; 0 means a second
	AlarmInterval time.Duration // between lines on standard error about a log that cannot be written; 0 means a minute
	WriteTimeout  time.Duration // of one line to syslog; 0 means a second
	CloseTimeout  time.Duration // what Close and Reopen wait for the lines to be written; 0 means 2 seconds

	Syslog string    // the socket of syslogd; "" means /dev/log or where else the system has it
	Stderr io.Writer // in place of standard error, where a log elsewhere that cannot be written is told of, too; nil means os.Stderr
}

// A Log takes records and writes them. It is safe for concurrent use.
type Log struct {
	o        Options
	format   Format
	headed   bool // whoever gets the lines has the time and level of each
	maxValue int
	maxLine  int
	level    slog.LevelVar
	logger   *slog.Logger
	queue    queue
	writer   writer
	alarm    *alarm // nil for none
	closed   atomic.Bool
}

// ErrOptions is in the errors of Open about its Options.
var ErrOptions = errors.New("logs: options are not right")

// Open opens a log. Errors of a file name its path. That syslogd is not there is no
// error: lines wait for it as if it had gone later, see Err.
func Open(o Options) (*Log, error) {
	if o.MaxValue != 0 && o.MaxValue < minValue || o.MaxLine != 0 && o.MaxLine < minLine || o.Format > JSON || o.MaxRefused < 0 || o.MaxQueue < 0 ||
		o.RetryInterval < 0 || o.AlarmInterval < 0 || o.WriteTimeout < 0 || o.CloseTimeout < 0 {
		return nil, fmt.Errorf("%w: %+v", ErrOptions, o)
	}
	line := 8 << 10
	if o.To == "syslog" {
		line = 2 << 10
	}
	l := &Log{o: o, format: o.Format, maxValue: cmp.Or(o.MaxValue, 1<<10), maxLine: cmp.Or(o.MaxLine, line)}
	l.level.Set(o.Level)
	l.logger = slog.New(&handler{log: l})
	dest, headed, err := l.open()
	if err != nil {
		return nil, err
	}
	l.headed = headed
	l.queue.init(cmp.Or(o.MaxQueue, 4<<20))
	l.alarm = l.newAlarm()
	l.writer.alarm = l.alarm
	l.writer.start(&l.queue, dest, cmp.Or(o.RetryInterval, time.Second), l.gap)
	return l, nil
}

// open opens where the lines go. headed says that time and level are told there
// beside the text.
func (l *Log) open() (_ destination, headed bool, _ error) {
	switch l.o.To {
	case "", "stderr":
		return openStderr(l.o.Stderr)
	case "syslog":
		return openSyslog(l.o.Syslog, cmp.Or(l.o.WriteTimeout, time.Second)), true, nil
	}
	dest, err := openFile(l.o.To, cmp.Or(l.o.Mode, 0o640))
	return dest, false, err
}

// Logger returns the logger whose records are written.
func (l *Log) Logger() *slog.Logger { return l.logger }

// SetLevel sets the least that is logged from now on.
func (l *Log) SetLevel(level slog.Level) { l.level.Set(level) }

// Lost returns how many lines were not written and will not be.
func (l *Log) Lost() uint64 { return l.queue.lost.Load() }

// Waiting returns how many lines are not yet written.
func (l *Log) Waiting() int { return l.queue.waiting() }

// Err returns why the lines that wait could not be written at the last try, nil if
// it succeeded.
func (l *Log) Err() error { return l.writer.lastErr() }

// Reopen opens the file anew, after it was renamed by whoever rotates logs, or
// connects to syslogd anew. When it returns nil, nothing more is written to the old
// file; when it returns an error, the log goes on there.
func (l *Log) Reopen() error {
	if l.closed.Load() {
		return fs.ErrClosed
	}
	switch l.o.To {
	case "", "stderr":
		return nil
	}
	dest, _, err := l.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(l.o.CloseTimeout, 2*time.Second))
	defer cancel()
	return l.writer.change(ctx, dest)
}

// Close writes the lines that wait, for a limited time, and closes the log. What is
// logged later is lost. It returns an error when lines were lost by closing.
func (l *Log) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(l.o.CloseTimeout, 2*time.Second))
	defer cancel()
	err := l.writer.stop(ctx)
	l.alarm.wait(ctx)
	return err
}

// gap returns the line that says that lines are missing where it stands.
func (l *Log) gap(n uint64) line {
	level := slog.LevelWarn
	return line{level, l.line(time.Now(), level, "log lines lost", []field{{"lines", slog.Uint64Value(min(n, math.MaxInt64))}})}
}
