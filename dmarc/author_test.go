package dmarc

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/message"
)

// header returns From fields with these values.
func header(from ...string) message.Header {
	h := message.Header{message.NewField("Subject", " x@subject.example", "\r\n")}
	for _, v := range from {
		h = append(h, message.NewField("From", " "+v, "\r\n"))
	}
	return h
}

func TestAuthor(t *testing.T) {
	for _, tt := range []struct{ name, from, want string }{
		{"bare address", "a@good.example", "good.example"},
		{"in brackets", "<a@good.example>", "good.example"},
		{"with a name", "Ann B. Example <a@good.example>", "good.example"},
		{"case", "A@GOOD.Example", "good.example"},
		{"folded", "Ann\n <a@good.example>", "good.example"},
		{"comment behind", "a@good.example (Ann Example)", "good.example"},
		{"an address in the comment behind", "a@good.example (<b@evil.example>)", "good.example"},
		{"an address in the comment before", "(b@evil.example) a@good.example", "good.example"},
		{"comment that quotes its end", `a@good.example (x \) <b@evil.example>)`, "good.example"},
		{"nested comments", "a@good.example (x (b@evil.example,) y)", "good.example"},
		{"comments around the parts", "(1) a (2) @ (3) good.example (4)", "good.example"},
		{"comments in the brackets", "Ann (1) < (2) a (3) @ (4) good.example (5) > (6)", "good.example"},
		{"quoted local part with an address", `"b@evil.example"@good.example`, "good.example"},
		{"quoted local part with brackets", `"<b@evil.example>" <"x <y@evil.example>"@good.example>`, "good.example"},
		{"quotes in quotes", `"b\"@evil.example" <a@good.example>`, "good.example"},
		{"parts of a local part quoted", `"a".b."c d"@good.example`, "good.example"},
		{"an address as a name", `"b@evil.example" <a@good.example>`, "good.example"},
		{"an encoded word like an address", "=?utf-8?q?b=40evil.example?= <a@good.example>", "good.example"},
		{"an encoded word with an at sign", "=?utf-8?q?b@evil.example?= <a@good.example>", "good.example"},
		{"encoded words", "=?utf-8?B?YkBldmlsLmV4YW1wbGU=?=\n =?utf-8?q?x?= <a@good.example>", "good.example"},
		{"the same address as a name", "a@good.example <a@good.example>", "good.example"},
		{"brackets in a name that is encoded", "[list] =?koi8-r?b?4c7O?= \"Ann\" <a@good.example>", "good.example"},
		{"brackets and an address in quotes", `"[list] b@evil.example" <a@good.example>`, "good.example"},
		{"brackets in the name", "[list] Ann <a@good.example>", "good.example"},
		{"empty elements", ", a@good.example, ,", "good.example"},
		{"U-labels", "a@exämple.example", "xn--exmple-cua.example"},
		{"A-labels", "a@XN--exmple-cua.example", "xn--exmple-cua.example"},
		{"fullwidth letters", "a@\uff47ood.example", "good.example"},
		{"an ideographic full stop", "a@good。example", "good.example"},
		{"homograph: another domain", "a@g\u043e\u043ed.example", "xn--gd-fmca.example"},
		{"local part in UTF-8", "jürgen@good.example", "good.example"},
		{"name in Latin-1", "J\xfcrgen <a@good.example>", "good.example"},
		{"one label", "a@localhost", "localhost"},
		{"local part with equals and slash", "bounce+a=b/c@good.example", "good.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Author(header(tt.from)); got != tt.want || err != nil {
				t.Errorf("Author(%q) = %q, %v, want %q", tt.from, got, err, tt.want)
			}
		})
	}
}

func TestAuthorRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		from []string
		is   error
		says string
		all  []string // of Authors, nil where that has an error
	}{
		{"no From", nil, ErrNoAuthor, "no From field", nil},
		{"empty From", []string{""}, ErrNoAuthor, "no address", nil},
		{"two From fields", []string{"a@good.example", "b@evil.example"}, ErrSeveralAuthors, "2 From fields", []string{"good.example", "evil.example"}},
		{"two From fields, one broken", []string{"a@good.example", "<"}, ErrSeveralAuthors, "2 From fields", nil},
		{"two addresses", []string{"a@good.example, b@evil.example"}, ErrSeveralAuthors, "2 addresses", []string{"good.example", "evil.example"}},
		{"two addresses of one domain", []string{"a@good.example, b@good.example"}, ErrSeveralAuthors, "2 addresses", []string{"good.example"}},
		{"a comma in a name", []string{"Ann, b@evil.example <a@good.example>"}, ErrAuthorSyntax, "without an address", nil},
		{"another address as a name", []string{"b@evil.example <a@good.example>"}, ErrAuthorSyntax, "before one of", nil},
		{"an address in quotes before a square bracket", []string{`"a@good.example"] <b@evil.example>`}, ErrAuthorSyntax, "'@' and square brackets", nil},
		{"an encoded address before a square bracket", []string{"=?utf-8?q?a=40good.example?= x[ <b@evil.example>"}, ErrAuthorSyntax, "'@' and square brackets", nil},
		{"an address in UTF-7 before a square bracket", []string{"=?utf-7?q?a+AEA-good.example?= ] <b@evil.example>"}, ErrAuthorSyntax, "'@' and square brackets", nil},
		{"an address in quotes behind a square bracket, in a list", []string{`a@good.example, [x] "a@good.example" <b@evil.example>`}, ErrAuthorSyntax, "'@' and square brackets", nil},
		{"two in brackets", []string{"<a@good.example> <b@evil.example>"}, ErrAuthorSyntax, "behind the address", nil},
		{"text behind", []string{"<a@good.example> x"}, ErrAuthorSyntax, "behind the address", nil},
		{"semicolon between", []string{"a@good.example; b@evil.example"}, ErrAuthorSyntax, "behind the address", nil},
		{"group", []string{"Team: a@good.example;"}, ErrAuthorSyntax, "group", []string{"good.example"}},
		{"group of two", []string{"Team: a@good.example, <b@evil.example>;"}, ErrSeveralAuthors, "2 addresses", []string{"good.example", "evil.example"}},
		{"empty group", []string{"undisclosed-recipients:;"}, ErrNoAuthor, "no address", nil},
		{"group without end", []string{"Team: a@good.example"}, ErrAuthorSyntax, "group without end", nil},
		{"group in a group", []string{"a: b: c@good.example;;"}, ErrAuthorSyntax, "stray ':'", nil},
		{"source route", []string{"<@evil.example:a@good.example>"}, ErrAuthorSyntax, "source route", nil},
		{"empty brackets", []string{"Ann <>"}, ErrAuthorSyntax, "no address", nil},
		{"name only", []string{"Ann"}, ErrAuthorSyntax, "without an address", nil},
		{"brackets without end", []string{"<a@good.example"}, ErrAuthorSyntax, "no '>'", nil},
		{"two at signs", []string{"a@good.example@evil.example"}, ErrAuthorSyntax, "behind the address", nil},
		{"blank in a local part", []string{"a b@good.example"}, ErrAuthorSyntax, "no local part", nil},
		{"comment in a local part", []string{"a(x).b@good.example"}, ErrAuthorSyntax, "no local part", nil},
		{"comment in a domain", []string{"a@good(x).example"}, ErrAuthorSyntax, "behind the address", nil},
		{"blank in a domain", []string{"a@good. example"}, ErrAuthorSyntax, "no domain", nil},
		{"folded in a domain", []string{"a@good\n .example"}, ErrAuthorSyntax, "behind the address", nil},
		{"no local part", []string{"@good.example"}, ErrAuthorSyntax, "no local part", nil},
		{"two dots", []string{"a..b@good.example"}, ErrAuthorSyntax, "no local part", nil},
		{"two dots in brackets", []string{"<a..b@good.example>"}, ErrAuthorSyntax, "stray '.'", nil},
		{"dot at the end", []string{"a@good.example."}, ErrAuthorSyntax, "no domain", nil},
		{"address literal", []string{"a@[192.0.2.1]"}, ErrAuthorSyntax, "literal", nil},
		{"encoded word as a local part", []string{"=?utf-8?q?x?=@good.example"}, ErrAuthorSyntax, "no local part", nil},
		{"encoded word in brackets", []string{"<=?utf-8?q?a@good.example?=@evil.example>"}, ErrAuthorSyntax, "local part", nil},
		{"encoded brackets", []string{"=?utf-8?q?<a@good.example>?= <b@evil.example>"}, ErrAuthorSyntax, "", nil},
		{"at sign in an encoded word's charset", []string{"=?b@evil.example?q?x?= <a@good.example>"}, ErrAuthorSyntax, "", nil},
		{"NUL", []string{"a@good.example\x00.evil.example"}, ErrAuthorSyntax, "control", nil},
		{"NUL in a quoted pair", []string{"\"\\\x00\" <a@good.example>"}, ErrAuthorSyntax, "control", nil},
		{"CR in a comment", []string{"(\r)a@good.example"}, ErrAuthorSyntax, "control", nil},
		{"domain that is no UTF-8", []string{"a@g\xf6od.example"}, ErrAuthorSyntax, "no UTF-8", nil},
		{"local part that is no UTF-8", []string{"\xf6@good.example"}, ErrAuthorSyntax, "no UTF-8", nil},
		{"domain that IDNA refuses", []string{"a@xn--\u00e4.example"}, ErrAuthorSyntax, "not a domain", nil},
		{"fullwidth at sign", []string{"a@good.example\uff20evil.example"}, ErrAuthorSyntax, "not a domain", nil},
		{"label too long", []string{"a@" + strings.Repeat("x", 64) + ".example"}, ErrAuthorSyntax, "not a domain", nil},
		{"quotes without end", []string{`"Ann <a@good.example>`}, ErrAuthorSyntax, "without end", nil},
		{"comment without end", []string{`a@good.example (x`}, ErrAuthorSyntax, "without end", nil},
		{"stray parenthesis", []string{`a@good.example )`}, ErrAuthorSyntax, "behind the address", nil},
		{"21 nested comments", []string{"a@good.example " + strings.Repeat("(", 21) + strings.Repeat(")", 21)}, ErrAuthorSyntax, "20 deep", nil},
		{"21 addresses", []string{strings.Repeat("a@good.example,", 21)}, ErrSeveralAuthors, "more than 20", nil},
		{"too long", []string{strings.Repeat(" ", 16<<10) + "a@good.example"}, ErrAuthorSyntax, "more than 16384 bytes", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Author(header(tt.from...))
			if got != "" || !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Author(%.80q) = %q, %v, want %v, %q", tt.from, got, err, tt.is, tt.says)
			}
			all, err := Authors(header(tt.from...))
			if !slices.Equal(all, tt.all) || (err == nil) != (tt.all != nil) {
				t.Errorf("Authors(%.80q) = %q, %v, want %q", tt.from, all, err, tt.all)
			}
		})
	}
}

