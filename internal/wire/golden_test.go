package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// golden holds packets as Sendmail, Postfix and libmilter write them: captured,
// or built by hand where these were not made to send them.
var golden = []struct {
	name    string
	hex     string
	cmd     byte
	payload []byte                // as our encoders make it
	decode  func(p []byte) string // what our decoders read from it
	want    string
}{
	{"OPTNEG, offer of Sendmail and of Postfix", "0000000d 4f 00000006000001ff001fffff", CmdNegotiate,
		AppendNegotiation(nil, &Negotiation{Version: MaxVersion, Actions: CurrentActions, Protocol: CurrentProtocol}), showNegotiation,
		fmt.Sprintf("6 %v %v", CurrentActions, CurrentProtocol)},
	{"OPTNEG, answer of libmilter that wants all", "0000000d 4f 00000006000001ff00000400", CmdNegotiate,
		AppendNegotiation(nil, &Negotiation{Version: MaxVersion, Actions: CurrentActions, Protocol: Skip}), showNegotiation,
		fmt.Sprintf("6 %v SKIP", CurrentActions)},
	{"OPTNEG, answer with macro lists", "00000027 4f 000000060000011f000000000000000000000000057b6d73675f69647d206900000000066900", CmdNegotiate,
		AppendNegotiation(nil, &Negotiation{Version: MaxVersion, Actions: V1Actions | ChangeHeaders | SetMacros,
			Macros: lists(map[Stage]string{StageConnect: "", StageEnd: "{msg_id} i", StageEndOfHeaders: "i"})}), showNegotiation,
		`6 ADDHDRS|CHGBODY|ADDRCPT|DELRCPT|CHGHDRS|SETSYMLIST 0 connect="" end="{msg_id} i" eoh="i"`},
	{"MACRO for CONNECT from Sendmail", `00000051 44 436a006d782e6578616d706c652e6f7267005f006c6f63616c686f7374205b31
		32372e302e302e315d007b6461656d6f6e5f6e616d657d004d5441007b69665f6e616d657d006c6f63616c686f737400`, CmdMacro,
		[]byte("Cj\x00mx.example.org\x00_\x00localhost [127.0.0.1]\x00{daemon_name}\x00MTA\x00{if_name}\x00localhost\x00"), showMacros,
		`C j="mx.example.org" _="localhost [127.0.0.1]" {daemon_name}="MTA" {if_name}="localhost"`},
	{"MACRO for CONNECT from Postfix", `0000006f 44 436a006d782e6578616d706c652e6f7267007b6461656d6f6e5f6e616d657d00
		6d782e6578616d706c652e6f7267007b6461656d6f6e5f616464727d00313237
		2e302e302e31007600506f737466697820332e372e3131005f00756e6b6e6f776e205b3132372e302e302e315d00`, CmdMacro,
		[]byte("Cj\x00mx.example.org\x00{daemon_name}\x00mx.example.org\x00{daemon_addr}\x00127.0.0.1\x00v\x00Postfix 3.7.11\x00_\x00unknown [127.0.0.1]\x00"), showMacros,
		`C j="mx.example.org" {daemon_name}="mx.example.org" {daemon_addr}="127.0.0.1" v="Postfix 3.7.11" _="unknown [127.0.0.1]"`},
	{"MACRO for HELO without macros", "00000002 44 48", CmdMacro, []byte("H"), showMacros, "H"},
	{"MACRO for RCPT with an empty value, Sendmail", `00000032 44 527b726370745f6d61696c65727d006c6f63616c007b726370745f686f73747d
		00007b726370745f616464727d00723100`, CmdMacro,
		[]byte("R{rcpt_mailer}\x00local\x00{rcpt_host}\x00\x00{rcpt_addr}\x00r1\x00"), showMacros,
		`R {rcpt_mailer}="local" {rcpt_host}="" {rcpt_addr}="r1"`},
	{"MACRO for HEADER, Postfix", "0000000d 44 4c6900333238413846313400", CmdMacro, []byte("Li\x00328A8F14\x00"), showMacros, `L i="328A8F14"`},
	{"CONNECT from Postfix, IPv4", "0000001a 43 5b3132372e302e302e315d0034c8be3132372e302e302e3100", CmdConnect,
		AppendConnect(nil, Connection{[]byte("[127.0.0.1]"), FamilyInet, 51390, []byte("127.0.0.1")}), showConnect, `"[127.0.0.1]" 4 51390 127.0.0.1`},
	{"CONNECT from Sendmail, IPv4", "00000018 43 6c6f63616c686f73740034c2523132372e302e302e3100", CmdConnect,
		AppendConnect(nil, Connection{[]byte("localhost"), FamilyInet, 49746, []byte("127.0.0.1")}), showConnect, `"localhost" 4 49746 127.0.0.1`},
	{"CONNECT from Sendmail, IPv6", "00000024 43 6c6f63616c686f7374360036ebb0495076363a303a303a303a303a303a303a303a3100", CmdConnect,
		AppendConnect(nil, Connection{[]byte("localhost6"), FamilyInet6, 60336, []byte("IPv6:0:0:0:0:0:0:0:1")}), showConnect, `"localhost6" 6 60336 ::1`},
	{"CONNECT, unknown family", "0000000c 43 6c6f63616c686f73740055", CmdConnect,
		AppendConnect(nil, Connection{Host: []byte("localhost"), Family: FamilyUnknown}), showConnect, `"localhost" U`},
	{"HELO", "0000000f 48 632e6578616d706c652e6e657400", CmdHelo, AppendString(nil, "c.example.net"), showString, `"c.example.net"`},
	{"MAIL", "00000011 4d 3c73406578616d706c652e6e65743e00", CmdMail, AppendString(nil, "<s@example.net>"), showEnvelope, `"<s@example.net>" []`},
	{"MAIL, null sender of local mail in Postfix", "00000002 4d 00", CmdMail, AppendString(nil, ""), showEnvelope, `"" []`},
	{"MAIL with parameters", "00000028 4d 3c73406578616d706c652e6e65743e0053495a453d31303000424f44593d384249544d494d4500", CmdMail,
		AppendString(AppendString(AppendString(nil, "<s@example.net>"), "SIZE=100"), "BODY=8BITMIME"), showEnvelope, `"<s@example.net>" ["SIZE=100" "BODY=8BITMIME"]`},
	{"RCPT", "00000012 52 3c7231406578616d706c652e6f72673e00", CmdRcpt, AppendString(nil, "<r1@example.org>"), showEnvelope, `"<r1@example.org>" []`},
	{"HEADER", "00000014 4c 46726f6d0073406578616d706c652e6e657400", CmdHeader, AppendHeader(nil, "From", "s@example.net"), showHeader, `"From" "s@example.net"`},
	{"HEADER, folded", "00000013 4c 5375626a6563740068690a20746865726500", CmdHeader, AppendHeader(nil, "Subject", "hi\n there"), showHeader, `"Subject" "hi\n there"`},
	{"BODY", "00000007 42 626f64790d0a", CmdBody, []byte("body\r\n"), showBytes, `"body\r\n"`},
	{"BODY, full chunk", "00010000 42" + strings.Repeat("78", ChunkSize), CmdBody, bytes.Repeat([]byte("x"), ChunkSize), showBytes, fmt.Sprintf("%q", strings.Repeat("x", ChunkSize))},
	{"DATA", "00000001 54", CmdData, nil, showBytes, `""`},
	{"EOH", "00000001 4e", CmdEndOfHeaders, nil, showBytes, `""`},
	{"BODYEOB", "00000001 45", CmdEnd, nil, showBytes, `""`},
	{"ABORT", "00000001 41", CmdAbort, nil, showBytes, `""`},
	{"QUIT", "00000001 51", CmdQuit, nil, showBytes, `""`},
	{"QUIT_NC", "00000001 4b", CmdQuitNew, nil, showBytes, `""`},

	{"CONTINUE", "00000001 63", ReplyContinue, nil, showBytes, `""`},
	{"ACCEPT", "00000001 61", ReplyAccept, nil, showBytes, `""`},
	{"REJECT", "00000001 72", ReplyReject, nil, showBytes, `""`},
	{"TEMPFAIL", "00000001 74", ReplyTempFail, nil, showBytes, `""`},
	{"DISCARD", "00000001 64", ReplyDiscard, nil, showBytes, `""`},
	{"SKIP", "00000001 73", ReplySkip, nil, showBytes, `""`},
	{"PROGRESS", "00000001 70", ReplyProgress, nil, showBytes, `""`},
	{"REPLYCODE", "0000001a 79 35353020352e372e3920637573746f6d2025252074657874 00", ReplyCode,
		AppendString(nil, "550 5.7.9 custom %% text"), showString, `"550 5.7.9 custom %% text"`},
	{"REPLYCODE, two lines", "00000021 79 3535302d352e372e3020610d0a35353020352e372e3020626364656667686900", ReplyCode,
		AppendString(nil, "550-5.7.0 a\r\n550 5.7.0 bcdefghi"), showString, `"550-5.7.0 a\r\n550 5.7.0 bcdefghi"`},
	{"ADDRCPT_PAR", "00000014 32 3c7840793e004e4f544946593d4e4556455200", ReplyAddRcptParams,
		AppendString(AppendString(nil, "<x@y>"), "NOTIFY=NEVER"), showEnvelope, `"<x@y>" ["NOTIFY=NEVER"]`},
	{"CHGFROM without arguments", "00000007 65 3c6e406d3e00", ReplyChangeFrom, AppendString(nil, "<n@m>"), showEnvelope, `"<n@m>" []`},
	{"DELRCPT", "00000007 2d 3c6340643e00", ReplyDeleteRcpt, AppendString(nil, "<c@d>"), showString, `"<c@d>"`},
	{"INSHEADER", "0000000f 69 00000000582d496e732d30007600", ReplyInsertHeader, AppendIndexedHeader(nil, 0, "X-Ins-0", "v"), showIndexed, `0 "X-Ins-0" "v"`},
	{"CHGHEADER", "00000011 6d 000000015375626a656374006e657700", ReplyChangeHeader, AppendIndexedHeader(nil, 1, "Subject", "new"), showIndexed, `1 "Subject" "new"`},
	{"CHGHEADER that deletes", "0000000e 6d 000000015375626a6563740000", ReplyChangeHeader, AppendIndexedHeader(nil, 1, "Subject", ""), showIndexed, `1 "Subject" ""`},
	{"QUARANTINE", "00000009 71 6265636175736500", ReplyQuarantine, AppendString(nil, "because"), showString, `"because"`},
	{"REPLBODY", "0000000c 62 6e65770d0a626f64790d0a", ReplyReplaceBody, []byte("new\r\nbody\r\n"), showBytes, `"new\r\nbody\r\n"`},
}

