package offline

import (
	"strings"
	"testing"
)

func TestUnified(t *testing.T) {
	for _, tt := range []struct{ name, a, b, want string }{
		{"same", "A: b\r\n", "A: b\r\n", ""},
		{"a line changed", "A: b\r\nC: d\r\n", "A: b\r\nC: e\r\n", "--- x\n+++ delivered\n@@ -1,2 +1,2 @@\n A: b\n-C: d\n+C: e\n"},
		{"what cannot be printed", "A: \x1b[1m\xff\t\u202e\r\nB: \r1\r\n", "A: ü\r\nB: \r1\r\n", "--- x\n+++ delivered\n@@ -1,2 +1,2 @@\n-A: \\x1b[1m\\xff\t\\u202e\n+A: ü\n B: \\r1\n"},
		{"no line end", "a", "b", "--- x\n+++ delivered\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n"},
		{"too large", strings.Repeat("x", maxDiff), "b", "--- x\n+++ delivered\nthey differ, and are too large to be compared: 33554432 and 1 bytes\n"},
	} {
		if got := unified("x", []byte(tt.a), []byte(tt.b)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := unified("x\n+y\x1b", []byte("a\n"), []byte("b\n")); !strings.HasPrefix(got, "--- x\\n+y\\x1b\n+++ delivered\n@@") {
		t.Errorf("name with a line end: %q", got)
	}
}
