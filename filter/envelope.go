package filter

import (
	"context"

	"github.com/gomilter/gomilter"
)

func (v *conversation) mail(ctx context.Context, c *milter.Mail) milter.MailReply {
	if v.m != nil { // the server ended it by a limit of its own
		v.abort(ctx)
	}
	v.begin()
	m := v.m
	m.from = newPath(c.Raw(), c.Address(), c.Local(), c.Domain(), c.RawParams())
	v.note(milter.StageMail)
	m.user, _ = v.session.Macro("{auth_authen}")
	if kind, _ := v.session.Macro("{auth_type}"); m.user != "" || kind != "" {
		m.class, m.exempt = Authenticated, true
		if v.held != nil {
			m.expl.Filters = append(m.expl.Filters, Outcome{Name: "chain", Stage: milter.StageMail.String(), Decision: "continue",
				Why: "the client is authenticated: the refusal at " + v.held.stage.String() + " does not apply"})
		}
	}
	r := v.askEnvelope(ctx, milter.StageMail, func(f *Filter) envelopeHook {
		if f.Mail == nil {
			return nil
		}
		return func(ctx context.Context, t *Transaction) (milter.Reply, error) { return reply(f.Mail(ctx, t)) }
	})
	refusal, refused := r.(*milter.Refusal)
	switch {
	case r == nil:
	case !refused:
		v.discard(milter.StageMail)
		return milter.Discard
	case v.chain.Immediate:
		return v.refuse(milter.StageMail, refusal)
	default:
		m.held = refusal
	}
	return milter.Continue
}

func (v *conversation) rcpt(ctx context.Context, c *milter.Rcpt) milter.RcptReply {
	v.begin()
	to := newPath(c.Raw(), c.Address(), c.Local(), c.Domain(), c.RawParams())
	v.note(milter.StageRcpt)
	refusal := v.refusal()
	if refusal == nil {
		r := v.askEnvelope(ctx, milter.StageRcpt, func(f *Filter) envelopeHook {
			if f.Rcpt == nil {
				return nil
			}
			return func(ctx context.Context, t *Transaction) (milter.Reply, error) { return reply(f.Rcpt(ctx, t, to)) }
		})
		refusal, _ = r.(*milter.Refusal)
	}
	m := v.m
	if refusal == nil {
		m.expl.Recipients = append(m.expl.Recipients, Recipient{to.Address, nil})
		m.rcpts = append(m.rcpts, to)
		return milter.Continue
	}
	refusal = withRef(refusal, m.expl.Ref)
	m.expl.Recipients = append(m.expl.Recipients, Recipient{to.Address, newReply(refusal)})
	return refusal
}

func (v *conversation) data(ctx context.Context) milter.DataReply {
	v.begin()
	v.note(milter.StageData)
	r := v.askEnvelope(ctx, milter.StageData, func(f *Filter) envelopeHook {
		if f.Data == nil {
			return nil
		}
		return func(ctx context.Context, t *Transaction) (milter.Reply, error) { return reply(f.Data(ctx, t)) }
	})
	if refusal, ok := r.(*milter.Refusal); ok {
		return v.refuse(milter.StageData, refusal)
	}
	if r != nil {
		v.discard(milter.StageData)
		return milter.Discard
	}
	return milter.Continue
}

// An envelopeHook is a filter's hook of one step, nil where it has none.
type envelopeHook func(context.Context, *Transaction) (milter.Reply, error)

// askEnvelope asks the filters about a step of the envelope. It returns a refusal
// or milter.Discard, from the first filter that decides, or nil.
func (v *conversation) askEnvelope(ctx context.Context, st milter.Stage, pick func(*Filter) envelopeHook) milter.Reply {
	if v.refusal() != nil {
		return nil
	}
	v.start(v.chain.stageTimeout())
	for i, s := range v.chain.plan.steps {
		if v.connDone[i] || v.mailDone[i] || !s.asksOf(v.m.class) {
			continue
		}
		if r := v.standing[s]; r != nil {
			return r
		}
		h := pick(s.Filter)
		if h == nil {
			continue
		}
		o := newOutcome(s, st)
		t := v.view(s, o)
		r := v.ask(ctx, s, st, o, func(ctx context.Context) (milter.Reply, error) { return h(ctx, t) })
		if done := o.done(); done.says() {
			v.m.expl.Filters = append(v.m.expl.Filters, done)
		}
		switch r {
		case nil, milter.Reply(milter.Continue):
		case milter.Reply(milter.AcceptMessage):
			v.mailDone[i] = true
		case acceptAll: // as the filters before left it
			for j := i; j < len(v.mailDone); j++ {
				v.mailDone[j] = true
			}
			return nil
		default:
			return r
		}
	}
	return nil
}

// view returns what a hook is given of the message.
func (v *conversation) view(s *Step, o *Outcome) *Transaction {
	c := *v.conn
	c.note = o.note
	return &Transaction{&c, v.m, o.Name, &s.Filter.Needs, o.Report, v.session.MTA()}
}
