package filter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/quarantine"
)

// A test runs a chain on package mta, as Postfix, and keeps what it explains.
type chainTest struct {
	*filter.Chain
	client mta.Client
	mail   mta.Mail
	told   []*filter.Explanation
}

func newChainTest(steps ...filter.Step) *chainTest {
	c := &chainTest{Chain: &filter.Chain{Steps: steps, Log: slog.New(slog.DiscardHandler)}}
	c.Explain = func(x *filter.Explanation) { c.told = append(c.told, x) }
	c.client = mta.Client{Profile: mta.Postfix, QueueID: func() string { return "Q1" }}
	c.mail = mta.Mail{
		Conn: mta.Conn{Name: "client.example", Addr: netip.MustParseAddrPort("192.0.2.1:25")}, Helo: "client.example",
		From: "<sender@example.com>", Rcpts: []string{"<a@example.net>", "<b@example.net>", "<c@example.net>"}, Data: []byte(aMessage),
	}
	return c
}

// openStore opens an empty place for originals.
func openStore(t *testing.T, o quarantine.Options) *quarantine.Store {
	t.Helper()
	s, err := quarantine.Open(t.TempDir()+"/kept", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// originals returns what is kept, newest first.
func originals(t *testing.T, s *quarantine.Store) (entries []quarantine.Entry, texts []string) {
	t.Helper()
	for e, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		_, r, err := s.Get(e.Ref)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		entries, texts = append(entries, e), append(texts, string(b))
	}
	return entries, texts
}

// send sends the mail and returns what came of it.
func (c *chainTest) send(t *testing.T) *mta.Result {
	t.Helper()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	c.told, c.client.Milters = nil, nil
	stop := attach(t, &c.client, []*milter.Server{{New: c.Hooks, Log: c.Log}})
	r, err := c.client.Send(context.Background(), c.mail)
	stop()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Faults) > 0 {
		t.Errorf("faults: %v", r.Faults)
	}
	return r
}

// line is what a result comes to, in one line.
func line(r *mta.Result) string {
	s := r.Verdict.String()
	if r.Reply != nil {
		s += " " + ref.ReplaceAllString(r.Reply.String(), " (ref)")
	}
	return s
}

// onMessage makes a filter with a Message hook that needs everything.
func onMessage(name string, f func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error)) *filter.Filter {
	return &filter.Filter{Name: name, Needs: filter.Needs{Header: true, Body: true, Actions: milter.AllEdits}, Message: f}
}

// mark is a filter that adds a field with its name.
func mark(name string) *filter.Filter {
	return onMessage(name, func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		return milter.Continue, e.AddHeader("X-Mark", name)
	})
}

func marks(r *mta.Result) string {
	var names []string
	for _, f := range r.Message.Header.All("X-Mark") {
		names = append(names, f.Text(false))
	}
	return strings.Join(names, " ")
}

func TestD18FailingFilter(t *testing.T) {
	failures := map[string]func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error){
		"error": func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			e.AddHeader("X-Mark", "lost")
			return nil, errors.New("no answer from the back end")
		},
		"panic":    func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) { panic("oops") },
		"no reply": func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) { return nil, nil },
		"bad reply": func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
			return milter.Reject(250, "", "no"), nil
		},
		"new body that fails": func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			return milter.Accept, e.ReplaceBody(io.MultiReader(strings.NewReader("half"), failingReader{}))
		},
		"hang": func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
			time.Sleep(time.Hour)
			return milter.Discard, nil
		},
		"hang that heeds its context": func(ctx context.Context, _ *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}
	for name, fail := range failures {
		for _, tt := range []struct {
			mode    filter.Mode
			onError filter.OnError
			want    string
			marks   string
		}{
			{filter.On, filter.ErrorTempFail, "tempfail 451 4.3.0 Message cannot be processed now, please try again later (ref)", ""},
			{filter.On, filter.ErrorReject, "reject 554 5.3.0 Message cannot be processed (ref)", ""},
			{filter.On, filter.ErrorAccept, "accept", "before"},
			{filter.On, filter.ErrorSkip, "accept", "before after"},
			{filter.Report, filter.ErrorReject, "accept", "before after"},
			{filter.Off, filter.ErrorReject, "accept", "before after"},
		} {
			t.Run(fmt.Sprint(name, "/", tt.mode, " ", tt.onError), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newChainTest(filter.Step{Filter: mark("before")},
						filter.Step{Filter: onMessage("bad", fail), Mode: tt.mode, OnError: tt.onError, Timeout: 10 * time.Second},
						filter.Step{Filter: mark("after")})
					r := c.send(t)
					if got := line(r); got != tt.want {
						t.Errorf("the client is told %q, want %q", got, tt.want)
					}
					if got := marks(r); got != tt.marks {
						t.Errorf("marks %q, want %q", got, tt.marks)
					}
					if len(c.told) != 1 {
						t.Fatalf("%d explanations", len(c.told))
					}
					told := slices.ContainsFunc(c.told[0].Filters, func(o filter.Outcome) bool {
						return o.Name == "bad" && o.Decision == "failed" && o.Failed != ""
					})
					if told != (tt.mode != filter.Off) {
						t.Errorf("explanation %s", c.told[0])
					}
					if r := c.send(t); tt.onError == filter.ErrorSkip && line(r) != "accept" {
						t.Errorf("the next message: %s", line(r))
					}
					time.Sleep(3 * time.Hour) // what hangs comes back
				})
			})
		}
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

