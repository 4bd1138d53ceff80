package message

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
		filename string
	}{
		{"none", "\n", nil, ""},
		{"name", "Content-Type: a/b; name=\"x.exe\"\n\n", []string{"content-type name=x.exe"}, "x.exe"},
		{"filename goes first", "Content-Type: a/b; name=x.exe\nContent-Disposition: attachment; filename=y.exe\n\n", []string{"content-type name=x.exe", "content-disposition filename=y.exe"}, "y.exe"},
		{"any parameter", "Content-Type: audio/x-wav; name=a.wav;\n\tord=\"story[1].scr\"\n\n", []string{"content-type name=a.wav", "content-type ord=story[1].scr"}, "a.wav"},
		{"unquoted blank", "Content-Disposition: attachment; filename=evil file.exe\n\n", []string{"content-disposition filename=evil file.exe", "content-disposition filename=evil"}, "evil file.exe"},
		{"unquoted, harmless end", "Content-Disposition: attachment; filename=evil.exe note.txt\n\n", []string{"content-disposition filename=evil.exe note.txt", "content-disposition filename=evil.exe"}, "evil.exe note.txt"},
		{"encoded word", "Content-Type: a/b; name=\"=?utf-8?q?a=2Eexe?=\"\n\n", []string{"content-type name=a.exe", "content-type name==?utf-8?q?a=2Eexe?="}, "a.exe"},
		{"RFC 2231", "Content-Disposition: attachment; filename*=koi8-r''%F0.exe\n\n", []string{"content-disposition filename*=П.exe", "content-disposition filename*=koi8-r''%F0.exe", "content-disposition filename*=koi8-r''\xf0.exe"}, "П.exe"},
		{"continuations", "Content-Type: a/b; name*0=a.e; name*1=xe\n\n", []string{"content-type name*0=a.exe"}, "a.exe"},
		{"plain and RFC 2231", "Content-Disposition: attachment; filename=a.txt; filename*=utf-8''b.exe\n\n", []string{"content-disposition filename=a.txt", "content-disposition filename*=b.exe", "content-disposition filename*=utf-8''b.exe"}, "b.exe"},
		{"escapes", `Content-Type: a/b; name="a\.exe"` + "\n\n", []string{"content-type name=a.exe", `content-type name=a\.exe`}, "a.exe"},
		{"Windows path", `Content-Type: a/b; name="C:\new\x.exe"` + "\n\n", []string{"content-type name=C:newx.exe", `content-type name=C:\new\x.exe`}, "C:newx.exe"},
		{"more behind quotes", `Content-Type: a/b; name="a".exe` + "\n\n", []string{"content-type name=a", `content-type name=a".exe`, "content-type name=a.exe"}, "a"},
		{"quote without end", `Content-Type: a/b; name="a.exe` + "\n\n", []string{"content-type name=a.exe"}, "a.exe"},
		{"folded name", "Content-Type: a/b; name=\"a.\n exe\"\n\n", []string{"content-type name=a. exe", "content-type name=a.exe"}, "a. exe"},
		{"percent signs", "Content-Type: a/b; name=\"a%2Eexe\"\n\n", []string{"content-type name=a%2Eexe", "content-type name=a.exe"}, "a%2Eexe"},
		{"without equals sign", "Content-Type: a/b; a.exe\n\n", []string{"content-type=a.exe"}, ""},
		{"both of two fields", "Content-Type: a/b; name=a\nContent-Type: a/b; name=b\n\n", []string{"content-type name=a", "content-type name=b"}, "a"},
		{"no disposition", "Content-Disposition: filename=a.exe\n\n", []string{"content-disposition filename=a.exe"}, "a.exe"},
		{"entities and semicolons", "Content-Type: image/jpeg; name=\"Jim&amp;amp;Girlz.jpg\"\n\n", []string{"content-type name=Jim&amp;amp;Girlz.jpg"}, "Jim&amp;amp;Girlz.jpg"},
		{"other fields", "Content-Name: =?utf-8?q?a=2Eexe?=\nX-Sun-Data-Name: b\n\n", []string{"content-name=a.exe", "content-name==?utf-8?q?a=2Eexe?=", "x-sun-data-name=b"}, "a.exe"},
		{"control characters", "Content-Type: a/b; name=\"=?utf-8?q?a=00=0A.exe?=\"\n\n", []string{"content-type name=a\x00\n.exe", "content-type name=a", "content-type name=a\n.exe", "content-type name==?utf-8?q?a=00=0A.exe?="}, "a.exe"},
		{"raw bytes", "Content-Type: a/b; name=\"\xe4.exe\"\n\n", []string{"content-type name=ä.exe", "content-type name=\xe4.exe"}, "ä.exe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := read1(t, tt.in, nil).Root
			var got []string
			for _, n := range p.Names() {
				got = append(got, n.From+"="+n.Value)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("names of %q (-want +got):\n%s", tt.in, diff)
			}
			if got := p.Filename(); got != tt.filename {
				t.Errorf("Filename of %q = %q, want %q", tt.in, got, tt.filename)
			}
		})
	}
}

