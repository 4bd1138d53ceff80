package miltertest

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/mta"
)

// A Client is an MTA whose filters run in this process. Its fields are those of
// [mta.Client], to be changed between New and the first connection: Profile is
// [mta.Postfix], because that is the stricter one (see Each for both); Hostname is
// "mta.example"; QueueID counts. Milters has an entry for each server, in whose
// Failure and Timeouts the MTA's configuration can be played.
//
// What a filter does wrong fails the test that asked, unless FaultsOK is set.
type Client struct {
	mta.Client

	// FaultsOK lets filters fail: hooks panic, hang and answer what they may not,
	// connections break. What the MTA saw of it is in Faults of steps and results.
	FaultsOK bool

	// Background lets goroutines that hooks started outlive their server.
	Background bool

	t     testing.TB
	hosts []*host
	count atomic.Int64
}

// DefaultConn is the SMTP client of connections that name none.
var DefaultConn = mta.Conn{Name: "client.example", Addr: netip.MustParseAddrPort("192.0.2.25:40025")}

// New serves filters in memory and returns an MTA that asks them, in this order.
// When the test ends they are stopped, and what they leave behind fails the test:
// hooks that still run, and goroutines that hooks started.
//
// Until then the servers are New's: one without Log logs to the test, one without
// StopTimeout stops within two seconds. Inside a bubble of testing/synctest all
// this happens in the bubble, on its clock.
func New(t testing.TB, servers ...*milter.Server) *Client {
	t.Helper()
	c := &Client{t: t}
	c.Profile = mta.Postfix
	c.Hostname = "mta.example"
	c.QueueID = func() string { return fmt.Sprintf("Q%06d", c.count.Add(1)) }
	for i, srv := range servers {
		name := srv.Name
		switch {
		case name != "":
		case len(servers) == 1:
			name = "filter"
		default:
			name = fmt.Sprintf("filter%d", i+1)
		}
		h := serve(t, name, srv)
		t.Cleanup(func() { c.finish(h) })
		c.hosts = append(c.hosts, h)
		c.Milters = append(c.Milters, mta.Milter{Name: name, Dial: h.dial})
	}
	return c
}

// Each runs a test for each MTA, as a subtest with its name.
func Each(t *testing.T, f func(t *testing.T, profile mta.Profile)) {
	t.Helper()
	for _, p := range []mta.Profile{mta.Sendmail, mta.Postfix} {
		t.Run(p.String(), func(t *testing.T) { f(t, p) })
	}
}

func (c *Client) finish(h *host) {
	c.t.Helper()
	h.close(c.t, c.Background)
	c.judge(c.t)
}

// judge fails the test for what hooks did wrong.
func (c *Client) judge(t testing.TB) {
	t.Helper()
	for _, h := range c.hosts {
		for _, f := range h.takeFaults() {
			if !c.FaultsOK {
				t.Errorf("miltertest: %s: %s", h.name, f)
			}
		}
	}
}

// dial connects an MTA to the server.
func (h *host) dial(ctx context.Context) (net.Conn, error) {
	e := h.ln.Dial()
	if e == nil {
		return nil, fmt.Errorf("miltertest: %s does not serve", h.name)
	}
	if rec, ok := ctx.Value(recordKey{}).(*record); ok {
		return newTap(e, rec, h.name), nil
	}
	return e, nil
}

// Connect opens an SMTP session from DefaultConn.
func (c *Client) Connect(t testing.TB) *Session {
	t.Helper()
	return c.ConnectFrom(t, DefaultConn)
}

// ConnectFrom opens an SMTP session. It is quit when the test ends.
func (c *Client) ConnectFrom(t testing.TB, conn mta.Conn) *Session {
	t.Helper()
	s := &Session{c: c, t: t, rec: &record{cut: noStage}}
	ctx := context.WithValue(context.Background(), recordKey{}, s.rec)
	s.Greeting = s.step(mta.StageConnect, func(context.Context) (out mta.Outcome, err error) {
		s.ms, out, err = c.Client.Connect(ctx, conn)
		return out, err
	})
	t.Cleanup(s.Quit)
	return s
}

// Send plays one message on a connection of its own, as a client does that goes as
// far as it is let, and returns what became of it.
func (c *Client) Send(t testing.TB, m Mail) *Result {
	t.Helper()
	conn := cmp.Or(m.Conn, &DefaultConn)
	m.Conn = nil
	s := c.ConnectFrom(t, *conn)
	defer s.Quit()
	if s.Greeting.Reply != nil {
		return s.Result()
	}
	return s.Send(m)
}
