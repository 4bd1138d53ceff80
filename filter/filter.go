package filter

import (
	"context"

	"github.com/gomilter/gomilter"
)

// A Filter is what its author writes: a name, what it needs, and hooks. All hooks
// are optional, and one Filter serves all connections at once.
//
// A hook that returns an error, returns no reply, panics or overstays its time
// has failed; what happens to the message then is its [Step]'s OnError.
type Filter struct {
	// Name names the filter in explanations; it is unique in a chain.
	Name string

	// Kind is what the filter is for, which decides where in a chain it may stand.
	Kind Kind

	// Needs is what the Message hook looks at and does.
	Needs Needs

	// Contacts says that its hooks talk to other servers than DNS. In report mode it
	// is not asked, and the explanation says so.
	Contacts bool

	// Ready returns why the servers that mail cannot do without cannot be used; nil
	// for a filter that has none. It may be called at any time, from any goroutine,
	// and contacts them.
	Ready func(context.Context) error

	// Connect is told of the SMTP client.
	Connect func(context.Context, *Connection) (milter.ConnectReply, error)

	// Helo is told of each HELO and EHLO.
	Helo func(context.Context, *Connection) (milter.HeloReply, error)

	// Mail begins a message.
	Mail func(context.Context, *Transaction) (milter.MailReply, error)

	// Rcpt comes for each recipient that no filter before refused.
	Rcpt func(context.Context, *Transaction, Path) (milter.RcptReply, error)

	// Data comes when the client asks to send the message.
	Data func(context.Context, *Transaction) (milter.DataReply, error)

	// Message comes with the whole message. Only here may it be edited.
	Message func(context.Context, *Transaction, *Edits) (milter.EndReply, error)
}

// has reports whether the filter has a hook of a stage.
func (f *Filter) has(st milter.Stage) bool {
	switch st {
	case milter.StageConnect:
		return f.Connect != nil
	case milter.StageHelo:
		return f.Helo != nil
	case milter.StageMail:
		return f.Mail != nil
	case milter.StageRcpt:
		return f.Rcpt != nil
	case milter.StageData:
		return f.Data != nil
	case milter.StageEnd:
		return f.Message != nil
	}
	return false
}

// A Kind is what a filter is for.
type Kind uint8

// The kinds.
const (
	Changes  Kind = iota // may edit the message
	Verifies             // reads the message as received; adds header fields, and deletes those that speak in our name
	Signs                // signs the message: nothing may edit it afterwards
)

// Needs are what a Message hook looks at and does. What no filter of a chain needs
// the MTA does not send.
type Needs struct {
	Header bool // header fields
	Body   bool // the body

	// Originals says that it keeps messages as they were received.
	Originals bool

	// Actions are the kinds of edits it makes; milter.AllEdits for any.
	Actions milter.Actions

	// Macros are those that it asks the transaction for, by the stage at which the
	// MTA shall send them. The MTA is asked for no others then, so a filter names
	// all it wants at a stage. Macro i and those of authentication are always there.
	Macros map[milter.Stage][]string
}
