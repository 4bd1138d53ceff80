package logs

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/edit"
)

// Message logs what became of a message: a record for each refused recipient, one
// for the message, and as many more as it takes to name the recipients that were not
// refused. It serves as the Explain of a [filter.Chain].
//
// Values of header fields are not logged. What filters quote of the message is
// replaced by three dots unless Options.Evidence is set; the text of a reply is logged
// as the client was told it.
func (l *Log) Message(e *filter.Explanation) {
	if l.level.Level() <= slog.LevelInfo {
		l.refused(e)
	}
	level := slog.LevelInfo
	if slices.ContainsFunc(e.Filters, func(o filter.Outcome) bool { return o.Failed != "" }) {
		level = slog.LevelWarn
	}
	if l.level.Level() > level {
		return
	}
	attrs, rcpts := l.message(e)
	whole, more := l.record(level, "message", attrs).of(rcptsKey)
	for range l.maxRefused() {
		if rcpts = rcpts[min(whole, len(rcpts)):]; !more || len(rcpts) == 0 {
			break
		}
		attrs := []slog.Attr{slog.String("queue", e.QueueID), slog.String("conn", e.Conn), slog.String("ref", e.Ref), slog.Any(rcptsKey, rcpts)}
		whole, more = l.record(level, "recipients", attrs).of(rcptsKey)
		whole = max(whole, 1) // one that is longer than a line is there as far as that goes
	}
}

// rcptsKey is the key whose list goes on in further lines.
const rcptsKey = "rcpts"

func (l *Log) maxRefused() int { return cmp.Or(l.o.MaxRefused, 1000) }

// record logs one record and returns what of it was cut.
func (l *Log) record(level slog.Level, msg string, attrs []slog.Attr) cuts {
	fields := make([]field, 0, len(attrs))
	for _, a := range attrs {
		fields = flatten(fields, "", a)
	}
	return l.put(time.Now(), level, msg, fields)
}

// refused logs the recipients that were refused.
func (l *Log) refused(e *filter.Explanation) {
	most := l.maxRefused()
	from := 0 // recipients and what was said of them are in one order
	for _, r := range e.Recipients {
		if r.Reply == nil {
			continue
		}
		if most--; most < 0 {
			break // how many there are is in the line of the message
		}
		o, at := behind(e, r.Reply, from)
		if o != nil && o.Stage == "rcpt" {
			from = at + 1
		}
		attrs := []slog.Attr{slog.String("queue", e.QueueID), slog.String("conn", e.Conn)}
		if l.o.Tags {
			attrs = append(attrs, slog.String("tag", refusalTag(r.Reply, o, "rcpt")))
		}
		attrs = append(attrs, slog.String("reply", r.Reply.String()), slog.String("rcpt", r.Address))
		attrs = append(l.because(attrs, o), slog.String("ref", e.Ref))
		l.record(slog.LevelInfo, "recipient refused", sender(attrs, e))
	}
}

// message returns what the line of a message says, the most wanted first, and the
// recipients in it.
func (l *Log) message(e *filter.Explanation) (attrs []slog.Attr, rcpts []string) {
	o := decider(e)
	attrs = []slog.Attr{slog.String("queue", e.QueueID), slog.String("conn", e.Conn), slog.String("verdict", e.Verdict), slog.String("stage", e.Stage)}
	if l.o.Tags {
		attrs = append(attrs, slog.String("tag", tag(e, o)))
	}
	if e.Reply != nil {
		attrs = append(attrs, slog.String("reply", e.Reply.String()))
	}
	if e.Quarantine != nil {
		attrs = append(attrs, slog.String("quarantine", l.told(*e.Quarantine)))
	}
	attrs = append(l.because(attrs, o), slog.String("ref", e.Ref))
	attrs = appendSet(attrs, "kept", e.Kept)
	attrs = sender(attrs, e)

	refused := 0
	for _, r := range e.Recipients {
		if r.Reply != nil {
			refused++
		} else {
			rcpts = append(rcpts, r.Address)
		}
	}
	attrs = append(attrs, slog.Int("nrcpts", len(rcpts)), slog.Int("refused", refused))
	if rcpts != nil {
		attrs = append(attrs, slog.Any(rcptsKey, rcpts))
	}
	attrs = append(attrs, slog.Int64("size", e.Size), slog.Float64("ms", e.MS), slog.Int("edits", len(e.Edits)))
	for _, a := range []edit.Action{edit.AddRcpt, edit.DeleteRcpt} {
		var addrs []string
		for _, x := range e.Edits {
			if x.Action == a {
				addrs = append(addrs, x.Address)
			}
		}
		if addrs != nil {
			attrs = append(attrs, slog.Any(a.String(), addrs))
		}
	}

	var said []string
	var told notes
	for i := range e.Filters {
		x := &e.Filters[i]
		s := x.Name + ":" + x.Decision
		if edited(x) {
			s = x.Name + ":edited"
		}
		if x.Report {
			s += "(report)"
		}
		said = append(said, s)
		if why := l.why(x); why != "" && x != o {
			told = append(told, x.Name+": "+why)
		}
	}
	if said != nil {
		attrs = append(attrs, slog.Any("filters", said))
	}
	if told != nil {
		attrs = append(attrs, slog.Any("notes", told))
	}
	return attrs, rcpts
}

