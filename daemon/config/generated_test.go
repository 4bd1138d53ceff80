package config

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is generated, and golden files")

const (
	referenceFile = "../../docs/configuration.md"
	exampleFile   = "../../examples/gomilter.toml"
	marker        = "make docs -->\n\n"
)

// golden compares a file with what it should hold, or writes it.
func golden(t *testing.T, name string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not up to date, go test -update writes it (-want +is):\n%s", name, diff)
	}
}

func TestGeneratedReferenceIsUpToDate(t *testing.T) {
	old, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(old), marker)
	if !found {
		t.Fatalf("%s has no line that ends in %q", referenceFile, marker)
	}
	b := bytes.NewBufferString(head + marker)
	if err := Reference(b); err != nil {
		t.Fatal(err)
	}
	golden(t, referenceFile, b.Bytes())
}

func TestGeneratedExampleIsUpToDate(t *testing.T) {
	var b bytes.Buffer
	if err := Example(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, exampleFile, b.Bytes())
}

// Every key that is shown behind a "#" is there, has a value that is right, and for
// all that have a default that is it.
func TestExampleTellsTheDefaults(t *testing.T) {
	var b bytes.Buffer
	if err := Example(&b); err != nil {
		t.Fatal(err)
	}
	plain := parse(t, b.String())
	var all strings.Builder
	rule, n := false, 0
	for line := range strings.Lines(b.String()) {
		rule = rule || strings.HasPrefix(line, "[[filter.")
		rest, hidden := strings.CutPrefix(line, "#")
		switch {
		case !hidden || strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "    \"") || rest == "\n",
			strings.HasPrefix(rest, "include"),
			rule && strings.HasPrefix(rest, "rcpts"): // only for refusals
			all.WriteString(line)
		default:
			all.WriteString(rest)
			n++
		}
	}
	if n < 100 {
		t.Fatalf("only %d lines of the example are behind a #", n)
	}
	c, problems := parseText(t, all.String())
	if err := problems.Err(); err != nil {
		t.Fatalf("with all keys: %v\n%s", err, all.String())
	}
	for i := range c.Filters { // those have examples, and no defaults
		c.Filters[i].Applies = Applies{}
		if h, ok := c.Filters[i].Options.(*Headers); ok {
			h.Rules[0].Class = nil
		}
		if a, ok := c.Filters[i].Options.(*Auth); ok {
			o := &a.DMARC.Overrides[0]
			o.Domains, o.Clients, o.SPF = nil, nil, nil
		}
		if s, ok := c.Filters[i].Options.(*Scan); ok {
			s.Password = Secret{}
		}
	}
	if diff := diffConfig(plain, c); diff != "" {
		t.Errorf("keys behind a # differ from what is in force without them (-in force +shown):\n%s", diff)
	}
}

// A key is in the reference, and has a text there and in the example.
func TestEveryKeyIsExplained(t *testing.T) {
	for _, e := range example().walk() {
		if e.key.doc == "" {
			t.Errorf("%s has no doc tag", e.path)
		}
	}
}
