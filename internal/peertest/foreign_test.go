//go:build peers

package peertest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	milter "github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/peertest"
)

// A rival is a filter at one of the two ends that are compared: the C filter on
// libmilter, or ours. Both do the actions of testdata/cfilter.c and write its log.
type rival struct {
	name  string
	start func(t *testing.T, network string, actions ...string) *peertest.Filter
}

var rivals = []rival{
	{"libmilter", func(t *testing.T, network string, actions ...string) *peertest.Filter {
		return peertest.CFilter(t, network, actions...)
	}},
	{"ours", func(t *testing.T, network string, actions ...string) *peertest.Filter {
		return ourFilter(t, network, actions...)
	}},
}

// ourFilter starts a milter.Server of this process that does actions. The Filter
// ends with the test, not by its method Stop.
func ourFilter(t *testing.T, network string, actions ...string) *peertest.Filter {
	t.Helper()
	p := &plan{log: new(peertest.Lines)}
	for _, a := range actions {
		p.actions = append(p.actions, strings.Split(a, "|"))
	}
	return &peertest.Filter{Spec: serve(t, network, p.hooks), Log: p.log}
}

// serve serves a filter until the test ends, and returns its address.
func serve(t *testing.T, network string, hooks func(*milter.Session) milter.Hooks) string {
	t.Helper()
	spec := peertest.FreeSpec(t, network)
	ln, err := milter.Listen(spec, milter.SocketOptions{})
	if err != nil {
		t.Fatal(err)
	}
	srv := &milter.Server{New: hooks, Log: slog.New(slog.DiscardHandler), Metrics: &faults{t: t}}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(ctx, ln); !errors.Is(err, milter.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		serving.Wait()
	})
	return spec
}

// faults fails the test at a hook that failed.
type faults struct{ t *testing.T }

func (faults) Connection(int)                              {}
func (faults) Verdict(milter.Stage, string, time.Duration) {}
func (faults) Limit(string)                                {}
func (f faults) Fault(stage milter.Stage, kind string)     { f.t.Errorf("hook %v: fault %s", stage, kind) }

// A plan is what ourFilter does.
type plan struct {
	actions     [][]string
	log         *peertest.Lines
	connections atomic.Int64
}

var stageNames = map[string]milter.Stage{
	"connect": milter.StageConnect, "helo": milter.StageHelo, "mail": milter.StageMail, "rcpt": milter.StageRcpt,
	"data": milter.StageData, "header": milter.StageHeader, "eoh": milter.StageEndOfHeaders, "body": milter.StageBody,
	"eom": milter.StageEnd, "unknown": milter.StageUnknown,
}

// verdict returns the answer at a stage whose first argument is arg.
func verdict[R milter.Reply](p *plan, stage, arg string) R {
	return p.verdict(stage, arg).(R)
}

func (p *plan) verdict(stage, arg string) milter.Reply {
	for _, a := range p.actions {
		if len(a) < 2 || a[1] != stage || a[0] == "macros" || len(a) > 2 && !strings.Contains(arg, a[2]) {
			continue
		}
		switch a[0] {
		case "accept":
			switch stage {
			case "connect", "helo":
				return milter.AcceptConnection
			case "eom":
				return milter.Accept
			}
			return milter.AcceptMessage
		case "reject":
			return milter.DefaultReject
		case "tempfail":
			return milter.DefaultTempFail
		case "discard":
			return milter.Discard
		case "skip":
			return milter.Skip
		case "noreply":
			return milter.Continue
		case "reply":
			var code int
			fmt.Sscan(a[3], &code)
			var text []string
			for _, line := range a[5:] {
				// The C filter writes percent signs as the wire has them.
				text = append(text, strings.ReplaceAll(line, "%%", "%"))
			}
			if code < 500 {
				return milter.TempFail(code, a[4], text...)
			}
			return milter.Reject(code, a[4], text...)
		}
	}
	return milter.Continue
}

// edit does the edits at the end of a message.
func (p *plan) edit(e *milter.Edits, refused func(string)) {
	number := func(s string) (n int) {
		fmt.Sscan(s, &n)
		return n
	}
	for _, a := range p.actions {
		var err error
		switch a[0] {
		case "addheader":
			err = e.AddHeader(a[1], a[2])
		case "insheader":
			err = e.InsertHeader(number(a[1]), a[2], a[3])
		case "chgheader":
			err = e.ChangeHeader(a[1], number(a[2]), a[3])
		case "delheader":
			err = e.DeleteHeader(a[1], number(a[2]))
		case "replacebody":
			err = e.ReplaceBody(strings.NewReader(a[1]))
		case "quarantine":
			err = e.Quarantine(a[1])
		case "progress":
			err = e.Progress()
		case "addrcpt":
			err = e.AddRcpt(a[1], strings.Fields(strings.Join(a[2:], " "))...)
		case "delrcpt":
			err = e.DeleteRcpt(a[1])
		case "chgfrom":
			err = e.ChangeFrom(a[1], strings.Fields(strings.Join(a[2:], " "))...)
		}
		if err != nil {
			refused(strings.Join(a, "|"))
		}
	}
}

