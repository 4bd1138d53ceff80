package miltertest_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// filter returns a server with the same hooks for each connection.
func filter(h milter.Hooks) *milter.Server {
	return &milter.Server{New: func(*milter.Session) milter.Hooks { return h }}
}

// end returns a server with an End hook that makes edits.
func end(edit func(*milter.Edits)) *milter.Server {
	return filter(milter.Hooks{End: func(_ context.Context, e *milter.Edits) milter.EndReply {
		edit(e)
		return milter.Accept
	}})
}

// must is for edits that cannot fail.
func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s = %#v, want %#v", what, got, want)
	}
}

func TestResultHasAllThatTheFilterChanged(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		c := miltertest.New(t, end(func(e *milter.Edits) {
			must(t, e.AddHeader("X-Added", "yes"), e.ChangeHeader("Subject", 1, "changed"), e.DeleteHeader("X-Old", 1),
				e.AddRcpt("<added@example.net>"), e.DeleteRcpt("<gone@example.net>"), e.ChangeFrom("<new@example.org>"),
				e.ReplaceBody(strings.NewReader("new\r\n")), e.Quarantine("looked odd"))
		}))
		c.Profile = profile
		res := c.Send(t, miltertest.Mail{
			From:  "old@example.org",
			Rcpts: []string{"kept@example.net", "<gone@example.net>"},
			Text:  "Subject: test\nX-Old: 1\nX-Old: 2\n\nold\n",
		})
		equal(t, "verdict", res.Verdict, mta.Accept)
		equal(t, "stage", res.Stage, "end")
		equal(t, "told", res.Told(), "")
		equal(t, "message", res.Raw(), "Subject: changed\r\nX-Old: 2\r\nX-Added: yes\r\n\r\nnew\r\n")
		equal(t, "Subject", res.Header("subject"), "changed")
		equal(t, "X-Old", res.Headers("X-Old"), []string{"2"})
		equal(t, "body", res.Body(), "new\r\n")
		equal(t, "sender", res.Envelope.From, "new@example.org")
		equal(t, "recipients", res.Rcpts(), []string{"kept@example.net", "added@example.net"})
		if res.Quarantine == nil || *res.Quarantine != "looked odd" {
			t.Errorf("quarantine = %v", res.Quarantine)
		}
		equal(t, "edits", len(res.Edits), 7) // quarantine is told apart
	})
}

func TestDefaultsMakeAWholeMessage(t *testing.T) {
	c := miltertest.New(t, filter(milter.Hooks{
		Connect: func(_ context.Context, c *milter.Client) milter.ConnectReply {
			if c.Host != "client.example" || c.Addr.String() != "192.0.2.25:40025" || c.Family != milter.FamilyInet {
				t.Errorf("client = %+v", c)
			}
			return milter.Continue
		},
		Mail: func(_ context.Context, m *milter.Mail) milter.MailReply {
			equal(t, "sender", m.Address(), "sender@example.org")
			return milter.Continue
		},
	}))
	res := c.Send(t, miltertest.Mail{})
	equal(t, "recipients", res.Rcpts(), []string{"rcpt@example.net"})
	equal(t, "Subject", res.Header("Subject"), "test")
	equal(t, "helo", res.At(mta.StageHelo), nil)
	equal(t, "mail", res.At(mta.StageMail)[0].Arg, "<sender@example.org>")
}

