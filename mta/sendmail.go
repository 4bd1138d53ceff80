package mta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/internal/wire"
)

// sendmail drives filters as Sendmail does (sendmail/milter.c, srvrsmtp.c).
type sendmail struct {
	*Session
	off      bool   // filters are asked no more in this session
	bar      *Reply // what every command of a transaction is told
	tempfail bool   // MAIL is told to come again
}

// shutdown is a decision beside the reply codes: close the SMTP connection.
const shutdown = wire.ReplyShutdown

// A decision is what the filters say to a step: ReplyContinue, ReplyReject,
// ReplyTempFail, ReplyDiscard, ReplyCode with its text, or shutdown.
type decision struct {
	code  byte
	text  string
	reply *Reply // Postfix: of ReplyCode, in place of text
	by    *filter
}

// by notes who decided, and where.
func (out *Outcome) by(d decision) {
	if d.by != nil {
		out.Milter, out.Stage = d.by.name, d.by.stage.String()
	}
}

var goOn = decision{code: wire.ReplyContinue}

func verdictOf(code byte, text string) Verdict {
	switch code {
	case wire.ReplyAccept:
		return Accept
	case wire.ReplyReject:
		return Reject
	case wire.ReplyTempFail, shutdown:
		return TempFail
	case wire.ReplyDiscard:
		return Discard
	case wire.ReplyCode:
		if strings.HasPrefix(text, "4") {
			return TempFail
		}
		return Reject
	}
	return Continue
}

func (m *sendmail) barred() *Reply { return m.bar }

// policy returns what a failed filter makes of every step.
func (m *sendmail) policy(f *filter) decision {
	d := decision{by: f}
	switch f.failure() {
	case FailReject:
		d.code = wire.ReplyReject
	case FailTempFail:
		d.code = wire.ReplyTempFail
	case FailShutdown:
		d.code = shutdown
	default:
		return goOn
	}
	return d
}

// failed gives the filter up and returns what that means.
func (m *sendmail) failed(f *filter, err error) decision {
	m.fault(f, err)
	return m.policy(f)
}

// round tells the filters of a step, until one decides.
func (m *sendmail) round(st Stage, payload []byte) decision {
	if m.off || m.discard {
		return goOn
	}
	for _, f := range m.filters {
		d := goOn
		switch f.state {
		case stateFailed:
			d = m.policy(f)
		case stateOpen, stateMessage:
			f.stage = st
			m.macros(f, st)
			if !f.sends(st) {
				continue
			}
			d = m.tell(f, st, payload)
			var bogus *bogusReply
			if errors.As(f.err, &bogus) && f.state == stateFailed {
				// A reply that has no place here fails the filter, but not this step.
				d = goOn
			}
		}
		if d.code != wire.ReplyContinue {
			return d
		}
	}
	return goOn
}

// A bogusReply is a reply of a code that does not belong at a stage.
type bogusReply struct{ code byte }

func (e *bogusReply) Error() string { return fmt.Sprintf("%v: %q", ErrUnexpectedReply, e.code) }
func (e *bogusReply) Unwrap() error { return ErrUnexpectedReply }

// tell sends a command and returns what the filter makes of it.
func (m *sendmail) tell(f *filter, st Stage, payload []byte) decision {
	f.stage = st
	if len(payload) > wire.DataSize64K {
		return m.failed(f, fmt.Errorf("%w: %d bytes to send", wire.ErrFrameSize, len(payload)))
	}
	f.frame(st.Cmd(), payload)
	if !f.answers(st) {
		if err := f.room(); err != nil {
			return m.failed(f, err)
		}
		return goOn
	}
	defer f.clock()()
	if err := f.flush(); err != nil {
		return m.failed(f, err)
	}
	cmd, payload, err := f.next(time.Time{})
	if err != nil {
		return m.failed(f, err)
	}
	switch cmd {
	case wire.ReplyContinue:
		if st == StageMail {
			f.state = stateMessage
		}
	case wire.ReplyAccept:
		f.decision, f.state = Accept, stateDone
		if st == StageConnect || st == StageHelo {
			f.quit()
		}
	case wire.ReplySkip:
		// Only the body may be skipped. Elsewhere the filter is left in a state in
		// which it is asked nothing any more.
		if st != StageBody && st != StageHeader && st != StageEndOfHeaders {
			f.state = stateIgnored
		}
		return decision{code: wire.ReplySkip, by: f}.or(st)
	case wire.ReplyReject, wire.ReplyTempFail, wire.ReplyDiscard, wire.ReplyCode:
		return m.decide(f, st, cmd, payload)
	default:
		return m.failed(f, &bogusReply{cmd})
	}
	return goOn
}

