package filter

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/edit"
)

// An Explanation says what became of a message, and why. In JSON it is a verdict
// as everywhere in gomilter.
type Explanation struct {
	// Ref ends the text of each refusal, so that the client's admin can be told.
	Ref     string    `json:"ref"`
	Time    time.Time `json:"time"`
	Conn    string    `json:"conn,omitempty"`
	QueueID string    `json:"queue,omitempty"`
	Client  string    `json:"client,omitempty"`
	Helo    string    `json:"helo,omitempty"`
	User    string    `json:"user,omitempty"`
	Class   Class     `json:"class"`

	// From is the sender as received; that of Envelope is as the filters left it.
	From string `json:"from"`

	// Verdict is accept, reject, tempfail, discard, or abort where the client left
	// or reset. Stage is where it fell.
	Verdict    string        `json:"verdict"`
	Stage      string        `json:"stage"`
	Reply      *Reply        `json:"reply"`
	Quarantine *string       `json:"quarantine"`
	Recipients []Recipient   `json:"recipients"`
	Edits      []edit.Edit   `json:"edits"`
	Envelope   edit.Envelope `json:"envelope"`

	// Filters are those that were asked, in order, once for each hook that had
	// something to say.
	Filters []Outcome `json:"filters"`

	// Kept is the reference of the original, where a filter kept it, or the chain did
	// because a filter failed or no recipient was left.
	Kept string `json:"kept,omitempty"`

	// Size is that of the message as received, in bytes.
	Size int64   `json:"size,omitempty"`
	MS   float64 `json:"ms"`
}

// A Reply is what the client is told.
type Reply struct {
	Code     int      `json:"code"`
	Enhanced string   `json:"enhanced"`
	Text     []string `json:"text"`
}

// String returns the reply in a line.
func (r *Reply) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", r.Code, r.Enhanced, strings.Join(r.Text, " / ")))
}

// A Recipient is one recipient and what the client was told of it.
type Recipient struct {
	Address string `json:"address"`
	Reply   *Reply `json:"reply"`
}

// An Outcome is what one filter had to say at one stage.
type Outcome struct {
	Name     string      `json:"name"`
	Stage    string      `json:"stage"`
	Decision string      `json:"decision"` // accept, continue, reject, tempfail, discard, quarantine, failed
	Report   bool        `json:"report,omitempty"`
	Why      string      `json:"why,omitempty"`
	Failed   string      `json:"failed,omitempty"`
	Reply    *Reply      `json:"reply,omitempty"`
	Edits    []edit.Edit `json:"edits,omitempty"`
	Kept     string      `json:"kept,omitempty"` // the original, beside which the stack of the failure is
	MS       float64     `json:"ms"`

	abandoned bool // what the hook notes is its own
}

func newOutcome(s *Step, st milter.Stage) *Outcome {
	return &Outcome{Name: s.Filter.Name, Stage: st.String(), Report: s.Mode == Report}
}

func (o *Outcome) note(why string) {
	switch {
	case len(o.Why) >= maxWhy: // it ends with the mark
	case o.Why == "":
		o.Why = why
	default:
		o.Why += "; " + why
	}
	if len(o.Why) > maxWhy {
		const mark = " ..."
		o.Why = strings.ToValidUTF8(o.Why[:maxWhy-len(mark)], "") + mark
	}
}

// maxWhy bounds what is told of why a filter decided as it did.
const maxWhy = 16 << 10

// done returns what may be told of the hook.
func (o *Outcome) done() Outcome {
	if !o.abandoned {
		return *o
	}
	return Outcome{Name: o.Name, Stage: o.Stage, Report: o.Report, Decision: o.Decision, Failed: o.Failed, Kept: o.Kept, MS: o.MS}
}

// says reports whether there is more to tell than that the filter was asked.
func (o *Outcome) says() bool { return o.Decision != "continue" || o.Why != "" || len(o.Edits) > 0 }

func newReply(r *milter.Refusal) *Reply {
	return &Reply{Code: r.Code(), Enhanced: r.Enhanced(), Text: r.Lines()}
}

// kept notes an original that the chain kept.
func (e *Explanation) kept(ref string) {
	if e.Kept == "" {
		e.Kept = ref
	}
}

