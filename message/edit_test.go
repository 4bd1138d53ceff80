package message

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// part returns the part at a path of places, as "0.1"; "" is the root.
func part(t testing.TB, tree *Tree, path string) *Part {
	t.Helper()
	p := tree.Root
	for s := range strings.SplitSeq(path, ".") {
		if s == "" {
			continue
		}
		var i int
		fmt.Sscan(s, &i)
		if i >= len(p.Parts) {
			t.Fatalf("no part %s in\n%s", path, outline(tree))
		}
		p = p.Parts[i]
	}
	return p
}

func TestEdits(t *testing.T) {
	const mixed = "Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\none\r\n--b\r\nX: y\r\nContent-Type: application/x-msdownload; name=\"a.exe\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.exe\r\nX: z\r\n\r\nTVo=\r\n--b--\r\nepi\r\n"
	replace := func(c Content) func(*Part) error { return func(p *Part) error { return p.Replace(c) } }
	set := func(s string) func(*Part) error {
		return func(p *Part) error { return p.SetBody(strings.NewReader(s)) }
	}
	text := func(s string) func(*Part) error {
		return func(p *Part) error { return p.SetText(strings.NewReader(s)) }
	}
	for _, tt := range []struct {
		name, in, path string
		edit           func(*Part) error
		old, new       string // what stands in the place of what
	}{
		{"replace a part with a notice", mixed, "1", replace(Content{Text: "gone\n", Filename: "WARNING.TXT", Disposition: "inline"}),
			"Content-Type: application/x-msdownload; name=\"a.exe\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.exe\r\nX: z\r\n\r\nTVo=",
			"Content-Type: text/plain; charset=us-ascii; name=WARNING.TXT\r\nContent-Disposition: inline; filename=WARNING.TXT\r\nX: z\r\n\r\ngone\r\n"},
		{"replace with text that is not ASCII", mixed, "1", replace(Content{Text: "noch größer als groß\n"}),
			"Content-Type: application/x-msdownload; name=\"a.exe\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.exe\r\nX: z\r\n\r\nTVo=",
			"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nX: z\r\n\r\nnoch gr=C3=B6=C3=9Fer als gro=C3=9F\r\n"},
		{"replace with text in a charset", mixed, "1", replace(Content{Text: "größer und größer\n", Charset: "iso-8859-1", MediaType: "text/html"}),
			"Content-Type: application/x-msdownload; name=\"a.exe\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.exe\r\nX: z\r\n\r\nTVo=",
			"Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\nX: z\r\n\r\ngr=F6=DFer und gr=F6=DFer\r\n"},
		{"replace with text that a charset lacks", mixed, "1", replace(Content{Text: "日本語\n", Charset: "iso-8859-1"}),
			"Content-Type: application/x-msdownload; name=\"a.exe\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.exe\r\nX: z\r\n\r\nTVo=",
			"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\nX: z\r\n\r\n5pel5pys6KqeDQo="},
		{"replace with bytes", mixed, "0", replace(Content{Body: strings.NewReader("\x00\x01"), Filename: "ä.bin"}),
			"Content-Type: text/html; charset=iso-8859-1\r\n\r\none",
			"Content-Type: application/octet-stream; name*=utf-8''%C3%A4.bin\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename*=utf-8''%C3%A4.bin\r\n\r\nAAE="},
		{"replace with an empty text", mixed, "0", replace(Content{}),
			"Content-Type: text/html; charset=iso-8859-1\r\n\r\none", "Content-Type: text/plain; charset=us-ascii\r\n\r\n"},
		{"replace the whole message", mixed, "", replace(Content{Text: "gone\n"}),
			mixed, "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\ngone\r\n"},
		{"lines of the header that are no fields go", "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y\nbegin 644 b.exe\n#86)C\n`\nend\nContent-Type: a/b\n\none\n--b--\n", "0", replace(Content{Text: "gone"}),
			"X: y\nbegin 644 b.exe\n#86)C\n`\nend\nContent-Type: a/b\n\none", "X: y\nContent-Type: text/plain; charset=us-ascii\n\ngone"},
		{"text with a line as a boundary", mixed, "0", replace(Content{Text: "a\n--b\n--b--\n"}),
			"Content-Type: text/html; charset=iso-8859-1\r\n\r\none",
			"Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na\r\n=2D-b\r\n=2D-b--\r\n"},
		{"text with a long line", mixed, "0", replace(Content{Text: strings.Repeat("x", 1000)}),
			"Content-Type: text/html; charset=iso-8859-1\r\n\r\none",
			"Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.Repeat(strings.Repeat("x", 75)+"=\r\n", 13) + strings.Repeat("x", 25)},
		{"all fields of a name go", "Content-Type: a/b\nSubject: s\ncontent-type: c/d\nContent-Disposition: x\n\nbody\n", "", replace(Content{Text: "gone\n"}),
			"Content-Type: a/b\nSubject: s\ncontent-type: c/d\nContent-Disposition: x\n\nbody\n", "MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\nSubject: s\n\ngone\n"},
		{"lines of LF", strings.ReplaceAll(mixed, "\r\n", "\n"), "0", replace(Content{Text: "gone\n"}),
			"Content-Type: text/html; charset=iso-8859-1\n\none", "Content-Type: text/plain; charset=us-ascii\n\ngone\n"},
		{"lines of CR", strings.ReplaceAll(mixed, "\r\n", "\r"), "0", replace(Content{Text: "gone\n"}),
			"Content-Type: text/html; charset=iso-8859-1\r\rone", "Content-Type: text/plain; charset=us-ascii\r\rgone\r"},

		{"set a body", mixed, "0", set("two"), "one", "two"},
		{"set a body in base64", mixed, "1", set("MZMZ"), "TVo=", "TVpNWg=="},
		{"set a body that 7bit cannot carry", mixed, "0", set("\xe4 and more"), "charset=iso-8859-1\r\n\r\none", "charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4 and more"},
		{"set a body in 8bit", "Content-Transfer-Encoding: 8bit\n\nx\n", "", set("\xe4\n"), "x\n", "\xe4\n"},
		{"set a body in 8bit with a NUL", "Content-Type: image/png\nContent-Transfer-Encoding: 8bit\n\nx\n", "", set("\x00\n"), "8bit\n\nx\n", "base64\n\nAAo=\n"},
		{"set a body in quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n\r\nx\r\n", "", set("a = b \n"), "x\r\n", "a =3D b=20\r\n"},
		{"set a body in an unknown encoding", "Content-Transfer-Encoding: x-foo\n\nx\n", "", set("y\n"), "x-foo\n\nx\n", "7bit\n\ny\n"},
		{"set a body with two encodings", "Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\neA==\n", "", set("y"), "Content-Transfer-Encoding: 7bit\n\neA==\n", "\neQ==\n"},
		{"set a long body in base64", "Content-Transfer-Encoding: base64\r\n\r\neA==\r\n", "", set(strings.Repeat("x", 60)), "eA==\r\n", strings.Repeat("eHh4", 19) + "\r\neHh4\r\n"},
		{"set the body of a part without one", "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y\n--b--\n", "0", set("z"), "X: y\n", "X: y\n\nz\n"},
		{"set the body of a part without header", "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b--\n", "0", set("z"), "--b\n--b--", "--b\n\nz\n--b--"},
		{"set the body of a message without one", "X: y", "", set("z"), "X: y", "X: y\r\n\r\nz"},
		{"set the body of nothing", "", "", set("z"), "", "\r\nz"},

		{"set a text in its charset", mixed, "0", text("grö"), "charset=iso-8859-1\r\n\r\none", "charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\nZ3L2"},
		{"set a text that its charset lacks", mixed, "0", text("日"), "Content-Type: text/html; charset=iso-8859-1\r\n\r\none", "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n5pel"},
		{"set a text where no charset is told", "\n\nx\n", "", text("€ is a currency\n"), "\n\nx\n", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=E2=82=AC is a currency\n"},
		{"set a text in EBCDIC", "Content-Type: text/plain; charset=cp037\nContent-Transfer-Encoding: base64\n\nwQ==\n", "", text("B"), "wQ==", "wg=="},

		{"inside an attached message", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\none\n--b--\n", "0.0", replace(Content{Text: "gone\n"}),
			"Subject: x\n\none", "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\ngone\n"},
		{"an attached message as a whole", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\none\n--b--\n", "0", replace(Content{Text: "gone\n"}),
			"Content-Type: message/rfc822\n\nSubject: x\n\none", "Content-Type: text/plain; charset=us-ascii\n\ngone\n"},
		{"inside a message in base64", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKYm9keQo=\n", "0", set("other\n"),
			"U3ViamVjdDogeAoKYm9keQo=", "U3ViamVjdDogeAoKb3RoZXIK"},
		{"inside a message under the second of two encodings", "Content-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKYm9keQo=\n", "0", set("other\n"),
			"U3ViamVjdDogeAoKYm9keQo=", "U3ViamVjdDogeAoKb3RoZXIK"},
		{"set a body in an encoding with a comma", "Content-Transfer-Encoding: base64,\n\neA==\n", "", set("y"), "base64,\n\neA==\n", "base64\n\neQ==\n"},
		{"inside a message in quoted-printable", "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nSubject: x=20y=0D\n\nbo=64y\n", "0", set("other\n"),
			"Subject: x=20y=0D\n\nbo=64y\n", "Subject: x y=0D\n\nother=0D\n"},
		{"inside a uuencoded message", "Content-Type: message/rfc822\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n+4W5B:F5C=#H@>`H*\n`\nend\n", "0", set("b\n"),
			"x-uuencode\n\nbegin 644 a\n+4W5B:F5C=#H@>`H*\n`\nend\n", "base64\n\nU3ViamVjdDogeAoKYgo=\n"},
		{"two messages deep, both encoded", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQ29udGVudC1UeXBlOiBtZXNzYWdlL3JmYzgyMgpDb250ZW50LVRyYW5zZmVyLUVuY29kaW5nOiBx\ndW90ZWQtcHJpbnRhYmxlCgpTdWJqZWN0OiB4CgpvPTZlZQo=\n", "0.0", set("two\n"),
			"dW90ZWQtcHJpbnRhYmxlCgpTdWJqZWN0OiB4CgpvPTZlZQo=", "dW90ZWQtcHJpbnRhYmxlCgpTdWJqZWN0OiB4Cgp0d28K"},
		{"inside a multipart in base64", "Content-Type: multipart/mixed; boundary=a\nContent-Transfer-Encoding: base64\n\nLS1hCgpvbmUKLS1hLS0K\n", "0", set("two"),
			"LS1hCgpvbmUKLS1hLS0K", "LS1hCgp0d28KLS1hLS0K"},

		{"a uuencoded file by text", "\nx\nbegin 644 a\n%:&5L;&\\\n`\nend\ny\n", "0", replace(Content{Text: "gone\n--b\n"}), "begin 644 a\n%:&5L;&\\\n`\nend", "gone\n --b"},
		{"a uuencoded file by text that 7bit cannot carry", "\nbegin 644 a\n%:&5L;&\\\n`\nend\ny\n", "0", replace(Content{Text: "ä"}), "begin 644 a\n%:&5L;&\\\n`\nend", "??"},
		{"a uuencoded file by text in the charset of the text", "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\nbegin 644 a\n%:&5L;&\\\n`\nend\ny\n", "0", replace(Content{Text: "ä日"}), "begin 644 a\n%:&5L;&\\\n`\nend", "\xe4\x1a"},
		{"a uuencoded file by another", "\nbegin 755 a\n%:&5L;&\\\nend\ny\n", "0", replace(Content{Body: strings.NewReader("abc"), Filename: "b\nc"}), "begin 755 a\n%:&5L;&\\\nend", "begin 755 bc\n#86)C\n`\nend"},
		{"the body of a uuencoded file", "\nbegin 755 a\n%:&5L;&\\\nend", "0", set("abc"), "begin 755 a\n%:&5L;&\\\nend", "begin 755 a\n#86)C\n`\nend"},
		{"a uuencoded file in base64", "Content-Transfer-Encoding: base64\n\nCmJlZ2luIDY0NCBhCiU6JjVMOyZcCmAKZW5kCg==\n", "0", replace(Content{Text: "gone\n"}), "CmJlZ2luIDY0NCBhCiU6JjVMOyZcCmAKZW5kCg==", "CmdvbmUK"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := read1(t, tt.in, nil)
			p := part(t, tree, tt.path)
			if err := tt.edit(p); err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(tt.in, tt.old, tt.new, 1)
			if got := written(t, tree); got != want {
				t.Errorf("written\n%q\nwant\n%q", got, want)
			}
			if again := written(t, tree); again != written(t, tree) {
				t.Errorf("written again, it is %q", again)
			}
		})
	}
}

func TestEditsAddUp(t *testing.T) {
	in := "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b\n\nthree\n--b--\n"
	tree := read1(t, in, nil)
	for i, s := range []string{"eins", "", "drei\n"} {
		if err := tree.Root.Parts[i].SetBody(strings.NewReader(s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tree.Root.Parts[0].Replace(Content{Text: "first"}); err != nil {
		t.Fatal(err)
	}
	want := "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=us-ascii\n\nfirst\n--b\n\n\n--b\n\ndrei\n\n--b--\n"
	if got := written(t, tree); got != want {
		t.Errorf("written %q, want %q", got, want)
	}
	if tree.HeaderEdited() || !tree.BodyEdited() {
		t.Errorf("HeaderEdited %v, BodyEdited %v", tree.HeaderEdited(), tree.BodyEdited())
	}
	// An edit of what is gone has no effect.
	gone := tree.Root.Parts[1]
	if err := tree.Root.Replace(Content{Text: "all gone"}); err != nil {
		t.Fatal(err)
	}
	if err := gone.SetBody(strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	want = "MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\nall gone"
	if got := written(t, tree); got != want || !tree.HeaderEdited() {
		t.Errorf("written %q, HeaderEdited %v, want %q", got, tree.HeaderEdited(), want)
	}
}

// Over milter the header has other line ends than the body.
func TestEditOfHeaderAndBodyApart(t *testing.T) {
	h := Header{NewField("Subject", " s", "\n"), NewField("Content-Type", " text/html;\n charset=utf-8", "\n")}
	for _, tt := range []struct{ name, brk, body, want string }{
		{"break", "\n", "<b>\r\n", "Subject: s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\ngone\r\n"},
		{"no break", "", "junk\r\n", "Subject: s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\r\ngone\r\n"},
		{"no body", "\r\n", "", "Subject: s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\r\ngone\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree, err := ReadTree(h, []byte(tt.brk), strings.NewReader(tt.body), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			if err := tree.Root.Replace(Content{Text: "gone\n"}); err != nil {
				t.Fatal(err)
			}
			if got := written(t, tree); got != tt.want {
				t.Errorf("written %q, want %q", got, tt.want)
			}
			for range 2 {
				if body, err := io.ReadAll(tree.Body()); err != nil || string(body) != "gone\r\n" {
					t.Errorf("body %q, %v", body, err)
				}
			}
			if !tree.HeaderEdited() || !tree.BodyEdited() || len(tree.Header()) != 3 {
				t.Errorf("HeaderEdited %v, BodyEdited %v, header %s", tree.HeaderEdited(), tree.BodyEdited(), show(tree.Header()))
			}
		})
	}
}

func TestSetHeader(t *testing.T) {
	in := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX:  odd \r\n\tfolding\r\nY: z\r\n\r\none\r\n--b--\r\n"
	tree := read1(t, in, nil)
	p := tree.Root.Parts[0]
	p.SetHeader(append(p.Header[:1:1], NewTextField("Content-Type", "text/html", "\r\n")))
	want := strings.Replace(in, "Y: z", "Content-Type: text/html", 1)
	if got := written(t, tree); got != want || p.MediaType() != "text/html" {
		t.Errorf("written %q as %s, want %q", got, p.MediaType(), want)
	}
	p.SetHeader(nil)
	want = strings.Replace(in, "X:  odd \r\n\tfolding\r\nY: z\r\n", "", 1)
	if got := written(t, tree); got != want || p.MediaType() != "text/plain" {
		t.Errorf("written %q as %s, want %q", got, p.MediaType(), want)
	}
}

func TestEditErrors(t *testing.T) {
	in := "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n"
	tree := read1(t, in, nil)
	if err := tree.Root.SetBody(strings.NewReader("x")); !errors.Is(err, ErrHoldsParts) {
		t.Errorf("SetBody of a multipart error = %v", err)
	}
	if err := tree.Root.SetText(strings.NewReader("x")); !errors.Is(err, ErrHoldsParts) {
		t.Errorf("SetText of a multipart error = %v", err)
	}
	bad := failing{size: 10}
	p := tree.Root.Parts[0]
	for name, err := range map[string]error{"Replace": p.Replace(Content{Body: bad}), "SetBody": p.SetBody(bad), "SetText": p.SetText(bad)} {
		if !errors.Is(err, iotest.ErrTimeout) {
			t.Errorf("%s with a body that fails: error = %v", name, err)
		}
	}
	if got := written(t, tree); got != in || tree.BodyEdited() {
		t.Errorf("an edit that failed left %q, BodyEdited %v", got, tree.BodyEdited())
	}
}

// failing is a source that fails from a place on.
type failing struct {
	data string
	size int64
}

func (f failing) Size() int64 { return f.size }

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(f.data)) {
		return 0, iotest.ErrTimeout
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, iotest.ErrTimeout
	}
	return n, nil
}

func TestReadErrors(t *testing.T) {
	in := "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKYm9keQo=\n--b\n\nbegin 644 a\n%:&5L;&\\\nend\n--b--\n"
	for n := range len(in) {
		tree, err := Read(failing{in[:n], int64(len(in))}, nil)
		if !errors.Is(err, iotest.ErrTimeout) {
			t.Errorf("Read of a source that fails at %d: tree %v, error = %v", n, tree, err)
		}
	}
	// One that is shorter than it says.
	if _, err := Read(short{strings.NewReader(in)}, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Read of a source that ends early: error = %v", err)
	}
	// One that fails later.
	m := Parse([]byte(in))
	src := &later{Source: strings.NewReader(string(m.Body))}
	tree, err := ReadTree(m.Header, m.Break, src, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	src.fails = true
	if _, err := tree.WriteTo(io.Discard); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("WriteTo error = %v", err)
	}
	if _, err := io.ReadAll(tree.Root.Parts[0].Open()); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("Open error = %v", err)
	}
	if _, err := io.ReadAll(tree.Root.Parts[1].Text()); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("Text error = %v", err)
	}
}

