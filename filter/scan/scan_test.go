package scan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/scan"
	"github.com/gomilter/gomilter/miltertest"
)

func filterMessage(f func(*filter.Transaction)) func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
	return func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		f(t)
		return milter.Accept, nil
	}
}

// forged comes with fields that only scanners may write.
const forged = "From: a@example.com\nX-Virus-Status: Clean\nX-Spam-Flag: NO\nx-spam-STATUS: No\nX-Spam-Score: -5\nX-Spam-Level:\nX-Spam-Flag: NO\nX-Spam-Other: stays\nSubject: lunch\n\nAt noon?\n"

const noForgery = "-X-Spam-Flag: NO\n-x-spam-STATUS: No\n-X-Spam-Score: -5\n-X-Spam-Level:\n-X-Spam-Flag: NO"

func TestVerdicts(t *testing.T) {
	const (
		spamFields = "\n+X-Spam-Flag: YES\n+X-Spam-Score: 7.3\n+X-Spam-Level: *******\n+X-Spam-Status: Yes, score=7.3 required=5.0 tests=BAD_WORDS, UGLY"
		isSpam     = "True ; 7.3 / 5.0"
		isHam      = "False ; 2.0 / 5.0"
		rules      = "BAD_WORDS,UGLY\r\n"
	)
	scores := []scan.Threshold{{Score: 10, Action: scan.Reject}, {Score: 2, Action: scan.Tag}, {Score: 7, Action: scan.TempFail}}
	rspamdFields := func(action string) string {
		return rspamdSays(`{"is_skipped":false,"score":7.3,"required_score":15,"action":"` + action + `","symbols":{"UGLY":{"score":0.3},"NICE":{"score":-1},"BAD":{"score":8}},"messages":{"smtp_message":"Come %again later"}}`)
	}
	for _, tt := range []struct {
		name    string
		o       scan.Options
		answer  string
		outcome string
		changed string
		why     string // behind the server
	}{
		{"clean", scan.Options{Scanner: scan.Clamd}, clean, "accept", "-X-Virus-Status: Clean", "clean: accept"},
		{"clean, told", scan.Options{Scanner: scan.Clamd, TagClean: true}, "stream: OK\x00", "accept", "", "clean: accept"},
		{"infected", scan.Options{Scanner: scan.Clamd}, infected, "reject 550 5.7.1 This message is infected by Eicar-Test (ref ref)", "", "infected by Eicar-Test: reject"},
		{"name that would do harm", scan.Options{Scanner: scan.Clamd}, "stream: a%s\x01 (b)\r\n\xff FOUND\x00", "reject 550 5.7.1 This message is infected by a_s?__b_??? (ref ref)", "", "infected by a_s?__b_???: reject"},
		{"infected, tempfail", scan.Options{Scanner: scan.Clamd, Found: scan.TempFail}, infected, "tempfail 451 4.7.1 This message is infected by Eicar-Test (ref ref)", "", "infected by Eicar-Test: tempfail"},
		{"infected, tagged", scan.Options{Scanner: scan.Clamd, Found: scan.Tag}, infected, "accept", "-X-Virus-Status: Clean\n+X-Virus-Status: Infected (Eicar-Test)", "infected by Eicar-Test: tag"},
		{"infected, subject", scan.Options{Scanner: scan.Clamd, Found: scan.TagSubject, Field: "X-Own"}, infected, "accept", "-Subject: lunch\n+Subject: [VIRUS] lunch\n+X-Own-Status: Infected (Eicar-Test)", "infected by Eicar-Test: tag-subject"},
		{"infected, held", scan.Options{Scanner: scan.Clamd, Found: scan.Quarantine}, infected, "accept held: infected by Eicar-Test", "-X-Virus-Status: Clean\n+X-Virus-Status: Infected (Eicar-Test)", "infected by Eicar-Test: quarantine"},
		{"infected, thrown away", scan.Options{Scanner: scan.Clamd, Found: scan.Discard}, infected, "discard", "", "infected by Eicar-Test: discard"},
		{"infected, let through", scan.Options{Scanner: scan.Clamd, Found: scan.Accept}, infected, "accept", "-X-Virus-Status: Clean", "infected by Eicar-Test: accept"},
		{"clamd takes less", scan.Options{Scanner: scan.Clamd, Field: "X-V"}, "INSTREAM size limit exceeded. ERROR\x00", "accept", "+X-V-Status: Not scanned, it is too large", ""},
		{"clamd takes less, tempfail", scan.Options{Scanner: scan.Clamd, OnLarge: scan.TempFail}, "INSTREAM size limit exceeded. ERROR\x00", "tempfail 451 4.3.0 This message cannot be scanned now, please try again later (ref ref)", "", ""},
		{"clamd takes less, rejected", scan.Options{Scanner: scan.Clamd, OnLarge: scan.Reject}, "INSTREAM size limit exceeded. ERROR\x00", "reject 552 5.3.4 This message is too large to be scanned (ref ref)", "", ""},
		{"clamd takes less, held", scan.Options{Scanner: scan.Clamd, OnLarge: scan.Quarantine}, "INSTREAM size limit exceeded. ERROR\x00", "accept held: not scanned: it is too large", "-X-Virus-Status: Clean\n+X-Virus-Status: Not scanned, it is too large", ""},

		{"ham", scan.Options{Scanner: scan.Spamd}, spamdSays(isHam, rules), "accept", noForgery, "score 2.0 of 5.0 (BAD_WORDS, UGLY): accept"},
		{"ham without rules", scan.Options{Scanner: scan.Spamd}, spamdSays("False ; 0.0 / 5.0", ""), "accept", noForgery, "score 0.0 of 5.0: accept"},
		{"ham, told", scan.Options{Scanner: scan.Spamd, TagClean: true}, spamdSays("No ; -0.5 / 5.0", ""), "accept", noForgery + "\n+X-Spam-Score: -0.5\n+X-Spam-Status: No, score=-0.5 required=5.0", "score -0.5 of 5.0: accept"},
		{"spam", scan.Options{Scanner: scan.Spamd}, spamdSays(isSpam, rules), "accept", noForgery + spamFields, "score 7.3 of 5.0 (BAD_WORDS, UGLY): tag"},
		{"spam, rejected", scan.Options{Scanner: scan.Spamd, Found: scan.Reject}, spamdSays(isSpam, rules), "reject 550 5.7.1 This message looks like spam (ref ref)", "", "score 7.3 of 5.0 (BAD_WORDS, UGLY): reject"},
		{"spam, subject", scan.Options{Scanner: scan.Spamd, Found: scan.TagSubject, SubjectTag: "***", Field: "X-S"}, spamdSays(isSpam, "A"), "accept",
			"-Subject: lunch\n+Subject: *** lunch\n+X-S-Flag: YES\n+X-S-Score: 7.3\n+X-S-Level: *******\n+X-S-Status: Yes, score=7.3 required=5.0 tests=A", "score 7.3 of 5.0 (A): tag-subject"},
		{"score of no threshold", scan.Options{Scanner: scan.Spamd, Found: scan.Accept, Scores: scores}, spamdSays("False ; 1.9 / 5.0", "A"), "accept", noForgery, "score 1.9 of 5.0 (A): accept"},
		{"score of the lowest threshold", scan.Options{Scanner: scan.Spamd, Found: scan.Accept, Scores: scores, Field: "X-S"}, spamdSays(isHam, "A"), "accept",
			"+X-S-Flag: YES\n+X-S-Score: 2.0\n+X-S-Level: **\n+X-S-Status: Yes, score=2.0 required=5.0 tests=A", "score 2.0 of 5.0 (A): tag"},
		{"score of the second threshold", scan.Options{Scanner: scan.Spamd, Found: scan.Tag, Scores: scores}, spamdSays(isSpam, "A"), "tempfail 451 4.7.1 This message looks like spam, please try again later (ref ref)", "", "score 7.3 of 5.0 (A): tempfail"},
		{"score of the highest threshold", scan.Options{Scanner: scan.Spamd, Scores: scores}, spamdSays("True ; 10 / 5", "A"), "reject 550 5.7.1 This message looks like spam (ref ref)", "", "score 10.0 of 5.0 (A): reject"},
		{"stricter than the threshold", scan.Options{Scanner: scan.Spamd, Found: scan.Reject, Scores: scores}, spamdSays(isSpam, "A"), "reject 550 5.7.1 This message looks like spam (ref ref)", "", "score 7.3 of 5.0 (A): reject"},

		{"rspamd, ham", scan.Options{Scanner: scan.Rspamd}, rspamdSays(`{"score":0.1,"required_score":15,"action":"no action"}`), "accept", noForgery, "score 0.1 of 15.0, no_action: accept"},
		{"rspamd, spam", scan.Options{Scanner: scan.Rspamd, Field: "X-S"}, rspamdFields("add header"), "accept",
			"+X-S-Flag: YES\n+X-S-Score: 7.3\n+X-S-Level: *******\n+X-S-Status: Yes, score=7.3 required=15.0 tests=BAD, NICE, UGLY", "score 7.3 of 15.0, add_header (BAD, NICE, UGLY): tag"},
		{"rspamd's advice is its own", scan.Options{Scanner: scan.Rspamd, Found: scan.Accept, Field: "X-S"}, rspamdFields("reject"), "accept", "", "score 7.3 of 15.0, reject (BAD, NICE, UGLY): accept"},
		{"followed: reject", scan.Options{Scanner: scan.Rspamd, Follow: true}, rspamdFields("reject"), "reject 550 5.7.1 Come _again later (ref ref)", "", "score 7.3 of 15.0, reject (BAD, NICE, UGLY): reject"},
		{"followed: soft reject", scan.Options{Scanner: scan.Rspamd, Follow: true}, rspamdFields("soft reject"), "tempfail 451 4.7.1 Come _again later (ref ref)", "", "score 7.3 of 15.0, soft_reject (BAD, NICE, UGLY): tempfail"},
		{"followed: greylist", scan.Options{Scanner: scan.Rspamd, Follow: true}, rspamdFields("greylist"), "tempfail 451 4.7.1 Come _again later (ref ref)", "", "score 7.3 of 15.0, greylist (BAD, NICE, UGLY): tempfail"},
		{"followed: discard", scan.Options{Scanner: scan.Rspamd, Follow: true}, rspamdFields("discard"), "discard", "", "score 7.3 of 15.0, discard (BAD, NICE, UGLY): discard"},
		{"followed: quarantine", scan.Options{Scanner: scan.Rspamd, Follow: true}, rspamdSays(`{"score":7,"action":"quarantine"}`), "accept held: score 7.0 of 0.0, quarantine",
			noForgery + "\n+X-Spam-Flag: YES\n+X-Spam-Score: 7.0\n+X-Spam-Level: *******\n+X-Spam-Status: Yes, score=7.0 required=0.0", "score 7.0 of 0.0, quarantine: quarantine"},
		{"followed: rewrite subject", scan.Options{Scanner: scan.Rspamd, Follow: true, Field: "X-S"}, rspamdSays(`{"score":1,"action":"rewrite subject"}`), "accept",
			"-Subject: lunch\n+Subject: [SPAM] lunch\n+X-S-Flag: YES\n+X-S-Score: 1.0\n+X-S-Level: *\n+X-S-Status: Yes, score=1.0 required=0.0", "score 1.0 of 0.0, rewrite_subject: tag-subject"},
		{"followed: unknown", scan.Options{Scanner: scan.Rspamd, Follow: true}, rspamdSays(`{"score":1,"action":"phone home"}`), "accept", noForgery, "score 1.0 of 0.0, phone_home: accept"},
		{"its edits", scan.Options{Scanner: scan.Rspamd, ApplyEdits: true, Field: "X-S"},
			rspamdSays(`{"score":1,"action":"no action","milter":{"add_headers":{"X-A":"one","X-B":{"value":"two\r\n more","order":1},"X-C":["three",{"value":"four"}],"Bad Name":"x","X-Long":"` + strings.Repeat("x", 1000) + `"},
				"remove_headers":{"X-Spam-Flag":-1,"X-Spam-Level":0,"X-Spam-Score":[1,7]},"change_from":"x@example.com"}}`), "accept",
			"-X-Spam-Score: -5\n-X-Spam-Level:\n-X-Spam-Flag: NO\n+X-B: two more\n+X-A: one\n+X-C: three\n+X-C: four", "score 1.0 of 0.0, no_action: accept; Bad_Name cannot be added; X-Long cannot be added"},
		{"its edits, not asked for", scan.Options{Scanner: scan.Rspamd, Field: "X-S"}, rspamdSays(`{"score":1,"action":"no action","milter":{"add_headers":{"X-A":"one"}}}`), "accept", "", "score 1.0 of 0.0, no_action: accept"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := answering(t, tt.o.Scanner, tt.answer)
			tt.o.Servers = []string{f.spec}
			b := newBench(t, tt.o)
			r := b.send(t, miltertest.Mail{Text: forged})
			diff(t, "outcome", tt.outcome, outcome(r))
			if strings.HasPrefix(tt.outcome, "accept") {
				want := tt.changed
				if tt.name == "clean, told" { // the field is taken out and put in again
					want = ""
				}
				diff(t, "header", want, changed(r, forged))
			}
			want := fmt.Sprintf("%v at %s: %s", tt.o.Scanner, f.spec, tt.why)
			if tt.why == "" {
				want = fmt.Sprintf("not scanned: %v at %s: the message is larger than the scanner takes: ", tt.o.Scanner, f.spec)
				if !strings.HasPrefix(b.why(), want) {
					t.Errorf("explained by %q", b.why())
				}
				return
			}
			diff(t, "explanation", want, b.why())
		})
	}
}

