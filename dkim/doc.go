// Package dkim signs messages and verifies their signatures (DKIM: RFC 6376, RFC 8301, RFC
// 8463, RFC 8616).
//
// # Verifying
//
// [Verifier.Verify] tells what each signature of a message comes to, in the order of the
// header, in the values of RFC 8601 section 2.7.1, and why.
//
//   - neutral: the signature breaks the syntax, which is read strictly, as RFC 6376 section
//     6.1.1 has it; or its version, algorithm, canonicalization or query method is not known.
//   - permerror: it lacks a tag, does not sign From, names another domain in i=, is expired
//     (x=), or has more names or bytes than is allowed; rsa-sha1, which RFC 8301 forbids; there
//     is no key, the key is revoked, or it is not for this signature.
//   - temperror: the key could not be looked up, or there was no time left.
//   - fail: body, header, signature and key do not fit together.
//   - policy: the signature is not accepted, whoever made it. One with l= covers a part of
//     the body only; a wrong one fails all the same. An RSA key may have too few bits; where it
//     has less than 1024, or too many, only the body is compared. Of too many signatures those at
//     the bottom are not looked at.
//
// Such a key record as says t=y sets [Result.Testing] and changes nothing else.
//
// # What is signed
//
// Signatures cover bytes, so that the message has to be as it was received. The header has
// the blanks behind its colons, which a filter gets only from an MTA that leaves them in
// (SMFIP_HDR_LEADSPC): without, signatures with simple canonicalization of the header fail.
// A line of the header may end in LF alone, as an MTA hands folded fields to filters. In a
// body only CRLF ends a line: Sendmail and Postfix hand over all lines so, and a CR or LF that
// stands alone after them was there when the message was signed.
//
// The time that a message takes grows with its size, times two where signatures differ in how
// the body is canonicalized, plus its header for each signature that is verified; memory does
// not grow with the body.
package dkim
