package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// yencoded returns the lines of data in yEnc.
func yencoded(data []byte, eol string) string {
	var b strings.Builder
	for i, c := range data {
		if c += 42; c == 0 || c == '\n' || c == '\r' || c == '=' {
			b.WriteByte('=')
			c += 64
		}
		b.WriteByte(c)
		if i%128 == 127 {
			b.WriteString(eol)
		}
	}
	return b.String() + eol
}

func TestYenc(t *testing.T) {
	data := make([]byte, 600)
	for i := range data {
		data[i] = byte(i)
	}
	const begin = "=ybegin line=128 size=600 name=a b.exe"
	for _, tt := range []struct {
		name, in string
		names    []string
		content  []byte // of the first
		cut      bool
	}{
		{"a file", "\ntext\n" + begin + "\n" + yencoded(data, "\n") + "=yend size=600\nmore\n", []string{"a b.exe"}, data, false},
		{"CRLF", "\r\ntext\r\n" + begin + "\r\n" + yencoded(data, "\r\n") + "=yend size=600\r\nmore\r\n", []string{"a b.exe"}, data, false},
		{"a part of a file", "\n=ybegin part=1 line=128 size=1000 name=a.js\n=ypart begin=1 end=600\n" + yencoded(data, "\n") + "=yend size=600 part=1\n", []string{"a.js"}, data, false},
		{"no end", "\n" + begin + "\n" + yencoded(data, "\n"), []string{"a b.exe"}, data, true},
		{"two, the first without end", "\n=ybegin line=128 size=1 name=a.txt\nKKK\n" + begin + "\n" + yencoded(data, "\n") + "=yend size=600\n", []string{"a.txt", "a b.exe"}, []byte("!!!"), true},
		{"name in quotes", "\n=ybegin name=\"a.exe\" \nKKK\n=yend\n", []string{"a.exe"}, []byte("!!!"), false},
		{"behind a uuencoded file", "\nbegin 644 b\n#86)C\n`\nend\n=ybegin name=a.exe\nKKK\n=yend\n", []string{"b", "a.exe"}, []byte("abc"), false},
		{"in base64", "Content-Transfer-Encoding: base64\n\nPXliZWdpbiBuYW1lPWEuZXhlCktLSwo9eWVuZAo=\n", []string{"a.exe"}, []byte("!!!"), false},
		{"in quoted-printable", "Content-Transfer-Encoding: quoted-printable\n\nx\n=3Dybegin name=3Da.exe\nKKK\n=3Dyend\n", []string{"a.exe"}, []byte("!!!"), false},
		{"no name", "\n=ybegin line=128 size=600\nKKK\n=yend\n", nil, nil, false},
		{"not at the beginning of a line", "\nx =ybegin line=128 size=600 name=a.exe\nKKK\n=yend\n", nil, nil, false},
		{"no data", "\n=ybegin line=128 size=600 name=a.exe\n=yend\n", nil, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := read1(t, tt.in, nil)
			var names []string
			for _, p := range tree.Root.Parts {
				names = append(names, p.Filename())
			}
			if fmt.Sprint(names) != fmt.Sprint(tt.names) {
				t.Fatalf("files %q, want %q", names, tt.names)
			}
			if len(names) > 0 {
				var b bytes.Buffer
				if _, err := b.ReadFrom(tree.Root.Parts[0].Open()); err != nil || !bytes.Equal(b.Bytes(), tt.content) {
					t.Errorf("content %q, %v, want %q", b.Bytes(), err, tt.content)
				}
				if got := tree.Root.Parts[0].Has(DefectUUEncodeCut); got != tt.cut {
					t.Errorf("cut %v, want %v", got, tt.cut)
				}
			}
			if got := written(t, tree); got != tt.in {
				t.Errorf("written %q, want %q", got, tt.in)
			}
		})
	}
}

// Where a reader's buffer ends does not matter.
func TestYencAnywhereInALongText(t *testing.T) {
	for shift := range 40 {
		in := "\n" + strings.Repeat("x", windowSize-20-shift) + "\n=ybegin name=a.exe\nKKK\n=yend\n"
		tree := read1(t, in, nil)
		if len(tree.Root.Parts) != 1 {
			t.Errorf("shifted by %d: %d files", shift, len(tree.Root.Parts))
		}
		coded := read1(t, "Content-Transfer-Encoding: quoted-printable\n\n"+strings.Repeat("x", codeChunk-20-shift)+"\n=3Dybegin name=3Da.exe\nKKK\n=3Dyend\n", nil)
		if len(coded.Root.Parts) != 1 {
			t.Errorf("in quoted-printable, shifted by %d: %d files", shift, len(coded.Root.Parts))
		}
	}
}

func TestEditOfYenc(t *testing.T) {
	const in = "\nx\n=ybegin name=a.exe\nKKK\n=yend\ny\n"
	for _, tt := range []struct {
		name, want string
		c          Content
	}{
		{"by text", "\nx\ngone\ny\n", Content{Text: "gone\n"}},
		{"by another file", "\nx\nbegin 644 b\n#86)C\n`\nend\ny\n", Content{Body: strings.NewReader("abc"), Filename: "b"}},
	} {
		tree := read1(t, in, nil)
		if err := tree.Root.Parts[0].Replace(tt.c); err != nil {
			t.Fatal(err)
		}
		if got := written(t, tree); got != tt.want {
			t.Errorf("%s: written %q, want %q", tt.name, got, tt.want)
		}
	}
}

// FuzzYenc decodes in pieces and in one.
func FuzzYenc(f *testing.F) {
	f.Add([]byte("KK=}K\r\n=J==\n="), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		var whole, pieces yencDecoder
		want := whole.finish(whole.append(nil, in))
		var got []byte
		for b := in; len(b) > 0; {
			n := min(int(cut)+1, len(b))
			got, b = pieces.append(got, b[:n]), b[n:]
		}
		if got = pieces.finish(got); !bytes.Equal(got, want) || len(got) > len(in) {
			t.Errorf("%q in pieces of %d = %q, in one %q", in, int(cut)+1, got, want)
		}
		var back yencDecoder
		if got := back.append(nil, []byte(yencoded(in, "\r\n"))); !bytes.Equal(got, in) || back.bad() {
			t.Errorf("%q comes back as %q", in, got)
		}
		read1(t, "\n=ybegin name=x\n"+string(in)+"\n=yend\n", nil)
	})
}