// or keeps a skip for the stages of content, for which it means something.
func (d decision) or(st Stage) decision {
	switch st {
	case StageHeader, StageEndOfHeaders, StageBody:
		return d
	}
	return goOn
}

// decide notes a final decision of a filter.
func (m *sendmail) decide(f *filter, st Stage, cmd byte, payload []byte) decision {
	d := decision{code: cmd, by: f}
	if cmd == wire.ReplyCode {
		var ok bool
		if d.text, ok = sendmailText(payload); !ok {
			// The default stands in for a text it cannot use.
			d.code = wire.ReplyReject
		}
	}
	f.decision = verdictOf(d.code, d.text)
	return d
}

// sendmailText checks the text of a reply, which Sendmail takes for a format: a
// percent sign stands doubled.
func sendmailText(p []byte) (string, bool) {
	if len(p) == 0 || p[len(p)-1] != 0 || slices.Index(p, 0) != len(p)-1 || !isCode(string(p)) {
		return "", false
	}
	text := string(p[:len(p)-1])
	if strings.Contains(strings.ReplaceAll(text, "%%", ""), "%") {
		return "", false
	}
	return strings.ReplaceAll(text, "%%", "%"), true
}

// reply returns the outcome of a decision. to is the address at hand, which
// Sendmail puts before some texts.
func (m *sendmail) reply(st Stage, d decision, to string) Outcome {
	out := Outcome{Verdict: verdictOf(d.code, d.text)}
	out.by(d)
	switch d.code {
	case wire.ReplyReject:
		code := 550
		switch st {
		case StageHeader, StageEndOfHeaders, StageBody, StageEnd:
			code = 554
		}
		out.Reply = prefixed(reply(code, "5.7.1", "Command rejected"), to)
	case wire.ReplyTempFail:
		out.Reply = reply(451, "4.3.2", "Please try again later")
	case wire.ReplyCode:
		out.Reply = prefixed(sendmailReply(d.text), to)
	case shutdown:
		switch st {
		case StageMail, StageRcpt, StageUnknown:
			out.Reply = reply(421, "4.3.0", "closing connection")
		default:
			out.Reply = reply(421, "4.7.0", m.host+" closing connection")
		}
	}
	return out
}

// sendmailReply reads a filter's text as Sendmail sends it on: without an
// enhanced code the first line gets a general one.
func sendmailReply(text string) *Reply {
	lines := cutLines(text)
	first := lines[0]
	body := ""
	if len(first) > 4 {
		body = first[4:]
	}
	sep := " "
	if len(first) > 3 && first[3] == '-' {
		sep = "-"
	}
	if x := enhanced(body); x == "" || x == body {
		lines[0] = first[:3] + sep + first[:1] + ".0.0 " + body
	} else {
		lines[0] = first[:3] + sep + body
	}
	r := parseReply(lines)
	// 421 closes the connection when a blank or a dash follows.
	r.bye = r.bye && (len(first) == 3 || first[3] == ' ' || first[3] == '-')
	return r
}

// prefixed puts the address before the text of a reply's first line, where
// Sendmail does.
func prefixed(r *Reply, to string) *Reply {
	if to == "" || r.Code != 450 && r.Code != 550 && r.Code != 553 {
		return r
	}
	r.Text[0] = to + "... " + r.Text[0]
	if r.lines != nil {
		r.lines[0] = r.lines[0][:4] + r.Enhanced + " " + r.Text[0]
	}
	return r
}

func (m *sendmail) connect(ctx context.Context) Outcome {
	d := goOn
	for _, f := range m.filters {
		if err := f.open(ctx); err != nil {
			// All are connected to, the first that fails decides.
			if failed := m.failed(f, err); d.code == wire.ReplyContinue {
				d = failed
			}
		}
	}
	if d.code == wire.ReplyContinue {
		d = m.round(StageConnect, m.connectPayload())
	}
	out := Outcome{Verdict: verdictOf(d.code, d.text)}
	out.by(d)
	switch {
	case d.code == wire.ReplyContinue:
		return out
	case d.code == wire.ReplyDiscard:
		// It is not meant to be: no filter is asked any more, and mail flows.
		out.Verdict = Continue
	case d.code == shutdown, d.code == wire.ReplyCode && strings.HasPrefix(d.text, "421 "):
		out.Reply = reply(421, "4.7.0", m.host+" closing connection")
	case out.Verdict == Reject:
		m.bar = reply(550, "5.0.0", "Command rejected")
		out.Reply = reply(554, "", m.host+" ESMTP not accepting messages")
	default:
		m.tempfail = true
	}
	m.off = true
	m.quit()
	return out
}

