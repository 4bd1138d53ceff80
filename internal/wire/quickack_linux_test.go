package wire

import (
	"bytes"
	"net"
	"syscall"
	"testing"
	"time"
)

// quickAck reports whether the socket acknowledges at once what it receives,
// rather than with an answer (tcp(7), TCP_QUICKACK).
func quickAck(t *testing.T, c *Conn) (quick bool) {
	t.Helper()
	if err := c.sock.raw.Control(func(fd uintptr) {
		v, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK)
		if err != nil {
			t.Fatal(err)
		}
		quick = v != 0
	}); err != nil {
		t.Fatal(err)
	}
	return quick
}

// delayAcks brings the socket to where a busy conversation brings it: it holds
// acknowledgements back for 40 ms in the hope of an answer to carry them.
func delayAcks(t *testing.T, c *Conn) {
	t.Helper()
	if err := c.sock.raw.Control(func(fd uintptr) {
		if err := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 0); err != nil {
			t.Fatal(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// A peer with Nagle's algorithm on holds the command behind a macro packet until
// the macro packet is acknowledged. The Conn must do that before it waits.
func TestConnAcknowledgesBeforeItWaits(t *testing.T) {
	const macro = "\x00\x00\x00\x02DH"
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, c *Conn, peer net.Conn)
		want bool
	}{
		{"nothing came", func(*testing.T, *Conn, net.Conn) {}, false},
		{"macros came", func(t *testing.T, c *Conn, peer net.Conn) {
			send(t, peer, macro)
			if cmd, _, err := c.Next(); cmd != CmdMacro || err != nil {
				t.Fatalf("Next = %q, %v, want MACRO", cmd, err)
			}
		}, true},
		{"half a frame came", func(t *testing.T, c *Conn, peer net.Conn) {
			send(t, peer, macro[:3])
			if err := c.Reader.fill(); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"command came and was answered by Flush", func(t *testing.T, c *Conn, peer net.Conn) {
			send(t, peer, "\x00\x00\x00\x01T")
			c.Next()
			c.SetOut(AppendFrame(c.Out(), ReplyContinue, ""))
			if err := c.Flush(); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"command came and was answered by WriteBuffers", func(t *testing.T, c *Conn, peer net.Conn) {
			send(t, peer, "\x00\x00\x00\x01T")
			c.Next()
			if err := c.WriteBuffers(&net.Buffers{AppendFrame(nil, ReplyContinue, "")}); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"macros came behind an answer", func(t *testing.T, c *Conn, peer net.Conn) {
			c.Write(AppendFrame(nil, ReplyContinue, ""))
			send(t, peer, macro)
			c.Next()
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := networks[1].pair(t)
			c := NewConn(near, DataSize64K, 0, 0)
			delayAcks(t, c)
			tt.do(t, c, far)
			delayAcks(t, c)
			poll(t, c)
			if got := quickAck(t, c); got != tt.want {
				t.Errorf("acknowledges at once: %v, want %v", got, tt.want)
			}
			delayAcks(t, c)
			poll(t, c)
			if quickAck(t, c) {
				t.Error("acknowledges again what it has acknowledged")
			}
		})
	}
}

func TestConnExchangesWithNagle(t *testing.T) {
	near, far := networks[1].pair(t)
	if err := far.(*net.TCPConn).SetNoDelay(false); err != nil {
		t.Fatal(err)
	}
	c, peer := NewConn(near, DataSize64K, time.Minute, time.Minute), NewConn(far, DataSize64K, time.Minute, time.Minute)
	go func() {
		for {
			for range 2 {
				if _, _, err := c.Next(); err != nil {
					return
				}
			}
			c.Write(AppendFrame(nil, ReplyContinue, ""))
		}
	}()
	for i := range 20 {
		if err := peer.Write(AppendFrame(nil, CmdMacro, "H")); err != nil {
			t.Fatal(err)
		}
		if err := peer.Write(AppendFrame(nil, CmdHelo, "c.example.net\x00")); err != nil {
			t.Fatal(err)
		}
		if cmd, _, err := peer.Next(); cmd != ReplyContinue || err != nil {
			t.Fatalf("answer %d = %q, %v, want CONTINUE", i, cmd, err)
		}
	}
}

func TestConnWriteBuffersIsOneSystemCall(t *testing.T) {
	// A socket of this kind keeps the border of each write.
	near, far := socketpair(t, syscall.SOCK_SEQPACKET)
	c := NewConn(near, DataSize64K, 0, 0)
	c.SetOut(AppendFrame(c.Out(), ReplyProgress, ""))
	bufs := net.Buffers{[]byte("\x00\x00\x00\x09b"), []byte("body"), []byte("body")}
	if err := c.WriteBuffers(&bufs); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	n, err := far.Read(got)
	if want := []byte("\x00\x00\x00\x01p\x00\x00\x00\x09bbodybody"); err != nil || !bytes.Equal(got[:n], want) {
		t.Errorf("first write is %q, %v, want %q", got[:n], err, want)
	}
}

// BenchmarkConnSplitCommand is the exchange of a peer with Nagle's algorithm that
// writes macros and command apart: 40 ms each where acknowledgements are late.
func BenchmarkConnSplitCommand(b *testing.B) {
	near, far := networks[1].pair(b)
	far.(*net.TCPConn).SetNoDelay(false)
	benchExchange(b, near, far, unhex(b, "00000002 44 48"), unhex(b, "0000000f 48 632e6578616d706c652e6e657400"))
}
