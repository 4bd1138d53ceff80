package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// A countingConn counts the calls that cost a system call.
type countingConn struct {
	net.Conn
	reads, writes, readDeadlines, writeDeadlines int
	written                                      bytes.Buffer // instead of a peer, when Conn is nil
	err                                          error        // of writes
}

func (c *countingConn) Read(p []byte) (int, error) { c.reads++; return c.Conn.Read(p) }

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes++
	if c.Conn != nil {
		return c.Conn.Write(p)
	}
	if c.err != nil {
		return 0, c.err
	}
	return c.written.Write(p)
}

func (c *countingConn) SetReadDeadline(t time.Time) error {
	c.readDeadlines++
	if c.Conn != nil {
		return c.Conn.SetReadDeadline(t)
	}
	return c.err
}

func (c *countingConn) SetWriteDeadline(t time.Time) error {
	c.writeDeadlines++
	if c.Conn != nil {
		return c.Conn.SetWriteDeadline(t)
	}
	return nil
}

func TestConnFlushWritesManyFramesAtOnce(t *testing.T) {
	nc := &countingConn{}
	c := NewConn(nc, DataSize64K, 0, 0)
	var want []byte
	for i := range 100 {
		frame := AppendFrame(nil, ReplyAddHeader, AppendHeader(nil, "X-N", fmt.Sprint(i)))
		want = append(want, frame...)
		c.SetOut(append(c.Out(), frame...))
	}
	if nc.writes != 0 {
		t.Errorf("%d writes before Flush", nc.writes)
	}
	for range 2 { // nothing is left for the second
		if err := c.Flush(); err != nil || nc.writes != 1 || !bytes.Equal(nc.written.Bytes(), want) {
			t.Errorf("Flush = %v with %d writes of %d bytes, want one of %d", err, nc.writes, nc.written.Len(), len(want))
		}
	}
	if len(c.Out()) != 0 {
		t.Errorf("%d bytes are left after Flush", len(c.Out()))
	}
}

func TestConnKeepsOnlySmallOutput(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
		kept bool
	}{
		{"one verdict", 5, true},
		{"as much as is kept", outKept, true},
		{"body", ChunkSize, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewConn(&countingConn{}, DataSize64K, 0, 0)
			c.SetOut(make([]byte, tt.size))
			c.Flush()
			if kept := cap(c.Out()) > 0; kept != tt.kept || len(c.Out()) != 0 {
				t.Errorf("after Flush of %d bytes Out has room for %d, kept is to be %v", tt.size, cap(c.Out()), tt.kept)
			}
		})
	}
}

func TestConnWriteGoesBeforeWhatIsGathered(t *testing.T) {
	nc := &countingConn{}
	c := NewConn(nc, DataSize64K, 0, 0)
	c.SetOut(AppendFrame(c.Out(), ReplyContinue, ""))
	if err := c.Write(AppendFrame(nil, ReplyProgress, "")); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := nc.written.String(), "\x00\x00\x00\x01p\x00\x00\x00\x01c"; got != want {
		t.Errorf("written %q, want %q", got, want)
	}
}

func TestConnWriteBuffers(t *testing.T) {
	for _, tt := range []struct {
		name, out string
		bufs      []string
		want      string
	}{
		{"nothing", "", nil, ""},
		{"gathered frames go first", "\x00\x00\x00\x01p", []string{"\x00\x00\x00\x05b", "body"}, "\x00\x00\x00\x01p\x00\x00\x00\x05bbody"},
		{"nothing gathered", "", []string{"\x00\x00\x00\x05b", "body"}, "\x00\x00\x00\x05bbody"},
		{"only gathered", "\x00\x00\x00\x01p", nil, "\x00\x00\x00\x01p"},
		{"empty ones between", "", []string{"", "a", "", "b"}, "ab"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nc := &countingConn{}
			c := NewConn(nc, DataSize64K, 0, 0)
			c.SetOut(append(c.Out(), tt.out...))
			var bufs net.Buffers
			for _, s := range tt.bufs {
				bufs = append(bufs, []byte(s))
			}
			if err := c.WriteBuffers(&bufs); err != nil || nc.written.String() != tt.want {
				t.Errorf("WriteBuffers(%q) behind %q = %v, written %q, want %q", tt.bufs, tt.out, err, nc.written.String(), tt.want)
			}
			if len(bufs) != 0 || len(c.Out()) != 0 {
				t.Errorf("left over: %q and %q gathered", bufs, c.Out())
			}
		})
	}
}

