package mta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/internal/wire"
	"github.com/gomilter/gomilter/message"
)

// ErrClosed says that the SMTP session is over.
var ErrClosed = errors.New("mta: session is closed")

// An Outcome is what one step of the conversation led to.
type Outcome struct {
	// Verdict is what the filters decided in this step; Continue when nothing. A
	// verdict may come without a reply: both MTAs answer HELO well after a filter
	// rejected it, and tell the client at MAIL.
	Verdict Verdict
	// Reply is what the client is told, nil where the step goes well: 220, 250, 354.
	Reply *Reply
	// Stage is where the verdict fell, such as "header" for a message that a filter
	// refused there; "" when there is none.
	Stage  string
	Milter string // the name of the filter that decided, "" when none did
	// Faults tells of the filters that failed in this step, whatever the MTA makes
	// of that.
	Faults []Fault

	order bool // the reply is to a command out of order, which is no verdict on a message
}

// A Fault says what a filter did wrong.
type Fault struct {
	Milter string
	Stage  string
	Err    error
}

// Error says which filter failed where and how.
func (f Fault) Error() string { return fmt.Sprintf("mta: milter %s: %s: %v", f.Milter, f.Stage, f.Err) }

// Unwrap returns what failed.
func (f Fault) Unwrap() error { return f.Err }

// A Session is one SMTP conversation, told to the filters. Its methods are not
// to be called at the same time.
type Session struct {
	c       *Client
	ways    ways
	conn    Conn
	host    string
	filters []*filter
	closed  bool
	local   bool // Postfix: the message comes from a program, by way of cleanup

	set      map[string]string // macros of the caller
	heloName string
	greeted  bool // HELO was told

	// The transaction.
	queueID     string
	from        *string // as the client wrote it; nil: there is none
	params      []string
	sender      route
	to          *route // the recipient at hand
	rcpts       []Recipient
	taken       int // recipients that no one refused
	refused     int
	data        bool // DATA was answered well
	discard     bool
	messageID   string
	messageSize int
	quarantine  *string

	decided   string // the stage at which the client was refused for good
	result    *Result
	faults    []Fault // of the step at hand
	allFaults []Fault
}

// ways are how an MTA does a step.
type ways interface {
	connect(ctx context.Context) Outcome
	helo(name string) Outcome
	mail(addr string, params []string) Outcome
	rcpt(r *Recipient, params []string) Outcome
	refusedRcpt(r *Recipient, params []string)
	dataCmd() Outcome
	unknown(line string) Outcome
	content(ed *edit.Editor) Outcome
	reset()
	startTLS()
	quit()
	lost()
	barred() *Reply // what commands of a transaction are told, when for good
}

func newSession(c *Client, conn Conn) *Session {
	if a := conn.Addr.Addr(); a.Is4In6() {
		conn.Addr = netip.AddrPortFrom(a.Unmap(), conn.Addr.Port())
	}
	s := &Session{c: c, conn: conn, host: c.hostname(), set: make(map[string]string)}
	for i := range c.Milters {
		s.filters = append(s.filters, newFilter(c, &c.Milters[i]))
	}
	if c.Profile == Postfix {
		s.ways = &postfix{Session: s}
	} else {
		s.ways = &sendmail{Session: s}
		s.newQueueID()
	}
	s.begin()
	return s
}

// begin starts the result of the next transaction.
func (s *Session) begin() {
	s.result = &Result{Verdict: Accept, Recipients: []Recipient{}, Edits: []FilterEdit{}, Envelope: Envelope{}}
}

// newQueueID names the next message.
func (s *Session) newQueueID() {
	if s.c.QueueID != nil {
		s.queueID = s.c.QueueID()
		return
	}
	n, t := atomic.AddUint32(&s.c.count, 1), s.c.now().UTC()
	if s.c.Profile == Postfix {
		s.queueID = fmt.Sprintf("%05X%06X", t.Nanosecond()/1000, n&0xffffff)
		return
	}
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	s.queueID = string([]byte{digits[(t.Year()-1900)%60], digits[t.Month()-1], digits[t.Day()], digits[t.Hour()], digits[t.Minute()], digits[t.Second()],
		digits[n/60%60], digits[n%60]}) + fmt.Sprintf("%06d", n%1_000_000)
}

