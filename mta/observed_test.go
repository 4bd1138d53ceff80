package mta

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// An observation is one SMTP conversation with a real MTA, Sendmail 8.17.1.9 or
// Postfix 3.7.11, whose filter followed a plan. testdata/README.md says more.
type observation struct {
	Name      string   `json:"name"`
	MTA       Profile  `json:"mta"`
	Failure   Failure  `json:"failure"` // tempfail when not told
	Neg       string   `json:"neg"`     // the filter's OPTNEG, in hexadecimal
	Plan      plan     `json:"plan"`
	Neg2      string   `json:"neg2"` // of a second filter, which is there when Packets2 is
	Plan2     plan     `json:"plan2"`
	Packets2  *string  `json:"packets2"`
	Steps     []string `json:"steps"`
	Data      *string  `json:"data"`
	Banner    []string `json:"banner"`  // when not 220
	Replies   []string `json:"replies"` // "" a success, "?" unknown command, "closed" none
	Packets   string   `json:"packets"`
	Macros    []string `json:"macros"`
	Payloads  []string `json:"payloads"`
	Message   *string  `json:"message"` // as the next hop got it, without the MTA's Received
	Delivered int      `json:"delivered"`
	Held      int      `json:"held"`
}

var usualSteps = []string{
	"EHLO client.example.com", "MAIL FROM:<sender@example.com>", "RCPT TO:<rcpt@example.net>", "RCPT TO:<rcpt2@example.net>", "FOO bar", "DATA", "CONTENT", "RSET",
	"MAIL FROM:<s2@example.com>", "RCPT TO:<r2@example.net>", "DATA", "CONTENT", "QUIT",
}

const usualData = "From: <sender@example.com>\r\nTo: <rcpt@example.net>\r\nSubject: test\r\nMessage-ID: <1@send.mta.test>\r\nDate: Sun, 01 Jan 2023 00:00:00 +0000\r\n\r\nHello.\r\n"

func observations(t testing.TB) (all []observation) {
	f, err := os.Open("testdata/observed.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		o := observation{Failure: FailTempFail}
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		if o.Steps == nil {
			o.Steps = usualSteps
		}
		all = append(all, o)
	}
	if len(all) < 500 {
		t.Fatalf("%d observations in testdata", len(all))
	}
	return all
}

