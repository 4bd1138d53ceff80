package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func decodeAll(enc, in string) (string, bool) {
	d := newDecoder(enc)
	out := d.finish(d.append(nil, []byte(in)))
	return string(out), d.bad()
}

func TestDecoders(t *testing.T) {
	for _, tt := range []struct {
		name, enc, in, want string
		bad                 bool
	}{
		{"base64", "base64", "aGVs\r\nbG8=\r\n", "hello", false},
		{"no padding", "base64", "aGVsbG8", "hello", true},
		{"two bytes of padding", "base64", "aGVsbA==", "hell", false},
		{"a character too many", "base64", "aGVsbG8haQ=a", "hello!i", true},
		{"a lone character", "base64", "a", "", true},
		{"bytes of no meaning", "base64", "aG!Vs.bG8=", "hello", true},
		{"more behind padding", "base64", "aGVsbG8=aGVsbG8=", "hellohello", false},
		{"padding alone", "base64", "====", "", false},
		{"broken at odd places", "base64", "a\r\nGV s\tbG\n8=", "hello", false},
		{"NUL and bytes above ASCII", "base64", "aGVs\x00\xffbG8=", "hello", true},
		{"nothing", "base64", "", "", false},

		{"quoted-printable", "quoted-printable", "a=3Db=C3=A4", "a=bä", false},
		{"lower case", "quoted-printable", "=c3=a4", "ä", false},
		{"soft line break", "quoted-printable", "a=\r\nb=\nc", "abc", false},
		{"soft line break, blanks behind", "quoted-printable", "a= \t\r\nb", "ab", false},
		{"soft line break of CR", "quoted-printable", "a=\rb", "ab", false},
		{"hard line breaks", "quoted-printable", "a\r\nb\nc", "a\r\nb\nc", false},
		{"blanks at the end of a line", "quoted-printable", "a \t\r\nb \nc ", "a\r\nb\nc", false},
		{"blanks inside", "quoted-printable", "a  b\tc", "a  b\tc", false},
		{"no escape", "quoted-printable", "a=zz=4z", "a=zz=4z", true},
		{"escape cut off", "quoted-printable", "a=4", "a=4", true},
		{"soft line break at the end", "quoted-printable", "a=", "a", false},
		{"bytes above ASCII", "quoted-printable", "\xff\x00", "\xff\x00", false},
		{"equals signs", "quoted-printable", "==3D==", "===", true},

		{"uuencode", "x-uuencode", "begin 644 a\n%:&5L;&\\\n`\nend\nrest", "hello", false},
		{"uuencode without its frame", "x-uuencode", "%:&5L;&\\\r\n`\r\n", "hello", false},
		{"uuencode, blanks cut off", "x-uuencode", "begin 644 a\n#    \n#\n\nend\n", "\x00\x00\x00", true},
		{"base64 in its frame", "x-uuencode", "begin-base64 644 a\naGVsbG8=\n====\nrest", "hello", false},
		{"line that is no data", "x-uuencode", "begin 644 a\nhello\n%:&5L;&\\\nend", "hello", true},
		{"long line", "x-uuencode", strings.Repeat("M", 10000) + "\n%:&5L;&\\\n", "hello", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, bad := decodeAll(tt.enc, tt.in)
			if got != tt.want || bad != tt.bad {
				t.Errorf("%s of %q = %q, bad %v, want %q, %v", tt.enc, tt.in, got, bad, tt.want, tt.bad)
			}
		})
	}
}

