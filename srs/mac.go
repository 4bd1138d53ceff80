package srs

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

var encoding = base64.RawStdEncoding

// A kind is what is signed. Its name leads the fields wherever they are kept apart,
// so that no hash of one kind is one of another.
type kind string

const (
	kindSRS0 kind = "srs0"
	kindSRS1 kind = "srs1"
	kindSign kind = "sign"
	kindBATV kind = "batv"
)

func (s Secret) size() int {
	if s.Hash == SHA1 {
		return sha1.Size
	}
	return sha256.Size
}

// sum returns the keyed hash of the fields with their letters in lower case.
//
// The joined form cannot be mistaken for the other: a NUL is in no address.
func (s Secret) sum(k kind, fields ...string) []byte {
	fn := sha256.New
	if s.Hash == SHA1 {
		fn = sha1.New
	}
	var in string
	if s.Hash == SHA1 && (k == kindSRS0 || k == kindSRS1) {
		in = strings.Join(fields, "")
	} else {
		in = string(k) + "\x00" + strings.Join(fields, "\x00")
	}
	mac := hmac.New(fn, s.Key)
	mac.Write([]byte(lowerASCII(in)))
	return mac.Sum(nil)
}

// hash returns the hash that goes into an address.
func (r *Rewriter) hash(k kind, fields ...string) string {
	return encoding.EncodeToString(r.secrets[0].sum(k, fields...))[:r.hashLength]
}

// verify looks for the secret that made a hash, and says whether only the case of
// letters differs. It returns -1 when there is none. Its time does not depend on what
// is in the hash: every secret is tried in full.
func (r *Rewriter) verify(hash string, k kind, fields ...string) (key int, folded bool) {
	if len(hash) < r.hashMin {
		return -1, false
	}
	exact, near := -1, -1
	got, gotLower := []byte(hash), []byte(lowerASCII(hash))
	for i := len(r.secrets) - 1; i >= 0; i-- { // the newest that fits is told
		want := encoding.EncodeToString(r.secrets[i].sum(k, fields...))
		if len(hash) > len(want) {
			continue
		}
		want = want[:len(hash)]
		exact = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(got, []byte(want)), i, exact)
		near = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(gotLower, []byte(lowerASCII(want))), i, near)
	}
	switch {
	case exact >= 0:
		return exact, false
	case r.exactCase:
		return -1, false
	}
	return near, near >= 0
}

// lowerASCII returns s with its ASCII letters in lower case and all else as it is. Other
// programs fold no more than that.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
