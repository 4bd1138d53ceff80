package nomix

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/mta"
)

func TestNoMix(t *testing.T) {
	srv := &milter.Server{New: New("corp", "personal", "Example.COM"), Log: slog.New(slog.DiscardHandler)}
	ln, err := milter.Listen(filepath.Join(t.TempDir(), "s"), milter.SocketOptions{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(t.Context(), ln) }()
	client := mta.Client{Profile: mta.Postfix, Milters: []mta.Milter{{Address: ln.Addr().String()}}}
	s, _, err := client.Connect(t.Context(), mta.Conn{})
	if err != nil {
		t.Fatal(err)
	}
	// All over one connection: nothing may be left from one message to the next.
	for _, tt := range []struct {
		name, from string
		rcpts      []string
		refused    []string
	}{
		{"inside only", "<a@hq.corp>", []string{"<b@corp>", "<c@x.personal>", "<d@example.com>"}, nil},
		{"outside only", "<a@out.example>", []string{"<b@other.example>"}, nil},
		{"from inside to both", "<a@CORP>", []string{"<b@hq.corp>", "<c@out.example>", "<d@corp>"}, []string{"c@out.example"}},
		{"from outside to both", "<a@out.example>", []string{"<b@hq.corp>", "<c@out.example>"}, []string{"b@hq.corp"}},
		{"unqualified is inside", "<root>", []string{"<b@corp>", "<postmaster>", "<c@out.example>"}, []string{"c@out.example"}},
		{"bounce to one side", "<>", []string{"<b@corp>", "<c@personal>"}, nil},
		{"bounce to both", "<>", []string{"<c@out.example>", "<b@corp>"}, []string{"b@corp"}},
		{"a domain that only ends alike", "<a@notcorp>", []string{"<b@corp>"}, []string{"b@corp"}},
	} {
		if _, err := s.Mail(t.Context(), tt.from); err != nil {
			t.Fatal(err)
		}
		var refused []string
		for _, to := range tt.rcpts {
			out, err := s.Rcpt(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			if out.Reply != nil {
				refused = append(refused, to[1:len(to)-1])
				if out.Reply.Code != 550 || out.Reply.Enhanced != "5.7.1" {
					t.Errorf("%s: reply to %s = %v, want 550 5.7.1", tt.name, to, out.Reply)
				}
			}
		}
		if diff := cmp.Diff(tt.refused, refused); diff != "" {
			t.Errorf("%s: refused recipients differ (-want +got):\n%s", tt.name, diff)
		}
		if err := s.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
}
