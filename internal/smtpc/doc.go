// Package smtpc is the short SMTP dialogue (RFC 5321) that call-outs and delivery reports
// need: with one server, at an address that is given, from the greeting to QUIT.
//
// The commands are those of go-smtp's client. What it reads comes through this package,
// which judges it first: the size of a reply, its form, the time it takes, and that nothing
// was said out of turn, so that no reply is taken for that to another command. A [Reply]
// is the server's word with what cannot be printed taken out.
//
// TLS is opportunistic (RFC 3207, RFC 7435): taken where it is offered, whatever the
// certificate, so that who only listens learns nothing. A server that refuses to start it
// is talked to in the clear; one that breaks in the handshake is called again, and talked
// to in the clear. MTA-STS and DANE are not looked at: whoever sends what must not be
// read on the way hands it to the MTA.
package smtpc
