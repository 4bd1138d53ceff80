//go:build unix && !aix

package wire

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// socketPair returns both ends of a unix connection.
func socketPair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if ours, err = net.Dial("unix", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if theirs, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func TestBudget(t *testing.T) {
	budget := NewBudget(200 << 10)
	frame := AppendFrame(nil, 'B', make([]byte, ChunkSize))
	begin, rest := frame[:40000], frame[40000:]
	open := func() (peer net.Conn, c *Conn) {
		peer, nc := socketPair(t)
		c = NewConn(nc, ChunkSize, 50*time.Millisecond, 0)
		c.SetBudget(budget)
		return peer, c
	}
	onePeer, one := open()
	onePeer.Write(begin)
	if _, _, err := one.Next(); !IsTimeout(err) {
		t.Fatalf("Next in mid-frame: %v", err)
	}
	if got := budget.used.Load(); got != 128<<10 {
		t.Errorf("%d bytes are held", got)
	}
	twoPeer, two := open()
	twoPeer.Write(begin)
	if _, _, err := two.Next(); !errors.Is(err, ErrBudget) {
		t.Errorf("Next of a second one: %v", err)
	}
	two.Close()
	smallPeer, small := open()
	smallPeer.Write(begin[:5000])
	if _, _, err := small.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Next with little: %v", err)
	}
	onePeer.Write(rest)
	if _, p, err := one.Next(); err != nil || len(p) != ChunkSize {
		t.Errorf("Next once the rest is here: %d bytes, %v", len(p), err)
	}
	if got := budget.used.Load(); got != 0 {
		t.Errorf("%d bytes are held behind a frame", got)
	}
	for range 3 {
		onePeer.Write(begin)
		one.Next()
		one.Next() // waits again
		if got := budget.used.Load(); got != 128<<10 {
			t.Errorf("%d bytes are held", got)
		}
		one.Reader.Close()
		if got := budget.used.Load(); got != 0 {
			t.Errorf("%d bytes are held after the end", got)
		}
	}
}
