package milter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/mta"
)

// docFiles are the texts whose code, links and lines are checked.
func docFiles(t *testing.T) []string {
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(files, "README.md", "CONTRIBUTING.md")
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// goBlocks returns the Go code of a text.
func goBlocks(text string) []string {
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// buildDoc builds a program of a text as if it were in the module.
func buildDoc(t *testing.T, code string) (binary string) {
	t.Helper()
	dir := t.TempDir()
	src, overlay := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json")
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(wd, "docprogram", "main.go"): src}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{src: []byte(code), overlay: list} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary = filepath.Join(dir, "program")
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", binary, "./docprogram").CombinedOutput(); err != nil {
		t.Fatalf("the program does not build: %v\n%s\n%s", err, out, code)
	}
	return binary
}

// Code in the docs is a program that builds, or stands word for word in a file
// that is compiled and tested.
func TestGoCodeInDocs(t *testing.T) {
	var sources []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			b, err := os.ReadFile(path)
			sources = append(sources, unindent(string(b)))
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range docFiles(t) {
	blocks:
		for _, code := range goBlocks(readDoc(t, name)) {
			if strings.HasPrefix(code, "package main\n") {
				buildDoc(t, code)
				continue
			}
			for _, src := range sources {
				if strings.Contains(src, unindent(code)) {
					continue blocks
				}
			}
			t.Errorf("%s: this code stands in no Go file:\n%s", name, code)
		}
	}
}

// unindent takes the blanks before each line away.
func unindent(code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		b.WriteString(strings.TrimLeft(line, " \t"))
	}
	return b.String()
}

func TestReadmeFilterDoesWhatItSays(t *testing.T) {
	code := goBlocks(readDoc(t, "README.md"))[0]
	if n := strings.Count(code, "\n"); n > 30 {
		t.Errorf("the filter has %d lines", n)
	}
	socket := filepath.Join(t.TempDir(), "s")
	spec := "unix:" + socket
	if !strings.Contains(code, "unix:/run/moved/moved.sock") {
		t.Fatal("the filter listens elsewhere")
	}
	filter := exec.Command(buildDoc(t, strings.ReplaceAll(code, "unix:/run/moved/moved.sock", spec)))
	var log bytes.Buffer
	filter.Stderr = &log
	if err := filter.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- filter.Wait() }()
	stop := func() {
		filter.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Error("the filter does not stop at SIGTERM")
		}
	}
	t.Cleanup(func() { filter.Process.Kill() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if time.Now().After(deadline) {
			stop()
			t.Fatalf("the filter does not serve:\n%s", log.String())
		}
	}
	for _, profile := range []mta.Profile{mta.Sendmail, mta.Postfix} {
		client := &mta.Client{Profile: profile, Milters: []mta.Milter{{Address: spec}}, Failure: mta.FailTempFail, QueueID: func() string { return "q" + profile.String() }}
		res, err := client.Send(context.Background(), mta.Mail{
			Conn:  mta.Conn{Name: "client.example", Addr: netip.MustParseAddrPort("192.0.2.1:25")},
			From:  "<a@example.com>",
			Rcpts: []string{"<b@OLD.example.com>", "<c@example.net>"},
			Data:  []byte("Subject: hi\r\n\r\ntext\r\n"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if r := res.Recipients[0].Reply; r == nil || r.Code != 550 || r.Enhanced != "5.1.6" || res.Recipients[1].Reply != nil {
			t.Errorf("%v: recipients = %+v, want the first refused with 550 5.1.6", profile, res.Recipients)
		}
		if got := string(res.Message.Bytes()); res.Verdict != mta.Accept || !strings.Contains(got, "X-Seen-By: moved\r\n") {
			t.Errorf("%v: %v, message %q, want it accepted and marked", profile, res.Verdict, got)
		}
	}
	stop()
	if _, err := os.Stat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the filter leaves its socket behind: %v", err)
	}
	for _, want := range []string{"queue=qsendmail marked=true", "queue=qpostfix marked=true"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, log.String())
		}
	}
}

