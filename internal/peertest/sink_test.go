package peertest_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/peertest"
)

func TestSinkKeepsEnvelopeAndBytes(t *testing.T) {
	s := peertest.StartSink(t)
	d := peertest.Dial(t, s.Addr)
	d.Cmd("EHLO me.example.com")
	d.Cmd("MAIL FROM:<\"a>b\"@example.com> SIZE=10 BODY=8BITMIME SMTPUTF8")
	d.Cmd("RCPT TO:<grüße@example.net> NOTIFY=NEVER ORCPT=rfc822;x")
	d.Cmd("RCPT TO:<second@example.net>")
	d.Cmd("DATA")
	message := "Subject: a\r\n b\r\nX-Raw: \xfc\r\n\r\n.dot\r\n..\r\nbare\n.\nlf and \x00\r\n"
	if r := d.Data(message); r.Code != 250 {
		t.Fatalf("%s\n%s", r, d.Transcript())
	}
	got := s.Next(t)
	want := &peertest.Mail{
		Helo: "me.example.com",
		From: peertest.Path{Addr: `"a>b"@example.com`, Params: []string{"SIZE=10", "BODY=8BITMIME", "SMTPUTF8"}},
		Rcpts: []peertest.Path{
			{Addr: "grüße@example.net", Params: []string{"NOTIFY=NEVER", "ORCPT=rfc822;x"}},
			{Addr: "second@example.net", Params: []string{}},
		},
		Data: []byte(message),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("kept %q\nwant %q", got, want)
	}
	if h := got.Header(); !slices.Equal(h, peertest.Header{{Name: "Subject", Value: " a\r\n b"}, {Name: "X-Raw", Value: " \xfc"}}) {
		t.Errorf("header is %q", h)
	}
	if got := string(got.Body()); !strings.HasPrefix(got, ".dot\r\n") {
		t.Errorf("body is %q", got)
	}
}

func TestSinkAnswersAsScripted(t *testing.T) {
	for _, tt := range []struct {
		name, verb, answer string
		code, kept         int
	}{
		{"refused at MAIL", "MAIL", "550 5.7.1 no", 550, 0},
		{"refused at RCPT", "RCPT", "450-4.2.1 not\r\n450 4.2.1 now", 450, 0},
		{"refused at DATA", "DATA", "451 4.3.0 no", 451, 0},
		{"refused after the message", ".", "554 5.6.0 no", 554, 0},
		{"taken with other words", ".", "250 2.6.0 thanks", 250, 1},
		{"a command that is not sent", "NOOP", "500 5.5.1 no", 250, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := peertest.StartSink(t)
			s.Answer(func(verb, arg string) string {
				if verb == tt.verb {
					return tt.answer
				}
				return ""
			})
			if r := peertest.Send(t, s.Addr, peertest.Letter{}); r.Code != tt.code {
				t.Errorf("reply %q, want %d", r, tt.code)
			}
			if got := s.Take(); len(got) != tt.kept {
				t.Errorf("kept %d mails, want %d", len(got), tt.kept)
			}
		})
	}
}

func TestSinkWaitTakesInOrderOrNothing(t *testing.T) {
	s := peertest.StartSink(t)
	waited := make(chan []*peertest.Mail)
	go func() {
		mails, err := s.Wait(t.Context(), 2)
		if err != nil {
			t.Error(err)
		}
		waited <- mails
	}()
	for _, to := range []string{"one@example.net", "two@example.net", "three@example.net"} {
		peertest.Send(t, s.Addr, peertest.Letter{To: []string{to}})
	}
	if mails := <-waited; mails[0].To()[0] != "one@example.net" || mails[1].To()[0] != "two@example.net" {
		t.Errorf("took %q and %q", mails[0].To(), mails[1].To())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Wait(ctx, 2); err == nil {
		t.Error("two mails of one")
	}
	if got := s.Next(t).To(); got[0] != "three@example.net" {
		t.Errorf("took %q", got)
	}
}

func TestDialogueAfterTheEnd(t *testing.T) {
	s := peertest.StartSink(t)
	d := peertest.Dial(t, s.Addr)
	d.Cmd("QUIT")
	if r := d.Cmd("NOOP"); r.Err == nil || r.Code != 0 || r.OK() {
		t.Errorf("reply %+v after QUIT", r)
	}
	d = peertest.Dial(t, s.Addr)
	d.Reset()
	if r := d.Cmd("NOOP"); r.Err == nil {
		t.Errorf("reply %+v after a reset", r)
	}
}
