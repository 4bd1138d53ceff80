package config

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// An entry is one line of a configuration: the head of a table, or a key with its value.
type entry struct {
	head  string // such as "[log]"; "" for a key
	path  string // such as "listener[1].socket"
	key   key    // of a value; of a table, the one it stands at
	value reflect.Value
	bare  bool // a table of an array whose keys are shown only where they are set
}

// walk lists the entries of a Config in the order they are written.
func (c *Config) walk() []entry {
	var w walker
	w.table("", "", false, reflect.ValueOf(c).Elem())
	return w.entries
}

type walker struct{ entries []entry }

// table lists the keys of structs that stand for one table: values first, then the
// tables below. head is the table's name in heads, path that in places.
func (w *walker) table(head, path string, bare bool, structs ...reflect.Value) {
	for _, v := range structs {
		for _, k := range keysOf(v.Type()) {
			if f := v.Field(k.index); !isTable(k.typ) {
				w.entries = append(w.entries, entry{path: joinPath(path, k.name), key: k, value: f, bare: bare})
			}
		}
	}
	for _, v := range structs {
		for _, k := range keysOf(v.Type()) {
			f := v.Field(k.index)
			h, p := joinPath(head, k.name), joinPath(path, k.name)
			switch {
			case !isTable(k.typ):
			case k.typ == reflect.TypeFor[[]Filter]():
				for _, x := range f.Interface().([]Filter) {
					h, p := joinPath(h, x.Name), joinPath(p, x.Name)
					w.head("["+h+"]", p, k, reflect.ValueOf(x), false)
					w.table(h, p, false, reflect.ValueOf(x), reflect.ValueOf(x.Options).Elem())
				}
			case k.typ.Kind() == reflect.Slice:
				rule := k.typ != reflect.TypeFor[[]Listener]()
				for i := range f.Len() {
					p := element(p, i)
					w.head("[["+h+"]]", p, k, f.Index(i), rule)
					w.table(h, p, rule, f.Index(i))
				}
			default:
				w.head("["+h+"]", p, k, f, bare)
				w.table(h, p, bare, f)
			}
		}
	}
}

func (w *walker) head(head, path string, k key, v reflect.Value, bare bool) {
	w.entries = append(w.entries, entry{head: head, path: path, key: k, value: v, bare: bare})
}

// isTable reports whether values of a type are written as tables.
func isTable(t reflect.Type) bool {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
		return t.Kind() == reflect.Struct && t != reflect.TypeFor[netip.Prefix]()
	}
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[Secret]()
}

// origin tells where a value came from.
func (c *Config) origin(path string) string {
	at, ok := c.places.set[path]
	if !ok && strings.HasPrefix(path, "listener[") {
		if _, rest, found := strings.Cut(path, "]."); found && (strings.HasPrefix(rest, "timeouts.") || strings.HasPrefix(rest, "limits.")) {
			at, ok = c.places.set[rest]
		}
	}
	if !ok {
		return "default"
	}
	return strconv.Quote(at.file)[1:len(strconv.Quote(at.file))-1] + ":" + strconv.Itoa(int(at.line))
}

// isNil reports whether a value is not there, which no text stands for.
func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice:
		return v.IsNil()
	case reflect.Uint32:
		return v.Type() == reflect.TypeFor[fs.FileMode]() && v.IsZero()
	}
	return false
}

