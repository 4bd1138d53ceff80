package headers

import (
	"strings"
	"testing"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNameOfAField(t *testing.T) {
	for _, tt := range []struct {
		name, rule string
		match      bool
		editable   bool
	}{
		{"Subject", "subject", true, true},
		{"Subject \t", "subject", true, false}, // RFC 5322 section 4.5
		{"Sub ject", "sub*", true, false},
		{"X-\xff", "x-?", true, false},
		{"X-\xff", "x-\u00ff", false, false},
		{" Subject", "subject", false, false},
		{strings.Repeat("x", 996), "x*", true, true},
		{strings.Repeat("x", 997), "x*", true, false},
	} {
		c := &rule{Rule: Rule{Fields: []string{tt.rule}}}
		c.fields = []namePattern{newNamePattern(tt.rule)}
		f := newField(message.NewField(tt.name, " x", "\r\n"), 1)
		if got := c.names(f); got != tt.match {
			t.Errorf("%q names %q: %v, want %v", tt.rule, tt.name, got, tt.match)
		}
		if err := judgeName(f.now.Name()); (err == nil) != tt.editable {
			t.Errorf("%q can be edited: %v, want %v", tt.name, err, tt.editable)
		}
	}
}

func TestCharsets(t *testing.T) {
	for in, want := range map[string][]string{
		"":                    nil,
		"=?":                  nil,
		"=?utf-8?q?x?=":       {"utf-8"},
		"a=?UTF-8*en?B??=b":   {"utf-8"},
		"=?a?q?x?= =?b?Q?y?=": {"a", "b"},
		"=?a?x?y?=":           nil,
		"=?a?q?":              nil,
		"=?a?q?x":             nil,
		"=? a?q?x?=":          nil,
		"=??q?x?=":            nil,
		"=?=?a?q?x?=":         {"a"},
		"=?" + strings.Repeat("a", 80) + "?q?x?=": {strings.Repeat("a", 80)},
		"=?" + strings.Repeat("a", 81) + "?q?x?=": nil,
	} {
		if diff := cmp.Diff(want, charsets([]byte(in))); diff != "" {
			t.Errorf("charsets of %q (-want +got):\n%s", in, diff)
		}
	}
}

// Text in which no charset is found holds no encoded word that clients decode.
func TestCharsetsMissNoWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"=?", "?=", "?", "a", "utf-8", "*", "q", "B", " ", "=", "x", "?q?", strings.Repeat("l", 79)})).Draw(t, "pieces"), "")
		if got := message.DecodeWords(s); len(charsets([]byte(s))) == 0 && got != s {
			t.Errorf("%q has no charset and is decoded as %q", s, got)
		}
	})
}

func TestFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		if strings.ToValidUTF8(s, "") == s && (fold(strings.ToLower(s)) != fold(s) && strings.EqualFold(strings.ToLower(s), s)) {
			t.Errorf("%q and its lower case differ: %q, %q", s, fold(s), fold(strings.ToLower(s)))
		}
		if fold(fold(s)) != fold(s) {
			t.Errorf("fold of %q is not its own", s)
		}
	})
	for _, same := range [][2]string{{"STRASSE", "strasse"}, {"Σ", "ς"}, {"K", "\u212a"}, {"\xffA", "\xffa"}, {"É", "é"}} {
		if fold(same[0]) != fold(same[1]) {
			t.Errorf("%q and %q differ", same[0], same[1])
		}
	}
	if fold("\xff") == fold("\xfe") || fold("\xff") == fold("\ufffd") {
		t.Error("bytes that are no UTF-8 are taken for each other")
	}
}

// A value that is written can be sent, and is read as the text that it was made of.
func TestWrittenValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.SampledFrom([]string{"a", "=?utf-8?q?x?=", "ü", "\xff", "=?", strings.Repeat("w", 70), strings.Repeat("w", 1200), strings.Repeat("é", 600), "\n", "\r\nX: y", "\x00"}), rapid.String())
		text := strings.Join(rapid.SliceOf(word).Draw(t, "words"), " ")
		name := strings.Repeat("n", rapid.SampledFrom([]int{1, 20, 80, 200, 990, 996}).Draw(t, "name"))
		for kind, value := range map[string]string{
			"decoded": decodedValue(name, text), "raw": rawValue(name, text),
			"tagged": taggedValue(newField(message.NewField(name, text, "\r\n"), 1), "[tag]", 64<<10),
		} {
			if !fits(name, value) || !clean(value) {
				t.Fatalf("%s: %q becomes %q, which cannot be sent", kind, text, value)
			}
			read := message.NewField("n", " "+value, "\r\n").Decoded()
			if kind == "tagged" && !strings.HasPrefix(read, "[tag]") {
				t.Fatalf("tagged %q is read as %q", text, read)
			}
			want := strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\ufffd"), func(r rune) bool { return r == ' ' || isControl(r) }), " ")
			if got := strings.Join(strings.Fields(read), " "); kind == "decoded" && !strings.ContainsFunc(want, func(r rune) bool {
				return r != ' ' && r < 0x100 && r > 0x7e || r > 0x7e && strings.TrimSpace(string(r)) == ""
			}) && got != want {
				t.Fatalf("decoded %q is read as %q", want, got)
			}
		}
	})
}

// Fields are counted as MTAs count them: by the bytes of their names, ASCII
// letters in any case.
func TestCountsOfNames(t *testing.T) {
	var fields message.Header
	for _, name := range []string{"X-K", "X-\u212a", "x-k", "X-K ", "X-k"} {
		fields = append(fields, message.NewField(name, " v", "\r\n"))
	}
	s, err := newSet(nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, f := range newHeader(fields, s, filter.Path{}).fields {
		got = append(got, f.received)
	}
	if diff := cmp.Diff([]int{1, 1, 2, 1, 3}, got); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
}

// A tag before a value that fills a packet of the protocol leaves one that fits.
func TestTaggedValueFitsAPacket(t *testing.T) {
	for _, size := range []int{100, 59_000, 65_529} {
		value := strings.Repeat(strings.Repeat("word ", 180)+"\n ", size/902+1)[:size-1] + "x"
		f := newField(message.NewField("Subject", " "+value, "\r\n"), 1)
		got := taggedValue(f, "[tag]", 64<<10)
		if len(got) > 65_000 || !strings.HasPrefix(got, "[tag]") {
			t.Errorf("tagged value of %d bytes has %d", size, len(got))
		}
		if kept := strings.HasSuffix(got, value); kept != (size < maxKept) {
			t.Errorf("value of %d bytes is kept: %v", size, kept)
		}
	}
}