type short struct{ Source }

func (s short) Size() int64 { return s.Source.Size() + 10 }

type later struct {
	Source
	fails bool
}

func (l *later) ReadAt(p []byte, off int64) (int, error) {
	if l.fails {
		return 0, iotest.ErrTimeout
	}
	return l.Source.ReadAt(p, off)
}

// What is put in the place of a file has none of its names.
func TestReplaceTakesNamesOff(t *testing.T) {
	const in = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-ID: <1@example.com>\nContent-Name: a.exe\nContent-Description: a.exe\nContent-Location: a.exe\nX-Sun-Data-Name: a.exe\nX-Foo: x\rContent-Disposition: attachment; filename=a.exe\nX-Bar: x\ry\n\nx\n--b--\n"
	tree := read1(t, in, nil)
	if err := tree.Root.Parts[0].Replace(Content{Text: "gone\n"}); err != nil {
		t.Fatal(err)
	}
	want := "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-ID: <1@example.com>\nContent-Type: text/plain; charset=us-ascii\nX-Foo: x\nX-Bar: x\ry\n\ngone\n--b--\n"
	got := written(t, tree)
	if got = strings.ReplaceAll(got, "gone\n\n--b", "gone\n--b"); got != want {
		t.Errorf("written %q, want %q", got, want)
	}
	root := read1(t, "Subject: x\rContent-Type: text/html\nContent-Description: a.exe\n\nx\n", nil)
	if err := root.Root.Replace(Content{Text: "gone\n"}); err != nil {
		t.Fatal(err)
	}
	if got := written(t, root); !strings.HasPrefix(got, "Subject: x\n") || strings.Contains(got, "a.exe") {
		t.Errorf("written %q", got)
	}
}
