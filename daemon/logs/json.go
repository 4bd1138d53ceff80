package logs

import (
	"encoding/base64"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// json writes a line that is an object.
func (l *Log) json(head, fields []field) ([]byte, cuts) {
	dst := append(make([]byte, 0, 512), '{')
	var cut cuts
	for _, f := range head {
		dst = l.jsonField(dst, f, &cut)
	}
	for _, f := range fields {
		dst = l.jsonField(dst, f, &cut)
	}
	if cut != nil {
		dst = append(dst, `,"cut":`...)
		dst, _ = appendJSONList(dst, cut.keys(), false, cutRoom-16)
	}
	return append(dst, "}\n"...), cut
}

func (l *Log) jsonField(dst []byte, f field, cut *cuts) []byte {
	before := len(dst)
	if before > 1 {
		dst = append(dst, ',')
	}
	list, isList := listOf(f.value)
	if n, ok := f.value.Any().(notes); ok && f.value.Kind() == slog.KindAny {
		list, isList = n, true
	}
	whole := 0
	var text string
	binary := slices.ContainsFunc(list, func(s string) bool { return !utf8.ValidString(s) })
	number := appendNumber(nil, f.value)
	if !isList && number == nil {
		text = valueText(f.value)
		binary = !utf8.ValidString(text)
	}
	key := f.key
	if binary {
		key += "_b64"
	}
	var over bool
	dst, over = appendJSON(dst, key, minLine)
	room := min(l.maxLine-cutRoom-len(dst)-1, l.maxValueOf(f.key))
	if over || room < max(minRoom, len(number)) {
		cut.add(f.key, 0)
		return dst[:before]
	}
	dst = append(dst, ':')
	switch {
	case isList:
		dst, whole = appendJSONList(dst, list, binary, room)
		over = whole < len(list)
	case number != nil:
		dst = append(dst, number...)
	case binary:
		dst, over = appendBase64(dst, text, room)
	default:
		dst, over = appendJSON(dst, text, room)
	}
	if over {
		cut.add(f.key, whole)
	}
	return dst
}

// appendNumber appends what JSON has another form for than a string.
func appendNumber(dst []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(dst, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(dst, v.Uint64(), 10)
	case slog.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case slog.KindFloat64:
		if f := v.Float64(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return strconv.AppendFloat(dst, f, 'g', -1, 64)
		}
	}
	return dst
}

// appendJSON appends a JSON string of at most limit bytes, and reports whether text
// was cut for it. Bytes that are no UTF-8 become U+FFFD.
func appendJSON(dst []byte, s string, limit int) (_ []byte, cut bool) {
	end := len(dst) + limit - 1
	dst = append(dst, '"')
	for _, r := range s {
		before := len(dst)
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r >= ' ' && r < 0x7f, readable(r):
			dst = utf8.AppendRune(dst, r)
		case r > 0xffff:
			r -= 0x10000
			dst = appendU(appendU(dst, 0xd800+r>>10), 0xdc00+r&0x3ff)
		default:
			dst = appendU(dst, r)
		}
		if len(dst) > end {
			dst, cut = dst[:before], true
			break
		}
	}
	return append(dst, '"'), cut
}

func appendU(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

func appendBase64(dst []byte, s string, limit int) (_ []byte, cut bool) {
	if most := (limit - 2) / 4 * 3; len(s) > most {
		s, cut = s[:most], true
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, []byte(s))
	return append(dst, '"'), cut
}

// appendJSONList appends an array of at most limit bytes, and returns how many
// elements are there whole. The first that is too long is cut, the others are left out.
func appendJSONList(dst []byte, list []string, binary bool, limit int) (_ []byte, whole int) {
	end := len(dst) + limit - 1
	dst = append(dst, '[')
	for i, s := range list {
		before := len(dst)
		if i > 0 {
			dst = append(dst, ',')
		}
		room := end - len(dst)
		if room < 2 {
			return append(dst[:before], ']'), whole
		}
		var over bool
		if binary {
			dst, over = appendBase64(dst, s, room)
		} else {
			dst, over = appendJSON(dst, s, room)
		}
		if over && i > 0 {
			dst = dst[:before]
		}
		if over {
			return append(dst, ']'), whole
		}
		whole++
	}
	return append(dst, ']'), whole
}
