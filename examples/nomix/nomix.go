// Package nomix is a sample filter: it keeps internal and external mail apart. A
// message whose sender and recipients are not all inside or all outside is
// refused for the recipients that do not go with the others.
package nomix

import (
	"context"
	"strings"

	"github.com/gomilter/gomilter"
)

// New returns the filter, to be the New of a [milter.Server]. A domain is internal
// when it is one of those given or below one: "corp" makes mx.hq.corp internal.
// So is an address without a domain, which only this machine gives out.
func New(internal ...string) func(*milter.Session) milter.Hooks {
	inside := func(domain string) bool {
		if domain == "" {
			return true
		}
		for _, d := range internal {
			if domain == strings.ToLower(d) || strings.HasSuffix(domain, "."+strings.ToLower(d)) {
				return true
			}
		}
		return false
	}
	return func(s *milter.Session) milter.Hooks {
		var first string // the first address of the message, "" before it
		var side bool    // whether that is internal

		// fits reports whether an address goes with those before it.
		fits := func(address, domain string) bool {
			if first == "" {
				first, side = address, inside(domain)
			}
			return side == inside(domain)
		}
		return milter.Hooks{
			Mail: func(_ context.Context, m *milter.Mail) milter.MailReply {
				if first = ""; !m.Null() { // a bounce comes from neither side
					fits(m.Address(), m.Domain())
				}
				return milter.Continue
			},
			Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
				if fits(r.Address(), r.Domain()) {
					return milter.Continue
				}
				s.Log().Info("recipient", "first", first, "rcpt", r.Address(), "verdict", "reject", "why", "mixes internal and external")
				return milter.Reject(550, "5.7.1", "internal and external addresses may not be mixed in one message")
			},
			Silent: milter.Stages(milter.StageMail),
		}
	}
}
