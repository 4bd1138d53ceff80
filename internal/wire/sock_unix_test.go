//go:build unix && !aix

package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A network makes a connected pair of sockets: one for a Conn, and its peer.
type network struct {
	name string
	pair func(t testing.TB) (near, far net.Conn)
}

var networks = []network{
	{"unix", func(t testing.TB) (near, far net.Conn) { return socketpair(t, syscall.SOCK_STREAM) }},
	{"tcp", func(t testing.TB) (near, far net.Conn) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if far, err = net.Dial("tcp", ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		if near, err = ln.Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { near.Close(); far.Close() })
		return near, far
	}},
}

func socketpair(t testing.TB, kind int) (near, far net.Conn) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socketpair")
		if ends[i], err = net.FileConn(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
		t.Cleanup(func() { ends[i].Close() })
	}
	return ends[0], ends[1]
}

// onSockets runs a test on a Conn of each network.
func onSockets(t *testing.T, f func(t *testing.T, c *Conn, peer net.Conn)) {
	for _, nw := range networks {
		t.Run(nw.name, func(t *testing.T) {
			near, far := nw.pair(t)
			c := NewConn(near, DataSize64K, time.Minute, time.Minute)
			defer c.Close()
			if c.sock == nil {
				t.Fatal("the socket is not read as one")
			}
			f(t, c, far)
		})
	}
}

func send(t testing.TB, nc net.Conn, b string) {
	t.Helper()
	if _, err := io.WriteString(nc, b); err != nil {
		t.Fatal(err)
	}
}

// arrived waits until n bytes, or the end, stand unread in the socket.
func arrived(t testing.TB, c *Conn, n int) {
	t.Helper()
	b := make([]byte, n)
	err := c.sock.raw.Read(func(fd uintptr) bool {
		got, _, err := syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return got == 0 || got == n || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
	})
	if err != nil {
		t.Fatal(err)
	}
}

