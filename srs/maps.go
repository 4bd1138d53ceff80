package srs

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"unicode/utf8"
)

// Maps answer an MTA's questions about addresses. Forward and Reverse are [Lookup] functions.
//
// A key is an address, or what rule sets of Sendmail hold: "jane<@example.net.>", in which form the
// value is then, too. The octet 0x9B may stand between the host that the mail goes to and the
// address. Other keys, as the parts of an address that Postfix asks for by itself, are not found.
type Maps struct {
	Rewriter *Rewriter
	Alias    string   // the domain of senders that are rewritten
	Own      []string // our other domains: Forward leaves their senders alone
	Sign     []string // domains of ours whose senders Forward signs
	// NoSRS are hosts and domains, with all below them, that mail goes to with its sender
	// as it is: our own secondary servers. It needs keys that tell the host.
	NoSRS []string
	Log   *slog.Logger // of what is refused or does not fit; nil means slog.Default()
}

// All returns both maps by the names they usually have: srs_forward and srs_reverse, and for
// configurations of Sendmail make_srs and reverse_srs.
func (m *Maps) All() map[string]Lookup {
	return map[string]Lookup{
		"srs_forward": m.Forward, "make_srs": m.Forward,
		"srs_reverse": m.Reverse, "reverse_srs": m.Reverse,
	}
}

// Forward finds the sender that a mail leaves with: signed when it is of a domain in Sign,
// rewritten when it is of no domain of ours.
//
// Its only error is [ErrNotFound]: for the null sender, for what stays as it is, and for what
// cannot be rewritten, which is logged.
func (m *Maps) Forward(ctx context.Context, key string) (string, error) {
	k, ok := parseKey(key)
	if !ok || k.host != "" && m.exempt(k.host) {
		return "", ErrNotFound
	}
	_, domain, err := split(k.address)
	if err != nil {
		return "", ErrNotFound
	}
	var out string
	switch {
	case oneOf(domain, m.Sign):
		out, err = m.Rewriter.Sign(k.address)
	case oneOf(domain, m.Own):
		return "", ErrNotFound
	default:
		out, err = m.Rewriter.Forward(k.address, m.Alias)
	}
	if err != nil {
		m.log().WarnContext(ctx, "sender not rewritten", "sender", k.address, "err", err)
		return "", ErrNotFound
	}
	if sameAddress(out, k.address) {
		return "", ErrNotFound
	}
	return k.write(out), nil
}

// Reverse finds the recipient of a bounce to an address of ours, through as many forms
// as we made of it ([Rewriter.Unwind]).
//
// Its only error is [ErrNotFound]: for addresses that are not ours or not rewritten, and for
// those whose hash or age is wrong, which are logged. The MTA then looks for the
// recipient as it is written, and there is none.
func (m *Maps) Reverse(ctx context.Context, key string) (string, error) {
	k, ok := parseKey(key)
	if !ok {
		return "", ErrNotFound
	}
	own := append(append([]string{m.Alias}, m.Own...), m.Sign...)
	o, err := m.Rewriter.Unwind(k.address, own...)
	if err != nil {
		if !errors.Is(err, ErrNotSRS) && !errors.Is(err, ErrAddress) {
			m.log().WarnContext(ctx, "recipient refused", "rcpt", k.address, "err", err)
		}
		return "", ErrNotFound
	}
	if o.Folded {
		// Not worth a warning: Postfix asks for all addresses in lower case.
		m.log().DebugContext(ctx, "recipient came with the case of its letters changed", "rcpt", k.address)
	}
	return k.write(o.Address), nil
}

func (m *Maps) log() *slog.Logger { return cmp.Or(m.Log, slog.Default()) }

func (m *Maps) exempt(host string) bool {
	host = lowerASCII(strings.Trim(strings.TrimSuffix(host, "."), "[]"))
	for _, d := range m.NoSRS {
		d = lowerASCII(strings.TrimSuffix(d, "."))
		if host == d || strings.HasSuffix(host, "."+d) {
			return true
		}
	}
	return false
}

// A mapKey is a key taken apart.
type mapKey struct {
	host    string // where the mail goes; may be unknown
	address string
	focused bool // in Sendmail's form
}

func parseKey(s string) (mapKey, bool) {
	var k mapKey
	// The octet may be part of a letter in UTF-8, too, and then follows one that is not ASCII.
	if i := strings.IndexByte(s, 0x9b); i >= 0 && isASCII(s[:i]) {
		k.host, s = s[:i], s[i+1:]
	}
	k.address = s
	// "jane<@example.net.>"
	if local, rest, ok := strings.Cut(s, "<@"); ok && local != "" {
		domain, ok := strings.CutSuffix(rest, ">")
		if !ok {
			return k, false
		}
		k.focused = true
		k.address = local + "@" + strings.TrimSuffix(domain, ".")
	}
	return k, k.address != ""
}

// write returns an address in the form of the key.
func (k mapKey) write(address string) string {
	if !k.focused {
		return address
	}
	i := strings.LastIndexByte(address, '@')
	return address[:i] + "<@" + address[i+1:] + ".>"
}

func sameAddress(a, b string) bool {
	la, da, err1 := split(a)
	lb, db, err2 := split(b)
	return err1 == nil && err2 == nil && la == lb && sameDomain(da, db)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
