//go:build peers

package peertest_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	milter "github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/peertest"
)

// nets are what miltertest can connect to. Tests with inet are not parallel: a
// program that is being started elsewhere may hold the port that was found free.
var nets = []string{"unix", "inet"}

// What miltertest expects of our filter in the tests below, it gets from one on
// libmilter too, and that is told the same.

func TestMiltertestSeesEveryReplyAtEveryStage(t *testing.T) {
	answers := map[string]string{"accept": "ACCEPT", "reject": "REJECT", "tempfail": "TEMPFAIL", "discard": "DISCARD", "skip": "SKIP", "lines": "REPLYCODE", "later": "REPLYCODE", "bye": "REPLYCODE"}
	for _, tt := range replies {
		if !typed(tt.does) {
			continue
		}
		t.Run(tt.does, func(t *testing.T) {
			t.Parallel()
			words := strings.Split(tt.does, "|")
			vars := map[string]string{"at": words[1], "want": answers[words[0]]}
			switch words[0] {
			case "lines": // miltertest puts a blank between the three
				vars["smtpcode"], vars["smtpstatus"], vars["smtptext"] = "554-5.7.9", "first\r\n554-5.7.9", "100%% sure\r\n554 5.7.9 last"
			case "later":
				vars["smtpcode"], vars["smtpstatus"], vars["smtptext"] = "452", "4.2.2", "come again"
			case "bye":
				vars["smtpcode"], vars["smtpstatus"], vars["smtptext"] = "421", "4.7.0", "go away"
			}
			var logs [][]string
			for _, r := range rivals {
				f := r.start(t, "unix", spell(tt.does))
				vars["socket"] = f.Spec
				peertest.MilterTest(t, "testdata/foreign_reply.lua", vars)
				logs = append(logs, calls(t, f, 1))
			}
			wantLines(t, "our filter was told", logs[1], logs[0])
		})
	}
}

func TestMiltertestSeesEveryEdit(t *testing.T) {
	for _, network := range nets {
		for _, r := range rivals {
			t.Run(network+"/"+r.name, func(t *testing.T) {
				f := r.start(t, network, "addheader|X-Added|value", "addheader|X-Folded|one\n\ttwo", "addheader|X-Eight|gr\xfc\xdfe",
					"insheader|0|X-Top|top", "insheader|3|X-Deep|deep", "chgheader|Subject|1|changed", "delheader|X-Old|2",
					"addrcpt|<new@example.net>", "addrcpt|<par@example.net>|NOTIFY=NEVER", "delrcpt|<a@example.net>", "chgfrom|<new@example.com>|RET=HDRS",
					"progress", "quarantine|held by test", "replacebody|New body.\r\nSecond line.\r\n")
				peertest.MilterTest(t, "testdata/foreign_edits.lua", map[string]string{"socket": f.Spec})
				for _, line := range calls(t, f, 1) {
					if strings.HasPrefix(line, "refused") {
						t.Error(line)
					}
				}
			})
		}
	}
}

func TestMiltertestAndASilentFilter(t *testing.T) {
	actions := []string{"reject|eom"}
	for _, stage := range []string{"connect", "helo", "unknown", "mail", "rcpt", "data", "header", "eoh", "body"} {
		actions = append(actions, "noreply|"+stage)
	}
	for _, network := range nets {
		t.Run(network, func(t *testing.T) {
			var logs [][]string
			for _, r := range rivals {
				f := r.start(t, network, actions...)
				peertest.MilterTest(t, "testdata/foreign_silent.lua", map[string]string{"socket": f.Spec})
				logs = append(logs, calls(t, f, 1))
			}
			wantLines(t, "our filter was told", logs[1], logs[0])
			if got, want := stagesOf(logs[1]), "connect helo unknown"+strings.Repeat(" mail rcpt data header eoh body eom", 3)+" close"; got != want {
				t.Errorf("our filter was told %s, want %s", got, want)
			}
		})
	}
}

