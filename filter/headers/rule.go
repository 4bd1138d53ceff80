package headers

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
)

// ErrRule is in the errors of [New].
var ErrRule = errors.New("headers: rule is not right")

// A Rule says what to do with messages by their header fields.
type Rule struct {
	Name string // in explanations; "" means its number, "3"

	// Fields are the names of fields, in any case; "*" and "?" are wildcards. A rule
	// on recipients has none.
	Fields []string
	Part   Part  // what of a field is looked at
	Match  Match // how it is compared

	Values        []string // any of them; for the first six of the matches
	N             int      // for Longer, Shorter and MoreThan
	CaseSensitive bool     // letters match in their own case only

	// Not turns the comparison around: fields meet the rule that would not.
	Not bool
	// None turns the rule around: it applies when no field meets it, also when there
	// is none. It has no field then to change or remove.
	None bool

	Classes []filter.Class // the classes of messages it is for; nil means all
	// Rcpts are the recipients it is for, addresses in any case with the wildcards
	// "*" and "?"; nil means all. A message is then refused for these only, which
	// takes Reject or TempFail.
	Rcpts []string

	Action Action // there is no default

	// Of refusals. Code 0 means 550 or 451, Enhanced "" 5.7.1 or 4.7.1. Text is a
	// template; what a sender wrote is in the text only where the template has it,
	// shortened to 64 bytes and in ASCII. Of Quarantine, Text is the reason, and no
	// template.
	Code     int
	Enhanced string
	Text     string

	Edit Edit // of Tag, Add, Change and Remove
}

// An Edit is what an action does to the header.
type Edit struct {
	// Name is the field to add. With Change and Remove it may name a field other
	// than those that were looked at: Change then gives its first field the value,
	// removes the others of the name, and adds it where there is none.
	Name string

	// Value is a template; see the package's documentation. Changing a field to
	// nothing removes it, as the protocol has it, and nothing is added or put before a
	// Subject that is empty.
	Value string

	// Position is where Add puts the field: 0 is the end of the header, [Top] above all,
	// 1 below the MTA's own Received field, 2 behind the first field of the message.
	Position int
}

// Top is the position above the MTA's own Received field.
const Top = -1

// Limits of rules, against mistakes in making them.
const (
	maxName = 64   // bytes of a rule's name, and of a field's that is added
	maxText = 1000 // bytes of a refusal's text
	// maxValue is the bytes of one of Values, and of the value of an edit.
	maxValue = 4096
)

// A rule is a Rule ready for use.
type rule struct {
	Rule
	none    bool // None, or Missing
	fields  []namePattern
	rcpts   []glob   // folded
	values  []string // folded unless CaseSensitive
	regexps []*regexp.Regexp
	globs   []glob // folded unless CaseSensitive
	text    template
	value   template
	refusal *milter.Refusal // of a text without placeholders, and where the text cannot be sent
}

// A namePattern matches names of fields.
type namePattern struct {
	name string // without wildcards
	glob glob   // with wildcards, as field.folded
}

func newNamePattern(name string) namePattern {
	if strings.ContainsAny(name, "*?") {
		return namePattern{glob: newGlob(foldASCII(name))}
	}
	return namePattern{name: name}
}

func (p namePattern) match(f *field) bool {
	if p.glob != nil {
		return p.glob.match(f.folded)
	}
	return equalASCII(f.name, p.name)
}

// compile judges a rule. i counts from 0.
func compile(r Rule, i int) (*rule, error) {
	c := &rule{Rule: r, none: r.None || r.Match == Missing}
	if r.Name == "" {
		c.Name = strconv.Itoa(i + 1)
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: %s: %s", ErrRule, strconv.Quote(c.Name), fmt.Sprintf(format, args...)))
	}
	known := partWords.Has(uint8(r.Part)) && matchWords.Has(uint8(r.Match)) && actionWords.Has(uint8(r.Action))
	switch {
	case len(c.Name) > maxName || strings.ContainsFunc(c.Name, func(x rune) bool { return !strconv.IsPrint(x) }):
		bad("its name is longer than %d bytes or holds control characters", maxName)
	case r.Action == 0:
		bad("it has no action")
	case !known:
		bad("part %v, match %v, action %v: there is no such thing", r.Part, r.Match, r.Action)
	}
	if !known {
		return nil, errors.Join(errs...)
	}
	c.compileCondition(bad)
	c.compileAction(bad)
	return c, errors.Join(errs...)
}

