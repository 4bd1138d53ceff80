package srs

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// What can be wrong with an address. Errors of this package wrap them.
var (
	ErrNotSRS    = errors.New("srs: not a rewritten or signed address")
	ErrMalformed = errors.New("srs: malformed")
	ErrHash      = errors.New("srs: bad hash")
	ErrExpired   = errors.New("srs: expired")
	ErrTooLong   = errors.New("srs: address too long")
	ErrAddress   = errors.New("srs: not an address")
)

// A Form is how an address is written.
type Form int

// The forms that are read.
const (
	FormSRS0   Form = iota + 1 // the sender of a mail that was forwarded
	FormSRS1                   // the same, by a later forwarder
	FormSigned                 // a sender of ours, as SRS0 without a domain
	FormBATV                   // a sender of ours, as prvs
)

// String returns "srs0", "srs1", "signed" or "batv".
func (f Form) String() string {
	switch f {
	case FormSRS0:
		return "srs0"
	case FormSRS1:
		return "srs1"
	case FormSigned:
		return "signed"
	case FormBATV:
		return "batv"
	}
	return fmt.Sprintf("form %d", int(f))
}

// An Original is what was found behind an address.
type Original struct {
	// Address is the sender as it was, without brackets; for SRS1 the SRS0 address at the first
	// forwarder, which alone can read it.
	Address string
	Form    Form
	Key     int // which of Options.Secrets made it; above 0 it is an old one
	// Folded is set when the hash differs in the case of letters: a host on the way
	// changed it, and may have changed what is in Address.
	Folded bool
	Made   time.Time // the day, at its beginning in UTC; zero where the form does not tell: SRS1 and BATV
}

// Reverse returns the sender that an address was made from, by one step. The domain of
// the address is for the caller to judge, who knows which are ours; the hash covers it
// in signed senders only.
//
// It returns [ErrNotSRS] when the address does not begin as one that was made here, in any
// case of letters; then [ErrMalformed], [ErrHash] and [ErrExpired], in this order: of an address
// without a valid hash nothing else is told. [ErrAddress] is for what is no address at all,
// as the null sender.
func (r *Rewriter) Reverse(address string) (Original, error) {
	local, domain, err := split(address)
	if err != nil {
		return Original{}, err
	}
	return r.reverse(local, domain)
}

// Unwind calls Reverse as long as the address is of a domain in own: a mail that passed by
// us twice has an address of ours within an address of ours. The result is that of the
// last step. own are names as they are, without patterns.
//
// Its errors are those of Reverse, and ErrNotSRS when the address is of no domain in own. When a
// later step fails for another reason than that nothing is left to read, the whole
// address is refused: what is within was not made by us.
func (r *Rewriter) Unwind(address string, own ...string) (Original, error) {
	var last Original
	for step := 0; ; step++ { // each makes the address shorter
		local, domain, err := split(address)
		if err != nil {
			return Original{}, err
		}
		var o Original
		if err = ErrNotSRS; oneOf(domain, own) {
			o, err = r.reverse(local, domain)
		}
		switch {
		case err == nil:
			last, address = o, o.Address
		case step > 0 && errors.Is(err, ErrNotSRS):
			return last, nil
		default:
			return Original{}, err
		}
	}
}

func oneOf(domain string, list []string) bool {
	for _, d := range list {
		if sameDomain(domain, d) {
			return true
		}
	}
	return false
}

func (r *Rewriter) reverse(local, domain string) (Original, error) {
	if rest, ok := cutTag(local, "SRS0"); ok {
		return r.reverseSRS0(rest, domain)
	}
	if rest, ok := cutTag(local, "SRS1"); ok {
		return r.reverseSRS1(rest)
	}
	if r.batv != BATVOff && len(local) >= len(batvTag) && strings.EqualFold(local[:len(batvTag)], batvTag) {
		return r.reverseBATV(local[len(batvTag):], domain)
	}
	return Original{}, ErrNotSRS
}

func (r *Rewriter) reverseSRS0(rest, domain string) (Original, error) {
	f := strings.SplitN(rest[1:], "=", 4)
	if len(f) < 4 || f[3] == "" {
		return Original{}, fmt.Errorf("%w: SRS0 lacks a field", ErrMalformed)
	}
	hash, tt, host, user := f[0], f[1], f[2], f[3]
	value, ok := readStamp(tt)
	if !ok {
		return Original{}, fmt.Errorf("%w: SRS0 without day", ErrMalformed)
	}
	k := kindSRS0
	o := Original{Form: FormSRS0}
	if host == "" {
		k, host = kindSign, domain
		o.Form = FormSigned
	} else if clean, err := cleanDomain(host); err != nil || clean != host {
		return Original{}, fmt.Errorf("%w: SRS0 of no domain", ErrMalformed)
	}
	if o.Key, o.Folded = r.verify(hash, k, tt, host, user); o.Key < 0 {
		return Original{}, ErrHash
	}
	var err error
	if o.Made, err = r.checkStamp(value); err != nil {
		return Original{}, err
	}
	o.Address = join(user, host)
	return o, nil
}

func (r *Rewriter) reverseSRS1(rest string) (Original, error) {
	hash, host, inner, err := fieldsSRS1(rest)
	if err != nil {
		return Original{}, err
	}
	o := Original{Form: FormSRS1, Address: join("SRS0"+inner, host)}
	if o.Key, o.Folded = r.verify(hash, kindSRS1, host, inner); o.Key < 0 {
		return Original{}, ErrHash
	}
	return o, nil
}
