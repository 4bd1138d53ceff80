package message

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// show writes fields as name=value pairs, values as a filter sees them.
func show(h Header) string {
	var s []string
	for _, f := range h {
		s = append(s, fmt.Sprintf("%s=%q", f.Name(), f.Text(false)))
	}
	return strings.Join(s, " ")
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, in, header, brk, body string }{
		{"plain", "A: b\r\nC: d\r\n\r\nbody\r\n", `A="b" C="d"`, "\r\n", "body\r\n"},
		{"nothing", "", "", "", ""},
		{"header only", "A: b\r\n", `A="b"`, "", ""},
		{"header broken off", "A: b", `A="b"`, "", ""},
		{"header and empty body", "A: b\r\n\r\n", `A="b"`, "\r\n", ""},
		{"no header", "\r\nbody", "", "\r\n", "body"},
		{"line ends of LF", "A: b\n c\n\nbody\n", `A="b\n c"`, "\n", "body\n"},
		{"line ends of CR", "A: b\r c\rD: e\r\rbody\r", `A="b\n c" D="e"`, "\r", "body\r"},
		{"line ends of CR, broken off", "A: b\r c", `A="b\n c"`, "", ""},
		{"mixed line ends", "A: b\r\n c\nD: e\n\r\nbody", `A="b\n c" D="e"`, "\r\n", "body"},
		{"CR alone is a byte", "A: b\rC: d\r\n e\r f\r\n\r\n", `A="b\rC: d\n e\r f"`, "\r\n", ""},
		{"CR before CRLF", "A: b\r\r\n\r\n", `A="b\r"`, "\r\n", ""},
		{"no blank behind the colon", "A:b\r\n", `A="b"`, "", ""},
		{"two blanks behind the colon", "A:  b\r\n", `A=" b"`, "", ""},
		{"tab behind the colon", "A:\tb\r\n", `A="\tb"`, "", ""},
		{"blank before the colon", "A : b\r\nC\t:d\r\n", `A="b" C="d"`, "", ""},
		{"empty value", "A:\r\nB: \r\n", `A="" B=""`, "", ""},
		{"folded", "A: b\r\n\tc\r\n d\r\n", `A="b\n\tc\n d"`, "", ""},
		{"line of blanks continues", "A: b\r\n  \r\nC: d\r\n\r\n", `A="b\n  " C="d"`, "\r\n", ""},
		{"line without colon", "A: b\r\nno colon\r\nC: d\r\n\r\nbody", `A="b"`, "", "no colon\r\nC: d\r\n\r\nbody"},
		{"line that begins with a colon", ": b\r\n", "", "", ": b\r\n"},
		{"blank in the name", "A b: c\r\n", "", "", "A b: c\r\n"},
		{"first line continues nothing", " A: b\r\n", "", "", " A: b\r\n"},
		{"mbox separator", "From a@b Sun Jan  1 00:00:00 2023\r\nA: b\r\n", "", "", "From a@b Sun Jan  1 00:00:00 2023\r\nA: b\r\n"},
		{"bytes above ASCII in the value", "A: gr\xfc\xdfe\r\n", `A="gr\xfc\xdfe"`, "", ""},
		{"bytes above ASCII in the name", "\xc3\x84: b\r\n", "", "", "\xc3\x84: b\r\n"},
		{"NUL in name and value", "A: \x00\r\nB\x00: c\r\n", `A="\x00"`, "", "B\x00: c\r\n"},
		{"DEL in the name", "A\x7f: c\r\n", "", "", "A\x7f: c\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := Parse([]byte(tt.in))
			if got := show(m.Header); got != tt.header || string(m.Break) != tt.brk || string(m.Body) != tt.body {
				t.Errorf("Parse(%q) = %s, %q, %q, want %s, %q, %q", tt.in, got, m.Break, m.Body, tt.header, tt.brk, tt.body)
			}
			if got := string(m.Bytes()); got != tt.in {
				t.Errorf("Parse(%q) writes back %q", tt.in, got)
			}
		})
	}
}

func TestFieldAccessors(t *testing.T) {
	m := Parse([]byte("Subject :  a\r\n b\r\nsubject: c\r\nX: y"))
	f := m.Header[0]
	if f.Name() != "Subject" || string(f.Value()) != "  a\r\n b" || f.Text(true) != "  a\n b" || f.LineEnd() != "\r\n" || string(f.Raw()) != "Subject :  a\r\n b\r\n" {
		t.Errorf("field = name %q, value %q, text %q, line end %q, raw %q", f.Name(), f.Value(), f.Text(true), f.LineEnd(), f.Raw())
	}
	var at []int
	for i := range m.Header.All("SUBJECT") {
		at = append(at, i)
	}
	if !slices.Equal(at, []int{0, 1}) {
		t.Errorf("All(SUBJECT) walks %v, want 0 1", at)
	}
	if f, ok := m.Header.Get("x"); !ok || f.Text(false) != "y" || f.LineEnd() != "" {
		t.Errorf("Get(x) = %q, %v", f.Raw(), ok)
	}
	if f, ok := m.Header.Get("Subjec"); ok {
		t.Errorf("Get(Subjec) = %q", f.Raw())
	}
	for _, tt := range []struct{ a, b string }{{"@", "`"}, {"\xc3\x84", "\xc3\xa4"}, {"[", "{"}} {
		if NewField(tt.a, "", "").Is(tt.b) {
			t.Errorf("a field %q is %q", tt.a, tt.b)
		}
	}
}

