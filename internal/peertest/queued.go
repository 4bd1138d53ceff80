package peertest

// A Queued is a mail an MTA holds.
type Queued struct {
	ID     string
	State  State
	Sender string   // without angle brackets
	Rcpts  []string // without angle brackets, those still to be served
	Reason string   // why it is there; Postfix keeps none for quarantined mail
	Header Header   // Sendmail's own Received is in here, as in Postfix's
	Body   []byte   // with LF line ends, as both keep it
}

// A State says why a mail is in the queue.
type State string

// The states: on its way; tried in vain; held by a filter's or an administrator's wish.
const (
	Active      State = "active"
	Deferred    State = "deferred"
	Quarantined State = "quarantined"
)
