package message

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"

	"github.com/gomilter/gomilter/internal/utf7"
)

// charsets are labels that mail has and neither index knows, or knows otherwise
// than clients do. Those of nil are best guessed: bytes above ASCII in us-ascii are
// there by mistake, and some charsets nobody reads.
var charsets = map[string]encoding.Encoding{
	"": nil, "us-ascii": nil, "ascii": nil, "ansi_x3.4-1968": nil, "unknown-8bit": nil, "x-unknown": nil, "8bit": nil,
	"iso-2022-kr": nil, "csiso2022kr": nil, "iso-2022-cn": nil, "iso-2022-cn-ext": nil,
	"utf-7": utf7.Encoding, "utf7": utf7.Encoding, "unicode-1-1-utf-7": utf7.Encoding, "csutf7": utf7.Encoding,
	"utf-16": unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "csutf16": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	"utf-32": utf32.UTF32(utf32.BigEndian, utf32.UseBOM), "utf-32be": utf32.UTF32(utf32.BigEndian, utf32.UseBOM), "utf-32le": utf32.UTF32(utf32.LittleEndian, utf32.UseBOM),
	"hz-gb-2312": simplifiedchinese.HZGB2312, "hz": simplifiedchinese.HZGB2312,
	"273": ibm273, "csibm273": ibm273, "500": ibm500, "csibm500": ibm500, "ebcdic-cp-be": ibm500, "ebcdic-cp-ch": ibm500,
	"437": charmap.CodePage437, "850": charmap.CodePage850, "858": charmap.CodePage858,
	"932": japanese.ShiftJIS, "936": simplifiedchinese.GBK, "949": korean.EUCKR, "950": traditionalchinese.Big5,
}

// lookupCharset returns the encoding that a label means to a client, nil for an
// unknown one.
func lookupCharset(label string) encoding.Encoding {
	label = toLower(strings.Trim(label, blanks+`"';`))
	if e, ok := charsets[label]; ok {
		return e
	}
	if e := index(label); e != nil {
		return e
	}
	// Code pages go by many names.
	number := label
	for _, prefix := range []string{"x-", "ms", "cp", "windows", "win", "ibm", "dos", "-", "_"} {
		number = strings.TrimPrefix(number, prefix)
	}
	if e, ok := charsets[number]; ok && number != "" {
		return e
	}
	for _, prefix := range []string{"windows-", "ibm", ""} {
		if e := index(prefix + number); e != nil {
			return e
		}
	}
	return nil
}

// index looks a label up as browsers do, then as IANA has it.
func index(label string) encoding.Encoding {
	if e, err := htmlindex.Get(label); err == nil && e != encoding.Replacement {
		return e
	}
	if e, err := ianaindex.IANA.Encoding(label); err == nil && e != nil {
		return e
	}
	return nil
}

// decoderOf returns what turns a charset into UTF-8.
func decoderOf(label string) transform.Transformer {
	if e := lookupCharset(label); e != nil {
		return e.NewDecoder().Transformer
	}
	return guess{}
}

// decodeCharset returns b in UTF-8. It never fails.
func decodeCharset(label string, b []byte) string {
	if isASCII(b) && !shifts(label) {
		return string(b)
	}
	out, _, err := transform.Bytes(decoderOf(label), b)
	if err != nil {
		out, _, _ = transform.Bytes(guess{}, b)
	}
	return string(out)
}

func isASCII[T []byte | string](b T) bool {
	for i := range len(b) {
		if b[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// shifts reports whether ASCII bytes may mean something else in a charset.
func shifts(label string) bool {
	e := lookupCharset(label)
	if e == nil {
		return false
	}
	if m, ok := e.(*charmap.Charmap); ok {
		return m.DecodeByte('A') != 'A' // EBCDIC
	}
	return e != unicode.UTF8
}

// A guess reads bytes as UTF-8 where they can be, and others as Windows-1252.
type guess struct{ transform.NopResetter }

func (guess) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		r, size := rune(src[nSrc]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(src[nSrc:])
			if r == utf8.RuneError && size == 1 {
				if !atEOF && !utf8.FullRune(src[nSrc:]) {
					return nDst, nSrc, transform.ErrShortSrc
				}
				r = charmap.Windows1252.DecodeByte(src[nSrc])
			}
		}
		if nDst+utf8.RuneLen(r) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += size
	}
	return nDst, nSrc, nil
}
