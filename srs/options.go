package srs

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of what an administrator can choose.
const (
	minSecret     = 16 // octets
	maxSecrets    = 8  // each makes guessing a hash easier
	minHashLength = 4  // 24 bits
	maxAgeDays    = 365
	maxMaxLocal   = 200
	maxAddress    = 254 // octets, RFC 5321 section 4.5.3.1.3 without the brackets
	maxInput      = 512 // octets of an address that is looked at, more than any MTA passes on
)

// A Hash is a keyed hash function.
type Hash int

const (
	// SHA256 is HMAC-SHA256 over fields that are kept apart.
	SHA256 Hash = iota
	// SHA1 is HMAC-SHA1 (RFC 2104) over the fields of SRS0 and SRS1 joined, as other
	// programs have it. It is for hosts that share their secret with such a program.
	SHA1
)

// String returns "sha256" or "sha1".
func (h Hash) String() string {
	if h == SHA1 {
		return "sha1"
	}
	return "sha256"
}

// A Secret is a key, and the hash it is used with. That makes a change of the hash one of
// secrets: the same key may stand twice, with each hash.
type Secret struct {
	Key  []byte // 16 octets at least
	Hash Hash
}

// ParseSecrets reads secrets one a line, the newest first. A line that begins with
// "sha1:" is for that hash, as is one that begins with "sha256:", which may be missing.
// Blanks around a line and empty lines mean nothing.
//
// It returns an error for a secret below 16 octets, which can be guessed from one
// signed address, for more than 8, and for none. No error shows a secret.
func ParseSecrets(text []byte) ([]Secret, error) {
	var out []Secret
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line = bytes.TrimSpace(line)
		s := Secret{Key: line}
		if key, ok := bytes.CutPrefix(line, []byte("sha1:")); ok {
			s = Secret{Key: key, Hash: SHA1}
		} else if key, ok := bytes.CutPrefix(line, []byte("sha256:")); ok {
			s.Key = key
		}
		if len(line) == 0 {
			continue
		}
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("srs: line %d: %w", n, err)
		}
		s.Key = bytes.Clone(s.Key)
		out = append(out, s)
	}
	if err := checkCount(len(out)); err != nil {
		return nil, err
	}
	return out, nil
}

func (s Secret) check() error {
	switch {
	case len(s.Key) < minSecret:
		return fmt.Errorf("secret of %d octets, below %d", len(s.Key), minSecret)
	case s.Hash != SHA256 && s.Hash != SHA1:
		return fmt.Errorf("unknown hash %d", s.Hash)
	}
	return nil
}

func checkCount(n int) error {
	switch {
	case n == 0:
		return errors.New("srs: no secret")
	case n > maxSecrets:
		return fmt.Errorf("srs: %d secrets, of %d", n, maxSecrets)
	}
	return nil
}

// BATV says what is done with the private signatures of bounce address tag validation
// (draft-levine-smtp-batv-01). They need 16 octets of the local part whatever the hash
// length, so that longer local parts can be signed; but their hash has 24 bits only.
type BATV int

// Whether signatures of BATV are believed, and made.
const (
	BATVOff    BATV = iota // an address that begins with "prvs=" is an ordinary one
	BATVAccept             // Reverse accepts them, Sign makes SRS0: a change from one to the other
	BATVSign               // Reverse accepts them, Sign makes them
)

// Options are those of [New]. All but Secrets may be zero.
type Options struct {
	Secrets    []Secret // 1 to 8. The first makes hashes, all of them are accepted
	Separator  byte     // behind SRS0 and SRS1: '=', '-' or '+'; 0 means '='. All are accepted
	HashLength int      // characters of base64 in a hash: 4 to 27, with SHA256 43; 0 means 8
	HashMin    int      // characters in a hash that is accepted, 4 to HashLength; 0 means HashLength
	ExactCase  bool     // refuse a hash that is right but for the case of its letters
	// MaxAge is how long an address is accepted, in whole days, rounded up: 365 at
	// most; 0 means 21. One day more is granted, and one of the future, for clocks
	// that differ.
	MaxAge time.Duration
	// MaxLocal is how many octets a local part that is made may have, with its quotes; 0
	// means 64, which every host takes (RFC 5321 section 4.5.3.1.1). Many take
	// more: 200 at most. What is read back may be longer.
	MaxLocal int
	// AlwaysRewrite makes Forward rewrite senders of the alias's own domain, too.
	AlwaysRewrite bool
	BATV          BATV
	Now           func() time.Time // nil means time.Now
}

// A Rewriter makes addresses and reads them back. It may be used by many goroutines.
type Rewriter struct {
	secrets    []Secret
	sep        string
	hashLength int
	hashMin    int
	exactCase  bool
	maxAge     int64 // days
	maxLocal   int
	always     bool
	batv       BATV
	now        func() time.Time
}

// New returns a Rewriter, or an error that says which option is out of its bounds.
// It keeps copies of the keys.
func New(o Options) (*Rewriter, error) {
	if err := checkCount(len(o.Secrets)); err != nil {
		return nil, err
	}
	r := &Rewriter{
		sep: "=", hashLength: o.HashLength, hashMin: o.HashMin, exactCase: o.ExactCase,
		maxLocal: o.MaxLocal, always: o.AlwaysRewrite, batv: o.BATV, now: o.Now,
	}
	for i, s := range o.Secrets {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("srs: secret %d: %w", i+1, err)
		}
		r.secrets = append(r.secrets, Secret{bytes.Clone(s.Key), s.Hash})
	}
	if o.Separator != 0 {
		r.sep = string(rune(o.Separator))
	}
	if !strings.Contains(separators, r.sep) {
		return nil, fmt.Errorf("srs: separator %q is none of = - +", o.Separator)
	}
	if r.hashLength == 0 {
		r.hashLength = 8
	}
	if longest := encoding.EncodedLen(r.secrets[0].size()); r.hashLength < minHashLength || r.hashLength > longest {
		return nil, fmt.Errorf("srs: hash length %d is not in %d to %d", r.hashLength, minHashLength, longest)
	}
	if r.hashMin == 0 {
		r.hashMin = r.hashLength
	}
	if r.hashMin < minHashLength || r.hashMin > r.hashLength {
		return nil, fmt.Errorf("srs: least hash length %d is not in %d to %d", r.hashMin, minHashLength, r.hashLength)
	}
	const day = 24 * time.Hour
	if r.maxAge = 21; o.MaxAge != 0 {
		r.maxAge = int64((o.MaxAge-1)/day) + 1
	}
	if o.MaxAge < 0 || r.maxAge > maxAgeDays {
		return nil, fmt.Errorf("srs: greatest age %v is not in 1 to %d days", o.MaxAge, maxAgeDays)
	}
	if r.maxLocal == 0 {
		r.maxLocal = 64
	}
	if r.maxLocal < 64 || r.maxLocal > maxMaxLocal {
		return nil, fmt.Errorf("srs: local part of %d octets is not in 64 to %d", r.maxLocal, maxMaxLocal)
	}
	if r.batv < BATVOff || r.batv > BATVSign {
		return nil, fmt.Errorf("srs: unknown use of BATV %d", r.batv)
	}
	if r.now == nil {
		r.now = time.Now
	}
	return r, nil
}

// today returns the days since 1970.
func (r *Rewriter) today() int64 { return r.now().Unix() / (24 * 60 * 60) }
