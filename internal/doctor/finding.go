package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Severity says how much a finding matters.
type Severity uint8

// The severities.
const (
	Note    Severity = iota + 1 // worth knowing
	Warning                     // works, and may surprise
	Error                       // mail is not filtered, or not taken
)

// String returns the severity's name in lower case.
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Warning:
		return "warning"
	case Error:
		return "error"
	}
	return "invalid severity"
}

// MarshalText writes the severity as String does. It returns no error.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Finding is one fault, or something worth knowing, of a configuration.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"` // names the kind of finding for programs: "not-attached"
	// Services are the entries of master.cf concerned, as "smtp/inet"; none where
	// the finding is of the whole.
	Services []string `json:"services,omitempty"`
	What     string   `json:"what"`
	Why      string   `json:"why"`
	// Fixes mend it, all of them together and in this order.
	Fixes []Fix `json:"fixes,omitempty"`
}

// A Fix is lines to paste into a file, or commands to run.
type Fix struct {
	File string `json:"file,omitempty"` // empty for commands
	// Replace and Through are the numbers of the first and the last line of File
	// that Lines take the place of; 0 means that the lines are added at its end.
	// Postfix takes the last of two lines for one parameter.
	Replace int      `json:"replace,omitempty"`
	Through int      `json:"through,omitempty"`
	Lines   []string `json:"lines"`
	// MC has what to write into sendmail.mc where sendmail.cf is made of one, and
	// would be lost when it is made again.
	MC []string `json:"mc,omitempty"`
}

// tidy puts the worst first and joins findings of several services that are the
// same but for that.
func tidy(list []Finding) []Finding {
	var out []Finding
next:
	for _, f := range list {
		for i := range out {
			o := &out[i]
			if o.Code == f.Code && o.What == f.What && slices.EqualFunc(o.Fixes, f.Fixes, sameFix) {
				for _, s := range f.Services {
					if !slices.Contains(o.Services, s) {
						o.Services = append(o.Services, s)
					}
				}
				continue next
			}
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	return out
}

func sameFix(a, b Fix) bool {
	return a.File == b.File && a.Replace == b.Replace && slices.Equal(a.Lines, b.Lines)
}

// run is a fix by commands.
func run(commands ...string) []Fix { return []Fix{{Lines: commands}} }

// quote writes an argument as the shell reads it.
func quote(arg string) string {
	if arg != "" && strings.Trim(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@,+") == "" {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// shown is a text of a configuration as a message may hold it.
func shown(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	q := fmt.Sprintf("%q", s)
	if strings.Trim(q[1:len(q)-1], `\"`) == q[1:len(q)-1] && !strings.Contains(q, `\`) {
		return q[1 : len(q)-1]
	}
	return q
}
