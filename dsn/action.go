package dsn

import (
	"regexp"
	"strings"
	"time"

	"github.com/gomilter/gomilter/address"
)

// An Action is what an MTA did for a recipient (RFC 3464 section 2.3.3), in lower case.
type Action string

// The actions there are.
const (
	Failed    Action = "failed"    // not delivered, and never will be
	Delayed   Action = "delayed"   // not delivered yet; the MTA goes on, as also where mail is held or delivered with a warning
	Delivered Action = "delivered" // delivered
	Relayed   Action = "relayed"   // passed on to a host that sends no reports
	Expanded  Action = "expanded"  // delivered to an alias and passed on to its members
)

// ParseAction reads the value of an Action field, in any case of its letters, with
// comments or other words behind. It is false for what is no action.
func ParseAction(s string) (Action, bool) {
	word := strings.ToLower(strings.TrimLeft(s, " \t"))
	if i := strings.IndexFunc(word, func(r rune) bool { return r < 'a' || r > 'z' }); i >= 0 {
		word = word[:i]
	}
	if a := Action(word); a.known() {
		return a, true
	}
	return "", false
}

func (a Action) known() bool {
	switch a {
	case Failed, Delayed, Delivered, Relayed, Expanded:
		return true
	}
	return false
}

// A Recipient is one recipient of a message that a [Notice] tells of.
type Recipient struct {
	Address address.Path // as RCPT had it
	// Original is the ORCPT parameter as it came: type, semicolon and xtext (RFC 3461
	// section 4.2). What is none is left out of the report.
	Original string
	Notify   Notify
	Action   Action
	// Status is the enhanced status code, such as "5.7.1" (RFC 3463). What is none
	// becomes 5.0.0, 4.0.0 or 2.0.0 by the Action.
	Status string
	// Diagnostic is the SMTP reply that was the reason, in a line; cut at 1000 bytes.
	Diagnostic  string
	RemoteMTA   string    // the host that said so, "" for ourselves; left out where it is no host name
	LastAttempt time.Time // zero for none
	RetryUntil  time.Time // of what is Delayed: when the MTA gives up; zero for none
}

var (
	statusWhole = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}$`)
	// A status stands behind a blank, a "#" or a parenthesis in replies and texts.
	statusInText = regexp.MustCompile(`(?:^|[\s#(\[:-])([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:$|[^0-9.]|\.(?:$|[^0-9]))`)
)

// statusOf returns the status to write for a recipient.
func statusOf(r Recipient) string {
	switch {
	case statusWhole.MatchString(r.Status):
		return r.Status
	case r.Action == Failed:
		return "5.0.0"
	case r.Action == Delayed:
		return "4.0.0"
	}
	return "2.0.0"
}

// findStatus returns the first enhanced status code in a text, "" for none.
func findStatus(s string) string {
	if m := statusInText.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}
