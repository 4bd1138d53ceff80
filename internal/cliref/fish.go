package cliref

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Fish writes a completion for fish(1), to be put into a folder of its
// fish_complete_path as the program's name with ".fish" behind it.
func Fish(w io.Writer, app *kong.Application) error {
	b := bufio.NewWriter(w)
	root := read(app)
	fmt.Fprintf(b, "# fish completion of %s; made by %[1]s completion fish\n\n", app.Name)
	// Whether the verbs on the command line are those given.
	fmt.Fprintf(b, "function __%s_at\n\tset -l at\n\tfor w in (commandline -opc)[2..-1]\n\t\tswitch \"$at $w\"\n\t\t\tcase", app.Name)
	for _, c := range root.all() {
		if len(c.path) > 0 {
			b.WriteString(" " + fishQuote(bashPath(c)))
		}
	}
	b.WriteString("\n\t\t\t\tset at \"$at $w\"\n\t\tend\n\tend\n\ttest \"$at\" = \"$argv[1]\"\nend\n\n")
	fmt.Fprintf(b, "complete -c %s -f\n", app.Name)
	for _, f := range root.flags {
		fmt.Fprintf(b, "complete -c %s%s\n", app.Name, fishFlag(f))
	}
	for _, c := range root.all() {
		head := fmt.Sprintf("complete -c %s -n %s", app.Name, fishQuote(fmt.Sprintf("__%s_at %q", app.Name, bashPath(c))))
		for _, v := range c.verbs {
			fmt.Fprintf(b, "%s -a %s -d %s\n", head, v.name(), fishQuote(sentence(v.help)))
		}
		if len(c.path) == 0 {
			continue
		}
		for _, f := range c.flags {
			b.WriteString(head + fishFlag(f) + "\n")
		}
		for _, a := range c.args {
			switch k, words := valueOf(a); k {
			case files:
				b.WriteString(head + " -F\n")
			case oneOf:
				fmt.Fprintf(b, "%s -a %s\n", head, fishQuote(strings.Join(words, " ")))
			}
		}
	}
	return b.Flush()
}

func fishFlag(f *kong.Flag) string {
	s := " -l " + f.Name
	if f.Short != 0 {
		s += " -s " + string(f.Short)
	}
	if takesValue(f) {
		switch k, words := valueOf(f.Value); k {
		case files:
			s += " -r -F"
		case folders:
			s += " -x -a '(__fish_complete_directories)'"
		case oneOf:
			s += " -x -a " + fishQuote(strings.Join(words, " "))
		default:
			s += " -x"
		}
	}
	return s + " -d " + fishQuote(sentence(f.Help))
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
