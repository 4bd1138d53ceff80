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
	m.edit()
	var strictest, last *milter.Refusal
	var dropped []Path
	left := 0
	for _, p := range m.rcpts {
		r := refuse[p.Address]
		if r == nil {
			left++
			continue
		}
		dropped = append(dropped, p)
		if last = r; strictest == nil || strictest.Temporary() && !r.Temporary() {
			strictest = r
		}
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
	if left == 0 {
		tell()
		return last
	}
	switch v.chain.Disagree {
	case Lenient:
		note("refused for %d of %d recipients, and delivered to all", len(dropped), len(m.rcpts))
		return nil
	case TempFailAll:
		note("refused for %d of %d recipients", len(dropped), len(m.rcpts))
		return milter.TempFail(451, "4.7.1", "Recipients want different things of this message, please try again later")
	case DropRefused:
		for _, p := range dropped {
			x := edit.Edit{Action: edit.DeleteRcpt, Address: p.Raw}
			if err := m.edit().Apply(x); err != nil {
				return milter.TempFail(451, "4.3.0", "Message cannot be processed now, please try again later")
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
	note("refused for %d of %d recipients", len(dropped), len(m.rcpts))
	return strictest
}