func TestMailComesFromFileTextOrReader(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.eml")
	if err := os.WriteFile(file, []byte("X: file\n\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	c := miltertest.New(t, end(func(*milter.Edits) {}))
	for want, m := range map[string]miltertest.Mail{
		"file":   {File: file},
		"text":   {Text: "X: text\r\n\r\n"},
		"reader": {Reader: strings.NewReader("X: reader\n")},
	} {
		res := c.Send(t, m)
		equal(t, "X", res.Header("X"), want)
		equal(t, "file", res.File, m.File)
	}
	s := c.Connect(t)
	s.Helo("h")
	s.Mail("<a@example.org>")
	s.Rcpt("<b@example.net>")
	s.Data()
	equal(t, "X", s.MessageFile(file).Header("X"), "file")

	wantErrors(t, watch(func(t *fakeT) {
		miltertest.New(t, end(func(*milter.Edits) {})).Send(t, miltertest.Mail{Text: "x", File: file})
	}), "more than one of")
	wantErrors(t, watch(func(t *fakeT) {
		miltertest.New(t, end(func(*milter.Edits) {})).Send(t, miltertest.Mail{File: file + ".not"})
	}), "no such file")
}

func TestRefusedRecipientDoesNotEndTheMail(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		c := miltertest.New(t, filter(milter.Hooks{
			Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
				switch r.Local() {
				case "no":
					return milter.Reject(550, "5.1.1", "100% no such user", "really")
				case "later":
					return milter.TempFail(450, "4.2.0", "busy")
				}
				return milter.Continue
			},
			End: func(context.Context, *milter.Edits) milter.EndReply { return milter.Accept },
		}))
		c.Profile = profile
		res := c.Send(t, miltertest.Mail{Rcpts: []string{"no@example.net", "yes@example.net", "later@example.net"}})
		equal(t, "verdict", res.Verdict, mta.Accept)
		equal(t, "recipients", res.Rcpts(), []string{"yes@example.net"})
		said := []string{}
		for _, a := range res.At(mta.StageRcpt) {
			said = append(said, a.Said())
		}
		equal(t, "answers", said, []string{"550 5.1.1 100% no such user / really", "continue", "450 4.2.0 busy"})
		first := res.At(mta.StageRcpt)[0]
		equal(t, "code", first.Reply.Code, 550)
		equal(t, "enhanced code", first.Reply.Enhanced, "5.1.1")
		equal(t, "lines", first.Reply.Text, []string{"100% no such user", "really"})
		equal(t, "verdict", first.Verdict, mta.Reject)
		// What the client reads is the MTA's: Sendmail puts the address before it.
		line := map[mta.Profile]string{mta.Postfix: "550-5.1.1 100% no such user", mta.Sendmail: "550-5.1.1 <no@example.net>... 100% no such user"}[profile]
		equal(t, "first line", res.Recipients[0].Reply.Lines()[0], line)
		equal(t, "second line", res.Recipients[0].Reply.Lines()[1], "550 5.1.1 really")

		// When all are refused the mail ends there, with the last refusal.
		res = c.Send(t, miltertest.Mail{Rcpts: []string{"no@example.net", "later@example.net"}})
		equal(t, "verdict", res.Verdict, mta.TempFail)
		equal(t, "stage", res.Stage, "rcpt")
		equal(t, "ends", len(res.At(mta.StageEnd)), 0)
		equal(t, "message", res.Raw(), "")
	})
}

// answerAt returns a server that answers at one stage, and continues at others.
func answerAt(t testing.TB, st mta.Stage, r milter.Reply) *milter.Server {
	pick := func(s mta.Stage) milter.Reply {
		if s == st {
			return r
		}
		return milter.Continue
	}
	return filter(milter.Hooks{
		Connect: func(context.Context, *milter.Client) milter.ConnectReply {
			return pick(mta.StageConnect).(milter.ConnectReply)
		},
		Helo: func(context.Context, []byte) milter.HeloReply { return pick(mta.StageHelo).(milter.HeloReply) },
		Mail: func(context.Context, *milter.Mail) milter.MailReply { return pick(mta.StageMail).(milter.MailReply) },
		Rcpt: func(context.Context, *milter.Rcpt) milter.RcptReply { return pick(mta.StageRcpt).(milter.RcptReply) },
		Data: func(context.Context) milter.DataReply { return pick(mta.StageData).(milter.DataReply) },
		Header: func(context.Context, *milter.Header) milter.HeaderReply {
			return pick(mta.StageHeader).(milter.HeaderReply)
		},
		EndOfHeaders: func(context.Context) milter.EndOfHeadersReply {
			return pick(mta.StageEndOfHeaders).(milter.EndOfHeadersReply)
		},
		Body: func(context.Context, []byte) milter.BodyReply { return pick(mta.StageBody).(milter.BodyReply) },
		End:  func(context.Context, *milter.Edits) milter.EndReply { return pick(mta.StageEnd).(milter.EndReply) },
	})
}

var refusal = milter.Reject(554, "5.7.1", "refused here")