func TestFacts(t *testing.T) {
	for _, tt := range []struct {
		o      scan.Options
		answer string
		want   filter.Scanned
	}{
		{scan.Options{Scanner: scan.Clamd, Found: scan.Tag}, infected, filter.Scanned{Found: true, Infected: true, Names: []string{"Eicar-Test"}}},
		{scan.Options{Scanner: scan.Clamd}, clean, filter.Scanned{}},
		{scan.Options{Scanner: scan.Spamd}, spamdSays("True ; 7.3 / 5.0", "A,B"), filter.Scanned{Found: true, Names: []string{"A", "B"}, Score: 7.3, Threshold: 5}},
		{scan.Options{Scanner: scan.Rspamd}, rspamdSays(`{"score":7.3,"required_score":15,"action":"add header","symbols":{"A":{"score":7.3}}}`),
			filter.Scanned{Found: true, Names: []string{"A"}, Score: 7.3, Threshold: 15, Action: "add header"}},
	} {
		t.Run(tt.o.Scanner.String(), func(t *testing.T) {
			f := answering(t, tt.o.Scanner, tt.answer)
			tt.o.Servers = []string{f.spec}
			b := newBench(t, tt.o)
			b.send(t, miltertest.Mail{})
			tt.want.Filter, tt.want.Scanner, tt.want.Server = "scan", tt.o.Scanner.String(), f.spec
			diff(t, "facts", []filter.Scans{{tt.want}}, b.heard)
		})
	}
}

