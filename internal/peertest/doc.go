// Package peertest runs foreign mail programs for tests: real Sendmail and
// Postfix with filters in front and a recording SMTP server behind, OpenDKIM,
// a C filter on libmilter, OpenDKIM's miltertest, and the scanners clamd, spamd and
// rspamd.
//
// Everything runs out of a directory of the test, on loopback, on free ports; no
// service of the machine is used or touched. Programs are stopped by their
// process id when the test ends, also when the test binary dies. Waiting always
// has a deadline.
//
// The programs come from install.sh (make peers). Tests that need them carry
//
//	//go:build peers
//
// and fail, saying what is missing, where they are not installed. A test that
// starts one of its own looks like this:
//
//	f := peertest.CFilter(t, "unix", "addheader|X-Peer|yes")
//	m := peertest.Start(t, peertest.Postfix, peertest.Config{
//		Milters: []peertest.Milter{{Spec: f.Spec}},
//	})
//	reply := peertest.Send(t, m.Addr, peertest.Letter{To: []string{"a@example.net"}})
//	mail := m.Sink.Next(t)
//
// Many cases share one MTA per kind through [Shared]; then the filter's address
// stays and a [Switch] leads to whichever filter the case serves.
package peertest
