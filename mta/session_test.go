package mta

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/internal/wire"
)

var ctx = context.Background()

// frames returns edits and the verdict behind them as an entry of a plan.
func frames(verdict byte, edits ...edit.Edit) string {
	var b []byte
	for _, e := range edits {
		b = e.AppendFrames(b)
	}
	return hex.EncodeToString(wire.AppendFrame(b, verdict, ""))
}

// text returns a REPLYCODE as an entry of a plan.
func text(s string) string {
	return hex.EncodeToString(wire.AppendFrame(nil, wire.ReplyCode, s+"\x00"))
}

var plain = Mail{
	Conn: Conn{Name: "client.test", Addr: netip.MustParseAddrPort("192.0.2.1:1234")}, Helo: "client.test",
	From: "<a@example.com>", Rcpts: []string{"<b@example.net>", "<c@example.net>"}, Data: []byte("Subject: s\r\n\r\nbody\r\n"),
}

func TestUnreachableFilter(t *testing.T) {
	for _, tt := range []struct {
		profile Profile
		failure Failure
		banner  string
		mail    string
	}{
		{Sendmail, FailDefault, "", ""},
		{Sendmail, FailAccept, "", ""},
		{Sendmail, FailReject, "554 mx.test ESMTP not accepting messages", "550 5.0.0 Command rejected"},
		{Sendmail, FailTempFail, "", "451 4.3.2 Please try again later"},
		{Sendmail, FailShutdown, "421 4.7.0 mx.test closing connection", "closed"},
		{Sendmail, FailQuarantine, "", ""},
		{Postfix, FailDefault, "", "451 4.7.1 Service unavailable - try again later"},
		{Postfix, FailAccept, "", ""},
		{Postfix, FailReject, "554 mx.test ESMTP not accepting connections", "550 5.5.0 Service unavailable"},
		{Postfix, FailTempFail, "", "451 4.7.1 Service unavailable - try again later"},
		{Postfix, FailShutdown, "421 mx.test Service unavailable - try again later", "closed"},
		{Postfix, FailQuarantine, "", ""},
	} {
		t.Run(tt.profile.String()+"/"+tt.failure.String(), func(t *testing.T) {
			gone := errors.New("nobody there")
			c := &Client{Profile: tt.profile, Hostname: "mx.test", Failure: tt.failure, Milters: []Milter{{Name: "gone", Dial: func(context.Context) (net.Conn, error) { return nil, gone }}}}
			s, out, err := c.Connect(ctx, Conn{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			banner := ""
			if out.Reply != nil {
				banner = out.Reply.String()
			}
			if banner != tt.banner {
				t.Errorf("banner = %q, want %q", banner, tt.banner)
			}
			if len(out.Faults) != 1 || !errors.Is(out.Faults[0], gone) || out.Faults[0].Milter != "gone" {
				t.Errorf("faults = %v", out.Faults)
			}
			replies, results := play(t, s, usualSteps[1:], []byte(usualData))
			if replies[0] != tt.mail {
				t.Errorf("MAIL is told %q, want %q", replies[0], tt.mail)
			}
			if held := len(results) > 0 && results[0].Quarantine != nil; held != (tt.profile == Postfix && tt.failure == FailQuarantine) {
				t.Errorf("held: %v", held)
			}
			if tt.mail != "" && tt.mail != "closed" {
				if r := s.Result(); r.Stage != "negotiate" || r.Reply.String() != tt.mail || r.Filters[0].Why != gone.Error() {
					t.Errorf("result %+v", r)
				}
			}
		})
	}
}

func TestBadAddressIsAConfigurationError(t *testing.T) {
	c := &Client{Profile: Postfix, Milters: []Milter{{Address: "tcp:8025"}}}
	res, err := c.Send(ctx, plain)
	if err != nil || res.Verdict != TempFail || res.Reply.String() != "451 4.3.5 Server configuration problem - try again later" || !strings.Contains(res.Filters[0].Why, `socket "tcp:8025"`) {
		t.Errorf("Send = %+v, %v", res, err)
	}
}

func TestConnectSpelling(t *testing.T) {
	for _, tt := range []struct {
		conn              Conn
		sendmail, postfix string
	}{
		{Conn{Name: "h", Addr: netip.MustParseAddrPort("192.0.2.1:258")}, "h\x004\x01\x02192.0.2.1\x00", "h\x004\x01\x02192.0.2.1\x00"},
		{Conn{Addr: netip.MustParseAddrPort("192.0.2.1:1")}, "[192.0.2.1]\x004\x00\x01192.0.2.1\x00", "[192.0.2.1]\x004\x00\x01192.0.2.1\x00"},
		{Conn{Name: "h", Addr: netip.MustParseAddrPort("[2001:db8::1]:1")}, "h\x006\x00\x01IPv6:2001:db8:0:0:0:0:0:1\x00", "h\x006\x00\x012001:db8::1\x00"},
		{Conn{Addr: netip.MustParseAddrPort("[::1]:1")}, "[IPv6:0:0:0:0:0:0:0:1]\x006\x00\x01IPv6:0:0:0:0:0:0:0:1\x00", "[::1]\x006\x00\x01::1\x00"},
		{Conn{Name: "h", Addr: netip.MustParseAddrPort("[::ffff:192.0.2.1]:1")}, "h\x004\x00\x01192.0.2.1\x00", "h\x004\x00\x01192.0.2.1\x00"},
		{Conn{Name: "h", Unix: "/s"}, "h\x00L\x00\x00/s\x00", "h\x00L\x00\x00/s\x00"},
		{Conn{}, "localhost\x00U", "unknown\x00U"},
		{Conn{Name: "a\x00b"}, "a\x00U", "a\x00U"},
	} {
		for p, want := range map[Profile]string{Sendmail: tt.sendmail, Postfix: tt.postfix} {
			if got := string(newSession(&Client{Profile: p}, tt.conn).connectPayload()); got != want {
				t.Errorf("%v: CONNECT of %+v = %q, want %q", p, tt.conn, got, want)
			}
		}
	}
}

func TestMacrosOfClients(t *testing.T) {
	for _, tt := range []struct {
		profile Profile
		conn    Conn
		stage   Stage
		name    string
		want    string
	}{
		{Sendmail, Conn{Name: "h", Addr: netip.MustParseAddrPort("192.0.2.1:1")}, StageConnect, "_", "h [192.0.2.1]"},
		{Sendmail, Conn{Addr: netip.MustParseAddrPort("192.0.2.1:1")}, StageConnect, "_", "[192.0.2.1]"},
		{Postfix, Conn{Addr: netip.MustParseAddrPort("192.0.2.1:1")}, StageConnect, "_", "unknown [192.0.2.1]"},
		{Sendmail, Conn{Addr: netip.MustParseAddrPort("[::1]:1")}, StageConnect, "client_addr", "IPv6:0:0:0:0:0:0:0:1"},
		{Postfix, Conn{Addr: netip.MustParseAddrPort("[::1]:1")}, StageConnect, "client_addr", "IPv6:::1"},
		{Postfix, Conn{Addr: netip.MustParseAddrPort("[::1]:1")}, StageEnd, "client_addr", "::1"},
		{Sendmail, Conn{Addr: netip.MustParseAddrPort("192.0.2.1:1")}, StageConnect, "client_name", "[192.0.2.1]"},
		{Postfix, Conn{Addr: netip.MustParseAddrPort("192.0.2.1:1")}, StageConnect, "client_name", "unknown"},
		{Sendmail, Conn{Name: "h"}, StageConnect, "client_resolve", "OK"},
		{Sendmail, Conn{}, StageConnect, "_", "localhost"},
		{Postfix, Conn{}, StageConnect, "i", ""},
	} {
		s := newSession(&Client{Profile: tt.profile, Hostname: "mx.test"}, tt.conn)
		if got, _ := s.macro(tt.stage, tt.name); got != tt.want {
			t.Errorf("%v, client %+v: macro %s at %v = %q, want %q", tt.profile, tt.conn, tt.name, tt.stage, got, tt.want)
		}
	}
}

func TestMacrosOfTheCaller(t *testing.T) {
	f := newFake(t, nil)
	c := &Client{
		Profile: Postfix, Hostname: "mx.test", Milters: []Milter{{Dial: f.dial}},
		Macros: map[string]string{"v": "9", "extra": "1"},
		Lists:  map[Stage]string{StageConnect: "v {extra} {none}", StageHelo: "", StageMail: "{auth_type}, {auth_authen}"},
	}
	s, _, err := c.Connect(ctx, plain.Conn)
	if err != nil {
		t.Fatal(err)
	}
	s.Helo(ctx, "h")
	s.SetMacros(map[string]string{"auth_type": "PLAIN", "auth_authen": "joe", "v": "10"})
	s.Mail(ctx, "<a@b>")
	s.UnsetMacros("auth_type")
	s.Reset(ctx)
	s.Mail(ctx, "<a@b>")
	s.Quit(ctx)
	f.wg.Wait()
	var got []string
	for _, p := range f.packets() {
		if p.cmd == wire.CmdMacro {
			got = append(got, p.payload)
		}
	}
	if want := []string{"Cv\x009\x00{extra}\x001\x00", "H", "M{auth_type}\x00PLAIN\x00{auth_authen}\x00joe\x00", "M{auth_authen}\x00joe\x00"}; !slices.Equal(got, want) {
		t.Errorf("macros = %q, want %q", got, want)
	}
}

// What a result says as JSON, whoever decided and where.
func TestResults(t *testing.T) {
	for _, tt := range []struct {
		name    string
		profile Profile
		plan    plan
		want    string
	}{
		{"all recipients refused", Postfix, plan{"R": {text("550 5.1.1 no"), text("450 4.2.1 later")}},
			`{"verdict":"tempfail","stage":"rcpt","reply":{"code":450,"enhanced":"4.2.1","text":["later"]},"quarantine":null,` +
				`"recipients":[{"address":"b@example.net","reply":{"code":550,"enhanced":"5.1.1","text":["no"]}},{"address":"c@example.net","reply":{"code":450,"enhanced":"4.2.1","text":["later"]}}],` +
				`"edits":[],"envelope":{"from":"a@example.com","rcpts":[]},`},
		{"first recipient refused", Sendmail, plan{"R": {text("550-5.1.1 no\r\n550 5.1.1 nobody"), "0000000163"}},
			`{"verdict":"accept","stage":"end","reply":null,"quarantine":null,` +
				`"recipients":[{"address":"b@example.net","reply":{"code":550,"enhanced":"5.1.1","text":["<b@example.net>... no","nobody"]}},{"address":"c@example.net","reply":null}],` +
				`"edits":[],"envelope":{"from":"a@example.com","rcpts":["c@example.net"]},`},
		{"last recipient refused", Postfix, plan{"R": {"0000000163", "0000000172"}},
			`{"verdict":"accept","stage":"end","reply":null,"quarantine":null,` +
				`"recipients":[{"address":"b@example.net","reply":null},{"address":"c@example.net","reply":{"code":550,"enhanced":"5.7.1","text":["Command rejected"]}}],` +
				`"edits":[],"envelope":{"from":"a@example.com","rcpts":["b@example.net"]},`},
		{"connect refused", Postfix, plan{"C": {text("554 5.7.1 go")}},
			`{"verdict":"reject","stage":"connect","reply":{"code":554,"enhanced":"","text":["mx.test ESMTP not accepting connections"]},"quarantine":null,` +
				`"recipients":[],"edits":[],"envelope":{"from":"","rcpts":[]},`},
		{"helo refused, MAIL told", Postfix, plan{"H": {text("554 5.7.1 go")}},
			`{"verdict":"reject","stage":"helo","reply":{"code":554,"enhanced":"5.7.1","text":["go"]},"quarantine":null,` +
				`"recipients":[],"edits":[],"envelope":{"from":"a@example.com","rcpts":[]},`},
		{"discarded at RCPT", Sendmail, plan{"R": {"0000000163", "0000000164"}},
			`{"verdict":"discard","stage":"rcpt","reply":null,"quarantine":null,` +
				`"recipients":[{"address":"b@example.net","reply":null},{"address":"c@example.net","reply":null}],` +
				`"edits":[],"envelope":{"from":"a@example.com","rcpts":["b@example.net","c@example.net"]},`},
		{"refused at a header field", Sendmail, plan{"L": {"0000000172"}},
			`{"verdict":"reject","stage":"header","reply":{"code":554,"enhanced":"5.7.1","text":["Command rejected"]},"quarantine":null,` +
				`"recipients":[{"address":"b@example.net","reply":null},{"address":"c@example.net","reply":null}],` +
				`"edits":[],"envelope":{"from":"a@example.com","rcpts":["b@example.net","c@example.net"]},`},
		{"edits and quarantine", Postfix, plan{"E": {frames('c', Edit{Action: edit.AddHeader, Name: "X", Value: "\xfc"}, Edit{Action: edit.DeleteRcpt, Address: "<c@example.net>"},
			Edit{Action: edit.ReplaceBody, Body: make([]byte, 70000)}, Edit{Action: edit.Quarantine, Value: "why"})}},
			`{"verdict":"accept","stage":"end","reply":null,"quarantine":"why",` +
				`"recipients":[{"address":"b@example.net","reply":null},{"address":"c@example.net","reply":null}],` +
				`"edits":[{"action":"addheader","name":"X","value_b64":"/A=="},{"action":"delrcpt","address":"<c@example.net>"},{"action":"replbody","size":70000}],` +
				`"envelope":{"from":"a@example.com","rcpts":["b@example.net"]},`},
		{"edits, then refused", Postfix, plan{"E": {frames('r', Edit{Action: edit.AddHeader, Name: "X", Value: "v"})}},
			`{"verdict":"reject","stage":"end","reply":{"code":550,"enhanced":"5.7.1","text":["Command rejected"]},"quarantine":null,` +
				`"recipients":[{"address":"b@example.net","reply":null},{"address":"c@example.net","reply":null}],` +
				`"edits":[{"action":"addheader","name":"X","value":"v"}],"envelope":{"from":"a@example.com","rcpts":["b@example.net","c@example.net"]},`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, tt.plan)
			c := &Client{Profile: tt.profile, Hostname: "mx.test", Milters: []Milter{{Name: "fake", Dial: f.dial}}}
			res, err := c.Send(ctx, plain)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(res)
			if got, _, _ := strings.Cut(string(b), `"filters":`); err != nil || got != strings.ReplaceAll(strings.ReplaceAll(tt.want, "<", `\u003c`), ">", `\u003e`) {
				t.Errorf("result\ngot  %s, %v\nwant %s", got, err, tt.want)
			}
			if delivered := len(res.Message.Header) > 0; delivered != (res.Verdict == Accept) {
				t.Errorf("verdict %v, message %q", res.Verdict, res.Message.Bytes())
			}
		})
	}
}

