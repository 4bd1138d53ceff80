package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/internal/wire"
)

// macroParams are the parameters with the macros of a stage, in the order of SMTP.
var macroParams = []struct {
	stage wire.Stage
	name  string
}{
	{wire.StageConnect, "milter_connect_macros"},
	{wire.StageHelo, "milter_helo_macros"},
	{wire.StageMail, "milter_mail_macros"},
	{wire.StageRcpt, "milter_rcpt_macros"},
	{wire.StageData, "milter_data_macros"},
	{wire.StageEndOfHeaders, "milter_end_of_header_macros"},
	{wire.StageEnd, "milter_end_of_data_macros"},
}

// idStages are those at which Postfix is sure to know the queue id: it gives one to
// a message when the first recipient is accepted.
var idStages = []wire.Stage{wire.StageData, wire.StageEndOfHeaders, wire.StageEnd}

// postfixLacks are macros of Sendmail's that Postfix does not have.
var postfixLacks = []string{"{if_name}", "{if_addr}", "{msg_id}", "{auth_ssf}"}

// macros looks whether what the filter reads is sent, at its stage or before.
func (p *postfixCheck) macros(s *service) {
	defaults, _ := p.c.get(s, "milter_macro_defaults")
	sent := make(map[string]bool)
	for _, m := range macroParams {
		list, err := p.words(s, m.name)
		if err != nil {
			p.unreadable(s, err)
			return
		}
		for _, name := range list {
			if name = macroName(name); name != "i" || slices.Contains(idStages, m.stage) {
				sent[name] = true
			}
		}
		var missing []string
		for _, name := range p.wanted(m.stage) {
			switch name = macroName(name); {
			case slices.Contains(postfixLacks, name) && !strings.Contains(defaults, strings.Trim(name, "{}")):
				p.add(Finding{Severity: Note, Code: "no-such-macro", What: fmt.Sprintf("the filter reads the macro %s", name),
					Why: "Postfix has none of that name; milter_macro_defaults may give it a fixed value."}, nil)
			case !sent[name] && !slices.Contains(missing, name):
				missing = append(missing, name)
			}
		}
		if len(missing) > 0 {
			p.add(Finding{Severity: Warning, Code: "macros", What: fmt.Sprintf("%s lacks %s", m.name, strings.Join(missing, ", ")),
				Why:   "The filter reads it, and gets nothing: " + macroUse(missing) + ".",
				Fixes: p.c.set(s, m.name, strings.Join(append(list, missing...), " "))}, s)
		}
	}
}

// wanted returns the macros that the filter reads from a stage on. The queue id is
// looked for at the end, so that any of the lists from DATA on will do.
func (p *postfixCheck) wanted(stage wire.Stage) []string {
	isID := func(name string) bool { return macroName(name) == "i" }
	var out []string
	for _, name := range p.f.Macros[stage] {
		if !isID(name) {
			out = append(out, name)
		}
	}
	if stage == wire.StageEnd {
		for _, list := range p.f.Macros {
			if slices.ContainsFunc(list, isID) {
				return append(out, "i")
			}
		}
	}
	return out
}

// macroName writes a macro's name as it goes over the wire: one letter bare, more
// in braces.
func macroName(name string) string {
	name = strings.Trim(name, "{}")
	if len(name) > 1 {
		return "{" + name + "}"
	}
	return name
}

// macroUse says what is lost without a macro.
func macroUse(names []string) string {
	for _, n := range names {
		switch n {
		case "i":
			return "its log has no queue id"
		case "{auth_authen}", "{auth_type}":
			return "mail of users who logged in looks like mail of strangers"
		case "{client_addr}":
			return "it does not know the client's address from the macro"
		case "{daemon_name}":
			return "it cannot tell one listener from another"
		}
	}
	return "what depends on it does not work"
}
