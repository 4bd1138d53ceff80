package dsn

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeTemplate(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestTemplateIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		line       int
		reason     string
	}{
		{"unknown variable in the text", "Subject: a\n\nb\n{{.sneder}}\n", 4, "unknown variable .sneder"},
		{"unknown variable in the subject", "Reply-To: a@example.com\nSubject: {{.sneder}}\n\nb\n", 2, "unknown variable .sneder"},
		{"unknown variable in a branch never taken", "Subject: a\n\n{{if eq .sender \"never\"}}\n{{.x}}{{end}}\n", 4, "unknown variable .x"},
		{"unknown variable in the else of a with", "Subject: a\n\nb{{with .sender}}c{{else}}\n{{printf \"%s\" (print .y)}}{{end}}\n", 4, "unknown variable .y"},
		{"unknown variable behind a dollar", "Subject: a\n\n{{range .rcpts}}\n{{$.zz}}{{end}}b\n", 4, "unknown variable .zz"},
		{"unknown variable in a definition", "Subject: a\n\nb{{define \"d\"}}\n\n{{.q}}{{end}}\n", 5, "unknown variable .q"},
		{"a field of a text", "Subject: a\n\n\n{{range .rcpts}}{{.sender}}{{end}}b\n", 4, "can't evaluate field"},
		{"an unknown function", "Subject: a\n\n{{shell .sender}}\n", 3, `function "shell" not defined`},
		{"an action without end", "Subject: a\n\nb\n\n{{if .sender}}\n", 6, "unexpected EOF"},
		{"the old form", "Subject: a\n\nDear %(sender)s,\n", 3, "write {{.sender}}"},
		{"no subject", "From: a@example.com\n\nb\n", 0, "no Subject"},
		{"two subjects", "Subject: a\nsubject: b\n\nb\n", 2, "a second Subject"},
		{"a field of the composer", "Subject: a\nBcc: b@example.com\n\nb\n", 2, `field "Bcc"`},
		{"a line that is no field", "Subject: a\nhello\n\nb\n", 2, "no header field"},
		{"no empty line", "Subject: a\n", 0, "no empty line"},
		{"no text", "Subject: a\n\n \n", 0, "no text"},
		{"a From of two", "Subject: a\nFrom: a@example.com, b@example.com\n\nb\n", 0, "not one address"},
		{"a From without domain", "Subject: a\nFrom: postmaster\n\nb\n", 0, "not one address"},
		{"no UTF-8", "Subject: a\n\nb\n\xff\n", 4, "no UTF-8"},
		{"a text without end", "Subject: a\n\n{{range 1000000000}}xxxxxxxxxxx{{end}}\n", 0, "too long"},
		{"a large file", "Subject: a\n\n" + strings.Repeat("x", maxTemplate), 0, "larger than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeTemplate(t, dir, "bad", tt.text)
			_, err := LoadTemplates(dir)
			e, ok := errors.AsType[*TemplateError](err)
			if !ok || e.File != filepath.Join(dir, "bad.txt") || e.Line != tt.line || !strings.Contains(e.Reason, tt.reason) {
				t.Errorf("LoadTemplates() error %v (%+v), want line %d, %q", err, e, tt.line, tt.reason)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error in several lines: %q", err)
			}
		})
	}
}

func TestDirectoryOverridesTemplates(t *testing.T) {
	dir := t.TempDir()
	writeTemplate(t, dir, "fail", "Subject: ours\r\n\r\nDear {{.sender}},\r\n")
	writeTemplate(t, dir, "own-1", "subject: own\n of two lines\n\n{{.rcpt}}\n")
	for name, text := range map[string]string{"README": "no template", ".hidden.txt": "no template"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	templates, err := LoadTemplates(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(templates.Names(), " "); got != "fail heloerror internal neutral own-1 permerror quarantine softfail strike3 temperror" {
		t.Errorf("names %q", got)
	}
	for name, want := range map[string]rendered{"fail": {subject: "ours", text: "Dear sender.example,\n"}, "own-1": {subject: "own of two lines", text: "jane@example.com\n\tjoe@example.com\n"}} {
		if got, err := templates.m[name].render(sampleVars(), maxTemplate); err != nil || *got != want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
	builtin, _ := BuiltinTemplates().Text("neutral")
	if got, ok := templates.Text("neutral"); !ok || got != builtin {
		t.Errorf("neutral is %q", got)
	}
	if _, ok := templates.Text("nothing"); ok {
		t.Error("a template of no name")
	}
}

func TestDirectoryThatCannotBeRead(t *testing.T) {
	if _, err := LoadTemplates(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a.txt"), 0o777); err != nil {
		t.Fatal(err)
	}
	writeTemplate(t, dir, "Upper", "Subject: a\n\nb\n")
	_, err := LoadTemplates(dir)
	if err == nil || !strings.Contains(err.Error(), "no regular file") || !strings.Contains(err.Error(), "lower-case") {
		t.Errorf("error %v", err)
	}
}

func TestTextIsBounded(t *testing.T) {
	c := fixed()
	c.MaxText = 100
	if _, err := c.Compose(notice()); err == nil || err.Error() != "dsn: softfail.txt: the text is too long" {
		t.Errorf("error %v", err)
	}
}

func TestTemplateThatFailsWithTheseVariables(t *testing.T) {
	dir := t.TempDir()
	writeTemplate(t, dir, "fail", "Subject: a\n\n{{if eq .result \"odd\"}}\n{{index .rcpts 7}}{{end}}b\n")
	templates, err := LoadTemplates(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, n := fixed(), notice()
	c.Templates, n.Template, n.Vars.Result = templates, "fail", "odd"
	_, err = c.Compose(n)
	if e, ok := errors.AsType[*TemplateError](err); !ok || e.File != filepath.Join(dir, "fail.txt") || e.Line != 4 || !strings.Contains(e.Reason, "out of range") || strings.Contains(e.Reason, dir) {
		t.Errorf("error %v", err)
	}
}

func TestListOfRecipientsInTextIsBounded(t *testing.T) {
	n := notice()
	for range 100 {
		n.Recipients = append(n.Recipients, n.Recipients[0])
	}
	_, bodies := parts(t, compose(t, fixed(), n))
	if strings.Count(bodies[0], "joe@") != 50 || !strings.Contains(bodies[0], "\tand 51 more") || strings.Count(bodies[1], "Final-Recipient") != 101 {
		t.Errorf("%s\n%s", bodies[0], bodies[1])
	}
}

func TestBuiltinTemplatesUseTheOldVariables(t *testing.T) {
	var all strings.Builder
	for _, name := range BuiltinTemplates().Names() {
		s, _ := BuiltinTemplates().Text(name)
		all.WriteString(s)
	}
	for _, v := range []string{"sender", "receiver", "subject", "spf_result", "heloname", "connectip", "sender_domain", "result", "perm_error"} {
		if !strings.Contains(all.String(), "{{."+v+"}}") {
			t.Errorf("no template tells %s", v)
		}
	}
	if _, ok := sampleVars()["rcpt"]; !ok {
		t.Error("no rcpt")
	}
}