// Names that only some clients read.
func TestNamesAsSomeClientsReadThem(t *testing.T) {
	le := "=?utf-16?B?" + base64.StdEncoding.EncodeToString([]byte("e\x00v\x00i\x00l\x00.\x00j\x00s\x00")) + "?="
	be := "=?utf-16le?B?" + base64.StdEncoding.EncodeToString([]byte("\x00e\x00v\x00i\x00l\x00.\x00j\x00s")) + "?="
	for _, tt := range []struct{ name, in, from string }{
		{"parameter in a comment", "Content-Disposition: attachment (a; filename=evil.js; b)", "content-disposition filename"},
		{"parameter in a comment, another behind", "Content-Disposition: attachment (a; filename=evil.js; b); filename=a.txt", "content-disposition filename"},
		{"comment in a token", "Content-Disposition: attachment; filename=evil.j(c)s", "content-disposition filename"},
		{"comment in a comment", "Content-Disposition: attachment; filename=evil.j(c(d\\))e)s", "content-disposition filename"},
		{"comment in a name", "Content-Disposition: attachment; file(c)name=evil.js", "content-disposition filename"},
		{"gap", "Content-Disposition: attachment; filename*0=evil.js; filename*2=.txt", "content-disposition filename*0"},
		{"leading zero", "Content-Disposition: attachment; filename*0=evil.js; filename*01=.txt", "content-disposition filename*0"},
		{"gap, encoded", "Content-Disposition: attachment; filename*0*=utf-8''evil%2Ejs; filename*2=.txt", "content-disposition filename*0*"},
		{"continuations as they stand", "Content-Disposition: attachment; filename*1=evil; filename*0=.js", "content-disposition filename*1"},
		{"backslash escapes nothing", `Content-Disposition: attachment; x="a\"; filename=evil.js; y="b"`, "content-disposition filename"},
		{"cut at NUL", "Content-Disposition: attachment; filename=\"evil.js\x00.txt\"", "content-disposition filename"},
		{"without NUL", "Content-Disposition: attachment; filename=\"evil.\x00js\"", "content-disposition filename"},
		{"cut at an encoded NUL", "Content-Name: =?utf-8?q?evil.js=00.txt?=", "content-name"},
		{"UTF-16 with the low byte first", "Content-Type: a/b; name=\"" + le + "\"", "content-type name"},
		{"UTF-16 with the high byte first", "Content-Type: a/b; name=\"" + be + "\"", "content-type name"},
		{"UTF-16 in RFC 2231", "Content-Type: a/b; name*=UTF-16''e%00v%00i%00l%00.%00j%00s%00", "content-type name*"},
		{"UTF-16 in another field", "Content-Description: " + le, "content-description"},
		{"Content-Description", "Content-Description: evil.js", "content-description"},
		{"Content-Location", "Content-Location: evil.js", "content-location"},
		{"Content-Location with a path", "Content-Location: http://example.com/a/evil%2Ejs?b/c#d/e", "content-location"},
		{"behind a bare CR", "X: a\rContent-Disposition: attachment; filename=evil.js", "content-disposition filename"},
		{"behind bare CRs", "X: a\r\rjunk\rContent-Type: a/b;\r\tname=evil.js", "content-type name"},
		{"X-Sun-Data-Name behind a bare CR", "X: junk\rX-Sun-Data-Name: evil.js", "x-sun-data-name"},
		{"before a bare CR", "Content-Description: evil.js\rX: y", "content-description"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, end := range []string{"\n", "\r\n"} {
				names := read1(t, tt.in+end+end, nil).Root.Names()
				if !slices.Contains(names, Name{"evil.js", tt.from}) {
					t.Errorf("names of %q are %q", tt.in, names)
				}
			}
		})
	}
}

func TestLastElement(t *testing.T) {
	for in, want := range map[string]string{
		"http://www.example.com":         "",
		"http://www.example.com/":        "",
		"//www.example.com/a.exe":        "a.exe",
		"cid:part1@example.com":          "",
		"file:///C:/x/a.exe":             "a.exe",
		`C:\x\a.exe`:                     "a.exe",
		"<http://example.com/b/a.exe#c>": "a.exe",
		"":                               "",
	} {
		if got := lastElement(in); got != want {
			t.Errorf("lastElement(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNamesAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 90 {
		b.WriteString("Content-Type: a/b")
		for j := range 100 {
			fmt.Fprintf(&b, "; n=%d.%d", i, j)
		}
		b.WriteString("\n")
	}
	tree := read1(t, b.String()+"\n", nil)
	if n := len(tree.Root.Names()); n != maxNames || !tree.Limited() {
		t.Errorf("%d names, Limited %v", n, tree.Limited())
	}
}

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"a.exe":             "a.exe",
		"a.exe ":            "a.exe",
		"a.exe. .":          "a.exe",
		"a.exe\"":           "a.exe",
		" 'a.exe'":          "a.exe",
		"a.e\x00xe":         "a.exe",
		"a\u202etxt.exe":    "atxt.exe",
		"a.exe\u200b":       "a.exe",
		"a.exe\u00a0":       "a.exe",
		"...":               "",
		"a b.tar.gz":        "a b.tar.gz",
		".hidden":           ".hidden",
		"a.exe\t\r\n":       "a.exe",
		"\ufeffa.exe\u2069": "a.exe",
	} {
		if got := (Name{Value: in}).Clean(); got != want {
			t.Errorf("Clean of %q = %q, want %q", in, got, want)
		}
	}
}