// What each scanner is told, byte for byte.
func TestRequests(t *testing.T) {
	macros := map[string]string{"auth_authen": "joe", "auth_type": "plain"}
	client := v6Client()
	mail := miltertest.Mail{Conn: &client, Helo: "he(lo) x", From: "<ann@example.org> SIZE=100", Rcpts: []string{"<b@example.net>", "<c@example.net>"}, Macros: macros}
	const text = "From:a\r\n\tb\r\nSubject:  x\r\n\r\n.one\r\ngr\xfc\xdfe\r\n"
	for _, tt := range []struct {
		o      scan.Options
		answer string
		want   string
	}{
		{scan.Options{Scanner: scan.Clamd}, clean, "From:a\r\n\tb\r\nSubject:  x\r\n\r\n.one\r\ngr\xfc\xdfe\r\n"},
		{scan.Options{Scanner: scan.Spamd, User: "joe"}, spamdSays("False ; 0 / 5", ""), "SYMBOLS SPAMC/1.5\r\nUser: joe\r\n\r\n" +
			"Received: from he?lo??x (client.example [IPv6:2001:db8::25])\r\n\tby mta.example (gomilter) with ESMTPA id QUEUE\r\n\t(envelope-from <ann@example.org>);\r\n\tDATE\r\n" +
			"From:a\r\n\tb\r\nSubject:  x\r\n\r\n.one\r\ngr\xfc\xdfe\r\n"},
		{scan.Options{Scanner: scan.Rspamd, Password: "secret"}, rspamdSays(`{"score":0,"action":"no action"}`), "POST /checkv2\r\n" +
			"From: <ann@example.org>\r\nHelo: he(lo) x\r\nHostname: client.example\r\nIp: 2001:db8::25\r\nMta-Name: mta.example\r\nMta-Tag: mta.example\r\nPassword: secret\r\nQueue-Id: QUEUE\r\n" +
			"Rcpt: <b@example.net>\r\nRcpt: <c@example.net>\r\nUser: joe\r\n\r\n" +
			"From:a\r\n\tb\r\nSubject:  x\r\n\r\n.one\r\ngr\xfc\xdfe\r\n"},
	} {
		t.Run(tt.o.Scanner.String(), func(t *testing.T) {
			f := answering(t, tt.o.Scanner, tt.answer)
			tt.o.Servers = []string{f.spec}
			b := newBench(t, tt.o)
			m := mail
			m.Reader = strings.NewReader(text)
			b.send(t, m)
			got := f.got()
			if len(got) != 1 {
				t.Fatalf("asked %d times: %s", len(got), b.why())
			}
			s := strings.ReplaceAll(got[0], b.told[0].QueueID, "QUEUE")
			if i := strings.Index(s, ">);\r\n\t"); i >= 0 {
				line, _, _ := strings.Cut(s[i+6:], "\r\n")
				s = strings.Replace(s, line, "DATE", 1)
			}
			diff(t, "request", tt.want, s)
		})
	}
}

