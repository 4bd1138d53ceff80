package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/gomilter/gomilter/mta"
)

// An smtpServer takes messages by SMTP, asks milters at each step as an MTA does,
// and delivers to a Maildir.
//
// The SMTP library answers DATA with 354 before it calls us: a milter's refusal
// of DATA is told after the message. Commands that the library does not know, and
// a repeated HELO of the same name, are not told to the milters.
type smtpServer struct {
	client  func() *mta.Client // makes a client for each SMTP connection
	box     *mailbox
	maxSize int64
	log     *slog.Logger
	done    func(delivery) // told of the end of each transaction, before its reply leaves

	ids   atomic.Uint32
	conns atomic.Int32
	open  sync.WaitGroup // for the same connections
}

// A delivery is how a transaction ended.
type delivery struct {
	res   *mta.Result
	queue string
	path  string // of the file delivered or held, "" for none
	why   string // of a verdict that is not the milters'
}

const (
	smtpMaxConns = 50
	smtpMaxRcpts = 1000
	smtpIdle     = 5 * time.Minute // RFC 5321 section 4.5.3.2.7
	smtpWrite    = 1 * time.Minute
	smtpDrain    = 10 * time.Second
)

// serve serves until ctx ends, then lets running conversations finish for a while.
func (s *smtpServer) serve(ctx context.Context, ln net.Listener) error {
	conv, cancel := context.WithCancel(context.WithoutCancel(ctx)) // for conversations
	defer cancel()
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return c.Conn().(*smtpConn).session(c)
	}))
	host, _ := os.Hostname()
	srv.Domain = cmp.Or(s.client().Hostname, host, "localhost") // as the milters are told
	srv.ReadTimeout, srv.WriteTimeout = smtpIdle, smtpWrite
	srv.MaxMessageBytes, srv.MaxRecipients = s.maxSize, smtpMaxRcpts
	srv.EnableSMTPUTF8, srv.EnableDSN, srv.EnableBINARYMIME = true, true, true
	srv.ErrorLog = log.New(logWriter{s.log}, "", 0)

	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(&smtpListener{ln, conv, ctx, s}) }()
	select {
	case err := <-ended:
		srv.Close()
		return err
	case <-ctx.Done():
	}
	drain, stop := context.WithTimeout(conv, smtpDrain)
	defer stop()
	srv.Shutdown(drain) // its error says that some took longer
	cancel()
	s.open.Wait()
	return <-ended
}

// queueID names a message.
func (s *smtpServer) queueID() string {
	return fmt.Sprintf("%X%04X", time.Now().UnixMicro()&0xfffffffff, s.ids.Add(1)&0xffff)
}

type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(b []byte) (int, error) {
	w.log.Warn("smtp", "err", strings.TrimSpace(string(b)))
	return len(b), nil
}

type smtpListener struct {
	net.Listener
	ctx, stop context.Context // of conversations; of new transactions
	srv       *smtpServer
}

func (l *smtpListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.srv.conns.Add(1) > smtpMaxConns {
			l.srv.conns.Add(-1)
			nc.SetWriteDeadline(time.Now().Add(time.Second))
			io.WriteString(nc, "421 4.3.2 Too many connections\r\n")
			nc.Close()
			continue
		}
		c := &smtpConn{Conn: nc, srv: l.srv, stop: l.stop}
		var cancel context.CancelFunc
		c.ctx, cancel = context.WithCancel(l.ctx)
		context.AfterFunc(c.ctx, func() { nc.Close() })
		unstop := context.AfterFunc(l.stop, func() { c.SetReadDeadline(time.Time{}) })
		l.srv.open.Add(1)
		c.done = sync.OnceFunc(func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.m != nil {
				ctx, cancel := context.WithTimeout(c.ctx, time.Second)
				c.m.Quit(ctx)
				cancel()
			}
			unstop()
			cancel()
			l.srv.conns.Add(-1)
			l.srv.open.Done()
		})
		return c, nil
	}
}

// An smtpConn is a connection of an SMTP client. It sees the greeting pass, which
// is when milters are told of the client, hangs up after a reply 421, and when
// the server stops makes an end where no transaction is open.
type smtpConn struct {
	net.Conn
	srv       *smtpServer
	ctx, stop context.Context
	done      func()

	busy     atomic.Bool // with a transaction
	tooLarge atomic.Bool // the SMTP library refused its message

	// The SMTP library reads BDAT and feeds us in different goroutines.
	mu     sync.Mutex
	m      *mta.Session
	queue  string // id of the message under way
	hangup atomic.Bool
}

