package html

import (
	"bytes"
	"regexp"
	"slices"
	"unicode/utf8"
)

// onlyWide reports whether no reader takes a text for bytes, with NULs or without:
// the byte order mark or the label says that it is in an encoding of 16 or 32
// bits, nothing says otherwise, and all of it is. Its bytes often look like a tag
// by chance: U+503C is "<P" in little-endian UTF-16.
//
// Where what acts stands in the bytes, that is no chance: a sender may know a
// reader that takes no heed of labels.
func onlyWide(ways []reading, text []byte, charset string) bool {
	for _, w := range ways {
		if !w.wide && !w.noNUL {
			return false // the text names something else
		}
	}
	said, _ := charsetReadings(plainCharset(charset))
	if len(said) == 0 && charset != "" {
		return false
	}
	for _, bom := range byteOrderMarks {
		if !bytes.HasPrefix(text, []byte(bom.bytes)) {
			continue
		}
		if len(said) > 0 && !slices.ContainsFunc(said, bom.way.is) {
			return false
		}
		said = []reading{bom.way}
		break
	}
	return slices.ContainsFunc(said, func(w reading) bool { return w.fits(text) }) &&
		!actsInBytes.Match(text) && !actsWithoutNULs.Match(bytes.ReplaceAll(text, []byte{0}, nil))
}

// fits reports whether all of a text is in an encoding of 16 or 32 bits, with some
// ASCII in it.
func (r reading) fits(text []byte) bool {
	size := 2
	if r.charset == utf32le.charset || r.charset == utf32be.charset {
		size = 4
	}
	if !r.wide || r.enc == nil || len(text)%size != 0 {
		return false
	}
	plain := r.decode(text)
	back, err := r.enc.NewEncoder().Bytes(plain) // U+FFFD does not come back as what it stands for
	return err == nil && bytes.Equal(back, text) && bytes.ContainsFunc(plain, func(c rune) bool { return 0 < c && c < utf8.RuneSelf })
}

var (
	// actsInBytes finds words that stand in whatever acts, or that readers
	// understand differently. Text in an encoding of 16 bits has none of them but by
	// rare chance, for its ASCII has NULs between.
	actsInBytes = regexp.MustCompile(`(?i)on[a-z]{3}|script|frame|object|embed|applet|portal|webview|layer|base|handler|<xml|comment|` +
		`meta|link|style|title|textarea|<xmp|noembed|plaintext|svg|math|form|` +
		`href|src|action|data|background|poster|values|attribute|manifest|profile|import|entity|element|attlist|notation|` +
		`\[if|\[cdata|<!-|&#[x0-9]`)

	// actsWithoutNULs finds what acts in text whose links, styles and the like show
	// once the NULs are gone.
	actsWithoutNULs = regexp.MustCompile(`(?i)</?(script|i?frame|object|embed|applet|portal|fencedframe|webview|i?layer|base|handler)|` +
		`[^a-z]on[a-z]+[ \t\r\n\f]*=|srcdoc|script:|data:|=[ \t\r\n\f]*["']?[ \t\r\n\f]*&(#|colon|tab|newline)|expression|behavior|binding`)
)