// step runs one step under ctx and notes what it leads to.
func (s *Session) step(ctx context.Context, st Stage, do func(context.Context) Outcome) (Outcome, error) {
	if s.closed {
		return Outcome{}, ErrClosed
	}
	if ctx.Err() != nil {
		s.Close()
		return Outcome{}, context.Cause(ctx)
	}
	stop := context.AfterFunc(ctx, func() {
		for _, f := range s.filters {
			f.interrupt()
		}
	})
	s.faults = nil
	out := do(ctx)
	for _, f := range s.filters {
		// What no answer is awaited for leaves too, so that the filter knows it.
		if f.nc != nil {
			if err := f.flush(); err != nil {
				s.fault(f, err)
			}
		}
	}
	if !stop() || ctx.Err() != nil {
		s.Close()
		return Outcome{}, context.Cause(ctx)
	}
	out.Faults = s.faults
	s.allFaults = append(s.allFaults, s.faults...)
	s.note(st, &out)
	if out.Reply != nil && out.Reply.bye {
		s.ways.quit()
		s.Close()
	}
	return out, nil
}

// note brings the result up to date with an outcome.
func (s *Session) note(st Stage, out *Outcome) {
	switch {
	case out.Verdict == Continue || out.order:
		return
	case out.Stage != "":
	case s.decided != "" && out.Milter == "":
		out.Stage = s.decided
	default:
		out.Stage = st.String()
	}
	switch {
	case st == StageConnect || st == StageHelo:
		// What is decided here the client is told at MAIL.
		s.decided = out.Stage
	case st == StageUnknown:
		return
	case st == StageRcpt && s.taken > 0 && out.Verdict != Discard:
		return // one recipient is not the message
	}
	s.result.Verdict, s.result.Stage = out.Verdict, out.Stage
	if out.Reply != nil {
		s.result.Reply = out.Reply
	}
}

// fault gives a filter up.
func (s *Session) fault(f *filter, err error) {
	s.faults = append(s.faults, Fault{f.name, f.stage.String(), err})
	f.fail(err)
}

// SetMacros gives macros values from the next stage on, by name without braces:
// those of TLS (tls_version, cipher, cipher_bits, cert_subject, cert_issuer)
// before the HELO that follows STARTTLS, those of AUTH (auth_type, auth_authen,
// auth_ssf, auth_author) before MAIL. They stay until set anew.
func (s *Session) SetMacros(values map[string]string) { maps.Copy(s.set, values) }

// UnsetMacros takes values back.
func (s *Session) UnsetMacros(names ...string) {
	for _, name := range names {
		delete(s.set, name)
	}
}

// Helo tells of HELO or EHLO.
func (s *Session) Helo(ctx context.Context, name string) (Outcome, error) {
	if s.c.Profile == Postfix {
		name = strings.Join(strings.Fields(name), " ")
	}
	return s.step(ctx, StageHelo, func(context.Context) Outcome {
		out := s.ways.helo(cString(name))
		if out.Reply == nil {
			s.heloName, s.greeted = name, true
		}
		return out
	})
}

// Mail tells of MAIL FROM. addr is what the client wrote, with its angle brackets;
// params are its ESMTP parameters, such as "SIZE=100".
func (s *Session) Mail(ctx context.Context, addr string, params ...string) (Outcome, error) {
	return s.step(ctx, StageMail, func(context.Context) Outcome {
		if r := s.order(StageMail); r != nil {
			return Outcome{Verdict: r.verdict(), Reply: r, order: true}
		}
		s.begin()
		s.sender = s.route(addr)
		out := s.ways.mail(cString(addr), params)
		from, _ := edit.ParseAddress(addr)
		s.result.Envelope.From, s.result.Envelope.FromArgs = from, params
		return out
	})
}

