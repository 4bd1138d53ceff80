package filter

import (
	"context"

	"github.com/gomilter/gomilter"
)

// A hook of one stage, bound to what it is given; nil where the filter has none.
type hook = func(context.Context) (milter.Reply, error)

// reply is for hooks whose replies are of one stage only.
func reply[R milter.Reply](r R, err error) (milter.Reply, error) { return r, err }

// meet takes note of the client.
func (v *conversation) meet(c *milter.Client) {
	v.conn = &Connection{ID: v.session.ID(), Client: *c, facts: new(facts)}
	n := len(v.chain.plan.steps)
	done := make([]bool, 2*n)
	v.connDone, v.mailDone = done[:n:n], done[n:]
}

func (v *conversation) connect(ctx context.Context, c *milter.Client) milter.ConnectReply {
	v.meet(c)
	v.note(milter.StageConnect)
	r := v.askEarly(ctx, milter.StageConnect, func(f *Filter, c *Connection) hook {
		if f.Connect == nil {
			return nil
		}
		return func(ctx context.Context) (milter.Reply, error) { return reply(f.Connect(ctx, c)) }
	})
	if r != nil {
		return r
	}
	return milter.Continue
}

func (v *conversation) helo(ctx context.Context, name []byte) milter.HeloReply {
	if v.conn == nil {
		v.meet(&milter.Client{Family: milter.FamilyUnknown})
	}
	v.conn.Helo = string(name)
	v.note(milter.StageHelo)
	r := v.askEarly(ctx, milter.StageHelo, func(f *Filter, c *Connection) hook {
		if f.Helo == nil {
			return nil
		}
		return func(ctx context.Context) (milter.Reply, error) { return reply(f.Helo(ctx, c)) }
	})
	if r != nil {
		return r
	}
	return milter.Continue
}

// maxEarly bounds what the explanations of a connection's messages tell of connect
// and HELO, which a client may repeat for ever. What decides is told all the same.
const maxEarly = 50

// askEarly asks the filters about the connection; it returns a refusal to be told
// at once, or nil.
func (v *conversation) askEarly(ctx context.Context, st milter.Stage, bind func(*Filter, *Connection) hook) *milter.Refusal {
	v.start(v.chain.stageTimeout())
	for i, s := range v.chain.plan.steps {
		if v.connDone[i] || !s.asksOf(v.conn.class(&v.chain.Network)) {
			continue
		}
		if v.standing[s] != nil {
			return nil
		}
		o := newOutcome(s, st)
		c := *v.conn
		c.note = o.note
		h := bind(s.Filter, &c)
		if h == nil {
			continue
		}
		r := v.ask(ctx, s, st, o, h)
		refusal, refused := r.(*milter.Refusal)
		failed := o.Failed != ""
		if refused && v.chain.Submission && !failed {
			o.note("refusals at " + st.String() + " do not apply to submission")
			refused = false
		}
		var decides bool
		switch {
		case r == acceptAll:
			decides = v.pass == 0 && len(v.early) < 2*maxEarly
		case refused && v.chain.Immediate, r == milter.Reply(milter.AcceptConnection):
			decides = true
		case refused && failed:
			decides = v.failure == nil
		case refused:
			decides = v.held == nil
		}
		if done := o.done(); done.says() && (decides || len(v.early) < maxEarly) {
			v.early = append(v.early, done)
		}
		switch {
		case r == acceptAll:
			// The others are asked all the same: what they say counts for later messages.
			if v.pass == 0 || i+1 < v.pass {
				v.pass = i + 1
			}
		case r == milter.Reply(milter.AcceptConnection):
			v.connDone[i] = true
		case !refused:
		case v.chain.Immediate && refusal.Code() != 421 && (st == milter.StageHelo || refusal.Temporary()):
			// Postfix tells the client at MAIL, when the turn comes to this filter.
			if v.standing == nil {
				v.standing = make(map[*Step]*milter.Refusal)
			}
			v.standing[s] = refusal
			return nil
		case v.chain.Immediate:
			v.begin()
			return v.refuse(st, refusal)
		// The others are asked all the same: AUTH may cancel this.
		case failed && v.failure == nil:
			v.failure = refusal
		case !failed && v.held == nil:
			v.held = &hold{refusal, st}
		}
	}
	return nil
}
