package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A site is servers that are played in memory, by their addresses.
type site struct {
	*scan
	mu      sync.Mutex // of what follows, where servers are asked at once
	tried   []string
	answers map[string]func(try int) string // what a server says; "" for nothing at all
	tries   map[string]int
	clock   time.Time
}

const (
	isClean = "stream: OK\x00"
	stuck   = "stuck"   // never answers
	deaf    = "deaf"    // never takes the connection
	refused = "refused" // takes none
	breaks  = "breaks"  // hangs up in mid-answer
)

func always(s string) func(int) string { return func(int) string { return s } }

func newSite(t *testing.T, o Options, answers map[string]func(int) string) *site {
	t.Helper()
	s := &site{answers: answers, tries: make(map[string]int), clock: time.Unix(0, 0)}
	o.Scanner, o.Now = Clamd, func() time.Time { return s.clock }
	var err error
	if s.scan, err = newScan("scan", o); err != nil {
		t.Fatal(err)
	}
	s.pool.dial = func(ctx context.Context, _, address string) (net.Conn, error) {
		name, _, _ := strings.Cut(address, ":")
		s.mu.Lock()
		s.tried = append(s.tried, name)
		s.tries[name]++
		say := answers[name](s.tries[name])
		s.mu.Unlock()
		switch say {
		case refused:
			return nil, errors.New("refused")
		case deaf:
			<-ctx.Done()
			return nil, ctx.Err()
		}
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			if say == stuck {
				io.Copy(io.Discard, theirs)
				return
			}
			// The end of the message is the only piece without bytes.
			for p := make([]byte, 1<<16); ; {
				n, err := theirs.Read(p)
				if err != nil || strings.HasSuffix(string(p[:n]), "\x00\x00\x00\x00") || strings.HasPrefix(string(p[:n]), "zPING") {
					break
				}
			}
			if say == breaks {
				say = "stre"
			}
			io.WriteString(theirs, say)
		}()
		return ours, nil
	}
	return s
}

// ask sends a letter around and tells what came of it, who was tried and how long it
// took.
func (s *site) ask(ctx context.Context) (outcome, tried string, took time.Duration) {
	s.tried = nil
	began := time.Now()
	l := &letter{head: []byte("Subject: x\r\n\r\n"), body: strings.NewReader("body\r\n")}
	v, at, _, err := s.pool.ask(ctx, s.scanner, l)
	switch {
	case err != nil:
		outcome = err.Error()
	default:
		outcome = fmt.Sprint(at.address, " ", describe(v))
	}
	return outcome, strings.Join(s.tried, " "), time.Since(began)
}

func TestFailOver(t *testing.T) {
	for _, tt := range []struct {
		name           string
		o              Options
		answers        map[string]func(int) string
		outcome, tried string
		took           time.Duration
	}{
		{"the first answers", Options{}, map[string]func(int) string{"a": always(isClean), "b": always(refused)}, "a:1 clean", "a", 0},
		{"the second answers", Options{}, map[string]func(int) string{"a": always(refused), "b": always(isClean)}, "b:1 clean", "a b", 0},
		{"the first breaks off", Options{}, map[string]func(int) string{"a": always(breaks), "b": always(isClean)}, "b:1 clean", "a b", 0},
		{"the first hangs", Options{}, map[string]func(int) string{"a": always(stuck), "b": always(isClean)}, "b:1 clean", "a b", 30 * time.Second},
		{"the first takes no connection", Options{}, map[string]func(int) string{"a": always(deaf), "b": always(isClean)}, "b:1 clean", "a b", 5 * time.Second},
		{"one comes back while signatures load", Options{Retries: 3}, map[string]func(int) string{"a": func(n int) string {
			if n <= 3 {
				return refused
			}
			return isClean
		}, "b": always(refused)}, "a:1 clean", "a b a b a b a", 6 * time.Second},
		{"an error of the server is tried again", Options{}, map[string]func(int) string{"a": func(n int) string {
			if n <= 1 {
				return "Can't open file or directory ERROR\x00"
			}
			return isClean
		}, "b": always(refused)}, "a:1 clean", "a b a", 2 * time.Second},
		{"all are down", Options{}, map[string]func(int) string{"a": always(refused), "b": always(refused)},
			"a:1: refused; b:1: refused; a:1: refused; b:1: refused; a:1: refused; b:1: refused", "a b a b a b", 4 * time.Second},
		{"all are down, no retries", Options{Retries: -1}, map[string]func(int) string{"a": always(refused), "b": always(breaks)},
			"a:1: refused; b:1: the connection was closed after 4 bytes of an answer: unexpected EOF", "a b", 0},
		{"one hangs, and is not asked again", Options{Pause: time.Second}, map[string]func(int) string{"a": always(stuck), "b": always(refused)},
			"a:1: no answer in time; b:1: refused; b:1: refused; b:1: refused", "a b b b", 32 * time.Second},
		{"all hang", Options{}, map[string]func(int) string{"a": always(stuck), "b": always(deaf)}, "a:1: no answer in time; b:1: no answer in time", "a b", 35 * time.Second},
		{"the time of all tries is up", Options{Total: 40 * time.Second}, map[string]func(int) string{"a": always(stuck), "b": always(stuck)},
			"a:1: no answer in time; b:1: no answer in time", "a b", 40 * time.Second},
		{"the time is up in a pause", Options{Total: 3 * time.Second}, map[string]func(int) string{"a": always(refused), "b": always(refused)},
			"a:1: refused; b:1: refused; a:1: refused; b:1: refused", "a b a b", 3 * time.Second},
		{"many failures are not all told", Options{Retries: 10, Pause: time.Nanosecond}, map[string]func(int) string{"a": always(refused), "b": always(refused)},
			"a:1: refused; b:1: refused; a:1: refused; b:1: refused; a:1: refused; b:1: refused; and more", "a b a b a b a b a b a b a b a b a b a b a b", 10},
		{"too large for the first is too large", Options{}, map[string]func(int) string{"a": always("INSTREAM size limit exceeded. ERROR\x00"), "b": always(isClean)},
			errTooLarge.Error(), "a", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.o.Servers = []string{"a:1", "b:1"}
				s := newSite(t, tt.o, tt.answers)
				if outcome, tried, took := s.ask(t.Context()); outcome != tt.outcome || tried != tt.tried || took != tt.took {
					t.Errorf("%s; tried %s; took %v\nwant %s; %s; %v", outcome, tried, took, tt.outcome, tt.tried, tt.took)
				}
			})
		})
	}
}

