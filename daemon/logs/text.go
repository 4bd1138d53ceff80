package logs

import "log/slog"

// text writes a line of text.
func (l *Log) text(head, fields []field) ([]byte, cuts) {
	dst := make([]byte, 0, 512)
	queue := queueOf(fields)
	if queue >= 0 {
		id := noQueue
		if s := valueText(fields[queue].value); validQueueID(s) {
			id = s
		} else if s != "" {
			queue = -1 // it is a field like any other
		}
		dst = append(append(dst, id...), ':')
	}
	var cut cuts
	for _, f := range head {
		dst = l.textField(dst, f, &cut)
	}
	for i, f := range fields {
		if i != queue {
			dst = l.textField(dst, f, &cut)
		}
	}
	if cut != nil {
		dst = append(dst, " cut="...)
		dst, _ = appendList(dst, cut.keys(), cutRoom-16)
	}
	return append(dst, '\n'), cut
}

func (l *Log) textField(dst []byte, f field, cut *cuts) []byte {
	before := len(dst)
	if before > 0 {
		dst = append(dst, ' ')
	}
	var over bool
	dst, over = appendValue(dst, f.key, minLine)
	room := min(l.maxLine-cutRoom-len(dst)-1, l.maxValueOf(f.key))
	if over || room < minRoom {
		cut.add(f.key, 0)
		return dst[:before]
	}
	dst = append(dst, '=')
	whole := 0
	if list, ok := listOf(f.value); ok {
		dst, whole = appendList(dst, list, room)
		over = whole < len(list)
	} else {
		dst, over = appendValue(dst, valueText(f.value), room)
	}
	if over {
		cut.add(f.key, whole)
	}
	return dst
}

// maxValueOf returns how long the value of a key may be: a stack is worth all that
// the line has left.
func (l *Log) maxValueOf(key string) int {
	if key == "stack" {
		return l.maxLine
	}
	return l.maxValue
}

// priority returns the number that syslog has for a level.
func priority(l slog.Level) byte {
	switch {
	case l >= slog.LevelError:
		return 3 // err
	case l >= slog.LevelWarn:
		return 4 // warning
	case l >= slog.LevelInfo:
		return 6 // info
	}
	return 7 // debug
}
