package message

import (
	"fmt"
	"mime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func showParams(media string, params []Param) string {
	s := []string{media}
	for _, p := range params {
		s = append(s, fmt.Sprintf("%s=%q", p.Attr, p.Value))
	}
	return strings.Join(s, " ")
}

func TestParseParams(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"type only", " text/plain", `text/plain`},
		{"nothing", "", ``},
		{"parameter", "text/plain; charset=utf-8", `text/plain charset="utf-8"`},
		{"quoted", `text/plain; name="a b.txt"`, `text/plain name="a b.txt"`},
		{"upper case", `TEXT/Plain; NAME="A"`, `text/plain name="A"`},
		{"blanks", "text / plain ; name = a ; x = \"y\"", `text/plain name="a" x="y"`},
		{"comment", "text/plain (hi; there); charset=utf-8 (no)", `text/plain charset="utf-8 (no)"`},
		{"escapes", `a/b; name="a\"b\\c"`, `a/b name="a\"b\\c"`},
		{"semicolon in quotes", `; boundary="----=_x"`, ` boundary="----=_x"`},
		{"entities in quotes", `; name="Jim&amp;amp;Girlz.jpg"`, ` name="Jim&amp;amp;Girlz.jpg"`},
		{"unquoted blank", "attachment; filename=evil file.exe; x=y", `attachment filename="evil file.exe" x="y"`},
		{"dangling semicolon", "a/b; name=x;", `a/b name="x"`},
		{"many semicolons", "a/b;;; name=x;;", `a/b name="x"`},
		{"no semicolon", `a/b name="x" charset=y`, `a/b name="x" charset="y"`},
		{"no semicolon between", `a/b; charset="y" name=x.exe`, `a/b charset="y" name="x.exe"`},
		{"no semicolon behind a token", `a/b; charset=y name=x.exe`, `a/b charset="y" name="x.exe"`},
		{"no type", "name=x.exe", ` name="x.exe"`},
		{"quote without end", `a/b; name="x.exe; charset=y`, `a/b name="x.exe" charset="y"`},
		{"more behind quotes", `a/b; boundary="ab"c; x=y`, `a/b boundary="ab" x="y"`},
		{"folded", "a/b;\r\n\tname=\"x\r\n y\";\n z=1", `a/b name="x y" z="1"`},
		{"no equals sign", "a/b; evil.exe; x=y", `a/b ="evil.exe" x="y"`},
		{"twice", "a/b; name=x; name=y", `a/b name="x" name="y"`},
		{"encoded word", `a/b; name="=?utf-8?q?a=2Eexe?="`, `a/b name="a.exe"`},
		{"encoded word without quotes", `a/b; name==?utf-8?q?a=2Eexe?=`, `a/b name="a.exe"`},
		{"raw bytes", "a/b; name=\"\xfc.exe\"", `a/b name="ü.exe"`},
		{"extended", "a/b; filename*=utf-8''%C3%A4.exe", `a/b filename*="ä.exe"`},
		{"extended in koi8-r", "a/b; filename*=koi8-r'ru'%F0%D2.exe", `a/b filename*="Пр.exe"`},
		{"extended without charset", "a/b; filename*=%41.exe", `a/b filename*="A.exe"`},
		{"extended in quotes", `a/b; filename*="utf-8''%41.exe"`, `a/b filename*="A.exe"`},
		{"extended, bad escapes", "a/b; filename*=utf-8''%4%zz%", `a/b filename*="%4%zz%"`},
		{"continued", "a/b; name*0=a.e; name*1=xe", `a/b name*0="a.exe"`},
		{"continued in any order", "a/b; name*1=xe; x=y; name*0=a.e", `a/b name*0="a.exe" x="y"`},
		{"continued with a gap", "a/b; name*0=a.; name*2=exe", `a/b name*0="a.exe"`},
		{"continued and extended", "a/b; name*0*=koi8-r''%F0; name*1*=%D2; name*2=%41.exe", `a/b name*0*="Пр%41.exe"`},
		{"character cut in two", "a/b; name*0*=utf-8''%C3; name*1*=%A4", `a/b name*0*="ä"`},
		{"continuation twice", "a/b; name*0=a; name*0=b; name*1=.exe", `a/b name*0="a.exe" name*0="b.exe"`},
		{"leading zeros", "a/b; name*00=a; name*01=b", `a/b name*00="ab"`},
		{"ten and more continuations", "a/b; n*0=0; n*1=1; n*10=a; n*2=2; n*9=9", `a/b n*0="0129a"`},
		{"plain and extended", "a/b; filename=x; filename*=utf-8''y", `a/b filename="x" filename*="y"`},
		{"name in quotes", `a/b; "name"=x`, `a/b name="x"`},
		{"comment without end", "a/b (c; name=x.exe", `a/b name="x.exe"`},
		{"comment without end, no semicolon", "a/b (name=x.exe", `a/b name="x.exe"`},
		{"comment without end behind another", "a/b (;) (c; name=x.exe", `a/b name="x.exe"`},
		{"comment without end before the type", "(a/b; name=x.exe", `a/b name="x.exe"`},
		{"comment before the type", "(c(d)\\)) a/b", `a/b`},
		{"type in quotes", `"a/b"; name=x`, `a/b name="x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := showParams(ParseParams(tt.in)); got != tt.want {
				t.Errorf("ParseParams(%q) = %s, want %s", tt.in, got, tt.want)
			}
		})
	}
}

// What the standard library reads of well-formed values, ParseParams reads too.
func TestParseParamsAsStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		params := map[string]string{}
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			params[rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "name")] = rapid.StringMatching(`[ -~]{0,20}`).Draw(t, "value")
		}
		in := mime.FormatMediaType("text/plain", params)
		media, want, err := mime.ParseMediaType(in)
		if err != nil {
			t.Skip(err)
		}
		gotMedia, got := ParseParams(in)
		if gotMedia != media || len(got) != len(want) {
			t.Fatalf("ParseParams(%q) = %s, %v, want %s, %v", in, gotMedia, got, media, want)
		}
		for _, p := range got {
			if strings.Contains(p.Value, "=?") || strings.Contains(want[p.Name], "=?") {
				continue
			}
			if want[p.Name] != p.Value {
				t.Errorf("ParseParams(%q): %s = %q, want %q", in, p.Name, p.Value, want[p.Name])
			}
		}
	})
}

func TestParamFieldComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var params []Param
		for i := range rapid.IntRange(0, 4).Draw(t, "n") {
			v := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "ä", " ", ";", `"`, `\`, "'", "%41", "=?utf-8?q?x?=", "=", strings.Repeat("x", 100), "日本語", "*"}), 0, 12).Draw(t, "value"), "")
			params = append(params, Param{Name: fmt.Sprintf("p%d", i), Value: v})
		}
		f := NewParamField("Content-Type", "text/plain", params, "\r\n")
		media, got := ParseParams(f.Text(true))
		same := slices.EqualFunc(got, params, func(a, b Param) bool { return a.Name == b.Name && a.Value == b.Value })
		if media != "text/plain" || !same {
			t.Errorf("NewParamField(%v) = %q, read %s", params, f.Raw(), showParams(media, got))
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(f.Raw()), "\r\n"), "\r\n") {
			if len(line) > lineWidth || !isASCII(line) {
				t.Errorf("NewParamField(%v) has the line %q", params, line)
			}
		}
	})
}