func showBytes(p []byte) string { return fmt.Sprintf("%q", p) }

func showString(p []byte) string {
	s, err := OneString(p)
	return shown(err, "%q", s)
}

func showEnvelope(p []byte) string {
	addr, params, err := Envelope(p)
	return shown(err, "%q %q", addr, collect(params))
}

func showHeader(p []byte) string {
	name, value, err := Header(p)
	return shown(err, "%q %q", name, value)
}

func showIndexed(p []byte) string {
	index, name, value, err := IndexedHeader(p)
	return shown(err, "%d %q %q", index, name, value)
}

func showMacros(p []byte) string {
	cmd, pairs, err := Macros(p)
	out := string(cmd)
	for name, value := range Pairs(pairs) {
		out += fmt.Sprintf(" %s=%q", name, value)
	}
	return shown(err, "%s", out)
}

func showConnect(p []byte) string {
	c, err := Connect(p)
	if c.Family == FamilyUnknown {
		return shown(err, "%q %c", c.Host, c.Family)
	}
	a, addrErr := c.Addr()
	if err == nil {
		err = addrErr
	}
	return shown(err, "%q %c %d %v", c.Host, c.Family, c.Port, a)
}

func showNegotiation(p []byte) string {
	n, err := Negotiate(p)
	out := fmt.Sprintf("%d %v %v", n.Version, n.Actions, n.Protocol)
	for stage, names := range n.Macros {
		if names != nil {
			out += fmt.Sprintf(" %v=%q", Stage(stage), names)
		}
	}
	return shown(err, "%s", out)
}

