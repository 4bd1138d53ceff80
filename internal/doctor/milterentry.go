package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// entry looks at the settings of our entry: its own, or those for all milters.
func (p *postfixCheck) entry(l *listEditor, i int, e milterEntry) {
	// value returns a setting, and how to set another.
	value := func(name string) (v string, ok bool) {
		if v, ok := e.options[name]; ok {
			return v, true
		}
		v, err := p.c.get(l.s, "milter_"+name)
		if err != nil {
			p.unreadable(l.s, err)
			return "", false
		}
		return v, v != "" // not known to this version when it is empty
	}
	mend := func(f Finding, name, v string) {
		if _, own := e.options[name]; own {
			e.options[name] = v
			l.set(i, e.render())
			l.pending = append(l.pending, f)
			return
		}
		f.Fixes = p.c.set(l.s, "milter_"+name, v)
		p.add(f, l.s)
	}

	if v, ok := value("default_action"); ok {
		if f, bad := p.defaultAction(v); bad {
			mend(f, "default_action", "tempfail")
		}
	}
	if v, ok := value("protocol"); ok {
		n, err := strconv.Atoi(firstWord(v))
		switch {
		case err != nil || n < int(wire.MinVersion):
			mend(Finding{Severity: Error, Code: "protocol", What: fmt.Sprintf("milter_protocol is %s", shown(v)),
				Why: fmt.Sprintf("gomilter speaks versions %d to %d of the protocol; the conversation fails at its beginning.", wire.MinVersion, wire.MaxVersion)}, "protocol", "6")
		case n < 6:
			mend(Finding{Severity: Warning, Code: "protocol", What: fmt.Sprintf("milter_protocol is %s", shown(v)),
				Why: "Below 6 a filter cannot change the sender, ask for macros, see refused recipients or skip the rest of a body."}, "protocol", "6")
		}
	}
	for _, t := range p.timeouts() {
		v, ok := value(t.name)
		if !ok {
			continue
		}
		seconds, err := parseTime(v, "s")
		f := Finding{Code: "timeout", What: fmt.Sprintf("milter_%s is %s, and the filter may take %s", t.name, shown(v), t.ours)}
		switch {
		case err != nil:
			f.Severity, f.What, f.Why = Error, fmt.Sprintf("milter_%s: %v", t.name, err), "Postfix services end at once with a wrong time."
		case seconds <= t.error:
			f.Severity, f.Why = Error, t.why
		case seconds <= t.warning:
			f.Severity, f.Why = Warning, t.whyWarning
		default:
			continue
		}
		mend(f, t.name, strconv.FormatInt(t.good, 10)+"s")
	}
}

// A timeoutRule says what a timeout of Postfix's must be above, in seconds.
type timeoutRule struct {
	name            string
	ours            string
	error, warning  int64
	why, whyWarning string
	good            int64
}

func (p *postfixCheck) timeouts() []timeoutRule {
	stage, end, progress := wholeSeconds(p.f.StageTimeout), wholeSeconds(p.f.EndTimeout), wholeSeconds(p.f.ProgressInterval)
	return []timeoutRule{
		{name: "connect_timeout", ours: "some seconds under load", error: 0, warning: 4,
			why:        "Postfix takes no time below a second.",
			whyWarning: "A short burst of connections then counts as a filter that is away.", good: 30},
		{name: "command_timeout", ours: p.f.StageTimeout.String() + " for a command", error: stage, warning: stage,
			why: "A filter that is slow, and within its own limit, counts as one that is away; mail is treated as the failure policy says.", good: max(30, stage+10)},
		{name: "content_timeout", ours: p.f.EndTimeout.String() + " for the end of a message", error: max(stage, progress), warning: end,
			why:        "A header, a body or a sign of life may be that long in coming; a filter that is slow counts as one that is away.",
			whyWarning: "Only the filter's signs of life keep Postfix from giving up.", good: max(300, end+60)},
	}
}

func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

func firstWord(s string) string {
	if f := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(", \t", r) }); len(f) > 0 {
		return f[0]
	}
	return ""
}

// defaultAction judges what Postfix does while the filter is away.
func (p *postfixCheck) defaultAction(v string) (f Finding, bad bool) {
	f = Finding{Severity: Warning, Code: "default-action", What: "milter_default_action is " + shown(v)}
	switch v {
	case "tempfail":
		return f, false
	case "accept":
		f.Code = "fail-open"
		f.Why = "While gomilter is stopped, slow or broken, mail passes unfiltered."
	case "reject":
		f.Why = "While gomilter is stopped, slow or broken, mail is refused for good; a restart loses mail."
	case "quarantine":
		f.Severity = Note
		f.Why = "While gomilter is stopped, slow or broken, mail goes to the hold queue, from where somebody must release it."
	case "shutdown":
		f.Severity = Note
		f.Why = "While gomilter is stopped, slow or broken, clients are dropped with 421, in the middle of what they are doing; tempfail answers them."
		if !p.c.version.knowsShutdown() {
			f.Severity = Error
			f.Why = fmt.Sprintf("Postfix %v does not know it, and answers all mail with \"451 4.3.5 Server configuration problem\" when the filter is away.", p.c.version)
		}
	default:
		f.Severity = Error
		f.Why = "Postfix does not know this action: a filter that is away is a configuration error."
	}
	return f, true
}

// knowsShutdown reports whether a Postfix has the default action "shutdown",
// which became the default where it came in.
func (v version) knowsShutdown() bool {
	since := map[[2]int]int{{3, 7}: 20, {3, 8}: 15, {3, 9}: 9, {3, 10}: 8}
	if patch, ok := since[[2]int{v[0], v[1]}]; ok {
		return v[2] >= patch
	}
	return !v.less(version{3, 11, 0})
}
