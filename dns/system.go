package dns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A System asks name servers. It may be used by several goroutines at a time, and keeps
// nothing of the answers: see [Cache].
//
// A server that does not answer costs one try; after it the next one is asked, for this
// question and those of the next 30 s. Where one fails or refuses (SERVFAIL, REFUSED) the
// next one is asked for this question. A try is as long as "options timeout" in
// /etc/resolv.conf says, else 2 s. How often is tried in all is said there ("options
// attempts"), and by the context.
//
// Where either of the questions for the two kinds of addresses (A, AAAA) fails, the
// look-up does: half an answer would make a check fail that might have passed. Names in
// /etc/hosts are found where the system says so (/etc/nsswitch.conf).
type System struct {
	conf *resolvConf
	net  net.Resolver
	turn turn
}

// NewSystem returns a resolver that asks servers ("192.0.2.53", "[2001:db8::53]:5353"), or
// without any those of the system: of /etc/resolv.conf, which is read again when it
// changes. The error is for a server that is no address; names are none.
func NewSystem(servers ...string) (*System, error) {
	return newSystem("/etc/resolv.conf", servers)
}

func newSystem(path string, servers []string) (*System, error) {
	s := &System{conf: &resolvConf{path: path}}
	for _, server := range servers {
		addr, err := parseServer(server)
		if err != nil {
			return nil, err
		}
		s.conf.fixed = append(s.conf.fixed, addr)
	}
	s.net = net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return s.dial(ctx, network)
	}}
	return s, nil
}

func parseServer(s string) (netip.AddrPort, error) {
	host, port := s, "53"
	if h, p, err := net.SplitHostPort(s); err == nil {
		host, port = h, p
	}
	addr, err := netip.ParseAddr(host)
	n, errPort := strconv.ParseUint(port, 10, 16)
	if err != nil || errPort != nil || n == 0 {
		return netip.AddrPort{}, fmt.Errorf("dns: name server %q is no address", s)
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// skipped is the key in a context of how many servers failed at the question; net.Resolver
// hands it on to dial.
type skipped struct{}

func withSkipped(ctx context.Context) context.Context {
	return context.WithValue(ctx, skipped{}, new(atomic.Int64))
}

// dial opens a way to the server whose turn it is.
func (s *System) dial(ctx context.Context, network string) (net.Conn, error) {
	servers, try, _ := s.conf.get()
	n := s.turn.get(time.Now())
	skip, _ := ctx.Value(skipped{}).(*atomic.Int64)
	if skip == nil {
		skip = new(atomic.Int64)
	}
	k := skip.Load()
	server := servers[(n+int(k))%len(servers)]
	t := &tries{
		try: try,
		failed: func() {
			// Who has enough of waiting says nothing of the server.
			if ctx.Err() != context.Canceled {
				s.turn.pass(n, time.Now())
			}
		},
		declined: func() { skip.CompareAndSwap(k, k+1) },
	}
	d := net.Dialer{Timeout: try}
	conn, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		t.failed()
		return nil, err
	}
	// net.Resolver itself reads on when its context has ended, until its own timeout.
	t.over = func() bool { return ctx.Err() != nil }
	t.stop = context.AfterFunc(ctx, func() { t.setDeadline(conn, time.Time{}) })
	if u, ok := conn.(*net.UDPConn); ok {
		return &udpTry{u, t}, nil
	}
	return &tcpTry{conn, t}, nil
}

// A turn is the place of the server to ask; beyond the last they begin again. It is the
// first's, as who wrote the list wants it, but for a time after that failed.
type turn struct {
	mu    sync.Mutex
	n     int
	until time.Time
}

const turnLife = 30 * time.Second

func (t *turn) get(now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n > 0 && !now.Before(t.until) {
		t.n = 0
	}
	return t.n
}

// pass gives the turn of the nth to the one after it, unless another has.
func (t *turn) pass(n int, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == n {
		t.n, t.until = n+1, now.Add(turnLife)
	}
}

// tries is what a udpTry and a tcpTry have in common: connections that end a try in
// time, and with its context, and let the next server have its turn when this one does
// not answer.
type tries struct {
	try      time.Duration
	failed   func()
	declined func()      // the server answers that it cannot
	over     func() bool // nobody waits any more
	stop     func() bool
	mu       sync.Mutex // orders the deadlines that are set
}

func (t *tries) setDeadline(conn net.Conn, at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over() {
		return conn.SetDeadline(time.Unix(1, 0))
	}
	if end := time.Now().Add(t.try); at.IsZero() || end.Before(at) {
		at = end
	}
	return conn.SetDeadline(at)
}

// A udpTry has a *net.UDPConn inside, which tells net.Resolver that it carries packets.
type udpTry struct {
	*net.UDPConn
	t *tries
}

func (c *udpTry) SetDeadline(at time.Time) error { return c.t.setDeadline(c.UDPConn, at) }

func (c *udpTry) Close() error {
	c.t.stop()
	return c.UDPConn.Close()
}

func (c *udpTry) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	if err != nil {
		c.t.failed()
	} else if n > 3 {
		// Whether it is a reply to what was asked is judged by who reads; a forged
		// one does no harm here.
		if code := dnsmessage.RCode(b[3] & 15); code == dnsmessage.RCodeServerFailure || code == dnsmessage.RCodeRefused {
			c.t.declined()
		}
	}
	return n, err
}

