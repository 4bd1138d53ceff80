package html

import "golang.org/x/text/transform"

// withoutNULs passes on all bytes but NULs.
type withoutNULs struct{ transform.NopResetter }

func (withoutNULs) Transform(dst, src []byte, _ bool) (nDst, nSrc int, err error) {
	for ; nSrc < len(src); nSrc++ {
		if src[nSrc] == 0 {
			continue
		}
		if nDst == len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		dst[nDst] = src[nSrc]
		nDst++
	}
	return nDst, nSrc, nil
}

// withoutShifts passes on the ASCII that is left of ISO 2022 (ECMA-35, RFC 1557,
// RFC 1922) without its escape sequences and its characters of two bytes, which
// become one byte each.
type withoutShifts struct {
	twoBytes, out bool // G0 is a set of two bytes; shifted out to G1
}

func (s *withoutShifts) Reset() { *s = withoutShifts{} }

// maxEscape is how many bytes an escape sequence may have; those that are known have four.
const maxEscape = 64

func (s *withoutShifts) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if nDst == len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		if left := len(src) - nSrc; left <= maxEscape+2 && !atEOF && (src[nSrc] == 0x1b || left == 1) {
			return nDst, nSrc, transform.ErrShortSrc
		}
		switch c := src[nSrc]; {
		case c == 0x1b:
			nSrc += s.escape(src[nSrc:])
			continue
		case c == 0x0e:
			s.out = true
		case c == 0x0f:
			s.out = false
		case (s.twoBytes || s.out) && c > ' ':
			dst[nDst] = 0x80
			nDst++
			if nSrc+1 < len(src) && src[nSrc+1] > ' ' {
				nSrc++
			}
		default:
			dst[nDst] = c
			nDst++
		}
		nSrc++
	}
	return nDst, nSrc, nil
}

// escape takes the escape sequence at the beginning of b and returns its length; that of
// one that is none is 1.
func (s *withoutShifts) escape(b []byte) int {
	i := 1
	for i < len(b) && i < maxEscape && 0x20 <= b[i] && b[i] <= 0x2f {
		i++
	}
	if i == len(b) || b[i] < 0x30 || b[i] > 0x7e {
		return 1
	}
	switch set := string(b[1:i]); {
	case set == "$" || set == "$(":
		s.twoBytes = true
	case set == "(":
		s.twoBytes = b[i] == 'I'
	case set == "" && (b[i] == 'N' || b[i] == 'O'): // one character of G2 or G3
		i += 2
	}
	return min(i+1, len(b))
}

// withoutJohab passes on text in Johab (KS X 1001 annex 3) with 0x80 for each
// character of two bytes; the second may be a <, = or >.
type withoutJohab struct{ transform.NopResetter }

func (withoutJohab) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		c := src[nSrc]
		switch {
		case nDst == len(dst):
			return nDst, nSrc, transform.ErrShortDst
		case c < 0x84 || c > 0xf9:
		case nSrc+1 < len(src):
			if d := src[nSrc+1]; 0x31 <= d && d <= 0x7e || d >= 0x81 {
				c = 0x80
				nSrc++
			}
		case !atEOF:
			return nDst, nSrc, transform.ErrShortSrc
		}
		dst[nDst] = c
		nDst++
		nSrc++
	}
	return nDst, nSrc, nil
}
