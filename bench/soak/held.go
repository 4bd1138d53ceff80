package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// held is what the daemon holds of the machine.
type held struct {
	memory      int64 // bytes that are its own (Pss of /proc/PID/smaps_rollup)
	heap        int64 // bytes of objects in use
	descriptors int
	goroutines  int
	files       int // in the folder for temporary files
}

func (h held) String() string {
	return fmt.Sprintf("memory %.1f MiB, heap %.1f MiB, %d descriptors, %d goroutines, %d temporary files",
		mib(h.memory), mib(h.heap), h.descriptors, h.goroutines, h.files)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// since says what did not come back. Memory is the runtime's to give back, so that
// it may stay a little higher.
func (h held) since(start held) error {
	var errs []error
	more := func(what string, now, then, may int64) {
		if now > then+may {
			errs = append(errs, fmt.Errorf("%s: %d at the end, %d at the start", what, now, then))
		}
	}
	more("memory", h.memory, start.memory, max(start.memory/4, 16<<20))
	more("heap", h.heap, start.heap, max(start.heap/4, 8<<20))
	more("descriptors", int64(h.descriptors), int64(start.descriptors), 0)
	more("goroutines", int64(h.goroutines), int64(start.goroutines), 0)
	more("temporary files", int64(h.files), int64(start.files), 0)
	return errors.Join(errs...)
}

// settle waits until the daemon holds no connection and no more descriptors and
// goroutines than a moment ago, and returns what it holds then.
func (s *soak) settle(ctx context.Context) (held, error) {
	var last held
	for range 60 {
		st, err := s.control.Status(ctx)
		if err != nil {
			return held{}, err
		}
		busy := st.Earlier
		for _, l := range st.Listeners {
			busy += l.Connections
		}
		now, err := s.take(ctx)
		if err != nil {
			return held{}, err
		}
		if busy == 0 && now.descriptors == last.descriptors && now.goroutines == last.goroutines && now.heap <= last.heap+last.heap/10 {
			return now, nil
		}
		last = now
		time.Sleep(time.Second)
	}
	return last, nil
}

func (s *soak) take(ctx context.Context) (h held, err error) {
	if h.goroutines, h.heap, err = s.runtime(ctx); err != nil {
		return h, err
	}
	if h.memory, err = s.pss(); err != nil {
		return h, err
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
	if err != nil {
		return h, err
	}
	h.descriptors = len(fds)
	files, err := os.ReadDir(filepath.Join(s.dir, "spool"))
	h.files = len(files)
	return h, err
}

func (s *soak) pss() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("smaps_rollup has no Pss")
}

// runtime asks the metrics.
func (s *soak) runtime(ctx context.Context) (goroutines int, heap int64, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "http.sock"))
	}}}
	req, err := http.NewRequestWithContext(ctx, "GET", "http://soak/metrics", nil)
	if err != nil {
		return 0, 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		v, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case name == "go_goroutines":
			goroutines = int(v)
		case name == "go_memstats_heap_inuse_bytes":
			heap = int64(v)
		}
	}
	return goroutines, heap, lines.Err()
}
