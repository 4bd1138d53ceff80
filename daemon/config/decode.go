package config

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// Limits of files with lists.
const (
	maxListFile    = 16 << 20 // bytes
	maxListEntries = 1_000_000
)

// places are where values stand, by their keys. The elements of lists of strings have
// theirs in a slice of their own, by the key of the list.
type places struct {
	set      map[string]place
	elements map[string][]place
}

// of returns where a value stands: itself, or the nearest that holds it.
func (p places) of(key string) place {
	for key != "" {
		if at, ok := p.set[key]; ok {
			return at
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			break
		}
		if n, err := strconv.Atoi(strings.TrimSuffix(key[i+1:], "]")); err == nil && key[i] == '[' {
			if e := p.elements[key[:i]]; n >= 1 && n <= len(e) {
				return e[n-1]
			}
		}
		key = key[:i]
	}
	return p.set[""]
}

// A decoder makes values of nodes, and collects what is wrong with them.
type decoder struct {
	problems Problems
	places   places
	lists    []string               // absolute paths of the files of lists
	listInfo map[string]fs.FileInfo // by these, before they were read
	wrong    []string               // keys with errors
	dropped  int                    // problems past maxProblems
	hidden   bool                   // one of them is an error
}

func (d *decoder) add(p Problem) {
	if len(d.problems) >= maxProblems {
		d.dropped++
		d.hidden = d.hidden || !p.Warning
		return
	}
	d.problems = append(d.problems, p)
}

func (d *decoder) bad(at place, key, format string, args ...any) {
	if len(d.problems) < maxProblems {
		d.wrong = append(d.wrong, key)
	}
	d.add(at.problem(key, format, args...))
}

func (d *decoder) warn(at place, key, format string, args ...any) {
	p := at.problem(key, format, args...)
	p.Warning = true
	d.add(p)
}

