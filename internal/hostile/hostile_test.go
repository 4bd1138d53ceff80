package hostile_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/hostile"
)

// The filter under attack runs in a process of its own, so that the memory looked
// at is its alone, and its death would be seen.
func TestMain(m *testing.M) {
	if spec := os.Getenv("HOSTILE_TEST_SERVER"); spec != "" {
		if err := serve(spec, os.Getenv("HOSTILE_TEST_SILENT") != ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// state is what the process under attack says of itself.
type state struct {
	Memory     uint64 // heap and stacks in use after a collection, in bytes
	Goroutines int
	Ready      string
	Faults     map[string]int
	Limits     map[string]int
	Conns      int
}

// serve serves a filter, which is silent wherever it can be or answers every step,
// and says how it is for each line on stdin.
func serve(spec string, silent bool) error {
	count := &counts{faults: map[string]int{}, limits: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ln, err := milter.Listen(spec, milter.SocketOptions{})
	if err != nil {
		return err
	}
	srv := server(silent, count)
	go srv.Serve(ctx, ln)
	fmt.Println(ln.Addr().Network(), ln.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		for range 2 { // pools keep what they hold over one collection
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		st := count.state()
		st.Memory, st.Goroutines = m.HeapInuse+m.StackInuse, runtime.NumGoroutine()
		if err := srv.Ready(); err != nil {
			st.Ready = err.Error()
		}
		b, err := json.Marshal(st)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", b)
	}
	return nil
}

// server is a filter with all hooks, which does as it is told by what it sees:
// panic, end its goroutine, hang, or eat time.
func server(silent bool, m milter.Metrics) *milter.Server {
	stages := milter.StageSet(0)
	if silent {
		stages = ^stages
	}
	listen := func(ctx context.Context, b []byte) {
		if !bytes.HasPrefix(b, []byte("please-")) {
			return
		}
		switch string(b) {
		case hostile.Panic:
			panic("as told")
		case hostile.Goexit:
			runtime.Goexit()
		case hostile.Hang:
			<-ctx.Done()
			time.Sleep(500 * time.Millisecond)
		case hostile.Eat:
			for began := time.Now(); time.Since(began) < 30*time.Millisecond; {
			}
		}
	}
	return &milter.Server{
		Name: "target", Metrics: m, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		StageTimeout: 200 * time.Millisecond, EndTimeout: 400 * time.Millisecond, WriteTimeout: time.Second,
		New: func(s *milter.Session) milter.Hooks {
			return milter.Hooks{
				Connect: func(ctx context.Context, c *milter.Client) milter.ConnectReply {
					listen(ctx, []byte(c.Host))
					return milter.Continue
				},
				Helo: func(ctx context.Context, b []byte) milter.HeloReply { listen(ctx, b); return milter.Continue },
				Mail: func(ctx context.Context, m *milter.Mail) milter.MailReply {
					listen(ctx, m.Raw())
					return milter.Continue
				},
				Rcpt: func(ctx context.Context, r *milter.Rcpt) milter.RcptReply {
					listen(ctx, r.Raw())
					return milter.Continue
				},
				Data: func(context.Context) milter.DataReply { s.QueueID(); return milter.Continue },
				Header: func(ctx context.Context, h *milter.Header) milter.HeaderReply {
					listen(ctx, h.NameBytes())
					return milter.Continue
				},
				EndOfHeaders: func(context.Context) milter.EndOfHeadersReply { return milter.Continue },
				Body:         func(ctx context.Context, b []byte) milter.BodyReply { listen(ctx, b); return milter.Continue },
				End: func(_ context.Context, e *milter.Edits) milter.EndReply {
					e.InsertHeader(0, "X-Seen", s.Helo())
					return milter.Accept
				},
				Abort:   func(context.Context) {},
				Unknown: func(ctx context.Context, b []byte) milter.UnknownReply { listen(ctx, b); return milter.Continue },
				Close:   func() {},
				Silent:  stages,
			}
		},
	}
}

// counts is Metrics of both servers.
type counts struct {
	mu             sync.Mutex
	conns          int
	faults, limits map[string]int
}

func (c *counts) Connection(delta int) { c.mu.Lock(); c.conns += delta; c.mu.Unlock() }
func (c *counts) Fault(s milter.Stage, kind string) {
	c.mu.Lock()
	c.faults[kind]++
	c.mu.Unlock()
}
func (c *counts) Limit(name string)                           { c.mu.Lock(); c.limits[name]++; c.mu.Unlock() }
func (c *counts) Verdict(milter.Stage, string, time.Duration) {}

func (c *counts) state() state {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := state{Conns: c.conns, Faults: map[string]int{}, Limits: map[string]int{}}
	for k, n := range c.faults {
		st.Faults[k] = n
	}
	for k, n := range c.limits {
		st.Limits[k] = n
	}
	return st
}

// A victim is a process under attack.
type victim struct {
	name   string
	target hostile.Target
	in     io.Writer
	out    *bufio.Scanner
	idle   uint64 // memory before the first attack
	report hostile.Report
	most   uint64 // memory during the attack
}

func start(t *testing.T, name, spec, silent string) *victim {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "HOSTILE_TEST_SERVER="+spec, "HOSTILE_TEST_SILENT="+silent)
	said := new(bytes.Buffer)
	cmd.Stderr = said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the filter that %s ended with %v:\n%s", name, err, said)
		}
	})
	v := &victim{name: name, in: in, out: bufio.NewScanner(out)}
	if !v.out.Scan() {
		t.Fatal("the filter does not start")
	}
	network, addr, _ := strings.Cut(v.out.Text(), " ")
	if v.target, err = hostile.NewTarget(network, addr); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		v.ordinary(t)
	}
	v.idle = v.state(t).Memory
	return v
}

