// Package callout asks the mail servers of a domain whether they accept an address, as if
// mail for it were to come, and leaves before there is any: call-back verification.
//
// A [Checker] looks up where mail for the domain goes, connects there, says EHLO, STARTTLS
// where it is offered, MAIL with the null sender or a given one, RCPT, and QUIT. The answer is
// one of three: [Accepted], [Refused], [Unknown]; why it is that, the [Reason] tells. Nothing
// but a server that means the address, or DNS where it says that the domain takes no mail, makes
// it Refused; what is put off, or refused for who we are, says nothing about an address.
//
// # Dangers
//
// A call-out is a load on others, who did not send the mail that made us ask: its sender is
// whom a forger liked to name. Many of its kind from many sites are an attack on the one named, and
// some operators list whoever does it. Servers answer RCPT with what suits them: some accept every
// address, some none to strangers, some later. Whoever rejects mail by call-outs loses mail
// that is wanted. Ask SPF, DKIM and DMARC first; ask for domains that were chosen, and for
// addresses whose mail is about to be refused otherwise. Nothing here is done unless it is
// called for.
//
// The null sender is for asking about the sender of an envelope only, as a bounce would go
// there. Whoever asks about other addresses, such as those of header fields, sets Options.From.
// Domains of one's own are not to be asked about, nor senders in one's own network.
//
// # What bounds it
//
// The questions to a domain and to a server in a minute, those of all together, the dialogues at
// a time, and the time of each are bounded; what is over is Unknown. Answers are kept, each kind
// for its term. A question that several have at a time is asked once. Who asks waits as long as
// he likes: the question goes on without him, until its own time ends, and what comes of it is
// kept for the next.
//
// Servers are not called at addresses that are no server's on the Internet, nor at our own.
// MTA-STS and DANE are not looked at: there is no mail to protect, and the address that is asked
// about is in the clear on the way only where TLS fails.
package callout
