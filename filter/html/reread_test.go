package html

import (
	"strings"
	"testing"
)

// What is read again and again is the sender's choice, and goes once there is too much of it.
func TestMaxReread(t *testing.T) {
	const title, style = "<title><b></title>", "<style>@import x;<b></style>"
	const deep = "<xmp><title><style><![CDATA[a]]></style></title></xmp>" // 2 + 4 + 8 times
	big := "<title><b>" + strings.Repeat("x", 1000) + "</title>"
	const gone, goneDeep = "<!-- removed: title -->", "<!-- removed: xmp -->"
	for _, tt := range []struct {
		name, in string
		o        Options
		want     string
		total    int
		kind     Kind // of the last finding
	}{
		{"within it", title + title, Options{MaxReread: 1024}, title + title, 0, 0},
		{"over it", strings.Repeat(title, 4), Options{MaxReread: 1024}, title + title + gone + gone, 2, Limit},
		{"a long one", big + title, Options{MaxReread: 1024}, big + gone, 1, Limit},
		{"a short one behind one that is too long", big + title, Options{MaxReread: 600}, gone + title, 1, Limit},
		{"without any tag", strings.Repeat("<title>x</title>", 4), Options{MaxReread: 1}, strings.Repeat("<title>x</title>", 4), 0, 0},
		{"a style twice", style + style, Options{MaxReread: 1024}, "<style><b></style><!-- removed: style -->", 2, Limit},
		{"each level", deep + deep, Options{MaxReread: 14 * 512}, deep + goneDeep, 1, Limit},
		{"less than each level", deep, Options{MaxReread: 14*512 - 1}, goneDeep, 1, Limit},
		{"comments", strings.Repeat("<!--[if x]><b><![endif]-->", 2), Options{MaxReread: 512, KeepConditional: true}, "<!--[if x]><b><![endif]--><!-- removed: conditional comment -->", 1, Limit},
		{"comments that go anyway", "<title><b></title><title><b></title><!--[if x]><b><![endif]-->", Options{MaxReread: 512}, title + gone + "<!-- removed: conditional comment -->", 2, Comment},
		{"ambiguous too", "<title><b></title><title><b onx=y></title>", Options{MaxReread: 1024}, title + gone, 1, Ambiguous},
		{"each charset", "\x1b(B" + title + title, Options{MaxReread: 4 * 512, Charset: "iso-2022-jp"}, "\x1b(B" + title + title, 0, 0},
		{"less than each charset", title + title, Options{MaxReread: 3*512 + 1, Charset: "iso-2022-jp"}, "<!-- removed: text -->", 2, Ambiguous},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, rep := remove(t, tt.in, tt.o)
			if got != tt.want || rep.Total != tt.total || rep.Total > 0 && rep.Findings[rep.Total-1].Kind != tt.kind {
				t.Errorf("got %q, %v, want %q, %d findings and the last %v", got, rep, tt.want, tt.total, tt.kind)
			}
			if again, rep := remove(t, got, tt.o); again != got {
				t.Errorf("again: got %q, %v, want %q", again, rep, got)
			}
		})
	}
}

// The default lets a page with tens of thousands of them stay, and no more.
func TestDefaultMaxReread(t *testing.T) {
	const title = "<title><b></title>"
	most := (64 << 20) / leastReread
	got, rep := remove(t, strings.Repeat(title, most+10), Options{})
	if rep.Total != 10 || !strings.HasPrefix(got, strings.Repeat(title, most)+"<!-- removed: title -->") {
		t.Errorf("%d of %d titles removed, want 10: %v", rep.Total, most+10, rep)
	}
}

// A scanner for each element takes an amount of memory that can be counted.
func TestOverMaxRereadNothingIsReadAgain(t *testing.T) {
	const deep = "<xmp><title><style><![CDATA[a]]></style></title></xmp>"
	allocs := func(n int) float64 {
		text := strings.Repeat(deep, n)
		return testing.AllocsPerRun(3, func() {
			remove(t, text, Options{MaxReread: 14 * 512 * 10, MaxFindings: 1})
		})
	}
	within, over := allocs(10), allocs(1000)
	t.Logf("%.0f allocations for 10 elements, %.0f for 1000", within, over)
	if each := (over - within) / 990; each > within/10/10 {
		t.Errorf("%.1f allocations for each element that is over it, %.1f for one that is read", each, within/10)
	}
}
