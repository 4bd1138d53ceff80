package mta

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlainMessage(t *testing.T) {
	for _, tt := range []struct {
		profile  Profile
		sequence string
		message  string
	}{
		{Sendmail, "O Dc C Dh H Dm M Dr R T L N B De E Q", "X-A: b\r\nSubject: s\r\n\r\nbody\r\n"},
		{Postfix, "O Dc C Dh H Dm M Dr R Dt T Dl L Dn N Db B De E A A Q", "X-A: b\r\nSubject: s\r\n\r\nbody\r\n"},
	} {
		t.Run(tt.profile.String(), func(t *testing.T) {
			insert := edit.Edit{Action: edit.InsertHeader, Index: 1, Name: "X-A", Value: "b"}
			f := newFake(t, plan{"E": {hex.EncodeToString(wire.AppendFrame(insert.AppendFrames(nil), wire.ReplyContinue, ""))}})
			c := &Client{Profile: tt.profile, Hostname: "mx.test", Milters: []Milter{{Name: "fake", Dial: f.dial}}}
			res, err := c.Send(context.Background(), Mail{
				Conn: Conn{Name: "client.test", Addr: netip.MustParseAddrPort("192.0.2.1:1234")},
				Helo: "client.test", From: "<a@example.com> SIZE=10", Rcpts: []string{"<b@example.net>"},
				Data: []byte("Subject: s\n\nbody\n"),
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(res.Message.Bytes()); got != tt.message {
				t.Errorf("message = %q, want %q", got, tt.message)
			}
			res.Filters[0].Milliseconds = 0
			const want = `{"verdict":"accept","stage":"end","reply":null,"quarantine":null,"recipients":[{"address":"b@example.net","reply":null}],` +
				`"edits":[{"action":"insheader","name":"X-A","index":1,"value":"b"}],"envelope":{"from":"a@example.com","rcpts":["b@example.net"]},` +
				`"filters":[{"name":"fake","decision":"accept","why":"","ms":0}]}`
			if b, err := json.Marshal(res); err != nil || string(b) != want {
				t.Errorf("as JSON %s, %v\nwant %s", b, err, want)
			}
			f.wg.Wait()
			if got := sequence(f.packets()); got != tt.sequence {
				t.Errorf("packets = %s, want %s", got, tt.sequence)
			}
		})
	}
}
