package config

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/headers"
	"github.com/gomilter/gomilter/filter/scan"
)

//go:generate go test -run ^TestGenerated -update .

// example returns a Config that has a table of every sort.
func example() *Config {
	c := defaults()
	c.Kept.Dir = c.StateDir + "/kept"
	c.Timeouts.derive()
	l := Listener{Name: "gomilter", Socket: "unix:/run/gomilter/gomilter.sock", Mode: 0o660, HoldRejects: true,
		Timeouts: c.Timeouts, Limits: c.Limits}
	for _, k := range kinds {
		l.Filters = append(l.Filters, k.name)
		f := Filter{Name: k.name, Kind: k.name, Mode: filter.Report, Options: k.options()}
		if h, ok := f.Options.(*Headers); ok {
			h.Rules = []HeaderRule{{Name: "lottery", Fields: []string{"Subject"}, Match: headers.Contains, Values: []string{"lottery"},
				Action: headers.Tag, Edit: HeaderEdit{Value: "[junk?]"}}}
		}
		if s, ok := f.Options.(*Scan); ok {
			s.Scanner, s.Servers, s.Scores = scan.Rspamd, []string{"127.0.0.1:11333"}, []ScanScore{{15, scan.Reject}}
			s.fill()
		}
		if a, ok := f.Options.(*Auth); ok {
			a.DMARC.Overrides = []AuthOverride{{DKIM: []string{"lists.example.net"}}}
		}
		if a, ok := f.Options.(*Access); ok {
			a.Rules = []AccessRule{{Name: "billing", Keys: []string{"smtp-auth:billing@example.com"}, Do: "OK"}}
		}
		c.Filters = append(c.Filters, f)
	}
	c.Listeners = []Listener{l}
	return c
}

// live are the keys that stand in the example without a "#" before them.
func live(e entry) bool {
	switch {
	case e.bare:
		return !e.value.IsZero()
	case strings.HasPrefix(e.path, "listener["):
		return e.key.name == "socket" || e.key.name == "chain"
	case strings.HasPrefix(e.path, "filter."):
		return e.key.name == "mode" || e.path == "filter.scan.scanner" || e.path == "filter.scan.servers"
	}
	return false
}

// Example writes a configuration that names every key, with what it is for and its
// default. Keys that have one stand behind a "#".
func Example(w io.Writer) error {
	b := bufio.NewWriter(w)
	b.WriteString(`# A configuration of gomilter that names every key. Those behind a "#" have the value they
# have without being named. All filters are in report mode: they change nothing, and the
# log says what they would have done.
#
# gomilter check -c FILE tells what is wrong with a configuration, gomilter config show
# which values are in force, and docs/configuration.md how they are written.

# files to read after this one; later values win
#include = ["conf.d/*.toml"]
`)
	told := make(map[string]bool) // tables whose keys are told elsewhere
	first := ""                   // the filter at which the keys of all are told
	for _, e := range example().walk() {
		if of, name, ok := filterKey(e); ok && of != first {
			if name == "mode" {
				fmt.Fprintf(b, "# the keys of all kinds of filters are as in [filter.%s]\n", first)
				writeValue(b, "", name, exampleValue(e), "")
			}
			if first != "" {
				continue
			}
			first = of
		}
		if e.head == "" {
			if i := strings.LastIndexByte(e.path, '.'); i > 0 && told[e.path[:i]] {
				continue
			}
			writeDoc(b, docOf(e))
			prefix := "#"
			if live(e) {
				prefix = ""
			}
			writeValue(b, prefix, e.key.name, exampleValue(e), "")
			continue
		}
		if strings.HasPrefix(e.path, "listener[1].") {
			fmt.Fprintf(b, "\n# %s\n#%s\n", e.key.doc, e.head)
			told[e.path] = true
			continue
		}
		b.WriteByte('\n')
		writeDoc(b, docOf(e))
		fmt.Fprintf(b, "%s\n", e.head)
	}
	return b.Flush()
}

// filterKey returns the filter and the key of an entry that filters of all kinds have.
func filterKey(e entry) (of, key string, ok bool) {
	parts := strings.Split(e.path, ".")
	if len(parts) < 3 || parts[0] != "filter" {
		return "", "", false
	}
	_, ok = reflect.TypeFor[Filter]().FieldByNameFunc(func(n string) bool {
		f, _ := reflect.TypeFor[Filter]().FieldByName(n)
		return f.Tag.Get("toml") == parts[2]
	})
	return parts[1], parts[2], ok
}

// docOf returns the text about an entry.
func docOf(e entry) string {
	if f, ok := e.value.Interface().(Filter); ok && e.head != "" {
		k, _ := kindOf(f.Kind)
		return "the filter " + f.Name + " " + k.doc
	}
	doc := e.key.doc
	if e.head == "" && !tellsWords(doc, elem(e.key.typ)) {
		doc += ": " + strings.Join(wordsOf(elem(e.key.typ)), ", ")
	}
	return doc
}

// tellsWords reports whether a text names all words of a type.
func tellsWords(doc string, t reflect.Type) bool {
	return !slices.ContainsFunc(words[t], func(w string) bool { return !strings.Contains(doc, w) })
}

func elem(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Slice {
		return t.Elem()
	}
	return t
}

// exampleValue returns the value of a key, or an example for one that is not set.
func exampleValue(e entry) any {
	if v := plain(e.key, e.value); v != nil && e.key.typ != reflect.TypeFor[Secret]() && !(words[e.value.Type()] != nil && v == "") {
		return v
	}
	return raw(e.key.example)
}

