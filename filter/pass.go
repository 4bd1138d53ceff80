package filter

import (
	"context"

	"github.com/gomilter/gomilter"
)

// planPass takes Chain.Pass into the plan: what it needs is that of a filter.
func (c *Chain) planPass() {
	if c.Pass == nil {
		return
	}
	needs := Needs{Header: true, Body: true, Actions: milter.CanChangeHeaders}
	c.plan.pass = &Step{Filter: &Filter{Name: "pass", Needs: needs, Message: c.pass}}
	c.plan.body = true
	c.plan.edits |= needs.Actions
}

func (c *Chain) pass(ctx context.Context, t *Transaction, e *Edits) (milter.EndReply, error) {
	why, err := c.Pass(ctx, t, e)
	switch {
	case err != nil:
		return nil, err
	case why == "":
		return milter.Continue, nil
	}
	t.Explain(why)
	return milter.Accept, nil
}

// passes asks Chain.Pass. A refusal ends the message; over says that no filter is
// to be asked.
func (v *conversation) passes(ctx context.Context) (refusal milter.EndReply, over bool) {
	s := v.chain.plan.pass
	r, edits := v.askMessage(ctx, s)
	if told := v.m.expl.Filters; !told[len(told)-1].says() {
		v.m.expl.Filters = told[:len(told)-1] // of nearly all messages there is nothing to tell
	}
	if r, refused := r.(*milter.Refusal); refused {
		return v.refuse(milter.StageEnd, r), true
	}
	if err := edits.commit(); err != nil {
		return v.cannotEdit(err, s.Filter.Name), true
	}
	return nil, r == milter.Reply(milter.Accept)
}
