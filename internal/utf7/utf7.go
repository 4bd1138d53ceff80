// Package utf7 reads and writes UTF-7 (RFC 2152).
package utf7

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// Encoding is UTF-7.
//
// Its decoder takes anything: bytes that UTF-7 does not allow stand for
// themselves, as in Latin-1, a "+" that begins nothing stays, and broken UTF-16
// becomes U+FFFD. Its encoder writes all of ASCII but "+" as it is, for readers
// take that, and the rest in base64. Neither has an error of its own.
var Encoding encoding.Encoding = utf7{}

type utf7 struct{}

func (utf7) NewDecoder() *encoding.Decoder { return &encoding.Decoder{Transformer: new(decoder)} }
func (utf7) NewEncoder() *encoding.Encoder { return &encoding.Encoder{Transformer: new(encoder)} }
func (utf7) String() string                { return "UTF-7" }

// A decoder keeps what is left over between bytes: bits of base64, and half of a
// surrogate pair.
type decoder struct {
	shifted bool
	fresh   bool // directly behind "+"
	bits    uint32
	n       uint // how many of the bits are not used yet
	high    rune // 0 for none
}

func (d *decoder) Reset() { *d = decoder{} }

func (d *decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	put := func(r rune) { nDst += utf8.EncodeRune(dst[nDst:], r) }
	for ; nSrc < len(src); nSrc++ {
		// A byte gives two characters at most: half a pair or "+", and its own.
		if nDst+2*utf8.UTFMax > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		c := src[nSrc]
		switch v := sextet(c); {
		case !d.shifted && c == '+':
			*d = decoder{shifted: true, fresh: true}
		case !d.shifted:
			put(rune(c))
		case v >= 0:
			d.fresh = false
			d.bits, d.n = d.bits<<6|uint32(v), d.n+6
			if d.n >= 16 {
				d.n -= 16
				d.unit(rune(d.bits>>d.n&0xffff), put)
			}
		default:
			d.end(put)
			if c != '-' {
				put(rune(c))
			}
		}
	}
	if atEOF && d.shifted {
		if nDst+utf8.UTFMax > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		d.end(put)
	}
	return nDst, nSrc, nil
}

// unit takes a unit of UTF-16.
func (d *decoder) unit(u rune, put func(rune)) {
	if d.high != 0 {
		high := d.high
		d.high = 0
		if r := utf16.DecodeRune(high, u); r != utf8.RuneError {
			put(r)
			return
		}
		put(utf8.RuneError)
	}
	if utf16.IsSurrogate(u) && u < 0xdc00 {
		d.high = u
		return
	}
	put(u) // U+FFFD for the other half
}

// end ends a run of base64.
func (d *decoder) end(put func(rune)) {
	switch {
	case d.fresh:
		put('+')
	case d.high != 0:
		put(utf8.RuneError)
	}
	*d = decoder{}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func sextet(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// An encoder keeps the bits that fill no character of base64 yet.
type encoder struct {
	shifted bool
	bits    uint32
	n       uint
}

func (e *encoder) Reset() { *e = encoder{} }

// room is what one character takes at most: "+" and seven of base64.
const room = 8

func (e *encoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	put := func(c byte) { dst[nDst] = c; nDst++ }
	for nSrc < len(src) {
		if nDst+room > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		c := src[nSrc]
		if c < utf8.RuneSelf {
			e.end(put)
			put(c)
			if c == '+' {
				put('-')
			}
			nSrc++
			continue
		}
		if !atEOF && !utf8.FullRune(src[nSrc:]) {
			return nDst, nSrc, transform.ErrShortSrc
		}
		r, size := utf8.DecodeRune(src[nSrc:])
		nSrc += size
		if !e.shifted {
			e.shifted = true
			put('+')
		}
		if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
			e.unit(high, put)
			r = low
		}
		e.unit(r, put)
	}
	if atEOF {
		if nDst+room > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		e.end(put)
	}
	return nDst, nSrc, nil
}

func (e *encoder) unit(u rune, put func(byte)) {
	e.bits, e.n = e.bits<<16|uint32(u), e.n+16
	for e.n >= 6 {
		e.n -= 6
		put(alphabet[e.bits>>e.n&0x3f])
	}
}

// end ends a run of base64.
func (e *encoder) end(put func(byte)) {
	if !e.shifted {
		return
	}
	if e.n > 0 {
		put(alphabet[e.bits<<(6-e.n)&0x3f])
	}
	put('-')
	*e = encoder{}
}
