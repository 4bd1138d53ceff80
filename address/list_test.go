package address

import (
	"fmt"
	"mime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// show writes mailboxes as Name|local|domain.
func show(list []Mailbox) []string {
	var out []string
	for _, m := range list {
		out = append(out, m.Name+"|"+m.Path.Local+"|"+m.Path.Domain)
	}
	return out
}

func TestParseList(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"UTIL-16 plain", "foo@example.com", []string{"|foo|example.com"}},
		{"UTIL-16 quoted name", `"Full Name" <foo@example.com>`, []string{"Full Name|foo|example.com"}},
		{"UTIL-16 an address as the name", "spam@spammer.com <foo@example.com>", []string{"spam@spammer.com|foo|example.com"}},
		{"UTIL-16 source route", "God@heaven <@hop1.org,@hop2.net:jeff@spec.org>", []string{"God@heaven|jeff|spec.org"}},
		{"UTIL-16 nested comment", "Real Name ((comment)) <addr...@example.com>", []string{"Real Name (comment)|addr...|example.com"}},
		{"UTIL-16 another address as the name", "foo@bar.com <baz@barf.biz>", []string{"foo@bar.com|baz|barf.biz"}},
		{"UTIL-16 comment inside of an address", "a(WRONG)@b", []string{"WRONG|a|b"}},
		{"UTIL-16 all addresses", "a@b, c <d@e>,f@g", []string{"|a|b", "c|d|e", "|f|g"}},

		{"RFC 5322 A.1.2 mailboxes", `"Joe Q. Public" <john.q.public@example.com>, Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>, <boss@nil.test>, "Giant; \"Big\" Box" <sysservices@example.net>`,
			[]string{"Joe Q. Public|john.q.public|example.com", "Mary Smith|mary|x.test", "|jdoe|example.org", "Who?|one|y.test", "|boss|nil.test", `Giant; "Big" Box|sysservices|example.net`}},
		{"RFC 5322 A.1.3 groups", "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;, Undisclosed recipients:;, last@x",
			[]string{"Ed Jones|c|a.test", "|joe|where.test", "John|jdoe|one.test", "|last|x"}},
		{"RFC 5322 A.5 blanks and comments", "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", []string{"Pete A nice ) chap|pete|silly.test"}},
		{"RFC 5322 A.5 group with comments", "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the group)",
			[]string{"Chris Jones|c|public.example", "|joe|example.org", "John my dear friend|jdoe|one.test", "the end of the group||"}},
		{"RFC 5322 A.6.1 obsolete forms", "Mary Smith <@node.test:mary@example.net>, , jdoe@test   . example", []string{"Mary Smith|mary|example.net", "|jdoe|test.example"}},
		{"RFC 5322 A.6.3 blanks in brackets", "John Doe <jdoe@machine(comment).  example>", []string{"John Doe|jdoe|machine.example"}},
		{"RFC 6854 group of From", "Managing Partners:ben@example.com,carol@example.com;", []string{"|ben|example.com", "|carol|example.com"}},

		{"nothing", " \r\n ", nil},
		{"commas alone", ",, ,;", nil},
		{"comment as the name", "a@b (Full Name)", []string{"Full Name|a|b"}},
		{"comment behind the brackets", "<a@b> (Full Name)", []string{"Full Name|a|b"}},
		{"comment alone", "(nobody)", []string{"nobody||"}},
		{"words behind the brackets", "One <a@b> Two", []string{"One Two|a|b"}},
		{"comments of two bare addresses", "a@b (one) c@d (two)", []string{"one|a|b", "two|c|d"}},
		{"comment between words", "One (two) three <a@b>", []string{"One two three|a|b"}},
		{"no comma between addresses", "a@b c@d", []string{"|a|b", "|c|d"}},
		{"two addresses in brackets", "One <a@b> Two <c@d>", []string{"One|a|b", "Two|c|d"}},
		{"words before a bare address", "Write to a@b", []string{"Write to|a|b"}},
		{"semicolons between addresses", "a@b; c@d;", []string{"|a|b", "|c|d"}},
		{"blanks around the at sign", "a @ b", []string{"|a|b"}},
		{"blanks around a dot", "a . b@c", []string{"|a.b|c"}},
		{"local part alone", "root", []string{"|root|"}},
		{"local part with a comment", "root (Charlie)", []string{"Charlie|root|"}},
		{"words alone", "undisclosed recipients", []string{"undisclosed recipients||"}},
		{"quoted string alone", `"a@b"`, []string{"a@b||"}},
		{"quoted local part", `"a b"@c, <"d, e"@f>`, []string{"|a b|c", "|d, e|f"}},
		{"bracket in a quoted local part", `x <"a>b"@c>`, []string{"x|a>b|c"}},
		{"null address", "Nobody <>", []string{"Nobody||"}},
		{"folded", "One\r\n Two\r\n\t<a@b>", []string{"One Two|a|b"}},
		{"folded in quotes", "\"One\r\n\tTwo\" <a@b>", []string{"One Two|a|b"}},
		{"literal", "a@[IPv6:2001:db8::1], b@[192.0.2.1]", []string{"|a|[IPv6:2001:db8::1]", "|b|[192.0.2.1]"}},
		{"brackets in words", "[List] a, [x@y <a@b>", []string{"[List] a||", "[x@y|a|b"}},
		{"8-bit name", "J\xf6rg <j@x>, Jörg <j@y>", []string{"J\xf6rg|j|x", "Jörg|j|y"}},
		{"NUL and other control characters", "Evil\x00 Na\x07me <a\x00@b\x01>", []string{"Evil Name|a|b"}},
		{"doubled brackets", "One <<a@b>>", []string{"One|a|b"}},
		{"quote without end", `"One <a@b>, c@d`, []string{`"One|a|b`, "|c|d"}},
		{"comment without end", "(One <a@b>, c@d", []string{"(One|a|b", "|c|d"}},
		{"bracket without end", "One <a@b, c@d", []string{"One|a|b", "|c|d"}},
		{"bracket without beginning", "One a@b>, c@d", []string{"One|a|b", "|c|d"}},
		{"quotes that end before one without", `"One" <a@b>, "Two <c@d>`, []string{"One|a|b", `"Two|c|d`}},
		{"quote in brackets hides nothing", `x <a"b>, "c" <d@e>`, []string{`x <a"b>||`, "c|d|e"}},
		{"an address that is none", `One <a@b"c>`, []string{`One <a@b"c>||`}},
		{"colon behind an address", "a@b: c@d, <e@f>: g@h", []string{"|a|b", "|c|d", "|e|f", "|g|h"}},
		{"mailto", "mailto:a@b", []string{"|a|b"}},
		{"encoded word", "=?utf-8?q?J=C3=B6rg?= <j@x>", []string{"Jörg|j|x"}},
		{"encoded words side by side", "=?utf-8?q?J=C3=B6?=\r\n =?utf-8?q?rg?= <j@x>", []string{"Jörg|j|x"}},
		{"encoded word in quotes", `"=?utf-8?q?J=C3=B6rg?=" <j@x>`, []string{"Jörg|j|x"}},
		{"encoded word in a comment", "j@x (=?utf-8?q?J=C3=B6rg?=)", []string{"Jörg|j|x"}},
		{"comma and at sign in an encoded word", "=?utf-8?q?a,b@c:d?= <j@x>", []string{"a,b@c:d|j|x"}},
		{"brackets in an encoded word hide nothing", "=?utf-8?q?a <e@f> ?= <j@x>", []string{"=?utf-8?q?a|e|f", "?=|j|x"}},
		{"line end in an encoded word", "=?utf-8?q?a=0D=0AX:_b?= <j@x>", []string{"aX: b|j|x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := show(ParseList(tt.in, decodeWords))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseList(%q): %s", tt.in, diff)
			}
		})
	}
}

