package attachments_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/internal/wire"
)

// A message of 200 MB of which one small part is replaced takes little memory, and
// all its other bytes come back.
func TestLargeMessageTakesLittleMemory(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("200 MB go over a socket twice")
	}
	dir := t.TempDir()
	b := newBench(t, attachments.Options{})
	b.chain.Dir, b.chain.MIME.Dir = dir, dir
	ln, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&milter.Server{New: b.chain.Hooks, Log: b.chain.Log}).Serve(ctx, ln) }()
	defer func() { cancel(); <-done }()
	nc, err := net.Dial("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := wire.NewConn(nc, 1<<20, time.Minute, time.Minute)
	send := func(cmd byte, payload []byte) {
		t.Helper()
		if err := c.Write(wire.AppendFrame(nil, cmd, payload)); err != nil {
			t.Fatal(err)
		}
	}
	offer := wire.Negotiation{Version: 6, Actions: wire.CurrentActions, Protocol: wire.CurrentProtocol}
	send(wire.CmdNegotiate, wire.AppendNegotiation(nil, &offer))
	if cmd, _, err := c.Next(); cmd != wire.CmdNegotiate || err != nil {
		t.Fatal(cmd, err)
	}
	// What the chain does not ask for is not sent; all that is, is silent.
	send(wire.CmdConnect, []byte("client.example\x004\x00\x19192.0.2.1\x00"))
	send(wire.CmdHelo, []byte("client.example\x00"))
	send(wire.CmdMail, []byte("<a@example.com>\x00"))
	send(wire.CmdRcpt, []byte("<b@example.net>\x00"))
	send(wire.CmdHeader, []byte("Content-Type\x00 multipart/mixed; boundary=\"cut here\"\x00"))

	var peak atomic.Uint64
	measure := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak.Store(max(peak.Load(), m.HeapAlloc))
	}
	runtime.GC()
	measure()
	idle := peak.Load()
	const size = 200 << 20
	in := sha256.New()
	body := func(p []byte) { in.Write(p); send(wire.CmdBody, p) }
	body([]byte(crlf("--cut here\n" + text + "--cut here\nContent-Type: application/octet-stream; name=film.mp4\nContent-Transfer-Encoding: base64\n\n")))
	line := []byte(strings.Repeat("QUJD", 19) + "\r\n")
	chunk := bytes.Repeat(line, 65535/len(line))
	sent := 0
	for ; sent < size; sent += len(chunk) {
		body(chunk)
		if sent%(20<<20) < len(chunk) {
			measure()
		}
	}
	before := in.Sum(nil)
	body([]byte(crlf("--cut here\n" + attached("a.exe", []byte("x")) + "--cut here--\n")))
	send(wire.CmdEnd, nil)

	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				measure()
			}
		}
	}()
	defer close(stop)
	out, got, tail := sha256.New(), 0, []byte(nil)
	head := len(crlf("--cut here\n"+text+"--cut here\nContent-Type: application/octet-stream; name=film.mp4\nContent-Transfer-Encoding: base64\n\n")) + sent
	for {
		cmd, p, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if cmd == wire.ReplyReplaceBody {
			n := min(len(p), max(head-got, 0))
			out.Write(p[:n])
			tail = append(tail, p[n:]...)
			got += len(p)
			continue
		}
		if cmd == wire.ReplyAccept {
			break
		}
		if cmd != wire.ReplyProgress {
			t.Fatalf("reply %q %.200q", cmd, p)
		}
	}
	if !bytes.Equal(out.Sum(nil), before) {
		t.Error("what stands before the replaced part is another")
	}
	if s := string(tail); !strings.HasPrefix(s, "--cut here\r\nContent-Type: text/plain") || !strings.Contains(s, "a.exe") || !strings.HasSuffix(s, "\r\n--cut here--\r\n") {
		t.Errorf("the end is %q", s)
	}
	grown := int64(peak.Load()) - int64(idle)
	t.Logf("%d MB, heap grew by %.1f MiB at most", sent>>20, float64(grown)/(1<<20))
	if grown > 24<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name() != "s" && f.Name() != "kept" {
			t.Errorf("file %s is left", f.Name())
		}
	}
}
