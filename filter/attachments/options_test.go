package attachments_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/mta"
)

// New tells all that is wrong, and why.
func TestEverythingWrongIsTold(t *testing.T) {
	for _, tt := range []struct {
		want string
		o    attachments.Options
	}{
		{`extension "tar.gz": it has a dot, and what counts is behind the last one: take "gz"`, attachments.Options{Extensions: []string{"tar.gz"}}},
		{`extension "exe\n": it has blanks`, attachments.Options{Extensions: []string{"exe\n"}}},
		{`extension "*": wildcards`, attachments.Options{Extensions: []string{"*"}}},
		{`extension "a/b": a path`, attachments.Options{Extensions: []string{"a/b"}}},
		{`extension ".": it is empty`, attachments.Options{Extensions: []string{"."}}},
		{`extension "exe;": names do not end so`, attachments.Options{Extensions: []string{"exe;"}}},
		{`extension "e\u200bxe": names do not end so`, attachments.Options{Extensions: []string{"e\u200bxe"}}},
		{"there is no rule 99", attachments.Options{Actions: map[attachments.Rule]attachments.Action{99: attachments.Tag}}},
		{"rule encrypted archive: there is no action 9", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.IsEncrypted: 9}}},
		{"Sealed: there is no action 9", attachments.Options{Sealed: 9}},
		{`RejectFrom: "bob@bad.example" is an address; it takes domains, such as "bad.example"`, attachments.Options{RejectFrom: []string{"bob@bad.example"}}},
		{`RejectFrom: "bad example"`, attachments.Options{RejectFrom: []string{"bad example"}}},
		{"RejectFrom: a domain is empty", attachments.Options{RejectFrom: []string{""}}},
		{"Tag: From has a meaning", attachments.Options{Tag: "From"}},
		{"Tag: byte", attachments.Options{Tag: "X Tag"}},
	} {
		f, err := attachments.New("x", tt.o)
		if f != nil || !errors.Is(err, attachments.ErrOptions) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
	_, err := attachments.New("", attachments.Options{Extensions: []string{"a.b", "ok", "c d"}, Tag: "To", Sealed: 7, RejectFrom: []string{"@"}})
	if err == nil || len(strings.Split(err.Error(), "\n")) != 6 {
		t.Errorf("not all that is wrong is told:\n%v", err)
	}
	if _, err := attachments.New("x", attachments.Options{Extensions: []string{".exe", "EXE", "tar-gz", "gr\u00f6\u00dfe", "7z"}, RejectFrom: []string{"Bad.Example.", "b\u00fccher.example"}}); err != nil {
		t.Error(err)
	}
}

func TestRejectFromTakesDomainsInAnyForm(t *testing.T) {
	for domain, want := range map[string]mta.Verdict{"EXAMPLE.org": mta.Reject, "example.org.": mta.Reject, "other.example": mta.Accept} {
		b := newBench(t, attachments.Options{RejectFrom: []string{domain}})
		if r := b.send(t, multipart(attached("a.exe", nil))); r.Verdict != want {
			t.Errorf("%s: %s, want %s", domain, r.Verdict, want)
		}
	}
}

// A notice is read as it was written: no line of it is broken in its encoding.
func TestNoticeHasNoLongLines(t *testing.T) {
	var text strings.Builder
	if err := attachments.DefaultNotice.Execute(&text, attachments.Warning{Name: "gr\u00f6\u00dfe.zip", Member: "a.exe", Why: "a file in it has a name that ends in .exe", Ref: strings.Repeat("x", 20)}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if len(line) > 73 {
			t.Errorf("%d bytes: %q", len(line), line)
		}
	}
	b := newBench(t, attachments.Options{})
	r := b.send(t, multipart(text0, attached("gr\u00f6\u00dfe.zip", zipOf(map[string][]byte{"a.exe": nil}))))
	if !strings.Contains(r.Body(), "quoted-printable") || strings.Contains(r.Body(), "=\r\n") {
		t.Errorf("the notice is\n%s", r.Body())
	}
}

const text0 = "Content-Type: text/plain\n\nhello\n"

