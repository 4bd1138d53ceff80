package peertest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A Sink is an SMTP server that takes every mail and keeps it, as it came over
// the wire. It offers PIPELINING, SIZE, ENHANCEDSTATUSCODES, 8BITMIME, SMTPUTF8
// and DSN.
type Sink struct {
	Addr string // host:port

	ln     net.Listener
	cancel context.CancelFunc
	done   chan struct{} // closed when Serve's work is over

	mu     sync.Mutex
	mails  []*Mail       // those nobody has taken
	came   chan struct{} // closed at the next mail; nil while nobody waits
	answer func(verb, arg string) string
}

// A Mail is one message as the sink received it.
type Mail struct {
	Helo  string // the argument of EHLO or HELO
	From  Path
	Rcpts []Path // accepted ones, in their order
	Data  []byte // header and body with all line ends as sent; SMTP's dots taken out
}

// A Path is the argument of MAIL or RCPT.
type Path struct {
	Addr   string   // without the angle brackets
	Params []string // such as BODY=8BITMIME
}

// Header returns the fields of the message.
func (m *Mail) Header() Header {
	h, _ := splitMessage(m.Data)
	return h
}

// Body returns what follows the first empty line.
func (m *Mail) Body() []byte {
	_, body := splitMessage(m.Data)
	return body
}

// To returns the recipients' addresses in their order.
func (m *Mail) To() []string {
	var out []string
	for _, p := range m.Rcpts {
		out = append(out, p.Addr)
	}
	return out
}

// StartSink starts a sink on a free port of 127.0.0.1 that ends with the test.
func StartSink(t testing.TB) *Sink {
	t.Helper()
	s, err := startSink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func startSink() (*Sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("peertest: sink: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sink{Addr: ln.Addr().String(), ln: ln, cancel: cancel, done: make(chan struct{})}
	go s.serve(ctx)
	return s, nil
}

func (s *Sink) stop() {
	s.cancel()
	<-s.done
}

// Answer makes f answer commands: what it returns, one line or several joined by
// "\r\n", is sent in place of the sink's own reply, and an empty string leaves it.
// verb is EHLO, HELO, MAIL, RCPT, DATA, RSET, NOOP or QUIT in capitals, or "." for
// the end of a message; arg is the rest of the line (for "." empty). A command
// answered with anything but 2xx or 3xx has no effect. A nil f ends it.
func (s *Sink) Answer(f func(verb, arg string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// Wait returns the next n mails that nobody has taken yet, in the order they
// came, waiting for them if need be. When ctx is done first it returns an error
// and takes none.
func (s *Sink) Wait(ctx context.Context, n int) ([]*Mail, error) {
	for {
		mails, have, came := s.take(n)
		if mails != nil {
			return mails, nil
		}
		select {
		case <-came:
		case <-ctx.Done():
			return nil, fmt.Errorf("peertest: sink has %d of %d mails: %w", have, n, context.Cause(ctx))
		}
	}
}

func (s *Sink) take(n int) (mails []*Mail, have int, came <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mails) >= n {
		mails, s.mails = s.mails[:n:n], s.mails[n:]
		return mails, n, nil
	}
	if s.came == nil {
		s.came = make(chan struct{})
	}
	return nil, len(s.mails), s.came
}

// Next returns the next mail, or fails the test when none comes in 20 seconds.
func (s *Sink) Next(t testing.TB) *Mail {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	mails, err := s.Wait(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	return mails[0]
}

// Take returns the mails that are there and were not taken yet, perhaps none.
// After [MTA.Settle] these are all that will come.
func (s *Sink) Take() []*Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	mails := s.mails
	s.mails = nil
	return mails
}

func (s *Sink) keep(m *Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
	if s.came != nil {
		close(s.came)
		s.came = nil
	}
}

func (s *Sink) serve(ctx context.Context) {
	defer close(s.done)
	defer context.AfterFunc(ctx, func() { s.ln.Close() })()
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		conns.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			s.talk(c)
		})
	}
}

// reply is what a command is answered with: by the test, or by what the sink
// says on its own.
func (s *Sink) reply(verb, arg, own string) string {
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		if r := answer(verb, arg); r != "" {
			return r
		}
	}
	return own
}

// talk is one SMTP session. It ends when the client leaves or breaks off.
func (s *Sink) talk(c net.Conn) {
	r := bufio.NewReaderSize(c, 64<<10)
	say := func(verb, arg, own string) bool { // whether the command takes effect
		reply := s.reply(verb, arg, own)
		io.WriteString(c, reply+"\r\n")
		return reply[0] == '2' || reply[0] == '3'
	}
	var m *Mail // nil outside a transaction
	var helo string
	io.WriteString(c, "220 sink.peers.test ESMTP\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, arg, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch verb = strings.ToUpper(verb); {
		case verb == "EHLO":
			helo, m = arg, nil
			say(verb, arg, "250-sink.peers.test\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n"+
				"250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN")
		case verb == "HELO":
			helo, m = arg, nil
			say(verb, arg, "250 sink.peers.test")
		case verb == "MAIL" && m == nil:
			if say(verb, arg, "250 2.1.0 ok") {
				m = &Mail{Helo: helo, From: parsePath(arg)}
			}
		case verb == "RCPT" && m != nil:
			if say(verb, arg, "250 2.1.5 ok") {
				m.Rcpts = append(m.Rcpts, parsePath(arg))
			}
		case verb == "DATA" && m != nil && len(m.Rcpts) > 0:
			if !say(verb, arg, "354 go ahead") {
				break
			}
			if m.Data, err = readData(r); err != nil {
				return
			}
			reply := s.reply(".", "", "250 2.0.0 kept")
			if reply[0] == '2' {
				s.keep(m) // before the reply: who has read the 250 finds the mail
			}
			io.WriteString(c, reply+"\r\n")
			m = nil
		case verb == "MAIL", verb == "RCPT", verb == "DATA":
			say(verb, arg, "503 5.5.1 not now")
		case verb == "RSET":
			m = nil
			say(verb, arg, "250 2.0.0 ok")
		case verb == "NOOP":
			say(verb, arg, "250 2.0.0 ok")
		case verb == "QUIT":
			say(verb, arg, "221 2.0.0 bye")
			return
		default:
			say(verb, arg, "500 5.5.1 unknown command")
		}
	}
}

// readData reads a message up to its final dot. Only CRLF ends a line here, so a
// bare LF, and a dot behind one, stay in the message.
func readData(r *bufio.Reader) ([]byte, error) {
	var data []byte
	start := true // at the start of a line
	for {
		piece, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if start && string(piece) == ".\r\n" {
			return data, nil
		}
		if start && piece[0] == '.' {
			piece = piece[1:]
		}
		data = append(data, piece...)
		start = bytes.HasSuffix(data, []byte("\r\n"))
	}
}

var pathPattern = regexp.MustCompile(`^(?i:FROM|TO):\s*<((?:"(?:[^"\\]|\\.)*"|[^>"])*)>\s*(.*)$`)

// parsePath reads "FROM:<a@b.example> SIZE=100".
func parsePath(arg string) Path {
	if m := pathPattern.FindStringSubmatch(arg); m != nil {
		return Path{Addr: m[1], Params: strings.Fields(m[2])}
	}
	return Path{Addr: arg}
}
