package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the .want files")

// TestGoldenListings lists what other programs have packed: testdata/make.sh.
func TestGoldenListings(t *testing.T) {
	for _, file := range packed(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			name, b := load(t, file)
			got := listing(t, b, name, Limits{})
			want := file + ".want"
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			w, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(w), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// packed returns the archives of testdata.
func packed(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/*.*")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range all {
		if !strings.HasSuffix(f, ".want") && !strings.HasSuffix(f, ".sh") {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		t.Fatal("no archives in testdata")
	}
	return out
}

// load reads an archive. The images are kept packed.
func load(t testing.TB, file string) (name string, b []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name = filepath.Base(file)
	if rest, ok := strings.CutSuffix(name, ".iso.gz"); ok {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if b, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
		name = rest + ".iso"
	}
	return name, b
}

// listing walks b and renders all that there is to see.
func listing(t testing.TB, b []byte, name string, l Limits) string {
	t.Helper()
	var out strings.Builder
	r, err := Walk(context.Background(), bytes.NewReader(b), name, l, func(m Member) error {
		fmt.Fprintf(&out, "%s %q", m.Kind, append(append([]string{}, m.Path...), m.Name))
		for _, n := range m.Names[1:] {
			fmt.Fprintf(&out, " or %q", n)
		}
		fmt.Fprintf(&out, " size %d", m.Size)
		if m.Dir {
			out.WriteString(" dir")
		}
		if m.Encrypted {
			out.WriteString(" encrypted")
		}
		if m.Link != "" {
			fmt.Fprintf(&out, " -> %q", m.Link)
		}
		if h := m.Head(); h != nil {
			fmt.Fprintf(&out, " head %q", h[:min(len(h), 24)])
		}
		out.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Errorf("Walk(%s) error = %v", name, err)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&out, "%s", f.What)
		if f.Limit != NoLimit {
			fmt.Fprintf(&out, " %s", f.Limit)
		}
		fmt.Fprintf(&out, ": %s %q %q %q\n", f.Kind, f.Path, f.Member, f.Detail)
	}
	fmt.Fprintf(&out, "kind %s, members %d\n", r.Kind, r.Members)
	return out.String()
}