func shown(err error, format string, args ...any) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf(format, args...)
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("golden packet %q: %v", s, err)
	}
	return b
}

func TestGoldenPackets(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			want := unhex(t, tt.hex)
			if got := AppendFrame(nil, tt.cmd, tt.payload); !bytes.Equal(got, want) {
				t.Errorf("encoded\n%.200x, want\n%.200x", got, want)
			}
			r := NewReader(bytes.NewReader(want), DataSize64K)
			cmd, payload, err := r.Next()
			if err != nil || cmd != tt.cmd {
				t.Fatalf("Next = %q, %v, want %q", cmd, err, tt.cmd)
			}
			if got := tt.decode(payload); got != tt.want {
				t.Errorf("decoded %.200s, want %.200s", got, tt.want)
			}
			if r.Offset() != int64(len(want)) {
				t.Errorf("Offset = %d behind a packet of %d bytes", r.Offset(), len(want))
			}
		})
	}
}

func TestGoldenPacketsInOneStream(t *testing.T) {
	var in []byte
	for _, tt := range golden {
		in = append(in, unhex(t, tt.hex)...)
	}
	r := NewReader(bytes.NewReader(in), DataSize64K)
	for _, tt := range golden {
		cmd, payload, err := r.Next()
		if err != nil || cmd != tt.cmd || !bytes.Equal(payload, tt.payload) {
			t.Fatalf("%s: Next = %q, %.100q, %v, want %q, %.100q", tt.name, cmd, payload, err, tt.cmd, tt.payload)
		}
	}
	if r.Partial() {
		t.Error("bytes are left behind the last packet")
	}
}
