package filter_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/quarantine"
	"pgregory.net/rapid"
)

// A script is what a filter does, as a milter of its own or in a chain.
type script struct {
	connect, helo, mail, data, end string
	rcpt                           [3]string
	edits                          []op
}

// An op is an edit.
type op struct {
	what        string
	name, value string
	n           int
}

func (o op) String() string { return fmt.Sprintf("%s %d %s %q", o.what, o.n, o.name, o.value) }

// editor is what milter.Edits and filter.Edits have in common.
type editor interface {
	AddHeader(name, value string) error
	InsertHeader(position int, name, value string) error
	ChangeHeader(name string, n int, value string) error
	DeleteHeader(name string, n int) error
	AddRcpt(addr string, params ...string) error
	DeleteRcpt(addr string) error
	ChangeFrom(addr string, params ...string) error
	Quarantine(reason string) error
	ReplaceBody(body io.Reader) error
}

func (o op) do(e editor) error {
	var params []string
	if o.name != "" {
		params = []string{o.name}
	}
	switch o.what {
	case "add":
		return e.AddHeader(o.name, o.value)
	case "insert":
		return e.InsertHeader(o.n, o.name, o.value)
	case "change":
		return e.ChangeHeader(o.name, o.n, o.value)
	case "delete":
		return e.DeleteHeader(o.name, o.n)
	case "addrcpt":
		return e.AddRcpt(o.value, params...)
	case "delrcpt":
		return e.DeleteRcpt(o.value)
	case "from":
		return e.ChangeFrom(o.value, params...)
	case "quarantine":
		return e.Quarantine(o.value)
	case "body":
		return e.ReplaceBody(strings.NewReader(o.value))
	}
	panic(o.what)
}

var refusals = map[string]*milter.Refusal{
	"reject": milter.DefaultReject, "tempfail": milter.DefaultTempFail,
	"550": milter.Reject(550, "5.1.1", "no such thing"), "554": milter.Reject(554, "5.7.9", "two", "lines"),
	"450": milter.TempFail(450, "4.2.0", "100% later"), "421": milter.TempFail(421, "4.7.0", "go away"),
}

// say finds the reply that a word stands for.
func say[R milter.Reply](word string) R {
	var r milter.Reply = milter.Continue
	switch {
	case word == "accept":
		for _, a := range []milter.Reply{milter.AcceptMessage, milter.AcceptConnection, milter.Accept} {
			if _, ok := a.(R); ok {
				r = a
			}
		}
	case word == "discard":
		r = milter.Discard
	case refusals[word] != nil:
		r = refusals[word]
	}
	return r.(R)
}

// milter makes a milter of the script.
func (s script) server() *milter.Server {
	return &milter.Server{New: func(*milter.Session) milter.Hooks {

		return milter.Hooks{
			Connect: func(context.Context, *milter.Client) milter.ConnectReply { return say[milter.ConnectReply](s.connect) },
			Helo:    func(context.Context, []byte) milter.HeloReply { return say[milter.HeloReply](s.helo) },
			Mail:    func(context.Context, *milter.Mail) milter.MailReply { return say[milter.MailReply](s.mail) },
			Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
				return say[milter.RcptReply](s.rcpt[(r.Local()[0]|' ')-'a'])
			},
			Data:   func(context.Context) milter.DataReply { return say[milter.DataReply](s.data) },
			Header: func(context.Context, *milter.Header) milter.HeaderReply { return milter.Continue },
			End: func(_ context.Context, e *milter.Edits) milter.EndReply {
				for _, o := range s.edits {
					if err := o.do(e); err != nil {
						panic(err)
					}
				}
				return say[milter.EndReply](s.end)
			},
			LeadingSpace: true,
		}
	}}
}

