package mta_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/mta"
)

// A client that no filter looks at gets its mail through. With Milters set, this
// is how Postfix would treat the message.
func ExampleClient_Send() {
	c := &mta.Client{Profile: mta.Postfix, Hostname: "mx.example.org"}
	res, err := c.Send(context.Background(), mta.Mail{
		Conn:  mta.Conn{Name: "client.example.com", Addr: netip.MustParseAddrPort("192.0.2.1:25")},
		Helo:  "client.example.com",
		From:  "<a@example.com>",
		Rcpts: []string{"<b@example.org>"},
		Data:  []byte("Subject: hello\n\nHello.\n"),
	})
	if err != nil {
		log.Fatal(err)
	}
	json.NewEncoder(os.Stdout).Encode(res)
	fmt.Printf("%q\n", res.Message.Bytes())
	// Output:
	// {"verdict":"accept","stage":"end","reply":null,"quarantine":null,"recipients":[{"address":"b@example.org","reply":null}],"edits":[],"envelope":{"from":"a@example.com","rcpts":["b@example.org"]},"filters":[]}
	// "Subject: hello\r\n\r\nHello.\r\n"
}

// The conversation step by step, as an SMTP server would report it.
func ExampleSession() {
	ctx := context.Background()
	c := &mta.Client{Profile: mta.Sendmail, Hostname: "mx.example.org"}
	s, _, err := c.Connect(ctx, mta.Conn{Name: "client.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	s.Helo(ctx, "client.example.com")
	out, err := s.Rcpt(ctx, "<b@example.org>")
	fmt.Println(out.Reply, err)
	s.Mail(ctx, "<a@example.com>", "SIZE=100")
	out, err = s.Rcpt(ctx, "<b@example.org>")
	fmt.Println(out.Reply, err)
	s.Quit(ctx)
	// Output:
	// 503 5.0.0 Need MAIL before RCPT <nil>
	// <nil> <nil>
}

// What a filter said of a message, and what became of it. The filter here adds a
// field and refuses a recipient; it may as well be one in another language.
func ExampleResult() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ln, err := milter.Listen("inet:0@127.0.0.1", milter.SocketOptions{})
	if err != nil {
		log.Fatal(err)
	}
	filter := &milter.Server{New: func(*milter.Session) milter.Hooks {
		return milter.Hooks{
			Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
				if r.Local() == "nobody" {
					return milter.Reject(550, "5.1.1", "nobody lives here")
				}
				return milter.Continue
			},
			End: func(_ context.Context, e *milter.Edits) milter.EndReply {
				if err := e.AddHeader("X-Seen", "yes"); err != nil {
					return milter.DefaultTempFail
				}
				return milter.Accept
			},
		}
	}}
	go filter.Serve(ctx, ln)

	c := &mta.Client{
		Profile: mta.Postfix,
		Milters: []mta.Milter{{Name: "seen", Network: "tcp", Address: ln.Addr().String()}},
	}
	var res *mta.Result
	res, err = c.Send(ctx, mta.Mail{
		From:  "<a@example.com>",
		Rcpts: []string{"<b@example.org>", "<nobody@example.org>"},
		Data:  []byte("Subject: hello\n\nHello.\n"),
	})
	if err != nil {
		log.Fatal(err)
	}

	var second mta.Recipient = res.Recipients[1]
	fmt.Println(second.Address, second.Reply)
	fmt.Println(res.Verdict, res.Envelope.From, res.Envelope.Addresses())
	madeBy := func(f mta.FilterResult, all []mta.FilterEdit) (edits []mta.Edit) {
		for _, e := range all {
			if e.Milter == f.Name {
				edits = append(edits, e.Edit)
			}
		}
		return edits
	}
	for _, f := range res.Filters {
		fmt.Println(f.Name, f.Decision, madeBy(f, res.Edits))
	}
	// Output:
	// nobody@example.org 550 5.1.1 nobody lives here
	// accept a@example.com [b@example.org]
	// seen accept [addheader X-Seen: "yes"]
}

// What mail meets when its filter is down, which is for the configuration of the
// MTA to say.
func ExampleFailure() {
	ctx := context.Background()
	var faults []mta.Fault
	down := errors.New("nobody is at home")
	for _, failure := range []mta.Failure{mta.FailAccept, mta.FailTempFail, mta.FailReject, mta.FailShutdown} {
		c := &mta.Client{Profile: mta.Postfix, Hostname: "mx.example.org", Milters: []mta.Milter{{
			Name:     "scanner",
			Dial:     func(context.Context) (net.Conn, error) { return nil, down },
			Failure:  failure,
			Timeouts: mta.Timeouts{Connect: time.Second}, // else Postfix waits for 30
		}}}
		s, connect, err := c.Connect(ctx, mta.Conn{Name: "client.example.com"})
		if err != nil {
			log.Fatal(err)
		}
		mail, err := s.Mail(ctx, "<a@example.com>")
		if err != nil && !s.Closed() { // as after 421
			log.Fatal(err)
		}
		for _, out := range []mta.Outcome{connect, mail} {
			fmt.Printf("%v: %v %v\n", failure, out.Verdict, out.Reply)
		}
		s.Close()
		faults = append(faults, connect.Faults...)
	}
	fmt.Println(faults[0]) // the same each time
	// Output:
	// accept: continue <nil>
	// accept: continue <nil>
	// tempfail: tempfail <nil>
	// tempfail: tempfail 451 4.7.1 Service unavailable - try again later
	// reject: reject 554 mx.example.org ESMTP not accepting connections
	// reject: reject 550 5.5.0 Service unavailable
	// shutdown: tempfail 421 mx.example.org Service unavailable - try again later
	// shutdown: continue <nil>
	// mta: milter scanner: negotiate: nobody is at home
}

// Trace is told every packet: what a filter asks for, is sent and answers.
func ExamplePacket() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ln, err := milter.Listen("inet:0@127.0.0.1", milter.SocketOptions{})
	if err != nil {
		log.Fatal(err)
	}
	filter := &milter.Server{New: func(*milter.Session) milter.Hooks {
		return milter.Hooks{Helo: func(context.Context, []byte) milter.HeloReply { return milter.AcceptConnection }}
	}}
	go filter.Serve(ctx, ln)

	c := &mta.Client{
		Profile:  mta.Sendmail,
		Hostname: "mx.example.org",
		Milters:  []mta.Milter{{Name: "f", Network: "tcp", Address: ln.Addr().String()}},
		Lists:    map[mta.Stage]string{mta.StageHelo: "j"}, // macros; Sendmail's own list is of TLS
		Trace: func(p mta.Packet) {
			direction := "<-"
			if p.Sent {
				direction = "->"
			}
			fmt.Printf("%s %s %c %q\n", direction, p.Milter, p.Code, p.Payload)
		},
	}
	s, _, err := c.Connect(ctx, mta.Conn{Name: "client.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.Helo(ctx, "client.example.com"); err != nil {
		log.Fatal(err)
	}
	if _, err := s.Mail(ctx, "<a@example.com>"); err != nil { // the filter asked for no more
		log.Fatal(err)
	}
	s.Quit(ctx)
	// Output:
	// -> f O "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"
	// <- f O "\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x03}"
	// -> f D "Cj\x00mx.example.org\x00_\x00client.example.com\x00{daemon_name}\x00MTA\x00"
	// -> f D "Hj\x00mx.example.org\x00"
	// -> f H "client.example.com\x00"
	// <- f a ""
	// -> f Q ""
}
