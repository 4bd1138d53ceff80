package miltertest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// moved is the filter under test: it refuses a domain, and notes the sender.
func moved(*milter.Session) milter.Hooks {
	var from string
	return milter.Hooks{
		Mail: func(_ context.Context, m *milter.Mail) milter.MailReply { from = m.Address(); return milter.Continue },
		Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
			if r.Domain() == "old.example.com" {
				return milter.Reject(550, "5.1.6", "that domain has moved")
			}
			return milter.Continue
		},
		End: func(_ context.Context, e *milter.Edits) milter.EndReply {
			e.InsertHeader(0, "X-Seen-From", from)
			return milter.Accept
		},
	}
}

// One message, from connection to result. In a test, t is the *testing.T.
func Example() {
	t := exampleT()
	defer t.done()

	c := miltertest.New(t, &milter.Server{New: moved})
	res := c.Send(t, miltertest.Mail{
		From:  "someone@example.org",
		Rcpts: []string{"a@old.example.com", "b@example.com"},
		Text:  "Subject: hello\n\nHow are you?\n",
	})

	fmt.Println(res.Verdict, res.Rcpts())
	fmt.Println(res.At(milter.StageRcpt)[0].Said())
	fmt.Println(res.Header("X-Seen-From"))
	fmt.Printf("%q\n", res.Body())
	// Output:
	// accept [b@example.com]
	// 550 5.1.6 that domain has moved
	// someone@example.org
	// "How are you?\r\n"
}

// A session goes command by command.
func ExampleSession() {
	t := exampleT()
	defer t.done()

	c := miltertest.New(t, &milter.Server{New: moved})
	c.Profile = mta.Sendmail
	s := c.Connect(t)
	s.Helo("client.example")
	s.Mail("<someone@example.org>", "SIZE=1000")
	fmt.Println(s.Rcpt("<a@old.example.com>"))
	s.Reset()

	// Another message on the same connection.
	fmt.Println(s.Send(miltertest.Mail{Rcpts: []string{"b@example.com"}}).Verdict)
	s.Quit()
	// Output:
	// rcpt: reject 550 5.1.6 <a@old.example.com>... that domain has moved
	// accept
}

// All of a result as text, as golden files have it.
func ExampleResult_String() {
	t := exampleT()
	defer t.done()

	c := miltertest.New(t, &milter.Server{New: moved})
	fmt.Println(c.Send(t, miltertest.Mail{Rcpts: []string{"a@old.example.com", "b@example.com"}, Text: "A: 1\n\nx\n"}))
	// Output:
	// verdict accept
	// stage end
	// from <sender@example.org>
	// rcpt <b@example.com>
	// refused <a@old.example.com>: 550 5.1.6 that domain has moved
	// answer mail: continue
	// answer rcpt: 550 5.1.6 that domain has moved
	// answer rcpt: continue
	// answer end: accept
	// edit insheader 0 X-Seen-From: "sender@example.org"
	//
	// X-Seen-From: sender@example.org
	// A: 1
	//
	// x
}

// A conversation that no MTA would have.
func ExampleRaw() {
	t := exampleT()
	defer t.done()

	c := miltertest.New(t, &milter.Server{New: moved})
	raw := c.Raw(t, 0)
	raw.Offer()
	raw.Send(miltertest.Frame('M', "<someone@example.org>"))
	raw.Expect("c")
	raw.Send("what is this?") // w is no command
	_, err := raw.Next()
	fmt.Println(err)
	// Output:
	// EOF
}

// What a filter asked for when it was connected to, and what it was told and said.
func ExampleAnswer() {
	t := exampleT()
	defer t.done()

	c := miltertest.New(t, &milter.Server{New: moved})
	res := c.Send(t, miltertest.Mail{From: "<a@example.org> SIZE=100", Rcpts: []string{"b@old.example.com", "c@example.com"}})
	for _, said := range [][]miltertest.Answer{res.At(milter.StageMail), res.At(milter.StageRcpt)} {
		for _, a := range said {
			fmt.Printf("%q: %s\n", a.Arg, a.Said())
		}
	}

	var asked miltertest.Agreement = res.Agreements[0]
	fmt.Println("told of the body:", asked.Told(milter.StageBody))
	fmt.Println("may quarantine:", asked.Actions&milter.CanQuarantine != 0)
	// Output:
	// "<a@example.org> SIZE=100": continue
	// "<b@old.example.com>": 550 5.1.6 that domain has moved
	// "<c@example.com>": continue
	// told of the body: false
	// may quarantine: true
}

// Filters are asked in order, as the configuration of a Client, which is the MTA's,
// has it. Here the second one is down.
func ExampleClient() {
	t := exampleT()
	defer t.done()

	scanner := &milter.Server{Name: "scanner", New: func(*milter.Session) milter.Hooks { return milter.Hooks{} }}
	var c *miltertest.Client = miltertest.New(t, &milter.Server{New: moved}, scanner)
	c.Milters[1].Dial = func(context.Context) (net.Conn, error) { return nil, errors.New("connection refused") }
	c.FaultsOK = true // or that fails the test
	for _, failure := range []mta.Failure{mta.FailAccept, mta.FailTempFail} {
		c.Milters[1].Failure = failure
		res := c.Send(t, miltertest.Mail{})
		fmt.Printf("%v: %v %q\n", failure, res.Verdict, res.Header("X-Seen-From"))
	}
	// Output:
	// accept: accept "sender@example.org"
	// tempfail: tempfail ""
}

// A test for both MTAs, each with a golden file. Once they are written, with
//
//	go test -miltertest.update
//
// somebody reads them.
func ExampleEach() {
	_ = func(t *testing.T) { // func TestMoved(t *testing.T) {
		miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
			c := miltertest.New(t, &milter.Server{New: moved})
			c.Profile = profile
			c.Send(t, miltertest.Mail{File: "testdata/mail.eml"}).Golden(t, "testdata/mail."+profile.String()+".want")
		})
	}
}

// A golden file of the edits alone, written anew together with those of
// Result.Golden.
func ExampleUpdate() {
	_ = func(t *testing.T) { // func TestEdits(t *testing.T) {
		const file = "testdata/edits.want"
		c := miltertest.New(t, &milter.Server{New: moved})
		got := fmt.Sprintln(c.Send(t, miltertest.Mail{File: "testdata/mail.eml"}).Edits)
		if miltertest.Update() {
			if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("edits = %s, want %s", got, want)
		}
	}
}
