package quarantine

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// ErrRef is returned for text that is no reference.
var ErrRef = errors.New("quarantine: not a reference")

const (
	refLen   = 20
	refTime  = 9 // of them milliseconds since 1970; the rest, 55 bits, is random
	alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

// newRef returns a reference. References sort by time.
func newRef(t time.Time) string {
	var r [8]byte
	rand.Read(r[:]) // never fails
	var b [refLen]byte
	fill := func(b []byte, n uint64) {
		for i := len(b) - 1; i >= 0; i-- {
			b[i] = alphabet[n%32]
			n /= 32
		}
	}
	fill(b[:refTime], uint64(max(0, t.UnixMilli())))
	fill(b[refTime:], binary.BigEndian.Uint64(r[:]))
	return string(b[:])
}

// ValidRef reports whether s has the form of a reference: 20 digits and lower-case
// letters. Whether anything is kept under it is another question.
func ValidRef(s string) bool {
	if len(s) != refLen {
		return false
	}
	for i := range len(s) {
		if strings.IndexByte(alphabet, s[i]) < 0 {
			return false
		}
	}
	return true
}

// timeOf returns when a valid reference was made, to the millisecond.
func timeOf(ref string) time.Time {
	var n int64
	for i := range refTime {
		n = n*32 + int64(strings.IndexByte(alphabet, ref[i]))
	}
	return time.UnixMilli(n)
}
