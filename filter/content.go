package filter

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/quarantine"
)

func (v *conversation) header(_ context.Context, h *milter.Header) milter.HeaderReply {
	v.begin()
	value := string(h.Raw())
	if !v.m.exact {
		value = " " + value // what the MTA took away, most likely
	}
	if v.m.received.Header == nil {
		v.m.received.Header = make(message.Header, 0, 16) // most have fewer fields
	}
	v.m.received.Header = append(v.m.received.Header, message.NewField(h.Name(), value, "\r\n"))
	return milter.Continue
}

func (v *conversation) body(_ context.Context, b []byte) milter.BodyReply {
	v.begin()
	m := v.m
	if m.received.Body == nil {
		m.received.Body = m.spool()
	}
	if m.spoolErr == nil {
		_, m.spoolErr = m.received.Body.(io.Writer).Write(b)
	}
	return milter.Continue
}

func (v *conversation) end(ctx context.Context, e *milter.Edits) milter.EndReply {
	v.begin()
	m := v.m
	v.note(milter.StageEnd)
	if m.received.Body == nil && v.chain.plan.body {
		m.received.Body = strings.NewReader("")
	}
	m.whole = true
	m.expl.Size = m.received.size()
	switch refusal := v.refusal(); {
	case refusal != nil:
		return v.refuse(milter.StageEnd, refusal)
	case m.spoolErr != nil:
		v.chain.log().Error("message cannot be stored", "conn", v.conn.ID, "queue", m.queueID, "err", m.spoolErr)
		v.chainFailed("message cannot be stored", m.spoolErr)
		return v.refuse(milter.StageEnd, cannotStore)
	case v.chain.tooMany(&v.chain.abandoned):
		v.chainFailed("", ErrBusy)
		return v.refuse(milter.StageEnd, milter.TempFail(451, "4.3.2", "Too busy, please try again later"))
	}
	v.start(v.chain.endTimeout())
	if v.chain.plan.pass != nil {
		if refusal, over := v.passes(ctx); refusal != nil {
			return refusal
		} else if over {
			return v.deliver(ctx, e)
		}
	}
	for i, s := range v.chain.plan.steps {
		if s.Filter.Message == nil || v.connDone[i] || v.mailDone[i] || !s.asksOf(v.m.class) {
			continue
		}
		r, edits := v.askMessage(ctx, s)
		refusal, refused := r.(*milter.Refusal)
		switch {
		case r == nil: // it does not count
			continue
		case refused:
			return v.refuse(milter.StageEnd, refusal)
		case r == milter.Reply(milter.Discard):
			v.discard(milter.StageEnd)
			return milter.Discard
		case r == acceptAll:
			return v.deliver(ctx, e)
		}
		if err := edits.commit(); err != nil {
			return v.cannotEdit(err, s.Filter.Name)
		}
		if refusal := v.disagree(edits.refuse); refusal != nil {
			return v.refuse(milter.StageEnd, refusal)
		}
		if v.m.quarantine != nil {
			break
		}
	}
	return v.deliver(ctx, e)
}

// askMessage asks a filter about the whole message and takes note of what it says.
// The reply is nil where it does not count, also where the filter does not apply.
func (v *conversation) askMessage(ctx context.Context, s *Step) (milter.Reply, *Edits) {
	f := s.Filter
	o := newOutcome(s, milter.StageEnd)
	t := v.view(s, o)
	edits := &Edits{m: v.m, needs: f.Needs.Actions, above: v.m.above(), whole: f.Needs.Body, kind: f.Kind, packet: v.session.Protocol().DataSize()}
	applies := true
	r := v.ask(ctx, s, milter.StageEnd, o, func(ctx context.Context) (milter.Reply, error) {
		defer edits.close()
		if s.Applies != nil && !s.Applies(t) {
			applies = false
			return milter.Continue, nil
		}
		r, err := f.Message(ctx, t, edits)
		if err == nil && (r == milter.EndReply(milter.Accept) || r == milter.EndReply(milter.Continue)) {
			err = edits.prepare()
		}
		return r, err
	})
	if o.abandoned {
		edits.end()
	} else {
		if !applies {
			return nil, nil
		}
		if o.Edits = edits.list; edits.hold != nil && (o.Decision == "accept" || o.Decision == "continue") {
			o.Decision = "quarantine"
		}
		for _, p := range v.m.rcpts {
			if refusal := edits.refuse[p.Address]; refusal != nil {
				o.note(fmt.Sprintf("%s refused: %s", p, refusal))
			}
		}
	}
	v.m.expl.Filters = append(v.m.expl.Filters, o.done())
	return r, edits
}