// What an abandoned hook does later changes nothing, and shares nothing with the
// filters that go on.
func TestAbandonedFilterHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type fact struct{ n int }
		slow := onMessage("slow", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			time.Sleep(time.Minute)
			filter.Tell(tr, fact{2})
			tr.Explain("late")
			if err := e.AddHeader("X-Mark", "late"); err != milter.ErrEnded {
				t.Errorf("an edit that nobody will see: %v", err)
			}
			if tree, err := tr.Message().Tree(); err != nil || tree.Root == nil {
				t.Errorf("tree of the message: %v", err)
			}
			var b strings.Builder
			if _, err := tr.Received().WriteTo(&b); err != nil || b.String() != aMessage {
				t.Errorf("the message became %q, %v", b.String(), err)
			}
			return milter.Discard, nil
		})
		later := onMessage("later", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			time.Sleep(2 * time.Minute)
			if f, ok := filter.Told[fact](tr); !ok || f.n != 1 {
				t.Errorf("fact %v", f)
			}
			return milter.Accept, e.AddHeader("X-Mark", "later")
		})
		first := onMessage("first", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			filter.Tell(tr, fact{1})
			return milter.Accept, nil
		})
		c := newChainTest(filter.Step{Filter: first}, filter.Step{Filter: slow, Timeout: time.Second, OnError: filter.ErrorSkip}, filter.Step{Filter: later})
		if r := c.send(t); marks(r) != "later" || strings.Contains(c.told[0].String(), "late\"") {
			t.Errorf("marks %q, explanation %s", marks(r), c.told[0])
		}
		time.Sleep(time.Hour)
	})
}

func TestTooManyAbandonedHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChainTest(filter.Step{Timeout: time.Second, OnError: filter.ErrorSkip,
			Filter: onMessage("slow", func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
				time.Sleep(time.Hour)
				return milter.Accept, nil
			})})
		c.MaxAbandoned = 2
		for i, want := range []string{"accept", "accept", "tempfail 451 4.3.2 Too busy, please try again later (ref)"} {
			if got := line(c.send(t)); got != want {
				t.Errorf("message %d: %q, want %q", i, got, want)
			}
		}
		time.Sleep(2 * time.Hour)
		if got := line(c.send(t)); got != "accept" {
			t.Errorf("after the hooks returned: %q", got)
		}
		time.Sleep(2 * time.Hour)
	})
}

// The stage has its own end, whatever the filters' own times are.
func TestTimeOfAStageIsSharedByItsFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := func(name string) *filter.Filter {
			return &filter.Filter{Name: name, Rcpt: func(ctx context.Context, _ *filter.Transaction, _ filter.Path) (milter.RcptReply, error) {
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(4 * time.Second):
					return milter.Continue, nil
				}
			}}
		}
		c := newChainTest(filter.Step{Filter: wait("one")}, filter.Step{Filter: wait("two")})
		began := time.Now()
		r := c.send(t)
		if got := line(r); !strings.HasPrefix(got, "tempfail 451 4.3.0") || time.Since(began) > 22*time.Second {
			t.Errorf("%s after %v", got, time.Since(began))
		}
	})
}