func (c *rule) compileCondition(bad func(string, ...any)) {
	if (c.Part == Recipient) != (len(c.Fields) == 0) {
		bad("it needs fields, unless it is on recipients")
	}
	for _, name := range c.Fields {
		if !validName(name) {
			bad("%q is no name of a field (RFC 5322 section 2.2)", name)
			continue
		}
		c.fields = append(c.fields, newNamePattern(name))
	}
	switch {
	case c.Match.values() && len(c.Values) == 0:
		bad("match %v needs values", c.Match)
	case !c.Match.values() && len(c.Values) > 0:
		bad("match %v takes no values", c.Match)
	case !c.Match.counts() && c.N != 0:
		bad("match %v takes no number", c.Match)
	case c.N < 0, c.N == 0 && (c.Match == Shorter || c.Match == MoreThan):
		bad("match %v takes a number above 0", c.Match)
	case c.Match.fields() && c.Part != Value:
		bad("match %v looks at no part", c.Match)
	case c.Match == SenderDomain && c.Part != Address:
		bad("match %v looks at part %v", c.Match, Address)
	}
	if c.Not && c.Match.fields() {
		bad("match %v cannot be turned around by not", c.Match)
	}
	if c.None && c.Match == Missing {
		bad("match %v with none says nothing", c.Match)
	}
	for _, v := range c.Values {
		switch {
		case v == "" || len(v) > maxValue:
			bad("a value is empty, or longer than %d bytes", maxValue)
		case c.Match == Regexp:
			flags := ""
			if !c.CaseSensitive {
				flags = "(?i)"
			}
			re, err := regexp.Compile(flags + v)
			if err != nil {
				bad("%v", err)
				continue
			}
			c.regexps = append(c.regexps, re)
		default:
			if !c.CaseSensitive {
				v = fold(v)
			}
			if c.Match == Glob {
				c.globs = append(c.globs, newGlob(v))
			} else {
				c.values = append(c.values, v)
			}
		}
	}
	for _, v := range c.Rcpts {
		if v == "" || len(v) > maxValue {
			bad("a recipient is empty, or longer than %d bytes", maxValue)
			continue
		}
		if strings.ContainsFunc(v, isControl) || !strings.Contains(v, `"`) && strings.ContainsAny(v, " ,") { // RFC 5321 section 4.1.2
			bad("recipient %q has blanks, commas or control characters, which no address has outside of quotes; name each on its own", v)
			continue
		}
		c.rcpts = append(c.rcpts, newGlob(fold(v)))
	}
}

