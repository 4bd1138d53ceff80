package srs

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrServerClosed is what [Server.Serve] returns after its context has ended.
var ErrServerClosed = errors.New("srs: server closed")

// Answers of a [Lookup] other than a value. Every other error is a temporary failure.
var (
	ErrNotFound  = errors.New("srs: not found") // the MTA leaves the address as it is
	ErrPermanent = errors.New("srs: permanent failure")
)

// A Lookup answers one question of a socket map: the value of a key. It must end when ctx does.
// What it returns besides [ErrNotFound] is shown to the MTA, and logged there.
type Lookup func(ctx context.Context, key string) (string, error)

// A Server answers socket-map queries, those of Sendmail's map class "socket" and Postfix's
// "socketmap:" (socketmap_table(5)): a netstring "NAME KEY" is answered by a netstring "OK VALUE",
// "NOTFOUND ", "TEMP REASON" or "PERM REASON", over and over on one connection. A map that does not
// exist and a request that is none are answered with PERM; after the latter the connection
// is closed, as nobody knows where the next request begins.
//
// The protocol has no authentication: its socket belongs in a directory of the MTA's, or on
// loopback. Fields must not change once Serve was called.
type Server struct {
	Maps       map[string]Lookup // by name
	MaxRequest int               // octets of a request; 0 means 4096
	MaxConns   int               // connections over this are closed at once; 0 means 500
	// Timeout is how long a request may take from its first octet, its lookup, and the
	// writing of its reply; 0 means 10 s. Idle is how long a connection may be silent; 0
	// means 10 minutes, as MTAs keep theirs.
	Timeout, Idle time.Duration
	Log           *slog.Logger // nil means slog.Default()
}

// Serve answers the connections of ln until ctx ends, and then returns [ErrServerClosed]. It
// closes ln, and returns when the last connection's goroutine has ended: a request that is
// being answered still gets its reply. Any other error is one of accepting.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before the wait: when accepting fails the connections end too
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer ln.Close()
	slots := make(chan struct{}, cmp.Or(s.MaxConns, 500))
	var wait time.Duration
	for {
		nc, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				nc.Close()
			}
			return ErrServerClosed
		case err != nil:
			// A lack of descriptors or memory passes.
			if errno, ok := errors.AsType[syscall.Errno](err); !ok || !errno.Temporary() && errno != syscall.ENOBUFS && errno != syscall.ENOMEM {
				return fmt.Errorf("srs: accept on %v: %w", ln.Addr(), err)
			}
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.log().WarnContext(ctx, "accept failed", "err", err, "wait", wait)
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
			continue
		}
		wait = 0
		select {
		case slots <- struct{}{}:
			conns.Go(func() {
				defer func() { <-slots }()
				s.serveConn(ctx, nc)
			})
		default:
			nc.Close()
			s.log().WarnContext(ctx, "too many socket-map connections", "limit", cap(slots))
		}
	}
}

func (s *Server) log() *slog.Logger { return cmp.Or(s.Log, slog.Default()) }

func (s *Server) serveConn(ctx context.Context, nc net.Conn) {
	defer nc.Close()
	// Ends a read that waits. The loop asks ctx after each new deadline, so none outlives it.
	defer context.AfterFunc(ctx, func() { nc.SetReadDeadline(time.Unix(1, 0)) })()
	timeout, idle := cmp.Or(s.Timeout, 10*time.Second), cmp.Or(s.Idle, 10*time.Minute)
	r := bufio.NewReaderSize(nc, 512)
	for {
		nc.SetReadDeadline(time.Now().Add(idle))
		if ctx.Err() != nil {
			return
		}
		if _, err := r.Peek(1); err != nil {
			return // gone, or silent for too long
		}
		nc.SetReadDeadline(time.Now().Add(timeout))
		if ctx.Err() != nil {
			return
		}
		request, err := readNetstring(r, cmp.Or(s.MaxRequest, 4096))
		var reply string
		switch {
		case err == nil:
			reply = s.answer(ctx, timeout, string(request))
		case errors.Is(err, errNetstring):
			reply = "PERM not a request"
			s.log().WarnContext(ctx, "bad socket-map request", "err", err)
		default:
			return
		}
		nc.SetWriteDeadline(time.Now().Add(timeout))
		if _, werr := nc.Write(appendNetstring(nil, reply)); werr != nil || err != nil {
			discard(nc)
			return
		}
	}
}

// discard lets the peer read the last reply: closing with unread input would reset
// the connection under it.
func discard(nc net.Conn) {
	if c, ok := nc.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		nc.SetReadDeadline(time.Now().Add(time.Second))
		io.CopyN(io.Discard, nc, 1<<20)
	}
}

// answer returns the reply to one request.
func (s *Server) answer(ctx context.Context, timeout time.Duration, request string) (reply string) {
	name, key, ok := strings.Cut(request, " ")
	if !ok {
		return "PERM not a request"
	}
	lookup := s.Maps[name]
	if lookup == nil {
		s.log().WarnContext(ctx, "no such socket map", "map", clean(name))
		return "PERM no such map"
	}
	defer func() {
		if p := recover(); p != nil {
			s.log().ErrorContext(ctx, "socket map panicked", "map", name, "err", p, "stack", string(debug.Stack()))
			reply = "TEMP internal error"
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	value, err := lookup(ctx, key)
	switch {
	case err == nil && clean(value) != value:
		s.log().ErrorContext(ctx, "socket map returned control characters", "map", name)
		return "TEMP internal error"
	case err == nil:
		return "OK " + value
	case errors.Is(err, ErrNotFound):
		return "NOTFOUND "
	case errors.Is(err, ErrPermanent):
		return "PERM " + clean(err.Error())
	}
	return "TEMP " + clean(err.Error())
}

// clean returns text without control characters.
func clean(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c == 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}
