package smtpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Options are how to talk to servers. The zero value works, but for Helo.
type Options struct {
	Helo    string        // our name, a domain or an address literal, for EHLO
	Source  []netip.Addr  // where connections come from: the first of the server's family; without one the system chooses
	Connect time.Duration // for the TCP connection; 0 means 30 s
	Step    time.Duration // for a greeting, a handshake, a command and its reply, or a part of a message; 0 means 5 minutes
	Content time.Duration // for the reply to a message; 0 means 10 minutes
	Total   time.Duration // for the whole dialogue; 0 means 30 minutes
	Reply   int           // bytes of one reply; a longer one ends the dialogue; 0 means 16 KiB
	Clear   bool          // leave out STARTTLS

	// Dial connects to a server, from source if that is valid. nil means by TCP.
	Dial func(ctx context.Context, source netip.Addr, to netip.AddrPort) (net.Conn, error)
}

func (o Options) withDefaults() Options {
	for _, f := range []struct {
		field *time.Duration
		usual time.Duration
	}{{&o.Connect, 30 * time.Second}, {&o.Step, 5 * time.Minute}, {&o.Content, 10 * time.Minute}, {&o.Total, 30 * time.Minute}} {
		if *f.field <= 0 {
			*f.field = f.usual
		}
	}
	if o.Reply <= 0 {
		o.Reply = 16 << 10
	}
	if o.Dial == nil {
		o.Dial = dialTCP
	}
	return o
}

func dialTCP(ctx context.Context, source netip.Addr, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	if source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	return d.DialContext(ctx, "tcp", to.String())
}

// A Client is a dialogue with a server. It is for one goroutine at a time. After an [Error]
// that is Broken, only Close and Quit are of use.
type Client struct {
	raw      net.Conn
	conn     *conn
	smtp     *smtp.Client
	o        Options
	release  func() // of the context
	greeting Reply
	hello    Reply
	tlsFault error
}

// Dial connects to the server called host at an address, reads its greeting and says EHLO, or
// HELO to one that knows no EHLO, within TLS where it is offered. host is what TLS asks for,
// and may be empty. The Client ends with ctx, and is to be closed.
//
// The error is an *[Error].
func Dial(ctx context.Context, o Options, host string, addr netip.AddrPort) (*Client, error) {
	o = o.withDefaults()
	if !isName(o.Helo) {
		return nil, &Error{Step: Hello, Err: fmt.Errorf("%w: name %q", ErrArgument, clip(o.Helo))}
	}
	end := time.Now().Add(o.Total)
	if t, ok := ctx.Deadline(); ok && t.Before(end) {
		end = t
	}
	c, err := dial(ctx, o, addr, end)
	if err != nil || o.Clear || !c.Offers("STARTTLS") {
		return c, err
	}
	again, err := c.startTLS(ctx, host, end)
	if err == nil {
		return c, nil
	}
	if !again {
		// RFC 3207 section 4: 454, and any other reply but 220, leaves the session as it was.
		c.tlsFault = err
		return c, nil
	}
	c.Close()
	if ctx.Err() != nil || !time.Now().Before(end) {
		return nil, err
	}
	// RFC 7435 section 3: where encryption fails, the clear is what was there without it.
	c, clearErr := dial(ctx, o, addr, end)
	if clearErr != nil {
		return nil, clearErr
	}
	c.tlsFault = err
	return c, nil
}

// dial connects, and talks up to the reply to EHLO.
func dial(ctx context.Context, o Options, addr netip.AddrPort, end time.Time) (*Client, error) {
	raw, err := connect(ctx, o, addr, end)
	if err != nil {
		return nil, &Error{Step: Connect, Err: err}
	}
	c := &Client{raw: raw, o: o, release: closeWith(ctx, raw)}
	if err := c.greet(newConn(ctx, raw, o, end)); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func connect(ctx context.Context, o Options, addr netip.AddrPort, end time.Time) (net.Conn, error) {
	by := time.Now().Add(o.Connect)
	if end.Before(by) {
		by = end
	}
	dialCtx, cancel := context.WithDeadline(ctx, by)
	defer cancel()
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	var source netip.Addr
	for _, s := range o.Source {
		if s = s.Unmap(); s.Is4() == addr.Addr().Is4() {
			source = s
			break
		}
	}
	nc, err := o.Dial(dialCtx, source, addr)
	switch {
	case err == nil:
		return nc, nil
	case ctx.Err() != nil:
		return nil, plain(context.Cause(ctx))
	case dialCtx.Err() != nil:
		return nil, errTime
	}
	return nil, plain(err)
}

// closeWith closes nc when ctx ends. What it returns is to be called once nc is of no use.
func closeWith(ctx context.Context, nc net.Conn) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		nc.Close()
		close(done)
	})
	return sync.OnceFunc(func() {
		if !stop() {
			<-done
		}
	})
}

