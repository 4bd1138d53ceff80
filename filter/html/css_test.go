package html

import "testing"

func TestActiveStyle(t *testing.T) {
	for _, tt := range []struct {
		css  string
		want bool
	}{
		{"color:red", false},
		{"width:expression(1)", true},
		{"width:EXPRESSION (1)", true},
		{"width:exp/* x */ression(1)", true},
		{`width:\65 xpression(1)`, true},
		{`width:\0000065xpression(1)`, false}, // seven digits: 6 and then a 5
		{`a:"/*"; width: exp/**/ression(1); b:"*/"`, true},
		{"width:\uff45\uff58pression(1)", true},
		{"content:'an expression of joy'", false},
		{"behavior:url(x)", true},
		{"scroll-behavior:smooth;overscroll-behavior: none", false},
		{"scroll-behavior:smooth;behavior : url(x)", true},
		{"-ms-behavior:url(x)", true},
		{"-moz-binding:url(x)", true},
		{"background:url(java\nscript:x)", true},
		{`background:u\rl('vb\73 cript:x')`, true},
		{"background:url(https://example.com/data:x)", true},
		{"background:url(data:image/png;base64,AA)", false},
		{"background:url(data:image/svg+xml,x)", true},
		{"src:url(data:font/woff2;base64,AA),url(data:text/css,x)", true},
		{"src:url(data:font/woff2;base64,AA)", false},
		{"/* metadata: x */", false},
		{"@import url(x)", true},
		{`@\69mport url(x)`, true},
	} {
		s := newScanner(nil, nil, Options{}.withDefaults())
		if got := s.activeStyle(tt.css, false); got != tt.want {
			t.Errorf("activeStyle(%q) = %v, want %v", tt.css, got, tt.want)
		}
	}
}

func TestCutImports(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		cuts     int
	}{
		{"p{}", "p{}", 0},
		{"@import 'a';p{}", "p{}", 1},
		{"@IMPORT url(https://example.com/css2?family=A:wght@400;700) screen;\np{}", "\np{}", 1},
		{"@import url('a)b;c');@import \"d\";p{}", "p{}", 2},
		{"@import url(a p{}", "{}", 1},
		{"@import 'a\np{}", "\np{}", 1},
		{"@import url(a", "", 1},
		{"@media x{}@importx;", "@media x{}", 1},
	} {
		got, cuts := cutImports([]byte(tt.in))
		if string(got) != tt.want || cuts != tt.cuts {
			t.Errorf("cutImports(%q) = %q, %d, want %q, %d", tt.in, got, cuts, tt.want, tt.cuts)
		}
	}
}
