package message

import (
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

func TestCharsets(t *testing.T) {
	for _, tt := range []struct{ label, in, want string }{
		{"utf-8", "\xc3\xa4\xff", "ä\ufffd"},
		{"UTF8", "\xc3\xa4", "ä"},
		{`"utf-8";`, "\xc3\xa4", "ä"},
		{"us-ascii", "a\xe4\xc3\xa4", "aää"},
		{"", "\xe4", "ä"},
		{"unheard-of", "\x80\xe4", "€ä"},
		{"iso-8859-1", "\x80\xe4", "€ä"},
		{"iso-8859-15", "\xa4", "€"},
		{"windows-1251", "\xcf\xf0", "Пр"},
		{"x-cp1251", "\xcf\xf0", "Пр"},
		{"win-1251", "\xcf\xf0", "Пр"},
		{"koi8-r", "\xf0\xd2", "Пр"},
		{"koi8-u", "\xa4", "є"},
		{"cp866", "\x8f\xe0", "Пр"},
		{"cp437", "\x84", "ä"},
		{"cp850", "\x84", "ä"},
		{"cp858", "\xd5", "€"},
		{"macintosh", "\x8a", "ä"},
		{"gb2312", "\xd6\xd0\xce\xc4", "中文"},
		{"gbk", "\xd6\xd0\xce\xc4", "中文"},
		{"cp936", "\xd6\xd0\xce\xc4", "中文"},
		{"gb18030", "\xd6\xd0\x81\x30\x81\x30", "中\u0080"},
		{"hz-gb-2312", "~{VPND~}", "中文"},
		{"big5", "\xa4\xa4\xa4\xe5", "中文"},
		{"cp950", "\xa4\xa4\xa4\xe5", "中文"},
		{"shift_jis", "\x93\xfa\x96\x7b", "日本"},
		{"cp932", "\x93\xfa\x96\x7b", "日本"},
		{"euc-jp", "\xc6\xfc\xcb\xdc", "日本"},
		{"iso-2022-jp", "\x1b$BF|K\\\x1b(B", "日本"},
		{"euc-kr", "\xc7\xd1\xb1\xdb", "한글"},
		{"ks_c_5601-1987", "\xc7\xd1\xb1\xdb", "한글"},
		{"cp949", "\xc7\xd1\xb1\xdb", "한글"},
		{"iso-8859-8-i", "\xe0", "א"},
		{"tis-620", "\xa1", "ก"},
		{"utf-16", "\xfe\xff\x00a\x00\xe4", "aä"},
		{"utf-16", "\xff\xfea\x00\xe4\x00", "aä"},
		{"utf-16le", "a\x00\xe4\x00", "aä"},
		{"utf-32", "\x00\x00\xfe\xff\x00\x00\x00a", "a"},
		{"utf-7", "Hi Mom -+Jjo--!", "Hi Mom -☺-!"},
		{"utf-7", "+ZeVnLIqe-", "日本語"},
		{"utf-7", "1 +- 1", "1 + 1"},
		{"utf-7", "+2D3eAA-", "😀"},
		{"utf-7", "+2D0-x", "\ufffdx"},
		{"utf-7", "+2D0", "\ufffd"},
		{"utf-7", "a\xe4b", "a\u00e4b"},
		{"ebcdic-cp-us", "\xc1\xa9", "Az"},
		{"ibm500", "\x85\xa5\x89\x93\x4b\x85\xa7\x85 \x4a\x5a", "evil.exe\u0080[]"},
		{"cp500", "\x4f\xbb", "!|"},
		{"ebcdic-cp-ch", "\xc1", "A"},
		{"IBM273", "\x85\xa5\x89\x93\x4b\x85\xa7\x85\xa1\xb5", "evil.exeß@"},
		{"csIBM273", "\xc0\x6a\xd0", "äöü"},
	} {
		if got := decodeCharset(tt.label, []byte(tt.in)); got != tt.want {
			t.Errorf("%q in %s = %q, want %q", tt.in, tt.label, got, tt.want)
		}
		// A byte at a time it is the same.
		r := &textReader{transform.NewReader(iotestOneByte{strings.NewReader(tt.in)}, decoderOf(tt.label))}
		if got, err := io.ReadAll(r); err != nil || string(got) != tt.want {
			t.Errorf("%q in %s, bytes apart, = %q, %v, want %q", tt.in, tt.label, got, err, tt.want)
		}
	}
}

type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

func FuzzCharset(f *testing.F) {
	for _, l := range []string{"utf-7", "utf-16", "iso-2022-jp", "hz", "gb18030", "big5", "euc-kr", "utf-32", "cp037", ""} {
		f.Add(l, []byte("~{VP+2D3eAA-\x1b$B\xff\xfe\x00a"))
	}
	f.Fuzz(func(t *testing.T, label string, in []byte) {
		want := decodeCharset(label, in)
		if len(in) > 1<<12 {
			return
		}
		got, err := io.ReadAll(&textReader{transform.NewReader(iotestOneByte{strings.NewReader(string(in))}, decoderOf(label))})
		if err != nil {
			t.Errorf("%q in %s: error %v", in, label, err)
		}
		if !utf8.ValidString(want) || !utf8.Valid(got) {
			t.Errorf("%q in %s = %q, bytes apart %q, not UTF-8", in, label, want, got)
		}
	})
}
