package mta

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/internal/wire"
)

// A Profile is the MTA whose ways are followed.
type Profile uint8

// The profiles.
const (
	Sendmail Profile = iota // 8.17
	Postfix                 // 3.7
)

var profileNames = [...]string{"sendmail", "postfix"}

// String returns "sendmail" or "postfix".
func (p Profile) String() string {
	if int(p) < len(profileNames) {
		return profileNames[p]
	}
	return fmt.Sprintf("profile %d", uint8(p))
}

// MarshalText returns what String returns.
func (p Profile) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote, in any letter case.
func (p *Profile) UnmarshalText(b []byte) error { return unmarshal(p, b, profileNames[:], "MTA") }

// A Failure says what the MTA does when a filter cannot be reached, takes too
// long or breaks the protocol: Sendmail's F=, Postfix's milter_default_action.
type Failure uint8

// The failure policies.
const (
	FailDefault    Failure = iota // Sendmail: accept. Postfix: tempfail
	FailAccept                    // go on as if the filter were not there
	FailReject                    // F=R
	FailTempFail                  // F=T
	FailShutdown                  // F=4: reply 421 and close
	FailQuarantine                // Postfix only; Sendmail takes it for FailAccept
)

var failureNames = [...]string{"default", "accept", "reject", "tempfail", "shutdown", "quarantine"}

// String returns the policy's name as Postfix has it, such as "tempfail".
func (f Failure) String() string {
	if int(f) < len(failureNames) {
		return failureNames[f]
	}
	return fmt.Sprintf("failure policy %d", uint8(f))
}

// MarshalText returns what String returns.
func (f Failure) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (f *Failure) UnmarshalText(b []byte) error {
	return unmarshal(f, b, failureNames[:], "failure policy")
}

// Timeouts bound the waits for a filter. Zero means the MTA's default.
type Timeouts struct {
	Connect time.Duration // Sendmail C, 5 min. Postfix milter_connect_timeout, 30 s
	Write   time.Duration // Sendmail S, 10 s, a packet. Not used by Postfix
	// Command bounds the wait for one reply packet in Sendmail, at every stage
	// (R, 10 s), and for a read or a write up to DATA in Postfix
	// (milter_command_timeout, 30 s).
	Command time.Duration
	// Content bounds the whole end of message in Sendmail, progress or not (E,
	// 5 min), and each read or write from the first header field on in Postfix
	// (milter_content_timeout, 5 min).
	Content time.Duration
}

var defaultTimeouts = [...]Timeouts{
	Sendmail: {Connect: 300 * time.Second, Write: 10 * time.Second, Command: 10 * time.Second, Content: 300 * time.Second},
	Postfix:  {Connect: 30 * time.Second, Write: 30 * time.Second, Command: 30 * time.Second, Content: 300 * time.Second},
}

// or fills in what t leaves open from others, the first first.
func (t Timeouts) or(others ...Timeouts) Timeouts {
	for _, o := range others {
		t.Connect = cmp.Or(t.Connect, o.Connect)
		t.Write = cmp.Or(t.Write, o.Write)
		t.Command = cmp.Or(t.Command, o.Command)
		t.Content = cmp.Or(t.Content, o.Content)
	}
	return t
}

// A Milter is a filter as the MTA's configuration names it.
type Milter struct {
	Name string // in results; "" means the address
	// Address is where the filter listens, such as "unix:/run/f.sock" or
	// "inet:8025@localhost". With Network set it is what net.Dial takes.
	Address string
	Network string
	// Dial connects to the filter in place of Network and Address.
	Dial     func(ctx context.Context) (net.Conn, error)
	Failure  Failure  // FailDefault means the Client's
	Timeouts Timeouts // what is zero is the Client's
	Version  uint32   // protocol version offered, 2 to 6; 0 means the Client's
}

// A Client drives filters as an MTA. Its methods may be called at the same time
// as long as no field is changed.
type Client struct {
	Profile  Profile
	Milters  []Milter // in the order they are asked
	Failure  Failure
	Timeouts Timeouts
	Version  uint32 // protocol version offered, 2 to 6; 0 means 6
	// Hostname is the MTA's own name, macro j; "" means the system's.
	Hostname string
	// Macros holds values for macros, by name without braces; they go before what
	// the Client would give. Filters see those on the list of a stage only.
	Macros map[string]string
	// Lists replaces the MTA's default list of macros for stages, names separated
	// by blanks. "" sends none.
	Lists map[Stage]string
	// Route tells how the MTA would deliver to or from an address, for the macros
	// {mail_mailer}, {mail_host} and {mail_addr} and those of recipients. nil means
	// by SMTP to the address's domain.
	Route func(address string) (mailer, host, addr string)
	// QueueID names the next message; nil means a made-up name as the MTA's.
	QueueID func() string
	// MakeUp adds the fields Date, From and Message-Id where the client left them
	// out: Postfix, for its own clients, before the filters see the header,
	// Sendmail after.
	MakeUp bool
	// Received puts the MTA's own Received field into messages of results. It
	// counts for positions in any case.
	Received bool

	MaxReply int // payload of a reply packet, in bytes; 0 means 1 MiB and 64
	MaxEdits int // edits of one filter in one message; 0 means 100000
	// MaxEditSize bounds the bytes of one filter's edits of one message, the body
	// included; 0 means 256 MiB.
	MaxEditSize int64

	// Now tells the time, for made-up fields and names; nil means time.Now.
	Now func() time.Time
	// Trace, when set, is told every packet, before it is sent and after it came.
	Trace func(Packet)

	count uint32 // of messages, for queue ids; atomic
}

