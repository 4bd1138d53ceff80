package milter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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

// A filter with a hook at every stage: each stage has replies of its own.
func ExampleHooks() {
	newFilter := func(s *milter.Session) milter.Hooks {
		var rcpts int
		var bounce, from, calendar bool
		return milter.Hooks{
			Connect: func(_ context.Context, c *milter.Client) milter.ConnectReply {
				if c.Addr.Addr().IsLoopback() || c.Family == milter.FamilyUnix {
					return milter.AcceptConnection // nothing of it is filtered
				}
				return milter.Continue
			},
			Helo: func(_ context.Context, name []byte) milter.HeloReply {
				if string(name) == "mx.example.net" {
					return milter.Reject(550, "5.7.1", "that is the name of this server")
				}
				return milter.Continue
			},
			Mail: func(_ context.Context, m *milter.Mail) milter.MailReply {
				rcpts, from, calendar = 0, false, false // a connection may bring several messages
				bounce = m.Null()
				return milter.Continue
			},
			Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
				if r.Domain() == "old.example.com" {
					return milter.Reject(550, "5.1.6", "that domain has moved") // this recipient only
				}
				rcpts++
				return milter.Continue
			},
			Data: func(context.Context) milter.DataReply {
				if bounce && rcpts > 1 {
					return milter.Reject(550, "5.7.1", "a bounce has one recipient")
				}
				return milter.Continue
			},
			Header: func(_ context.Context, h *milter.Header) milter.HeaderReply {
				from = from || h.Is("From")
				return milter.Continue
			},
			EndOfHeaders: func(context.Context) milter.EndOfHeadersReply {
				if !from {
					return milter.Reject(554, "5.6.0", "the message has no From field")
				}
				return milter.Continue
			},
			Body: func(_ context.Context, chunk []byte) milter.BodyReply {
				calendar = bytes.Contains(chunk, []byte("BEGIN:VCALENDAR"))
				return milter.Skip // the first chunk will do
			},
			End: func(_ context.Context, e *milter.Edits) milter.EndReply {
				if calendar {
					if err := e.AddHeader("X-Invitation", "yes"); err != nil {
						return milter.DefaultTempFail
					}
				}
				return milter.Accept
			},
			Unknown: func(_ context.Context, command []byte) milter.UnknownReply {
				s.Log().Info("unknown command", "command", string(command))
				return milter.Continue // the MTA refuses it anyway
			},
			Actions: milter.CanAddHeaders,
		}
	}

	t := new(exampleT) // in a test, t is the *testing.T
	defer t.done()
	c := miltertest.New(t, &milter.Server{New: newFilter})
	for _, m := range []miltertest.Mail{
		{Helo: "mx.example.net"},
		{Rcpts: []string{"ann@old.example.com"}},
		{From: "<>", Rcpts: []string{"ann@example.net", "bob@example.net"}},
		{Text: "Subject: no sender\n\nhello\n"},
	} {
		fmt.Println(c.Send(t, m).Told())
	}
	fmt.Println(c.Send(t, miltertest.Mail{Text: "From: joe@example.com\n\nBEGIN:VCALENDAR\n"}).Edits)
	// Output:
	// 550 5.7.1 that is the name of this server
	// 550 5.1.6 that domain has moved
	// 550 5.7.1 a bounce has one recipient
	// 554 5.6.0 the message has no From field
	// [addheader X-Invitation: "yes"]
}

