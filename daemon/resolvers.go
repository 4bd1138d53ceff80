package daemon

import (
	"sync"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/dns"
)

// maxResolvers bounds the resolvers that are remembered, and what they remember with them.
const maxResolvers = 8

// resolvers remembers who answers questions about names: first for earlier configurations, whose
// conversations may go on, and last for the one in force. What they counted stays counted.
type resolvers struct {
	mu     sync.Mutex
	list   []*config.Config // each with a resolver of its own
	before dns.CacheStats   // of those that are forgotten
}

// add takes the configuration that is in force from now on, unless it has the resolver of the
// one before. The oldest of too many is forgotten, and goes on for conversations that still have it.
func (r *resolvers) add(c *config.Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, c)
	if len(r.list) > maxResolvers {
		r.before = sum(r.before, r.list[0].DNSStats())
		r.list = append([]*config.Config(nil), r.list[1:]...)
	}
}

// stats returns what was asked since the start. Entries are those of the resolver in force.
func (r *resolvers) stats() dns.CacheStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.before
	for _, c := range r.list {
		all = sum(all, c.DNSStats())
	}
	return all
}

// sum adds up what was counted; what is of the moment is b's.
func sum(a, b dns.CacheStats) dns.CacheStats {
	b.Hits += a.Hits
	b.Misses += a.Misses
	b.Asked += a.Asked
	b.Errors += a.Errors
	b.Dropped += a.Dropped
	return b
}

// close ends all look-ups. It is for when no conversation goes on.
func (r *resolvers) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.list {
		c.CloseResolver()
	}
}