// greet reads a greeting, and says EHLO.
func (c *Client) greet(nc *conn) error {
	c.conn = nc
	c.smtp = smtp.NewClient(nc)
	c.smtp.CommandTimeout, c.smtp.SubmissionTimeout = c.o.Step, c.o.Content
	greeting := Reply{}
	nc.heard = func(r Reply) {
		if greeting.Code == 0 {
			greeting = r
		}
	}
	err := c.smtp.Hello(c.o.Helo)
	nc.heard = nil
	if c.greeting.Code == 0 {
		c.greeting = greeting
	}
	step := Hello
	if !nc.spoke {
		step = Greeting
	}
	c.hello, err = c.result(step, err)
	return err
}

// startTLS encrypts the dialogue. After an error the connection is of no use where again is true.
func (c *Client) startTLS(ctx context.Context, host string, end time.Time) (again bool, err error) {
	// go-smtp's client would say EHLO as localhost before STARTTLS: this is said past it.
	c.conn.SetDeadline(time.Now().Add(c.o.Step))
	if _, err := io.WriteString(c.conn, "STARTTLS\r\n"); err != nil {
		return true, &Error{Step: StartTLS, Err: c.conn.fault(err)}
	}
	reply, err := readReply(c.conn.r, c.o.Reply)
	switch {
	case err != nil:
		return true, &Error{Step: StartTLS, Err: c.conn.fault(err)}
	case reply.Code != 220:
		return reply.Code == 421, &Error{Step: StartTLS, Reply: reply}
	case c.conn.r.Buffered() > 0:
		// What stands before the handshake may be of anyone on the way (CVE-2011-0411).
		return true, &Error{Step: StartTLS, Err: fmt.Errorf("%w: server talks before the handshake", ErrProtocol)}
	}
	tc := tls.Client(c.raw, &tls.Config{
		ServerName:         host,
		InsecureSkipVerify: true,             // RFC 7435 section 3: better than none
		MinVersion:         tls.VersionTLS10, // the same
	})
	shake, cancel := context.WithDeadline(ctx, c.conn.until(time.Now().Add(c.o.Step)))
	defer cancel()
	if err := tc.HandshakeContext(shake); err != nil {
		if shake.Err() != nil {
			err = errTime
		}
		return true, &Error{Step: StartTLS, Err: c.conn.fault(err)}
	}
	nc := newConn(ctx, tc, c.o, end)
	// After the handshake there is no greeting (RFC 3207 section 4.2), and go-smtp's
	// client waits for one.
	nc.unread = Reply{Code: 220, Lines: []string{""}}.appendWire(nil)
	if err := c.greet(nc); err != nil {
		return true, err
	}
	return false, nil
}

// result makes what go-smtp's client returned for the last command a Reply, or an *Error.
func (c *Client) result(step Step, err error) (Reply, error) {
	reply := c.conn.reply
	switch {
	case err == nil:
		return reply, nil
	case reply.Temporary(), reply.Permanent():
		return reply, &Error{Step: step, Reply: reply}
	case reply.Code != 0 && c.conn.err == nil:
		// The client understood what was read, and expected another code.
		return Reply{}, &Error{Step: step, Err: fmt.Errorf("%w: unexpected reply %s", ErrProtocol, clip(reply.String()))}
	}
	return Reply{}, &Error{Step: step, Err: c.conn.fault(err)}
}

// Greeting returns the server's first reply.
func (c *Client) Greeting() Reply { return c.greeting }

// Hello returns the reply to EHLO or HELO, the last one.
func (c *Client) Hello() Reply { return c.hello }

// Name returns what the server calls itself in its reply to EHLO or HELO, the first word,
// without a final dot; empty where it does not (RFC 5321 section 4.1.1.1 requires it).
func (c *Client) Name() string {
	word, _, _ := strings.Cut(c.hello.Lines[0], " ")
	return strings.TrimSuffix(word, ".")
}

