package mta

import (
	"net/netip"
	"testing"
)

// A filter that answers an unknown command with discard has the next message
// dropped, by real Sendmail and by real Postfix.
func TestDiscardAtUnknownDropsTheNextMessage(t *testing.T) {
	for _, profile := range []Profile{Sendmail, Postfix} {
		t.Run(profile.String(), func(t *testing.T) {
			f := newFake(t, plan{"U": {"0000000164"}})
			c := &Client{Profile: profile, Milters: []Milter{{Name: "fake", Dial: f.dial}}}
			s, _, err := c.Connect(ctx, Conn{Addr: netip.MustParseAddrPort("192.0.2.1:25")})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			step := func(out Outcome, err error) {
				t.Helper()
				if err != nil || out.Reply != nil {
					t.Fatalf("got %v, %v, want no reply", out.Reply, err)
				}
			}
			step(s.Helo(ctx, "client"))
			if _, err := s.Unknown(ctx, "FOO"); err != nil {
				t.Fatal(err)
			}
			step(s.Mail(ctx, "<a@example.com>"))
			step(s.Rcpt(ctx, "<b@example.net>"))
			step(s.Data(ctx))
			res, err := s.Message(ctx, []byte("Subject: x\r\n\r\nbody\r\n"))
			if err != nil || len(res.Message.Header) > 0 || res.Reply != nil {
				t.Errorf("%v, reply %v, %d header fields delivered, want none", err, res.Reply, len(res.Message.Header))
			}
		})
	}
}
