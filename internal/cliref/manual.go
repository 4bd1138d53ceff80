package cliref

import (
	"strings"

	"github.com/alecthomas/kong"

	"github.com/gomilter/gomilter/internal/roff"
)

// Synopsis returns how the program is called, a line for each verb that does
// something, written as [roff.Page] takes it.
func Synopsis(app *kong.Application) []string {
	var lines []string
	for _, c := range read(app).all() {
		if len(c.verbs) == 0 && len(c.path) > 0 {
			lines = append(lines, call(app, c))
		}
	}
	return lines
}

// Verbs writes a subsection about each verb, with its flags and arguments.
func Verbs(p *roff.Page, app *kong.Application) {
	for _, c := range read(app).all() {
		if len(c.path) == 0 {
			continue
		}
		p.Subsection(app.Name + " " + strings.Join(c.path, " "))
		if len(c.verbs) == 0 {
			p.Text(call(app, c))
		}
		p.Text(c.help)
		p.Text(c.detail)
		if len(c.verbs) > 0 { // their flags are told with each
			continue
		}
		for _, a := range c.args {
			p.Item(argument(a), a.Help)
		}
		writeFlags(p, c.flags)
	}
}

// Flags writes the flags of the program itself.
func Flags(p *roff.Page, app *kong.Application) { writeFlags(p, read(app).flags) }

func writeFlags(p *roff.Page, flags []*kong.Flag) {
	for _, f := range flags {
		p.Item(flagTerm(f), f.Help)
	}
}

// call returns how a verb is called.
func call(app *kong.Application, c *command) string {
	words := []string{"`" + app.Name + " " + strings.Join(c.path, " ") + "`"}
	optional := false
	for _, f := range c.flags {
		if f.Required {
			words = append(words, flagTerm(f))
		} else {
			optional = true
		}
	}
	if optional {
		words = append(words, "[flags]")
	}
	for _, a := range c.args {
		words = append(words, argument(a))
	}
	return strings.Join(words, " ")
}

func argument(a *kong.Positional) string {
	s := strings.ToUpper(a.Name)
	if a.Tag.PlaceHolder != "" {
		s = a.Tag.PlaceHolder
	} else if k, words := valueOf(a); k == oneOf {
		s = "`" + strings.Join(words, "`|`") + "`"
	}
	if a.IsCumulative() {
		s += " ..."
	}
	if !a.Required {
		s = "[" + s + "]"
	}
	return s
}

func flagTerm(f *kong.Flag) string {
	s := "`" + strings.Join(names(f), "`, `") + "`"
	if takesValue(f) {
		s += "=" + placeholder(f)
	}
	return s
}
