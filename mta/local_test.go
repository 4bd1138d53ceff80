package mta

import (
	"slices"
	"strings"
	"testing"
)

// What Postfix 3.7.11 and Sendmail 8.17.1 sent a filter for a message handed over
// by the command sendmail, once.
func TestLocalMail(t *testing.T) {
	for _, tt := range []struct {
		name     string
		profile  Profile
		plan     plan
		rcpts    []string
		sequence string
		verdict  Verdict
		stage    string
	}{
		{"plain", Postfix, nil, []string{"a@example.net", "b@example.net"}, "O Dc C Dh H Dm M Dr R Dr R Dt T Dl L Dn N Db B De E Q", Accept, "end"},
		{"plain", Sendmail, nil, []string{"a@example.net", "b@example.net"}, "O Dc C Dh H Dm M Dr R Dr R T L N B De E Q", Accept, "end"},
		{"recipient refused", Postfix, plan{"R": {"0000000172"}}, []string{"a@example.net", "b@example.net"}, "O Dc C Dh H Dm M Dr R Q", TempFail, "rcpt"},
		{"refused at MAIL", Postfix, plan{"M": {"0000000172"}}, []string{"a@example.net"}, "O Dc C Dh H Dm M Q", Reject, "mail"},
		{"refused at CONNECT", Postfix, plan{"C": {"0000000172"}}, []string{"a@example.net"}, "O Dc C .", Reject, "connect"},
		{"deferred at HELO", Postfix, plan{"H": {"0000000174"}}, []string{"a@example.net"}, "O Dc C Dh H .", TempFail, "helo"},
		{"refused at DATA", Postfix, plan{"T": {"0000000172"}}, []string{"a@example.net"}, "O Dc C Dh H Dm M Dr R Dt T Q", Reject, "data"},
		{"refused at the end", Postfix, plan{"E": {"0000000172"}}, []string{"a@example.net"}, "O Dc C Dh H Dm M Dr R Dt T Dl L Dn N Db B De E Q", Reject, "end"},
		{"accepted at MAIL", Postfix, plan{"M": {"0000000161"}}, []string{"a@example.net"}, "O Dc C Dh H Dm M Q", Accept, "end"},
		{"dropped at MAIL", Postfix, plan{"M": {"0000000164"}}, []string{"a@example.net"}, "O Dc C Dh H Dm M Q", Discard, "mail"},
		{"dropped at RCPT", Postfix, plan{"R": {"0000000164"}}, []string{"a@example.net"}, "O Dc C Dh H Dm M Dr R Q", Discard, "rcpt"},
		{"accepted at CONNECT", Postfix, plan{"C": {"0000000161"}}, []string{"a@example.net"}, "O Dc C .", Accept, "end"},
	} {
		t.Run(tt.profile.String()+"/"+tt.name, func(t *testing.T) {
			f := newFake(t, tt.plan)
			c := &Client{Profile: tt.profile, Hostname: "mx.test", Milters: []Milter{{Dial: f.dial}}}
			res, err := c.SendLocal(ctx, Mail{From: "root@example.com", Rcpts: tt.rcpts, Data: plain.Data})
			if err != nil {
				t.Fatal(err)
			}
			f.wg.Wait()
			if got := sequence(f.packets()); got != tt.sequence {
				t.Errorf("packets = %s, want %s", got, tt.sequence)
			}
			if res.Verdict != tt.verdict || res.Stage != tt.stage {
				t.Errorf("verdict %v at %s, want %v at %s", res.Verdict, res.Stage, tt.verdict, tt.stage)
			}
		})
	}
}

func TestLocalMailOfPostfix(t *testing.T) {
	all := "j i _ v {daemon_name} {daemon_addr} {daemon_port} {client_addr} {client_name} {client_port} {client_ptr} {mail_addr} {mail_host} {mail_mailer} {rcpt_addr} {rcpt_host} {rcpt_mailer} {client_connections} {client_resolve}\x00"
	f := newFake(t, nil)
	f.answer = negotiation(6, 0x1ff, 0, "\x00\x00\x00\x00"+all, "\x00\x00\x00\x02"+all, "\x00\x00\x00\x05"+all)
	c := &Client{Profile: Postfix, Hostname: "postfix.peers.test", QueueID: func() string { return "8AF36984FE0" }, Milters: []Milter{{Dial: f.dial}}}
	if _, err := c.SendLocal(ctx, Mail{From: "<>", Rcpts: []string{"<a@example.net>"}, Data: plain.Data}); err != nil {
		t.Fatal(err)
	}
	f.wg.Wait()
	var got []string
	for _, p := range f.packets() {
		if strings.ContainsRune("CHMR", rune(p.cmd)) || p.cmd == 'D' && strings.ContainsRune("CME", rune(p.payload[0])) {
			got = append(got, string(p.cmd)+p.payload)
		}
	}
	const base = "j\x00postfix.peers.test\x00i\x008AF36984FE0\x00_\x00localhost [127.0.0.1]\x00v\x00Postfix 3.7.11\x00{daemon_name}\x00postfix.peers.test\x00{daemon_addr}\x00127.0.0.1\x00{daemon_port}\x000\x00" +
		"{client_addr}\x00127.0.0.1\x00{client_name}\x00localhost\x00{client_port}\x000\x00{client_ptr}\x00localhost\x00"
	want := []string{
		"DC" + base, "Clocalhost\x004\x00\x00127.0.0.1\x00", "Hlocalhost\x00", "DM" + base + "{mail_addr}\x00\x00", "M\x00", "Ra@example.net\x00",
		"DE" + base + "{mail_addr}\x00\x00{rcpt_addr}\x00a@example.net\x00",
	}
	if !slices.Equal(got, want) {
		t.Errorf("packets\ngot  %q\nwant %q", got, want)
	}
}