func (m *sendmail) helo(name string) Outcome {
	m.abort()
	m.reopen()
	if m.from != nil {
		m.endTransaction()
	}
	d := m.round(StageHelo, wire.AppendString(nil, name))
	if d.code == wire.ReplyContinue || d.code == wire.ReplyDiscard {
		return Outcome{}
	}
	out := Outcome{Verdict: verdictOf(d.code, d.text)}
	out.by(d)
	m.off = true
	switch {
	case d.code == shutdown:
		out.Reply = reply(421, "4.7.0", m.host+" closing connection")
	case d.code == wire.ReplyCode && strings.HasPrefix(d.text, "421"):
		out.Reply = sendmailReply(d.text)
	case d.code == wire.ReplyCode:
		m.bar = sendmailReply(d.text)
	case d.code == wire.ReplyTempFail:
		m.tempfail = true
	default:
		m.bar = reply(550, "5.0.0", "Command rejected")
	}
	return out
}

// stopped returns what a transaction's commands are told after a filter refused
// the client for good.
func (m *sendmail) stopped(st Stage) *Reply {
	if m.bar == nil && m.tempfail && st == StageMail {
		return reply(451, "4.3.2", "Please try again later")
	}
	return m.bar
}

func (m *sendmail) mail(addr string, params []string) Outcome {
	if r := m.stopped(StageMail); r != nil {
		return Outcome{Verdict: r.verdict(), Reply: r}
	}
	m.reopen()
	// Its macros are there while the filters are asked.
	m.from = &addr
	d := m.round(StageMail, envelope(addr, params))
	out := m.reply(StageMail, d, addr)
	if out.Reply != nil {
		m.from = nil
		m.abort()
		return out
	}
	m.params = params
	m.discard = m.discard || d.code == wire.ReplyDiscard
	return out
}

// envelope returns the payload of MAIL and RCPT.
func envelope(addr string, params []string) []byte {
	b := wire.AppendString(nil, addr)
	for _, p := range params {
		b = wire.AppendString(b, cString(p))
	}
	return b
}

func (m *sendmail) rcpt(r *Recipient, params []string) Outcome {
	if bar := m.stopped(StageRcpt); bar != nil {
		return Outcome{Verdict: bar.verdict(), Reply: bar}
	}
	m.taken++ // the recipient is on the list while the filters are asked
	d := m.round(StageRcpt, envelope(r.given, params))
	m.taken--
	m.discard = m.discard || d.code == wire.ReplyDiscard
	return m.reply(StageRcpt, d, r.given)
}

// refusedRcpt does nothing: Sendmail does not tell of recipients that its rules
// refuse, whatever the filter asks for.
func (m *sendmail) refusedRcpt(*Recipient, []string) {}

func (m *sendmail) dataCmd() Outcome {
	if r := m.stopped(StageData); r != nil {
		return Outcome{Verdict: r.verdict(), Reply: r}
	}
	d := m.round(StageData, nil)
	m.discard = m.discard || d.code == wire.ReplyDiscard
	return m.reply(StageData, d, "")
}

func (m *sendmail) unknown(line string) Outcome {
	d := m.round(StageUnknown, wire.AppendString(nil, line))
	m.discard = m.discard || d.code == wire.ReplyDiscard
	return m.reply(StageUnknown, d, "")
}

const maxHeaders = 32768

func (m *sendmail) content(ed *edit.Editor) Outcome {
	defer m.abort()
	if size := ed.Header().Size(); size > maxHeaders {
		// MaxHeadersLength; the filters are not asked.
		return Outcome{Verdict: Reject, Reply: reply(552, "5.6.0", fmt.Sprintf("Headers too large (%d max)", maxHeaders))}
	}
	if m.discard {
		return Outcome{Verdict: Discard}
	}
	if m.off {
		return Outcome{}
	}
	for _, f := range m.filters {
		d := goOn
		switch f.state {
		case stateFailed:
			d = m.policy(f)
		case stateOpen, stateMessage:
			f.state = stateMessage
			done := f.clock()
			d = m.contentOf(f, ed)
			done()
			if f.state == stateMessage {
				f.state = stateDone
			}
		}
		if d.code != wire.ReplyContinue {
			return m.reply(StageEnd, d, "")
		}
	}
	return Outcome{}
}

