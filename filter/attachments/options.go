package attachments

import (
	"errors"
	"text/template"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/archive"
)

// Options say what the filter finds and what it does then. The zero value of each
// is its default.
type Options struct {
	// Extensions are the endings of names that are dangerous, in any case, with or
	// without the dot; nil means DefaultExtensions. An empty list finds none.
	Extensions []string

	// Actions are what happens by a rule; a rule that is not named has its default.
	// Where there is no part to replace, because only some clients see one or because
	// what is beyond a limit was not seen, Replace is Quarantine.
	Actions map[Rule]Action

	// Sealed is what happens instead of Replace to a part whose change would break a
	// signature or that is encrypted; the default is Quarantine, since anybody can
	// put a part where a signature should be.
	Sealed Action

	// Archives bounds looking into archives and into messages that come as files:
	// their parts count as members.
	Archives ArchiveLimits

	// RejectFrom are domains of senders whose mail is refused where others' is
	// changed: those that would rather know. Without addresses and wildcards.
	RejectFrom []string

	// Reply is what Reject answers; nil means 550 5.7.1 with a text.
	Reply *milter.Refusal

	// Tag is the header field that Tag adds; "" means X-Attachment-Warning.
	Tag string

	// Notice is the text that stands in the place of an attachment, executed with a
	// Warning; nil means DefaultNotice.
	Notice *template.Template
}

// ArchiveLimits bound looking into archives: how deep, how many members, how many
// bytes unpacked, how long.
type ArchiveLimits = archive.Limits

// A Rule is why a part is found.
type Rule uint8

// The rules.
const (
	ByName      Rule = iota // its name has a dangerous ending
	ByContent               // it is a program, whatever it is called
	ByMember                // an archive holds such a file
	IsEncrypted             // an archive has members that cannot be looked at
	IsUnlisted              // an archive cannot be looked into
	IsDamaged               // an archive is damaged, or is none in spite of its name
	IsTooLarge              // an archive, or the message, is beyond a limit of looking at it
	rules
)

var ruleNames = [rules]string{"name", "content", "member", "encrypted archive", "unlisted archive", "damaged archive", "limit"}

// String returns the rule's name as in explanations.
func (r Rule) String() string {
	if r < rules {
		return ruleNames[r]
	}
	return "invalid rule"
}

// An Action is what happens to a part that is found.
type Action uint8

// The actions, the later the stricter.
const (
	Default    Action = iota // what the rule has without being told
	Ignore                   // nothing
	Tag                      // the message gets a header field
	Replace                  // the part is replaced by a warning
	Quarantine               // the MTA holds the message
	Reject                   // the message is refused
)

var actionNames = [...]string{"default", "ignore", "tag", "replace", "quarantine", "reject"}

// String returns the action as in configurations.
func (a Action) String() string {
	if a <= Reject {
		return actionNames[a]
	}
	return "invalid action"
}

var defaults = [rules]Action{ByName: Replace, ByContent: Replace, ByMember: Replace, IsEncrypted: Tag, IsUnlisted: Tag, IsDamaged: Replace, IsTooLarge: Replace}

// A Warning is what a notice is made of. Its texts are fit to be shown.
type Warning struct {
	Name   string // of the attachment
	Member string // of the file in the archive, "" where it is the attachment itself
	Rule   Rule
	Why    string // such as "its name ends in .exe"
	Ref    string // under which the original is kept
}

// DefaultNotice is the text of a warning.
var DefaultNotice = template.Must(template.New("notice").Parse(`An attachment was removed from this message, because files of its kind
can harm your computer.

    Attachment: {{.Name}}
{{- if .Member}}
    File in it: {{.Member}}
{{- end}}
    Reason:     {{.Why}}
    Reference:  {{.Ref}}

If you expected it, ask your mail administrator for the original message
and give the reference.
`))

// ErrOptions is in the errors of [New].
var ErrOptions = errors.New("attachments: options are not right")
