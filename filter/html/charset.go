package html

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"

	"github.com/gomilter/gomilter/internal/utf7"
)

// A reading is one way to get ASCII-compatible text out of bytes.
type reading struct {
	charset string            // as plainCharset has it; "" is the bytes themselves
	enc     encoding.Encoding // nil for those without
	shifts  bool              // what is left of ISO 2022 without its sets of two bytes; cannot be written
	noNUL   bool              // the bytes without NULs
	wide    bool              // the text may be in an encoding of 16 or 32 bits: NULs are nothing odd
}

func (r reading) isBytes() bool { return r.enc == nil && !r.shifts && !r.noNUL }

func (r reading) decode(b []byte) []byte {
	switch {
	case r.shifts:
		return withoutShifts(b)
	case r.noNUL:
		return bytes.ReplaceAll(b, []byte{0}, nil)
	case r.enc != nil:
		// Decoders make U+FFFD of what they do not know and have no errors.
		if out, err := r.enc.NewDecoder().Bytes(b); err == nil {
			return out
		}
	}
	return b
}

// encode writes what decode has read. What the encoding lacks becomes a
// character reference.
func (r reading) encode(b []byte) (_ []byte, ok bool) {
	switch {
	case r.shifts:
		return nil, false
	case r.enc != nil:
		out, err := encoding.HTMLEscapeUnsupported(r.enc.NewEncoder()).Bytes(b)
		return out, err == nil
	}
	return b, true
}

// mark returns a text of nothing but a marker.
func mark(text, charset string) []byte {
	b := []byte("<!-- " + text + " -->")
	if ways, _ := charsetReadings(plainCharset(charset)); len(ways) > 0 {
		if out, ok := ways[0].encode(b); ok {
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
	shifts  = reading{charset: "iso2022", shifts: true}
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
	}
	return nil, true
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
// be in charset. The first is the likeliest, and none comes twice.
func readings(head []byte, charset string) []reading {
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
	return r.charset == o.charset && r.shifts == o.shifts && r.noNUL == o.noNUL
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

// withoutShifts returns the ASCII that is left of ISO 2022 (ECMA-35, RFC 1557,
// RFC 1922) without its escape sequences and its characters of two bytes, which
// become one byte each.
func withoutShifts(b []byte) []byte {
	out := make([]byte, 0, len(b))
	twoBytes, out1 := false, false // G0 is a set of two bytes; shifted out to G1
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == 0x1b:
			j := i + 1
			for j < len(b) && 0x20 <= b[j] && b[j] <= 0x2f {
				j++
			}
			if j == len(b) || b[j] < 0x30 || b[j] > 0x7e {
				continue
			}
			set := string(b[i+1 : j])
			switch {
			case set == "$" || set == "$(":
				twoBytes = true
			case set == "(":
				twoBytes = b[j] == 'I'
			case set == "" && (b[j] == 'N' || b[j] == 'O'): // one character of G2 or G3
				j = min(j+2, len(b)-1)
			}
			i = j
		case c == 0x0e:
			out1 = true
		case c == 0x0f:
			out1 = false
		case (twoBytes || out1) && c > ' ':
			out = append(out, 0x80)
			if i+1 < len(b) && b[i+1] > ' ' {
				i++
			}
		default:
			out = append(out, c)
		}
	}
	return out
}
