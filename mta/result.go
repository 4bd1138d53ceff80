package mta

import (
	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/message"
)

// An Edit is one change that a filter asked for.
type Edit = edit.Edit

// An Envelope is sender and recipients, without angle brackets.
type Envelope = edit.Envelope

// A FilterEdit is an edit and the name of the filter that made it. Values of header
// fields are without the blank behind the colon, also where filter and MTA agreed
// to send it.
type FilterEdit struct {
	Edit
	Milter string
}

// A Recipient is one that the client named.
type Recipient struct {
	Address string `json:"address"`
	Reply   *Reply `json:"reply"` // why it was refused; nil when it was not

	given  string // as the client wrote it
	params []string
}

// A Result is what became of a message. As JSON it is one object:
//
//	{"file":…,"verdict":…,"stage":…,"reply":…,"quarantine":…,"recipients":[…],"edits":[…],"envelope":{…},"filters":[…]}
type Result struct {
	File    string  `json:"file,omitempty"` // for the caller to set
	Verdict Verdict `json:"verdict"`
	Stage   string  `json:"stage"` // at which the verdict fell
	Reply   *Reply  `json:"reply"` // what the client was told; nil when all went well
	// Quarantine is why the message is held; nil when it is not.
	Quarantine *string        `json:"quarantine"`
	Recipients []Recipient    `json:"recipients"`
	Edits      []FilterEdit   `json:"edits"` // as asked for, also when the verdict came to nothing
	Envelope   Envelope       `json:"envelope"`
	Filters    []FilterResult `json:"filters"`

	// Message is what the MTA delivers or holds. It is the zero Message when the
	// client was refused, and when the message was dropped.
	Message message.Message `json:"-"`
	// Faults tells of the filters that failed: in the session so far, or while
	// Message ran.
	Faults []Fault `json:"-"`
}

// A FilterResult is what one filter had to do with a message.
type FilterResult struct {
	Name         string  `json:"name"`
	Decision     Verdict `json:"decision"`
	Why          string  `json:"why"` // how it failed, "" when it did not
	Milliseconds float64 `json:"ms"`  // spent waiting for it
}
