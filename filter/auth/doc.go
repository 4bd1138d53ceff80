// Package auth finds out who sent a message: SPF of the sender and of the HELO name, the
// client's name in DNS (iprev), DKIM signatures, and DMARC, in one pass.
//
//	f, err := auth.New("auth", auth.Options{Resolver: resolver})
//
// At MAIL it asks about the client, at the end of the message about signatures and the
// author. All that it found is written into one Authentication-Results field (RFC 8601) on
// top of the message; those that others wrote in our name are taken out before. Nothing is
// refused unless [DMARC] says so.
//
// # Facts
//
// Filters behind it are told [spf.Checked] and [dns.Reverse] from MAIL on, [dkim.Checked] and
// [dmarc.Result] from the end of the message on. What a method was not asked for has no
// value, and a message for which nothing was to be checked has no fact.
//
// # Which messages
//
//	external       all methods
//	trusted-relay  DKIM, and what Believe says
//	internal       nothing; forged fields are taken out
//	authenticated  auth=pass with the user's name
//
// # Time
//
// All look-ups of a message have one deadline. What is not known when it ends is a temperror,
// and nothing is refused for that.
package auth
