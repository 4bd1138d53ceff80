package filter

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/edit"
)

// A conversation carries one SMTP connection through a chain.
type conversation struct {
	chain    *Chain
	session  *milter.Session
	conn     *Connection
	m        *mail                     // nil between messages
	sent     *mail                     // whose new body may still be on its way
	deadline time.Time                 // of the hooks of this stage
	spare    time.Duration             // what those in report mode have left of it
	held     *hold                     // at connect or HELO
	failure  *milter.Refusal           // of a filter that failed there: AUTH does not cancel it
	standing map[*Step]*milter.Refusal // from HELO, told at MAIL
	connDone []bool                    // steps that accepted the connection
	mailDone []bool                    // or the message
	early    []Outcome                 // at connect and HELO
	macros   map[string]string         // of connect and HELO
	pass     int                       // after a failure at connect or HELO, the next message passes by the steps from the pass-th on; 0 for none
}

// A hold is a refusal at connect or HELO that waits for RCPT.
type hold struct {
	refusal *milter.Refusal
	stage   milter.Stage
}

// refusal returns what recipients are told, nil when nothing is held or AUTH
// cancels it for this message.
func (v *conversation) refusal() *milter.Refusal {
	switch {
	case v.held != nil && !v.m.exempt:
		return v.held.refusal
	case v.failure != nil:
		return v.failure
	}
	return v.m.held
}

// begin starts a message, by MAIL or by the first step that the MTA sends of one.
func (v *conversation) begin() {
	if v.m != nil {
		return
	}
	v.drop(&v.sent)
	if v.conn == nil {
		v.meet(&milter.Client{Family: milter.FamilyUnknown})
	}
	clear(v.mailDone)
	if v.pass > 0 {
		for i := v.pass - 1; i < len(v.mailDone); i++ {
			v.mailDone[i] = true
		}
		v.pass = 0
	}
	v.m = &mail{chain: v.chain, class: v.conn.class(&v.chain.Network), macros: make(map[string]string), facts: new(facts),
		exact: v.session.Protocol()&milter.ProtocolLeadingSpace != 0}
	maps.Copy(v.m.macros, v.macros)
	v.m.now = &v.m.received
	v.m.received.options = &v.chain.plan.mime
	v.m.expl = v.newExplanation()
}

func (v *conversation) newExplanation() *Explanation {
	ref := newRef
	if v.chain.NewRef != nil {
		ref = v.chain.NewRef
	}
	return &Explanation{Ref: ref(), Time: time.Now(), Conn: v.conn.ID, Client: describe(v.conn), Helo: v.conn.Helo,
		Recipients: []Recipient{}, Edits: []edit.Edit{}, Filters: slices.Clone(v.early)}
}

// describe names the client as people know it.
func describe(c *Connection) string {
	if a := c.Client.Addr.Addr(); a.IsValid() {
		return c.Client.Host + " [" + a.String() + "]"
	}
	return c.Client.Host
}

// drop forgets a message.
func (v *conversation) drop(m **mail) {
	if *m == nil {
		return
	}
	if err := (*m).close(); err != nil {
		v.chain.log().Error("message cannot be cleared away", "conn", v.conn.ID, "err", err)
	}
	*m = nil
}

// leave gives what an abandoned hook may look at to that hook, and goes on with a
// copy.
func (v *conversation) leave() {
	c := *v.conn
	c.facts = v.conn.facts.clone()
	v.conn = &c
	old := v.m
	if old == nil {
		return
	}
	old.shared = true
	v.m = &mail{chain: old.chain, class: old.class, user: old.user, queueID: old.queueID, macros: maps.Clone(old.macros),
		from: old.from, rcpts: slices.Clone(old.rcpts), facts: old.facts.clone(), editor: old.editor, before: old.before,
		exact: old.exact, whole: old.whole, spoolErr: old.spoolErr, expl: old.expl, exempt: old.exempt, held: old.held, quarantine: old.quarantine,
		received: Message{Header: slices.Clone(old.received.Header), Body: old.received.Body, options: old.received.options}}
	v.m.kept.Store(old.kept.Load())
	v.m.unkept.Store(old.unkept.Load())
	if v.m.now = &v.m.received; old.now != &old.received {
		v.m.now = &Message{Header: slices.Clone(old.now.Header), Body: old.now.Body, options: old.now.options}
	}
}

// note takes note of the macros that filters name for a stage.
func (v *conversation) note(st milter.Stage) {
	to := &v.macros
	if st >= milter.StageMail {
		to = &v.m.macros
		v.m.queueID = v.session.QueueID()
	}
	for _, name := range v.chain.plan.names[st] {
		value, ok := v.session.Macro(name)
		if *to == nil {
			*to = make(map[string]string)
		}
		if (*to)[bareMacro(name)] = value; !ok {
			delete(*to, bareMacro(name))
		}
	}
}

