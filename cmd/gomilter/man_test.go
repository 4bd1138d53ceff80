package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// page returns a page of the manual as roff.
func page(t *testing.T, name string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run([]string{"man", "--date", "2026-01-02", name}, stdio{nil, &out, &errs}); code != 0 {
		t.Fatalf("man: exit code %d: %s", code, errs.String())
	}
	return out.String()
}

// What the tools that format and check manuals find wrong with ours: nothing.
func TestManualPagesAreClean(t *testing.T) {
	for _, name := range []string{"gomilter", "gomilter.toml"} {
		for _, tool := range [][]string{
			{"groff", "-man", "-Tutf8", "-ww", "-Kutf8"},
			{"mandoc", "-T", "lint", "-W", "warning"},
		} {
			t.Run(name+" "+tool[0], func(t *testing.T) {
				if _, err := exec.LookPath(tool[0]); err != nil {
					t.Skip("there is no " + tool[0])
				}
				cmd := exec.Command(tool[0], tool[1:]...)
				cmd.Stdin = strings.NewReader(page(t, name))
				var errs bytes.Buffer
				cmd.Stderr = &errs
				out, err := cmd.Output()
				if tool[0] == "mandoc" {
					errs.Write(out)
				}
				if err != nil || errs.Len() > 0 {
					t.Errorf("%v: %s", err, errs.String())
				}
			})
		}
	}
}

func TestManualNamesAllThereIs(t *testing.T) {
	parser := kong.Must(new(cli), kong.Name("gomilter"))
	text := page(t, "gomilter")
	for _, leaf := range parser.Model.Leaves(true) {
		if want := "\n.SS \"" + leaf.FullPath() + "\"\n"; !strings.Contains(text, want) {
			t.Errorf("the manual has no %q", want)
		}
		for _, group := range leaf.AllFlags(true) {
			for _, f := range group {
				if want := `\fB\-\-` + strings.ReplaceAll(f.Name, "-", `\-`) + `\fR`; !strings.Contains(text, want) {
					t.Errorf("the manual has no %q", want)
				}
			}
		}
	}
	if strings.Contains(text, "gomilter man") {
		t.Error("the manual has the verb that prints it")
	}
	if head := `.TH "GOMILTER" "8" "2026-01-02" "gomilter `; !strings.HasPrefix(text, head) {
		t.Errorf("the manual begins %.60q, want %q", text, head)
	}
}

// The exit codes that the manual lists are those that there are.
func TestManualNamesTheExitCodes(t *testing.T) {
	_, list, _ := strings.Cut(page(t, "gomilter"), `.SH "EXIT STATUS"`)
	list, _, _ = strings.Cut(list, ".SH")
	var got []string
	for _, m := range regexp.MustCompile(`\\fB(\d+)\\fR`).FindAllStringSubmatch(list, -1) {
		got = append(got, m[1])
	}
	source, err := os.ReadFile("exit.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^\texit\w+ += (\d+)`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, m[1])
	}
	if len(want) < 5 || !slices.Equal(got, want) {
		t.Errorf("the manual lists the exit codes %v, want %v", got, want)
	}
}

func TestManualOfTheConfigurationNamesItsKeys(t *testing.T) {
	text := page(t, "gomilter.toml")
	for _, want := range []string{`\fBstate_dir\fR`, `.SS "[[listener]]"`, `\fBon_fault\fR`, `.SS "[filter.NAME] of kind attachments"`,
		`\fBarchives.unpacked\fR`, `default: \fB"1 GiB"\fR`} {
		if !strings.Contains(text, want) {
			t.Errorf("the manual has no %q", want)
		}
	}
}
