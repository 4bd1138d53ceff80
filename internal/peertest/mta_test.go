//go:build peers

package peertest_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/peertest"
)

func TestMain(m *testing.M) { os.Exit(peertest.Main(m)) }

// each runs f once for every kind of MTA.
func each(t *testing.T, f func(t *testing.T, kind peertest.Kind)) {
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f(t, kind)
		})
	}
}

// eachShared runs f once for every shared MTA, with a C filter that does actions.
func eachShared(t *testing.T, f func(t *testing.T, m *peertest.Rig, filter *peertest.Filter), actions ...string) {
	each(t, func(t *testing.T, kind peertest.Kind) {
		m := peertest.Shared(t, kind)
		filter := peertest.CFilter(t, "unix", actions...)
		m.Switch.Forward(t, filter.Spec)
		f(t, m, filter)
	})
}

func wantCode(t *testing.T, r peertest.Reply, code int) {
	t.Helper()
	if r.Code != code {
		t.Fatalf("reply %q, want code %d", r, code)
	}
}

func TestMailPassesWithoutFilter(t *testing.T) {
	each(t, func(t *testing.T, kind peertest.Kind) {
		m := peertest.Start(t, kind, peertest.Config{})
		wantCode(t, m.Send(t, peertest.Letter{}), 250)
		mail := m.Sink.Next(t)
		if mail.From.Addr != "sender@example.com" || !slices.Equal(mail.To(), []string{"rcpt@example.net"}) {
			t.Errorf("envelope from %+v to %+v", mail.From, mail.Rcpts)
		}
		if got := string(mail.Body()); got != "Hello.\r\n" {
			t.Errorf("body %q", got)
		}
		if _, err := m.Log.Wait(t.Context(), "from=<sender@example.com>"); err != nil {
			t.Error(err)
		}
	})
}

func TestFilterIsAskedOverEveryNetwork(t *testing.T) {
	for _, network := range []string{"unix", "inet", "inet6"} {
		t.Run(network, func(t *testing.T) {
			each(t, func(t *testing.T, kind peertest.Kind) {
				f := peertest.CFilter(t, network, "addheader|X-Peer|"+network)
				m := peertest.Start(t, kind, peertest.Config{Milters: []peertest.Milter{{Spec: f.Spec}}})
				wantCode(t, m.Send(t, peertest.Letter{}), 250)
				if got := m.Sink.Next(t).Header().Values("x-peer"); !slices.Equal(got, []string{network}) {
					t.Errorf("X-Peer is %q", got)
				}
				f.Wait(t, "1 rcpt <rcpt@example.net>")
				f.Wait(t, "1 close")
			})
		})
	}
}

func TestTwoFiltersAreAskedInOrder(t *testing.T) {
	each(t, func(t *testing.T, kind peertest.Kind) {
		first := peertest.CFilter(t, "unix", "addheader|X-First|yes")
		second := peertest.CFilter(t, "unix", "show|i")
		m := peertest.Start(t, kind, peertest.Config{
			Milters: []peertest.Milter{{Spec: first.Spec}, {Spec: second.Spec}},
			Macros:  map[string]string{"connect": "j {client_addr}"},
		})
		wantCode(t, m.Send(t, peertest.Letter{}), 250)
		second.Wait(t, "header X-First")
	})
}

func TestMacrosAreThoseConfigured(t *testing.T) {
	each(t, func(t *testing.T, kind peertest.Kind) {
		f := peertest.CFilter(t, "unix", "show|j|{client_addr}|{mail_addr}|{daemon_name}")
		m := peertest.Start(t, kind, peertest.Config{
			Milters: []peertest.Milter{{Spec: f.Spec}},
			Macros:  map[string]string{"connect": "j {client_addr}", "mail": "i"},
		})
		m.Send(t, peertest.Letter{})
		want := " j=" + m.Host + " {client_addr}=127.0.0.1"
		if got := f.Wait(t, "1 mail"); got != "1 mail <sender@example.com>"+want {
			t.Errorf("the filter saw %q, want the macros %q", got, want)
		}
	})
}

func TestDefaultActionOfAnAbsentFilter(t *testing.T) {
	for action, code := range map[string]int{"accept": 250, "reject": 554, "tempfail": 451} {
		t.Run(action, func(t *testing.T) {
			each(t, func(t *testing.T, kind peertest.Kind) {
				m := peertest.Start(t, kind, peertest.Config{Milters: []peertest.Milter{{
					Spec: peertest.FreeSpec(t, "inet"), DefaultAction: action, ConnectTimeout: 5 * time.Second,
				}}})
				wantCode(t, m.Send(t, peertest.Letter{}), code)
			})
		})
	}
}

