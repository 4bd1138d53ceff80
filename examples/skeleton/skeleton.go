// Package skeleton is a sample filter that lets everything pass and logs each
// step, one line an event. Copy it, keep the hooks you need, and answer something
// else than Continue.
package skeleton

import (
	"context"
	"log/slog"
	"slices"

	"github.com/gomilter/gomilter"
)

// New returns the filter, to be the New of a [milter.Server]. It logs to the
// server's logger, at level Info.
func New() func(*milter.Session) milter.Hooks {
	return func(s *milter.Session) milter.Hooks {
		// What is declared here lives as long as the connection; each has its own.
		var bytes int // of the body of the message under way

		log := func(event string, facts ...any) { s.Log().With("queue", s.QueueID()).Info(event, facts...) }
		macro := func(name string) string { v, _ := s.Macro(name); return v }

		return milter.Hooks{
			Connect: func(_ context.Context, c *milter.Client) milter.ConnectReply {
				log("connect", "host", c.Host, "addr", c.Addr, "path", c.Path, "receiver", macro("j"))
				return milter.Continue
			},
			Helo: func(_ context.Context, name []byte) milter.HeloReply {
				log("helo", "name", string(name), "tls", macro("{tls_version}"))
				return milter.Continue
			},
			Mail: func(_ context.Context, m *milter.Mail) milter.MailReply {
				bytes = 0
				log("mail", "from", m.Address(), params(slices.Collect(m.RawParams())), "user", macro("{auth_authen}"))
				return milter.Continue
			},
			Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
				log("rcpt", "to", r.Address(), params(slices.Collect(r.RawParams())))
				return milter.Continue
			},
			Data: func(context.Context) milter.DataReply {
				log("data")
				return milter.Continue
			},
			Header: func(_ context.Context, h *milter.Header) milter.HeaderReply {
				log("header", "name", h.Name(), "value", h.Value())
				return milter.Continue
			},
			EndOfHeaders: func(context.Context) milter.EndOfHeadersReply {
				log("end of headers")
				return milter.Continue
			},
			Body: func(_ context.Context, chunk []byte) milter.BodyReply {
				bytes += len(chunk)
				log("body", "bytes", len(chunk))
				return milter.Continue
			},
			End: func(_ context.Context, e *milter.Edits) milter.EndReply {
				// The message may be edited here, e.g. e.AddHeader("X-Seen", "yes").
				log("end", "bytes", bytes)
				return milter.Accept
			},
			Abort: func(context.Context) { log("abort", "bytes", bytes) },
			Unknown: func(_ context.Context, command []byte) milter.UnknownReply {
				log("unknown command", "command", string(command))
				return milter.Continue
			},
			Close: func() { log("close") },

			// The stages whose hooks only ever answer Continue: the MTA need not
			// wait for them. Take a stage out of the set to answer something else.
			Silent:  milter.Stages(milter.StageConnect, milter.StageHelo, milter.StageMail, milter.StageRcpt, milter.StageData, milter.StageHeader, milter.StageEndOfHeaders, milter.StageBody, milter.StageUnknown),
			Actions: milter.NoEdits, // no kind of edit is asked for; milter.CanAddHeaders would be one
		}
	}
}

// params makes one attribute of the ESMTP parameters of a command.
func params(raw [][]byte) slog.Attr {
	list := make([]string, len(raw))
	for i, p := range raw {
		list[i] = string(p)
	}
	return slog.Any("params", list)
}
