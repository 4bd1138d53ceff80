package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const conf = `
[[listener]]
socket = "unix:/nonexistent/s.sock"
chain = ["headers", "attachments", "html"]

[filter.attachments]
[filter.html]
[filter.headers]

[[filter.headers.rule]]
name = "shouting"
fields = ["Subject"]
match = "regexp"
values = ['FREE']
action = "reject"
text = "no shouting"

[[filter.headers.rule]]
name = "tagging"
fields = ["Subject"]
match = "contains"
values = ["tag"]
action = "add"
edit = { name = "X-Tag", value = "yes" }
`

// parse reads a configuration with one listener.
func parse(t testing.TB, text string) (*config.Config, *config.Listener) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gomilter.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	c, problems := src.Parse()
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return c, &c.Listeners[0]
}

// tester returns a Tester whose scratch folder is to be gone when the test is over.
func tester(t testing.TB, text string, o Options) *Tester {
	t.Helper()
	c, l := parse(t, text)
	o.Dir = t.TempDir()
	ts, err := New(c, l, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ts.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(o.Dir); len(left) > 0 || err != nil {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	return ts
}

// run tests messages from standard input, as a mailbox.
func run(t testing.TB, ts *Tester, f Format, stdin string, done func(*Result) error) error {
	t.Helper()
	return ts.Run(t.Context(), strings.NewReader(stdin), Find(f, "-"), done)
}

// one tests one message.
func one(t testing.TB, ts *Tester, msg string) (res *Result) {
	t.Helper()
	err := run(t, ts, None, msg, func(r *Result) error { res = r; return nil })
	if err != nil || res == nil || res.Err != nil {
		t.Fatalf("result %+v, %v", res, err)
	}
	return res
}

const exe = "Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: text/plain; name=a.exe\n\nMZ\n--b--\n"

func TestDelivered(t *testing.T) {
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	for _, tt := range []struct {
		name, in, want, diff string
		profile              mta.Profile
	}{
		{"untouched", "Subject: x\n\nbody\n", "Subject: x\n\nbody\n", "", mta.Postfix},
		{"untouched, CRLF", "Subject: x\r\n\r\nbody\r\n", "Subject: x\r\n\r\nbody\r\n", "", mta.Postfix},
		{"untouched, both", "Subject: x\r\n\nbody\n.\r\n", "Subject: x\r\n\nbody\n.\r\n", "", mta.Postfix},
		{"untouched, no line end", "Subject: x\n\nbody", "Subject: x\n\nbody", "", mta.Sendmail},
		{"untouched, no header", "\nbody\n", "\nbody\n", "", mta.Sendmail},
		{"untouched by filters", "Return-Path: <a@b>\nBcc: c@d\nSubject: x\n\nbody\n", "Subject: x\n\nbody\n", "", mta.Postfix},
		{"as Sendmail has it", "Return-Path: <a@b>\nX: y\nSubject: x\n\nbody\n", "X: y\nSubject: x\n\nbody\n", "", mta.Sendmail},
		{"refused", "Subject: FREE\r\n\nbody", "Subject: FREE\r\n\nbody", "", mta.Postfix},
		{"changed", "Subject: tag\n\nbody\n", "Subject: tag\nX-Tag: yes\n\nbody\n", "--- -\n+++ delivered\n@@ -1,3 +1,4 @@\n Subject: tag\n+X-Tag: yes\n \n body\n", mta.Postfix},
		{"changed, CRLF", crlf("Subject: tag\n\nbody\n"), crlf("Subject: tag\nX-Tag: yes\n\nbody\n"), "--- -\n+++ delivered\n@@ -1,3 +1,4 @@\n Subject: tag\n+X-Tag: yes\n \n body\n", mta.Sendmail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ts := tester(t, conf, Options{Profile: tt.profile, Deliver: true, Workers: 1})
			r := one(t, ts, tt.in)
			if string(r.Delivered) != tt.want {
				t.Errorf("delivered %q, want %q", r.Delivered, tt.want)
			}
			if got := r.Diff(); got != tt.diff {
				t.Errorf("diff %q, want %q", got, tt.diff)
			}
		})
	}
}

// The explanation is that of the message, with clock and reference of the test.
func TestExplained(t *testing.T) {
	at := time.Date(2020, 2, 29, 1, 2, 3, 0, time.UTC)
	ts := tester(t, conf, Options{Now: func() time.Time { return at }, Macros: map[string]string{"auth_authen": "ann"}})
	r := one(t, ts, "Subject: FREE\n\n")
	if r.Explanation == nil || !r.Explanation.Time.Equal(at) || r.Explanation.Class != filter.Authenticated {
		t.Fatalf("explanation %v", r.Explanation)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	filters := got["filters"].([]any)
	delete(filters[0].(map[string]any), "ms")
	if why, _ := filters[0].(map[string]any)["why"].(string); !strings.HasPrefix(why, `rule shouting on Subject "FREE"`) {
		t.Errorf("why is %q", why)
	}
	delete(filters[0].(map[string]any), "why")
	want := map[string]any{
		"file": "-", "verdict": "reject", "stage": "end", "quarantine": nil, "edits": []any{}, "class": "authenticated", "time": "2020-02-29T01:02:03Z",
		"reply":      map[string]any{"code": 550.0, "enhanced": "5.7.1", "text": []any{"no shouting (ref test)"}},
		"recipients": []any{map[string]any{"address": "rcpt@example.com", "reply": nil}},
		"envelope":   map[string]any{"from": "sender@example.com", "rcpts": []any{"rcpt@example.com"}},
		"filters": []any{map[string]any{"name": "headers", "stage": "end", "decision": "reject",
			"reply": map[string]any{"code": 550.0, "enhanced": "5.7.1", "text": []any{"no shouting"}}}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("JSON (-want +got):\n%s", d)
	}
}

// The explanation of a message whose recipients are all refused comes when the client
// has gone.
func TestExplainedAfterTheEnd(t *testing.T) {
	ts := tester(t, strings.NewReplacer(`fields = ["Subject"]`, "", `match = "regexp"`, "match = \"regexp\"\npart = \"recipient\"").Replace(conf[:strings.Index(conf, "[[filter.headers.rule]]\nname = \"tagging")]),
		Options{Envelope: Envelope{Rcpts: []string{"<FREE@example.com>"}}, Workers: 1})
	for range 50 {
		r := one(t, ts, "Subject: x\n\n")
		if r.Result.Stage != "rcpt" || r.Explanation == nil || len(r.Explanation.Filters) != 1 || r.Explanation.Filters[0].Stage != "rcpt" {
			t.Fatalf("%s at %s, explanation %v", r.Result.Verdict, r.Result.Stage, r.Explanation)
		}
	}
}

func TestResultsAreInOrder(t *testing.T) {
	ts := tester(t, conf, Options{Workers: 8})
	var box strings.Builder
	for i := range 300 {
		fmt.Fprintf(&box, "From a\nSubject: %d\n\n%s\n\n", i, strings.Repeat("x\n", i%7*1000))
	}
	n := 0
	err := run(t, ts, Auto, box.String(), func(r *Result) error {
		if n++; r.File != fmt.Sprintf("-#%d", n) || r.Result.Verdict != mta.Accept || !bytes.Contains(r.Data, fmt.Appendf(nil, "Subject: %d\n", n-1)) {
			t.Errorf("result %d is %s, %v", n, r.File, r.Result.Verdict)
		}
		return nil
	})
	if n != 300 || err != nil || ts.room.free != ts.o.MaxMemory {
		t.Errorf("%d results, %d bytes free, %v", n, ts.room.free, err)
	}
}

// What one message leaves behind decides about no other, and nothing piles up.
func TestMessagesAreIndependent(t *testing.T) {
	ts := tester(t, strings.Replace(conf, "[filter.html]", "[kept]\nmax_messages = 2\n[filter.html]", 1), Options{Workers: 1})
	n := 0
	err := run(t, ts, Auto, strings.Repeat("From a\n"+exe+"\n", 5), func(r *Result) error {
		n++
		if r.Result.Verdict != mta.Accept || len(r.Result.Edits) != 1 || r.Explanation.Kept == "" {
			t.Errorf("message %d: %s, %v", n, r.Result.Verdict, r.Explanation)
		}
		return nil
	})
	if n != 5 || err != nil {
		t.Errorf("%d results, %v", n, err)
	}
	if u := ts.workers[0].store.Used(); u.Entries != 0 {
		t.Errorf("%d originals stay", u.Entries)
	}
}

func TestNothingIsKeptWhereTheConfigurationKeepsNothing(t *testing.T) {
	ts := tester(t, "[kept]\nenabled = false\n[[listener]]\nsocket = \"unix:/x\"\nchain = [\"headers\"]\n"+conf[strings.Index(conf, "[filter.headers]"):], Options{Workers: 1})
	if r := one(t, ts, "Subject: tag\n\n"); ts.workers[0].store != nil || len(r.Result.Edits) == 0 {
		t.Errorf("store %v, edits %v", ts.workers[0].store, r.Result.Edits)
	}
}

func TestHeaderTooLarge(t *testing.T) {
	ts := tester(t, conf, Options{Workers: 1})
	for _, tt := range []struct {
		size int
		err  error
		code int
	}{{1000, nil, 0}, {maxHeader - 100, nil, 552}, {maxHeader + 100, ErrHeader, 0}} {
		err := run(t, ts, None, strings.Repeat("A: b\n", tt.size/5)+"\nbody\n", func(r *Result) error {
			if r.Err != tt.err {
				t.Errorf("header of %d bytes: error %v, want %v", tt.size, r.Err, tt.err)
			} else if r.Err == nil && tt.code != 0 && (r.Result.Reply == nil || r.Result.Reply.Code != tt.code) {
				t.Errorf("header of %d bytes: %s, %v, want %d", tt.size, r.Result.Verdict, r.Result.Reply, tt.code)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	ts := tester(t, conf, Options{Workers: 1, MaxSize: 1000, MaxMemory: 1})
	var got []error
	err := run(t, ts, Auto, "From a\nA: b\n\n"+strings.Repeat("x", 1000)+"\n\nFrom b\nA: b\n", func(r *Result) error {
		got = append(got, r.Err)
		return nil
	})
	if err != nil || len(got) != 2 || got[0] != ErrTooLarge || got[1] != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// The first error of done ends the run, also where there is no end of messages.
func TestDoneEndsTheRun(t *testing.T) {
	ts := tester(t, conf, Options{Workers: 2})
	stop := errors.New("enough")
	n := 0
	err := ts.Run(t.Context(), endlessBox{}, Find(Auto, "-"), func(*Result) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if err != stop || n != 3 {
		t.Errorf("%d results, %v", n, err)
	}
}

type endlessBox struct{}

func (endlessBox) Read(b []byte) (int, error) { return copy(b, "From a\nSubject: x\n\nbody\n\n"), nil }

// A read that hangs does not hold up the end of a run.
func TestContextEndsTheRun(t *testing.T) {
	ts := tester(t, conf, Options{Workers: 2})
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	cause := errors.New("interrupted")
	go func() {
		io.WriteString(w, "From a\nSubject: x\n\n")
		cancel(cause)
	}()
	if err := ts.Run(ctx, r, Find(Auto, "-"), func(*Result) error { return nil }); err != cause {
		t.Errorf("error %v", err)
	}
}

func TestNewNeedsItsFolder(t *testing.T) {
	c, l := parse(t, conf)
	if _, err := New(c, l, Options{Dir: filepath.Join(t.TempDir(), "nix")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// A scanner that is there and would answer is not connected to.
func TestScannersAreNotAsked(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connected := make(chan bool, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			c.Close()
		}
		connected <- err == nil
	}()
	text := "[[listener]]\nsocket = \"unix:/x\"\nchain = [\"scan\"]\n[filter.scan]\nscanner = \"clamd\"\nservers = [\"" + ln.Addr().String() + "\"]\n"
	for _, mode := range []string{"on", "report"} {
		r := one(t, tester(t, text+"mode = \""+mode+"\"\n", Options{Workers: 1}), "Subject: x\n\nbody\n")
		if f := r.Filters(); r.Result.Verdict != mta.Accept || len(f) != 1 || !strings.HasPrefix(f[0].Why, "not asked: ") {
			t.Errorf("%s: %v, %v", mode, r.Result.Verdict, f)
		}
	}
	ln.Close()
	if <-connected {
		t.Error("the scanner was connected to")
	}
}

// A filter that contacts others is not asked at any stage, and the explanation says so.
func TestSilent(t *testing.T) {
	asked := errors.New("asked")
	f := &filter.Filter{Name: "outward", Contacts: true, Needs: filter.Needs{Header: true},
		Ready:   func(context.Context) error { return asked },
		Connect: func(context.Context, *filter.Connection) (milter.ConnectReply, error) { return nil, asked },
		Helo:    func(context.Context, *filter.Connection) (milter.HeloReply, error) { return nil, asked },
		Mail:    func(context.Context, *filter.Transaction) (milter.MailReply, error) { return nil, asked },
		Rcpt:    func(context.Context, *filter.Transaction, filter.Path) (milter.RcptReply, error) { return nil, asked },
		Data:    func(context.Context, *filter.Transaction) (milter.DataReply, error) { return nil, asked },
		Message: func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) { return nil, asked },
	}
	var told *filter.Explanation
	chain := &filter.Chain{Steps: []filter.Step{{Filter: silent(f)}}, Explain: func(x *filter.Explanation) { told = x }}
	miltertest.New(t, &milter.Server{New: chain.Hooks}).Send(t, miltertest.Mail{})
	if told == nil || told.Verdict != "accept" || len(told.Filters) != 6 {
		t.Fatalf("explanation %v", told)
	}
	for _, o := range told.Filters {
		if o.Decision != "continue" || o.Why != "not asked: a test contacts nobody" {
			t.Errorf("at %s: %s, %s", o.Stage, o.Decision, o.Why)
		}
	}
	bare := silent(&filter.Filter{Name: "x", Contacts: true})
	if bare.Connect != nil || bare.Helo != nil || bare.Mail != nil || bare.Rcpt != nil || bare.Data != nil || bare.Message != nil {
		t.Error("hooks were added")
	}
}

func TestSameLines(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {"a\n", "a\r\n", true}, {"a\r\n", "a\r\n", true}, {"a\nb", "a\r\nb", true}, {"a", "a\r\n", true}, {"a\nb", "a\r\nb\r\n", true}, {"a\n", "a\r\n\r\n", false}, {"", "\r\n", true}, {"a\n", "b\r\n", false}, {"a\n\n", "a\r\n", false}, {"a", "", false},
	} {
		if got := sameLines([]byte(tt.a), []byte(tt.b)); got != tt.want {
			t.Errorf("%q and %q: %v", tt.a, tt.b, got)
		}
	}
}
