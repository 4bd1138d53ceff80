package milter

import "github.com/gomilter/gomilter/internal/wire"

// A Stage is a step of the SMTP conversation: StageConnect, StageHelo and so on.
// Its String method returns the name in lower case.
type Stage = wire.Stage

// The stages.
const (
	StageNegotiate    = wire.StageNegotiate
	StageConnect      = wire.StageConnect
	StageHelo         = wire.StageHelo
	StageMail         = wire.StageMail
	StageRcpt         = wire.StageRcpt
	StageData         = wire.StageData
	StageHeader       = wire.StageHeader
	StageEndOfHeaders = wire.StageEndOfHeaders
	StageBody         = wire.StageBody
	StageEnd          = wire.StageEnd
	StageUnknown      = wire.StageUnknown
	StageAbort        = wire.StageAbort
	StageClose        = wire.StageClose
)

// A StageSet is a set of stages; see [Stages].
type StageSet uint16

// Stages returns the set of the stages given.
func Stages(stages ...Stage) StageSet {
	var set StageSet
	for _, s := range stages {
		set |= 1 << s
	}
	return set
}

// Has reports whether the stage is in the set.
func (set StageSet) Has(s Stage) bool { return set&(1<<s) != 0 }

// Actions are the kinds of edits a filter may make, as bits. Its String method
// returns the names of the C constants.
type Actions = wire.Actions

// The kinds of edits.
const (
	CanAddHeaders    = wire.AddHeaders    // SMFIF_ADDHDRS: Edits.AddHeader, Edits.InsertHeader
	CanChangeHeaders = wire.ChangeHeaders // SMFIF_CHGHDRS: Edits.ChangeHeader, Edits.DeleteHeader
	CanChangeBody    = wire.ChangeBody    // SMFIF_CHGBODY: Edits.ReplaceBody
	CanAddRcpt       = wire.AddRcpt       // SMFIF_ADDRCPT: Edits.AddRcpt
	CanAddRcptParams = wire.AddRcptParams // SMFIF_ADDRCPT_PAR: Edits.AddRcpt with parameters
	CanDeleteRcpt    = wire.DeleteRcpt    // SMFIF_DELRCPT: Edits.DeleteRcpt
	CanChangeFrom    = wire.ChangeFrom    // SMFIF_CHGFROM: Edits.ChangeFrom
	CanQuarantine    = wire.Quarantine    // SMFIF_QUARANTINE: Edits.Quarantine

	// AllEdits is every kind of edit.
	AllEdits = wire.CurrentActions &^ wire.SetMacros
	// NoEdits asks for no kind of edit, which a zero value does not.
	NoEdits Actions = 1 << 31
)

// Protocol bits say what the two ends agreed on beside the edits. Its String
// method returns the names of the C constants (SMFIP_ without that prefix).
type Protocol = wire.Protocol

// The protocol bits that a filter may test on a session. For steps that were
// switched off or are not answered see Stage.NoBit and Stage.NoReplyBit.
const (
	ProtocolSkip          = wire.Skip          // SMFIP_SKIP
	ProtocolRejectedRcpts = wire.RejectedRcpts // SMFIP_RCPT_REJ
	ProtocolLeadingSpace  = wire.LeadingSpace  // SMFIP_HDR_LEADSPC
	ProtocolData256K      = wire.Data256K      // SMFIP_MDS_256K
	ProtocolData1M        = wire.Data1M        // SMFIP_MDS_1M
)
