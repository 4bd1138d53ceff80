// Package sign signs messages by DKIM (RFC 6376), with RSA and Ed25519 (RFC 8463).
//
// A [Rule] says whose mail is signed, with which key, by which domain and selector.
// [New] makes a filter of rules, which stands behind all filters of a chain that
// edit, and signs what they made of the message:
//
//	key, err := dkim.ReadKey("/etc/gomilter/dkim/2026.pem")
//	...
//	f, err := sign.New("sign", sign.Options{Rules: []sign.Rule{{Domain: "example.com", Selector: "2026", Key: key}}})
//
// # Who signs
//
// Mail of clients that are authenticated or internal is signed, by the domain of its
// author, so that DMARC finds the two aligned: [Options.By] has others. A rule
// without Senders and Users signs for its domain, and with Subdomains for those below
// it that have no nearer rule. Rules with Senders or Users sign what these say, whatever else
// does. All rules that are for a message sign it: two rules with an RSA and an
// Ed25519 key make two signatures, two that name one key make one.
//
// # What is signed
//
// The fields that [dkim.DefaultFields] names, and the body. Those of
// [dkim.DefaultOverSign] are signed once more than they are there, so that nobody can add
// one. An MTA may add some by itself after the filters, which would break the
// signature; so
//
//   - Date and Message-ID are added by the filter where they are missing, unless
//     [Options.KeepMissing] says not to: then they are not over-signed where they are missing;
//   - To and Cc are not over-signed in a message that has neither, since Sendmail's
//     NoRecipientAction adds one;
//   - a message without From is not signed. Sendmail adds one.
//
// What Sendmail does to fields with addresses on their way out would break signatures, too. With an MTA
// that is not Postfix, which does such things before the filters see the message,
//
//   - addresses are written as Sendmail would: with a blank behind each comma, and quotes around names
//     that have a dot or an apostrophe;
//   - a field whose addresses Sendmail may write otherwise, such as one without a domain, which it
//     completes, is not signed, and with such a From field the message is not;
//   - the header of a message with a list of addresses, or blanks at the end of a field of
//     addresses, is signed relaxed where simple was asked for, since Sendmail folds them its own way.
//
// The header is signed relaxed, too, when the MTA does not tell of the blanks behind
// colons ([filter.Transaction.ExactHeader]). The explanation tells all of it.
//
// No MTA sends lines of more than 998 bytes as they are (RFC 5321 section 4.5.3.1.6): a signature
// over a body that has one breaks, and the explanation says so. It breaks as well
// where an MTA encodes 8-bit text anew for a host that does not take it.
package sign
