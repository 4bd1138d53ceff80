package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStrays(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"spf_softfail REJECT", "spf-softfail"},
		{"SPF_Softfail!example.com REJECT", "spf-softfail"},
		{"spf softfail REJECT", "spf-softfail"},
		{"SMTP Auth:jane@ REJECT", "smtp-auth"},
		{"dkim fail!example.com REJECT", "dkim-fail"},
		{"dkimfail REJECT", "dkim-fail"},
		{"sfp-none REJECT", "spf-none"},
		{"sfp-none!example.com REJECT", "spf-none"},
		{"spffail!example.com REJECT", "spf-fail"},
		{"hello-fail REJECT", "helo-fail"},
		{"drmac-fail-reject REJECT", "dmarc-fail-reject"},
		{"smtpauth REJECT", "smtp-auth"},
		{"spf-fail.example.com REJECT", "spf-fail"},
		{"spf-fail@example.com REJECT", "spf-fail"},
		{"spf-fail=example.com REJECT", "spf-fail"},
		{"smtp-auth@example.com REJECT", "smtp-auth"},

		{"smtp-test!x REJECT", ""},
		{"spf REJECT", ""},
		{"spf reject this", ""},
		{"spf-mail.example.com REJECT", ""},
		{"dkimfail.example.com REJECT", ""},
		{"dkimfail@example.com REJECT", ""},
		{"helo REJECT", ""},
		{"example.com REJECT", ""},
		{"192.0.2 REJECT", ""},
		{"jane@ REJECT", ""},
		{"localhost OK", ""},
	} {
		f, err := Parse("f", []byte("# comment\nspf-fail OK\n"+tt.line+"\n"), Sendmail, Limits{})
		if err != nil {
			t.Errorf("%q: %v", tt.line, err)
			continue
		}
		var want []Stray
		if tt.want != "" {
			key, _ := cutWord(tt.line)
			want = []Stray{{key, 3, Prefix(tt.want)}}
		}
		if diff := cmp.Diff(want, f.Strays); diff != "" || f.Others != 1 {
			t.Errorf("%q: %d others, strays (-want +got):\n%s", tt.line, f.Others, diff)
		}
	}
}

// What MTAs read is none.
func TestTagsOfOthersAreNoStrays(t *testing.T) {
	for tag := range tags {
		for _, key := range []string{tag, tag + ":", tag + ":example.com", tag + "!example.com"} {
			if got := nearest(key, "REJECT"); got != "" {
				t.Errorf("%s looks like %s", key, got)
			}
		}
	}
}

func TestStraysAreNotWithoutEnd(t *testing.T) {
	f, err := Parse("f", []byte("dkimfail"+strings.Repeat("\u00fc", 1000)+" x\n"+strings.Repeat("dkim_fail x\n", 1000)), Sendmail, Limits{})
	if err != nil || len(f.Strays) != maxErrors || f.Others != 1001 {
		t.Errorf("%d strays of %d entries of others, %v; want %d", len(f.Strays), f.Others, err, maxErrors)
	}
	f, err = Parse("f", []byte("dkim_fail@"+strings.Repeat("x", 1000)+" x\n"), Sendmail, Limits{})
	if err != nil || len(f.Strays) != 1 || len(f.Strays[0].Key) > 100 {
		t.Errorf("a long key: %v, %v", f.Strays, err)
	}
}

func TestSlips(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ac", 1}, {"abc", "abcd", 1}, {"abc", "xbc", 1}, {"abc", "cab", 2}, {"abc", "xyz", 3},
	} {
		if got, back := slips(tt.a, tt.b), slips(tt.b, tt.a); got != tt.want || back != tt.want {
			t.Errorf("slips(%q, %q) = %d, and %d the other way round, want %d", tt.a, tt.b, got, back, tt.want)
		}
	}
}

func TestDoubt(t *testing.T) {
	for key, want := range map[string]string{
		"SMTP-Auth:jane":        "jane is a domain here; write SMTP-Auth:jane@ for the user, or SMTP-Auth:jane. for the domain",
		"smtp-auth!jane":        "jane is a domain here; write smtp-auth!jane@ for the user, or smtp-auth!jane. for the domain",
		"smtp-auth:jane@":       "",
		"smtp-auth:jane.":       "",
		"smtp-auth:example.com": "",
		"smtp-auth:.com":        "",
		"smtp-auth:[IPv6:::1]":  "",
		"smtp-auth:":            "",
		"smtp-auth":             "",
		"spf-fail:localhost":    "",
		"nothing:x":             "",
	} {
		if got := (Entry{Key: key}).Doubt(); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	// What is written in its place means what it says.
	m := newMap(t, table(t, "f", "smtp-auth:jane@ REJECT", "smtp-auth:corp. BAN"))
	for about, want := range map[string]Word{"jane@example.com": Reject, "joe@corp": Ban, "joe@jane": None} {
		if v, _ := m.Lookup(about, "", "smtp-auth"); v.Word != want {
			t.Errorf("%s: %v, want %v", about, v, want)
		}
	}
}

func ExampleEntry_Doubt() {
	fmt.Println(Entry{Key: "smtp-auth:jane"}.Doubt())
	// Output: jane is a domain here; write smtp-auth:jane@ for the user, or smtp-auth:jane. for the domain
}

func ExampleStray() {
	f, err := Parse("access", []byte("SPF-Fail  REJECT\nSPF_SoftFail  REJECT\n"), Sendmail, Limits{})
	fmt.Println(f.Strays, err)
	// Output: [{SPF_SoftFail 2 spf-softfail}] <nil>
}
