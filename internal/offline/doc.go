// Package offline puts stored messages through the filters of a listener, with
// nobody else involved: what an MTA would say and deliver is found out without one.
//
// A [Tester] serves the listener's chain in memory and plays the MTA to it, so that
// all that lies between the two holds: negotiation, limits, times, the ways of
// Sendmail and of Postfix. Filters that contact other servers than DNS are not
// asked. What filters keep goes to a scratch folder, which Close removes; no other
// file is written.
//
// Messages come from files, mailbox files (mbox), Maildirs and standard input, see
// [Find], and are read one at a time: what is in memory is bounded whatever they
// are.
package offline
