package miltertest

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/memconn"
	"github.com/gomilter/gomilter/internal/wire"
)

// A Raw is a connection to one filter on which anything at all may be sent: to
// show what a filter does with an MTA that errs or attacks.
//
// Frames are strings: the command or reply byte and the payload, see Frame.
type Raw struct {
	// Wait bounds the wait for a frame; it is 10 s at first.
	Wait time.Duration

	t testing.TB
	e *memconn.Conn
	r *wire.Reader
}

// Raw connects to the i-th server, and disconnects when the test ends. Nothing is
// said yet: see Offer.
func (c *Client) Raw(t testing.TB, i int) *Raw {
	t.Helper()
	e := c.hosts[i].ln.Dial()
	if e == nil {
		t.Fatalf("miltertest: %s does not serve", c.hosts[i].name)
	}
	r := &Raw{Wait: 10 * time.Second, t: t, e: e, r: wire.NewReader(e, 1<<20)}
	t.Cleanup(r.Close)
	return r
}

// Frame returns a frame whose payload is strings, each ended by NUL, as most
// are: Frame('M', "<a@example.org>", "SIZE=100").
func Frame(cmd byte, args ...string) string {
	b := []byte{cmd}
	for _, a := range args {
		b = wire.AppendString(b, a)
	}
	return string(b)
}

// Write sends bytes.
func (r *Raw) Write(b []byte) (int, error) { return r.e.Write(b) }

// Send sends frames in one write.
func (r *Raw) Send(frames ...string) {
	r.t.Helper()
	var b []byte
	for _, f := range frames {
		b = wire.AppendFrame(b, f[0], f[1:])
	}
	if _, err := r.e.Write(b); err != nil {
		r.t.Fatalf("miltertest: send %.100q: %v", frames, err)
	}
}

// Next returns the next frame. The error is [io.EOF] when the filter has closed the
// connection.
func (r *Raw) Next() (string, error) {
	r.e.SetReadDeadline(time.Now().Add(r.Wait))
	cmd, payload, err := r.r.Next()
	if err != nil {
		return "", err
	}
	return string(cmd) + string(payload), nil
}

// Expect reads frames and compares them.
func (r *Raw) Expect(frames ...string) {
	r.t.Helper()
	for _, want := range frames {
		if got, err := r.Next(); err != nil || got != want {
			r.t.Fatalf("miltertest: the filter sent %.200q (%v), want %.200q", got, err, want)
		}
	}
}

// ExpectClosed waits for the filter to close the connection without another word.
func (r *Raw) ExpectClosed() {
	r.t.Helper()
	if got, err := r.Next(); !errors.Is(err, io.EOF) {
		r.t.Fatalf("miltertest: the filter sent %.200q (%v), want the connection closed", got, err)
	}
}

// ExpectNothing fails the test when the filter says something within d.
func (r *Raw) ExpectNothing(d time.Duration) {
	r.t.Helper()
	wait := r.Wait
	defer func() { r.Wait = wait }()
	r.Wait = d
	if got, err := r.Next(); !wire.IsTimeout(err) {
		r.t.Fatalf("miltertest: the filter sent %.200q (%v), want nothing", got, err)
	}
}

// Offer negotiates as both MTAs do, and returns what the filter asks for.
func (r *Raw) Offer() Agreement {
	r.t.Helper()
	r.Send("O" + string(wire.AppendNegotiation(nil, &wire.Negotiation{Version: wire.MaxVersion, Actions: wire.CurrentActions, Protocol: wire.CurrentProtocol})))
	f, err := r.Next()
	if err != nil || f[0] != wire.CmdNegotiate {
		r.t.Fatalf("miltertest: the filter answered %.200q (%v) to the offer", f, err)
	}
	n, err := wire.Negotiate([]byte(f[1:]))
	if err != nil {
		r.t.Fatalf("miltertest: the filter's answer to the offer: %v", err)
	}
	return agreement("", &n)
}

// Settle waits until the filter has worked off what it was sent.
func (r *Raw) Settle() { r.e.Settled(patience) }

// Close closes the connection and waits for the filter to notice.
func (r *Raw) Close() {
	r.e.Close()
	r.e.Settled(patience)
}
