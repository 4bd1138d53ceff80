package milter

import (
	"context"
	"testing"

	"github.com/gomilter/gomilter/internal/wire"
)

func TestConversation(t *testing.T) {
	var got []string
	note := func(s string) { got = append(got, s) }
	ln := serve(t, &Server{New: func(s *Session) Hooks {
		return Hooks{
			Connect: func(_ context.Context, c *Client) ConnectReply {
				note("connect " + c.Host + " " + c.Addr.String())
				return Continue
			},
			Helo: func(_ context.Context, name []byte) HeloReply { note("helo " + string(name)); return Continue },
			Mail: func(_ context.Context, m *Mail) MailReply { note("mail " + m.Address()); return Continue },
			Rcpt: func(_ context.Context, r *Rcpt) RcptReply {
				note("rcpt " + r.Address())
				if r.Domain() == "old.example" {
					return Reject(550, "5.1.6", "100% gone")
				}
				return Continue
			},
			Data: func(context.Context) DataReply { note("data " + s.QueueID()); return Continue },
			Header: func(_ context.Context, h *Header) HeaderReply {
				note("header " + h.Name() + "=" + h.Value())
				return Continue
			},
			EndOfHeaders: func(context.Context) EndOfHeadersReply { note("eoh"); return Continue },
			Body:         func(_ context.Context, b []byte) BodyReply { note("body " + string(b)); return Continue },
			End: func(_ context.Context, e *Edits) EndReply {
				note("end")
				if err := e.DeleteHeader("X", 1); err != nil {
					t.Error(err)
				}
				if err := e.ChangeHeader("subject", 1, "two"); err != nil {
					t.Error(err)
				}
				if err := e.InsertHeader(0, "A", "b\r\n c"); err != nil {
					t.Error(err)
				}
				return Accept
			},
			Abort: func(context.Context) { note("abort") },
			Close: func() { note("close") },
		}
	}})
	p := ln.dial(t)
	if n := p.offer(); n.Protocol != wire.NoUnknown|wire.Skip {
		t.Errorf("protocol = %v", n.Protocol)
	}
	p.want("c", "DCj\x00mx\x00", "Cclient.example\x004\x12\x34192.0.2.7\x00")
	p.want("c", "Hclient\x00")
	p.want("c", "M<a@b>\x00SIZE=1\x00")
	p.want("y550 5.1.6 100%% gone\x00", "R<x@OLD.example>\x00")
	p.want("c", "R<y@new.example>\x00")
	p.want("c", "DTi\x00Q1\x00", "T")
	p.want("c", "LSubject\x00hi\x00")
	p.want("c", "LX\x00out\x00")
	p.want("c", "N")
	p.want("c", "Bbody\r\n")
	p.write("E")
	for _, want := range []string{"m\x00\x00\x00\x01X\x00\x00", "m\x00\x00\x00\x01subject\x00two\x00", "i\x00\x00\x00\x00A\x00b\n c\x00", "a"} {
		if got := p.read(); got != want {
			t.Errorf("at the end got %q, want %q", got, want)
		}
	}
	p.write("A", "Q")
	p.nc.Read(make([]byte, 1)) // until the other end closed
	want := []string{"connect client.example 192.0.2.7:4660", "helo client", "mail a@b", "rcpt x@OLD.example", "rcpt y@new.example",
		"data Q1", "header Subject=hi", "header X=out", "eoh", "body body\r\n", "end", "close"}
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || got[i] != want[i] {
			t.Fatalf("hooks = %q\nwant %q", got, want)
		}
	}
}
