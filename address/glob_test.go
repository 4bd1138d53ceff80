package address

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestHostGlob(t *testing.T) {
	for _, tt := range []struct {
		name, pattern, host string
		want                bool
	}{
		{"name", "mail.example.com", "mail.example.com", true},
		{"case of the host", "mail.example.com", "MAIL.Example.COM", true},
		{"case of the pattern", "MAIL.*.COM", "mail.example.com", true},
		{"dot at the end of the host", "mail.example.com", "mail.example.com.", true},
		{"dot at the end of the pattern", "mail.example.com.", "mail.example.com", true},
		{"subdomain", "*.example.com", "a.example.com", true},
		{"subdomain of a subdomain", "*.example.com", "b.a.example.com", true},
		{"the domain is not below itself", "*.example.com", "example.com", false},
		{"suffix without a dot", "*.example.com", "badexample.com", false},
		{"longer name", "*.example.com", "a.example.com.evil.example", false},
		{"one character", "mail?.example.org", "mail7.example.org", true},
		{"no character", "mail?.example.org", "mail.example.org", false},
		{"two characters", "mail?.example.org", "mail77.example.org", false},
		{"star between", "mx*.example.org", "mx.example.org", true},
		{"parts in order", "a*b*c", "axbxc", true},
		{"parts out of order", "a*b*c", "acb", false},
		{"parts may not overlap", "ab*ba", "aba", false},
		{"star first and last", "*dsl*", "a.dsl.example", true},
		{"stars alone", "**", "anything.example", true},
		{"star and the empty host", "*", "", true},
		{"question marks behind a star", "*?b", "b", false},
		{"question mark and star", "?*", "", false},
		{"internationalized label", "*.bücher.example", "a.xn--bcher-kva.example", true},
		{"internationalized host", "*.xn--bcher-kva.example", "A.BÜCHER.example", true},
		{"all internationalized names", "xn--*.example", "bücher.example", true},
		{"host of other bytes", "*.example", "\xff.example", true},
		{"underscore", "_*.example", "_x.example", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := ParseHostGlob(tt.pattern)
			if err != nil {
				t.Fatal(err)
			}
			if got := g.Match(tt.host); got != tt.want || g.String() != tt.pattern {
				t.Errorf("%v matches %q = %v, want %v", g, tt.host, got, tt.want)
			}
		})
	}
	if (HostGlob{}).Match("") {
		t.Error("the zero HostGlob matches")
	}
}

func TestHostGlobRefusesPatterns(t *testing.T) {
	for _, p := range []string{"", ".", "a..b", ".a", "a b", "[ab].example", "[192.0.2.1]", "a/b", "ü*.example", "*\xff", "a\x00*", "10.0.0.0/8*", strings.Repeat("a*", 127)} {
		g, err := ParseHostGlob(p)
		if pe, ok := errors.AsType[*PatternError](err); !ok || pe.Pattern != p {
			t.Errorf("ParseHostGlob(%q) = %v, %v", p, g, err)
		}
	}
	if _, err := ParseHostGlob(strings.Repeat("*a", 126) + "*"); err != nil {
		t.Errorf("253 bytes: %v", err)
	}
}

func TestHostGlobTakesTimeByLength(t *testing.T) {
	g, err := ParseHostGlob(strings.Repeat("*a?", 84))
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for _, unit := range []string{"a", "ab", "b", "ü"} {
		g.Match(strings.Repeat(unit, 1<<20) + "!")
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

// globSlowly matches by the definition, in exponential time.
func globSlowly(pattern, host string) bool {
	switch {
	case pattern == "":
		return host == ""
	case pattern[0] == '*':
		return globSlowly(pattern[1:], host) || host != "" && globSlowly(pattern, host[1:])
	}
	return host != "" && (pattern[0] == '?' || lower(pattern[0]) == lower(host[0])) && globSlowly(pattern[1:], host[1:])
}

func FuzzHostGlob(f *testing.F) {
	for _, s := range [][2]string{{"*.example.com", "a.example.com"}, {"a*b?c*", "aabbc"}, {"?", "."}, {"**", ""}, {"*a*a", "aaa"}, {"ab*ba", "aba"}, {"*?*?", "a"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, host string) {
		g, err := ParseHostGlob(pattern)
		if err != nil {
			return
		}
		got := g.Match(host)
		if len(host) > 20 || strings.Count(pattern, "*") > 6 || !isASCIIName(pattern) {
			return
		}
		for i := range len(host) {
			if host[i] >= 0x80 {
				return
			}
		}
		if want := globSlowly(strings.TrimSuffix(strings.TrimSpace(pattern), "."), strings.TrimSuffix(host, ".")); got != want {
			t.Errorf("%q matches %q = %v, want %v", pattern, host, got, want)
		}
	})
}

func BenchmarkHostGlob(b *testing.B) {
	g, err := ParseHostGlob("*-*.dsl.*.example.com")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		g.Match("adsl-69-208-201-177.dsl.emhril.example.com")
	}
}

func ExampleParseHostGlob() {
	_, err := ParseHostGlob("*.exam ple.com")
	fmt.Println(err)
	// Output: address: pattern "*.exam ple.com": no host name with the wildcards * and ?
}

func ExampleHostGlob() {
	g, _ := ParseHostGlob("mail?.*.example")
	fmt.Println(g, g.Match("MAIL1.eu.example"))
	// Output: mail?.*.example true
}

func ExampleHostGlob_Match() {
	g, _ := ParseHostGlob("*.example.com")
	fmt.Println(g.Match("mx.eu.example.com"), g.Match("example.com"))
	// Output: true false
}

func ExampleHostGlob_String() {
	g, _ := ParseHostGlob("*.Example.com")
	fmt.Println(g.String())
	// Output: *.Example.com
}