// Edits are made in the End hook. They leave when it answers Accept.
func ExampleEdits() {
	const actions milter.Actions = milter.CanAddHeaders | milter.CanChangeHeaders | milter.CanChangeBody |
		milter.CanAddRcptParams | milter.CanDeleteRcpt | milter.CanChangeFrom
	end := func(_ context.Context, e *milter.Edits) milter.EndReply {
		err := errors.Join(
			e.ChangeHeader("Subject", 1, "[list] minutes"), // the first of that name
			e.DeleteHeader("Precedence", 1),
			e.InsertHeader(0, "X-List", "minutes"), // the top
			e.ChangeFrom("minutes-bounces@example.net"),
			e.DeleteRcpt("minutes@example.net"),
			e.AddRcpt("ann@example.net", "NOTIFY=NEVER"),
			e.ReplaceBody(milter.CRLF(strings.NewReader("See the archive.\n"))),
		)
		if err != nil { // some edit cannot be made, so that none shall
			fmt.Println(err)
			return milter.DefaultTempFail
		}
		fmt.Println(e.Quarantine("for a look")) // actions does not name it
		return milter.Accept
	}

	t := new(exampleT)
	defer t.done()
	c := miltertest.New(t, &milter.Server{New: func(*milter.Session) milter.Hooks {
		return milter.Hooks{End: end, Actions: actions}
	}})
	res := c.Send(t, miltertest.Mail{
		Rcpts: []string{"minutes@example.net"},
		Text:  "Subject: minutes\nPrecedence: list\n\nA long text.\n",
	})
	fmt.Println(res.Envelope.From, res.Rcpts())
	fmt.Printf("%q\n", res.Raw())
	// Output:
	// milter: kind of edit was not granted: QUARANTINE
	// minutes-bounces@example.net [ann@example.net]
	// "X-List: minutes\r\nSubject: [list] minutes\r\n\r\nSee the archive.\r\n"
}

// A Negotiate hook sees what the MTA offers, and may refuse to work with it. What
// was agreed on is known to the hooks that follow.
func ExampleNegotiation() {
	newFilter := func(s *milter.Session) milter.Hooks {
		return milter.Hooks{
			Negotiate: func(_ context.Context, n *milter.Negotiation) error {
				if n.OfferedProtocol&milter.ProtocolLeadingSpace == 0 {
					return fmt.Errorf("version %d hides blanks that the signature is over", n.OfferedVersion)
				}
				return nil
			},
			Header: func(context.Context, *milter.Header) milter.HeaderReply { return milter.Continue },
			End: func(context.Context, *milter.Edits) milter.EndReply {
				var agreed milter.Protocol = s.Protocol()
				fmt.Println("postfix:", s.MTA() == milter.MTAPostfix)
				fmt.Println("waits for the Header hook:", agreed&milter.StageHeader.NoReplyBit() == 0)
				return milter.Accept
			},
			Actions:      milter.NoEdits,
			Silent:       milter.Stages(milter.StageHeader),
			LeadingSpace: true,
		}
	}

	t := new(exampleT)
	defer t.done()
	c := miltertest.New(t, &milter.Server{New: newFilter})
	fmt.Println(c.Send(t, miltertest.Mail{}).Verdict)

	old := miltertest.New(t, &milter.Server{New: newFilter, OnFault: milter.FaultReject})
	old.Version, old.FaultsOK = 2, true
	fmt.Println(old.Send(t, miltertest.Mail{}).Told())
	// Output:
	// postfix: true
	// waits for the Header hook: false
	// accept
	// 554 mta.example ESMTP not accepting connections
}

// Stages that are silent are not waited for: their hooks always answer Continue.
func ExampleStages() {
	var silent milter.StageSet = milter.Stages(milter.StageHeader, milter.StageBody)
	for _, st := range []milter.Stage{milter.StageRcpt, milter.StageHeader, milter.StageBody} {
		fmt.Println(st, silent.Has(st))
	}
	// Output:
	// rcpt false
	// header true
	// body true
}

// The Limit hook puts refusals of the server itself in other words.
func ExampleRefusal() {
	newFilter := func(*milter.Session) milter.Hooks {
		return milter.Hooks{
			Rcpt: func(context.Context, *milter.Rcpt) milter.RcptReply { return milter.Continue },
			Limit: func(_ context.Context, st milter.Stage, r *milter.Refusal) *milter.Refusal {
				fmt.Printf("at %v: %v, temporary %v\n", st, r, r.Temporary())
				return milter.TempFail(r.Code(), r.Enhanced(), "two recipients at once are enough")
			},
		}
	}

	t := new(exampleT)
	defer t.done()
	c := miltertest.New(t, &milter.Server{New: newFilter, MaxRcpts: 2})
	res := c.Send(t, miltertest.Mail{Rcpts: []string{"ann@example.net", "bob@example.net", "cid@example.net"}})
	for _, r := range res.Recipients {
		fmt.Println(r.Address, r.Reply)
	}
	// Output:
	// at rcpt: 452 4.5.3 too many recipients for the mail filter, temporary true
	// ann@example.net <nil>
	// bob@example.net <nil>
	// cid@example.net 452 4.5.3 two recipients at once are enough
}

