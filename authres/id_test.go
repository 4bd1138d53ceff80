package authres

import (
	"strings"
	"testing"
	"time"
)

func TestID(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "mx.example.com; spf=pass", "mx.example.com"},
		{"with a version", "mx.example.com 1; spf=pass", "mx.example.com"},
		{"behind comments", "(x) (y (z)) mx.example.com; spf=pass", "mx.example.com"},
		{"behind a long comment with a semicolon", "(x; y=z" + strings.Repeat(" ", 1000) + ") mx.example.com; spf=pass", "mx.example.com"},
		{"behind deep comments", strings.Repeat("(", 1000) + strings.Repeat(")", 1000) + "mx.example.com; spf=pass", "mx.example.com"},
		{"behind a comment with a control character", "(\x00) mx.example.com; spf=pass", "mx.example.com"},
		{"quoted", `"mx.example.com"; spf=pass`, "mx.example.com"},
		{"quoted pairs", `"mx\.example.com"; spf=pass`, "mx.example.com"},
		{"slash and version", "mx.example.com/1; spf=pass", "mx.example.com"},
		{"folded", "\r\n\tmx.example.com\r\n\t; spf=pass", "mx.example.com"},
		{"no semicolon", "mx.example.com spf=pass", "mx.example.com"},
		{"nothing else", "mx.example.com", "mx.example.com"},
		{"comment behind", "mx.example.com(x); none", "mx.example.com"},
		{"comment without end", "(mx.example.com; spf=pass", "mx.example.com"},
		{"quotes without end", `"mx.example.com; spf=pass`, "mx.example.com"},
		{"another's", "other.example (for mx.example.com); spf=pass", "other.example"},
		{"Exchange writes none", "spf=pass (sender IP is 192.0.2.1)", "spf"},
		{"nothing", "", ""},
		{"only blanks", " \r\n\t", ""},
		{"only a comment", "(", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ID(tt.in); got != tt.want {
				t.Errorf("ID(%.80q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestSameID(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"mx.example.com", "MX.Example.COM", true},
		{"mx.example.com", "mx.example.com.", true},
		{"mx.exämple.com", "mx.xn--exmple-cua.com", true},
		{"mx.EXÄMPLE.com", "mx.XN--exmple-cua.com.", true},
		{"mx.example.com", "mx.example。com", true},
		{"mx.example.com", " mx.example.com\t", true},
		{"mx.example.com", "mx.example.org", false},
		{"mx.example.com", "x.mx.example.com", false},
		{"mx.example.com", "", false},
		{"", "", false},
		{"my id", "MY id", true},
	} {
		if got := SameID(tt.a, tt.b); got != tt.want {
			t.Errorf("SameID(%q, %q) = %v", tt.a, tt.b, got)
		}
		if got := SameID(tt.b, tt.a); got != tt.want {
			t.Errorf("SameID(%q, %q) = %v", tt.b, tt.a, got)
		}
	}
}

func TestBears(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     bool
	}{
		{"plain", "mx.example.com; spf=pass", true},
		{"case", "MX.example.com; spf=pass", true},
		{"dot at the end", "mx.example.com.; spf=pass", true},
		{"with a version", "mx.example.com 1; spf=pass", true},
		{"slash and version", "mx.example.com/1; spf=pass", true},
		{"no semicolon", "mx.example.com spf=pass", true},
		{"comma for a semicolon", "mx.example.com, spf=pass", true},
		{"only the id", "mx.example.com", true},
		{"quoted", `"mx.example.com"; spf=pass`, true},
		{"quoted, blanks inside", `" mx.example.com "; spf=pass`, true},
		{"half quoted", `mx.example.com"; spf=pass`, true},
		{"quotes without end", `"mx.example.com; spf=pass`, true},
		{"quoted parts", `"mx.example".com; spf=pass`, true},
		{"quoted part inside", `mx."example".com; spf=pass`, true},
		{"backslashes", `mx\.example\.com; spf=pass`, true},
		{"comment inside", "mx(x).example.com; spf=pass", true},
		{"quoted parts of another's", `"mx.example".org; mx.example.com`, false},
		{"single quotes", "'mx.example.com'; spf=pass", false},
		{"folded", "\r\n mx.example.com\r\n\t; spf=pass", true},
		{"comment before", "(x) mx.example.com; spf=pass", true},
		{"the id as a comment before", "(mx.example.com) other.example; spf=pass", true},
		{"comment before without end", "(x mx.example.com; spf=pass", true},
		{"nested comment that another reader ends earlier", "(a (b) mx.example.com; spf=pass) other.example; none", true},
		{"quoted pair that another reader does not know", `(a \) mx.example.com; spf=pass) other.example; none`, true},
		{"comment with a semicolon before", "(;) mx.example.com; spf=pass", true},
		{"comment behind", "mx.example.com(x); none", true},
		{"semicolon before", "; mx.example.com; spf=pass", true},
		{"equals before", "=mx.example.com; spf=pass", true},
		{"brackets", "<mx.example.com>; spf=pass", true},
		{"NUL behind", "mx.example.com\x00.evil.example; spf=pass", true},
		{"NUL inside", "mx.exa\x00mple.com; spf=pass", true},
		{"NUL before", "\x00mx.example.com; spf=pass", true},
		{"soft hyphen", "mx.exam\u00adple.com; spf=pass", true},
		{"zero width", "mx.exam\u200bple.com; spf=pass", true},
		{"writing direction", "\u202emx.example.com; spf=pass", true},
		{"byte order mark", "\ufeffmx.example.com; spf=pass", true},
		{"fullwidth", "ｍｘ.example.com; spf=pass", true},
		{"no-break space behind", "mx.example.com\u00a0; spf=pass", true},
		{"no-break space before", "\u00a0mx.example.com; spf=pass", true},
		{"wide blanks around", "\u3000\u2003mx.example.com\u202f\u1680; spf=pass", true},
		{"no-break space and a version", "mx.example.com\u00a01; spf=pass", true},
		{"next line behind", "mx.example.com\u0085; spf=pass", true},
		{"no-break space of Latin-1", "mx.example.com\xa0; spf=pass", true},
		{"no UTF-8 inside", "mx.exam\xffple.com; spf=pass", true},
		{"letter that fills", "mx.exam\u3164ple.com; spf=pass", true},
		{"joiners and isolates", "\u2066mx.\u034fexample\u2060.com\u2069\u061c; spf=pass", true},
		{"soft hyphen and a blank", "mx.exam\u00adple.com\u00a0; spf=pass", true},
		{"mathematical letters", "\U0001d426\U0001d431.example.com; spf=pass", true},
		{"ideographic full stop", "mx\u3002example\uff61com; spf=pass", true},
		{"A-label in fullwidth, of another", "ｘｎ--mx-cua.example.com; spf=pass", false},
		{"no-break space behind another's", "other.example\u00a0; mx.example.com", false},
		{"Cyrillic letters that look alike", "mx.ex\u0430mple.com; spf=pass", false},
		{"more before the results than anybody writes", "(x) other.example " + strings.Repeat("x ", maxHead/2) + "; spf=pass", true},
		{"as much behind a plain id", "other.example " + strings.Repeat("x ", maxHead/2) + "; spf=pass", false},
		{"encoded word", "=?utf-8?q?mx=2Eexample.com?=; spf=pass", true},
		{"encoded words", "=?us-ascii?B?bXguZXhh?= =?x-unknown?q?mple.com?=; spf=pass", true},
		{"encoded with its semicolon", "=?utf-8?q?mx.example.com=3B_spf=3Dpass?=", true},
		{"encoded word behind half of one", "(=?utf-8?xx) =?utf-8?q?mx=2Eexample.com?=; spf=pass", true},
		{"encoded word in one that is wrong", "(=?utf-8?b?!) =?utf-8?q?mx=2Eexample.com?=; spf=pass", true},
		{"encoded word behind a comment with a semicolon", "(;) =?utf-8?q?mx=2Eexample.com?=; spf=pass", true},
		{"encoded word with something invisible", "=\u200b?utf-8?q?mx=2Eexam=E2=80=8Bple.com?=; spf=pass", true},
		{"brackets behind a comment with a semicolon", "(;) <mx.example.com>; spf=pass", true},
		{"equals behind a comment with a semicolon", "(;)=mx.example.com; spf=pass", true},
		{"another's", "other.example; spf=pass", false},
		{"another's behind a comment with a semicolon", "(;) other.example; spf=pass (mx.example.com)", false},
		{"another's with an encoded word in a result", "other.example; spf=pass (=?utf-8?q?mx=2Eexample.com?=)", false},
		{"another's that names it in a comment", "other.example (for mx.example.com); spf=pass", false},
		{"another's that names it in a result", "other.example; spf=pass smtp.helo=mx.example.com", false},
		{"another's behind a comment", "(x) other.example; spf=pass (mx.example.com)", false},
		{"below it", "a.mx.example.com; spf=pass", false},
		{"above it", "example.com; spf=pass", false},
		{"nothing", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Bears(tt.in, "mx.example.com"); got != tt.want {
				t.Errorf("Bears(%q) = %v", tt.in, got)
			}
		})
	}
	if !Bears("MX.xn--exmple-cua.com; none", "mx.exämple.com") || !Bears("mx.exämple.com; none", "mx.xn--exmple-cua.com") {
		t.Error("U-labels and A-labels are two ids")
	}
	if !Bears("MX.EXÄMPLE.xn--exmple-cua.com; none", "mx.xn--exmple-cua.exämple.com") || !Bears("mx.exa\u0308mple.com; none", "mx.exämple.com") {
		t.Error("labels of both kinds, or with marks, are another id")
	}
	if !Bears("our id/7; none", "our id/7") || !Bears(`"our id/7"; none`, "our id/7") {
		t.Error("an id that is no token is not found")
	}
	if Bears("x; none", "") || Bears("; none", ".") {
		t.Error("the empty id is borne")
	}
}

