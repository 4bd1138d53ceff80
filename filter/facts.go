package filter

import (
	"maps"
	"reflect"
	"sync"
)

// facts are what filters tell each other, one value of a type. A hook that was
// abandoned may still tell some while the chain goes on with a copy.
type facts struct {
	mu sync.Mutex
	m  map[reflect.Type]any
}

func (f *facts) set(t reflect.Type, v any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		f.m = make(map[reflect.Type]any)
	}
	f.m[t] = v
}

func (f *facts) get(t reflect.Type) (any, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.m[t]
	return v, ok
}

func (f *facts) clone() *facts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &facts{m: maps.Clone(f.m)}
}

// A Holder holds facts: a [Connection] for its length, a [Transaction] for one
// message.
type Holder interface{ held() *facts }

func (c *Connection) held() *facts  { return c.facts }
func (t *Transaction) held() *facts { return t.m.facts }

// Tell leaves a fact for the filters that come later, in place of one of the same
// type. Its type is best a struct of its own, in a package that both import.
func Tell[T any](h Holder, fact T) { h.held().set(reflect.TypeFor[T](), fact) }

// Told returns the fact of a type and whether there is one. A Transaction has
// those of its Connection too.
func Told[T any](h Holder) (fact T, ok bool) {
	v, ok := h.held().get(reflect.TypeFor[T]())
	if t, isT := h.(*Transaction); !ok && isT {
		v, ok = t.Connection.facts.get(reflect.TypeFor[T]())
	}
	fact, _ = v.(T) // a nil interface stays one
	return fact, ok
}
