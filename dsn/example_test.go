package dsn_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/dsn"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/srs"
)

// original is a message as it came.
const original = "From: Jane <jane@example.com>\r\nTo: joe@example.net\r\nSubject: lunch\r\nMessage-ID: <1@example.com>\r\n\r\nAt noon?\r\n"

func Example() {
	var c = dsn.Composer{
		Host: "mx.example.net",
		Sign: func(to address.Path) (string, error) { return "SRS0=x=y=" + to.Domain + "=" + to.Local, nil },
	}
	var n = dsn.Notice{
		Template: "softfail",
		Vars:     dsn.Vars{Result: "softfail", HeloName: "pc.example.org"},
		To:       address.Path{Local: "jane", Domain: "example.com"},
		Recipients: []dsn.Recipient{{
			Address: address.Path{Local: "joe", Domain: "example.net"}, Original: "rfc822;joe@example.net",
			Action: dsn.Delayed, Status: "4.7.23", Diagnostic: "451 4.7.23 SPF softfail",
		}},
		Arrival: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC),
		Header:  message.Parse([]byte(original)).Header,
	}
	var m *dsn.Message
	m, err := c.Compose(&n)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.To, len(m.Data) > 1000, m.SMTPUTF8)

	// It comes back as it went; so would the header that a bounce of it quotes.
	var r *dsn.Report
	r, err = dsn.Parse(strings.NewReader(string(m.Data)), &dsn.ParseOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var o dsn.Outcome = r.Outcomes[0]
	fmt.Println(r.Format, r.ReportingMTA, r.OriginalID)
	fmt.Println(o.Final, o.Action, o.Status)
	// Output:
	// jane@example.com true false
	// rfc3464 mx.example.net 1@example.com
	// joe@example.net delayed 4.7.23
}

// Notices carry the address they go to, signed by package srs.
func ExampleComposer_sign() {
	rewriter, err := srs.New(srs.Options{Secrets: []srs.Secret{{Key: []byte("a secret of 16 octets or more")}}, MaxLocal: 200})
	if err != nil {
		fmt.Println(err)
		return
	}
	const host = "mx.example.net"
	c := dsn.Composer{Host: host, Sign: func(to address.Path) (string, error) {
		signed, err := rewriter.Forward(to.String(), host)
		return strings.TrimSuffix(signed, "@"+host), err
	}}
	m, err := c.Compose(&dsn.Notice{
		Template:   "permerror",
		To:         address.Path{Local: "jane doe", Domain: "example.com"},
		Recipients: []dsn.Recipient{{Address: address.Path{Local: "joe", Domain: "example.net"}, Action: dsn.Delayed}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	bounce := "Subject: failure notice\n\nNo such user.\n\n--- Below this line is a copy of the message.\n\nMessage-ID: <" + m.MessageID + ">\n"
	r, err := dsn.Parse(strings.NewReader(bounce), &dsn.ParseOptions{Owner: func(token string) (address.Path, bool) {
		o, err := rewriter.Reverse(token + "@" + host)
		if err != nil {
			return address.Path{}, false
		}
		p, err := address.ParsePath(o.Address)
		return p, err == nil
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Failed(), r.Ours, r.Owner)
	// Output: true true "jane doe"@example.com
}

func ExampleParseTree() {
	text := `From: MAILER-DAEMON@mail.example.com
Subject: failure notice

Hi. This is the qmail-send program at mail.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.

<jane@example.com>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Message-ID: <dsn.aaaaaaaaaaaaaaaaaaaaaaaaaa.SRS0=x=y=example.com=jane@mx.example.net>
`
	t, err := message.Read(strings.NewReader(text), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	r, err := dsn.ParseTree(t, &dsn.ParseOptions{Owner: func(token string) (address.Path, bool) {
		user, ok := strings.CutPrefix(token, "SRS0=x=y=example.com=")
		return address.Path{Local: user, Domain: "example.com"}, ok
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Format, r.Failed(), r.Outcomes[0].Final, r.Outcomes[0].Status)
	fmt.Println(r.Ours, r.Owner)
	// Output:
	// qmail true jane@example.com 5.1.1
	// true jane@example.com
}

func ExampleParse_other() {
	_, err := dsn.Parse(strings.NewReader(original), nil)
	fmt.Println(errors.Is(err, dsn.ErrNoReport))
	// Output: true
}

func ExampleFailureSubject() {
	fmt.Println(dsn.FailureSubject("Undeliverable: lunch"), dsn.FailureSubject("lunch"))
	// Output: true false
}

func ExampleConcerned() {
	never, _ := dsn.ParseNotify("NEVER")
	var success dsn.Notify
	success, _ = dsn.ParseNotify("success,failure")
	rcpts := []dsn.Recipient{
		{Address: address.Path{Local: "a", Domain: "example.com"}, Action: dsn.Failed},
		{Address: address.Path{Local: "b", Domain: "example.com"}, Action: dsn.Failed, Notify: never},
		{Address: address.Path{Local: "c", Domain: "example.com"}, Action: dsn.Delayed, Notify: success},
	}
	for _, always := range []bool{false, true} {
		for _, r := range dsn.Concerned(rcpts, always) {
			fmt.Println(always, r.Address)
		}
	}
	// Output:
	// false a@example.com
	// true a@example.com
	// true c@example.com
}

func ExampleParseAction() {
	var a dsn.Action
	a, ok := dsn.ParseAction("Failed (bad destination)")
	fmt.Println(a, ok)
	// Output: failed true
}

func ExampleParseReturn() {
	var r dsn.Return = dsn.ParseReturn("full")
	fmt.Println(r == dsn.ReturnFull)
	// Output: true
}

func ExampleLoadTemplates() {
	dir, err := os.MkdirTemp("", "templates")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	os.WriteFile(filepath.Join(dir, "fail.txt"), []byte("Subject: not from there\n\nDear {{.sneder}},\n"), 0o600)
	_, err = dsn.LoadTemplates(dir)
	if e, ok := errors.AsType[*dsn.TemplateError](err); ok {
		fmt.Println(e.Line, e.Reason)
	}
	// Output: 3 unknown variable .sneder
}

func ExampleBuiltinTemplates() {
	var t *dsn.Templates = dsn.BuiltinTemplates()
	fmt.Println(t.Names())
	text, _ := t.Text("quarantine")
	subject, _, _ := strings.Cut(text, "\n")
	fmt.Println(subject)
	// Output:
	// [fail heloerror internal neutral permerror quarantine softfail strike3 temperror]
	// Subject: Your message is being held back
}
