package message

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

// lookupCharset returns the encoding that a label means to a client; nil for an
// unknown one, and for us-ascii: bytes above ASCII in it are best guessed.
func lookupCharset(label string) encoding.Encoding {
	label = toLower(strings.Trim(label, blanks+`"'`))
	switch label {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown", "8bit":
		return nil
	case "utf-7", "unicode-1-1-utf-7", "utf7", "x-unicode-2-0-utf-7", "csutf7", "csunicode11utf7":
		return utf7Encoding{}
	case "utf-16", "csutf16":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	case "utf-32", "utf-32be":
		return utf32.UTF32(utf32.BigEndian, utf32.UseBOM)
	case "utf-32le":
		return utf32.UTF32(utf32.LittleEndian, utf32.UseBOM)
	case "hz-gb-2312", "hz", "hzgb2312": // WHATWG leaves it out, mail has it
		return simplifiedchinese.HZGB2312
	case "cp437", "437", "ibm437":
		return charmap.CodePage437
	case "cp850", "850":
		return charmap.CodePage850
	case "iso-2022-kr", "csiso2022kr", "iso-2022-cn", "iso-2022-cn-ext": // nobody knows them; htmlindex blanks them out
		return nil
	}
	if e, err := htmlindex.Get(label); err == nil && e != encoding.Replacement {
		return e
	}
	if e, err := ianaindex.MIME.Encoding(label); err == nil && e != nil {
		return e
	}
	if e, err := ianaindex.IANA.Encoding(label); err == nil && e != nil {
		return e
	}
	for _, prefix := range []string{"cp", "cp-", "x-cp", "windows", "win-", "x-windows-", "x-"} {
		rest, ok := strings.CutPrefix(label, prefix)
		if !ok {
			continue
		}
		for _, name := range []string{"windows-" + rest, "ibm" + rest, rest} {
			if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
				return e
			}
			if e, err := ianaindex.IANA.Encoding(name); err == nil && e != nil {
				return e
			}
		}
	}
	switch strings.TrimLeft(label, "cpx-windos") {
	case "936":
		return simplifiedchinese.GBK
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

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// shifts reports whether ASCII bytes may mean something else in a charset.
func shifts(label string) bool {
	switch e := lookupCharset(label).(type) {
	case nil:
		return false
	default:
		if _, ok := e.(*charmap.Charmap); ok {
			b, _ := e.NewDecoder().String("Az")
			return b != "Az" // EBCDIC
		}
		return e != unicode.UTF8
	}
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
