package sign

import (
	"strings"
	"testing"
)

// What Sendmail 8.17 makes of fields, as a real one shows (see the letters in peers_test.go): "" where it
// writes them in ways of its own, or might.
var sendmailWrites = []struct{ in, want string }{
	{" joe@example.com", " joe@example.com"},
	{"joe@EXAMPLE.com", "joe@EXAMPLE.com"},
	{" <joe@example.com>", " <joe@example.com>"},
	{" Joe\n\t<joe@example.com>", " Joe\n\t<joe@example.com>"},
	{" Joe<joe@example.com>", " Joe<joe@example.com>"},
	{" =?utf-8?q?J=C3=B6rg?= <joe@example.com>", " =?utf-8?q?J=C3=B6rg?= <joe@example.com>"},
	{" J\xf6rg <joe@example.com>", " J\xf6rg <joe@example.com>"},
	{` "J. \"S" tail (x) <joe@example.com> (y)`, ` "J. \"S" tail (x) <joe@example.com> (y)`},
	{` "joe x"@example.com`, ` "joe x"@example.com`},
	{" joe@[192.0.2.1],joe@[IPv6:2001:db8::1]", " joe@[192.0.2.1], joe@[IPv6:2001:db8::1]"},
	{" (c) joe@example.com (a (b\\)) c)", " (c) joe@example.com (a (b\\)) c)"},
	{" undisclosed-recipients:;", " undisclosed-recipients:;"},
	{" friends: a@example.com,b@example.com;", " friends: a@example.com, b@example.com;"},
	{" ", " "},
	{" a@example.com ,b@example.com\n\t,c@example.com", " a@example.com, b@example.com, c@example.com"},
	{` "a,b" <a@example.com>,(x,y) c@example.com`, ` "a,b" <a@example.com>, (x,y) c@example.com`},

	{" J. Smith <joe@example.com>", ` "J. Smith" <joe@example.com>`},
	{"O'Neil <joe@example.com>", `"O'Neil" <joe@example.com>`},
	{" 'joe@example.com' <joe@example.com>", ` "'joe@example.com'" <joe@example.com>`},
	{" joe@example.com <joe@example.com>,J. <j@example.com>", ` "joe@example.com" <joe@example.com>, "J." <j@example.com>`},
	{" Joe [x] <joe@example.com>", ` "Joe [x]" <joe@example.com>`},
	{" Joe @ x <joe@example.com>", ` "Joe @ x" <joe@example.com>`},

	{" joe", ""},
	{" joe@localhost", ""},
	{" joe@example.com.", ""},
	{" Joe <joe>", ""},
	{" J.<joe@example.com>", ""},
	{` J. "S" <joe@example.com>`, ""},
	{" J. (S) <joe@example.com>", ""},
	{" Joe joe@example.com", ""},
	{" joe . x@example.com", ""},
	{" < joe@example.com >", ""},
	{" <joe(c)@example.com>", ""},
	{" joe@example.com(c)", ""},
	{" (c)joe@example.com", ""},
	{" joe (c) @example.com", ""},
	{" <@r.example:joe@example.com>", ""},
	{" <a@example.com> <b@example.com>", ""},
	{" <a@example.com> b", ""},
	{" a@example.com,,b@example.com", ""},
	{" a@example.com,", ""},
	{" , a@example.com", ""},
	{" a@example.com;b@example.com", ""},
	{" g: a@example.com;, b@example.com", ""},
	{" g: a@example.com; h: b@example.com;", ""},
	{" a@example.com, g: b@example.com;", ""},
	{" =?utf-8?q?a,b?= <a@example.com>", ""},
	{` J\"oe <joe@example.com>`, ""},
	{` "joe <joe@example.com>`, ""},
	{" Joe (x <joe@example.com>", ""},
	{" Joe) <joe@example.com>", ""},
	{" <joe@example.com", ""},
	{" joe@example.com>", ""},
	{" joe@[192.0.2.1", ""},
	{" joe@", ""},
	{" >joe@example.com<", ""},
}

func TestAddressesAsSendmailWritesThem(t *testing.T) {
	for _, tt := range sendmailWrites {
		got, _, known := asSendmail(tt.in)
		if got != tt.want || known != (tt.want != "") {
			t.Errorf("%q becomes %q, %v, want %q", tt.in, got, known, tt.want)
		}
	}
}

func FuzzAsSendmail(f *testing.F) {
	for _, tt := range sendmailWrites {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, list, known := asSendmail(in)
		if !known {
			return
		}
		if again, l, ok := asSendmail(out); !ok || again != out || l != list {
			t.Errorf("%q becomes %q, and that %q, %v", in, out, again, ok)
		}
		bare := strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "", `"`, "")
		if bare.Replace(out) != bare.Replace(in) {
			t.Errorf("%q becomes %q, which has other characters", in, out)
		}
	})
}
