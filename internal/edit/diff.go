package edit

import (
	"bytes"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/message"
)

// maxDiffCells bounds the table that finds the smallest list of edits. Headers
// that differ in more, some 2000 fields, get a list that is right but longer.
const maxDiffCells = 4 << 20

// DiffHeader returns the smallest list of edits that makes a header, as an MTA
// shows it to a filter, into another one: changes and deletions from the last
// field to the first, then what is inserted, from the top down. own is how many
// fields of to stand above the MTA's own Received field.
//
// The edits mean what the methods of milter.Edits of the same names mean: fields
// to change and delete are counted as the filter was shown them, and AddHeader
// puts a field at the end. A place in the middle is exact on the MTA that it was
// made for, but for a field that Sendmail supplies itself (Date, From,
// Message-Id), which goes where Sendmail has it.
func DiffHeader(mta MTA, from, to message.Header, own int) []Edit {
	d := differ{mta: mta, from: from, to: to, own: own, steps: slices.Repeat([]step{stepInsert}, own)}
	d.steps = append(d.steps, align(from, to[own:])...)
	return append(d.changes(), d.insertions()...)
}

// DiffShown is DiffHeader for Postfix and a header into which filters have put
// fields above the MTA's own Received field already: the first ones of from, as many
// as above. What is new before the last of them stands above the own field, too.
func DiffShown(from, to message.Header, above int) []Edit {
	d := differ{mta: Postfix, from: from, to: to, steps: align(from, to)}
	f := 0
	for _, s := range d.steps {
		if f == above {
			break
		}
		if s != stepInsert {
			f++
		}
		if s != stepDelete {
			d.own++
		}
	}
	return append(d.changes(), d.insertions()...)
}

// A differ makes edits of the steps from one header to another.
type differ struct {
	mta      MTA
	from, to message.Header
	own      int // how many fields of to stand above the own Received field
	steps    []step
	number   map[string]uint32 // fields of each name in from, in lower case

	// Where Sendmail's list has what goes before the next field: its slots, the
	// fields of the message, deleted ones too, and what was inserted.
	before int
}

// changes returns what changes and goes, from the last field to the first.
func (d *differ) changes() (edits []Edit) {
	d.number = make(map[string]uint32)
	f, t := 0, 0
	for _, s := range d.steps {
		if s == stepInsert {
			t++
			continue
		}
		name := d.from[f].Name()
		lower := strings.ToLower(name)
		d.number[lower]++
		f++
		if s == stepDelete {
			edits = append(edits, Edit{Action: DeleteHeader, Name: name, Index: d.number[lower]})
			continue
		}
		if s == stepChange {
			edits = append(edits, Edit{Action: ChangeHeader, Name: d.to[t].Name(), Index: d.number[lower], Value: d.to[t].Text(false)})
		}
		t++
	}
	slices.Reverse(edits)
	return edits
}

// insertions returns what is new, from the top down.
func (d *differ) insertions() (edits []Edit) {
	last := len(d.steps) // of the steps: what follows are insertions only
	for last > 0 && d.steps[last-1] == stepInsert {
		last--
	}
	below := len(slots) - 2 // slots behind the own Received field, which what is inserted at once below it precedes
	passed := false         // the own Received field
	t := 0
	for i, s := range d.steps {
		if t == d.own && !passed {
			passed = true
			d.before++
		}
		if s == stepInsert {
			edits = append(edits, d.insert(t, i >= last))
			t++
			continue
		}
		d.before, below = d.before+1+below, 0
		if s != stepDelete {
			t++
		}
	}
	return edits
}

// insert returns the edit that makes field t of to.
func (d *differ) insert(t int, atEnd bool) Edit {
	e := Edit{Action: InsertHeader, Name: d.to[t].Name(), Value: d.to[t].Text(false), Index: uint32(t)}
	supplied := d.mta == Sendmail && d.number[strings.ToLower(e.Name)] == 0 && isSlot(e.Name)
	switch {
	case t >= d.own && (atEnd || supplied):
		e.Action, e.Index = AddHeader, 0
	case d.mta == Sendmail:
		e.Index = uint32(d.before)
		d.before++
	case t >= d.own:
		e.Index++
	}
	return e
}

func isSlot(name string) bool {
	return !strings.EqualFold(name, "Received") && slices.ContainsFunc(slots[:], func(s string) bool { return strings.EqualFold(s, name) })
}

// A step is what happens to the next field of one header or of both.
type step uint8

