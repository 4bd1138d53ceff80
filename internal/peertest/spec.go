package peertest

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// An endpoint is a milter's address, read from libmilter's notation.
type endpoint struct {
	network    string // unix, inet or inet6
	path       string
	host, port string
}

func parseSpec(spec string) (endpoint, error) {
	scheme, rest, ok := strings.Cut(spec, ":")
	switch scheme = strings.ToLower(scheme); {
	case ok && (scheme == "unix" || scheme == "local") && rest != "":
		return endpoint{network: "unix", path: rest}, nil
	case ok && (scheme == "inet" || scheme == "inet6"):
		port, host, ok := strings.Cut(rest, "@")
		if ok && port != "" && host != "" {
			return endpoint{network: scheme, host: strings.Trim(host, "[]"), port: port}, nil
		}
	}
	return endpoint{}, fmt.Errorf("peertest: milter address %q is not unix:/path, inet:port@host or inet6:port@host", spec)
}

// dial returns what net.Dial and net.Listen want.
func (e endpoint) dial() (network, address string) {
	switch e.network {
	case "unix":
		return "unix", e.path
	case "inet6":
		return "tcp6", net.JoinHostPort(e.host, e.port)
	default:
		return "tcp4", net.JoinHostPort(e.host, e.port)
	}
}

// libmilter writes the address as libmilter and Sendmail read it. The host has no
// brackets: Sendmail 8.17.1 takes them, and then fails to connect ("Invalid argument").
func (e endpoint) libmilter() string {
	if e.network == "unix" {
		return "local:" + e.path
	}
	return e.network + ":" + e.port + "@" + e.host
}

// postfix writes the address as Postfix reads it.
func (e endpoint) postfix() string {
	if e.network == "unix" {
		return "unix:" + e.path
	}
	return "inet:" + net.JoinHostPort(e.host, e.port)
}

// FreeSpec returns a milter address nobody listens at, in libmilter's notation.
// network is unix, inet (127.0.0.1) or inet6 (::1).
func FreeSpec(t testing.TB, network string) string {
	t.Helper()
	switch network {
	case "unix":
		return "unix:" + filepath.Join(Dir(t), "m")
	case "inet":
		return "inet:" + strconv.Itoa(FreePort(t)) + "@127.0.0.1"
	case "inet6":
		return "inet6:" + strconv.Itoa(FreePort(t)) + "@::1"
	}
	t.Fatalf("peertest: network %q is not unix, inet or inet6", network)
	return ""
}
