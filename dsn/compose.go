package dsn

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/message"
)

var (
	// ErrNotWanted says that there is nobody the sender is to be told of, see [Concerned].
	ErrNotWanted = errors.New("dsn: no recipient is to be told of")
	// ErrNullSender says that the notice would go to the null sender, which gets none
	// (RFC 3464 section 2; RFC 5321 section 6.1).
	ErrNullSender = errors.New("dsn: the null sender gets no notice")
	// ErrAddress says that an address cannot stand in a message: it holds control
	// characters, is longer than 320 bytes, or has no domain.
	ErrAddress = errors.New("dsn: the address cannot stand in a message")
	// ErrTemplate says that there is no template of the name.
	ErrTemplate = errors.New("dsn: no such template")
	// ErrMessageID says that a Message-ID cannot stand in its field.
	ErrMessageID = errors.New("dsn: not a Message-ID")
	// ErrHost says that the Composer's host is no host name.
	ErrHost = errors.New("dsn: not a host name")
)

const (
	maxAddress    = 320  // bytes: 64 for the local part, one, 255 for the domain (RFC 5321 section 4.5.3.1)
	maxDiagnostic = 1000 // bytes of a reply in the report
)

// A Return is the RET parameter of MAIL (RFC 3461 section 4.3).
type Return uint8

// What may be returned.
const (
	ReturnHeaders Return = iota // HDRS, and where nothing was asked for
	ReturnFull                  // FULL
)

// ParseReturn reads the value of a RET parameter, in any case of its letters. What
// is neither FULL nor HDRS is as if there were none.
func ParseReturn(s string) Return {
	if strings.EqualFold(s, "FULL") {
		return ReturnFull
	}
	return ReturnHeaders
}

// A Notice is what the sender of one message is to be told of some of its recipients.
type Notice struct {
	Template string // the name of the text, see [Templates]
	Vars     Vars

	To     address.Path // who is told: the envelope's sender, or the postmaster of a domain
	Sender address.Path // the envelope's sender; zero means To

	Recipients []Recipient
	// Always has the sender told of all recipients but those with NOTIFY=NEVER,
	// see [Concerned].
	Always bool

	EnvelopeID string // the ENVID parameter of MAIL as it came; what is none is left out
	Return     Return

	// UTF8 says that the message came with SMTPUTF8 (RFC 6531), so that its sender
	// understands reports as RFC 6533 has them.
	UTF8 bool
	// EightBit says that the sender's host takes 8BITMIME (RFC 6152), as when the
	// message came with BODY=8BITMIME. Without it, and without UTF8, a message
	// that is not ASCII is never returned in full.
	EightBit bool

	MessageID string // of the notice, without brackets; "" means a new one

	Arrival      time.Time // of the message; zero leaves it out
	ReceivedFrom string    // the host that brought it, by its HELO; left out where it is no host name

	// Header and Body are the message as it came. They are read only, and not after Compose returned. A
	// nil Body is never returned. Nothing of the message is without a Header, and to a To that is not Sender.
	Header message.Header
	Body   message.Source
}

// A Message is a notice to send, with the null sender. When its host offers DSN, RCPT
// should say NOTIFY=NEVER (RFC 3461 section 6.1).
type Message struct {
	To        address.Path
	MessageID string // without brackets; it stays the same however often the message is sent
	Data      []byte // header and body, lines ended by CRLF, dots not doubled
	EightBit  bool   // to be sent with BODY=8BITMIME
	// SMTPUTF8 says that it is to be sent with SMTPUTF8. To a host that does not offer it, what was
	// composed without Notice.UTF8 can be sent, if the address is ASCII.
	SMTPUTF8 bool
}

// A Composer composes notices in the name of one host. It may be used by several
// goroutines; its fields must not change meanwhile.
type Composer struct {
	Host      string       // our name: the Reporting-MTA, and the right side of Message-IDs
	From      address.Path // the mailbox in From; zero means postmaster at Host
	Templates *Templates   // nil means BuiltinTemplates

	// Sign, unless nil, returns what the Message-IDs of notices to an address carry,
	// so that a bounce of such a notice is known as one, whatever its form, and leads
	// back to the address: such as the local part of the address that package srs makes of it.
	// It may be 400 bytes long; an empty one leaves the ID unsigned. [ParseOptions.Owner] is its reverse.
	Sign func(to address.Path) (token string, err error)

	MaxReturned int64 // bytes of the original in a notice; 0 means 50 000, less than 0 none
	MaxText     int   // bytes of the text; 0 means 64 KiB

	Now func() time.Time // nil means time.Now

	random func() string // nil means randomText
}

