package cases

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	milter "github.com/gomilter/gomilter"
)

// A Plan says what a filter does.
type Plan struct {
	Rules []Rule
	// Only names the hooks it has; nil means all.
	Only     []string
	Silent   []milter.Stage
	Macros   map[milter.Stage][]string
	Leading  bool
	Rejected bool
	Actions  milter.Actions
	Fault    milter.FaultPolicy
	// Times of the server; 0 means far longer than any MTA waits.
	StageTimeout, EndTimeout, Progress time.Duration
	Absent, Gone                       bool
}

// A Rule is one action at a stage.
type Rule struct {
	Stage  string
	Conn   int    // 0 means each connection
	Nth    int    // 0 means each time
	Text   string // of the argument
	Action string
	Args   []string
}

var stageNames = map[string]milter.Stage{
	"connect": milter.StageConnect, "helo": milter.StageHelo, "mail": milter.StageMail, "rcpt": milter.StageRcpt,
	"data": milter.StageData, "header": milter.StageHeader, "eoh": milter.StageEndOfHeaders, "body": milter.StageBody,
	"end": milter.StageEnd, "unknown": milter.StageUnknown,
	"negotiate": milter.StageNegotiate, "abort": milter.StageAbort, "close": milter.StageClose,
}

// actions are the words of rules and how many more they need.
var actions = map[string]int{
	"continue": 0, "accept": 0, "reject": 0, "tempfail": 0, "discard": 0, "skip": 0,
	"nil": 0, "panic": 0, "hang": 0, "kill": 0, "sleep": 1,
	"add": 2, "insert": 3, "change": 3, "delete": 2,
	"addrcpt": 1, "delrcpt": 1, "from": 1, "body": 1, "quarantine": 1, "progress": 0,
}

var editNames = map[string]milter.Actions{
	"none": milter.NoEdits, "add": milter.CanAddHeaders, "change": milter.CanChangeHeaders, "body": milter.CanChangeBody,
	"addrcpt": milter.CanAddRcpt, "delrcpt": milter.CanDeleteRcpt, "from": milter.CanChangeFrom, "quarantine": milter.CanQuarantine,
}

var faultNames = map[string]milter.FaultPolicy{
	"tempfail": milter.FaultTempFail, "reject": milter.FaultReject, "accept": milter.FaultAccept, "continue": milter.FaultContinue,
}

func (p *Plan) line(words []string) error {
	args := words[1:]
	stages := func(names []string) (out []milter.Stage, err error) {
		for _, n := range names {
			s, ok := stageNames[n]
			if !ok {
				return nil, fmt.Errorf("unknown stage %q", n)
			}
			out = append(out, s)
		}
		return out, nil
	}
	switch words[0] {
	case "hooks":
		_, err := stages(args)
		p.Only = append([]string{}, args...)
		return err
	case "silent":
		list, err := stages(args)
		p.Silent = append(p.Silent, list...)
		return err
	case "macros":
		list, err := stages(args[:1])
		if err == nil {
			if p.Macros == nil {
				p.Macros = make(map[milter.Stage][]string)
			}
			p.Macros[list[0]] = append([]string{}, args[1:]...)
		}
		return err
	case "leadspace":
		p.Leading = true
	case "rejected":
		p.Rejected = true
	case "absent":
		p.Absent = true
	case "gone":
		p.Gone = true
	case "actions":
		for _, n := range args {
			a, ok := editNames[n]
			if !ok {
				return fmt.Errorf("unknown kind of edit %q", n)
			}
			p.Actions |= a
		}
	case "fault":
		f, ok := faultNames[args[0]]
		if !ok {
			return fmt.Errorf("unknown policy %q", args[0])
		}
		p.Fault = f
	case "timeout":
		d, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		switch args[0] {
		case "stage":
			p.StageTimeout = d
		case "end":
			p.EndTimeout = d
		case "progress":
			p.Progress = d
		default:
			return fmt.Errorf("unknown timeout %q", args[0])
		}
	default:
		return p.rule(words)
	}
	return nil
}

func (p *Plan) rule(words []string) error {
	r := Rule{}
	var nth string
	var err error
	if r.Stage, nth, _ = strings.Cut(words[0], "#"); nth != "" {
		if r.Nth, err = strconv.Atoi(nth); err != nil {
			return fmt.Errorf("bad number in %q", words[0])
		}
	}
	var conn string
	if r.Stage, conn, _ = strings.Cut(r.Stage, "@"); conn != "" {
		if r.Conn, err = strconv.Atoi(conn); err != nil {
			return fmt.Errorf("bad number in %q", words[0])
		}
	}
	if _, ok := stageNames[r.Stage]; !ok {
		return fmt.Errorf("unknown word %q for a filter", r.Stage)
	}
	words = words[1:]
	if len(words) > 1 {
		if _, ok := actions[words[0]]; !ok {
			r.Text, words = words[0], words[1:]
		}
	}
	if len(words) == 0 {
		return errors.New("no action")
	}
	r.Action, r.Args = words[0], words[1:]
	if need, ok := actions[r.Action]; !ok || len(r.Args) < need {
		return fmt.Errorf("unknown action, or too little for it: %q", words)
	}
	if r.Action == "reject" || r.Action == "tempfail" {
		if _, err := refusal(r.Action, r.Args); err != nil {
			return err
		}
	}
	p.Rules = append(p.Rules, r)
	return nil
}

