package dkim

import (
	"bytes"
	"crypto/sha256"
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

// However many lengths are asked for, in whatever order, each has the hash of so many bytes.
func TestSumsOfLengths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"\r\n", "\r", " ", "a", "bc", strings.Repeat("word ", 900), strings.Repeat("\r\n", 300)}), 0, 12).Draw(t, "body"), "")
		limits := rapid.SliceOfN(rapid.SampledFrom([]int64{-1, 0, 1, 2, 5, 4095, 4096, 4097, never}), 1, 9).Draw(t, "limits")
		cuts := rapid.SliceOfN(rapid.IntRange(0, 5000), 0, 5).Draw(t, "cuts")
		for _, c := range []Canon{Simple, Relaxed} {
			b := &bodyCanon{relaxed: c == Relaxed, hash: sha256.New()}
			var sums []*bodySum
			for _, l := range limits {
				sums = append(sums, b.sumOf(l))
			}
			rest := body
			for _, n := range cuts {
				n = min(n, len(rest))
				b.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			b.Write([]byte(rest))
			b.close()
			whole := bodyByTheBook(c, body)
			for i, l := range limits {
				part := whole
				if l >= 0 {
					part = whole[:min(l, int64(len(whole)))]
				}
				if want := sha256.Sum256([]byte(part)); !bytes.Equal(sums[i].sum, want[:]) || sums[i] != b.sumOf(l) {
					t.Fatalf("%s body of %d bytes, limits %v: the sum of %d is not that of its first bytes", c, len(whole), limits, l)
				}
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