const (
	stepKeep   step = iota // the fields are the same
	stepChange             // they have one name
	stepDelete             // the field is in the first header only
	stepInsert             // in the second only
)

// align returns the steps that make one header into another with the fewest
// edits.
func align(from, to message.Header) []step {
	same := func(f, t int) bool { return bytes.Equal(from[f].Raw(), to[t].Raw()) }
	head := 0
	for head < len(from) && head < len(to) && same(head, head) {
		head++
	}
	tail := 0
	for tail < len(from)-head && tail < len(to)-head && same(len(from)-1-tail, len(to)-1-tail) {
		tail++
	}
	steps := make([]step, head, len(from)+len(to)-head-tail) // stepKeep
	n, m := len(from)-head-tail, len(to)-head-tail
	if (n+1)*(m+1) > maxDiffCells {
		for range n {
			steps = append(steps, stepDelete)
		}
		for range m {
			steps = append(steps, stepInsert)
		}
		return append(steps, make([]step, tail)...)
	}
	// cost[f][t] is the number of edits from from[f:] to to[t:], in the middle.
	width := m + 1
	cost := make([]int32, (n+1)*width)
	change := func(f, t int) bool {
		// Sendmail keeps the spelling of the name, so it has to be the same.
		return from[head+f].Name() == to[head+t].Name() && len(to[head+t].Text(false)) > 0
	}
	for f := n; f >= 0; f-- {
		for t := m; t >= 0; t-- {
			c := &cost[f*width+t]
			switch {
			case f == n:
				*c = int32(m - t)
			case t == m:
				*c = int32(n - f)
			case same(head+f, head+t):
				*c = cost[(f+1)*width+t+1]
			default:
				*c = 1 + min(cost[(f+1)*width+t], cost[f*width+t+1])
				if change(f, t) {
					*c = min(*c, 1+cost[(f+1)*width+t+1])
				}
			}
		}
	}
	for f, t := 0, 0; f < n || t < m; {
		c := cost[f*width+t]
		switch {
		case f < n && t < m && same(head+f, head+t):
			steps = append(steps, stepKeep)
			f, t = f+1, t+1
		case f < n && t < m && change(f, t) && c == 1+cost[(f+1)*width+t+1]:
			steps = append(steps, stepChange)
			f, t = f+1, t+1
		case f < n && c == 1+cost[(f+1)*width+t]:
			steps = append(steps, stepDelete)
			f++
		default:
			steps = append(steps, stepInsert)
			t++
		}
	}
	return append(steps, make([]step, tail)...)
}

// DiffEnvelope returns the edits that make an envelope into another: the sender,
// then recipients deleted, then those added. Recipients are compared letter by
// letter, as the MTAs do.
func DiffEnvelope(from, to Envelope) []Edit {
	var edits []Edit
	if from.From != to.From || !slices.Equal(from.FromArgs, to.FromArgs) {
		e := Edit{Action: ChangeFrom, Address: "<" + to.From + ">"}
		var args []string // those of the client stay by themselves
		for _, a := range to.FromArgs {
			if !slices.Contains(from.FromArgs, a) {
				args = append(args, a)
			}
		}
		e.Args = strings.Join(args, " ")
		edits = append(edits, e)
	}
	// To delete an address deletes all its copies, so that what is left of them is
	// added again.
	left := slices.Clone(to.Rcpts)
	gone := make(map[string]bool)
	for _, r := range from.Rcpts {
		i := slices.IndexFunc(left, func(o Rcpt) bool { return o.Address == r.Address && slices.Equal(o.Args, r.Args) })
		if i >= 0 {
			left = slices.Delete(left, i, i+1)
		} else if !gone[r.Address] {
			gone[r.Address] = true
			edits = append(edits, Edit{Action: DeleteRcpt, Address: "<" + r.Address + ">"})
		}
	}
	if len(gone) > 0 {
		left = left[:0]
		had := slices.Clone(from.Rcpts)
		for _, r := range to.Rcpts {
			i := slices.IndexFunc(had, func(o Rcpt) bool { return o.Address == r.Address && slices.Equal(o.Args, r.Args) })
			if i >= 0 && !gone[r.Address] {
				had = slices.Delete(had, i, i+1)
				continue
			}
			left = append(left, r)
		}
	}
	for _, r := range left {
		edits = append(edits, Edit{Action: AddRcpt, Address: "<" + r.Address + ">", Args: strings.Join(r.Args, " ")})
	}
	return edits
}
