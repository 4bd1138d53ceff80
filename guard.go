package milter

import "sync/atomic"

// A guard is what the connection's goroutine and the watcher share: whether a
// hook runs, which, and who goes on with the connection afterwards. It is one
// word: a sequence number, the stage, and the mode.
type guard struct {
	word atomic.Uint64
	seq  uint64 // of the goroutine of the connection only
}

const (
	modeIdle      = iota // no hook runs
	modeRunning          // a hook runs
	modeWriting          // a hook's reader runs, and the MTA is written to
	modeAbandoned        // the hook was abandoned, its goroutine owns nothing
	modeMask      = 3
)

func (g *guard) enter(s Stage) uint64 {
	g.seq++
	v := g.seq<<8 | uint64(s)<<2 | modeRunning
	g.word.Store(v)
	return v
}

func (g *guard) setWriting(v uint64) uint64 {
	w := v&^modeMask | modeWriting
	if g.word.CompareAndSwap(v, w) {
		return w
	}
	return v
}

// leave is false when the hook was abandoned.
func (g *guard) leave(v uint64) bool { return g.word.CompareAndSwap(v, modeIdle) }

// abandon is false when the hook has returned.
func (g *guard) abandon(v uint64) bool { return g.word.CompareAndSwap(v, modeAbandoned) }

func (g *guard) abandoned() bool { return g.word.Load()&modeMask == modeAbandoned }

func (g *guard) load() (v uint64, s Stage, mode int) {
	v = g.word.Load()
	return v, Stage(v >> 2 & 0x3f), int(v & modeMask)
}