// The lines to paste in the docs are those that gomilter config prints.
func TestAttachLinesAreThoseOfConfig(t *testing.T) {
	gomilter := buildGomilter(t)
	line := regexp.MustCompile(`^(INPUT_MAIL_FILTER\(|O InputMailFilters=|O Milter\.macros\.|Xgomilter, |(non_)?smtpd_milters = |milter_\w+ = )`)
	for _, c := range []struct{ mta, socket string }{
		{"sendmail", "unix:/run/gomilter/gomilter.sock"}, {"sendmail", "inet:8891@127.0.0.1"}, {"sendmail", "inet6:8891@[::1]"},
		{"postfix", "unix:/var/spool/postfix/gomilter/gomilter.sock"}, {"postfix", "inet:8891@127.0.0.1"}, {"postfix", "inet6:8891@[::1]"},
	} {
		out, err := exec.Command(gomilter, "config", c.mta, "--socket", c.socket).Output()
		if err != nil {
			t.Fatalf("gomilter config %s --socket %s: %v", c.mta, c.socket, err)
		}
		found := 0
		for l := range strings.Lines(string(out)) {
			l = strings.TrimSuffix(l, "\n")
			if strings.HasPrefix(l, "O InputMailFilters") && strings.Contains(l, ",") || !line.MatchString(l) {
				continue
			}
			found++
			if !strings.Contains(readDoc(t, "docs/attach.md"), l+"\n") {
				t.Errorf("docs/attach.md lacks the line of gomilter config %s --socket %s:\n%s", c.mta, c.socket, l)
			}
		}
		if found < 3 {
			t.Errorf("gomilter config %s --socket %s printed %d lines to paste:\n%s", c.mta, c.socket, found, out)
		}
	}
}

// Each example stands in the list of those to begin with.
func TestExamplesInDocs(t *testing.T) {
	doc := readDoc(t, "docs/configuration.md")
	files, err := filepath.Glob("examples/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if !strings.Contains(doc, "| `"+filepath.Base(f)+"` | ") {
			t.Errorf("docs/configuration.md says nothing of %s", f)
		}
	}
}

// The rules on users that docs/filters.md shows do what it says.
func TestUsersAndDomainsInDocs(t *testing.T) {
	_, text, found := strings.Cut(readDoc(t, "docs/filters.md"), "**Users and their domains.**")
	_, text, opened := strings.Cut(text, "```toml\n")
	rules, _, closed := strings.Cut(text, "```\n")
	if !found || !opened || !closed {
		t.Fatal("there are no rules")
	}
	gomilter, dir := buildGomilter(t), t.TempDir()
	conf, mail := filepath.Join(dir, "gomilter.toml"), filepath.Join(dir, "mail.eml")
	for name, content := range map[string]string{
		conf: "[[listener]]\nsocket = \"inet:0@127.0.0.1\"\nchain = [\"access\"]\n[filter.access]\n" + rules,
		mail: "From: a@example.com\nSubject: hi\n\ntext\n",
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ user, from, want string }{
		{"jane", "jane@example.com", "accept"},
		{"jane", "", "accept"},
		{"jane", "jane@shop.example", "reject"},
		{"jane", "jane@example.org", "reject"},
		{"shop", "orders@shop.example", "accept"},
		{"shop", "shop@example.com", "reject"},
		{"shop", "shop@example.org", "reject"},
	} {
		out, err := exec.Command(gomilter, "test", "-c", conf, "--auth", tt.user, "--from="+tt.from, mail).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "mail.eml: "+tt.want+" at ") {
			t.Errorf("%s as %q: %v, want %s\n%s", tt.user, tt.from, err, tt.want, out)
		}
	}
}

