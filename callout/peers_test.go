//go:build peers

package callout_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/callout"
	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/internal/smtpc"
)

// What real MTAs answer, with TLS and without.
func TestRealMTAs(t *testing.T) {
	for _, kind := range peertest.Kinds {
		for _, secure := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, TLS %v", kind, secure), func(t *testing.T) {
				m := peertest.Start(t, kind, peertest.Config{TLS: secure})
				addr := netip.MustParseAddrPort(m.Addr)
				c, err := callout.New(callout.Options{
					Resolver: zone(t, "one.example. MX 10 mx.example.\nmx.example. A "+addr.Addr().String()+"\n"),
					Helo:     "mail.example.net", Local: true, Port: addr.Port(),
				})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				got := c.Ask(t.Context(), "ann@one.example", "mta-unknown@one.example", "mta-tempfail@one.example", `"a b"@one.example`)
				wants(t, got[0], callout.Accepted, callout.Taken)
				wants(t, got[1], callout.Refused, callout.NoMailbox)
				wants(t, got[2], callout.Unknown, callout.PutOff)
				wants(t, got[3], callout.Accepted, callout.Taken)
				if got[0].TLS != secure || !got[0].CatchAll() {
					t.Errorf("TLS %v, catch-all %v", got[0].TLS, got[0].CatchAll())
				}
				if s := c.Stats(); s.Connections != 1 {
					t.Errorf("stats %+v", s)
				}
			})
		}
	}
}

// A message reaches real MTAs by the same dialogue, byte for byte.
func TestMessageToRealMTAs(t *testing.T) {
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			m := peertest.Start(t, kind, peertest.Config{TLS: true})
			c, err := smtpc.Dial(t.Context(), smtpc.Options{Helo: "mail.example.net", Dial: func(ctx context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
				if !to.Addr().IsLoopback() {
					t.Errorf("called %v", to)
				}
				var d net.Dialer
				return d.DialContext(ctx, "tcp", to.String())
			}}, "", netip.MustParseAddrPort(m.Addr))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			body := "first\r\n.\r\n..dots\r\n\r\nlast \r\n"
			if _, err := c.Mail("", smtpc.MailOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Rcpt("mta-unknown@one.example"); err == nil {
				t.Error("mta-unknown is taken")
			}
			if _, err := c.Rcpt("ann@one.example"); err != nil {
				t.Fatal(err)
			}
			reply, err := c.Data(strings.NewReader("From: a@example.net\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\n" + body))
			if err != nil {
				t.Fatal(err)
			}
			c.Quit()
			mail := m.Sink.Next(t)
			if _, got, _ := strings.Cut(string(mail.Data), "\r\n\r\n"); got != body {
				t.Errorf("body %q, want %q; the MTA said %v", got, body, reply)
			}
		})
	}
}
