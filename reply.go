package milter

import "github.com/gomilter/gomilter/internal/wire"

// A Reply is what a hook answers. Which replies a stage knows is said by its
// own type: [ConnectReply], [HeloReply], [MailReply], [RcptReply], [DataReply],
// [HeaderReply], [EndOfHeadersReply], [BodyReply], [EndReply], [UnknownReply].
// A nil reply is the hook's fault.
type Reply interface {
	// String returns the verdict for people and logs, such as "continue" or
	// "550 5.7.1 no".
	String() string
	answer() *answer
}

// The replies each stage knows.
type (
	// A ConnectReply is Continue, AcceptConnection or a *Refusal. Both MTAs
	// reduce the text of a refusal at connect to their own.
	ConnectReply interface {
		Reply
		connectReply()
	}
	// A HeloReply is Continue, AcceptConnection or a *Refusal, which MTAs give
	// to the commands that follow.
	HeloReply interface {
		Reply
		heloReply()
	}
	// A MailReply is Continue, AcceptMessage, Discard or a *Refusal.
	MailReply interface {
		Reply
		mailReply()
	}
	// An RcptReply is Continue, AcceptMessage or a *Refusal of this recipient.
	RcptReply interface {
		Reply
		rcptReply()
	}
	// A DataReply is Continue, AcceptMessage, Discard or a *Refusal.
	DataReply interface {
		Reply
		dataReply()
	}
	// A HeaderReply is Continue, AcceptMessage, Discard or a *Refusal.
	HeaderReply interface {
		Reply
		headerReply()
	}
	// An EndOfHeadersReply is Continue, AcceptMessage, Discard or a *Refusal.
	EndOfHeadersReply interface {
		Reply
		endOfHeadersReply()
	}
	// A BodyReply is Continue, Skip, AcceptMessage, Discard or a *Refusal.
	BodyReply interface {
		Reply
		bodyReply()
	}
	// An EndReply is Accept, Continue (the same), Discard or a *Refusal. The
	// last two drop the edits.
	EndReply interface {
		Reply
		endReply()
	}
	// An UnknownReply is Continue or a *Refusal.
	UnknownReply interface {
		Reply
		unknownReply()
	}
)

// An answer is what a reply means to the connection: the byte on the wire, and
// for own texts the whole frame.
type answer struct {
	code  byte
	name  string
	frame []byte // nil for replies without text
	err   error  // the caller's mistake
}

var (
	continueAnswer = &answer{code: wire.ReplyContinue, name: "continue"}
	acceptAnswer   = &answer{code: wire.ReplyAccept, name: "accept"}
	discardAnswer  = &answer{code: wire.ReplyDiscard, name: "discard"}
	skipAnswer     = &answer{code: wire.ReplySkip, name: "skip"}
)

type (
	continueReply         struct{}
	acceptReply           struct{}
	acceptMessageReply    struct{}
	acceptConnectionReply struct{}
	discardReply          struct{}
	skipReply             struct{}
)

// The replies without a text.
var (
	// Continue lets the conversation go on to the next stage. At the end of the
	// message it is the same as Accept.
	Continue continueReply

	// Accept delivers the message with the edits made.
	Accept acceptReply

	// AcceptMessage ends the filtering of this message: it is delivered, with no
	// edits and whatever its other recipients and its content are, and no further
	// hook sees it. To say that one recipient is fine, answer Continue.
	AcceptMessage acceptMessageReply

	// AcceptConnection ends the filtering of everything that comes over this
	// SMTP connection.
	AcceptConnection acceptConnectionReply

	// Discard drops the whole message and tells its sender that it was
	// delivered.
	Discard discardReply

	// Skip asks for no more of the body; the end of the message still comes.
	// Where the MTA did not grant it, further chunks arrive but are kept from
	// the hook.
	Skip skipReply
)

func (continueReply) answer() *answer         { return continueAnswer }
func (acceptReply) answer() *answer           { return acceptAnswer }
func (acceptMessageReply) answer() *answer    { return acceptAnswer }
func (acceptConnectionReply) answer() *answer { return acceptAnswer }
func (discardReply) answer() *answer          { return discardAnswer }
func (skipReply) answer() *answer             { return skipAnswer }

func (continueReply) String() string         { return "continue" }
func (acceptReply) String() string           { return "accept" }
func (acceptMessageReply) String() string    { return "accept" }
func (acceptConnectionReply) String() string { return "accept" }
func (discardReply) String() string          { return "discard" }
func (skipReply) String() string             { return "skip" }

func (continueReply) connectReply()      {}
func (continueReply) heloReply()         {}
func (continueReply) mailReply()         {}
func (continueReply) rcptReply()         {}
func (continueReply) dataReply()         {}
func (continueReply) headerReply()       {}
func (continueReply) endOfHeadersReply() {}
func (continueReply) bodyReply()         {}
func (continueReply) endReply()          {}
func (continueReply) unknownReply()      {}

func (acceptConnectionReply) connectReply() {}
func (acceptConnectionReply) heloReply()    {}

func (acceptMessageReply) mailReply()         {}
func (acceptMessageReply) rcptReply()         {}
func (acceptMessageReply) dataReply()         {}
func (acceptMessageReply) headerReply()       {}
func (acceptMessageReply) endOfHeadersReply() {}
func (acceptMessageReply) bodyReply()         {}

func (acceptReply) endReply() {}

func (discardReply) mailReply()         {}
func (discardReply) dataReply()         {}
func (discardReply) headerReply()       {}
func (discardReply) endOfHeadersReply() {}
func (discardReply) bodyReply()         {}
func (discardReply) endReply()          {}

func (skipReply) bodyReply() {}

func (*Refusal) connectReply()      {}
func (*Refusal) heloReply()         {}
func (*Refusal) mailReply()         {}
func (*Refusal) rcptReply()         {}
func (*Refusal) dataReply()         {}
func (*Refusal) headerReply()       {}
func (*Refusal) endOfHeadersReply() {}
func (*Refusal) bodyReply()         {}
func (*Refusal) endReply()          {}
func (*Refusal) unknownReply()      {}
