package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gomilter/gomilter/internal/offline"
)

// A testBar is the line on a terminal that shows how far a test of many messages has
// come. What is written to it goes to standard error, with the line out of the way.
type testBar struct {
	mu    sync.Mutex
	w     io.Writer
	total int64 // bytes; 0 where they are not known
	began time.Time

	ticks chan struct{} // closed to end the drawing; nil where nothing is drawn
	ended chan struct{}
	shown bool
	bytes int64
	n     int
}

// start draws the line if w is a terminal.
func (b *testBar) start(w io.Writer, inputs []*offline.Input) {
	b.w, b.began = w, time.Now()
	if total, ok := offline.Size(inputs); ok {
		b.total = total
	}
	if f, ok := w.(*os.File); !ok || !isTerminal(f) {
		return
	}
	b.ticks, b.ended = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(b.ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-b.ticks:
				return
			case <-tick.C:
				b.mu.Lock()
				fmt.Fprintf(b.w, "\r%s\x1b[K", b.line(time.Since(b.began)))
				b.shown = true
				b.mu.Unlock()
			}
		}
	}()
}

// line is what is drawn after a time.
func (b *testBar) line(took time.Duration) string {
	rate := fmt.Sprintf("%s, %.0f/s", count(b.n, "message"), float64(b.n)/max(took.Seconds(), 0.001))
	if b.total == 0 {
		return rate
	}
	const width = 40
	part := min(float64(b.bytes)/float64(b.total), 1)
	return fmt.Sprintf("[%-*s] %3.0f %%  %s", width, strings.Repeat("=", int(part*width)), 100*part, rate)
}

// done counts a message.
func (b *testBar) done(size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	b.bytes += int64(size)
}

// clear takes the line away until it is drawn again.
func (b *testBar) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hide()
}

func (b *testBar) hide() {
	if b.shown {
		fmt.Fprint(b.w, "\r\x1b[K")
		b.shown = false
	}
}

// Write writes to standard error.
func (b *testBar) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hide()
	return b.w.Write(p)
}

// stop takes the line away for good.
func (b *testBar) stop() {
	if b.ticks != nil {
		close(b.ticks)
		<-b.ended
		b.ticks = nil
	}
	b.clear()
}