// ask runs a hook and fills in what came of it. The reply is nil where it does not
// count, and acceptAll where the filter failed and may let the message pass.
func (v *conversation) ask(ctx context.Context, s *Step, st milter.Stage, o *Outcome, hook func(context.Context) (milter.Reply, error)) milter.Reply {
	if s.Mode == Report && s.Filter.Contacts {
		o.Decision = "continue"
		o.note("not asked: in report mode nobody is contacted")
		return nil
	}
	began := time.Now()
	r, fail := v.run(ctx, s, st, hook)
	o.abandoned = fail != nil && fail.abandoned // its notes are the hook's
	o.MS = float64(time.Since(began).Microseconds()) / 1000
	if v.m != nil && v.m.unkept.Swap(false) {
		if fail == nil {
			fail = &Failure{Filter: s.Filter.Name, Stage: st, Err: errUnkept}
		}
		fail.unkept = true
	}
	if fail != nil {
		return v.failed(ctx, s, o, fail)
	}
	if refusal, ok := r.(*milter.Refusal); ok {
		o.Reply = newReply(refusal)
		if o.Decision = "reject"; refusal.Temporary() {
			o.Decision = "tempfail"
		}
	} else {
		o.Decision = r.String()
	}
	if s.Mode == Report {
		return nil
	}
	return r
}

// acceptAll is what a filter answers that failed and may let the message pass.
var acceptAll milter.Reply = failedReply{milter.Accept}

type failedReply struct{ milter.EndReply }

// failed returns what a failure means for the message.
func (v *conversation) failed(ctx context.Context, s *Step, o *Outcome, fail *Failure) milter.Reply {
	log := v.chain.log().With("conn", v.conn.ID)
	if v.m != nil {
		log = log.With("queue", v.m.queueID, "ref", v.m.expl.Ref)
	}
	log.Error("filter failed", "filter", fail.Filter, "stage", fail.Stage, "err", fail.Err, "stack", fail.Stack)
	if v.chain.OnFailure != nil {
		v.chain.OnFailure(fail)
	}
	o.Decision, o.Failed = "failed", fail.Err.Error()
	switch {
	case s.Mode == Report:
		return nil
	case fail.unkept:
		return cannotStore
	case fail.uncalled: // whatever OnError says: it would say so of each message
		return cannotProcess
	}
	if v.keepFailed(ctx, fail, o) {
		switch s.OnRepeat {
		case RepeatQuarantine:
			reason := "filter " + fail.Filter + " failed on it again and again"
			v.m.quarantine = &reason
			return acceptAll
		case RepeatSkip:
			return nil
		}
	}
	switch s.OnError {
	case ErrorReject:
		return milter.Reject(554, "5.3.0", "Message cannot be processed")
	case ErrorAccept:
		return acceptAll
	case ErrorSkip:
		return nil
	}
	return cannotProcess
}

// What the client is told where it is not to blame.
var (
	cannotProcess = milter.TempFail(451, "4.3.0", "Message cannot be processed now, please try again later")
	cannotStore   = milter.TempFail(452, "4.3.1", "Message cannot be stored now, please try again later")
)

// refuse ends the message with a refusal, which carries the reference.
func (v *conversation) refuse(st milter.Stage, r *milter.Refusal) *milter.Refusal {
	r = withRef(r, v.m.expl.Ref)
	x := v.m.expl
	x.Reply = newReply(r)
	if x.Verdict = "reject"; r.Temporary() {
		x.Verdict = "tempfail"
	}
	v.finish(st)
	return r
}

// discard ends the message with nobody told.
func (v *conversation) discard(st milter.Stage) {
	v.m.expl.Verdict = "discard"
	v.finish(st)
}

// finish hands out the explanation, and ends the message but for a body that is
// on its way.
func (v *conversation) finish(st milter.Stage) {
	m, x := v.m, v.m.expl
	x.Stage, x.QueueID, x.Class, x.User = st.String(), m.queueID, m.class, m.user
	x.Helo = v.conn.Helo
	if ref := m.kept.Load(); ref != nil {
		x.Kept = *ref
	}
	x.Envelope = m.envelope()
	if x.From = x.Envelope.From; m.editor != nil {
		x.Envelope = m.editor.Envelope()
	}
	x.MS = float64(time.Since(x.Time).Microseconds()) / 1000
	v.m, v.sent = nil, m
	if !m.sending {
		v.drop(&v.sent)
	}
	if v.chain.Explain != nil {
		v.chain.Explain(x)
	} else {
		v.chain.log().Info("message", "explanation", x)
	}
}

// limited puts a refusal by the server itself into words, with the reference. It is
// the message's end but where one recipient is refused.
func (v *conversation) limited(_ context.Context, st milter.Stage, r *milter.Refusal) *milter.Refusal {
	v.begin()
	if st == milter.StageRcpt && !v.chain.plan.silentRcpt() {
		return withRef(r, v.m.expl.Ref)
	}
	o := Outcome{Name: "chain", Stage: st.String(), Decision: "reject", Why: "a limit of the server"}
	if r.Temporary() {
		o.Decision = "tempfail"
	}
	v.m.expl.Filters = append(v.m.expl.Filters, o)
	v.m.expl.Size = v.m.received.size()
	return v.refuse(st, r)
}

// abort is told that the client left or reset in the middle of a message.
func (v *conversation) abort(context.Context) {
	if v.m == nil {
		return
	}
	x := v.m.expl
	x.Verdict = "abort"
	st := milter.StageAbort
	if n := len(x.Recipients); n > 0 && len(v.m.rcpts) == 0 { // all are refused: the last refusal is the verdict
		st, x.Reply = milter.StageRcpt, x.Recipients[n-1].Reply
		if x.Verdict = "reject"; x.Reply.Code < 500 {
			x.Verdict = "tempfail"
		}
	}
	v.finish(st)
	v.drop(&v.sent)
}

func (v *conversation) close() {
	if v.m != nil {
		v.abort(context.Background())
	}
	v.drop(&v.sent)
}