// Compose returns the notice as a message: a multipart/report (RFC 6522) of the
// text, the report (RFC 3464) and the original's header. Only those recipients stand
// in it that the sender wants to be told of; of the header all but Bcc fields.
//
// The whole original is there instead of its header when RET=FULL asks for it,
// a recipient Failed (RFC 3461 section 4.3), it is no larger than MaxReturned, and its lines and bytes can be
// sent as they are. Of a header that is larger, the first fields are.
//
// Whatever the notice holds that came from elsewhere, it ends up in the place
// that it belongs to: no field, part or boundary can be made with it.
//
// The errors are ErrNotWanted, ErrNullSender, ErrAddress, ErrTemplate, ErrMessageID, ErrHost; that of Sign;
// that of reading Body; and a *TemplateError where a template fails with these variables.
func (c *Composer) Compose(n *Notice) (*Message, error) {
	host, err := address.ASCIIDomain(c.Host)
	if err != nil || !isHost(host) {
		return nil, fmt.Errorf("%w: %q", ErrHost, c.Host)
	}
	if n.To.Null() {
		return nil, ErrNullSender
	}
	to, from := n.To.Canonical(), c.From.Canonical()
	if from.Null() {
		from = address.Path{Local: "postmaster", Domain: host}
	}
	if !sendable(to) || !sendable(from) || !isASCII(from.String()) {
		return nil, ErrAddress
	}
	rcpts := Concerned(n.Recipients, n.Always)
	if len(rcpts) == 0 {
		return nil, ErrNotWanted
	}
	for _, r := range rcpts {
		if s := readable(r.Address); s == "" || len(s) > maxAddress || clean(s, len(s)) != s {
			return nil, ErrAddress
		}
	}
	text, err := c.text(host, n, rcpts)
	if err != nil {
		return nil, err
	}
	id, err := c.id(host, n)
	if err != nil {
		return nil, err
	}
	utf8OK := n.UTF8 || !isASCII(to.String())
	parts := []part{humanPart(text.text), statusPart(c.report(host, n, rcpts, utf8OK), utf8OK)}
	original, err := c.original(n, rcpts, utf8OK)
	if err != nil {
		return nil, err
	}
	if original.body != nil {
		parts = append(parts, original)
	}

	m := &Message{To: n.To, MessageID: id, SMTPUTF8: !isASCII(to.String())}
	for _, p := range parts {
		m.EightBit = m.EightBit || p.encoding == "8bit"
		m.SMTPUTF8 = m.SMTPUTF8 || strings.HasPrefix(p.media, "message/global")
	}
	box := address.Mailbox{Name: "Mail Delivery System", Path: from}
	if text.from != nil {
		box = *text.from
	}
	b := appendField(nil, "Date", c.now().Format(time.RFC1123Z))
	b = appendField(b, "From", formatMailbox(box))
	if text.replyTo != nil {
		b = appendField(b, "Reply-To", formatMailbox(*text.replyTo))
	}
	b = appendField(b, "To", "<"+to.String()+">")
	b = message.Header{message.NewTextField("Subject", text.subject, crlf)}.AppendTo(b)
	b = appendField(b, "Message-ID", "<"+id+">")
	if about := originalID(n.Header); about != "" { // RFC 3834 section 3.1.5
		b = appendField(b, "In-Reply-To", "<"+about+">")
		b = appendField(b, "References", "<"+about+">")
	}
	b = appendField(b, "Auto-Submitted", "auto-replied") // RFC 3834 section 5
	b = appendField(b, "MIME-Version", "1.0")
	boundary := c.boundary(parts)
	b = append(b, "Content-Type: multipart/report; report-type=delivery-status;"+crlf+"\tboundary=\""+boundary+"\""+crlf...)
	if m.EightBit {
		b = append(b, "Content-Transfer-Encoding: 8bit"+crlf...)
	}
	b = append(b, crlf+"This is a report on the delivery of a message, in parts as MIME has them."+crlf...)
	for _, p := range parts {
		b = append(b, crlf+"--"+boundary+crlf...)
		b = append(b, "Content-Description: "+p.description+crlf+"Content-Type: "+p.media+crlf...)
		if p.encoding != "" {
			b = append(b, "Content-Transfer-Encoding: "+p.encoding+crlf...)
		}
		b = append(append(b, crlf...), p.body...)
	}
	m.Data = append(b, crlf+"--"+boundary+"--"+crlf...)
	return m, nil
}

// A part is one part of the report. Its body ends in CRLF.
type part struct {
	description, media, encoding string
	body                         []byte
}

func (c *Composer) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Composer) newText() string {
	if c.random != nil {
		return c.random()
	}
	return randomText()
}