func TestHostileValuesTakeNoTime(t *testing.T) {
	const n = 1 << 19
	for name, in := range map[string]string{
		"open comments":           strings.Repeat("(", n),
		"comments":                strings.Repeat("()", n/2),
		"nested comments":         strings.Repeat("(", n/2) + strings.Repeat(")", n/2) + "x; none",
		"comments that are wrong": strings.Repeat("(\x00)", n/3),
		"comments, one open":      strings.Repeat("(\x00)", n/3) + "(",
		"quotes":                  strings.Repeat(`"`, n),
		"backslashes":             `"` + strings.Repeat(`\`, n),
		"words":                   "(" + strings.Repeat("mx.example.org ", n/15),
		"one word":                strings.Repeat("x", n),
		"U-labels":                "(" + strings.Repeat("ü.ü.ü.ü.ü.ü.ü ", n/16),
		"a long U-label":          strings.Repeat("ü", n/2),
		"long U-labels":           "(" + strings.Repeat(strings.Repeat("ü", 400)+" ", n/801),
		"encoded words":           strings.Repeat("=?utf-8?q?x?= ", n/14),
		"open encoded words":      strings.Repeat("=?utf-8?q?", n/10),
		"question marks":          strings.Repeat("=?", n/2),
		"results":                 "x" + strings.Repeat("; a=b", n/5),
		"properties":              "x; a=b" + strings.Repeat(" c.d=e", n/6),
		"controls":                strings.Repeat("\x01", n),
	} {
		start := time.Now() // what grows with the square takes minutes
		ID(in)
		Bears(in, "mx.example.com")
		Parse(in)
		Limits{Bytes: 1 << 30, Results: 1 << 30, Properties: 1 << 30, Depth: 1 << 30}.Parse(in)
		_ = Field{ID: in, Results: []Result{{Method: in, Value: in, Comment: in, Reason: in, Properties: []Property{{in, in, in}}}}}.String()
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("%s takes %v", name, d)
		} else if testing.Verbose() {
			t.Logf("%s: %v", name, d)
		}
	}
}

func FuzzID(f *testing.F) {
	for _, tt := range examples {
		f.Add(tt.in)
	}
	f.Add("(x \\) mx.example.com; =?utf-8?q?x?=")
	f.Add("\"mx.example.com")
	f.Fuzz(func(t *testing.T, in string) {
		id := ID(in)
		if newOwn(id).read != "" && !Bears(in, id) {
			t.Errorf("%q has the id %q and does not bear it", in, id)
		}
		if v, err := Parse(in); err == nil && newOwn(v.ID).read != "" && !Bears(in, v.ID) {
			t.Errorf("%q reads as one of %q and does not bear it", in, v.ID)
		}
	})
}