func hex(n uint32) string { return "0x" + strconv.FormatUint(uint64(n), 16) }

// printable writes bytes as the C filter does.
func printable(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '\\' {
			fmt.Fprintf(&b, "\\x%02x", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (p *plan) hooks(s *milter.Session) milter.Hooks {
	n := p.connections.Add(1)
	var show []string
	h := milter.Hooks{Macros: map[milter.Stage][]string{}}
	for _, a := range p.actions {
		switch a[0] {
		case "show":
			show = append(show, a[1:]...)
		case "leadspace":
			h.LeadingSpace = true
		case "noreply":
			h.Silent |= milter.Stages(stageNames[a[1]])
		case "macros":
			h.Macros[stageNames[a[1]]] = strings.Fields(a[2])
		}
	}
	say := func(stage string, args ...string) {
		var b strings.Builder
		fmt.Fprintf(&b, "%d %s", n, stage)
		for _, a := range args {
			b.WriteString(" " + printable(a))
		}
		for _, name := range show {
			if v, ok := s.Macro(name); ok {
				b.WriteString(" " + name + "=" + printable(v))
			}
		}
		fmt.Fprintln(p.log, b.String())
	}
	envelope := func(addr []byte, params func(func([]byte) bool)) string {
		all := string(addr)
		for param := range params {
			all += " " + string(param)
		}
		return all
	}
	h.Negotiate = func(_ context.Context, o *milter.Negotiation) error {
		say("negotiate", hex(uint32(o.OfferedActions)), hex(uint32(o.OfferedProtocol)))
		return nil
	}
	h.Connect = func(_ context.Context, c *milter.Client) milter.ConnectReply {
		addr, port := "?", "0"
		if c.Addr.IsValid() {
			addr, port = c.Addr.Addr().String(), fmt.Sprint(c.Addr.Port())
		}
		say("connect", c.Host, addr, port)
		return verdict[milter.ConnectReply](p, "connect", c.Host)
	}
	h.Helo = func(_ context.Context, name []byte) milter.HeloReply {
		say("helo", string(name))
		return verdict[milter.HeloReply](p, "helo", string(name))
	}
	h.Mail = func(_ context.Context, m *milter.Mail) milter.MailReply {
		say("mail", envelope(m.Raw(), m.RawParams()))
		return verdict[milter.MailReply](p, "mail", string(m.Raw()))
	}
	h.Rcpt = func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
		say("rcpt", envelope(r.Raw(), r.RawParams()))
		return verdict[milter.RcptReply](p, "rcpt", string(r.Raw()))
	}
	h.Data = func(context.Context) milter.DataReply {
		say("data")
		return verdict[milter.DataReply](p, "data", "")
	}
	h.Header = func(_ context.Context, f *milter.Header) milter.HeaderReply {
		say("header", f.Name(), string(f.Raw()))
		return verdict[milter.HeaderReply](p, "header", f.Name())
	}
	h.EndOfHeaders = func(context.Context) milter.EndOfHeadersReply {
		say("eoh")
		return verdict[milter.EndOfHeadersReply](p, "eoh", "")
	}
	h.Body = func(_ context.Context, chunk []byte) milter.BodyReply {
		say("body", fmt.Sprint(len(chunk)))
		return verdict[milter.BodyReply](p, "body", "")
	}
	h.End = func(_ context.Context, e *milter.Edits) milter.EndReply {
		say("eom")
		p.edit(e, func(a string) { say("refused", a) })
		return verdict[milter.EndReply](p, "eom", "")
	}
	h.Unknown = func(_ context.Context, command []byte) milter.UnknownReply {
		say("unknown", string(command))
		return verdict[milter.UnknownReply](p, "unknown", string(command))
	}
	h.Abort = func(context.Context) { say("abort") }
	h.Close = func() { say("close") }
	return h
}

// calls returns the log of connection n without its number and without the line
// of the negotiation, after the connection has ended.
func calls(t *testing.T, f *peertest.Filter, n int) []string {
	t.Helper()
	number := fmt.Sprint(n) + " "
	f.Wait(t, number+"close")
	var lines []string
	for _, line := range f.Log.All() {
		if line, ok := strings.CutPrefix(line, number); ok && !strings.HasPrefix(line, "negotiate ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// stagesOf returns the first words of lines, each once where it repeats.
func stagesOf(lines []string) string {
	words := make([]string, len(lines))
	for i, line := range lines {
		words[i], _, _ = strings.Cut(line, " ")
	}
	return strings.Join(slices.Compact(words), " ")
}

func wantLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