func TestConnHandsWriteErrorsOn(t *testing.T) {
	nc := &countingConn{err: errors.New("broken")}
	c := NewConn(nc, DataSize64K, time.Second, 0)
	if err := c.Write([]byte("x")); err != nc.err {
		t.Errorf("Write = %v, want %v", err, nc.err)
	}
	c.SetOut([]byte("x"))
	if err := c.Flush(); err != nc.err || len(c.Out()) != 0 {
		t.Errorf("Flush = %v, want %v; %d bytes left, want none", err, nc.err, len(c.Out()))
	}
	c.SetOut([]byte("x"))
	if err := c.WriteBuffers(&net.Buffers{[]byte("y")}); err != nc.err || len(c.Out()) != 0 {
		t.Errorf("WriteBuffers = %v, want %v; %d bytes left, want none", err, nc.err, len(c.Out()))
	}
	if _, _, err := c.Next(); err != nc.err {
		t.Errorf("Next = %v, want the error of SetReadDeadline, %v", err, nc.err)
	}
}

// pipe returns a Conn in a bubble and its peer.
func pipe(t *testing.T, readTimeout, writeTimeout time.Duration) (*Conn, *countingConn, net.Conn) {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	nc := &countingConn{Conn: a}
	return NewConn(nc, DataSize64K, readTimeout, writeTimeout), nc, b
}

// within tells whether a wait that began at start took d, or a sixteenth more.
func within(start time.Time, d time.Duration) bool {
	took := time.Since(start)
	return took >= d && took <= d+d/16
}

func TestConnReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const d = 10 * time.Second
		c, _, peer := pipe(t, d, 0)
		for range 3 { // and again when asked again
			start := time.Now()
			if _, _, err := c.Next(); !IsTimeout(err) || !within(start, d) {
				t.Errorf("Next of nothing = %v after %v, want a timeout after %v", err, time.Since(start), d)
			}
		}
		go peer.Write([]byte("\x00\x00\x00\x05He"))
		start := time.Now()
		if _, _, err := c.Next(); !IsTimeout(err) || !within(start, d) {
			t.Errorf("Next of half a frame = %v after %v, want a timeout after %v", err, time.Since(start), d)
		}
		if !c.Partial() {
			t.Error("the half frame is lost")
		}
		go peer.Write([]byte("lo\x00"))
		if cmd, p, err := c.Next(); cmd != CmdHelo || string(p) != "elo\x00" || err != nil {
			t.Errorf("Next after the other half = %q, %q, %v, want HELO elo", cmd, p, err)
		}
	})
}

func TestConnReadTimeoutIsForAWholeFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const d = 10 * time.Second
		c, _, peer := pipe(t, d, 0)
		go func() {
			for _, b := range AppendFrame(nil, CmdHelo, "c.example.net\x00") {
				time.Sleep(d / 3)
				if _, err := peer.Write([]byte{b}); err != nil {
					return
				}
			}
		}()
		start := time.Now()
		if _, _, err := c.Next(); !IsTimeout(err) || !within(start, d) {
			t.Errorf("Next of a dribbled frame = %v after %v, want a timeout after %v", err, time.Since(start), d)
		}
		c.Close()
		time.Sleep(d) // lets the peer see it
	})
}

func TestConnReadTimeoutBeginsAnewWithEachFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const d, n = 10 * time.Second, 50
		c, _, peer := pipe(t, d, 0)
		go func() {
			for range n {
				time.Sleep(d - time.Millisecond)
				peer.Write(AppendFrame(nil, CmdAbort, ""))
			}
		}()
		for i := range n {
			if _, _, err := c.Next(); err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
		}
	})
}

func TestConnReadTimeoutIsNeverEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const d = 16 * time.Second
		for gap := time.Duration(0); gap < 4*time.Second; gap += time.Second / 4 {
			c, _, peer := pipe(t, d, 0)
			go peer.Write(AppendFrame(nil, CmdAbort, ""))
			if _, _, err := c.Next(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(gap)
			start := time.Now()
			if _, _, err := c.Next(); !IsTimeout(err) || !within(start, d) {
				t.Errorf("Next %v after the one before = %v after %v, want a timeout after %v", gap, err, time.Since(start), d)
			}
		}
	})
}

func TestConnMovesDeadlinesSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const d = 16 * time.Second
		c, nc, peer := pipe(t, d, d)
		go io.Copy(io.Discard, peer)
		go func() {
			for range 1000 { // in 100 seconds
				time.Sleep(100 * time.Millisecond)
				peer.Write(AppendFrame(nil, CmdAbort, ""))
			}
		}()
		for i := range 1000 {
			if _, _, err := c.Next(); err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			if err := c.Write([]byte("x")); err != nil {
				t.Fatalf("write %d: %v", i, err)
			}
		}
		if nc.readDeadlines > 101 || nc.writeDeadlines > 101 {
			t.Errorf("1000 frames moved the deadlines %d and %d times, want once a second at most", nc.readDeadlines, nc.writeDeadlines)
		}
	})
}

func TestConnBufferedFramesReadNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc, peer := pipe(t, time.Second, 0)
		go peer.Write(bytes.Repeat(AppendFrame(nil, CmdAbort, ""), 100))
		for i := range 100 {
			time.Sleep(time.Hour) // past every deadline
			if i == 0 {
				c.Next()
				continue
			}
			if _, _, err := c.Next(); err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
		}
		if nc.reads != 1 || nc.readDeadlines != 1 {
			t.Errorf("%d reads and %d deadlines for 100 frames that came at once, want 1 and 1", nc.reads, nc.readDeadlines)
		}
	})
}

func TestConnWithoutTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc, peer := pipe(t, 0, 0)
		go func() {
			time.Sleep(1000 * time.Hour)
			peer.Write(AppendFrame(nil, CmdAbort, ""))
			time.Sleep(1000 * time.Hour)
			io.ReadFull(peer, make([]byte, 1))
		}()
		if cmd, _, err := c.Next(); cmd != CmdAbort || err != nil {
			t.Errorf("Next = %q, %v, want ABORT", cmd, err)
		}
		if err := c.Write([]byte("x")); err != nil {
			t.Errorf("Write = %v", err)
		}
		if nc.readDeadlines+nc.writeDeadlines != 0 {
			t.Error("a deadline was set")
		}
	})
}

func TestConnSetReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, peer := pipe(t, time.Hour, 0)
		for _, d := range []time.Duration{time.Second, time.Minute, time.Minute, time.Second} {
			c.SetReadTimeout(d)
			start := time.Now()
			if _, _, err := c.Next(); !IsTimeout(err) || !within(start, d) {
				t.Errorf("Next = %v after %v, want a timeout after %v", err, time.Since(start), d)
			}
		}
		c.SetReadTimeout(0)
		go func() {
			time.Sleep(1000 * time.Hour)
			peer.Write(AppendFrame(nil, CmdAbort, ""))
		}()
		if cmd, _, err := c.Next(); cmd != CmdAbort || err != nil {
			t.Errorf("Next without a bound = %q, %v, want ABORT", cmd, err)
		}
	})
}

func TestConnWriteTimeout(t *testing.T) {
	const d = 10 * time.Second
	for _, tt := range []struct {
		name  string
		write func(c *Conn) error
	}{
		{"Write", func(c *Conn) error { return c.Write([]byte("x")) }},
		{"Flush", func(c *Conn) error { c.SetOut([]byte("x")); return c.Flush() }},
		{"WriteBuffers", func(c *Conn) error { return c.WriteBuffers(&net.Buffers{[]byte("x")}) }},
		{"WriteBuffers behind gathered frames", func(c *Conn) error { c.SetOut([]byte("x")); return c.WriteBuffers(&net.Buffers{[]byte("x")}) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, peer := pipe(t, 0, d)
				start := time.Now()
				if err := tt.write(c); !IsTimeout(err) || !within(start, d) {
					t.Errorf("%s = %v after %v, want a timeout after %v", tt.name, err, time.Since(start), d)
				}
				go io.Copy(io.Discard, peer)
				if err := tt.write(c); !IsTimeout(err) {
					t.Errorf("%s behind half a frame = %v, want the timeout again", tt.name, err)
				}
			})
		})
	}
}

func TestConnEnds(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		err      error
	}{
		{"between frames", "\x00\x00\x00\x01A", io.EOF},
		{"inside a frame", "\x00\x00\x00\x01A\x00\x00", io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := net.Pipe()
			c := NewConn(a, DataSize64K, 0, 0)
			go func() { b.Write([]byte(tt.in)); b.Close() }()
			if cmd, _, err := c.Next(); cmd != CmdAbort || err != nil {
				t.Errorf("Next = %q, %v, want ABORT", cmd, err)
			}
			if _, _, err := c.Next(); err != tt.err {
				t.Errorf("Next at the end = %v, want %v", err, tt.err)
			}
			if gone(c) {
				t.Error("Gone = true for a connection that cannot tell")
			}
			if err := c.Close(); err != nil || c.Reader.lent != nil {
				t.Errorf("Close = %v, buffer held: %v", err, c.Reader.lent != nil)
			}
			if _, err := a.Write([]byte("x")); err == nil {
				t.Error("the connection underneath is open after Close")
			}
		})
	}
}

