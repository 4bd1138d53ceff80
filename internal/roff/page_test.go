package roff_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/internal/roff"
)

func Example() {
	p := roff.New(os.Stdout, roff.Title{Name: "gate", Section: 8, Date: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
		Source: "gate 1.0", Manual: "System Manager's Manual"})
	p.Section("name")
	p.Text("gate - opens")
	p.Section("options")
	p.Item("`-w`, `--wide`", "Open it wide.")
	if err := p.Flush(); err != nil {
		panic(err)
	}
	// Output:
	// .TH "GATE" "8" "2026-01-02" "gate 1.0" "System Manager's Manual"
	// .nh
	// .ad l
	// .SH "NAME"
	// gate \- opens
	// .SH "OPTIONS"
	// .TP
	// \fB\-w\fR, \fB\-\-wide\fR
	// Open it wide.
}

func TestPage(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(p *roff.Page)
		want  string
	}{
		{"paragraphs", func(p *roff.Page) { p.Text("one\ntwo\n\nthree\n") }, ".PP\none\ntwo\n.PP\nthree\n"},
		{"the first of a section", func(p *roff.Page) { p.Subsection("s"); p.Text("one") }, ".SS \"s\"\none\n"},
		{"printed as it is", func(p *roff.Page) { p.Text("so:\n\n    a -b\n\n    .c 'd'\n\nend") },
			".PP\nso:\n.PP\n.RS 4\n.nf\na \\-b\n\n\\&.c \\(aqd\\(aq\n.fi\n.RE\n.PP\nend\n"},
		{"a line that looks like a request", func(p *roff.Page) { p.Text(".exe and\n'this'") }, ".PP\n\\&.exe and\n\\&'this'\n"},
		{"what roff takes for its own", func(p *roff.Page) { p.Text("a\\b ~x ^y") }, ".PP\na\\eb \\(tix \\(hay\n"},
		{"options and hyphens", func(p *roff.Page) { p.Text("well-kept --dry-run (-n)") }, ".PP\nwell-kept \\-\\-dry\\-run (\\-n)\n"},
		{"bold", func(p *roff.Page) { p.Text("a `b-c`.") }, ".PP\na \\fBb\\-c\\fR.\n"},
		{"items", func(p *roff.Page) { p.Item("`k`", "one\n\ntwo"); p.Text("after") }, ".TP\n\\fBk\\fR\none\n.IP\ntwo\n.PP\nafter\n"},
		{"quotes in a heading", func(p *roff.Page) { p.Section(`a "b"`) }, ".SH \"A \\(dqB\\(dq\"\n"},
		{"calls", func(p *roff.Page) { p.Synopsis("`a` b", "`c`") }, "\\fBa\\fR b\n.br\n\\fBc\\fR\n"},
		{"nothing", func(p *roff.Page) { p.Text("\n\n") }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			p := roff.New(&b, roff.Title{Name: "x", Section: 1})
			c.write(p)
			if err := p.Flush(); err != nil {
				t.Fatal(err)
			}
			_, got, _ := strings.Cut(b.String(), ".ad l\n")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// What is written comes out of groff as it went in.
func TestPageIsReadAsItWasWritten(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("there is no groff")
	}
	const literal = `\d+ .exe 'a' "b" -x --y=~/z ^$ {} \(em \fB %d`
	var b bytes.Buffer
	p := roff.New(&b, roff.Title{Name: "x", Section: 1})
	p.Section("s")
	p.Text(literal)
	p.Text("    " + literal)
	p.Item(literal, literal)
	p.Flush()
	cmd := exec.Command(groff, "-man", "-Tascii", "-ww", "-P-cbou", "-rLL=120n")
	cmd.Stdin = &b
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("groff: %v: %s", err, errs.String())
	}
	if n := strings.Count(out.String(), literal); n != 4 {
		t.Errorf("the text is there %d times, want 4:\n%s", n, out.String())
	}
}

func TestFlushReturnsTheError(t *testing.T) {
	p := roff.New(broken{}, roff.Title{Name: "x", Section: 1})
	p.Text(strings.Repeat("text ", 10000))
	if err := p.Flush(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Flush returns %v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, os.ErrClosed }
