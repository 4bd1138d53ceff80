// Package fakemx is mail servers for tests, of which each does what its script says, and
// fleets of them, behind a dialer that reaches nothing else.
package fakemx

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/memconn"
)

// A Script is what a server does. The zero value accepts everything.
type Script struct {
	Name     string   // what the server calls itself; empty means mx.example.com
	Greeting string   // said instead of the usual one, as it is
	Offers   []string // extensions, beside STARTTLS
	TLS      TLS

	// On is asked about each command, and returns the reply as it goes out, or "" for
	// the usual one. It may do otherwise to the connection itself. Within a message, and
	// at its end, the line is "." with what was read in Session.Message.
	On func(s *Session, line string) (reply string)
}

// TLS is how a server does STARTTLS.
type TLS int

// What there is. Mute servers take the command and never shake hands.
const (
	NoTLS TLS = iota
	GoodTLS
	RefusedTLS
	BrokenTLS
	MuteTLS
	InjectedTLS // what is behind STARTTLS in the clear stands before the handshake
)

// A Session is a connection of a client.
type Session struct {
	net.Conn  // may be TLS
	Encrypted bool
	From      string // argument of MAIL
	Rcpts     []string
	Message   []byte // as it came, dots undone
}

// Say writes text as it is.
func (s *Session) Say(text string) { io.WriteString(s.Conn, text) }

// Stall waits until the client goes.
func (s *Session) Stall() string {
	io.Copy(io.Discard, s.Conn)
	return ""
}

// Drip says text a byte at a time, with pauses, until the client goes.
func (s *Session) Drip(text string, pause time.Duration) string {
	for i := range len(text) {
		if _, err := io.WriteString(s.Conn, text[i:i+1]); err != nil {
			break
		}
		time.Sleep(pause)
	}
	return ""
}

// Endless says line again and again until the client goes.
func (s *Session) Endless(line string) string {
	for {
		if _, err := io.WriteString(s.Conn, line); err != nil {
			return ""
		}
	}
}

// HangUp closes the connection.
func (s *Session) HangUp() string {
	s.Close()
	return ""
}

// A Fleet is servers by address.
type Fleet struct {
	t      testing.TB
	memory bool
	hosts  map[netip.AddrPort]*Host

	mu     sync.Mutex
	dialed []netip.AddrPort
	wg     sync.WaitGroup
}

// New returns a fleet whose servers listen on loopback. They are gone with the test.
func New(t testing.TB) *Fleet { return newFleet(t, false) }

// InMemory returns a fleet reached through memory, for tests with the clock of a
// testing/synctest bubble. It is to be awaited within the bubble, with Wait.
func InMemory(t testing.TB) *Fleet { return newFleet(t, true) }

func newFleet(t testing.TB, memory bool) *Fleet {
	f := &Fleet{t: t, memory: memory, hosts: make(map[netip.AddrPort]*Host)}
	if !memory {
		t.Cleanup(f.Wait)
	}
	return f
}

// Wait waits until all sessions have ended, as they do when their clients are gone.
func (f *Fleet) Wait() {
	for _, h := range f.hosts {
		if h.ln != nil {
			h.ln.Close()
		}
	}
	f.wg.Wait()
}

// A Host is a server of a fleet.
type Host struct {
	script Script
	ln     net.Listener
	state  state

	mu       sync.Mutex
	commands []string
	sessions int
}

// state is whether a host can be reached.
type state int

const (
	up state = iota
	down
	silent
)

// Add adds a server at an address of the fleet, as "192.0.2.1:25".
func (f *Fleet) Add(addr string, s Script) *Host { return f.add(addr, s, up) }

// Dead adds an address that refuses connections.
func (f *Fleet) Dead(addr string) *Host { return f.add(addr, Script{}, down) }

// Silent adds an address at which nothing answers.
func (f *Fleet) Silent(addr string) *Host { return f.add(addr, Script{}, silent) }

func (f *Fleet) add(addr string, s Script, st state) *Host {
	f.t.Helper()
	if s.Name == "" {
		s.Name = "mx.example.com"
	}
	h := &Host{script: s, state: st}
	f.hosts[netip.MustParseAddrPort(addr)] = h
	if st == up && !f.memory {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			f.t.Fatal(err)
		}
		h.ln = ln
		f.wg.Go(func() {
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				f.wg.Go(func() { h.serve(nc) })
			}
		})
	}
	return h
}

// Addr returns where a host listens on loopback.
func (h *Host) Addr() netip.AddrPort { return netip.MustParseAddrPort(h.ln.Addr().String()) }

// Commands returns what the host was told, by all clients.
func (h *Host) Commands() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.commands)
}

