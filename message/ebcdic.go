package message

import (
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"
)

// ibm273 and ibm500 are the EBCDIC of Germany and the international one, by what
// they have otherwise than code page 37 (RFC 1345).
var (
	ibm273 = newEBCDIC(map[byte]rune{
		0x43: '{', 0x4a: 'Ä', 0x4f: '!', 0x59: '~', 0x5a: 'Ü', 0x5f: '^', 0x63: '[', 0x6a: 'ö', 0x7c: '§', 0xa1: 'ß', 0xb0: '¢',
		0xb5: '@', 0xba: '¬', 0xbb: '|', 0xbc: '‾', 0xc0: 'ä', 0xcc: '¦', 0xd0: 'ü', 0xdc: '}', 0xe0: 'Ö', 0xec: '\\', 0xfc: ']',
	})
	ibm500 = newEBCDIC(map[byte]rune{0x4a: '[', 0x4f: '!', 0x5a: ']', 0x5f: '^', 0xb0: '¢', 0xba: '¬', 0xbb: '|'})
)

// An ebcdic is a charset of one byte for a character.
type ebcdic struct {
	runes [256]rune
	bytes map[rune]byte
}

func newEBCDIC(others map[byte]rune) *ebcdic {
	e := &ebcdic{bytes: make(map[rune]byte, 256)}
	for i := range e.runes {
		r, ok := others[byte(i)]
		if !ok {
			r = charmap.CodePage037.DecodeByte(byte(i))
		}
		e.runes[i], e.bytes[r] = r, byte(i)
	}
	return e
}

// NewDecoder implements [encoding.Encoding].
func (e *ebcdic) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: ebcdicDecoder{ebcdic: e}}
}

// NewEncoder implements [encoding.Encoding].
func (e *ebcdic) NewEncoder() *encoding.Encoder {
	return &encoding.Encoder{Transformer: ebcdicEncoder{ebcdic: e}}
}

type ebcdicDecoder struct {
	transform.NopResetter
	*ebcdic
}

func (d ebcdicDecoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for ; nSrc < len(src); nSrc++ {
		r := d.runes[src[nSrc]]
		if nDst+utf8.RuneLen(r) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
	}
	return nDst, nSrc, nil
}

type ebcdicEncoder struct {
	transform.NopResetter
	*ebcdic
}

func (e ebcdicEncoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if !atEOF && !utf8.FullRune(src[nSrc:]) {
			return nDst, nSrc, transform.ErrShortSrc
		}
		r, size := utf8.DecodeRune(src[nSrc:])
		b, ok := e.bytes[r]
		if !ok {
			return nDst, nSrc, errNotEBCDIC
		}
		if nDst == len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		dst[nDst] = b
		nDst, nSrc = nDst+1, nSrc+size
	}
	return nDst, nSrc, nil
}

// errNotEBCDIC tells of a character that a code page lacks. Replacement is what
// [encoding.ReplaceUnsupported] puts in its place.
var errNotEBCDIC = lacking{}

type lacking struct{}

func (lacking) Error() string     { return "message: not in the code page" }
func (lacking) Replacement() byte { return 0x6f } // a question mark
