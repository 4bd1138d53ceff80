package miltertest

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/mta"
)

// A Step is what came of one command of the SMTP client.
type Step struct {
	mta.Outcome
	Stage   mta.Stage
	Answers []Answer // of the filters that were told
}

// Told returns the reply that the client was given, lines joined by LF; "" where
// the step went well.
func (s *Step) Told() string { return told(s.Reply) }

// String returns stage, verdict and reply.
func (s *Step) String() string {
	return strings.TrimRight(fmt.Sprintf("%v: %v %s", s.Stage, s.Verdict, s.Told()), " ")
}

func told(r *mta.Reply) string {
	if r == nil {
		return ""
	}
	return r.String()
}

// A Session is one SMTP conversation, command by command. When a method returns,
// the filters have worked off what they were told, also where they do not answer
// it: what their hooks wrote down may be looked at.
type Session struct {
	// Greeting is what came of the connection.
	Greeting *Step

	c       *Client
	t       testing.TB
	ms      *mta.Session
	rec     *record
	greeted bool // HELO was told
	open    bool // MAIL was told
	broken  bool

	// Since the last message:
	faults  []mta.Fault
	answers int // marks in the record
	macros  int
}

// step plays one command.
func (s *Session) step(st mta.Stage, do func(context.Context) (mta.Outcome, error)) *Step {
	s.t.Helper()
	mark := len(s.rec.answers)
	out, err := do(context.Background())
	if err != nil {
		s.t.Fatalf("miltertest: %v: %v", st, err)
	}
	s.settle()
	s.judge(out.Faults)
	return &Step{Outcome: out, Stage: st, Answers: slices.Clone(s.rec.answers[mark:])}
}

// settle waits for the filters to work off what they were sent.
func (s *Session) settle() {
	for _, t := range s.rec.taps {
		t.Conn.Settled(patience)
	}
}

func (s *Session) judge(faults []mta.Fault) {
	s.t.Helper()
	s.faults = append(s.faults, faults...)
	for _, f := range faults {
		if !s.c.FaultsOK && !s.broken {
			s.t.Errorf("miltertest: %v", f)
		}
	}
	s.c.judge(s.t)
}

// SetMacros gives macros values from the next command on; see [mta.Session.SetMacros].
// Their names may stand in braces, or not.
func (s *Session) SetMacros(values map[string]string) {
	named := make(map[string]string, len(values))
	for name, value := range values {
		named[bare(name)] = value
	}
	s.ms.SetMacros(named)
}

// UnsetMacros takes values back.
func (s *Session) UnsetMacros(names ...string) {
	for _, name := range names {
		s.ms.UnsetMacros(bare(name))
	}
}

// Helo plays HELO or EHLO.
func (s *Session) Helo(name string) *Step {
	s.t.Helper()
	s.greeted = true
	return s.step(mta.StageHelo, func(ctx context.Context) (mta.Outcome, error) { return s.ms.Helo(ctx, name) })
}

// Mail plays MAIL FROM. addr is sent as it is, and has its angle brackets.
func (s *Session) Mail(addr string, params ...string) *Step {
	s.t.Helper()
	s.open = true
	return s.step(mta.StageMail, func(ctx context.Context) (mta.Outcome, error) { return s.ms.Mail(ctx, addr, params...) })
}

// Rcpt plays RCPT TO, as Mail does MAIL FROM.
func (s *Session) Rcpt(addr string, params ...string) *Step {
	s.t.Helper()
	return s.step(mta.StageRcpt, func(ctx context.Context) (mta.Outcome, error) { return s.ms.Rcpt(ctx, addr, params...) })
}

// RcptRefused plays a RCPT TO that the MTA itself refuses. Postfix tells filters
// that asked for it.
func (s *Session) RcptRefused(addr string, why mta.Reply, params ...string) *Step {
	s.t.Helper()
	return s.step(mta.StageRcpt, func(ctx context.Context) (mta.Outcome, error) {
		err := s.ms.RcptRefused(ctx, addr, why, params...)
		return mta.Outcome{Verdict: mta.Reject, Reply: &why}, err
	})
}

// Data plays DATA.
func (s *Session) Data() *Step {
	s.t.Helper()
	return s.step(mta.StageData, func(ctx context.Context) (mta.Outcome, error) { return s.ms.Data(ctx) })
}

// Message plays what follows DATA, and returns what became of the message. text is
// any bytes; LF and CRLF both end lines.
func (s *Session) Message(text string) *Result {
	s.t.Helper()
	var res *mta.Result
	s.step(mta.StageEnd, func(ctx context.Context) (out mta.Outcome, err error) {
		if res, err = s.ms.Message(ctx, []byte(text)); err == nil {
			out.Faults = res.Faults
		}
		return out, err
	})
	r := s.result(res)
	s.open = false
	s.mark()
	return r
}