// notes are what filters had to say: a list in JSON, and one text in lines of text,
// where a list of quoted texts is hard to read.
type notes []string

// String returns the notes as lines of text have them.
func (n notes) String() string { return strings.Join(n, "; ") }

// edited reports whether a filter let the message pass but for what it changed, or
// would have.
func edited(o *filter.Outcome) bool {
	return len(o.Edits) > 0 && (o.Decision == "accept" || o.Decision == "continue")
}

// sender appends who sent a message.
func sender(attrs []slog.Attr, e *filter.Explanation) []slog.Attr {
	attrs = append(attrs, slog.String("from", e.From))
	if e.Verdict == "accept" && e.Envelope.From != e.From {
		attrs = append(attrs, slog.String("changed_from", e.Envelope.From))
	}
	attrs = appendSet(attrs, "client", e.Client)
	attrs = appendSet(attrs, "helo", e.Helo)
	attrs = appendSet(attrs, "user", e.User)
	return append(attrs, slog.String("class", e.Class.String()))
}

// because appends which filter decided, and why.
func (l *Log) because(attrs []slog.Attr, o *filter.Outcome) []slog.Attr {
	if o == nil {
		return attrs
	}
	return appendSet(append(attrs, slog.String("filter", o.Name)), "why", l.why(o))
}

// why returns what a filter said of itself, or how it failed.
func (l *Log) why(o *filter.Outcome) string {
	if o.Why == "" || o.Failed == "" {
		return l.told(o.Why) + o.Failed
	}
	return l.told(o.Why) + "; " + o.Failed
}

// told returns what a filter says, without what it quotes unless that is wanted.
func (l *Log) told(s string) string {
	if l.o.Evidence {
		return s
	}
	return unquote(s)
}