// Offers reports whether the server offered an extension in its reply to EHLO.
func (c *Client) Offers(extension string) bool {
	for _, line := range c.hello.Lines[1:] {
		if word, _, _ := strings.Cut(line, " "); strings.EqualFold(word, extension) {
			return true
		}
	}
	return false
}

// TLS returns the state of TLS; without TLS it is not ok.
func (c *Client) TLS() (state tls.ConnectionState, ok bool) {
	tc, ok := c.conn.Conn.(*tls.Conn)
	if !ok {
		return tls.ConnectionState{}, false
	}
	return tc.ConnectionState(), true
}

// TLSFault returns why the dialogue is in the clear though the server offered STARTTLS; nil
// where it did not.
func (c *Client) TLSFault() error { return c.tlsFault }

// MailOptions are the parameters of MAIL.
type MailOptions struct {
	UTF8 bool  // SMTPUTF8 (RFC 6531): addresses and header fields may be UTF-8
	Size int64 // of the message in bytes (RFC 1870), said to servers that want to know; 0 means unknown
}

// Mail begins a message from an address, without angle brackets; empty is the null sender.
// It returns the reply, or an *[Error].
func (c *Client) Mail(from string, o MailOptions) (Reply, error) {
	if o.UTF8 && !c.Offers("SMTPUTF8") {
		return Reply{}, &Error{Step: Mail, Err: fmt.Errorf("%w: server does not offer SMTPUTF8", ErrArgument)}
	}
	if from != "" && !sayable(from, o.UTF8) {
		return Reply{}, &Error{Step: Mail, Err: fmt.Errorf("%w: address %q", ErrArgument, clip(from))}
	}
	return c.result(Mail, c.smtp.Mail(from, &smtp.MailOptions{UTF8: o.UTF8, Size: o.Size}))
}

// Rcpt names a recipient, without angle brackets. It returns the reply, or an *[Error].
func (c *Client) Rcpt(to string) (Reply, error) {
	if !sayable(to, c.Offers("SMTPUTF8")) {
		return Reply{}, &Error{Step: Rcpt, Err: fmt.Errorf("%w: address %q", ErrArgument, clip(to))}
	}
	return c.result(Rcpt, c.smtp.Rcpt(to, nil))
}

// Data sends a message, with header fields; lines end in CRLF or LF, which becomes CRLF.
// It returns the reply to the whole, or an *[Error]: until Content has been answered, the server
// has not taken the message, and where that answer is lost (step Content, Err is set), it may
// have. A message that cannot be read to its end is not sent.
func (c *Client) Data(message io.Reader) (Reply, error) {
	w, err := c.smtp.Data()
	if err != nil {
		return c.result(Data, err)
	}
	if _, err := io.Copy(w, message); err != nil {
		// Anything but the end of the connection would end the message.
		c.raw.Close()
		return Reply{}, &Error{Step: Content, Err: c.conn.fault(err)}
	}
	_, err = w.CloseWithResponse()
	return c.result(Content, err)
}

// Quit says QUIT, waits a little for the reply, which does not matter, and closes.
func (c *Client) Quit() {
	c.smtp.CommandTimeout = min(c.o.Step, quitTime)
	c.smtp.Quit()
	c.Close()
}

// quitTime is how long a reply to QUIT is waited for. A server whose client just leaves may
// hold that against it.
const quitTime = 5 * time.Second

// Close closes the connection, without a word. It may be called again.
func (c *Client) Close() {
	c.raw.Close()
	c.release()
}

// isName reports whether a name may follow EHLO.
func isName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// sayable reports whether an address may stand between the angle brackets of a command: it
// cannot end them, or the line. Blanks and brackets are for quoted strings.
func sayable(s string, utf8 bool) bool {
	quoted, escaped := false, false
	for i := range len(s) {
		switch b := s[i]; {
		case b < ' ' || b == 0x7f || b >= 0x80 && !utf8:
			return false
		case escaped:
			escaped = false
		case quoted && b == '\\':
			escaped = true
		case b == '"':
			quoted = !quoted
		case !quoted && (b == ' ' || b == '<' || b == '>'):
			return false
		}
	}
	return s != "" && !quoted && len(s) <= maxAddress
}

// maxAddress is the longest local part, "@" and the longest domain, in bytes (RFC 5321
// section 4.5.3.1).
const maxAddress = 64 + 1 + 255
