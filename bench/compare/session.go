package main

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// A workload says what messages an MTA sends and what must come back.
type workload struct {
	rcpts, headers, body int
	oneMessage           bool // a connection for each message
	rcptReply            byte // of each recipient
	signed               *signedMail
	edits                string // codes of the replies at the end before the verdict, a run counting once
}

var workloads = map[string]workload{
	"W1":  {rcpts: 2, headers: 20, body: 4 << 10, rcptReply: wire.ReplyContinue},
	"W1n": {rcpts: 2, headers: 20, body: 4 << 10, rcptReply: wire.ReplyContinue},
	"W2":  {rcpts: 2, headers: 20, body: 4 << 10, rcptReply: wire.ReplyContinue},
	"W3":  {rcpts: 2, headers: 20, body: 4 << 10, rcptReply: wire.ReplyContinue, edits: "hm"},
	"W4a": {rcpts: 2, headers: 20, body: 100 << 10, rcptReply: wire.ReplyContinue, edits: "b"},
	"W4b": {rcpts: 2, headers: 20, body: 1 << 20, rcptReply: wire.ReplyContinue, edits: "b"},
	"W5":  {rcpts: 1, headers: 20, body: 4 << 10, rcptReply: wire.ReplyCode},
	"W6":  {rcpts: 2, headers: 20, body: 4 << 10, rcptReply: wire.ReplyContinue, oneMessage: true},

	"dkim": {rcpts: 2, body: 4 << 10, rcptReply: wire.ReplyContinue, signed: new(signedMail), edits: "i"},
	"auth": {rcpts: 2, body: 4 << 10, rcptReply: wire.ReplyContinue, signed: new(signedMail), edits: "i"},
}

// A step is frames that leave together; the last of them is answered.
type step struct {
	frames []byte
	cmd    byte // the last one
}

// A script is a conversation cut into steps, as the negotiated bits allow.
type script struct {
	off   wire.Protocol
	steps []step
	out   []byte
}

// add adds a command with its macros, unless the filter does not want it.
func (s *script) add(cmd byte, macros, payload string) {
	st, _ := wire.StageOf(cmd)
	if s.off&st.NoBit() != 0 {
		return
	}
	if macros != "" {
		s.out = wire.AppendFrame(s.out, wire.CmdMacro, string(cmd)+macros)
	}
	s.out = wire.AppendFrame(s.out, cmd, payload)
	if bit := st.NoReplyBit(); bit == 0 || s.off&bit == 0 {
		s.steps = append(s.steps, step{s.out, cmd})
		s.out = nil
	}
}

// client is the name of the client.
func (w workload) client() string {
	if w.signed != nil {
		return signedHelo
	}
	return "client.example.net"
}

func (w workload) greeting(s *script) {
	s.add(wire.CmdConnect, "j\x00mx.example.org\x00_\x00"+w.client()+" [192.0.2.7]\x00", w.client()+"\x004\x10\x00192.0.2.7\x00")
	s.add(wire.CmdHelo, "{tls_version}\x00TLSv1.3\x00", w.client()+"\x00")
}

func (w workload) message(s *script) {
	const id = "i\x004Bench0000zABCDE\x00"
	from := "sender@example.net"
	if w.signed != nil {
		from = "sender@" + signedDomain
	}
	s.add(wire.CmdMail, id+"{mail_addr}\x00"+from+"\x00", "<"+from+">\x00SIZE=12345\x00")
	for i := range w.rcpts {
		s.add(wire.CmdRcpt, fmt.Sprintf("{rcpt_addr}\x00rcpt%d@example.org\x00", i), fmt.Sprintf("<rcpt%d@example.org>\x00", i))
	}
	if w.rcptReply != wire.ReplyContinue {
		s.out = wire.AppendFrame(s.out, wire.CmdAbort, "")
		return
	}
	s.add(wire.CmdData, id, "")
	if w.signed != nil {
		w.signed.add(s)
	} else {
		s.add(wire.CmdHeader, "", "Subject\x00Quarterly report for the benchmark\x00")
		for i := 1; i < w.headers; i++ {
			s.add(wire.CmdHeader, "", fmt.Sprintf("X-Filler-%02d\x00%s\x00", i, strings.Repeat("value ", 10)))
		}
	}
	s.add(wire.CmdEndOfHeaders, id, "")
	body := benchBody(w.body)
	if w.signed != nil {
		body = w.signed.body
	}
	for len(body) > 0 {
		n := min(len(body), wire.ChunkSize)
		s.add(wire.CmdBody, "", body[:n])
		body = body[n:]
	}
	s.add(wire.CmdEnd, id, "")
}

