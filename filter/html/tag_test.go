package html

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

// scanned is what the tokenizer makes of the attributes scanTag found.
func scanned(raw []byte) (name string, list [][2]string) {
	end, attrs := scanTag(raw, 1, len(raw), nil)
	seen := map[string]bool{}
	for _, a := range attrs {
		key := asciiLower(raw[a.name[0]:a.name[1]])
		if seen[key] {
			continue
		}
		seen[key] = true
		list = append(list, [2]string{noNUL(key), noNUL(string(raw[a.value[0]:a.value[1]]))})
	}
	return noNUL(asciiLower(raw[1:end])), list
}

func asciiLower(b []byte) string {
	out := bytes.Clone(b)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out)
}

func noNUL(s string) string { return strings.ReplaceAll(s, "\x00", "\ufffd") }

func FuzzScanTag(f *testing.F) {
	for _, s := range []string{
		"", " b=c", "/b=c/", " b = 'c' d", " b='c'd=\"e\"f", " =b=c", " b==c", " / = b", "\tb\n=\r\fc", " b= ", " b=\"", " b='>'", " B=c b=d", " b/=c", "b\x00c d\x00=e\x00", " b =\"c\"=d",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		// References and line ends are resolved later.
		in = bytes.ReplaceAll(bytes.ReplaceAll(in, []byte("&"), []byte("+")), []byte("\r"), []byte("\n"))
		z := html.NewTokenizer(bytes.NewReader(append([]byte("<a"), in...)))
		tt := z.Next()
		if tt != html.StartTagToken && tt != html.SelfClosingTagToken {
			return
		}
		raw := bytes.Clone(z.Raw())
		wantName, more := z.TagName()
		want := [][2]string(nil)
		name := string(wantName)
		for more {
			var k, v []byte
			k, v, more = z.TagAttr()
			want = append(want, [2]string{string(k), string(v)})
		}
		gotName, got := scanned(raw)
		if gotName != name {
			t.Errorf("scanTag(%q) name = %q, want %q", raw, gotName, name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("scanTag(%q) (-tokenizer +scanTag):\n%s", raw, diff)
		}
		// Counted in pieces, with what is behind the tag.
		var count tagCount
		size := 1
		for rest := append(raw[1:], "<b c>"...); len(rest) > 0; {
			n := min(len(rest), 1+len(in)%5)
			size += count.add(rest[:n])
			rest = rest[n:]
		}
		_, attrs := scanTag(raw, 1, len(raw), nil)
		if empty := tt == html.SelfClosingTagToken; count.at != behindTag || size != len(raw) || count.attrs != len(attrs) || empty != count.empty && len(attrs) == len(want) {
			t.Errorf("of %q %d bytes are counted with %d attributes, empty %v, want %d, %d, %v", raw, size, count.attrs, count.empty, len(raw), len(attrs), empty)
		}
	})
}

// What stays of a tag are the attributes that were there, in their order.
func FuzzEditKeepsTheOtherAttributes(f *testing.F) {
	for _, s := range []string{" a onclick=x =b c", "/onclick=x/b", ` a="b"onclick="c"d="e"`, " a onclick='x' b", " a= onclick=x onload", " onclick = x/ a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		z := html.NewTokenizer(bytes.NewReader(append([]byte("<p"), in...)))
		if tt := z.Next(); tt != html.StartTagToken && tt != html.SelfClosingTagToken {
			return
		}
		raw := bytes.Clone(z.Raw())
		s := newScanner(nil, nil, Options{}.withDefaults())
		_, edited, changed := s.edit(raw)
		if !changed {
			return
		}
		end, attrs := scanTag(raw, 1, len(raw), nil)
		var want [][2]string
		removed := s.report.Total
		endGot, attrsGot := scanTag(edited, 1, len(edited), nil)
		if string(raw[:end]) != string(edited[:endGot]) || len(attrsGot)+removed != len(attrs) && s.report.Total < 64 {
			t.Errorf("edit(%q) = %q, with %d removed", raw, edited, removed)
		}
		for _, a := range attrs {
			want = append(want, [2]string{string(raw[a.name[0]:a.name[1]]), string(raw[a.value[0]:a.value[1]])})
		}
		for _, a := range attrsGot {
			one := [2]string{string(edited[a.name[0]:a.name[1]]), string(edited[a.value[0]:a.value[1]])}
			for len(want) > 0 && want[0] != one {
				want = want[1:]
			}
			if len(want) == 0 {
				t.Fatalf("edit(%q) = %q, which has a new attribute %q", raw, edited, one)
			}
			want = want[1:]
		}
	})
}