func TestSwitchLeadsToThoseWhoServe(t *testing.T) {
	each(t, func(t *testing.T, kind peertest.Kind) {
		m := peertest.Shared(t, kind)
		wantCode(t, m.Send(t, peertest.Letter{}), 451) // nobody
		m.Switch.Forward(t, peertest.CFilter(t, "unix", "addheader|X-Case|one").Spec)
		wantCode(t, m.Send(t, peertest.Letter{}), 250)
		m.Switch.Forward(t, peertest.CFilter(t, "inet", "addheader|X-Case|two").Spec)
		wantCode(t, m.Send(t, peertest.Letter{}), 250)
		for _, want := range []string{"one", "two"} {
			if got := m.Sink.Next(t).Header().Values("X-Case"); !slices.Equal(got, []string{want}) {
				t.Errorf("X-Case is %q, want %q", got, want)
			}
		}
	})
}

func TestEditsReachTheSink(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		wantCode(t, m.Send(t, peertest.Letter{To: []string{"rcpt@example.net", "keep@example.net"}}), 250)
		mail := m.Sink.Next(t)
		if mail.From.Addr != "new@example.org" || !slices.Equal(mail.From.Params, []string{"ENVID=abc"}) && !slices.Contains(mail.From.Params, "ENVID=abc") {
			t.Errorf("sender is %+v", mail.From)
		}
		to := mail.To()
		slices.Sort(to)
		if want := []string{"added@example.org", "keep@example.net"}; !slices.Equal(to, want) {
			t.Errorf("recipients are %q, want %q", to, want)
		}
		if got := string(mail.Body()); got != "new\r\nbody\r\n" {
			t.Errorf("body is %q", got)
		}
		h := mail.Header()
		for name, want := range map[string]string{"Subject": "changed", "X-First": "top", "X-Fold": "one\r\n\ttwo"} {
			if got := h.Values(name); !slices.Equal(got, []string{want}) {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if h[0].Name != "X-First" || h.Values("Date") != nil {
			t.Errorf("the fields are %q, want X-First first and no Date", h.Names())
		}
		if strings.Contains(f.Log.String(), "refused") {
			t.Errorf("libmilter refused something:\n%s", f.Log)
		}
	}, "insheader|0|X-First|top", "addheader|X-Fold|one\n\ttwo", "chgheader|Subject|1|changed", "delheader|Date|1",
		"replacebody|new\r\nbody\r\n", "addrcpt|<added@example.org>", "delrcpt|<rcpt@example.net>", "chgfrom|<new@example.org>|ENVID=abc",
		"progress")
}

func TestRefusals(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		wantCode(t, m.Send(t, peertest.Letter{To: []string{"bad@example.net"}}), 550)
		wantCode(t, m.Send(t, peertest.Letter{From: "spam@example.com"}), 451)
		r := m.Send(t, peertest.Letter{To: []string{"bad@example.net", "good@example.net"}})
		if want := []string{"554-5.7.1 one line", "554 5.7.1 and 100% another"}; !slices.Equal(r.Lines, want) {
			t.Errorf("reply %q, want %q", r.Lines, want)
		}
		wantCode(t, m.Send(t, peertest.Letter{To: []string{"mta-reject@example.net"}}), 550)
		wantCode(t, m.Send(t, peertest.Letter{To: []string{"mta-unknown@example.net"}}), 550)
		wantCode(t, m.Send(t, peertest.Letter{To: []string{"mta-tempfail@example.net"}}), 450)
		if q := m.Queue(t); len(q) > 0 {
			t.Errorf("the queue has %+v", q)
		}
		if mails := m.Sink.Take(); len(mails) > 0 {
			t.Errorf("the sink has %d mails", len(mails))
		}
	}, "tempfail|mail|spam@", "reject|rcpt|bad@", "reply|eom||554|5.7.1|one line|and 100%% another")
}

func TestDiscardedMailIsNowhere(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		wantCode(t, m.Send(t, peertest.Letter{}), 250)
		if err := m.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if mails, q := m.Sink.Take(), m.Queue(t); len(mails)+len(q) > 0 {
			t.Errorf("sink has %d mails, queue has %+v", len(mails), q)
		}
	}, "discard|eom")
}