// Sessions returns how many connections there were.
func (h *Host) Sessions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions
}

// Dial connects to a server of the fleet. That anything else is called fails the test.
func (f *Fleet) Dial(ctx context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	f.mu.Lock()
	f.dialed = append(f.dialed, to)
	f.mu.Unlock()
	h := f.hosts[to]
	switch {
	case h == nil:
		f.t.Errorf("called %v, which is not of the fleet", to)
		return nil, syscall.ENETUNREACH
	case h.state == down:
		return nil, syscall.ECONNREFUSED
	case h.state == silent:
		<-ctx.Done()
		return nil, ctx.Err()
	case f.memory:
		ours, theirs := memconn.Pipe(to.String())
		f.wg.Go(func() { h.serve(theirs) })
		return ours, nil
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", h.ln.Addr().String())
}

// Dialed returns the addresses that were called, in order.
func (f *Fleet) Dialed() []netip.AddrPort {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.dialed)
}

func (h *Host) serve(nc net.Conn) {
	defer nc.Close()
	h.mu.Lock()
	h.sessions++
	h.mu.Unlock()
	s := &Session{Conn: nc}
	greeting := h.script.Greeting
	if greeting == "" {
		greeting = "220 " + h.script.Name + " ESMTP\r\n"
	}
	s.Say(greeting)
	r := bufio.NewReader(nc)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		h.mu.Lock()
		h.commands = append(h.commands, line)
		h.mu.Unlock()
		verb, arg, _ := strings.Cut(line, " ")
		reply := ""
		if h.script.On != nil {
			reply = h.script.On(s, line)
		}
		if reply == "" {
			reply = h.usual(verb)
		}
		if ok := reply[0] == '2'; ok && verb == "MAIL" {
			s.From, s.Rcpts = arg, nil
		} else if ok && verb == "RCPT" {
			s.Rcpts = append(s.Rcpts, arg)
		}
		if _, err := io.WriteString(s.Conn, reply); err != nil {
			return
		}
		switch {
		case verb == "QUIT":
			return
		case verb == "STARTTLS" && reply[:3] == "220":
			tc, ok := h.shake(s)
			if !ok {
				return
			}
			s.Conn, s.Encrypted, r = tc, true, bufio.NewReader(tc)
		case verb == "DATA" && reply[:3] == "354":
			if !h.content(s, r) {
				return
			}
		}
	}
}

func (h *Host) content(s *Session, r *bufio.Reader) bool {
	s.Message = nil
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		s.Message = append(s.Message, strings.TrimPrefix(line, ".")...)
	}
	reply := ""
	if h.script.On != nil {
		reply = h.script.On(s, ".")
	}
	if reply == "" {
		reply = "250 2.0.0 queued\r\n"
	}
	s.Say(reply)
	return true
}

func (h *Host) usual(verb string) string {
	switch strings.ToUpper(verb) {
	case "EHLO":
		lines := append([]string{h.script.Name + " greets you"}, h.script.Offers...)
		if h.script.TLS != NoTLS {
			lines = append(lines, "STARTTLS")
		}
		reply := ""
		for i, line := range lines {
			sep := "-"
			if i == len(lines)-1 {
				sep = " "
			}
			reply += "250" + sep + line + "\r\n"
		}
		return reply
	case "HELO":
		return "250 " + h.script.Name + "\r\n"
	case "STARTTLS":
		switch h.script.TLS {
		case RefusedTLS:
			return "454 4.7.0 TLS not available\r\n"
		case InjectedTLS:
			return "220 go ahead\r\n250 mx.example.com\r\n"
		}
		return "220 2.0.0 go ahead\r\n"
	case "MAIL", "RCPT", "RSET":
		return "250 2.1.0 ok\r\n"
	case "DATA":
		return "354 go ahead\r\n"
	case "QUIT":
		return "221 2.0.0 bye\r\n"
	}
	return "500 5.5.1 what?\r\n"
}

func (h *Host) shake(s *Session) (*tls.Conn, bool) {
	switch h.script.TLS {
	case BrokenTLS:
		s.Read(make([]byte, 1024)) // the client's hello
		s.Say("this is no TLS\r\n")
		s.Stall()
		return nil, false
	case MuteTLS:
		s.Stall()
		return nil, false
	}
	cert, err := certificate()
	if err != nil {
		return nil, false
	}
	tc := tls.Server(s.Conn, &tls.Config{Certificates: []tls.Certificate{cert}})
	return tc, tc.Handshake() == nil
}

// certificate is one that nobody would trust: it expired, is for another name, and signs itself.
var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"other.example"},
		NotBefore:    time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2002, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("fakemx: certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
})
