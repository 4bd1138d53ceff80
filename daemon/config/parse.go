package config

import (
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter/filter"
)

// maxProblems is how many problems of a configuration are told.
const maxProblems = 2000

// Parse makes a Config of the files, and tells all that is wrong with them and all
// that is unwise. The Config is nil when the problems have an error. Files of lists
// are read anew each time, those of the configuration are not.
func (s *Source) Parse() (*Config, Problems) {
	d := &decoder{listInfo: make(map[string]fs.FileInfo), places: places{set: make(map[string]place), elements: make(map[string][]place)}}
	d.problems = append(d.problems, s.problems...)
	root := new(node)
	for _, f := range s.files {
		tree, problem := parseTOML(f.name, f.data)
		if problem != nil {
			d.add(*problem)
			continue
		}
		if _, ok := tree.fields["include"]; ok { // Load has seen to it
			tree.keys = slices.DeleteFunc(tree.keys, func(k string) bool { return k == "include" })
			delete(tree.fields, "include")
		}
		merge(root, tree, nil, func(p Problem) {
			d.add(p)
			d.wrong = append(d.wrong, p.Key)
		})
	}
	if len(s.files) > 0 {
		d.places.set[""] = place{file: s.files[0].name}
	}
	whole := d.problems.Err() == nil // every file could be read
	c := d.config(root)
	d.check(c, whole)
	c.listFiles, c.listInfo, c.places = d.lists, d.listInfo, d.places
	problems := d.problems.sorted(s.Files())
	if d.dropped > 0 {
		problems = append(problems, Problem{Text: fmt.Sprintf("%d more problems are not told", d.dropped), Warning: !d.hidden})
	}
	if problems.Err() != nil {
		return nil, problems
	}
	return c, problems
}

// defaults returns what is in force where a configuration says nothing.
func defaults() *Config {
	return &Config{
		StateDir: "/var/lib/gomilter",
		Log:      Log{To: "stderr", Format: LogText, Level: LogInfo, Mode: 0o640},
		Control:  Control{Socket: DefaultControlSocket, Mode: 0o600},
		Kept:     Kept{Enabled: true, MaxSize: 1 << 30, MaxMessages: 10_000, MaxEntry: 4 << 20, MaxSame: 3, MaxAge: 7 * 24 * time.Hour},
		Network: Network{
			Internal:      []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")},
			TrustedRelays: []netip.Prefix{},
		},
		DNS:   DNS{Servers: []string{}, Timeout: 5 * time.Second, Parallel: 1024, MaxSize: 64 << 10, Entries: 10_000, Memory: 32 << 20, Life: 5 * time.Minute, Errors: 5 * time.Second},
		Spool: Spool{Memory: 1 << 20, PartsMemory: 1 << 20},
		Watch: Watch{Lists: true},
		Timeouts: Timeouts{Idle: 7210 * time.Second, Frame: time.Minute, Write: 10 * time.Second, Stage: 8 * time.Second, End: 240 * time.Second,
			Progress: 3 * time.Second, Stop: 30 * time.Second},
		Limits: Limits{Connections: 1000, Rcpts: 1000, Headers: 1000, HeaderBytes: 1 << 20, Macros: 256, EditBytes: 8 << 20,
			FrameBytes: 32 << 20, Abandoned: 100, FiltersAbandoned: 100,
			MIMEDepth: 50, MIMEParts: 5000, MIMEHeader: 4 << 20, MIMEDecoded: 64 << 20},
	}
}

// derive fills the times that follow from others.
func (t *Timeouts) derive() {
	if t.FiltersStage == 0 {
		if t.FiltersStage = t.Stage / 8 * 7; t.Stage < 0 {
			t.FiltersStage = 7 * time.Second
		}
	}
	if t.FiltersEnd == 0 {
		if t.FiltersEnd = t.End / 16 * 15; t.End < 0 {
			t.FiltersEnd = 225 * time.Second
		}
	}
}

// config decodes the tree.
func (d *decoder) config(root *node) *Config {
	c := defaults()
	c.asked = new(lookups)
	top := *root
	top.keys = slices.DeleteFunc(slices.Clone(root.keys), func(k string) bool { return k == "listener" || k == "filter" })
	top.fields = maps.Clone(root.fields)
	delete(top.fields, "listener")
	delete(top.fields, "filter")
	d.table(&top, "", reflect.ValueOf(c).Elem())
	if c.Kept.Dir == "" {
		c.Kept.Dir = filepath.Join(c.StateDir, "kept")
	}
	if n, ok := root.fields["filter"]; ok {
		c.Filters = d.filters(n)
	}
	if n, ok := root.fields["listener"]; ok {
		c.Listeners = d.listeners(c, n)
	}
	c.Timeouts.derive()
	return c
}

