package headers

import "github.com/gomilter/gomilter/internal/enum"

// A Part is what of a field a rule looks at.
type Part uint8

// The parts. A field has no, one or several values of a part; it meets a rule when
// one of them does.
const (
	Value       Part = iota // the value as a client shows it, in UTF-8; see [message.Field.Decoded]
	Raw                     // the value as received: LF for line ends inside, without the first blank
	Address                 // each address in the field, without its name and quotes that it does not need
	DisplayName             // each name in the field that goes with an address, decoded
	Charset                 // each charset that an encoded word names (RFC 2047), in lower case, without a language
	Name                    // the field's name, as written
	Recipient               // no part of a field: the address of each recipient, refused at RCPT
)

var partWords = enum.Names{Package: "headers", What: "part", List: []string{"value", "raw", "address", "display-name", "charset", "name", "recipient"}}

// String returns the part's name in configurations.
func (p Part) String() string { return partWords.Name(uint8(p)) }

// MarshalText returns the part's name; the error is for one that is none.
func (p Part) MarshalText() ([]byte, error) { return partWords.Marshal(uint8(p)) }

// UnmarshalText reads what MarshalText wrote; the error names what it cannot read.
func (p *Part) UnmarshalText(b []byte) error {
	i, err := partWords.Unmarshal(b)
	*p = Part(i)
	return err
}

// A Match is how a rule compares.
type Match uint8

// The ways to compare. Those that take Values are met by any of them.
const (
	Equal        Match = iota // is one of Values
	Contains                  // contains one of Values
	Prefix                    // begins with one of Values
	Suffix                    // ends with one of Values
	Glob                      // one of Values matches the whole: "*" is any run of characters, "?" one character
	Regexp                    // one of Values, a regular expression as package regexp has it, matches somewhere
	Longer                    // has more than N characters; of Raw, bytes
	Shorter                   // has less than N characters; of Raw, bytes
	Present                   // the field is there
	Missing                   // none of the fields is there
	MoreThan                  // the fields of a name behind the first N of that name
	SenderDomain              // the domain of an Address is that of the envelope's sender, or a parent of it
)

var matchWords = enum.Names{Package: "headers", What: "match", List: []string{"equal", "contains", "prefix", "suffix", "glob", "regexp", "longer", "shorter", "present", "missing", "more-than", "sender-domain"}}

// String returns the match's name in configurations.
func (m Match) String() string { return matchWords.Name(uint8(m)) }

// MarshalText returns the match's name; the error is for one that is none.
func (m Match) MarshalText() ([]byte, error) { return matchWords.Marshal(uint8(m)) }

// UnmarshalText reads what MarshalText wrote; the error names what it cannot read.
func (m *Match) UnmarshalText(b []byte) error {
	i, err := matchWords.Unmarshal(b)
	*m = Match(i)
	return err
}

// values reports whether the match takes Values.
func (m Match) values() bool { return m <= Regexp }

// counts reports whether it takes N.
func (m Match) counts() bool { return m == Longer || m == Shorter || m == MoreThan }

// fields reports whether it looks at fields as a whole, so that there is no Part.
func (m Match) fields() bool { return m == Present || m == Missing || m == MoreThan }

// An Action is what a rule does.
type Action uint8

// The actions. The first four decide about the message, the others do not.
const (
	Reject     Action = iota + 1 // refuse for good
	TempFail                     // refuse for now
	Discard                      // drop the message and tell the client that it was delivered
	Quarantine                   // let the MTA hold it in its queue, with the edits made so far
	Tag                          // put Edit.Value before each Subject that does not begin with it; where there is none, add one
	Add                          // add a field, once a message
	Change                       // give fields another value
	Remove                       // take fields out
	Note                         // explain only
)

var actionWords = enum.Names{Package: "headers", What: "action", List: []string{"", "reject", "tempfail", "discard", "quarantine", "tag", "add", "change", "remove", "note"}}

// String returns the action's name in configurations.
func (a Action) String() string { return actionWords.Name(uint8(a)) }

// MarshalText returns the action's name; the error is for one that is none.
func (a Action) MarshalText() ([]byte, error) { return actionWords.Marshal(uint8(a)) }

// UnmarshalText reads what MarshalText wrote; the error names what it cannot read.
func (a *Action) UnmarshalText(b []byte) error {
	i, err := actionWords.Unmarshal(b)
	*a = Action(i)
	return err
}

// decides reports whether no rule is tried behind the action.
func (a Action) decides() bool { return Reject <= a && a <= Quarantine }

// each reports whether the action is for every field that meets the rule, and not
// for the first only.
func (r *Rule) each() bool {
	return r.Action == Note || (r.Action == Change || r.Action == Remove) && r.Edit.Name == ""
}
