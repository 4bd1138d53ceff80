package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/bits"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
	"github.com/gomilter/gomilter/mta"
)

type benchCmd struct {
	Socket        string        `required:"" placeholder:"SPEC" help:"The milter."`
	Connections   int           `short:"c" default:"10" help:"How many SMTP clients at once (default: ${default})."`
	Messages      int64         `short:"n" help:"Stop after this many messages (default: 10000, or without end when a duration is given)."`
	Duration      time.Duration `short:"d" help:"Stop after this time, such as 30s."`
	PerConnection int           `default:"1" placeholder:"N" help:"Messages before a client quits and a new one connects; 0 means all (default: ${default}, as MTAs mostly see)."`
	Headers       int           `default:"12" placeholder:"N" help:"Header fields of a message (default: ${default})."`
	Body          string        `default:"4k" placeholder:"SIZE" help:"Size of the body, in bytes or as 64k or 1m (default: ${default})."`
	Rcpts         int           `default:"1" placeholder:"N" help:"Recipients of a message (default: ${default})."`
	Profile       mta.Profile   `default:"postfix" placeholder:"NAME" help:"Whose ways to follow: postfix or sendmail (default: ${default})."`
	JSON          bool          `help:"Print one JSON object."`
}

func (*benchCmd) Help() string {
	return `Messages go to the milter as an MTA would send them, from several connections at once. A message's
latency is the time from MAIL, or from the connection for the first, to the verdict at its end.

    gomilter bench --socket unix:/run/filter.sock --connections 50 --duration 30s --body 64k

Exit codes: 0 every message got a verdict; 69 the milter cannot be reached, or broke.`
}

// A benchResult is what a run measured.
type benchResult struct {
	Messages   int64            `json:"messages"`
	Seconds    float64          `json:"seconds"`
	PerSecond  float64          `json:"per_second"`
	MBytes     float64          `json:"megabytes_per_second"` // of messages, 10^6 bytes
	Verdicts   map[string]int64 `json:"verdicts"`
	Errors     int64            `json:"errors"`
	FirstError string           `json:"first_error,omitempty"`
	Latency    latencies        `json:"latency_ms"`
}

type latencies struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

func (c *benchCmd) Run(std stdio) error {
	network, address, err := wire.ParseAddr(c.Socket)
	if err != nil {
		return exit(exitUsage, err)
	}
	size, err := parseSize(c.Body)
	switch {
	case err != nil:
		return exitf(exitUsage, "--body: %w", err)
	case network == "fd":
		return exitf(exitUsage, "socket %q: a milter is asked by its address, not by a descriptor", c.Socket)
	case c.Connections < 1 || c.Rcpts < 1 || c.Headers < 0 || c.Messages < 0 || c.Duration < 0 || c.PerConnection < 0:
		return exitf(exitUsage, "numbers are positive; --connections and --rcpts are 1 at least")
	}
	if c.Messages == 0 {
		if c.Messages = math.MaxInt64; c.Duration == 0 {
			c.Messages = 10_000
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{
		benchCmd: c,
		client: &mta.Client{
			Profile: c.Profile, Failure: mta.FailTempFail, Hostname: "bench.example",
			Milters: []mta.Milter{{Network: network, Address: address}},
		},
		message: benchMessage(c.Headers, size),
	}
	stopProgress := b.progress(ctx, std.err)
	res := b.run(ctx)
	stopProgress()
	switch {
	case c.JSON:
		err = json.NewEncoder(std.out).Encode(res)
	case res.Messages > 0 || res.Errors == 0: // or there is nothing to show
		err = res.print(std.out)
	}
	switch {
	case err != nil:
		return exit(exitCantCreate, err)
	case res.Errors > 0:
		return exitf(exitUnavailable, "%d conversations failed, the first: %s", res.Errors, printable(res.FirstError))
	}
	return nil
}

const benchGrace = 10 * time.Second

// A bench is one run.
type bench struct {
	*benchCmd
	client  *mta.Client
	message []byte

	begun  atomic.Int64 // messages
	done   atomic.Int64
	failed atomic.Int64
	end    time.Time  // zero for none
	mu     sync.Mutex // over first
	first  error
}

func (b *bench) run(ctx context.Context) benchResult {
	begin := time.Now()
	if b.Duration > 0 {
		// What is under way when the time is up may finish, but not hold us up. (A
		// deadline on ctx would fail dials before ctx shows that it has passed.)
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		b.end = begin.Add(b.Duration)
		defer time.AfterFunc(b.Duration+benchGrace, cancel).Stop()
	}
	workers := make([]benchWorker, b.Connections)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { workers[i].run(ctx, b) })
	}
	wg.Wait()
	took := time.Since(begin)

	res := benchResult{Messages: b.done.Load(), Errors: b.failed.Load(), Seconds: took.Seconds(), Verdicts: map[string]int64{}}
	if b.first != nil {
		res.FirstError = b.first.Error()
	}
	res.PerSecond = float64(res.Messages) / res.Seconds
	res.MBytes = res.PerSecond * float64(len(b.message)) / 1e6
	var all histogram
	for i := range workers {
		all.merge(&workers[i].times)
		for v, n := range workers[i].verdicts {
			if n > 0 {
				res.Verdicts[mta.Verdict(v).String()] += n
			}
		}
	}
	res.Latency = latencies{all.mean(), all.quantile(.5), all.quantile(.9), all.quantile(.99), all.quantile(.999), all.quantile(1)}
	return res
}

