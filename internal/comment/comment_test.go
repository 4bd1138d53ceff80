package comment

import "testing"

func TestLen(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     int
	}{
		{"nothing", "", 0},
		{"no comment", "a (b)", 0},
		{"an end", ")", 0},
		{"a backslash", `\(b)`, 0},
		{"empty", "()", 2},
		{"more behind it", "(a) b (c)", 3},
		{"nested", "(a(b)(c))d", 9},
		{"quoted pairs", `(a\)\\)b)`, 7},
		{"quotes are nothing special", `(")")`, 3},
		{"folded", "(a\r\n b)", 7},
		{"without an end", "(a", 0},
		{"the inner one ends", "(a(b)", 0},
		{"a backslash at the end", `(a\`, 0},
		{"the end is quoted", `(a\)`, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Len(tt.in); got != tt.want {
				t.Errorf("Len(%q) = %d, want %d", tt.in, got, tt.want)
			}
		})
	}
}