// Rcpt tells of RCPT TO, as Mail does of MAIL FROM.
func (s *Session) Rcpt(ctx context.Context, addr string, params ...string) (Outcome, error) {
	return s.step(ctx, StageRcpt, func(context.Context) Outcome {
		if r := s.order(StageRcpt); r != nil {
			return Outcome{Verdict: r.verdict(), Reply: r, order: true}
		}
		to := s.route(addr)
		s.to = &to
		bare, _ := edit.ParseAddress(addr)
		r := Recipient{Address: bare, given: cString(addr), params: params}
		out := s.ways.rcpt(&r, params)
		if s.c.Profile == Sendmail {
			s.to = nil // Postfix keeps the last one up to DATA
		}
		s.noteRcpt(r, out)
		return out
	})
}

func (s *Session) noteRcpt(r Recipient, out Outcome) {
	if r.Reply = out.Reply; r.Reply == nil {
		s.taken++
		s.result.Envelope.Rcpts = append(s.result.Envelope.Rcpts, edit.Rcpt{Address: r.Address, Args: r.params})
	} else {
		s.refused++
	}
	s.rcpts = append(s.rcpts, r)
	s.result.Recipients = append(s.result.Recipients, r)
	// A refused recipient is the message's verdict only as long as all are.
	if s.taken > 0 && s.result.Stage == StageRcpt.String() && s.result.Verdict != Discard {
		s.result.Verdict, s.result.Stage, s.result.Reply = Accept, "", nil
	}
}

// RcptRefused tells of a recipient that the MTA itself refuses with why, to the
// filters that want to know (SMFIP_RCPT_REJ): Postfix does, Sendmail does not.
// The client is told why whatever they say.
func (s *Session) RcptRefused(ctx context.Context, addr string, why Reply, params ...string) error {
	_, err := s.step(ctx, StageRcpt, func(context.Context) Outcome {
		if s.order(StageRcpt) != nil {
			return Outcome{}
		}
		s.to = &route{"error", why.Enhanced, strings.Join(why.Text, " ")}
		bare, _ := edit.ParseAddress(addr)
		r := Recipient{Address: bare, given: cString(addr), params: params}
		s.ways.refusedRcpt(&r, params)
		s.to = nil
		out := Outcome{Verdict: why.verdict(), Reply: &why}
		s.noteRcpt(r, out)
		return out
	})
	return err
}

// Data tells of DATA.
func (s *Session) Data(ctx context.Context) (Outcome, error) {
	return s.step(ctx, StageData, func(context.Context) Outcome {
		if r := s.order(StageData); r != nil {
			return Outcome{Verdict: r.verdict(), Reply: r, order: true}
		}
		out := s.ways.dataCmd()
		s.data = out.Reply == nil
		return out
	})
}

// Unknown tells of a command line that the MTA does not know. The client is
// answered 500 where the outcome has no reply.
func (s *Session) Unknown(ctx context.Context, line string) (Outcome, error) {
	return s.step(ctx, StageUnknown, func(context.Context) Outcome { return s.ways.unknown(cString(line)) })
}

// Reset tells of RSET.
func (s *Session) Reset(ctx context.Context) error {
	_, err := s.step(ctx, wire.StageAbort, func(context.Context) Outcome {
		s.ways.reset()
		s.endTransaction()
		return Outcome{}
	})
	return err
}

// StartTLS tells of a STARTTLS that succeeded; the client begins anew with HELO.
// Its macros are for SetMacros.
func (s *Session) StartTLS(ctx context.Context) error {
	_, err := s.step(ctx, wire.StageAbort, func(context.Context) Outcome {
		s.ways.startTLS()
		s.endTransaction()
		s.heloName, s.greeted = "", false
		return Outcome{}
	})
	return err
}

