package mta_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/netip"
	"os"

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