// plain returns a value as configurations write it: a string, an int64, a bool or a slice of
// strings; nil where it is not there.
func plain(k key, v reflect.Value) any {
	if isNil(v) {
		return nil
	}
	if words[v.Type()] != nil {
		return wordOf(v)
	}
	none := func(less bool, s string) any {
		if less && k.has("none") {
			return "none"
		}
		return s
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return none(x < 0, formatDuration(x))
	case Size:
		return none(x < 0, x.String())
	case fs.FileMode:
		return formatMode(x)
	case Secret:
		return x.String()
	case []netip.Prefix:
		list := make([]string, len(x))
		for i, p := range x {
			if list[i] = p.String(); p.IsSingleIP() {
				list[i] = p.Addr().String()
			}
		}
		return list
	case []string:
		return x
	}
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return v.String()
	case reflect.Float64:
		return v.Float()
	case reflect.Int:
		if v.Int() < 0 && k.has("none") {
			return "none"
		}
		return v.Int()
	case reflect.Slice: // of words
		list := make([]string, v.Len())
		for i := range list {
			list[i] = wordOf(v.Index(i))
		}
		return list
	}
	panic(fmt.Sprintf("config: no text for %v", v.Type()))
}

// Show writes the values in force as a configuration, each with a comment that tells where
// it came from: a file and line, or "default". Of header rules only what is set
// is written, and secrets are left out.
func (c *Config) Show(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# The values in force, and where each came from.\n\n")
	for _, e := range c.walk() {
		switch {
		case e.head != "" && e.bare && e.head[1] != '[' && e.value.IsZero():
		case e.head != "":
			fmt.Fprintf(b, "\n%s\n", e.head)
		case e.bare && e.value.IsZero():
		case e.key.typ == reflect.TypeFor[Secret]():
			s := e.value.Interface().(Secret)
			switch {
			case s.from != "":
				fmt.Fprintf(b, "%s = %s # %s\n", quoteKey(e.key.name+s.from), quote(s.name), c.origin(e.path+s.from))
			case s.value != nil:
				fmt.Fprintf(b, "# %s is set, and not shown; %s\n", e.key.name, c.origin(e.path))
			default:
				fmt.Fprintf(b, "# %s is not set\n", e.key.name)
			}
		case isNil(e.value):
			fmt.Fprintf(b, "# %s is not set\n", e.key.name)
		default:
			writeValue(b, "", e.key.name, plain(e.key, e.value), " # "+c.origin(e.path))
		}
	}
	return b.Flush()
}

// writeValue writes a key and its value, each line with prefix before and the first with
// comment behind.
func writeValue(w *bufio.Writer, prefix, name string, value any, comment string) {
	fmt.Fprintf(w, "%s%s = ", prefix, quoteKey(name))
	switch x := value.(type) {
	case []string:
		short := 0
		for _, s := range x {
			short += len(s) + 4
		}
		if short <= 100 {
			w.WriteByte('[')
			for i, s := range x {
				if i > 0 {
					w.WriteString(", ")
				}
				w.WriteString(quote(s))
			}
			fmt.Fprintf(w, "]%s\n", comment)
			return
		}
		fmt.Fprintf(w, "[%s", comment)
		width := 1000
		for _, s := range x {
			if q := quote(s); width+len(q) > 110 {
				fmt.Fprintf(w, "\n%s    %s,", prefix, q)
				width = len(q) + 5
			} else {
				fmt.Fprintf(w, " %s,", q)
				width += len(q) + 2
			}
		}
		fmt.Fprintf(w, "\n%s]\n", prefix)
	case string:
		fmt.Fprintf(w, "%s%s\n", quote(x), comment)
	default:
		fmt.Fprintf(w, "%v%s\n", x, comment)
	}
}

// ShowJSON writes the same values as an array of objects with the members key, value
// and from. The value of a key that is not set is null.
func (c *Config) ShowJSON(w io.Writer) error {
	type object struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
		From  string `json:"from"`
	}
	var all []object
	for _, e := range c.walk() {
		if e.head != "" || e.bare && e.value.IsZero() {
			continue
		}
		o := object{Key: e.path, Value: plain(e.key, e.value), From: c.origin(e.path)}
		if s, ok := e.value.Interface().(Secret); ok {
			if o.Value = any(nil); s.value != nil {
				o.Value, o.From = s.String(), c.origin(e.path+s.from)
			}
		}
		all = append(all, o)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(all)
}
