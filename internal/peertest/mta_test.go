//go:build peers

package peertest_test

import (
	"testing"

	"github.com/gomilter/gomilter/internal/peertest"
)

func TestMailPassesWithoutFilter(t *testing.T) {
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			m := peertest.Start(t, kind, peertest.Config{})
			if r := m.Send(t, peertest.Letter{}); r.Code != 250 {
				t.Fatalf("the mail was answered %s", r)
			}
			mail := m.Sink.Next(t)
			if mail.From.Addr != "sender@example.com" || len(mail.Rcpts) != 1 || mail.Rcpts[0].Addr != "rcpt@example.net" {
				t.Errorf("envelope: %+v %+v", mail.From, mail.Rcpts)
			}
			if got := string(mail.Body()); got != "Hello.\r\n" {
				t.Errorf("body %q", got)
			}
		})
	}
}