// A message that is larger than the limit is sent to nobody.
func TestLargeMessages(t *testing.T) {
	for _, tt := range []struct {
		action scan.Action
		size   int
		want   string
		asked  int
	}{
		{scan.Default, 1000, "accept", 1},
		{scan.Default, 1001, "accept", 0},
		{scan.Accept, 1001, "accept", 0},
		{scan.Tag, 1001, "accept", 0},
		{scan.TempFail, 1001, "tempfail 451 4.3.0 This message cannot be scanned now, please try again later (ref ref)", 0},
		{scan.Reject, 1001, "reject 552 5.3.4 This message is too large to be scanned (ref ref)", 0},
		{scan.Quarantine, 1001, "accept held: not scanned: it is too large", 0},
	} {
		t.Run(fmt.Sprint(tt.action, tt.size), func(t *testing.T) {
			f := answering(t, scan.Spamd, spamdSays("False ; 0 / 5", ""))
			b := newBench(t, scan.Options{Scanner: scan.Spamd, Servers: []string{f.spec}, MaxSize: 1000, OnLarge: tt.action})
			const head, end = "X-Spam-Status: No\r\n\r\n", "\r\n"
			r := b.send(t, miltertest.Mail{Reader: strings.NewReader(head + strings.Repeat("x", tt.size-len(head)-len(end)) + end)})
			diff(t, "outcome", tt.want, outcome(r))
			if f.count() != tt.asked {
				t.Errorf("%d connections", f.count())
			}
			tagged := tt.asked == 0 && strings.HasPrefix(tt.want, "accept") && tt.action != scan.Accept
			if got := r.Header("X-Spam-Status"); strings.HasPrefix(tt.want, "accept") && (got == "Not scanned, it is too large") != tagged || got == "No" && strings.HasPrefix(tt.want, "accept") {
				t.Errorf("X-Spam-Status: %q", got)
			}
			if tt.asked == 0 && (!strings.HasPrefix(b.why(), "not scanned: it has 1001 bytes, more than 1000: ") || len(b.heard) > 0 && len(b.heard[0]) > 0) {
				t.Errorf("%q, facts %v", b.why(), b.heard)
			}
		})
	}
}

