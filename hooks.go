package milter

import "context"

// Hooks are what a filter does on one connection of an MTA. All are optional:
// a step whose hook is nil is negotiated away, so that the MTA does not send it.
//
// The hooks of one connection never run at the same time. The context of the
// message hooks (Mail to End) ends with the message, that of the others with the
// connection; both end when the MTA goes away, when the hook's time is up and
// when the server stops. What a hook is given (the bytes, and the structs behind
// the pointers) is lent until it returns.
type Hooks struct {
	// Negotiate may change what is asked of the MTA. An error refuses the
	// connection as Server.OnFault says.
	Negotiate func(context.Context, *Negotiation) error

	// Connect is told of the SMTP client.
	Connect func(context.Context, *Client) ConnectReply

	// Helo is given the argument of HELO or EHLO. It comes again after STARTTLS,
	// and whenever the client repeats it; it may never come.
	Helo func(ctx context.Context, name []byte) HeloReply

	// Mail begins a message.
	Mail func(context.Context, *Mail) MailReply

	// Rcpt comes once for each recipient.
	Rcpt func(context.Context, *Rcpt) RcptReply

	// Data comes before the client is told to send the message.
	Data func(context.Context) DataReply

	// Header comes once for each header field, in order.
	Header func(context.Context, *Header) HeaderReply

	// EndOfHeaders comes after the last header field, or without any.
	EndOfHeaders func(context.Context) EndOfHeadersReply

	// Body comes for each chunk of the body: 1 to 65535 bytes, more where a larger
	// size was granted. Lines end in CRLF, which two chunks may share.
	Body func(ctx context.Context, chunk []byte) BodyReply

	// End comes when the whole message was seen. Only here may it be edited.
	End func(context.Context, *Edits) EndReply

	// Limit is told of a refusal by the server itself, because of Server.MaxRcpts or
	// MaxHeaders and MaxHeaderBytes, and returns what the MTA is told, mostly the same
	// with a text of its own; nil means the same. Its stage is rcpt, where one
	// recipient is refused, or header. There, and at rcpt where that stage is silent,
	// no other hook hears of the message any more. It counts as a hook of its stage.
	Limit func(context.Context, Stage, *Refusal) *Refusal

	// Abort is told that the message the other hooks saw ended without a result:
	// the client reset or left. It comes instead of End, and not after a hook
	// itself ended the message.
	Abort func(context.Context)

	// Unknown is given an SMTP command that the MTA does not know: the whole line
	// from Sendmail, the first word from Postfix.
	Unknown func(ctx context.Context, command []byte) UnknownReply

	// Close is the last call for this connection, made exactly once.
	Close func()

	// Silent names the stages, from connect to body and unknown, whose hooks
	// always answer Continue: the MTA is told not to wait for them, which makes
	// filtering several times faster. Any other answer there is the hook's fault.
	// What slow silent hooks take counts together against Server.StageTimeout, as
	// the MTA may be waiting for all of them.
	Silent StageSet

	// Actions are the kinds of edits to ask for. Zero asks for all when End is
	// set, NoEdits for none. Asking for less than needed makes the methods of
	// Edits return ErrNotGranted.
	Actions Actions

	// Macros names, for a stage, the macros the MTA shall send, such as "i" or
	// "{auth_authen}". They replace the MTA's configured ones for this filter,
	// where the MTA grants it. An empty list means no macros to Sendmail and the
	// default ones to Postfix.
	Macros map[Stage][]string

	// RejectedRcpts asks for the recipients that the MTA itself refuses, too.
	// Postfix grants it; Sendmail grants it but does not send them all.
	RejectedRcpts bool

	// LeadingSpace asks for header values with the blank after the colon, which
	// byte-exact work such as DKIM needs. Header.Raw shows it.
	LeadingSpace bool

	// DataSize asks for body chunks larger than 64 KiB: 256<<10 or 1<<20 bytes.
	// Only an MTA built for it grants them.
	DataSize int
}

// has reports whether the hook of a stage is set.
func (h *Hooks) has(s Stage) bool {
	switch s {
	case StageConnect:
		return h.Connect != nil
	case StageHelo:
		return h.Helo != nil
	case StageMail:
		return h.Mail != nil
	case StageRcpt:
		return h.Rcpt != nil
	case StageData:
		return h.Data != nil
	case StageHeader:
		return h.Header != nil
	case StageEndOfHeaders:
		return h.EndOfHeaders != nil
	case StageBody:
		return h.Body != nil
	case StageUnknown:
		return h.Unknown != nil
	}
	return false
}
