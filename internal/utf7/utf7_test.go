package utf7

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"golang.org/x/text/transform"
	"pgregory.net/rapid"
)

func decode(t testing.TB, s string) string {
	t.Helper()
	out, err := Encoding.NewDecoder().String(s)
	if err != nil {
		t.Fatalf("decode %q: %v", s, err)
	}
	return out
}

func encode(t testing.TB, s string) string {
	t.Helper()
	out, err := Encoding.NewEncoder().String(s)
	if err != nil {
		t.Fatalf("encode %q: %v", s, err)
	}
	return out
}

func TestDecode(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"RFC 2152: not identical to alpha", "A+ImIDkQ.", "A\u2262\u0391."},
		{"RFC 2152: smile", "Hi Mom -+Jjo--!", "Hi Mom -\u263a-!"},
		{"RFC 2152: Japanese", "+ZeVnLIqe-", "\u65e5\u672c\u8a9e"},
		{"RFC 2152: pound", "Item 3 is +AKM-1.", "Item 3 is \u00a31."},
		{"plus signs", "+-+--", "++-"},
		{"a surrogate pair", "+2D3eAA-", "\U0001f600"},
		{"a pair cut by the end", "+2D0", "\ufffd"},
		{"a pair cut by a dash", "+2D0-x", "\ufffdx"},
		{"half a pair before another character", "+2D0AYQ-", "\ufffda"},
		{"two first halves", "+2D3YPd4A-", "\ufffd\U0001f600"},
		{"the second half alone", "+3gA-", "\ufffd"},
		{"a plus at the end", "+", "+"},
		{"a plus before what is no base64", "+!", "+!"},
		{"a run ended by what is no base64", "+AGE!", "a!"},
		{"base64 of less than a character", "+A-b", "b"},
		{"bytes above ASCII", "a\xe4\xff", "a\u00e4\u00ff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := decode(t, tt.in); got != tt.want {
				t.Errorf("decode(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestEncode(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"<a href=\"x\">~\\\x00</a>", "<a href=\"x\">~\\\x00</a>"},
		{"1+1", "1+-1"},
		{"Gr\u00fc\u00dfe", "Gr+APwA3w-e"},
		{"\u263a+", "+Jjo-+-"},
		{"\U0001f600", "+2D3eAA-"},
		{"\xff", "+//0-"},
	} {
		if got := encode(t, tt.in); got != tt.want {
			t.Errorf("encode(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestWhatIsWrittenReadsBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.String().Draw(rt, "text")
		if got := decode(t, encode(t, s)); got != s {
			rt.Errorf("%q comes back as %q", s, got)
		}
	})
}

// In pieces of a byte nothing else comes out.
func TestPieces(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom([]rune("+-AYQ2D3e!\u00e4\U0001f600")), 0, 40, -1).Draw(rt, "text")
		for name, coder := range map[string]transform.Transformer{"decode": Encoding.NewDecoder(), "encode": Encoding.NewEncoder()} {
			run := func(r io.Reader) io.Reader { return transform.NewReader(r, coder) }
			whole, err := io.ReadAll(run(strings.NewReader(s)))
			if err != nil {
				rt.Fatal(err)
			}
			pieces, err := io.ReadAll(run(iotest.OneByteReader(strings.NewReader(s))))
			if err != nil || string(pieces) != string(whole) {
				rt.Errorf("%s %q in pieces = %q, %v; want %q", name, s, pieces, err, whole)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add("A+ImIDkQ.+-+/v8-+2D0")
	f.Fuzz(func(t *testing.T, in string) {
		text := decode(t, in)
		if !utf8.ValidString(text) {
			t.Errorf("decode(%q) = %q", in, text)
		}
		if got := decode(t, encode(t, text)); got != text {
			t.Errorf("decode(%q) = %q, which comes back as %q", in, text, got)
		}
	})
}