// Messages go out piece by piece, whatever their size.
func TestManyPieces(t *testing.T) {
	for kind, answer := range map[scan.Scanner]string{scan.Clamd: clean, scan.Spamd: spamdSays("False ; 0 / 5", ""), scan.Rspamd: rspamdSays(`{"score":0,"action":"no action"}`)} {
		t.Run(kind.String(), func(t *testing.T) {
			f := answering(t, kind, answer)
			b := newBench(t, scan.Options{Scanner: kind, Servers: []string{f.spec}, MaxSize: 10 << 20})
			b.chain.Memory = 1 << 10 // the body is in a file
			mail := "Subject: large\r\n\r\n" + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef\r\n", 60_000)
			if r := b.send(t, miltertest.Mail{Reader: strings.NewReader(mail)}); outcome(r) != "accept" {
				t.Errorf("%s: %s", outcome(r), b.why())
			}
			if got := f.got(); len(got) != 1 || !strings.HasSuffix(got[0], mail) {
				t.Errorf("what was scanned is not the message")
			}
		})
	}
}

// Scanners see the message as it came, or as the filters before left it.
func TestEdited(t *testing.T) {
	for edited, want := range map[bool]string{false: "At noon?\r\n", true: "changed\r\n"} {
		f := answering(t, scan.Clamd, infected)
		b := newBench(t, scan.Options{Scanner: scan.Clamd, Servers: []string{f.spec}, Found: scan.TagSubject, Edited: edited})
		before := &filter.Filter{Name: "before", Needs: filter.Needs{Header: true, Body: true, Actions: milter.AllEdits},
			Message: func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
				e.InsertHeader(1, "X-Virus-Status", "from before")
				e.ChangeHeader("Subject", 1, "another")
				return milter.Accept, e.ReplaceBody(strings.NewReader("changed\r\n"))
			}}
		b.chain.Steps = append([]filter.Step{{Filter: before}}, b.chain.Steps...)
		r := b.send(t, miltertest.Mail{})
		if got := f.got(); len(got) != 1 || !strings.HasSuffix(got[0], "\r\n\r\n"+want) {
			t.Errorf("%v: scanned %q", edited, got)
		}
		// Edits are counted in the message as it is, in any case.
		diff(t, "header", "-Subject: lunch\n+Subject: [VIRUS] another\n+X-Virus-Status: Infected (Eicar-Test)", changed(r, aMail))
	}
}

