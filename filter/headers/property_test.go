package headers_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/headers"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"pgregory.net/rapid"
)

var fieldNames = []string{"Subject", "subject", "X-A", "x-a", "X-B", "From", "To", "Received", "X-Long-Name"}

var aRule = rapid.Custom(func(t *rapid.T) headers.Rule {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	r := headers.Rule{
		Fields:        rapid.SliceOfN(rapid.SampledFrom(append([]string{"X-*", "x-?", "R*d"}, fieldNames...)), 1, 3).Draw(t, "fields"),
		Match:         rapid.SampledFrom([]headers.Match{headers.Equal, headers.Contains, headers.Prefix, headers.Suffix, headers.Glob, headers.Regexp, headers.Longer, headers.Shorter, headers.Present, headers.Missing, headers.MoreThan}).Draw(t, "match"),
		CaseSensitive: rapid.Bool().Draw(t, "case"),
		Action:        rapid.SampledFrom([]headers.Action{headers.Tag, headers.Add, headers.Change, headers.Remove, headers.Note, headers.Change, headers.Remove}).Draw(t, "action"),
	}
	switch {
	case r.Match <= headers.Regexp:
		r.Part = rapid.SampledFrom([]headers.Part{headers.Value, headers.Raw, headers.Address, headers.DisplayName, headers.Charset, headers.Name}).Draw(t, "part")
		r.Values = []string{pick("value", "a", "one", "x-a", "utf-8", "b@example.net", "*o*", "ü")}
		if r.Match == headers.Regexp {
			r.Values = []string{pick("regexp", "o", "^.", "(?s).*", "x?$")}
		}
	case r.Match != headers.Present && r.Match != headers.Missing:
		r.N = rapid.IntRange(1, 4).Draw(t, "n")
	}
	if !(r.Match >= headers.Present) {
		r.Not = rapid.IntRange(0, 4).Draw(t, "not") == 0
	}
	if r.Match != headers.Missing {
		r.None = rapid.IntRange(0, 6).Draw(t, "none") == 0
	}
	named := rapid.Bool().Draw(t, "named") || r.None || r.Match == headers.Missing
	name := pick("name", "X-A", "X-New", "Subject")
	value := pick("new value", "new", "ünew", "two\r\nlines", strings.Repeat("long ", 300), strings.Repeat("x", 1100))
	switch r.Action {
	case headers.Tag:
		r.Edit = headers.Edit{Value: pick("tag", "[tag]", "⚠")}
	case headers.Add:
		r.Edit = headers.Edit{Name: name, Value: value, Position: rapid.IntRange(headers.Top, 4).Draw(t, "position")}
	case headers.Change:
		r.Edit.Value = value
		fallthrough
	case headers.Remove:
		if named {
			r.Edit.Name = name
		}
	}
	return r
})

var aHeader = rapid.Custom(func(t *rapid.T) string {
	var b strings.Builder
	for range rapid.IntRange(1, 8).Draw(t, "fields") {
		b.WriteString(rapid.SampledFrom(fieldNames).Draw(t, "name") + ":")
		b.WriteString(rapid.SampledFrom([]string{" one", " a", "", "no blank", " =?utf-8?q?=C3=BC?= x", " \xff\xfe", " folded\n\tline", " A <b@example.net>", "  two blanks ", " " + strings.Repeat("w", 900)}).Draw(t, "value") + "\n")
	}
	return b.String()
})

// Fields that no rule names keep their bytes and their order, on both MTAs, and
// what matches nothing leaves no edits.
func TestOnlyNamedFieldsChange(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := rapid.SliceOfN(aRule, 1, 4).Draw(rt, "rules")
		text := aHeader.Draw(rt, "header")
		profile := rapid.SampledFrom([]mta.Profile{mta.Sendmail, mta.Postfix}).Draw(rt, "profile")
		r, x := play(t, profile, rules, headers.Options{}, outside(text))
		plain, _ := play(t, profile, nil, headers.Options{}, outside(text))
		if r.Verdict != mta.Accept {
			rt.Fatalf("verdict %v; %+v", r.Verdict, x.Filters)
		}
		touched := func(f message.Field) bool {
			return slices.ContainsFunc(rules, func(r headers.Rule) bool {
				switch {
				case r.Action == headers.Note:
					return false
				case r.Action == headers.Tag:
					return f.Is("Subject")
				case r.Edit.Name != "":
					return f.Is(r.Edit.Name)
				}
				return slices.ContainsFunc(r.Fields, func(p string) bool {
					return f.Is(p) || p == "X-*" && f.Name()[1] == '-' || p == "x-?" && len(f.Name()) == 3 || p == "R*d" && f.Is("Received")
				})
			})
		}
		kept := func(h message.Header) (list []string) {
			for _, f := range h {
				if !touched(f) {
					list = append(list, string(f.Raw()))
				}
			}
			return list
		}
		if got, want := kept(r.Message.Header), kept(plain.Message.Header); !slices.Equal(got, want) {
			rt.Errorf("fields that no rule names were %q and are %q", want, got)
		}
		if len(x.Filters) > 0 && x.Filters[0].Why == "" && len(r.Edits) > 0 {
			rt.Errorf("edits %v without a rule that matched", r.Edits)
		}
		for line := range strings.Lines(string(r.Message.Header.Bytes())) {
			if len(line) > 1000 {
				rt.Errorf("line of %d bytes", len(line))
			}
		}
	})
}

