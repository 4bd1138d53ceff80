package config

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/headers"
)

var headersKind = filterKind{
	name:    "headers",
	doc:     "refuses, marks and edits messages by rules on their header fields",
	options: func() any { return &Headers{MaxValue: 64 << 10, MaxEdits: 1 << 20, Rules: []HeaderRule{}} },
	build:   func(b *build) *filter.Filter { return b.filter.Options.(*Headers).build(b) },
}

// Headers is the table of a filter of kind headers.
type Headers struct {
	MaxValue Size         `toml:"max_value" doc:"bytes of a field's value that are looked at, before decoding"`
	MaxEdits Size         `toml:"max_edits" doc:"bytes that rules may write into the header of one message"`
	Rules    []HeaderRule `toml:"rule" doc:"the rules, in the order they are tried; the first that refuses, discards or quarantines is the last"`
}

// A HeaderRule is a table [[filter.NAME.rule]].
type HeaderRule struct {
	Name          string         `toml:"name" doc:"of the rule in explanations; the default is its number"`
	Fields        []string       `toml:"fields" example:"[\"Subject\"]" doc:"names of header fields, in any case, with wildcards * and ?"`
	Part          headers.Part   `toml:"part" doc:"what of a field is looked at; recipient is no part of a field, but the address of each recipient"`
	Match         headers.Match  `toml:"match" doc:"how it is compared"`
	Values        []string       `toml:"values" example:"[\"one\", \"another\"]" doc:"with these, any of them; regular expressions are Go's (RE2)"`
	N             int            `toml:"n" doc:"the number of longer, shorter and more-than"`
	CaseSensitive bool           `toml:"case_sensitive" doc:"letters match in their own case only"`
	Not           bool           `toml:"not" doc:"fields meet the rule that would not"`
	None          bool           `toml:"none" doc:"the rule applies when no field meets it"`
	Class         []filter.Class `toml:"class" example:"[\"external\"]" doc:"the classes of messages it is for; without, all"`
	Rcpts         []string       `toml:"rcpts" example:"[\"*@example.com\"]" doc:"the recipients it is for, with wildcards; it refuses the message for these only"`
	Action        headers.Action `toml:"action" doc:"what happens; there is no default"`
	Code          int            `toml:"code" doc:"of the refusal; the default is 550, or 451 of tempfail"`
	Enhanced      string         `toml:"enhanced" doc:"of the refusal; the default is 5.7.1 or 4.7.1"`
	Text          string         `toml:"text" doc:"of the refusal; {value}, {field} and {from} stand for what was found. Of quarantine, the reason"`
	Edit          HeaderEdit     `toml:"edit" doc:"what tag, add, change and remove write"`
}

// A HeaderEdit is what a rule writes.
type HeaderEdit struct {
	Name     string `toml:"name" doc:"the field"`
	Value    string `toml:"value" doc:"its value, or what tag puts before the Subject; {value}, {field} and {from} stand for what was found"`
	Position int    `toml:"position" opt:"min=-1" doc:"where add puts the field: 0 at the end, -1 above all, 1 below the mail server's own Received field"`
}

func (r HeaderRule) rule() headers.Rule {
	return headers.Rule{Name: r.Name, Fields: r.Fields, Part: r.Part, Match: r.Match, Values: r.Values, N: r.N, CaseSensitive: r.CaseSensitive,
		Not: r.Not, None: r.None, Classes: r.Class, Rcpts: r.Rcpts, Action: r.Action, Code: r.Code, Enhanced: r.Enhanced, Text: r.Text,
		Edit: headers.Edit{Name: r.Edit.Name, Value: r.Edit.Value, Position: r.Edit.Position}}
}

func (o *Headers) build(b *build) *filter.Filter {
	if len(o.Rules) == 0 {
		b.bad("", "it has no [[filter.%s.rule]]", b.filter.Name)
	}
	rules := make([]headers.Rule, len(o.Rules))
	for i, r := range o.Rules {
		rules[i] = r.rule()
		if rules[i].Name == "" {
			rules[i].Name = strconv.Itoa(i + 1)
		}
		checkRule(b, element("rule", i), rules[i])
	}
	if b.failed {
		return nil
	}
	f, err := headers.New(b.filter.Name, rules, headers.Options{MaxValue: int(min(o.MaxValue, 1<<30)), MaxEdits: int(min(o.MaxEdits, 1<<30))})
	if err != nil {
		b.bad("", "%s", reason(err, headers.ErrRule))
		return nil
	}
	return f
}