// In report mode nothing is sent to anybody.
func TestReportModeContactsNobody(t *testing.T) {
	f := answering(t, scan.Clamd, infected)
	b := newBench(t, scan.Options{Scanner: scan.Clamd, Servers: []string{f.spec}})
	b.chain.Steps[0].Mode = filter.Report
	if r := b.send(t, miltertest.Mail{}); outcome(r) != "accept" || f.count() != 0 || b.why() != "not asked: in report mode nobody is contacted" {
		t.Errorf("%s, %d connections, %q", outcome(r), f.count(), b.why())
	}
}

func TestSubjects(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "Subject: lunch", "Subject: [SPAM] lunch"},
		{"none", "X-Other: x", "X-Other: x\nSubject: [SPAM]"},
		{"tagged already", "Subject: [SPAM] lunch", "Subject: [SPAM] lunch"},
		{"empty", "Subject:", "Subject: [SPAM]"},
		{"two", "Subject: a\nsubject: b", "Subject: [SPAM] a\nsubject: [SPAM] b"},
		{"encoded words stay", "Subject: =?utf-8?q?caf=C3=A9?= now", "Subject: [SPAM] =?utf-8?q?caf=C3=A9?= now"},
		{"folded", "Subject: a\n b", "Subject: [SPAM] a\n b"},
		{"folded at once", "Subject:\n a", "Subject: [SPAM]\n a"},
		{"a full line", "Subject: " + strings.Repeat("a", 70), "Subject: [SPAM]\n " + strings.Repeat("a", 70)},
		{"raw 8-bit", "Subject: caf\xc3\xa9", "Subject: [SPAM] =?utf-8?b?Y2Fmw6k=?="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := answering(t, scan.Spamd, good[scan.Spamd])
			b := newBench(t, scan.Options{Scanner: scan.Spamd, Servers: []string{f.spec}, Found: scan.TagSubject})
			r := b.send(t, miltertest.Mail{Text: tt.in + "\n\nbody\n"})
			got, _, _ := strings.Cut(strings.ReplaceAll(string(r.Message.Header.Bytes()), "\r\n", "\n"), "\nX-Spam")
			got = strings.TrimSuffix(got, "\n")
			if i := strings.Index(string(r.Message.Header.Bytes()), "Subject: [SPAM]\r\n"); tt.name == "none" && i > 0 {
				got += "\nSubject: [SPAM]"
			}
			if !strings.EqualFold(tt.want, got) {
				diff(t, "header", tt.want, got)
			}
		})
	}
	t.Run("longer than a packet", func(t *testing.T) {
		f := answering(t, scan.Spamd, good[scan.Spamd])
		b := newBench(t, scan.Options{Scanner: scan.Spamd, Servers: []string{f.spec}, Found: scan.TagSubject})
		r := b.send(t, miltertest.Mail{Text: "Subject: " + strings.Repeat("word ", 12_100) + "\n\nbody\n"})
		if got := r.Header("Subject"); !strings.HasPrefix(got, "[SPAM] word word") || outcome(r) != "accept" {
			t.Errorf("%s: %.100q", outcome(r), got)
		}
	})
}

