//go:build peers

package filter_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/peertest"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { os.Exit(peertest.Main(m)) }

// A rig is an MTA whose filters are swapped for each case.
type rig struct {
	*peertest.MTA
	switches []*peertest.Switch
}

func newRig(t *testing.T, kind peertest.Kind, filters int) *rig {
	r := &rig{}
	var cfg peertest.Config
	for range filters {
		sw := peertest.NewSwitch(t, "unix")
		r.switches = append(r.switches, sw)
		cfg.Milters = append(cfg.Milters, peertest.Milter{Spec: sw.Spec})
	}
	r.MTA = peertest.Start(t, kind, cfg)
	return r
}

// idle is what stands at the switches that a case does not need.
var idle = script{connect: "accept"}

// play sends a message through the MTA with the servers as its filters, and
// returns what the client and the next hop saw.
func (r *rig) play(t *testing.T, servers []*milter.Server) string {
	ctx, cancel := context.WithCancel(context.Background())
	var done []chan error
	for i, sw := range r.switches {
		s := idle.server()
		if i < len(servers) {
			s = servers[i]
		}
		ln, end := sw.Listen(t), make(chan error, 1)
		go func() { end <- s.Serve(ctx, ln) }()
		done = append(done, end)
	}
	var b strings.Builder
	tell := func(what string, reply peertest.Reply) bool {
		text := strings.Join(reply.Lines, " / ")
		if reply.OK() {
			text = fmt.Sprint(reply.Code)
		}
		fmt.Fprintf(&b, "%s: %s\n", what, strings.ReplaceAll(text, r.Host, "HOST"))
		return reply.OK()
	}
	d := r.Dial(t)
	if tell("banner", d.Banner); d.Banner.Err == nil {
		tell("EHLO", d.Cmd("EHLO client.example.com"))
		if tell("MAIL", d.Cmd("MAIL FROM:<sender@example.com>")) {
			any := false
			for _, to := range []string{"a", "b", "c"} {
				any = tell("RCPT", d.Cmd("RCPT TO:<"+to+"@example.net>")) || any
			}
			if any && tell("DATA", d.Cmd("DATA")) {
				tell("dot", d.Data(aMessage))
			}
		}
		d.Cmd("QUIT")
	}
	d.Close()
	if err := r.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, q := range r.Queue(t) {
		fmt.Fprintf(&b, "%s: %s %q\n", q.State, q.Sender, q.Rcpts)
	}
	if err := r.Purge(); err != nil {
		t.Fatal(err)
	}
	for _, m := range r.Sink.Take() {
		var to []string
		for _, p := range m.Rcpts {
			to = append(to, fmt.Sprint(p.Addr, p.Params))
		}
		slices.Sort(to)
		params := slices.DeleteFunc(m.From.Params, func(p string) bool { return strings.HasPrefix(p, "SIZE=") })
		fmt.Fprintf(&b, "from %s %v to %v\n%s", m.From.Addr, params, to, ownReceived.ReplaceAllString(string(m.Data), "Received: (own)\r\n"))
	}
	cancel()
	for _, end := range done {
		<-end
	}
	return ref.ReplaceAllString(madeUp.ReplaceAllString(b.String(), "$1 (made up)\r\n"), "")
}

var (
	ownReceived = regexp.MustCompile(`(?m)^Received: [^\r]*client\.example\.com[^\r]*\r\n(?:[ \t][^\r]*\r\n)*`)
	madeUp      = regexp.MustCompile(`(?m)^((?:Date|Message-I[dD]|From):) .*\r\n`)
)

// onlyAlike takes out of scripts what docs/mta-differences.md lists of Sendmail:
// insert-position, refusal-at-connect and order-at-connect.
func onlyAlike(scripts []script) {
	for i, s := range scripts {
		scripts[i].connect, scripts[i].helo = "continue", "continue"
		for i := range s.edits {
			if o := &s.edits[i]; o.what == "insert" {
				o.n = min(o.n, 1)
			}
		}
	}
}

// alike takes out of what Sendmail tells what is listed there: default-texts,
// address-in-reply.
var alike = strings.NewReplacer(
	"451 4.3.2 Please try again later", "(default)", "451 4.7.1 Service unavailable - try again later", "(default)",
	"554 5.7.1 Command rejected", "(default)", "550 5.7.1 Command rejected", "(default)", "550 5.0.0 Command rejected", "(default)",
	"<sender@example.com>... ", "", "<a@example.net>... ", "", "<b@example.net>... ", "", "<c@example.net>... ", "")

// Through real Postfix, a chain gives what its filters give as separate milters.
func TestChainOnRealMTAs(t *testing.T) {
	cases := 60
	if testing.Short() {
		cases = 10
	}
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			separate, chained := newRig(t, kind, 3), newRig(t, kind, 1)
			scripts := rapid.SliceOfN(aScript, 1, 3)
			for i := range cases {
				s := scripts.Example(i)
				if kind == peertest.Sendmail {
					onlyAlike(s)
				}
				want := separate.play(t, serversOf(s))
				got := chained.play(t, []*milter.Server{chainOf(s)})
				if kind == peertest.Sendmail {
					want, got = alike.Replace(want), alike.Replace(got)
				}
				if got != want {
					t.Errorf("case %d, scripts %+v\nseparate milters:\n%s\nchain:\n%s", i, s, want, got)
				}
			}
		})
	}
}
