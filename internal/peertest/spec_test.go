package peertest

import "testing"

func TestSpecInEveryNotation(t *testing.T) {
	for _, tt := range []struct {
		spec, libmilter, postfix, network, address string
	}{
		{"unix:/tmp/a:b", "local:/tmp/a:b", "unix:/tmp/a:b", "unix", "/tmp/a:b"},
		{"local:/tmp/m", "local:/tmp/m", "unix:/tmp/m", "unix", "/tmp/m"},
		{"inet:99@127.0.0.1", "inet:99@127.0.0.1", "inet:127.0.0.1:99", "tcp4", "127.0.0.1:99"},
		{"INET:99@[127.0.0.1]", "inet:99@127.0.0.1", "inet:127.0.0.1:99", "tcp4", "127.0.0.1:99"},
		{"inet:99@localhost", "inet:99@localhost", "inet:localhost:99", "tcp4", "localhost:99"},
		{"inet6:99@::1", "inet6:99@::1", "inet:[::1]:99", "tcp6", "[::1]:99"},
		{"inet6:99@[::1]", "inet6:99@::1", "inet:[::1]:99", "tcp6", "[::1]:99"},
	} {
		e, err := parseSpec(tt.spec)
		if err != nil {
			t.Error(err)
			continue
		}
		network, address := e.dial()
		if e.libmilter() != tt.libmilter || e.postfix() != tt.postfix || network != tt.network || address != tt.address {
			t.Errorf("%s is %q, %q, %q %q, want %q, %q, %q %q", tt.spec, e.libmilter(), e.postfix(), network, address,
				tt.libmilter, tt.postfix, tt.network, tt.address)
		}
	}
	for _, spec := range []string{"", "/path", "unix:", "inet:99", "inet:@host", "inet:99@", "tcp:99@host"} {
		if e, err := parseSpec(spec); err == nil {
			t.Errorf("%q is taken for %+v", spec, e)
		}
	}
}
