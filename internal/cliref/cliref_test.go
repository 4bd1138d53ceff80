package cliref_test

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/internal/cliref"
	"github.com/gomilter/gomilter/internal/roff"
)

// The grammar of a small program.
type grammar struct {
	Open struct {
		Config []string `short:"c" placeholder:"FILE" sep:"none" help:"Its configuration. May be repeated."`
		How    string   `enum:"fast,slow" default:"fast" help:"How: [fast] or slow."`
		Dir    string   `placeholder:"DIR" help:"Where."`
		Level  int      `short:"l" placeholder:"N" help:"How far; it's a number."`
		File   string   `arg:"" optional:"" help:"What to open."`
	} `cmd:"" help:"Open it. Carefully."`
	Keep struct {
		Quiet bool `help:"Say nothing."`

		List struct{} `cmd:"" help:"List: all of them."`
		Get  struct {
			Form string `arg:"" enum:"raw,text" help:"In which form."`
		} `cmd:"" help:"Get one."`
	} `cmd:"" help:"What is kept."`
	Secret struct{} `cmd:"" hidden:"" help:"Nobody sees this."`

	Verbose bool `short:"v" help:"Tell more."`
}

func app(t testing.TB) *kong.Application {
	k, err := kong.New(new(grammar), kong.Name("gate"))
	if err != nil {
		t.Fatal(err)
	}
	return k.Model
}