// A benchWorker is one SMTP client after the other.
type benchWorker struct {
	times    histogram
	verdicts [mta.Discard + 1]int64
}

func (w *benchWorker) run(ctx context.Context, b *bench) {
	more := func() bool {
		return ctx.Err() == nil && (b.end.IsZero() || time.Now().Before(b.end)) && b.begun.Add(1) <= b.Messages
	}
	for more() {
		if err := w.connection(ctx, b, more); err != nil && ctx.Err() == nil {
			b.failed.Add(1)
			b.mu.Lock()
			if b.first == nil {
				b.first = err
			}
			b.mu.Unlock()
		}
	}
}

// connection sends messages over one connection, the first of which was begun.
func (w *benchWorker) connection(ctx context.Context, b *bench, more func() bool) error {
	start := time.Now()
	s, out, err := b.client.Connect(ctx, mta.Conn{Name: "client.example", Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 25000)})
	if err != nil {
		return err
	}
	defer s.Close()
	for n := 1; ; n++ {
		if err == nil && n == 1 && len(out.Faults) == 0 {
			out, err = s.Helo(ctx, "client.example")
		}
		if err == nil && len(out.Faults) == 0 {
			err = w.send(ctx, b, s)
		}
		if err == nil && len(out.Faults) > 0 {
			err = out.Faults[0]
		}
		if err != nil {
			return err
		}
		w.times.add(time.Since(start))
		b.done.Add(1)
		if s.Closed() || n == b.PerConnection || !more() {
			return s.Quit(ctx)
		}
		start = time.Now()
	}
}

// send plays one message and counts its verdict.
func (w *benchWorker) send(ctx context.Context, b *bench, s *mta.Session) error {
	out, err := s.Mail(ctx, "<sender@client.example>")
	fault := func() error {
		if err == nil && len(out.Faults) > 0 {
			return out.Faults[0]
		}
		return err
	}
	verdict := out.Verdict
	taken := 0
	for i := 0; i < b.Rcpts && fault() == nil && (i > 0 || out.Reply == nil) && !s.Closed(); i++ {
		if out, err = s.Rcpt(ctx, "<rcpt"+strconv.Itoa(i)+"@bench.example>"); out.Reply == nil {
			taken++
		}
		verdict = out.Verdict
	}
	if err := fault(); err != nil {
		return err
	}
	if taken > 0 && !s.Closed() {
		if out, err = s.Data(ctx); fault() == nil && out.Reply == nil {
			var res *mta.Result
			if res, err = s.Message(ctx, b.message); err == nil {
				out.Faults, verdict = res.Faults, res.Verdict
				w.verdicts[verdict]++
				return fault()
			}
		}
		if err := fault(); err != nil {
			return err
		}
		verdict = out.Verdict
	}
	w.verdicts[verdict]++
	if s.Closed() {
		return nil
	}
	return s.Reset(ctx)
}

// benchMessage makes a message with n header fields and a body of a size.
func benchMessage(n, size int) []byte {
	var m bytes.Buffer
	fields := []string{
		"From: Bench <sender@client.example>", "To: <rcpt0@bench.example>", "Subject: a message to measure with",
		"Date: Sun, 22 Nov 2026 10:00:00 +0000", "Message-ID: <bench.1@client.example>", "MIME-Version: 1.0",
		"Content-Type: text/plain; charset=us-ascii",
	}
	for i := range n {
		if i < len(fields) {
			m.WriteString(fields[i] + "\r\n")
		} else {
			fmt.Fprintf(&m, "X-Bench-%d: %s\r\n", i, strings.Repeat("v", 50))
		}
	}
	m.WriteString("\r\n")
	const line = "All work and no play makes for a dull body, and so it goes on line by line.\r\n"
	end := m.Len() + size
	m.WriteString(strings.Repeat(line, size/len(line)+1))
	m.Truncate(end)
	if b := m.Bytes(); size >= 2 {
		copy(b[end-2:], "\r\n")
		if size > 2 && b[end-3] == '\r' {
			b[end-3] = '.'
		}
	}
	return m.Bytes()
}

