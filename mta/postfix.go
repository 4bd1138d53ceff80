package mta

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/internal/wire"
)

// postfix drives filters as Postfix does (milter/milter8.c, smtpd/smtpd.c,
// cleanup/cleanup_milter.c).
type postfix struct {
	*Session
	// held is why all messages of the session are put on hold: a filter said so
	// before the end of a message. Up to DATA it is then asked no more.
	held *string
}

func (p *postfix) barred() *Reply { return nil }

// failed gives a filter up; what is said then sticks to the session.
func (p *postfix) failed(f *filter, err error) decision {
	p.fault(f, err)
	p.stick(f, errors.Is(err, ErrConfiguration))
	return p.stuck(f)
}

// stick sets what a failed filter makes of every step.
func (p *postfix) stick(f *filter, config bool) {
	policy := f.failure()
	switch {
	case policy == FailQuarantine:
		f.hold = true
	case policy == FailAccept:
	case policy == FailShutdown && config:
		f.sticky = reply(421, "4.3.5", "Server configuration problem - try again later")
	case config:
		f.sticky = reply(451, "4.3.5", "Server configuration problem - try again later")
	case policy == FailShutdown:
		f.sticky = reply(421, "4.7.1", "Service unavailable - try again later")
	case policy == FailReject:
		f.sticky = reply(550, "5.5.0", "Service unavailable")
	default:
		f.sticky = reply(451, "4.7.1", "Service unavailable - try again later")
	}
}

// stuck returns what a filter that failed or refused the client makes of a step.
func (p *postfix) stuck(f *filter) decision {
	if f.hold && p.quarantine == nil {
		reason := "filter failed"
		p.quarantine = &reason
	}
	if f.sticky == nil {
		return goOn
	}
	return decision{code: wire.ReplyCode, reply: f.sticky, by: f}
}

// event tells one filter of a step.
func (p *postfix) event(f *filter, st Stage, payload []byte) decision {
	switch f.state {
	case stateFailed, stateRefused:
		return p.stuck(f)
	case stateClosed:
		return goOn
	case stateDone:
		if st != StageHelo {
			return goOn
		}
	}
	if f.skip == st {
		return goOn
	}
	f.skip = noStage
	f.stage = st
	// A command that the version lacks goes without its macros too; those of the
	// content do where the filter does not want the packet.
	content := st == StageHeader || st == StageEndOfHeaders || st == StageBody
	if !f.sends(st) && (content || f.implied()&st.NoBit() != 0) {
		return goOn
	}
	p.macros(f, st)
	if !f.sends(st) {
		return goOn
	}
	f.frame(st.Cmd(), payload)
	if !f.answers(st) {
		if err := f.room(); err != nil {
			return p.failed(f, err)
		}
		return goOn
	}
	defer f.clock()()
	if err := f.flush(); err != nil {
		return p.failed(f, err)
	}
	return p.await(f, st, nil)
}

// await reads replies until the final one. ed takes edits at end of message.
func (p *postfix) await(f *filter, st Stage, ed *edit.Editor) decision {
	// Once the final reply lets the message pass, a quarantine is the decision: other
	// filters are not asked.
	pass := goOn
	for {
		cmd, payload, err := f.next(time.Time{})
		if err != nil {
			return p.failed(f, err)
		}
		switch cmd {
		case wire.ReplyContinue, wire.ReplyAccept, wire.ReplyReject, wire.ReplyTempFail, wire.ReplyDiscard, wire.ReplySkip, shutdown, wire.ReplyProgress:
			if err := noData(cmd, payload); err != nil {
				return p.failed(f, err)
			}
		}
		switch cmd {
		case wire.ReplyProgress:
			if ed != nil {
				ed.Interrupt()
			}
			continue
		case wire.ReplyQuarantine:
			reason := cString(string(payload))
			pass = decision{code: cmd, text: reason, by: f}
			if ed != nil {
				ed.Interrupt()
			}
			continue
		case wire.ReplyContinue:
			if st == StageEnd {
				f.decision = Accept
			}
			return pass
		case wire.ReplyAccept:
			f.decision = Accept
			if st == StageConnect || st == StageHelo {
				f.close()
				f.state = stateClosed
			} else {
				f.state = stateDone
			}
			return pass
		case wire.ReplySkip:
			f.skip = st
			return pass
		case wire.ReplyDiscard:
			if st == StageConnect || st == StageHelo {
				return goOn // with a warning
			}
			f.decision = Discard
			f.state = stateDone
			return decision{code: cmd, by: f}
		case wire.ReplyReject:
			return p.refuse(f, st, reply(550, "5.7.1", "Command rejected"))
		case wire.ReplyTempFail:
			return p.refuse(f, st, reply(451, "4.7.1", "Service unavailable - try again later"))
		case shutdown:
			switch st {
			case StageHeader, StageEndOfHeaders, StageBody, StageEnd:
				// Nobody thought of it there: the message is lost, and the client told all is well.
				f.decision, f.state = Discard, stateDone
				return decision{code: wire.ReplyDiscard, by: f}
			}
			return p.refuse(f, StageConnect, reply(421, "4.7.0", "Server closing connection"))
		case wire.ReplyCode:
			r, err := postfixText(payload)
			if err != nil {
				return p.failed(f, err)
			}
			return p.refuse(f, st, r)
		}
		if ed == nil {
			return p.failed(f, &bogusReply{cmd})
		}
		e, err := edit.Decode(cmd, payload)
		switch {
		case errors.Is(err, edit.ErrNoEdit):
			return p.failed(f, &bogusReply{cmd})
		case err != nil:
			return p.failed(f, fmt.Errorf("%w: %q: %w", ErrBadReply, cmd, err))
		}
		if err := p.take(f, ed, e, len(payload)); err != nil {
			return p.failed(f, err)
		}
	}
}

