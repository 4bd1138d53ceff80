// Package cases runs conversations between an SMTP client, an MTA and filters
// that are built with package milter, and compares what came of them: with what
// a case file expects, and our own mta package's idea of an MTA with the real one.
//
// A file below testdata is a list of cases, a line at a time. Words are separated
// by blanks; a word in double quotes is a Go string, and "x"*40 is its
// repetition. What follows a # at the beginning of a line is a comment.
//
//	=== name of the case
//	setup two                 which MTA of those in setup.go; without it the plain one
//	only real postfix         not for the other MTA; real: not for package mta
//	shows id ...              the differences of docs/mta-differences.md that it shows
//	excuse id key             where the profile is known to differ from the real MTA
//
// What the filter does; filter2 speaks of the second one. It has all hooks, and
// they answer continue, unless said otherwise:
//
//	filter STAGE [TEXT] reject 550 5.7.1 "line" "line"
//	filter STAGE#2 [TEXT] accept
//
// STAGE is negotiate, connect, helo, mail, rcpt, data, header, eoh, body, end,
// abort or unknown; #2 means the second call of it on a connection, @2 (before
// that) the second connection; TEXT limits the line to calls with an argument that
// contains it. The actions are
//
//	continue, accept, reject, tempfail, discard, skip: the reply
//	nil: no reply; panic: as it says; hang: until the MTA gives up; sleep 1s
//	kill: the filter's process is gone, from this moment
//	add, insert N, change N, delete N, each with the name of a field and a value
//	addrcpt, delrcpt, from: with an address and parameters; body; quarantine; progress
//
// All lines that apply are done in their order; the last reply counts.
//
//	filter hooks rcpt end     only these hooks
//	filter silent mail rcpt   Hooks.Silent
//	filter macros end i {x}   Hooks.Macros
//	filter leadspace, filter rejected, filter actions add,change
//	filter fault accept       Server.OnFault
//	filter timeout stage 1s   Server.StageTimeout; likewise end and progress
//	filter absent             it closes each connection at once
//	filter gone               nobody listens at its socket
//
// What the client does. Words in capitals are SMTP commands, sent as they are
// whatever was answered before. EHLO comes first and QUIT last if they are not
// written (NOHELO stands for no EHLO); without any such line the client sends one
// letter:
//
//	client letter from a@example.com SIZE=100 to b@example.net to c@example.net header "X: y" body "text\r\n"
//	client data "Subject: x\r\n\r\ntext\r\n"    after DATA, with the final dot
//	client pipeline "MAIL FROM:<a@example.com>" "RCPT TO:<b@example.net>" "DATA"
//	client raw "text"         no reply is read
//	client starttls, client auth USER PASSWORD, client close, client sleep 1s
//	client ipv6, client submission      first: where it connects
//	client local ...          a letter, handed over by the command sendmail
//	client sink VERB TEXT "550 5.1.1 no"        the next hop refuses
//
// What is expected of both MTAs, or of one:
//
//	want     key: value
//	sendmail key: value
//	postfix  key: value
//
// An outcome is a list of such lines. The values given for a key must be all that
// the outcome has for it; (none) says that it has none. Of refused, fault, error
// and held none is expected unless given, and of delivered as many as messages were
// answered with 250.
//
//	refused         MAIL 550 5.7.1 no      each refusal; the second MAIL is MAIL2
//	replies         banner 220, EHLO 250   all codes
//	from, to        envelope as delivered; "mail2 from" of the second message, and so on
//	fields          names of the fields as delivered
//	field X-Name    "value"                with all behind the colon
//	body            "text"
//	held            the reason it is quarantined for
//	calls           connect helo mail      hooks called; "conn2 calls" of the second connection,
//	                                       "filter2 calls" of the second filter
//	args rcpt       what the hook was given
//	names, saw X-Y  the names of the fields it was given, and Header.Raw
//	chunk           what the body hook was given
//	macro mail {x}  value                  where it first had it
//	error           what a method of Edits returned
//	fault           what the server logged
package cases
