//go:build peers

package milter_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/peertest"
)

// What an admin types by the README's first section, on a machine with Postfix and
// on one with Sendmail: the commands are run as they stand there, and print what
// stands there, numbers and names aside.
func TestTenMinutesOfTheReadme(t *testing.T) {
	_, section, _ := strings.Cut(readDoc(t, "README.md"), "\n## From nothing to a filter in ten minutes\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			a := newAdmin(t, kind)
			for _, b := range regexp.MustCompile("(?ms)^```(console|text)\n(.*?)^```$").FindAllStringSubmatch(section, -1) {
				other := map[peertest.Kind]string{peertest.Sendmail: "postfix", peertest.Postfix: "sendmail"}[kind]
				switch {
				case strings.Contains(b[2], other):
				case b[1] == "text":
					a.wantLog(t, b[2])
				default:
					for _, step := range regexp.MustCompile(`(?m)^# `).Split(b[2], -1)[1:] {
						command, want, _ := strings.Cut(step, "\n")
						a.step(t, command, want)
					}
				}
			}
			a.wantAll(t)
		})
	}
}

// An admin types commands. The paths and ports of the README are others in the test.
type admin struct {
	mta  *peertest.MTA
	dir  string
	here *strings.Replacer // from the README's names to those of the test
	back *strings.Replacer

	root      string // below which it is installed
	port, web string // of the milter, and for metrics
	serve     *serveProcess
	since     int      // bytes of the log that were there before the last mail
	ids       []string // queue ids of mails that the filter saw
	refs      []string // of originals, as the README has them and as they are, in turn

	attached bool
	seen     map[string]int // what happened, by what it shows
	sent     string         // what swaks sent as the message
}

func newAdmin(t *testing.T, kind peertest.Kind) *admin {
	for _, program := range []string{"bash", "curl", "make", "swaks"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("the README's commands need %s: %v", program, err)
		}
	}
	a := &admin{mta: peertest.Start(t, kind, peertest.Config{}), dir: peertest.Dir(t), seen: map[string]int{}}
	a.root = filepath.Join(a.dir, "root")
	port, web := strconv.Itoa(peertest.FreePort(t)), strconv.Itoa(peertest.FreePort(t))
	a.port, a.web = port, web
	main := filepath.Join(a.mta.ConfigPath(), "main.cf")
	names := []string{
		"/etc/gomilter/", a.root + "/etc/gomilter/",
		"/etc/postfix/main.cf", main, "/etc/mail/sendmail.cf", a.mta.ConfigPath(),
		"127.0.0.1:9109", "127.0.0.1:" + web, "8891", port, "--server 127.0.0.1", "--server " + a.mta.Addr,
		"/var/lib/gomilter", a.dir + "/state", "root@localhost", "rcpt@example.net",
	}
	a.here = strings.NewReplacer(names...)
	for i := 0; i < len(names); i += 2 {
		names[i], names[i+1] = names[i+1], names[i]
	}
	a.back = strings.NewReplacer(append(names, a.mta.Addr+"/inet", "smtp/inet", "sendmail.cf", "/etc/mail/sendmail.cf")...)

	return a
}

func (a *admin) program() string { return filepath.Join(a.root, "usr/local/bin/gomilter") }
func (a *admin) config() string  { return filepath.Join(a.root, "etc/gomilter/gomilter.toml") }

// install installs below a.root. The configuration gets the ports of the test, its
// user, who may read it, and folders of his.
func (a *admin) install(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", "install", "DESTDIR="+a.root, "OUT="+filepath.Join(a.dir, "out"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make install: %v\n%s", err, out)
	}
	b, err := os.ReadFile(a.config())
	if err != nil {
		t.Fatal(err)
	}
	conf := string(b)
	for _, r := range [][2]string{
		{`user = "gomilter"`, `user = "peerpost"` + "\nstate_dir = \"" + a.dir + "/state\"\ncontrol = { socket = \"" + a.dir + "/run/control.sock\" }"},
		{"127.0.0.1:9109", "127.0.0.1:" + a.web}, {"inet:8891@", "inet:" + a.port + "@"},
	} {
		if !strings.Contains(conf, r[0]) {
			t.Fatalf("%s lacks %q", a.config(), r[0])
		}
		conf = strings.Replace(conf, r[0], r[1], 1)
	}
	if err := os.WriteFile(a.config(), []byte(conf), 0o640); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chgrp", "peerpost", a.config()).CombinedOutput(); err != nil { // as without DESTDIR
		t.Fatalf("chgrp: %v\n%s", err, out)
	}
	a.seen["installed"]++
}

