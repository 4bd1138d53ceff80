package message

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// pieces is what mail is made of, and what it should not be made of.
var pieces = []string{
	"Content-Type: multipart/mixed; boundary=a\r\n", "Content-Type: multipart/mixed; boundary=\"b b\"\n", "Content-Type: multipart/digest; boundary=c\r\n",
	"Content-Type: multipart/mixed;\r\n\tboundary=\"a\r\n\tX-Junk: y\r\n", "Content-Type: multipart/mixed\r\n", "Content-Type: multipart/signed; boundary=a--\r\n",
	"Content-Type: message/rfc822\r\n", "Content-Type: text/plain; charset=koi8-r\r\n", "Content-Type: text/html; charset=utf-8; name=\"a.html\"\r\n",
	"Content-Type: application/octet-stream; name*0*=utf-8''%41; name*1=b.exe\r\n", "Content-Type: ;;;\n", "Content-Type: text/plain; charset=utf-7\r\n",
	"Content-Transfer-Encoding: base64\r\n", "Content-Transfer-Encoding: quoted-printable\r\n", "Content-Transfer-Encoding: x-uuencode\n", "Content-Transfer-Encoding: 8bit\n",
	"Content-Disposition: attachment; filename=evil file.exe\r\n", "Subject: =?utf-8?q?a?=\r\n", "MIME-Version: 1.0\r\n", "From x\r\n", "no colon\r\n", " folded\r\n",
	"\r\n--a\r\n", "--a\n", "--a--\r\n", "\n--b b\n", "--b b-- \r\n", "\r\n--c\r\n", "--c--\r\n", "--a--", "--a", "--\r\n", "--x\r\n", "--x--\r\n",
	"\r\n", "\n", "\r", "\r\n\r\n", " ", "\x00", "\xff", "\xc3\xa4", "text", "text\r\n", "=3D", "=\r\n", "aGVsbG8=\r\n", "LS1hCg==\r\n",
	"U3ViamVjdDogeAoKYm9keQo=\r\n", "Q29udGVudC1UeXBlOiBtdWx0aXBhcnQvbWl4ZWQ7IGJvdW5kYXJ5PWEKCi0tYQoKeAotLWEtLQo=\r\n",
	"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n", "Content-Type: multipart/mixed (a; boundary=c; b)\n", "Content-Transfer-Encoding: base64, x\r\n",
	"X: y\rContent-Disposition: attachment; filename=a.js\n", "Content-Disposition: attachment; filename*0=a; filename*2=(c)b; x=\"\\\"\"\r\n", "Content-Description: =?utf-16?B?ZQB2AA==?=\n",
	"begin 644 junk\nno data\n", "begin 644 a.txt\r\n%:&5L;&\\\r\n`\r\nend\r\n", "\nbegin 644 b\n#86)C\n", "begin-base64 644 c\naGVsbG8=\n====\n", "\n=ybegin line=1 name=d.exe\nKKK\n=yend\n", "Content-Type: X-Sun-Attachment\n", "\n----------\nX-Sun-Data-Name: e\n", "+AGE-", "<html>", "\r\r\n",
}

func anyMail(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 40).Draw(t, "pieces"), "")
}

// failer is what tests and properties have in common.
type failer interface {
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

// everything reads all that a tree tells.
func everything(t failer, tree *Tree) {
	n := 0
	for p := range tree.Parts() {
		if n++; n > tree.limits().MaxParts {
			t.Fatalf("more than %d parts", tree.limits().MaxParts)
		}
		for _, r := range []io.Reader{p.Raw(), p.Open(), p.Text()} {
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Errorf("part %s: read error %v", p.MediaType(), err)
			}
		}
		p.Names()
		p.Filename()
		p.Charset()
		p.Signed()
		p.Encrypted()
		p.Sealed()
		for _, f := range p.Header {
			f.Decoded()
		}
		if p.start > p.kept || p.kept > p.brk || p.brk > p.body || p.body > p.end || p.end > p.doc.size {
			t.Errorf("part %s lies at %d, %d, %d, %d, %d of %d", p.MediaType(), p.start, p.kept, p.brk, p.body, p.end, p.doc.size)
		}
	}
	for _, d := range tree.Defects() {
		if d.Part == nil || d.Kind.String() == "unknown defect" || d.Kind.String() == "" {
			t.Errorf("defect %+v", d)
		}
	}
}

