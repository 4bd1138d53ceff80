package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one thing that is wrong with a configuration, or legal but unwise.
type Problem struct {
	File    string // as Load was given it or found it; of an entry of a list file, that
	Line    int    // from 1; 0 where it is about no line
	Column  int    // in bytes, from 1; 0 where it is about the line
	Key     string // such as "filter.html.mode", "listener[1].chain[2]", counted from 1; "" where it is about no key
	Text    string
	Warning bool // it is legal but unwise
}

// Error returns FILE:LINE:COLUMN: KEY: TEXT, without the parts that are not there.
func (p Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
			if p.Column > 0 {
				fmt.Fprintf(&b, ":%d", p.Column)
			}
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are all there is to say about a configuration, in the order of its files
// and lines.
type Problems []Problem

// Err returns the problems that are no warnings, joined; nil when there is none.
func (ps Problems) Err() error {
	var errs []error
	for _, p := range ps {
		if !p.Warning {
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}

// Warnings returns those of the problems that are warnings.
func (ps Problems) Warnings() Problems {
	var w Problems
	for _, p := range ps {
		if p.Warning {
			w = append(w, p)
		}
	}
	return w
}

// sorted returns the problems in the order of the files and their lines, each once.
func (ps Problems) sorted(files []string) Problems {
	order := make(map[string]int, len(files))
	for i, f := range files {
		order[f] = i + 1
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(ps)
}
