// Command compare loads filters that do the same work in turn, as an MTA does,
// and prints how they compare with the first:
//
//	compare libmilter=bin/bench-libmilter ours=bin/bench-server
//
// Each filter is a command that serves on $MILTER_ADDR and does the work named by
// $MILTER_WORKLOAD (docs/performance.md). For workloads with signed mail $MILTER_DNS is a
// folder with a zone file ("zone") and public keys as OpenDKIM reads them ("keys"). Rounds visit every filter, so that a
// machine whose speed drifts treats them alike; medians over the rounds are shown.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"
)

var (
	rounds    = flag.Int("rounds", 5, "rounds for each workload")
	length    = flag.Duration("time", 600*time.Millisecond, "time for one filter in one round")
	conns     = flag.Int("connections", 8, "connections at once")
	only      = flag.String("workloads", "W1,W1n,W2,W3,W4a,W4b,W5,W6", "workloads, separated by commas")
	transport = flag.String("network", "unix", "unix or tcp")
)

// A peer is a filter to load and what was measured of it.
type peer struct {
	name, command string
	rate, cpu     []float64 // messages a second, CPU µs a message; one a round
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("compare: ")
	flag.Parse()
	var peers []*peer
	for _, arg := range flag.Args() {
		name, command, ok := strings.Cut(arg, "=")
		if !ok {
			log.Fatalf("%q is not NAME=COMMAND", arg)
		}
		peers = append(peers, &peer{name: name, command: command})
	}
	if len(peers) == 0 {
		log.Fatal("no filter given")
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "workload\tfilter\tmessages/s\t× %s\tCPU µs/message\t÷ %s\t\n", peers[0].name, peers[0].name)
	for w := range strings.SplitSeq(*only, ",") {
		if err := run(w, peers); err != nil {
			log.Fatalf("%s: %v", w, err)
		}
		for _, p := range peers {
			fmt.Fprintf(table, "%s\t%s\t%.0f\t%.2f\t%.1f\t%.2f\t\n", w, p.name, median(p.rate), ratio(p.rate, peers[0].rate), median(p.cpu), ratio(p.cpu, peers[0].cpu))
		}
		for _, p := range peers {
			p.rate, p.cpu = nil, nil
		}
	}
	table.Flush()
}

// run measures all peers in one workload.
func run(name string, peers []*peer) error {
	w, ok := workloads[name]
	if !ok {
		return fmt.Errorf("no such workload")
	}
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if w.signed != nil {
		if w.signed, err = newSignedMail(dir); err != nil {
			return err
		}
	}
	for round := range *rounds {
		for i := range peers {
			p := peers[(i+round)%len(peers)]
			rate, cpu, err := p.measure(name, w, dir, filepath.Join(dir, fmt.Sprintf("%d-%d", round, i)))
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			p.rate, p.cpu = append(p.rate, rate), append(p.cpu, cpu)
		}
	}
	return nil
}

// measure starts the filter, loads it for a while and stops it. Its CPU time is
// the whole process's, from start to end.
func (p *peer) measure(name string, w workload, dir, socket string) (rate, cpu float64, err error) {
	network, address, spec := "unix", socket, "unix:"+socket
	if *transport == "tcp" {
		network, address, spec = "tcp", "127.0.0.1:28025", "inet:28025@127.0.0.1"
	}
	argv := strings.Fields(p.command)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "MILTER_ADDR="+spec, "MILTER_WORKLOAD="+name, "MILTER_DNS="+dir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	n, took, err := load(network, address, w)
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if err != nil {
		return 0, 0, err
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return float64(n) / took.Seconds(), float64(used.Microseconds()) / float64(n), nil
}

// load sends messages over all connections until the time is up.
func load(network, address string, w workload) (n int64, took time.Duration, err error) {
	var total atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	began := time.Now()
	end := began.Add(*length)
	for range *conns {
		all.Go(func() {
			for failed.Load() == nil && time.Now().Before(end) {
				n, err := w.session(network, address, end)
				total.Add(n)
				if err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	all.Wait()
	if p := failed.Load(); p != nil {
		return 0, 0, *p
	}
	return total.Load(), time.Since(began), nil
}

func median(v []float64) float64 {
	v = slices.SortedFunc(slices.Values(v), cmp.Compare[float64])
	return v[len(v)/2]
}

// ratio is the median of the ratios of the rounds.
func ratio(a, b []float64) float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return median(r)
}
