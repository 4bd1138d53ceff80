package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParsePath(t *testing.T) {
	for _, tt := range []struct{ name, in, local, domain, route, str string }{
		{"UTIL-12 plain", "user@example.com", "user", "example.com", "", "user@example.com"},
		{"UTIL-13 all of it quoted", `"user@example.com"`, "user@example.com", "", "", `"user@example.com"`},
		{"UTIL-13 quoted at sign", `"user@bar"@example.com`, "user@bar", "example.com", "", `"user@bar"@example.com`},
		{"UTIL-13 quotes that are needless", `"user"@example.com`, "user", "example.com", "", "user@example.com"},
		{"UTIL-13 escaped quotes", `"a\"b\c"@example.com`, `a"bc`, "example.com", "", `"a\"bc"@example.com`},
		{"UTIL-14 no domain", "foo", "foo", "", "", "foo"},
		{"UTIL-14 source route", "@mx.example.com:user@example.com", "user", "example.com", "@mx.example.com", "user@example.com"},
		{"UTIL-14 at sign first", "@user@example.com", "@user", "example.com", "", `"@user"@example.com`},
		{"UTIL-14 long source route", "<@a,@b:c@d>", "c", "d", "@a,@b", "c@d"},
		{"UTIL-14 two at signs", "a@b@c", "a@b", "c", "", `"a@b"@c`},
		{"UTIL-14 null sender", "<>", "", "", "", ""},
		{"UTIL-14 nothing", "", "", "", "", ""},
		{"UTIL-14 empty domain", "<user@>", "user", "", "", "user"},
		{"UTIL-15 brackets and the case of the domain", "<User@Example.COM>", "User", "Example.COM", "", "User@Example.COM"},
		{"blanks around", " \t< a@b > ", "a", "b", "", "a@b"},
		{"blanks of the null sender", "< >", "", "", "", ""},
		{"blank in the local part", "<a b@c>", "a b", "c", "", `"a b"@c`},
		{"part of the local part quoted", `a."b c".d@e`, "a.b c.d", "e", "", `"a.b c.d"@e`},
		{"backslash without quotes", `a\@b@c`, "a@b", "c", "", `"a@b"@c`},
		{"two dots", "a..b@c", "a..b", "c", "", `"a..b"@c`},
		{"dot at the end", "a.@c", "a.", "c", "", `"a."@c`},
		{"empty quoted local part", `""@c`, "", "c", "", `""@c`},
		{"no local part", "@c", "", "c", "", `""@c`},
		{"SMTPUTF8", "jörg@bücher.example", "jörg", "bücher.example", "", "jörg@bücher.example"},
		{"Latin 1", "j\xf6rg@example.com", "j\xf6rg", "example.com", "", "j\xf6rg@example.com"},
		{"IPv4 literal", "a@[192.0.2.1]", "a", "[192.0.2.1]", "", "a@[192.0.2.1]"},
		{"IPv6 literal", "a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]", "", "a@[IPv6:2001:db8::1]"},
		{"IPv6 literal behind a route", "@x.example , @y.example: a@[IPv6:::1]", "a", "[IPv6:::1]", "@x.example , @y.example", "a@[IPv6:::1]"},
		{"at sign first and a literal", "@a@[IPv6:::1]", "@a", "[IPv6:::1]", "", `"@a"@[IPv6:::1]`},
		{"at sign first and a quoted colon", `@"a:b"@c`, "@a:b", "c", "", `"@a:b"@c`},
		{"route with empty hops", "@a,,@b,:c@d", "c", "d", "@a,,@b,", "c@d"},
		{"characters that want quotes", "a(b),c;d:e@f", "a(b),c;d:e", "f", "", `"a(b),c;d:e"@f`},
		{"all of atext", "!#$%&'*+-/=?^_`{|}~@c", "!#$%&'*+-/=?^_`{|}~", "c", "", "!#$%&'*+-/=?^_`{|}~@c"},
		{"quoted brackets", `<"<>"@c>`, "<>", "c", "", `"<>"@c`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParsePath(tt.in)
			if want := (Path{tt.local, tt.domain, tt.route}); err != nil || p != want {
				t.Errorf("ParsePath(%q) = %+v, %v, want %+v", tt.in, p, err, want)
			}
			if p.String() != tt.str || p.Null() != (tt.str == "") {
				t.Errorf("ParsePath(%q).String() = %q, null %v, want %q", tt.in, p.String(), p.Null(), tt.str)
			}
		})
	}
}