func TestEachVerdictAtEachStage(t *testing.T) {
	stages := []mta.Stage{mta.StageConnect, mta.StageHelo, mta.StageMail, mta.StageRcpt, mta.StageData, mta.StageHeader, mta.StageEndOfHeaders, mta.StageBody, mta.StageEnd}
	for _, tt := range []struct {
		reply   milter.Reply
		verdict mta.Verdict
		said    string
	}{
		{refusal, mta.Reject, "554 5.7.1 refused here"},
		{milter.TempFail(451, "4.7.1", "not now"), mta.TempFail, "451 4.7.1 not now"},
		{milter.DefaultReject, mta.Reject, "reject"},
		{milter.DefaultTempFail, mta.TempFail, "tempfail"},
		{milter.AcceptMessage, mta.Accept, "accept"},
		{milter.AcceptConnection, mta.Accept, "accept"},
		{milter.Accept, mta.Accept, "accept"},
		{milter.Discard, mta.Discard, "discard"},
		{milter.Skip, mta.Accept, "skip"},
	} {
		for _, st := range stages {
			if !answers(st, tt.reply) {
				continue
			}
			t.Run(fmt.Sprintf("%v at %v", tt.reply, st), func(t *testing.T) {
				miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
					c := miltertest.New(t, answerAt(t, st, tt.reply))
					c.Profile = profile
					res := c.Send(t, miltertest.Mail{})
					equal(t, "verdict", res.Verdict, tt.verdict)
					at := res.At(st)
					if len(at) == 0 || at[0].Said() != tt.said {
						t.Errorf("answers = %v, want %q", at, tt.said)
					}
					if tt.verdict != mta.Accept && tt.reply != milter.Discard && res.Reply == nil {
						t.Error("the client was told nothing")
					}
					if last := res.Answers[len(res.Answers)-1].Stage; tt.verdict != mta.Accept && last != st {
						t.Errorf("the filter was told of %v after its verdict", last)
					}
					if accepted := tt.verdict == mta.Accept; accepted != (res.Body() == "Hello.\r\n") {
						t.Errorf("body = %q", res.Body())
					}
				})
			})
		}
	}
}

// answers reports whether the hook of a stage may give the reply.
func answers(st mta.Stage, r milter.Reply) (ok bool) {
	switch st {
	case mta.StageConnect:
		_, ok = r.(milter.ConnectReply)
	case mta.StageHelo:
		_, ok = r.(milter.HeloReply)
	case mta.StageMail:
		_, ok = r.(milter.MailReply)
	case mta.StageRcpt:
		_, ok = r.(milter.RcptReply)
	case mta.StageData:
		_, ok = r.(milter.DataReply)
	case mta.StageHeader:
		_, ok = r.(milter.HeaderReply)
	case mta.StageEndOfHeaders:
		_, ok = r.(milter.EndOfHeadersReply)
	case mta.StageBody:
		_, ok = r.(milter.BodyReply)
	case mta.StageEnd:
		_, ok = r.(milter.EndReply)
	}
	return ok
}

// A HELO that a filter refuses is answered well by both MTAs; MAIL is not.
func TestConnectAndHeloRefusalsStopTheSession(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		c := miltertest.New(t, answerAt(t, mta.StageHelo, refusal))
		c.Profile = profile
		s := c.Connect(t)
		equal(t, "greeting", s.Greeting.Told(), "")
		helo := s.Helo("h.example")
		equal(t, "verdict", helo.Verdict, mta.Reject)
		equal(t, "told at HELO", helo.Told(), "")
		if got := s.Mail("<a@example.org>").Told(); !strings.Contains(got, "refused here") {
			t.Errorf("told at MAIL: %q", got)
		}

		c = miltertest.New(t, answerAt(t, mta.StageConnect, milter.TempFail(421, "4.7.0", "go away")))
		c.Profile = profile
		s = c.Connect(t)
		equal(t, "closed", s.Closed(), true)
		if s.Greeting.Reply == nil || s.Greeting.Reply.Code != 421 {
			t.Errorf("greeting = %v", s.Greeting)
		}
	})
}