// The commands of docs/commands.md print what stands there, numbers aside.
func TestCommandsInDocs(t *testing.T) {
	doc := readDoc(t, "docs/commands.md")
	gomilter, dir := buildGomilter(t), t.TempDir()
	socket := filepath.Join(dir, "s")
	shown := regexp.MustCompile("(?s)In `([a-z.]+)` there is\n\n(.*?)\n(?:\n[^ ]|\x60\x60\x60)").FindAllStringSubmatch(doc, -1)
	if len(shown) < 2 {
		t.Fatalf("the doc shows %d files", len(shown))
	}
	files := map[string]string{}
	for _, m := range shown {
		files[m[1]] = strings.ReplaceAll("\n"+strings.TrimRight(m[2], "\n")+"\n", "\n    ", "\n")[1:]
	}
	// The daemon has its files beside its configuration, and the user that runs the test.
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	const docSocket = "/run/gomilter/gomilter.sock"
	sample := readDoc(t, "examples/sample.toml")
	for _, r := range [][2]string{{docSocket, socket}, {`user = "gomilter"`, `user = "` + me.Username + "\"\nstate_dir = \"state\"\ncontrol = { socket = \"c\" }"}} {
		if !strings.Contains(sample, r[0]) {
			t.Fatalf("examples/sample.toml lacks %q", r[0])
		}
		sample = strings.Replace(sample, r[0], r[1], 1)
	}
	files["sample.toml"] = sample
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	back := strings.NewReplacer(filepath.Join(dir, "state"), "/var/lib/gomilter", socket, docSocket, `"`+me.Username+`"`, `"gomilter"`)
	command := func(args []string) *exec.Cmd {
		for i := range args {
			if !strings.HasPrefix(args[i], "unix:/var/spool") && args[0] != "config" {
				args[i] = strings.ReplaceAll(args[i], docSocket, socket)
			}
		}
		cmd := exec.Command(gomilter, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR=/tmp")
		if args[0] == "serve" && os.Geteuid() == 0 { // the user of the test is root
			cmd.Args = append(cmd.Args, "--allow-root")
		}
		return cmd
	}
	blocks := regexp.MustCompile("(?ms)^```console\n\\$ gomilter (.*?)\n(.*?)^```$").FindAllStringSubmatch(doc, -1)
	if len(blocks) < 8 {
		t.Fatalf("%d commands", len(blocks))
	}
	for _, b := range blocks {
		args, want := strings.Fields(b[1]), b[2]
		var got string
		if cmd := command(args); args[0] == "serve" { // the first one: the others need it
			var buf lockedBuffer
			cmd.Stderr = &buf
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
			for deadline := time.Now().Add(20 * time.Second); !strings.Contains(buf.String(), "serving") && time.Now().Before(deadline); {
				time.Sleep(5 * time.Millisecond)
			}
			got = buf.String()
		} else {
			out, err := cmd.CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
				t.Fatal(err)
			}
			got = string(out)
		}
		got = back.Replace(got)
		want, more := strings.CutSuffix(want, "[…]\n")
		got, want = sameNumbers(got), sameNumbers(want)
		if got != want && !(more && strings.HasPrefix(got, want)) {
			t.Errorf("gomilter %s prints\n%s\nbut the doc has\n%s", b[1], got, want)
		}
	}
}

// sameNumbers makes two runs of a command alike.
func sameNumbers(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	for _, r := range []struct{ re, by string }{
		{`time=\S+`, "time=T"}, {`\b[0-9a-z]{20}\b`, "ORIGINAL"}, {`\(ref \w+\)`, "(ref R)"}, {`\d{4}-\d\d-\d\dT[0-9:.]+Z`, "TIME"}, {`\b(v[0-9.]+|development|unknown), process`, "VERSION, process"}, {`/tmp/[^ /]*`, "/tmp/X"}, {`[0-9A-F]{9,}`, "ID"}, {`\d+(\.\d+)?`, "N"}, {` {2,}`, "  "},
	} {
		s = regexp.MustCompile(r.re).ReplaceAllString(s, r.by)
	}
	return s
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func buildGomilter(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "gomilter")
	if out, err := exec.Command("go", "build", "-o", binary, "./cmd/gomilter").CombinedOutput(); err != nil {
		t.Fatalf("gomilter does not build: %v\n%s", err, out)
	}
	return binary
}

