package milter

import (
	"errors"
	"fmt"

	"github.com/gomilter/gomilter/internal/wire"
)

// A FaultPolicy says what an MTA is answered when a hook failed: it panicked,
// overstayed its time or answered what its stage does not know.
type FaultPolicy uint8

// The policies.
const (
	FaultTempFail FaultPolicy = iota // 451 4.3.0: the client tries again later
	FaultReject                      // 554 5.3.0
	FaultAccept                      // the message is delivered as it came, unfiltered; after connect and HELO, all of the connection
	FaultContinue                    // the conversation goes on as if the hook had answered Continue
)

// String returns the policy's name in lower case.
func (p FaultPolicy) String() string {
	switch p {
	case FaultTempFail:
		return "tempfail"
	case FaultReject:
		return "reject"
	case FaultAccept:
		return "accept"
	case FaultContinue:
		return "continue"
	}
	return "invalid policy"
}

// MarshalText writes the policy's name.
func (p FaultPolicy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Kinds of faults, as told to Metrics and logged.
const (
	FaultPanic  = "panic"  // a hook panicked or ended its goroutine
	FaultHang   = "hang"   // a hook was abandoned
	FaultAnswer = "answer" // a hook answered what its stage does not know
	FaultBody   = "body"   // the reader of a new body failed
	FaultOffer  = "offer"  // the Negotiate hook refused
)

// A HookError says which hook failed and how.
type HookError struct {
	Stage Stage
	Kind  string // one of the Fault constants
	Err   error
}

func (e *HookError) Error() string {
	return fmt.Sprintf("milter: %s in the %s hook: %v", e.Kind, e.Stage, e.Err)
}

func (e *HookError) Unwrap() error { return e.Err }

// A ProtocolError says where an MTA broke the protocol. The connection is closed
// then, because no answer would be understood.
type ProtocolError struct {
	Cmd    byte  // the command, 0 when the fault came before one
	State  Stage // the stage the conversation had reached
	Offset int64 // bytes of the connection before the frame at fault
	Err    error
}

func (e *ProtocolError) Error() string {
	name := wire.CommandName(e.Cmd)
	switch {
	case e.Cmd == 0:
		name = "frame"
	case name == "":
		name = fmt.Sprintf("command %q", e.Cmd)
	}
	return fmt.Sprintf("milter: %s at offset %d, after %s: %v", name, e.Offset, e.State, e.Err)
}

func (e *ProtocolError) Unwrap() error { return e.Err }

// Errors of a server, to be tested with errors.Is.
var (
	// ErrServerClosed is returned by Serve after its context ended or Shutdown was called.
	ErrServerClosed = errors.New("milter: server closed")
	// ErrOrder is in the ProtocolError for a command that may not come now.
	ErrOrder = errors.New("command out of order")
	// ErrCommand is in the ProtocolError for a byte that is no command.
	ErrCommand = errors.New("unknown command")
)

var (
	rcptLimitRefusal   = TempFail(452, "4.5.3", "too many recipients for the mail filter")
	headerLimitRefusal = Reject(552, "5.3.4", "message header is too large for the mail filter")
	busyAnswer         = TempFail(451, "4.3.2", "mail filter is busy, please try again later").answer()
	abortAnswer        = &answer{name: "abort"}
	lostAnswer         = &answer{name: "lost"}
)

// faultAnswer returns what an MTA is told when a hook failed.
func (s *Server) faultAnswer() *answer {
	s.faultOnce.Do(func() {
		switch s.OnFault {
		case FaultReject:
			s.faultReply = Reject(554, "5.3.0", "mail filter "+s.name()+" failed").answer()
		case FaultAccept:
			s.faultReply = acceptAnswer
		case FaultContinue:
			s.faultReply = continueAnswer
		default:
			s.faultReply = TempFail(451, "4.3.0", "mail filter "+s.name()+" failed, please try again later").answer()
		}
	})
	return s.faultReply
}

// unknownFaultAnswer is the same for an unknown command, which can only be refused.
func (s *Server) unknownFaultAnswer() *answer {
	if a := s.faultAnswer(); a != acceptAnswer {
		return a
	}
	return continueAnswer
}