// What makes package milter refuse such parameters.
func TestRecipientWithABadParameter(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		d := m.Dial(t)
		wantCode(t, d.Cmd("EHLO client.example.com"), 250)
		reply := d.Send(peertest.Letter{})
		mail := m.Sink.Next(t)
		if m.Kind == peertest.Postfix {
			wantCode(t, reply, 250)
			if len(mail.Rcpts) != 2 {
				t.Errorf("recipients = %v", mail.Rcpts)
			}
			return
		}
		if got := strings.Join(reply.Lines, "\n"); got != "olderrors=0, Errors=1" || len(mail.Rcpts) != 1 {
			t.Errorf("the reply is %q, the recipients are %v", got, mail.Rcpts)
		}
		wantCode(t, d.Cmd("NOOP"), 250) // meant for the message
		wantCode(t, d.Cmd("QUIT"), 250) // for NOOP
	}, "addrcpt|<new@example.org>|FOO=bar")
}

func TestQuarantinedMailIsInTheQueue(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		wantCode(t, m.Send(t, peertest.Letter{To: []string{"one@example.net", "two@example.net"}}), 250)
		if err := m.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		queue := m.Queue(t)
		if len(queue) != 1 {
			t.Fatalf("the queue is %+v", queue)
		}
		q := queue[0]
		if q.State != peertest.Quarantined || q.Sender != "sender@example.com" || !slices.Equal(q.Rcpts, []string{"one@example.net", "two@example.net"}) {
			t.Errorf("queued is %+v", q)
		}
		if want := map[peertest.Kind]string{peertest.Sendmail: "looks odd"}[m.Kind]; q.Reason != want {
			t.Errorf("reason is %q, want %q", q.Reason, want)
		}
		if got := q.Header.Values("X-Held"); !slices.Equal(got, []string{"yes"}) {
			t.Errorf("X-Held is %q in %+v", got, q.Header)
		}
		if got := string(q.Body); got != "Hello.\n" {
			t.Errorf("body is %q", got)
		}
		if !strings.Contains(f.Wait(t, "eom"), q.ID) {
			t.Errorf("the filter saw %q, the queue id is %s", f.Wait(t, "eom"), q.ID)
		}
		if mails := m.Sink.Take(); len(mails) > 0 {
			t.Errorf("the sink has %d mails", len(mails))
		}
	}, "show|i", "quarantine|looks odd", "addheader|X-Held|yes")
}

func TestDeferredMailIsInTheQueueUntilFlushed(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		m.Sink.Answer(func(verb, arg string) string {
			if verb == "RCPT" {
				return "450 4.2.1 come back later"
			}
			return ""
		})
		wantCode(t, m.Send(t, peertest.Letter{}), 250)
		if err := m.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		q := m.Queue(t)
		if len(q) != 1 || q[0].State != peertest.Deferred || !strings.Contains(q[0].Reason, "come back later") {
			t.Fatalf("the queue is %+v", q)
		}
		m.Sink.Answer(nil)
		if err := m.Flush(); err != nil {
			t.Fatal(err)
		}
		m.Sink.Next(t)
	})
}

func TestSTARTTLS(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		d := m.Dial(t)
		wantCode(t, d.Cmd("EHLO client.example.com"), 250)
		wantCode(t, d.StartTLS(nil), 220)
		wantCode(t, d.Cmd("EHLO client.example.com"), 250)
		wantCode(t, d.Send(peertest.Letter{}), 250)
		wantCode(t, d.Cmd("QUIT"), 221)
		if got := f.Wait(t, "1 mail"); !strings.Contains(got, "{tls_version}=TLSv1.3") {
			t.Errorf("the filter saw %q", got)
		}
		m.Sink.Next(t)
	}, "show|{tls_version}")
}

func TestAUTH(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		d := m.Dial(t)
		wantCode(t, d.Cmd("EHLO client.example.com"), 250)
		wantCode(t, d.AuthPlain("joe", "wrong"), 535)
		wantCode(t, d.AuthPlain("joe", "secret"), 235)
		wantCode(t, d.Send(peertest.Letter{}), 250)
		if got := f.Wait(t, "1 mail"); !strings.Contains(got, "{auth_type}=PLAIN {auth_authen}=joe") {
			t.Errorf("the filter saw %q", got)
		}
	}, "show|{auth_type}|{auth_authen}")
}

func TestSubmissionServiceWantsLogin(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		if r := peertest.Send(t, m.Submission, peertest.Letter{}); r.Code/100 != 5 {
			t.Errorf("without login: %q", r)
		}
		f.Log.Clear()
		d := peertest.Dial(t, m.Submission)
		wantCode(t, d.Cmd("EHLO client.example.com"), 250)
		wantCode(t, d.AuthPlain("joe", "secret"), 235)
		wantCode(t, d.Send(peertest.Letter{}), 250)
		want := map[peertest.Kind]string{peertest.Sendmail: "MSA", peertest.Postfix: "ORIGINATING"}[m.Kind]
		if got := f.Wait(t, " mail "); !strings.HasSuffix(got, "{daemon_name}="+want) {
			t.Errorf("the filter saw %q, want the daemon %s", got, want)
		}
	}, "show|{daemon_name}")
}

