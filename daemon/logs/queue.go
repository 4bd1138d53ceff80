package logs

import (
	"log/slog"
	"sync"
	"sync/atomic"
)

// A line is one record as it is written, with a newline.
type line struct {
	level slog.Level
	text  []byte
}

// overhead is what a line takes in the queue beside its text.
const overhead = 48

// A queue holds the lines that wait to be written. What it has no room for is
// counted and forgotten.
type queue struct {
	max  int
	lost atomic.Uint64 // of all time
	wake chan struct{} // has one element when there is something to do

	mu     sync.Mutex
	lines  []line
	size   int    // of lines, and of those taken and not yet settled
	count  int    // of the same
	gap    uint64 // lines lost behind those that wait, of which the log has not yet told
	closed bool
}

func (q *queue) init(max int) { q.max, q.wake = max, make(chan struct{}, 1) }

// put appends a line; it never waits.
func (q *queue) put(l line) {
	q.mu.Lock()
	size := len(l.text) + overhead
	if q.closed || q.size+size > q.max {
		q.gap++
		q.lost.Add(1)
	} else {
		q.lines = append(q.lines, l)
		q.size += size
		q.count++
	}
	q.mu.Unlock()
	q.poke()
}

// poke wakes who takes.
func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns the lines that wait and how many are missing behind them. Their
// room stays taken until they are settled.
func (q *queue) take() (lines []line, gap uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, gap = q.lines, q.gap
	q.lines, q.gap = nil, 0
	return lines, gap
}

// settle gives back the room of lines that were taken.
func (q *queue) settle(lines []line) {
	n := 0
	for _, l := range lines {
		n += len(l.text) + overhead
	}
	q.mu.Lock()
	q.size -= n
	q.count -= len(lines)
	q.mu.Unlock()
}

// reserve takes room for a line that does not have to ask for it.
func (q *queue) reserve(l line) {
	q.mu.Lock()
	q.size += len(l.text) + overhead
	q.count++
	q.mu.Unlock()
}

// waiting returns how many lines are not yet written.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}

// lose counts lines that were taken and could not be written.
func (q *queue) lose(n int) {
	q.mu.Lock()
	q.gap += uint64(n)
	q.mu.Unlock()
	q.lost.Add(uint64(n))
}

// close makes the queue take no more lines.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.poke()
}
