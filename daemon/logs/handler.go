package logs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// A field is an attribute whose groups are in its key.
type field struct {
	key   string
	value slog.Value // resolved, no group
}

// A handler makes lines of records.
type handler struct {
	log    *Log
	fields []field // of With
	prefix string  // the groups that are open, each with a dot behind it
}

// Enabled implements [slog.Handler].
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.log.level.Level() }

// Handle implements [slog.Handler]. It returns no error: nobody could do anything
// about it.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	fields := make([]field, len(h.fields), len(h.fields)+r.NumAttrs())
	copy(fields, h.fields)
	r.Attrs(func(a slog.Attr) bool {
		fields = flatten(fields, h.prefix, a)
		return true
	})
	h.log.put(r.Time, r.Level, r.Message, fields)
	return nil
}

// put queues a line and returns what of its fields was cut.
func (l *Log) put(t time.Time, level slog.Level, msg string, fields []field) cuts {
	text, missing := l.lineOf(t, level, msg, fields)
	l.queue.put(line{level, text})
	return missing
}

// WithAttrs implements [slog.Handler].
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := *h
	out.fields = slices.Clone(h.fields)
	for _, a := range attrs {
		out.fields = flatten(out.fields, h.prefix, a)
	}
	return &out
}

// WithGroup implements [slog.Handler].
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	out := *h
	out.prefix += name + "."
	return &out
}

// flatten appends an attribute, and those of a group each with the group's key
// before its own.
func flatten(dst []field, prefix string, a slog.Attr) []field {
	v := a.Value.Resolve()
	if a.Key == "" && v.Equal(slog.Value{}) {
		return dst
	}
	if v.Kind() != slog.KindGroup {
		return append(dst, field{prefix + a.Key, v})
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, a := range v.Group() {
		dst = flatten(dst, prefix, a)
	}
	return dst
}

// timeLayout is RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// noQueue stands where a queue id would.
const noQueue = "NOQUEUE"

// validQueueID reports whether a queue id can begin a line as it is.
func validQueueID(id string) bool {
	if id == "" || len(id) > 64 || id == noQueue {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// line writes a record, with the newline.
func (l *Log) line(t time.Time, level slog.Level, msg string, fields []field) []byte {
	text, _ := l.lineOf(t, level, msg, fields)
	return text
}

// lineOf writes a record, with the newline, and returns what of its fields was cut.
func (l *Log) lineOf(t time.Time, level slog.Level, msg string, fields []field) ([]byte, cuts) {
	head := make([]field, 0, 3)
	if !t.IsZero() && (!l.headed || l.format == JSON) {
		head = append(head, field{"time", slog.StringValue(t.Format(timeLayout))})
	}
	if !l.headed || l.format == JSON {
		head = append(head, field{"level", slog.StringValue(level.String())})
	}
	head = append(head, field{"msg", slog.StringValue(msg)})
	if l.format == JSON {
		return l.json(head, fields)
	}
	return l.text(head, fields)
}

// queueOf returns the place of the queue id among the fields, or -1.
func queueOf(fields []field) int {
	return slices.IndexFunc(fields, func(f field) bool { return f.key == "queue" })
}

// valueText returns a value that is no list as text.
func valueText(v slog.Value) string {
	switch v.Kind() {
	case slog.KindString:
		return v.String()
	case slog.KindTime:
		return v.Time().Format(timeLayout)
	case slog.KindAny:
		return fmt.Sprintf("%+v", v.Any()) // which takes the Error and String methods, and their panics
	}
	return v.String()
}

// listOf returns a value that is a list of texts.
func listOf(v slog.Value) (list []string, ok bool) {
	if v.Kind() == slog.KindAny {
		list, ok = v.Any().([]string)
	}
	return list, ok
}

// Room in a line.
const (
	minLine  = 1024
	minValue = 32
	minRoom  = 32  // a value that has less is left out; each number has enough
	cutRoom  = 256 // for the last field
)

// cuts are what was cut or left out.
type cuts []shortened

type shortened struct {
	key   string
	whole int // elements of a list that are there
}

func (c *cuts) add(key string, whole int) {
	if len(*c) < cutRoom { // more have no room
		*c = append(*c, shortened{key, whole})
	}
}

// of returns how many elements of a list are there, if it was cut.
func (c cuts) of(key string) (whole int, ok bool) {
	i := slices.IndexFunc(c, func(s shortened) bool { return s.key == key })
	if i < 0 {
		return 0, false
	}
	return c[i].whole, true
}

func (c cuts) keys() []string {
	keys := make([]string, len(c))
	for i, x := range c {
		keys[i] = x.key
	}
	return keys
}