// isWrong reports whether a key, or one below it, has an error.
func (d *decoder) isWrong(key string) bool {
	return slices.ContainsFunc(d.wrong, func(w string) bool {
		rest, ok := strings.CutPrefix(w, key)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// joinPath makes the key of a member of a table.
func joinPath(table, name string) string {
	if table == "" {
		return quoteKey(name)
	}
	return table + "." + quoteKey(name)
}

// element makes the key of the i-th element, from 0, of an array.
func element(array string, i int) string { return array + "[" + strconv.Itoa(i+1) + "]" }

// A key is a field of a struct that stands for a table.
type key struct {
	name  string
	index int
	doc   string
	opt   []string
	typ   reflect.Type

	def     string // what the reference says in place of a long default
	example string // a value, as TOML writes it, where there is no default
}

func (k key) has(opt string) bool { return slices.Contains(k.opt, opt) }

// least returns the least value of a number, and whether it has one.
func (k key) least() int64 {
	for _, o := range k.opt {
		if s, ok := strings.CutPrefix(o, "min="); ok {
			n, _ := strconv.ParseInt(s, 10, 64)
			return n
		}
	}
	return 0
}

// keysOf returns the keys of a struct in the order of its fields.
func keysOf(t reflect.Type) []key {
	var keys []key
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if name == "" || name == "-" {
			continue
		}
		k := key{name: name, index: i, doc: f.Tag.Get("doc"), typ: f.Type, def: f.Tag.Get("default"), example: f.Tag.Get("example")}
		if o := f.Tag.Get("opt"); o != "" {
			k.opt = strings.Split(o, ",")
		}
		keys = append(keys, k)
	}
	return keys
}

// table decodes a table into structs: each key into the one that has it. Values the table does
// not name stay as they are.
func (d *decoder) table(n *node, path string, structs ...reflect.Value) {
	if n.kind != tableKind {
		d.bad(n.at, path, "it is %v, and should be a table", n.kind)
		return
	}
	known := make(map[string]bool)
	for _, v := range structs {
		for _, k := range keysOf(v.Type()) {
			names := []string{k.name}
			if k.typ == reflect.TypeFor[Secret]() {
				names = names[:0]
				for _, suffix := range secretSuffixes {
					names = append(names, k.name+suffix)
				}
				d.checkOne(n, k.name, path)
			}
			for i, name := range names {
				known[name] = true
				value, ok := n.fields[name]
				if !ok {
					continue
				}
				p := joinPath(path, name)
				d.places.set[p] = n.names[name]
				if len(names) > 1 {
					if s, ok := d.secret(value, secretSuffixes[i], p); ok {
						v.Field(k.index).Set(reflect.ValueOf(s))
					}
					continue
				}
				d.value(value, v.Field(k.index), k, p)
			}
		}
	}
	for _, name := range n.keys {
		if known[name] {
			continue
		}
		among := make([]string, 0, len(known))
		for k := range known {
			among = append(among, k)
		}
		slices.Sort(among)
		hint := ""
		if near := nearest(name, among); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		d.bad(n.names[name], joinPath(path, name), "there is no such key%s", hint)
	}
}

// value decodes one value. A wrong one is told, and leaves v as it is.
func (d *decoder) value(n *node, v reflect.Value, k key, path string) {
	if words[v.Type()] != nil {
		d.word(n, v, path)
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *time.Duration:
		d.duration(n, p, k, path)
		return
	case *Size:
		d.size(n, p, k, path)
		return
	case *fs.FileMode:
		if s, ok := d.text(n, path, `a string of octal digits, such as "0660"`); ok {
			m, err := parseMode(s)
			if err != nil {
				d.bad(n.at, path, "%v", err)
				return
			}
			*p = m
		}
		return
	case *[]netip.Prefix:
		d.prefixes(n, p, path)
		return
	case *[]string:
		d.strings(n, p, k, path)
		return
	case *string:
		d.string(n, p, k, path)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		if n.kind != boolKind {
			d.bad(n.at, path, "it is %v, and should be true or false", n.kind)
			return
		}
		v.SetBool(n.yes)
	case reflect.Int:
		d.integer(n, v, k, path)
	case reflect.Float64:
		x, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64)
		if n.kind == integerKind {
			x, err = float64(n.number), nil
		}
		if n.kind != integerKind && n.kind != floatKind || err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			d.bad(n.at, path, "it should be a number")
			return
		}
		v.SetFloat(x)
	case reflect.Struct:
		d.table(n, path, v)
	case reflect.Slice:
		d.array(n, v, k, path)
	default:
		panic(fmt.Sprintf("config: no value of type %v", v.Type()))
	}
}

// text returns a string.
func (d *decoder) text(n *node, path, want string) (string, bool) {
	if n.kind != stringKind {
		d.bad(n.at, path, "it is %v, and should be %s", n.kind, want)
		return "", false
	}
	return n.text, true
}

func (d *decoder) word(n *node, v reflect.Value, path string) {
	all := wordsOf(v.Type())
	list := strings.Join(all, ", ")
	s, ok := d.text(n, path, "one of "+list)
	if !ok || setWord(v, s) {
		return
	}
	hint := ""
	if near := nearest(strings.ToLower(s), all); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	d.bad(n.at, path, "%q is none of %s%s", s, list, hint)
}

func (d *decoder) duration(n *node, p *time.Duration, k key, path string) {
	s, ok := d.text(n, path, `a string with a unit, such as "5s", "10m", "8h" or "7d"`)
	if !ok {
		return
	}
	if s == "none" && k.has("none") {
		*p = -1
		return
	}
	t, err := ParseDuration(s)
	switch {
	case err != nil && k.has("none"):
		d.bad(n.at, path, "%v, or \"none\"", err)
	case err != nil:
		d.bad(n.at, path, "%v", err)
	case t == 0 && !k.has("zero"):
		d.bad(n.at, path, "it has to be more than 0")
	default:
		*p = t
	}
}