// Message tells of the message, header to end, and returns what became of it.
// raw is what the client sent, without the dots of SMTP; line ends of LF alone
// become CRLF. Afterwards the next message may follow. The result tells of the
// faults of this step; Session.Result has them all.
func (s *Session) Message(ctx context.Context, raw []byte) (*Result, error) {
	out, err := s.step(ctx, StageEnd, func(context.Context) Outcome {
		if r := s.order(StageEnd); r != nil {
			return Outcome{Verdict: r.verdict(), Reply: r}
		}
		dropped := s.result.Stage
		s.result.Verdict, s.result.Stage, s.result.Reply = Accept, StageEnd.String(), nil
		out := s.deliver(raw)
		if s.discard {
			out.Stage = dropped
		}
		s.endTransaction()
		return out
	})
	if err != nil {
		return nil, err
	}
	res := s.Result()
	res.Faults = out.Faults
	return res, nil
}

// deliver puts a message through the filters.
func (s *Session) deliver(raw []byte) Outcome {
	m := s.parse(raw)
	s.messageSize = m.Size()
	if f, ok := m.Header.Get("Message-Id"); ok {
		s.messageID = strings.TrimSpace(f.Text(false))
	} else if s.c.Profile == Sendmail {
		s.messageID = fmt.Sprintf("<%s.%s@%s>", s.c.now().UTC().Format("200601021504"), s.queueID, s.host)
	}
	env := Envelope{From: s.result.Envelope.From, FromArgs: s.params, Rcpts: s.result.Envelope.Rcpts}
	ed := edit.New(s.dialect(), m, s.received(), env)
	if s.c.MakeUp {
		s.makeUp(ed)
	}
	out := s.ways.content(ed)
	if reason, ok := ed.Quarantine(); ok {
		s.quarantine = &reason
	}
	if out.Verdict == Continue || out.Verdict == Accept {
		s.result.Envelope = ed.Envelope()
		s.result.Message = ed.Message(s.c.Received)
		s.result.Quarantine = s.quarantine
	}
	return out
}

func (s *Session) dialect() edit.MTA {
	if s.c.Profile == Postfix {
		return edit.Postfix
	}
	return edit.Sendmail
}

// received returns the MTA's own Received field.
func (s *Session) received() message.Field {
	helo := cmp.Or(s.heloName, "unknown")
	to := ""
	if s.taken == 1 {
		to = "\n\tfor <" + s.result.Envelope.Rcpts[0].Address + ">"
	}
	if s.c.Profile == Postfix {
		return message.NewField("Received", fmt.Sprintf(" from %s (%s)\n\tby %s (Postfix) with ESMTP id %s%s; %s", helo, s.peer(), s.host, s.queueID, to,
			s.c.now().UTC().Format("Mon, 2 Jan 2006 15:04:05 -0700 (MST)")), "\r\n")
	}
	return message.NewField("Received", fmt.Sprintf(" from %s (%s)\n\tby %s (8.17.1.9/8.17.1.9) with ESMTP id %s%s; %s", helo, s.peer(), s.host, s.queueID, to,
		s.c.now().UTC().Format("Mon, 2 Jan 2006 15:04:05 GMT")), "\r\n")
}

// makeUp adds the fields the client left out, those for resent mail (RFC 5322
// section 3.6.6) where it sent one of them.
func (s *Session) makeUp(ed *edit.Editor) {
	t := s.c.now().UTC()
	date := t.Format("Mon, 2 Jan 2006 15:04:05 GMT")
	id := fmt.Sprintf("<%s.%s@%s>", t.Format("200601021504"), s.queueID, s.host)
	if s.c.Profile == Postfix {
		date = t.Format("Mon, 2 Jan 2006 15:04:05 -0700 (MST)")
		id = fmt.Sprintf("<%s.%s@%s>", t.Format("20060102150405"), s.queueID, s.host)
	}
	prefixes := []string{""}
	if slices.ContainsFunc(ed.Header(), func(f message.Field) bool { return strings.HasPrefix(strings.ToLower(f.Name()), "resent-") }) {
		prefixes = append(prefixes, "Resent-")
	}
	for _, p := range prefixes {
		ed.MakeUp(p+"Message-Id", id)
		ed.MakeUp(p+"Date", date)
		ed.MakeUp(p+"From", s.sender.addr)
	}
}

