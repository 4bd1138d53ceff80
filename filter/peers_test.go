//go:build peers

package filter_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/quarantine"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv("GOMILTER_TEST_SERVE"); addr != "" {
		hang(addr)
	}
	os.Exit(peertest.Main(m))
}

// hang serves a chain whose filter says that it has the message, and does not
// return. It is a process of its own.
func hang(addr string) {
	stuck := onMessage("stuck", func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
		os.Stdout.WriteString("got it\n")
		select {}
	})
	chain := &filter.Chain{Steps: []filter.Step{{Filter: mark("before")}, {Filter: stuck}}}
	ln, err := milter.Listen(addr, milter.SocketOptions{Mode: 0o666})
	if err != nil {
		panic(err)
	}
	panic((&milter.Server{New: chain.Hooks}).Serve(context.Background(), ln))
}

// When the process is killed in the middle of a message the MTA tells the client to
// come again, and nothing is delivered.
func TestKilledInMidMessage(t *testing.T) {
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			spec := peertest.FreeSpec(t, "unix")
			m := peertest.Start(t, kind, peertest.Config{Milters: []peertest.Milter{{Spec: spec}}})
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), "GOMILTER_TEST_SERVE="+spec)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			killed := make(chan struct{})
			go func() {
				defer close(killed)
				if _, err := io.ReadFull(out, make([]byte, len("got it\n"))); err != nil {
					t.Errorf("the filter did not get the message: %v", err)
				}
				cmd.Process.Kill()
				cmd.Wait()
			}()
			deadline := time.Now().Add(20 * time.Second)
			for {
				if _, err := os.Stat(strings.TrimPrefix(spec, "unix:")); err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the filter does not listen")
				}
				time.Sleep(10 * time.Millisecond)
			}
			if r := m.Send(t, peertest.Letter{}); r.Code/100 != 4 {
				t.Errorf("the client is told %v", r)
			}
			<-killed
			if r := m.Send(t, peertest.Letter{}); r.Code/100 != 4 {
				t.Errorf("while no filter listens the client is told %v", r)
			}
			// The socket of the dead process is taken over, and mail flows again.
			done := make(chan error, 1)
			chain := &filter.Chain{Steps: []filter.Step{{Filter: mark("back")}}, Explain: func(*filter.Explanation) {}}
			ln, err := milter.Listen(spec, milter.SocketOptions{Mode: 0o666})
			if err != nil {
				t.Fatal(err)
			}
			go func() { done <- (&milter.Server{New: chain.Hooks}).Serve(ctx, ln) }()
			defer func() { cancel(); <-done }()
			if r := m.Send(t, peertest.Letter{}); !r.OK() {
				t.Errorf("afterwards the client is told %v", r)
			}
			if got := m.Sink.Next(t).Header().Values("X-Mark"); !slices.Equal(got, []string{"back"}) {
				t.Errorf("delivered is a message with marks %q", got)
			}
			if more := m.Sink.Take(); len(more) > 0 {
				t.Errorf("%d more were delivered", len(more))
			}
		})
	}
}

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
func (r *rig) play(t *testing.T, rcpts []string, servers []*milter.Server) string {
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
			for _, to := range rcpts {
				any = tell("RCPT", d.Cmd("RCPT TO:"+to)) || any
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
	"<sender@example.com>... ", "", "<a@example.net>... ", "", "<b@example.net>... ", "", "<c@example.net>... ", "", "<A@example.net>... ", "")

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
			scripts, originals := rapid.SliceOfN(aScript, 1, 3), openStore(t, quarantine.Options{})
			for i := range cases {
				s, rcpts := scripts.Example(i), someRcpts.Example(i)
				if kind == peertest.Sendmail {
					onlyAlike(s)
				}
				want := separate.play(t, rcpts, serversOf(s))
				got := chained.play(t, rcpts, []*milter.Server{chainOf(originals, s)})
				if kind == peertest.Sendmail {
					want, got = alike.Replace(want), alike.Replace(got)
				}
				if got != want {
					t.Errorf("case %d, to %v, scripts %+v\nseparate milters:\n%s\nchain:\n%s", i, rcpts, s, want, got)
				}
			}
		})
	}
}
