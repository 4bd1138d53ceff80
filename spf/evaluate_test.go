package spf

import (
	"testing"
)

// The texts that the library traces tell the terms, so this fails when they change.
func TestWhatDecided(t *testing.T) {
	r := zone(t, `
in.example.    TXT "v=spf1 ip4:192.0.2.1 -all"
out.example.   TXT "v=spf1 a:h.example -all"
deep.example.  TXT "v=spf1 redirect=in.example"
soft.example.  TXT "v=spf1 ?include:out.example redirect=end.example"
end.example.   TXT "v=spf1 ip4:203.0.113.1 exp=why.example"
h.example.     A 198.51.100.1
here.example.  A 192.0.2.99
here.example.  MX 10 mail.here.example.
mail.here.example. A 192.0.2.1
1.2.0.192.in-addr.arpa. PTR mail.here.example.
1.ok.example.  A 127.0.0.2
`)
	for _, tt := range []struct {
		record    string
		value     Value
		mechanism string
		lookups   int
	}{
		{"", Neutral, "default", 0},
		{"-all", Fail, "all", 0},
		{"~ALL", SoftFail, "all", 0},
		{"ip4:192.0.2.0/24 -all", Pass, "ip4:192.0.2.0/24", 0},
		{"?IP4:192.0.2.1 -all", Neutral, "IP4:192.0.2.1", 0},
		{"-a/24 +all", Fail, "a/24", 1},
		{"a a:here.example//64 -all", Fail, "all", 2},
		{"a:here.example/24//64", Pass, "a:here.example/24//64", 1},
		{"mx", Pass, "mx", 1},
		{"a mx:here.example/30", Pass, "mx:here.example/30", 2},
		{"ptr -all", Pass, "ptr", 1},
		{"ptr:h.example ptr:%{d} -all", Pass, "ptr:%{d}", 2},
		{"a ptr:h.example a ptr:h.example -all", Fail, "all", 4},
		{"exists:%{i1}.ok.example -all", Pass, "exists:%{i1}.ok.example", 1},
		{"exists:%{i1r}.ok.example -all", Fail, "all", 1},
		{"a:h.example exists:%{ir1}.ok.example -all", PermError, "", 0},
		{"~exists:1.ok.example", SoftFail, "exists:1.ok.example", 1},
		{"include:in.example -all", Pass, "include:in.example", 1},
		{"-include:deep.example +all", Fail, "include:deep.example", 2},
		{"include:out.example", Neutral, "default", 2},
		{"include:out.example -all", Fail, "all", 2},
		{"redirect=in.example", Pass, "ip4:192.0.2.1", 1},
		{"include:out.example redirect=deep.example", Pass, "ip4:192.0.2.1", 4},
		{"redirect=soft.example", Neutral, "default", 4},
		{"redirect=out.example", Fail, "all", 2},
	} {
		t.Run(tt.record, func(t *testing.T) {
			c := Checker{Resolver: r, Guess: "v=spf1 " + tt.record}
			got := c.Check(t.Context(), Query{ours, "a@here.example", ""}, MailFrom)
			if tt.value == PermError { // of a guess
				if got.Value != Neutral || got.Problem == "" {
					t.Errorf("%+v", got)
				}
				return
			}
			if got.Value != tt.value || got.Mechanism != tt.mechanism || got.Lookups != tt.lookups {
				t.Errorf("got %s by %q, %d look-ups, want %s by %q, %d", got.Value, got.Mechanism, got.Lookups, tt.value, tt.mechanism, tt.lookups)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	r := zone(t, `
none.example.   A 192.0.2.1
bad.example.    TXT "v=spf1 a:"
two.example.    TXT "v=spf1"
two.example.    TXT "v=spf1 a"
slow.example.   TIMEOUT
1.example.      TXT "v=spf1 -all moo"
2.example.      TXT "v=spf1 include:none.example -all"
3.example.      TXT "v=spf1 include:bad.example -all"
4.example.      TXT "v=spf1 redirect=two.example"
5.example.      TXT "v=spf1 redirect=none.example"
6.example.      TXT "v=spf1 a:1.no.example mx:2.no.example exists:3.no.example -all"
7.example.      TXT "v=spf1 include:7.example"
8.example.      TXT "v=spf1 a:slow.example -all"
9.example.      TXT "v=spf1 include:a.9.example -all"
a.9.example.    TXT "v=spf1 mx:slow.example -all"
10.example.     TXT "v=spf1 redirect=2.example"
11.example.     TXT "v=spf1 exp=a.example exp=b.example"
12.example.     TXT "v=spf1 a:\009b.example"
`)
	for domain, want := range map[string]Result{
		"1.example":  {Value: PermError, Problem: "1.example: moo: no such mechanism"},
		"2.example":  {Value: PermError, Problem: "include:none.example: no record there"},
		"3.example":  {Value: PermError, Problem: "bad.example: a:: no domain"},
		"4.example":  {Value: PermError, Problem: "two.example: several records"},
		"5.example":  {Value: PermError, Problem: "redirect=none.example: no record there"},
		"6.example":  {Value: PermError, Problem: "exists:3.no.example: more than 2 look-ups find nothing"},
		"7.example":  {Value: PermError, Problem: "include:7.example: more than 10 terms take look-ups"},
		"8.example":  {Value: TempError, Problem: "addresses of slow.example: i/o timeout"},
		"9.example":  {Value: TempError, Problem: "MX of slow.example: i/o timeout"},
		"10.example": {Value: PermError, Problem: "include:none.example: no record there"},
		"11.example": {Value: PermError, Problem: "11.example: exp=b.example: not the first of its kind"},
		"12.example": {Value: PermError, Problem: `12.example: a:?b.example: character '\t'`},
	} {
		c := Checker{Resolver: r}
		got := c.Check(t.Context(), Query{ours, "a@" + domain, ""}, MailFrom)
		if got.Value != want.Value || got.Problem != want.Problem || got.Mechanism != "" {
			t.Errorf("%s: got %s %q by %q, want %s %q", domain, got.Value, got.Problem, got.Mechanism, want.Value, want.Problem)
		}
	}
}