// The tables of docs/write-a-filter.md say what the code says.
func TestTablesOfWriteAFilter(t *testing.T) {
	doc := readDoc(t, "docs/write-a-filter.md")
	row := func(name string) []string {
		m := regexp.MustCompile("(?m)^\\| `" + name + "`.*$").FindString(doc)
		if m == "" {
			t.Errorf("no table tells of %s", name)
		}
		return append(strings.Split(m, " | "), "", "", "", "")
	}

	// Times and limits, with the defaults that the comments of the fields give.
	knobs := 0
	for name, comment := range fieldComments(t, "server.go", "Server") {
		m := regexp.MustCompile(`\b0 means (\d+(?: s| [KM]iB)?)`).FindStringSubmatch(comment)
		if m == nil {
			continue
		}
		knobs++
		if got := row(name)[1]; got != m[1] {
			t.Errorf("%s: the doc's default is %q, the field's comment says %q", name, got, m[1])
		}
	}
	if want := strings.Count(doc, "\n| `Max") + strings.Count(doc, "Timeout` |") + strings.Count(doc, "Interval` |"); knobs != want {
		t.Errorf("%d fields have a default, the table has %d rows", knobs, want)
	}

	// Hooks, with the replies that their types allow.
	replies := typeComments(t, "reply.go")
	for name, typ := range hookReplies(t) {
		got, want := strings.TrimSuffix(row(name)[3], " |"), "–"
		if typ != "" {
			want = regexp.MustCompile(`^An? \w+ is (.*?\*Refusal).*$`).ReplaceAllString(strings.Join(strings.Fields(replies[typ]), " "), "$1")
			want = strings.ReplaceAll(want, "Continue (the same)", "Continue")
		}
		if typ == "*Refusal" {
			want = "a `*Refusal` or nil"
		}
		if name != "Negotiate" && got != want {
			t.Errorf("%s: the doc allows %q, the type %q", name, got, want)
		}
	}

	for _, p := range []milter.FaultPolicy{milter.FaultTempFail, milter.FaultReject, milter.FaultAccept, milter.FaultContinue} {
		row("Fault" + map[milter.FaultPolicy]string{milter.FaultTempFail: "TempFail", milter.FaultReject: "Reject", milter.FaultAccept: "Accept", milter.FaultContinue: "Continue"}[p])
	}
}

func parseFile(t *testing.T, name string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// structFields calls f for each field of a struct.
func structFields(t *testing.T, file, name string, f func(name string, field *ast.Field)) {
	t.Helper()
	ast.Inspect(parseFile(t, file), func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != name {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			for _, n := range field.Names {
				f(n.Name, field)
			}
		}
		return false
	})
}

// fieldComments returns what is said of the fields of a struct.
func fieldComments(t *testing.T, file, name string) map[string]string {
	comments := map[string]string{}
	structFields(t, file, name, func(name string, field *ast.Field) {
		comments[name] = field.Doc.Text() + field.Comment.Text()
	})
	return comments
}

// typeComments returns what is said of the types of a file.
func typeComments(t *testing.T, file string) map[string]string {
	comments := map[string]string{}
	ast.Inspect(parseFile(t, file), func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			comments[spec.Name.Name] = spec.Doc.Text()
		}
		return true
	})
	return comments
}

// hookReplies returns the hooks with the names of their reply types.
func hookReplies(t *testing.T) map[string]string {
	hooks := map[string]string{}
	structFields(t, "hooks.go", "Hooks", func(name string, field *ast.Field) {
		if fn, ok := field.Type.(*ast.FuncType); ok {
			hooks[name] = ""
			if fn.Results != nil {
				hooks[name] = types.ExprString(fn.Results.List[0].Type)
			}
		}
	})
	return hooks
}

