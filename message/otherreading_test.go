package message

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What the usual reading does not show, the other readings that its defects and
// encodings call for show.
func TestOtherReadings(t *testing.T) {
	const plain = "--b\n\none\n"
	const named = "Content-Disposition: attachment; filename=a.exe\n\nx\n"
	multi := func(s string) string { return "Content-Type: multipart/mixed; boundary=b\n\n" + s + "--b--\n" }
	for _, tt := range []struct {
		name, in string
		o        Options
		kind     Kind // that calls for it
	}{
		{"boundary behind a bare CR", multi("--b\n\none\r--b\r" + named), Options{BareCR: true}, DefectBoundaryCR},
		{"boundary behind a bare CR, in the part of another", multi("--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none -- two\r--b \r" + named + "--c--\n"), Options{BareCR: true}, DefectBoundaryCR},
		{"bare CR in the header of a part", multi("--b\nX: y\rContent-Type: message/rfc822\n\n" + named), Options{BareCR: true}, DefectHeaderCR},
		{"bare CR ends the header", multi("--b\nContent-Type: message/rfc822\nX: y\r\r" + named), Options{BareCR: true}, DefectHeaderCR},
		{"bare CR in a message in base64", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nWDogeQ1Db250ZW50LVR5cGU6IG1lc3NhZ2UvcmZjODIyCgpDb250ZW50LVR5cGU6IGEvYjsgbmFtZT1hLmV4ZQoKeA==\n", Options{BareCR: true}, DefectHeaderCR},
		{"line that begins with a boundary", multi(plain + "--bX\n" + named), Options{BoundaryPrefix: true}, DefectBoundaryPrefix},
		{"line that begins with the boundary of the outer one", multi("--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--bX\n" + named + "--c--\n"), Options{BoundaryPrefix: true}, DefectBoundaryPrefix},
		{"uuencoded file under the other encoding", "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\nCmJlZ2luIDY0NCBhLmV4ZQolOiY1TDsmXApgCmVuZAo=\n", Options{Encoding: 1}, DefectEncodings},
		{"uuencoded file behind a bare CR", "\nhi\rbegin 644 a.exe\r%:&5L;&\\\r`\rend\r\n", Options{BareCR: true}, DefectUUEncodeCR},
		{"uuencoded file behind a bare CR, far down", "\n" + strings.Repeat("x", windowSize-4) + "\rbegin 644 a.exe\r%:&5L;&\\\r`\rend\r\n", Options{BareCR: true}, DefectUUEncodeCR},
		{"file in yEnc behind a bare CR", "\nhi\r=ybegin line=128 size=1 name=a.exe\rxx\r=yend size=1\r\n", Options{BareCR: true}, DefectUUEncodeCR},
		{"uuencoded file behind a bare CR, in base64", "Content-Transfer-Encoding: base64\n\neAoNYmVnaW4gNjQ0IGEuZXhlDSU6JjVMOyZcDWANZW5kDQ==\n", Options{BareCR: true}, DefectUUEncodeCR},
		{"multipart under the other encoding", "Content-Type: multipart/mixed; boundary=bbbb\nContent-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\n--bbbb\n\nCi0tYmJiYgpDb250ZW50LURpc3Bvc2l0aW9uOiBhdHRhY2htZW50OyBmaWxlbmFtZT1hLmV4ZQoKeAotLWJiYmItLQo=\n--bbbb--\n", Options{Encoding: 1}, DefectEncodings},
	} {
		t.Run(tt.name, func(t *testing.T) {
			usual := read1(t, tt.in, nil)
			called := false
			for p := range usual.Parts() {
				called = called || p.Has(tt.kind) && (tt.o.Encoding < len(p.Encodings()))
			}
			if got := outline(usual); !called || strings.Contains(got, `"a.exe"`) {
				t.Errorf("the usual reading is\n%s", got)
			}
			if got := outline(read1(t, tt.in, &tt.o)); !strings.Contains(got, `"a.exe"`) {
				t.Errorf("the other reading is\n%s", got)
			}
			m := Parse([]byte(tt.in))
			apart, err := ReadTree(m.Header, m.Break, strings.NewReader(string(m.Body)), &tt.o)
			if err != nil {
				t.Fatal(err)
			}
			defer apart.Close()
			if got := outline(apart); !strings.Contains(got, `"a.exe"`) {
				t.Errorf("the other reading, header and body apart, is\n%s", got)
			}
		})
	}
}

// Mail that is what it seems calls for no other reading, and reads alike in all.
func TestOtherReadingsOfUsualMail(t *testing.T) {
	for name, in := range map[string]string{
		"CRLF":             "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none -- two\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nb25l\r\n--b--\r\n",
		"LF":               "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none -- two\n-- \n------\n--b--\n",
		"CR in a body":     "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\rtwo\r-- three\r--c\r\n--b--\n",
		"encoding twice":   "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: 8bit\n\none\n",
		"nested, alike":    "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b1\n\n--b1\n\none\n--b1--\n--b--\n",
		"boundary in text": "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n --bX\nx --bX\n--b--\n",
	} {
		usual := read1(t, in, nil)
		for p := range usual.Parts() {
			if p.Has(DefectHeaderCR) || p.Has(DefectBoundaryCR) || p.Has(DefectBoundaryPrefix) || len(p.Encodings()) != 1 {
				t.Errorf("%s: %v, %q", name, usual.Defects(), p.Encodings())
			}
		}
		for _, o := range []Options{{BoundaryPrefix: true}, {Encoding: 1}, {Encoding: 100}} {
			if got, want := outline(read1(t, in, &o)), outline(usual); got != want {
				t.Errorf("%s: %+v reads\n%s, want\n%s", name, o, got, want)
			}
		}
	}
}

func TestEncodings(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", "[7bit]"}, {"base64", "[base64]"}, {"7bit|8BIT|binary|x-odd", "[7bit]"}, {"x-odd|7bit", "[7bit]"}, {"7bit|base64", "[7bit base64]"}, {"base64|7bit|quoted-printable|base64", "[base64 7bit quoted-printable]"},
		{"x-odd|base64", "[base64 x-odd]"}, {"uuencode|x-uue", "[uuencode]"}, {"base64 x", "[base64 7bit]"}, {"'base64'", "[base64 7bit]"}, {"\"base64\"", "[base64]"},
	} {
		h := ""
		for enc := range strings.SplitSeq(tt.in, "|") {
			h += "Content-Transfer-Encoding: " + enc + "\n"
		}
		if got := fmt.Sprint(read1(t, h+"\nx", nil).Root.Encodings()); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.in, got, tt.want)
		}
	}
}

