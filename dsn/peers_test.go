//go:build peers

package dsn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/message"
)

// A judgement is what Python's email package makes of a message.
type judgement struct {
	Fields, Types, Texts, Defects []string
	Subject, To, Type, Report     string
	Status                        [][][2]string
}

func judge(t *testing.T, data []byte) (j judgement) {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "-I", "testdata/judge.py")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Logf("%s", e.Stderr)
		}
		t.Fatalf("judge.py: %v of\n%s", err, data)
	}
	if err := json.Unmarshal(out, &j); err != nil {
		t.Fatal(err)
	}
	return j
}

// notices are those that foreign programs look at.
func notices(t *testing.T) map[string]*Message {
	all := make(map[string]*Message)
	for _, name := range BuiltinTemplates().Names() {
		n := notice()
		n.Template = name
		all[name] = compose(t, fixed(), n)
	}
	edit := func(name string, f func(*Notice)) {
		n := notice()
		f(n)
		all[name] = compose(t, fixed(), n)
	}
	eightBit := message.Parse([]byte(strings.Replace(letter, "At noon", "\xc3\xa0 midi", 1)))
	edit("full", func(n *Notice) { n.Return, n.Recipients[0].Action = ReturnFull, Failed })
	edit("8 bit", func(n *Notice) {
		n.Return, n.Recipients[0].Action, n.EightBit = ReturnFull, Failed, true
		n.Header, n.Body = eightBit.Header, bytes.NewReader(eightBit.Body)
	})
	edit("hostile", func(n *Notice) {
		evil := "a\r\n--=_" + strings.Repeat("0", 25) + "2--\r\nX-Evil: y\r\n\r\nAction: failed\r\u2028\x00\x85" + strings.Repeat("z", 2000)
		n.Vars = Vars{SPFResult: evil, HeloName: evil, Result: evil, SenderDomain: evil}
		n.EnvelopeID, n.ReceivedFrom = evil, evil
		n.Recipients[0].Original, n.Recipients[0].Status, n.Recipients[0].RemoteMTA, n.Recipients[0].Diagnostic = evil, evil, evil, evil
		n.Header = message.Header{message.NewField("Subject", " "+evil, crlf), message.NewField("Message-ID", "<"+evil+"@x>", crlf)}
	})
	edit("international", func(n *Notice) {
		n.UTF8, n.Recipients[0].Address.Local = true, "jöe"
		n.Header = append(n.Header, message.NewField("X-Name", " Jörg", crlf))
	})
	return all
}

