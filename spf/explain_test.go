package spf

import (
	"testing"
	"time"
)

func TestExplanations(t *testing.T) {
	z := newFakeDNS()
	for name, txts := range map[string][]string{
		"all.text.example":  {"%{s} from %{c} (%{h}) at %{t}: %{r} says no. %{L}%_%%"},
		"two.text.example":  {"a", "b"},
		"bad.text.example":  {"%{x}"},
		"utf8.text.example": {"nö"},
		"line.text.example": {"a\nb"},
		"none.text.example": {""},
		"include.example":   {"v=spf1 include:fails.example -all exp=mine.text.example"},
		"included.example":  {"v=spf1 -include:passes.example exp=mine.text.example"},
		"passes.example":    {"v=spf1 +all exp=all.text.example"},
		"fails.example":     {"v=spf1 -all exp=all.text.example"},
		"redirect.example":  {"v=spf1 redirect=mine.example exp=all.text.example"},
		"silent.example":    {"v=spf1 redirect=quiet.example exp=all.text.example"},
		"quiet.example":     {"v=spf1 -all"},
		"mine.example":      {"v=spf1 -all exp=mine.text.example"},
		"mine.text.example": {"mine, %{d}, %{o}"},
		"soft.example":      {"v=spf1 ~all exp=mine.text.example"},
	} {
		z.txt(name, txts...)
	}
	z.fail("slow.text.example")
	for _, name := range []string{"all", "two", "bad", "utf8", "line", "none", "slow", "absent"} {
		z.txt(name+".example", "v=spf1 -all exp="+name+".text.example")
	}
	c := Checker{Resolver: z, Receiver: "mx.here.example", Now: func() time.Time { return time.Unix(1e9, 0) }}
	for domain, want := range map[string]string{
		"all.example":      "a=b@all.example from 198.51.100.9 (h.example) at 1000000000: mx.here.example says no. a%3Db %",
		"two.example":      "",
		"bad.example":      "",
		"utf8.example":     "",
		"line.example":     "",
		"none.example":     "",
		"slow.example":     "",
		"absent.example":   "",
		"include.example":  "mine, include.example, include.example",
		"included.example": "mine, included.example, included.example",
		"redirect.example": "mine, mine.example, redirect.example",
		"silent.example":   "",
		"soft.example":     "",
	} {
		got := c.Check(t.Context(), Query{theirs, "a=b@" + domain, "h.example"}, MailFrom)
		wantValue := Fail
		if domain == "soft.example" {
			wantValue = SoftFail
		}
		if got.Explanation != want || got.Value != wantValue || got.Problem != "" {
			t.Errorf("%s: %+v, want %q", domain, got, want)
		}
	}
}
