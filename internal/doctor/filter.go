package doctor

import (
	"cmp"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// A Filter is what our side does.
type Filter struct {
	// Listeners are where the filter listens. Each is looked for in the MTA's
	// configuration.
	Listeners []Listener

	// How long the filter may take: for a stage before the end of the message, for
	// the end, and between two signs of life there. 0 means 8 s, 240 s and 3 s.
	StageTimeout, EndTimeout, ProgressInterval time.Duration

	// Macros are those the filter reads, by the stage from which it must know them;
	// nil means [DefaultMacros]. Those it asks for in the negotiation are sent
	// whatever is configured, and need not be here.
	Macros map[wire.Stage][]string

	User string // who will own a unix socket that is not there yet; "" means that nobody knows
}

// A Listener is one socket of ours.
type Listener struct {
	Name   string // how an MTA is to call it; "" means that the options say
	Socket string // as [wire.ParseAddr] reads it

	// Submission says that it is for the services that users submit mail to. These should
	// ask such a listener where there is one, and all others none.
	Submission bool

	Aside bool // it is known, and it is no concern whether it is asked

	// The group of a unix socket that is not there yet, and its mode. An empty name
	// or a mode of 0 means that nobody knows.
	Group string
	Mode  fs.FileMode
}

// DefaultMacros are the macros that the project's own filters and log read. Both
// MTAs send them unless told otherwise.
func DefaultMacros() map[wire.Stage][]string {
	return map[wire.Stage][]string{
		wire.StageConnect: {"j", "{daemon_name}"},
		wire.StageMail:    {"i", "{auth_type}", "{auth_authen}"},
	}
}

// withDefaults fills in what is not set and reads the sockets.
func (f Filter) withDefaults() (Filter, []endpoint, error) {
	f.StageTimeout = cmp.Or(f.StageTimeout, 8*time.Second)
	f.EndTimeout = cmp.Or(f.EndTimeout, 240*time.Second)
	f.ProgressInterval = cmp.Or(f.ProgressInterval, 3*time.Second)
	if f.Macros == nil {
		f.Macros = DefaultMacros()
	}
	if !slices.ContainsFunc(f.Listeners, func(l Listener) bool { return !l.Aside }) {
		return f, nil, fmt.Errorf("doctor: no socket is given")
	}
	var list []endpoint
	for _, l := range f.Listeners {
		ep, err := ParseEndpoint(l.Socket)
		if err != nil {
			return f, nil, fmt.Errorf("doctor: %w", err)
		}
		list = append(list, endpoint{ep, l})
	}
	return f, list, nil
}

// An Endpoint is what an MTA connects to: a path, or a host and a port.
type Endpoint struct {
	Path       string
	Host, Port string
	Inet6      bool
}

// ParseEndpoint returns what an MTA connects to where a milter listens at spec. A host that stands
// for all addresses becomes that of the loopback interface. The error says why no MTA can
// be told of spec.
func ParseEndpoint(spec string) (Endpoint, error) {
	network, address, err := wire.ParseAddr(spec)
	if err != nil {
		return Endpoint{}, err
	}
	switch network {
	case "fd":
		return Endpoint{}, fmt.Errorf("socket %q: an MTA needs the socket's own name, not a descriptor of the milter", spec)
	case "unix":
		if !filepath.IsAbs(address) {
			return Endpoint{}, fmt.Errorf("socket %q: an MTA needs the path from the root on", spec)
		}
		return Endpoint{Path: filepath.Clean(address)}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return Endpoint{}, fmt.Errorf("socket %q: %w", spec, err)
	}
	a, err := netip.ParseAddr(host)
	ep := Endpoint{Host: host, Port: port, Inet6: network == "tcp6" || err == nil && a.Is6()}
	if host == "" || err == nil && a.IsUnspecified() { // it listens everywhere: the MTA takes the short way
		ep.Host = "127.0.0.1"
		if ep.Inet6 {
			ep.Host = "::1"
		}
	}
	return ep, nil
}

// An endpoint is that of a listener of ours.
type endpoint struct {
	Endpoint
	Listener
}

// wanted returns those of the endpoints meant for a service that are looked at.
func wanted(all []endpoint, submission bool) []endpoint {
	return slices.DeleteFunc(meant(all, submission), func(ep endpoint) bool { return ep.Aside })
}

// meant returns the endpoints that a service should ask, be it for submission or not, the first of them
// if it asks none. Where no listener is for submission, all services ask the same.
func meant(all []endpoint, submission bool) []endpoint {
	if submission && !hasSubmission(all) {
		submission = false
	}
	var list []endpoint
	for _, ep := range all {
		if ep.Submission == submission {
			list = append(list, ep)
		}
	}
	return list
}

// hasSubmission reports whether a listener is for submission alone.
func hasSubmission(all []endpoint) bool {
	return slices.ContainsFunc(all, func(ep endpoint) bool { return ep.Submission })
}

// isSubmissionPort reports whether a port, or a service by its name, is one that users submit
// mail to (RFC 6409, RFC 8314).
func isSubmissionPort(port string) bool {
	return slices.Contains([]string{"submission", "submissions", "smtps", "msa", "587", "465"}, strings.ToLower(port))
}

// Postfix writes the endpoint as main.cf has it. A path below the queue directory
// is relative to it, which holds inside and outside of a chroot.
func (e Endpoint) Postfix(queue string) string {
	if e.Path != "" {
		if rel, ok := below(queue, e.Path); ok {
			return "unix:" + rel
		}
		return "unix:" + e.Path
	}
	return "inet:" + net.JoinHostPort(e.Host, e.Port)
}

// Sendmail writes the endpoint as an X line of sendmail.cf has it. An IPv6
// address has no brackets: Sendmail 8.17.1 takes them, and then fails to connect.
func (e Endpoint) Sendmail() string {
	switch {
	case e.Path != "":
		return "local:" + e.Path
	case e.Inet6:
		return "inet6:" + e.Port + "@" + e.Host
	}
	return "inet:" + e.Port + "@" + e.Host
}

// dial returns what net.Dial wants.
func (e Endpoint) dial() (network, address string) {
	if e.Path != "" {
		return "unix", e.Path
	}
	return "tcp", net.JoinHostPort(e.Host, e.Port)
}

// sameHostPort reports whether an MTA that is told of host and port comes to the
// endpoint. Names of the own machine are taken for each other.
func (e Endpoint) sameHostPort(host, port string) bool {
	return e.Path == "" && samePort(e.Port, port) &&
		(strings.EqualFold(e.Host, host) || sameAddr(e.Host, host) || isLoopback(e.Host) && isLoopback(host))
}

func samePort(a, b string) bool {
	if a == b {
		return true
	}
	x, err := net.LookupPort("tcp", a)
	y, err2 := net.LookupPort("tcp", b)
	return err == nil && err2 == nil && x == y
}

func sameAddr(a, b string) bool {
	x, err := netip.ParseAddr(a)
	y, err2 := netip.ParseAddr(b)
	return err == nil && err2 == nil && x == y
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.IsLoopback()
}

// below returns path relative to dir when it is below it.
func below(dir, path string) (rel string, ok bool) {
	rel, err := filepath.Rel(dir, path)
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return "", false
	}
	return rel, true
}
