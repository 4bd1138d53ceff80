package headers_test

import (
	"errors"
	"fmt"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/headers"
)

func ExampleNew() {
	f, err := headers.New("headers", []headers.Rule{
		{Name: "mailer", Fields: []string{"X-Mailer", "User-Agent"}, Match: headers.Prefix, Values: []string{"Bulk Cannon"}, Action: headers.Reject},
		{Name: "outside", Fields: []string{"Subject"}, Match: headers.Present, Classes: []filter.Class{filter.External},
			Action: headers.Tag, Edit: headers.Edit{Value: "[EXT]"}},
	}, headers.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}}
	srv := &milter.Server{New: chain.Hooks} // and srv.ListenAndServe
	fmt.Println(srv.New != nil, f.Needs.Actions)
	// Output: true ADDHDRS|CHGHDRS
}

func ExampleRule() {
	// Mail in the name of the director that did not come from our own program.
	r := headers.Rule{
		Name:   "director",
		Fields: []string{"From", "Sender"}, Part: headers.DisplayName, Match: headers.Contains, Values: []string{"Jane Director"},
		Classes: []filter.Class{filter.External},
		Action:  headers.Reject, Text: "mail in the name of our director comes from inside",
	}
	_, err := headers.New("names", []headers.Rule{r}, headers.Options{})
	fmt.Println(err)

	// None of the fields meets the rule: here, no date that begins like one.
	r = headers.Rule{Name: "date", Fields: []string{"Date"}, Match: headers.Regexp, Values: []string{`^(\w{3}, *)?\d`}, None: true,
		Action: headers.Add, Edit: headers.Edit{Name: "X-Odd", Value: "no date from {from}"}}
	_, err = headers.New("dates", []headers.Rule{r}, headers.Options{})
	fmt.Println(err)
	// Output:
	// <nil>
	// <nil>
}

func ExampleEdit() {
	// The name of the list becomes a tag; the same into a field of its own, on top.
	rules := []headers.Rule{
		{Fields: []string{"List-Id"}, Match: headers.Regexp, Values: []string{`<([^.>]+)\.`}, Action: headers.Tag, Edit: headers.Edit{Value: "[{1}]"}},
		{Fields: []string{"List-Id"}, Match: headers.Regexp, Values: []string{`<([^.>]+)\.`}, Action: headers.Add,
			Edit: headers.Edit{Name: "X-List", Value: "{1}", Position: headers.Top}},
	}
	_, err := headers.New("lists", rules, headers.Options{})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleOptions() {
	_, err := headers.New("headers", headers.SampleRules(), headers.Options{MaxValue: 10_000, MaxEdits: 100_000})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleErrRule() {
	_, err := headers.New("headers", []headers.Rule{
		{Name: "words", Fields: []string{"Subject"}, Match: headers.Regexp, Values: []string{"(free"}, Action: headers.Reject},
		{Name: "mark", Fields: []string{"Subject"}, Match: headers.Present, Action: headers.Add},
	}, headers.Options{})
	fmt.Println(errors.Is(err, headers.ErrRule))
	fmt.Println(err)
	// Output:
	// true
	// headers: rule is not right: "words": error parsing regexp: missing closing ): `(?i)(free`
	// headers: rule is not right: "mark": add needs a name and a value
}

func ExampleErrEdits() {
	fmt.Println(headers.ErrEdits)
	// Output: headers: rules write too much
}

func ExamplePart() {
	var p headers.Part
	err := p.UnmarshalText([]byte("display-name"))
	fmt.Println(p == headers.DisplayName, err)
	fmt.Println(headers.Value, headers.Raw, headers.Address, headers.DisplayName, headers.Charset, headers.Name, headers.Recipient)
	fmt.Println(p.UnmarshalText([]byte("body")))
	// Output:
	// true <nil>
	// value raw address display-name charset name recipient
	// headers: no part is called "body"
}

func ExampleMatch() {
	for m := headers.Equal; m <= headers.SenderDomain; m++ {
		fmt.Print(m, " ")
	}
	// Output: equal contains prefix suffix glob regexp longer shorter present missing more-than sender-domain
}

func ExampleAction() {
	for a := headers.Reject; a <= headers.Note; a++ {
		fmt.Println(a)
	}
	_, err := headers.Action(0).MarshalText() // there is no default
	fmt.Println(err)
	// Output:
	// reject
	// tempfail
	// discard
	// quarantine
	// tag
	// add
	// change
	// remove
	// note
	// headers: no name for 0
}

func ExampleSampleRules() {
	for _, r := range headers.SampleRules("big5", "iso-2022-jp") {
		fmt.Println(r.Name, r.Fields, r.Match, r.Action)
	}
	// Output:
	// mailer-daemon [] regexp reject
	// shouting [Subject] regexp reject
	// advertising [Subject] regexp reject
	// message-id [Message-ID] shorter reject
	// mailer [X-Mailer] equal reject
	// charset [Subject] equal reject
}

func ExampleWords() {
	w := headers.Words{Spam: []string{"Rolex"}, From: []string{"Lottery"}, OutsideLatin1: true}
	for _, r := range headers.BMSRules(w)[4:] {
		fmt.Println(r.Name, r.Fields, r.Part)
	}
	// Output:
	// spam words [Subject] value
	// spam words in names [From] display-name
	// words in names [From] display-name
	// outside latin-1 [Subject] value
}

func ExampleBMSRules() {
	for _, r := range headers.BMSRules(headers.Words{}) {
		fmt.Println(r.Name, r.Fields, r.Classes, r.Action)
	}
	// Output:
	// advertising [Subject] [external trusted-relay] reject
	// advertising at the end [Subject] [external trusted-relay] reject
	// message-id [Message-ID] [external trusted-relay] reject
	// mailer [X-Mailer] [external trusted-relay] reject
}

func ExampleForwards() {
	r := headers.Forwards("jane@example.net", "*@quiet.example.net")
	fmt.Println(r.Values, r.Rcpts, r.Action)
	// Output: [fwd: [fw] [jane@example.net *@quiet.example.net] reject
}

func ExampleHidePath() {
	r := headers.HidePath("*.corp.example.com", "localhost")
	fmt.Println(r.Fields, r.Values, r.Classes, r.Action)
	// Output: [Received] [from *.corp.example.com * from localhost *] [internal authenticated] remove
}

func ExampleEnvelopeSender() {
	for _, r := range headers.EnvelopeSender("X-Envelope-Sender") {
		fmt.Println(r.Fields, r.Match, r.None, r.Action)
	}
	// Output:
	// [X-Envelope-Sender] present false remove
	// [From Sender] sender-domain true add
}
