package filter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/mta"
)

// play sends a message through a chain, as Postfix would, and returns what became of it.
func play(chain *filter.Chain, text string) *mta.Result {
	client := &mta.Client{Profile: mta.Postfix, QueueID: func() string { return "4bQ1" }}
	stop := attach(nil, client, []*milter.Server{{New: chain.Hooks, Log: slog.New(slog.DiscardHandler)}})
	defer stop()
	r, err := client.Send(context.Background(), mta.Mail{
		Conn: mta.Conn{Name: "mail.example.org", Addr: netip.MustParseAddrPort("192.0.2.25:40025")},
		From: "<ann@example.org>", Rcpts: []string{"<bob@example.net>", "<carol@example.net>"}, Data: []byte(strings.ReplaceAll(text, "\n", "\r\n")),
	})
	if err != nil {
		panic(err)
	}
	return r
}

// Two filters in one process: the second sees what the first made of the message.
func ExampleChain() {
	shout := &filter.Filter{
		Name:  "shout",
		Needs: filter.Needs{Header: true, Actions: milter.CanChangeHeaders},
		Message: func(_ context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			subject, ok := t.Message().Header.Get("Subject")
			if !ok {
				return milter.Accept, nil
			}
			return milter.Accept, e.ChangeHeader("Subject", 1, strings.ToUpper(subject.Text(false)))
		},
	}
	mark := &filter.Filter{
		Name:  "mark",
		Needs: filter.Needs{Header: true, Actions: milter.CanAddHeaders},
		Message: func(_ context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			subject, _ := t.Message().Header.Get("Subject")
			return milter.Accept, e.AddHeader("X-Subject-Was-Seen", subject.Text(false))
		},
	}
	chain := &filter.Chain{
		Steps:   []filter.Step{{Filter: shout}, {Filter: mark, OnError: filter.ErrorSkip}},
		Explain: func(*filter.Explanation) {},
	}
	if err := chain.Check(); err != nil {
		fmt.Println(err)
		return
	}
	// In production: srv := &milter.Server{New: chain.Hooks}; srv.ListenAndServe(ctx, "unix:/run/chain.sock")
	message := play(chain, "Subject: hello\n\nHi.\n").Message.Bytes()
	fmt.Print(strings.ReplaceAll(string(message), "\r\n", "\n"))
	// Output:
	// Subject: HELLO
	// X-Subject-Was-Seen: HELLO
	//
	// Hi.
}

// Every message leaves an explanation, and every refusal ends with the reference
// under which it is found.
func ExampleExplanation() {
	f := &filter.Filter{
		Name: "users",
		Rcpt: func(_ context.Context, t *filter.Transaction, to filter.Path) (milter.RcptReply, error) {
			if to.Local == "carol" {
				t.Explain("carol is on the list of those who left")
				return milter.Reject(550, "5.1.1", "Carol has left"), nil
			}
			return milter.Continue, nil
		},
	}
	var explanation *filter.Explanation
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}, Explain: func(x *filter.Explanation) { explanation = x }}
	result := play(chain, "Subject: hello\n\nHi.\n")
	told := result.Recipients[1].Reply.String()
	fmt.Println(strings.ReplaceAll(told, explanation.Ref, "..."))
	fmt.Println(explanation.Verdict, explanation.Class)
	var outcomes []filter.Outcome = explanation.Filters
	fmt.Println(outcomes[0].Name, outcomes[0].Stage, outcomes[0].Decision, outcomes[0].Why)
	var recipients []filter.Recipient = explanation.Recipients
	var reply *filter.Reply = recipients[1].Reply
	fmt.Println(recipients[0].Address, recipients[1].Address, reply.Code)
	// Output:
	// 550 5.1.1 Carol has left (ref ...)
	// accept external
	// users rcpt reject carol is on the list of those who left
	// bob@example.net carol@example.net 550
}

// Filters tell each other facts by their type: for a connection or for a message.
func ExampleTell() {
	type host struct{ dynamic bool }
	look := &filter.Filter{
		Name: "look",
		Connect: func(_ context.Context, c *filter.Connection) (milter.ConnectReply, error) {
			var h filter.Holder = c
			filter.Tell(h, host{dynamic: strings.Contains(c.Client.Host, "dyn")})
			return milter.Continue, nil
		},
	}
	use := &filter.Filter{
		Name: "use",
		Message: func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
			h, ok := filter.Told[host](t)
			fmt.Println(h.dynamic, ok)
			return milter.Accept, nil
		},
	}
	play(&filter.Chain{Steps: []filter.Step{{Filter: look}, {Filter: use}}, Explain: func(*filter.Explanation) {}}, "Subject: hello\n\nHi.\n")
	// Output: false true
}

// What an admin says of a filter: whether its decisions count, whom it is asked
// about, and what happens when it fails.
func ExampleStep() {
	broken := &filter.Filter{
		Name: "broken", Kind: filter.Verifies,
		Message: func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
			return nil, errors.New("no answer from the scanner")
		},
	}
	for _, onError := range []filter.OnError{filter.ErrorTempFail, filter.ErrorReject, filter.ErrorSkip} {
		chain := &filter.Chain{
			Steps: []filter.Step{{
				Filter: broken, Mode: filter.On, OnError: onError, OnRepeat: filter.RepeatTempFail,
				Classes: []filter.Class{filter.External, filter.TrustedRelay},
			}},
			Network:  filter.Network{TrustedRelays: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
			Disagree: filter.Strictest,
			Explain:  func(*filter.Explanation) {},
			Log:      slog.New(slog.DiscardHandler),
		}
		fmt.Println(onError, play(chain, "Subject: hello\n\nHi.\n").Verdict)
	}
	var kind filter.Kind = broken.Kind
	var mode filter.Mode = filter.Report
	var repeat filter.OnRepeat = filter.RepeatQuarantine
	var disagree filter.Disagreement = filter.DropRefused
	fmt.Println(kind == filter.Verifies, mode, repeat, disagree == filter.DropRefused)
	failure := &filter.Failure{Filter: "broken", Stage: milter.StageEnd, Err: io.ErrUnexpectedEOF}
	fmt.Println(failure, errors.Is(failure, io.ErrUnexpectedEOF))
	// Output:
	// tempfail tempfail
	// reject reject
	// skip accept
	// true report quarantine true
	// filter: broken failed at end: unexpected EOF true
}

// The message as received stays beside what the filters made of it.
func ExampleMessage() {
	chain := &filter.Chain{Explain: func(*filter.Explanation) {}, Steps: []filter.Step{{Filter: &filter.Filter{
		Name:  "replace",
		Needs: filter.Needs{Body: true, Actions: milter.CanChangeBody},
		Message: func(_ context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			return milter.Accept, e.ReplaceBody(strings.NewReader("Bye.\r\n"))
		},
	}}, {Filter: &filter.Filter{
		Name:  "look",
		Needs: filter.Needs{Body: true},
		Message: func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
			for _, m := range []*filter.Message{t.Received(), t.Message()} {
				body, err := io.ReadAll(io.NewSectionReader(m.Body, 0, m.Body.Size()))
				if err != nil {
					return nil, err
				}
				fmt.Printf("%q\n", body)
			}
			return milter.Accept, nil
		},
	}}}}
	play(chain, "Subject: hello\n\nHi.\n")
	// Output:
	// "Hi.\r\n"
	// "Bye.\r\n"
}
