// Package dsn composes the notices that tell the sender of a message what became of
// it, and reads those that come back: delivery status notifications (RFC 3464), in the
// form of RFC 6522, as the sender asked for them by RFC 3461.
//
//	c := &dsn.Composer{Host: "mx.example.net"}
//	m, err := c.Compose(&dsn.Notice{
//		Template:   "softfail",
//		To:         sender,
//		Recipients: []dsn.Recipient{{Address: rcpt, Action: dsn.Delayed, Status: "4.7.23"}},
//		Header:     header,
//	})
//
// A notice has three parts: a text for people, made of a template; a report for
// programs; and the header of the message, or all of it. It comes from the null sender.
//
// # Templates
//
// A template is a file of UTF-8: header fields, an empty line, the text. The fields
// are Subject, which must be there, From and Reply-To, which hold one address each.
// Field values and text are in the language of text/template, with these variables:
//
//	.sender         the envelope's sender
//	.sender_domain  its domain, or what the check was of
//	.receiver       our host
//	.rcpts          the recipients that the notice is about, a list for range; 50 at most
//	.rcpt           the same, one a line with a tab before it
//	.subject        of the message, "(none)" where it has none
//	.date           when the message came
//	.message_id     of the message
//	.connectip      the address of the host that brought it
//	.client         the name of that address
//	.heloname       the name it gave
//	.spf_result     the result of the SPF check, as in Received-SPF
//	.result         the word of the result, such as softfail
//	.perm_error     what is wrong with a record
//	.reason         why the notice is sent
//	.reference      by which the receiver finds the message again
//
// A variable that is not known is empty, so that {{if .heloname}} asks for it. One
// that there is not is an error when the template is loaded, with its file and line.
// Templates of older systems write %(rcpt)s for {{.rcpt}}.
//
// # Reading reports
//
// [Parse] takes reports as RFC 3464 has them and as programs get them wrong, and the
// texts for people that some programs send instead. Anyone can write a report. What
// tells real ones apart is a Message-ID that [Composer.Sign] signed: it is in all
// notices that this package composes, receivers quote it in what they send back, and
// [ParseOptions.Owner] checks it. So a [Report] that Failed and is Ours says that an
// address which was given as a sender takes no mail; one that is only Ours may as well be
// a word of its owner's vacation.
package dsn