func TestReportMode(t *testing.T) {
	spoil := onMessage("spoil", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		e.DeleteHeader("Subject", 1)
		e.ReplaceBody(strings.NewReader("spoilt\r\n"))
		e.DeleteRcpt("a@example.net")
		e.Quarantine("spoilt")
		tr.Explain("rule 7 met")
		return milter.Accept, nil
	})
	refuse := &filter.Filter{Name: "refuse", Rcpt: func(context.Context, *filter.Transaction, filter.Path) (milter.RcptReply, error) {
		return milter.Reject(550, "5.1.1", "nobody"), nil
	}}
	c := newChainTest(filter.Step{Filter: spoil, Mode: filter.Report}, filter.Step{Filter: refuse, Mode: filter.Report})
	r := c.send(t)
	if line(r) != "accept" || string(r.Message.Bytes()) != aMessage || len(r.Edits) != 0 || len(r.Envelope.Rcpts) != 3 || r.Quarantine != nil {
		t.Errorf("%s, edits %v, message %q", line(r), r.Edits, r.Message.Bytes())
	}
	x := c.told[0].String()
	for _, want := range []string{`"name":"spoil","stage":"end","decision":"quarantine","report":true,"why":"rule 7 met"`, `"action":"delheader"`, `"action":"replbody","size":8`,
		`"name":"refuse","stage":"rcpt","decision":"reject","report":true`, `"verdict":"accept"`, `"edits":[]`} {
		if !strings.Contains(x, want) {
			t.Errorf("explanation has no %s: %s", want, x)
		}
	}
}

func TestHeldRefusals(t *testing.T) {
	badHelo := func(at string) *filter.Filter {
		no := milter.Reject(550, "5.7.1", "no "+at)
		f := &filter.Filter{Name: "bad"}
		switch at {
		case "connect":
			f.Connect = func(context.Context, *filter.Connection) (milter.ConnectReply, error) { return no, nil }
		case "helo":
			f.Helo = func(context.Context, *filter.Connection) (milter.HeloReply, error) { return no, nil }
		case "mail":
			f.Mail = func(context.Context, *filter.Transaction) (milter.MailReply, error) { return no, nil }
		}
		return f
	}
	auth := map[string]string{"auth_authen": "joe", "auth_type": "PLAIN"}
	for _, tt := range []struct {
		name, at              string
		immediate, submission bool
		macros                map[string]string
		want                  string
		rcpts                 int // refused
		class                 string
	}{
		{"connect, held", "connect", false, false, nil, "reject 550 5.7.1 no connect (ref)", 3, "external"},
		{"helo, held", "helo", false, false, nil, "reject 550 5.7.1 no helo (ref)", 3, "external"},
		{"mail, held", "mail", false, false, nil, "reject 550 5.7.1 no mail (ref)", 3, "external"},
		{"connect, cancelled by AUTH", "connect", false, false, auth, "accept", 0, "authenticated"},
		{"helo, cancelled by AUTH", "helo", false, false, auth, "accept", 0, "authenticated"},
		{"mail, not cancelled by AUTH", "mail", false, false, auth, "reject 550 5.7.1 no mail (ref)", 3, "authenticated"},
		{"connect, submission", "connect", false, true, nil, "accept", 0, "external"},
		{"helo, submission", "helo", true, true, nil, "accept", 0, "external"},
		{"connect, immediate", "connect", true, false, nil, "reject 554 host.example ESMTP not accepting connections", 0, "external"},
		{"helo, immediate", "helo", true, false, nil, "reject 550 5.7.1 no helo (ref)", 0, "external"},
		{"mail, immediate", "mail", true, false, nil, "reject 550 5.7.1 no mail (ref)", 0, "external"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChainTest(filter.Step{Filter: badHelo(tt.at)}, filter.Step{Filter: mark("later")})
			c.Immediate, c.Submission, c.mail.Macros, c.client.Hostname = tt.immediate, tt.submission, tt.macros, "host.example"
			r := c.send(t)
			if got := line(r); got != tt.want && !(tt.name == "connect, immediate" && strings.HasPrefix(got, "reject")) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			refused := 0
			for _, to := range r.Recipients {
				if to.Reply != nil {
					refused++
				}
			}
			if refused != tt.rcpts {
				t.Errorf("%d recipients are told, want %d", refused, tt.rcpts)
			}
			if len(c.told) != 1 {
				t.Fatalf("%d explanations", len(c.told))
			}
			x := c.told[0]
			if x.Class.String() != tt.class || len(x.Recipients) != len(r.Recipients) || x.Verdict != r.Verdict.String() {
				t.Errorf("explanation %s", x)
			}
			if !slices.ContainsFunc(x.Filters, func(o filter.Outcome) bool { return o.Name == "bad" && o.Decision == "reject" && o.Stage == tt.at }) {
				t.Errorf("explanation does not tell who refused: %s", x)
			}
			if r.Reply != nil && tt.name != "connect, immediate" && !strings.Contains(r.Reply.String(), x.Ref) {
				t.Errorf("reply %q does not end with the reference %s", r.Reply, x.Ref)
			}
		})
	}
}

