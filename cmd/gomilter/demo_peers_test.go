//go:build peers

package main

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/examples/headerrules"
	"github.com/gomilter/gomilter/internal/peertest"
)

var ownReceived = regexp.MustCompile(`(?m)^Received: [^\n]*\n(?:[ \t][^\n]*\n)*`)

// The demo's messages come out of real MTAs as they come out of the demo.
func TestDemoOnRealMTAs(t *testing.T) {
	chain, err := demoChain(t.TempDir()+"/kept", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			var cfg peertest.Config
			for _, hooks := range []func(*milter.Session) milter.Hooks{headerrules.New(headerrules.Rules...), chain.Hooks} {
				spec := peertest.FreeSpec(t, "unix")
				defer serveFilter(t, &milter.Server{New: hooks}, spec)()
				cfg.Milters = append(cfg.Milters, peertest.Milter{Spec: spec})
			}
			m := peertest.Start(t, kind, cfg)
			delivered := 0
			for _, mail := range demoMails() {
				d := m.Dial(t)
				d.Cmd("EHLO client.example.com")
				d.Cmd("MAIL FROM:<" + mail.from + ">")
				refused := make(map[string]string)
				for _, to := range mail.rcpts {
					if r := d.Cmd("RCPT TO:<" + to + ">"); !r.OK() {
						refused[to] = strings.Join(r.Lines, " / ")
					}
				}
				for _, to := range mail.rcpts {
					// Sendmail puts the address before the text.
					if got := strings.Replace(refused[to], "<"+to+">... ", "", 1); got != mail.refused[to] {
						t.Errorf("%s: <%s> is told %q, should be %q", mail.name, to, got, mail.refused[to])
					}
				}
				if len(refused) == len(mail.rcpts) {
					d.Close()
					continue
				}
				d.Cmd("DATA")
				reply := strings.Join(d.Data(strings.ReplaceAll(mail.text, "\n", "\r\n")).Lines, " / ")
				d.Cmd("QUIT")
				d.Close()
				if mail.reply != "" {
					if reply != mail.reply {
						t.Errorf("%s: the client is told %q, should be %q", mail.name, reply, mail.reply)
					}
					continue
				}
				if !strings.HasPrefix(reply, "250 ") {
					t.Errorf("%s: the client is told %q", mail.name, reply)
					continue
				}
				if err := m.Settle(t.Context()); err != nil {
					t.Fatal(err)
				}
				// One copy goes to each domain.
				for _, got := range m.Sink.Take() {
					delivered++
					text := ownReceived.ReplaceAllString(strings.ReplaceAll(string(got.Data), "\r\n", "\n"), "")
					if text = demoRef.ReplaceAllString(text, "${1}REF\n"); text != mail.want {
						t.Errorf("%s: delivered is\n%s\nshould be\n%s", mail.name, text, mail.want)
					}
				}
			}
			if delivered < 11 {
				t.Errorf("%d messages were delivered", delivered)
			}
		})
	}
}
