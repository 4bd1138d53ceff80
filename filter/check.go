package filter

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gomilter/gomilter"
)

// ErrChain is in the errors of [Chain.Check].
var ErrChain = errors.New("filter: chain is not right")

// Check returns what is wrong with the chain: filters without a name or a hook, two
// of one name, one that edits what another has signed, hooks without what they need,
// folders that are not there.
func (c *Chain) Check() error {
	var w wrongs
	if c.Disagree > TempFailAll {
		w.add("Disagree is %d", c.Disagree)
	}
	if c.StageTimeout < 0 || c.EndTimeout < 0 {
		w.add("a time is negative")
	}
	w.folder("Dir", c.Dir)
	w.folder("MIME.Dir", c.MIME.Dir)
	seen := make(map[string]bool)
	signs := ""
	for i, s := range c.Steps {
		f := s.Filter
		if f == nil {
			w.add("step %d has no filter", i+1)
			continue
		}
		switch {
		case f.Name == "":
			w.add("the filter of step %d has no name", i+1)
		case !utf8.ValidString(f.Name) || strings.ContainsFunc(f.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
			w.add("the filter of step %d has a name that cannot be printed: %q", i+1, f.Name)
		case seen[f.Name]:
			w.add("two filters are called %q", f.Name)
		}
		seen[f.Name] = true
		w.step(&s)
		w.filter(f)
		switch {
		case s.Mode == Off:
			continue
		case signs != "" && f.alters() != 0 && f.Kind != Signs:
			w.add("%q edits what %q has signed before: put it in front", f.Name, signs)
		case f.Kind == Signs:
			signs = f.Name
		}
		if s.OnRepeat != RepeatTempFail && c.Originals == nil {
			w.add("what happens when %q fails again and again takes a place for originals", f.Name)
		}
		if f.Needs.Originals && c.Originals == nil {
			w.add("%q keeps originals, and the chain has no place for them", f.Name)
		}
	}
	return errors.Join(w...)
}

// wrongs are what is wrong with a chain.
type wrongs []error

func (w *wrongs) add(format string, args ...any) {
	*w = append(*w, fmt.Errorf("%w: %s", ErrChain, fmt.Sprintf(format, args...)))
}

// folder looks at a folder for temporary files; "" is that of the system.
func (w *wrongs) folder(name, path string) {
	if path == "" {
		return
	}
	if i, err := os.Stat(path); err != nil {
		w.add("%s: %v", name, err)
	} else if !i.IsDir() {
		w.add("%s: %s is no folder", name, path)
	}
}

// step looks at what an admin wants of a filter.
func (w *wrongs) step(s *Step) {
	name := s.Filter.Name
	switch {
	case s.Mode > Off || s.OnError > ErrorSkip || s.OnRepeat > RepeatSkip || s.Filter.Kind > Signs:
		w.add("%q has a Mode, OnError, OnRepeat or Kind that there is not", name)
	case s.Classes != nil && len(s.Classes) == 0:
		w.add("%q is asked about no class of messages", name)
	case slices.ContainsFunc(s.Classes, func(c Class) bool { return c > Authenticated }):
		w.add("%q is asked about a class that there is not", name)
	case s.Timeout < 0:
		w.add("the time of %q is negative", name)
	}
}

// filter looks at what the author of a filter wrote.
func (w *wrongs) filter(f *Filter) {
	if f.Connect == nil && f.Helo == nil && f.Mail == nil && f.Rcpt == nil && f.Data == nil && f.Message == nil {
		w.add("%q has no hook", f.Name)
	}
	if f.Message == nil && f.Needs.Actions != 0 {
		w.add("%q has no Message hook to edit in", f.Name)
	}
	if f.Kind == Verifies && f.alters()&^(milter.CanAddHeaders|milter.CanChangeHeaders) != 0 {
		w.add("%q verifies, and may edit nothing but add and delete header fields", f.Name)
	}
}

// alters returns the edits of header and body that a filter makes.
func (f *Filter) alters() milter.Actions {
	return f.Needs.Actions &^ (milter.CanQuarantine | milter.CanAddRcpt | milter.CanAddRcptParams | milter.CanDeleteRcpt | milter.CanChangeFrom)
}