func (d *decoder) size(n *node, p *Size, k key, path string) {
	var size Size
	switch {
	case n.kind == integerKind:
		size = Size(n.number)
	case n.kind != stringKind:
		d.bad(n.at, path, `it is %v, and should be a number of bytes, or a string such as "25 MB" or "1 MiB"`, n.kind)
		return
	case n.text == "none" && k.has("none"):
		*p = -1
		return
	default:
		var err error
		if size, err = parseSize(n.text); err != nil {
			d.bad(n.at, path, "%v", err)
			return
		}
	}
	least := max(k.least(), 1)
	switch {
	case int64(size) < least && k.has("none"):
		d.bad(n.at, path, "it has to be %d bytes at least; \"none\" is for no limit", least)
	case int64(size) < least:
		d.bad(n.at, path, "it has to be %d bytes at least", least)
	case size > math.MaxInt32 && strings.HasSuffix(k.name, "_bytes"):
		d.bad(n.at, path, "it is more than 2 GiB")
	default:
		*p = size
	}
}

func (d *decoder) integer(n *node, v reflect.Value, k key, path string) {
	switch least := k.least(); {
	case n.kind == stringKind && n.text == "none" && k.has("none"):
		v.SetInt(-1)
	case n.kind != integerKind && k.has("none"):
		d.bad(n.at, path, "it is %v, and should be a whole number, or \"none\"", n.kind)
	case n.kind != integerKind:
		d.bad(n.at, path, "it is %v, and should be a whole number", n.kind)
	case k.has("none") && n.number < 1:
		d.bad(n.at, path, "it has to be 1 at least; \"none\" is for no limit")
	case n.number < least:
		d.bad(n.at, path, "it has to be %d at least", least)
	case n.number > math.MaxInt32:
		d.bad(n.at, path, "it is too large")
	default:
		v.SetInt(n.number)
	}
}

func (d *decoder) string(n *node, p *string, k key, path string) {
	s, ok := d.text(n, path, "a string")
	if !ok {
		return
	}
	if strings.ContainsRune(s, 0) {
		d.bad(n.at, path, "it holds a NUL")
		return
	}
	switch {
	case s == "":
	case k.has("path"):
		if s = absolute(n.at.file, s); k.has("list") {
			d.addList(s)
		}
	case k.has("log"):
		if s, ok = d.logTo(n, s, path); !ok {
			return
		}
	case k.has("socket"):
		network, address, err := wire.ParseAddr(s)
		if err == nil && network == "unix" && !filepath.IsAbs(address) {
			s = "unix:" + absolute(n.at.file, address)
			_, _, err = wire.ParseAddr(s) // the path may be too long now
		}
		if err != nil {
			d.bad(n.at, path, "%v", err)
			return
		}
	default:
		if _, isFile := listFile(s); isFile {
			d.warn(n.at, path, "%q is taken as it stands: files are read for lists only", s)
		}
	}
	*p = s
}

// logTo reads where the log goes: a word, or the path of a file.
func (d *decoder) logTo(n *node, s, path string) (string, bool) {
	places := []string{"stderr", "syslog"}
	if slices.Contains(places, s) {
		return s, true
	}
	if near := nearest(s, places); near != "" && !strings.Contains(s, "/") {
		d.bad(n.at, path, "%q is neither \"stderr\" nor \"syslog\"; did you mean %q? A file of that name is written \"./%s\"", s, near, s)
		return "", false
	}
	return absolute(n.at.file, s), true
}

