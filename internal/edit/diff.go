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
	steps := align(from, to[own:])

	var edits []Edit
	number := make(map[string]uint32) // fields of each name, in lower case, from the top
	count := func(f message.Field) (string, uint32) {
		name := f.Name()
		lower := strings.ToLower(name)
		number[lower]++
		return name, number[lower]
	}
	f, t := 0, own
	for _, s := range steps {
		switch s {
		case stepKeep:
			count(from[f])
			f, t = f+1, t+1
		case stepChange:
			_, n := count(from[f])
			edits = append(edits, Edit{Action: ChangeHeader, Name: to[t].Name(), Index: n, Value: to[t].Text(false)})
			f, t = f+1, t+1
		case stepDelete:
			name, n := count(from[f])
			edits = append(edits, Edit{Action: DeleteHeader, Name: name, Index: n})
			f++
		case stepInsert:
			t++
		}
	}
	slices.Reverse(edits)

	// Where Sendmail's list has what goes before the next field: its slots, the
	// fields of the message, deleted ones too, and what was inserted.
	last := len(steps) // of the steps: what follows are insertions only
	for last > 0 && steps[last-1] == stepInsert {
		last--
	}
	before := 0
	below := len(slots) - 2 // slots behind the own Received field, which what is inserted at once below it precedes
	insert := func(i int, shown int) {
		e := Edit{Action: InsertHeader, Name: to[i].Name(), Value: to[i].Text(false), Index: uint32(shown)}
		if mta == Sendmail {
			if number[strings.ToLower(e.Name)] == 0 && i >= own && isSlot(e.Name) {
				e.Action, e.Index = AddHeader, 0
				edits = append(edits, e)
				return
			}
			e.Index = uint32(before)
			before++
		}
		edits = append(edits, e)
	}
	for i := range own {
		insert(i, i)
	}
	before++ // the own Received field
	t = own
	for i, s := range steps {
		if s != stepInsert {
			before, below = before+below, 0
		}
		switch {
		case s == stepDelete:
			before++
		case s != stepInsert:
			before, t = before+1, t+1
		case i < last:
			insert(t, t+1)
			t++
		default:
			edits = append(edits, Edit{Action: AddHeader, Name: to[t].Name(), Value: to[t].Text(false)})
			t++
		}
	}
	return edits
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
	left := slices.Clone(to.Rcpts)
	for _, r := range from.Rcpts {
		i := slices.IndexFunc(left, func(o Rcpt) bool { return o.Address == r.Address && slices.Equal(o.Args, r.Args) })
		if i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		edits = append(edits, Edit{Action: DeleteRcpt, Address: "<" + r.Address + ">"})
	}
	for _, r := range left {
		edits = append(edits, Edit{Action: AddRcpt, Address: "<" + r.Address + ">", Args: strings.Join(r.Args, " ")})
	}
	return edits
}