func TestPythonReadsNotices(t *testing.T) {
	for name, m := range notices(t) {
		t.Run(name, func(t *testing.T) {
			j := judge(t, m.Data)
			var want judgement
			want.Fields = []string{"Date", "From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "MIME-Version", "Content-Type"}
			want.Types = []string{"text/plain", "message/delivery-status", "text/rfc822-headers"}
			switch name {
			case "full":
				want.Types[2] = "message/rfc822"
			case "8 bit":
				want.Types[2] = "message/rfc822"
				want.Fields = append(want.Fields, "Content-Transfer-Encoding")
			case "international":
				want.Types[1], want.Types[2] = "message/global-delivery-status", "message/global-headers"
				want.Fields = append(want.Fields, "Content-Transfer-Encoding")
			case "hostile":
				want.Fields = slices.DeleteFunc(want.Fields, func(s string) bool { return s == "In-Reply-To" || s == "References" })
			}
			if j.Type != "multipart/report" || j.Report != "delivery-status" || len(j.Defects) != 0 {
				t.Errorf("type %s, report-type %s, defects %v", j.Type, j.Report, j.Defects)
			}
			if diff := cmp.Diff(want.Fields, j.Fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want.Types, j.Types); diff != "" {
				t.Fatalf("types (-want +got):\n%s", diff)
			}
			_, bodies := parts(t, m)
			if !strings.Contains(j.Texts[0], "Postmaster at mx.example.net") || strings.TrimSpace(strings.ReplaceAll(bodies[0], "\r\n", "\n")) != strings.TrimSpace(j.Texts[0]) {
				t.Errorf("text (-ours +theirs):\n%s", cmp.Diff(bodies[0], j.Texts[0]))
			}
			// Their fields of the report are ours.
			r, err := Parse(bytes.NewReader(m.Data), nil)
			if err != nil || len(j.Status) != 2 {
				t.Fatalf("%d groups %q, %v", len(j.Status), j.Status, err)
			}
			get := func(group int, field string) string {
				for _, f := range j.Status[group] {
					if f[0] == field {
						return f[1]
					}
				}
				return ""
			}
			o := r.Outcomes[0]
			for _, f := range [][2]string{{get(0, "Reporting-MTA"), "dns; " + r.ReportingMTA}, {get(1, "Action"), string(o.Action)}, {get(1, "Status"), o.Status},
				{get(1, "Diagnostic-Code"), "smtp; " + strings.Join(strings.Fields(o.Diagnostic), " ")}} {
				if f[0] != f[1] {
					t.Errorf("theirs %q, ours %q", f[0], f[1])
				}
			}
			if final := get(1, "Final-Recipient"); final != "rfc822; joe@example.net" && final != "utf-8; jöe@example.net" {
				t.Errorf("Final-Recipient %q", final)
			}
		})
	}
}

// send hands a message to an MTA as its sender will: from the null sender.
func send(t *testing.T, m *peertest.MTA, n *Message, from string, rcptParams ...string) {
	t.Helper()
	d := m.Dial(t)
	defer d.Close()
	mail := "MAIL FROM:<" + from + ">"
	if n.EightBit {
		mail += " BODY=8BITMIME"
	}
	if n.SMTPUTF8 {
		mail += " SMTPUTF8"
	}
	for _, line := range []string{"EHLO mx.example.net", mail, strings.Join(append([]string{"RCPT TO:<" + n.To.String() + ">"}, rcptParams...), " "), "DATA"} {
		if r := d.Cmd(line); !r.OK() {
			t.Fatalf("%s is answered %v", line, r)
		}
	}
	if r := d.Data(string(n.Data)); !r.OK() {
		t.Fatal(r)
	}
}

func TestNoticeArrivesUnchanged(t *testing.T) {
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			m := peertest.Start(t, kind, peertest.Config{})
			for name, n := range notices(t) {
				if kind == peertest.Sendmail && n.SMTPUTF8 {
					continue // this one does not offer it
				}
				send(t, m, n, "", "NOTIFY=NEVER")
				got := m.Sink.Next(t)
				if got.From.Addr != "" || !slices.Equal(got.To(), []string{n.To.String()}) {
					t.Errorf("%s: from %q to %q", name, got.From.Addr, got.To())
				}
				if !sameMail(kind, got.Data, n.Data) {
					t.Errorf("%s (-sent +arrived):\n%s", name, cmp.Diff(string(n.Data), string(got.Data)))
				}
				before, after := show(Parse(bytes.NewReader(n.Data), nil)), show(Parse(bytes.NewReader(got.Data), nil))
				if before != after || !strings.HasPrefix(after, "format: rfc3464\n") {
					t.Errorf("%s is read as\n%sand, when it arrived, as\n%s", name, before, after)
				}
			}
		})
	}
}

// sameMail reports whether what arrived is what was sent behind the fields that MTAs
// put in front. Sendmail writes its own Return-Path and Received among the first.
func sameMail(kind peertest.Kind, arrived, sent []byte) bool {
	if kind == peertest.Postfix {
		return bytes.HasSuffix(arrived, sent)
	}
	a, b := message.Parse(arrived), message.Parse(sent)
	var fields []string
	for _, f := range a.Header {
		if !f.Is("Received") && !f.Is("Return-Path") {
			fields = append(fields, f.Name()+":"+strings.Join(strings.Fields(string(f.Value())), " "))
		}
	}
	var want []string
	for _, f := range b.Header {
		want = append(want, f.Name()+":"+strings.Join(strings.Fields(string(f.Value())), " "))
	}
	return slices.Equal(fields, want) && bytes.Equal(a.Body, b.Body)
}

