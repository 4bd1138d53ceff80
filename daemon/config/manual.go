package config

import (
	"strings"

	"github.com/gomilter/gomilter/internal/roff"
)

// Manual writes a subsection of a manual page for each table, with all its keys.
func Manual(p *roff.Page) {
	describe(func(head, doc string) {
		p.Subsection(head)
		if doc != "" {
			p.Text(doc + ".")
		}
	}, func(r row) {
		text := upperFirst(r.doc) + "."
		kind := strings.ReplaceAll(r.typ, "` `", "`, `")
		if r.def != "" {
			kind += "; default: " + r.def
		}
		term := "`" + strings.ReplaceAll(strings.Join(r.names, "`, `"), "…", "*") + "`"
		p.Item(term, text+"\n\n"+upperFirst(kind)+".")
	})
}

func upperFirst(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