// parseSize reads a number of bytes, which may end in k or m.
func parseSize(s string) (int, error) {
	digits, unit := strings.ToLower(s), 1
	if d, ok := strings.CutSuffix(digits, "k"); ok {
		digits, unit = d, 1<<10
	} else if d, ok := strings.CutSuffix(digits, "m"); ok {
		digits, unit = d, 1<<20
	}
	n, err := strconv.ParseUint(digits, 10, 20)
	if err != nil && unit == 1 {
		n, err = strconv.ParseUint(digits, 10, 30)
	}
	if err != nil || n*uint64(unit) > 1<<30 {
		return 0, fmt.Errorf("%q is no size up to 1024m; sizes are written as 4096, 64k or 1m", s)
	}
	return int(n) * unit, nil
}

// progress draws a line on w, if that is a terminal, until the function it returns
// is called.
func (b *bench) progress(ctx context.Context, w io.Writer) (stop func()) {
	if f, ok := w.(*os.File); !ok || !isTerminal(f) {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		start, last, lastAt := time.Now(), int64(0), time.Now()
		for {
			select {
			case <-ctx.Done():
				fmt.Fprint(w, "\r\x1b[K")
				return
			case now := <-tick.C:
				done := b.done.Load()
				part := float64(done) / float64(b.Messages)
				if b.Duration > 0 {
					part = max(part, now.Sub(start).Seconds()/b.Duration.Seconds())
				}
				const width = 40
				bar := strings.Repeat("=", int(min(part, 1)*width))
				rate := float64(done-last) / now.Sub(lastAt).Seconds()
				fmt.Fprintf(w, "\r[%-*s] %3.0f %%  %d messages, %.0f/s, %d errors\x1b[K", width, bar, 100*min(part, 1), done, rate, b.failed.Load())
				last, lastAt = done, now
			}
		}
	}()
	return func() { cancel(); <-ended }
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (r *benchResult) print(w io.Writer) error {
	var verdicts []string
	for _, v := range []mta.Verdict{mta.Accept, mta.Reject, mta.TempFail, mta.Discard, mta.Continue} {
		if n := r.Verdicts[v.String()]; n > 0 {
			verdicts = append(verdicts, fmt.Sprintf("%s %d", v, n))
		}
	}
	l := r.Latency
	_, err := fmt.Fprintf(w, "messages    %d in %.2f s\nthroughput  %.0f messages/s, %.1f MB/s\nlatency ms  mean %s  p50 %s  p90 %s  p99 %s  p99.9 %s  max %s\nverdicts    %s\nerrors      %d\n",
		r.Messages, r.Seconds, r.PerSecond, r.MBytes,
		ms(l.Mean), ms(l.P50), ms(l.P90), ms(l.P99), ms(l.P999), ms(l.Max), strings.Join(verdicts, ", "), r.Errors)
	return err
}

func ms(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }

// A histogram counts durations in classes less than 2 % wide.
type histogram struct {
	counts [58 << 6]int64
	n      int64
	sum    time.Duration
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.counts[class(d)]++
	h.n++
	h.sum += d
	h.max = max(h.max, d)
}

// class returns the place of a duration's highest bit and the six bits behind it.
func class(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 128 {
		return int(v)
	}
	shift := bits.Len64(v) - 7
	return shift<<6 + int(v>>shift)
}

// classTop returns the longest duration of a class.
func classTop(c int) time.Duration {
	if c < 128 {
		return time.Duration(c)
	}
	shift := c>>6 - 1
	return time.Duration((uint64(c-shift<<6)+1)<<shift - 1)
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// mean and quantile return milliseconds, 0 for an empty histogram.
func (h *histogram) mean() float64 {
	if h.n == 0 {
		return 0
	}
	return inMS(h.sum / time.Duration(h.n))
}

func (h *histogram) quantile(q float64) float64 {
	left := int64(math.Ceil(q * float64(h.n)))
	for c, n := range h.counts {
		if left -= n; left <= 0 && n > 0 {
			return inMS(min(classTop(c), h.max))
		}
	}
	return 0
}

func inMS(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }
