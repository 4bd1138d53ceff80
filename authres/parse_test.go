package authres

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The examples of RFC 8601 appendix B, as folded there.
var examples = []struct {
	name, in  string
	want      Field
	canonical bool // String writes the same, but for folding
}{
	{"B.2 nothing was checked", "example.org 1; none", Field{ID: "example.org", Version: 1}, true},
	{"B.3 one check", "example.com;\r\n          spf=pass smtp.mailfrom=example.net", Field{ID: "example.com", Results: []Result{
		{Method: "spf", Value: "pass", Properties: []Property{{"smtp", "mailfrom", "example.net"}}},
	}}, true},
	{"B.4 several checks", "example.com;\r\n          auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n          spf=pass smtp.mailfrom=example.net", Field{ID: "example.com", Results: []Result{
		{Method: "auth", Value: "pass", Comment: "cram-md5", Properties: []Property{{"smtp", "auth", "sender@example.net"}}},
		{Method: "spf", Value: "pass", Properties: []Property{{"smtp", "mailfrom", "example.net"}}},
	}}, true},
	{"B.4 address of the client", "example.com; iprev=pass\r\n          policy.iprev=192.0.2.200", Field{ID: "example.com", Results: []Result{
		{Method: "iprev", Value: "pass", Properties: []Property{{"policy", "iprev", "192.0.2.200"}}},
	}}, true},
	{"B.5 different hosts, one", "example.com;\r\n          dkim=pass (good signature) header.d=example.com", Field{ID: "example.com", Results: []Result{
		{Method: "dkim", Value: "pass", Comment: "good signature", Properties: []Property{{"header", "d", "example.com"}}},
	}}, true},
	{"B.5 different hosts, another", "example.com;\r\n          auth=pass (cram-md5) smtp.auth=sender@example.com;\r\n          spf=fail smtp.mailfrom=example.com", Field{ID: "example.com", Results: []Result{
		{Method: "auth", Value: "pass", Comment: "cram-md5", Properties: []Property{{"smtp", "auth", "sender@example.com"}}},
		{Method: "spf", Value: "fail", Properties: []Property{{"smtp", "mailfrom", "example.com"}}},
	}}, true},
	{"B.6 two signatures", "example.com;\r\n      dkim=pass reason=\"good signature\"\r\n        header.i=@mail-router.example.net;\r\n      dkim=fail reason=\"bad signature\"\r\n        header.i=@newyork.example.com", Field{ID: "example.com", Results: []Result{
		{Method: "dkim", Value: "pass", Reason: "good signature", Properties: []Property{{"header", "i", "@mail-router.example.net"}}},
		{Method: "dkim", Value: "fail", Reason: "bad signature", Properties: []Property{{"header", "i", "@newyork.example.com"}}},
	}}, true},
	{"B.6 the host before", "example.net;\r\n      dkim=pass (good signature) header.i=@newyork.example.com", Field{ID: "example.net", Results: []Result{
		{Method: "dkim", Value: "pass", Comment: "good signature", Properties: []Property{{"header", "i", "@newyork.example.com"}}},
	}}, true},
	{"B.7 comments everywhere", "foo.example.net (foobar) 1 (baz);\r\n    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n      policy (A dot can go here) . (like that) expired\r\n      (this surprised me) = (as I wasn't expecting it) 1362471462", Field{ID: "foo.example.net", Version: 1, Results: []Result{
		{Method: "dkim", Version: 1, Value: "fail", Properties: []Property{{"policy", "expired", "1362471462"}}},
	}}, false},
}

