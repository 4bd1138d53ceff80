package milter

import (
	"context"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/internal/wire"
)

func TestHeaderAccessors(t *testing.T) {
	for _, tt := range []struct {
		name, wire        string
		leading           bool // leading space was granted
		field, value, raw string
	}{
		{"plain", "Subject\x00hello\x00", false, "Subject", "hello", "hello"},
		{"plain with a second blank", "Subject\x00 hello\x00", false, "Subject", " hello", " hello"},
		{"leading space", "Subject\x00 hello\x00", true, "Subject", "hello", " hello"},
		{"no leading space in the message", "Subject\x00hello\x00", true, "Subject", "hello", "hello"},
		{"two blanks", "Subject\x00  hello\x00", true, "Subject", " hello", "  hello"},
		{"tab is no leading space", "Subject\x00\thello\x00", true, "Subject", "\thello", "\thello"},
		{"folded", "To\x00 a,\n\tb\x00", true, "To", "a,\n\tb", " a,\n\tb"},
		{"empty", "X\x00\x00", true, "X", "", ""},
		{"one blank", "X\x00 \x00", true, "X", "", " "},
		{"odd bytes", "X\xff\x00\xfe \x00", false, "X\xff", "\xfe ", "\xfe "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			called := false
			p := serve(t, filter(Hooks{LeadingSpace: true, Header: func(_ context.Context, h *Header) HeaderReply {
				called = true
				if h.Name() != tt.field || string(h.NameBytes()) != tt.field || h.Value() != tt.value || string(h.ValueBytes()) != tt.value || string(h.Raw()) != tt.raw {
					t.Errorf("%q %q %q", h.Name(), h.Value(), h.Raw())
				}
				lower, upper := strings.ReplaceAll(tt.field, "S", "s"), strings.ReplaceAll(tt.field, "b", "B")
				if !h.Is(tt.field) || !h.Is(lower) || !h.Is(upper) || h.Is(tt.field+"x") || h.Is(tt.field[1:]) {
					t.Errorf("Is, of %q", h.Name())
				}
				return Continue
			}})).dial(t)
			protocol := wire.CurrentProtocol
			if !tt.leading {
				protocol &^= wire.LeadingSpace
			}
			p.negotiate(6, wire.CurrentActions, protocol)
			p.want("c", "L"+tt.wire)
			if !called {
				t.Error("no hook ran")
			}
		})
	}
}

func TestEqualFoldASCII(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"abc", "ABC", true}, {"a-b", "A-B", true}, {"a@b", "a`b", false}, {"[", "{", false}, {"\x00", " ", false}, {"ö", "Ö", false}, {"k", "\u212a", false},
	} {
		if len(tt.a) == len(tt.b) && equalFoldASCII([]byte(tt.a), tt.b) != tt.want {
			t.Errorf("%q and %q: %v", tt.a, tt.b, !tt.want)
		}
	}
}
