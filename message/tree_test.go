package message

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// read1 reads a message and closes the tree with the test.
func read1(t testing.TB, in string, o *Options) *Tree {
	t.Helper()
	tree, err := Read(strings.NewReader(in), o)
	if err != nil {
		t.Fatalf("Read(%q) error = %v", in, err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

// outline shows parts, one a line: type, encoding where it matters, file name, body.
func outline(t *Tree) string {
	var b strings.Builder
	for p := range t.Parts() {
		depth := 0
		for q := p.Parent; q != nil; q = q.Parent {
			depth++
		}
		fmt.Fprintf(&b, "%s%s", strings.Repeat("  ", depth), p.MediaType())
		if n := p.Filename(); n != "" {
			fmt.Fprintf(&b, " %q", n)
		}
		if p.IsLeaf() {
			body, err := io.ReadAll(p.Open())
			if err != nil {
				fmt.Fprintf(&b, " error %v", err)
			}
			fmt.Fprintf(&b, ": %q", body)
		}
		b.WriteByte('\n')
	}
	for _, d := range t.Defects() {
		fmt.Fprintf(&b, "! %s at %d\n", d.Kind, d.Offset)
	}
	return b.String()
}

func written(t testing.TB, tree *Tree) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSmoke(t *testing.T) {
	for _, in := range []string{
		"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: image/png; name=\"a b.png\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\nepi\r\n",
		"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\nContent-Type: message/rfc822\n\nSubject: x\n--b",
		"Content-Type: multipart/mixed; boundary=nope\n\n--b\nContent-Type: text/html\n\nx\n--b--\n",
		"Content-Type: multipart/mixed; boundary=\"bound\n\tX-Junk: y\n\tX: z\"\n\n--bound\nContent-Type: text/html\n\nx\n--bound--\n",
		"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKYm9keQo=\n",
		"Subject: x\n\nhi\nbegin 644 a.txt\n%:&5L;&\\\n`\nend\nrest\n",
	} {
		tree := read1(t, in, nil)
		t.Log("\n" + outline(tree))
		if got := written(t, tree); got != in {
			t.Errorf("%q written as %q", in, got)
		}
	}
}
