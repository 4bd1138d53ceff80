package wire

// A Stage is a step of the SMTP conversation that a filter is told of.
//
// The first seven are those for which a filter may ask for macros; their values
// are the SMFIM_ numbers on the wire.
type Stage uint8

// The stages.
const (
	StageConnect      Stage = 0 // SMFIM_CONNECT
	StageHelo         Stage = 1 // SMFIM_HELO
	StageMail         Stage = 2 // SMFIM_ENVFROM
	StageRcpt         Stage = 3 // SMFIM_ENVRCPT
	StageData         Stage = 4 // SMFIM_DATA
	StageEnd          Stage = 5 // SMFIM_EOM
	StageEndOfHeaders Stage = 6 // SMFIM_EOH
	StageHeader       Stage = 7
	StageBody         Stage = 8
	StageUnknown      Stage = 9
	StageNegotiate    Stage = 10
	StageAbort        Stage = 11
	StageClose        Stage = 12
	numStages               = 13
)

// MacroStages is the number of stages that may have a macro list.
const MacroStages = 7

type stageInfo struct {
	name    string
	cmd     byte
	no      Protocol // the bit that switches the step off
	noReply Protocol // the bit that promises no reply
}

var stages = [numStages]stageInfo{
	StageConnect:      {"connect", CmdConnect, NoConnect, NoReplyConnect},
	StageHelo:         {"helo", CmdHelo, NoHelo, NoReplyHelo},
	StageMail:         {"mail", CmdMail, NoMail, NoReplyMail},
	StageRcpt:         {"rcpt", CmdRcpt, NoRcpt, NoReplyRcpt},
	StageData:         {"data", CmdData, NoData, NoReplyData},
	StageEnd:          {"end", CmdEnd, 0, 0},
	StageEndOfHeaders: {"eoh", CmdEndOfHeaders, NoEndOfHeaders, NoReplyEndOfHeaders},
	StageHeader:       {"header", CmdHeader, NoHeaders, NoReplyHeader},
	StageBody:         {"body", CmdBody, NoBody, NoReplyBody},
	StageUnknown:      {"unknown", CmdUnknown, NoUnknown, NoReplyUnknown},
	StageNegotiate:    {"negotiate", CmdNegotiate, 0, 0},
	StageAbort:        {"abort", CmdAbort, 0, 0},
	StageClose:        {"close", CmdQuit, 0, 0},
}

// String returns the stage's name in lower case, such as "helo".
func (s Stage) String() string {
	if s < numStages {
		return stages[s].name
	}
	return "invalid stage"
}

// MarshalText writes the stage's name.
func (s Stage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Cmd returns the command byte by which the MTA reports the stage.
func (s Stage) Cmd() byte { return stages[s].cmd }

// NoBit returns the bit that keeps the MTA from reporting the stage, or 0.
func (s Stage) NoBit() Protocol { return stages[s].no }

// NoReplyBit returns the bit by which a filter promises not to answer, or 0.
func (s Stage) NoReplyBit() Protocol { return stages[s].noReply }

var stageOf = func() (t [256]Stage) {
	for i := range t {
		t[i] = numStages
	}
	for s := range Stage(numStages) {
		t[s.Cmd()] = s
	}
	return t
}()

// StageOf returns the stage that a command byte reports. It is false for MACRO,
// QUIT_NC and bytes that are no command.
func StageOf(cmd byte) (Stage, bool) {
	s := stageOf[cmd]
	return s, s < numStages
}
