package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A place is where something stands.
type place struct {
	file         string
	line, column int32
}

func (p place) problem(key, format string, args ...any) Problem {
	return Problem{File: p.file, Line: int(p.line), Column: int(p.column), Key: key, Text: fmt.Sprintf(format, args...)}
}

// A kind is what a value of TOML is.
type kind uint8

const (
	tableKind kind = iota
	arrayKind
	stringKind
	integerKind
	floatKind
	boolKind
	dateKind
)

func (k kind) String() string {
	return [...]string{"a table", "an array", "a string", "a whole number", "a number with a fraction", "true or false", "a date or time"}[k]
}

// A node is a value of TOML, with its places. The zero node is an empty table.
type node struct {
	kind   kind
	at     place
	text   string // of a string; of other plain values, as they are written
	number int64
	yes    bool
	items  []*node // of an array

	keys   []string // of a table, in the order they came
	fields map[string]*node
	names  map[string]place // of the keys
}

func (n *node) set(key string, at place, v *node) {
	if n.fields == nil {
		n.fields, n.names = make(map[string]*node), make(map[string]place)
	}
	if _, ok := n.fields[key]; !ok {
		n.keys = append(n.keys, key)
	}
	n.fields[key], n.names[key] = v, at
}

// maxKeyDepth is how many names a key may have.
const maxKeyDepth = 20

// parseTOML reads one file. What is wrong with its syntax ends the report of the
// file; the tree is nil then.
func parseTOML(name string, data []byte) (*node, *Problem) {
	data = trimMark(data)
	lines := newLines(name, data)
	if i := invalidUTF8(data); i >= 0 {
		p := lines.at(i).problem("", "this is no UTF-8: byte 0x%02x", data[i])
		return nil, &p
	}
	var valid map[string]any
	if err := toml.Unmarshal(data, &valid); err != nil {
		p := Problem{File: name, Text: strings.TrimPrefix(err.Error(), "toml: ")}
		if de, ok := errors.AsType[*toml.DecodeError](err); ok {
			p.Line, p.Column = de.Position()
			p.Key = joinKey(de.Key())
		}
		if strings.Contains(p.Text, "leading zero") { // as of mode = 0660
			p.Text += "; permissions are written as text, such as \"0660\""
		}
		return nil, &p
	}
	b := newBuilder(lines, data)
	root := b.all()
	if b.problem != nil {
		return nil, b.problem
	}
	if err := b.parser.Error(); err != nil {
		return nil, &Problem{File: name, Text: err.Error()}
	}
	return root, nil
}

// trimMark drops the mark of UTF-8 at the beginning.
func trimMark(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\ufeff")) }

// parsePart reads a file whose syntax is wrong, as far as the mistake.
func parsePart(name string, data []byte) *node {
	data = trimMark(data)
	return newBuilder(newLines(name, data), data).all()
}

func newBuilder(l lines, data []byte) *builder {
	b := &builder{lines: l, parser: new(unstable.Parser)}
	b.parser.Reset(data)
	return b
}

// all makes nodes of all expressions, until one is wrong.
func (b *builder) all() *node {
	root := &node{at: place{file: b.lines.name, line: 1, column: 1}}
	current := root
	for b.parser.NextExpression() {
		e := b.parser.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			current = b.table(root, e)
		case unstable.KeyValue:
			b.keyValue(current, e)
		}
		if b.problem != nil {
			break
		}
	}
	return root
}

// invalidUTF8 returns the offset of the first byte that is none, -1 if all are.
func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// lines turns offsets into places.
type lines struct {
	name   string
	starts []int // of the lines
}

func newLines(name string, data []byte) lines {
	l := lines{name: name, starts: []int{0}}
	for i, c := range data {
		if c == '\n' {
			l.starts = append(l.starts, i+1)
		}
	}
	return l
}

func (l lines) at(offset int) place {
	i, found := slices.BinarySearch(l.starts, offset)
	if !found {
		i--
	}
	return place{file: l.name, line: int32(i + 1), column: int32(offset - l.starts[i] + 1)}
}

// A builder makes nodes of what go-toml has found valid.
type builder struct {
	lines   lines
	parser  *unstable.Parser
	problem *Problem
}

func (b *builder) bad(at place, format string, args ...any) {
	if b.problem == nil {
		p := at.problem("", format, args...)
		b.problem = &p
	}
}