func TestMiltertestInLongSessions(t *testing.T) {
	want := [][]string{
		strings.Split(`connect client.example.com 192.0.2.7 PORT j daemon
helo a.example.com j daemon
mail <one@example.com> SIZE=100 BODY=8BITMIME j i=Q1 daemon from
rcpt <a@example.net> NOTIFY=NEVER ORCPT=rfc822;a@example.net j i=Q1 daemon from {rcpt_addr}=a@example.net
rcpt <b@example.net> j i=Q1 daemon from {rcpt_addr}=b@example.net
abort
mail <three@example.com> j i=Q3 daemon
rcpt <a@example.net> j i=Q3 daemon
data j i=Q3 daemon
header Subject one j i=Q3 daemon
eoh j i=Q3 daemon
body 8 j i=Q3 daemon
eom j i=Q3 daemon
mail <four@example.com> j i=Q4 daemon
abort
helo again.example.com j daemon
unknown FOO bar j daemon
mail <five@example.com> j i=Q5 daemon
rcpt <a@example.net> j i=Q5 daemon
data j i=Q5 daemon
header Subject one j i=Q5 daemon
eoh j i=Q5 daemon
body 8 j i=Q5 daemon
eom j i=Q5 daemon
close`, "\n"),
		strings.Split(`connect six.example.com 2001:db8::7 PORT
helo b.example.com
mail <> i=Q2
rcpt <c@example.net> i=Q2
data i=Q2
header Subject folded\x0a\x09line i=Q2
header X-Eight gr\xfc\xdfe i=Q2
header X-Empty  i=Q2
eoh i=Q2
body 1000 i=Q2
body 1 i=Q2
body 1 i=Q2
eom i=Q2 {msg_id}=<1@example.com>
mail <six@example.com> i=Q6
rcpt <c@example.net> i=Q6
abort
close`, "\n"),
	}
	short := strings.NewReplacer(" j=mx.example.net", " j", " {daemon_name}=MTA", " daemon", " {mail_addr}=one@example.com", " from")
	for _, network := range nets {
		for _, r := range rivals {
			t.Run(network+"/"+r.name, func(t *testing.T) {
				f := r.start(t, network, "show|j|i|{daemon_name}|{mail_addr}|{rcpt_addr}|{msg_id}")
				peertest.MilterTest(t, "testdata/foreign_session.lua", map[string]string{"socket": f.Spec})
				for n := range want {
					var got []string
					for i, line := range calls(t, f, n+1) {
						line = short.Replace(line)
						if words := strings.Fields(line); i == 0 && len(words) > 3 {
							line = strings.Replace(line, " "+words[3], " PORT", 1)
						}
						switch stage, _, _ := strings.Cut(line, " "); {
						case stage == "abort", stage == "close":
							line = stage // what is left there each decides for itself
						}
						got = append(got, line)
					}
					wantLines(t, "session "+string(rune('1'+n)), got, want[n])
				}
			})
		}
	}
}

