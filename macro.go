package milter

import (
	"bytes"

	"github.com/gomilter/gomilter/internal/wire"
)

// macroSlots keeps the macro packets of a connection, one slot for each stage in
// the order of the conversation, as they came on the wire.
//
// A packet replaces the slot of its stage. A command empties the slots of later
// stages, and its own unless a packet came just before it; so, other than in
// libmilter, no message sees the macros of the one before.
type macroSlots struct {
	slots [len(slotOrder)][]byte
	fresh uint16 // slots set since the command they belong to was last seen
}

// slotOrder is the order in which slots are searched, from the last.
var slotOrder = [...]Stage{StageConnect, StageHelo, StageMail, StageRcpt, StageData, StageEndOfHeaders, StageHeader, StageBody, StageEnd, StageUnknown}

var slotOf = func() (t [StageClose + 1]int8) {
	for i := range t {
		t[i] = -1
	}
	for i, s := range slotOrder {
		t[s] = int8(i)
	}
	return t
}()

// set keeps the macros of a stage, at most maxCount of them. It returns false
// when it left some out.
func (m *macroSlots) set(s Stage, pairs []byte, maxCount int) bool {
	i := slotOf[s]
	if i < 0 {
		return true // libmilter passes over unknown stages, too
	}
	kept := len(pairs)
	if n := bytes.Count(pairs, []byte{0}); maxCount > 0 && n > 2*maxCount {
		kept = 0
		for range 2 * maxCount {
			kept += bytes.IndexByte(pairs[kept:], 0) + 1
		}
	}
	if slot := m.slots[i]; cap(slot) < kept {
		m.slots[i] = make([]byte, 0, kept)
	}
	m.slots[i] = append(m.slots[i][:0], pairs[:kept]...)
	m.fresh |= 1 << i
	return kept == len(pairs)
}

// begin is told of each command that ends the life of macros.
func (m *macroSlots) begin(s Stage) {
	i := int(slotOf[s])
	if s == StageUnknown {
		m.expire(i)
		return
	}
	for j := i + 1; j < len(m.slots); j++ {
		m.slots[j] = m.slots[j][:0]
		m.fresh &^= 1 << j
	}
	m.expire(i)
}

func (m *macroSlots) expire(i int) {
	if m.fresh&(1<<i) == 0 {
		m.slots[i] = m.slots[i][:0]
	}
	m.fresh &^= 1 << i
}

func (m *macroSlots) clear() { *m = macroSlots{} }

// get searches from the last stage to the first. A name of one letter may stand
// bare or in braces, on either side.
func (m *macroSlots) get(name string) ([]byte, bool) {
	name = bareMacro(name)
	for i := len(m.slots) - 1; i >= 0; i-- {
		for n, v := range wire.Pairs(m.slots[i]) {
			if len(n) == len(name)+2 && n[0] == '{' && n[len(n)-1] == '}' {
				n = n[1 : len(n)-1]
			}
			if string(n) == name {
				return v, true
			}
		}
	}
	return nil, false
}

func bareMacro(name string) string {
	if len(name) >= 2 && name[0] == '{' && name[len(name)-1] == '}' {
		return name[1 : len(name)-1]
	}
	return name
}
