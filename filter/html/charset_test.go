package html

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"

	"github.com/gomilter/gomilter/internal/utf7"
)

var encodings = []struct {
	charset, text string
	enc           encoding.Encoding
}{
	{"utf-8", "Grüße 日本語 €", unicode.UTF8},
	{"ISO-8859-1", "Grüße", charmap.ISO8859_1},
	{"windows-1251", "Привет", charmap.Windows1251},
	{"koi8-r", "Привет", charmap.KOI8R},
	{"Shift_JIS", "日本語ソ表", japanese.ShiftJIS},
	{"euc-jp", "日本語", japanese.EUCJP},
	{"iso-2022-jp", "日本語 春宍", japanese.ISO2022JP},
	{"gbk", "简体中文", simplifiedchinese.GBK},
	{"gb18030", "简体中文 €", simplifiedchinese.GB18030},
	{"hz-gb-2312", "简体中文", simplifiedchinese.HZGB2312},
	{"big5", "繁體中文功", traditionalchinese.Big5},
	{"euc-kr", "한국어", korean.EUCKR},
	{"utf-16", "Grüße 日本語 😀", unicode.UTF16(unicode.BigEndian, unicode.UseBOM)},
	{"utf-16le", "Grüße 日本語 😀", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)},
	{"UTF-16BE", "Grüße 日本語 😀", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)},
	{"utf-32le", "Grüße 日本語 😀", utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)},
	{"utf-32", "Grüße 日本語 😀", utf32.UTF32(utf32.BigEndian, utf32.UseBOM)},
	{"utf-7", "Gr\u00fc\u00dfe 1+1", utf7.Encoding},
	{"ibm037", "Gr\u00fc\u00dfe", charmap.CodePage037},
	{"cp1140", "Gr\u00fc\u00dfe \u20ac", charmap.CodePage1140},
}