func (c *smtpConn) Write(b []byte) (int, error) {
	n := len(b)
	if c.m == nil {
		if refusal := c.greet(); refusal != nil {
			b = []byte(strings.Join(refusal.Lines(), "\r\n") + "\r\n")
		}
	}
	if _, err := c.Conn.Write(b); err != nil {
		return 0, err
	}
	if line, ok := bytes.CutSuffix(b, []byte("\r\n")); ok && bytes.HasPrefix(line, []byte("552 5.3.4 Max")) {
		if c.busy.Load() {
			c.tooLarge.Store(true) // Reset follows, and tells
		} else { // at MAIL, of which the library tells us nothing
			c.srv.log.Info("message", "client", c.RemoteAddr(), "verdict", mta.Reject, "reply", printable(string(line)))
		}
	}
	if c.hangup.Load() && bytes.HasPrefix(b, []byte("421 ")) {
		c.Conn.Close()
	}
	return n, nil
}

func (c *smtpConn) SetReadDeadline(t time.Time) error {
	if c.stop.Err() != nil && !c.busy.Load() {
		t = time.Now()
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *smtpConn) Close() error {
	c.done()
	return c.Conn.Close()
}

// greet tells the milters of the client.
func (c *smtpConn) greet() *mta.Reply {
	var conn mta.Conn
	if addr, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		if conn.Addr = addr; addr.Addr().Unmap().IsLoopback() {
			conn.Name = "localhost"
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	client := c.srv.client()
	client.Received = true
	client.QueueID = func() string { c.queue = c.srv.queueID(); return c.queue }
	m, out, err := client.Connect(c.ctx, conn)
	c.m = m
	return c.refusal(out, err)
}

// refusal returns what the client is told instead of the usual, nil for nothing.
func (c *smtpConn) refusal(out mta.Outcome, err error) *mta.Reply {
	for _, f := range out.Faults {
		c.srv.log.Error("milter failed", "milter", f.Milter, "stage", f.Stage, "err", f.Err)
	}
	if err != nil {
		out.Reply = &mta.Reply{Code: 421, Enhanced: "4.3.2", Text: []string{"Service is shutting down"}}
	}
	if c.m.Closed() {
		c.hangup.Store(true)
	}
	return out.Reply
}

// smtpError returns a reply as the SMTP library wants it: a line each, the
// enhanced codes where the reply has them.
func smtpError(r *mta.Reply) error {
	if r == nil {
		return nil
	}
	lines := r.Lines()
	text := make([]string, len(lines))
	for i, l := range lines {
		if len(l) > 4 {
			text[i] = l[4:]
		}
	}
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.NoEnhancedCode, Message: strings.Join(text, "\n")}
}

// session begins a session at HELO.
func (c *smtpConn) session(sc *smtp.Conn) (smtp.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &smtpSession{c: c, sc: sc}
	return s, s.helo()
}

// An smtpSession is what the SMTP library tells of a client.
type smtpSession struct {
	c    *smtpConn
	sc   *smtp.Conn
	name string // told in HELO
	open bool   // a transaction is
	told bool   // how it ended was told
}

// reply returns the error of which the SMTP library makes its reply.
func (s *smtpSession) reply(out mta.Outcome, err error) error {
	return smtpError(s.c.refusal(out, err))
}

func (s *smtpSession) helo() error {
	s.name = s.sc.Hostname()
	return s.reply(s.c.m.Helo(s.c.ctx, s.name))
}

func (s *smtpSession) Mail(from string, o *smtp.MailOptions) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	nested := s.open
	if !nested {
		s.c.queue = ""
		s.c.tooLarge.Store(false)
	}
	err := s.reply(s.c.m.Mail(s.c.ctx, "<"+from+">", mailParams(o)...))
	switch {
	case nested:
	case err != nil:
		s.tell(delivery{res: s.c.m.Result()})
	default:
		s.open, s.told = true, false
		s.c.busy.Store(true)
	}
	return err
}

func (s *smtpSession) Rcpt(to string, o *smtp.RcptOptions) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.reply(s.c.m.Rcpt(s.c.ctx, "<"+to+">", rcptParams(o)...))
}

func (s *smtpSession) Data(r io.Reader) error {
	if err := s.data(); err != nil {
		return err
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return err // the library resets us
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if !s.open {
		return smtp.ErrDataReset
	}
	d := delivery{queue: s.c.queue}
	if d.res, err = s.c.m.Message(s.c.ctx, raw); err != nil {
		return s.reply(mta.Outcome{}, err)
	}
	s.open = false
	err = s.reply(mta.Outcome{Reply: refusal(d.res), Faults: d.res.Faults}, nil)
	if err == nil {
		if d.path, err = s.c.srv.box.take(d.res); err != nil {
			s.c.srv.log.Error("not delivered", "queue", d.queue, "err", err)
			d.res.Reply = &mta.Reply{Code: 451, Enhanced: "4.3.0", Text: []string{"The message cannot be stored now"}}
			d.res.Verdict = mta.TempFail
			err = smtpError(d.res.Reply)
		}
	}
	s.tell(d)
	if err == nil {
		err = &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "Ok: queued as " + d.queue}
	}
	return err
}