func TestParsePathErrors(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		offset   int
	}{
		{"bracket without end", "<a@b", 4},
		{"bracket alone", " <", 2},
		{"bracket without beginning", "a@b>", 3},
		{"text behind the bracket", "<a@b> c", 7},
		{"bracket in bracket", " <<a@b>>", 2},
		{"quote without end", `<a"b@c>`, 2},
		{"backslash at the end", `a\`, 2},
		{"line end", "a@b\r\nRCPT", 3},
		{"line end in quotes", "\"a\nb\"@c", 2},
		{"line end behind a backslash", "\"a\\\nb\"@c", 3},
		{"NUL", "a\x00@b", 1},
		{"DEL", "< a\x7f@b>", 3},
		{"blank in the domain", "a@b c", 3},
		{"quotes as domain", `a@"b"`, 2},
		{"port behind the domain", "<a@b:25>", 4},
		{"literal without end", "a@[192.0.2.1", 12},
		{"bracket in a literal", "a@[[]", 3},
		{"text behind a literal", "a@[::1]x", 8},
		{"hop without at sign", "@a,b:c@d", 3},
		{"hop without name", "@:c@d", 0},
		{"two at signs in a hop", "@a,@b@c:d@e", 3},
		{"nothing in quotes", `""`, 0},
		{"at sign alone", "<@>", 1},
		{"nothing behind the route", "@a:", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParsePath(tt.in)
			se, ok := errors.AsType[*SyntaxError](err)
			if !ok || se.Offset != tt.offset || p != (Path{}) || strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("ParsePath(%q) = %+v, %v, want an error at byte %d", tt.in, p, err, tt.offset)
			}
		})
	}
}

// UTIL-09, UTIL-10, UTIL-20: addresses are read and written by one rule.
func TestLiteral(t *testing.T) {
	for _, tt := range []struct{ domain, addr, canonical string }{
		{"[192.0.2.1]", "192.0.2.1", "[192.0.2.1]"},
		{"[IPv6:2001:DB8::1]", "2001:db8::1", "[IPv6:2001:db8::1]"},
		{"[ipv6:1234:5678:0:0:0:0:102:304]", "1234:5678::102:304", "[IPv6:1234:5678::102:304]"},
		{"[IPv6:::1234:5678:0:102:304]", "::1234:5678:0:102:304", "[IPv6:::1234:5678:0:102:304]"},
		{"[IPv6:1234:5678:0:102:304::]", "1234:5678:0:102:304::", "[IPv6:1234:5678:0:102:304::]"},
		{"[IPv6:::]", "::", "[IPv6:::]"},
		{"[IPv6:::FFFF:1.2.3.4]", "1.2.3.4", "[1.2.3.4]"},
		{"[2001:db8::1]", "2001:db8::1", "[IPv6:2001:db8::1]"},
		{"[IPv6:::1.2.3.4.5]", "", ""},
		{"[IPv6:1.2.3.4]", "", ""},
		{"[IPv6:fe80::1%eth0]", "", ""},
		{"[1.2]", "", ""},
		{"[01.2.3.4]", "", ""},
		{"[256.2.3.4]", "", ""},
		{"[1.2.3.4", "", ""},
		{"[x400:foo]", "", ""},
		{"[]", "", ""},
		{"1.2.3.4", "", "1.2.3.4"},
		{"", "", ""},
	} {
		a, ok := Path{Domain: tt.domain}.Literal()
		want, _ := netip.ParseAddr(tt.addr)
		if a != want || ok != (tt.addr != "") {
			t.Errorf("literal %q = %v, %v, want %q", tt.domain, a, ok, tt.addr)
		}
		if got, err := ASCIIDomain(tt.domain); got != tt.canonical || (err == nil) != (tt.canonical != "" || tt.domain == "") {
			t.Errorf("ASCIIDomain(%q) = %q, %v, want %q", tt.domain, got, err, tt.canonical)
		}
	}
}

func TestEqualPaths(t *testing.T) {
	for _, tt := range []struct {
		name, a, b   string
		equal, folds bool
	}{
		{"case of the domain", "a@Example.COM", "a@example.com", true, true},
		{"case of the local part", "A@example.com", "a@example.com", false, true},
		{"case above ASCII", "ÄÖ@example.com", "äö@example.com", false, true},
		{"quotes", `"a"@example.com`, "<a@example.com>", true, true},
		{"dot at the end", "a@example.com.", "a@example.com", true, true},
		{"source route", "@x:a@example.com", "a@example.com", true, true},
		{"A-labels and U-labels", "a@BÜCHER.example", "a@xn--bcher-kva.example", true, true},
		{"literals", "a@[IPv6:2001:DB8:0::1]", "a@[IPv6:2001:db8::1]", true, true},
		{"a mapped literal", "a@[IPv6:::ffff:192.0.2.1]", "a@[192.0.2.1]", true, true},
		{"domains that are no names", "a@B..\xff", "a@b..\xff", true, true},
		{"case of bytes that are no UTF-8", "A\xc4@b", "a\xc4@b", false, true},
		{"other bytes that are no UTF-8", "a\xc4@b", "a\xe4@b", false, false},
		{"other domains", "a@b", "a@c", false, false},
		{"null senders", "<>", "", true, true},
		{"null sender and another", "<>", "a", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err1 := ParsePath(tt.a)
			q, err2 := ParsePath(tt.b)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			if p.Equal(q) != tt.equal || (p.Fold() == q.Fold()) != tt.folds {
				t.Errorf("%q and %q: equal %v, fold to %q and %q, want %v, %v", tt.a, tt.b, p.Equal(q), p.Fold(), q.Fold(), tt.equal, tt.folds)
			}
		})
	}
}

func TestPathsOfAnyBytesAreWrittenSafely(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r >= ' ' && r != 0x7f })).Draw(t, "local")
		domain := rapid.SampledFrom([]string{"example.com", "[192.0.2.1]", "bücher.example", ""}).Draw(t, "domain")
		p := Path{Local: local, Domain: domain}
		q, err := ParsePath(p.String())
		if err != nil || q != p {
			t.Fatalf("%+v is written %q and read %+v, %v", p, p, q, err)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"", "<>", "<a@b>", `"a@b\"c"@d`, "@a,@b:c@d", "@a:@b:c@d", `a\`, "a@[IPv6:::1]", "jörg@bücher.example", `""@x`, "\xff@\xff", "a..@b.", "< <a@b> >", "a@XN--bcher-KVA.example", "a@ＥＸ。com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if se, ok := errors.AsType[*SyntaxError](err); ok && (se.Offset < 0 || se.Offset > len(s)) {
			t.Errorf("ParsePath(%q): offset %d", s, se.Offset)
		}
		if err != nil {
			return
		}
		p.Literal()
		p.Route = ""
		for _, text := range []string{p.String(), "<" + p.String() + ">"} {
			if q, err := ParsePath(text); err != nil || q != p {
				t.Errorf("ParsePath(%q) = %+v, and of %q %+v, %v", s, p, text, q, err)
			}
		}
		c := p.Canonical()
		if !p.Equal(c) || c.Canonical() != c || c.Local != p.Local {
			t.Errorf("canonical form of %+v is %+v, then %+v", p, c, c.Canonical())
		}
		if q, err := ParsePath(p.Fold()); err != nil || q.Fold() != p.Fold() {
			t.Errorf("%+v folds to %q, then %q, %v", p, p.Fold(), q.Fold(), err)
		}
	})
}

func ExampleParsePath() {
	p, err := ParsePath(`<@relay.example:"jane doe"@Example.COM>`)
	fmt.Printf("%q %q %q %v\n", p.Local, p.Domain, p.Route, err)
	fmt.Println(p)
	_, err = ParsePath("<jane@example.com")
	fmt.Println(err)
	// Output:
	// "jane doe" "Example.COM" "@relay.example" <nil>
	// "jane doe"@Example.COM
	// address: no '>' at byte 17
}

func ExamplePath() {
	p := Path{Local: "a@b", Domain: "example.com"}
	fmt.Println(p)
	fmt.Println(Path{}.Null())
	// Output:
	// "a@b"@example.com
	// true
}

func ExamplePath_Canonical() {
	p, _ := ParsePath("Jane@BÜCHER.example")
	fmt.Println(p.Canonical())
	// Output: Jane@xn--bcher-kva.example
}

func ExamplePath_Equal() {
	p, _ := ParsePath(`"jane"@Example.COM`)
	q, _ := ParsePath("<jane@example.com.>")
	fmt.Println(p.Equal(q))
	// Output: true
}

func ExamplePath_Fold() {
	p, _ := ParsePath("<Jane@Example.COM>")
	fmt.Println(p.Fold())
	// Output: jane@example.com
}

func ExamplePath_Literal() {
	p, _ := ParsePath("postmaster@[IPv6:2001:db8::1]")
	fmt.Println(p.Literal())
	// Output: 2001:db8::1 true
}

func ExamplePath_Null() {
	p, _ := ParsePath("<>")
	fmt.Println(p.Null())
	// Output: true
}

func ExamplePath_String() {
	p, _ := ParsePath(`<"jane".doe@example.com>`)
	fmt.Println(p.String())
	// Output: jane.doe@example.com
}

func ExampleSyntaxError() {
	_, err := ParsePath(`"jane@example.com`)
	if se, ok := errors.AsType[*SyntaxError](err); ok {
		fmt.Println(se.Offset, se.Reason)
	}
	// Output: 0 quote without end
}
