package mta

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// A capture is a recorded conversation of a real MTA with a filter on libmilter.
type capture struct {
	name   string
	mta    Profile
	frames []captured
}

type captured struct {
	sent bool // by the MTA
	b    []byte
}

// bigBody is what the recordings refer to as "body OFFSET LENGTH".
var bigBody = func() []byte {
	var b []byte
	for i := range 3939 {
		b = fmt.Appendf(b, "%05d %s\r\n", i, strings.Repeat("x", 70))
	}
	return b
}()

func captures(t *testing.T) (all []capture) {
	files, _ := filepath.Glob("testdata/captures/*.txt")
	for _, file := range files {
		in, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		mta, name, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".txt"), "-")
		c := capture{name: name}
		if err := c.mta.UnmarshalText([]byte(mta)); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(bytes.NewReader(in)); lines.Scan(); {
			way, text, _ := strings.Cut(lines.Text(), " ")
			f := captured{sent: way == ">"}
			var at, n int
			if _, err := fmt.Sscanf(text, "body %d %d", &at, &n); err == nil {
				f.b = append([]byte{wire.CmdBody}, bigBody[at:at+n]...)
			} else if f.b, err = hex.DecodeString(text); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			c.frames = append(c.frames, f)
		}
		all = append(all, c)
	}
	if len(all) != 38 {
		t.Fatalf("%d recordings, want 38", len(all))
	}
	return all
}

// message puts the first message of a recording together from its packets.
func (c *capture) message() (raw []byte) {
	var body []byte
	leading := false
	for _, f := range c.frames {
		switch {
		case f.b[0] == wire.CmdNegotiate && !f.sent:
			n, _ := wire.Negotiate(f.b[1:])
			leading = n.Protocol&wire.LeadingSpace != 0
		case !f.sent:
		case f.b[0] == wire.CmdHeader:
			name, value, _ := wire.Header(f.b[1:])
			// Postfix made these up.
			if string(name) == "Message-Id" || string(name) == "Date" && !bytes.Contains(value, []byte("2023")) {
				continue
			}
			sep := ": "
			if leading {
				sep = ":"
			}
			raw = append(raw, string(name)+sep+strings.ReplaceAll(string(value), "\n", "\r\n")+"\r\n"...)
		case f.b[0] == wire.CmdBody:
			body = append(body, f.b[1:]...)
		case f.b[0] == wire.CmdEnd:
			if strings.HasPrefix(c.name, "14") {
				body = bigBody // of which the filter skipped the rest
			}
			if len(raw) == 0 {
				// The filter wanted no header.
				return []byte(strings.Replace(usualData, "<1@send.mta.test>", c.value(wire.CmdEnd, "{msg_id}"), 1))
			}
			return append(append(raw, "\r\n"...), body...)
		}
	}
	return []byte(usualData)
}

// value returns the value of a macro in the first macro packet of a stage that has it.
func (c *capture) value(stage byte, name string) string {
	for _, f := range c.frames {
		if f.b[0] == wire.CmdMacro && len(f.b) > 1 && f.b[1] == stage {
			for n, v := range wire.Pairs(f.b[2:]) {
				if string(n) == name {
					return string(v)
				}
			}
		}
	}
	return ""
}

// steps are those of the SMTP client in the recordings, by their names.
func (c *capture) steps() []string {
	plain := []string{"EHLO client.example.com", "MAIL FROM:<sender@example.com>", "RCPT TO:<rcpt@example.net>", "DATA", "CONTENT", "QUIT"}
	mail, rcpt := plain[1], plain[2]
	switch c.name[:2] {
	case "02":
		return []string{plain[0], mail + " SIZE=500 BODY=8BITMIME", "RCPT TO:<a@example.net> NOTIFY=FAILURE", "RCPT TO:<b@example.net> NOTIFY=FAILURE", "RCPT TO:<c@example.org> NOTIFY=FAILURE", "DATA", "CONTENT", "QUIT"}
	case "03":
		return []string{plain[0], mail, "RCPT TO:<bad@example.net>", "RCPT TO:<good@example.net>", "DATA", "CONTENT", "QUIT"}
	case "05":
		return []string{plain[0], mail + " BODY=8BITMIME", rcpt, "DATA", "CONTENT", "QUIT"}
	case "06":
		return slices.Insert(slices.Clone(plain), 1, "@starttls", "EHLO client.example.com")
	case "07":
		return append(slices.Clone(plain[:5]), plain[1:]...)
	case "08":
		steps := []string{plain[0], "FOO bar baz", mail, "BLAH", rcpt, "QUIT"}
		if c.mta == Postfix {
			steps = slices.Insert(steps, 2, "HELP") // which it does not know
		}
		return steps
	case "09":
		return []string{plain[0], mail, rcpt, "RSET", mail, rcpt, "DATA", "@close"}
	case "15":
		return []string{plain[0], mail, "@refuse <mta-reject@example.net>", "@refuse <mta-unknown@example.net>", "RCPT TO:<ok@example.net>", "DATA", "CONTENT", "QUIT"}
	case "16":
		return []string{"QUIT"}
	case "18":
		return plain[:3]
	}
	return plain
}