func completion(t *testing.T, write func(b *bytes.Buffer, app *kong.Application) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, app(t)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// bashCases are command lines, the last word of which is to be completed.
var bashCases = []struct {
	name string
	line []string
	want []string
}{
	{"verbs", []string{""}, []string{"keep", "open"}},
	{"the beginning of a verb", []string{"o"}, []string{"open"}},
	{"verbs below", []string{"keep", ""}, []string{"get", "list"}},
	{"flags of a verb", []string{"open", "--"}, []string{"--config", "--dir", "--help", "--how", "--level", "--verbose"}},
	{"flags from above", []string{"keep", "list", "--q"}, []string{"--quiet"}},
	{"flags of the program", []string{"-"}, []string{"--help", "--verbose", "-h", "-v"}},
	{"words of an enum", []string{"open", "--how", ""}, []string{"fast", "slow"}},
	{"words of an enum behind =", []string{"open", "--how", "=", "s"}, []string{"slow"}},
	{"nothing typed behind =", []string{"open", "--how", "="}, []string{"fast", "slow"}},
	{"folders", []string{"open", "--dir", ""}, []string{"folder"}},
	{"files", []string{"open", "-c", "f"}, []string{"file", "folder"}},
	{"files as arguments", []string{"open", "--how", "fast", "fi"}, []string{"file"}},
	{"an enum as argument", []string{"keep", "get", ""}, []string{"raw", "text"}},
	{"a value nobody knows", []string{"open", "--level", ""}, nil},
	{"an unknown verb", []string{"shut", "o"}, []string{"open"}},
	{"hidden verbs", []string{"s"}, nil},
}

func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	script := completion(t, func(b *bytes.Buffer, app *kong.Application) error { return cliref.Bash(b, app) })
	dir := t.TempDir()
	if out, err := exec.Command("sh", "-c", "cd "+dir+" && mkdir folder && touch file").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range bashCases {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(bash, append([]string{"--norc", "-c", script +
				"\nCOMP_WORDS=(gate \"$@\"); COMP_CWORD=$#; _gate; printf '%s\\n' \"${COMPREPLY[@]}\"", "bash"}, c.line...)...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("bash: %v: %s", err, out)
			}
			got := strings.Fields(string(out))
			slices.Sort(got)
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Where the shells are, they read what is made for them.
func TestShellsReadTheirCompletions(t *testing.T) {
	for shell, write := range map[string]func(b *bytes.Buffer, app *kong.Application) error{
		"bash": func(b *bytes.Buffer, app *kong.Application) error { return cliref.Bash(b, app) },
		"zsh":  func(b *bytes.Buffer, app *kong.Application) error { return cliref.Zsh(b, app) },
		"fish": func(b *bytes.Buffer, app *kong.Application) error { return cliref.Fish(b, app) },
	} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip("there is no " + shell)
			}
			cmd := exec.Command(shell, "-n", "/dev/stdin")
			cmd.Stdin = strings.NewReader(completion(t, write))
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestZshCompletion(t *testing.T) {
	got := completion(t, func(b *bytes.Buffer, app *kong.Application) error { return cliref.Zsh(b, app) })
	for _, want := range []string{
		"#compdef gate\n",
		"\t\t'*'{-c+,--config=}'[Its configuration]:FILE:_files' \\\n",
		"\t\t'--how=[How\\: \\[fast\\] or slow]:\"fast\":(fast slow)' \\\n",
		"\t\t'--dir=[Where]:DIR:_files -/' \\\n",
		"\t\t'(-l --level)'{-l+,--level=}'[How far; it'\\''s a number]:N:' \\\n",
		"\t\t'1::file:_files'\n",
		"\t\t'1:form:(raw text)'\n",
		"\t\t\t'list:List\\: all of them'\n",
		"\t\tkeep) _gate_keep ;;\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "secret") {
		t.Error("a hidden verb is offered")
	}
}

func TestFishCompletion(t *testing.T) {
	got := completion(t, func(b *bytes.Buffer, app *kong.Application) error { return cliref.Fish(b, app) })
	for _, want := range []string{
		"complete -c gate -l verbose -s v -d 'Tell more'\n",
		"complete -c gate -n '__gate_at \"\"' -a open -d 'Open it'\n",
		"complete -c gate -n '__gate_at \" open\"' -l config -s c -r -F -d 'Its configuration'\n",
		"complete -c gate -n '__gate_at \" open\"' -l level -s l -x -d 'How far; it\\'s a number'\n",
		"complete -c gate -n '__gate_at \" open\"' -F\n",
		"complete -c gate -n '__gate_at \" keep\"' -a get -d 'Get one'\n",
		"complete -c gate -n '__gate_at \" keep get\"' -a 'raw text'\n",
		"complete -c gate -n '__gate_at \" keep get\"' -l quiet -d 'Say nothing'\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
}

func TestManual(t *testing.T) {
	var b bytes.Buffer
	p := roff.New(&b, roff.Title{Name: "gate", Section: 8})
	p.Section("synopsis")
	p.Synopsis(cliref.Synopsis(app(t))...)
	p.Section("options")
	cliref.Flags(p, app(t))
	p.Section("verbs")
	cliref.Verbs(p, app(t))
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	const want = `.SH "SYNOPSIS"
\fBgate open\fR [flags] [FILE]
.br
\fBgate keep list\fR [flags]
.br
\fBgate keep get\fR [flags] \fBraw\fR|\fBtext\fR
.SH "OPTIONS"
.TP
\fB\-h\fR, \fB\-\-help\fR
Show context-sensitive help.
.TP
\fB\-v\fR, \fB\-\-verbose\fR
Tell more.
.SH "VERBS"
.SS "gate open"
\fBgate open\fR [flags] [FILE]
.PP
Open it. Carefully.
.TP
[FILE]
What to open.
.TP
\fB\-c\fR, \fB\-\-config\fR=FILE
Its configuration. May be repeated.
.TP
\fB\-\-how\fR="fast"
How: [fast] or slow.
.TP
\fB\-\-dir\fR=DIR
Where.
.TP
\fB\-l\fR, \fB\-\-level\fR=N
How far; it's a number.
.SS "gate keep"
What is kept.
.SS "gate keep list"
\fBgate keep list\fR [flags]
.PP
List: all of them.
.TP
\fB\-\-quiet\fR
Say nothing.
.SS "gate keep get"
\fBgate keep get\fR [flags] \fBraw\fR|\fBtext\fR
.PP
Get one.
.TP
\fBraw\fR|\fBtext\fR
In which form.
.TP
\fB\-\-quiet\fR
Say nothing.
`
	_, got, _ := strings.Cut(b.String(), ".ad l\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