func TestMacrosReachTheFilterByItsLists(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		var auth, typ, none, own string
		var typSeen bool
		srv := &milter.Server{New: func(s *milter.Session) milter.Hooks {
			return milter.Hooks{
				Macros: map[milter.Stage][]string{milter.StageMail: {"{auth_authen}", "i"}},
				Connect: func(context.Context, *milter.Client) milter.ConnectReply {
					own, _ = s.Macro("j")
					none, _ = s.Macro("{auth_authen}")
					return milter.Continue
				},
				Mail: func(context.Context, *milter.Mail) milter.MailReply {
					auth, _ = s.Macro("{auth_authen}")
					typ, typSeen = s.Macro("{auth_type}")
					return milter.Continue
				},
			}
		}}
		c := miltertest.New(t, srv)
		c.Profile = profile
		s := c.Connect(t)
		res := s.Send(miltertest.Mail{Macros: map[string]string{"auth_authen": "good", "auth_type": "PLAIN"}})
		equal(t, "{auth_authen} at MAIL", auth, "good")
		s.Send(miltertest.Mail{Macros: map[string]string{"{auth_authen}": "in braces"}})
		equal(t, "{auth_authen} set in braces", auth, "in braces")
		s.Send(miltertest.Mail{})
		equal(t, "{auth_authen} of no message", auth, "")
		equal(t, "{auth_authen} at connect", none, "")
		equal(t, "j", own, "mta.example")
		if typSeen {
			t.Errorf("{auth_type} = %q, which is not on the list", typ)
		}
		equal(t, "asked for", res.Agreements[0].Macros[mta.StageMail], []string{"{auth_authen}", "i"})
		equal(t, "sent with MAIL", res.At(mta.StageMail)[0].Macros["auth_authen"], "good")
		if v, ok := res.Macro("auth_authen"); v != "good" || !ok {
			t.Errorf("Macro(auth_authen) = %q, %v", v, ok)
		}
		if v, ok := res.Macro("{auth_type}"); ok {
			t.Errorf("Macro({auth_type}) = %q, want it hidden", v)
		}

		// Macros of one Mail are not there for the next; those of the connection are.
		res = s.Send(miltertest.Mail{})
		equal(t, "{auth_authen} of the second message", auth, "")
		if _, ok := res.Macro("auth_authen"); ok {
			t.Error("the second result has the macros of the first")
		}
		if v, _ := res.Macro("j"); v != "mta.example" {
			t.Errorf("Macro(j) = %q", v)
		}

		// Without a list of its own, the filter gets the MTA's.
		c.Lists = map[mta.Stage]string{mta.StageConnect: "{if_name} {mine}"}
		c.Macros = map[string]string{"mine": "1"}
		res = c.Send(t, miltertest.Mail{})
		equal(t, "j", own, "")
		equal(t, "sent with connect", res.At(mta.StageConnect)[0].Macros["mine"], "1")
	})
}

func TestEditsFailOutsideTheEnd(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		var kept *milter.Edits
		c := miltertest.New(t, end(func(e *milter.Edits) { kept = e }))
		c.Profile = profile
		res := c.Send(t, miltertest.Mail{})
		if err := kept.AddHeader("X-Late", "1"); !errors.Is(err, milter.ErrEnded) {
			t.Errorf("AddHeader after the hook = %v", err)
		}
		equal(t, "edits", len(res.Edits), 0)

		// Neither does an edit that was not asked for leave.
		c = miltertest.New(t, filter(milter.Hooks{
			Actions: milter.CanAddHeaders,
			End: func(_ context.Context, e *milter.Edits) milter.EndReply {
				if err := e.AddRcpt("<x@example.net>"); !errors.Is(err, milter.ErrNotGranted) {
					t.Errorf("AddRcpt = %v", err)
				}
				must(t, e.AddHeader("X", "1"))
				return milter.Accept
			},
		}))
		c.Profile = profile
		res = c.Send(t, miltertest.Mail{})
		equal(t, "recipients", res.Rcpts(), []string{"rcpt@example.net"})
		equal(t, "X", res.Header("X"), "1")
		equal(t, "actions", res.Agreements[0].Actions, milter.CanAddHeaders)
	})
}