// filter makes a filter of a chain of it.
func (s script) filter(name string) *filter.Filter {
	return &filter.Filter{
		Name:  name,
		Needs: filter.Needs{Header: true, Body: true, Actions: milter.AllEdits},
		Connect: func(context.Context, *filter.Connection) (milter.ConnectReply, error) {
			return say[milter.ConnectReply](s.connect), nil
		},
		Helo: func(context.Context, *filter.Connection) (milter.HeloReply, error) {
			return say[milter.HeloReply](s.helo), nil
		},
		Mail: func(context.Context, *filter.Transaction) (milter.MailReply, error) {
			return say[milter.MailReply](s.mail), nil
		},
		Rcpt: func(_ context.Context, _ *filter.Transaction, to filter.Path) (milter.RcptReply, error) {
			return say[milter.RcptReply](s.rcpt[(to.Local[0]|' ')-'a']), nil
		},
		Data: func(context.Context, *filter.Transaction) (milter.DataReply, error) {
			return say[milter.DataReply](s.data), nil
		},
		Message: func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			for _, o := range s.edits {
				if err := o.do(e); err != nil {
					return nil, err
				}
			}
			return say[milter.EndReply](s.end), nil
		},
	}
}

// chain makes one milter of several scripts. It keeps what is left without recipients,
// which separate milters do not have to.
func chainOf(originals *quarantine.Store, scripts []script) *milter.Server {
	c := &filter.Chain{Immediate: true, Originals: originals, Explain: func(*filter.Explanation) {}}
	for i, s := range scripts {
		c.Steps = append(c.Steps, filter.Step{Filter: s.filter(fmt.Sprint("f", i))})
	}
	return &milter.Server{New: c.Hooks}
}

var anOp = rapid.Custom(func(t *rapid.T) op {
	what := rapid.SampledFrom([]string{"add", "insert", "change", "delete", "change", "delete", "addrcpt", "delrcpt", "from", "body", "quarantine"}).Draw(t, "edit")
	o := op{what: what}
	switch what {
	case "add", "insert", "change", "delete":
		o.name = rapid.SampledFrom([]string{"X-A", "X-B", "x-a", "Subject", "Received", "New", "Date"}).Draw(t, "name")
		o.value = rapid.SampledFrom([]string{"1", "two words", "folded\n line", "  spaced"}).Draw(t, "value")
		o.n = rapid.IntRange(0, 6).Draw(t, "n")
		if what == "change" || what == "delete" {
			o.n = max(o.n, 1)
		}
	case "addrcpt":
		o.value = rapid.SampledFrom([]string{"a@example.net", "new@example.org", "NEW@example.org", "other@example.org"}).Draw(t, "address")
		o.name = rapid.SampledFrom([]string{"", "", "NOTIFY=NEVER"}).Draw(t, "params")
	case "delrcpt":
		o.value = rapid.SampledFrom([]string{"a@example.net", "<b@example.net>", "new@example.org", "A@example.net"}).Draw(t, "address")
	case "from":
		o.value = rapid.SampledFrom([]string{"", "changed@example.org"}).Draw(t, "address")
		o.name = rapid.SampledFrom([]string{"", "RET=HDRS"}).Draw(t, "params")
	case "body":
		o.value = rapid.SampledFrom([]string{"new body\r\n", "", "other\r\n.\r\n"}).Draw(t, "body")
	case "quarantine":
		o.value = "odd"
	}
	return o
})

// aScript draws mostly scripts that let a message pass, so that the later stages
// are reached.
var aScript = rapid.Custom(func(t *rapid.T) script {
	word := func(stage string, odds int, words ...string) string {
		if rapid.IntRange(0, odds).Draw(t, stage) > 0 {
			return "continue"
		}
		return rapid.SampledFrom(words).Draw(t, stage+" reply")
	}
	s := script{
		connect: word("connect", 30, "accept", "reject", "tempfail", "550", "450", "421"),
		helo:    word("helo", 30, "accept", "reject", "tempfail", "550", "450", "421"),
		mail:    word("mail", 15, "accept", "discard", "reject", "tempfail", "550", "450", "554", "421"),
		data:    word("data", 15, "accept", "discard", "reject", "tempfail", "550", "450", "554", "421"),
		end:     word("end", 5, "accept", "discard", "reject", "tempfail", "550", "450", "554", "421"),
		edits:   rapid.SliceOfN(anOp, 0, 4).Draw(t, "edits"),
	}
	for i := range s.rcpt {
		s.rcpt[i] = word("rcpt", 10, "accept", "reject", "tempfail", "550", "450", "554", "421")
	}
	return s
})

