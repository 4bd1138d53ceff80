package enum_test

import (
	"testing"

	"github.com/gomilter/gomilter/internal/enum"
)

func TestNames(t *testing.T) {
	names := enum.Names{Package: "fruit", What: "colour", List: []string{1: "red", 2: "green"}}
	for _, tt := range []struct {
		value   uint8
		name    string
		marshal string // the error
	}{{0, "invalid (0)", "fruit: no name for 0"}, {1, "red", ""}, {2, "green", ""}, {3, "invalid (3)", "fruit: no name for 3"}} {
		if got := names.Name(tt.value); got != tt.name {
			t.Errorf("Name(%d) = %q, want %q", tt.value, got, tt.name)
		}
		text, err := names.Marshal(tt.value)
		if tt.marshal != "" {
			if err == nil || err.Error() != tt.marshal {
				t.Errorf("Marshal(%d) error = %v, want %s", tt.value, err, tt.marshal)
			}
			continue
		}
		if back, err := names.Unmarshal(text); err != nil || back != tt.value {
			t.Errorf("Unmarshal(%q) = %d, %v, want %d", text, back, err, tt.value)
		}
	}
	for _, name := range []string{"", "blue", "RED"} {
		want := `fruit: no colour is called "` + name + `"`
		if _, err := names.Unmarshal([]byte(name)); err == nil || err.Error() != want {
			t.Errorf("Unmarshal(%q) error = %v, want %s", name, err, want)
		}
	}
}
