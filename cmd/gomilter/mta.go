package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomilter/gomilter/internal/wire"
	"github.com/gomilter/gomilter/mta"
)

type mtaCmd struct {
	Socket  []string          `required:"" placeholder:"SPEC" sep:"none" help:"A milter to ask. May be repeated: they are asked in this order."`
	Profile mta.Profile       `default:"postfix" placeholder:"NAME" help:"Whose ways to follow: postfix or sendmail (default: ${default})."`
	Auth    string            `placeholder:"USER" help:"Tell that the client authenticated as this user."`
	Macro   map[string]string `placeholder:"NAME=VALUE" mapsep:"none" help:"Give a macro this value. May be repeated."`
	JSON    bool              `help:"Print one JSON object for each message."`

	From       *string  `group:"One message" placeholder:"ADDR" help:"Sender (default: sender@example.com); \"\" is the null sender. ESMTP parameters may follow: \"<a@example.com> SIZE=100\"."`
	Rcpt       []string `group:"One message" placeholder:"ADDR" sep:"none" help:"Recipient (default: rcpt@example.com), like --from. May be repeated."`
	Client     string   `group:"One message" placeholder:"ADDR[:PORT]" help:"Address of the SMTP client, or unix:PATH (default: 127.0.0.1)."`
	ClientName string   `group:"One message" placeholder:"NAME" help:"Its host name, as found in DNS."`
	Helo       string   `group:"One message" placeholder:"NAME" help:"What it says in HELO (default: its name, or localhost)."`
	Output     string   `group:"One message" placeholder:"FILE" help:"Write the message as it would be delivered; - is standard output."`
	File       string   `arg:"" optional:"" help:"The message; - is standard input."`

	Listen  string `group:"SMTP server" placeholder:"HOST:PORT" help:"Take messages by SMTP. Without a host it is open to everybody."`
	Deliver string `group:"SMTP server" placeholder:"DIR" help:"Deliver them to this Maildir."`
	MaxSize int64  `group:"SMTP server" default:"10485760" placeholder:"BYTES" help:"Largest message (default: ${default})."`
}

func (*mtaCmd) Help() string {
	return `The milters are asked as the MTA would ask them, and what they answer is shown:

    gomilter mta --socket inet:8891@localhost --client 192.0.2.7 --rcpt you@example.com message.eml

or a small SMTP server asks them about what comes in, and delivers to a Maildir:

    gomilter mta --socket unix:/run/filter.sock --listen 127.0.0.1:2525 --deliver ./Maildir

Exit codes: 0 a verdict came, whatever it is; 69 a milter cannot be reached, or broke.`
}

func (c *mtaCmd) Run(std stdio) error {
	ctx, stop := untilSignal()
	defer stop()
	client, err := c.client()
	if err != nil {
		return exit(exitUsage, err)
	}
	if c.MaxSize <= 0 {
		return exitf(exitUsage, "--max-size %d: nothing would fit", c.MaxSize)
	}
	if c.Listen != "" {
		return c.listen(ctx, client, std)
	}
	return c.one(ctx, client, std)
}

// client returns a function that makes clients as the flags say.
func (c *mtaCmd) client() (func() *mta.Client, error) {
	var milters []mta.Milter
	for _, spec := range c.Socket {
		network, _, err := wire.ParseAddr(spec)
		switch {
		case err != nil:
			return nil, err
		case network == "fd":
			return nil, fmt.Errorf("socket %q: a milter is asked by its address, not by a descriptor", spec)
		}
		milters = append(milters, mta.Milter{Address: spec})
	}
	macros := map[string]string{}
	if c.Auth != "" {
		macros["auth_authen"], macros["auth_type"] = c.Auth, "PLAIN"
	}
	for name, value := range c.Macro {
		macros[strings.TrimSuffix(strings.TrimPrefix(name, "{"), "}")] = value
	}
	return func() *mta.Client {
		return &mta.Client{Profile: c.Profile, Milters: milters, Failure: mta.FailTempFail, Macros: macros}
	}, nil
}