// someRcpts are those of a client, who may name one twice.
var someRcpts = rapid.Custom(func(t *rapid.T) []string {
	rcpts := []string{"<a@example.net>", "<b@example.net>", "<c@example.net>"}
	more := rapid.SampledFrom([]string{"", "", "<a@example.net>", "<b@example.net>", "<A@example.net>"}).Draw(t, "once more")
	if more != "" {
		rcpts = slices.Insert(rcpts, rapid.IntRange(0, len(rcpts)).Draw(t, "place"), more)
	}
	return rcpts
})

const aMessage = "X-A: one\r\nSubject: hello\r\nX-A:two\r\nx-a:  three\r\nX-B: folded\r\n\tline\r\nReceived: from elsewhere\r\nTo: b@example.net\r\nX-A: four\r\n\r\nbody\r\n"

var ref = regexp.MustCompile(` \(ref [2-9a-z]{10}\)`)

// seen is what the SMTP client and the recipients see of a message.
func seen(r *mta.Result) string {
	var b strings.Builder
	b.WriteString(r.Verdict.String())
	if r.Reply != nil {
		fmt.Fprintf(&b, " %s", r.Reply)
	}
	if r.Quarantine != nil {
		fmt.Fprintf(&b, " held")
	}
	for _, to := range r.Recipients {
		fmt.Fprintf(&b, "\n%s", to.Address)
		if to.Reply != nil {
			fmt.Fprintf(&b, " %s", to.Reply)
		}
	}
	fmt.Fprintf(&b, "\n%s %v %v\n%s", r.Envelope.From, r.Envelope.FromArgs, r.Envelope.Rcpts, r.Message.Bytes())
	return ref.ReplaceAllString(b.String(), "")
}

// A chain gives what its filters give as separate milters of Postfix: the same
// replies and the same message.
func TestChainIsTheSameAsSeparateMilters(t *testing.T) {
	originals := openStore(t, quarantine.Options{})
	rapid.Check(t, func(t *rapid.T) {
		rcpts := someRcpts.Draw(t, "recipients")
		scripts := rapid.SliceOfN(aScript, 1, 4).Draw(t, "scripts")
		var results [2]string
		for i, servers := range [][]*milter.Server{serversOf(scripts), {chainOf(originals, scripts)}} {
			client := &mta.Client{Profile: mta.Postfix, Received: true, QueueID: func() string { return "Q" }, Hostname: "mx.example.net",
				Now: func() time.Time { return time.Unix(1e9, 0) }}
			stop := attach(t, client, servers)
			r, err := client.Send(context.Background(), mta.Mail{
				Conn: mta.Conn{Name: "client.example", Addr: netip.MustParseAddrPort("192.0.2.1:25")}, Helo: "client.example",
				From: "<sender@example.com>", Rcpts: rcpts, Data: []byte(aMessage),
			})
			stop()
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Faults) > 0 {
				t.Fatalf("faults %v", r.Faults)
			}
			results[i] = seen(r)
		}
		if results[0] != results[1] {
			t.Errorf("scripts %+v\nseparate milters: %s\nchain: %s", scripts, results[0], results[1])
		}
	})
}

func serversOf(scripts []script) (servers []*milter.Server) {
	for _, s := range scripts {
		servers = append(servers, s.server())
	}
	return servers
}

// attach makes servers the client's milters, in memory.
func attach(t interface{ Fatal(...any) }, c *mta.Client, servers []*milter.Server) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done []chan error
	for i, s := range servers {
		ln := &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
		end := make(chan error, 1)
		done = append(done, end)
		go func() { end <- s.Serve(ctx, ln) }()
		c.Milters = append(c.Milters, mta.Milter{Name: fmt.Sprint("m", i), Dial: ln.dial})
	}
	return func() {
		cancel()
		for _, end := range done {
			<-end
		}
	}
}

// memory is a listener without a socket.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (m *memory) dial(ctx context.Context) (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case m.conns <- b:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}
func (m *memory) Close() error   { close(m.closed); return nil }
func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }
