package memconn

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipeKeepsWhatWasWrittenBeforeTheEnd(t *testing.T) {
	a, b := Pipe("x")
	a.Write([]byte("one"))
	a.Write([]byte("two"))
	a.Close()
	if got, err := io.ReadAll(b); string(got) != "onetwo" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write to the end that left: %v", err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if a.LocalAddr().String() != "x" || b.RemoteAddr().Network() != "memory" {
		t.Errorf("addresses %v, %v", a.LocalAddr(), b.RemoteAddr())
	}
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe("x")
		defer a.Close()
		defer b.Close()
		began := time.Now()
		a.SetDeadline(began.Add(time.Minute))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("read: %v after %v", err, time.Since(began))
		}
		if n, err := a.Write(make([]byte, pipeSize+1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write past the deadline: %d, %v", n, err)
		}
		a.SetDeadline(time.Now().Add(time.Minute))
		if n, err := a.Write(make([]byte, pipeSize+1)); n != pipeSize || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write of too much: %d, %v", n, err)
		}
		// A deadline that moves ends a wait, and one that is taken back ends none.
		go func() {
			time.Sleep(time.Second)
			a.SetReadDeadline(time.Unix(1, 0))
		}()
		a.SetDeadline(time.Time{})
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		a.SetReadDeadline(time.Time{})
		go func() {
			time.Sleep(time.Hour)
			b.Write([]byte("x"))
		}()
		if n, err := a.Read(make([]byte, 9)); n != 1 || err != nil {
			t.Errorf("read: %d, %v", n, err)
		}
	})
}

func TestPipeMakesTheWriterWait(t *testing.T) {
	a, b := Pipe("x")
	sent := bytes.Repeat([]byte("0123456789"), pipeSize/4)
	go func() {
		a.Write(sent)
		a.Close()
	}()
	if got, err := io.ReadAll(b); !bytes.Equal(got, sent) || err != nil {
		t.Errorf("read %d bytes of %d, %v", len(got), len(sent), err)
	}
}

func TestPipeSettles(t *testing.T) {
	a, b := Pipe("x")
	a.Write([]byte("xy"))
	if a.Settled(time.Millisecond) {
		t.Error("settled before anything was read")
	}
	go func() {
		buf := make([]byte, 1)
		for {
			if _, err := b.Read(buf); err != nil {
				b.Close()
				return
			}
		}
	}()
	if !a.Settled(5 * time.Second) {
		t.Error("not settled")
	}
	a.Close()
	if !a.Settled(5 * time.Second) {
		t.Error("not settled after the end")
	}
}

func TestListener(t *testing.T) {
	ln := Listen("x")
	var theirs net.Conn
	done := make(chan error)
	go func() {
		var err error
		theirs, err = ln.Accept()
		done <- err
	}()
	ours := ln.Dial()
	if err := <-done; ours == nil || err != nil {
		t.Fatalf("connection %v, %v", ours, err)
	}
	go ours.Write([]byte("x"))
	if n, err := theirs.Read(make([]byte, 9)); n != 1 || err != nil {
		t.Errorf("read: %d, %v", n, err)
	}
	ln.Close()
	ln.Close()
	if c, err := ln.Accept(); c != nil || !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v, %v", c, err)
	}
	if c := ln.Dial(); c != nil {
		t.Error("connected to a closed listener")
	}
	if ln.Addr().String() != "x" {
		t.Errorf("address %v", ln.Addr())
	}
}