// raw is a value as TOML writes it.
type raw string

// writeDoc writes a comment.
func writeDoc(b *bufio.Writer, text string) {
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+len(word) > 100 {
			fmt.Fprintln(b, line)
			line = "#"
		}
		line += " " + word
	}
	fmt.Fprintln(b, line)
}

// Reference writes the tables of all keys in Markdown.
func Reference(w io.Writer) error {
	b := bufio.NewWriter(w)
	first := true
	describe(func(head, doc string) {
		if !first {
			b.WriteByte('\n')
		}
		first = false
		fmt.Fprintf(b, "### %s\n\n", head)
		if doc != "" {
			fmt.Fprintf(b, "%s.\n\n", doc)
		}
		b.WriteString("| key | what | type | default |\n|---|---|---|---|\n")
	}, func(r row) {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", strings.Join(r.names, "`, `"), escape(r.doc), r.typ, escape(r.def))
	})
	return b.Flush()
}

// A row is what the reference says about a key. Texts have what is literal between
// backticks.
type row struct {
	names []string
	doc   string
	typ   string
	def   string // empty for none
}

// describe calls section for each table of the configuration, and write for each
// key of it.
func describe(section func(head, doc string), write func(row)) {
	c := example()
	root := reflect.ValueOf(c).Elem()
	table := func(head, doc string, v reflect.Value) {
		section(head, strings.ToUpper(doc[:1])+doc[1:])
		describeRows(write, "", v)
	}
	section("At the top", "")
	write(row{[]string{"include"}, "files to read after this one, patterns with `*` and `?`", "list of strings", "`[]`"})
	var tables []key
	for _, k := range keysOf(root.Type()) {
		if isTable(k.typ) {
			tables = append(tables, k)
		} else {
			write(rowOf("", k, root.Field(k.index)))
		}
	}
	for _, k := range tables {
		switch k.name {
		case "listener":
			l := c.Listeners[0]
			l.Name, l.Socket, l.Filters = "", "", []string{}
			table("[[listener]]", k.doc, reflect.ValueOf(l))
		case "filter":
			table("[filter.NAME]", "a filter of any kind; the keys of its kind stand beside these", reflect.ValueOf(Filter{}))
		default:
			table("["+k.name+"]", k.doc, root.Field(k.index))
		}
	}
	for _, k := range kinds {
		table("[filter.NAME] of kind "+k.name, "it "+k.doc, reflect.ValueOf(k.options()).Elem())
	}
}

// describeRows writes a row for each key of a struct, those of tables below
// included.
func describeRows(write func(row), prefix string, v reflect.Value) {
	for _, k := range keysOf(v.Type()) {
		f := v.Field(k.index)
		switch {
		case !isTable(k.typ):
			write(rowOf(prefix, k, f))
		case k.typ == reflect.TypeFor[Timeouts](), k.typ == reflect.TypeFor[Limits]():
			write(row{[]string{k.name + ".…"}, k.doc, "table", ""})
		case k.typ.Kind() == reflect.Slice:
			write(row{[]string{"[[filter.NAME." + prefix + k.name + "]]"}, k.doc, "tables", ""})
			describeRows(write, prefix+k.name+".", reflect.New(k.typ.Elem()).Elem())
		default:
			if k.doc != "" {
				write(row{[]string{prefix + k.name}, k.doc, "table", ""})
			}
			describeRows(write, prefix+k.name+".", f)
		}
	}
}

func rowOf(prefix string, k key, v reflect.Value) row {
	def := ""
	switch value := plain(k, v); {
	case k.def != "":
		def = k.def
	case value == nil, value == "":
	default:
		var text strings.Builder
		w := bufio.NewWriter(&text)
		writeValue(w, "", "x", value, "")
		w.Flush()
		def = "`" + strings.TrimSuffix(strings.TrimPrefix(text.String(), "x = "), "\n") + "`"
	}
	names := []string{prefix + k.name}
	if k.typ == reflect.TypeFor[Secret]() {
		names = append(names, prefix+k.name+"_file", prefix+k.name+"_env")
	}
	return row{names, k.doc, typeName(k), def}
}

func escape(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// typeName returns what a reader calls the type of a key.
func typeName(k key) string {
	none := ""
	if k.has("none") {
		none = ", or `none`"
	}
	if w := words[elem(k.typ)]; w != nil {
		list := "`" + strings.Join(slices.DeleteFunc(slices.Clone(w), func(w string) bool { return w == "" }), "` `") + "`"
		if k.typ.Kind() == reflect.Slice {
			return "list of " + list
		}
		return list
	}
	switch {
	case k.typ == reflect.TypeFor[time.Duration]():
		return "time" + none
	case k.typ == reflect.TypeFor[Size]():
		return "size" + none
	case k.typ.Kind() == reflect.Uint32:
		return "permissions"
	case k.typ == reflect.TypeFor[Secret]():
		return "secret"
	case k.typ.Kind() == reflect.Bool:
		return "true or false"
	case k.typ.Kind() == reflect.Float64:
		return "number"
	case k.typ.Kind() == reflect.Int:
		return "number" + none
	case k.typ.Kind() == reflect.Slice && k.typ.Elem().Kind() == reflect.String:
		return "list of strings"
	case k.typ.Kind() == reflect.Slice:
		return "list of networks"
	case k.has("path"):
		return "path"
	}
	return "string"
}