// String returns the explanation as JSON.
func (e *Explanation) String() string {
	b, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// LogValue writes what people look for.
func (e *Explanation) LogValue() slog.Value {
	rcpts := make([]string, len(e.Recipients))
	for i, r := range e.Recipients {
		rcpts[i] = r.Address
		if r.Reply != nil {
			rcpts[i] += " (" + r.Reply.String() + ")"
		}
	}
	attrs := []slog.Attr{slog.String("conn", e.Conn), slog.String("queue", e.QueueID), slog.String("client", e.Client), slog.String("class", e.Class.String()),
		slog.String("from", e.From), slog.Any("rcpts", rcpts),
		slog.String("verdict", e.Verdict), slog.String("stage", e.Stage), slog.String("ref", e.Ref)}
	if e.Reply != nil {
		attrs = append(attrs, slog.String("reply", e.Reply.String()))
	}
	if e.Quarantine != nil {
		attrs = append(attrs, slog.String("quarantine", *e.Quarantine))
	}
	if e.Kept != "" {
		attrs = append(attrs, slog.String("kept", e.Kept))
	}
	var said loggedOutcomes
	for _, f := range e.Filters {
		if f.says() {
			said = append(said, loggedOutcome{f.Name, f.Stage, f.Decision, f.Report, f.Why, f.Failed, f.Kept, len(f.Edits)})
		}
	}
	if said != nil {
		attrs = append(attrs, slog.Any("filters", said))
	}
	return slog.GroupValue(attrs...)
}

// A loggedOutcome is what the log tells of an Outcome.
type loggedOutcome struct {
	Name     string `json:"name"`
	Stage    string `json:"stage"`
	Decision string `json:"decision"`
	Report   bool   `json:"report,omitempty"`
	Why      string `json:"why,omitempty"`
	Failed   string `json:"failed,omitempty"`
	Kept     string `json:"kept,omitempty"`
	Edits    int    `json:"edits,omitempty"`
}

// loggedOutcomes are a list, since a filter may have something to say at several
// stages, and of several recipients.
type loggedOutcomes []loggedOutcome

// String returns the outcomes as logs in text have them.
func (l loggedOutcomes) String() string {
	var b strings.Builder
	for i, o := range l {
		if i > 0 {
			b.WriteString(" | ")
		}
		fmt.Fprintf(&b, "%s at %s: %s", o.Name, o.Stage, o.Decision)
		if o.Report {
			b.WriteString(" in report mode")
		}
		if o.Edits > 0 {
			fmt.Fprintf(&b, ", %d edits", o.Edits)
		}
		for _, s := range []struct{ key, value string }{{"why", o.Why}, {"failed", o.Failed}, {"kept", o.Kept}} {
			if s.value != "" {
				fmt.Fprintf(&b, ", %s: %s", s.key, s.value)
			}
		}
	}
	return b.String()
}

// refLetters are those that are not taken for others.
const refLetters = "23456789abcdefghjkmnpqrstuvwxyz"

// newRef returns a name for an explanation, 10 letters of it.
func newRef() string {
	var b [10]byte
	for i, n := 0, rand.Uint64(); i < len(b); i, n = i+1, n/uint64(len(refLetters)) {
		b[i] = refLetters[n%uint64(len(refLetters))]
	}
	return string(b[:])
}

// maxReplyLine is how long a line of a reply may be; milter cuts longer ones in two.
const maxReplyLine = 490

// withRef returns a refusal whose text ends with the reference. A last line that has
// no room for it is shortened.
func withRef(r *milter.Refusal, ref string) *milter.Refusal {
	lines := r.Lines()
	code, enhanced := r.Code(), r.Enhanced()
	if len(lines) == 0 {
		lines = []string{"Command rejected"} // Postfix has these texts
		if r.Temporary() {
			lines[0] = "Service unavailable - try again later"
		}
	}
	last := len(lines) - 1
	text, end := strings.TrimRight(lines[last], " "), " (ref "+ref+")"
	if room := max(0, maxReplyLine-len(end)); len(text) > room {
		const mark = "..."
		n := max(0, room-len(mark))
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = strings.TrimRight(text[:n], " ") + mark
	}
	lines[last] = text + end
	out := milter.Reject
	if r.Temporary() {
		out = milter.TempFail
	}
	if x := out(code, enhanced, lines...); x.Err() == nil {
		return x
	}
	return r // a NewRef that returns what no reply may hold
}
