// Package enum gives the constants of a type their names in configurations.
package enum

import (
	"fmt"
	"slices"
)

// Names are those of the constants of a type, by their values.
type Names struct {
	Package string   // that the type is in, for errors
	What    string   // a constant is, such as "action"
	List    []string // "" for a value that is none
}

// Name returns the name of a constant, and for a value that is none one that tells it.
func (n Names) Name(i uint8) string {
	if n.Has(i) {
		return n.List[i]
	}
	return fmt.Sprintf("invalid (%d)", i)
}

// Marshal returns the name of a constant; the error is for a value that is none.
func (n Names) Marshal(i uint8) ([]byte, error) {
	if !n.Has(i) {
		return nil, fmt.Errorf("%s: no name for %d", n.Package, i)
	}
	return []byte(n.List[i]), nil
}

// Unmarshal returns the constant with a name; the error names what is the name of none.
func (n Names) Unmarshal(name []byte) (uint8, error) {
	i := slices.Index(n.List, string(name))
	if i < 0 || len(name) == 0 {
		return 0, fmt.Errorf("%s: no %s is called %q", n.Package, n.What, name)
	}
	return uint8(i), nil
}

// Has reports whether a value is that of a constant.
func (n Names) Has(i uint8) bool { return int(i) < len(n.List) && n.List[i] != "" }