// Who looks at a kept original sees why it is there, and what a sender wrote is in
// quotes wherever it is told.
func TestWhyTellsRuleAndName(t *testing.T) {
	for _, tt := range []struct{ name, in, why, kept string }{
		{"a name", multipart(attached("a\"b; reject) .exe", nil)), `"a\"b; reject) .exe": its name ends in .exe (name, replace)`, `name: "a\"b; reject) .exe": its name ends in .exe`},
		{"a member", multipart(attached("a.zip", zipOf(map[string][]byte{"x\x1b.js": nil}))), `"a.zip", "x?.js" in it: a file in it has a name that ends in .js (member, replace)`, `member: "a.zip", "x?.js" in it: a file in it has a name that ends in .js`},
		{"two parts", multipart(attached("a.exe", nil), attached("b.js", nil)), `"b.js": its name ends in .js (name, replace)`, `name: "a.exe": its name ends in .exe, and 1 more`},
		{"a class", multipart(attached("a.{invoice\" (name, ignore) 000000000000}", nil)), `its name ends in .{class} (name, replace)`, `its name ends in .{class}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, attachments.Options{})
			_, why := outcome(b, b.send(t, tt.in))
			if !strings.Contains(why, tt.why) {
				t.Errorf("explained by %q, want %q", why, tt.why)
			}
			for e, err := range b.store.List(context.Background()) {
				if err != nil || !strings.Contains(e.Reason, tt.kept) || len(e.Reason) > 1000 {
					t.Errorf("kept for %q, %v, want %q", e.Reason, err, tt.kept)
				}
			}
		})
	}
}

// A limit has its action also where nothing else in archives counts.
func TestLimitAloneApplies(t *testing.T) {
	ignored := func(a attachments.Action) map[attachments.Rule]attachments.Action {
		return map[attachments.Rule]attachments.Action{attachments.ByMember: attachments.Ignore, attachments.IsEncrypted: attachments.Ignore,
			attachments.IsUnlisted: attachments.Ignore, attachments.IsDamaged: attachments.Ignore, attachments.IsTooLarge: a}
	}
	many := map[string][]byte{}
	for i := range 5 {
		many[fmt.Sprint(i)] = []byte("x")
	}
	in := multipart(text0, attached("x.zip", zipOf(many)))
	for action, want := range map[attachments.Action]string{attachments.Reject: "reject", attachments.Ignore: "untouched", attachments.Tag: "tagged"} {
		b := newBench(t, attachments.Options{Actions: ignored(action), Archives: attachments.ArchiveLimits{Entries: 1}})
		if got, why := outcome(b, b.send(t, in)); got != want {
			t.Errorf("%v: %s, explained by %q, want %s", action, got, why, want)
		}
	}
}

// What is unpacked, and every reading of a message, goes where the chain says.
func TestSpoolsAreThoseOfTheChain(t *testing.T) {
	if raceEnabled {
		t.Skip("megabytes of noise take half a minute under the race detector")
	}
	dir := t.TempDir()
	kept := t.TempDir()
	t.Setenv("TMPDIR", "/nonexistent")
	noise := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	letter := []byte(multipart(text0, attached("noise.bin", noise)))
	for name, in := range map[string]string{
		"a large file":          multipart(text0, attached("noise.bin", noise)),
		"a large zip":           multipart(text0, attached("noise.zip", zipOf(map[string][]byte{"noise.bin": noise, "z.zip": zipOf(map[string][]byte{"x": noise})}))),
		"a large letter":        multipart(text0, attached("fwd.eml", letter)),
		"a large letter in zip": multipart(text0, attached("fwd.zip", zipOf(map[string][]byte{"fwd.eml": letter}))),
		"read twice":            multipart("Content-Type: text/plain\nX-Odd: a\rb\n\nx\n", attached("noise.bin", noise)),
		"replaced":              multipart(attached("a.exe", nil), attached("noise.bin", noise)),
	} {
		t.Run(name, func(t *testing.T) {
			os.Setenv("TMPDIR", kept)
			b := newBench(t, attachments.Options{})
			os.Setenv("TMPDIR", "/nonexistent")
			b.chain.Dir, b.chain.MIME.Dir = dir, dir
			if r := b.sendRaw(t, in); r.Verdict != mta.Accept {
				t.Errorf("%s, %s", r.Verdict, b.told[0])
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left are %v, %v", left, err)
			}
		})
	}
}

// Messages that come as files are read under the limits of the chain.
func TestMessagesInFilesHaveTheLimitsOfTheChain(t *testing.T) {
	parts := strings.Split(strings.Repeat(text0+"|", 9), "|")[:9]
	in := multipart(text0, attached("fwd.eml", []byte(multipart(parts...))))
	for most, want := range map[int]string{20: "untouched", 5: "reject"} {
		b := newBench(t, attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.IsTooLarge: attachments.Reject}})
		b.chain.MIME.MaxParts = most
		if got, why := outcome(b, b.send(t, in)); got != want {
			t.Errorf("%d parts: %s, explained by %q, want %s", most, got, why, want)
		}
	}
}