// In any pieces the same comes out, and all bytes come back.
func TestTransferEncodings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", " ", "\t", "\r", "\n", "\r\n", "=", "ä", "\x00", "--", ".", "From ", "=41", "`", "M", strings.Repeat("long ", 30), "begin 644 x\n", "end\n"}), 0, 60).Draw(t, "in"), ""))
		cuts := rapid.SliceOfN(rapid.IntRange(1, 90), 1, 5).Draw(t, "cuts")
		pieces := func(b []byte, f func(dst, src []byte) []byte) (out []byte) {
			for i := 0; len(b) > 0; i++ {
				n := min(cuts[i%len(cuts)], len(b))
				out, b = f(out, b[:n]), b[n:]
			}
			return out
		}
		for _, eol := range []string{"\r\n", "\n", "\r"} {
			for _, enc := range []string{"base64", "quoted-printable", "x-uuencode"} {
				for _, binary := range []bool{false, true} {
					var e coder = &uuEncoder{end: eol}
					if enc != "x-uuencode" {
						e = newEncoder(enc, eol, binary)
					}
					coded := e.finish(pieces(in, e.append))
					for line := range strings.SplitSeq(string(coded), eol) {
						if len(line) > 76 || enc != "x-uuencode" && strings.HasPrefix(line, "--") || strings.HasPrefix(line, "From ") || strings.HasSuffix(line, " ") || line == "." {
							t.Errorf("%s of %q has the line %q", enc, in, line)
						}
					}
					d := newDecoder(enc)
					got := d.finish(pieces(coded, d.append))
					if !bytes.Equal(got, in) || d.bad() {
						t.Errorf("%s of %q is %q, back it is %q, bad %v", enc, in, coded, got, d.bad())
					}
					if enc == "quoted-printable" && !binary && eol == "\r\n" {
						std, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(coded)))
						if err != nil || !bytes.Equal(std, in) {
							t.Errorf("%s of %q is %q, to the standard library %q, %v", enc, in, coded, std, err)
						}
					}
				}
			}
		}
		// Garbage too is the same in any pieces.
		for _, enc := range []string{"base64", "quoted-printable", "x-uuencode"} {
			whole, _ := decodeAll(enc, string(in))
			d := newDecoder(enc)
			if got := d.finish(pieces(in, d.append)); string(got) != whole {
				t.Errorf("%s of %q in pieces = %q, in one %q", enc, in, got, whole)
			}
		}
	})
}

func FuzzDecoders(f *testing.F) {
	f.Add([]byte("aGVs=3D= \r\n%:&5L;&\\\nbegin-base64 644 x\nend"), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		for _, enc := range []string{"base64", "quoted-printable", "x-uuencode"} {
			whole, _ := decodeAll(enc, string(in))
			d := newDecoder(enc)
			var got []byte
			for b := in; len(b) > 0; {
				n := min(int(cut)+1, len(b))
				got, b = d.append(got, b[:n]), b[n:]
			}
			if got = d.finish(got); string(got) != whole || len(got) > 2*len(in) {
				t.Errorf("%s of %q in pieces of %d = %q, in one %q", enc, in, int(cut)+1, got, whole)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := bytes.Repeat([]byte("some text, with blanks = and others\r\n"), 30000)
	for _, enc := range []string{"base64", "quoted-printable"} {
		e := newEncoder(enc, "\r\n", false)
		coded := e.finish(e.append(nil, raw))
		b.Run(enc, func(b *testing.B) {
			b.SetBytes(int64(len(coded)))
			out := make([]byte, 0, len(coded))
			for b.Loop() {
				d := newDecoder(enc)
				out = d.finish(d.append(out[:0], coded))
			}
		})
		b.Run(enc+"-encode", func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			out := make([]byte, 0, 2*len(coded))
			for b.Loop() {
				e := newEncoder(enc, "\r\n", false)
				out = e.finish(e.append(out[:0], raw))
			}
		})
	}
	std := base64.StdEncoding.EncodeToString(raw)
	b.Run("base64, standard library", func(b *testing.B) {
		b.SetBytes(int64(len(std)))
		out := make([]byte, len(raw)+10)
		for b.Loop() {
			base64.StdEncoding.Decode(out, []byte(std))
		}
	})
}

// io.Copy asks for no buffer, and gets what Read gives.
func TestOpenedPartWritesWhatItReads(t *testing.T) {
	for _, tt := range []struct{ encoding, body string }{
		{"base64", strings.Repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\r\n", 3000)},
		{"base64", ""},
		{"quoted-printable", strings.Repeat("a=3Db =\r\n", 5000)},
	} {
		tree, err := Read(strings.NewReader("Content-Transfer-Encoding: "+tt.encoding+"\r\n\r\n"+tt.body), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		want, err := io.ReadAll(struct{ io.Reader }{tree.Root.Open()})
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		r := tree.Root.Open()
		if _, err := io.ReadFull(r, make([]byte, min(5, len(want)))); err != nil {
			t.Fatal(err)
		}
		n, err := r.(io.WriterTo).WriteTo(&got)
		if err != nil || n != int64(got.Len()) || got.String() != string(want[min(5, len(want)):]) {
			t.Errorf("%s: %d bytes written, %v, and %d read", tt.encoding, n, err, len(want))
		}
		if _, err := tree.Root.Open().(io.WriterTo).WriteTo(failingWriter{}); len(want) > 0 && err != io.ErrClosedPipe {
			t.Errorf("%s: error = %v, want that of the writer", tt.encoding, err)
		}
	}
}

// Who reads the first bytes only holds no large buffer, of which there is no end to
// give it back at.
func TestHeadOfAPartTakesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop buffers under the race detector")
	}
	tree, err := Read(strings.NewReader("Content-Transfer-Encoding: base64\r\n\r\n"+strings.Repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\r\n", 3000)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	const times = 200
	head := make([]byte, 3072)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		if _, err := io.ReadFull(tree.Root.Open(), head); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / times; each > 16<<10 {
		t.Errorf("the first %d bytes take %d bytes of memory", len(head), each)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
