package dns

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What holds where resolv.conf says nothing.
const (
	usualTry      = 2 * time.Second // shorter than resolv.conf(5) has it: a mail server waits
	usualAttempts = 2
	maxServers    = 3 // MAXNS
)

// A resolvConf knows the name servers of the system.
type resolvConf struct {
	path  string
	fixed []netip.AddrPort // ask these instead of what the file says

	mu       sync.Mutex
	info     os.FileInfo // of the file when it was read; nil for none
	read     bool
	servers  []netip.AddrPort
	try      time.Duration
	attempts int
}

// get returns what the file says, which it reads again when it is another one.
func (c *resolvConf) get() (servers []netip.AddrPort, try time.Duration, attempts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if info, err := os.Stat(c.path); !c.read || err == nil && (c.info == nil || changed(c.info, info)) {
		// A file that is away for a moment leaves what was read before.
		if f, err := os.Open(c.path); err == nil {
			c.servers, c.try, c.attempts = parseResolvConf(f)
			c.info, _ = f.Stat()
			f.Close()
			c.read = true
		} else if !c.read {
			c.servers, c.try, c.attempts = parseResolvConf(strings.NewReader(""))
			c.read = true
		}
	}
	if c.fixed != nil {
		return c.fixed, c.try, c.attempts
	}
	return c.servers, c.try, c.attempts
}

func changed(a, b os.FileInfo) bool {
	return !os.SameFile(a, b) || !a.ModTime().Equal(b.ModTime()) || a.Size() != b.Size()
}

// parseResolvConf reads the lines of resolv.conf(5) that matter here; what it does not
// understand it passes over, as others do.
func parseResolvConf(r io.Reader) (servers []netip.AddrPort, try time.Duration, attempts int) {
	try, attempts = usualTry, usualAttempts
	for lines := bufio.NewScanner(io.LimitReader(r, 1<<20)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(words[1]); err == nil && len(servers) < maxServers {
				servers = append(servers, netip.AddrPortFrom(a, 53))
			}
		case "options":
			for _, o := range words[1:] {
				name, value, _ := strings.Cut(o, ":")
				n, err := strconv.Atoi(value)
				switch {
				case err != nil:
				case name == "timeout":
					try = time.Duration(min(max(n, 1), 30)) * time.Second
				case name == "attempts":
					attempts = min(max(n, 1), 5)
				}
			}
		}
	}
	if servers == nil {
		servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53"), netip.MustParseAddrPort("[::1]:53")}
	}
	return servers, try, attempts
}
