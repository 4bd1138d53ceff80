package peertest

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Dialogue is an SMTP client that sends what it is told, sensible or not, and
// reads the replies. After the connection has ended every further reply has an
// Err; nothing fails the test by itself but a server that cannot be reached.
type Dialogue struct {
	Banner  Reply
	Timeout time.Duration // for each reply; 0 means 60 seconds

	conn net.Conn
	r    *bufio.Reader
	log  strings.Builder
}

// A Reply is one reply of the server.
type Reply struct {
	Code  int      // 0 when there was none
	Lines []string // complete, with the code, without the line ends
	Err   error    // why there was none: io.EOF, a reset connection, a timeout, bad syntax
}

// OK reports whether the reply is positive: 2xx or 3xx.
func (r Reply) OK() bool { return r.Code >= 200 && r.Code < 400 }

// String returns the lines joined by " / ".
func (r Reply) String() string {
	text := strings.Join(r.Lines, " / ")
	if r.Err != nil {
		text += "(" + r.Err.Error() + ")"
	}
	return text
}

// Dial connects to an SMTP server and reads its banner. The connection is closed
// when the test ends, if it was not before.
func Dial(t testing.TB, addr string) *Dialogue {
	t.Helper()
	return DialFrom(t, "", addr)
}

// DialFrom is [Dial] from a local address of choice, such as 127.0.0.9.
func DialFrom(t testing.TB, local, addr string) *Dialogue {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	if local != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
	}
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatalf("peertest: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	s := &Dialogue{conn: c, r: bufio.NewReader(c)}
	s.Banner = s.Read()
	return s
}

// Cmd sends line and CRLF, and reads a reply.
func (d *Dialogue) Cmd(line string) Reply {
	d.Write(line + "\r\n")
	return d.Read()
}

// Pipeline sends the lines at once and then reads one reply for each.
func (d *Dialogue) Pipeline(lines ...string) []Reply {
	d.Write(strings.Join(lines, "\r\n") + "\r\n")
	var out []Reply
	for range lines {
		out = append(out, d.Read())
	}
	return out
}

// Data sends a message after DATA was answered with 354: dots are doubled, a
// missing CRLF is put at the end, the final dot follows. It reads the reply.
func (d *Dialogue) Data(message string) Reply {
	d.Write(dotted(message))
	return d.Read()
}

// dotted is a message as it goes over the wire.
func dotted(message string) string {
	if strings.HasPrefix(message, ".") {
		message = "." + message
	}
	if !strings.HasSuffix(message, "\r\n") {
		message += "\r\n"
	}
	return strings.ReplaceAll(message, "\r\n.", "\r\n..") + ".\r\n"
}

// Write sends raw as it is. An error shows in the next reply.
func (d *Dialogue) Write(raw string) {
	if len(raw) < 500 {
		fmt.Fprintf(&d.log, "> %q\n", raw)
	} else {
		fmt.Fprintf(&d.log, "> %q... %d bytes\n", raw[:100], len(raw))
	}
	d.conn.SetWriteDeadline(d.deadline())
	d.conn.Write([]byte(raw))
}

// Read reads one reply.
func (d *Dialogue) Read() Reply {
	d.conn.SetReadDeadline(d.deadline())
	r := d.read()
	fmt.Fprintf(&d.log, "< %s\n", r)
	return r
}

func (d *Dialogue) deadline() time.Time {
	return time.Now().Add(cmp.Or(d.Timeout, time.Minute))
}

func (d *Dialogue) read() (r Reply) {
	for {
		line, err := d.r.ReadString('\n')
		if err != nil {
			r.Code, r.Err = 0, err
			return r
		}
		line = strings.TrimRight(line, "\r\n")
		r.Lines = append(r.Lines, line)
		if len(line) < 3 {
			r.Err = errors.New("a reply line without a code")
			return r
		}
		if r.Code, err = strconv.Atoi(line[:3]); err != nil {
			r.Err = err
			return r
		}
		if len(line) < 4 || line[3] != '-' {
			return r
		}
	}
}

// StartTLS sends STARTTLS and, when that is taken, shakes hands; the client still
// has to send EHLO again. A nil cfg takes any certificate.
func (d *Dialogue) StartTLS(cfg *tls.Config) Reply {
	r := d.Cmd("STARTTLS")
	if r.Code != 220 {
		return r
	}
	if cfg == nil {
		cfg = &tls.Config{InsecureSkipVerify: true}
	}
	c := tls.Client(d.conn, cfg)
	c.SetDeadline(d.deadline())
	if err := c.Handshake(); err != nil {
		return Reply{Err: err}
	}
	d.conn, d.r = c, bufio.NewReader(c)
	return r
}

// AuthPlain logs in by AUTH PLAIN.
func (d *Dialogue) AuthPlain(user, password string) Reply {
	return d.Cmd("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)))
}

// Close drops the connection, politely as TCP sees it, without a QUIT.
func (d *Dialogue) Close() { d.conn.Close() }

// Reset drops the connection with a TCP reset.
func (d *Dialogue) Reset() {
	c := d.conn
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// Transcript returns all that was said, for a failure message.
func (d *Dialogue) Transcript() string { return d.log.String() }