// unquote replaces what stands in double quotes, and them, by three dots: quotes in
// a value would have to be escaped. A backslash inside makes the next character one of
// the text.
func unquote(s string) string {
	if !strings.Contains(s, `"`) {
		return s
	}
	var b strings.Builder
	in, escaped := false, false
	for i := range len(s) {
		switch c := s[i]; {
		case escaped:
			escaped = false
		case in && c == '\\':
			escaped = true
		case c == '"':
			if in = !in; in {
				b.WriteString("...")
			}
		case !in:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func appendSet(attrs []slog.Attr, key, value string) []slog.Attr {
	if value == "" {
		return attrs
	}
	return append(attrs, slog.String(key, value))
}

// decider returns the outcome behind the verdict on a message, or the first that
// changed one that was accepted; nil where no filter stands behind it.
func decider(e *filter.Explanation) *filter.Outcome {
	decision := e.Verdict
	switch {
	case e.Reply != nil:
		return refuser(e)
	case e.Quarantine != nil:
		decision = "quarantine"
	case e.Verdict == "accept":
		if i := slices.IndexFunc(e.Filters, func(o filter.Outcome) bool { return !o.Report && edited(&o) }); i >= 0 && len(e.Edits) > 0 {
			return &e.Filters[i]
		}
		return nil
	case e.Verdict != "discard":
		return nil
	}
	for i := len(e.Filters) - 1; i >= 0; i-- {
		if o := &e.Filters[i]; !o.Report && (o.Decision == decision || e.Quarantine != nil && o.Decision == "failed") {
			return o
		}
	}
	return nil
}

// refuser returns the outcome behind the reply that ended a message.
func refuser(e *filter.Explanation) *filter.Outcome {
	last := func(is func(*filter.Outcome) bool) *filter.Outcome {
		for i := len(e.Filters) - 1; i >= 0; i-- {
			if o := &e.Filters[i]; o.Stage == e.Stage && !o.Report && is(o) {
				return o
			}
		}
		return nil
	}
	if o := last(func(o *filter.Outcome) bool { return o.Reply != nil && same(o.Reply, e.Reply, e.Ref) }); o != nil {
		return o
	}
	// None gave it itself: the last that was asked failed, or refused some recipients.
	asked := func(o *filter.Outcome) bool { return o.Why != "" || o.Failed != "" }
	if e.Stage == milter.StageEnd.String() {
		if o := last(func(*filter.Outcome) bool { return true }); o != nil && asked(o) {
			return o
		}
	}
	if o, _ := behind(e, e.Reply, 0); o != nil { // it was held
		return o
	}
	return last(asked)
}

// behind returns the first outcome, from an index on, that gave a reply, and where
// it stands. Where none did, it is the last filter that failed, if its reply is that
// of failures.
func behind(e *filter.Explanation, r *filter.Reply, from int) (*filter.Outcome, int) {
	for i := from; i < len(e.Filters); i++ {
		if o := &e.Filters[i]; !o.Report && o.Reply != nil && same(o.Reply, r, e.Ref) {
			return o, i
		}
	}
	if r.Enhanced == "4.3.0" || r.Enhanced == "5.3.0" {
		for i := len(e.Filters) - 1; i >= 0; i-- {
			if o := &e.Filters[i]; !o.Report && o.Decision == "failed" {
				return o, i
			}
		}
	}
	return nil, -1
}

// same reports whether a filter's reply is what the client was told, with the
// reference behind it.
func same(o, r *filter.Reply, ref string) bool {
	if o.Code != r.Code || o.Enhanced != r.Enhanced {
		return false
	}
	if len(o.Text) == 0 {
		return true // the words are the chain's
	}
	if len(o.Text) != len(r.Text) {
		return false
	}
	last := len(o.Text) - 1
	told := strings.TrimSuffix(r.Text[last], " (ref "+ref+")")
	return slices.Equal(o.Text[:last], r.Text[:last]) && strings.TrimRight(o.Text[last], " ") == strings.TrimRight(told, " ")
}

// The words that pymilter's application began its log lines with, as far as they
// tell how a message ended.
const (
	tagEnd        = "eom"
	tagAbort      = "abort"
	tagReject     = "REJECT"
	tagDelayed    = "DELAYED REJECT" // decided before the reply could be given
	tagTempFail   = "TEMPFAIL"
	tagFail       = "FAIL" // an exception
	tagDiscard    = "DISCARD"
	tagQuarantine = "QUARANTINE"
)

// tag returns the word for the verdict on a message, which o decided.
func tag(e *filter.Explanation, o *filter.Outcome) string {
	switch {
	case e.Quarantine != nil:
		return tagQuarantine
	case e.Reply != nil:
		return refusalTag(e.Reply, o, e.Stage)
	case e.Verdict == "accept":
		return tagEnd
	case e.Verdict == "discard":
		return tagDiscard
	case e.Verdict == "reject":
		return tagReject
	case e.Verdict == "tempfail":
		return tagTempFail
	}
	return tagAbort
}

// refusalTag returns the word for a reply that was given at a stage.
func refusalTag(r *filter.Reply, o *filter.Outcome, stage string) string {
	switch {
	case o != nil && o.Decision == "failed":
		return tagFail
	case r.Code < 500:
		return tagTempFail
	case o != nil && o.Stage != stage:
		return tagDelayed
	}
	return tagReject
}
