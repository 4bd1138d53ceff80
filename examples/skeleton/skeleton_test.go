package skeleton

import (
	"bytes"
	"log/slog"
	"net/netip"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/mta"
)

func TestLogsEachStep(t *testing.T) {
	var buf bytes.Buffer
	log := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}}))
	closed := make(chan struct{})
	srv := &milter.Server{Log: log, New: func(s *milter.Session) milter.Hooks {
		hooks := New()(s)
		hook := hooks.Close
		hooks.Close = func() { hook(); close(closed) }
		return hooks
	}}
	ln, err := milter.Listen(filepath.Join(t.TempDir(), "s"), milter.SocketOptions{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(t.Context(), ln) }()

	ctx := t.Context()
	client := mta.Client{Profile: mta.Sendmail, Hostname: "mx.example", QueueID: func() string { return "Q1" }, Milters: []mta.Milter{{Address: ln.Addr().String()}}}
	s, _, err := client.Connect(ctx, mta.Conn{Name: "client.example", Addr: netip.MustParseAddrPort("[2001:db8::7]:25")})
	if err != nil {
		t.Fatal(err)
	}
	step := func(out mta.Outcome, err error) {
		t.Helper()
		if err != nil || out.Reply != nil || len(out.Faults) > 0 {
			t.Fatalf("outcome = %+v, %v; want that the skeleton lets everything pass", out, err)
		}
	}
	step(s.Helo(ctx, "nodot"))
	step(s.Unknown(ctx, "BOGUS 1"))
	s.SetMacros(map[string]string{"auth_authen": "joe"})
	step(s.Mail(ctx, "<ann@example.com>", "SIZE=10", "BODY=8BITMIME"))
	step(s.Rcpt(ctx, "<bob@example.net>", "NOTIFY=NEVER"))
	step(s.Data(ctx))
	res, err := s.Message(ctx, []byte("Subject: two\r\n lines\r\n\r\nbody\r\n"))
	if err != nil || res.Verdict != mta.Accept || len(res.Edits) > 0 {
		t.Errorf("Message = %v, %v; want accept without edits", res, err)
	}
	step(s.Mail(ctx, "<>"))
	if err := s.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Quit(ctx); err != nil {
		t.Fatal(err)
	}
	<-closed // the skeleton is not waited for
	if err := srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	<-done

	got := regexp.MustCompile(` conn=\S+`).ReplaceAllString(buf.String(), "")
	want := `msg=connect queue="" host=client.example addr=[2001:db8::7]:25 path="" receiver=mx.example
msg=helo queue="" name=nodot tls=""
msg="unknown command" queue="" command="BOGUS 1"
msg=mail queue=Q1 from=ann@example.com params="[SIZE=10 BODY=8BITMIME]" user=joe
msg=rcpt queue=Q1 to=bob@example.net params="[NOTIFY=NEVER]"
msg=data queue=Q1
msg=header queue=Q1 name=Subject value="two\n lines"
msg="end of headers" queue=Q1
msg=body queue=Q1 bytes=6
msg=end queue=Q1 bytes=6
msg=mail queue=Q1 from="" params=[] user=joe
msg=abort queue=Q1 bytes=0
msg=close queue=""
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log differs (-want +got):\n%s", diff)
	}
}
