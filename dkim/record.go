package dkim

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// A publicKey is a key record (RFC 6376 section 3.6.1).
type publicKey struct {
	rsa     *rsa.PublicKey // or
	ed25519 ed25519.PublicKey
	bits    int
	hashes  []string // h=, nil for all
	testing bool     // t=y
	exact   bool     // t=s: the domain of i= has to be that of d=
}

func (k *publicKey) algorithm() string {
	if k.rsa != nil {
		return "rsa"
	}
	return "ed25519"
}

// errNoRecord says that a text is no key record but something else.
var errNoRecord = errors.New("the text in DNS is no key record")

// chooseKey returns the key among the texts at a name. Such as are no key records are passed
// over; which of two is meant nobody can say (section 3.6.2.2).
func chooseKey(texts []string) (*publicKey, error) {
	var (
		key   *publicKey
		err   error = errNoRecord
		found int
	)
	for _, text := range texts {
		k, e := parseRecord(text)
		if errors.Is(e, errNoRecord) {
			continue
		}
		if found++; found > 1 {
			return nil, errors.New("there are several keys at one name")
		}
		key, err = k, e
	}
	return key, err
}

// parseRecord reads a key record. The error is errNoRecord for a text that does not claim to
// be one.
func parseRecord(text string) (*publicKey, error) {
	tags, err := parseTags(text)
	switch v, hasVersion := findTag(tags, "v"); {
	case hasVersion && v != "DKIM1":
		return nil, errNoRecord // section 3.6.1 has them discarded
	case err != nil && !hasVersion && !hasTag(tags, "p") && !hasTag(tags, "k"):
		return nil, errNoRecord
	case err != nil:
		return nil, fmt.Errorf("the key record cannot be read: %w", err)
	}
	p, ok := findTag(tags, "p")
	switch {
	case !ok && !hasTag(tags, "v") && !hasTag(tags, "k"):
		return nil, errNoRecord
	case !ok:
		return nil, errors.New("the key record has no p=")
	case p == "":
		return nil, errors.New("the key is revoked (p= is empty)")
	}
	der, err := decodeBase64(p)
	if err != nil {
		return nil, fmt.Errorf("p= of the key record is no base64: %s", quote(p))
	}
	k := new(publicKey)
	switch kind, ok := findTag(tags, "k"); {
	case !ok || strings.EqualFold(kind, "rsa"):
		if k.rsa, err = parseRSA(der); err != nil {
			return nil, err
		}
		k.bits = k.rsa.N.BitLen()
	case strings.EqualFold(kind, "ed25519"):
		if len(der) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("p= of the key record has %d bytes, an Ed25519 key has %d", len(der), ed25519.PublicKeySize)
		}
		k.ed25519, k.bits = der, 256
	default:
		return nil, fmt.Errorf("k= of the key record is of no known kind: %s", quote(kind))
	}
	if h, ok := findTag(tags, "h"); ok {
		k.hashes = splitList(h)
	}
	if s, ok := findTag(tags, "s"); ok && !has(splitList(s), "*") && !has(splitList(s), "email") {
		return nil, fmt.Errorf("the key is not for mail: s=%s", quote(s))
	}
	if t, ok := findTag(tags, "t"); ok {
		flags := splitList(t)
		k.testing, k.exact = has(flags, "y"), has(flags, "s")
	}
	return k, nil
}

// parseRSA reads a key as the RFC's example has it, or as its text does (RFC 6376 erratum
// 3017). What crypto/rsa would refuse later is refused here, as the key's fault.
func parseRSA(der []byte) (*rsa.PublicKey, error) {
	any, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		any, err = x509.ParsePKCS1PublicKey(der)
	}
	if err != nil {
		return nil, errors.New("p= of the key record is no public key")
	}
	key, ok := any.(*rsa.PublicKey)
	switch {
	case !ok:
		return nil, errors.New("p= of the key record is no RSA key")
	case key.E < 3 || key.E&1 == 0 || key.E > 1<<31-1 || key.N.Bit(0) == 0:
		return nil, errors.New("p= of the key record is no RSA key that could be one")
	}
	return key, nil
}

// decodeBase64 decodes a base64string of RFC 6376 section 2.10: white space may stand in it, and
// the padding may be left out.
func decodeBase64(s string) ([]byte, error) {
	s = dropFWS(s)
	padding := 0
	for padding < 2 && strings.HasSuffix(s, "=") {
		s = s[:len(s)-1]
		padding++
	}
	return base64.RawStdEncoding.DecodeString(s)
}

func hasTag(tags []tag, name string) bool {
	_, ok := findTag(tags, name)
	return ok
}

// has reports whether a list has a word, in any case of its letters: so literals are compared
// in the grammar of RFC 5234.
func has(list []string, word string) bool {
	for _, s := range list {
		if strings.EqualFold(s, word) {
			return true
		}
	}
	return false
}