// A body that cannot be read is no fault of the scanner's: the filter fails.
func TestUnreadableBody(t *testing.T) {
	for kind, answer := range good {
		f := answering(t, kind, answer)
		s, err := scan.New("scan", scan.Options{Scanner: kind, Servers: []string{f.spec}})
		if err != nil {
			t.Fatal(err)
		}
		if err := scan.SendBroken(t.Context(), scan.Options{Scanner: kind, Servers: []string{f.spec}}); err == nil || err.Error() != "scan: read the message: disk on fire" {
			t.Errorf("%v: %v", kind, err)
		}
		if len(f.got()) != 0 || s == nil {
			t.Errorf("%v: half a message was scanned", kind)
		}
	}
}

func TestOptionsThatAreNotRight(t *testing.T) {
	ok := func(change func(*scan.Options)) scan.Options {
		o := scan.Options{Scanner: scan.Rspamd, Servers: []string{"127.0.0.1:11333"}}
		change(&o)
		return o
	}
	for _, tt := range []struct {
		name string
		o    scan.Options
		want string
	}{
		{"nothing", scan.Options{}, "there is no scanner 0"},
		{"no server", ok(func(o *scan.Options) { o.Servers = nil }), "there is no server"},
		{"bad server", ok(func(o *scan.Options) { o.Servers = []string{"inet:x@y@z"} }), "socket"},
		{"descriptor", ok(func(o *scan.Options) { o.Servers = []string{"fd://3"} }), "no socket to connect to"},
		{"twice", ok(func(o *scan.Options) { o.Servers = []string{"/a", "/a"} }), "named twice"},
		{"negative time", ok(func(o *scan.Options) { o.Rest = -1 }), "less than 0"},
		{"negative size", ok(func(o *scan.Options) { o.MaxSize = -1 }), "less than 0"},
		{"user of rspamd", ok(func(o *scan.Options) { o.User = "x" }), "User is for spamd"},
		{"line end in user", ok(func(o *scan.Options) { o.Scanner, o.User = scan.Spamd, "x\r\ny" }), "User is not printable"},
		{"line end in password", ok(func(o *scan.Options) { o.Password = "x\ny" }), "Password is not printable"},
		{"password of spamd", ok(func(o *scan.Options) { o.Scanner, o.Password = scan.Spamd, "x" }), "are for rspamd"},
		{"scores of clamd", ok(func(o *scan.Options) {
			o.Scanner, o.Scores = scan.Clamd, []scan.Threshold{{Score: 1, Action: scan.Tag}}
		}), "clamd gives no scores"},
		{"score without action", ok(func(o *scan.Options) { o.Scores = []scan.Threshold{{Score: 1}} }), "score 1 has no action"},
		{"unknown action", ok(func(o *scan.Options) { o.Found = 99 }), "no action 99"},
		{"discard unseen", ok(func(o *scan.Options) { o.OnDown = scan.Discard }), "cannot have the action discard"},
		{"subject unseen", ok(func(o *scan.Options) { o.OnLarge = scan.TagSubject }), "cannot have the action tag-subject"},
		{"field", ok(func(o *scan.Options) { o.Field = "X Y" }), "cannot begin the name"},
		{"subject tag", ok(func(o *scan.Options) { o.SubjectTag = "a\nb" }), "SubjectTag"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := scan.New("scan", tt.o); !errors.Is(err, scan.ErrOptions) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v", err)
			}
		})
	}
	if _, err := scan.New("", scan.Options{}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("errors are not joined: %v", err)
	}
}

func TestNames(t *testing.T) {
	for s := scan.Clamd; s <= scan.Rspamd; s++ {
		var back scan.Scanner
		if b, err := s.MarshalText(); err != nil || back.UnmarshalText(b) != nil || back != s {
			t.Errorf("%v: %s, %v", s, b, err)
		}
	}
	for a := scan.Default; a <= scan.Discard; a++ {
		var back scan.Action
		if b, err := a.MarshalText(); err != nil || back.UnmarshalText(b) != nil || back != a || !bytes.Equal(b, []byte(a.String())) {
			t.Errorf("%v: %s, %v", a, b, err)
		}
	}
	var a scan.Action
	var s scan.Scanner
	if a.UnmarshalText([]byte("nuke")) == nil || s.UnmarshalText(nil) == nil {
		t.Error("a name that is none is read")
	}
	if _, err := scan.Scanner(0).MarshalText(); err == nil {
		t.Error("no scanner has a name")
	}
}