// refuse returns a refusal; at CONNECT and HELO it is for good.
func (p *postfix) refuse(f *filter, st Stage, r *Reply) decision {
	f.decision = r.verdict()
	if st == StageConnect || st == StageHelo {
		f.close()
		f.state, f.sticky = stateRefused, r
	}
	return decision{code: wire.ReplyCode, reply: r, by: f}
}

// postfixText reads the text of a reply. A malformed one is an error in the
// configuration.
func postfixText(p []byte) (*Reply, error) {
	text := cString(string(p))
	bad := func(why string) (*Reply, error) {
		return nil, fmt.Errorf("%w: %w: %s: %.100q", ErrConfiguration, ErrBadReply, why, text)
	}
	switch {
	case !isCode(text):
		return bad("no reply code")
	case len(text) < 4 || text[3] != ' ' && text[3] != '-':
		return bad("no blank behind the reply code")
	case len(text) > 4 && text[4] >= '0' && text[4] <= '9' && text[4] != text[0]:
		return bad("enhanced code of another class")
	}
	// A doubled percent sign is one, a single one is none.
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' {
			if i++; i == len(text) || text[i] != '%' {
				i--
				continue
			}
		}
		b.WriteByte(text[i])
	}
	r := parseReply(cutLines(b.String()))
	r.bye = r.Code == 421 || r.Code == 521
	return r, nil
}

// round tells the filters of a step, until one decides.
func (p *postfix) round(st Stage, payload []byte) decision {
	if p.held != nil || p.discard && st != StageUnknown {
		return goOn
	}
	for _, f := range p.filters {
		if d := p.event(f, st, payload); d.code != wire.ReplyContinue {
			return d
		}
	}
	return goOn
}

// outcome returns what the client is told of a decision.
func (p *postfix) outcome(d decision) Outcome {
	out := Outcome{}
	out.by(d)
	switch d.code {
	case wire.ReplyDiscard:
		out.Verdict = Discard
	case wire.ReplyQuarantine:
		p.held = &d.text
		p.quarantine = p.held
	case wire.ReplyCode:
		out.Reply = d.reply
		out.Verdict = out.Reply.verdict()
	}
	return out
}

func (p *postfix) connect(ctx context.Context) Outcome {
	d := goOn
	for _, f := range p.filters {
		if err := f.open(ctx); err != nil {
			d = p.failed(f, err)
		} else {
			d = p.event(f, StageConnect, p.connectPayload())
		}
		if d.code != wire.ReplyContinue {
			break
		}
	}
	out := p.outcome(d)
	switch {
	case out.Reply == nil:
	case out.Reply.bye:
		out.Reply = reply(421, "", p.host+" Service unavailable - try again later")
	case out.Verdict == Reject:
		// The banner says no; the text is kept for MAIL.
		out.Reply = reply(554, "", p.host+" ESMTP not accepting connections")
	default:
		out.Reply = nil
	}
	return out
}

func (p *postfix) helo(name string) Outcome {
	d := p.round(StageHelo, wire.AppendString(nil, name))
	if p.greeted {
		p.abort()
	}
	if p.from != nil {
		p.abort()
		p.endTransaction()
	}
	out := p.outcome(d)
	if out.Reply != nil && !out.Reply.bye {
		out.Reply = nil // it is for MAIL
	}
	return out
}

