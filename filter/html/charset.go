package html

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"

	"github.com/gomilter/gomilter/internal/utf7"
)

// A reading is one way to get ASCII-compatible text out of bytes.
type reading struct {
	charset string                       // as plainCharset has it; "" is the bytes themselves
	enc     encoding.Encoding            // nil for those without
	strip   func() transform.Transformer // takes characters of two bytes out where there is no decoder; cannot be written
	noNUL   bool                         // the bytes without NULs
	wide    bool                         // the text may be in an encoding of 16 or 32 bits: NULs are nothing odd
}

func (r reading) isBytes() bool { return r.enc == nil && r.strip == nil && !r.noNUL }

// decoder returns what makes ASCII and what extends it of the bytes, nil for the bytes
// themselves. Decoders make U+FFFD of what they do not know and have no errors.
func (r reading) decoder() transform.Transformer {
	switch {
	case r.strip != nil:
		return r.strip()
	case r.noNUL:
		return withoutNULs{}
	case r.enc != nil:
		return r.enc.NewDecoder()
	}
	return nil
}

// mark returns a text of nothing but a marker.
func mark(text, charset string) []byte {
	b := []byte("<!-- " + text + " -->")
	if ways, _ := charsetReadings(plainCharset(charset)); len(ways) > 0 && ways[0].enc != nil {
		if out, err := encoding.HTMLEscapeUnsupported(ways[0].enc.NewEncoder()).Bytes(b); err == nil {
			return out
		}
	}
	return b
}

// plainCharset returns the name of a charset without what its spellings differ in.
func plainCharset(name string) string { return alnum(name) }

// The encodings that do not extend ASCII. A byte order mark is a character to
// them, so that it is written back.
var (
	utf16be = reading{charset: "utf16be", wide: true, enc: unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)}
	utf16le = reading{charset: "utf16le", wide: true, enc: unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)}
	utf32be = reading{charset: "utf32be", wide: true, enc: utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)}
	utf32le = reading{charset: "utf32le", wide: true, enc: utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)}
	utf7way = reading{charset: "utf7", enc: utf7.Encoding}
	jis     = reading{charset: "iso2022", enc: japanese.ISO2022JP}
	hz      = reading{charset: "hz", enc: simplifiedchinese.HZGB2312}
	shifts  = reading{charset: "iso2022", strip: func() transform.Transformer { return new(withoutShifts) }}
	johab   = reading{charset: "johab", strip: func() transform.Transformer { return withoutJohab{} }}
	ebcdic  = []reading{
		{charset: "037", enc: charmap.CodePage037},
		{charset: "1047", enc: charmap.CodePage1047},
		{charset: "1140", enc: charmap.CodePage1140},
	}
)

// charsetReadings returns how a charset is read if it does not extend ASCII.
// bytesToo: readers that do not know it take the bytes as they are.
func charsetReadings(name string) (ways []reading, bytesToo bool) {
	has := func(subs ...string) bool {
		return slices.ContainsFunc(subs, func(sub string) bool { return strings.Contains(name, sub) })
	}
	switch {
	case has("utf16", "ucs2", "10646ucs2") || name == "unicode" || name == "csunicode" || name == "unicodefffe" || name == "unicodefeff":
		switch {
		case strings.HasSuffix(name, "be"):
			return []reading{utf16be}, true
		case strings.HasSuffix(name, "le"):
			return []reading{utf16le}, true
		}
		return []reading{utf16le, utf16be}, true
	case has("utf32", "ucs4", "10646ucs4"):
		switch {
		case strings.HasSuffix(name, "be"):
			return []reading{utf32be}, true
		case strings.HasSuffix(name, "le"):
			return []reading{utf32le}, true
		}
		return []reading{utf32le, utf32be}, true
	case has("utf7"):
		return []reading{utf7way}, true
	case has("iso2022jp", "2022jp") || name == "cp50220" || name == "cp50221" || name == "cp50222":
		return []reading{jis, shifts}, false
	case has("iso2022"):
		return []reading{shifts}, false
	case name == "hz" || has("hzgb"):
		return []reading{hz}, false
	case has("037"):
		return ebcdic[:1], true
	case has("1047"):
		return ebcdic[1:2], true
	case has("1140"):
		return ebcdic[2:3], true
	case has("ebcdic"):
		return ebcdic, true
	case has("ibm", "cp", "ccsid") && ebcdicPages[strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz0")]:
		return ebcdic[:1], true // markup is the same in all
	case has("johab", "1361", "ksc56011992"):
		return []reading{johab}, true
	}
	return nil, true
}

// ebcdicPages are IBM's other code pages of EBCDIC.
var ebcdicPages = map[string]bool{
	"273": true, "274": true, "275": true, "277": true, "278": true, "280": true, "281": true, "284": true, "285": true, "290": true,
	"297": true, "420": true, "423": true, "424": true, "500": true, "833": true, "838": true, "870": true, "871": true, "875": true,
	"880": true, "905": true, "918": true, "924": true, "930": true, "933": true, "935": true, "937": true, "939": true, "1025": true,
	"1026": true, "1112": true, "1122": true, "1123": true, "1130": true, "1132": true, "1137": true, "1141": true, "1142": true,
	"1143": true, "1144": true, "1145": true, "1146": true, "1147": true, "1148": true, "1149": true, "1153": true, "1154": true,
	"1155": true, "1156": true, "1157": true, "1158": true, "1160": true, "1164": true, "1364": true, "1371": true, "1388": true,
	"1390": true, "1399": true,
}

// decides reports whether readers look no further than a label for the encoding:
// it names one they know.
func decides(charset string) bool {
	if ways, _ := charsetReadings(plainCharset(charset)); len(ways) > 0 {
		return true
	}
	_, err := htmlindex.Get(charset)
	return err == nil
}

// findShift returns where b shifts into a character set of ISO 2022, or may do so
// with what follows it, or -1. Readers that guess take that for ISO-2022-JP.
func findShift(b []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(b[i:], 0x1b)
		if n < 0 {
			return -1
		}
		if i += n; i+1 == len(b) || b[i+1] == '$' || b[i+1] == '(' || b[i+1] == 0x1b {
			return i
		}
	}
}

