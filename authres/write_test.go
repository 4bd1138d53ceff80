package authres

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestString(t *testing.T) {
	spf := func(p ...Property) Field {
		return Field{ID: "mx.example.com", Results: []Result{{Method: "spf", Value: "pass", Properties: p}}}
	}
	for _, tt := range []struct {
		name string
		f    Field
		want string
	}{
		{"no result", Field{ID: "mx.example.com"}, "mx.example.com; none"},
		{"version", Field{ID: "mx.example.com", Version: 1}, "mx.example.com 1; none"},
		{"one line", spf(Property{"smtp", "mailfrom", "a.example"}), "mx.example.com; spf=pass smtp.mailfrom=a.example"},
		{"an address needs no quotes", spf(Property{"smtp", "mailfrom", "a+b=c/d@a.example"}), "mx.example.com; spf=pass smtp.mailfrom=a+b=c/d@a.example"},
		{"what an address may not hold does", spf(Property{"smtp", "mailfrom", "a;b@a.example"}), `mx.example.com; spf=pass smtp.mailfrom="a;b@a.example"`},
		{"quoted local part", spf(Property{"smtp", "mailfrom", `"a b"@a.example`}), `mx.example.com; spf=pass smtp.mailfrom="\"a b\"@a.example"`},
		{"IPv6 address", spf(Property{"smtp", "remote-ip", "2001:db8::1"}), `mx.example.com; spf=pass smtp.remote-ip="2001:db8::1"`},
		{"base64", spf(Property{"header", "b", "a/+="}), `mx.example.com; spf=pass header.b="a/+="`},
		{"domain behind an at sign", spf(Property{"header", "i", "@a.example"}), "mx.example.com; spf=pass header.i=@a.example"},
		{"empty value", spf(Property{"smtp", "mailfrom", ""}), `mx.example.com; spf=pass smtp.mailfrom=""`},
		{"reason and comment", Field{ID: "a", Results: []Result{{Method: "dkim", Value: "fail", Comment: `2048-bit) key\`, Reason: `bad "hash"`}}},
			`a; dkim=fail (2048-bit\) key\\) reason="bad \"hash\""`},
		{"line ends and controls", Field{ID: "a\r\nX: y", Results: []Result{{Method: "s\npf", Value: "pa\x00ss", Comment: "x\r\n y", Reason: "a\nb\x7f"}}},
			`"a X: y"; spf=pass (x y) reason="a b"`},
		{"upper case", Field{ID: "A", Results: []Result{{Method: "SPF", Value: "Pass", Properties: []Property{{"SMTP", "MailFrom", "A"}}}}}, "A; spf=pass smtp.mailfrom=A"},
		{"names that cannot be", Field{ID: "a", Results: []Result{{Method: ";=", Value: "pass"}, {Method: "spf", Value: " "}, {Method: "dkim", Value: "pass", Properties: []Property{{"", "x", "1"}, {"x", ".", "2"}, {"x", "y", "3"}}}}},
			"a; dkim=pass x.y=3"},
		{"only names that cannot be", Field{ID: "a", Results: []Result{{Method: ";=", Value: "pass"}}}, "a; none"},
		{"U-labels", Field{ID: "mx.exämple.com", Results: []Result{{Method: "spf", Value: "pass", Properties: []Property{{"smtp", "mailfrom", "jürgen@exämple.com"}}, Comment: "für exämple.com"}}},
			"mx.xn--exmple-cua.com; spf=pass (f?r ex?mple.com) smtp.mailfrom=j?rgen@xn--exmple-cua.com"},
		{"a domain of compatibility characters", spf(Property{"smtp", "helo", "a\uff1b\u3000\u3000x\uff1dy.example"}), `mx.example.com; spf=pass smtp.helo="a; x=y.example"`},
		{"the null sender's quotes", Field{ID: "", Results: nil}, `""; none`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.ReplaceAll(tt.f.String(), "\r\n\t", " "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestFormatUTF8(t *testing.T) {
	f := Field{ID: "mx.exämple.com", Results: []Result{{Method: "spf", Value: "pass", Comment: "für \xff\u202e!", Properties: []Property{{"smtp", "mailfrom", "jürgen@exämple.com"}}}}}
	want := "\"mx.exämple.com\"; spf=pass (für \ufffd!) smtp.mailfrom=jürgen@exämple.com"
	if got := f.Format(Layout{UTF8: true}); unfolded(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFolding(t *testing.T) {
	f := Field{ID: "mx.example.com", Results: []Result{
		{Method: "spf", Value: "pass", Comment: "mx.example.com: domain of bounce@example.net designates 192.0.2.1 as permitted sender",
			Properties: []Property{{"smtp", "mailfrom", "bounce@example.net"}, {"smtp", "helo", "out.example.net"}}},
		{Method: "dkim", Value: "pass", Properties: []Property{{"header", "d", "example.net"}, {"header", "s", "sel"}, {"header", "b", "AbCdEfGh"}}},
		{Method: "dmarc", Value: "pass", Properties: []Property{{"header", "from", "example.net"}}},
	}}
	want := "mx.example.com;\n" +
		"\tspf=pass (mx.example.com: domain of bounce@example.net designates\n" +
		"\t192.0.2.1 as permitted sender) smtp.mailfrom=bounce@example.net\n" +
		"\tsmtp.helo=out.example.net;\n" +
		"\tdkim=pass header.d=example.net header.s=sel header.b=AbCdEfGh;\n" +
		"\tdmarc=pass header.from=example.net"
	if d := cmp.Diff(want, f.Format(Layout{LineEnd: "\n"})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := f.String(); got != strings.ReplaceAll(want, "\n", "\r\n") {
		t.Errorf("String() = %q", got)
	}
}

// text draws what somebody might put into a field to break it.
var text = rapid.OneOf(
	rapid.String(),
	rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	rapid.Map(rapid.SliceOf(rapid.SampledFrom([]string{
		"; ", ";", " spf=pass", "none", "\r\n", "\n", "\r", "\x00", "\t", " ", "(", ")", `"`, `\`, "=", ".", "@", "/", "a", "reason=", "\u2028", "\u0085", "\xff",
		"mx.example.com", "\r\nX-Forged: 1", "\uff1b", "\u3000", "ü.example", "xn--", strings.Repeat("x", 500), strings.Repeat("(", 300), strings.Repeat(" y", 100),
	})), func(s []string) string { return strings.Join(s, "") }),
)

