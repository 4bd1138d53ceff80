package srs

import (
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// The tag of draft-levine-smtp-batv-01, its simple private signature: a digit that numbers the
// key, the last day of validity modulo 1000, and three octets of the hash in hexadecimal.
const (
	batvTag    = "prvs="
	batvLength = 1 + 3 + 6
	// batvKey is always 0: the key is found by trying all.
	batvKey = "0"
)

// batvValue is the value of the tag by the newest secret.
func (r *Rewriter) batvValue(day int64, local, domain string) string {
	return batvSum(r.secrets[0], fmt.Sprintf("%s%03d", batvKey, day), local, domain)
}

func batvSum(s Secret, head, local, domain string) string {
	return head + hex.EncodeToString(s.sum(kindBATV, head, domain, local)[:3])
}

// reverseBATV reads what follows the tag.
func (r *Rewriter) reverseBATV(rest, domain string) (Original, error) {
	value, local, ok := strings.Cut(rest, "=")
	if !ok || local == "" || len(value) != batvLength {
		return Original{}, fmt.Errorf("%w: prvs lacks a field", ErrMalformed)
	}
	head := value[:4]
	day, err := strconv.ParseUint(head, 10, 16)
	if err != nil {
		return Original{}, fmt.Errorf("%w: prvs without day", ErrMalformed)
	}
	o := Original{Address: join(local, domain), Form: FormBATV, Key: -1}
	got := []byte(lowerASCII(value)) // hexadecimal means the same in any case
	for i := len(r.secrets) - 1; i >= 0; i-- {
		want := []byte(batvSum(r.secrets[i], head, local, domain))
		o.Key = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(got, want), i, o.Key)
	}
	if o.Key < 0 {
		return Original{}, ErrHash
	}
	if err := r.checkExpiry(int64(day % batvCycle)); err != nil {
		return Original{}, err
	}
	return o, nil
}
