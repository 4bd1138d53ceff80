package policy

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseAction(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Action
	}{
		{"a word", "OK", Action{Word: OK}},
		{"in any case, with blanks around", " rejecT\t", Action{Word: Reject}},
		{"all words", "whitelist", Action{Word: Whitelist}},
		{"with a text", "REJECT use the server of your provider", Action{Word: Reject, Text: "use the server of your provider"}},
		{"with codes and a text", "BAN 554 5.7.0 never again", Action{Word: Ban, Code: 554, Enhanced: "5.7.0", Text: "never again"}},
		{"with an enhanced code alone", "TEMPFAIL 4.7.1 later", Action{Word: TempFail, Enhanced: "4.7.1", Text: "later"}},
		{"with a tab behind the word", "REJECT\tno", Action{Word: Reject, Text: "no"}},
		{"a reason to hold", "QUARANTINE looked at by hand", Action{Word: Quarantine, Text: "looked at by hand"}},
		{"Sendmail's way to hold", "QUARANTINE:looked at by hand", Action{Word: Quarantine, Text: "looked at by hand"}},
		{"a reply for good", "550 5.7.1 go away", Action{Word: Reject, Code: 550, Enhanced: "5.7.1", Text: "go away"}},
		{"a reply for now", "450 come back", Action{Word: TempFail, Code: 450, Text: "come back"}},
		{"a reply without a text", "554", Action{Word: Reject, Code: 554}},
		{"a text that begins with a number", "550 3 strikes", Action{Word: Reject, Code: 550, Text: "3 strikes"}},
		{"Sendmail's reply", "ERROR:5.7.1:550 go away", Action{Word: Reject, Code: 550, Enhanced: "5.7.1", Text: "go away"}},
		{"Sendmail's reply in quotes", `error:"550 We don't accept mail"`, Action{Word: Reject, Code: 550, Text: "We don't accept mail"}},
		{"Sendmail's reply with quotes inside", `ERROR:4.2.1:"450 busy"`, Action{Word: TempFail, Code: 450, Enhanced: "4.2.1", Text: "busy"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseAction(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseAction(%q) (-want +got):\n%s", tt.in, diff)
			}
			again, err := ParseAction(got.String())
			if err != nil || again != got {
				t.Errorf("%q, as String writes it, is %+v (%v)", got, again, err)
			}
		})
	}
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", " ", "there is no word"},
		{"another word", "REJCT", `"REJCT" is none of OK, CBV, DSN`},
		{"a word of Sendmail's", "RELAY", "is none of"},
		{"no word at all", "none", "is none of"},
		{"text behind OK", "OK then", "OK has no text behind it"},
		{"a reply that does not refuse", "250 fine", "code 250 does not refuse"},
		{"a code that is none", "55 no", "three digits"},
		{"the enhanced code of another class", "550 4.7.1 no", "enhanced code 4.7.1 is not 5.n.n"},
		{"a code of another class", "TEMPFAIL 550 no", "TEMPFAIL does not go with code 550"},
		{"an enhanced code of another class behind a word", "REJECT 4.7.1 no", "is not 5.n.n"},
		{"no code behind ERROR", "ERROR:5.7.1:go away", "three digits"},
		{"two enhanced codes", "ERROR:5.7.1:550 5.7.2 no", "two enhanced codes"},
		{"control characters", "REJECT a\rb", "control characters"},
		{"no UTF-8", "REJECT \xff", "UTF-8"},
		{"a long text", "REJECT " + strings.Repeat("x", maxText+1), "more than 1000 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := ParseAction(tt.in)
			if !errors.Is(err, ErrWord) || !strings.Contains(err.Error(), tt.want) || a != (Action{}) {
				t.Errorf("ParseAction(%q) = %+v, %v; want %q", tt.in, a, err, tt.want)
			}
		})
	}
}

// What prevails is what the constants' order says, and everything that depends on it.
func TestWordsPrevailInTheirOrder(t *testing.T) {
	order := []Word{None, OK, CBV, DSN, Quarantine, TempFail, Discard, Reject, Whitelist, Ban}
	for i, w := range order {
		if int(w) != i {
			t.Errorf("%v is %d, want %d", w, w, i)
		}
		if got, want := w.Refuses(), w == TempFail || w == Reject || w == Ban; got != want {
			t.Errorf("%v.Refuses() = %v", w, got)
		}
	}
	if got := Word(99).String(); got != "unknown (99)" {
		t.Errorf("Word(99) = %q", got)
	}
}