// data tells the milters of DATA.
func (s *smtpSession) data() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if !s.open {
		return smtp.ErrDataReset
	}
	err := s.reply(s.c.m.Data(s.c.ctx))
	if err != nil {
		s.tell(delivery{res: s.c.m.Result(), queue: s.c.queue})
	}
	return err
}

// Reset is called at RSET, at a repeated HELO, and after each message.
func (s *smtpSession) Reset() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.drop()
	if s.open {
		s.reply(mta.Outcome{}, s.c.m.Reset(s.c.ctx))
		s.open = false
	}
	s.c.busy.Store(false)
	if s.sc.Hostname() != s.name {
		s.helo() // what it refuses is told at MAIL
	}
}

func (s *smtpSession) Logout() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.drop()
	return nil
}

// drop tells of a transaction that came to no verdict of the milters: the client
// gave it up, or the SMTP library refused it.
func (s *smtpSession) drop() {
	if !s.open || s.told {
		return
	}
	d := delivery{res: s.c.m.Result(), queue: s.c.queue}
	switch {
	case s.c.tooLarge.Load():
		d.res.Verdict, d.res.Stage = mta.Reject, mta.StageBody.String()
		d.res.Reply = &mta.Reply{Code: 552, Enhanced: "5.3.4", Text: []string{"Max message size exceeded"}}
		d.why = "larger than --max-size"
	case refusal(d.res) == nil, slices.ContainsFunc(d.res.Recipients, func(r mta.Recipient) bool { return r.Reply == nil }):
		d.res.Verdict, d.res.Stage, d.res.Reply = mta.Continue, "", nil
		d.why = "the client gave the message up"
	}
	s.tell(d)
}

// tell tells how a transaction ended.
func (s *smtpSession) tell(d delivery) {
	s.told = true
	facts := []any{"queue", d.queue, "client", s.c.RemoteAddr(), "from", d.res.Envelope.From,
		"rcpts", d.res.Envelope.Addresses(), "verdict", verdictText(d.res.Verdict)}
	if d.why != "" {
		facts = append(facts, "why", d.why)
	}
	if r := refusal(d.res); r != nil {
		facts = append(facts, "reply", replyText(r))
	}
	for _, r := range d.res.Recipients {
		if r.Reply != nil {
			facts = append(facts, "refused", r.Address+": "+replyText(r.Reply))
		}
	}
	if d.res.Quarantine != nil {
		facts = append(facts, "held", *d.res.Quarantine)
	}
	for _, e := range d.res.Edits {
		facts = append(facts, "edit", e.Edit.String())
	}
	if d.path != "" {
		facts = append(facts, "file", d.path)
	}
	s.c.srv.log.Info("message", facts...)
	if s.c.srv.done != nil {
		s.c.srv.done(d)
	}
}

// verdictText names a verdict; Continue is none.
func verdictText(v mta.Verdict) string {
	if v == mta.Continue {
		return "none"
	}
	return v.String()
}

// mailParams returns the parameters of MAIL as the client may have written them.
func mailParams(o *smtp.MailOptions) (params []string) {
	add := func(name, value string) {
		if value != "" {
			params = append(params, name+"="+value)
		}
	}
	if o.Size > 0 {
		add("SIZE", fmt.Sprint(o.Size))
	}
	add("BODY", string(o.Body))
	if o.UTF8 {
		params = append(params, "SMTPUTF8")
	}
	add("RET", string(o.Return))
	add("ENVID", xtext(o.EnvelopeID))
	if o.Auth != nil {
		add("AUTH", xtext(orNull(*o.Auth)))
	}
	return params
}

func rcptParams(o *smtp.RcptOptions) (params []string) {
	if len(o.Notify) > 0 {
		var list []string
		for _, n := range o.Notify {
			list = append(list, string(n))
		}
		params = append(params, "NOTIFY="+strings.Join(list, ","))
	}
	if o.OriginalRecipient != "" {
		params = append(params, "ORCPT="+strings.ToLower(string(o.OriginalRecipientType))+";"+xtext(o.OriginalRecipient))
	}
	return params
}

func orNull(addr string) string {
	if addr == "" {
		return "<>"
	}
	return addr
}

// xtext encodes a parameter's value (RFC 3461 section 4).
func xtext(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c == '+' || c == '=' || c == 0x7f {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