func TestD15RecipientsThatDisagree(t *testing.T) {
	soft, hard := milter.TempFail(450, "4.2.2", "later"), milter.Reject(550, "5.7.1", "never")
	for _, tt := range []struct {
		name     string
		disagree filter.Disagreement
		refuse   map[string]*milter.Refusal
		want     string
		rcpts    string
	}{
		{"nobody", filter.Strictest, nil, "accept", "abc"},
		{"one, strictest", filter.Strictest, map[string]*milter.Refusal{"b": soft}, "tempfail 450 4.2.2 later (ref)", ""},
		{"two, strictest", filter.Strictest, map[string]*milter.Refusal{"a": hard, "b": soft}, "reject 550 5.7.1 never (ref)", ""},
		{"one, lenient", filter.Lenient, map[string]*milter.Refusal{"b": hard}, "accept", "abc"},
		{"one, dropped", filter.DropRefused, map[string]*milter.Refusal{"b": hard}, "accept", "ac"},
		{"one, tempfail", filter.TempFailAll, map[string]*milter.Refusal{"b": hard}, "tempfail 451 4.7.1 Recipients want different things of this message, please try again later (ref)", ""},
		{"all, lenient", filter.Lenient, map[string]*milter.Refusal{"a": hard, "b": soft, "c": hard}, "reject 550 5.7.1 never (ref)", ""},
		{"all, dropped", filter.DropRefused, map[string]*milter.Refusal{"a": hard, "b": hard, "c": soft}, "tempfail 450 4.2.2 later (ref)", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChainTest(filter.Step{Filter: onMessage("picky", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
				for who, r := range tt.refuse {
					if err := e.RefuseRcpt(who+"@example.net", r); err != nil {
						return nil, err
					}
				}
				if err := e.RefuseRcpt("nobody@example.net", hard); !errors.Is(err, milter.ErrEdit) {
					t.Errorf("refusing a stranger: %v", err)
				}
				return milter.Accept, nil
			})}, filter.Step{Filter: mark("later")})
			c.Disagree = tt.disagree
			r := c.send(t)
			if got := line(r); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			got := ""
			for _, to := range r.Envelope.Rcpts {
				got += to.Address[:1]
			}
			if tt.want == "accept" && got != tt.rcpts {
				t.Errorf("delivered to %q, want %q", got, tt.rcpts)
			}
			if tt.refuse != nil && !strings.Contains(c.told[0].String(), "of 3 recipients") && !strings.Contains(c.told[0].String(), "dropped") && len(tt.refuse) < 3 {
				t.Errorf("explanation %s", c.told[0])
			}
		})
	}
}

// Later filters see what earlier ones made of the message, and still the message
// as received.
func TestLaterFiltersSeeEarlierEdits(t *testing.T) {
	change := onMessage("change", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		return milter.Accept, errors.Join(e.ChangeHeader("Subject", 1, "changed"), e.DeleteHeader("X-A", 2), e.ReplaceBody(strings.NewReader("new\r\n")))
	})
	look := onMessage("look", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		var now, received strings.Builder
		tr.Message().WriteTo(&now)
		tr.Received().WriteTo(&received)
		if received.String() != aMessage {
			t.Errorf("received %q", received.String())
		}
		want := strings.NewReplacer("hello", "changed", "X-A:two\r\n", "", "body", "new").Replace(aMessage)
		if now.String() != want {
			t.Errorf("now %q, want %q", now.String(), want)
		}
		if err := e.DeleteHeader("X-A", 2); err != nil { // x-a, as this filter was shown it
			return nil, err
		}
		return milter.Accept, e.ChangeHeader("Subject", 1, "hello")
	})
	c := newChainTest(filter.Step{Filter: change}, filter.Step{Filter: look})
	for _, profile := range []mta.Profile{mta.Sendmail, mta.Postfix} {
		c.client.Profile = profile
		r := c.send(t)
		want := strings.NewReplacer("X-A:two\r\n", "", "x-a:  three\r\n", "", "body", "new").Replace(aMessage)
		if got := string(r.Message.Bytes()); got != want {
			t.Errorf("%v: delivered %q, want %q", profile, got, want)
		}
		// The subject came back to what it was, which takes no edit.
		if len(r.Edits) != 3 {
			t.Errorf("%v: edits %v", profile, r.Edits)
		}
	}
}

// An edit that no packet holds is the fault of the filter that asks for it, at once.
func TestEditsAreLimited(t *testing.T) {
	long := strings.Repeat("x\n ", 22000)
	c := newChainTest(filter.Step{Filter: onMessage("long", func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		for _, err := range []error{e.AddHeader("X", long), e.InsertHeader(0, "X", long), e.ChangeHeader("Subject", 1, long)} {
			if !errors.Is(err, milter.ErrEditLimit) {
				t.Errorf("error %v", err)
			}
		}
		var err error
		n := 0
		for ; err == nil; n++ {
			err = e.AddHeader("X-Many", long[:60000])
		}
		if n != 70 || !errors.Is(err, milter.ErrEditLimit) {
			t.Errorf("%d edits, then %v", n, err)
		}
		return milter.Discard, nil
	})})
	if got := line(c.send(t)); got != "discard" {
		t.Error(got)
	}
}

// A body that comes back as it was is not sent.
func TestBodyIsReplacedOnlyWhenItChanged(t *testing.T) {
	body := func(text string) filter.Step {
		return filter.Step{Filter: onMessage("to "+text, func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			return milter.Accept, e.ReplaceBody(strings.NewReader(text + "\r\n"))
		})}
	}
	for _, tt := range []struct {
		steps []filter.Step
		edits int
	}{
		{[]filter.Step{body("body")}, 0},
		{[]filter.Step{body("new"), body("body")}, 0},
		{[]filter.Step{body("bodY")}, 1},
		{[]filter.Step{body("new"), body("newer")}, 1},
	} {
		c := newChainTest(tt.steps...)
		if r := c.send(t); len(r.Edits) != tt.edits || line(r) != "accept" {
			t.Errorf("%d filters: %s, edits %v, want %d", len(tt.steps), line(r), r.Edits, tt.edits)
		}
	}
}

// What no filter needs the MTA does not send.
func TestNegotiatesTheUnionOfNeeds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		needs filter.Needs
		want  string
	}{
		{"nothing", filter.Needs{}, "connect helo mail rcpt end"},
		{"header", filter.Needs{Header: true}, "connect helo mail rcpt header end"},
		{"body", filter.Needs{Body: true}, "connect helo mail rcpt header body end"},
		{"edits of the header", filter.Needs{Actions: milter.CanAddHeaders}, "connect helo mail rcpt header end"},
		{"edits of the envelope", filter.Needs{Actions: milter.CanAddRcpt}, "connect helo mail rcpt end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &filter.Filter{Name: "f", Needs: tt.needs, Message: func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
				return milter.Accept, nil
			}}
			c := newChainTest(filter.Step{Filter: f})
			names := map[byte]string{'C': "connect", 'H': "helo", 'M': "mail", 'R': "rcpt", 'T': "data", 'L': "header", 'N': "eoh", 'B': "body", 'E': "end"}
			var sent []string
			c.client.Trace = func(p mta.Packet) {
				if name := names[p.Code]; p.Sent && name != "" && (len(sent) == 0 || sent[len(sent)-1] != name) {
					sent = append(sent, name)
				}
			}
			c.send(t)
			if got := strings.Join(sent, " "); got != tt.want {
				t.Errorf("the MTA sent %q, want %q", got, tt.want)
			}
		})
	}
}

