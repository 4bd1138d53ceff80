// Package scan has messages looked at by the scanners that people already run:
// ClamAV's clamd, SpamAssassin's spamd, and rspamd. Each is asked in its own
// protocol, on a socket of this machine or by TCP, without a library of its own.
//
//	f, err := scan.New("viruses", scan.Options{
//		Scanner: scan.Clamd,
//		Servers: []string{"unix:/run/clamav/clamd.ctl"},
//	})
//
// What the scanner sees is the message as it was received, its header without the
// field of the MTA that received it, which milters are not shown. spamd gets one of
// ours in front, because it looks for the client there; rspamd is told in fields of
// its protocol; clamd needs none.
//
// A message is refused when it is infected, and gets header fields when it looks
// like spam, unless Options say otherwise. Fields of the same names that come with
// a message are taken out of it: only what is ours is left for those who read
// them. A filter that finds no server alive, or a message that is too large to be
// scanned, goes by a policy of its own.
//
// What a scanner said is a fact, filter.Scans, for the filters behind.
//
// In report mode scanners are not asked: nothing is sent to anybody.
package scan