// latin1 returns the bytes of a recorded string, which has a rune for each.
func latin1(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// play tells a session of the steps of an SMTP client and returns the replies as
// observations have them, and the results of the messages.
func play(t *testing.T, s *Session, steps []string, data []byte) (replies []string, results []*Result) {
	t.Helper()
	ctx := context.Background()
	var out Outcome
	var err error
	for _, step := range steps {
		verb, arg, _ := strings.Cut(step, " ")
		said := ""
		switch verb {
		case "EHLO", "HELO":
			out, err = s.Helo(ctx, arg)
		case "MAIL":
			addr, params := cutParams(strings.TrimPrefix(arg, "FROM:"))
			out, err = s.Mail(ctx, addr, params...)
		case "RCPT":
			addr, params := cutParams(strings.TrimPrefix(arg, "TO:"))
			out, err = s.Rcpt(ctx, addr, params...)
		case "DATA":
			out, err = s.Data(ctx)
		case "CONTENT":
			if out.Reply != nil {
				continue // DATA was refused
			}
			var res *Result
			if res, err = s.Message(ctx, data); err == nil {
				out = Outcome{Reply: res.Reply}
				results = append(results, res)
			}
		case "RSET":
			out, err = Outcome{}, s.Reset(ctx)
		case "@starttls":
			out, err = Outcome{}, s.StartTLS(ctx)
		case "@close":
			s.Lost(ctx)
			continue
		case "QUIT":
			closed := s.Closed()
			if out, err = (Outcome{}), s.Quit(ctx); closed {
				err = ErrClosed
			}
		default:
			if out, err = s.Unknown(ctx, step); out.Reply == nil {
				said = "?"
			}
		}
		switch {
		case err == ErrClosed:
			replies = append(replies, "closed")
			return replies, results
		case err != nil:
			t.Fatalf("%s: %v", step, err)
		case out.Reply != nil:
			said = out.Reply.String()
		}
		replies = append(replies, said)
	}
	return replies, results
}

func TestBehavesAsTheMTAsDo(t *testing.T) {
	for _, o := range observations(t) {
		t.Run(o.MTA.String()+"/"+o.Name, func(t *testing.T) { synctest.Test(t, o.test) })
	}
}

// test plays the conversation against the package.
func (o observation) test(t *testing.T) {
	f := newFake(t, o.Plan)
	f.answer = negotiation(6, 0x1ff, 0)
	if o.Neg != "" {
		f.answer, _ = hex.DecodeString(o.Neg)
	}
	c := &Client{
		Profile: o.MTA, Hostname: o.MTA.String() + ".mta.test", Failure: o.Failure, Timeouts: Timeouts{Command: time.Second, Content: time.Second},
		Milters: []Milter{{Name: "fake", Dial: f.dial}}, MakeUp: true,
	}
	var second *fake
	if o.Packets2 != nil {
		second = newFake(t, o.Plan2)
		if o.Neg2 != "" {
			second.answer, _ = hex.DecodeString(o.Neg2)
		}
		c.Milters = append(c.Milters, Milter{Name: "second", Dial: second.dial})
	}
	data := usualData
	if o.Data != nil {
		data = latin1(*o.Data)
	}
	s, out, err := c.Connect(context.Background(), Conn{Name: "localhost", Addr: netip.MustParseAddrPort("127.0.0.1:40000")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var banner []string
	if out.Reply != nil {
		banner = out.Reply.Lines()
	}
	if !slices.Equal(banner, o.Banner) {
		t.Errorf("banner = %q, want %q", banner, o.Banner)
	}
	steps := o.Steps
	if len(banner) > 0 && strings.HasPrefix(banner[0], "421") {
		steps = nil
		o.Replies = nil
	}
	replies, results := play(t, s, steps, []byte(data))
	for len(replies) > 0 && replies[len(replies)-1] == "" {
		replies = replies[:len(replies)-1]
	}
	if !slices.Equal(replies, o.Replies) {
		t.Errorf("replies\ngot  %q\nwant %q", replies, o.Replies)
	}
	s.Close()
	f.wg.Wait()
	if got := sequence(f.packets()); got != o.Packets && trimEnd(got) != trimEnd(o.Packets) {
		t.Errorf("packets\ngot  %s\nwant %s", got, o.Packets)
	}
	if second != nil {
		second.wg.Wait()
		if got := sequence(second.packets()); trimEnd(got) != trimEnd(*o.Packets2) {
			t.Errorf("packets to the second filter\ngot  %s\nwant %s", got, *o.Packets2)
		}
	}
	delivered, held := 0, 0
	for _, r := range results {
		switch {
		case r.Verdict != Accept:
		case r.Quarantine != nil:
			held++
		default:
			delivered++
		}
	}
	if o.Held > 0 && held == 0 || o.Delivered > delivered || delivered > 0 && o.Delivered == 0 && len(o.Steps) == len(usualSteps) {
		t.Errorf("delivered %d, held %d, want %d, %d", delivered, held, o.Delivered, o.Held)
	}
	if o.Message != nil && len(results) > 0 {
		got := madeUp.ReplaceAllString(string(results[0].Message.Bytes()), "$1(made up)")
		if want := latin1(*o.Message); got != want {
			t.Errorf("message\ngot  %q\nwant %q", got, want)
		}
	}
	if o.Macros != nil {
		if got := macroNames(f.packets()); !slices.Equal(got, o.Macros) {
			t.Errorf("macros\ngot  %q\nwant %q", got, o.Macros)
		}
	}
	if o.Payloads != nil {
		var got []string
		for _, p := range f.packets() {
			if strings.ContainsRune("LBMRHU", rune(p.cmd)) && len(p.payload) > 0 && len(p.payload) < 298 {
				got = append(got, string(p.cmd)+":"+mask(p.payload))
			}
		}
		for i := range o.Payloads {
			o.Payloads[i] = mask(latin1(o.Payloads[i]))
		}
		if !slices.Equal(got, o.Payloads) {
			t.Errorf("payloads\ngot  %q\nwant %q", got, o.Payloads)
		}
	}
}

var madeUp = regexp.MustCompile(`(?m)^((?:Resent-)?(?:Date|Message-Id): )[^\r]*20(?:26|00)[^\r]*`)

// mask leaves made-up values out of header fields.
func mask(payload string) string {
	if name, value, ok := strings.Cut(payload, "\x00"); ok && strings.Contains(" L:Date Date L:Message-Id Message-Id L:Resent-Message-Id Resent-Message-Id ", " "+name+" ") && !strings.Contains(value, "2023") {
		return name
	}
	return payload
}

// How a filter that sent nonsense notes the end of its connection is chance.
var trimEnd = func() func(string) string {
	re := regexp.MustCompile(`( [./])+$`)
	return func(s string) string { return re.ReplaceAllString(s, "") }
}()

// macroNames writes the names in macro packets, in the order they came.
func macroNames(packets []packet) (all []string) {
	for _, p := range packets {
		if p.cmd != wire.CmdMacro {
			continue
		}
		line := p.payload[:1] + " "
		var names []string
		for name := range wire.Pairs([]byte(p.payload[1:])) {
			if string(name) != "daemon_name" || p.payload[0] != wire.CmdConnect || !strings.Contains(p.payload, "{j}") || strings.Contains(p.payload, "Postfix") {
				names = append(names, string(name))
			}
		}
		all = append(all, line+strings.Join(names, " "))
	}
	return all
}