func TestD16CheckFindsWhatIsWrong(t *testing.T) {
	nop := func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
		return milter.Accept, nil
	}
	edits := &filter.Filter{Name: "edits", Needs: filter.Needs{Actions: milter.CanChangeBody}, Message: nop}
	signs := &filter.Filter{Name: "signs", Kind: filter.Signs, Needs: filter.Needs{Actions: milter.CanAddHeaders}, Message: nop}
	for _, tt := range []struct {
		name  string
		steps []filter.Step
		want  string
	}{
		{"edits, then signs", []filter.Step{{Filter: edits}, {Filter: signs}}, ""},
		{"signs, then edits", []filter.Step{{Filter: signs}, {Filter: edits}}, `"edits" edits what "signs" has signed`},
		{"signs, then edits, switched off", []filter.Step{{Filter: signs}, {Filter: edits, Mode: filter.Off}}, ""},
		{"modes there are not", []filter.Step{{Filter: signs, Mode: 7}}, "that there is not"},
		{"policies there are not", []filter.Step{{Filter: signs, OnError: 9}}, "that there is not"},
		{"no class", []filter.Step{{Filter: signs, Classes: []filter.Class{}}}, "no class"},
		{"class there is not", []filter.Step{{Filter: signs, Classes: []filter.Class{9}}}, "a class that there is not"},
		{"negative time", []filter.Step{{Filter: signs, Timeout: -1}}, "negative"},
		{"no filter", []filter.Step{{}}, "step 1 has no filter"},
		{"no name", []filter.Step{{Filter: &filter.Filter{}}}, "has no name"},
		{"no hook", []filter.Step{{Filter: &filter.Filter{Name: "idle"}}}, `"idle" has no hook`},
		{"a name of two lines", []filter.Step{{Filter: &filter.Filter{Name: "a\nb", Message: nop}}}, `cannot be printed: "a\nb"`},
		{"a name that is no UTF-8", []filter.Step{{Filter: &filter.Filter{Name: "\xff", Message: nop}}}, "cannot be printed"},
		{"two of a name", []filter.Step{{Filter: edits}, {Filter: edits}}, `two filters are called "edits"`},
		{"edits without a hook", []filter.Step{{Filter: &filter.Filter{Name: "x", Needs: filter.Needs{Actions: milter.CanAddRcpt}}}}, "no Message hook"},
		{"verifies and edits", []filter.Step{{Filter: &filter.Filter{Name: "x", Kind: filter.Verifies, Needs: filter.Needs{Actions: milter.CanChangeBody}, Message: nop}}}, "may edit nothing"},
	} {
		err := (&filter.Chain{Steps: tt.steps}).Check()
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, filter.ErrChain) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, file + "/x", file + "x"} {
		for _, c := range []*filter.Chain{{Dir: dir}, {MIME: message.Options{Dir: dir}}} {
			if err := c.Check(); !errors.Is(err, filter.ErrChain) || !strings.Contains(err.Error(), dir) {
				t.Errorf("folder %s: %v", dir, err)
			}
		}
	}
}

// A chain that is not right serves no mail, and says why.
func TestChainThatIsNotRight(t *testing.T) {
	c := newChainTest(filter.Step{Filter: mark("x")}, filter.Step{Filter: mark("x")})
	var log strings.Builder
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	stop := attach(t, &c.client, []*milter.Server{{New: c.Hooks, Log: c.Log}})
	r, err := c.client.Send(t.Context(), c.mail)
	stop()
	if err != nil || r.Verdict != mta.TempFail || !strings.Contains(log.String(), "chain is not right") {
		t.Errorf("%s, %v, log %s", r.Verdict, err, log.String())
	}
}

// A filter is given what its own Needs name, whatever others need.
func TestNeedsAreEachFiltersOwn(t *testing.T) {
	look := func(name string, needs filter.Needs, header, body bool) filter.Step {
		return filter.Step{Filter: &filter.Filter{Name: name, Needs: needs, Message: func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
			for _, m := range []*filter.Message{tr.Message(), tr.Received()} {
				_, err := m.Tree()
				if (len(m.Header) > 0) != header || (m.Body != nil) != body || (err == nil) != body || err != nil && !errors.Is(err, filter.ErrNeeds) {
					t.Errorf("%s: %d fields, body %v, tree %v", name, len(m.Header), m.Body != nil, err)
				}
			}
			return milter.Accept, nil
		}}}
	}
	c := newChainTest(look("all", filter.Needs{Body: true}, true, true), look("header", filter.Needs{Header: true}, true, false), look("none", filter.Needs{}, false, false))
	if got := line(c.send(t)); got != "accept" {
		t.Error(got)
	}
}

