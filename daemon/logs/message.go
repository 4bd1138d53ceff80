package logs

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/edit"
)

// Message logs what became of a message: a record for each refused recipient, and
// one for the message. It serves as the Explain of a [filter.Chain].
//
// Values of header fields are not logged. What filters quote of the message is
// replaced by "..." unless Options.Evidence is set; the text of a reply is logged
// as the client was told it.
func (l *Log) Message(e *filter.Explanation) {
	ctx := context.Background()
	if l.logger.Enabled(ctx, slog.LevelInfo) {
		l.refused(ctx, e)
	}
	level := slog.LevelInfo
	if slices.ContainsFunc(e.Filters, func(o filter.Outcome) bool { return o.Failed != "" }) {
		level = slog.LevelWarn
	}
	if l.logger.Enabled(ctx, level) {
		l.logger.LogAttrs(ctx, level, "message", l.message(e)...)
	}
}

// refused logs the recipients that were refused.
func (l *Log) refused(ctx context.Context, e *filter.Explanation) {
	most := cmp.Or(l.o.MaxRefused, 1000)
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
		l.logger.LogAttrs(ctx, slog.LevelInfo, "recipient refused", sender(attrs, e)...)
	}
}

// message returns what the line of a message says, the most wanted first.
func (l *Log) message(e *filter.Explanation) []slog.Attr {
	o := decider(e)
	attrs := []slog.Attr{slog.String("queue", e.QueueID), slog.String("conn", e.Conn), slog.String("verdict", e.Verdict), slog.String("stage", e.Stage)}
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

	var rcpts []string
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
		attrs = append(attrs, slog.Any("rcpts", rcpts))
	}
	attrs = append(attrs, slog.Int64("size", e.Size), slog.Float64("ms", e.MS), slog.Int("edits", len(e.Edits)))
	for _, a := range []edit.Action{edit.AddRcpt, edit.DeleteRcpt, edit.ChangeFrom} {
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

	var said, notes []string
	for i := range e.Filters {
		x := &e.Filters[i]
		s := x.Name + ":" + x.Decision
		if x.Report {
			s += "(report)"
		}
		said = append(said, s)
		if why := l.why(x); why != "" && x != o {
			notes = append(notes, x.Name+": "+why)
		}
	}
	if said != nil {
		attrs = append(attrs, slog.Any("filters", said))
	}
	if notes != nil {
		attrs = append(attrs, slog.Any("notes", notes))
	}
	return attrs
}

// sender appends who sent a message.
func sender(attrs []slog.Attr, e *filter.Explanation) []slog.Attr {
	attrs = append(attrs, slog.String("from", e.Envelope.From))
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

// unquote replaces what stands in double quotes by three dots. A backslash inside
// makes the next character one of the text.
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
				b.WriteString(`"...`)
			} else {
				b.WriteByte('"')
			}
		case !in:
			b.WriteByte(c)
		}
	}
	if in {
		b.WriteByte('"')
	}
	return b.String()
}

func appendSet(attrs []slog.Attr, key, value string) []slog.Attr {
	if value == "" {
		return attrs
	}
	return append(attrs, slog.String(key, value))
}

// decider returns the outcome behind the verdict on a message, nil where no filter
// stands behind it.
func decider(e *filter.Explanation) *filter.Outcome {
	decision := e.Verdict
	switch {
	case e.Reply != nil:
		for i := len(e.Filters) - 1; i >= 0; i-- {
			if o := &e.Filters[i]; o.Stage == e.Stage && !o.Report && o.Reply != nil && same(o.Reply, e.Reply, e.Ref) {
				return o
			}
		}
		o, _ := behind(e, e.Reply, 0) // it was held, or a filter failed
		return o
	case e.Quarantine != nil:
		decision = "quarantine"
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
