package scan

import (
	"fmt"
	"slices"
)

// A Scanner is a kind of scanner, and so the protocol it is asked in.
type Scanner uint8

// The scanners. There is no default.
const (
	_      Scanner = iota
	Clamd          // ClamAV's daemon: INSTREAM of clamd(8)
	Spamd          // SpamAssassin's daemon: SPAMC/1.5 of spamd's PROTOCOL
	Rspamd         // rspamd's worker, or its proxy: POST /checkv2
)

var scannerNames = []string{Clamd: "clamd", Spamd: "spamd", Rspamd: "rspamd"}

// String returns the scanner's name.
func (s Scanner) String() string { return name(scannerNames, uint8(s)) }

// MarshalText returns the scanner's name; the error is for one that is none.
func (s Scanner) MarshalText() ([]byte, error) { return marshal(scannerNames, uint8(s)) }

// UnmarshalText reads what MarshalText wrote; the error names what it cannot read.
func (s *Scanner) UnmarshalText(b []byte) error {
	i, err := unmarshal(scannerNames, b, "scanner")
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

var actionNames = []string{Default: "default", Accept: "accept", Tag: "tag", TagSubject: "tag-subject", Quarantine: "quarantine",
	TempFail: "tempfail", Reject: "reject", Discard: "discard"}

// String returns the action's name in configurations.
func (a Action) String() string { return name(actionNames, uint8(a)) }

// MarshalText returns the action's name; the error is for one that is none.
func (a Action) MarshalText() ([]byte, error) { return marshal(actionNames, uint8(a)) }

// UnmarshalText reads what MarshalText wrote; the error names what it cannot read.
func (a *Action) UnmarshalText(b []byte) error {
	i, err := unmarshal(actionNames, b, "action")
	*a = Action(i)
	return err
}

func name(names []string, i uint8) string {
	if int(i) < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("invalid (%d)", i)
}

func marshal(names []string, i uint8) ([]byte, error) {
	if int(i) < len(names) && names[i] != "" {
		return []byte(names[i]), nil
	}
	return nil, fmt.Errorf("scan: no name for %d", i)
}

func unmarshal(names []string, b []byte, what string) (uint8, error) {
	i := slices.Index(names, string(b))
	if i < 0 || len(b) == 0 {
		return 0, fmt.Errorf("scan: no %s is called %q", what, b)
	}
	return uint8(i), nil
}