// Links in the docs lead somewhere.
func TestLinksInDocs(t *testing.T) {
	for _, name := range docFiles(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`).FindAllStringSubmatch(readDoc(t, name), -1) {
			path, anchor := m[1], m[2]
			if strings.Contains(path, "://") {
				continue
			}
			target := filepath.Join(filepath.Dir(name), path)
			if path == "" {
				target = name
			}
			if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) && target == filepath.FromSlash("docs/mta-differences.md") {
				continue // is being written
			} else if err != nil {
				t.Errorf("%s: link to %s: %v", name, path, err)
			} else if anchor != "" && !anchors(readDoc(t, target))[anchor[1:]] {
				t.Errorf("%s: %s has no heading %s", name, target, anchor)
			}
		}
	}
}

// anchors returns the names that headings get.
func anchors(doc string) map[string]bool {
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(doc, -1) {
		names[strings.ReplaceAll(regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return names
}

// pymilterRows are the row ids that docs/pymilter.md accounts for.
var pymilterRows = []struct {
	prefix string
	n      int
}{
	{"API", 35}, {"OO", 35}, {"TEST", 17}, {"SAMP", 11}, {"PKG", 14},
	{"MIME", 29}, {"MT", 30}, {"UTIL", 20}, {"DYN", 33}, {"ATT", 7}, {"HDR", 12},
	{"CFG", 12}, {"CONF", 73}, {"LOG", 20},
	{"DNS", 10}, {"POL", 12}, {"SPFM", 16}, {"SPF", 14}, {"DKIM", 13}, {"HELO", 7}, {"FROM", 28},
}

func TestPymilterRows(t *testing.T) {
	doc := readDoc(t, "docs/pymilter.md")
	tests, cases := testsByPackage(t), "\n"
	files, err := filepath.Glob("internal/peertest/cases/testdata/*.case")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		cases += readDoc(t, f)
	}
	row := regexp.MustCompile(`(?m)^\| ([A-Z]+-\d\d) \| (.*) \| (.*) \| (.*) \|$`)
	states, seen := map[string]int{}, map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(doc, -1) {
		id, was, state := m[1], m[2], m[4]
		if seen[id] {
			t.Errorf("%s stands there twice", id)
		}
		seen[id] = true
		if was == "" || strings.Contains(m[2]+m[3], " | ") {
			t.Errorf("%s: not four columns", id)
		}
		kind, why, _ := strings.Cut(state, ": ")
		states[kind]++
		named := namedTests(t, id, why, tests)
		namedTests(t, id, m[3], tests)
		switch kind {
		case "built", "bettered":
			if named == 0 {
				t.Errorf("%s: %s, but no test is named", id, kind)
			}
			for _, c := range regexp.MustCompile("`case ([^`]+)`").FindAllStringSubmatch(why, -1) {
				if !strings.Contains(cases, "\n=== "+c[1]+"\n") {
					t.Errorf("%s: there is no case %q", id, c[1])
				}
			}
		case "dropped", "later":
			if why == "" {
				t.Errorf("%s: %s, but not why or to what", id, kind)
			}
		default:
			t.Errorf("%s: state %q", id, state)
		}
	}
	all := 0
	for _, p := range pymilterRows {
		all += p.n
		for i := range p.n {
			if id := fmt.Sprintf("%s-%02d", p.prefix, i+1); !seen[id] {
				t.Errorf("%s is missing", id)
			}
		}
	}
	if len(seen) != all {
		t.Errorf("%d rows, want %d", len(seen), all)
	}
	done := states["built"] + states["bettered"] + states["dropped"]
	want := fmt.Sprintf("Of the %d rows below, %d are done (%d built, %d bettered, %d dropped) and %d belong to later issues.",
		all, done, states["built"], states["bettered"], states["dropped"], states["later"])
	if _, rows, _ := strings.Cut(doc, "\n## Row by row\n"); !strings.Contains(strings.Join(strings.Fields(rows), " "), want) {
		t.Errorf("the count above the rows should be:\n%s", want)
	}
}

func TestPymilterDefects(t *testing.T) {
	_, table, _ := strings.Cut(readDoc(t, "docs/pymilter.md"), "\n## Defects that are not repeated\n")
	tests, last := testsByPackage(t), ""
	rows := regexp.MustCompile(`(?m)^\| (D-\d\d) \| ([^|]+) \| ([^|]+) \|$`).FindAllStringSubmatch(table, -1)
	if n := strings.Count(table, "\n| D-"); len(rows) != n || n == 0 {
		t.Errorf("%d of %d rows have three columns", len(rows), n)
	}
	for _, m := range rows {
		if m[1] <= last {
			t.Errorf("%s stands behind %s", m[1], last)
		}
		last = m[1]
		if namedTests(t, m[1], m[3], tests) == 0 {
			t.Errorf("%s: no test is named", m[1])
		}
	}
	// Each of the twenty is there, or is said to come later.
	for i := range 20 {
		if id := fmt.Sprintf("D-%02d", i+1); !strings.Contains(table, id) {
			t.Errorf("%s is missing", id)
		}
	}
}

// namedTests checks that the tests that a text names exist, and counts them.
func namedTests(t *testing.T, id, text string, tests map[string]map[string]bool) int {
	t.Helper()
	named := regexp.MustCompile("`([A-Za-z]+)\\.((?:Test|Fuzz|Example)\\w*)`").FindAllStringSubmatch(text, -1)
	for _, n := range named {
		if !tests[n[1]][n[2]] {
			t.Errorf("%s: there is no test %s in package %s", id, n[2], n[1])
		}
	}
	return len(named)
}

// testsByPackage returns the names of all tests, whatever their build tags, by
// the last element of their package's path.
func testsByPackage(t *testing.T) map[string]map[string]bool {
	tests := map[string]map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := filepath.Base(filepath.Dir(path))
		if pkg == "." {
			pkg = "milter"
		}
		if tests[pkg] == nil {
			tests[pkg] = map[string]bool{}
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				tests[pkg][fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}
