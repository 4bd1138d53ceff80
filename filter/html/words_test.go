package html

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// What is looked for by hand is what these expressions say.
var (
	exprInBytes = regexp.MustCompile(`(?i)on[a-z]{3}|script|frame|object|embed|applet|portal|webview|layer|base|handler|<xml|comment|` +
		`meta|link|style|title|textarea|<xmp|noembed|plaintext|svg|math|form|` +
		`href|src|action|data|background|poster|values|attribute|manifest|profile|import|entity|element|attlist|notation|` +
		`\[if|\[cdata|<!-|&#[x0-9]`)
	exprWithoutNULs = regexp.MustCompile(`(?i)</?(script|i?frame|object|embed|applet|portal|fencedframe|webview|i?layer|base|handler)|` +
		`[^a-z]on[a-z]+[ \t\r\n\f]*=|srcdoc|script:|data:|=[ \t\r\n\f]*["']?[ \t\r\n\f]*&(#|colon|tab|newline)|expression|behavior|binding`)
)

func TestWordsAreThoseOfTheExpressions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pieces := rapid.SliceOfN(rapid.SampledFrom([]string{"on", "o", "click", "x", " ", "\t", "\r\n", "=", "'", "\"", "&", "#", "x", "9", "colon", "Tab", "NEWLINE", "<", "/", "scr", "ipt", ":", "Frame", "i", "layer", "data",
			"src", "doc", "[", "if", "cdata", "!-", "sv", "g", "beh", "avior", "on", "\x80", "\xff", "link", "noembed", "href", "xm", "l", "p"}), 0, 12).Draw(rt, "pieces")
		in := []byte(strings.Join(pieces, ""))
		for _, tt := range []struct {
			name string
			w    *words
			re   *regexp.Regexp
		}{{"in bytes", actsInBytes, exprInBytes}, {"without NULs", actsWithoutNULs, exprWithoutNULs}} {
			for _, pad := range []int{0, 32<<10 - len(in)/2} { // across the end of a piece
				text := append(bytes.Repeat([]byte{'.'}, pad), in...)
				got, err := tt.w.in(iotest.DataErrReader(bytes.NewReader(text)))
				if want := tt.re.Match(text[max(pad-1, 0):]); err != nil || got != want {
					rt.Errorf("%s, %q behind %d bytes: %v, %v, want %v", tt.name, in, pad, got, err, want)
				}
			}
		}
	})
	if found, err := actsWithoutNULs.in(io.MultiReader(strings.NewReader("<p onclick"), strings.NewReader(strings.Repeat(" ", 1<<20)), strings.NewReader("=x"))); !found || err != nil {
		t.Errorf("a handler before a long blank: %v, %v", found, err)
	}
}