// poll makes the Conn do what it does in Next up to the wait for bytes.
func poll(t testing.TB, c *Conn) {
	t.Helper()
	c.sock.r = c.Reader
	if err := c.sock.raw.Control(func(fd uintptr) {
		if c.sock.tryRead(fd) {
			t.Error("bytes are there, want a wait")
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestConnHoldsNoBufferWhileItWaits(t *testing.T) {
	onSockets(t, func(t *testing.T, c *Conn, peer net.Conn) {
		poll(t, c)
		if c.Reader.lent != nil {
			t.Error("a buffer is held before the first frame")
		}
		send(t, peer, string(AppendFrame(nil, CmdBody, strings.Repeat("x", ChunkSize))))
		if _, p, err := c.Next(); len(p) != ChunkSize || err != nil {
			t.Fatalf("Next = %d bytes, %v", len(p), err)
		}
		if c.Reader.lent == nil {
			t.Error("the payload's buffer is given back while it is lent")
		}
		poll(t, c)
		if c.Reader.lent != nil {
			t.Error("a buffer is held behind a frame")
		}
		send(t, peer, "\x00\x00\x00\x05He")
		arrived(t, c, 6)
		c.Reader.fill()
		poll(t, c)
		if len(c.Reader.buf) != bufferSizes[0] {
			t.Errorf("a buffer of %d bytes is held for half a command", len(c.Reader.buf))
		}
		send(t, peer, "lo\x00")
		if cmd, p, err := c.Next(); cmd != CmdHelo || string(p) != "elo\x00" || err != nil {
			t.Errorf("Next = %q, %q, %v, want HELO elo", cmd, p, err)
		}
	})
}

func TestConnsThatDribbleHoldLittle(t *testing.T) {
	const conns = 50
	held, arrivedBytes := 0, 0
	for range conns {
		near, far := networks[0].pair(t)
		c := NewConn(near, DataSize1M, 0, 0)
		frame := AppendFrame(nil, CmdBody, strings.Repeat("x", ChunkSize))
		send(t, far, string(frame)) // makes the Conn expect as much
		if _, _, err := c.Next(); err != nil {
			t.Fatal(err)
		}
		for _, step := range []int{3, 100, 5000, 20000} {
			send(t, far, string(frame[:step]))
			frame = frame[step:]
			arrived(t, c, step)
			for unread := c.Reader.end - c.Reader.start; c.Reader.end-c.Reader.start < unread+step; {
				if err := c.Reader.fill(); err != nil {
					t.Fatal(err)
				}
			}
			poll(t, c)
			checkHeld(t, c.Reader)
		}
		held += len(c.Reader.buf)
		arrivedBytes += c.Reader.end - c.Reader.start
	}
	if held > 4*arrivedBytes {
		t.Errorf("%d connections hold %d bytes for %d that arrived", conns, held, arrivedBytes)
	}
}

func TestConnReadsWholeFramesFromSockets(t *testing.T) {
	onSockets(t, func(t *testing.T, c *Conn, peer net.Conn) {
		c.SetMax(DataSize1M)
		var in []byte
		sizes := []int{0, 1, 3000, ChunkSize, 10, DataSize256K, 0, DataSize1M, 5}
		for i, n := range sizes {
			in = AppendFrame(in, CmdBody, bytes.Repeat([]byte{byte(i)}, n))
		}
		go func() {
			for b, n := in, 1; len(b) > 0; b, n = b[min(n, len(b)):], n*3/2+1 {
				peer.Write(b[:min(n, len(b))])
				runtime.Gosched()
			}
			peer.Close()
		}()
		for i, n := range sizes {
			cmd, p, err := c.Next()
			if cmd != CmdBody || !bytes.Equal(p, bytes.Repeat([]byte{byte(i)}, n)) || err != nil {
				t.Fatalf("frame %d: %q, %d bytes, %v, want %d bytes", i, cmd, len(p), err, n)
			}
		}
		if _, _, err := c.Next(); err != io.EOF {
			t.Errorf("Next at the end = %v, want EOF", err)
		}
	})
}

func TestConnEndsInsideAFrame(t *testing.T) {
	onSockets(t, func(t *testing.T, c *Conn, peer net.Conn) {
		send(t, peer, "\x00\x00\x00\x05He")
		peer.Close()
		if _, _, err := c.Next(); err != io.ErrUnexpectedEOF {
			t.Errorf("Next = %v, want %v", err, io.ErrUnexpectedEOF)
		}
	})
}

func TestConnSocketReadTimeout(t *testing.T) {
	onSockets(t, func(t *testing.T, c *Conn, peer net.Conn) {
		c.SetReadTimeout(time.Millisecond)
		send(t, peer, "\x00\x00\x00\x05He")
		for range 2 {
			if _, _, err := c.Next(); !IsTimeout(err) {
				t.Errorf("Next of half a frame = %v, want a timeout", err)
			}
		}
		c.SetReadTimeout(time.Minute)
		send(t, peer, "lo\x00")
		if cmd, p, err := c.Next(); cmd != CmdHelo || string(p) != "elo\x00" || err != nil {
			t.Errorf("Next after the other half = %q, %q, %v, want HELO elo", cmd, p, err)
		}
		c.SetReadTimeout(time.Millisecond)
		if _, _, err := c.Next(); !IsTimeout(err) {
			t.Errorf("Next of nothing = %v, want a timeout", err)
		}
	})
}

func TestConnSocketWriteTimeout(t *testing.T) {
	for _, nw := range networks {
		t.Run(nw.name, func(t *testing.T) {
			near, _ := nw.pair(t)
			near.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(4096)
			c := NewConn(near, DataSize64K, 0, time.Millisecond)
			for range 10000 {
				c.SetOut(AppendFrame(c.Out(), ReplyReplaceBody, strings.Repeat("x", ChunkSize)))
				if err := c.Flush(); err != nil {
					if !IsTimeout(err) {
						t.Errorf("Flush to a peer that does not read = %v, want a timeout", err)
					}
					return
				}
			}
			t.Error("Flush to a peer that does not read never fails")
		})
	}
}

func TestConnNextEndsWhenTheSocketIsClosed(t *testing.T) {
	onSockets(t, func(t *testing.T, c *Conn, peer net.Conn) {
		done := make(chan error)
		go func() {
			_, _, err := c.Next()
			done <- err
		}()
		c.NetConn().Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Next = %v, want %v", err, net.ErrClosed)
		}
		if !gone(c) {
			t.Error("Gone = false for a closed connection")
		}
	})
}

// One goroutine reads while another writes and a third asks whether the peer is
// there; the race detector watches.
func TestConnReadsAndWritesAtOnce(t *testing.T) {
	onSockets(t, func(t *testing.T, c *Conn, peer net.Conn) {
		const n = 1000
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range n {
				if _, _, err := c.Next(); err != nil {
					t.Errorf("frame %d: %v", i, err)
					return
				}
			}
		})
		wg.Go(func() {
			for range n {
				c.SetOut(AppendFrame(c.Out(), ReplyContinue, ""))
				if err := c.Flush(); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for range n {
				if gone(c) {
					t.Error("Gone = true, but nobody left")
					return
				}
			}
		})
		wg.Go(func() { io.CopyN(io.Discard, peer, n*HeadSize) })
		for range n {
			send(t, peer, "\x00\x00\x00\x06B\x00\x00\x00\x01") // frames that hold most of an ABORT
			send(t, peer, "A")
		}
		wg.Wait()
	})
}

func TestConnGone(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sent  string
		read  int // frames that Next returns before the question
		then  string
		close bool
		want  bool
	}{
		{"nothing pending", "", 0, "", false, false},
		{"answered a command", "\x00\x00\x00\x01T", 1, "", false, false},
		{"command pending", "", 0, "\x00\x00\x00\x01T", false, false},
		{"half a frame pending", "", 0, "\x00\x00\x00\x01", false, false},
		{"closed", "", 0, "", true, true},
		{"closed behind a frame", "\x00\x00\x00\x01T", 1, "", true, true},
		{"ABORT pending", "\x00\x00\x00\x01T", 1, "\x00\x00\x00\x01A", false, true},
		{"ABORT and QUIT pending", "\x00\x00\x00\x01T", 1, "\x00\x00\x00\x01A\x00\x00\x00\x01Q", false, true},
		{"QUIT pending", "\x00\x00\x00\x01T", 1, "\x00\x00\x00\x01Q", false, true},
		{"QUIT pending before anything was read", "", 0, "\x00\x00\x00\x01Q", false, true},
		{"QUIT_NC pending", "", 0, "\x00\x00\x00\x01K", false, false},
		{"ABORT with a payload, nobody's", "", 0, "\x00\x00\x00\x02Ax", false, false},
		{"body that begins like ABORT", "", 0, "\x00\x00\x00\x06BA", false, false},
		{"several frames read, then QUIT", "\x00\x00\x00\x01T\x00\x00\x00\x01N\x00\x00\x00\x01N", 3, "\x00\x00\x00\x01Q", false, true},
		{"body cut in two before what looks like QUIT", "\x00\x00\x00\x01N\x00\x00\x00\x08Bx", 1, "\x00\x00\x00\x01Q\x00", false, false},
		{"the same body read whole", "\x00\x00\x00\x01N\x00\x00\x00\x07Bx\x00\x00\x00\x01Q", 2, "\x00\x00\x00\x01Q", false, true},
		{"closed in the middle of a body", "\x00\x00\x00\x01N\x00\x00\x00\x08Bx", 1, "", true, true},
		{"frame behind in the Reader", "\x00\x00\x00\x01N\x00\x00\x00\x01N", 1, "\x00\x00\x00\x01Q", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onSockets(t, func(t *testing.T, c *Conn, peer net.Conn) {
				if tt.sent != "" {
					send(t, peer, tt.sent)
					arrived(t, c, len(tt.sent))
				}
				for i := range tt.read {
					if _, _, err := c.Next(); err != nil {
						t.Fatalf("frame %d: %v", i, err)
					}
				}
				if tt.then != "" {
					send(t, peer, tt.then)
					arrived(t, c, len(tt.then))
				}
				if tt.close {
					peer.Close()
					arrived(t, c, 1)
				}
				for range 2 { // asking changes nothing
					if got := gone(c); got != tt.want {
						t.Errorf("Gone = %v, want %v", got, tt.want)
					}
				}
			})
		})
	}
}

