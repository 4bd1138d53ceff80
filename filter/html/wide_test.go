package html

import (
	"strings"
	"testing"
)

// U+503C, U+773C and the like have a byte that is "<".
func TestBytesOfWideTextAreNoTags(t *testing.T) {
	for _, text := range []string{
		"<html><p>\u6570\u503c online \u670d\u52a1</p></html>", "\u6570\u503c\u670d\u52a1\n\u4e00\u503c\u5f97", "<p>\u773c one two</p>",
		"<p>\u503c <a href=\"http://x.example/?a=1&amp;b=2\" style=\"color:red\">\u793c one</a> & on=1</p>", "<p>\u503c one &#160; \U0001f600</p>",
	} {
		for _, tt := range encodings {
			if !strings.HasPrefix(strings.ToLower(tt.charset), "utf-16") && !strings.HasPrefix(tt.charset, "utf-32") {
				continue
			}
			in, err := tt.enc.NewEncoder().String(text)
			if err != nil {
				t.Fatal(err)
			}
			marked := map[string]string{"utf-16le": "\xff\xfe", "UTF-16BE": "\xfe\xff", "utf-32le": "\xff\xfe\x00\x00"}[tt.charset] + in
			for _, try := range []struct{ in, charset string }{{in, tt.charset}, {marked, tt.charset}, {marked, ""}} {
				if got, rep := remove(t, try.in, Options{Charset: try.charset}); got != try.in || rep.Total > 0 {
					t.Errorf("%q in %s: Remove(%q) = %q, finding %v", text, tt.charset, try.in, got, rep.Findings)
				}
			}
			// What is active is found, and nothing else goes.
			bad, _ := tt.enc.NewEncoder().String(text + "<script>x</script>\u503c one")
			want, _ := tt.enc.NewEncoder().String(text + "<!-- removed: script -->\u503c one")
			if got, rep := remove(t, bad, Options{Charset: tt.charset}); got != want {
				t.Errorf("%q in %s: Remove(%q) = %q, finding %v", text, tt.charset, bad, got, rep.Findings)
			}
		}
	}
}
