package wire

import (
	"strconv"
	"strings"
)

// Actions are the edits a filter may make, negotiated.
type Actions uint32

// The actions.
const (
	AddHeaders    Actions = 0x001 // SMFIF_ADDHDRS: add and insert header fields
	ChangeBody    Actions = 0x002 // SMFIF_CHGBODY, SMFIF_MODBODY
	AddRcpt       Actions = 0x004 // SMFIF_ADDRCPT
	DeleteRcpt    Actions = 0x008 // SMFIF_DELRCPT
	ChangeHeaders Actions = 0x010 // SMFIF_CHGHDRS: change and delete header fields
	Quarantine    Actions = 0x020 // SMFIF_QUARANTINE
	ChangeFrom    Actions = 0x040 // SMFIF_CHGFROM
	AddRcptParams Actions = 0x080 // SMFIF_ADDRCPT_PAR
	SetMacros     Actions = 0x100 // SMFIF_SETSYMLIST

	V1Actions      Actions = 0x00f // SMFI_V1_ACTS
	V2Actions      Actions = 0x03f // SMFI_V2_ACTS
	CurrentActions Actions = 0x1ff // SMFI_CURR_ACTS
)

// Protocol bits say which steps a filter wants to see, which it answers, and
// what else the two ends agreed on.
type Protocol uint32

// The protocol bits.
const (
	NoConnect           Protocol = 0x00000001 // SMFIP_NOCONNECT
	NoHelo              Protocol = 0x00000002 // SMFIP_NOHELO
	NoMail              Protocol = 0x00000004 // SMFIP_NOMAIL
	NoRcpt              Protocol = 0x00000008 // SMFIP_NORCPT
	NoBody              Protocol = 0x00000010 // SMFIP_NOBODY
	NoHeaders           Protocol = 0x00000020 // SMFIP_NOHDRS
	NoEndOfHeaders      Protocol = 0x00000040 // SMFIP_NOEOH
	NoReplyHeader       Protocol = 0x00000080 // SMFIP_NR_HDR, SMFIP_NOHREPL
	NoUnknown           Protocol = 0x00000100 // SMFIP_NOUNKNOWN
	NoData              Protocol = 0x00000200 // SMFIP_NODATA
	Skip                Protocol = 0x00000400 // SMFIP_SKIP
	RejectedRcpts       Protocol = 0x00000800 // SMFIP_RCPT_REJ
	NoReplyConnect      Protocol = 0x00001000 // SMFIP_NR_CONN
	NoReplyHelo         Protocol = 0x00002000 // SMFIP_NR_HELO
	NoReplyMail         Protocol = 0x00004000 // SMFIP_NR_MAIL
	NoReplyRcpt         Protocol = 0x00008000 // SMFIP_NR_RCPT
	NoReplyData         Protocol = 0x00010000 // SMFIP_NR_DATA
	NoReplyUnknown      Protocol = 0x00020000 // SMFIP_NR_UNKN
	NoReplyEndOfHeaders Protocol = 0x00040000 // SMFIP_NR_EOH
	NoReplyBody         Protocol = 0x00080000 // SMFIP_NR_BODY
	LeadingSpace        Protocol = 0x00100000 // SMFIP_HDR_LEADSPC
	Data256K            Protocol = 0x10000000 // SMFIP_MDS_256K
	Data1M              Protocol = 0x20000000 // SMFIP_MDS_1M
	Test                Protocol = 0x80000000 // SMFIP_TEST

	V1Protocol      Protocol = 0x0000003f // SMFI_V1_PROT
	V2Protocol      Protocol = 0x0000007f // SMFI_V2_PROT
	CurrentProtocol Protocol = 0x001fffff // SMFI_CURR_PROT
	NoReplies       Protocol = 0x000ff080 // all NR_ bits
	NoSteps         Protocol = 0x0000037f // all bits that switch a step off
)

var actionNames = []string{"ADDHDRS", "CHGBODY", "ADDRCPT", "DELRCPT", "CHGHDRS", "QUARANTINE", "CHGFROM", "ADDRCPT_PAR", "SETSYMLIST"}

var protocolNames = []string{"NOCONNECT", "NOHELO", "NOMAIL", "NORCPT", "NOBODY", "NOHDRS", "NOEOH", "NR_HDR", "NOUNKNOWN", "NODATA",
	"SKIP", "RCPT_REJ", "NR_CONN", "NR_HELO", "NR_MAIL", "NR_RCPT", "NR_DATA", "NR_UNKN", "NR_EOH", "NR_BODY", "HDR_LEADSPC",
	28: "MDS_256K", 29: "MDS_1M", 31: "TEST"}

// String returns the C names of the bits set, joined by "|", and what is left
// in hexadecimal; "0" when none is.
func (a Actions) String() string { return flagString(uint32(a), actionNames) }

// String returns the C names of the bits set, joined by "|", and what is left
// in hexadecimal; "0" when none is.
func (p Protocol) String() string { return flagString(uint32(p), protocolNames) }

func flagString(bits uint32, names []string) string {
	if bits == 0 {
		return "0"
	}
	var out []string
	for i, name := range names {
		if bit := uint32(1) << i; name != "" && bits&bit != 0 {
			out = append(out, name)
			bits &^= bit
		}
	}
	if bits != 0 {
		out = append(out, "0x"+strconv.FormatUint(uint64(bits), 16))
	}
	return strings.Join(out, "|")
}

// DataSize returns the largest payload that the bits allow, in bytes.
func (p Protocol) DataSize() int {
	switch {
	case p&Data1M != 0:
		return DataSize1M
	case p&Data256K != 0:
		return DataSize256K
	}
	return DataSize64K
}

// ImpliedBy returns the steps that a peer of the version does not know, as bits
// that switch them off: UNKNOWN came with version 3, DATA with version 4.
func ImpliedBy(version uint32) Protocol {
	switch {
	case version < 3:
		return NoUnknown | NoData
	case version < 4:
		return NoData
	}
	return 0
}