func TestConnReportsFaultyFrames(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		err      error
	}{
		{"frame without command", "\x00\x00\x00\x00", ErrEmptyFrame},
		{"frame too long", "\x00\x01\x00\x01B", ErrFrameSize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := net.Pipe()
			defer a.Close()
			c := NewConn(a, DataSize64K, 0, 0)
			go b.Write([]byte("\x00\x00\x00\x01A" + tt.in))
			c.Next()
			for range 2 {
				if _, _, err := c.Next(); !errors.Is(err, tt.err) || c.Offset() != 5 {
					t.Errorf("Next = %v at %d, want %v at 5", err, c.Offset(), tt.err)
				}
			}
		})
	}
}

func TestConnIsMadeOnAnyConnection(t *testing.T) {
	a, _ := net.Pipe()
	defer a.Close()
	nc := &countingConn{Conn: a}
	c := NewConn(nc, DataSize64K, 0, 0)
	if c.NetConn() != net.Conn(nc) {
		t.Errorf("NetConn = %v, want %v", c.NetConn(), nc)
	}
	if c.sock != nil {
		t.Error("a wrapped connection is read past its wrapper")
	}
}

type timeoutError struct{ error }

func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func TestIsTimeout(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"none", nil, false},
		{"end", io.EOF, false},
		{"deadline", os.ErrDeadlineExceeded, true},
		{"deadline of a socket", &net.OpError{Op: "raw-read", Err: os.ErrDeadlineExceeded}, true},
		{"wrapped deadline", fmt.Errorf("milter: %w", os.ErrDeadlineExceeded), true},
		{"peer that answers no keepalive", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}, false},
		{"other timeout", timeoutError{iotest.ErrTimeout}, false},
	} {
		if got := IsTimeout(tt.err); got != tt.want {
			t.Errorf("%s: IsTimeout(%v) = %v, want %v", tt.name, tt.err, got, tt.want)
		}
	}
}

func TestConnConversation(t *testing.T) {
	// Both ends are Conns; the frames are larger than a pipe or a buffer takes at once.
	a, b := net.Pipe()
	mta, filter := NewConn(a, DataSize1M, time.Minute, time.Minute), NewConn(b, DataSize1M, time.Minute, time.Minute)
	defer mta.Close()
	done := make(chan error, 1)
	go func() {
		defer filter.Close()
		for {
			cmd, p, err := filter.Next()
			if err != nil {
				done <- err
				return
			}
			out := AppendFrame(filter.Out(), ReplyProgress, "")
			out = AppendFrame(out, cmd|0x20, p)
			filter.SetOut(out)
			if err := filter.Flush(); err != nil {
				done <- err
				return
			}
		}
	}()
	for _, size := range []int{0, 1, 100, ChunkSize, DataSize1M, 3} {
		want := strings.Repeat("x", size)
		mta.SetOut(AppendFrame(mta.Out(), CmdBody, want))
		if err := mta.Flush(); err != nil {
			t.Fatal(err)
		}
		if cmd, _, err := mta.Next(); cmd != ReplyProgress || err != nil {
			t.Fatalf("Next = %q, %v, want PROGRESS", cmd, err)
		}
		if cmd, p, err := mta.Next(); cmd != ReplyReplaceBody || string(p) != want || err != nil {
			t.Fatalf("Next = %q, %d bytes, %v, want %d bytes", cmd, len(p), err, size)
		}
	}
	mta.Close()
	if err := <-done; err != io.EOF {
		t.Errorf("the filter ended with %v, want EOF", err)
	}
}

// gone reports whether the peer gave up anything.
func gone(c *Conn) bool {
	connection, message := c.Gone()
	return connection || message
}

func TestNothingFollowsAFailedWrite(t *testing.T) {
	ours, theirs := net.Pipe()
	c := NewConn(ours, DataSize64K, 0, 20*time.Millisecond)
	go io.ReadFull(theirs, make([]byte, 3)) // and no more
	err := c.Write(AppendFrame(nil, CmdHelo, "half\x00"))
	if !IsTimeout(err) {
		t.Fatalf("Write = %v, want a timeout", err)
	}
	go io.Copy(io.Discard, theirs)
	if again := c.Write([]byte("x")); again != err {
		t.Errorf("the next Write = %v, want %v", again, err)
	}
	if again := c.WriteBuffers(&net.Buffers{[]byte("x")}); again != err {
		t.Errorf("the next WriteBuffers = %v, want %v", again, err)
	}
	ours.Close()
	theirs.Close()
}
