package milter_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/miltertest"
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

// A banner is the filter of docs/write-a-filter.md: it puts a line before the
// text of mail that comes from outside.
type banner struct {
	s     *milter.Session
	plain bool // the body is plain text
	body  strings.Builder
}

func newBanner(s *milter.Session) milter.Hooks {
	b := &banner{s: s}
	return milter.Hooks{
		Mail:    b.mail,
		Header:  b.header,
		Body:    b.chunk,
		End:     b.end,
		Silent:  milter.Stages(milter.StageHeader, milter.StageBody),
		Actions: milter.CanChangeBody | milter.CanChangeHeaders,
		Macros:  map[milter.Stage][]string{milter.StageMail: {"i", "{auth_authen}"}},
	}
}

func (b *banner) mail(context.Context, *milter.Mail) milter.MailReply {
	b.plain = true // until the header says otherwise
	b.body.Reset()
	if user, ok := b.s.Macro("{auth_authen}"); ok {
		b.s.Log().Info("passed", "user", user)
		return milter.AcceptMessage // nobody asks us about it any more
	}
	return milter.Continue
}

func (b *banner) header(_ context.Context, h *milter.Header) milter.HeaderReply {
	if h.Is("Content-Type") && !strings.HasPrefix(h.Value(), "text/plain") {
		b.plain = false
	}
	return milter.Continue
}

func (b *banner) chunk(_ context.Context, chunk []byte) milter.BodyReply {
	b.body.Write(chunk) // a copy: the bytes are lent
	return milter.Continue
}

func (b *banner) end(_ context.Context, e *milter.Edits) milter.EndReply {
	if !b.plain {
		return milter.Accept
	}
	body := milter.CRLF(strings.NewReader("[from outside]\n" + b.body.String()))
	for _, err := range []error{e.DeleteHeader("Content-MD5", 1), e.ReplaceBody(body)} {
		if err != nil {
			b.s.Log().Error("cannot edit", "queue", b.s.QueueID(), "err", err)
			return milter.DefaultTempFail
		}
	}
	return milter.Accept
}

func TestBanner(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		c := miltertest.New(t, &milter.Server{New: newBanner})
		c.Profile = profile

		res := c.Send(t, miltertest.Mail{Text: "Subject: hi\nContent-MD5: x\n\nhello\n"})
		if want := "Subject: hi\r\n\r\n[from outside]\r\nhello\r\n"; res.Raw() != want {
			t.Errorf("delivered %q, want %q", res.Raw(), want)
		}

		res = c.Send(t, miltertest.Mail{Text: "Subject: hi\n\nhello\n", Macros: map[string]string{"auth_authen": "joe"}})
		if len(res.Edits) != 0 {
			t.Errorf("edits = %v, want none of what a user sends", res.Edits)
		}
	})
}

func TestBannerLeavesHTMLAlone(t *testing.T) {
	c := miltertest.New(t, &milter.Server{New: newBanner})
	if res := c.Send(t, miltertest.Mail{Text: "Content-Type: text/html\n\n<p>hello\n"}); len(res.Edits) != 0 {
		t.Errorf("edits = %v, want none", res.Edits)
	}
}

// listed is a hook that asks others, for docs/write-a-filter.md.
func listed(ctx context.Context, r *milter.Rcpt) milter.RcptReply {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	hosts, err := new(net.Resolver).LookupMX(ctx, r.Domain())
	switch {
	case ctx.Err() != nil:
		return milter.TempFail(451, "4.4.3", "the name service takes too long")
	case err != nil || len(hosts) == 0:
		return milter.Reject(550, "5.1.2", "no mail server is known for "+r.Domain())
	}
	return milter.Continue
}

func TestHookThatAsksOthersMindsItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the MTA went away, or the hook's time is up
	if r, ok := listed(ctx, new(milter.Rcpt)).(*milter.Refusal); !ok || !r.Temporary() {
		t.Errorf("reply = %v, want a temporary one", r)
	}
}

func ExampleReject() {
	// A hook returns it; what it looks like to the SMTP client:
	fmt.Println(milter.Reject(550, "5.7.1", "the list is closed to non-members", "100% of them"))
	fmt.Println(milter.TempFail(451, "4.3.0", "try again\nin an hour").Lines())

	// Mistakes are the hook's fault when it returns the reply; they can be seen before.
	fmt.Println(milter.Reject(450, "", "a reply that contradicts itself").Err())
	// Output:
	// 550 5.7.1 the list is closed to non-members / 100% of them
	// [try again in an hour]
	// milter: reply cannot be sent: code 450 is not 5yz
}