func TestAuthorWithABlankBeforeTheColonCounts(t *testing.T) {
	h := append(header("a@good.example"), message.NewField("fRoM \t", " b@evil.example", "\r\n"))
	if _, err := Author(h); !errors.Is(err, ErrSeveralAuthors) {
		t.Errorf("error %v, want %v", err, ErrSeveralAuthors)
	}
}

func TestFromLimitsAreKnobs(t *testing.T) {
	for _, tt := range []struct {
		from string
		low  FromLimits
	}{
		{"a@good.example", FromLimits{Bytes: 10}},
		{"a@good.example, b@good.example", FromLimits{Addresses: 1}},
		{"a@good.example (())", FromLimits{Depth: 1}},
	} {
		if _, err := Authors(header(tt.from)); err != nil {
			t.Errorf("Authors(%q) with default limits: %v", tt.from, err)
		}
		if _, err := tt.low.Authors(header(tt.from)); err == nil {
			t.Errorf("Authors(%q) with %+v has no error", tt.from, tt.low)
		}
	}
}

func TestHostileFromTakesNoTime(t *testing.T) {
	high := FromLimits{Bytes: 1 << 30, Addresses: 1 << 30, Depth: 1 << 30}
	for name, from := range map[string]string{
		"1 MB of text":                 strings.Repeat("x", 1<<20),
		"100 000 nested comments":      strings.Repeat("(", 100_000) + strings.Repeat(")", 100_000) + "a@good.example",
		"comments without end":         strings.Repeat("(", 1<<20),
		"1 MB of encoded words":        strings.Repeat("=?utf-8?q?x@y?= ", 1<<16) + "<a@good.example>",
		"encoded words without an end": strings.Repeat("=?", 1<<19),
		"1 MB of backslashes":          `"` + strings.Repeat(`\`, 1<<20),
		"many addresses":               strings.Repeat("a@good.example,", 1<<16),
		"long label in UTF-8":          "a@" + strings.Repeat("ü", 1<<19) + ".example",
		"long name":                    "a@" + strings.Repeat("u.", 1<<19) + "example",
	} {
		for _, l := range []FromLimits{{}, high} {
			start := time.Now() // what grows with the square takes minutes
			l.Author(header(from))
			if d := time.Since(start); d > 30*time.Second {
				t.Errorf("%s takes %v with %+v", name, d, l)
			}
		}
	}
}

func FuzzAuthor(f *testing.F) {
	for _, s := range []string{
		"a@good.example", "Ann (x) <a@good.example>, \"b\" <b@[192.0.2.1]>", "g: a@b.example, c@d;", "=?utf-8?q?x@y?= <ä@ö.example>",
		"a@b.example <a@b.example>", "<@r.example:a@b>", "\"\\\"\"@b (((",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, from string) {
		h := header(strings.ReplaceAll(from, "\n", "\n "))
		d, err := Author(h)
		all, errAll := Authors(h)
		if err != nil {
			return
		}
		if errAll != nil || !slices.Equal(all, []string{d}) {
			t.Fatalf("Author %q, Authors %q, %v", d, all, errAll)
		}
		// What it found reads the same alone, and is a name as DNS has it.
		if again, err := Author(header("x@" + d)); again != d || err != nil {
			t.Errorf("%q reads as %q, %v", d, again, err)
		}
		if d == "" || strings.ContainsAny(d, " @<>\"(),;:\\\r\n\x00ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			t.Errorf("domain %q", d)
		}
	})
}
