package wire

import (
	"net"
	"strings"
	"testing"
)

func TestParseAddr(t *testing.T) {
	for _, tt := range []struct{ spec, network, address, err string }{
		{"unix:/run/f.sock", "unix", "/run/f.sock", ""},
		{"local:/run/f.sock", "unix", "/run/f.sock", ""},
		{"UNIX:f.sock", "unix", "f.sock", ""},
		{"unix:/run/a:b", "unix", "/run/a:b", ""},
		{"/run/f.sock", "unix", "/run/f.sock", ""},
		{"/run/a:25", "unix", "/run/a:25", ""},
		{":/run/f.sock", "unix", "/run/f.sock", ""},
		{"./f.sock", "unix", "./f.sock", ""},
		{"run/f.sock", "unix", "run/f.sock", ""},
		{"unix:" + strings.Repeat("p", 107), "unix", strings.Repeat("p", 107), ""},
		{"inet:8025", "tcp4", ":8025", ""},
		{"inet:0", "tcp4", ":0", ""},
		{"inet:8025@localhost", "tcp4", "localhost:8025", ""},
		{"Inet:8025@127.0.0.1", "tcp4", "127.0.0.1:8025", ""},
		{"inet:8025@[127.0.0.1]", "tcp4", "127.0.0.1:8025", ""},
		{"inet:submission@mx.example", "tcp4", "mx.example:submission", ""},
		{"inet6:8025", "tcp6", ":8025", ""},
		{"inet6:8025@[::1]", "tcp6", "[::1]:8025", ""},
		{"inet6:8025@::1", "tcp6", "[::1]:8025", ""},
		{"inet6:8025@[IPv6:::1]", "tcp6", "[::1]:8025", ""},
		{"inet6:8025@[fe80::1%eth0]", "tcp6", "[fe80::1%eth0]:8025", ""},
		{"inet6:8025@ip6-localhost", "tcp6", "ip6-localhost:8025", ""},
		{"inet:127.0.0.1:8025", "tcp", "127.0.0.1:8025", ""},
		{"inet:[::1]:8025", "tcp", "[::1]:8025", ""},
		{"localhost:8025", "tcp", "localhost:8025", ""},
		{"[::1]:8025", "tcp", "[::1]:8025", ""},
		{":8025", "tcp", ":8025", ""},
		{"fd://3", "fd", "3", ""},
		{"", "", "", "is empty"},
		{"unix:", "", "", "has no path"},
		{"unix:/a\x00b", "", "", "holds a NUL"},
		{"8025", "", "", "written inet:8025"},
		{"8025@127.0.0.1", "", "", "written inet:8025@127.0.0.1"},
		{"8025@[::1]", "", "", "written inet6:8025@[::1]"},
		{"bogus", "", "", "written unix:/run/bogus, or unix:bogus in the current folder"},
		{"f.sock", "", "", "unix:f.sock"},
		{"/" + strings.Repeat("p", 107), "", "", "path of 108 bytes"},
		{"unix:" + strings.Repeat("p", 108), "", "", "107 at most"},
		{"inet:", "", "", "has no port"},
		{"inet:8025@", "", "", "has no host"},
		{"inet:65536@h", "", "", "above 65535"},
		{"inet:99999999999999999999", "", "", "above 65535"},
		{"inet:h@8025@x", "", "", `"8025@x" is no host`},
		{"inet:-1@[h", "", "", "holds no address"},
		{"inet:25@[h]", "", "", "holds no address"},
		{"inet:25@::1", "", "", "other family"},
		{"inet6:25@127.0.0.1", "", "", "other family"},
		{"tcp:8025", "", "", "no scheme"},
		{"foo:/bar", "", "", "known schemes"},
		{"::1:8025", "", "", "brackets"},
		{"localhost:", "", "", "has no port"},
		{"fd://", "", "", "descriptor"},
		{"fd:3", "", "", "descriptor"},
		{"fd://-1", "", "", "descriptor"},
		{"fd://03", "", "", "descriptor"},
	} {
		t.Run(tt.spec, func(t *testing.T) {
			network, address, err := ParseAddr(tt.spec)
			if network != tt.network || address != tt.address || (err != nil) != (tt.err != "") {
				t.Fatalf("ParseAddr(%q) = %q, %q, %v, want %q, %q, error %q", tt.spec, network, address, err, tt.network, tt.address, tt.err)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "socket ")) {
				t.Errorf("ParseAddr(%q) error = %v, want one that names the socket and says %q", tt.spec, err, tt.err)
			}
		})
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"unix:/a", "inet:25@[::1]", "inet:h:25", "[::1]:25", "fd://3", "8025", ":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		network, address, err := ParseAddr(spec)
		if err != nil {
			if network != "" || address != "" {
				t.Errorf("ParseAddr(%q) = %q, %q beside an error", spec, network, address)
			}
			return
		}
		if strings.HasPrefix(network, "tcp") {
			if _, _, err := net.SplitHostPort(address); err != nil {
				t.Errorf("ParseAddr(%q) = %q, %q: %v", spec, network, address, err)
			}
		}
	})
}
