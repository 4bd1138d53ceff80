package config

import (
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter/dns"
)

// DNS says who is asked about names, and what of it is remembered.
type DNS struct {
	Servers  []string      `toml:"servers" example:"[\"127.0.0.1\", \"[2001:db8::53]:5353\"]" doc:"the name servers that filters ask, best one on this machine that keeps answers itself; the default is the system's (/etc/resolv.conf)"`
	Timeout  time.Duration `toml:"timeout" doc:"for one question"`
	Parallel int           `toml:"parallel" opt:"min=1" doc:"questions at a time; more wait. Each takes a socket, one for all addresses of a name two"`
	Domain   int           `toml:"per_domain" opt:"min=0" doc:"of these, how many below one domain (example.com, 192.0.0.0/16), as long as the others are free, and fewer when they are not: nobody's dead names take the place of others; 0 is a 16th of parallel, 4 at least"`
	MaxSize  Size          `toml:"max_answer" opt:"min=1024" doc:"memory for one answer, about; larger ones are an error"`
	Entries  int           `toml:"entries" opt:"min=1" doc:"answers that are remembered"`
	Memory   Size          `toml:"memory" opt:"min=1024" doc:"memory for them, about"`
	Life     time.Duration `toml:"life" doc:"how long an answer is remembered, also one that there is nothing"`
	Errors   time.Duration `toml:"errors" doc:"how long it is remembered that there was no answer"`
}

// A lookups is the resolver of a configuration, made when it is first asked for.
type lookups struct {
	once sync.Once
	made atomic.Pointer[dns.Cache]
	err  error
}

// Resolver returns what answers the questions of the configuration's filters: a cache
// before the name servers of [dns]. It is the same each time. The error is of reading
// which servers the system has.
func (c *Config) Resolver() (*dns.Cache, error) {
	c.asked.once.Do(func() {
		s, err := dns.NewSystem(c.DNS.Servers...)
		if err != nil {
			c.asked.err = err
			return
		}
		c.asked.made.Store(dns.NewCache(s, dns.CacheOptions{Entries: c.DNS.Entries, Bytes: int(min(c.DNS.Memory, 1<<40)), Answer: int(min(c.DNS.MaxSize, 1<<30)),
			Life: c.DNS.Life, Errors: c.DNS.Errors, Timeout: c.DNS.Timeout, Parallel: c.DNS.Parallel, Domain: c.DNS.Domain}))
	})
	return c.asked.made.Load(), c.asked.err
}

// TakeResolver lets c go on with the Resolver of the configuration before, and what it
// remembers, where both say the same of DNS. It reports whether they do.
func (c *Config) TakeResolver(before *Config) bool {
	if !reflect.DeepEqual(c.DNS, before.DNS) {
		return false
	}
	c.asked = before.asked
	return true
}

// DNSStats tells what the Resolver did.
func (c *Config) DNSStats() (s dns.CacheStats) {
	if cache := c.asked.made.Load(); cache != nil {
		s = cache.Stats()
	}
	return s
}

// CloseResolver gives up what the Resolver looks up, and waits until that has ended. It is
// for when the last chain is done.
func (c *Config) CloseResolver() {
	c.asked.once.Do(func() { c.asked.err = errClosed })
	if cache := c.asked.made.Load(); cache != nil {
		cache.Close()
	}
}

var errClosed = errors.New("config: the resolver is closed")

// resolver returns what the filter asks; nil when it told of a problem.
func (b *build) resolver() dns.Resolver {
	if b.env.Resolver != nil {
		return b.env.Resolver
	}
	cache, err := b.config.Resolver()
	switch {
	case errors.Is(err, errClosed):
		b.bad("", "%v", err)
	case err != nil:
		b.failed = true // checkDNS tells, once for all filters
	default:
		return cache
	}
	return nil
}

// checkDNS tells what is wrong with [dns].
func (d *decoder) checkDNS(c *Config) {
	for i, s := range c.DNS.Servers {
		if _, err := dns.NewSystem(s); err != nil {
			d.bad(d.places.of(element("dns.servers", i)), element("dns.servers", i), "%q is no address of a name server; write \"192.0.2.53\" or \"[2001:db8::53]:5353\"", s)
		}
	}
}
