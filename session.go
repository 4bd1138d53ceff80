package milter

import (
	"bytes"
	"fmt"
	"log/slog"

	"github.com/gomilter/gomilter/internal/wire"
)

// A Session is one SMTP connection as an MTA reports it. Its methods may be
// called from the hooks of its own connection.
type Session struct {
	c *conn
}

// ID names the connection in logs. It is unique across restarts.
func (s *Session) ID() string { return fmt.Sprintf("%s-%d", s.c.srv.boot(), s.c.id) }

// Log returns the server's logger with the connection's id.
func (s *Session) Log() *slog.Logger { return s.c.log() }

// Client returns the SMTP client. Its family is FamilyUnknown until the connect
// stage; a filter without a Connect hook is not told.
func (s *Session) Client() *Client { return &s.c.client }

// Helo returns the last argument of HELO or EHLO, at most 4 KiB of it, "" before
// it. A filter without a Helo hook is not told.
func (s *Session) Helo() string { return string(s.c.helo) }

// Macro returns the value of a macro and whether the MTA sent it. One-letter names
// may be given bare or in braces. A macro is known from the stage at which the
// MTA sends it to the end of its life: macros of connect and helo last for the
// connection, those of later stages for the message at most, those of a
// recipient until the next one.
func (s *Session) Macro(name string) (string, bool) {
	v, ok := s.c.macros.get(name)
	return string(v), ok
}

// QueueID returns the MTA's id of the message (macro i), "" when it is not known
// yet: Sendmail tells it from mail on, Postfix from data on (and to filters with
// no Data hook, with the header).
func (s *Session) QueueID() string {
	v, _ := s.Macro("i")
	return v
}

// Version returns the protocol version agreed on, 2 to 6; 0 for an MTA that did not
// negotiate.
func (s *Session) Version() int { return int(s.c.granted.Version) }

// Actions returns the kinds of edits the MTA granted.
func (s *Session) Actions() Actions { return s.c.granted.Actions }

// Protocol returns the protocol bits agreed on.
func (s *Session) Protocol() Protocol { return s.c.granted.Protocol }

// An MTA is the kind of mail server at the other end.
type MTA uint8

// The kinds.
const (
	MTAUnknown MTA = iota // nothing told it yet; Sendmail does not say
	MTAPostfix
)

// String returns the kind's name.
func (m MTA) String() string {
	if m == MTAPostfix {
		return "Postfix"
	}
	return "unknown"
}

// MTA returns the kind of mail server at the other end. Postfix shows itself by
// its macro v, or at the latest with the first header or body.
func (s *Session) MTA() MTA {
	if s.c.postfix.Load() {
		return MTAPostfix
	}
	return MTAUnknown
}

// noteMTA looks for what only Postfix sends: macros for header fields, body and
// unknown commands, and its name in macro v.
func (c *conn) noteMTA(cmd byte) {
	switch cmd {
	case wire.CmdHeader, wire.CmdBody, wire.CmdUnknown:
		if !c.postfix.Load() {
			c.postfix.Store(true)
		}
	case wire.CmdConnect:
		if v, _ := c.macros.get("v"); bytes.HasPrefix(v, []byte("Postfix")) {
			c.postfix.Store(true)
		}
	}
}