func TestEveryCharset(t *testing.T) {
	const clean, active = "<html><p title=\"%\">%</p>\n<b>%</b>", "<html><p title=\"%\" onclick='%'>%</p>\n<script>alert('%')</script><b>%</b>"
	for _, tt := range encodings {
		t.Run(tt.charset, func(t *testing.T) {
			encode := func(s string) string {
				out, err := tt.enc.NewEncoder().String(strings.ReplaceAll(s, "%", tt.text))
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			in := encode(clean)
			if got, rep := remove(t, in, Options{Charset: tt.charset}); got != in || rep.Total > 0 {
				t.Errorf("Remove(%q) = %q, finding %v", in, got, rep.Findings)
			}
			in, want := encode(active), encode("<html><p title=\"%\">%</p>\n<!-- removed: script --><b>%</b>")
			got, rep := remove(t, in, Options{Charset: tt.charset})
			if got != want || rep.Total != 2 {
				t.Errorf("Remove(%q)\n got %q, finding %v\nwant %q", in, got, rep.Findings, want)
			}
			if again, rep := remove(t, got, Options{Charset: tt.charset}); again != got || rep.Total > 0 {
				t.Errorf("Remove(%q) = %q, finding %v", got, again, rep.Findings)
			}
		})
	}
}

func TestHiddenByEncoding(t *testing.T) {
	utf16be := func(s string) string { return "\x00" + strings.Join(strings.Split(s, ""), "\x00") }
	for _, tt := range []struct{ name, in, charset, gone string }{
		{"UTF-7 that is labelled", "+ADw-script+AD4-alert(1)+ADw-/script+AD4-x", "utf-7", "+ADw-script"},
		{"UTF-7 inside one run", "+ADwAcwBjAHIAaQBwAHQAPg-alert(1)+ADwALwBzAGMAcgBpAHAAdAA+-x", "UTF-7", "alert"},
		{"UTF-7 by its mark", "+/v8-+ADw-img src=x onerror=alert(1)+AD4-", "", "onerror"},
		{"UTF-7 by meta", "<meta charset='utf-7'>+ADw-img src=x onerror=alert(1)+AD4-", "us-ascii", "onerror"},
		{"plain script labelled UTF-7", "<script>alert(1)</script>", "utf-7", "alert"},
		{"UTF-16 by its mark", "\xfe\xff" + utf16be("<script>alert(1)</script>"), "utf-8", "a\x00l\x00e\x00r\x00t"},
		{"UTF-16 without a mark", utf16be("<?xml version='1.0'?><script>alert(1)</script>"), "", "a\x00l\x00e\x00r\x00t"},
		{"bytes inside of UTF-16", "\xff\xfe<\x00p\x00>\x00<script>alert(1)</script>x", "utf-16", "alert"},
		{"bytes inside of UTF-16 without a mark", "<\x00p\x00>\x00<img src=x onerror=alert(1) >", "utf-16le", "onerror"},
		{"bytes of another kind inside of UTF-16", "\xff\xfe<\x00p\x00><a href=&#106;avascript:alert(1) >x", "utf-16", "&#106;"},
		{"a tag begun in bytes and gone on in UTF-16", "\xff\xfe<P \x00o\x00n\x00c\x00u\x00t\x00=\x00x\x00>\x00", "utf-16", "o\x00n\x00c\x00u\x00t\x00=\x00x"},
		{"a script begun in bytes and gone on in UTF-16", "\xff\xfe<sc\x00r\x00i\x00p\x00t\x00>\x00x\x00", "utf-16", "<sc\x00r"},
		{"UTF-16 that is labelled otherwise", "\xff\xfe<P \x00o\x00n\x00e\x00", "utf-8", "<P"},
		{"UTF-16 of a length that is odd", "\xff\xfe<P \x00o\x00n\x00e\x00x", "utf-16", "<P"},
		{"UTF-16 with half a pair", "\xff\xfe<P \x00o\x00n\x00e\x00\x00\xd8", "utf-16", "<P"},
		{"UTF-16 against its mark", "\xff\xfe<P \x00o\x00n\x00e\x00", "utf-16be", "<P"},
		{"UTF-16 behind a label that lies", "<script>alert(1)</script>", "utf-16", "alert"},
		{"NULs behind a label that lies", "<scr\x00ipt>alert(1)</script>", "utf-16", "alert"},
		{"NULs behind a tag like UTF-16", "<\x00a\x00><scr\x00ipt>alert(1)</scr\x00ipt>", "", "<scr"},
		{"escape within a name", "<scr\x1b(Bipt>alert(1)</script>", "iso-2022-jp", "alert"},
		{"escape in a value", "<a href=\"java\x1b(Jscript:alert(1)\">", "iso-2022-jp", "alert"},
		{"end of a value in two bytes", "<a title=\"\x1b$B\" \x1b(B\"><img src=x onerror=alert(1)>\">", "iso-2022-jp", "onerror"},
		{"escape within a name, Korean", "<scr\x1b$)Cipt>alert(1)</script>", "iso-2022-kr", "alert"},
		{"shifts within a name", "<scr\x0e\x0fipt>alert(1)</script>", "iso-2022-cn", "alert"},
		{"HZ line joint", "<img src=x oner~\nror=alert(1)>", "hz-gb-2312", "alert"},
		{"meta of ISO 2022", "<meta charset=iso-2022-jp><scr\x1b(Bipt>alert(1)</script>", "utf-8", "<scr"},
		{"ISO 2022 without a label", "<img alt=\"\x1b$B\"> x \x1b(B<a title=\"> <img src=x onerror=alert(1)>\">", "", "onerror"},
		{"ISO 2022 without a label, late", strings.Repeat(" ", headSize) + "<img alt=\"\x1b$B\"> x \x1b(B<a title=\"> <img src=x onerror=alert(1)>\">", "x-unknown", "\x1b$"},
		{"ISO 2022 without a label, late, in text", strings.Repeat(" ", headSize) + "<p>\x1b\x1b$B<p>\x1b", "", "\x1b$"},
		{"end of a tag in two bytes", "<a x=\x84> onclick=alert(1)>x</a>", "johab", "onclick"},
		{"EBCDIC of another page", "\x4c\xa2\x83\x99\x89\x97\xa3\x6e\x81", "IBM-500", "\x6e\x81"},
		{"EBCDIC with a euro sign", "\x4c\xa2\x83\x99\x89\x97\xa3\x6e\x81", "cp01148", "\x6e\x81"},
		{"EBCDIC", "\x4c\xa2\x83\x99\x89\x97\xa3\x6e\x81", "cp037", "\x6e\x81"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, rep := remove(t, tt.in, Options{Charset: tt.charset})
			if rep.Total == 0 || strings.Contains(got, tt.gone) {
				t.Errorf("Remove(%q) = %q, finding %v", tt.in, got, rep.Findings)
			}
			if again, rep := remove(t, got, Options{Charset: tt.charset}); again != got || rep.Total > 0 {
				t.Errorf("Remove(%q) = %q, finding %v", got, again, rep.Findings)
			}
		})
	}
}

