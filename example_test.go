package milter_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/mta"
)

// newFilter is the filter of docs/pymilter.md.
func newFilter(s *milter.Session) milter.Hooks {
	var from string
	return milter.Hooks{
		Mail: func(_ context.Context, m *milter.Mail) milter.MailReply {
			from = m.Address()
			return milter.Continue
		},
		Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
			if r.Domain() == "old.example.com" {
				return milter.Reject(550, "5.1.6", "that domain has moved")
			}
			return milter.Continue
		},
		End: func(_ context.Context, e *milter.Edits) milter.EndReply {
			if err := e.AddHeader("X-Seen-From", from); err != nil {
				return milter.DefaultTempFail
			}
			return milter.Accept
		},
		Actions: milter.CanAddHeaders,
	}
}

func ExampleServer() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	spec := "unix:" + filepath.Join(dir, "filter.sock")
	ln, err := milter.Listen(spec, milter.SocketOptions{Mode: 0o660})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	srv := &milter.Server{New: newFilter}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, ln) }()

	// What Postfix would do with a message:
	client := &mta.Client{Profile: mta.Postfix, Milters: []mta.Milter{{Address: spec}}}
	res, err := client.Send(ctx, mta.Mail{
		Conn:  mta.Conn{Name: "client.example", Addr: netip.MustParseAddrPort("192.0.2.1:25")},
		From:  "<joe@example.com>",
		Rcpts: []string{"<ann@example.net>", "<bob@old.example.com>"},
		Data:  []byte("Subject: hi\r\n\r\nhello\r\n"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range res.Recipients {
		fmt.Println(r.Address, r.Reply)
	}
	fmt.Println(res.Verdict)
	fmt.Printf("%q\n", res.Message.Bytes())

	stop()
	fmt.Println(<-ended)
	// Output:
	// ann@example.net <nil>
	// bob@old.example.com 550 5.1.6 that domain has moved
	// accept
	// "Subject: hi\r\nX-Seen-From: joe@example.com\r\n\r\nhello\r\n"
	// milter: server closed
}
