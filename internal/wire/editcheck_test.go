package wire

import (
	"strings"
	"testing"
)

func TestMailboxes(t *testing.T) {
	for _, good := range []string{
		"a@example.org", "postmaster", "o'brien+tag=x@example.org", "a..b@example.org", ".a@x", "SRS0=a=b=example.com=user@example.org",
		`"a b"@example.org`, `"a@b"@example.org`, `"a\"b"@example.org`, `"a"`, `""@x`, "a!b!c", "a%b@c", "a/b|c@d", "ö@ü.example",
		"a@[127.0.0.1]", "a@[IPv6:::1]", "a@x_y.-z", strings.Repeat("a", 252) + "@b",
	} {
		if path, args, err := CheckPath(good, nil, nil); err != nil || path != "<"+good+">" || args != "" {
			t.Errorf("%q: %q, %q, %v", good, path, args, err)
		}
		if path, _, err := CheckPath("<"+good+">", nil, nil); err != nil || path != "<"+good+">" {
			t.Errorf("<%q>: %q, %v", good, path, err)
		}
	}
	for _, bad := range []string{
		"@", "@example.org", "a@", "a@b@c", "a b@c", "a@b c", "a,b@c", "a@b,c", "a;b@c", "a:b@c", ":include:/tmp/x", "(a)@b", "a)b@c", "a(b@c",
		`"a@b`, `a"b@c`, `a"b"@c`, `"a"b@c`, `"a\"@b`, `"a\`, `"`, `a\`, "<a@b", "a@b>", "<<a@b>>", "@x:a@b", "a@x..y", "a@.x", "a@x.",
		"a@[127.0.0.1", "a@[]", "a@[1]x", "a@[1]]", "a@[[1]", "a@b%c", "a@b!c", " a@b", "a@b\x00", "a\r@b", "a\n", strings.Repeat("a", 253) + "@b",
	} {
		if path, _, err := CheckPath(bad, nil, nil); err == nil {
			t.Errorf("%q: %q", bad, path)
		}
	}
}

// Whatever name and value are accepted, a frame of them holds exactly one field.
func FuzzHeaderEdit(f *testing.F) {
	f.Add("Subject", "hello\r\n world")
	f.Add("X", "a\nb: c")
	f.Fuzz(func(t *testing.T, name, value string) {
		v, err := CheckHeader(name, value)
		if err != nil {
			return
		}
		if name == "" || strings.ContainsAny(name, ": \t\r\n\x00") || strings.ContainsAny(v, "\r\x00") || strings.ReplaceAll(value, "\r\n", "\n") != v {
			t.Fatalf("%q: %q became %q", name, value, v)
		}
		for i, line := range strings.Split(v, "\n") {
			if i > 0 && (line == "" || line[0] != ' ' && line[0] != '\t') {
				t.Fatalf("line %q", line)
			}
		}
	})
}
