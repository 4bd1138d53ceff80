package filter

import "reflect"

// facts are what filters tell each other, one value of a type.
type facts map[reflect.Type]any

func (f *facts) set(v any) {
	if *f == nil {
		*f = make(facts)
	}
	(*f)[reflect.TypeOf(v)] = v
}

// A Holder holds facts: a [Connection] for its length, a [Transaction] for one
// message.
type Holder interface{ held() *facts }

func (c *Connection) held() *facts  { return c.facts }
func (t *Transaction) held() *facts { return &t.m.facts }

// Tell leaves a fact for the filters that come later, in place of one of the same
// type. Its type is best a struct of its own, in a package that both import.
func Tell[T any](h Holder, fact T) { h.held().set(fact) }

// Told returns the fact of a type and whether there is one. A Transaction has
// those of its Connection too.
func Told[T any](h Holder) (fact T, ok bool) {
	v, ok := (*h.held())[reflect.TypeFor[T]()]
	if t, isT := h.(*Transaction); !ok && isT {
		v, ok = (*t.Connection.facts)[reflect.TypeFor[T]()]
	}
	if !ok {
		return fact, false
	}
	return v.(T), true
}
