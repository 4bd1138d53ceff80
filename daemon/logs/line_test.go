package logs

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// newLine returns a Log that only makes lines.
func newLine(f Format) *Log { return &Log{format: f, maxLine: 8 << 10, maxValue: 1 << 10} }

var noTime time.Time

func TestTextOfValues(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   any
		want string
	}{
		{"plain", "a@example.com", `a@example.com`},
		{"backslash alone is plain", `a\b`, `a\b`},
		{"nothing", "", `""`},
		{"blank", "a b", `"a b"`},
		{"a field", "x verdict=accept", `"x verdict=accept"`},
		{"equals sign", "a=b", `"a=b"`},
		{"quote", `a" verdict=accept "`, `"a\" verdict=accept \""`},
		{"new line", "a\r\nNOQUEUE: x=y", `"a\r\nNOQUEUE: x=y"`},
		{"terminal", "\x1b[2J\x9b31m", `"\x1b[2J\x9b31m"`},
		{"C1 control as UTF-8", "\u009b31m", `"\u009b31m"`},
		{"NUL and DEL", "\x00\x7f", `"\x00\x7f"`},
		{"letters from left to right", "jürgen@пример.测试", `"jürgen@пример.测试"`},
		{"from right to left", "\u05d0\u05d1", `"\u05d0\u05d1"`},
		{"turned", "exe\u202egpj", `"exe\u202egpj"`},
		{"unseen", "a\u3164b\u200bc\ufeff", `"a\u3164b\u200bc\ufeff"`},
		{"micro sign", "time 500µs", `"time 500µs"`},
		{"joining", "e\u0301", `"e\u0301"`},
		{"separators", "a\u2028b\u0085", `"a\u2028b\u0085"`},
		{"no UTF-8", "a\xff\xc3", `"a\xff\xc3"`},
		{"beyond the first plane", "\U0001f600", `"\U0001f600"`},
		{"number", 42, `42`},
		{"fraction", 12.345, `12.345`},
		{"truth", true, `true`},
		{"duration", 1500 * time.Millisecond, `1.5s`},
		{"short duration", 12300 * time.Nanosecond, `"12.3µs"`},
		{"error", errors.New("no space left"), `"no space left"`},
		{"error that panics", (*badError)(nil), `<nil>`},
		{"list", []string{"a@x", "b@y"}, `a@x,b@y`},
		{"list of odd texts", []string{`"a,b"@x`, "c d", ""}, `"\"\\\"a,b\\\"@x\",c d,\"\""`},
		{"empty list", []string{}, `""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(newLine(Text).line(noTime, slog.LevelInfo, "m", []field{{"k", slog.AnyValue(tt.in)}}))
			if want := "level=INFO msg=m k=" + tt.want + "\n"; got != want {
				t.Errorf("line of %#v\n got %s\nwant %s", tt.in, got, want)
			}
		})
	}
}

type badError struct{ s string }

func (b *badError) Error() string { return b.s }

func TestLineStartsWithTheQueueID(t *testing.T) {
	for _, tt := range []struct{ name, queue, want string }{
		{"of Postfix", "4F2A1B3C", "4F2A1B3C: level=INFO msg=m a=b\n"},
		{"none", "", "NOQUEUE: level=INFO msg=m a=b\n"},
		{"one that is no id", "4F: x=y", "NOQUEUE: level=INFO msg=m queue=\"4F: x=y\" a=b\n"},
		{"one that says there is none", "NOQUEUE", "NOQUEUE: level=INFO msg=m queue=NOQUEUE a=b\n"},
		{"too long", strings.Repeat("A", 65), "NOQUEUE: level=INFO msg=m queue=" + strings.Repeat("A", 65) + " a=b\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(newLine(Text).line(noTime, slog.LevelInfo, "m", []field{{"queue", slog.StringValue(tt.queue)}, {"a", slog.StringValue("b")}}))
			if got != tt.want {
				t.Errorf("line of queue %q\n got %q\nwant %q", tt.queue, got, tt.want)
			}
		})
	}
}

func TestTimeAndLevelAreLeftOutWhereTheyAreTold(t *testing.T) {
	at := time.Date(2026, 11, 22, 16, 7, 0, 123456789, time.UTC)
	l := newLine(Text)
	for _, tt := range []struct {
		format Format
		headed bool
		want   string
	}{
		{Text, false, "time=2026-11-22T16:07:00.123Z level=WARN msg=m\n"},
		{Text, true, "msg=m\n"},
		{JSON, true, `{"time":"2026-11-22T16:07:00.123Z","level":"WARN","msg":"m"}` + "\n"},
	} {
		l.format, l.headed = tt.format, tt.headed
		if got := string(l.line(at, slog.LevelWarn, "m", nil)); got != tt.want {
			t.Errorf("%v, headed %v\n got %s\nwant %s", tt.format, tt.headed, got, tt.want)
		}
	}
}

func TestJSONOfValues(t *testing.T) {
	l := newLine(JSON)
	got := string(l.line(noTime, slog.LevelInfo, "m", []field{
		{"queue", slog.StringValue("")}, {"n", slog.IntValue(3)}, {"f", slog.Float64Value(0.5)}, {"b", slog.BoolValue(true)},
		{"s", slog.StringValue("a\"\\\n\x1b\u202eü\U0001f600")}, {"bad", slog.StringValue("a\xff")},
		{"list", slog.AnyValue([]string{"a", "b,c"})}, {"bads", slog.AnyValue([]string{"a", "\xff"})}, {"none", slog.AnyValue([]string{})},
	}))
	want := `{"level":"INFO","msg":"m","queue":"","n":3,"f":0.5,"b":true,"s":"a\"\\\n\u001b\u202eü\ud83d\ude00","bad_b64":"Yf8=",` +
		`"list":["a","b,c"],"bads_b64":["YQ==","/w=="],"none":[]}` + "\n"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestLongValuesAreCutAndNamed(t *testing.T) {
	long := strings.Repeat("x", 5000)
	var rcpts []string
	for i := range 500 {
		rcpts = append(rcpts, "user"+strconv.Itoa(i)+"@example.com")
	}
	fields := []field{{"from", slog.StringValue(long)}, {"rcpts", slog.AnyValue(rcpts)}, {"stack", slog.StringValue(long)}, {"ms", slog.IntValue(7)}}

	pairs, err := parseText(strings.TrimSuffix(string(newLine(Text).line(noTime, slog.LevelInfo, "m", fields)), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	get := func(key string) string {
		i := slices.IndexFunc(pairs, func(p pair) bool { return p.key == key })
		if i < 0 {
			t.Fatalf("no %s in %q", key, pairs)
		}
		return pairs[i].value
	}
	if got := get("from"); got != long[:1024] {
		t.Errorf("from has %d bytes, want 1024", len(got))
	}
	if got := get("stack"); got != long {
		t.Errorf("stack has %d bytes of %d", len(got), len(long))
	}
	list, err := parseList(get("rcpts"))
	if err != nil || len(list) < 40 || !slices.Equal(list, rcpts[:len(list)]) || len(get("rcpts")) > 1024 {
		t.Errorf("rcpts = %q, %v", list, err)
	}
	if get("ms") != "7" || get("cut") != "from,rcpts" || pairs[len(pairs)-1].key != "cut" {
		t.Errorf("ms, cut = %s, %s", get("ms"), get("cut"))
	}

	var obj struct {
		From, Stack string
		Rcpts, Cut  []string
	}
	if err := json.Unmarshal(newLine(JSON).line(noTime, slog.LevelInfo, "m", fields), &obj); err != nil {
		t.Fatal(err)
	}
	if obj.From != long[:1022] || obj.Stack != long || len(obj.Rcpts) < 40 || !slices.Equal(obj.Cut, []string{"from", "rcpts"}) {
		t.Errorf("from has %d bytes, stack %d, %d rcpts, cut = %q", len(obj.From), len(obj.Stack), len(obj.Rcpts), obj.Cut)
	}
}

func TestLinesAreBounded(t *testing.T) {
	for _, format := range []Format{Text, JSON} {
		for _, s := range []string{strings.Repeat("x", 900), strings.Repeat("\x00", 900), strings.Repeat("\U0001f600\"", 300)} {
			l := newLine(format)
			l.maxLine = 2048
			var fields []field
			for i := range 1000 {
				fields = append(fields, field{"key" + strconv.Itoa(i), slog.StringValue(s)})
				fields = append(fields, field{"list" + strconv.Itoa(i), slog.AnyValue([]string{s, s, s})})
			}
			got := l.line(time.Now(), slog.LevelInfo, s, fields)
			if len(got) > l.maxLine || !strings.Contains(string(got), "cut") {
				t.Errorf("%v: a line of %d bytes, at most %d wanted", format, len(got), l.maxLine)
			}
			if format == JSON && !json.Valid(got) {
				t.Errorf("not JSON: %s", got)
			}
			if _, err := parseText(strings.TrimSuffix(string(got), "\n")); format == Text && err != nil {
				t.Errorf("%v in %s", err, got)
			}
		}
	}
}

// checkShown fails where a line is not one, or holds what a terminal obeys.
func checkShown(t interface{ Errorf(string, ...any) }, line string) {
	body, ok := strings.CutSuffix(line, "\n")
	if !ok || strings.Contains(body, "\n") || !utf8.ValidString(body) {
		t.Errorf("not one line of UTF-8: %q", line)
	}
	for _, r := range body {
		if !unicode.IsPrint(r) || unicode.In(r, unicode.M, unicode.Bidi_Control, unicode.Hebrew, unicode.Arabic) {
			t.Errorf("%U in %q", r, line)
		}
	}
}

func FuzzTextParsesBack(f *testing.F) {
	f.Add("4F2A1B", "from", "a@example.com", "x", "", "b,c", "d")
	f.Add("", "a b", "x\ny=z", "ref", "\"", "", "\xff")
	f.Add("4F: ", "", "\u202e", "=", "\\", "\u3164", ",")
	f.Fuzz(func(t *testing.T, queue, key1, value1, key2, value2, one, two string) {
		l := newLine(Text)
		l.maxLine, l.maxValue = 1<<20, 1<<19
		got := string(l.line(noTime, slog.LevelInfo, value2, []field{{"queue", slog.StringValue(queue)}, {key1, slog.StringValue(value1)},
			{key2, slog.StringValue(value2)}, {"list", slog.AnyValue([]string{one, two})}}))
		checkShown(t, got)
		pairs, err := parseText(strings.TrimSuffix(got, "\n"))
		if err != nil {
			t.Fatalf("%v in %q", err, got)
		}
		if key1 == "queue" || key2 == "queue" || len(key1)+len(key2) > 200 { // no key of ours is as long
			return
		}
		list := pairs[len(pairs)-1].value
		want := []pair{{"queue", queue}, {"level", "INFO"}, {"msg", value2}}
		if queue != "" && !validQueueID(queue) {
			want[0].value = ""
			want = append(want, pair{"queue", queue})
		}
		want = append(want, pair{key1, value1}, pair{key2, value2}, pair{"list", list})
		if !slices.Equal(pairs, want) {
			t.Errorf("%q\n got %q\nwant %q", got, pairs, want)
		}
		if back, err := parseList(list); err != nil || !slices.Equal(back, []string{one, two}) {
			t.Errorf("list %q reads as %q, %v", list, back, err)
		}
	})
}

func FuzzJSONParsesBack(f *testing.F) {
	f.Add("4F2A1B", "a@example.com", "b,c", "d")
	f.Add("", "x\ny=z\x1b\u202e\U0001f600", "", "\xff")
	f.Fuzz(func(t *testing.T, queue, value, one, two string) {
		l := newLine(JSON)
		l.maxLine, l.maxValue = 1<<20, 1<<19
		got := string(l.line(noTime, slog.LevelInfo, "m", []field{{"queue", slog.StringValue(queue)}, {"v", slog.StringValue(value)}, {"list", slog.AnyValue([]string{one, two})}}))
		checkShown(t, got)
		var obj map[string]any
		if err := json.Unmarshal([]byte(got), &obj); err != nil {
			t.Fatalf("%v in %q", err, got)
		}
		back := func(key string) []string {
			text := func(v any) string { return v.(string) }
			v, ok := obj[key]
			if !ok {
				v, ok = obj[key+"_b64"]
				text = func(v any) string {
					b, err := base64.StdEncoding.DecodeString(v.(string))
					if err != nil {
						t.Fatal(err)
					}
					return string(b)
				}
			}
			switch v := v.(type) {
			case string:
				return []string{text(v)}
			case []any:
				var out []string
				for _, x := range v {
					out = append(out, text(x))
				}
				return out
			}
			t.Fatalf("no %s in %s", key, got)
			return nil
		}
		if !slices.Equal(back("queue"), []string{queue}) || !slices.Equal(back("v"), []string{value}) || !slices.Equal(back("list"), []string{one, two}) || len(obj) != 5 {
			t.Errorf("%q reads as %v", got, obj)
		}
	})
}

// However little room there is, lines stay whole and say what they lack.
func TestCutLinesParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := newLine(Text)
		text.maxLine, text.maxValue = rapid.IntRange(minLine, 3000).Draw(t, "line"), rapid.IntRange(minValue, 3000).Draw(t, "value")
		values := rapid.SliceOfN(rapid.StringN(-1, -1, 2000), 0, 12).Draw(t, "values")
		fields := []field{{"queue", slog.StringValue("4F")}, {"list", slog.AnyValue(values)}}
		for i, v := range values {
			fields = append(fields, field{"k" + strconv.Itoa(i), slog.StringValue(v)})
		}
		got := string(text.line(noTime, slog.LevelInfo, "m", fields))
		checkShown(t, got)
		if len(got) > text.maxLine {
			t.Errorf("%d bytes, limit %d", len(got), text.maxLine)
		}
		pairs, err := parseText(strings.TrimSuffix(got, "\n"))
		if err != nil {
			t.Fatalf("%v in %q", err, got)
		}
		have := map[string]string{}
		for _, p := range pairs {
			have[p.key] = p.value
		}
		cut, err := parseList(have["cut"])
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			key := "k" + strconv.Itoa(i)
			if back, ok := have[key]; !strings.HasPrefix(v, back) || (!ok || back != v) != slices.Contains(cut, key) {
				t.Errorf("%s = %q of %q, cut %q", key, back, v, cut)
			}
		}
		list, err := parseList(have["list"])
		if err != nil {
			t.Fatalf("%v in %q", err, have["list"])
		}
		if whole := cmp.Equal(list, values) || len(values) == 0; whole == slices.Contains(cut, "list") {
			t.Errorf("list %q of %q, cut %q", list, values, cut)
		}

		object := newLine(JSON)
		object.maxLine, object.maxValue = text.maxLine, text.maxValue
		if got := object.line(noTime, slog.LevelInfo, "m", fields); !json.Valid(got) || len(got) > object.maxLine {
			t.Errorf("%d bytes, limit %d: %s", len(got), object.maxLine, got)
		}
	})
}
