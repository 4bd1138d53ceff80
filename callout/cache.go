package callout

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// A Cache keeps what was found, for a term. A value may be lost before; it is then asked
// again. Methods may be called by several goroutines at a time, and are to return
// when ctx ends. Slices are not to be written to, by either side.
type Cache interface {
	// Get returns what was put under a key, and whether there is such.
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)
	// Put keeps a value of at most 64 KiB for a term.
	Put(ctx context.Context, key string, value []byte, term time.Duration) error
}

// A Memory is a [Cache] in memory, which forgets first what was not used for longest.
type Memory struct {
	entries int
	now     func() time.Time

	mu   sync.Mutex
	kept map[string]*list.Element // of *kept
	used list.List                // what was used last stands first
}

type kept struct {
	key     string
	value   []byte
	expires time.Time
}

// NewMemory returns a Memory of a number of entries, where 0 means 10000, each of which takes
// about 1 KiB. now may be nil.
func NewMemory(entries int, now func() time.Time) *Memory {
	if entries <= 0 {
		entries = 10000
	}
	if now == nil {
		now = time.Now
	}
	return &Memory{entries: entries, now: now, kept: make(map[string]*list.Element)}
}

// Get is [Cache]'s; the error is nil.
func (m *Memory) Get(_ context.Context, key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.kept[key]
	if !ok {
		return nil, false, nil
	}
	k := at.Value.(*kept)
	if !m.now().Before(k.expires) {
		m.drop(at)
		return nil, false, nil
	}
	m.used.MoveToFront(at)
	return k.value, true, nil
}

// Put is [Cache]'s; the error is nil.
func (m *Memory) Put(_ context.Context, key string, value []byte, term time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.kept[key]; ok {
		m.drop(at)
	}
	m.kept[key] = m.used.PushFront(&kept{key, value, m.now().Add(term)})
	if len(m.kept) > m.entries {
		m.drop(m.used.Back())
	}
	return nil
}

func (m *Memory) drop(at *list.Element) { delete(m.kept, m.used.Remove(at).(*kept).key) }