func (c *rule) compileAction(bad func(string, ...any)) {
	var err error
	if c.value, err = c.template(c.Edit.Value); err != nil {
		bad("value: %v", err)
	}
	if len(c.Edit.Value) > maxValue {
		bad("the value to write is longer than %d bytes", maxValue)
	}
	switch c.Action {
	case Reject, TempFail:
		c.compileRefusal(bad)
	default:
		if c.Code != 0 || c.Enhanced != "" || c.Text != "" && c.Action != Quarantine {
			bad("code, enhanced code and text are for refusals only")
		}
		if len(c.Rcpts) > 0 {
			bad("some recipients alone can only be refused, by %v and %v", Reject, TempFail)
		}
		if c.Part == Recipient {
			bad("recipients can only be refused, by %v and %v", Reject, TempFail)
		}
	}
	if c.Part == Recipient && (len(c.Rcpts) > 0 || c.None || c.Match.fields()) {
		bad("a rule on recipients has no rcpts, no none, and no match on fields")
	}
	if c.Action == Quarantine && (len(c.Text) > maxText || strings.ContainsFunc(c.Text, isControl)) {
		bad("the reason is longer than %d bytes or holds control characters", maxText)
	}
	e := c.Edit
	if e.Position != 0 && c.Action != Add || e.Position < Top {
		bad("position %d: %v has none, or there is none such", e.Position, c.Action)
	}
	switch c.Action {
	case Tag:
		switch {
		case e.Name != "" && !equalASCII(e.Name, "Subject"):
			bad("%v is for the Subject; %v adds other fields", Tag, Add)
		case e.Value == "":
			bad("%v needs a value", Tag)
		}
	case Add:
		if e.Name == "" || e.Value == "" {
			bad("%v needs a name and a value", Add)
		}
	case Change:
		if c.none && e.Name == "" {
			bad("there is no field to change; name one")
		}
	case Remove:
		if c.none && e.Name == "" {
			bad("there is no field to remove; name one")
		}
		if e.Value != "" {
			bad("%v takes no value", Remove)
		}
	default:
		if e != (Edit{}) {
			bad("%v edits nothing", c.Action)
		}
	}
	if e.Name != "" && (!validName(e.Name) || len(e.Name) > maxName || strings.ContainsAny(e.Name, "*?")) {
		bad("%q is no name of a field to write (RFC 5322 section 2.2; at most %d bytes)", e.Name, maxName)
	}
	if c.value.quotes() && c.Part != Raw && c.Part != Address && (c.Action == Change || c.Action == Add) {
		if name, ok := c.writesStructured(); ok {
			bad("what was decoded cannot be written into %s, where it could mean something else; match part %v or %v", name, Raw, Address)
		}
	}
}

func (c *rule) compileRefusal(bad func(string, ...any)) {
	text := c.Text
	if text == "" {
		text = "a header field of this message is not accepted here"
		if c.Part == Recipient {
			text = "this recipient takes no mail"
		}
	}
	if c.Code == 0 {
		c.Code = 550
		if c.Action == TempFail {
			c.Code = 451
		}
	}
	if c.Enhanced == "" {
		c.Enhanced = "5.7.1"
		if c.Action == TempFail {
			c.Enhanced = "4.7.1"
		}
	}
	if len(text) > maxText {
		bad("text has more than %d bytes", maxText)
		return
	}
	var err error
	if c.text, err = c.template(text); err != nil {
		bad("text: %v", err)
		return
	}
	c.refusal = c.refuse(func(placeholder) string { return "" })
	if err := c.refusal.Err(); err != nil {
		bad("%v", err)
	}
}

// refuse makes a refusal of the rule.
func (c *rule) refuse(value func(placeholder) string) *milter.Refusal {
	text := c.text.expand(value)
	if c.Action == TempFail {
		return milter.TempFail(c.Code, c.Enhanced, text)
	}
	return milter.Reject(c.Code, c.Enhanced, text)
}

// structured are fields in which commas, brackets, quotes and semicolons mean
// something to those who act by them.
var structured = []string{
	"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From", "Resent-Sender", "Resent-Reply-To", "Resent-To", "Resent-Cc", "Resent-Bcc",
	"Mail-Followup-To", "Mail-Reply-To", "Return-Path", "Errors-To", "Disposition-Notification-To", "Return-Receipt-To",
	"Content-Type", "Content-Disposition", "Content-Transfer-Encoding", "List-Unsubscribe", "List-Post",
	"Received", "Received-SPF", "Authentication-Results", "DKIM-Signature", "ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal",
}

// writesStructured returns a structured field that the rule may write.
func (c *rule) writesStructured() (name string, ok bool) {
	patterns := c.fields
	if c.Edit.Name != "" {
		patterns = []namePattern{{name: c.Edit.Name}}
	}
	for _, name := range structured {
		if slices.ContainsFunc(patterns, func(p namePattern) bool { return p.match(&field{name: name, folded: foldASCII(name)}) }) {
			return name, true
		}
	}
	return "", false
}

// validName reports whether a name is one of RFC 5322 section 2.2.
func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(x rune) bool { return x <= ' ' || x >= 0x7f || x == ':' })
}
