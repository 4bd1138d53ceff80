package doctor

import (
	"cmp"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// A Filter is what our side does.
type Filter struct {
	// Sockets are where the filter listens, as [wire.ParseAddr] reads them. Each is
	// looked for in the MTA's configuration.
	Sockets []string

	// How long the filter may take: for a stage before the end of the message, for
	// the end, and between two signs of life there. 0 means 8 s, 240 s and 3 s.
	StageTimeout, EndTimeout, ProgressInterval time.Duration

	// Macros are those the filter reads, by the stage from which it must know them;
	// nil means [DefaultMacros]. Those it asks for in the negotiation are sent
	// whatever is configured, and need not be here.
	Macros map[wire.Stage][]string

	// Who will own a unix socket that is not there yet, and its mode. An empty
	// name or a mode of 0 means that nobody knows.
	User, Group string
	Mode        fs.FileMode
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
	if len(f.Sockets) == 0 {
		return f, nil, fmt.Errorf("doctor: no socket is given")
	}
	var list []endpoint
	for _, spec := range f.Sockets {
		ep, err := parseEndpoint(spec)
		if err != nil {
			return f, nil, fmt.Errorf("doctor: %w", err)
		}
		list = append(list, ep)
	}
	return f, list, nil
}

// An endpoint is what an MTA connects to: a path, or a host and a port.
type endpoint struct {
	spec       string // as it was given
	path       string
	host, port string
	inet6      bool
}

func parseEndpoint(spec string) (endpoint, error) {
	network, address, err := wire.ParseAddr(spec)
	if err != nil {
		return endpoint{}, err
	}
	switch network {
	case "fd":
		return endpoint{}, fmt.Errorf("socket %q: an MTA needs the socket's own name, not a descriptor of the filter", spec)
	case "unix":
		if !filepath.IsAbs(address) {
			return endpoint{}, fmt.Errorf("socket %q: an MTA needs the path from the root on", spec)
		}
		return endpoint{spec: spec, path: filepath.Clean(address)}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return endpoint{}, fmt.Errorf("socket %q: %w", spec, err)
	}
	a, err := netip.ParseAddr(host)
	ep := endpoint{spec: spec, host: host, port: port, inet6: network == "tcp6" || err == nil && a.Is6()}
	if host == "" || err == nil && a.IsUnspecified() { // it listens everywhere: the MTA takes the short way
		ep.host = "127.0.0.1"
		if ep.inet6 {
			ep.host = "::1"
		}
	}
	return ep, nil
}

// postfix writes the endpoint as main.cf has it. A path below the queue directory
// is relative to it, which holds inside and outside of a chroot.
func (e endpoint) postfix(queue string) string {
	if e.path != "" {
		if rel, ok := below(queue, e.path); ok {
			return "unix:" + rel
		}
		return "unix:" + e.path
	}
	return "inet:" + net.JoinHostPort(e.host, e.port)
}

// sendmail writes the endpoint as an X line of sendmail.cf has it. An IPv6
// address has no brackets: Sendmail 8.17.1 takes them, and then fails to connect.
func (e endpoint) sendmail() string {
	switch {
	case e.path != "":
		return "local:" + e.path
	case e.inet6:
		return "inet6:" + e.port + "@" + e.host
	}
	return "inet:" + e.port + "@" + e.host
}

// dial returns what net.Dial wants.
func (e endpoint) dial() (network, address string) {
	if e.path != "" {
		return "unix", e.path
	}
	return "tcp", net.JoinHostPort(e.host, e.port)
}

// sameHostPort reports whether an MTA that is told of host and port comes to the
// endpoint. Names of the own machine are taken for each other.
func (e endpoint) sameHostPort(host, port string) bool {
	return e.path == "" && samePort(e.port, port) &&
		(strings.EqualFold(e.host, host) || sameAddr(e.host, host) || isLoopback(e.host) && isLoopback(host))
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