// byteOrderMarks are what a text begins with to tell its encoding.
var byteOrderMarks = []struct {
	bytes string
	way   reading
}{
	{"\xff\xfe\x00\x00", utf32le},
	{"\x00\x00\xfe\xff", utf32be},
	{"\xff\xfe", utf16le},
	{"\xfe\xff", utf16be},
	{"+/v", utf7way},
}

// readings returns the ways to read a text that begins with head and is said to
// be in charset, and by other labels in one of also. The first is the likeliest, and
// none comes twice.
func readings(head []byte, charset string, also ...string) []reading {
	var ways []reading
	add := func(rs ...reading) {
		for _, r := range rs {
			if !slices.ContainsFunc(ways, r.is) {
				ways = append(ways, r)
			}
		}
	}
	for _, bom := range byteOrderMarks {
		if bytes.HasPrefix(head, []byte(bom.bytes)) {
			add(bom.way)
		}
	}
	labelled, asBytes := charsetReadings(plainCharset(charset))
	add(labelled...)
	for _, name := range also {
		ways, _ := charsetReadings(plainCharset(name))
		add(ways...)
	}
	// XML 1.0 appendix F, and readers that guess.
	for _, lt := range []struct {
		bytes string
		way   reading
	}{
		{"<\x00\x00\x00", utf32le},
		{"\x00\x00\x00<", utf32be},
		{"<\x00", utf16le},
		{"\x00<", utf16be},
		{"\x4c\x6f\xa7\x94", ebcdic[0]}, // <?xm
	} {
		if bytes.HasPrefix(head, []byte(lt.bytes)) {
			add(lt.way)
		}
	}
	for _, name := range namedCharsets(head) {
		ways, _ := charsetReadings(plainCharset(name))
		add(ways...)
	}
	if !decides(charset) && findShift(head) >= 0 {
		add(jis, shifts)
	}
	wide := slices.ContainsFunc(ways, func(w reading) bool { return w.wide })
	if asBytes {
		add(reading{wide: wide})
	}
	if wide { // NULs would be odd to the bytes, and readers that skip them must not matter
		add(reading{noNUL: true})
	}
	return ways
}

// is reports whether two readings are one.
func (r reading) is(o reading) bool {
	return r.charset == o.charset && (r.strip == nil) == (o.strip == nil) && r.noNUL == o.noNUL
}

// namedCharsets returns what head calls its encoding, in meta or an XML declaration.
func namedCharsets(head []byte) (names []string) {
	low := bytes.ToLower(head)
	for _, word := range []string{"charset", "encoding"} {
		for rest := low; ; {
			_, after, ok := bytes.Cut(rest, []byte(word))
			if !ok {
				break
			}
			rest = after
			after = bytes.TrimLeft(after, " \t\r\n\f")
			after, ok = bytes.CutPrefix(after, []byte("="))
			if !ok {
				continue
			}
			name := unescape(bytes.TrimLeft(after[:min(len(after), 80)], " \t\r\n\f\"'"))
			if i := strings.IndexAny(name, " \t\r\n\f\"'>;/"); i >= 0 {
				name = name[:i]
			}
			names = append(names, name)
		}
	}
	return names
}

// readsCharset reports whether a charset that a meta names extends ASCII, or the
// text is read in it.
func (s *scanner) readsCharset(name string) bool {
	ways, _ := charsetReadings(plainCharset(name))
	return len(ways) == 0 || slices.ContainsFunc(ways, func(w reading) bool { return slices.Contains(s.charsets, w.charset) })
}