// one puts a single message through the milters.
func (c *mtaCmd) one(ctx context.Context, client func() *mta.Client, std stdio) error {
	switch {
	case c.File == "":
		return exitf(exitUsage, "name a message, - for standard input, or an address to --listen on")
	case c.Deliver != "":
		return exitf(exitUsage, "--deliver goes with --listen; --output is for one message")
	case c.Output == "-" && c.JSON:
		return exitf(exitUsage, "--json and --output - would both go to standard output")
	}
	conn, err := c.conn()
	if err != nil {
		return exit(exitUsage, err)
	}
	data, err := c.read(std.in)
	if err != nil {
		return exit(exitData, err)
	}
	m := mta.Mail{Conn: conn, Helo: c.Helo, From: "<sender@example.com>", Data: data}
	if m.Helo == "" {
		m.Helo = cmp.Or(c.ClientName, "localhost")
	}
	if c.From != nil {
		m.From = bracketed(*c.From)
	}
	for _, r := range c.Rcpt {
		if strings.TrimSpace(r) == "" {
			return exitf(exitUsage, "--rcpt is empty; only a sender may be")
		}
		m.Rcpts = append(m.Rcpts, bracketed(r))
	}
	if len(m.Rcpts) == 0 {
		m.Rcpts = []string{"<rcpt@example.com>"}
	}
	res, err := client().Send(ctx, m)
	if err != nil {
		return exit(exitTemporary, err)
	}
	res.File = c.File
	if c.Output != "" {
		if err := c.write(std, res, data); err != nil {
			return exit(exitCantCreate, err)
		}
	}
	switch {
	case c.JSON:
		err = json.NewEncoder(std.out).Encode(res)
	case c.Output == "-":
		printResult(std.err, res)
	default:
		printResult(std.out, res)
	}
	if err != nil {
		return exit(exitCantCreate, err)
	}
	return exit(exitUnavailable, broken(res))
}

// broken tells of the milters that could not be reached or broke the protocol.
func broken(res *mta.Result) error {
	var errs []error
	for _, f := range res.Filters {
		if f.Why != "" {
			errs = append(errs, fmt.Errorf("milter %s: %s", f.Name, printable(f.Why)))
		}
	}
	return errors.Join(errs...)
}

func (c *mtaCmd) read(stdin io.Reader) ([]byte, error) {
	if c.File == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(c.File)
}

// write writes the message as it is delivered, with line ends as they came.
func (c *mtaCmd) write(std stdio, res *mta.Result, came []byte) error {
	if res.Verdict != mta.Accept || len(res.Envelope.Rcpts) == 0 {
		fmt.Fprintln(std.err, "gomilter: nothing is delivered, so --output writes nothing")
		return nil
	}
	msg := res.Message.Bytes()
	if !bytes.Contains(came, []byte("\r\n")) {
		msg = unixLines(msg)
	}
	if c.Output == "-" {
		_, err := std.out.Write(msg)
		return err
	}
	return os.WriteFile(c.Output, msg, 0o600)
}

// conn returns the SMTP client as the flags describe it.
func (c *mtaCmd) conn() (mta.Conn, error) {
	conn := mta.Conn{Name: c.ClientName}
	if path, ok := strings.CutPrefix(c.Client, "unix:"); ok {
		conn.Unix = path
		return conn, nil
	}
	if c.Client == "" {
		conn.Name = cmp.Or(conn.Name, "localhost")
	}
	addr, err := parseClient(cmp.Or(c.Client, "127.0.0.1"))
	conn.Addr = addr
	return conn, err
}

// parseClient reads an address with or without a port, which is made up then.
func parseClient(s string) (netip.AddrPort, error) {
	const anyPort = 49152
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return netip.AddrPortFrom(a, anyPort), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return ap, fmt.Errorf("--client %q is no IP address; one with a port is written 192.0.2.7:25 or [2001:db8::7]:25", s)
	}
	return ap, nil
}

// bracketed puts angle brackets around an address that has none.
func bracketed(addr string) string {
	if strings.HasPrefix(addr, "<") {
		return addr
	}
	return "<" + addr + ">"
}

// listen is an SMTP server until ctx ends.
func (c *mtaCmd) listen(ctx context.Context, client func() *mta.Client, std stdio) error {
	switch {
	case c.Deliver == "":
		return exitf(exitUsage, "--listen needs a Maildir to deliver to: --deliver DIR")
	case c.File != "" || c.From != nil || c.Rcpt != nil || c.Client != "" || c.ClientName != "" || c.Helo != "" || c.Output != "":
		return exitf(exitUsage, "with --listen the message, its envelope and its client come by SMTP; leave their flags out")
	}
	box, err := openMailbox(c.Deliver)
	if err != nil {
		return exit(exitCantCreate, err)
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return exit(exitUnavailable, err)
	}
	dir, err := filepath.Abs(c.Deliver)
	if err != nil {
		return exit(exitCantCreate, err)
	}
	log := newLog(std.err)
	log.Info("listening", "addr", ln.Addr(), "milters", strings.Join(c.Socket, " "), "maildir", dir)
	if everybody(ln.Addr()) {
		log.Warn("open to everybody who can reach this machine; name a host to listen on, as in --listen 127.0.0.1:2525")
	}
	srv := &smtpServer{
		client: client, box: box, maxSize: c.MaxSize, log: log,
		done: func(d delivery) {
			if c.JSON {
				line, _ := json.Marshal(d.res)
				fmt.Fprintf(std.out, "%s\n", line)
			}
		},
	}
	err = srv.serve(ctx, ln)
	log.Info("stopped")
	return exit(exitUnavailable, err)
}

// everybody reports whether a listener takes connections at all addresses.
func everybody(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && (len(tcp.IP) == 0 || tcp.IP.IsUnspecified())
}

func newLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