// MessageFile is Message with what stands in a file.
func (s *Session) MessageFile(file string) *Result {
	s.t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatalf("miltertest: %v", err)
	}
	r := s.Message(string(b))
	r.File = file
	return r
}

// Unknown plays a command that the MTA does not know.
func (s *Session) Unknown(line string) *Step {
	s.t.Helper()
	return s.step(mta.StageUnknown, func(ctx context.Context) (mta.Outcome, error) { return s.ms.Unknown(ctx, line) })
}

// Reset plays RSET.
func (s *Session) Reset() {
	s.t.Helper()
	s.quietly("RSET", s.ms.Reset)
	s.open = false
	s.mark()
}

// StartTLS plays a STARTTLS that succeeds; HELO follows. See SetMacros.
func (s *Session) StartTLS() {
	s.t.Helper()
	s.quietly("STARTTLS", s.ms.StartTLS)
	s.greeted, s.open = false, false
	s.mark()
}

// Quit plays QUIT, and waits for the filters to leave. It does nothing in a session
// that is over.
func (s *Session) Quit() {
	s.t.Helper()
	s.quietly("QUIT", s.ms.Quit)
}

// Lost plays a client that goes without a word.
func (s *Session) Lost() {
	s.t.Helper()
	s.quietly("lost", s.ms.Lost)
}

// Close plays an MTA that dies: the filters find their connections closed.
func (s *Session) Close() {
	s.t.Helper()
	s.quietly("close", func(context.Context) error { return s.ms.Close() })
}

// BreakAfter makes the MTA die in the middle of a later step: behind the first
// command of a stage that it sends to each filter. The session is good for nothing
// then, and that the MTA finds its filters gone is nobody's fault.
func (s *Session) BreakAfter(st mta.Stage) { s.rec.cut, s.broken = st, true }

func (s *Session) quietly(what string, do func(context.Context) error) {
	s.t.Helper()
	if err := do(context.Background()); err != nil {
		s.t.Errorf("miltertest: %s: %v", what, err)
	}
	s.settle()
	s.judge(nil)
}

// Closed reports whether the session is over: by Quit and the like, and by reply 421.
func (s *Session) Closed() bool { return s.ms.Closed() }

// Agreements returns what each filter asked for. One that could not be connected to
// is missing.
func (s *Session) Agreements() []Agreement { return slices.Clone(s.rec.agreements) }

// Send plays one message in this session, from MAIL on, after HELO if that has not
// been or m names one, and after RSET if another message is under way. m names no Conn.
func (s *Session) Send(m Mail) *Result {
	s.t.Helper()
	if m.Conn != nil {
		s.t.Fatal("miltertest: Mail has a Conn, but the session has one already")
	}
	text := m.text(s.t)
	if s.open {
		s.Reset()
	}
	for name := range m.Macros {
		defer s.UnsetMacros(name)
	}
	s.SetMacros(m.Macros)
	r := s.send(m, text)
	r.File = m.File
	return r
}

func (s *Session) send(m Mail, text string) *Result {
	s.t.Helper()
	if !s.greeted || m.Helo != "" {
		if s.Helo(cmp.Or(m.Helo, defaultHelo)).Reply != nil {
			return s.Result()
		}
	}
	from, params := path(cmp.Or(m.From, defaultFrom))
	if s.Mail(from, params...).Reply != nil {
		return s.Result()
	}
	taken := false
	rcpts := m.Rcpts
	if rcpts == nil {
		rcpts = []string{defaultRcpt}
	}
	for _, to := range rcpts {
		to, params := path(to)
		taken = s.Rcpt(to, params...).Reply == nil || taken
		if s.Closed() {
			return s.Result()
		}
	}
	if !taken || s.Data().Reply != nil {
		return s.Result()
	}
	return s.Message(text)
}

// Result returns what has become of the message under way so far.
func (s *Session) Result() *Result { return s.result(s.ms.Result()) }

func (s *Session) result(res *mta.Result) *Result {
	res.Faults = slices.Clone(s.faults)
	return &Result{
		Result:     res,
		Answers:    slices.Clone(s.rec.answers[s.answers:]),
		Agreements: s.Agreements(),
		macros:     s.rec.visible(s.macros),
	}
}

// mark begins anew what results tell of.
func (s *Session) mark() {
	s.faults, s.answers, s.macros = nil, len(s.rec.answers), len(s.rec.macros)
}