func TestConnGoneAfterAReset(t *testing.T) {
	near, far := networks[1].pair(t)
	c := NewConn(near, DataSize64K, 0, 0)
	far.(*net.TCPConn).SetLinger(0)
	far.Close()
	arrived(t, c, 1)
	if !gone(c) {
		t.Error("Gone = false after a reset")
	}
}

func TestConnAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget under the race detector")
	}
	for _, nw := range networks {
		t.Run(nw.name, func(t *testing.T) {
			near, far := nw.pair(t)
			c, peer := NewConn(near, DataSize64K, time.Hour, time.Hour), NewConn(far, DataSize64K, time.Hour, time.Hour)
			macro := AppendFrame(nil, CmdMacro, "Ri\x00Q1\x00")
			// The second frame takes a larger buffer, the third waits for an answer.
			request := append(macro, AppendFrame(nil, CmdBody, strings.Repeat("x", 20<<10))...)
			go func() { // the MTA
				for {
					if peer.Write(request) != nil {
						return
					}
					if _, _, err := peer.Next(); err != nil {
						return
					}
				}
			}()
			exchange := func() {
				for range 2 {
					if _, _, err := c.Next(); err != nil {
						t.Fatal(err)
					}
				}
				c.SetOut(AppendFrame(c.Out(), ReplyContinue, ""))
				if err := c.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			if n := testing.AllocsPerRun(1000, exchange); n != 0 {
				t.Errorf("an exchange of commands and answer allocates %v times, want 0", n)
			}
			far.Close()
		})
	}
}

func BenchmarkConnExchange(b *testing.B) {
	for _, nw := range networks {
		b.Run(nw.name, func(b *testing.B) {
			near, far := nw.pair(b)
			benchExchange(b, near, far, append(unhex(b, "00000002 44 48"), unhex(b, "0000000f 48 632e6578616d706c652e6e657400")...))
		})
		b.Run(nw.name+" body", func(b *testing.B) {
			near, far := nw.pair(b)
			benchExchange(b, near, far, append(unhex(b, "0000000d 44 426900333238413846313400"), AppendFrame(nil, CmdBody, strings.Repeat("x", ChunkSize))...))
		})
	}
}

// benchExchange measures a macro packet, a command and its answer.
func benchExchange(b *testing.B, near, far net.Conn, requests ...[]byte) {
	c, peer := NewConn(near, DataSize64K, time.Hour, time.Hour), NewConn(far, DataSize64K, time.Hour, time.Hour)
	go func() {
		for {
			for _, r := range requests {
				if peer.Write(r) != nil {
					return
				}
			}
			if _, _, err := peer.Next(); err != nil {
				return
			}
		}
	}()
	n := 0
	for _, r := range requests {
		n += len(r)
	}
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		for range 2 {
			if _, _, err := c.Next(); err != nil {
				b.Fatal(err)
			}
		}
		c.SetOut(AppendFrame(c.Out(), ReplyContinue, ""))
		if err := c.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	near.Close()
	far.Close()
}