func TestISO2022WithoutDecoder(t *testing.T) {
	for _, in := range []string{
		"\x1b$)C<p>\x0e<<>>\x0f</p>", "\x1b$)A\x0e<a href=x\x0f x",
	} {
		if got, rep := remove(t, in, Options{Charset: "iso-2022-kr"}); got != in || rep.Total > 0 {
			t.Errorf("Remove(%q) = %q, finding %v", in, got, rep.Findings)
		}
	}
}

// A label that readers know tells them not to guess.
func TestShiftsOfALabelledTextStay(t *testing.T) {
	for _, charset := range []string{"utf-8", "windows-1252", "us-ascii", "gbk"} {
		in := "<p title=\"\x1b$B\">\x1b(J</p>" + strings.Repeat(" ", headSize) + "\x1b$B"
		if got, rep := remove(t, in, Options{Charset: charset}); got != in || rep.Total > 0 {
			t.Errorf("%s: Remove(%q) = %q, finding %v", charset, in, got, rep.Findings)
		}
	}
	in := "<p>\x1b$B$\"\x1b(B one</p> \x1b[0m"
	if got, rep := remove(t, in, Options{}); got != in || rep.Total > 0 {
		t.Errorf("Remove(%q) = %q, finding %v", in, got, rep.Findings)
	}
}

// What old programs write into text they convert afterwards is no lie to act on.
func TestMetaOfAnotherCharsetStays(t *testing.T) {
	const text = "<html><meta http-equiv=Content-Type content=\"text/html; charset=%\"><p>x \xfc</p>"
	for _, name := range []string{"unicode", "utf-16", "iso-2022-jp", "utf-7", "us-ascii", "x-unknown"} {
		in := strings.ReplaceAll(text, "%", name)
		if got, rep := remove(t, in, Options{Charset: "iso-8859-1"}); got != in || rep.Total > 0 {
			t.Errorf("Remove(%q) = %q, finding %v", in, got, rep.Findings)
		}
	}
	in, _ := encodings[13].enc.NewEncoder().String("<meta charset=unicode><p>x</p>")
	if got, rep := remove(t, in, Options{Charset: "utf-16le"}); got != in || rep.Total > 0 {
		t.Errorf("Remove(%q) = %q, finding %v", in, got, rep.Findings)
	}
}

// In every encoding that is decoded, and in two that are not.
func FuzzRemoveCharsets(f *testing.F) {
	charsets := []string{"utf-16", "utf-16be", "utf-32", "utf-7", "iso-2022-jp", "iso-2022-kr", "hz-gb-2312", "cp037", "gbk", "shift_jis"}
	for i, v := range vectors(f) {
		f.Add([]byte(v), uint8(i))
	}
	for i, tt := range encodings {
		out, _ := tt.enc.NewEncoder().String("<p onclick=x>" + tt.text + "<script>")
		f.Add([]byte(out), uint8(i))
	}
	f.Fuzz(func(t *testing.T, text []byte, n uint8) {
		o := Options{Charset: charsets[int(n)%len(charsets)]}
		got, rep := remove(t, string(text), o)
		if (rep.Total == 0) != (got == string(text)) {
			t.Errorf("Remove(%q) = %q with findings %v", text, got, rep.Findings)
		}
		if again, rep := remove(t, got, o); again != got || rep.Total > 0 {
			t.Errorf("%s: Remove(%q)\n      = %q\nagain = %q, finding %v", o.Charset, text, got, again, rep.Findings)
		}
		for _, way := range readings([]byte(got)[:min(len(got), headSize)], o.Charset) {
			if found := active(decoded(t, way, []byte(got))); found != "" {
				t.Errorf("%s: Remove(%q)\n      = %q\nis active: %s", o.Charset, text, got, found)
			}
		}
	})
}

// decoded returns a text as it is read in a way.
func decoded(t testing.TB, way reading, text []byte) []byte {
	t.Helper()
	out, err := io.ReadAll(way.reader(bytes.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
