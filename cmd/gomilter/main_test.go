package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomilter/gomilter/examples/headerrules"
	"github.com/gomilter/gomilter/examples/skeleton"
)

func TestDemoNamesWhatDiffers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		play  func(c *demoCmd, std stdio) error
		wrong []string
	}{
		{"a filter that does nothing", func(c *demoCmd, std stdio) error { return c.play(t.Context(), std, demoMails(), skeleton.New()) },
			[]string{`"plain text" came out wrong`, `the list of edits is ""`, `"rule shouting" came out wrong`, `the delivered file is`,
				`the reply to <MAILER-DAEMON@example.net> is ""`, "17 of 17"}},
		{"another text", func(c *demoCmd, std stdio) error {
			rules := append([]headerrules.Rule(nil), headerrules.Rules...)
			rules[0].Text = "no"
			return c.play(t.Context(), std, demoMails(), headerrules.New(rules...))
		}, []string{`the reply to the message is "550 5.7.1 no", should be "550 5.7.1 please`, "2 of 17"}},
		{"another message", func(c *demoCmd, std stdio) error {
			mails := demoMails()[:2]
			mails[1].want = strings.Replace(mails[1].want, "ÄÖÜ", "AOU", 1)
			return c.play(t.Context(), std, mails, headerrules.New(headerrules.Rules...))
		}, []string{`"UTF-8" came out wrong`, "the message in ", "1 of 2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := report(&errs, tt.play(&demoCmd{Deliver: t.TempDir()}, stdio{nil, &out, &errs}))
			if code != exitSoftware {
				t.Errorf("exit code %d, want %d", code, exitSoftware)
			}
			for _, want := range tt.wrong {
				if !strings.Contains(errs.String(), want) {
					t.Errorf("%q is not in the errors:\n%s", want, errs.String())
				}
			}
			if !strings.Contains(out.String(), "WRONG  ") {
				t.Errorf("no line says WRONG:\n%s", out.String())
			}
		})
	}
}

func TestMaildir(t *testing.T) {
	dir := t.TempDir()
	m, err := openMaildir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	paths := map[string]bool{}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			path, err := m.deliver("a@b", []string{"c@d", "e\nX: y@f"}, []byte("X: 1\r\n\r\nbare \r and\nmixed\r\n"))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			paths[path] = true
		})
	}
	wg.Wait()
	if len(paths) != 50 {
		t.Errorf("%d different names for 50 messages", len(paths))
	}
	for path := range paths {
		if filepath.Dir(path) != filepath.Join(dir, "new") {
			t.Errorf("%s is not in new", path)
		}
		got, err := os.ReadFile(path)
		if want := "Return-Path: <a@b>\nDelivered-To: c@d\nDelivered-To: e\\nX: y@f\nX: 1\n\nbare \r and\nmixed\n"; string(got) != want {
			t.Fatalf("file = %q, %v; want %q", got, err, want)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("mode = %v, %v; want 0600", info.Mode(), err)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
		t.Errorf("%d files left in tmp", len(left))
	}
}

func TestHistogram(t *testing.T) {
	var h, other histogram
	for i := 1; i <= 1000; i++ {
		to := &h
		if i%2 == 0 {
			to = &other
		}
		to.add(time.Duration(i) * time.Millisecond)
	}
	h.merge(&other)
	for _, tt := range []struct{ q, want float64 }{{.5, 500}, {.9, 900}, {.99, 990}, {.999, 999}, {1, 1000}} {
		if got := h.quantile(tt.q); got < tt.want || got > tt.want*1.02 {
			t.Errorf("quantile(%v) = %v ms, want %v within 2 %%", tt.q, got, tt.want)
		}
	}
	if got := h.mean(); got < 500 || got > 501 {
		t.Errorf("mean = %v ms, want 500.5", got)
	}
	for _, d := range []time.Duration{0, 1, 127, 128, 129, 255, 256, time.Second, time.Hour, 1<<63 - 1} {
		c := class(d)
		if top := classTop(c); top < d || c > 0 && classTop(c-1) >= d {
			t.Errorf("%d ns is in class %d, which ends at %d", d, c, top)
		}
	}
	if empty := new(histogram); empty.mean() != 0 || empty.quantile(.5) != 0 {
		t.Error("an empty histogram has values")
	}
}

func TestBenchMessage(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 30} {
		for _, size := range []int{0, 1, 2, 3, 76, 77, 78, 79, 5000} {
			head, body, ok := bytes.Cut(append([]byte("\r\n"), benchMessage(n, size)...), []byte("\r\n\r\n"))
			if !ok || bytes.Count(head, []byte("\r\n")) != n || len(body) != size {
				t.Errorf("message of %d fields and %d bytes has %d and %d", n, size, bytes.Count(head, []byte("\r\n")), len(body))
			}
			if size >= 2 && (!bytes.HasSuffix(body, []byte("\r\n")) || bytes.Count(body, []byte("\r")) != bytes.Count(body, []byte("\r\n"))) {
				t.Errorf("body of %d bytes ends in %q", size, body[max(0, size-6):])
			}
		}
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int{"0": 0, "4096": 4096, "64k": 64 << 10, "1M": 1 << 20, "1024m": 1 << 30} {
		if got, err := parseSize(in); got != want || err != nil {
			t.Errorf("parseSize(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "k", "-1", "1g", "1025m", "99999999999999999999", "1.5k"} {
		if got, err := parseSize(in); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", in, got)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain, grüße, 東京":      "plain, grüße, 東京",
		"\x1b[31mred\r\n":       `\x1b[31mred\r\n`,
		"bad \xff\xef byte":     `bad \xff\xef byte`,
		"right\u202eto left":    `right\u202eto left`,
		"replacement \uFFFD ok": "replacement \uFFFD ok",
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}
