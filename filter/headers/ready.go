package headers

import (
	"strings"

	"github.com/gomilter/gomilter/filter"
)

// SampleRules returns rules such as small sites have, to begin with: against
// shouting, advertising, Message-IDs that are none and programs for bulk mail, all
// refused, and against recipients called MAILER-DAEMON.
//
// Subjects with an encoded word in one of charsets, such as "big5", are refused as
// well: who reads what is for the site to say, so by default none is.
func SampleRules(charsets ...string) []Rule {
	const bulk = "this program's mail is not wanted here"
	rules := []Rule{
		{Name: "mailer-daemon", Part: Recipient, Match: Regexp, Values: []string{`^mailer-daemon(@|$)`},
			Action: Reject, Enhanced: "5.1.1", Text: "MAILER-DAEMON sends mail but takes none"},
		{Name: "shouting", Fields: []string{"Subject"}, Match: Regexp, Values: []string{`\$\$\$|XXX|!!!|\bFREE\b`}, CaseSensitive: true,
			Action: Reject, Text: "please write a subject without shouting"},
		{Name: "advertising", Fields: []string{"Subject"}, Match: Regexp, Values: []string{`^adv[:.]|\bviagra\b`},
			Action: Reject, Text: "advertising is not wanted here"},
		{Name: "message-id", Fields: []string{"Message-ID"}, Match: Shorter, N: 4,
			Action: Reject, Text: "the Message-ID is too short to be one"},
		{Name: "mailer", Fields: []string{"X-Mailer"}, Match: Equal, Values: []string{"direct email", "calypso", "mail bomber"},
			Action: Reject, Text: bulk},
	}
	if len(charsets) > 0 {
		rules = append(rules, Rule{Name: "charset", Fields: []string{"Subject"}, Part: Charset, Match: Equal, Values: charsets,
			Action: Reject, Text: "nobody here reads the character set of the subject"})
	}
	return rules
}

// Words are what BMSRules refuses.
type Words struct {
	Spam []string // in the Subject and in names of senders; in their own case
	Porn []string // the same, in any case
	From []string // in names of senders; in their own case

	// OutsideLatin1 refuses subjects with more than two letters that ISO 8859-1 lacks:
	// for readers of Western European languages alone. Punctuation, signs of
	// currencies and pictures do not count.
	OutsideLatin1 bool
}

// BMSRules returns the header rules of pymilter's application bms, for mail that
// comes from outside: words of the site's own lists, marks of advertising, programs
// for bulk mail, and Message-IDs that are none.
func BMSRules(w Words) []Rule {
	const unwanted = "mail like this is not wanted here"
	outside := []filter.Class{filter.External, filter.TrustedRelay}
	rules := []Rule{
		{Name: "advertising", Fields: []string{"Subject"}, Match: Prefix,
			Values: []string{"adv:", "adv.", "adv ", "<adv>", "<ad>", "[adv]", "(adv)", "advt:", "advert:", "[spam]"}, Text: unwanted},
		{Name: "advertising at the end", Fields: []string{"Subject"}, Match: Suffix,
			Values: []string{"(adv)", "[adv]", "(non-spam)"}, Text: unwanted},
		{Name: "message-id", Fields: []string{"Message-ID"}, Match: Shorter, N: 4,
			Text: "the Message-ID is too short to be one"},
		{Name: "mailer", Fields: []string{"X-Mailer"}, Match: Regexp, Values: []string{`^(direct email|calypso|mail bomber)$|optin`},
			Text: "this program's mail is not wanted here"},
	}
	words := func(name, field string, part Part, list []string, caseSensitive bool) {
		if len(list) > 0 {
			rules = append(rules, Rule{Name: name, Fields: []string{field}, Part: part, Match: Contains, Values: list, CaseSensitive: caseSensitive, Text: unwanted})
		}
	}
	words("spam words", "Subject", Value, w.Spam, true)
	words("porn words", "Subject", Value, w.Porn, false)
	words("spam words in names", "From", DisplayName, w.Spam, true)
	words("words in names", "From", DisplayName, w.From, true)
	words("porn words in names", "From", DisplayName, w.Porn, false)
	if w.OutsideLatin1 {
		letter := `[^\x{0}-\x{ff}\P{L}]` // a letter beyond U+00FF
		rules = append(rules, Rule{Name: "outside latin-1", Fields: []string{"Subject"}, Match: Regexp,
			Values: []string{letter + ".*" + letter + ".*" + letter}, Text: "nobody here reads the script of the subject"})
	}
	for i := range rules {
		rules[i].Action, rules[i].Classes = Reject, outside
	}
	return rules
}

// Forwards returns a rule that refuses forwarded jokes for recipients who want
// none: subjects that begin with "fwd:" or "[fw". Recipients are those of [Rule].Rcpts.
func Forwards(rcpts ...string) Rule {
	return Rule{Name: "forwards", Fields: []string{"Subject"}, Match: Prefix, Values: []string{"fwd:", "[fw"}, Rcpts: rcpts,
		Action: Reject, Text: "this recipient takes no forwarded mail"}
}

// HidePath returns a rule that removes the Received fields of our own users' mail,
// so that the way it took inside stays inside. The MTA's own Received field is not
// among them, and keeps loops from running. hosts, unless there are none, are globs for the
// host that such a field names behind "from"; fields of others stay.
func HidePath(hosts ...string) Rule {
	r := Rule{Name: "hide path", Fields: []string{"Received"}, Match: Present,
		Classes: []filter.Class{filter.Internal, filter.Authenticated}, Action: Remove}
	for _, h := range hosts {
		r.Match = Glob
		r.Values = append(r.Values, "from "+strings.TrimSpace(h)+" *")
	}
	return r
}

// EnvelopeSender returns rules that show readers who sent a message where no domain in its
// From and Sender fields is that of the envelope's sender, or a parent of it: they add a
// field with the sender's address. name is a field of the site's own, such as
// "X-Envelope-Sender"; those that come with messages are removed.
func EnvelopeSender(name string) []Rule {
	return []Rule{
		{Name: "forged " + name, Fields: []string{name}, Match: Present, Action: Remove},
		{Name: "envelope sender", Fields: []string{"From", "Sender"}, Part: Address, Match: SenderDomain, None: true,
			Action: Add, Edit: Edit{Name: name, Value: "{from}"}},
	}
}
