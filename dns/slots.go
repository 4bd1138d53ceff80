package dns

import (
	"container/list"
	"context"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
)

// slots are how many look-ups may run at a time, and who has the next one that is free.
//
// Who sends mail names the domains that are looked up, and those of one sender may be dead,
// so that each look-up takes all of its time. Below one domain there may run a part of what
// is free, and below one name in it as many as that leaves free: n domains that take what
// they can get leave 1/(1+n*domain/max) of all for others. One look-up a domain may always
// run while there is a slot. Those that wait have their turn domain by domain.
type slots struct {
	max    int // at a time
	domain int // of them, below one domain while all are free

	mu  sync.Mutex
	all share
}

// A share counts the look-ups of a name and of those below it, and holds those that wait.
// There are three levels: all, domains, names in them. It is there while it has look-ups.
type share struct {
	up      *share
	name    string
	below   map[string]*share // nil in the last level
	running int               // look-ups that have a slot
	queue   list.List         // in the last level the chan struct{} of look-ups that wait, above it the *share below with some
	place   *list.Element     // in up.queue, nil where none wait
}

// get waits for a slot until ctx ends; nothing is held then. Else free must be called.
func (s *slots) get(ctx context.Context, q question) (free func(), ok bool) {
	domain, name := q.domain()
	mine := make(chan struct{})
	s.mu.Lock()
	sh := s.all.of(domain, true).of(name, false)
	at := sh.queue.PushBack(mine)
	sh.settle()
	s.serve()
	s.mu.Unlock()
	free = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		sh.add(-1)
		s.serve()
	}
	select {
	case <-mine:
		return free, true
	case <-ctx.Done():
	}
	s.mu.Lock()
	select {
	case <-mine: // in the meantime
		s.mu.Unlock()
		free()
	default:
		sh.queue.Remove(at)
		sh.settle()
		s.mu.Unlock()
	}
	return nil, false
}

// serve gives what is free to those that wait.
func (s *slots) serve() {
	for {
		sh := s.next(&s.all, s.max)
		if sh == nil {
			return
		}
		sh.add(1)
	}
}

// next takes the look-up whose turn it is out of its queue in sh or below, where most may
// run, and returns the share of the last level that it was in. It is nil where none waits
// that may run. It passes over no more shares than there are look-ups that run.
func (s *slots) next(sh *share, most int) *share {
	free := most - sh.running
	first := sh.queue.Front()
	if free <= 0 || first == nil {
		return nil
	}
	if sh.below == nil {
		close(sh.queue.Remove(first).(chan struct{}))
		return sh
	}
	if sh == &s.all {
		free = max(1, int(int64(free)*int64(s.domain)/int64(s.max)))
	}
	for at := first; at != nil; at = at.Next() {
		if got := s.next(at.Value.(*share), free); got != nil {
			sh.queue.MoveToBack(at)
			return got
		}
	}
	return nil
}

// of returns the share of a name below sh.
func (sh *share) of(name string, inner bool) *share {
	b := sh.below[name]
	if b == nil {
		b = &share{up: sh, name: name}
		if inner {
			b.below = make(map[string]*share)
		}
		sh.below[name] = b
	}
	return b
}

// add counts n more look-ups that run.
func (sh *share) add(n int) {
	for s := sh; s != nil; s = s.up {
		s.running += n
	}
	sh.settle()
}

// settle puts sh, and what is above it, into the queue that it belongs to or takes it out,
// and forgets it where it has no look-ups.
func (sh *share) settle() {
	for ; sh.up != nil; sh = sh.up {
		waits := sh.queue.Len() > 0
		switch {
		case waits && sh.place == nil:
			sh.place = sh.up.queue.PushBack(sh)
		case !waits && sh.place != nil:
			sh.up.queue.Remove(sh.place)
			sh.place = nil
		}
		if !waits && sh.running == 0 {
			delete(sh.up.below, sh.name)
		}
	}
}

// domain returns the domain that a look-up counts for, as one registers it, and the name one
// label below it. Of addresses they are networks as they are given out (IPv4 /16 and /24, IPv6
// /48 and /64): names of those are in one zone.
func (q question) domain() (domain, name string) {
	if q.kind == kindAddr {
		a, _ := netip.ParseAddr(q.name)
		outer, inner := 48, 64
		if a.Is4() {
			outer, inner = 16, 24
		}
		o, _ := a.Prefix(outer)
		i, _ := a.Prefix(inner)
		return o.String(), i.String()
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(q.name)
	if err != nil { // nothing registered: "com"
		return q.name, q.name
	}
	inside := strings.TrimSuffix(strings.TrimSuffix(q.name, domain), ".")
	return domain, q.name[strings.LastIndexByte(inside, '.')+1:]
}