// checkRule tells what is wrong with one rule: of its lists each element by itself, and
// then the rest.
func checkRule(b *build, key string, r headers.Rule) {
	if r.Classes != nil && len(r.Classes) == 0 {
		b.bad(key+".class", "it names no class; leave the key out for all")
	}
	if r.Rcpts != nil && len(r.Rcpts) == 0 {
		b.bad(key+".rcpts", "it names no recipient; leave the key out for all")
	}
	// A comma may be in the name of a field, and in quotes in an address; nobody has such.
	for _, list := range []struct {
		key    string
		values []string
	}{{".fields", r.Fields}, {".rcpts", r.Rcpts}} {
		for i, v := range list.values {
			if strings.Contains(v, ",") {
				b.bad(element(key+list.key, i), "%q has a comma; write one each", v)
			}
		}
	}
	if len(ruleErrors(r)) == 0 {
		return
	}
	alone := func(list string, values []string, rule func(string) headers.Rule) (good []string) {
		for i, v := range values {
			if errs := ruleErrors(rule(v)); len(errs) > 0 {
				b.bad(element(key+"."+list, i), "%s", errs[0])
				continue
			}
			good = append(good, v)
		}
		return good
	}
	const fine = "Subject"
	any := headers.Rule{Fields: []string{fine}, Match: headers.Present, Action: headers.Reject}
	if len(r.Fields) > 0 {
		r.Fields = alone("fields", r.Fields, func(v string) headers.Rule { x := any; x.Fields = []string{v}; return x })
		if len(r.Fields) == 0 {
			r.Fields = []string{fine}
		}
	}
	if len(r.Rcpts) > 0 {
		r.Rcpts = alone("rcpts", r.Rcpts, func(v string) headers.Rule { x := any; x.Rcpts = []string{v}; return x })
		if len(r.Rcpts) == 0 {
			r.Rcpts = []string{"*"}
		}
	}
	if len(r.Values) > 0 && r.Match <= headers.Regexp {
		r.Values = alone("values", r.Values, func(v string) headers.Rule { x := any; x.Match, x.Values = r.Match, []string{v}; return x })
		if len(r.Values) == 0 {
			r.Values = []string{"x"}
		}
	}
	for _, e := range ruleErrors(r) {
		b.bad(key+memberOf(e), "%s%s", e, remedyOf(e, r))
	}
}

// ruleErrors returns what is wrong with a rule, without the rule's name.
func ruleErrors(r headers.Rule) []string {
	_, err := headers.New("x", []headers.Rule{r}, headers.Options{})
	var texts []string
	var walk func(error)
	walk = func(err error) {
		if j, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range j.Unwrap() {
				walk(e)
			}
			return
		}
		text := reason(err, headers.ErrRule)
		name := r.Name
		if name == "" {
			name = "1"
		}
		texts = append(texts, strings.TrimPrefix(text, strconv.Quote(name)+": "))
	}
	if err != nil {
		walk(err)
	}
	return texts
}

// memberOf returns the key of a rule that an error is about, by its words; "" for the
// rule.
func memberOf(text string) string {
	for _, m := range []struct{ words, key string }{
		{"its name", ".name"}, {"it needs fields", ".fields"}, {"it has no action", ".action"}, {"text", ".text"}, {"the reason", ".text"},
		{"value:", ".edit.value"}, {"the value to write", ".edit.value"}, {"position", ".edit.position"}, {"match", ".match"},
		{"milter: reply cannot be sent: code", ".code"}, {"milter: reply cannot be sent: enhanced", ".enhanced"}, {"milter: reply cannot be sent", ".text"},
		{"code, enhanced code and text", ".action"}, {"there is no field to", ".edit.name"}, {"tag is for the Subject", ".edit.name"},
		{"tag needs a value", ".edit.value"}, {"add needs a name and a value", ".edit"}, {"remove takes no value", ".edit.value"},
		{"what was decoded", ".part"}, {"a value is empty", ".values"},
	} {
		if strings.HasPrefix(text, m.words) {
			return m.key
		}
	}
	if strings.HasSuffix(text, " edits nothing") {
		return ".edit"
	}
	return ""
}

// remedyOf says what to write in place of what an error is about, where that does not say it.
func remedyOf(text string, r headers.Rule) string {
	switch {
	case text == "it has no action":
		return "; write action = one of " + strings.Join(wordsOf(reflect.TypeFor[headers.Action]()), ", ")
	case strings.HasPrefix(text, "it needs fields") && r.Part == headers.Recipient:
		return "; part recipient looks at no fields: leave the key out"
	case strings.HasPrefix(text, "it needs fields"):
		return "; write fields = [\"Subject\"] or whatever is looked at"
	case strings.HasSuffix(text, "needs values"):
		return "; write values = [\"...\"]"
	case strings.HasSuffix(text, "takes no number"):
		return "; leave n out"
	case strings.HasSuffix(text, "takes a number above 0"):
		return "; write n = 1 or more"
	case strings.HasSuffix(text, "takes no values"):
		return "; leave values out, or write another match"
	case strings.HasSuffix(text, "edits nothing"):
		return "; leave edit out"
	}
	return ""
}