// cannotEdit ends a message whose edits cannot be made.
func (v *conversation) cannotEdit(err error, by string) milter.EndReply {
	v.chain.log().Error("edits cannot be made", "conn", v.conn.ID, "queue", v.m.queueID, "filter", by, "err", err)
	v.chainFailed("edits of "+by+" cannot be made", err)
	return v.refuse(milter.StageEnd, cannotProcess)
}

// chainFailed notes that the chain itself is behind the refusal that follows.
func (v *conversation) chainFailed(why string, err error) {
	v.m.expl.Filters = append(v.m.expl.Filters, Outcome{Name: "chain", Stage: milter.StageEnd.String(), Decision: "failed", Why: why, Failed: err.Error()})
}

// deliver ends the message well: the MTA is told what the filters changed.
func (v *conversation) deliver(ctx context.Context, e *milter.Edits) milter.EndReply {
	m := v.m
	if m.editor != nil && len(m.editor.Envelope().Rcpts) == 0 {
		// It goes to nobody, and nobody is told: somebody must be able to find it.
		log := v.chain.log().With("conn", v.conn.ID, "queue", m.queueID)
		kept, err := m.keep(ctx, v.conn, quarantine.Entry{Filter: "chain", Reason: "no recipient is left"})
		o := Outcome{Name: "chain", Stage: milter.StageEnd.String(), Decision: "continue", Why: "no recipient is left"}
		if err != nil {
			log.Error("message without recipients cannot be kept", "err", err)
			o.Decision, o.Failed = "tempfail", err.Error()
			m.expl.Filters = append(m.expl.Filters, o)
			return v.refuse(milter.StageEnd, cannotStore)
		}
		log.Warn("message has no recipient left", "kept", kept.Ref)
		m.expl.Filters = append(m.expl.Filters, o)
		m.expl.kept(kept.Ref)
	}
	if err := m.send(e, v.session.MTA()); err != nil {
		return v.cannotEdit(err, "chain")
	}
	m.expl.Verdict, m.expl.Quarantine = "accept", m.quarantine
	v.finish(milter.StageEnd)
	return milter.Accept
}

// send makes of all that the filters changed the fewest edits of the MTA at hand.
func (m *mail) send(e *milter.Edits, kind milter.MTA) error {
	var list []edit.Edit
	if ed := m.editor; ed != nil {
		mta := edit.Sendmail
		if kind == milter.MTAPostfix {
			mta = edit.Postfix
		}
		list = edit.DiffHeader(mta, m.received.Header, ed.Header(), ed.AboveOwn())
		list = append(list, edit.DiffEnvelope(m.before, ed.Envelope())...)
	}
	if m.quarantine != nil {
		list = append(list, edit.Edit{Action: edit.Quarantine, Value: *m.quarantine})
	}
	for _, x := range list {
		if err := request(e, x); err != nil {
			return fmt.Errorf("%s: %w", x.Action, err)
		}
	}
	same, err := sameBytes(m.now.Body, m.received.Body)
	if err != nil {
		return err
	}
	if body := m.now.Body; !same {
		if err := e.ReplaceBody(&bodyReader{io.NewSectionReader(body, 0, body.Size()), m}); err != nil {
			return err
		}
		list, m.sending = append(list, edit.Edit{Action: edit.ReplaceBody, Size: body.Size()}), true
	}
	m.expl.Edits = append(m.expl.Edits, list...)
	return nil
}

// request asks the MTA for an edit.
func request(e *milter.Edits, x edit.Edit) error {
	params := strings.Fields(x.Args)
	switch x.Action {
	case edit.AddHeader:
		return e.AddHeader(x.Name, x.Value)
	case edit.InsertHeader:
		return e.InsertHeader(int(x.Index), x.Name, x.Value)
	case edit.ChangeHeader:
		return e.ChangeHeader(x.Name, int(x.Index), x.Value)
	case edit.DeleteHeader:
		return e.DeleteHeader(x.Name, int(x.Index))
	case edit.AddRcpt:
		return e.AddRcpt(x.Address, params...)
	case edit.DeleteRcpt:
		return e.DeleteRcpt(x.Address)
	case edit.ChangeFrom:
		return e.ChangeFrom(x.Address, params...)
	case edit.Quarantine:
		return e.Quarantine(x.Value)
	}
	return fmt.Errorf("filter: %v cannot be sent", x.Action)
}

// A bodyReader gives the new body to the MTA, and back what the message holds when
// all was read.
type bodyReader struct {
	*io.SectionReader
	m *mail
}

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.SectionReader.Read(p)
	if err == io.EOF {
		b.m.close()
	}
	return n, err
}