// boundary returns one that occurs in no part. That 128 random bits do is not to be
// expected; it is looked at all the same, as the parts are what others wrote.
func (c *Composer) boundary(parts []part) string {
	for {
		// "=_" cannot occur in quoted-printable (RFC 2045 section 6.7).
		s := "=_" + c.newText()
		if !slices.ContainsFunc(parts, func(p part) bool { return bytes.Contains(p.body, []byte(s)) }) {
			return s
		}
	}
}

// sendable reports whether a path can stand in the envelope and the header.
func sendable(p address.Path) bool {
	s := p.String()
	return p.Local != "" && p.Domain != "" && len(s) <= maxAddress && utf8.ValidString(s) && clean(s, len(s)) == s && !strings.ContainsAny(p.Domain, "<>, ")
}

// readable returns an address whose bytes are UTF-8.
func readable(p address.Path) string { return strings.ToValidUTF8(p.String(), "\ufffd") }

// isHost reports whether s is a domain in ASCII, or an address literal.
func isHost(s string) bool {
	return s != "" && len(s) <= 255 && each(s, func(c byte) bool {
		return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("-_.[]:", c) >= 0
	})
}

func (c *Composer) text(host string, n *Notice, rcpts []Recipient) (*rendered, error) {
	t, ok := cmp.Or(c.Templates, BuiltinTemplates()).m[n.Template]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrTemplate, n.Template)
	}
	out, err := t.render(templateVars(host, n, rcpts), cmp.Or(c.MaxText, maxTemplate))
	if err != nil {
		return nil, located(t.file, err)
	}
	return out, nil
}

func (c *Composer) id(host string, n *Notice) (string, error) {
	if n.MessageID != "" {
		if !isID(n.MessageID) {
			return "", fmt.Errorf("%w: %q", ErrMessageID, n.MessageID)
		}
		return n.MessageID, nil
	}
	token := ""
	if c.Sign != nil {
		var err error
		if token, err = c.Sign(n.To); err != nil {
			return "", fmt.Errorf("dsn: sign: %w", err)
		}
		if len(token) > maxToken {
			return "", fmt.Errorf("%w: the token has %d bytes", ErrMessageID, len(token))
		}
	}
	return newID(c.newText(), token, strings.Trim(host, "[]")), nil
}

// originalID returns the Message-ID of a message, without brackets, or "" where there is
// none that could be repeated.
func originalID(h message.Header) string {
	f, ok := h.Get("Message-ID")
	if !ok {
		return ""
	}
	out := ""
	cutIDs(string(f.Value()), func(id string) bool {
		if isID(id) {
			out = id
		}
		return false
	})
	return out
}

// formatMailbox writes a mailbox whose address is ASCII.
func formatMailbox(m address.Mailbox) string {
	name := clean(m.Name, maxVar)
	if name == "" {
		return "<" + m.Path.String() + ">"
	}
	if !isASCII(name) || strings.Contains(name, "=?") {
		return mime.QEncoding.Encode("utf-8", name) + " <" + m.Path.String() + ">"
	}
	if each(name, func(c byte) bool { return isAtom(c) || c == ' ' }) {
		return name + " <" + m.Path.String() + ">"
	}
	quoted := (&mail.Address{Name: name, Address: "a@b"}).String()
	return strings.TrimSuffix(quoted, "<a@b>") + "<" + m.Path.String() + ">"
}

func humanPart(text string) part {
	p := part{description: "Notification", media: "text/plain; charset=us-ascii", encoding: "7bit"}
	ok, eightBit := plain([]byte(text), lineWidth)
	if eightBit {
		p.media = "text/plain; charset=utf-8"
	}
	if ok && !eightBit {
		p.body = appendLines(nil, []byte(text))
	} else {
		p.encoding, p.body = "quoted-printable", appendQuoted(nil, []byte(text))
	}
	return p
}

// statusPart has the report itself, which is never encoded (RFC 3464 section 2.1.1, RFC 6533
// section 4).
func statusPart(body []byte, utf8OK bool) part {
	p := part{description: "Delivery report", media: "message/delivery-status", encoding: "7bit", body: body}
	if utf8OK && !isASCII(body) {
		p.media, p.encoding = "message/global-delivery-status", "8bit"
	}
	return p
}

