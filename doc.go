// Package milter is the filter's end of the milter protocol: what Sendmail and
// Postfix talk to when a mail filter sits beside them.
//
// A filter is a [Server] whose New function returns, for each connection of an
// MTA, a set of [Hooks]. Only the hooks that are set cost anything: the others
// are negotiated away, so that the MTA does not even send those steps.
//
//	srv := &milter.Server{New: func(s *milter.Session) milter.Hooks {
//		return milter.Hooks{
//			Rcpt: func(ctx context.Context, r *milter.Rcpt) milter.RcptReply {
//				if r.Domain() == "old.example.com" {
//					return milter.Reject(550, "5.1.6", "that domain has moved")
//				}
//				return milter.Continue
//			},
//		}
//	}}
//	err := srv.ListenAndServe(ctx, "unix:/run/moved.sock")
//
// Each stage has a reply type of its own, so a reply that the stage does not
// know does not compile. Edits of the message exist at its end only, as methods
// of [Edits].
//
// The hooks of one connection never run at the same time. Bytes given to a hook
// are lent until it returns; methods that return a string copy. A hook that
// panics or overstays its time costs its own message an answer by
// [Server.OnFault], never the process or another conversation.
package milter