type tcpTry struct {
	net.Conn
	t *tries
}

func (c *tcpTry) SetDeadline(at time.Time) error { return c.t.setDeadline(c.Conn, at) }

func (c *tcpTry) Close() error {
	c.t.stop()
	return c.Conn.Close()
}

func (c *tcpTry) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.t.failed()
	}
	return n, err
}

// LookupTXT returns the TXT records of a name, the strings of each joined. Names with any printable
// ASCII are asked for, as they are with LookupNetIP; the other methods say of those that no host
// can have that they do not exist.
func (s *System) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if canon, ok := canonical(name); ok && isOdd(canon) {
		return s.oddTXT(ctx, canon)
	}
	return ask(ctx, name, s.net.LookupTXT)
}

// LookupMX returns the MX records of a name by preference, those of the same in any
// order. Hosts that are no names are left out.
func (s *System) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return askList(ctx, name, s.net.LookupMX)
}

// LookupNetIP returns the addresses of a name, of both families for the network "ip", of one
// for "ip4" and "ip6": the other is not asked for. An address is no name: for one it is told that there is
// no such host.
func (s *System) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if canon, ok := canonical(host); ok && isOdd(canon) {
		return s.oddNetIP(ctx, network, canon)
	}
	addrs, err := ask(ctx, host, func(ctx context.Context, name string) ([]netip.Addr, error) {
		return s.net.LookupNetIP(ctx, network, name)
	})
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	return addrs, err
}

// LookupAddr returns the names of an address, each with a final dot. What is no name is
// left out.
func (s *System) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, notFound(addr, "")
	}
	v, err := s.net.LookupAddr(withSkipped(ctx), a.WithZone("").Unmap().String())
	return listAnswer(addr, v, err)
}

// LookupNS returns the NS records of a name. Hosts that are no names are left out.
func (s *System) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	return askList(ctx, name, s.net.LookupNS)
}

// LookupCNAME returns the name that a name is an alias of, or the name itself, with a
// final dot.
func (s *System) LookupCNAME(ctx context.Context, host string) (string, error) {
	v, err := ask(ctx, host, s.net.LookupCNAME)
	if isInvalidNames(err) {
		err = useless(host, invalidNames)
	}
	return v, err
}

// ask asks for a name with a final dot, so that no search list applies, if it is one.
func ask[T any](ctx context.Context, name string, f func(context.Context, string) (T, error)) (T, error) {
	var none T
	canon, ok := canonical(name)
	if !ok {
		return none, notFound(name, "")
	}
	v, err := f(withSkipped(ctx), canon+".")
	return v, asDNSError(canon, err)
}

func askList[T any](ctx context.Context, name string, f func(context.Context, string) ([]T, error)) ([]T, error) {
	v, err := ask(ctx, name, f)
	return listAnswer(name, v, err)
}

// listAnswer makes of an answer that is in part of no use the part that is.
func listAnswer[T any](name string, v []T, err error) ([]T, error) {
	switch {
	case len(v) > 0:
		return v, nil
	case isInvalidNames(err):
		return nil, useless(name, invalidNames)
	}
	return nil, asDNSError(name, err)
}

// isInvalidNames knows the one error of net.Resolver by which it says that it left out
// part of an answer; it has no other mark than its text.
func isInvalidNames(err error) bool {
	de, ok := err.(*net.DNSError)
	return ok && de.Err == invalidNames
}
