package offline

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"
)

// maxDiff is how large two texts that are compared may be together, in bytes.
const maxDiff = 32 << 20

// unified compares two messages. CRLF is shown as a line end, and what cannot be
// printed is escaped.
func unified(name string, a, b []byte) string {
	name = escape([]byte(name))
	if len(a)+len(b) > maxDiff {
		return fmt.Sprintf("--- %s\n+++ delivered\nthey differ, and are too large to be compared: %d and %d bytes\n", name, len(a), len(b))
	}
	d := diff.Diff(name, unixLines(a), "delivered", unixLines(b))
	var out bytes.Buffer
	for i, line := range bytes.SplitAfter(d, []byte("\n")) {
		if i == 0 {
			continue // the command line of diff
		}
		text := bytes.TrimSuffix(line, []byte("\n"))
		out.WriteString(escape(text))
		out.Write(line[len(text):])
	}
	return out.String()
}

func unixLines(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }

// escape escapes what a terminal might obey. Tabs stay.
func escape(b []byte) string {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			out = fmt.Appendf(out, `\x%02x`, b[0])
		case r == '\t' || unicode.IsPrint(r):
			out = append(out, b[:n]...)
		default:
			q := strconv.QuoteRuneToASCII(r)
			out = append(out, q[1:len(q)-1]...)
		}
		b = b[n:]
	}
	return string(out)
}