// A Packet is one frame of a conversation with a filter.
type Packet struct {
	Milter  string // its name
	Sent    bool   // by the MTA
	Code    byte   // command or reply
	Payload []byte // lent until Trace returns
}

// A Stage is a step of the SMTP conversation.
type Stage = wire.Stage

// The stages.
const (
	StageConnect      = wire.StageConnect
	StageHelo         = wire.StageHelo
	StageMail         = wire.StageMail
	StageRcpt         = wire.StageRcpt
	StageData         = wire.StageData
	StageHeader       = wire.StageHeader
	StageEndOfHeaders = wire.StageEndOfHeaders
	StageBody         = wire.StageBody
	StageEnd          = wire.StageEnd
	StageUnknown      = wire.StageUnknown
	StageNegotiate    = wire.StageNegotiate
)

// A Conn is the SMTP client. The zero Conn is one that the MTA knows nothing of.
type Conn struct {
	// Name is the client's host name as the MTA found it; "" when it has none.
	Name string
	Addr netip.AddrPort // of a client by IPv4 or IPv6
	Unix string         // path of a client by Unix socket
}

const (
	defaultMaxReply    = 1<<20 + 64
	defaultMaxEdits    = 100_000
	defaultMaxEditSize = 256 << 20
)

func (c *Client) hostname() string {
	if c.Hostname != "" {
		return c.Hostname
	}
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "localhost"
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// Connect tells the filters that an SMTP client has connected, and returns the
// session even when they refuse it: the client may go on to be told so. The
// caller closes it.
//
// An error says that ctx is done; what filters do wrong is an outcome.
func (c *Client) Connect(ctx context.Context, conn Conn) (*Session, Outcome, error) {
	s := newSession(c, conn)
	out, err := s.step(ctx, StageConnect, func(ctx context.Context) Outcome { return s.ways.connect(ctx) })
	return s, out, err
}

// A Mail is one message with its envelope, for Send.
type Mail struct {
	Conn   Conn
	Helo   string // "" means no HELO
	From   string // as after MAIL FROM:, parameters and all: "<a@example.com> SIZE=100"
	Rcpts  []string
	Data   []byte
	Macros map[string]string // set before MAIL, such as those of AUTH
}

// Send plays the whole session of one message, as a client does that stops where
// it is refused, and returns what became of it.
func (c *Client) Send(ctx context.Context, m Mail) (*Result, error) {
	s, out, err := c.Connect(ctx, m.Conn)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	end := func() (*Result, error) {
		if err == nil {
			err = s.Quit(ctx)
		}
		return s.Result(), err
	}
	if out.Reply != nil {
		return end()
	}
	if m.Helo != "" {
		if out, err = s.Helo(ctx, m.Helo); err != nil || out.Reply != nil {
			return end()
		}
	}
	s.SetMacros(m.Macros)
	from, params := cutParams(m.From)
	if out, err = s.Mail(ctx, from, params...); err != nil || out.Reply != nil {
		return end()
	}
	taken := false
	for _, to := range m.Rcpts {
		to, params := cutParams(to)
		if out, err = s.Rcpt(ctx, to, params...); err != nil || s.Closed() {
			return end()
		}
		taken = taken || out.Reply == nil
	}
	if !taken {
		return end()
	}
	if out, err = s.Data(ctx); err != nil || out.Reply != nil {
		return end()
	}
	if _, err = s.Message(ctx, m.Data); err != nil {
		return nil, err
	}
	return end()
}

// SendLocal plays one message that a program on the MTA's own machine hands over
// with the command sendmail. Of m it takes From, Rcpts, Data and Macros.
//
// Sendmail passes such a message on by SMTP, from localhost to itself. In Postfix
// cleanup plays the SMTP server towards non_smtpd_milters: with a client
// localhost, addresses without angle brackets or parameters, the queue id known
// from the start, and no ABORT. Nobody is there to be told of a refusal: after a
// reject the message is returned to its sender, after a tempfail it stays in the
// queue, to be tried again; so it does when a recipient is refused.
func (c *Client) SendLocal(ctx context.Context, m Mail) (*Result, error) {
	m.Conn = Conn{Name: "localhost", Addr: netip.MustParseAddrPort("127.0.0.1:0")}
	if c.Profile == Sendmail {
		m.Helo = c.hostname()
		return c.Send(ctx, m)
	}
	s := newSession(c, m.Conn)
	defer s.Close()
	s.local = true
	s.newQueueID()
	s.SetMacros(m.Macros)
	end := func(err error) (*Result, error) {
		if err != nil && err != ErrClosed {
			return nil, err
		}
		return s.Result(), s.Quit(ctx)
	}
	if _, err := s.step(ctx, StageConnect, func(ctx context.Context) Outcome { return s.ways.connect(ctx) }); err != nil {
		return end(err)
	}
	if _, err := s.Helo(ctx, "localhost"); err != nil {
		return end(err)
	}
	from, _ := edit.ParseAddress(m.From)
	if out, err := s.Mail(ctx, from); err != nil || out.Reply != nil {
		return end(err)
	}
	for _, to := range m.Rcpts {
		to, _ = edit.ParseAddress(to)
		out, err := s.Rcpt(ctx, to)
		if err != nil {
			return end(err)
		}
		if out.Reply != nil {
			s.result.Verdict, s.result.Stage = TempFail, StageRcpt.String()
			s.result.Reply = reply(451, "4.3.5", "Server configuration problem - try again later")
			return end(nil)
		}
	}
	if out, err := s.Data(ctx); err != nil || out.Reply != nil {
		return end(err)
	}
	_, err := s.Message(ctx, m.Data)
	return end(err)
}
