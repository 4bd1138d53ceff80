package html

// An Action is what happens to a sealed part with active content: one whose change would
// break what looks like a signature, see [message.Part.Sealed].
type Action uint8

// The actions, the later the stricter but for Change.
const (
	Tag        Action = iota // the part stays, and the message gets a header field
	Change                   // the content goes all the same
	Quarantine               // the MTA holds the message
	Reject                   // the message is refused
)

var actionNames = [...]string{"tag", "change", "quarantine", "reject"}

// String returns the action as in configurations.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return "invalid action"
}
