package srs

import (
	"errors"
	"fmt"
	"strings"
)

// separators are what may stand behind SRS0 and SRS1. Between the fields is "=".
const separators = "=-+"

// Forward returns the sender that a mail gets when it is forwarded by a host of the domain
// alias. sender is an address as MAIL has it, with brackets or without.
//
// It returns the sender as it is, without brackets, when it is the null sender and when it is of
// the domain alias, unless Options.AlwaysRewrite is set. A sender that another forwarder has
// made becomes SRS1, whether it is valid or not: that is for the host that made it. What
// begins like SRS1 and is not in its form is an ordinary address.
//
// It returns [ErrTooLong] when the result has too long a local part (Options.MaxLocal) or
// more than 254 octets, and [ErrAddress] when sender or alias cannot be read or the sender
// has no domain.
func (r *Rewriter) Forward(sender, alias string) (string, error) {
	if sender == "" || sender == "<>" {
		return "", nil
	}
	local, domain, err := split(sender)
	if err != nil {
		return "", err
	}
	if alias, err = cleanDomain(alias); err != nil {
		return "", err
	}
	if sameDomain(domain, alias) && !r.always {
		return join(local, domain), nil
	}
	if rest, ok := cutTag(local, "SRS1"); ok {
		if _, host, inner, err := fieldsSRS1(rest); err == nil {
			return r.fit(r.srs1(host, inner), alias)
		}
	} else if rest, ok := cutTag(local, "SRS0"); ok {
		return r.fit(r.srs1(domain, rest), alias)
	}
	tt := stamp(r.today())
	return r.fit("SRS0"+r.sep+r.hash(kindSRS0, tt, domain, local)+"="+tt+"="+domain+"="+local, alias)
}

// srs1 makes the local part for an SRS0 address of host. inner begins with the separator
// that host uses.
func (r *Rewriter) srs1(host, inner string) string {
	return "SRS1" + r.sep + r.hash(kindSRS1, host, inner) + "=" + host + "=" + inner
}

// Sign returns a sender of ours with a signature, so that its bounces can be told: SRS0
// without a domain, or the form of BATV, as Options.BATV says. sender is an address as MAIL
// has it; the null sender stays as it is, as does one that is signed and valid.
//
// It returns [ErrTooLong] when the result would not fit. Such a sender goes
// unsigned, and so its bounces come to an address without signature: call Sign with the
// recipient of a bounce to learn that it could not be signed. It returns [ErrAddress] for what
// cannot be read, and an error of [Rewriter.Reverse] for a sender that looks signed but
// is not valid.
func (r *Rewriter) Sign(sender string) (string, error) {
	if sender == "" || sender == "<>" {
		return "", nil
	}
	local, domain, err := split(sender)
	if err != nil {
		return "", err
	}
	switch _, err := r.reverse(local, domain); {
	case err == nil:
		return join(local, domain), nil
	case !errors.Is(err, ErrNotSRS):
		return "", err
	}
	if r.batv == BATVSign {
		return r.fit(batvTag+r.batvValue((r.today()+r.maxAge)%batvCycle, local, domain)+"="+local, domain)
	}
	tt := stamp(r.today())
	return r.fit("SRS0"+r.sep+r.hash(kindSign, tt, domain, local)+"="+tt+"=="+local, domain)
}

func (r *Rewriter) fit(local, domain string) (string, error) {
	if n := len(quote(local)); n > r.maxLocal {
		return "", fmt.Errorf("%w: its local part has %d octets, of %d", ErrTooLong, n, r.maxLocal)
	}
	s := join(local, domain)
	if len(s) > maxAddress {
		return "", fmt.Errorf("%w: it has %d octets, of %d", ErrTooLong, len(s), maxAddress)
	}
	return s, nil
}

// cutTag returns what follows SRS0 or SRS1 in any case: it begins with a separator.
func cutTag(local, tag string) (rest string, ok bool) {
	if len(local) <= len(tag) || !strings.EqualFold(local[:len(tag)], tag) || strings.IndexByte(separators, local[len(tag)]) < 0 {
		return "", false
	}
	return local[len(tag):], true
}

// fieldsSRS1 reads what follows the tag of SRS1: the hash, the host that made the SRS0
// address, and what follows the tag of that.
func fieldsSRS1(rest string) (hash, host, inner string, err error) {
	f := strings.SplitN(rest[1:], "=", 3)
	if len(f) < 3 || f[2] == "" || strings.IndexByte(separators, f[2][0]) < 0 {
		return "", "", "", fmt.Errorf("%w: SRS1 lacks a field", ErrMalformed)
	}
	if host, err := cleanDomain(f[1]); err != nil || host != f[1] {
		return "", "", "", fmt.Errorf("%w: SRS1 of no host", ErrMalformed)
	}
	return f[0], f[1], f[2], nil
}
