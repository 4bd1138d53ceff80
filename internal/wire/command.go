package wire

// Commands, MTA to filter.
const (
	CmdAbort        = 'A' // SMFIC_ABORT
	CmdBody         = 'B' // SMFIC_BODY
	CmdConnect      = 'C' // SMFIC_CONNECT
	CmdMacro        = 'D' // SMFIC_MACRO
	CmdEnd          = 'E' // SMFIC_BODYEOB, end of message
	CmdHelo         = 'H' // SMFIC_HELO
	CmdQuitNew      = 'K' // SMFIC_QUIT_NC, quit, another SMTP session follows
	CmdHeader       = 'L' // SMFIC_HEADER
	CmdMail         = 'M' // SMFIC_MAIL
	CmdEndOfHeaders = 'N' // SMFIC_EOH
	CmdNegotiate    = 'O' // SMFIC_OPTNEG
	CmdQuit         = 'Q' // SMFIC_QUIT
	CmdRcpt         = 'R' // SMFIC_RCPT
	CmdData         = 'T' // SMFIC_DATA
	CmdUnknown      = 'U' // SMFIC_UNKNOWN
)

// Replies, filter to MTA.
const (
	ReplyAddRcpt       = '+' // SMFIR_ADDRCPT
	ReplyDeleteRcpt    = '-' // SMFIR_DELRCPT
	ReplyAddRcptParams = '2' // SMFIR_ADDRCPT_PAR
	ReplyShutdown      = '4' // SMFIR_SHUTDOWN, inside an MTA only
	ReplyAccept        = 'a' // SMFIR_ACCEPT
	ReplyReplaceBody   = 'b' // SMFIR_REPLBODY
	ReplyContinue      = 'c' // SMFIR_CONTINUE
	ReplyDiscard       = 'd' // SMFIR_DISCARD
	ReplyChangeFrom    = 'e' // SMFIR_CHGFROM
	ReplyConnFail      = 'f' // SMFIR_CONN_FAIL, inside an MTA only
	ReplyAddHeader     = 'h' // SMFIR_ADDHEADER
	ReplyInsertHeader  = 'i' // SMFIR_INSHEADER
	ReplySetSymlist    = 'l' // SMFIR_SETSYMLIST, never a packet
	ReplyChangeHeader  = 'm' // SMFIR_CHGHEADER
	ReplyProgress      = 'p' // SMFIR_PROGRESS
	ReplyQuarantine    = 'q' // SMFIR_QUARANTINE
	ReplyReject        = 'r' // SMFIR_REJECT
	ReplySkip          = 's' // SMFIR_SKIP
	ReplyTempFail      = 't' // SMFIR_TEMPFAIL
	ReplyCode          = 'y' // SMFIR_REPLYCODE
)

// Versions of the protocol.
const (
	MinVersion = 2 // the oldest that libmilter and Sendmail still speak
	MaxVersion = 6 // SMFI_PROT_VERSION
)

// Payload sizes, in bytes.
const (
	ChunkSize    = 65535       // MILTER_CHUNK_SIZE, a body chunk
	DataSize64K  = 65535       // MILTER_MDS_64K, the default limit of a payload
	DataSize256K = 256<<10 - 1 // MILTER_MDS_256K
	DataSize1M   = 1<<20 - 1   // MILTER_MDS_1M
)

// CommandName returns the name of a command byte for people, such as "HELO",
// or "" for a byte that is no command.
func CommandName(cmd byte) string {
	switch cmd {
	case CmdAbort:
		return "ABORT"
	case CmdBody:
		return "BODY"
	case CmdConnect:
		return "CONNECT"
	case CmdMacro:
		return "MACRO"
	case CmdEnd:
		return "BODYEOB"
	case CmdHelo:
		return "HELO"
	case CmdQuitNew:
		return "QUIT_NC"
	case CmdHeader:
		return "HEADER"
	case CmdMail:
		return "MAIL"
	case CmdEndOfHeaders:
		return "EOH"
	case CmdNegotiate:
		return "OPTNEG"
	case CmdQuit:
		return "QUIT"
	case CmdRcpt:
		return "RCPT"
	case CmdData:
		return "DATA"
	case CmdUnknown:
		return "UNKNOWN"
	}
	return ""
}
