// Package filter looks at mail a message at a time, and runs several filters in
// one process.
//
// A [Filter] has hooks for the client, HELO, the sender, each recipient and the
// whole message. A [Chain] runs filters in their order, each seeing what those
// before it made of the message, and gives the MTA one answer and one small list
// of edits: what the same filters would give as separate milters of Postfix.
//
//	chain := &filter.Chain{Steps: []filter.Step{{Filter: attachments}, {Filter: auth}}}
//	srv := &milter.Server{New: chain.Hooks}
package filter
