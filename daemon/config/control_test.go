package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gomilter/gomilter/daemon/config"
)

func TestControlSocketOfWrongConfigurations(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"none":             {"user = 'x'\n", config.DefaultControlSocket},
		"right":            {"[control]\nsocket = '/run/x'\n", "/run/x"},
		"wrong elsewhere":  {"nonsense = 1\ncontrol = { socket = '/run/x' }\n", "/run/x"},
		"relative":         {"[control]\nsocket = 'x'\n", filepath.Join(dir, "x")},
		"none is wanted":   {"[control]\nsocket = ''\n", ""},
		"no TOML":          {"[control]\nsocket = '/run/x'\n[[listener]\n", config.DefaultControlSocket},
		"another type":     {"[control]\nsocket = 7\n", config.DefaultControlSocket},
		"control is wrong": {"control = 7\n", config.DefaultControlSocket},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "c.toml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			src, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := src.ControlSocket(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
