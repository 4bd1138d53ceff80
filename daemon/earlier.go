package daemon

import (
	"slices"
	"sync"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
)

// maxEarlier bounds the chains that are remembered.
const maxEarlier = 256

// earlier remembers chains and servers of earlier configurations: their
// conversations and hooks may go on, and what they counted stays counted.
type earlier struct {
	mu       sync.Mutex
	list     []formerService
	repeated int64 // of those that are forgotten
}

// A formerService is a chain that was replaced, and its server where that was, too.
type formerService struct {
	chain  *filter.Chain
	server *milter.Server
}

func (f formerService) abandoned() int {
	n := f.chain.Abandoned()
	if f.server != nil {
		n += f.server.Abandoned()
	}
	return n
}

func (e *earlier) add(c *filter.Chain, s *milter.Server) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, formerService{c, s})
	for len(e.list) > maxEarlier { // the oldest of those that left nothing behind
		i := max(slices.IndexFunc(e.list, func(f formerService) bool { return f.abandoned() == 0 }), 0)
		e.repeated += e.list[i].chain.Repeated()
		e.list = slices.Delete(e.list, i, i+1)
	}
}

// abandoned returns how many of their hooks overstayed their time and still run.
func (e *earlier) abandoned() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.list {
		n += f.abandoned()
	}
	return n
}

// failures returns how many messages failed with them for the third time or more.
func (e *earlier) failures() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.repeated
	for _, f := range e.list {
		n += f.chain.Repeated()
	}
	return n
}
