package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// An outgoing message is one for an MTA, with its envelope.
type outgoing struct {
	from  string // "" for the null sender
	rcpts []string
	size  int64 // of data, in bytes
	data  io.Reader
}

// A sentMail is what became of an outgoing message.
type sentMail struct {
	accepted []string
	refused  []refusedRcpt
	reply    string // to the message
	begun    bool   // the server may have seen some of the message
}

type refusedRcpt struct {
	addr string
	err  error
}

// Times of an SMTP client. The longest of all that the MTA's filters may take is
// part of smtpAfterDot.
const (
	smtpDial     = 30 * time.Second
	smtpCommand  = 5 * time.Minute
	smtpBlock    = 3 * time.Minute // RFC 5321 section 4.5.3.2.5
	smtpAfterDot = 12 * time.Minute
)

// serverAddress returns the address of an SMTP server, whose port is 25 where none
// is named.
func serverAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), "25"
		if _, e := netip.ParseAddr(host); e != nil && strings.Contains(host, ":") {
			return "", fmt.Errorf("--server %q: %w", s, err)
		}
	}
	if host == "" || port == "" {
		return "", fmt.Errorf("--server %q: a host and a port are wanted, as in 127.0.0.1:25", s)
	}
	return net.JoinHostPort(host, port), nil
}

// send gives the message to an MTA. Without an error it is accepted for at least one
// recipient. Errors of the MTA are [*smtp.SMTPError].
func (m *outgoing) send(ctx context.Context, server string) (sent sentMail, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("interrupted: %w", err)
		}
	}()
	c, err := dialSMTP(ctx, server)
	if err != nil {
		return sent, err
	}
	defer c.Close()
	o := &smtp.MailOptions{Size: m.size, UTF8: !isASCII(m.from)}
	for _, r := range m.rcpts {
		o.UTF8 = o.UTF8 || !isASCII(r)
	}
	if ok, _ := c.Extension("SMTPUTF8"); o.UTF8 && !ok {
		return sent, errors.New("an address is not ASCII, and the server does not know SMTPUTF8")
	}
	// BODY=8BITMIME goes along wherever it is offered. Where it is not, bytes above
	// 127 are sent all the same: a message encoded anew would not be the original.
	if err := c.Mail(m.from, o); err != nil {
		return sent, err
	}
	for _, r := range m.rcpts {
		if err := c.Rcpt(r, nil); err == nil {
			sent.accepted = append(sent.accepted, r)
		} else if _, told := errors.AsType[*smtp.SMTPError](err); told {
			sent.refused = append(sent.refused, refusedRcpt{r, err})
		} else {
			return sent, err
		}
	}
	if len(sent.accepted) == 0 {
		c.Quit()
		return sent, sent.refused[0].err
	}
	w, err := c.Data()
	if err != nil {
		return sent, err
	}
	sent.begun = true
	if _, err := io.Copy(w, m.data); err != nil {
		return sent, err // the connection is closed before the message has an end
	}
	r, err := w.CloseWithResponse()
	if err != nil {
		if _, told := errors.AsType[*smtp.SMTPError](err); !told {
			err = fmt.Errorf("%w (the server has the message and may deliver it)", err)
		}
		return sent, err
	}
	sent.reply = "250 " + strings.Join(strings.Fields(r.StatusText), " ")
	c.Quit()
	return sent, nil
}

// dialSMTP connects to an SMTP server and greets it, under TLS where that is offered.
// On the way to this host itself nobody listens, so the certificate is not
// verified, and the connection does without TLS where that fails.
func dialSMTP(ctx context.Context, server string) (*smtp.Client, error) {
	host, _, _ := net.SplitHostPort(server)
	c, loopback, err := greetSMTP(ctx, server, nil)
	if err != nil {
		return nil, err
	}
	if ok, _ := c.Extension("STARTTLS"); !ok {
		return c, nil
	}
	// The library starts TLS on fresh connections only.
	secure, _, err := greetSMTP(ctx, server, &tls.Config{ServerName: host, InsecureSkipVerify: loopback})
	switch {
	case err == nil:
		c.Quit()
		return secure, nil
	case loopback && ctx.Err() == nil:
		return c, nil
	}
	c.Quit()
	return nil, err
}

// greetSMTP connects to an SMTP server and greets it, under TLS where config is not
// nil. The connection ends with ctx.
func greetSMTP(ctx context.Context, server string, config *tls.Config) (c *smtp.Client, loopback bool, err error) {
	d := net.Dialer{Timeout: smtpDial}
	conn, err := d.DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, false, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	if addr, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		loopback = addr.Addr().Unmap().IsLoopback()
	}
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	timed := &timedConn{conn}
	if config == nil {
		c = smtp.NewClient(timed)
	} else if c, err = smtp.NewClientStartTLS(timed, config); err != nil {
		conn.Close()
		return nil, loopback, err
	}
	c.CommandTimeout, c.SubmissionTimeout = smtpCommand, smtpAfterDot
	if err := c.Hello(name); err != nil {
		conn.Close()
		return nil, loopback, err
	}
	return c, loopback, nil
}

// A timedConn gives each write a deadline; the SMTP library gives one to reads only
// while it sends a message.
type timedConn struct{ net.Conn }

func (c *timedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(smtpBlock)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// smtpExit returns the exit code for an error of sending.
func smtpExit(err error) int {
	if e, ok := errors.AsType[*smtp.SMTPError](err); ok && e.Temporary() {
		return exitTemporary
	}
	return exitUnavailable
}

// enhancedCode stands at the beginning of the lines of a reply, of all or of the last;
// the library takes that of the first away.
var enhancedCode = regexp.MustCompile(`(?m)^[245]\.\d{1,3}\.\d{1,3} `)

// smtpText returns an error of sending as people read it.
func smtpText(err error) error {
	e, ok := errors.AsType[*smtp.SMTPError](err)
	if !ok {
		return err
	}
	code := enhancedCode.FindString(e.Message)
	if e.EnhancedCode != smtp.NoEnhancedCode && e.EnhancedCode != smtp.EnhancedCodeNotSet {
		code = fmt.Sprintf("%d.%d.%d ", e.EnhancedCode[0], e.EnhancedCode[1], e.EnhancedCode[2])
	}
	lines := strings.Split(enhancedCode.ReplaceAllString(e.Message, ""), "\n")
	return fmt.Errorf("%d %s%s", e.Code, code, printable(strings.Join(lines, " / ")))
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) < 0
}
