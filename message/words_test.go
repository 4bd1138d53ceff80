package message

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestDecodeWords(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing to decode", "plain", "plain"},
		{"quoted-printable", "=?iso-8859-1?Q?Peter_=D8rum?= <orum@ditas.dk>", "Peter Ørum <orum@ditas.dk>"},
		{"needlessly encoded", "=?us-ascii?Q?V=69agra?=", "Viagra"},
		{"base64", "=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"},
		{"base64 without padding", "=?utf-8?B?R3LDvMOfZQ?=", "Grüße"},
		{"base64 with a character too many", "=?utf-8?B?R3LDvMOfZQA?=", "Grüße\x00"},
		{"unknown charset", "=?foo?q?bar?=", "bar"},
		{"unknown charset with bytes above ASCII", "=?foo?q?b=E4r_=C3=A4?=", "bär ä"},
		{"bytes that are not in the charset", "=?utf-8?q?=ff=fe?=", "\ufffd\ufffd"},
		{"blanks between words", "=?utf-8?q?a?= \r\n\t=?utf-8?q?b?=", "ab"},
		{"blank before text", "=?utf-8?q?a?= b", "a b"},
		{"blank before a word", "b =?utf-8?q?a?=", "b a"},
		{"words of two charsets", "=?utf-8?q?=C3=A4?= =?iso-8859-1?q?=E4?=", "ää"},
		{"no blanks around", "x=?utf-8?q?a?=y=?utf-8?q?b?=z", "xaybz"},
		{"in quotes", `"=?utf-8?q?a=2Eexe?="`, `"a.exe"`},
		{"blanks inside", "=?utf-8?q?a b c?=", "a b c"},
		{"character cut in two", "=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "ä"},
		{"base64 cut in two", "=?utf-8?b?R3LD?= =?utf-8?b?vMOfZQ==?=", "Grüße"},
		{"language", "=?utf-8*en?q?a?=", "a"},
		{"lower and upper case", "=?UTF-8?b?YQ==?= =?utf-8?Q?b?=", "ab"},
		{"question mark in the text", "=?utf-8?q?what??=", "what?"},
		{"escape cut off", "=?utf-8?q?a=4?=", "a=4"},
		{"no escape", "=?utf-8?q?a=zz?=", "a=zz"},
		{"empty", "=?utf-8?q??=", ""},
		{"no end", "=?utf-8?q?abc", "=?utf-8?q?abc"},
		{"no encoding", "=?utf-8?x?abc?=", "=?utf-8?x?abc?="},
		{"no charset", "=??q?abc?=", "=??q?abc?="},
		{"begun twice", "=?=?utf-8?q?a?=", "=?a"},
		{"big5", "=?big5?b?pKSk5Q==?=", "中文"},
		{"koi8-r", "=?koi8-r?b?8NLJ18XU?=", "Привет"},
		{"gb2312 read as GBK", "=?gb2312?b?1tDOxA==?=", "中文"},
		{"iso-2022-jp", "=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "日本"},
		{"utf-7", "=?utf-7?q?Gr+APwA3w-e?=", "Grüße"},
		{"raw UTF-8", "Gr\xc3\xbc\xc3\x9fe", "Grüße"},
		{"raw bytes of no charset", "Gr\xfc\xdfe", "Grüße"},
		{"raw bytes beside a word", "\xfc =?utf-8?q?=C3=BC?= \xfc", "ü ü ü"},
		{"raw bytes in a word", "=?utf-8?q?\xc3\xbc?=", "ü"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := DecodeWords(tt.in); got != tt.want {
				t.Errorf("DecodeWords(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestFieldDecoded(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"folded", "S: a\r\n b\r\n\tc\r\n", "a b c"},
		{"folded inside a run of words", "S: =?utf-8?q?a?=\r\n =?utf-8?q?b?=\r\n", "ab"},
		{"NUL from base64", "S: =?utf-8?b?YQBi?=\n", "ab"},
		{"line end from a word", "S: =?utf-8?q?a=0D=0ABcc:_x?=\n", "aBcc: x"},
		{"control characters", "S: a\x01\x7f\u0085b\tc\n", "ab c"},
		{"blanks at both ends", "S:  \t a \r\n \r\n", "a"},
		{"CR line ends", "S: a\r b\r\r", "a b"},
		{"empty", "S:\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Parse([]byte(tt.in)).Header[0].Decoded(); got != tt.want {
				t.Errorf("Decoded of %q = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// decodes holds what is true of all decoded text.
func decodes(t failer, in string) {
	got := DecodeWords(in)
	if !utf8.ValidString(got) {
		t.Errorf("DecodeWords(%q) = %q, which is not UTF-8", in, got)
	}
	if len(got) > 8*len(in)+16 {
		t.Errorf("DecodeWords(%q) grows to %d bytes", in, len(got))
	}
	f := NewField("S", strings.NewReplacer("\n", "", "\r", "").Replace(in), "\n")
	if d := f.Decoded(); strings.ContainsFunc(d, unicode.IsControl) || !utf8.ValidString(d) {
		t.Errorf("Decoded of %q = %q", in, d)
	}
}

func FuzzDecodeWords(f *testing.F) {
	for _, s := range []string{"=?utf-8?q?a=C3=A4?= =?utf-8?b?YQ==?=", "=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "=?utf-7?q?+2D3eAA-?=", "=?utf-16?b?//5hAA==?=", "=?hz?q?~{VP~}?=", "=?gb18030?q?=81=30=81=30?=", "=?utf-32?b?AAD+/wAAAGE=?=", "\xff=?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) { decodes(t, in) })
}

func TestLongSubjectIsDecodedInGoodTime(t *testing.T) {
	for _, in := range []string{
		strings.Repeat("=?", 1<<19),
		strings.Repeat("=?utf-8?q?a?= ", 1<<16),
		strings.Repeat("=?utf-8?q?", 1<<16),
		strings.Repeat("=?a?q?a?==?b?q?a?=", 1<<15),
		strings.Repeat("=?a?q?x", 1<<18),
		strings.Repeat("=?a?x?x?=", 1<<17),
	} {
		DecodeWords(in)
	}
}

func TestTextFieldComesBack(t *testing.T) {
	alphabet := []string{"a", "word", "ä", "日本語", " ", "  ", "=?", "=?utf-8?q?x?=", "?=", "\"", "é", strings.Repeat("long", 30), "𝒳", "_", "="}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 30).Draw(t, "text"), "")
		f := NewTextField("Subject", text, "\r\n")
		want := strings.Trim(text, " ")
		if got := f.Decoded(); got != want {
			t.Errorf("NewTextField(%q) = %q, decoded %q", text, f.Raw(), got)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(f.Raw()), "\r\n"), "\r\n") {
			if !isASCII(line) || len(line) > maxLine || strings.Trim(line, " ") == "" {
				t.Errorf("NewTextField(%q) has the line %q", text, line)
			}
			if len(line) > lineWidth && strings.Contains(line[1:], " ") && !strings.Contains(text, "long") && strings.Contains(line, "=?utf-8?") {
				t.Errorf("NewTextField(%q) has a line of %d bytes: %q", text, len(line), line)
			}
		}
		if m := Parse(f.Raw()); len(m.Header) != 1 || len(m.Body) > 0 {
			t.Errorf("NewTextField(%q) = %q, not one field", text, f.Raw())
		}
	})
}

func TestNewTextField(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"plain", "hello", "S: hello\n"},
		{"nothing", "", "S:\n"},
		{"not ASCII", "Grüße", "S: =?utf-8?b?R3LDvMOfZQ==?=\n"},
		{"little that is not ASCII", "Grussformeln fürwahr", "S: Grussformeln =?utf-8?q?f=C3=BCrwahr?=\n"},
		{"looks encoded", "=?utf-8?q?a?=", "S: =?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte("=?utf-8?q?a?=")) + "?=\n"},
		{"line ends", "a\r\nBcc: b", "S: a  Bcc: b\n"},
		{"folded", strings.Repeat("word ", 20), "S:" + strings.Repeat(" word", 15) + "\n word" + strings.Repeat(" word", 4) + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(NewTextField("S", tt.text, "\n").Raw()); got != tt.want {
				t.Errorf("NewTextField(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}