func TestReferencesCanBeSet(t *testing.T) {
	c := newChainTest(filter.Step{Filter: &filter.Filter{Name: "no", Mail: func(context.Context, *filter.Transaction) (milter.MailReply, error) { return milter.DefaultReject, nil }}})
	c.NewRef = func() string { return "fixed" }
	if r := c.send(t); r.Reply.String() != "550 5.7.1 Command rejected (ref fixed)" {
		t.Error(r.Reply)
	}
	report := newChainTest(filter.Step{Mode: filter.Report, Filter: onMessage("picky", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		if err := e.RefuseRcpt("a@example.net", nil); !errors.Is(err, milter.ErrEdit) {
			t.Errorf("a nil refusal: %v", err)
		}
		return milter.Accept, e.RefuseRcpt("a@example.net", milter.DefaultReject)
	})})
	if report.send(t); !strings.Contains(report.told[0].String(), "a@example.net\\u003e refused: reject") && !strings.Contains(report.told[0].String(), "<a@example.net> refused: reject") {
		t.Errorf("explanation %s", report.told[0])
	}
}

func TestD01Classes(t *testing.T) {
	for _, tt := range []struct {
		addr   string
		macros map[string]string
		want   string
	}{
		{"192.0.2.1:25", nil, "external"},
		{"127.0.0.1:25", nil, "internal"},
		{"[::1]:25", nil, "internal"},
		{"10.1.2.3:25", nil, "trusted-relay"},
		{"[2001:db8::a01:203]:25", nil, "external"}, // D-01: its low bits are 10.1.2.3
		{"[::ffff:10.1.2.3]:25", nil, "trusted-relay"},
		{"10.1.2.3:25", map[string]string{"auth_authen": "joe"}, "authenticated"},
	} {
		c := newChainTest(filter.Step{Filter: mark("x")})
		c.Network.TrustedRelays = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		c.mail.Conn.Addr, c.mail.Macros = netip.MustParseAddrPort(tt.addr), tt.macros
		c.send(t)
		if got := c.told[0].Class.String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.addr, got, tt.want)
		}
	}
	only := newChainTest(filter.Step{Filter: mark("x"), Classes: []filter.Class{filter.Internal}},
		filter.Step{Filter: mark("y"), Applies: func(tr *filter.Transaction) bool { return len(tr.Rcpts()) > 5 }}, filter.Step{Filter: mark("z")})
	if r := only.send(t); marks(r) != "z" {
		t.Errorf("marks %q", marks(r))
	}
}

// A message that cannot be stored is told to come again, and the process goes on.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir() + "/folder"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := newChainTest(filter.Step{Filter: mark("x")}, filter.Step{Filter: &filter.Filter{Name: "takes the folder away",
		Mail: func(context.Context, *filter.Transaction) (milter.MailReply, error) {
			os.Remove(dir)
			return milter.Continue, nil
		}}})
	c.Memory, c.Dir = 1024, dir
	c.mail.Data = append([]byte(aMessage), strings.Repeat("much\r\n", 1000)...)
	if got := line(c.send(t)); got != "tempfail 452 4.3.1 Message cannot be stored now, please try again later (ref)" {
		t.Error(got)
	}
	c.mail.Data = []byte(aMessage)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := line(c.send(t)); got != "accept" {
		t.Error("the next message: ", got)
	}
}

func TestLargeBodyIsReplacedFromDisk(t *testing.T) {
	c := newChainTest(filter.Step{Filter: onMessage("tree", func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		tree, err := e.Tree()
		if err != nil {
			return nil, err
		}
		tree.Root.Replace(message.Content{MediaType: "text/plain", Text: "small\n"})
		return milter.Accept, nil
	})})
	c.Memory, c.Dir = 1024, t.TempDir()
	c.mail.Data = append([]byte(aMessage), strings.Repeat("much\r\n", 100000)...)
	r := c.send(t)
	if got := string(r.Message.Body); line(r) != "accept" || got != "small\r\n" {
		t.Errorf("%s, body %.100q", line(r), got)
	}
}