// A server that failed is left alone for a while, by the injected clock.
func TestServersRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := refused
		s := newSite(t, Options{Servers: []string{"a:1", "b:1", "c:1"}, Rest: time.Minute},
			map[string]func(int) string{"a": func(int) string { return first }, "b": always(isClean), "c": always(isClean)})
		for _, step := range []struct {
			at    time.Duration
			first string
			tried string
		}{
			{0, refused, "a b"},
			{time.Second, isClean, "b"},
			{59 * time.Second, isClean, "b"},
			{60 * time.Second, refused, "a b"},
			{119 * time.Second, isClean, "b"},
			{120 * time.Second, isClean, "a"},
			{121 * time.Second, isClean, "a"},
		} {
			s.clock, first = time.Unix(0, 0).Add(step.at), step.first
			if outcome, tried, _ := s.ask(t.Context()); tried != step.tried || !strings.HasSuffix(outcome, "clean") {
				t.Errorf("after %v: tried %s: %s", step.at, tried, outcome)
			}
		}
	})
}

// When all of them rest they are asked all the same.
func TestNobodyElseIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		say := refused
		s := newSite(t, Options{Servers: []string{"a:1", "b:1"}, Retries: -1}, map[string]func(int) string{"a": always(refused), "b": func(int) string { return say }})
		s.ask(t.Context())
		say = isClean
		if outcome, tried, _ := s.ask(t.Context()); outcome != "b:1 clean" || tried != "a b" {
			t.Errorf("%s; tried %s", outcome, tried)
		}
	})
}

func TestRoundRobin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, Options{Servers: []string{"a:1", "b:1", "c:1"}, RoundRobin: true},
			map[string]func(int) string{"a": always(isClean), "b": always(refused), "c": always(isClean)})
		var all []string
		for range 5 {
			_, tried, _ := s.ask(t.Context())
			all = append(all, tried)
		}
		if got := strings.Join(all, ", "); got != "a, b c, c, a, c" {
			t.Errorf("tried %s", got)
		}
	})
}

// What happens when all are down is decided in the time of the stage; a context that
// ends is no fault of the servers'.
func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, Options{Servers: []string{"a:1"}, Timeout: time.Hour, Total: time.Hour}, map[string]func(int) string{"a": always(stuck)})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
		defer cancel()
		if outcome, _, took := s.ask(ctx); outcome != "a:1: no answer in time" || took != 99*time.Second {
			t.Errorf("%s after %v", outcome, took)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if outcome, _, took := s.ask(short); outcome != "a:1: no answer in time" || took != 900*time.Millisecond {
			t.Errorf("%s after %v", outcome, took)
		}
		for _, say := range []string{stuck, deaf, refused} {
			s := newSite(t, Options{Servers: []string{"a:1"}, Timeout: time.Hour, Connect: time.Hour, Total: time.Hour, Pause: time.Hour}, map[string]func(int) string{"a": always(say)})
			gone, leave := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, leave)
			if outcome, _, took := s.ask(gone); outcome != context.Canceled.Error() || took != time.Second {
				t.Errorf("%s: %s after %v", say, outcome, took)
			}
			if say != refused && s.pool.servers[0].failed {
				t.Errorf("%s: the server is to blame for a client that left", say)
			}
		}
	})
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			a, b string
			want string
			took time.Duration
		}{
			{"PONG\x00", refused, "", 0},
			{refused, "PONG\x00", "", 0},
			{stuck, "PONG\x00", "", 0}, // the silent one uses up nobody's time
			{"PONG\x00", stuck, "", 0},
			{refused, "HUH\x00", `scan: scan: no clamd answers: a:1: refused; b:1: the answer makes no sense: 'HUH'`, 0},
			{deaf, stuck, "scan: scan: no clamd answers: a:1: no answer in time; b:1: no answer in time", 5 * time.Second},
		} {
			s := newSite(t, Options{Servers: []string{"a:1", "b:1"}}, map[string]func(int) string{"a": always(tt.a), "b": always(tt.b)})
			began := time.Now()
			err := s.ready(t.Context())
			if got := fmt.Sprint(err); err == nil && tt.want != "" || err != nil && got != tt.want || time.Since(began) != tt.took {
				t.Errorf("%q, %q: %s after %v", tt.a, tt.b, got, time.Since(began))
			}
		}
	})
	for down, has := range map[Action]bool{Default: true, TempFail: true, Reject: true, Quarantine: true, Accept: false, Tag: false} {
		f, err := New("scan", Options{Scanner: Clamd, Servers: []string{"/x"}, OnDown: down})
		if err != nil || (f.Ready != nil) != has || !f.Contacts {
			t.Errorf("%v: Ready %v, %v", down, f.Ready != nil, err)
		}
	}
}
