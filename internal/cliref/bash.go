package cliref

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Bash writes a completion for bash(1), to be put where its package
// bash-completion finds it, or to be sourced.
func Bash(w io.Writer, app *kong.Application) error {
	b := bufio.NewWriter(w)
	root := read(app)
	name := app.Name
	fn := "_" + name
	fmt.Fprintf(b, "# bash completion of %s; made by %[1]s completion bash\n\n", name)
	fmt.Fprintf(b, "%s() {\n", fn)
	// The shell splits words at "=" and ":".
	b.WriteString(`	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at= w i flags= verbs= args=
	COMPREPLY=()
	if [[ $cur == '=' ]]; then
		cur=
	elif [[ $prev == '=' ]]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i]}
		case "$at $w" in
`)
	var paths []string
	for _, c := range root.all() {
		if len(c.path) > 0 {
			paths = append(paths, bashQuote(" "+strings.Join(c.path, " ")))
		}
	}
	fmt.Fprintf(b, "\t\t%s) at+=\" $w\" ;;\n", strings.Join(paths, "|"))
	b.WriteString("\t\tesac\n\tdone\n\tcase \"$at $prev\" in\n")
	for _, c := range root.all() {
		for _, f := range append(c.flags[:len(c.flags):len(c.flags)], programFlags(root, c)...) {
			if !takesValue(f) {
				continue
			}
			var patterns []string
			for _, n := range names(f) {
				patterns = append(patterns, bashQuote(bashPath(c)+" "+n))
			}
			fmt.Fprintf(b, "\t%s) %s; return ;;\n", strings.Join(patterns, "|"), bashReply(f.Value))
		}
	}
	b.WriteString("\tesac\n\tcase \"$at\" in\n")
	for _, c := range root.all() {
		var flags, verbs []string
		for _, f := range append(c.flags[:len(c.flags):len(c.flags)], programFlags(root, c)...) {
			flags = append(flags, names(f)...)
		}
		for _, v := range c.verbs {
			verbs = append(verbs, v.name())
		}
		fmt.Fprintf(b, "\t%s)\n\t\tflags=%s\n\t\tverbs=%s\n", bashQuote(bashPath(c)), bashQuote(strings.Join(flags, " ")), bashQuote(strings.Join(verbs, " ")))
		if len(c.args) > 0 {
			if k, words := valueOf(c.args[0]); k == oneOf {
				fmt.Fprintf(b, "\t\tverbs=%s\n", bashQuote(strings.Join(words, " ")))
			} else if k != anything {
				b.WriteString("\t\targs=yes\n")
			}
		}
		b.WriteString("\t\t;;\n")
	}
	b.WriteString(`	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$flags" -- "$cur"))
	elif [[ -n $args ]]; then
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$cur"))
	else
		COMPREPLY=($(compgen -W "$verbs" -- "$cur"))
	fi
}
`)
	fmt.Fprintf(b, "complete -F %s %s\n", fn, name)
	return b.Flush()
}

// programFlags returns the flags of the program as they hold for a command too.
func programFlags(root, c *command) []*kong.Flag {
	if c == root {
		return nil
	}
	return root.flags
}

// bashPath returns a command as the variable "at" names it.
func bashPath(c *command) string {
	if len(c.path) == 0 {
		return ""
	}
	return " " + strings.Join(c.path, " ")
}

// bashReply returns the statements that offer values.
func bashReply(v *kong.Value) string {
	switch k, words := valueOf(v); k {
	case files:
		return `compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))`
	case folders:
		return `compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur"))`
	case oneOf:
		return `COMPREPLY=($(compgen -W ` + bashQuote(strings.Join(words, " ")) + ` -- "$cur"))`
	}
	return ":"
}

func bashQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
