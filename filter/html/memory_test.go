package html

import (
	"context"
	"errors"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomilter/gomilter/message"
)

// repeated is a text of size bytes that takes no memory.
type repeated struct {
	text string
	left int64
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := 0
	for p = p[:min(int64(len(p)), r.left)]; n < len(p); {
		k := copy(p[n:], r.text[r.at:])
		r.at, n = (r.at+k)%len(r.text), n+k
	}
	r.left -= int64(n)
	return n, nil
}

// peakHeap returns how much the heap grows at most while f runs.
func peakHeap(f func()) int64 {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // little of what is counted is garbage
	runtime.GC()
	idle := heap()
	var peak atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				peak.Store(max(peak.Load(), heap()-idle))
			}
		}
	}()
	f()
	close(stop)
	<-done
	return peak.Load()
}

// The charset is the sender's choice, and must not choose how much memory a text takes.
func TestLargeTextTakesLittleMemory(t *testing.T) {
	const plain = "<p>x\x00<script>y</script></p>"
	wide := strings.Join(strings.Split("<p>x<script>y</script></p>\u503c", ""), "\x00") + "\x00"
	for _, tt := range []struct{ charset, text string }{
		{"us-ascii", plain}, {"utf-16", wide}, {"utf-16", "<\x00p\x00>\x00x\x00<\x00s\x00c\x00r\x00i\x00p\x00t\x00>\x00"}, {"utf-7", plain}, {"iso-2022-jp", plain}, {"iso-2022-kr", "<p>\x0e$B\x0fx</p>"}, {"utf-16le", "x\x00\x01\x4e"},
	} {
		size := int64(8<<20) / int64(len(tt.text)) * int64(len(tt.text))
		grown := peakHeap(func() {
			if _, err := Remove(context.Background(), io.Discard, &repeated{text: tt.text, left: size}, Options{Charset: tt.charset, MaxToken: 1 << 20}); err != nil {
				t.Errorf("%s: %v", tt.charset, err)
			}
		})
		t.Logf("%-12s %d MiB, the heap grew by %.1f MiB", tt.charset, size>>20, float64(grown)/(1<<20))
		if grown > 12<<20 {
			t.Errorf("%s %.20q: the heap grew by %d MiB", tt.charset, tt.text, grown>>20)
		}
	}
}

// Reading ends with the context, in every encoding and pass.
func TestRemoveEndsWithItsContext(t *testing.T) {
	gone := errors.New("gone")
	for _, charset := range []string{"us-ascii", "iso-2022-jp", "utf-16", "utf-7"} {
		for _, after := range []int64{0, 100, 1 << 20} { // the last when all is read
			ctx, cancel := context.WithCancelCause(context.Background())
			text := &ending{repeated{text: "<p>x\x00<script>y</script></p>", left: 1 << 20}, after, func() { cancel(gone) }}
			if after == 0 {
				cancel(gone)
			}
			_, err := Remove(ctx, io.Discard, text, Options{Charset: charset})
			if !errors.Is(err, context.Canceled) && (charset != "us-ascii" || after < 1<<20) {
				t.Errorf("%s, over after %d bytes: %v", charset, after, err)
			}
			cancel(nil)
		}
	}
}

// An ending calls over when so much has been read of it.
type ending struct {
	repeated
	after int64
	over  func()
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.repeated.Read(p)
	if 1<<20-e.left >= e.after {
		e.over()
	}
	return n, err
}

// A disk that is full is an error, and not the end of a text.
func TestRemoveTellsOfSpoolErrors(t *testing.T) {
	for _, charset := range []string{"iso-2022-jp", "utf-16", "utf-7", "johab"} {
		o := Options{Charset: charset, Spool: func() *message.Spool { return message.NewSpool(-1, "/nonexistent") }}
		var out strings.Builder
		if _, err := Remove(context.Background(), &out, strings.NewReader("<p>x<script>y</script>"), o); err == nil || out.Len() > 0 {
			t.Errorf("%s: %q, error %v", charset, out.String(), err)
		}
		n := 0 // the first has room
		o.Spool = func() *message.Spool {
			if n++; n == 1 {
				return message.NewSpool(0, "")
			}
			return message.NewSpool(-1, "/nonexistent")
		}
		if _, err := Remove(context.Background(), &out, strings.NewReader("<p>x<script>y</script>"), o); charset != "johab" && (err == nil || out.Len() > 0) {
			t.Errorf("%s: %q, error %v", charset, out.String(), err)
		}
	}
}
