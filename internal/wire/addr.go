package wire

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ParseAddr reads where a filter listens, in the spellings of libmilter,
// Sendmail and Postfix, and returns what net.Listen and net.Dial take:
//
//	unix:/path  local:/path  /path    a Unix socket: "unix"; also ./path and dir/path
//	inet:port@host  inet:port         IPv4: "tcp4"
//	inet6:port@host  inet6:port       IPv6: "tcp6"
//	inet:host:port  host:port         either, the first as Postfix writes it: "tcp"
//	fd://N                            an inherited descriptor: "fd", and N
//
// The scheme may be in any case. The host is a name or an address, which may
// stand in brackets, an IPv6 address also with "IPv6:" before it; the port is a
// number or the name of a service. Without a host net.Listen listens on all
// addresses and net.Dial takes this machine. Neither host nor service is looked
// up here. Errors name the spec and what is wrong with it.
func ParseAddr(spec string) (network, address string, err error) {
	if network, address, err = parseAddr(spec); err != nil {
		return "", "", fmt.Errorf("socket %q: %w", spec, err)
	}
	return network, address, nil
}

func parseAddr(spec string) (network, address string, err error) {
	scheme, rest, found := strings.Cut(spec, ":")
	switch {
	case spec == "":
		return "", "", fmt.Errorf("is empty")
	case strings.ContainsRune(spec, 0):
		return "", "", fmt.Errorf("holds a NUL")
	case spec[0] == '/' || spec[0] == '.' || strings.HasPrefix(spec, ":/"):
		return unixPath(strings.TrimPrefix(spec, ":"))
	case !found && strings.Trim(spec, "0123456789") == "":
		return "", "", fmt.Errorf("is neither a path nor host:port; a port alone is written inet:%s", spec)
	case isPortHost(spec):
		if port, host, _ := strings.Cut(spec, "@"); strings.Contains(host, ":") {
			return "", "", fmt.Errorf("has no scheme; a port at an IPv6 address is written inet6:%s@%s", port, host)
		}
		return "", "", fmt.Errorf("has no scheme; a port at a host is written inet:%s", spec)
	case !found && !strings.Contains(spec, "/"):
		return "", "", fmt.Errorf("is neither a path nor host:port; a unix socket is written unix:/run/%s, or unix:%[1]s in the current folder", spec)
	case !found:
		return unixPath(spec)
	}
	switch strings.ToLower(scheme) {
	case "unix", "local":
		return unixPath(rest)
	case "inet":
		if !strings.Contains(rest, "@") && strings.Contains(rest, ":") {
			return hostPort(rest)
		}
		return portHost("tcp4", rest)
	case "inet6":
		return portHost("tcp6", rest)
	case "fd":
		n, ok := strings.CutPrefix(rest, "//")
		if fd, err := strconv.ParseUint(n, 10, 31); !ok || err != nil || strconv.FormatUint(fd, 10) != n {
			return "", "", fmt.Errorf("names no descriptor; it is written fd://3")
		}
		return "fd", n, nil
	case "tcp", "tcp4", "tcp6":
		return "", "", fmt.Errorf("%q is no scheme of milter sockets; use inet or inet6", scheme)
	}
	return hostPort(spec)
}

// isPortHost reports whether a spec is libmilter's port@host without inet:.
func isPortHost(spec string) bool {
	port, _, found := strings.Cut(spec, "@")
	return found && port != "" && strings.Trim(port, "0123456789") == ""
}

// maxUnixPath is what Linux takes, in bytes; the BSDs take three less.
const maxUnixPath = 107

func unixPath(path string) (string, string, error) {
	switch {
	case path == "":
		return "", "", fmt.Errorf("has no path")
	case len(path) > maxUnixPath:
		return "", "", fmt.Errorf("has a path of %d bytes; that of a unix socket has %d at most", len(path), maxUnixPath)
	}
	return "unix", path, nil
}

// portHost reads what follows inet: or inet6: in libmilter's order.
func portHost(network, s string) (string, string, error) {
	port, host, found := strings.Cut(s, "@")
	if err := checkPort(port); err != nil {
		return "", "", err
	}
	if !found {
		return network, net.JoinHostPort("", port), nil
	}
	host, err := checkHost(host)
	if err != nil {
		return "", "", err
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() != (network == "tcp4") {
		return "", "", fmt.Errorf("%s is an address of the other family", host)
	}
	return network, net.JoinHostPort(host, port), nil
}

func hostPort(s string) (string, string, error) {
	i := strings.LastIndexByte(s, ':')
	host, port := s[:i], s[i+1:]
	if err := checkPort(port); err != nil {
		return "", "", err
	}
	if host == "" {
		return "tcp", net.JoinHostPort("", port), nil
	}
	if host[0] != '[' && strings.Contains(host, ":") {
		return "", "", fmt.Errorf("has too many colons; an IPv6 address stands in brackets, as in [::1]:%s", port)
	}
	host, err := checkHost(host)
	if err != nil {
		return "", "", err
	}
	return "tcp", net.JoinHostPort(host, port), nil
}

func checkPort(s string) error {
	if s == "" {
		return fmt.Errorf("has no port")
	}
	if strings.Trim(s, "0123456789") == "" {
		if _, err := strconv.ParseUint(s, 10, 16); err != nil {
			return fmt.Errorf("port %s is above 65535", s)
		}
		return nil
	}
	for _, c := range []byte(s) {
		if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return fmt.Errorf("%q is no port; known schemes are unix, local, inet, inet6 and fd", s)
		}
	}
	return nil
}

func checkHost(s string) (string, error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		const tag = "ipv6:"
		if len(inner) > len(tag) && strings.EqualFold(inner[:len(tag)], tag) {
			inner = inner[len(tag):]
		}
		if _, err := netip.ParseAddr(inner); !ok || err != nil {
			return "", fmt.Errorf("%q holds no address", s)
		}
		return inner, nil
	}
	if s == "" {
		return "", fmt.Errorf("has no host")
	}
	if _, err := netip.ParseAddr(s); err != nil && strings.ContainsAny(s, "@[]/ :") {
		return "", fmt.Errorf("%q is no host", s)
	}
	return s, nil
}
