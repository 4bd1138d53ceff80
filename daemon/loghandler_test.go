package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/filter"
)

// What filters quote of a message is logged where the configuration asks for it alone.
func TestEvidenceIsLoggedWhereItIsAskedFor(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		keys   string
		logged bool
	}{{"", false}, {"evidence = false", false}, {"evidence = true", true}} {
		file := filepath.Join(dir, "c.toml")
		text := "[log]\nto = 'x.log'\n" + tt.keys + "\n[[listener]]\nsocket = 'inet:1@127.0.0.1'\nchain = ['html']\n[filter.html]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		src, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		cfg, problems := src.Parse()
		if cfg == nil {
			t.Fatal(problems.Err())
		}
		l, err := (&Daemon{}).openLog(cfg)
		if err != nil {
			t.Fatal(err)
		}
		l.Message(&filter.Explanation{Verdict: "reject", Filters: []filter.Outcome{{Name: "words", Decision: "reject", Why: `rule pills on Subject "cheap": reject`}}})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "x.log"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(got), "rule pills") || strings.Contains(string(got), "cheap") != tt.logged {
			t.Errorf("%q: the log has\n%s", tt.keys, got)
		}
		if err := os.Remove(filepath.Join(dir, "x.log")); err != nil {
			t.Fatal(err)
		}
	}
}
