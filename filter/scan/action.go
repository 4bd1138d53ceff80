package scan

import "github.com/gomilter/gomilter/internal/enum"

// A Scanner is a kind of scanner, and so the protocol it is asked in.
type Scanner uint8

// The scanners. There is no default.
const (
	_      Scanner = iota
	Clamd          // ClamAV's daemon: INSTREAM of clamd(8)
	Spamd          // SpamAssassin's daemon: SPAMC/1.5 of spamd's PROTOCOL
	Rspamd         // rspamd's worker, or its proxy: POST /checkv2
)

var scannerNames = enum.Names{Package: "scan", What: "scanner", List: []string{Clamd: "clamd", Spamd: "spamd", Rspamd: "rspamd"}}

// String returns the scanner's name.
func (s Scanner) String() string { return scannerNames.Name(uint8(s)) }

// MarshalText returns the scanner's name; the error is for one that is none.
func (s Scanner) MarshalText() ([]byte, error) { return scannerNames.Marshal(uint8(s)) }

// UnmarshalText reads what MarshalText wrote; the error names what it cannot read.
func (s *Scanner) UnmarshalText(b []byte) error {
	i, err := scannerNames.Unmarshal(b)
	*s = Scanner(i)
	return err
}

// An Action is what happens to a message.
type Action uint8

// The actions, the later the stricter: of several that apply, the strictest counts.
const (
	Default    Action = iota // what the option has without being told
	Accept                   // nothing but a note in the explanation
	Tag                      // the message gets header fields
	TagSubject               // and words in front of its Subject
	Quarantine               // the MTA holds the message
	TempFail                 // the client is told to come again
	Reject                   // the message is refused
	Discard                  // it is thrown away, and nobody is told
)

var actionNames = enum.Names{Package: "scan", What: "action", List: []string{Default: "default", Accept: "accept", Tag: "tag", TagSubject: "tag-subject", Quarantine: "quarantine",
	TempFail: "tempfail", Reject: "reject", Discard: "discard"}}

// String returns the action's name in configurations.
func (a Action) String() string { return actionNames.Name(uint8(a)) }

// MarshalText returns the action's name; the error is for one that is none.
func (a Action) MarshalText() ([]byte, error) { return actionNames.Marshal(uint8(a)) }

// UnmarshalText reads what MarshalText wrote; the error names what it cannot read.
func (a *Action) UnmarshalText(b []byte) error {
	i, err := actionNames.Unmarshal(b)
	*a = Action(i)
	return err
}