func (p *postfix) mail(addr string, params []string) Outcome {
	for _, f := range p.filters {
		f.decision = Continue
	}
	p.from = &addr
	out := p.outcome(p.round(StageMail, envelope(addr, params)))
	if out.Reply != nil {
		p.from = nil
		p.abort()
		return out
	}
	p.params = params
	p.discard = p.discard || out.Verdict == Discard
	return out
}

func (p *postfix) rcpt(r *Recipient, params []string) Outcome {
	out := p.outcome(p.round(StageRcpt, envelope(r.given, params)))
	if out.Reply == nil && p.taken == 0 && !p.local {
		// The queue file, and with it the name, comes with the first recipient.
		p.newQueueID()
	}
	p.discard = p.discard || out.Verdict == Discard
	return out
}

// refusedRcpt tells of a recipient that Postfix refuses; what the filters say to
// that counts for nothing.
func (p *postfix) refusedRcpt(r *Recipient, params []string) {
	for _, f := range p.filters {
		if f.neg.Protocol&wire.RejectedRcpts != 0 {
			p.event(f, StageRcpt, envelope(r.given, params))
		}
	}
}

func (p *postfix) dataCmd() Outcome {
	out := p.outcome(p.round(StageData, nil))
	p.discard = p.discard || out.Verdict == Discard
	return out
}

// unknown tells of the first word only: the line is cut up by then.
func (p *postfix) unknown(line string) Outcome {
	word, _, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	out := p.outcome(p.round(StageUnknown, wire.AppendString(nil, word)))
	p.discard = p.discard || out.Verdict == Discard
	return out
}

func (p *postfix) content(ed *edit.Editor) Outcome {
	defer p.abort()
	if p.discard {
		return Outcome{Verdict: Discard}
	}
	p.quarantine = p.held
	for _, f := range p.filters {
		failed := f.state == stateFailed
		done := f.clock()
		d := p.contentOf(f, ed)
		done()
		if f.state == stateFailed && !failed && f.sticky != nil {
			// smtpd finds the connection closed later, and takes that for a failure of
			// communication whatever it was.
			p.stick(f, false)
		}
		switch d.code {
		case wire.ReplyContinue:
		case wire.ReplyQuarantine:
			p.quarantine = &d.text
			return Outcome{}
		default:
			return p.outcome(d)
		}
	}
	return Outcome{}
}

// contentOf puts the message through one filter.
func (p *postfix) contentOf(f *filter, ed *edit.Editor) decision {
	for _, h := range ed.Header() {
		d := p.event(f, StageHeader, wire.AppendHeader(nil, cString(h.Name()), cString(h.Text(f.leadingSpace()))))
		if d.code != wire.ReplyContinue {
			return d
		}
	}
	if d := p.event(f, StageEndOfHeaders, nil); d.code != wire.ReplyContinue {
		return d
	}
	for chunk := range slices.Chunk(ed.Body(), wire.ChunkSize) {
		if d := p.event(f, StageBody, chunk); d.code != wire.ReplyContinue {
			return d
		}
	}
	switch f.state {
	case stateFailed, stateRefused:
		return p.stuck(f)
	case stateOpen:
	default:
		return goOn
	}
	f.skip = noStage
	f.stage = StageEnd
	p.macros(f, StageEnd)
	f.frame(wire.CmdEnd, nil)
	if err := f.flush(); err != nil {
		return p.failed(f, err)
	}
	ed.Begin(f.leadingSpace())
	f.edits, f.editSize = 0, 0
	return p.await(f, StageEnd, ed)
}

// abort sends ABORT to all filters that are in use: a message is over, well or
// not, or the client begins anew.
func (p *postfix) abort() {
	if p.local {
		return
	}
	for _, f := range p.filters {
		if f.state == stateOpen || f.state == stateDone {
			f.frame(wire.CmdAbort, nil)
			f.state = stateOpen
		}
	}
}

func (p *postfix) reset() {
	if p.from != nil {
		p.abort()
	}
}

func (p *postfix) startTLS() {
	if p.greeted {
		p.abort()
	}
	p.reset()
}

func (p *postfix) quit() {
	if p.greeted {
		p.abort()
	}
	p.reset()
	for _, f := range p.filters {
		if f.state == stateOpen || f.state == stateDone {
			f.quit()
		}
	}
}

func (p *postfix) lost() { p.quit() }
