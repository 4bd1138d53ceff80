// Package policy says what is to be done with mail by what checks found of it: maps
// from the result of a check, and whom it is of, to a word.
//
//	SPF-fail:example.com            REJECT
//	SPF-softfail:jane@example.com   OK
//	HELO-fail:.example.net          550 5.7.1 use a name of your own
//	DMARC-fail-reject               REJECT
//	SMTP-Auth:jane@example.com      OK
//	SMTP-Auth:jane@                 REJECT
//
// A key is a [Prefix] and behind it an address, a domain, or the parent of domains
// with a dot before it; [Map.Lookup] tells the order in which they are tried. Letters
// of keys and words match in any case. The words are [Word].
//
// Behind SMTP-Auth stands which user may send for which domain: a user, the last "@", and the domain of
// the sender; or no domain, for all of them. So the two lines above let jane send for example.com only. Users whose names are
// addresses may be written once where they send for their own domain: the first line is also for the user
// jane@example.com, whom "SMTP-Auth:jane@example.com@" holds to it, and "SMTP-Auth:jane@example.com@example.org" lets
// send for another.
//
// Maps come from text files as Sendmail's makemap and Postfix's postmap read them
// ([Parse]), or from any other list of keys and words.
package policy