func TestNewParamField(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"token", "a.txt", "C: x; name=a.txt\n"},
		{"quoted", `a "b".txt`, "C: x; name=\"a \\\"b\\\".txt\"\n"},
		{"not ASCII", "ä.txt", "C: x; name*=utf-8''%C3%A4.txt\n"},
		{"empty", "", "C: x; name=\"\"\n"},
		{"line end", "a\r\nBcc: x", "C: x; name=\"aBcc: x\"\n"},
		{"long", strings.Repeat("a", 100), "C: x; name*0*=utf-8''" + strings.Repeat("a", 54) + ";\n\tname*1*=" + strings.Repeat("a", 46) + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(NewParamField("C", "x", []Param{{Name: "name", Value: tt.value}}, "\n").Raw()); got != tt.want {
				t.Errorf("NewParamField(%q) = %q, want %q", tt.value, got, tt.want)
			}
		})
	}
}

func readsParams(t failer, in string) {
	media, params := ParseParams(in)
	if strings.ContainsAny(media, " \t\r\n;") || strings.ContainsAny(media, "ABCXYZ") {
		t.Errorf("ParseParams(%q): type %q", in, media)
	}
	if len(params) > maxParams+1 {
		t.Errorf("ParseParams(%q): %d parameters", in, len(params))
	}
	for _, p := range params {
		if !utf8.ValidString(p.Value) {
			t.Errorf("ParseParams(%q): %s = %q, which is not UTF-8", in, p.Attr, p.Value)
		}
		p.readings()
	}
	known, _ := paramReadings(in)
	for _, p := range known {
		p.readings()
	}
	if len(known) < len(params) && !slices.ContainsFunc(params, func(p Param) bool { return slices.Contains(known, p) }) {
		t.Errorf("paramReadings(%q) lacks what ParseParams reads", in)
	}
}

func FuzzParseParams(f *testing.F) {
	for _, s := range []string{
		`text/plain; charset=utf-8; name="a\"b"`, "a/b; name*0*=utf-8''%41; name*1=b; name*0=c", `x; "a"="b`, "(c; d=e", "a=b=c d=e", ";;;=;", `a/b; name="a"b"c; d`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) { readsParams(t, in) })
}

func TestParamsAreReadInGoodTime(t *testing.T) {
	for _, in := range []string{
		strings.Repeat("a=b;", 1<<18), strings.Repeat("a b=c ", 1<<17), strings.Repeat("(", 1<<20), "a/b;" + strings.Repeat(" ", 1<<20) + "=x",
		"a/b; n=" + strings.Repeat("=", 1<<20), "a/b; n=" + strings.Repeat("a b ", 1<<18), `a/b; n="` + strings.Repeat(`\"`, 1<<19), "a/b" + strings.Repeat(" a/b=", 1<<18),
		"/" + strings.Repeat("=", 1<<20), "a/" + strings.Repeat(" ", 1<<20) + "=", "a/b; n=" + strings.Repeat("- =", 1<<18), "a/b; " + strings.Repeat("n*0=a;", 1<<17),
	} {
		readsParams(t, in)
	}
}