// Indexes mean what each MTA means by them.
func TestHeaderIndexesAreThoseOfTheMTA(t *testing.T) {
	const mail = "A: 1\nB: x\nA: 2\nA: 3\n\n"
	for _, tt := range []struct {
		name              string
		edit              func(e *milter.Edits) error
		sendmail, postfix string
	}{
		{"change the second of a name", func(e *milter.Edits) error { return e.ChangeHeader("A", 2, "new") },
			"A: 1|B: x|A: new|A: 3", ""},
		{"delete the first two of a name, in any order", func(e *milter.Edits) error { return errors.Join(e.DeleteHeader("A", 1), e.DeleteHeader("A", 2)) },
			"B: x|A: 3", ""},
		{"delete one that is not there", func(e *milter.Edits) error { return e.DeleteHeader("A", 4) },
			"A: 1|B: x|A: 2|A: 3", ""},
		{"change one that is not there", func(e *milter.Edits) error { return e.ChangeHeader("A", 4, "new") },
			"A: new|A: 1|B: x|A: 2|A: 3", "A: 1|B: x|A: 2|A: 3|A: new"},
		{"insert at the top", func(e *milter.Edits) error { return e.InsertHeader(0, "N", "new") },
			"N: new|A: 1|B: x|A: 2|A: 3", ""},
		{"insert in the middle", func(e *milter.Edits) error { return e.InsertHeader(3, "N", "new") },
			"N: new|A: 1|B: x|A: 2|A: 3", "A: 1|B: x|N: new|A: 2|A: 3"},
		{"add one of a name that is there", func(e *milter.Edits) error { return e.AddHeader("A", "new") },
			"A: 1|B: x|A: 2|A: 3|A: new", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
				c := miltertest.New(t, end(func(e *milter.Edits) { must(t, tt.edit(e)) }))
				c.Profile = profile
				res := c.Send(t, miltertest.Mail{Text: mail})
				want := tt.sendmail
				if profile == mta.Postfix && tt.postfix != "" {
					want = tt.postfix
				}
				got := strings.ReplaceAll(strings.TrimSuffix(res.Raw(), "\r\n\r\n"), "\r\n", "|")
				equal(t, "header", got, want)
			})
		})
	}
}

func TestBytesPassAsTheyAre(t *testing.T) {
	const value, local, body = "caf\xe9 \xff\x80", "us\xe9r", "\x00\xfe\r\nline\r\n"
	var seen []string
	c := miltertest.New(t, filter(milter.Hooks{
		Helo: func(_ context.Context, name []byte) milter.HeloReply {
			seen = append(seen, string(name))
			return milter.Continue
		},
		Mail: func(_ context.Context, m *milter.Mail) milter.MailReply {
			seen = append(seen, string(m.Raw()))
			return milter.Continue
		},
		Header: func(_ context.Context, h *milter.Header) milter.HeaderReply {
			seen = append(seen, h.Name(), string(h.ValueBytes()))
			return milter.Continue
		},
		Body: func(_ context.Context, chunk []byte) milter.BodyReply {
			seen = append(seen, string(chunk))
			return milter.Continue
		},
		End: func(_ context.Context, e *milter.Edits) milter.EndReply {
			must(t, e.AddHeader("X-Copy", value))
			return milter.Accept
		},
	}))
	res := c.Send(t, miltertest.Mail{Helo: "h\xe9", From: "<" + local + "@example.org>", Text: "Subject: " + value + "\r\n\r\n" + body})
	equal(t, "the hooks saw", seen, []string{"h\xe9", "<" + local + "@example.org>", "Subject", value, body})
	equal(t, "message", res.Raw(), "Subject: "+value+"\r\nX-Copy: "+value+"\r\n\r\n"+body)
	equal(t, "header answer", res.At(mta.StageHeader)[0].Arg, "Subject: "+value)
	if s := res.String(); strings.Count(s, `caf\xe9 \xff\x80`) != 3 || !strings.Contains(s, "\\x00\\xfe\nline\n") {
		t.Errorf("String = %s", s)
	}
}

func TestStagesNegotiatedAwayAreNotTold(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		c := miltertest.New(t, filter(milter.Hooks{
			Rcpt: func(context.Context, *milter.Rcpt) milter.RcptReply { return milter.Continue },
		}))
		c.Profile = profile
		res := c.Send(t, miltertest.Mail{})
		var stages []mta.Stage
		for _, a := range res.Answers {
			stages = append(stages, a.Stage)
		}
		equal(t, "stages told", stages, []mta.Stage{mta.StageRcpt, mta.StageEnd})
		a := res.Agreements[0]
		if a.Told(mta.StageMail) || !a.Told(mta.StageRcpt) || a.Version != 6 {
			t.Errorf("agreement = %+v", a)
		}
	})
}

