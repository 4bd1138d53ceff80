package scan_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/scan"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/google/go-cmp/cmp"
)

// A fake is a server on loopback.
type fake struct {
	spec string

	mu    sync.Mutex
	conns []net.Conn
	asked []string // messages and other commands, with what came along
}

// newFake starts a server whose connections are handled by serve, in a goroutine
// each, until the test ends.
func newFake(t testing.TB, serve func(f *fake, c net.Conn)) *fake {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{spec: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(f, c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			c.Close()
		}
		f.mu.Unlock()
		wg.Wait()
	})
	return f
}

// note takes note of what the server was asked.
func (f *fake) note(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, s)
}

func (f *fake) got() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

// hear reads a whole request of a kind and returns it as text.
func hear(kind scan.Scanner, c net.Conn) (string, error) {
	r := bufio.NewReader(c)
	switch kind {
	case scan.Clamd:
		cmd, err := r.ReadString(0)
		if err != nil || cmd != "zINSTREAM\x00" {
			return cmd, err
		}
		var b bytes.Buffer
		for {
			var n uint32
			if err := binary.Read(r, binary.BigEndian, &n); err != nil {
				return "", err
			}
			if n == 0 {
				return b.String(), nil
			}
			if _, err := io.CopyN(&b, r, int64(n)); err != nil {
				return "", err
			}
		}
	case scan.Spamd:
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		h, err := textproto.NewReader(r).ReadMIMEHeader()
		if err != nil {
			return "", err
		}
		n, _ := strconv.Atoi(h.Get("Content-length"))
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil {
			return "", err
		}
		return fmt.Sprintf("%sUser: %s\r\n\r\n%s", line, h.Get("User"), body), nil
	default:
		req, err := http.ReadRequest(r)
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(req.Body)
		req.Header.Del("Connection")
		req.Header.Del("User-Agent")
		req.Header.Del("Content-Length")
		var b strings.Builder
		fmt.Fprintf(&b, "%s %s\r\n", req.Method, req.RequestURI)
		req.Header.Write(&b)
		return b.String() + "\r\n" + string(body), err
	}
}

// answering is a server that hears a request and answers the same to each.
func answering(t testing.TB, kind scan.Scanner, answer string) *fake {
	return newFake(t, func(f *fake, c net.Conn) {
		s, err := hear(kind, c)
		if err != nil {
			return
		}
		f.note(s)
		io.WriteString(c, answer)
	})
}

// Answers of the kinds.
const (
	clean    = "stream: OK\x00"
	infected = "stream: Eicar-Test FOUND\x00"
)

func spamdSays(spam string, rules string) string {
	return fmt.Sprintf("SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: %s\r\n\r\n%s", len(rules), spam, rules)
}

func rspamdSays(json string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(json), json)
}

// good are answers of the kinds that say that a message is bad.
var good = map[scan.Scanner]string{
	scan.Clamd:  infected,
	scan.Spamd:  spamdSays("True ; 7.3 / 5.0", "BAD_WORDS"),
	scan.Rspamd: rspamdSays(`{"score":7.3,"required_score":15,"action":"add header","symbols":{"BAD_WORDS":{"score":7.3}}}`),
}

// A bench is a filter in a chain.
type bench struct {
	chain *filter.Chain
	told  []*filter.Explanation
	heard []filter.Scans
}

func newBench(t testing.TB, o scan.Options) *bench {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second
	}
	if o.Pause == 0 {
		o.Pause = time.Millisecond
	}
	f, err := scan.New("scan", o)
	if err != nil {
		t.Fatal(err)
	}
	b := new(bench)
	hear := &filter.Filter{Name: "hear", Needs: filter.Needs{Header: true}, Message: filterMessage(func(tr *filter.Transaction) {
		s, _ := filter.Told[filter.Scans](tr)
		b.heard = append(b.heard, s)
	})}
	b.chain = &filter.Chain{Steps: []filter.Step{{Filter: f}, {Filter: hear}}, Log: slog.New(slog.DiscardHandler), NewRef: func() string { return "ref" },
		Explain: func(x *filter.Explanation) { b.told = append(b.told, x) }}
	if err := b.chain.Check(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) send(t testing.TB, m miltertest.Mail) *miltertest.Result {
	t.Helper()
	m.Text = strings.ReplaceAll(m.Text, "\n", "\r\n")
	if m.Text == "" && m.Reader == nil {
		m.Text = aMail
	}
	b.told, b.heard = nil, nil
	return miltertest.New(t, &milter.Server{New: b.chain.Hooks, Log: b.chain.Log}).Send(t, m)
}

// why is what the filter noted about the last message.
func (b *bench) why() string {
	for _, o := range b.told[len(b.told)-1].Filters {
		if o.Name == "scan" {
			return o.Why + o.Failed
		}
	}
	return ""
}

const aMail = "From: a@example.com\r\nSubject: lunch\r\n\r\nAt noon?\r\n"

// outcome is a result in a few words: verdict, what the client is told, quarantine.
func outcome(r *miltertest.Result) string {
	s := r.Verdict.String()
	if told := r.Told(); told != "" {
		s += " " + told
	}
	if r.Quarantine != nil {
		s += " held: " + *r.Quarantine
	}
	return s
}

// changed is what a message's header lost and gained.
func changed(r *miltertest.Result, before string) string {
	head, _, _ := strings.Cut(strings.ReplaceAll(before, "\r\n", "\n"), "\n\n")
	after := strings.TrimSuffix(strings.ReplaceAll(string(r.Message.Header.Bytes()), "\r\n", "\n"), "\n")
	return lineDiff(strings.Split(strings.ReplaceAll(head, "\n ", " "), "\n"), strings.Split(strings.ReplaceAll(after, "\n ", " "), "\n"))
}

func lineDiff(a, b []string) string {
	var out []string
	count := make(map[string]int)
	for _, x := range b {
		count[x]++
	}
	for _, x := range a {
		if count[x]--; count[x] < 0 {
			out = append(out, "-"+x)
		}
	}
	count = make(map[string]int)
	for _, x := range a {
		count[x]++
	}
	for _, x := range b {
		if count[x]--; count[x] < 0 {
			out = append(out, "+"+x)
		}
	}
	return strings.Join(out, "\n")
}

func diff(t testing.TB, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// v6Client is a client by IPv6.
func v6Client() mta.Conn {
	return mta.Conn{Name: "client.example", Addr: netip.MustParseAddrPort("[2001:db8::25]:40025")}
}
