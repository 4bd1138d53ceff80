package cliref

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Zsh writes a completion for zsh(1), to be put into a folder of its fpath under
// the program's name with "_" before it.
func Zsh(w io.Writer, app *kong.Application) error {
	b := bufio.NewWriter(w)
	root := read(app)
	fmt.Fprintf(b, "#compdef %s\n# made by %[1]s completion zsh\n", app.Name)
	for _, c := range root.all() {
		fmt.Fprintf(b, "\n%s() {\n", zshFunc(app, c))
		if len(c.verbs) > 0 {
			b.WriteString("\tlocal curcontext=$curcontext state line\n\tlocal -a verbs\n\t_arguments -C -S")
		} else {
			b.WriteString("\t_arguments -S")
		}
		for _, f := range append(c.flags[:len(c.flags):len(c.flags)], programFlags(root, c)...) {
			b.WriteString(" \\\n\t\t" + zshFlag(f))
		}
		if len(c.verbs) == 0 {
			for i, a := range c.args {
				position := fmt.Sprint(i + 1)
				if a.IsCumulative() {
					position = "*"
				} else if !a.Required {
					position += ":"
				}
				b.WriteString(" \\\n\t\t" + bashQuote(position+":"+zshText(a.Name)+":"+zshAction(a)))
			}
			b.WriteString("\n}\n")
			continue
		}
		b.WriteString(" \\\n\t\t'1: :->verb' \\\n\t\t'*:: :->rest'\n\tcase $state in\n\tverb)\n\t\tverbs=(\n")
		for _, v := range c.verbs {
			fmt.Fprintf(b, "\t\t\t%s\n", bashQuote(v.name()+":"+strings.ReplaceAll(sentence(v.help), ":", `\:`)))
		}
		b.WriteString("\t\t)\n\t\t_describe -t commands verb verbs\n\t\t;;\n\trest)\n\t\tcase $line[1] in\n")
		for _, v := range c.verbs {
			fmt.Fprintf(b, "\t\t%s) %s ;;\n", v.name(), zshFunc(app, v))
		}
		b.WriteString("\t\tesac\n\t\t;;\n\tesac\n}\n")
	}
	// The file is either run as the completion, or sourced.
	fmt.Fprintf(b, "\nif [[ $funcstack[1] = _%[1]s ]]; then\n\t_%[1]s \"$@\"\nelse\n\tcompdef _%[1]s %[1]s\nfi\n", app.Name)
	return b.Flush()
}

func zshFunc(app *kong.Application, c *command) string {
	return strings.Join(append([]string{"_" + app.Name}, c.path...), "_")
}

// zshFlag returns the word of _arguments for a flag.
func zshFlag(f *kong.Flag) string {
	tail := "[" + zshText(sentence(f.Help)) + "]"
	short, long := "-"+string(f.Short), "--"+f.Name
	if takesValue(f) {
		tail += ":" + zshText(placeholder(f)) + ":" + zshAction(f.Value)
		short, long = short+"+", long+"="
	}
	again := ""
	if f.IsCumulative() {
		again = "*"
	}
	switch {
	case f.Short == 0:
		return bashQuote(again + long + tail)
	case again != "":
		return bashQuote(again) + "{" + short + "," + long + "}" + bashQuote(tail)
	}
	return bashQuote(fmt.Sprintf("(-%c --%s)", f.Short, f.Name)) + "{" + short + "," + long + "}" + bashQuote(tail)
}

func zshAction(v *kong.Value) string {
	switch k, words := valueOf(v); k {
	case files:
		return "_files"
	case folders:
		return "_files -/"
	case oneOf:
		return "(" + strings.Join(words, " ") + ")"
	}
	return ""
}

func zshText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`).Replace(s)
}
