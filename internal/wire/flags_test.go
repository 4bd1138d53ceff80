package wire

import "testing"

func TestFlagStrings(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  string
		want string
	}{
		{"no action", Actions(0).String(), "0"},
		{"one action", ChangeFrom.String(), "CHGFROM"},
		{"actions of version 1", V1Actions.String(), "ADDHDRS|CHGBODY|ADDRCPT|DELRCPT"},
		{"actions of version 2", V2Actions.String(), "ADDHDRS|CHGBODY|ADDRCPT|DELRCPT|CHGHDRS|QUARANTINE"},
		{"all actions", CurrentActions.String(), "ADDHDRS|CHGBODY|ADDRCPT|DELRCPT|CHGHDRS|QUARANTINE|CHGFROM|ADDRCPT_PAR|SETSYMLIST"},
		{"actions nobody defined", (AddHeaders | 0x80000200).String(), "ADDHDRS|0x80000200"},
		{"no protocol bit", Protocol(0).String(), "0"},
		{"protocol bits of version 1", V1Protocol.String(), "NOCONNECT|NOHELO|NOMAIL|NORCPT|NOBODY|NOHDRS"},
		{"protocol bits of version 2", V2Protocol.String(), "NOCONNECT|NOHELO|NOMAIL|NORCPT|NOBODY|NOHDRS|NOEOH"},
		{"all steps", NoSteps.String(), "NOCONNECT|NOHELO|NOMAIL|NORCPT|NOBODY|NOHDRS|NOEOH|NOUNKNOWN|NODATA"},
		{"all silent steps", NoReplies.String(), "NR_HDR|NR_CONN|NR_HELO|NR_MAIL|NR_RCPT|NR_DATA|NR_UNKN|NR_EOH|NR_BODY"},
		{"capabilities", (Skip | RejectedRcpts | LeadingSpace).String(), "SKIP|RCPT_REJ|HDR_LEADSPC"},
		{"internal bits", (Data256K | Data1M | Test).String(), "MDS_256K|MDS_1M|TEST"},
		{"protocol bits nobody defined", Protocol(0x40200000).String(), "0x40200000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got != tt.want {
				t.Errorf("String = %q, want %q", tt.got, tt.want)
			}
		})
	}
	if got := NoSteps | NoReplies | Skip | RejectedRcpts | LeadingSpace; got != CurrentProtocol {
		t.Errorf("all kinds of bits together = %v, want %v", got, CurrentProtocol)
	}
}

func TestDataSize(t *testing.T) {
	for _, tt := range []struct {
		bits Protocol
		want int
	}{
		{0, 65535},
		{CurrentProtocol, 65535},
		{Data256K, 262143},
		{Data1M, 1048575},
		{Data256K | Data1M, 1048575},
	} {
		if got := tt.bits.DataSize(); got != tt.want {
			t.Errorf("(%v).DataSize() = %d, want %d", tt.bits, got, tt.want)
		}
	}
}

func TestImpliedBy(t *testing.T) {
	for _, tt := range []struct {
		version uint32
		want    Protocol
	}{
		{2, NoUnknown | NoData},
		{3, NoData},
		{4, 0},
		{6, 0},
	} {
		if got := ImpliedBy(tt.version); got != tt.want {
			t.Errorf("ImpliedBy(%d) = %v, want %v", tt.version, got, tt.want)
		}
	}
}