// Lines of many kinds come out ended, in any pieces.
func TestLineEnder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a", "\r", "\n", "\r\n"})).Draw(t, "in"), "")
		want := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(in, "\r\n", "\x00"), "\r", "\r\n"), "\x00", "\r\n")
		cut := rapid.IntRange(1, 5).Draw(t, "cut")
		var l lineEnder
		var got []byte
		for b := []byte(in); len(b) > 0; {
			n := min(cut, len(b))
			got, b = l.append(got, b[:n]), b[n:]
		}
		if got = l.finish(got); string(got) != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	})
}

// Other readings of anything at all end, within the limits.
func TestOtherReadingsOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyMail(t)
		o := Options{BareCR: rapid.Bool().Draw(t, "cr"), BoundaryPrefix: rapid.Bool().Draw(t, "prefix"), Encoding: rapid.IntRange(-1, 3).Draw(t, "encoding"), MaxParts: 20}
		tree, err := Read(strings.NewReader(in), &o)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		n := 0
		for p := range tree.Parts() {
			n++
			p.Names()
			if _, err := io.Copy(io.Discard, p.Open()); err != nil {
				t.Fatal(err)
			}
		}
		if n > 20 {
			t.Errorf("%d parts", n)
		}
	})
}

// Nested multiparts, and a line that begins with a boundary again and again, are
// read in good time.
func TestBoundaryPrefixIsLimited(t *testing.T) {
	var b strings.Builder
	for i := range 49 {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=q%d\n\n--q%d\n", i, i)
	}
	in := b.String() + strings.Repeat("\n--x\n", 300_000)
	if tree := read1(t, in, &Options{BoundaryPrefix: true}); !tree.Limited() {
		t.Error("no limit is hit")
	}
}
