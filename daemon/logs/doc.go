// Package logs writes the daemon's log: to standard error, to syslog or to a
// file, as lines of text or as JSON.
//
// # Lines
//
// A record that has an attribute "queue" starts with the queue id, or with
// NOQUEUE, so that it is found as the lines of the mail server are:
//
//	4F2A1B3C: time=2026-11-22T16:07:00.123Z level=INFO msg=message conn=6f1c-12 verdict=reject stage=end reply="550 5.7.1 no programs (ref k7m2p9q4xr)" ...
//	NOQUEUE: time=2026-11-22T16:07:02.481Z level=INFO msg="recipient refused" conn=6f1c-13 reply="550 5.1.6 moved (ref 9sdm3h6ztc)" rcpt=a@old.example ...
//
// Behind it, and in lines of other records, are key=value pairs. Time and level
// are left out where syslog or the journal has them.
//
// A value is in double quotes, with the escapes of Go, unless it is printable
// ASCII without blanks, quotes and "=". Inside quotes, letters of scripts that
// are written from left to right stay as they are, and all else that is not
// printable ASCII is escaped: nothing that comes from the network can begin a line
// or a field, or tell a terminal anything. The elements of a list are separated by
// commas; an empty one, and one that has a comma, a quote or anything that is not
// printable ASCII, is in quotes of its own. A value that
// is too long is cut, a field that does not fit into the line is left out, and
// the last field, cut, has the keys of both.
//
// In JSON, a line is one object of the same keys; text that is no UTF-8 is base64
// in a member whose name ends in "_b64".
//
// # When it cannot be written
//
// Nobody who logs ever waits: lines are queued and written by a goroutine of the
// Log. When the disk is full, or syslogd gone, they wait in the queue and are tried
// again. What does not fit into the queue is lost and counted, and the log says so
// where the lines are missing. A log that is not standard error tells it, at once and
// then now and again, that it cannot be written and why.
package logs
