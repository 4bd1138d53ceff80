// Package spf checks whether a client may send mail for a domain (RFC 7208), for the
// address of MAIL FROM and for the HELO name.
//
//	c := &spf.Checker{Resolver: resolver}
//	res := c.Check(ctx, spf.Query{IP: ip, From: "alice@example.com", Helo: "mx.example.com"}, spf.MailFrom)
//
// A [Result] says what came out, of which term, and what is wrong where something is. A
// [Checker] has options for domains that publish nothing or a broken record, and for hosts
// that pass on mail of others. All are off by default, and Result.Source and Result.Lax tell
// where one took part.
//
// Nothing that DNS or a sender says makes a check take more than its limits: look-ups, octets
// of a record and of an explanation, and time. Texts of a Result are printable
// ASCII but for Sender, whose local part is the sender's.
package spf