func TestParse(t *testing.T) {
	cases := append(examples[:len(examples):len(examples)], []struct {
		name, in  string
		want      Field
		canonical bool
	}{
		{"quoted id", `"mx 1" ;none`, Field{ID: "mx 1"}, false},
		{"case of names, not of values", "A.example; SPF=Pass SMTP.MailFrom=A@B.example", Field{ID: "A.example", Results: []Result{
			{Method: "spf", Value: "pass", Properties: []Property{{"smtp", "mailfrom", "A@B.example"}}},
		}}, false},
		{"nested comment with quoted pairs", `a; dkim=fail (x (y) \) \( z) header.d=b`, Field{ID: "a", Results: []Result{
			{Method: "dkim", Value: "fail", Comment: "x (y) ) ( z", Properties: []Property{{"header", "d", "b"}}},
		}}, false},
		{"semicolon in quotes and comment", `a; dkim=fail (x; y=z) reason="1; spf=pass" header.d=b`, Field{ID: "a", Results: []Result{
			{Method: "dkim", Value: "fail", Comment: "x; y=z", Reason: "1; spf=pass", Properties: []Property{{"header", "d", "b"}}},
		}}, true},
		{"quoted local part", `a; spf=pass smtp.mailfrom="john \"x\" doe"@b.example`, Field{ID: "a", Results: []Result{
			{Method: "spf", Value: "pass", Properties: []Property{{"smtp", "mailfrom", `"john \"x\" doe"@b.example`}}},
		}}, false},
		{"folded inside a quoted string", "a; spf=fail reason=\"one\n\ttwo\r\n  three\"", Field{ID: "a", Results: []Result{
			{Method: "spf", Value: "fail", Reason: "one two three"},
		}}, false},
		{"empty value", `a; spf=none smtp.mailfrom=""`, Field{ID: "a", Results: []Result{
			{Method: "spf", Value: "none", Properties: []Property{{"smtp", "mailfrom", ""}}},
		}}, true},
		{"comment behind the reason, base64 without quotes", "a;\n\tdkim=fail reason=\"bad\" (2048-bit key; unprotected) header.d=b.example header.b=l+0/0T6=;", Field{ID: "a", Results: []Result{
			{Method: "dkim", Value: "fail", Reason: "bad", Comment: "2048-bit key; unprotected", Properties: []Property{{"header", "d", "b.example"}, {"header", "b", "l+0/0T6="}}},
		}}, false},
		{"what Exchange puts among properties", "a; dmarc=pass action=none header.from=b.example", Field{ID: "a", Results: []Result{
			{Method: "dmarc", Value: "pass", Properties: []Property{{"header", "from", "b.example"}}},
		}}, false},
		{"internationalized", "a; spf=pass smtp.mailfrom=jürgen@exämple.example", Field{ID: "a", Results: []Result{
			{Method: "spf", Value: "pass", Properties: []Property{{"smtp", "mailfrom", "jürgen@exämple.example"}}},
		}}, true},
	}...)
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.in)
			if err != nil {
				t.Fatalf("Parse(%q): %v", tt.in, err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.in, d)
			}
			written := got.Format(Layout{UTF8: true})
			if tt.canonical && unfolded(written) != unfolded(tt.in) {
				t.Errorf("written %q, want %q", written, tt.in)
			}
			again, err := Parse(written)
			if err != nil {
				t.Fatalf("Parse(%q): %v", written, err)
			}
			if d := cmp.Diff(got, again); d != "" {
				t.Errorf("%q reads otherwise (-first +again):\n%s", written, d)
			}
		})
	}
}

func unfolded(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		offset         int
	}{
		{"nothing", "", "no value", 0},
		{"only a comment", "(mx.example.com)", "no value", 16},
		{"no results", "mx.example.com", "no ';'", 14},
		{"slash before the version", "mx.example.com/1; none", "no ';'", 14},
		{"two ids", "mx.example.com evil.example; none", "no ';'", 15},
		{"comment without end", "mx (a (b); none", "comment without end", 3},
		{"quotes without end", `mx; spf=pass reason="x`, "quoted string without end", 20},
		{"backslash at the end", `mx; spf=pass reason="x\`, "quoted string without end", 20},
		{"no method", "mx; =pass", "no name of a method", 4},
		{"no result", "mx; spf=; dkim=pass", "no name of a result", 8},
		{"no value of a property", "mx; spf=pass smtp.mailfrom=; dkim=pass", "no value", 27},
		{"property without a dot", "mx; spf=pass smtp mailfrom=x", "no '='", 18},
		{"none among results", "mx; spf=pass; none", "no '='", 18},
		{"results behind none", "mx; none; spf=pass", "no '='", 8},
		{"NUL", "mx; spf=pass reason=\"\x00\"", "U+0000", 20},
		{"bytes that are no UTF-8", "mx; spf=pass (\xff)", "no UTF-8", 13},
		{"two reasons", "mx; spf=pass reason=a reason=b", "second reason", 22},
		{"version without end", "mx 12345678901234567890; none", "no version", 3},
		{"a word too long to fold", "mx; spf=pass reason=" + strings.Repeat("x", 801), "word of more than 800", 20},
		{"a name too long", "mx; " + strings.Repeat("x", 65) + "=pass", "more than 64", 4},
		{"many results", "mx" + strings.Repeat("; spf=pass", 101), "more than 100 results", 1004},
		{"many properties", "mx; spf=pass" + strings.Repeat(" a.b=c", 501), "more than 500 properties", 13 + 6*500},
		{"deep comments", "mx " + strings.Repeat("(", 21) + strings.Repeat(")", 21) + "; none", "more than 20 deep", 23},
		{"too long", strings.Repeat(" ", 64<<10) + "mx; none", "more than 65536 bytes", 64 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.in)
			se, ok := errors.AsType[*SyntaxError](err)
			if !ok || !strings.Contains(se.Reason, tt.want) || se.Offset != tt.offset {
				t.Errorf("Parse(%.80q) = %v, want %q at byte %d", tt.in, err, tt.want, tt.offset)
			}
		})
	}
}

func TestLimitsAreKnobs(t *testing.T) {
	for _, tt := range []struct {
		in  string
		low Limits
	}{
		{"mx; none", Limits{Bytes: 7}},
		{"mx; a=b; c=d", Limits{Results: 1}},
		{"mx; a=b c.d=e; f=g h.i=j", Limits{Properties: 1}},
		{"mx (()); none", Limits{Depth: 1}},
	} {
		if _, err := Parse(tt.in); err != nil {
			t.Errorf("Parse(%q) with default limits: %v", tt.in, err)
		}
		if _, err := tt.low.Parse(tt.in); err == nil {
			t.Errorf("Parse(%q) with %+v has no error", tt.in, tt.low)
		}
	}
}