func decodeWords(s string) string {
	if d, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
		return d
	}
	return s
}

func TestMailboxesStopsWhenTold(t *testing.T) {
	for _, in := range []string{"a@b, c@d", "a@b c@d", "<a@b> <c@d>"} {
		n := 0
		for range Mailboxes(in, nil) {
			n++
			break
		}
		if n != 1 {
			t.Errorf("Mailboxes(%q) yields %d times", in, n)
		}
	}
}

func TestParseListHasALimit(t *testing.T) {
	header := strings.Repeat("a@b,", MaxMailboxes+1)
	if n := len(ParseList(header, nil)); n != MaxMailboxes {
		t.Errorf("%d mailboxes, want %d", n, MaxMailboxes)
	}
	n := 0
	for range Mailboxes(header, nil) {
		n++
	}
	if n != MaxMailboxes+1 {
		t.Errorf("Mailboxes walks %d, want %d", n, MaxMailboxes+1)
	}
}

// Each of these would take minutes if a search were made again at each place.
func TestMailboxesTakesTimeByLength(t *testing.T) {
	for _, unit := range []string{"(", `"`, `"\`, "<", `<"`, `<"a"`, "[", "=?", "=?a?q?", "=?a?q?<", "a@", "a@b ", "(a)", "(a)@", ":", "<a@b>", `\"`, "a . ", "((a)", "<(", "@a,", "a@b(", "x (c) ", "\x00<"} {
		begin := time.Now()
		for range Mailboxes(strings.Repeat(unit, 1<<20/len(unit)), nil) {
		}
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("a megabyte of %q takes %v", unit, took)
		}
	}
}

func FuzzParseList(f *testing.F) {
	for _, s := range []string{
		"", "a@b, c <d@e>", `"x" <"y z"@w> (c)`, "g: a@b, c@d;, e", "a(b)@c", "<a\"b>, \"c\" <d@e>", "=?utf-8?q?a,b?= <c@d>", "(((", "[[[", "\"\\", "<<<", "a@[::1]",
		"One <a@b> Two <c@d>", "\x00\r\n\t", "a @ b . c", "@a,@b:c@d", "<>", "a: b: c@d", "\"a\\\"b\"@c",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		most := 1
		for i := range len(s) {
			if strings.IndexByte(",;:@<(", s[i]) >= 0 {
				most++
			}
		}
		n := 0
		for m := range Mailboxes(s, nil) {
			n++
			if i := strings.IndexFunc(m.Name, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
				t.Errorf("Mailboxes(%q): control character in the name %q", s, m.Name)
			}
			if len(m.Name) > 2*len(s) {
				t.Errorf("Mailboxes(%q): a name of %d bytes", s, len(m.Name))
			}
			p := m.Path
			p.Route = ""
			if q, err := ParsePath(p.String()); err != nil || q != p {
				t.Errorf("Mailboxes(%q) = %+v, which is read back as %+v, %v", s, m, q, err)
			}
			// Written plainly, a mailbox is read as it is.
			name := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(m.Name)
			if p.Null() || strings.Trim(m.Name, " <>") != m.Name {
				continue
			}
			text := `"` + name + `" <` + p.String() + ">"
			if strings.Contains(p.String(), "<") {
				continue // in brackets, only a local part that is quoted at once may hold one
			}
			if list := ParseList(text, nil); len(list) != 1 || list[0] != (Mailbox{m.Name, p}) {
				t.Errorf("%+v is written %q and read %+v", m, text, list)
			}
		}
		if n > most {
			t.Errorf("Mailboxes(%q) yields %d, and there are %d places for one", s, n, most)
		}
	})
}

func BenchmarkParseList(b *testing.B) {
	const in = `"Joe Q. Public" <john.q.public@example.com>, Mary Smith <mary@x.test>, jdoe@example.org`
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		ParseList(in, nil)
	}
}

func ExampleParseList() {
	for _, m := range ParseList(`"Doe, Jane" <jane@example.com>, friends: bob@example.org (Bob);`, nil) {
		fmt.Printf("%s: %s\n", m.Name, m.Path)
	}
	// Output:
	// Doe, Jane: jane@example.com
	// Bob: bob@example.org
}

func ExampleMailboxes() {
	for m := range Mailboxes("=?utf-8?q?J=C3=B6rg?= <joerg@example.com>, x@example.org", decodeWords) {
		fmt.Println(m.Name, m.Path)
		break // the first author is enough
	}
	// Output: Jörg joerg@example.com
}

func ExampleMailbox() {
	var m Mailbox
	for m = range Mailboxes("Jane Doe <Jane@Example.COM>", nil) {
		break
	}
	fmt.Println(m.Name, "at", m.Path.Canonical().Domain)
	// Output: Jane Doe at example.com
}
