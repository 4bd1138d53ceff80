package smtpc

import (
	"errors"
	"fmt"
)

// A Step is a part of the dialogue.
type Step string

// The steps in their order.
const (
	Connect  Step = "connect"  // the TCP connection
	Greeting Step = "greeting" // the server's first reply
	Hello    Step = "EHLO"     // EHLO, or HELO after it
	StartTLS Step = "STARTTLS" // the command and the handshake
	Mail     Step = "MAIL"
	Rcpt     Step = "RCPT"
	Data     Step = "DATA"
	Content  Step = "message" // what follows DATA, and the reply to it
)

// An Error says at which step a dialogue did not go on, and why: by the server's reply,
// or because there was none.
type Error struct {
	Step  Step
	Reply Reply // zero where Err is set
	Err   error // [ErrProtocol], or of the connection or the context
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("smtpc: %s: %v", e.Step, e.Err)
	}
	return fmt.Sprintf("smtpc: %s: %s", e.Step, e.Reply)
}

func (e *Error) Unwrap() error { return e.Err }

// Broken reports whether the connection cannot be used any more: the server did not reply,
// or said with 421 that it closes (RFC 5321 section 3.8).
func (e *Error) Broken() bool {
	return e.Err != nil && !errors.Is(e.Err, ErrArgument) || e.Reply.Code == 421
}

// ErrArgument says that an address or a name cannot be said to this server, and was not:
// it is none, or not of ASCII where SMTPUTF8 (RFC 6531) was not asked for or is not offered.
var ErrArgument = errors.New("cannot be said")
