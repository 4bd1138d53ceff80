//go:build peers

package daemon_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/peertest"
)

func TestMain(m *testing.M) { os.Exit(peertest.Main(m)) }

// generation is a configuration whose two filters write its number, so that a
// message filtered by two of them shows. Each other one has other limits, which
// takes another server.
func generation(n int) string {
	mark := func(name string) string {
		return fmt.Sprintf(`
[filter.%[1]s]
kind = "headers"
rule = [
  { name = "refuse", fields = ["Subject"], match = "equal", values = ["refuse"], action = "reject" },
  { name = "mark", fields = ["X-%[1]s"], match = "missing", action = "add", edit = { name = "X-%[1]s", value = "%[2]d" } },
]
`, name, n)
	}
	return fmt.Sprintf(`
log = { level = "warn" }
limits = { headers = %d }
[[listener]]
socket = "unix:DIR/m.sock"
mode = "0666"
chain = ["first", "second"]
`, 500+n%2) + mark("first") + mark("second")
}

// While mail comes at a good rate, configurations follow each other and the daemon
// itself is replaced. No message is lost, doubled or filtered by two
// configurations: all are delivered or refused in the end, those that were
// deferred after another try.
func TestReloadAndDrainUnderLoad(t *testing.T) {
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) { reloadAndDrain(t, kind) })
	}
}

const (
	loadRate     = 200 // messages a second
	loadMessages = 1600
	loadClients  = 16
)

func reloadAndDrain(t *testing.T, kind peertest.Kind) {
	dir := peertest.Dir(t)
	r := startIn(t, dir, generation(0))
	m := peertest.Start(t, kind, peertest.Config{Milters: []peertest.Milter{{Spec: "unix:" + dir + "/m.sock"}}})

	var refused, delivered, retried atomic.Int64
	numbers := make(chan int)
	var clients sync.WaitGroup
	for range loadClients {
		clients.Go(func() {
			var d *peertest.Dialogue
			left := 0
			for n := range numbers {
				subject := "deliver"
				if n%10 == 3 {
					subject = "refuse"
				}
				for {
					if left == 0 {
						if d != nil {
							d.Cmd("QUIT")
							d.Close()
						}
						d, left = peertest.Dial(t, m.Addr), 5
						d.Cmd("EHLO client.example.com")
					}
					left--
					reply := d.Send(peertest.Letter{Data: fmt.Sprintf("Subject: %s\r\nMessage-ID: <%d@example.com>\r\n\r\nbody\r\n", subject, n)})
					if reply.Code == 250 {
						delivered.Add(1)
						break
					} else if reply.Code >= 500 {
						refused.Add(1)
						break
					}
					retried.Add(1)
					left = 0 // as a client does: it comes again
					time.Sleep(50 * time.Millisecond)
				}
			}
			if d != nil {
				d.Cmd("QUIT")
			}
		})
	}
	stop := make(chan struct{})
	var admin sync.WaitGroup
	admin.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
			}
			r.configure(generation(n))
			if _, err := r.ctl.Reload(context.Background()); err != nil {
				t.Errorf("reload %d: %v", n, err)
				return
			}
			if n%15 == 0 { // and now it is replaced as a whole
				if err := r.ctl.Drain(context.Background()); err != nil {
					t.Errorf("drain: %v", err)
					return
				}
				if err := <-r.done; err != nil {
					t.Errorf("the daemon ended: %v", err)
				}
				r.done <- nil
				r = startIn(t, dir, generation(n))
			}
		}
	})
	began := time.Now()
	for n := range loadMessages {
		time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / loadRate)))
		numbers <- n
	}
	close(numbers)
	clients.Wait()
	rate := loadMessages / time.Since(began).Seconds()
	close(stop)
	admin.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := m.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	generations := map[string]bool{}
	for range delivered.Load() {
		h := m.Sink.Next(t).Header()
		seen[strings.Join(h.Values("Message-ID"), " ")]++
		first, second := h.Values("X-First"), h.Values("X-Second")
		if len(first) != 1 || !slices.Equal(first, second) {
			t.Errorf("filtered by configurations %q and %q", first, second)
		}
		generations[strings.Join(first, " ")] = true
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was delivered %d times", id, n)
		}
	}
	if got := delivered.Load() + refused.Load(); got != loadMessages || len(seen) != int(delivered.Load()) {
		t.Errorf("%d sent, %d accepted, %d delivered, %d refused", loadMessages, delivered.Load(), len(seen), refused.Load())
	}
	if refused.Load() != loadMessages/10 || len(generations) < 10 {
		t.Errorf("%d refused, by %d configurations", refused.Load(), len(generations))
	}
	if mails := m.Queue(t); len(mails) > 0 {
		t.Errorf("%d messages are left in the queue", len(mails))
	}
	t.Logf("%.0f messages a second: %d delivered by %d configurations, %d refused, %d deferred before", rate, delivered.Load(), len(generations), refused.Load(), retried.Load())
}
