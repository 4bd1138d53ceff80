package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
)

// A Resolver answers questions about names. [net.Resolver] is one.
//
// Names are absolute whether or not they end in a dot, and upper and lower case are the
// same. Errors are *[net.DNSError]: IsNotFound where the name or the type of data does
// not exist, else see [IsTemporary].
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error) // the strings of one record joined
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) // network is "ip4", "ip6", or "ip" for both
	LookupAddr(ctx context.Context, addr string) (names []string, err error)
	LookupNS(ctx context.Context, name string) ([]*net.NS, error)
	LookupCNAME(ctx context.Context, host string) (cname string, err error)
}

// An Exister is a Resolver that tells names that do not exist (NXDOMAIN) from names
// without data of the type that was asked for.
type Exister interface {
	// Exists reports whether a name exists, with data of whatever type, or as the
	// parent of names that do. An alias (CNAME) exists, whatever it leads to
	// (RFC 6604 section 3, RFC 8020 section 2). The error is [errors.ErrUnsupported]
	// when it turns out that this cannot be asked; others are a Resolver's.
	Exists(ctx context.Context, name string) (bool, error)
}

// Exists reports whether a name exists, as far as r can tell: without an [Exister]
// behind it known is false, and the name is to be treated as one that exists.
func Exists(ctx context.Context, r Resolver, name string) (exists, known bool, err error) {
	e, ok := r.(Exister)
	if !ok {
		return true, false, nil
	}
	exists, err = e.Exists(ctx, name)
	if errors.Is(err, errors.ErrUnsupported) {
		return true, false, nil
	}
	return exists, err == nil, err
}

// ErrAnswer is in an error that says that there is an answer, but one of no use: larger
// than is taken, or with names in it that are none. Asked again the answer would be the
// same: the error is not temporary.
var ErrAnswer = errors.New("dns: answer of no use")

// IsNotFound reports whether err says that there is no such name, or no such data.
func IsNotFound(err error) bool {
	de, ok := errors.AsType[*net.DNSError](err)
	return ok && de.IsNotFound
}

// IsTemporary reports whether err leaves open what the answer is: a server that does
// not answer or fails, or a look-up that was given up.
func IsTemporary(err error) bool {
	return err != nil && !IsNotFound(err) && !errors.Is(err, ErrAnswer)
}

// The errors of this package are made here, so that all are *net.DNSError, with the
// name as it was asked for.

func notFound(name, server string) *net.DNSError {
	return &net.DNSError{Err: "no such host", Name: name, Server: server, IsNotFound: true}
}

func temporary(name, server, why string) *net.DNSError {
	return &net.DNSError{Err: why, Name: name, Server: server, IsTemporary: true}
}

func useless(name, why string) *net.DNSError {
	return &net.DNSError{UnwrapErr: ErrAnswer, Err: why, Name: name}
}

// givenUp is the error of a look-up whose context has ended.
func givenUp(name string, cause error) *net.DNSError {
	why, timeout := "look-up given up", false
	if errors.Is(cause, context.DeadlineExceeded) {
		why, timeout = "no answer in time", true
	}
	return &net.DNSError{UnwrapErr: cause, Err: why, Name: name, IsTimeout: timeout, IsTemporary: true}
}

// asDNSError makes err, which a Resolver returned, what the Resolver's comment promises.
// net.Resolver leaves it open in some errors that they are temporary, as in REFUSED.
func asDNSError(name string, err error) error {
	if err == nil {
		return nil
	}
	de, ok := errors.AsType[*net.DNSError](err)
	switch {
	case isUnsuitable(err):
		return notFound(name, "")
	case !ok && errors.Is(err, context.Canceled), !ok && errors.Is(err, context.DeadlineExceeded):
		return givenUp(name, err)
	case !ok:
		return &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: name, IsTemporary: !errors.Is(err, ErrAnswer)}
	}
	out := *de
	out.IsTemporary = !de.IsNotFound && !errors.Is(de, ErrAnswer)
	out.Err, out.Name, out.Server = trouble(de), name, ""
	return &out
}

// trouble returns what a look-up failed of, without the addresses of ours that [net.Resolver]
// puts there: strangers are told, too.
func trouble(de *net.DNSError) string {
	verb, _, _ := strings.Cut(de.Err, " ")
	switch i := strings.LastIndex(de.Err, ": "); {
	case de.IsTimeout:
		return "no answer in time"
	case i >= 0 && (verb == "dial" || verb == "read" || verb == "write"):
		return "no name server answers: " + de.Err[i+2:]
	}
	return de.Err
}

// isUnsuitable reports whether an error of [net.Resolver] says that a name has addresses of the
// other family only, as those of a hosts file may be.
func isUnsuitable(err error) bool {
	_, ok := errors.AsType[*net.AddrError](err)
	return ok
}
