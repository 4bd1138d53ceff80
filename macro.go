package milter

import (
	"bytes"

	"github.com/gomilter/gomilter/internal/wire"
)

// macroSlots keeps the macro packets of a connection, one slot for each stage in
// the order of the conversation, as they came on the wire.
//
// A packet replaces the slot of its stage. A command empties the slots of later
// stages, and its own unless a packet came just before it, and the end of a
// message empties those of the message; so, other than in libmilter, no message
// sees the macros of the one before.
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

// What macros may take. A slot that once held many does not keep their memory.
const (
	maxMacroBytes = 16 << 10 // on a connection, unless Server.MaxMacros is negative
	macroSlotKept = 4 << 10
)

// set keeps the macros of a stage, at most maxCount of them. It returns false
// when it left some out.
func (m *macroSlots) set(s Stage, pairs []byte, maxCount int) bool {
	i := slotOf[s]
	if i < 0 {
		return true // libmilter passes over unknown stages, too
	}
	kept := len(pairs)
	if maxCount > 0 {
		kept = m.room(int(i), pairs, maxCount)
	}
	if c := cap(m.slots[i]); c < kept || c > macroSlotKept {
		m.slots[i] = make([]byte, 0, kept)
	}
	m.slots[i] = append(m.slots[i][:0], pairs[:kept]...)
	m.fresh |= 1 << i
	return kept == len(pairs)
}

// room returns how many bytes of pairs may be kept in a slot.
func (m *macroSlots) room(i int, pairs []byte, maxCount int) int {
	room := maxMacroBytes
	for j := range m.slots {
		if j != i {
			room -= len(m.slots[j])
		}
	}
	if len(pairs) <= room && bytes.Count(pairs, nul) <= 2*maxCount {
		return len(pairs)
	}
	kept := 0
	for range maxCount {
		pair := kept
		for range 2 {
			n := bytes.IndexByte(pairs[pair:], 0)
			if n < 0 {
				return kept
			}
			pair += n + 1
		}
		if pair > room {
			break
		}
		kept = pair
	}
	return kept
}

var nul = []byte{0}

// begin is told of each command that ends the life of macros.
func (m *macroSlots) begin(s Stage) {
	i := int(slotOf[s])
	if s != StageUnknown {
		m.emptyFrom(i + 1)
	}
	if m.fresh&(1<<i) == 0 {
		m.empty(i)
	}
	m.fresh &^= 1 << i
}

// endMessage empties the slots of a message. Those of MAIL stay when they came for
// the next one.
func (m *macroSlots) endMessage(off Protocol) {
	i := int(slotOf[StageMail])
	m.emptyFrom(i + 1)
	if m.fresh&(1<<i) == 0 || off&wire.NoMail != 0 {
		m.empty(i)
	}
}

func (m *macroSlots) emptyFrom(i int) {
	for ; i < len(m.slots); i++ {
		m.empty(i)
	}
}

func (m *macroSlots) empty(i int) {
	m.fresh &^= 1 << i
	if m.slots[i] = m.slots[i][:0]; cap(m.slots[i]) > macroSlotKept {
		m.slots[i] = nil
	}
}

func (m *macroSlots) clear() { *m = macroSlots{} }

func (m *macroSlots) clone() macroSlots {
	to := macroSlots{fresh: m.fresh}
	for i, slot := range m.slots {
		to.slots[i] = bytes.Clone(slot)
	}
	return to
}

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