func (d *decoder) listeners(c *Config, n *node) []Listener {
	items := n.items
	if n.kind != arrayKind || slices.ContainsFunc(items, func(i *node) bool { return i.kind != tableKind }) {
		d.bad(n.at, "listener", "write [[listener]] above the keys of each listener")
		return nil
	}
	list := make([]Listener, len(items))
	for i, item := range items {
		l := &list[i]
		l.config, l.HoldRejects = c, true
		l.Timeouts, l.Limits = c.Timeouts, c.Limits
		key := element("listener", i)
		d.places.set[key] = item.at
		d.table(item, key, reflect.ValueOf(l).Elem())
		l.Timeouts.derive()
		if l.Name == "" {
			if l.Name = "gomilter"; len(items) > 1 {
				l.Name = fmt.Sprintf("gomilter-%d", i+1)
			}
		}
		if l.Filters == nil {
			l.Filters = []string{}
		}
		if l.unix() && l.Mode == 0 {
			l.Mode = 0o660
		}
	}
	return list
}

func (d *decoder) filters(n *node) []Filter {
	if n.kind != tableKind {
		d.bad(n.at, "filter", "write [filter.NAME] above the keys of each filter")
		return nil
	}
	var list []Filter
	for _, name := range n.keys {
		item, key := n.fields[name], joinPath("filter", name)
		d.places.set[key] = n.names[name]
		if item.kind != tableKind {
			d.bad(item.at, key, "it is %v; write [filter.NAME] above the keys of each filter", item.kind)
			continue
		}
		if !validName(name) {
			d.bad(n.names[name], key, "a filter's name is letters, digits, - and _, 40 at most")
		}
		f := Filter{Name: name, Kind: name}
		if k := item.fields["kind"]; k != nil && k.kind == stringKind {
			f.Kind = k.text
		}
		k, ok := kindOf(f.Kind)
		if !ok {
			d.unknownKind(item, name, f.Kind)
			d.table(withOnly(item, reflect.TypeFor[Filter]()), key, reflect.ValueOf(&f).Elem())
			list = append(list, f)
			continue
		}
		f.Options = k.options()
		d.table(item, key, reflect.ValueOf(&f).Elem(), reflect.ValueOf(f.Options).Elem())
		if k.fill != nil {
			k.fill(f.Options)
		}
		list = append(list, f)
	}
	return list
}

func (d *decoder) unknownKind(item *node, name, kind string) {
	all := make([]string, 0, len(kinds))
	for _, k := range kinds {
		all = append(all, k.name)
	}
	hint := ""
	if near := nearest(kind, all); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	at, key := item.at, joinPath("filter", name)
	if k := item.fields["kind"]; k != nil {
		if k.kind != stringKind {
			return // told with the other keys
		}
		at, key = k.at, key+".kind"
	} else {
		hint += "; name one with kind"
	}
	d.bad(at, key, "no kind of filter is called %q, there are %s%s", kind, strings.Join(all, ", "), hint)
}

// withOnly returns a table with those of its keys that a struct has.
func withOnly(n *node, t reflect.Type) *node {
	out := *n
	out.keys = nil
	for _, k := range keysOf(t) {
		if _, ok := n.fields[k.name]; ok {
			out.keys = append(out.keys, k.name)
		}
	}
	return &out
}

// validName reports whether a name can stand for a filter or a listener in logs and
// metrics.
func validName(name string) bool {
	return name != "" && len(name) <= 40 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// filter returns a filter by its name.
func (c *Config) filter(name string) *Filter {
	if i := slices.IndexFunc(c.Filters, func(f Filter) bool { return f.Name == name }); i >= 0 {
		return &c.Filters[i]
	}
	return nil
}

// names returns the names of the filters.
func (c *Config) names() []string {
	var names []string
	for _, f := range c.Filters {
		names = append(names, f.Name)
	}
	return names
}

// classes returns the classes of messages that a filter is asked about, nil for all.
func (a Applies) classes() []filter.Class {
	if a.Class == nil && a.NotClass == nil {
		return nil
	}
	classes := []filter.Class{}
	for _, c := range []filter.Class{filter.External, filter.TrustedRelay, filter.Internal, filter.Authenticated} {
		if (a.Class == nil || slices.Contains(a.Class, c)) && !slices.Contains(a.NotClass, c) {
			classes = append(classes, c)
		}
	}
	return classes
}
