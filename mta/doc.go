// Package mta is the MTA's end of the milter protocol: it drives any filter as
// Sendmail or as Postfix would, and shows what the SMTP client would be told and
// what the message would become.
//
// A [Client] holds the filters and whose ways to follow. [Client.Connect] opens
// a [Session], to which the caller reports the SMTP conversation step by step:
//
//	c := &mta.Client{Profile: mta.Postfix, Milters: []mta.Milter{{Address: "unix:/run/filter.sock"}}}
//	s, out, err := c.Connect(ctx, mta.Conn{Name: "mx.example", Addr: netip.MustParseAddrPort("192.0.2.1:25")})
//	...
//	defer s.Close()
//	out, err = s.Helo(ctx, "mx.example")
//	out, err = s.Mail(ctx, "<a@example.com>")
//	out, err = s.Rcpt(ctx, "<b@example.net>")
//	out, err = s.Data(ctx)
//	res, err := s.Message(ctx, raw)
//
// or at once with [Client.Send]; [Client.SendLocal] is for mail of local programs.
//
// What the package does was observed on Sendmail 8.17.1 and on Postfix 3.7.11,
// and is tested against recordings of them. No mail leaves it: delivery, access
// rules and address rewriting are not its business.
package mta