func TestNewField(t *testing.T) {
	for _, tt := range []struct{ name, value, eol, want, text string }{
		{"A", " b", "\r\n", "A: b\r\n", " b"},
		{"A", " b\n\tc", "\r\n", "A: b\r\n\tc\r\n", " b\n\tc"},
		{"A", " b\n\tc", "\n", "A: b\n\tc\n", " b\n\tc"},
		{"A", " b\n\tc", "\r", "A: b\r\tc\r", " b\n\tc"},
		{"A", "b\r\n c", "\r\n", "A:b\r\r\n c\r\n", "b\r\n c"},
	} {
		f := NewField(tt.name, tt.value, tt.eol)
		if string(f.Raw()) != tt.want || f.Text(true) != tt.text || f.Name() != tt.name {
			t.Errorf("NewField(%q, %q, %q) = %q with text %q, want %q, %q", tt.name, tt.value, tt.eol, f.Raw(), f.Text(true), tt.want, tt.text)
		}
	}
}

func TestEditedHeaderIsWritten(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"field behind one that is broken off", "A: b", "A: b\r\nX: y\r\n"},
		{"line end of the message", "A: b\nC: d", "A: b\nC: d\nX: y\n"},
		{"no header", "\nbody", "X: y\n\nbody"},
		{"no header, CR", "\rbody", "X: y\r\rbody"},
		{"body without break", "A: b\r\nbody", "A: b\r\nX: y\r\nbody"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := Parse([]byte(tt.in))
			m.Header = append(m.Header, NewField("X", " y", m.LineEnd()))
			if got := string(m.Bytes()); got != tt.want {
				t.Errorf("%q with a field added = %q, want %q", tt.in, got, tt.want)
			}
			if got := len(m.Bytes()); got != m.Size() {
				t.Errorf("Size() = %d, written %d", m.Size(), got)
			}
		})
	}
}

// check holds what is true of every message.
func check(t interface{ Errorf(string, ...any) }, in []byte) {
	m := Parse(in)
	if out := m.Bytes(); !bytes.Equal(out, in) || len(out) != m.Size() {
		t.Errorf("Parse(%q) writes back %q, size %d", in, out, m.Size())
	}
	if e := m.LineEnd(); e != "\r\n" && e != "\n" && e != "\r" {
		t.Errorf("Parse(%q): line end %q", in, e)
	}
	for i, f := range m.Header {
		if f.Name() == "" || strings.ContainsAny(f.Name(), " \t\r\n:") {
			t.Errorf("Parse(%q): field name %q", in, f.Name())
		}
		if f.LineEnd() == "" && i < len(m.Header)-1 {
			t.Errorf("Parse(%q): field %d of %d has no line end", in, i+1, len(m.Header))
		}
		for line := range strings.SplitSeq(f.Text(true), "\n") {
			if len(line) > 0 && line[0] != ' ' && line[0] != '\t' && line != strings.Split(f.Text(true), "\n")[0] {
				t.Errorf("Parse(%q): field %q has a line that continues nothing", in, f.Raw())
			}
		}
		// A field written from its parts reads as the same field.
		if again := Parse(NewField(f.Name(), f.Text(true), "\r\n").Raw()); len(again.Header) != 1 || again.Header[0].Text(true) != f.Text(true) || !again.Header[0].Is(f.Name()) {
			t.Errorf("Parse(%q): field %q comes back as %s", in, f.Raw(), show(again.Header))
		}
	}
}

func TestParseProperties(t *testing.T) {
	piece := rapid.SampledFrom([]string{"A", "b", ":", " ", "\t", "\r", "\n", "\r\n", "\x00", "\xff", "From", "A: b\r\n", "\r\n\r\n"})
	rapid.Check(t, func(t *rapid.T) {
		check(t, []byte(strings.Join(rapid.SliceOfN(piece, 0, 30).Draw(t, "pieces"), "")))
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"A: b\r\n\r\nbody", "A: b\r c\rD:\r\r", "A : b\n\tc\n\n", " x", "A:\r\r\nB", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) { check(t, in) })
}

func BenchmarkParse(b *testing.B) {
	in := []byte(strings.Repeat("Received: from a (b [192.0.2.1])\r\n\tby c; Sun, 1 Jan 2023 00:00:00 +0000\r\n", 10) + "\r\n" + strings.Repeat("x", 10000))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		Parse(in)
	}
}
