package callout

import "time"

// A budget counts what is done in a minute, by key. The caller locks.
type budget struct {
	since time.Time
	spent map[string]int
}

// take spends one of limit under each key, all or none. A minute begins with the first that is
// spent after the last.
func (b *budget) take(now time.Time, limits ...limit) bool {
	if b.spent == nil || now.Sub(b.since) >= time.Minute || now.Before(b.since) {
		b.since, b.spent = now, make(map[string]int)
	}
	for _, l := range limits {
		if b.spent[l.key] >= l.most {
			return false
		}
	}
	for _, l := range limits {
		b.spent[l.key]++
	}
	return true
}

type limit struct {
	key  string
	most int
}