// onFault is a Metrics that is told of faults, and counts nothing.
type onFault func(stage milter.Stage, kind string)

func (onFault) Connection(int)                              {}
func (onFault) Verdict(milter.Stage, string, time.Duration) {}
func (onFault) Limit(string)                                {}

func (f onFault) Fault(stage milter.Stage, kind string) { f(stage, kind) }

// A hook that fails costs its message, not the process. OnFault says what the MTA
// is told; Metrics hears of it, and the log says why.
func ExampleFaultPolicy() {
	t := new(exampleT)
	defer t.done()
	failed := make(chan milter.HookError, 1)
	var metrics milter.Metrics = onFault(func(stage milter.Stage, kind string) {
		failed <- milter.HookError{Stage: stage, Kind: kind}
	})
	for _, policy := range []milter.FaultPolicy{milter.FaultTempFail, milter.FaultReject, milter.FaultAccept} {
		c := miltertest.New(t, &milter.Server{
			New: func(*milter.Session) milter.Hooks {
				return milter.Hooks{Rcpt: func(context.Context, *milter.Rcpt) milter.RcptReply {
					var seen map[string]int
					seen["joe"]++ // panics
					return milter.Continue
				}}
			},
			Name:    "greylist",
			OnFault: policy,
			Metrics: metrics,
		})
		c.FaultsOK = true // or the panic fails the test
		res := c.Send(t, miltertest.Mail{})
		why := <-failed
		fmt.Printf("%v in the %v hook: %v %v\n", why.Kind, why.Stage, res.Verdict, res.Told())
	}
	// Output:
	// panic in the rcpt hook: tempfail 451 4.3.0 mail filter greylist failed, please try again later
	// panic in the rcpt hook: reject 554 5.3.0 mail filter greylist failed
	// panic in the rcpt hook: accept
}

// An MTA that breaks the protocol is told of in the log. Its error can be taken
// apart, as here for a log of JSON.
func ExampleProtocolError() {
	var lines bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&lines, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch err, _ := a.Value.Any().(error); {
			case a.Key == slog.TimeKey || a.Key == "conn":
				return slog.Attr{}
			case err != nil:
				if pe, ok := errors.AsType[*milter.ProtocolError](err); ok {
					return slog.Group("err", "command", string(pe.Cmd), "after", pe.State, "offset", pe.Offset, "why", pe.Err)
				}
			}
			return a
		},
	}))

	t := new(exampleT)
	raw := miltertest.New(t, &milter.Server{New: newFilter, Log: log}).Raw(t, 0)
	raw.Offer()
	raw.Send(miltertest.Frame('R', "<ann@example.net>")) // no MAIL came before
	raw.ExpectClosed()
	t.done()
	fmt.Print(lines.String())
	// Output:
	// {"level":"WARN","msg":"connection closed","err":{"command":"R","after":"negotiate","offset":17,"why":"command out of order"}}
}

// Some parameters have their own encoding, xtext.
func ExampleDecodeXtext() {
	// What Rcpt.Param("ORCPT") returns, for one:
	kind, addr, _ := strings.Cut("rfc822;ann+2Blist@example.com", ";")
	addr, ok := milter.DecodeXtext(addr)
	fmt.Println(kind, addr, ok)

	_, ok = milter.DecodeXtext("ann+list@example.com")
	fmt.Println(ok)
	// Output:
	// rfc822 ann+list@example.com true
	// false
}

// An exampleT is what examples have for a test's t; failures are printed.
type exampleT struct {
	testing.TB // for the methods that nobody calls
	cleanups   []func()
}

func (t *exampleT) Helper()                           {}
func (t *exampleT) Context() context.Context          { return context.Background() }
func (t *exampleT) Output() io.Writer                 { return io.Discard }
func (t *exampleT) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (t *exampleT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (t *exampleT) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }

func (t *exampleT) done() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}