// step runs a command and compares what it prints.
func (a *admin) step(t *testing.T, command, want string) {
	t.Helper()
	var got string
	switch {
	case strings.HasSuffix(command, " && make install"): // of what is here, not of a clone
		a.install(t)
	case command == "gomilter serve":
		got = a.start(t)
	case command == "postfix reload", command == "systemctl restart sendmail":
		a.reloadMTA(t)
	case strings.HasPrefix(command, "swaks "):
		got = a.swaks(t, command)
	default:
		got = a.shell(t, command)
	}
	if exact := strings.HasPrefix(command, "curl "); !like(a.back.Replace(got), want) || exact && got != want {
		t.Errorf("# %s\nprints\n%s\nbut the README has\n%s", command, a.back.Replace(got), want)
	}
	switch {
	case command == "gomilter ctl drain":
		a.stopped(t)
	case strings.HasPrefix(command, "gomilter kept list"):
		a.refs = slices.Concat(references(want), references(got))
		if len(a.refs) != 2 {
			t.Fatalf("kept list prints %q and the README has %q, want one reference each", got, want)
		}
		a.seen["kept"]++
	case strings.HasPrefix(command, "gomilter kept get"):
		a.wantOriginal(t)
	}
}

func references(s string) []string {
	return regexp.MustCompile(`\b[0-9a-z]{20}\b`).FindAllString(s, -1)
}