// benchBody returns a text of so many bytes.
func benchBody(n int) string {
	return strings.Repeat("The quick brown fox jumps over the lazy dog; pack my box with five dozen.\r\n", n/75+1)[:n]
}

// session plays one connection, with messages until the end.
func (w workload) session(network, address string, end time.Time) (n int64, err error) {
	nc, err := dial(network, address)
	if err != nil {
		return 0, err
	}
	c := wire.NewConn(nc, wire.DataSize64K, 30*time.Second, 30*time.Second)
	defer c.Close()
	offer := wire.Negotiation{Version: wire.MaxVersion, Actions: wire.CurrentActions, Protocol: wire.CurrentProtocol}
	if err := c.Write(wire.AppendFrame(nil, wire.CmdNegotiate, wire.AppendNegotiation(nil, &offer))); err != nil {
		return 0, err
	}
	_, p, err := c.Next()
	if err != nil {
		return 0, err
	}
	granted, err := wire.Negotiate(p)
	if err != nil {
		return 0, err
	}
	start, msg := script{off: granted.Protocol}, script{off: granted.Protocol}
	w.greeting(&start)
	w.message(&msg)
	if len(start.out) > 0 { // nothing of it is answered
		if err := c.Write(start.out); err != nil {
			return 0, err
		}
	}
	if err := w.play(c, start.steps); err != nil {
		return 0, err
	}
	for n == 0 || !w.oneMessage && time.Now().Before(end) {
		if err := w.play(c, msg.steps); err != nil {
			return n, err
		}
		if len(msg.out) > 0 {
			if err := c.Write(msg.out); err != nil {
				return n, err
			}
		}
		n++
	}
	return n, c.Write(wire.AppendFrame(nil, wire.CmdQuit, ""))
}

func (w workload) play(c *wire.Conn, steps []step) error {
	for i := range steps {
		if err := c.Write(steps[i].frames); err != nil {
			return err
		}
		if err := w.answer(c, steps[i].cmd); err != nil {
			return err
		}
	}
	return nil
}

// answer reads what a command is answered and compares it with what should come.
func (w workload) answer(c *wire.Conn, cmd byte) error {
	var got []byte
	for {
		code, _, err := c.Next()
		if err != nil {
			return err
		}
		if n := len(got); n == 0 || got[n-1] != code {
			got = append(got, code)
		}
		switch code {
		case wire.ReplyAddHeader, wire.ReplyInsertHeader, wire.ReplyChangeHeader, wire.ReplyReplaceBody:
			continue
		}
		break
	}
	last := got[len(got)-1]
	switch cmd {
	case wire.CmdEnd:
		edits := got[:len(got)-1]
		// The order of different edits is the filter's.
		if last != wire.ReplyAccept && last != wire.ReplyContinue || len(edits) != len(w.edits) || !bytes.ContainsAny(edits, w.edits) && w.edits != "" {
			return fmt.Errorf("the end was answered %q, not %q and an accept", got, w.edits)
		}
	case wire.CmdRcpt:
		if last != w.rcptReply {
			return fmt.Errorf("a recipient was answered %q, not %q", last, w.rcptReply)
		}
	default:
		if last != wire.ReplyContinue {
			return fmt.Errorf("%s was answered %q", wire.CommandName(cmd), last)
		}
	}
	return nil
}

// dial waits for the filter to serve.
func dial(network, address string) (nc net.Conn, err error) {
	for range 100 {
		if nc, err = net.Dial(network, address); err == nil {
			return nc, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, err
}