// contentOf puts the message through one filter.
func (m *sendmail) contentOf(f *filter, ed *edit.Editor) decision {
	if f.sends(StageHeader) {
		for _, h := range ed.Header() {
			d := m.tell(f, StageHeader, wire.AppendHeader(nil, cString(h.Name()), cString(h.Text(f.leadingSpace()))))
			if d.code == wire.ReplySkip {
				f.skip = StageBody
			} else if f.state != stateMessage || d.code != wire.ReplyContinue {
				return d
			}
		}
	}
	if f.sends(StageEndOfHeaders) {
		m.macros(f, StageEndOfHeaders)
		d := m.tell(f, StageEndOfHeaders, nil)
		if d.code == wire.ReplySkip {
			f.skip = StageBody
		} else if f.state != stateMessage || d.code != wire.ReplyContinue {
			return d
		}
	}
	if f.sends(StageBody) && f.skip != StageBody {
		for chunk := range slices.Chunk(ed.Body(), wire.ChunkSize) {
			d := m.tell(f, StageBody, chunk)
			if d.code == wire.ReplySkip {
				break
			} else if f.state != stateMessage || d.code != wire.ReplyContinue {
				return d
			}
		}
	}
	f.skip = noStage
	return m.end(f, ed)
}

// end tells of the end of the message and takes edits until the verdict.
func (m *sendmail) end(f *filter, ed *edit.Editor) decision {
	m.macros(f, StageEnd)
	f.stage = StageEnd
	f.frame(wire.CmdEnd, nil)
	end := time.Now().Add(f.t.Content)
	if err := f.flush(); err != nil {
		return m.failed(f, err)
	}
	ed.Begin(f.leadingSpace())
	f.edits, f.editSize = 0, 0
	lied := false
	for {
		cmd, payload, err := f.next(end)
		if err != nil {
			return m.failed(f, err)
		}
		switch cmd {
		case wire.ReplyContinue, wire.ReplyAccept:
			f.decision = Accept
			if lied {
				// It replaced the body without having asked to: come again.
				return decision{code: wire.ReplyTempFail, by: f}
			}
			return goOn
		case wire.ReplyReject, wire.ReplyTempFail, wire.ReplyDiscard, wire.ReplyCode:
			return m.decide(f, StageEnd, cmd, payload)
		case wire.ReplyProgress:
			continue // starts the wait for one packet anew, not that for all
		}
		e, err := edit.Decode(cmd, payload)
		switch {
		case errors.Is(err, edit.ErrNoEdit):
			return m.failed(f, &bogusReply{cmd})
		case cmd == wire.ReplyReplaceBody && f.neg.Actions&wire.ChangeBody == 0:
			lied = true
			continue
		case cmd == wire.ReplyAddRcptParams && e.Address != "" && errors.Is(err, wire.ErrUnterminated):
			e.Args = "" // parameters without an end it does without
		case err != nil:
			continue // it passes over what is malformed
		}
		if err := m.take(f, ed, e, len(payload)); err != nil {
			return m.failed(f, err)
		}
	}
}

// take notes an edit and makes it.
func (s *Session) take(f *filter, ed *edit.Editor, e edit.Edit, size int) error {
	f.edits++
	f.editSize += int64(size)
	if f.edits > cmp.Or(s.c.MaxEdits, defaultMaxEdits) || f.editSize > cmp.Or(s.c.MaxEditSize, defaultMaxEditSize) {
		return fmt.Errorf("%w: %d edits, %d bytes", ErrTooManyEdits, f.edits, f.editSize)
	}
	if err := ed.Apply(e); err != nil {
		return fmt.Errorf("%w: %v", ErrConfiguration, e)
	}
	if e.Action == edit.Quarantine {
		return nil
	}
	// One body comes in many packets.
	if n := len(s.result.Edits); n > 0 && e.Action == edit.ReplaceBody {
		if last := &s.result.Edits[n-1]; last.Action == edit.ReplaceBody && last.Milter == f.name {
			last.Body = append(last.Body, e.Body...)
			return nil
		}
	}
	if f.leadingSpace() {
		e.Value = strings.TrimPrefix(e.Value, " ")
	}
	s.result.Edits = append(s.result.Edits, FilterEdit{e, f.name})
	return nil
}

// abort tells the filters that know of a message that it is over.
func (m *sendmail) abort() {
	for _, f := range m.filters {
		if f.state == stateMessage {
			f.frame(wire.CmdAbort, nil)
			f.state = stateDone
		}
	}
}

// reopen makes filters that were done with a message ready for the next.
func (m *sendmail) reopen() {
	for _, f := range m.filters {
		if f.state == stateDone {
			f.state, f.decision = stateOpen, Continue
		}
	}
}

func (m *sendmail) reset() { m.abort() }

// startTLS does nothing: the HELO that follows aborts.
func (m *sendmail) startTLS() { m.abort() }

func (m *sendmail) quit() {
	for _, f := range m.filters {
		if f.state != stateFailed {
			f.quit()
		}
	}
}

// lost says QUIT where no message is on its way, and nothing inside DATA.
func (m *sendmail) lost() {
	if !m.data {
		m.quit()
	}
}
