// Package headerrules is a sample filter: it refuses messages by rules on their
// header fields, refuses mail to MAILER-DAEMON, marks what it lets through, and
// logs one line per message.
package headerrules

import (
	"bytes"
	"context"
	"strings"

	"github.com/gomilter/gomilter"
)

// Mark is the header field that tells that a message passed. A field of that name
// that comes with a message is taken out: only this filter may vouch for it.
const Mark = "X-Gomilter-Sample"

// New returns a filter by these rules, to be the New of a [milter.Server].
func New(rules ...Rule) func(*milter.Session) milter.Hooks {
	return func(s *milter.Session) milter.Hooks { return (&conn{s: s, rules: rules}).hooks() }
}

type conn struct {
	s     *milter.Session
	rules []Rule
	msg   message
}

// A message is what is known of the one under way.
type message struct {
	from           string
	rcpts, refused []string
	daemon         bool // is among rcpts
	hit            *Rule
	marks          int
}

func (c *conn) hooks() milter.Hooks {
	return milter.Hooks{
		// The log wants to know the client; a filter without these is not told of it.
		Connect: func(context.Context, *milter.Client) milter.ConnectReply { return milter.Continue },
		Helo:    func(context.Context, []byte) milter.HeloReply { return milter.Continue },
		Mail:    c.mail, Rcpt: c.rcpt, Header: c.header, EndOfHeaders: c.endOfHeaders, End: c.end,
		Abort: c.abort,
		// The MTA need not wait for these.
		Silent:  milter.Stages(milter.StageConnect, milter.StageHelo, milter.StageMail, milter.StageHeader),
		Actions: milter.CanAddHeaders | milter.CanChangeHeaders,
		// Asked for, because a sendmail.cf without "O Milter.macros" sends none by
		// itself. Postfix knows the queue id only later than at MAIL.
		Macros: map[milter.Stage][]string{
			milter.StageMail:         {"i", "{auth_authen}"},
			milter.StageEndOfHeaders: {"i"},
			milter.StageEnd:          {"i"},
		},
	}
}

func (c *conn) mail(_ context.Context, m *milter.Mail) milter.MailReply {
	c.msg = message{from: m.Address()}
	return milter.Continue
}

var toDaemon = milter.Reject(550, "5.1.1", "MAILER-DAEMON sends mail but takes none")

func (c *conn) rcpt(_ context.Context, r *milter.Rcpt) milter.RcptReply {
	if strings.EqualFold(r.Local(), "mailer-daemon") {
		if bytes.HasPrefix(r.Raw(), []byte("<")) {
			c.msg.refused = append(c.msg.refused, r.Address())
			return toDaemon
		}
		// A program on Postfix's own machine names it. Postfix cannot refuse it a
		// recipient and would keep the message for ever; it can return the message.
		c.msg.daemon = true
	}
	c.msg.rcpts = append(c.msg.rcpts, r.Address())
	return milter.Continue
}

func (c *conn) header(_ context.Context, h *milter.Header) milter.HeaderReply {
	if h.Is(Mark) {
		c.msg.marks++
	}
	for i, r := range c.rules {
		if c.msg.hit == nil && h.Is(r.Header) && r.matches(h.Value()) {
			c.msg.hit = &c.rules[i]
		}
	}
	return milter.Continue
}

// endOfHeaders refuses before the body was sent to us.
func (c *conn) endOfHeaders(context.Context) milter.EndOfHeadersReply {
	switch {
	case c.msg.daemon:
		c.log("reject", "local mail to mailer-daemon")
		return toDaemon
	case c.msg.hit != nil:
		c.log("reject", c.msg.hit.Name)
		return milter.Reject(550, "5.7.1", c.msg.hit.Text)
	}
	return milter.Continue
}

func (c *conn) end(_ context.Context, e *milter.Edits) milter.EndReply {
	for ; c.msg.marks > 0; c.msg.marks-- {
		if err := e.DeleteHeader(Mark, c.msg.marks); err != nil {
			return c.fail(err)
		}
	}
	if err := e.AddHeader(Mark, "passed"); err != nil {
		return c.fail(err)
	}
	c.log("accept", "no rule matched")
	return milter.Accept
}

func (c *conn) abort(context.Context) {
	if len(c.msg.rcpts) == 0 && len(c.msg.refused) > 0 {
		c.log("reject", "mailer-daemon")
	} else {
		c.log("none", "the client gave the message up")
	}
}

func (c *conn) fail(err error) milter.EndReply {
	c.log("tempfail", err.Error())
	return milter.DefaultTempFail
}

func (c *conn) log(verdict, why string) {
	user, _ := c.s.Macro("{auth_authen}")
	c.s.Log().Info("message", "queue", c.s.QueueID(), "client", c.client(), "helo", c.s.Helo(), "from", c.msg.from, "user", user,
		"rcpts", c.msg.rcpts, "refused", c.msg.refused, "verdict", verdict, "why", why)
}

// client returns the address of the SMTP client, or what else is known of it.
func (c *conn) client() string {
	client := c.s.Client()
	switch {
	case client.Addr.IsValid():
		return client.Addr.Addr().String()
	case client.Path != "":
		return client.Path
	}
	return client.Host
}
