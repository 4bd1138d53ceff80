package filter

import (
	"fmt"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/edit"
)

// disagree does what the chain wants where a filter refuses the message for some
// of its recipients. It returns a refusal of the whole message, or nil.
func (v *conversation) disagree(refuse map[string]*milter.Refusal) *milter.Refusal {
	if len(refuse) == 0 {
		return nil
	}
	m := v.m
	left := make(map[string]bool) // those whom it would go to
	for _, r := range m.edit().Envelope().Rcpts {
		left[r.Address] = true
	}
	all := len(left)
	var strictest, last *milter.Refusal
	var dropped []Path
	for _, p := range m.rcpts {
		addr, _ := edit.ParseAddress(p.Raw)
		r := refuse[p.Address]
		if r == nil || !left[addr] { // nobody that it would go to
			continue
		}
		delete(left, addr)
		dropped = append(dropped, p)
		if last = r; strictest == nil || strictest.Temporary() && !r.Temporary() {
			strictest = r
		}
	}
	if len(dropped) == 0 {
		return nil
	}
	note := func(format string, args ...any) {
		m.expl.Filters[len(m.expl.Filters)-1].note(fmt.Sprintf(format, args...))
	}
	tell := func() {
		for i, r := range m.expl.Recipients {
			if x := refuse[r.Address]; x != nil && r.Reply == nil {
				m.expl.Recipients[i].Reply = newReply(x)
			}
		}
	}
	if len(left) == 0 {
		tell()
		return last
	}
	switch v.chain.Disagree {
	case Lenient:
		note("refused for %d of %d recipients, and delivered to all", len(dropped), all)
		return nil
	case TempFailAll:
		note("refused for %d of %d recipients", len(dropped), all)
		return milter.TempFail(451, "4.7.1", "Recipients want different things of this message, please try again later")
	case DropRefused:
		for _, p := range dropped {
			x := edit.Edit{Action: edit.DeleteRcpt, Address: p.Raw}
			if err := m.edit().Apply(x); err != nil {
				return cannotProcess
			}
			note("%s dropped", p)
		}
		tell()
		var kept []Path
		for _, p := range m.rcpts {
			if refuse[p.Address] == nil {
				kept = append(kept, p)
			}
		}
		m.rcpts = kept
		return nil
	}
	note("refused for %d of %d recipients", len(dropped), all)
	return strictest
}
