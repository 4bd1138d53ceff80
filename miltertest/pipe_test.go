package miltertest

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
	a, b := connected("x")
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
		a, b := connected("x")
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
	a, b := connected("x")
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
	a, b := connected("x")
	a.Write([]byte("xy"))
	if a.out.settled(time.Millisecond) {
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
	if !a.out.settled(patience) {
		t.Error("not settled")
	}
	a.Close()
	if !a.out.settled(patience) {
		t.Error("not settled after the end")
	}
}

func TestCutterFindsFramesInPieces(t *testing.T) {
	stream := []byte("\x00\x00\x00\x01Q\x00\x00\x00\x03Bxy\x00\x00\x00\x02Hz\x00\x00\x00\x00rest")
	for size := 1; size <= len(stream); size++ {
		var c cutter
		var got []string
		for b := stream; len(b) > 0; b = b[min(size, len(b)):] {
			for cmd, payload := range c.cut(b[:min(size, len(b))]) {
				got = append(got, string(cmd)+string(payload))
			}
		}
		if len(got) != 3 || got[0] != "Q" || got[1] != "Bxy" || got[2] != "Hz" {
			t.Errorf("in pieces of %d: %q", size, got)
		}
	}
}

func TestOwnReply(t *testing.T) {
	for in, want := range map[string]string{
		"550 5.7.1 no\x00":                        "550 5.7.1 no",
		"550-5.7.1 100%% no\r\n550 5.7.1 two\x00": "550 5.7.1 100% no / two",
		"451 later\x00":                           "451 later",
		"550 5.7.1\x00":                           "550 5.7.1",
		"554 5.7.1.2 no code\x00":                 "554 5.7.1.2 no code",
		"x":                                       "0",
	} {
		if got := oneLine(ownReply([]byte(in))); got != want {
			t.Errorf("%q reads %q, want %q", in, got, want)
		}
	}
}

func TestPath(t *testing.T) {
	for in, want := range map[string]string{
		"a@example.org":              "<a@example.org>",
		" <a@example.org> SIZE=1 X ": "<a@example.org>|SIZE=1|X",
		"a@example.org SIZE=1":       "<a@example.org>|SIZE=1",
		"<>":                         "<>",
		`<"a b"@example.org>`:        `<"a b"@example.org>`,
		"<broken":                    "<broken",
	} {
		addr, params := path(in)
		for _, p := range params {
			addr += "|" + p
		}
		if addr != want {
			t.Errorf("%q is %q, want %q", in, addr, want)
		}
	}
}