// TestRealBounces has Sendmail and Postfix write the bounces: of a notice of ours that
// its sender's host refuses, which comes back as it would from a forwarder that
// gives it a sender, and of what was delivered.
func TestRealBounces(t *testing.T) {
	token := "SRS0=ab+/=ZZ=example.com=jane"
	c := fixed()
	c.Sign = func(address.Path) (string, error) { return token, nil }
	own := &ParseOptions{Owner: func(s string) (address.Path, bool) { return path("jane@example.com"), s == token }}
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			m := peertest.Start(t, kind, peertest.Config{})
			m.Sink.Answer(func(verb, arg string) string {
				if verb == "RCPT" && strings.Contains(arg, "nobody@") {
					return "550 5.1.1 no such user, sorry"
				}
				return ""
			})
			n := notice()
			n.To = path("nobody@example.com")
			msg := compose(t, c, n)
			send(t, m, msg, "sender@example.org", "NOTIFY=FAILURE", "ORCPT=rfc822;no+2Bbody@example.com")
			bounce := m.Sink.Next(t)
			if bounce.From.Addr != "" || bounce.To()[0] != "sender@example.org" {
				t.Fatalf("from %q to %q:\n%s", bounce.From.Addr, bounce.To(), bounce.Data)
			}
			r, err := Parse(bytes.NewReader(bounce.Data), own)
			if err != nil {
				t.Fatalf("%v of\n%s", err, bounce.Data)
			}
			want := Outcome{Final: "nobody@example.com", Original: "no+body@example.com", Action: Failed, Status: "5.1.1"}
			if len(r.Outcomes) != 1 {
				t.Fatalf("%+v of\n%s", r, bounce.Data)
			}
			got := r.Outcomes[0]
			if !strings.Contains(got.Diagnostic, "550 5.1.1 no such user, sorry") {
				t.Errorf("diagnostic %q", got.Diagnostic)
			}
			got.Diagnostic, got.RemoteMTA = "", ""
			if got != want || !r.Failed() || r.Format != "rfc3464" || !r.Ours || r.Owner != path("jane@example.com") || r.OriginalID != msg.MessageID || r.ReportingMTA == "" || r.Arrival.IsZero() {
				t.Errorf("%s: read as %+v, of\n%s", kind, r, bounce.Data)
			}

			// Only the text for people, as it is where a gateway took the rest away.
			tree, err := message.Read(bytes.NewReader(bounce.Data), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			subject, _ := tree.Header().Get("Subject")
			var text bytes.Buffer
			text.WriteString("From: MAILER-DAEMON\r\n" + string(subject.Raw()) + "\r\n")
			if _, err := text.ReadFrom(tree.Root.Parts[0].Open()); err != nil {
				t.Fatal(err)
			}
			r, err = Parse(bytes.NewReader(text.Bytes()), own)
			if err != nil || r.Format != string(kind) || len(r.Outcomes) != 1 || r.Outcomes[0].Final != "nobody@example.com" || r.Outcomes[0].Action != Failed || r.Outcomes[0].Status != "5.1.1" {
				t.Errorf("%s's words read as %+v, %v of\n%s", kind, r, err, text.Bytes())
			}
		})
	}
}

// TestRealDelays has what could not be delivered reported as such.
func TestRealDelays(t *testing.T) {
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			m := peertest.Start(t, kind, peertest.Config{Extra: map[peertest.Kind][]string{
				peertest.Postfix:  {"delay_warning_time = 1s", "minimal_backoff_time = 1s", "queue_run_delay = 1s"},
				peertest.Sendmail: {"define(`confTO_QUEUEWARN', `1s')dnl"},
			}})
			m.Sink.Answer(func(verb, arg string) string {
				if verb == "RCPT" && strings.Contains(arg, "later@") {
					return "451 4.3.0 come back later"
				}
				return ""
			})
			if r := m.Send(t, peertest.Letter{From: "sender@example.org", To: []string{"later@example.com"}}); !r.OK() {
				t.Fatal(r)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			var mails []*peertest.Mail
			for err := error(nil); mails == nil; { // the warning comes with an attempt that is late enough
				wait, stop := context.WithTimeout(ctx, 2*time.Second)
				if mails, err = m.Sink.Wait(wait, 1); err != nil {
					if ctx.Err() != nil {
						t.Fatal(err)
					}
					if err := m.Flush(); err != nil {
						t.Fatal(err)
					}
				}
				stop()
			}
			r, err := Parse(bytes.NewReader(mails[0].Data), nil)
			if err != nil || len(r.Outcomes) != 1 || r.Failed() || r.Format != "rfc3464" || r.Outcomes[0].Action != Delayed || r.Outcomes[0].Final != "later@example.com" || !strings.HasPrefix(r.Outcomes[0].Status, "4.") || kind == peertest.Postfix && r.Outcomes[0].RetryUntil.IsZero() {
				t.Errorf("read as %+v, %v, of\n%s", r, err, mails[0].Data)
			}
		})
	}
}