// In the content phase the first filter runs to its end, then the second sees
// what the first made of the message.
func TestFiltersInARow(t *testing.T) {
	for _, p := range []Profile{Sendmail, Postfix} {
		t.Run(p.String(), func(t *testing.T) {
			first := newFake(t, plan{"E": {frames('c', Edit{Action: edit.AddHeader, Name: "X", Value: "1"}, Edit{Action: edit.ReplaceBody, Body: []byte("new\n")})}})
			second := newFake(t, plan{"E": {frames('c', Edit{Action: edit.ChangeHeader, Index: 1, Name: "X", Value: "2"})}})
			var order []string
			c := &Client{
				Profile: p, Milters: []Milter{{Name: "1", Dial: first.dial}, {Name: "2", Dial: second.dial}},
				Trace: func(p Packet) {
					if p.Sent && p.Code != wire.CmdMacro && p.Code != wire.CmdNegotiate {
						order = append(order, p.Milter+string(p.Code))
					}
				},
			}
			res, err := c.Send(ctx, plain)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(res.Message.Bytes()); got != "Subject: s\r\nX: 2\r\n\r\nnew\r\n" {
				t.Errorf("message = %q", got)
			}
			var by []string
			for _, e := range res.Edits {
				by = append(by, e.Milter)
			}
			if !slices.Equal(by, []string{"1", "1", "2"}) {
				t.Errorf("edits by %v", by)
			}
			got := strings.Join(order, " ")
			want := "1C 2C 1H 2H 1M 2M 1R 2R 1R 2R 1T 2T 1L 1N 1B 1E 2L 2L 2N 2B 2E "
			if p == Postfix {
				want += "1A 2A 1A 2A "
			}
			if want += "1Q 2Q"; got != want {
				t.Errorf("packets = %s, want %s", got, want)
			}
			for _, pkt := range second.packets() {
				if pkt.cmd == wire.CmdBody && pkt.payload != "new\r\n" {
					t.Errorf("the second filter sees the body %q", pkt.payload)
				}
			}
		})
	}
}