// chainOf makes a server of rules, for tests that send many messages.
func chainOf(t testing.TB, rules []headers.Rule) (*miltertest.Client, *[]*filter.Explanation) {
	f, err := headers.New("headers", rules, headers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var told []*filter.Explanation
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}, Log: slog.New(slog.DiscardHandler), Explain: func(x *filter.Explanation) { told = append(told, x) }}
	return miltertest.New(t, &milter.Server{New: chain.Hooks, Log: chain.Log}), &told
}

// FuzzNew tries any rule on any header: it is refused, or works.
func FuzzNew(f *testing.F) {
	f.Add("Subject", "x", "[{1}]", uint8(0), uint8(5), uint8(5), 0, "Subject: xyz\n")
	f.Add("*", "(.*)", "{1}{value}{{{from}", uint8(1), uint8(5), uint8(7), 0, "X: =?utf-8?b?w6k=?=\n y\nFrom: \"a, b\" <c@d>\n")
	f.Add("X-*", "*@*", "no {value}", uint8(2), uint8(4), uint8(1), 0, "X-From: a@b, c@d;\n")
	f.Add("To", "", "x", uint8(0), uint8(10), uint8(8), 1, "To: a\nTo: b\n")
	f.Add("From", "", "{from}", uint8(2), uint8(11), uint8(6), 0, "From: \xff <\x00@x>\n")
	f.Add("X-A", "big5", "ü", uint8(4), uint8(0), uint8(9), 0, "X-A: =?big5?B?pN+q+Q==?=\n")
	f.Fuzz(func(t *testing.T, field, value, edit string, part, match, action uint8, n int, text string) {
		r := headers.Rule{Fields: []string{field}, Part: headers.Part(part % 8), Match: headers.Match(match % 13), N: n, Action: headers.Action(action % 11),
			Not: match&0x80 != 0, None: part&0x80 != 0, CaseSensitive: action&0x80 != 0}
		if r.Part == headers.Recipient {
			r.Fields = nil
		}
		if r.Match <= headers.Regexp {
			r.Values = []string{value}
		}
		switch r.Action {
		case headers.Reject, headers.TempFail:
			r.Text = edit
		case headers.Add:
			r.Edit = headers.Edit{Name: "X-New", Value: edit, Position: n % 5}
		case headers.Tag, headers.Change:
			r.Edit.Value = edit
			if r.None || r.Match == headers.Missing {
				r.Edit.Name = "Subject"
			}
		}
		if _, err := headers.New("fuzz", []headers.Rule{r}, headers.Options{}); err != nil {
			return
		}
		c, told := chainOf(t, []headers.Rule{r, {Fields: []string{"*"}, Match: headers.Present, Action: headers.Tag, Edit: headers.Edit{Value: "[t]"}}})
		if len(text) > 100_000 {
			return
		}
		c.MakeUp = n%2 == 0
		if part&0x40 != 0 {
			c.Profile = mta.Sendmail
		}
		res, err := c.Client.Send(context.Background(), mta.Mail{Conn: miltertest.DefaultConn, Helo: "x", From: "<sender@example.org>", Rcpts: []string{"<b@example.net>"}, Data: []byte(text)})
		if err != nil || len(res.Faults) > 0 {
			t.Fatalf("rule %+v on %q: %v, %v", r, text, err, res.Faults)
		}
		for _, x := range *told {
			for _, o := range x.Filters {
				if o.Failed != "" || strings.ContainsFunc(o.Why, func(r rune) bool { return r < ' ' || r == 0x7f }) {
					t.Fatalf("rule %+v on %q: failed %q, explained as %q", r, text, o.Failed, o.Why)
				}
			}
			if r.Action != headers.TempFail && x.Verdict == "tempfail" {
				t.Fatalf("rule %+v on %q: edits that cannot be made", r, text)
			}
		}
	})
}
