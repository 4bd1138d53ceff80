package wire

import "testing"

func TestStages(t *testing.T) {
	var no, noReply Protocol
	for _, tt := range []struct {
		stage       Stage
		number      Stage // SMFIM_, or 7 and more
		name        string
		cmd         byte
		no, noReply Protocol
	}{
		{StageConnect, 0, "connect", 'C', 0x1, 0x1000},
		{StageHelo, 1, "helo", 'H', 0x2, 0x2000},
		{StageMail, 2, "mail", 'M', 0x4, 0x4000},
		{StageRcpt, 3, "rcpt", 'R', 0x8, 0x8000},
		{StageData, 4, "data", 'T', 0x200, 0x10000},
		{StageEnd, 5, "end", 'E', 0, 0},
		{StageEndOfHeaders, 6, "eoh", 'N', 0x40, 0x40000},
		{StageHeader, 7, "header", 'L', 0x20, 0x80},
		{StageBody, 8, "body", 'B', 0x10, 0x80000},
		{StageUnknown, 9, "unknown", 'U', 0x100, 0x20000},
		{StageNegotiate, 10, "negotiate", 'O', 0, 0},
		{StageAbort, 11, "abort", 'A', 0, 0},
		{StageClose, 12, "close", 'Q', 0, 0},
	} {
		s := tt.stage
		if s != tt.number || s.String() != tt.name || s.Cmd() != tt.cmd || s.NoBit() != tt.no || s.NoReplyBit() != tt.noReply {
			t.Errorf("stage %d is %v, %q, %v, %v, want %d, %s, %q, %v, %v", s, s, s.Cmd(), s.NoBit(), s.NoReplyBit(), tt.number, tt.name, tt.cmd, tt.no, tt.noReply)
		}
		if got, ok := StageOf(tt.cmd); !ok || got != s {
			t.Errorf("StageOf(%q) = %v, %v, want %v", tt.cmd, got, ok, s)
		}
		no, noReply = no|s.NoBit(), noReply|s.NoReplyBit()
	}
	if no != NoSteps || noReply != NoReplies {
		t.Errorf("bits of all stages = %v and %v, want %v and %v", no, noReply, NoSteps, NoReplies)
	}
}

func TestStageOfBytesThatAreNone(t *testing.T) {
	n := 0
	for b := range 256 {
		if s, ok := StageOf(byte(b)); ok {
			n++
		} else if s.String() != "invalid stage" {
			t.Errorf("StageOf(%q) = %v, false", byte(b), s)
		}
	}
	if n != numStages {
		t.Errorf("%d bytes report a stage, want %d", n, numStages)
	}
	for _, b := range []byte{CmdMacro, CmdQuitNew, 0, 'h', 0xff} {
		if s, ok := StageOf(b); ok {
			t.Errorf("StageOf(%q) = %v, want none", b, s)
		}
	}
}
