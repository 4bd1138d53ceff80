// Package policy says what is to be done with mail by what checks found of it: maps
// from the result of a check, and whom it is of, to a word.
//
//	SPF-fail:example.com            REJECT
//	SPF-softfail:jane@example.com   OK
//	HELO-fail:.example.net          550 5.7.1 use a name of your own
//	DMARC-fail-reject               REJECT
//	SMTP-Auth:jane@example.com      OK
//
// A key is a [Prefix] and behind it an address, a domain, or the parent of domains
// with a dot before it; [Map.Lookup] tells the order in which they are tried. Letters
// of keys and words match in any case. The words are [Word].
//
// Maps come from text files as Sendmail's makemap and Postfix's postmap read them
// ([Parse]), or from any other list of keys and words.
package policy