func (t *Tree) limits() Options { var o *Options; return o.defaults() }

// identical reads in both ways and writes back.
func identical(t failer, in string) {
	tree, err := Read(strings.NewReader(in), nil)
	if err != nil {
		t.Fatalf("Read(%q) error = %v", in, err)
	}
	defer tree.Close()
	everything(t, tree)
	var out bytes.Buffer
	if n, err := tree.WriteTo(&out); err != nil || out.String() != in || n != int64(len(in)) {
		t.Errorf("%q is written as %q, %d, %v", in, out.String(), n, err)
	}
	m := Parse([]byte(in))
	if got := string(tree.Header().Bytes()); got != string(m.Header.Bytes()) {
		t.Errorf("Read(%q) has header %q, Parse %q", in, got, m.Header.Bytes())
	}
	body, err := io.ReadAll(tree.Body())
	if err != nil || string(body) != string(m.Body) {
		t.Errorf("Read(%q) has body %q, %v, Parse %q", in, body, err, m.Body)
	}
	apart, err := ReadTree(m.Header, m.Break, bytes.NewReader(m.Body), nil)
	if err != nil {
		t.Fatalf("ReadTree(%q) error = %v", in, err)
	}
	defer apart.Close()
	everything(t, apart)
	out.Reset()
	if _, err := apart.WriteTo(&out); err != nil || out.String() != in {
		t.Errorf("%q, header and body apart, is written as %q, %v", in, out.String(), err)
	}
	if tree.HeaderEdited() || tree.BodyEdited() || tree.Root.Edited() {
		t.Errorf("%q is edited", in)
	}
}

func TestWrittenAsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { identical(t, anyMail(t)) })
}

// A place is where a part lies in what is written: the doc of the root, and for
// parts inside encoded ones the range of the outermost of these.
func outermost(p *Part) *Part {
	top := p
	for q := p.Parent; q != nil; q = q.Parent {
		if q.inner != nil {
			top = q
		}
	}
	return top
}

