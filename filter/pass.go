package filter

import (
	"context"

	"github.com/gomilter/gomilter"
)

// passStep stands for Chain.Pass where a filter is asked.
var passStep = &Step{Filter: &Filter{Name: "pass", Needs: Needs{Header: true, Body: true, Actions: milter.CanChangeHeaders}}}

// planPass takes what Chain.Pass needs into the plan.
func (c *Chain) planPass() {
	if c.Pass != nil {
		c.plan.body = true
		c.plan.edits |= passStep.Filter.Needs.Actions
	}
}

// passes asks Chain.Pass. A refusal ends the message; over says that no filter is
// to be asked.
func (v *conversation) passes(ctx context.Context) (refusal *milter.Refusal, over bool) {
	o := newOutcome(passStep, milter.StageEnd)
	t := v.view(passStep, o)
	edits := &Edits{m: v.m, needs: passStep.Filter.Needs.Actions, above: v.m.above(), whole: true, packet: v.session.Protocol().DataSize()}
	r := v.ask(ctx, passStep, milter.StageEnd, o, func(ctx context.Context) (milter.Reply, error) {
		defer edits.close()
		why, err := v.chain.Pass(ctx, t, edits)
		if err == nil {
			err = edits.prepare()
		}
		if err != nil {
			return nil, err
		}
		if why == "" {
			return milter.Continue, nil
		}
		t.Explain(why)
		return milter.Accept, nil
	})
	if o.abandoned {
		edits.end()
	} else {
		o.Edits = edits.list
	}
	if done := o.done(); done.says() {
		v.m.expl.Filters = append(v.m.expl.Filters, done)
	}
	if refusal, refused := r.(*milter.Refusal); refused {
		return refusal, true
	}
	if err := edits.commit(); err != nil {
		v.chain.log().Error("edits cannot be made", "conn", v.conn.ID, "queue", v.m.queueID, "filter", o.Name, "err", err)
		return cannotProcess, true
	}
	return nil, r == milter.Reply(milter.Accept)
}