func refusal(action string, args []string) (*milter.Refusal, error) {
	if len(args) == 0 {
		if action == "reject" {
			return milter.DefaultReject, nil
		}
		return milter.DefaultTempFail, nil
	}
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, fmt.Errorf("bad code %q", args[0])
	}
	enhanced, text := "", args[1:]
	if len(text) > 0 && strings.Count(text[0], ".") == 2 && !strings.Contains(text[0], " ") {
		enhanced, text = text[0], text[1:]
	}
	if action == "reject" {
		return milter.Reject(code, enhanced, text...), nil
	}
	return milter.TempFail(code, enhanced, text...), nil
}

// A filter is a running filter of a case.
type filter struct {
	plan  *Plan
	hurry time.Duration
	rec   *record
	ln    *killable
	over  chan struct{} // closed when the case is over
	done  chan error
	stop  context.CancelFunc
}

// serve starts a filter on a listener. It runs until end is called. What takes its
// time takes a part of it only where hurry is above 1.
func (p *Plan) serve(ln net.Listener, hurry time.Duration) *filter {
	f := &filter{plan: p, hurry: hurry, rec: new(record), ln: &killable{Listener: ln}, over: make(chan struct{}), done: make(chan error, 1)}
	long := func(d time.Duration) time.Duration {
		if d == 0 {
			return time.Hour
		}
		return d
	}
	srv := &milter.Server{
		New:              f.hooks,
		OnFault:          p.Fault,
		StageTimeout:     long(p.StageTimeout),
		EndTimeout:       long(p.EndTimeout),
		ProgressInterval: p.Progress / hurry,
		StopTimeout:      100 * time.Millisecond,
		Log:              f.rec.logger(),
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.stop = cancel
	go func() { f.done <- srv.Serve(ctx, f.ln) }()
	return f
}

// end stops the filter and returns what it recorded.
func (f *filter) end() (*record, error) {
	close(f.over)
	f.rec.settle(3 * time.Second)
	f.stop()
	select {
	case err := <-f.done:
		if !errors.Is(err, milter.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			return f.rec, fmt.Errorf("cases: the filter's server: %w", err)
		}
	case <-time.After(10 * time.Second):
		return f.rec, errors.New("cases: the filter's server does not stop")
	}
	return f.rec, nil
}

// hooks are called New for each connection.
func (f *filter) hooks(s *milter.Session) milter.Hooks {
	c := f.rec.open(s)
	p := f.plan
	has := func(stage string) bool { return p.Only == nil || slices.Contains(p.Only, stage) }
	h := milter.Hooks{
		Silent:        milter.Stages(p.Silent...),
		Actions:       p.Actions,
		Macros:        p.Macros,
		RejectedRcpts: p.Rejected,
		LeadingSpace:  p.Leading,
		Close:         func() { c.close() },
	}
	act := func(ctx context.Context, stage, arg string, e *milter.Edits) milter.Reply {
		return f.act(ctx, c, stage, arg, e)
	}
	if has("negotiate") {
		h.Negotiate = func(ctx context.Context, n *milter.Negotiation) error {
			c.offer(n)
			if r := f.do(ctx, c, "negotiate", 1, "", nil); r != nil {
				return errors.New("refused")
			}
			return nil
		}
	}
	if has("connect") {
		h.Connect = func(ctx context.Context, cl *milter.Client) milter.ConnectReply {
			r, _ := act(ctx, "connect", clientText(cl), nil).(milter.ConnectReply)
			return r
		}
	}
	if has("helo") {
		h.Helo = func(ctx context.Context, name []byte) milter.HeloReply {
			r, _ := act(ctx, "helo", string(name), nil).(milter.HeloReply)
			return r
		}
	}
	if has("mail") {
		h.Mail = func(ctx context.Context, m *milter.Mail) milter.MailReply {
			r, _ := act(ctx, "mail", pathText(m.Raw(), m.RawParams()), nil).(milter.MailReply)
			return r
		}
	}
	if has("rcpt") {
		h.Rcpt = func(ctx context.Context, m *milter.Rcpt) milter.RcptReply {
			arg := pathText(m.Raw(), m.RawParams())
			if m.Rejected() {
				arg += " (refused by the MTA)"
			}
			r, _ := act(ctx, "rcpt", arg, nil).(milter.RcptReply)
			return r
		}
	}
	if has("data") {
		h.Data = func(ctx context.Context) milter.DataReply {
			r, _ := act(ctx, "data", "", nil).(milter.DataReply)
			return r
		}
	}
	if has("header") {
		h.Header = func(ctx context.Context, hd *milter.Header) milter.HeaderReply {
			r, _ := act(ctx, "header", hd.Name()+":"+content(hd.Raw()), nil).(milter.HeaderReply)
			return r
		}
	}
	if has("eoh") {
		h.EndOfHeaders = func(ctx context.Context) milter.EndOfHeadersReply {
			r, _ := act(ctx, "eoh", "", nil).(milter.EndOfHeadersReply)
			return r
		}
	}
	if has("body") {
		h.Body = func(ctx context.Context, chunk []byte) milter.BodyReply {
			r, _ := act(ctx, "body", content(chunk), nil).(milter.BodyReply)
			return r
		}
	}
	if has("end") {
		h.End = func(ctx context.Context, e *milter.Edits) milter.EndReply {
			r, _ := act(ctx, "end", "", e).(milter.EndReply)
			return r
		}
	}
	if has("unknown") {
		h.Unknown = func(ctx context.Context, line []byte) milter.UnknownReply {
			r, _ := act(ctx, "unknown", string(line), nil).(milter.UnknownReply)
			return r
		}
	}
	if has("abort") {
		h.Abort = func(ctx context.Context) { act(ctx, "abort", "", nil) }
	}
	return h
}

// act notes a call and does what the plan says.
func (f *filter) act(ctx context.Context, c *connRecord, stage, arg string, e *milter.Edits) milter.Reply {
	nth := c.call(stage, arg)
	if r := f.do(ctx, c, stage, nth, arg, e); r != nil {
		if r == noReply {
			return nil
		}
		return r
	}
	return milter.Continue
}

// noReply stands for a hook that returns nil.
var noReply milter.Reply = new(milter.Refusal)

func (f *filter) do(ctx context.Context, c *connRecord, stage string, nth int, arg string, e *milter.Edits) (reply milter.Reply) {
	for _, r := range f.plan.Rules {
		if r.Stage != stage || r.Conn != 0 && r.Conn != c.number || r.Nth != 0 && r.Nth != nth || !strings.Contains(arg, r.Text) {
			continue
		}
		switch r.Action {
		case "continue":
			reply = milter.Continue
		case "accept":
			reply = acceptAt(stage)
		case "reject", "tempfail":
			reply, _ = refusal(r.Action, r.Args)
		case "discard":
			reply = milter.Discard
		case "skip":
			reply = milter.Skip
		case "nil":
			reply = noReply
		case "panic":
			panic("as planned")
		case "hang":
			f.wait(ctx, time.Hour)
		case "sleep":
			d, _ := time.ParseDuration(r.Args[0])
			f.wait(ctx, d)
		case "kill":
			f.ln.kill()
		default:
			if err := edit(e, r.Action, r.Args); err != nil {
				c.failed(r.Action, err)
			}
		}
	}
	return reply
}

func acceptAt(stage string) milter.Reply {
	switch stage {
	case "connect", "helo":
		return milter.AcceptConnection
	case "end":
		return milter.Accept
	}
	return milter.AcceptMessage
}

// wait takes its time. Where the server is to lose its patience before the MTA
// does, the hook does not listen to it either.
func (f *filter) wait(ctx context.Context, d time.Duration) {
	done := ctx.Done()
	if f.plan.StageTimeout > 0 || f.plan.EndTimeout > 0 {
		done = nil
	}
	select {
	case <-time.After(d / f.hurry):
	case <-done:
	case <-f.over:
	}
}

func edit(e *milter.Edits, action string, args []string) error {
	if e == nil {
		return errors.New("edits exist at the end only")
	}
	number := func() int { n, _ := strconv.Atoi(args[0]); return n }
	switch action {
	case "add":
		return e.AddHeader(args[0], args[1])
	case "insert":
		return e.InsertHeader(number(), args[1], args[2])
	case "change":
		return e.ChangeHeader(args[1], number(), args[2])
	case "delete":
		return e.DeleteHeader(args[1], number())
	case "addrcpt":
		return e.AddRcpt(args[0], args[1:]...)
	case "delrcpt":
		return e.DeleteRcpt(args[0])
	case "from":
		return e.ChangeFrom(args[0], args[1:]...)
	case "body":
		return e.ReplaceBody(strings.NewReader(args[0]))
	case "quarantine":
		return e.Quarantine(args[0])
	case "progress":
		return e.Progress()
	}
	return fmt.Errorf("unknown edit %q", action)
}

// A killable is a listener that can go the way of a process that dies, with its
// connections.
type killable struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (k *killable) Accept() (net.Conn, error) {
	c, err := k.Listener.Accept()
	if err == nil {
		k.mu.Lock()
		k.conns = append(k.conns, c)
		k.mu.Unlock()
	}
	return c, err
}

func (k *killable) kill() {
	k.Listener.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.conns {
		c.Close()
	}
}