// edited makes one edit in a tree and holds that all else stays.
func edited(t failer, in string, pick, how int, text string) {
	tree, err := Read(strings.NewReader(in), nil)
	if err != nil {
		t.Fatalf("Read(%q) error = %v", in, err)
	}
	defer tree.Close()
	var parts []*Part
	for p := range tree.Parts() {
		parts = append(parts, p)
	}
	p := parts[pick%len(parts)]
	outer := outermost(p)
	from, to := outer.start, outer.end
	if outer == p && p.uu != nil {
		to = p.uu.after
	}
	// What must be the same inside an encoded outer part: the decoded bytes around p.
	before, behind := "", ""
	if outer != p && p.doc == outer.inner {
		whole, err := io.ReadAll(section(p.doc.src, 0, p.doc.size))
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		end := p.end
		if p.uu != nil {
			end = p.uu.after
		}
		before, behind = string(whole[:p.start]), string(whole[end:])
	}
	what := ""
	var want string
	switch how % 5 {
	case 0:
		what = "Replace text"
		text = strings.ToValidUTF8(text, "\ufffd")
		err = p.Replace(Content{Text: text})
		want = text
	case 1:
		what = "Replace body"
		err = p.Replace(Content{Body: strings.NewReader(text), Filename: "näme.bin"})
		want = text
	case 2:
		what = "SetBody"
		err = p.SetBody(strings.NewReader(text))
		want = text
	case 3:
		what = "SetText"
		text = strings.ToValidUTF8(text, "?")
		err = p.SetText(strings.NewReader(text))
		want = text
	case 4:
		what = "SetHeader"
		p.SetHeader(append(p.Header[:len(p.Header):len(p.Header)], NewField("X", " y", p.lineEnd())))
	}
	if err == ErrHoldsParts {
		return
	}
	if err != nil {
		t.Fatalf("%q: %s error = %v", in, what, err)
	}
	uu := p.uu != nil
	if uu && what == "SetHeader" {
		identical(t, in)
		return
	}
	if !p.Edited() || !tree.Root.Edited() {
		t.Errorf("%q: %s of part %d leaves no trace", in, what, pick)
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatalf("%q: %s, then WriteTo error = %v", in, what, err)
	}
	got := out.String()
	for q := outer.Parent; q != nil; q = q.Parent {
		if q.glue() != "" {
			from = q.body // an empty line had to come
		}
	}
	if !strings.HasPrefix(got, in[:from]) || !strings.HasSuffix(got, in[to:]) || len(got) < len(in)-int(to-from) {
		t.Errorf("%s of part %d, at %d to %d of %q, writes %q", what, pick, from, to, in, got)
		return
	}
	body, err := io.ReadAll(tree.Body())
	if err != nil || !strings.HasSuffix(got, string(body)) {
		t.Errorf("%q: %s writes %q with body %q, %v", in, what, got, body, err)
	}
	if !uu {
		for _, f := range p.Header {
			if f.LineEnd() == "" {
				return // the header is all there was
			}
		}
	}
	if outer != p && p.doc == outer.inner {
		again, err := io.ReadAll(outer.unpacked())
		if err != nil || !strings.HasPrefix(string(again), before) || !strings.HasSuffix(string(again), behind) {
			t.Errorf("%q: %s writes %q inside the encoded part, want %q before and %q behind", in, what, again, before, behind)
		}
	}
	if what == "SetHeader" {
		return
	}
	var opened []byte
	if what == "SetText" && !uu {
		opened, err = io.ReadAll(p.Text())
	} else {
		opened, err = io.ReadAll(p.Open())
	}
	loose := func(s string) string { // line ends, and what cannot come back
		return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\r' || r == '\n' }), "\n")
	}
	if uu && what == "Replace text" {
		return
	}
	if err != nil || loose(string(opened)) != loose(want) {
		t.Errorf("%q: %s of part %d puts %q, %v, want %q (%s)", in, what, pick, opened, err, want, p.Encoding())
	}
	if !isText(p.MediaType()) && (p.Encoding() == "base64" || p.Encoding() == "quoted-printable" || uu) && string(opened) != want {
		t.Errorf("%q: %s of part %d puts %q, %v, want %q exactly", in, what, pick, opened, err, want)
	}
	// Read anew, the part is where it was.
	if outer != p || len(tree.defects) > 0 {
		return
	}
	anew, err := Read(strings.NewReader(got), nil)
	if err != nil {
		t.Fatalf("Read(%q) error = %v", got, err)
	}
	defer anew.Close()
	i := 0
	for q := range anew.Parts() {
		if i == pick%len(parts) {
			body := q.Open()
			if what == "SetText" && !uu {
				body = q.Text()
			}
			b, _ := io.ReadAll(body)
			if !uu && loose(string(b)) != loose(want) && !strings.HasPrefix(want, "begin") {
				t.Errorf("%q: %s of part %d, read anew from %q, is %q, want %q", in, what, pick, got, b, want)
			}
			if q.MediaType() != p.MediaType() {
				t.Errorf("%q: %s of part %d, read anew from %q, is %s, want %s", in, what, pick, got, q.MediaType(), p.MediaType())
			}
		}
		i++
	}
}

func TestEditIsASplice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "ä", "\n", "\r\n", "\r", " ", "--a\n", "--", "From ", ".", "\xff", "\x00", "=", "€", strings.Repeat("x", 1000)}), 0, 12).Draw(t, "text"), "")
		edited(t, anyMail(t), rapid.IntRange(0, 20).Draw(t, "part"), rapid.IntRange(0, 4).Draw(t, "how"), text)
	})
}

func FuzzRead(f *testing.F) {
	for _, p := range pieces {
		f.Add([]byte(p + "\r\n--a\r\n\r\n" + p))
	}
	f.Fuzz(func(t *testing.T, in []byte) { identical(t, string(in)) })
}

func FuzzEdit(f *testing.F) {
	for i, p := range pieces {
		f.Add([]byte("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"+p+"\r\n--a--\r\n"), uint8(i%3), uint8(i), "täxt\n")
	}
	f.Fuzz(func(t *testing.T, in []byte, part, how uint8, text string) {
		edited(t, string(in), int(part), int(how), text)
	})
}