// state asks the process how it is.
func (v *victim) state(t *testing.T) (st state) {
	t.Helper()
	if _, err := io.WriteString(v.in, "\n"); err != nil || !v.out.Scan() {
		t.Fatalf("the filter that %s is dead", v.name)
	}
	if err := json.Unmarshal(v.out.Bytes(), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// ordinary fails unless an honest conversation passes now. Connections of an attack
// that have ended may still be known for a moment.
func (v *victim) ordinary(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err := hostile.Ordinary(ctx, v.target)
	for range 40 {
		if err == nil {
			return
		}
		time.Sleep(25 * time.Millisecond)
		err = hostile.Ordinary(ctx, v.target)
	}
	t.Errorf("an ordinary conversation with the filter that %s: %v", v.name, err)
}

// Memory may grow by so much under attack, in bytes.
const allowance = 64 << 20

// Each attack goes to a filter that answers every step, on a unix socket, and at the
// same time to one that is silent, over TCP. Both live on, stay small, and serve
// the next who comes.
func TestNothingKillsIt(t *testing.T) {
	victims := []*victim{
		start(t, "answers", "unix:"+filepath.Join(t.TempDir(), "s"), ""),
		start(t, "is silent", "inet:0@127.0.0.1", "silent"),
	}
	limits := hostile.Limits{Time: 4 * time.Second, Flood: 1200, Count: 1_000_000, Seed: 1}
	if raceEnabled {
		limits.Flood, limits.Count = 300, 100_000
	}
	for _, a := range hostile.Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			began := time.Now()
			ctx, over := context.WithCancel(t.Context())
			var attacks, looks sync.WaitGroup
			for _, v := range victims {
				v.most = 0
				attacks.Go(func() { v.report = a.Run(t.Context(), v.target, limits) })
				looks.Go(func() {
					for ctx.Err() == nil {
						v.most = max(v.most, v.state(t).Memory)
						time.Sleep(50 * time.Millisecond)
					}
				})
			}
			attacks.Wait()
			over()
			looks.Wait()
			if took := time.Since(began); took > limits.Time+2*time.Second {
				t.Errorf("the attack took %v", took)
			}
			for _, v := range victims {
				v.ordinary(t)
				after := v.state(t)
				t.Logf("the filter that %s: %d KiB when idle, at most %d under attack, %d after; %v", v.name, v.idle>>10, v.most>>10, after.Memory>>10, v.report)
				if most := max(v.most, after.Memory); most > v.idle+allowance {
					t.Errorf("the filter that %s: %d MiB in use, %d MiB when idle", v.name, most>>20, v.idle>>20)
				}
				if after.Ready != "" {
					t.Errorf("the filter that %s: %s", v.name, after.Ready)
				}
				if v.report.Conns == 0 {
					t.Error("there was no attack")
				}
			}
		})
	}
	for _, v := range victims {
		st := v.state(t)
		t.Logf("the filter that %s, in the end: %+v", v.name, st)
		for _, kind := range []string{milter.FaultPanic, milter.FaultHang} {
			if st.Faults[kind] == 0 {
				t.Errorf("the filter that %s saw no %s", v.name, kind)
			}
		}
		for _, limit := range []string{milter.LimitFrame, milter.LimitMacros, milter.LimitRcpts, milter.LimitHeaders} {
			if st.Limits[limit] == 0 {
				t.Errorf("the filter that %s hit no limit of %s", v.name, limit)
			}
		}
	}
}

func TestOnlyThisMachineIsAttacked(t *testing.T) {
	for _, ok := range [][2]string{{"unix", "/run/x"}, {"tcp", "127.0.0.1:25"}, {"tcp", "127.8.9.1:25"}, {"tcp6", "[::1]:25"}} {
		if _, err := hostile.NewTarget(ok[0], ok[1]); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range [][2]string{{"tcp", "192.0.2.1:25"}, {"tcp", "localhost:25"}, {"tcp", ":25"}, {"tcp", "0.0.0.0:25"}, {"tcp", "[2001:db8::1]:25"}, {"udp", "127.0.0.1:25"}, {"", ""}} {
		if _, err := hostile.NewTarget(bad[0], bad[1]); err == nil {
			t.Errorf("%s would be attacked", bad)
		}
	}
}
