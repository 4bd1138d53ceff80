package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	type entries = []Entry
	for _, tt := range []struct {
		name, in string
		syntax   Syntax
		want     entries
		others   int
	}{
		{"blanks and comments", "# SPF\n\nSPF-Fail:example.com\t \tREJECT\n#SPF-Fail OK\nspf-none OK", Sendmail,
			entries{{"SPF-Fail:example.com", Action{Word: Reject}, 3}, {"spf-none", Action{Word: OK}, 5}}, 0},
		{"line ends of Windows, and a mark of UTF-8", "\ufeffspf-fail OK\r\nspf-none OK\r\n", Sendmail,
			entries{{"spf-fail", Action{Word: OK}, 1}, {"spf-none", Action{Word: OK}, 2}}, 0},
		{"what others read in the same file", "Connect:192.0.2 REJECT\nFrom:spam.example ERROR:\"550 no\"\n192.0.2.1 RELAY\nIPv6:2001:db8 OK\n2001:db8:: OK\njoe@spam.example DISCARD\n" +
			"spf-mail.example.com REJECT\nTLS_Clt:a.example VERIFY\nspf-fail OK\n", Sendmail, entries{{"spf-fail", Action{Word: OK}, 9}}, 8},
		{"# in a value is a text", "spf-fail REJECT rule #3\n", Sendmail, entries{{"spf-fail", Action{Word: Reject, Text: "rule #3"}, 1}}, 0},
		{"the separator of old files", "spf-fail!example.com OK\n", Sendmail, entries{{"spf-fail!example.com", Action{Word: OK}, 1}}, 0},
		{"a line that continues", "spf-fail 550 use the server\n  of your\n# comment\n\n\tprovider\nspf-none OK\n", Postfix,
			entries{{"spf-fail", Action{Word: Reject, Code: 550, Text: "use the server of your provider"}, 1}, {"spf-none", Action{Word: OK}, 6}}, 0},
		{"a comment behind blanks", "spf-fail\n  # REJECT\n  OK\n", Postfix, entries{{"spf-fail", Action{Word: OK}, 1}}, 0},
		{"a key in quotes", `"spf-fail:john doe@example.com" OK`, Postfix, entries{{"spf-fail:john doe@example.com", Action{Word: OK}, 1}}, 0},
		{"texts of others in another charset", "From:x.example ERROR:5.7.1:550 ung\xfcltig\nspf-fail OK\n", Sendmail, entries{{"spf-fail", Action{Word: OK}, 2}}, 1},
		{"nothing", "\n# nothing\n", Postfix, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("f", []byte(tt.in), tt.syntax, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(File{Entries: tt.want, Others: tt.others}, f); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func TestParseTellsEveryWrongLine(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		syntax   Syntax
		limits   Limits
		err      error
		want     []string // of the lines, each
	}{
		{"words that there are not", "spf-fail REJCT\nspf-none OK\nspf-pass RELAY\n", Sendmail, Limits{}, ErrWord, []string{"f:1: ", "f:3: "}},
		{"results that there are not", "spf-fial:example.com OK\nhelo-:x OK\nsmtp-authx OK\n", Sendmail, Limits{}, ErrKey, []string{"f:1: ", "f:2: ", "f:3: "}},
		{"a tag that nobody knows", "spffail:example.com OK\n", Sendmail, Limits{}, ErrKey, []string{`f:1: policy: not a key: "spffail"`}},
		{"a bad key", "spf-fail:a..b OK\n", Sendmail, Limits{}, ErrKey, []string{"f:1: "}},
		{"no value", "spf-fail\n", Sendmail, Limits{}, ErrFile, []string{"f:1: policy: file is not right: it should be a key"}},
		{"a line of Sendmail's that begins with a blank", "spf-fail OK\n more\n", Sendmail, Limits{}, ErrFile, []string{"f:2: "}},
		{"nothing to continue", "# x\n more\n", Postfix, Limits{}, ErrFile, []string{"f:2: "}},
		{"a quote that does not end", `"spf-fail OK`, Postfix, Limits{}, ErrFile, []string{"f:1: "}},
		{"no blank behind a quoted key", `"spf-fail"OK`, Postfix, Limits{}, ErrFile, []string{"f:1: policy: file is not right: no blank"}},
		{"errors come in the order of their lines", "spf-fail WHAT\n more\nspf-none WHAT\n", Sendmail, Limits{}, ErrWord, []string{"f:1: ", "f:2: ", "f:3: "}},
		{"no UTF-8", "spf-fail OK\nspf-none REJECT \xff\n", Sendmail, Limits{}, ErrFile, []string{"f:2: "}},
		{"a NUL", "spf-fail OK\x00\n", Sendmail, Limits{}, ErrFile, []string{"f:1: "}},
		{"a file that is too large", strings.Repeat("#", 11), Sendmail, Limits{Bytes: 10}, ErrFile, []string{"f: policy: file is not right: it has more than 10 bytes"}},
		{"too many entries, others' too", "a.example x\nspf-fail OK\nspf-none OK\n", Sendmail, Limits{Entries: 2}, ErrFile, []string{"f: policy: file is not right: it has more than 2 entries"}},
		{"a long line", "spf-fail REJECT " + strings.Repeat("x", 100) + "\nspf-none OK", Sendmail, Limits{Line: 50}, ErrFile, []string{"f:1: "}},
		{"a line made long by those that continue it", "spf-fail REJECT x" + strings.Repeat("\n y", 100) + "\nspf-none OK", Postfix, Limits{Line: 50}, ErrFile, []string{"f:1: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("f", []byte(tt.in), tt.syntax, tt.limits)
			if !errors.Is(err, tt.err) || f.Entries != nil {
				t.Fatalf("Parse = %v, %v; want %v", f, err, tt.err)
			}
			told := strings.Split(err.Error(), "\n")
			if len(told) != len(tt.want) {
				t.Fatalf("told %q, want %q", told, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(told[i], want) {
					t.Errorf("told %q, want %q", told[i], want)
				}
			}
			if _, ok := errors.AsType[*LineError](err); !ok {
				t.Errorf("%v has no LineError", err)
			}
		})
	}
}

func TestParseDefaultLimits(t *testing.T) {
	if _, err := Parse("f", []byte(strings.Repeat("x", 16<<20+1)), Sendmail, Limits{}); !errors.Is(err, ErrFile) {
		t.Errorf("16 MiB and a byte: %v", err)
	}
	if f, err := Parse("f", []byte("spf-fail REJECT "+strings.Repeat("x ", 500)), Sendmail, Limits{}); err != nil {
		t.Errorf("a long line: %v, %v", f, err)
	}
	if _, err := Parse("f", []byte("x "+strings.Repeat("x", 4096)), Sendmail, Limits{}); !errors.Is(err, ErrFile) {
		t.Errorf("a line of more than 4096 bytes: %v", err)
	}
	_, err := Parse("f", []byte(strings.Repeat("spf-fail WHAT\n", 1000)), Sendmail, Limits{})
	if n := strings.Count(err.Error(), "\n") + 1; n != maxErrors {
		t.Errorf("%d errors are told, want %d", n, maxErrors)
	}
}

// What is read is found, by the line that it stands in.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"SPF-Fail:example.com\tREJECT\n", "# c\nspf-none:.com 550 5.7.1 x\n more\n", "\"helo-none:[192.0.2.1]\" ERROR:5.7.1:550 x\r\n",
		"From:x RELAY\nsmtp-auth!a@b@c.example OK", "\ufeffdmarc-fail-reject QUARANTINE:x", "spf-fail:b\xc3\xbccher.example OK", " x\n",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, in string, postfix bool) {
		s := Sendmail
		if postfix {
			s = Postfix
		}
		file, err := Parse("f", []byte(in), s, Limits{Line: 500})
		if err != nil {
			if file.Entries != nil {
				t.Fatalf("entries with an error: %v", file)
			}
			return
		}
		last := 0
		for _, e := range file.Entries {
			if e.Line <= last || e.Line > strings.Count(in, "\n")+1 {
				t.Fatalf("line %d behind %d", e.Line, last)
			}
			last = e.Line
			if again, err := ParseAction(e.Action.String()); err != nil || again != e.Action {
				t.Fatalf("%+v is written %q, which is %+v (%v)", e.Action, e.Action, again, err)
			}
			m, err := New(Table{Name: "f", Entries: []Entry{e}})
			if err != nil {
				t.Fatalf("Parse took %+v, and New has %v", e, err)
			}
			p := e.Key
			who := ""
			if i := strings.IndexAny(p, ":!"); i >= 0 {
				p, who = p[:i], p[i+1:]
			}
			if strings.HasPrefix(who, ".") && !strings.Contains(who, "@") { // a parent
				who = "x" + who
			}
			prefix, err := ParsePrefix(p)
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := m.Lookup(who, "", prefix); !ok || v.Line != e.Line {
				t.Fatalf("%+v is not found by %q: %v", e, who, v)
			}
		}
	})
}

func ExampleParse() {
	f, err := Parse("access", []byte("From:spam.example   REJECT\nSPF-Fail:example.com  550 5.7.23 use our server\nSPF-None REJCT\n"), Sendmail, Limits{})
	fmt.Println(f.Others, err)
	// Output:
	// 0 access:3: policy: not a word of policies: "REJCT" is none of OK, CBV, DSN, QUARANTINE, TEMPFAIL, DISCARD, REJECT, WHITELIST, BAN
}
