package offline

import (
	"bytes"
	"cmp"
	"net/netip"
	"regexp"
	"strings"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/mta"
)

// An Envelope says what the SMTP client of the messages is and does. What it leaves
// open is taken from each message.
type Envelope struct {
	// From is the sender as after MAIL FROM:, in angle brackets. nil means: the
	// Return-Path, the sender in the line that begins the message in a mailbox file,
	// the first address in From, or else <sender@example.com>.
	From *string
	// Rcpts are the recipients as after RCPT TO:. None means: all X-Original-To above
	// the first Received, all Delivered-To there, the addresses in To and Cc, or else
	// <rcpt@example.com>.
	Rcpts []string
	// Conn is the SMTP client. nil means the host that the first Received names, where
	// Received is set and it names one, and otherwise a client with the address
	// 192.0.2.1 and no name.
	Conn *mta.Conn
	// Helo is what the client says; "" means what the first Received tells, where the
	// client is from there, and otherwise the client's name or its address.
	Helo string

	Received bool
}

// maxRcpts bounds the recipients that are taken from a header.
const maxRcpts = 1000

var unknownClient = netip.MustParseAddrPort("192.0.2.1:49152")

// mail returns a message with its envelope.
func (e *Envelope) mail(m *Message) mta.Mail {
	h := message.Parse(m.Data[:headerSize(m.Data)]).Header
	mail := mta.Mail{Data: m.Data, Rcpts: e.Rcpts, Helo: e.Helo}
	if e.From != nil {
		mail.From = *e.From
	} else {
		mail.From = sender(h, m.Line)
	}
	if len(mail.Rcpts) == 0 {
		mail.Rcpts = recipients(h)
	}
	if e.Conn != nil {
		mail.Conn = *e.Conn
	} else {
		mail.Conn = mta.Conn{Addr: unknownClient}
		if f, ok := h.Get("Received"); ok && e.Received {
			if c, helo, ok := received(f.Decoded()); ok {
				mail.Conn = c
				mail.Helo = cmp.Or(e.Helo, helo)
			}
		}
	}
	if mail.Helo == "" {
		mail.Helo = cmp.Or(mail.Conn.Name, literal(mail.Conn.Addr.Addr()))
	}
	return mail
}

// literal returns an address as HELO has it (RFC 5321 section 4.1.3).
func literal(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "localhost"
	case a.Is6():
		return "[IPv6:" + a.String() + "]"
	}
	return "[" + a.String() + "]"
}

// headerSize returns where the body begins, at most.
func headerSize(b []byte) int {
	for i := 0; i < len(b); {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			break
		}
		if line := bytes.TrimSuffix(b[i:i+n], []byte("\r")); len(line) == 0 {
			return i
		}
		i += n + 1
	}
	return len(b)
}

// sender returns the sender that a message was delivered with, or looks as if.
func sender(h message.Header, line string) string {
	if f, ok := h.Get("Return-Path"); ok {
		if p, err := address.ParsePath(strings.TrimSpace(f.Decoded())); err == nil {
			return "<" + p.String() + ">"
		}
	}
	if words := strings.Fields(line); len(words) > 1 {
		if words[1] == "MAILER-DAEMON" || words[1] == "-" {
			return "<>"
		}
		if p, err := address.ParsePath(words[1]); err == nil && strings.Contains(words[1], "@") {
			return "<" + p.String() + ">"
		}
	}
	if f, ok := h.Get("From"); ok {
		if to := addresses(nil, map[string]bool{}, f); len(to) > 0 {
			return to[0]
		}
	}
	return "<sender@example.com>"
}

// recipients returns the recipients that a message was delivered to, or looks as if.
func recipients(h message.Header) (to []string) {
	// What the last delivery added stands above the first Received.
	top := h
	for i, f := range h {
		if f.Is("Received") {
			top = h[:i]
			break
		}
	}
	seen := make(map[string]bool)
	for _, names := range [][]string{{"X-Original-To"}, {"Delivered-To"}, {"To", "Cc"}} {
		if names[0] == "To" {
			top = h
		}
		for _, name := range names {
			for _, f := range top.All(name) {
				to = addresses(to, seen, f)
			}
		}
		if len(to) > 0 {
			return to
		}
	}
	return []string{"<rcpt@example.com>"}
}

// addresses adds the addresses in a field to those before, each once.
func addresses(to []string, seen map[string]bool, f message.Field) []string {
	for box := range address.Mailboxes(f.Text(false), nil) {
		if len(to) >= maxRcpts {
			break
		}
		text := box.Path.String()
		// What a path cannot be, no client sends.
		if p, err := address.ParsePath(text); err != nil || p.Null() || len(text) > 512 || seen["<"+text+">"] {
			continue
		}
		seen["<"+text+">"] = true
		to = append(to, "<"+text+">")
	}
	return to
}

var (
	// Postfix and Sendmail: from HELO (NAME [ADDRESS]); Exim: from NAME ([ADDRESS] helo=HELO).
	fromBrackets = regexp.MustCompile(`^from\s+(\S+)\s+\(([^()\[\]]*)\[(?:IPv6:)?([0-9A-Fa-f.:]+)\](?:[^()]*helo=([^\s()]+))?`)
	// qmail: from NAME (HELO HELO) (ADDRESS).
	fromQmail = regexp.MustCompile(`^from\s+(\S+)\s+(?:\(HELO\s+(\S+)\)\s+)?\((?:\S+@)?([0-9A-Fa-f.:]+)\)`)
)

// received reads the client of a Received field (RFC 5321 section 4.4).
func received(value string) (c mta.Conn, helo string, ok bool) {
	value = strings.TrimSpace(value)
	value = value[:min(len(value), 2000)]
	var name, addr string
	if m := fromBrackets.FindStringSubmatch(value); m != nil {
		helo, name, addr = m[1], strings.TrimSpace(m[2]), m[3]
		if m[4] != "" {
			name, helo = m[1], m[4]
		}
		if _, after, ok := strings.Cut(name, "@"); ok { // Sendmail has an ident in front
			name = after
		}
	} else if m := fromQmail.FindStringSubmatch(value); m != nil {
		name, helo, addr = m[1], cmp.Or(m[2], m[1]), m[3]
	}
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return c, "", false
	}
	if name == "unknown" || strings.HasPrefix(name, "[") {
		name = ""
	}
	return mta.Conn{Name: strings.TrimSuffix(name, "."), Addr: netip.AddrPortFrom(a.Unmap(), unknownClient.Port())}, helo, true
}
