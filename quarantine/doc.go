// Package quarantine keeps originals: messages as they came, before a filter
// changed or refused them or failed on them.
//
// Each is two files in one folder, both 0600: REF.eml has the octets of the message and
// nothing else, REF.json the [Entry]. REF is a reference that may be shown to
// anyone, as in the text of a reply; it is no path and tells nothing but the time.
//
// The action of the same name in the milter protocol is another thing: there the MTA
// holds the message in its own queue. To keep an original neither delays nor stops the
// message.
package quarantine
