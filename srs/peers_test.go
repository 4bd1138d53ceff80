//go:build peers

package srs_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/srs"
)

// peersOf starts each program that knows SRS.
func peersOf(t *testing.T, cfg peertest.SRSConfig) []*peertest.SRS {
	return []*peertest.SRS{peertest.MailSRS(t, cfg), peertest.PostSRSd(t, cfg)}
}

// What one side makes, the other makes, too, and reads back: through one forwarder and
// several, with every separator, with a secret that has been replaced.
func TestPeersBothWays(t *testing.T) {
	senders := []string{
		"jane@example.net", "Jane.Doe@Example.NET", "a=b=c@example.net", "jane+box@sub.example.net", "o'neil@example.net",
		"prvs=0123abcdef=jane@example.net", "srs0ren@example.net",
		"SRS0=aaaaaaaa=TT=example.net=jane@first.example", "srs0+aaaaaaaa=TT=example.net=jane@First.Example",
		"SRS0-aaaaaaaa=TT=example.net=jane@first.example", "SRS1=bbbbbbbb=first.example==aaaaaaaa=TT=example.net=jane@second.example",
		"SRS1+bbbbbbbb=first.example=-aaaaaaaa=TT=example.net=jane@second.example",
	}
	for _, sep := range []string{"=", "+", "-"} {
		for _, length := range []int{4, 8, 20} {
			name := fmt.Sprintf("separator %s hash %d", sep, length)
			t.Run(name, func(t *testing.T) {
				for _, peer := range peersOf(t, peertest.SRSConfig{Secrets: []string{peerKey, oldKey}, Separator: sep, HashLength: length}) {
					ours := newRewriter(t, srs.Options{Secrets: secret(srs.SHA1, peerKey, oldKey), Separator: sep[0], HashLength: length, MaxLocal: 200, Now: time.Now})
					old := newRewriter(t, srs.Options{Secrets: secret(srs.SHA1, oldKey), Separator: sep[0], HashLength: length, MaxLocal: 200, Now: time.Now})
					for _, sender := range senders {
						made, theirs := mustForward(t, ours, sender, "forward.example"), peer.Forward(t, sender)
						if made != theirs { // perhaps midnight has passed between
							made = mustForward(t, ours, sender, "forward.example")
						}
						if made != theirs {
							t.Errorf("%s: forward %q = %q, ours %q", peer.Name, sender, theirs, made)
						}
						for _, a := range []string{theirs, strings.ToLower(theirs), mustForward(t, old, sender, "forward.example")} {
							want, ok := peer.Reverse(t, a)
							got, err := ours.Reverse(a)
							if !ok || err != nil || got.Address != want {
								t.Errorf("reverse %q: %s says %q, %v; ours %q, %v", a, peer.Name, want, ok, got.Address, err)
							}
						}
					}
				}
			})
		}
	}
}

// What the peers refuse is refused here.
func TestPeersRefuseTheSame(t *testing.T) {
	peers := peersOf(t, peertest.SRSConfig{Secrets: []string{peerKey}})
	// The least hash of Mail::SRS is as long as what it makes.
	ours := newRewriter(t, srs.Options{Secrets: secret(srs.SHA1, peerKey), MaxLocal: 200, Now: time.Now})
	ago := func(days int) string {
		r := newRewriter(t, srs.Options{Secrets: secret(srs.SHA1, peerKey), Now: func() time.Time { return time.Now().AddDate(0, 0, -days) }})
		return mustForward(t, r, "jane@example.net", "forward.example")
	}
	good := ago(0)
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"good", good, true},
		{"20 days old", ago(20), true},
		{"22 days old", ago(22), false},
		{"23 days old", ago(23), false},
		{"of the future", ago(-3), false},
		{"other user", strings.Replace(good, "jane", "john", 1), false},
		{"other domain", strings.Replace(good, "example.net", "example.org", 1), false},
		{"other hash", "SRS0=" + "aaaaaaaa" + good[13:], false},
		{"no hash", "SRS0=" + good[13:], false},
		{"too few fields", "SRS0=aaaaaaaa@forward.example", false},
		{"SRS1 with a wrong hash", "SRS1=aaaaaaaa=first.example==aaaaaaaa=TT=example.net=jane@forward.example", false},
		{"SRS1 without hash", "SRS1=first.example==aaaaaaaa=TT=example.net=jane@forward.example", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, p := range peers {
				if got, ok := p.Reverse(t, tt.in); ok != tt.ok {
					t.Errorf("%s: reverse %q = %q, %v, want %v", p.Name, tt.in, got, ok, tt.ok)
				}
			}
			if got, err := ours.Reverse(tt.in); (err == nil) != tt.ok {
				t.Errorf("reverse %q = %q, %v, want %v", tt.in, got.Address, err, tt.ok)
			}
		})
	}
}