// report returns the fields of the machine's part.
func (c *Composer) report(host string, n *Notice, rcpts []Recipient, utf8OK bool) []byte {
	text := func(s string, max int) string {
		if s = clean(s, max); !utf8OK {
			s = ascii(s)
		}
		return s
	}
	var b []byte
	if id := envelopeID(n.EnvelopeID); id != "" {
		b = appendField(b, "Original-Envelope-Id", id)
	}
	b = appendField(b, "Reporting-MTA", "dns; "+host)
	if from, ok := hostName(n.ReceivedFrom); ok {
		b = appendField(b, "Received-From-MTA", "dns; "+from)
	}
	if !n.Arrival.IsZero() {
		b = appendField(b, "Arrival-Date", n.Arrival.Format(time.RFC1123Z))
	}
	for _, r := range rcpts {
		b = append(b, crlf...)
		if kind, addr, ok := originalRecipient(r.Original); ok {
			b = appendField(b, "Original-Recipient", typed(kind, addr, utf8OK))
		}
		kind := "rfc822"
		if !isASCII(r.Address.String()) {
			kind = "utf-8"
		}
		b = appendField(b, "Final-Recipient", typed(kind, readable(r.Address), utf8OK))
		b = appendField(b, "Action", string(r.Action))
		b = appendField(b, "Status", statusOf(r))
		if from, ok := hostName(r.RemoteMTA); ok {
			b = appendField(b, "Remote-MTA", "dns; "+from)
		}
		if d := text(r.Diagnostic, maxDiagnostic); d != "" {
			b = appendField(b, "Diagnostic-Code", "smtp; "+d)
		}
		if !r.LastAttempt.IsZero() {
			b = appendField(b, "Last-Attempt-Date", r.LastAttempt.Format(time.RFC1123Z))
		}
		if r.Action == Delayed && !r.RetryUntil.IsZero() {
			b = appendField(b, "Will-Retry-Until", r.RetryUntil.Format(time.RFC1123Z))
		}
	}
	return b
}

// hostName returns a name that may come from anybody, or false for what is none.
func hostName(s string) (string, bool) {
	h, err := address.ASCIIDomain(strings.TrimSuffix(s, "."))
	return h, err == nil && isHost(h)
}

// typed writes an address with its type.
func typed(kind, addr string, utf8OK bool) string {
	if kind == "utf-8" && !utf8OK {
		addr = encodeUTF8Addr(addr)
	}
	return kind + "; " + addr
}

// original returns the third part; its body is nil for none.
func (c *Composer) original(n *Notice, rcpts []Recipient, utf8OK bool) (part, error) {
	if !n.Sender.Null() && !n.Sender.Equal(n.To) {
		return part{}, nil // it is not his
	}
	limit := cmp.Or(c.MaxReturned, 50_000)
	var h []byte
	whole := true
	for _, f := range n.Header {
		if f.Is("Bcc") || f.Is("Resent-Bcc") {
			continue
		}
		raw := f.Raw()
		if int64(len(h)+len(raw)) > limit {
			whole = false
			break
		}
		h = appendLines(h, raw)
	}
	if len(h) == 0 {
		return part{}, nil
	}
	failed := slices.ContainsFunc(rcpts, func(r Recipient) bool { return r.Action == Failed })
	if whole && failed && n.Return == ReturnFull && n.Body != nil && int64(len(h))+n.Body.Size() <= limit {
		p, ok, err := fullPart(h, n, utf8OK)
		if err != nil || ok {
			return p, err
		}
	}
	p := part{description: "Header of the message", media: "text/rfc822-headers", encoding: "7bit"}
	ok, eightBit := plain(h, lineLimit)
	switch {
	case ok && !eightBit:
		p.body = h
	case ok && utf8OK && utf8.Valid(h):
		p.media, p.encoding, p.body = "message/global-headers", "8bit", h
	default: // RFC 6522 section 4 has it so for headers that are broken
		p.encoding, p.body = "quoted-printable", appendQuoted(nil, h)
	}
	return p, nil
}

// fullPart returns the original as a whole. ok is false where it cannot go as it is.
func fullPart(header []byte, n *Notice, utf8OK bool) (p part, ok bool, err error) {
	body := make([]byte, n.Body.Size())
	if k, err := n.Body.ReadAt(body, 0); k < len(body) && err != nil && (err != io.EOF || k == 0) {
		return part{}, false, fmt.Errorf("dsn: read the original: %w", err)
	} else if k < len(body) {
		return part{}, false, fmt.Errorf("dsn: read the original: %w", io.ErrUnexpectedEOF)
	}
	b := appendLines(append(header[:len(header):len(header)], crlf...), body)
	ok, eightBit := plain(b, lineLimit)
	p = part{description: "The message", media: "message/rfc822", encoding: "7bit", body: b}
	if eightBit {
		p.encoding = "8bit"
		if !isASCII(header) && utf8OK && utf8.Valid(header) {
			p.media = "message/global"
		}
	}
	return p, ok && (!eightBit || n.EightBit || utf8OK), nil
}