func drawField(t *rapid.T) Field {
	f := Field{ID: text.Draw(t, "id"), Version: rapid.IntRange(-1, 2).Draw(t, "version")}
	for range rapid.IntRange(0, 4).Draw(t, "results") {
		r := Result{
			Method: text.Draw(t, "method"), Version: rapid.IntRange(-1, 2).Draw(t, "version"), Value: text.Draw(t, "value"),
			Reason: text.Draw(t, "reason"), Comment: text.Draw(t, "comment"),
		}
		if rapid.Bool().Draw(t, "plain") { // else the names of most have no letter
			r.Method, r.Value = "spf", "pass"
		}
		for range rapid.IntRange(0, 3).Draw(t, "properties") {
			p := Property{text.Draw(t, "type"), text.Draw(t, "name"), text.Draw(t, "value")}
			if rapid.Bool().Draw(t, "plain") {
				p.Type, p.Name = "smtp", "mailfrom"
			}
			r.Properties = append(r.Properties, p)
		}
		f.Results = append(f.Results, r)
	}
	return f
}

func TestNothingInAFieldAddsAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawField(t)
		for _, o := range []Layout{{}, {UTF8: true}, {LineEnd: "\n"}} {
			s := f.Format(o)
			checkLines(t, s, o)
			got, err := Limits{Results: 1000, Properties: 1000, Bytes: 1 << 20}.Parse(s)
			if err != nil {
				t.Fatalf("Parse(%q): %v", s, err)
			}
			if len(got.Results) > len(f.Results) || got.Version != max(f.Version, 0) {
				t.Fatalf("%q has more than %+v", s, f)
			}
			// Each result that was read is one that was written, in order.
			i := 0
			for _, r := range got.Results {
				for ; i < len(f.Results) && !same(r, f.Results[i]); i++ {
				}
				if i++; i > len(f.Results) {
					t.Fatalf("%q has %+v, which is not in %+v", s, r, f)
				}
			}
			if again := got.Format(o); again != s {
				t.Fatalf("%q is written again as %q", s, again)
			}
		}
	})
}

