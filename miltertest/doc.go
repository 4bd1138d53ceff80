// Package miltertest is for tests of filters what net/http/httptest is for tests of
// handlers: it runs a filter in the process of the test, without a socket, and
// plays the MTA.
//
//	func TestMovedDomain(t *testing.T) {
//		c := miltertest.New(t, &milter.Server{New: newFilter}) // stopped with the test
//
//		res := c.Send(t, miltertest.Mail{
//			From:  "someone@example.org",
//			Rcpts: []string{"a@old.example.com", "b@example.com"},
//			File:  "testdata/mail.eml",
//		})
//		if got := res.Rcpts(); !slices.Equal(got, []string{"b@example.com"}) {
//			t.Errorf("recipients = %q", got)
//		}
//		if got := res.At(milter.StageRcpt)[0].Said(); got != "550 5.1.6 that domain has moved" {
//			t.Errorf("answer = %q", got)
//		}
//		if got := res.Header("X-Seen-From"); got != "someone@example.org" {
//			t.Errorf("X-Seen-From = %q", got)
//		}
//		res.Golden(t, "testdata/mail.want") // or all of it, see below
//	}
//
// # What is played
//
// The conversation is that of package mta, which does what Sendmail or Postfix do,
// on bytes as they are. A [Result] has the verdict and the reply as the SMTP client
// reads it, each recipient's fate, every answer of every filter with the macros it
// was sent, the edits, and the envelope and the message as the MTA would deliver
// them. The MTA is Postfix unless [Client] says otherwise; a filter that shall work
// with both is tested with [Each]:
//
//	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
//		c := miltertest.New(t, server())
//		c.Profile = profile
//		...
//
// A chain of filters is served by [NewChain], which has its filters' failures told: they
// are no faults of the chain's hooks.
//
// For one command after the other, several messages on one connection, RSET,
// STARTTLS, clients and MTAs that go without a word, there is a [Session]:
//
//	s := c.Connect(t)
//	s.Helo("client.example")
//	s.Mail("<a@example.org>", "SIZE=1000")
//	if step := s.Rcpt("<b@example.com>"); step.Told() != "" {
//		t.Errorf("the client was told %s", step.Told())
//	}
//	s.Reset()
//
// and for frames that no MTA would send, a [Raw].
//
// # Golden files
//
// [Result.Golden] compares a result with a file, and
//
//	go test -miltertest.update
//
// writes the files anew. This package registers no -update; one that a test registers
// for files of its own holds for Golden, too.
//
// # What fails a test
//
// Beside what the test itself looks at: a hook that panics, hangs or answers what
// its stage does not know, an answer that the MTA cannot make sense of, and, when
// the test ends, hooks and goroutines that are still there. The failure says why a hook
// failed: the first line of a panic, what is wrong with an answer. See the fields of
// [Client] for tests in which that shall happen. What the server logs is in the
// test's log.
//
// # Time
//
// Everything waits in a way that testing/synctest knows, so hooks that hang for
// minutes are tested in no time:
//
//	synctest.Test(t, func(t *testing.T) {
//		c := miltertest.New(t, slowFilter)
//		c.FaultsOK = true
//		res := c.Send(t, miltertest.Mail{}) // eight seconds later: a tempfail
//		...
//
// One thing cannot be seen in memory: that the MTA left while a hook runs, which ends
// the hook's context on a real socket at once, and here when the hook is past its time.
package miltertest