func TestSilentStagesAreToldAndNotAwaited(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		var headers []string
		var bytes int
		c := miltertest.New(t, filter(milter.Hooks{
			Connect: func(context.Context, *milter.Client) milter.ConnectReply { return milter.Continue },
			Header: func(_ context.Context, h *milter.Header) milter.HeaderReply {
				headers = append(headers, h.Name())
				return milter.Continue
			},
			Body:   func(_ context.Context, b []byte) milter.BodyReply { bytes += len(b); return milter.Continue },
			Silent: milter.Stages(milter.StageConnect, milter.StageHeader, milter.StageBody),
		}))
		c.Profile = profile
		s := c.Connect(t)
		equal(t, "greeting", s.Greeting.Answers[0].Said(), "silent")
		res := s.Send(miltertest.Mail{Text: "A: 1\nB: 2\n\n" + strings.Repeat("0123456789\n", 40_000)})
		equal(t, "headers", headers, []string{"A", "B"})
		equal(t, "body", bytes, 12*40_000)
		equal(t, "verdict", res.Verdict, mta.Accept)
		equal(t, "chunks", len(res.At(mta.StageBody)), 8)
		equal(t, "at EOM", res.At(mta.StageEnd)[0].Said(), "continue")
	})
}

// When a step returns, hooks that do not answer have run.
func TestStepsWaitForSilentHooksAndAborts(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		var log []string
		c := miltertest.New(t, filter(milter.Hooks{
			Mail: func(context.Context, *milter.Mail) milter.MailReply { return milter.Continue },
			Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
				log = append(log, r.Address())
				return milter.Continue
			},
			Abort:  func(context.Context) { log = append(log, "abort") },
			Close:  func() { log = append(log, "close") },
			Silent: milter.Stages(milter.StageRcpt),
		}))
		c.Profile = profile
		s := c.Connect(t)
		s.Helo("h")
		s.Mail("<a@example.org>")
		s.Rcpt("<b@example.net>")
		equal(t, "log", log, []string{"b@example.net"})
		s.Reset()
		equal(t, "log", log[1:], []string{"abort"})
		s.Mail("<a@example.org>")
		s.Lost()
		equal(t, "log", log[2:], []string{"abort", "close"})
	})
}

func TestEveryStageStepByStep(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		var log []string
		note := func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
		c := miltertest.New(t, filter(milter.Hooks{
			Connect: func(_ context.Context, c *milter.Client) milter.ConnectReply {
				note("connect %s %v", c.Host, c.Addr)
				return milter.Continue
			},
			Helo: func(_ context.Context, name []byte) milter.HeloReply { note("helo %s", name); return milter.Continue },
			Mail: func(_ context.Context, m *milter.Mail) milter.MailReply {
				size, _ := m.Param("SIZE")
				note("mail %s %s", m.Address(), size)
				return milter.Continue
			},
			Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
				note("rcpt %s %v", r.Address(), r.Rejected())
				return milter.Continue
			},
			Data: func(context.Context) milter.DataReply { note("data"); return milter.Continue },
			Header: func(_ context.Context, h *milter.Header) milter.HeaderReply {
				note("header %s", h.Name())
				return milter.Continue
			},
			EndOfHeaders: func(context.Context) milter.EndOfHeadersReply { note("eoh"); return milter.Continue },
			Body:         func(_ context.Context, b []byte) milter.BodyReply { note("body %q", b); return milter.Continue },
			End:          func(context.Context, *milter.Edits) milter.EndReply { note("end"); return milter.Accept },
			Unknown: func(_ context.Context, cmd []byte) milter.UnknownReply {
				note("unknown %s", cmd)
				return milter.Reject(500, "5.5.2", "what?")
			},
			RejectedRcpts: true,
		}))
		c.Profile = profile
		s := c.ConnectFrom(t, mta.Conn{Name: "h.example", Addr: netip.MustParseAddrPort("[2001:db8::1]:99")})
		equal(t, "stage", s.Greeting.Stage, mta.StageConnect)
		s.Helo("one")
		if got := s.Unknown("FOO"); got.Verdict != mta.Reject || !strings.Contains(got.Told(), "what?") {
			t.Errorf("unknown: %v", got)
		}
		s.StartTLS()
		s.Helo("two")
		s.Mail("<a@example.org>", "SIZE=10")
		s.Reset()
		s.Mail("<a@example.org>")
		step := s.RcptRefused("<x@example.net>", mta.Reply{Code: 550, Enhanced: "5.1.1", Text: []string{"no"}})
		equal(t, "refused", step.Told(), "550 5.1.1 no")
		s.Rcpt("<b@example.net>")
		s.Data()
		res := s.Message("A: 1\n\nx\n")
		s.Quit()
		equal(t, "closed", s.Closed(), true)

		want := []string{"connect h.example [2001:db8::1]:99", "helo one", "unknown FOO", "helo two", "mail a@example.org 10", "mail a@example.org ",
			"rcpt x@example.net true", "rcpt b@example.net false", "data", "header A", "eoh", `body "x\r\n"`, "end"}
		if profile == mta.Sendmail { // it does not tell
			want = slices.Delete(want, 6, 7)
		}
		equal(t, "the hooks saw", log, want)
		if res.Answers[0].Stage != mta.StageMail {
			t.Errorf("answers since the RSET begin with %v", res.Answers[0])
		}
	})
}