func same(read, written Result) bool {
	var w writer
	name := func(s string) string {
		w.line = w.line[:0]
		w.keyword(s)
		return string(w.line)
	}
	return read.Method == name(written.Method) && read.Value == name(written.Value) && len(read.Properties) <= len(written.Properties) &&
		read.Version == max(written.Version, 0)
}

// checkLines checks that a value is one field, with lines no longer than RFC 5322 has them.
func checkLines(t rapid.TB, s string, o Layout) {
	end := o.LineEnd
	if end == "" {
		end = "\r\n"
	}
	long := nameWidth
	for i, line := range strings.Split(s, end) {
		if i > 0 && (!strings.HasPrefix(line, "\t") || strings.Trim(line, " \t") == "") {
			t.Fatalf("line %q of %q", line, s)
		}
		if long+len(line) > 998 {
			t.Fatalf("line of %d bytes in %q", long+len(line), s)
		}
		long = 0
		for _, r := range strings.TrimPrefix(line, "\t") {
			if r < ' ' || r >= 0x7f && (!o.UTF8 || isInvisible(r)) {
				t.Fatalf("character %U in %q", r, s)
			}
		}
	}
	if !utf8.ValidString(s) {
		t.Fatalf("%q is no UTF-8", s)
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range examples {
		f.Add(tt.in)
	}
	f.Add("a;\n\tdkim=fail reason=\"b\\\"d\" (2048 (bit) \\) key) header.i=\"x y\"@b header.b=l+0/T=;")
	f.Add("\"\"; spf/2=none smtp.mailfrom=\"\" policy.x=ü@ü.example")
	f.Fuzz(func(t *testing.T, in string) {
		first, err := Parse(in)
		if err != nil {
			return
		}
		o := Layout{UTF8: true}
		written := first.Format(o)
		checkLines(t, written, o)
		again, err := Limits{Bytes: 1 << 20}.Parse(written)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", in, written, err)
		}
		if d := cmp.Diff(first, again); d != "" {
			t.Errorf("%q is written as %q (-first +again):\n%s", in, written, d)
		}
		plain := first.String()
		checkLines(t, plain, Layout{})
		if f, err := (Limits{Bytes: 1 << 20}).Parse(plain); err != nil || len(f.Results) != len(first.Results) {
			t.Errorf("%q is written as %q: %v", in, plain, err)
		}
	})
}

func BenchmarkString(b *testing.B) {
	f := Field{ID: "mx.example.com", Results: []Result{
		{Method: "iprev", Value: "pass", Properties: []Property{{"policy", "iprev", "192.0.2.1"}}},
		{Method: "spf", Value: "pass", Properties: []Property{{"smtp", "mailfrom", "bounce@example.net"}, {"smtp", "helo", "out.example.net"}}},
		{Method: "dkim", Value: "pass", Comment: "2048-bit key", Properties: []Property{{"header", "d", "example.net"}, {"header", "s", "sel"}, {"header", "a", "rsa-sha256"}, {"header", "b", "AbCd/fGh"}}},
		{Method: "dmarc", Value: "pass", Comment: "p=reject", Properties: []Property{{"header", "from", "example.net"}}},
	}}
	b.ReportAllocs()
	for b.Loop() {
		_ = f.String()
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(examples[5].in); err != nil {
			b.Fatal(err)
		}
	}
}