func TestMiltertestNegotiates(t *testing.T) {
	const (
		old   = "ADDHDRS CHGBODY ADDRCPT DELRCPT CHGHDRS QUARANTINE"
		edits = old + " CHGFROM ADDRCPT_PAR"
		end   = "\nend a" // the answer to the end of a message
	)
	rcpt := func(h *milter.Hooks) {
		h.Rcpt = func(context.Context, *milter.Rcpt) milter.RcptReply { return milter.Continue }
	}
	all := func(h *milter.Hooks) {
		rcpt(h)
		h.Connect = func(context.Context, *milter.Client) milter.ConnectReply { return milter.Continue }
		h.Helo = func(context.Context, []byte) milter.HeloReply { return milter.Continue }
		h.Mail = func(context.Context, *milter.Mail) milter.MailReply { return milter.Continue }
		h.Data = func(context.Context) milter.DataReply { return milter.Continue }
		h.Header = func(context.Context, *milter.Header) milter.HeaderReply { return milter.Continue }
		h.EndOfHeaders = func(context.Context) milter.EndOfHeadersReply { return milter.Continue }
		h.Body = func(context.Context, []byte) milter.BodyReply { return milter.Continue }
		h.Unknown = func(context.Context, []byte) milter.UnknownReply { return milter.Continue }
		h.End = func(context.Context, *milter.Edits) milter.EndReply { return milter.Accept }
	}
	for _, tt := range []struct {
		name                    string
		version, actions, steps string // offered
		hooks                   func(*milter.Hooks)
		want                    string // what our filter asks for
		agreed                  int    // the version
	}{
		{"all hooks", "6", "0x1ff", "0x1fffff", all, "actions " + edits + " steps SKIP" + end, 6},
		{"no hooks", "6", "0x1ff", "0x1fffff", func(*milter.Hooks) {}, "actions steps NOCONNECT NOHELO NOMAIL NORCPT NOBODY NOHDRS NOEOH NOUNKNOWN NODATA\nend c", 6},
		{"one hook", "6", "0x1ff", "0x1fffff", rcpt, "actions steps NOCONNECT NOHELO NOMAIL NOBODY NOHDRS NOEOH NOUNKNOWN NODATA\nend c", 6},
		{"few actions", "6", "0x1ff", "0x1fffff", func(h *milter.Hooks) {
			all(h)
			h.Actions = milter.CanAddHeaders | milter.CanQuarantine
		}, "actions ADDHDRS QUARANTINE steps SKIP" + end, 6},
		{"no actions", "6", "0x1ff", "0x1fffff", func(h *milter.Hooks) { all(h); h.Actions = milter.NoEdits }, "actions steps SKIP" + end, 6},
		{"all that can be asked for", "6", "0x1ff", "0x1fffff", func(h *milter.Hooks) {
			all(h)
			h.LeadingSpace, h.RejectedRcpts = true, true
			h.Macros = map[milter.Stage][]string{milter.StageMail: {"i"}}
			h.Silent = milter.Stages(milter.StageConnect, milter.StageHeader, milter.StageUnknown)
		}, "actions " + edits + " SETSYMLIST steps NR_HDR SKIP RCPT_REJ NR_CONN NR_UNKN HDR_LEADSPC" + end, 6},
		{"offered few actions", "6", "0x3f", "0x1fffff", all, "actions " + old + " steps SKIP" + end, 6},
		{"offered no steps beyond the first", "6", "0x1ff", "0x7f", all, "actions " + edits + " steps" + end, 6},
		{"version 4", "4", "0x1ff", "0x37f", all, "actions " + edits + " steps" + end, 4},
		{"version 3", "3", "0x3f", "0x17f", all, "actions " + old + " steps" + end, 3},
		{"version 2", "2", "0x3f", "0x7f", all, "actions " + old + " steps" + end, 2},
		{"one hook and version 2", "2", "0x3f", "0x7f", rcpt, "actions steps NOCONNECT NOHELO NOMAIL NOBODY NOHDRS NOEOH\nend c", 2},
		{"a version to come", "9", "0xffff", "0xffffff", all, "actions " + edits + " steps SKIP" + end, 6},
		{"nothing", "6", "0", "0", all, "actions ADDHDRS CHGBODY ADDRCPT DELRCPT steps" + end, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			agreed := make(chan int, 1)
			var offer string
			spec := serve(t, "unix", func(s *milter.Session) (h milter.Hooks) {
				tt.hooks(&h)
				h.Negotiate = func(_ context.Context, n *milter.Negotiation) error {
					offer = strconv.Itoa(n.OfferedVersion) + " " + hex(uint32(n.OfferedActions)) + " " + hex(uint32(n.OfferedProtocol))
					return nil
				}
				h.Close = func() { agreed <- s.Version() }
				return h
			})
			out := peertest.MilterTest(t, "testdata/foreign_negotiate.lua", map[string]string{"socket": spec, "version": tt.version, "actions": tt.actions, "steps": tt.steps})
			if got := <-agreed; got != tt.agreed {
				t.Errorf("agreed on version %d, want %d", got, tt.agreed)
			}
			want := tt.version + " " + tt.actions + " " + tt.steps
			if tt.actions == "0" {
				want = "6 0xf 0x3f" // none stands for those of version 1
			}
			if got := offer; got != want {
				t.Errorf("was offered %s, want %s", got, want)
			}
			if got := strings.TrimSuffix(out, "\n"); got != tt.want {
				t.Errorf("our filter asked for\n%q, want\n%q", got, tt.want)
			}
		})
	}
}