func TestSeveralMessagesOnOneConnection(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		conns := 0
		c := miltertest.New(t, &milter.Server{New: func(s *milter.Session) milter.Hooks {
			conns++
			return milter.Hooks{End: func(_ context.Context, e *milter.Edits) milter.EndReply {
				must(t, e.AddHeader("X-Queue", s.QueueID()))
				return milter.Accept
			}}
		}})
		c.Profile = profile
		s := c.Connect(t)
		ids := map[string]bool{}
		for i := range 3 {
			res := s.Send(miltertest.Mail{Text: fmt.Sprintf("N: %d\n\n", i)})
			equal(t, "N", res.Header("N"), fmt.Sprint(i))
			ids[res.Header("X-Queue")] = true
			equal(t, "ends", len(res.At(mta.StageEnd)), 1)
		}
		s.Mail("<a@example.org>") // given up by the next
		s.Send(miltertest.Mail{})
		equal(t, "connections", conns, 1)
		equal(t, "queue ids", len(ids), 3)
	})
}

func TestTwoFiltersInARow(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		var second []string
		a := end(func(e *milter.Edits) { must(t, e.AddHeader("X-A", "1")) })
		a.Name = "first"
		b := filter(milter.Hooks{
			Header: func(_ context.Context, h *milter.Header) milter.HeaderReply {
				second = append(second, h.Name())
				return milter.Continue
			},
			End: func(context.Context, *milter.Edits) milter.EndReply { return refusal },
		})
		c := miltertest.New(t, a, b)
		c.Profile = profile
		res := c.Send(t, miltertest.Mail{Text: "S: 1\n\n"})
		equal(t, "the second saw", second, []string{"S", "X-A"})
		equal(t, "verdict", res.Verdict, mta.Reject)
		equal(t, "edits", res.Edits[0].Milter, "first")
		equal(t, "filters", len(res.Agreements), 2)
		if got := res.String(); !strings.Contains(got, "answer first end: accept\n") || !strings.Contains(got, "answer filter2 end: 554") {
			t.Errorf("String = %s", got)
		}
	})
}

func TestRejectedMessageIsNotThere(t *testing.T) {
	c := miltertest.New(t, answerAt(t, mta.StageEnd, refusal))
	res := c.Send(t, miltertest.Mail{})
	equal(t, "told", res.Told(), "554 5.7.1 refused here")
	equal(t, "message", res.Raw(), "")
	equal(t, "Subject", res.Header("Subject"), "")
}

func TestManyConnectionsAtOnce(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		c := miltertest.New(t, &milter.Server{New: moved})
		c.Profile = profile
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				from := fmt.Sprintf("user%d@example.org", i)
				res := c.Send(t, miltertest.Mail{From: from})
				equal(t, "X-Seen-From", res.Header("X-Seen-From"), from)
			})
		}
		wg.Wait()
	})
}