func TestReplaysRecordings(t *testing.T) {
	for _, c := range captures(t) {
		t.Run(c.mta.String()+"/"+c.name, func(t *testing.T) {
			done := make(chan struct{})
			client := &Client{
				Profile: c.mta, Hostname: c.mta.String() + ".mta.test", MakeUp: true,
				Milters: []Milter{{Dial: func(context.Context) (net.Conn, error) {
					ours, theirs := net.Pipe()
					go func() {
						defer close(done)
						c.replay(t, theirs)
					}()
					return ours, nil
				}}},
				Route: func(addr string) (mailer, host, address string) {
					return c.value(wire.CmdMail, "{mail_mailer}"), c.value(wire.CmdMail, "{mail_host}"), addr
				},
			}
			if strings.HasPrefix(c.name, "05") && c.mta == Sendmail {
				// The name is made of the time and the queue id.
				client.QueueID = func() string { return c.value(wire.CmdMail, "i") }
				client.Now = func() time.Time { return time.Date(2026, 11, 22, 7, 34, 0, 0, time.UTC) }
			}
			s, _, err := client.Connect(context.Background(), Conn{Name: "localhost", Addr: netip.MustParseAddrPort("127.0.0.1:40000")})
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(c.name, "06") {
				c.startTLS(t, s)
			} else {
				c.play(t, s)
			}
			s.Close()
			<-done
		})
	}
}

// play goes through the steps, those that play does not know itself too.
func (c *capture) play(t *testing.T, s *Session) {
	var plain []string
	flush := func() {
		play(t, s, plain, c.message())
		plain = nil
	}
	for _, step := range c.steps() {
		if addr, ok := strings.CutPrefix(step, "@refuse "); ok {
			flush()
			text := "Recipient address rejected: recipient refused by the MTA"
			if strings.Contains(addr, "unknown") {
				text = "Recipient address rejected: User unknown"
			}
			if err := s.RcptRefused(context.Background(), addr, Reply{Code: 550, Enhanced: "5.1.1", Text: []string{text}}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		plain = append(plain, step)
	}
	flush()
}

// startTLS plays a session with STARTTLS and AUTH, whose macros come from the recording.
func (c *capture) startTLS(t *testing.T, s *Session) {
	steps := c.steps()
	play(t, s, steps[:2], nil)
	macros := make(map[string]string)
	for _, f := range c.frames {
		if f.b[0] != wire.CmdMacro {
			continue
		}
		for n, v := range wire.Pairs(f.b[2:]) {
			if name := strings.Trim(string(n), "{}"); f.b[1] == wire.CmdHelo || strings.HasPrefix(name, "auth_") {
				macros[name] = string(v)
			}
		}
	}
	s.SetMacros(macros)
	play(t, s, steps[2:], c.message())
}

// replay plays the filter: it answers as recorded and compares what it is told.
func (c *capture) replay(t *testing.T, nc net.Conn) {
	defer nc.Close()
	r := wire.NewReader(nc, wire.DataSize1M)
	for i, f := range c.frames {
		if !f.sent {
			nc.Write(wire.AppendFrame(nil, f.b[0], f.b[1:]))
			continue
		}
		cmd, payload, err := r.Next()
		if err != nil {
			t.Errorf("packet %d: %v, want %.200q", i, err, f.b)
			return
		}
		got, want := plainPacket(append([]byte{cmd}, payload...)), plainPacket(f.b)
		if got != want {
			t.Errorf("packet %d\ngot  %.300q\nwant %.300q", i, got, want)
		}
	}
	if cmd, payload, err := r.Next(); err == nil {
		t.Errorf("packet behind the last: %q %.100q", cmd, payload)
	}
}

// plainPacket leaves out what differs in every run: ports, queue ids, dates.
func plainPacket(b []byte) string {
	b = bytes.Clone(b)
	switch b[0] {
	case wire.CmdConnect:
		if i := bytes.IndexByte(b, 0); i+4 < len(b) {
			b[i+2], b[i+3] = 0, 0
		}
	case wire.CmdMacro:
		out := b[:2:2]
		for n, v := range wire.Pairs(b[2:]) {
			if string(n) == "i" {
				v = []byte("QUEUEID")
			}
			out = wire.AppendString(wire.AppendString(out, n), v)
		}
		return string(out)
	case wire.CmdHeader:
		// Fields that Postfix makes up begin so.
		for _, name := range []string{"LMessage-Id\x00", "LDate\x00"} {
			if bytes.HasPrefix(b, []byte(name)) && !bytes.Contains(b, []byte(" 2023 ")) {
				return name
			}
		}
	}
	return string(b)
}
