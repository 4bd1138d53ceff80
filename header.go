package milter

// A Header is one header field of the message. Nothing says that its bytes are
// UTF-8 or ASCII.
type Header struct {
	name, value  []byte
	leadingSpace bool
}

// Name returns the field's name.
func (h *Header) Name() string { return string(h.name) }

// Value returns the text behind the colon without one leading blank, lines of a
// folded field joined by LF.
func (h *Header) Value() string { return string(h.ValueBytes()) }

// NameBytes is like Name; the bytes are lent.
func (h *Header) NameBytes() []byte { return h.name }

// ValueBytes is like Value; the bytes are lent.
func (h *Header) ValueBytes() []byte {
	if h.leadingSpace && len(h.value) > 0 && h.value[0] == ' ' {
		return h.value[1:]
	}
	return h.value
}

// Raw returns the text behind the colon as the MTA sent it. With
// Hooks.LeadingSpace granted it is everything behind the colon; otherwise the
// MTA removed one blank, if there was any. The bytes are lent.
func (h *Header) Raw() []byte { return h.value }

// Is reports whether the field has the name, in any case.
func (h *Header) Is(name string) bool {
	return len(name) == len(h.name) && equalFoldASCII(h.name, name)
}

func equalFoldASCII(b []byte, s string) bool {
	for i, c := range b {
		d := s[i]
		if c != d && (c|0x20 != d|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}
