package miltertest_test

import (
	"context"
	"fmt"

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
