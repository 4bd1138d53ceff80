package milter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/internal/wire"
)

// A Negotiation is what a Negotiate hook may look at and change before the
// answer leaves.
type Negotiation struct {
	// What the MTA offers.
	OfferedVersion  int
	OfferedActions  Actions
	OfferedProtocol Protocol

	// What is going to be asked, made from Hooks. What was not offered is taken
	// out again, except that a stage may stay silent: it is then answered for the
	// hook.
	Actions  Actions
	Protocol Protocol
	Macros   map[Stage][]string
}

// An agreement is the part of a negotiation that a connection goes by.
type agreement struct {
	Version  uint32
	Actions  Actions
	Protocol Protocol
}

func agreed(n *wire.Negotiation) agreement { return agreement{n.Version, n.Actions, n.Protocol} }

// Macros sent at the end of the message by default; see [conn.macroLists].
const defaultEndMacros = "{msg_id} i"

// negotiate answers an offer. It sets what the connection goes by from then on.
func (c *conn) negotiate(offer *wire.Negotiation) (answer wire.Negotiation, err error) {
	if offer.Version < wire.MinVersion {
		return answer, wire.ErrVersion
	}
	// An offer of nothing means the first version's set, as in libmilter.
	if offer.Actions == 0 {
		offer.Actions = wire.V1Actions
	}
	if offer.Protocol == 0 {
		offer.Protocol = wire.V1Protocol
	}
	n := &Negotiation{OfferedVersion: int(offer.Version), OfferedActions: offer.Actions, OfferedProtocol: offer.Protocol,
		Actions: c.hooks.Actions, Protocol: c.wishes(), Macros: c.hooks.Macros}
	if n.Actions == 0 && c.hooks.End != nil {
		n.Actions = AllEdits
	}
	if rcpt, ok := n.Macros[StageRcpt]; ok && c.hooks.RejectedRcpts {
		n.Macros = maps.Clone(n.Macros) // Rcpt.Rejected looks at it
		n.Macros[StageRcpt] = append(slices.Clip(rcpt), "{rcpt_mailer}")
	}
	if c.hooks.Negotiate != nil {
		n.Macros = maps.Clone(n.Macros)
		if err := c.run(StageNegotiate, func(ctx context.Context) { err = c.hooks.Negotiate(ctx, n) }); err != nil {
			return answer, err // abandoned
		}
		if err != nil {
			return answer, err
		}
	}
	answer.Version = min(offer.Version, wire.MaxVersion)
	answer.Actions = n.Actions & AllEdits & offer.Actions
	answer.Protocol = n.Protocol & offer.Protocol
	if n.Protocol&^offer.Protocol&wire.Data1M != 0 {
		answer.Protocol |= wire.Data256K & offer.Protocol // the next best
	}
	if offer.Actions&wire.SetMacros != 0 {
		lists, any, err := macroLists(n.Macros)
		if err != nil {
			return answer, err
		}
		if any {
			answer.Macros = lists
			answer.Actions |= wire.SetMacros
		}
	}
	c.granted = agreed(&answer)
	c.silent = n.Protocol & wire.NoReplies
	return answer, nil
}

// wishes returns the protocol bits that follow from the hooks.
func (c *conn) wishes() (p Protocol) {
	h := &c.hooks
	for s := range StageNegotiate {
		switch {
		case !h.has(s):
			p |= s.NoBit()
		case h.Silent.Has(s):
			p |= s.NoReplyBit()
		}
	}
	if h.Body != nil {
		p |= wire.Skip
	}
	if h.RejectedRcpts {
		p |= wire.RejectedRcpts
	}
	if h.LeadingSpace {
		p |= wire.LeadingSpace
	}
	switch {
	case h.DataSize > wire.DataSize256K+1:
		p |= wire.Data1M
	case h.DataSize > wire.DataSize64K+1:
		p |= wire.Data256K
	}
	return p
}

// macroLists returns the lists for the wire. Sendmail looks at the list of the
// end of headers to know whether the end of message has one, so both are always
// given: asked alone, an end-of-headers list would leave the end of message
// without macros, and an end-of-message list would have no effect.
func macroLists(macros map[Stage][]string) (lists [wire.MacroStages][]byte, any bool, err error) {
	for s, names := range macros {
		if s >= wire.MacroStages {
			return lists, false, fmt.Errorf("no macros can be asked for at %v", s)
		}
		for _, name := range names {
			if name == "" || strings.ContainsAny(name, " ,\t\r\n\x00") {
				return lists, false, fmt.Errorf("%q is no name of a macro", name)
			}
		}
		lists[s] = []byte(strings.Join(names, " "))
		any = true
	}
	switch end, eoh := lists[StageEnd], lists[StageEndOfHeaders]; {
	case end == nil && eoh != nil:
		lists[StageEnd] = []byte(defaultEndMacros)
	case end != nil && eoh == nil:
		lists[StageEndOfHeaders] = []byte{}
	}
	return lists, any, nil
}
