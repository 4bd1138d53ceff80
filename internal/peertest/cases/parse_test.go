package cases

import (
	"slices"
	"strings"
	"testing"
)

func TestWordsOfALine(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{``, nil},
		{`one  two`, []string{"one", "two"}},
		{`one "two words" three`, []string{"one", "two words", "three"}},
		{`"a\r\n\t\"b\""`, []string{"a\r\n\t\"b\""}},
		{`"ab"*3 c`, []string{"ababab", "c"}},
		{`"ab"*2+"c"+"d"*2 e`, []string{"ababcdd", "e"}},
		{`""`, []string{""}},
	} {
		got, err := split(tt.in)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("split(%s) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{`"open`, `"a"*x`, `"\q"`} {
		if got, err := split(in); err == nil {
			t.Errorf("split(%s) = %q without an error", in, got)
		}
	}
}

func TestMistakesInCaseFilesAreFound(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"filter mail reject", "before the first case"},
		{"=== a\nfiller mail reject", "unknown word"},
		{"=== a\nfilter nail reject", "unknown word"},
		{"=== a\nfilter mail", "no action"},
		{"=== a\nfilter mail explode", "unknown action"},
		{"=== a\nfilter mail reject five", "bad code"},
		{"=== a\nfilter mail#x reject", "bad number"},
		{"=== a\nfilter silent mial", "unknown stage"},
		{"=== a\nfilter end add X-Name", "too little"},
		{"=== a\nfilter2 mail reject", "has 1 filters"},
		{"=== a\nsetup nowhere", "unknown setup"},
		{"=== a\nclient dance", "cannot"},
		{"=== a\nclient letter form a@example.com", "a letter has no"},
		{"=== a\nwant fields", "no key and colon"},
	} {
		if _, err := Parse("x.case", []byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%q) error = %v, want one with %q", tt.in, err, tt.want)
		}
	}
}

func TestExpectationsThatDoNotHoldAreTold(t *testing.T) {
	list, err := Parse("x.case", []byte("=== a\nwant calls: mail\nsendmail to: <a>\npostfix to: (none)\nexcuse some-id macro mail"))
	if err != nil {
		t.Fatal(err)
	}
	c := list[0]
	good := Outcome{{"taken", "1"}, {"delivered", "1"}, {"calls", "mail"}, {"to", "<a>"}}
	if got := c.Check("sendmail", good, false); len(got) > 0 {
		t.Errorf("Check = %q, want nothing", got)
	}
	for _, tt := range []struct {
		mta  string
		out  Outcome
		want string
	}{
		{"postfix", good, "to:"},
		{"sendmail", good[:3], "to:"},
		{"sendmail", append(Outcome{{"to", "<b>"}}, good...), "to:"},
		{"sendmail", append(Outcome{{"refused", "MAIL 550 no"}}, good...), "refused:"},
		{"sendmail", append(Outcome{{"fault", "hook failed"}}, good...), "fault:"},
		{"sendmail", append(Outcome{{"taken", "1"}}, good...), "delivered:"},
	} {
		if got := c.Check(tt.mta, tt.out, false); len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
			t.Errorf("Check(%s, %q) = %q, want one line of %s", tt.mta, tt.out, got, tt.want)
		}
	}
	other := append(slices.Clone(good), line{"macro mail i", "x"}, line{"body", "x"})
	if diffs, excused := c.Diff(good, other); len(diffs) != 1 || !strings.HasPrefix(diffs[0], "body:") || !slices.Equal(excused, []string{"macro mail"}) {
		t.Errorf("Diff = %q, %q; want body and the excuse for macro mail", diffs, excused)
	}
}
