// Package cliref makes the reference of a command line out of its grammar: the
// part of a manual page that explains the verbs, and completions for shells.
package cliref

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"github.com/alecthomas/kong"
)

// A command is a verb of the command line, or the program itself.
type command struct {
	path   []string // of the verbs; empty for the program
	help   string
	detail string
	flags  []*kong.Flag // its own, and those of the verbs above
	args   []*kong.Positional
	verbs  []*command
}

// read returns the program with its verbs, hidden ones left out. The flags of the
// program itself are in no verb below.
func read(app *kong.Application) *command {
	c := readNode(app.Node, nil, nil)
	c.flags = visible(app.Flags)
	return c
}

func readNode(n *kong.Node, path []string, above []*kong.Flag) *command {
	c := &command{path: path, help: n.Help, detail: n.Detail, args: n.Positional, flags: above}
	if n.Type != kong.ApplicationNode {
		c.flags = append(slices.Clone(above), visible(n.Flags)...)
	}
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			c.verbs = append(c.verbs, readNode(child, append(slices.Clone(path), child.Name), c.flags))
		}
	}
	return c
}

func visible(flags []*kong.Flag) []*kong.Flag {
	return slices.DeleteFunc(slices.Clone(flags), func(f *kong.Flag) bool { return f.Hidden })
}

// all returns the command and those below it, in the order of the grammar.
func (c *command) all() []*command {
	list := []*command{c}
	for _, v := range c.verbs {
		list = append(list, v.all()...)
	}
	return list
}

func (c *command) name() string { return c.path[len(c.path)-1] }

// A kind says what may stand as a value.
type kind int

const (
	anything kind = iota
	files
	folders
	oneOf // the words of an enum
)

// valueOf returns what a flag's or an argument's value may be.
func valueOf(v *kong.Value) (kind, []string) {
	place := v.Tag.PlaceHolder
	switch {
	case v.Enum != "":
		return oneOf, slices.DeleteFunc(v.EnumSlice(), func(w string) bool { return w == "" })
	case place == "DIR":
		return folders, nil
	case place == "FILE", place == "PATH", place == "SPEC", v.Flag == nil && v.Name == "file":
		return files, nil
	}
	return anything, nil
}

// takesValue reports whether a word follows the flag.
func takesValue(f *kong.Flag) bool { return !f.IsBool() && !f.IsCounter() }

// names returns how a flag may be written.
func names(f *kong.Flag) []string {
	list := []string{"--" + f.Name}
	if f.Short != 0 {
		list = []string{"-" + string(f.Short), "--" + f.Name}
	}
	return list
}

// sentence returns the first sentence of a text, without its full stop.
func sentence(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	for i, r := range text {
		rest := text[i+len(string(r)):]
		if r == '.' && (rest == "" || strings.HasPrefix(rest, " ")) && !strings.HasSuffix(text[:i], "e.g") {
			return text[:i]
		}
	}
	return strings.TrimRightFunc(text, unicode.IsSpace)
}

// placeholder returns what stands for the value of a flag.
func placeholder(f *kong.Flag) string { return cmp.Or(f.Tag.PlaceHolder, f.FormatPlaceHolder()) }