func TestPartTellsOfItself(t *testing.T) {
	in := "Content-Type: multipart/signed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: TEXT/Plain; CHARSET=\"UTF-8\"; format=flowed\nContent-Transfer-Encoding: 8BIT\n\nä\n--b--\n--a\nContent-Type: application/pkcs7-signature\nContent-Disposition: ATTACHMENT; filename=smime.p7s; size=1\n\nx\n--a--\n"
	tree := read1(t, in, nil)
	text, sig := part(t, tree, "0.0"), part(t, tree, "1")
	if v, ok := text.Param("Format"); !ok || v != "flowed" {
		t.Errorf("Param(Format) = %q, %v", v, ok)
	}
	if v, ok := text.Param("name"); ok {
		t.Errorf("Param(name) = %q", v)
	}
	if v, ok := sig.DispositionParam("SIZE"); !ok || v != "1" {
		t.Errorf("DispositionParam(SIZE) = %q, %v", v, ok)
	}
	if text.Charset() != "utf-8" || sig.Charset() != "us-ascii" || text.Encoding() != "8bit" || sig.Encoding() != "7bit" || sig.Disposition() != "attachment" || text.Disposition() != "" {
		t.Errorf("charsets %s, %s, encodings %s, %s, dispositions %s, %s", text.Charset(), sig.Charset(), text.Encoding(), sig.Encoding(), text.Disposition(), sig.Disposition())
	}
	for p := range tree.Parts() {
		if !p.Signed() || p.Encrypted() {
			t.Errorf("%s: Signed %v, Encrypted %v", p.MediaType(), p.Signed(), p.Encrypted())
		}
	}
	if !tree.Root.IsMessage() || text.IsMessage() || tree.Root.IsLeaf() || !text.IsLeaf() {
		t.Errorf("root: IsMessage %v, IsLeaf %v; text: %v, %v", tree.Root.IsMessage(), tree.Root.IsLeaf(), text.IsMessage(), text.IsLeaf())
	}
	if got := in[text.Offset() : text.Offset()+text.Size()]; !strings.HasPrefix(got, "Content-Type: TEXT") || !strings.HasSuffix(got, "\n\nä") {
		t.Errorf("the text lies at %d, %d: %q", text.Offset(), text.Size(), got)
	}
	for _, tt := range []struct {
		in                string
		signed, encrypted bool
	}{
		{"Content-Type: text/plain\n\n", false, false},
		{"Content-Type: multipart/encrypted; boundary=a\n\n--a\n\nx\n--a--\n", false, true},
		{"Content-Type: application/pkcs7-mime; smime-type=signed-data\n\n", true, false},
		{"Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data\n\n", false, true},
		{"Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data\n\n", false, true},
		{"Content-Type: application/pkcs7-mime; name=smime.p7m\n\n", false, true},
		{"Content-Type: application/pkcs7-mime; smime-type=compressed-data\n\n", false, false},
	} {
		for p := range read1(t, tt.in, nil).Parts() {
			if p.Signed() != tt.signed || p.Encrypted() != tt.encrypted {
				t.Errorf("%q: Signed %v, Encrypted %v, want %v, %v", tt.in, p.Signed(), p.Encrypted(), tt.signed, tt.encrypted)
			}
		}
	}
}

func TestMediaType(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "text/plain",
		"Content-Type:\n":               "text/plain",
		"Content-Type: ;;\n":            "text/plain",
		"Content-Type: TEXT/HTML\n":     "text/html",
		"Content-Type: text / html\n":   "text/html",
		"Content-Type: \"text/html\"\n": "text/html",
		"Content-Type: text/html; charset=x; charset=y\n":         "text/html",
		"Content-Type: text/html (a \"comment\"); x=y\n":          "text/html",
		"Content-Type: text/\n":                                   "text/plain",
		"Content-Type: /html\n":                                   "text/plain",
		"Content-Type:\n text/html\n":                             "text/html",
		"Content-Type : text/html\n":                              "text/html",
		"CONTENT-TYPE: text/html\n":                               "text/html",
		"Content-Type: text/html\nContent-Type: image/png\n":      "text/html",
		"Content-Type: foo\nContent-Type: image/png\n":            "text/plain",
		"Content-Type: image/png\nContent-Type: message/rfc822\n": "message/rfc822",
	} {
		if got := read1(t, in+"\n", nil).Root.MediaType(); got != want {
			t.Errorf("type of %q = %s, want %s", in, got, want)
		}
	}
}