func TestIPv6Client(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		wantCode(t, peertest.Send(t, m.Addr6, peertest.Letter{}), 250)
		if got := f.Wait(t, "1 connect"); !strings.Contains(got, " ::1 ") {
			t.Errorf("the filter saw %q", got)
		}
	})
}

func TestClientFromAnotherAddress(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		wantCode(t, peertest.DialFrom(t, "127.0.0.9", m.Addr).Cmd("NOOP"), 250)
		f.Wait(t, "127.0.0.9")
	})
}

func TestPipeliningAndABrokenOffMessage(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		d := m.Dial(t)
		wantCode(t, d.Cmd("EHLO client.example.com"), 250)
		r := d.Pipeline("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.net>", "DATA")
		if r[0].Code != 250 || r[1].Code != 250 || r[2].Code != 354 {
			t.Fatalf("replies %v\n%s", r, d.Transcript())
		}
		d.Write("Subject: cut o")
		d.Close()
		f.Wait(t, "1 close")
		if strings.Contains(f.Log.String(), "eom") {
			t.Errorf("the filter saw an end:\n%s", f.Log)
		}
	})
}

func TestLocalSubmissionIsFiltered(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		if err := m.SubmitLocal(peertest.Letter{From: "root@example.com", To: []string{"a@example.net", "b@example.net"}}); err != nil {
			t.Fatal(err)
		}
		mail := m.Sink.Next(t)
		if mail.From.Addr != "root@example.com" || !slices.Equal(mail.To(), []string{"a@example.net", "b@example.net"}) {
			t.Errorf("envelope from %+v to %+v", mail.From, mail.Rcpts)
		}
		if got := mail.Header().Values("X-Peer"); !slices.Equal(got, []string{"local"}) {
			t.Errorf("X-Peer is %q", got)
		}
		f.Wait(t, " 127.0.0.1 ")
	}, "addheader|X-Peer|local")
}

func TestBounceGoesToTheSink(t *testing.T) {
	eachShared(t, func(t *testing.T, m *peertest.Rig, f *peertest.Filter) {
		m.Sink.Answer(func(verb, arg string) string {
			if verb == "RCPT" && strings.Contains(arg, "gone@") {
				return "550 5.1.1 nobody of that name"
			}
			return ""
		})
		wantCode(t, m.Send(t, peertest.Letter{To: []string{"gone@example.net"}}), 250)
		mail := m.Sink.Next(t)
		if mail.From.Addr != "" || !slices.Equal(mail.To(), []string{"sender@example.com"}) {
			t.Errorf("envelope from %+v to %+v", mail.From, mail.Rcpts)
		}
		if !strings.Contains(string(mail.Data), "nobody of that name") {
			t.Errorf("the bounce does not say why:\n%s", mail.Data)
		}
		// Only Postfix asks filters about its own mail.
		if got := mail.Header().Values("X-Peer"); (len(got) == 1) != (m.Kind == peertest.Postfix) {
			t.Errorf("X-Peer of the bounce is %q", got)
		}
	}, "addheader|X-Peer|seen")
}

func TestExtraConfiguration(t *testing.T) {
	each(t, func(t *testing.T, kind peertest.Kind) {
		m := peertest.Start(t, kind, peertest.Config{Extra: map[peertest.Kind][]string{
			peertest.Sendmail: {"O MaxMessageSize=2000"},
			peertest.Postfix:  {"message_size_limit = 2000"},
		}})
		r := m.Dial(t).Cmd("EHLO x.example.com")
		if !slices.ContainsFunc(r.Lines, func(s string) bool { return strings.HasSuffix(s, "SIZE 2000") }) {
			t.Errorf("EHLO is answered %q", r)
		}
	})
}

func TestSettleGivesUpAtItsDeadline(t *testing.T) {
	each(t, func(t *testing.T, kind peertest.Kind) {
		held, release := make(chan struct{}), make(chan struct{})
		m := peertest.Start(t, kind, peertest.Config{})
		m.Sink.Answer(func(verb, arg string) string {
			if verb == "MAIL" {
				close(held)
				<-release
			}
			return ""
		})
		wantCode(t, m.Send(t, peertest.Letter{}), 250)
		<-held
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := m.Settle(ctx); err == nil {
			t.Error("settled while a delivery is under way")
		}
		close(release)
		m.Sink.Next(t)
	})
}