// shell runs a command as it stands in the README but for names.
func (a *admin) shell(t *testing.T, command string) string {
	t.Helper()
	command = a.here.Replace(command)
	command = regexp.MustCompile(`\bgomilter (check|(?:ctl|kept|doctor|config) \w+)`).ReplaceAllString(command, "$0 -c "+a.config())
	if a.mta.Kind == peertest.Postfix {
		command = strings.ReplaceAll(command, "doctor postfix", "doctor postfix --config-dir "+a.mta.ConfigPath()+" --postconf "+a.mta.ConfigProgram())
	} else {
		command = strings.ReplaceAll(command, "doctor sendmail", "doctor sendmail --cf "+a.mta.ConfigPath()+" --sendmail "+a.mta.ConfigProgram())
	}
	if len(a.refs) == 2 {
		command = strings.ReplaceAll(command, a.refs[0], a.refs[1])
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/bash", "-c", command)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(a.program())+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil || strings.Contains(string(out), "command not found") {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// start starts the daemon and returns what it logs until it serves.
func (a *admin) start(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(a.program(), "serve", "-c", a.config())
	cmd.Dir = a.dir
	a.serve = startServe(t, cmd)
	a.since = 0
	return a.serve.log()
}

// stopped waits until the daemon has ended, and sees that it did so without a complaint.
func (a *admin) stopped(t *testing.T) {
	t.Helper()
	a.serve.wait(t)
	if strings.Contains(a.serve.log(), "level=ERROR") || strings.Contains(a.serve.log(), "level=WARN") {
		t.Errorf("the log has complaints:\n%s", a.serve.log())
	}
	a.serve = nil
	a.seen["stopped"]++
}

func (a *admin) reloadMTA(t *testing.T) {
	t.Helper()
	file := a.mta.ConfigPath()
	if a.mta.Kind == peertest.Postfix {
		file = filepath.Join(file, "main.cf")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Minute) // Postfix waits for two seconds after a change
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	a.attached = bytes.Contains(b, []byte("# BEGIN gomilter\n"))
	a.mta.Reload(t)
}

// swaks sends a mail, and sees what becomes of it.
func (a *admin) swaks(t *testing.T, command string) string {
	t.Helper()
	before := a.accepted(t)
	if a.serve != nil {
		a.since = len(a.serve.log())
	}
	out := a.shell(t, command)
	a.sent = ""
	for l := range strings.Lines(out) {
		if data, ok := strings.CutPrefix(l, " -> "); ok {
			a.sent += strings.TrimRight(data, "\r\n") + "\r\n"
		}
	}
	_, a.sent, _ = strings.Cut(a.sent, "\r\nDATA\r\n")
	a.sent, _, _ = strings.Cut(a.sent, "\r\n.\r\n")
	a.sent += "\r\n"

	id := regexp.MustCompile(`(?m)^<-  250 2\.0\.0 (?:Ok: queued as )?(\w{9,})`).FindStringSubmatch(out)
	switch {
	case a.attached && a.serve == nil:
		if id != nil || !strings.Contains(out, "<** 451 4.") {
			t.Errorf("with the filter away swaks prints\n%s\nwant a 451", out)
		}
		a.seen["deferred"]++
		return out
	case id == nil:
		t.Fatalf("the mail is not accepted:\n%s", out)
	}
	got := string(a.mta.Sink.Next(t).Data)
	trace := regexp.MustCompile(`^(?:Received:.*\r\n(?:[ \t].*\r\n)*)+`).FindString(got)
	if !strings.Contains(trace, id[1]) {
		t.Errorf("the mail that was delivered is not %s:\n%s", id[1], got)
	}
	got = strings.TrimPrefix(got, trace)
	if !a.attached {
		a.seen["detached"]++
		if got != a.sent {
			t.Errorf("without the filter\n%q\nwas delivered as\n%q", a.sent, got)
		}
		return out
	}
	if line := a.serve.waitLog(t, a.since, id[1]+": "); !strings.Contains(line, "verdict=accept") {
		t.Errorf("the log says %s", line)
	}
	after := a.accepted(t)
	for deadline := time.Now().Add(10 * time.Second); after == before && time.Now().Before(deadline); after = a.accepted(t) {
		time.Sleep(5 * time.Millisecond) // it is counted after it was logged
	}
	if after != before+1 {
		t.Errorf("%v accepted messages are counted before, %v after", before, after)
	}
	switch {
	case !strings.Contains(command, "--attach "), got == a.sent:
		a.seen["unchanged"]++
		if got != a.sent {
			t.Errorf("in report mode\n%q\nwas delivered as\n%q", a.sent, got)
		}
	default:
		a.seen["defanged"]++
		a.wantDefanged(t, got)
	}
	return out
}

// wantDefanged wants the last part of the message that was sent to be another in
// the one that was delivered, and all other bytes the same.
func (a *admin) wantDefanged(t *testing.T, got string) {
	t.Helper()
	boundary := regexp.MustCompile(`boundary="([^"]+)"`).FindStringSubmatch(a.sent)
	if boundary == nil {
		t.Fatalf("no multipart was sent:\n%s", a.sent)
	}
	sent, delivered := strings.Split(a.sent, "--"+boundary[1]), strings.Split(got, "--"+boundary[1])
	if len(sent) != 4 || len(delivered) != 4 {
		t.Fatalf("%d pieces were sent, %d delivered:\n%s", len(sent), len(delivered), got)
	}
	for _, i := range []int{0, 1, 3} {
		if sent[i] != delivered[i] {
			t.Errorf("piece %d was sent as\n%q\nand delivered as\n%q", i, sent[i], delivered[i])
		}
	}
	if strings.Contains(delivered[2], `name="`) && strings.Contains(delivered[2], `.exe"`) || !strings.Contains(delivered[2], "Content-Type: text/plain") {
		t.Errorf("the program was delivered as\n%s", delivered[2])
	}
	a.seen["ref "+strings.Join(references(delivered[2]), " ")]++
}

// wantOriginal wants the file that "gomilter kept get" wrote to be what swaks sent.
func (a *admin) wantOriginal(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(a.dir, "original.eml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(b), a.sent) {
		t.Errorf("the original is\n%q\nwant\n%q", b, a.sent)
	}
	if a.seen["ref "+a.refs[1]] != 1 {
		t.Errorf("the text in place of the program does not name the reference %s", a.refs[1])
	}
	a.seen["original"]++
}

// accepted returns how many accepted messages the metrics count.
func (a *admin) accepted(t *testing.T) float64 {
	t.Helper()
	if a.serve == nil {
		return 0
	}
	resp, err := http.Get("http://127.0.0.1:" + a.web + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^gomilter_messages_total\{.*verdict="accept".*\} (\S+)$`).FindAllSubmatch(b, -1)
	if found == nil {
		t.Fatalf("no such metric:\n%s", b)
	}
	sum := 0.0
	for _, m := range found {
		n, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// wantLog wants lines like these in the log since the last mail.
func (a *admin) wantLog(t *testing.T, want string) {
	t.Helper()
	a.seen["log line"]++
	if got := a.back.Replace(a.serve.log()[a.since:]); !like(got, "[…]\n"+want+"[…]\n") {
		t.Errorf("the log has\n%s\nbut the README has\n%s", got, want)
	}
}

// wantAll wants that the README showed all it promises.
func (a *admin) wantAll(t *testing.T) {
	t.Helper()
	for _, what := range []string{"installed", "unchanged", "log line", "defanged", "kept", "original", "deferred", "stopped", "detached"} {
		if a.seen[what] == 0 {
			t.Errorf("nothing in the README shows %q", what)
		}
	}
}

// like reports whether got is what a text shows: numbers and names of one run are
// any, and "[…]" is anything.
func like(got, want string) bool {
	normal := func(s string) string {
		s = regexp.MustCompile(`\b[0-9a-z]{20}\b`).ReplaceAllString(s, "REFERENCE")
		s = regexp.MustCompile(`\b(conn|ref|client|helo|dir)=("[^"]*"|\S+)`).ReplaceAllString(s, "$1=X")
		s = regexp.MustCompile(`(?m)^[0-9A-Za-z]{9,}: time=`).ReplaceAllString(s, "QUEUE: time=")
		return sameNumbers(s)
	}
	var re strings.Builder
	re.WriteString(`(?s)^`)
	for i, piece := range strings.Split(normal(want), "[…]") {
		if i > 0 {
			re.WriteString(`.*`)
			piece = strings.TrimPrefix(piece, "\n")
		}
		re.WriteString(regexp.QuoteMeta(piece))
	}
	return regexp.MustCompile(re.String() + `\s*$`).MatchString(normal(got))
}
