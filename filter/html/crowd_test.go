package html

import (
	"strings"
	"testing"
)

// What comes of a tag with too many attributes is the same whether it was seen whole or
// not, and so is what is behind it.
func TestCrowdedTagsGoWhole(t *testing.T) {
	o := Options{MaxAttributes: 3}
	for _, element := range []string{"a", "title", "script", "style", "plaintext", "svg", "object", "animate", "x:style", "p<script", "meta http-equiv='refresh'"} {
		for _, before := range []string{"", "text", "<svg>", "<title>x</title>", "<noscript>"} {
			for _, attr := range []string{" a", ` a="'>"`, " b='\">'", " a=b", "/a", " =", "\n=\t=\f'x'\r", " a = b", ` a="`, " a='", " a=b/"} {
				for _, end := range []string{">", "/>", " />", "/ >", "=>", "=b/>", "='>", `">`, `"/>`, `'/>`, "=\"x\"/>", ""} {
					for _, tail := range []string{"", "tail<b onclick=x>", "</title><p>", "</script><i onclick=x>", "<script>x</script></svg>"} {
						// The tokenizer takes a last attribute that was named before for none.
						text := func(n int) string { return before + "<" + element + strings.Repeat(attr, n) + " z" + end + tail }
						few, many := text(12), text(4096/len(attr)/12*36) // quotes and = come in twos and threes
						want, wantRep := remove(t, few, o)
						got, rep := remove(t, many, o)
						moved := int64(len(many) - len(few))
						for i, f := range wantRep.Findings {
							if f.Offset > int64(len(before)) {
								wantRep.Findings[i].Offset += moved
							}
						}
						if got != want || rep.String() != wantRep.String() {
							t.Errorf("of %q with %d bytes more in its tag\n got %.100q, %v\nwant %.100q, %v", few, moved, got, rep, want, wantRep)
						}
					}
				}
			}
		}
	}
}

// A tag that is over another limit too is cut as any other.
func TestCrowdedTagLimits(t *testing.T) {
	const size = 20_000
	tag := "<p>x<a" + strings.Repeat(" a", size/2) + ">"
	for _, tt := range []struct {
		name, want string
		o          Options
	}{
		{"MaxToken", "<p>x<!-- removed: rest -->", Options{MaxToken: size}},
		{"just the MaxToken", "<p>x<!-- removed: tag -->tail", Options{MaxToken: size + 4}},
		{"MaxSize", "<p>x<!-- removed: tag --><!-- removed: rest -->", Options{MaxSize: size}},
		{"MaxAttributes", tag + "tail", Options{MaxAttributes: size / 2}},
		{"one attribute less", "<p>x<!-- removed: tag -->tail", Options{MaxAttributes: size/2 - 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, rep := remove(t, tag+"tail", tt.o); got != tt.want {
				t.Errorf("got %.100q, %v, want %.100q", got, rep, tt.want)
			}
		})
	}
}