// endTransaction forgets the transaction.
func (s *Session) endTransaction() {
	s.from, s.params, s.to, s.rcpts, s.taken, s.refused = nil, nil, nil, nil, 0, 0
	s.data, s.discard, s.messageID, s.messageSize, s.quarantine = false, false, "", 0, nil
	if s.queueID = ""; s.c.Profile == Sendmail {
		s.newQueueID()
	}
}

// order returns what the MTA says to a command out of order, nil when it is in order.
func (s *Session) order(st Stage) *Reply {
	sendmail := s.c.Profile == Sendmail
	say := func(code int, se, st string, pe, pt string) *Reply {
		if sendmail {
			return reply(code, se, st)
		}
		return reply(code, pe, pt)
	}
	switch {
	case st == StageMail && s.from != nil:
		return say(503, "5.5.0", "Sender already specified", "5.5.1", "Error: nested MAIL command")
	case st == StageRcpt && s.from == nil && s.ways.barred() == nil:
		return say(503, "5.0.0", "Need MAIL before RCPT", "5.5.1", "Error: need MAIL command")
	case st == StageData && s.from == nil && s.ways.barred() == nil:
		return say(503, "5.0.0", "Need MAIL command", "5.5.1", "Error: need RCPT command")
	case st == StageData && s.from != nil && s.taken == 0:
		if sendmail {
			return reply(503, "5.0.0", "Need RCPT (recipient)")
		}
		return reply(554, "5.5.1", "Error: no valid recipients")
	case st == StageEnd && !s.data:
		return say(503, "5.0.0", "Need DATA command", "5.5.1", "Error: need DATA command")
	}
	return nil
}

// Quit tells of QUIT and closes the session.
func (s *Session) Quit(ctx context.Context) error {
	if s.closed {
		return nil
	}
	_, err := s.step(ctx, wire.StageClose, func(context.Context) Outcome {
		s.ways.quit()
		return Outcome{}
	})
	s.Close()
	return err
}

// Lost tells that the client has gone without QUIT, and closes the session.
func (s *Session) Lost(ctx context.Context) error {
	if s.closed {
		return nil
	}
	_, err := s.step(ctx, wire.StageClose, func(context.Context) Outcome {
		s.ways.lost()
		return Outcome{}
	})
	s.Close()
	return err
}

// Close closes the connections to the filters without a word, as an MTA that
// breaks off does. It is harmless after Quit.
func (s *Session) Close() error {
	s.closed = true
	for _, f := range s.filters {
		f.close()
	}
	return nil
}

// Closed reports whether the session is over: after Quit, Lost and Close, and
// when the client was told 421.
func (s *Session) Closed() bool { return s.closed }

// Result returns what has become of the present or the last transaction so far.
func (s *Session) Result() *Result {
	res := *s.result
	res.Recipients, res.Edits = slices.Clone(res.Recipients), slices.Clone(res.Edits)
	res.Faults = slices.Clone(s.allFaults)
	res.Filters = make([]FilterResult, len(s.filters))
	for i, f := range s.filters {
		res.Filters[i] = FilterResult{Name: f.name, Decision: f.decision, Milliseconds: float64(f.took) / float64(time.Millisecond)}
		if f.err != nil {
			res.Filters[i].Why = f.err.Error()
		}
	}
	return &res
}

// cutParams parts an address from the ESMTP parameters behind it.
func cutParams(s string) (addr string, params []string) {
	s = strings.TrimSpace(s)
	end := strings.IndexByte(s, ' ')
	if strings.HasPrefix(s, "<") {
		if i := strings.IndexByte(s, '>'); i >= 0 {
			end = i + 1
		}
	}
	if end < 0 || end >= len(s) {
		return s, nil
	}
	return s[:end], strings.Fields(s[end:])
}