// Content that fails a filter for the third time gets its own policy, and what
// failed is kept, with the stack.
func TestRepeatedFailures(t *testing.T) {
	for _, tt := range []struct {
		onRepeat filter.OnRepeat
		want     []string
		held     bool
	}{
		{filter.RepeatTempFail, []string{"tempfail", "tempfail", "tempfail", "tempfail"}, false},
		{filter.RepeatSkip, []string{"tempfail", "tempfail", "accept", "accept"}, false},
		{filter.RepeatQuarantine, []string{"tempfail", "tempfail", "accept", "accept"}, true},
	} {
		t.Run(tt.onRepeat.String(), func(t *testing.T) {
			store, err := quarantine.Open(t.TempDir()+"/kept", quarantine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			bad := onMessage("bad", func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
				var b strings.Builder
				tr.Message().WriteTo(&b)
				if strings.Contains(b.String(), "other") {
					return milter.Accept, nil
				}
				panic("cannot bear it")
			})
			c := newChainTest(filter.Step{Filter: mark("before")}, filter.Step{Filter: bad, OnRepeat: tt.onRepeat}, filter.Step{Filter: mark("after")})
			c.Originals = store
			for i, want := range tt.want {
				r := c.send(t)
				if got := r.Verdict.String(); got != want || (r.Quarantine != nil) != (tt.held && want == "accept") {
					t.Errorf("try %d: %s, held %v, want %s", i+1, got, r.Quarantine, want)
				}
				if want == "accept" && tt.onRepeat == filter.RepeatSkip && marks(r) != "before after" {
					t.Errorf("marks %q", marks(r))
				}
			}
			if c.Repeated() != 2 {
				t.Errorf("%d repeated failures are counted", c.Repeated())
			}
			n := 0
			for e, err := range store.List(t.Context()) {
				if n++; err != nil || e.Filter != "bad" || !e.Failed || !strings.Contains(e.Stack, "chain_test.go") || !strings.Contains(e.Reason, "cannot bear it") || e.QueueID != "Q1" || len(e.Rcpts) != 3 {
					t.Errorf("kept %+v, %v", e, err)
				}
			}
			if n == 0 || n > 3 {
				t.Errorf("%d originals are kept", n)
			}
			c.mail.Data = []byte("Subject: other\r\n\r\nother\r\n")
			if r := c.send(t); r.Verdict != mta.Accept || r.Quarantine != nil {
				t.Errorf("another message: %s", r.Verdict)
			}
		})
	}
}

func TestFactsAndMacros(t *testing.T) {
	type score struct{ n int }
	tell := &filter.Filter{Name: "tell",
		Connect: func(_ context.Context, c *filter.Connection) (milter.ConnectReply, error) {
			filter.Tell(c, score{1})
			return milter.Continue, nil
		},
		Mail: func(_ context.Context, tr *filter.Transaction) (milter.MailReply, error) {
			if s, ok := filter.Told[score](tr); !ok || s.n != 1 {
				t.Errorf("the connection's fact is %v, %v", s, ok)
			}
			filter.Tell(tr, score{2})
			if _, ok := filter.Told[string](tr); ok {
				t.Error("a fact that nobody told")
			}
			if v, ok := tr.Macro("{mail_host}"); !ok || v != "example.com" {
				t.Errorf("macro {mail_host} is %q, %v", v, ok)
			}
			if _, ok := tr.Macro("{mail_mailer}"); ok {
				t.Error("a macro that nobody named")
			}
			if size, ok := tr.From().Param("size"); !ok || size != "100" {
				t.Errorf("SIZE is %q, %v", size, ok)
			}
			return milter.Continue, nil
		},
		Needs: filter.Needs{Macros: map[milter.Stage][]string{milter.StageMail: {"{mail_host}"}}},
	}
	hear := onMessage("hear", func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		if s, ok := filter.Told[score](tr); !ok || s.n != 2 {
			t.Errorf("the message's fact is %v, %v", s, ok)
		}
		if tr.QueueID() != "Q1" || tr.User() != "joe" || tr.Class() != filter.Authenticated || tr.Helo != "client.example" || tr.Client.Host != "client.example" {
			t.Errorf("queue id %q, user %q, class %s, HELO %q", tr.QueueID(), tr.User(), tr.Class(), tr.Helo)
		}
		return milter.Accept, nil
	})
	c := newChainTest(filter.Step{Filter: tell}, filter.Step{Filter: hear})
	c.mail.From, c.mail.Macros = "<sender@example.com> SIZE=100", map[string]string{"auth_authen": "joe"}
	if r := c.send(t); line(r) != "accept" {
		t.Error(line(r))
	}
}