// absolute returns the path of a file that another names, from the root on.
func absolute(file, name string) string {
	name = beside(file, name)
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

// array decodes an array of words or tables.
func (d *decoder) array(n *node, v reflect.Value, k key, path string) {
	of := "strings"
	if v.Type().Elem().Kind() == reflect.Struct {
		of = "tables"
	}
	if n.kind != arrayKind {
		d.bad(n.at, path, "it is %v, and should be an array of %s", n.kind, of)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		at := element(path, i)
		d.places.set[at] = item.at
		d.value(item, out.Index(i), key{}, at)
	}
	v.Set(out)
}

func (d *decoder) prefixes(n *node, p *[]netip.Prefix, path string) {
	var list []string
	if !d.strings(n, &list, key{}, path) {
		return
	}
	out := make([]netip.Prefix, 0, len(list))
	for i, s := range list {
		prefix, err := parsePrefix(s)
		if err != nil {
			d.bad(d.places.elements[path][i], element(path, i), "%v", err)
			continue
		}
		if whole := hostBits(s); whole != "" {
			d.warn(d.places.elements[path][i], element(path, i), "%s means %s", s, whole)
		}
		out = append(out, prefix)
	}
	*p = out
}

// strings decodes an array of strings, and puts the lines of files in the place of
// elements that name one.
func (d *decoder) strings(n *node, p *[]string, k key, path string) bool {
	if n.kind != arrayKind {
		d.bad(n.at, path, "it is %v, and should be an array of strings", n.kind)
		return false
	}
	list := make([]string, 0, len(n.items))
	at := make([]place, 0, len(n.items))
	for i, item := range n.items {
		s, ok := d.text(item, element(path, i), "a string")
		if !ok {
			continue
		}
		if name, isFile := listFile(s); isFile && !k.has("nofile") {
			name = beside(item.at.file, name)
			d.addList(name)
			wrong := len(d.wrong)
			lines, places, err := d.readList(name, item.at, element(path, i))
			switch {
			case err != nil:
				d.bad(item.at, element(path, i), "%v", err)
				continue
			case len(lines) == 0 && len(d.wrong) == wrong:
				// It may have been cut off, and what it armed would do nothing.
				d.bad(item.at, element(path, i), "%s has no entries; write [] if none is meant", name)
				continue
			}
			list, at = append(list, lines...), append(at, places...)
			continue
		}
		if strings.ContainsRune(s, 0) {
			d.bad(item.at, element(path, i), "it holds a NUL")
			continue
		}
		list, at = append(list, s), append(at, item.at)
	}
	d.places.elements[path] = at
	*p = list
	return true
}

// listFile returns the file that an element of a list names.
func listFile(s string) (name string, ok bool) {
	name, ok = strings.CutPrefix(s, "file:")
	return name, ok && name != "" && !strings.HasPrefix(name, "//")
}

func (d *decoder) addList(name string) {
	name = absolute("", name)
	if !slices.Contains(d.lists, name) {
		d.lists = append(d.lists, name)
		if info, err := os.Stat(name); err == nil {
			d.listInfo[name] = info
		}
	}
}

// readList reads a file with one entry a line.
func (d *decoder) readList(name string, at place, key string) (list []string, where []place, err error) {
	data, err := readRegular(name, maxListFile)
	if err != nil {
		return nil, nil, err
	}
	if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o002 != 0 {
		d.warn(at, key, "everybody may write to %s", name)
	}
	number := int32(0)
	for line := range bytes.Lines(data) {
		number++
		here := place{file: name, line: number}
		if i := invalidUTF8(line); i >= 0 {
			here.column = int32(i + 1)
			d.bad(here, key, "this is no UTF-8: byte 0x%02x", line[i])
			continue
		}
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		entry := string(bytes.TrimSpace(line))
		if _, isFile := listFile(entry); isFile {
			d.bad(here, key, "a list in a file cannot name another file")
			continue
		}
		switch {
		case entry == "" || entry[0] == '#':
			continue
		case strings.ContainsRune(entry, 0):
			d.bad(here, key, "it holds a NUL")
			continue
		case len(list) == maxListEntries:
			return nil, nil, fmt.Errorf("%s has more than %d entries", name, maxListEntries)
		}
		list, where = append(list, entry), append(where, here)
	}
	return list, where, nil
}
