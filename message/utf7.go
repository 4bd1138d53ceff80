package message

import (
	"errors"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// utf7Encoding is UTF-7 (RFC 2152), to be read only.
type utf7Encoding struct{}

func (utf7Encoding) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: new(utf7Decoder)}
}

func (utf7Encoding) NewEncoder() *encoding.Encoder {
	return &encoding.Encoder{Transformer: noEncoder{}}
}

var errNoEncoder = errors.New("message: UTF-7 is not written")

type noEncoder struct{ transform.NopResetter }

func (noEncoder) Transform(dst, src []byte, atEOF bool) (int, int, error) {
	return 0, 0, errNoEncoder
}

// A utf7Decoder keeps what is left over between bytes: bits of base64, and half
// of a surrogate pair.
type utf7Decoder struct {
	shifted bool
	fresh   bool // directly behind "+"
	bits    uint32
	n       uint
	high    rune
}

func (d *utf7Decoder) Reset() { *d = utf7Decoder{} }

func (d *utf7Decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for ; nSrc < len(src); nSrc++ {
		// One byte gives at most a replacement character and another one.
		if nDst+2*utf8.UTFMax > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		put := func(r rune) { nDst += utf8.EncodeRune(dst[nDst:], r) }
		c := src[nSrc]
		if !d.shifted {
			switch {
			case c == '+':
				*d = utf7Decoder{shifted: true, fresh: true}
			case c >= utf8.RuneSelf:
				put(utf8.RuneError)
			default:
				put(rune(c))
			}
			continue
		}
		v := base64Value[c]
		if v < 64 {
			d.fresh = false
			d.bits, d.n = d.bits<<6|uint32(v), d.n+6
			if d.n < 16 {
				continue
			}
			d.n -= 16
			u := rune(d.bits >> d.n & 0xffff)
			switch {
			case utf16.IsSurrogate(u) && u < 0xdc00:
				if d.high != 0 {
					put(utf8.RuneError)
				}
				d.high = u
			case d.high != 0:
				put(utf16.DecodeRune(d.high, u)) // the replacement character where they are no pair
				d.high = 0
			default:
				put(u)
			}
			continue
		}
		if d.high != 0 {
			put(utf8.RuneError)
		}
		fresh := d.fresh
		*d = utf7Decoder{}
		switch {
		case c == '-' && fresh:
			put('+')
		case c == '-':
		case c >= utf8.RuneSelf:
			put(utf8.RuneError)
		default:
			put(rune(c))
		}
	}
	if atEOF && d.high != 0 {
		if nDst+utf8.UTFMax > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
		d.high = 0
	}
	return nDst, nSrc, nil
}
