// Package srs rewrites and signs the senders of mail, and reads such addresses back.
//
// A host that forwards a mail cannot leave its sender as it is: SPF (RFC 7208) of the
// sender's domain does not name the forwarder. The Sender Rewriting Scheme, SRS, puts
// the sender into the local part of an address of the forwarder, so that a bounce
// comes back and can be passed on:
//
//	SRS0=HASH=TT=example.net=jane@forward.example              the first forwarder
//	SRS1=HASH=forward.example==HASH=TT=example.net=jane@...    every later one
//	SRS0=HASH=TT==jane@example.com                             a sender of ours, signed
//	prvs=0DDDSSSSSS=jane@example.com                           the same as BATV has it
//
// The last two serve another end: when all mail leaves with a signed sender, a bounce
// to an address without signature answers mail that somebody else sent.
//
// # What is signed
//
// HASH is the beginning of a keyed hash, in base64; TT the day in two digits of
// base32, modulo 1024. No standard has SRS. The form is that of the library Mail::SRS
// and of postsrsd, and with [SHA1] and a common secret each reads what the others make.
//
// That form of the hash joins day, domain and user without anything between. Whoever
// holds one address with a valid hash can so move the border between domain and user
// ("example.com" and "jane" to "example.co" and "mjane"), and a sender of his choice
// gives him more; all he gains is a place for our bounces to go to. With [SHA256], the default,
// the fields are kept apart and nothing can be moved. Bounce signatures are
// made with fields apart in either case, cover the whole address, and cannot be had
// by having mail forwarded.
//
// A hash is compared in constant time. Hosts on the way may have changed the case of
// a local part, so a hash is accepted in any case, which makes eight characters worth
// 41 bits and not 48; [Original.Folded] tells, [Options.ExactCase] forbids.
//
// What has no time in it does not expire: SRS1 relies on the first forwarder's TT. The
// count of days begins anew every 1024 days, that of BATV every 1000, and an old
// address is then valid again for a while: change the secret once a year.
//
// # What is not here
//
// SES, another form for signed senders, is neither made nor accepted. Its signature has a
// time code that stands for "no expiry", with which the old checks of the hash were
// passed over, so that anybody could sign; and its count of uses allows an address so few
// bounces that honest ones get lost, in a table that never shrinks. [Unsign] reads it,
// as it believes nothing. The form of SRS with a data base is not here either: an address
// that does not fit is told by [ErrTooLong].
//
// # For mail servers
//
// Only the MTA knows what it forwards. [Server] answers its questions by the socket map
// protocol that Sendmail and Postfix speak; [Maps] has the two maps. In Postfix's main.cf:
//
//	sender_canonical_maps = socketmap:unix:/run/gomilter/srs.sock:srs_forward
//	sender_canonical_classes = envelope_sender
//	recipient_canonical_maps = socketmap:unix:/run/gomilter/srs.sock:srs_reverse
//	recipient_canonical_classes = envelope_recipient
//
// Postfix asks in lower case there, and rewrites the sender of every mail that passes, forwarded or
// not, unless a service of its own sends what is forwarded. In Sendmail's .mc file, where only
// mail that leaves by SMTP is asked for:
//
//	LOCAL_CONFIG
//	Kmake_srs socket -f unix:/run/gomilter/srs.sock
//	Kreverse_srs socket -f unix:/run/gomilter/srs.sock
//	LOCAL_RULESETS
//	SEnvFromSMTP
//	R$+ < @ $+ >	$: $(make_srs $1<@$2> $: $1<@$2> $)
//	SCanonify2=96
//	R$+ < @ $+ >	$: $(reverse_srs $1<@$2> $: $1<@$2> $)
//
// Without -f Sendmail, too, asks in lower case.
package srs
