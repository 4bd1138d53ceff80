// Package doctor reads the configuration of a running Postfix or Sendmail and
// names what keeps it from using a filter of ours, or from using it well, each
// fault with the line to paste or the command to run.
//
// It changes nothing. The only programs it runs are "postconf" and "sendmail
// -C/dev/null -d0.1 -bv", each with a deadline and a limit to what it may say.
//
// Postfix's parameters are described in postconf(5) and its services in
// master(5); Sendmail's options in the Installation and Operation Guide,
// section 5. Where a rule is known from the source alone, the function says so.
package doctor
