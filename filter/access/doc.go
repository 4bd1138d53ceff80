// Package access refuses, holds, drops and whitelists mail by policies: what checks found of who sent it
// is looked up in a [policy.Map], and the word that is found is done.
//
// The checks are those of filters before it in the chain, which tell what they found as facts: spf.Checked,
// dkim.Checked, dmarc.Result. Of SMTP AUTH the chain itself knows. What was not checked is not judged, and a
// result that the map has no key for is OK: an empty map refuses nothing.
//
// # Which words apply
//
// At MAIL, or at RCPT where tables of the map are for some recipients only:
//
//   - smtp-auth, of messages of class Authenticated. It is looked up for USER@DOMAIN, the domain being that
//     of MAIL FROM: which user may use which domain; then for USER@, whatever the domain. Where the sender has no domain, or is
//     the null sender, that is localhost.localdomain. [policy.Map.Lookup] tells of users whose names are addresses.
//   - spf-RESULT, of class External, for the sender; of the null sender for postmaster@HELO-NAME.
//   - helo-RESULT, of class External, for the HELO name: where the sender is not the null sender, and its
//     SPF neither passes nor is temperror.
//
// At the end of the message, of class External, and TrustedRelay where the checks were done:
//
//   - dkim-RESULT, for the domains of signatures. Where some pass, only these count: a broken signature makes
//     no message worse that a good one vouches for. Where none does, those of the author's domain count, or else
//     all; without any it is dkim-none, for the author's domain. Where those of others count, keys that name the
//     author's domain, or one above it, are looked up as well by what its own came to, or dkim-none: a signature that
//     anybody can add lets no domain off that is to sign its mail. Failures of keys that are being tested (t=y) do not
//     count. WHITELIST for any domain, a key without one, is for signatures of the author's
//     domain only; everybody can sign.
//   - dmarc-RESULT, for the author's domain; of a failure dmarc-fail-none, dmarc-fail-quarantine and
//     dmarc-fail-reject, by what the domain asks for, and behind each of them dmarc-fail.
//
// Of all words that apply, the one prevails that comes last in the order OK, CBV, DSN, QUARANTINE, TEMPFAIL, DISCARD, REJECT,
// WHITELIST, BAN.
//
// # Waiting
//
// Forwarded mail fails SPF, and what shows that it is genuine all the same is a signature. With Options.Wait, words of SPF and
// HELO that refuse, hold or drop wait for the end of the message, and do not count if a signature passes that is the
// author's in the sense of DMARC, or of the envelope sender's domain. BAN neither waits nor yields.
//
// Where no such signature passes, but DNS did not tell the key of one, it may pass later: REJECT and DISCARD that waited are then
// put off, and the client is told to come again (451 4.7.5, RFC 6376 section 6.3). If the map has a word for dkim-temperror of its
// domain, that says what is done: TEMPFAIL puts off with its own reply; with any other word nothing is put off. Signatures of other
// domains, which anybody can add, put nothing off.
//
// CBV and DSN are done by filters behind this one that find them in the fact [policy.Verdict], as WHITELIST is heeded by
// them; without such filters they are the same as OK. Of the null sender they are OK.
package access
