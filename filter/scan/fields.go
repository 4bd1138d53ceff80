package scan

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
)

// fields are the header of a message and what becomes of it.
type fields struct {
	s      *scan
	header message.Header
	number []int // of each field among those of its name
	gone   map[int]bool
	change map[int]string
	adds   []addition
}

func newFields(s *scan, h message.Header) *fields {
	f := &fields{s: s, header: h, number: make([]int, len(h)), gone: make(map[int]bool), change: make(map[int]string)}
	counts := make(map[string]int)
	for i, x := range h {
		key := strings.ToLower(x.Name()) // blanks at its end count for an MTA
		counts[key]++
		f.number[i] = counts[key]
	}
	return f
}

// is reports whether a field has a name for those who read it.
func is(x message.Field, name string) bool {
	return strings.EqualFold(strings.TrimRight(x.Name(), " \t"), name)
}

// forget takes out the fields that only we may write.
func (f *fields) forget() {
	names := []string{"-Status"}
	if f.s.o.Scanner != Clamd {
		names = append(names, "-Flag", "-Score", "-Level")
	}
	for _, n := range names {
		f.remove(removal{name: f.s.o.Field + n})
	}
}

// remove takes out fields.
func (f *fields) remove(r removal) {
	var all []int
	for i, x := range f.header {
		if is(x, r.name) {
			all = append(all, i)
		}
	}
	switch n := r.n; {
	case n == 0:
		for _, i := range all {
			f.gone[i] = true
		}
	case n < 0 && -n <= len(all):
		f.gone[all[len(all)+n]] = true
	case n > 0 && n <= len(all):
		f.gone[all[n-1]] = true
	}
}

// apply does what rspamd asks for.
func (f *fields) apply(e *fieldEdits) {
	if e == nil {
		return
	}
	for _, r := range e.remove {
		f.remove(r)
	}
	f.adds = append(f.adds, e.add...)
}

// add adds a field of ours.
func (f *fields) add(name, value string) {
	name = f.s.o.Field + name
	f.adds = append(f.adds, addition{name: name, value: message.NewTextField(name, value, "\n").Text(false), place: -1})
}

// maxLevel bounds the stars of the field Level.
const maxLevel = 50

// report adds the fields that say what a scanner found. spam is a message that the
// admin has for bad, also where the scanner has not.
func (f *fields) report(v verdict, spam bool) {
	if f.s.o.Scanner == Clamd {
		if v.infected {
			f.add("-Status", "Infected ("+showNames(v.names)+")")
		} else {
			f.add("-Status", "Clean")
		}
		return
	}
	word := "No"
	if spam {
		word = "Yes"
		f.add("-Flag", "YES")
	}
	f.add("-Score", score(v.score))
	if v.score >= 1 {
		f.add("-Level", strings.Repeat("*", int(min(v.score, maxLevel))))
	}
	status := fmt.Sprintf("%s, score=%s required=%s", word, score(v.score), score(v.threshold))
	if len(v.names) > 0 {
		status += " tests=" + showNames(v.names)
	}
	f.add("-Status", status)
}

// maxSubject is how long a Subject may be that is not written anew, for a packet of
// the protocol, and maxText of how much text it is written anew.
const (
	maxSubject = 60_000
	maxText    = 8 << 10
)

// tagSubject puts a tag in front of each Subject. What the field holds stays as it is
// where it can.
func (f *fields) tagSubject(tag string) {
	tagged := false
	for i, x := range f.header {
		if !is(x, "Subject") {
			continue
		}
		tagged = true
		text := x.Decoded()
		if strings.HasPrefix(text, tag) {
			continue
		}
		value := strings.TrimLeft(x.Text(false), " \t")
		blank := " "
		first, _, _ := strings.Cut(value, "\n")
		if len("Subject: ")+len(tag)+len(blank)+len(first) > 78 {
			blank = "\n "
		}
		if value == "" || value[0] == '\n' {
			blank = ""
		}
		f.change[i] = tag + blank + value
		if len(value) > maxSubject || !plainLines(f.change[i]) {
			f.change[i] = message.NewTextField("Subject", tag+" "+strings.ToValidUTF8(text[:min(len(text), maxText)], "?"), "\n").Text(false)
		}
	}
	if !tagged {
		f.adds = append(f.adds, addition{name: "Subject", value: tag, place: -1})
	}
}

// plainLines reports whether a value can be written as it is.
func plainLines(s string) bool {
	for line := range strings.Lines(s) {
		if len(line) > 900 || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r >= 0x7f || r < ' ' && r != '\t' }) {
			return false
		}
	}
	return true
}

// send asks for the edits. Those that no MTA could be told are noted.
func (f *fields) send(t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
	notes := 0
	do := func(what, name string, err error) error {
		if errors.Is(err, milter.ErrEdit) || errors.Is(err, milter.ErrEditLimit) {
			if notes++; notes <= 3 {
				t.Explain(fmt.Sprintf("%s cannot be %s", showName(name), what))
			}
			return nil
		}
		return err
	}
	for i, x := range f.header {
		var err error
		if f.gone[i] {
			err = do("deleted", x.Name(), e.DeleteHeader(x.Name(), f.number[i]))
		} else if value, ok := f.change[i]; ok {
			err = do("changed", x.Name(), e.ChangeHeader(x.Name(), f.number[i], value))
		}
		if err != nil {
			return nil, err
		}
	}
	for _, a := range f.adds {
		var err error
		if a.place < 0 {
			err = e.AddHeader(a.name, a.value)
		} else {
			err = e.InsertHeader(a.place, a.name, a.value)
		}
		if err := do("added", a.name, err); err != nil {
			return nil, err
		}
	}
	return milter.Accept, nil
}
