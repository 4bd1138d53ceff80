package dkim

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gomilter/gomilter/message"
)

func TestBodyCanonicalization(t *testing.T) {
	for _, tt := range []struct{ name, in, simple, relaxed string }{
		{"RFC 6376 section 3.4.5", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"},
		{"empty", "", "\r\n", ""},
		{"one empty line", "\r\n", "\r\n", ""},
		{"empty lines", "\r\n\r\n\r\n", "\r\n", ""},
		{"a line of blanks", " \t\r\n", " \t\r\n", ""},
		{"blanks without line end", "  ", "  \r\n", ""},
		{"no line end", "a", "a\r\n", "a\r\n"},
		{"blanks at the end, no line end", "a \t", "a \t\r\n", "a\r\n"},
		{"empty lines inside", "a\r\n\r\n \r\nb\r\n", "a\r\n\r\n \r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
		{"CR alone", "a \rb\r\n", "a \rb\r\n", "a \rb\r\n"},
		{"CR in front of CRLF", "a\r\r\n\r\n", "a\r\r\n", "a\r\r\n"},
		{"CR at the end", "a\r\n\r", "a\r\n\r\r\n", "a\r\n\r\r\n"},
		{"LF alone", "a \nb\r\n", "a \nb\r\n", "a \nb\r\n"},
		{"CR alone is all", "\r", "\r\r\n", "\r\r\n"},
		{"octets", "\x00\xff  \x80\r\n", "\x00\xff  \x80\r\n", "\x00\xff \x80\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for c, want := range map[Canon]string{Simple: tt.simple, Relaxed: tt.relaxed} {
				if got := canonBody(c, tt.in); got != want {
					t.Errorf("%s body of %q = %q, want %q", c, tt.in, got, want)
				}
			}
		})
	}
}

// The text of RFC 6376 sections 3.4.3 and 3.4.4, step by step over all of a body.
func bodyByTheBook(c Canon, s string) string {
	if c == Relaxed {
		s = regexp.MustCompile(`[ \t]+(\r\n|$)`).ReplaceAllString(s, "$1")
		s = regexp.MustCompile(`[ \t]+`).ReplaceAllString(s, " ")
	}
	for strings.HasSuffix(s, "\r\n\r\n") {
		s = strings.TrimSuffix(s, "\r\n")
	}
	switch {
	case c == Relaxed && (s == "" || s == "\r\n"):
		return ""
	case strings.HasSuffix(s, "\r\n"):
		return s
	}
	return s + "\r\n"
}

func TestBodyCanonicalizationByTheBook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"\r\n", "\r\n", "\r", "\n", " ", "\t", "a", "bc", "\x80", strings.Repeat("word ", 900), strings.Repeat("\r\n", 600)}), 0, 20).Draw(t, "parts")
		body := strings.Join(parts, "")
		cuts := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 30).Draw(t, "cuts")
		for _, c := range []Canon{Simple, Relaxed} {
			if got, want := canonBody(c, body, cuts...), bodyByTheBook(c, body); got != want {
				t.Fatalf("%s body of %q in pieces of %v = %q, want %q", c, body, cuts, got, want)
			}
		}
	})
}

func TestHeaderCanonicalization(t *testing.T) {
	for _, tt := range []struct{ name, in, simple, relaxed string }{
		{"RFC 6376 section 3.4.5, A", "A: X\r\n", "A: X\r\n", "a:X\r\n"},
		{"RFC 6376 section 3.4.5, B", "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
		{"empty", "A:\r\n", "A:\r\n", "a:\r\n"},
		{"blanks", "A:  \t \r\n", "A:  \t \r\n", "a:\r\n"},
		{"folded by LF", "A: b\n c\n", "A: b\r\n c\r\n", "a:b c\r\n"},
		{"no line end", "A: b", "A: b\r\n", "a:b\r\n"},
		{"CR alone", "A: b \r c\r\n", "A: b \r c\r\n", "a:b \r c\r\n"},
		{"value begins on the next line", "A:\r\n b\r\n", "A:\r\n b\r\n", "a:b\r\n"},
		{"octets", "A: \xff\x00 \xe9\r\n", "A: \xff\x00 \xe9\r\n", "a:\xff\x00 \xe9\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := message.Parse([]byte(tt.in + "\n")).Header
			if !strings.Contains(tt.in, "\n") {
				h = message.Parse([]byte(tt.in)).Header
			}
			if len(h) != 1 {
				t.Fatalf("%q is %d fields", tt.in, len(h))
			}
			for c, want := range map[Canon]string{Simple: tt.simple, Relaxed: tt.relaxed} {
				if got := string(appendField(nil, c, h[0])); got != want {
					t.Errorf("%s of %q = %q, want %q", c, tt.in, got, want)
				}
			}
		})
	}
}