type part struct {
	name string
	at   place
}

func (b *builder) key(n *unstable.Node) []part {
	var key []part
	for it := n.Key(); it.Next(); {
		k := it.Node()
		key = append(key, part{string(k.Data), b.lines.at(int(k.Raw.Offset))})
	}
	if len(key) > maxKeyDepth {
		b.bad(key[0].at, "the key has more than %d names", maxKeyDepth)
		return nil
	}
	return key
}

// enter goes down to the table of a key and makes what is missing on the way.
func (b *builder) enter(n *node, key []part) *node {
	for _, k := range key {
		next := n.fields[k.name]
		if next == nil {
			next = &node{at: k.at}
			n.set(k.name, k.at, next)
		}
		if next.kind == arrayKind && len(next.items) > 0 {
			next = next.items[len(next.items)-1]
		}
		if next.kind != tableKind {
			b.bad(k.at, "%s is %v, and no table", k.name, next.kind)
			return n
		}
		n = next
	}
	return n
}

func (b *builder) table(root *node, e *unstable.Node) *node {
	key := b.key(e)
	if len(key) == 0 {
		return root
	}
	if e.Kind == unstable.Table {
		return b.enter(root, key)
	}
	last := key[len(key)-1]
	in := b.enter(root, key[:len(key)-1])
	array := in.fields[last.name]
	if array == nil {
		array = &node{kind: arrayKind, at: last.at}
		in.set(last.name, last.at, array)
	}
	item := &node{at: last.at}
	array.items = append(array.items, item)
	return item
}

func (b *builder) keyValue(in *node, e *unstable.Node) {
	key := b.key(e)
	if len(key) == 0 {
		return
	}
	last := key[len(key)-1]
	b.enter(in, key[:len(key)-1]).set(last.name, last.at, b.value(e.Value(), last.at))
}

// value makes a node of a value; at is where it stands if it does not tell itself.
func (b *builder) value(v *unstable.Node, at place) *node {
	if v.Raw.Length > 0 {
		at = b.lines.at(int(v.Raw.Offset))
	}
	n := &node{at: at, text: string(v.Data)}
	switch v.Kind {
	case unstable.Array:
		n.kind = arrayKind
		for it := v.Children(); it.Next(); {
			if c := it.Node(); c.Kind != unstable.Comment {
				n.items = append(n.items, b.value(c, at))
			}
		}
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			if c := it.Node(); c.Kind == unstable.KeyValue {
				b.keyValue(n, c)
			}
		}
	case unstable.String:
		n.kind = stringKind
	case unstable.Bool:
		n.kind, n.yes = boolKind, bytes.Equal(v.Data, []byte("true"))
	case unstable.Integer:
		var err error
		n.kind = integerKind
		if n.number, err = strconv.ParseInt(strings.TrimPrefix(n.text, "+"), 0, 64); err != nil {
			b.bad(at, "%s is no whole number", n.text)
		}
	case unstable.Float:
		n.kind = floatKind
	default:
		n.kind = dateKind
	}
	return n
}

// joinKey writes a key as TOML does.
func joinKey(names []string) string {
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(quoteKey(n))
	}
	return b.String()
}

// quoteKey writes a name, in quotes where TOML wants them.
func quoteKey(name string) string {
	bare := name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
	if bare {
		return name
	}
	return quote(name)
}

// quote writes a text as a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// merge puts what a later file says into the tree of those before: tables are
// merged, listeners added, all else is replaced.
func merge(into, from *node, key []string, bad func(Problem)) {
	for _, name := range from.keys {
		v, at := from.fields[name], from.names[name]
		old, ok := into.fields[name]
		path := append(slices.Clone(key), name)
		switch {
		case !ok:
			into.set(name, at, v)
		case (old.kind == tableKind) != (v.kind == tableKind):
			bad(at.problem(joinKey(path), "it is %v, and in %s line %d it is %v", v.kind, old.at.file, old.at.line, old.kind))
		case v.kind == tableKind:
			merge(old, v, path, bad)
		case len(key) == 0 && name == "listener" && v.kind == arrayKind && old.kind == arrayKind:
			old.items = append(slices.Clip(old.items), v.items...)
		default:
			into.set(name, at, v)
		}
	}
}
