package dsn

import (
	"errors"
	"strings"
)

// ErrNotify says that a NOTIFY parameter is not as RFC 3461 section 4.1 has it.
var ErrNotify = errors.New("dsn: NOTIFY is neither NEVER nor a list of SUCCESS, FAILURE and DELAY")

// A Notify is the NOTIFY parameter of a recipient (RFC 3461 section 4.1): of what the
// sender wants to be told. Zero is that of a recipient without the parameter: of
// failures and delays.
type Notify uint8

// The words of NOTIFY. NotifyNever stands alone.
const (
	NotifySuccess Notify = 1 << iota
	NotifyFailure
	NotifyDelay
	NotifyNever
)

// ParseNotify reads the value of a NOTIFY parameter, in any case of its letters. The
// empty string is a recipient without one. Every error is ErrNotify.
func ParseNotify(s string) (Notify, error) {
	var n Notify
	for s != "" {
		word, rest, more := strings.Cut(s, ",")
		switch strings.ToUpper(word) {
		case "SUCCESS":
			n |= NotifySuccess
		case "FAILURE":
			n |= NotifyFailure
		case "DELAY":
			n |= NotifyDelay
		case "NEVER":
			n |= NotifyNever
		default:
			return 0, ErrNotify
		}
		if more && rest == "" {
			return 0, ErrNotify
		}
		s = rest
	}
	if n&NotifyNever != 0 && n != NotifyNever {
		return 0, ErrNotify
	}
	return n, nil
}

// Wants reports whether the sender wants to be told when an action was taken for the
// recipient. Relayed and Expanded count as Delivered: they are reported to those who
// asked for SUCCESS (RFC 3461 section 5.2). An action that there is not is wanted by nobody.
func (n Notify) Wants(a Action) bool {
	switch a {
	case Failed:
		return n == 0 || n&NotifyFailure != 0
	case Delayed:
		return n == 0 || n&NotifyDelay != 0
	case Delivered, Relayed, Expanded:
		return n&NotifySuccess != 0
	}
	return false
}

// String returns the value as a NOTIFY parameter has it, "" for zero.
func (n Notify) String() string {
	var words []string
	for i, w := range [...]string{"SUCCESS", "FAILURE", "DELAY", "NEVER"} {
		if n&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return strings.Join(words, ",")
}

// Concerned returns those of the recipients that the sender is to be told of: those
// whose NOTIFY wants to hear of their Action. With always it is all but those with
// NotifyNever: the rule for notices that a sender must get because nobody else will
// ever tell him, as of mail in quarantine.
func Concerned(rcpts []Recipient, always bool) []Recipient {
	var out []Recipient
	for _, r := range rcpts {
		if r.Notify.Wants(r.Action) || always && r.Action.known() && r.Notify&NotifyNever == 0 {
			out = append(out, r)
		}
	}
	return out
}