// serveMaps serves both maps on a unix socket and on loopback, and returns where.
func serveMaps(t *testing.T, r *srs.Rewriter) (path, port string) {
	m := &srs.Maps{Rewriter: r, Alias: "forward.example", Own: []string{"example.com"}, Sign: []string{"signed.example"}}
	s := &srs.Server{Maps: m.All()}
	path = filepath.Join(peertest.Dir(t), "srs.sock")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	for _, at := range [][2]string{{"unix", path}, {"tcp", "127.0.0.1:0"}} {
		ln, err := net.Listen(at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		if at[0] == "tcp" {
			_, port, _ = net.SplitHostPort(ln.Addr().String())
		} else if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
		go func() { done <- s.Serve(ctx, ln) }()
	}
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-done; err != srs.ErrServerClosed {
				t.Errorf("Serve: %v", err)
			}
		}
	})
	return path, port
}

func TestSocketMapsOfMTAs(t *testing.T) {
	r := newRewriter(t, srs.Options{})
	path, port := serveMaps(t, r)
	fwd, signed := mustForward(t, r, "jane@example.net", "forward.example"), mustSign(t, r, "bob@signed.example")
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			m := peertest.Start(t, kind, peertest.Config{Extra: map[peertest.Kind][]string{peertest.Sendmail: {
				"Ksrs_forward socket -f unix:" + path,
				"Ksrs_reverse socket -f inet:" + port + "@127.0.0.1",
				"Kmake_srs socket -f unix:" + path,
			}}})
			tables := map[string]string{"srs_forward": "srs_forward", "srs_reverse": "srs_reverse", "make_srs": "make_srs"}
			if kind == peertest.Postfix {
				tables = map[string]string{
					"srs_forward": "socketmap:unix:" + path + ":srs_forward",
					"srs_reverse": "socketmap:inet:127.0.0.1:" + port + ":srs_reverse",
					"make_srs":    "socketmap:unix:" + path + ":make_srs",
				}
			}
			for _, tt := range []struct{ table, key, want string }{
				{"srs_forward", "jane@example.net", fwd},
				{"srs_forward", "bob@signed.example", signed},
				{"srs_forward", "bob@example.com", ""},
				{"srs_reverse", fwd, "jane@example.net"},
				{"srs_reverse", signed, "bob@signed.example"},
				{"srs_reverse", "SRS0=aaaaaaaa=BB=example.net=jane@forward.example", ""},
				{"srs_reverse", "bob@example.com", ""},
				{"make_srs", "jane<@example.net.>", strings.Replace(fwd, "@forward.example", "<@forward.example.>", 1)},
			} {
				if got, ok := m.Lookup(t, tables[tt.table], tt.key); got != tt.want || ok != (tt.want != "") {
					t.Errorf("%s %s %q = %q, %v, want %q", kind, tt.table, tt.key, got, ok, tt.want)
				}
			}
		})
	}
}

// Mail passes through both MTAs with its sender rewritten, and its bounce comes back.
func TestForwardedMail(t *testing.T) {
	r := newRewriter(t, srs.Options{})
	path, _ := serveMaps(t, r)
	fwd := mustForward(t, r, "jane@example.net", "forward.example")
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			m := peertest.Start(t, kind, peertest.Config{Extra: map[peertest.Kind][]string{
				peertest.Postfix: {
					"sender_canonical_maps = socketmap:unix:" + path + ":srs_forward",
					"sender_canonical_classes = envelope_sender",
					"recipient_canonical_maps = socketmap:unix:" + path + ":srs_reverse",
					"recipient_canonical_classes = envelope_recipient",
				},
				peertest.Sendmail: sendmailRules(path),
			}})
			for _, tt := range []struct{ from, to, wantFrom, wantTo string }{
				{"jane@example.net", "al@example.org", fwd, "al@example.org"},
				{"bob@example.com", "al@example.org", "bob@example.com", "al@example.org"},
				{"<>", fwd, "", "jane@example.net"},
				{"<>", "SRS0=aaaaaaaa=BB=example.net=jane@forward.example", "", "SRS0=aaaaaaaa=BB=example.net=jane@forward.example"},
			} {
				if reply := m.Send(t, peertest.Letter{From: tt.from, To: []string{tt.to}}); reply.Code != 250 {
					t.Fatalf("from %q to %q: %v", tt.from, tt.to, reply)
				}
				mail := m.Sink.Next(t)
				if mail.From.Addr != tt.wantFrom || len(mail.Rcpts) != 1 || mail.Rcpts[0].Addr != tt.wantTo {
					t.Errorf("from %q to %q arrives from %q to %q, want %q and %q", tt.from, tt.to, mail.From, mail.Rcpts, tt.wantFrom, tt.wantTo)
				}
			}
		})
	}
}

// sendmailRules are what a configuration of Sendmail needs: senders are rewritten where mail leaves
// by SMTP, and recipients are read back where addresses get their canonical form. Without -f keys
// come in lower case.
func sendmailRules(path string) []string {
	return []string{
		"Kmake_srs socket -f unix:" + path,
		"Kreverse_srs socket -f unix:" + path,
		"LOCAL_RULESETS",
		"SEnvFromSMTP",
		"R$+ < @ $+ >\t\t$: $(make_srs $1<@$2> $: $1<@$2> $)",
		"SCanonify2=96",
		"R$+ < @ $+ >\t\t$: $(reverse_srs $1<@$2> $: $1<@$2> $)",
	}
}
