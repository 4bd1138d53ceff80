package policy_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gomilter/gomilter/policy"
)

func Example() {
	access := `
SPF-Fail                        REJECT
SPF-Fail:.example.com           OK
SPF-Fail:jane@shop.example.com  550 5.7.23 not from there, Jane
`
	var syntax policy.Syntax = policy.Sendmail
	var file policy.File
	file, err := policy.Parse("access", []byte(access), syntax, policy.Limits{Entries: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	var m *policy.Map
	m, err = policy.New(policy.Table{Name: "access", Entries: file.Entries})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, sender := range []string{"Jane@shop.example.com", "joe@shop.example.com", "joe@example.net"} {
		var v policy.Verdict
		v, _ = m.Lookup(sender, "", policy.PrefixOf(policy.SPF, "fail"))
		fmt.Println(v)
	}
	// Output:
	// SPF-Fail:jane@shop.example.com (access:4): REJECT
	// SPF-Fail:.example.com (access:3): OK
	// SPF-Fail (access:2): REJECT
}

func ExampleNew_recipients() {
	all := policy.Table{Name: "all", Entries: []policy.Entry{{Key: "spf-fail", Action: policy.Action{Word: policy.Reject}}}}
	abuse := policy.Table{
		Name:    "abuse",
		Entries: []policy.Entry{{Key: "spf-fail", Action: policy.Action{Word: policy.OK}}},
		Rcpts:   func(a string) bool { return strings.HasPrefix(a, "abuse@") },
	}
	m, err := policy.New(all, abuse)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, rcpt := range []string{"jane@example.com", "abuse@example.com"} {
		v, _ := m.Lookup("joe@example.net", rcpt, "spf-fail")
		fmt.Println(rcpt, v.Word)
	}
	// Output:
	// jane@example.com REJECT
	// abuse@example.com OK
}

func ExampleParseAction() {
	for _, s := range []string{"WHITELIST", "reject use your own server", "ERROR:4.7.1:450 come back later", "MAYBE"} {
		var a policy.Action
		a, err := policy.ParseAction(s)
		if errors.Is(err, policy.ErrWord) {
			fmt.Println("no word")
			continue
		}
		var w policy.Word = a.Word
		fmt.Printf("%v %d %q %q\n", w, a.Code, a.Enhanced, a.Text)
	}
	// Output:
	// WHITELIST 0 "" ""
	// REJECT 0 "" "use your own server"
	// TEMPFAIL 450 "4.7.1" "come back later"
	// no word
}

func ExampleParsePrefix() {
	var p policy.Prefix
	p, err := policy.ParsePrefix("DKIM-Pass")
	var id policy.Identity = p.Identity()
	fmt.Println(p, id, err)
	// Output: dkim-pass dkim <nil>
}

func ExampleEntryError() {
	_, err := policy.New(policy.Table{Name: "rule 1", Entries: []policy.Entry{{Key: "spf-maybe", Action: policy.Action{Word: policy.OK}}}})
	if e, ok := errors.AsType[*policy.EntryError](err); ok {
		fmt.Println(e.Table, e.Index, errors.Is(e, policy.ErrKey))
	}
	// Output: rule 1 0 true
}

func ExampleLineError() {
	_, err := policy.Parse("access", []byte("spf-fail OK\nspf-none MAYBE\n"), policy.Postfix, policy.Limits{})
	if e, ok := errors.AsType[*policy.LineError](err); ok {
		fmt.Println(e.Name, e.Line)
	}
	// Output: access 2
}
