package cases

import (
	"context"
	"fmt"
	"hash/crc32"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	milter "github.com/gomilter/gomilter"
)

// A record is what a filter saw, connection by connection.
type record struct {
	mu    sync.Mutex
	conns []*connRecord
	open_ int
	logs  []string
}

// A connRecord is what a filter saw on one connection.
type connRecord struct {
	rec     *record
	number  int // 1 for the first
	session *milter.Session
	calls   []string
	count   map[string]int
	lines   []line
	macros  map[string]string
	names   []string // of the header so far
	closed  bool
}

func (r *record) open(s *milter.Session) *connRecord {
	c := &connRecord{rec: r, session: s, count: make(map[string]int), macros: make(map[string]string)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
	c.number = len(r.conns)
	r.open_++
	return c
}

// settle waits until all connections were closed.
func (r *record) settle(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		r.mu.Lock()
		n := r.open_
		r.mu.Unlock()
		if n == 0 {
			return
		}
	}
}

// call notes a call and returns the how manieth of its stage it is.
func (c *connRecord) call(stage, arg string) int {
	c.rec.mu.Lock()
	defer c.rec.mu.Unlock()
	if len(c.calls) == 0 {
		c.lines = append(c.lines, line{"granted", fmt.Sprintf("%d %v %v", c.session.Version(), c.session.Actions(), c.session.Protocol())})
	}
	c.calls = append(c.calls, stage)
	c.count[stage]++
	if stage != "header" && c.names != nil {
		c.lines = append(c.lines, line{"names", strings.Join(c.names, " ")})
		c.names = nil
	}
	switch stage {
	case "header":
		name, _, _ := strings.Cut(arg, ":")
		c.names = append(c.names, name)
		c.lines = append(c.lines, line{"saw " + name, arg[len(name)+1:]})
	case "body":
		c.lines = append(c.lines, line{"chunk", arg})
	case "data", "eoh", "end", "abort":
	default:
		c.lines = append(c.lines, line{"args " + stage, arg})
	}
	for _, name := range macroNames {
		value, ok := c.session.Macro(name)
		if was, had := c.macros[name]; ok == had && value == was {
			continue
		}
		key := "macro " + stage + " " + name
		if !ok {
			delete(c.macros, name)
			c.lines = append(c.lines, line{key, "(gone)"})
			continue
		}
		c.macros[name] = value
		c.lines = append(c.lines, line{key, printable(value)})
	}
	return c.count[stage]
}

func (c *connRecord) offer(n *milter.Negotiation) {
	c.rec.mu.Lock()
	defer c.rec.mu.Unlock()
	c.lines = append(c.lines, line{"offer", fmt.Sprintf("%d %#x %#x", n.OfferedVersion, uint32(n.OfferedActions), uint32(n.OfferedProtocol))})
}

func (c *connRecord) failed(action string, err error) {
	c.rec.mu.Lock()
	defer c.rec.mu.Unlock()
	c.lines = append(c.lines, line{"error", action + ": " + err.Error()})
}

func (c *connRecord) close() {
	c.rec.mu.Lock()
	defer c.rec.mu.Unlock()
	c.calls = append(c.calls, "close")
	c.lines = append(c.lines, line{"mta", c.session.MTA().String()})
	if !c.closed {
		c.closed = true
		c.rec.open_--
	}
}

// outcome returns all of it as lines.
func (r *record) outcome() (out []line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range r.conns {
		prefix := ""
		if i > 0 {
			prefix = fmt.Sprintf("conn%d ", i+1)
		}
		out = append(out, line{prefix + "calls", runs(c.calls)})
		for _, l := range c.lines {
			key := prefix + l.key
			if l.key == "error" {
				key = l.key
			}
			out = append(out, line{key, l.value})
		}
	}
	for _, l := range r.logs {
		out = append(out, line{"fault", l})
	}
	return out
}

// runs joins words, each with how often it stands in a row.
func runs(words []string) string {
	var b strings.Builder
	for i := 0; i < len(words); {
		n := 1
		for i+n < len(words) && words[i+n] == words[i] {
			n++
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(words[i])
		if n > 1 {
			fmt.Fprintf(&b, "*%d", n)
		}
		i += n
	}
	return b.String()
}

// macroNames are those whose values are noted: all that the two MTAs are known to
// have, without those that are different each time and say nothing.
var macroNames = []string{
	"i", "j", "_", "v", "b", "s", "r", "{daemon_name}", "{daemon_addr}", "{daemon_port}", "{if_name}", "{if_addr}",
	"{client_addr}", "{client_name}", "{client_ptr}", "{client_port}", "{client_resolve}", "{client_connections}",
	"{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}", "{verify}",
	"{auth_type}", "{auth_authen}", "{auth_ssf}", "{auth_author}",
	"{mail_mailer}", "{mail_host}", "{mail_addr}", "{rcpt_mailer}", "{rcpt_host}", "{rcpt_addr}",
	"{nrcpts}", "{nbadrcpts}", "{ntries}", "{msg_id}", "{msg_size}",
}

// logger notes what the server logs as going wrong.
func (r *record) logger() *slog.Logger { return slog.New(logHandler{r}) }

type logHandler struct{ r *record }

func (h logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (h logHandler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h logHandler) WithGroup(string) slog.Handler                { return h }
func (h logHandler) Handle(_ context.Context, rec slog.Record) error {
	text := rec.Message
	rec.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "stage", "kind", "limit", "policy":
			text += " " + a.Value.String()
		case "err":
			first, _, _ := strings.Cut(a.Value.String(), "\n") // the rest is a stack
			text += ": " + first
		}
		return true
	})
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	h.r.logs = append(h.r.logs, text)
	return nil
}

func clientText(c *milter.Client) string {
	switch c.Family {
	case milter.FamilyInet, milter.FamilyInet6:
		port := "port"
		if c.Addr.Port() == 0 {
			port = "0"
		}
		return fmt.Sprintf("%s %s %s", c.Host, c.Addr.Addr(), port)
	case milter.FamilyUnix:
		return c.Host + " " + c.Path
	}
	return c.Host + " unknown"
}

func pathText(addr []byte, params iter.Seq[[]byte]) string {
	text := printable(string(addr))
	for p := range params {
		text += " " + printable(string(p))
	}
	return text
}

// printable returns s itself, or quoted if it is empty or has other than visible
// bytes.
func printable(s string) string {
	if q := strconv.Quote(s); len(q) != len(s)+2 || s == "" {
		return q
	}
	return s
}

// content shows a text that may be long.
func content(b []byte) string {
	if len(b) <= 300 {
		return strconv.Quote(string(b))
	}
	return fmt.Sprintf("%d bytes, crc %08x", len(b), crc32.ChecksumIEEE(b))
}