func TestVersionsOffered(t *testing.T) {
	for _, tt := range []struct {
		version  uint32
		protocol wire.Protocol
		sequence string
	}{
		{2, 0x7f, "O Dc C Dh H Dm M Dr R Dl L Dn N Db B De E A A Q"},
		{3, 0x17f, "O Dc C Dh H Dm M Dr R Du U Dl L Dn N Db B De E A A Q"},
		{4, 0x37f, "O Dc C Dh H Dm M Dr R Du U Dt T Dl L Dn N Db B De E A A Q"},
		{6, 0x1fffff, "O Dc C Dh H Dm M Dr R Du U Dt T Dl L Dn N Db B De E A A Q"},
	} {
		f := newFake(t, nil)
		f.answer = negotiation(tt.version, 0, 0)
		c := &Client{Profile: Postfix, Milters: []Milter{{Dial: f.dial, Version: tt.version}}}
		s, _, err := c.Connect(ctx, plain.Conn)
		if err != nil {
			t.Fatal(err)
		}
		play(t, s, []string{"EHLO h", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "FOO", "DATA", "CONTENT", "QUIT"}, plain.Data)
		f.wg.Wait()
		n, err := wire.Negotiate([]byte(f.packets()[0].payload))
		if err != nil || n.Version != tt.version || n.Protocol != tt.protocol {
			t.Errorf("version %d: offer %+v, %v", tt.version, n, err)
		}
		if got := sequence(f.packets()); got != tt.sequence {
			t.Errorf("version %d: packets = %s, want %s", tt.version, got, tt.sequence)
		}
	}
}

// Packets that await no answer leave together with those behind them.
func TestWritesAreGathered(t *testing.T) {
	var writes int
	f := newFake(t, plan{"C": {""}, "H": {""}, "M": {""}, "R": {""}, "T": {""}, "L": {""}, "N": {""}, "B": {""}})
	f.answer = negotiation(6, 0x1ff, 0xff080)
	c := &Client{Profile: Postfix, Milters: []Milter{{Dial: func(ctx context.Context) (net.Conn, error) {
		nc, err := f.dial(ctx)
		return countWrites{nc, &writes}, err
	}}}}
	if _, err := c.Send(ctx, plain); err != nil {
		t.Fatal(err)
	}
	// OPTNEG, CONNECT, HELO, MAIL, two RCPT, DATA, the whole message, ABORT, QUIT.
	if writes > 10 {
		t.Errorf("%d writes", writes)
	}
}

type countWrites struct {
	net.Conn
	n *int
}

func (c countWrites) Write(b []byte) (int, error) {
	*c.n++
	return c.Conn.Write(b)
}

func TestCancelledContext(t *testing.T) {
	for _, stage := range []string{"O", "C", "H", "M", "R", "T", "L", "N", "B", "E"} {
		t.Run(stage, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, plan{stage: {""}})
				f.silent = stage == "O"
				ctx, cancel := context.WithCancelCause(context.Background())
				why := errors.New("enough")
				go func() {
					synctest.Wait() // until the client waits for the filter
					cancel(why)
				}()
				c := &Client{Profile: Postfix, Milters: []Milter{{Dial: f.dial}}}
				if res, err := c.Send(ctx, plain); !errors.Is(err, why) {
					t.Errorf("Send = %+v, %v, want %v", res, err, why)
				}
				f.wg.Wait()
			})
		})
	}
}

func TestClosedSession(t *testing.T) {
	f := newFake(t, plan{"R": {text("421 4.7.0 bye")}})
	c := &Client{Profile: Sendmail, Milters: []Milter{{Dial: f.dial}}}
	s, _, err := c.Connect(ctx, Conn{})
	if err != nil {
		t.Fatal(err)
	}
	s.Mail(ctx, "<a@b>")
	if out, err := s.Rcpt(ctx, "<c@d>"); err != nil || out.Verdict != TempFail || !s.Closed() {
		t.Errorf("Rcpt = %+v, %v, closed %v", out, err, s.Closed())
	}
	if _, err := s.Rcpt(ctx, "<c@d>"); !errors.Is(err, ErrClosed) {
		t.Errorf("Rcpt after 421: %v", err)
	}
	if _, err := s.Message(ctx, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Message after 421: %v", err)
	}
	if err := s.Quit(ctx); err != nil {
		t.Errorf("Quit after 421: %v", err)
	}
}

func TestOutOfOrder(t *testing.T) {
	for p, want := range map[Profile][]string{
		Sendmail: {"503 5.0.0 Need MAIL before RCPT", "503 5.0.0 Need MAIL command", "", "503 5.5.0 Sender already specified", "503 5.0.0 Need RCPT (recipient)"},
		Postfix:  {"503 5.5.1 Error: need MAIL command", "503 5.5.1 Error: need RCPT command", "", "503 5.5.1 Error: nested MAIL command", "554 5.5.1 Error: no valid recipients"},
	} {
		s, _, err := (&Client{Profile: p}).Connect(ctx, Conn{})
		if err != nil {
			t.Fatal(err)
		}
		got, _ := play(t, s, []string{"RCPT TO:<a@b>", "DATA", "MAIL FROM:<a@b>", "MAIL FROM:<a@b>", "DATA"}, nil)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v: replies %q, want %q", p, got, want)
		}
		if res, err := s.Message(ctx, []byte("x")); err != nil || res.Reply == nil || res.Verdict != Reject {
			t.Errorf("%v: message without DATA: %+v, %v", p, res, err)
		}
		s.Close()
	}
}
