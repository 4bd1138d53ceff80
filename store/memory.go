package store

import (
	"bytes"
	"container/heap"
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// MemoryOptions bound a [Memory]. The zero value works.
type MemoryOptions struct {
	MaxKey     int              // bytes of a key; 0 means 1 KiB
	MaxValue   int              // bytes of a value; 0 means 64 KiB
	MaxEntries int              // 0 means 1 000 000
	MaxBytes   int64            // of all entries, with what it takes to keep them; 0 means 256 MiB
	Now        func() time.Time // nil means time.Now
}

// A Memory is a Store that ends with the process: for tests, for trying things out, and for state
// that is cheap to gather again. Durable writes are as safe as buffered ones.
//
// It yields items in the order of their keys.
type Memory struct {
	limits
	maxEntries int
	maxBytes   int64
	now        func() time.Time

	mu      sync.Mutex
	closed  bool
	entries map[string]record
	bytes   int64
	due     dueHeap
	stats   Stats
}

// perRecord is what an entry takes beside the bytes of key and value, about.
const perRecord = 150

// NewMemory returns an empty Memory.
func NewMemory(o MemoryOptions) *Memory {
	m := &Memory{limits: newLimits(o.MaxKey, o.MaxValue), maxEntries: o.MaxEntries, maxBytes: o.MaxBytes, now: o.Now, entries: make(map[string]record)}
	if m.maxEntries <= 0 {
		m.maxEntries = defaultMaxEntries
	}
	if m.maxBytes <= 0 {
		m.maxBytes = 256 << 20
	}
	if m.now == nil {
		m.now = time.Now
	}
	return m
}

// Get is [Store]'s.
func (m *Memory) Get(ctx context.Context, key string) (Item, error) {
	if err := m.begin(ctx, key); err != nil {
		return Item{}, err
	}
	defer m.mu.Unlock()
	r, ok := m.look(key)
	if !ok {
		return Item{}, ErrNotFound
	}
	return r.item(key), nil
}

// Put is [Store]'s.
func (m *Memory) Put(ctx context.Context, it Item, _ Mode) error {
	if err := m.check(it); err != nil {
		return err
	}
	if err := m.begin(ctx, it.Key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	return m.set(it.Key, record{it.Value, expiryOf(it.Expires)})
}

// CompareAndSet is [Store]'s.
func (m *Memory) CompareAndSet(ctx context.Context, old []byte, it Item, _ Mode) error {
	if err := m.check(it); err != nil {
		return err
	}
	if err := m.begin(ctx, it.Key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if r, ok := m.look(it.Key); ok != (old != nil) || !bytes.Equal(r.value, old) {
		return ErrChanged
	}
	return m.set(it.Key, record{it.Value, expiryOf(it.Expires)})
}

// Increment is [Store]'s.
func (m *Memory) Increment(ctx context.Context, key string, delta int64, expires time.Time, _ Mode) (int64, error) {
	if err := m.begin(ctx, key); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	r, _ := m.look(key)
	n, err := add(r.value, delta)
	if err != nil {
		return 0, err
	}
	return n, m.set(key, record{strconv.AppendInt(nil, n, 10), expiryOf(expires)})
}

// Delete is [Store]'s.
func (m *Memory) Delete(ctx context.Context, key string, _ Mode) error {
	if err := m.begin(ctx, key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.remove(key)
	return nil
}

// Scan is [Store]'s.
func (m *Memory) Scan(ctx context.Context, prefix string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		keys, err := m.keys(ctx, prefix)
		for _, key := range keys {
			var it Item
			if it, err = m.Get(ctx, key); err == ErrNotFound {
				err = nil
				continue
			}
			if err != nil {
				break
			}
			if !yield(it, nil) {
				return
			}
		}
		if err != nil {
			yield(Item{}, err)
		}
	}
}

func (m *Memory) keys(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	var keys []string
	for key := range m.entries {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// Close forgets everything. The error is nil.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.entries, m.bytes, m.due = true, nil, 0, nil
	return nil
}

// Stats tells what the store holds.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Entries, s.Bytes = int64(len(m.entries)), m.bytes
	return s
}

// begin locks the store for one key, unless there is an error.
func (m *Memory) begin(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	return nil
}

// look returns what is at key and has not expired. Its value is not to be written to,
// and nil only where there is nothing.
func (m *Memory) look(key string) (record, bool) {
	r, ok := m.entries[key]
	if !ok || r.expired(m.now()) {
		return record{}, false
	}
	return r, true
}

func (m *Memory) set(key string, r record) error {
	now := m.now()
	if r.expired(now) {
		m.remove(key)
		return nil
	}
	if old, is := m.entries[key]; is && old.expired(now) {
		m.remove(key)
	}
	old, is := m.entries[key]
	size := int64(len(r.value) - len(old.value))
	if !is {
		size = int64(len(key) + len(r.value) + perRecord)
	}
	if size > 0 {
		full := func() bool { return !is && len(m.entries) >= m.maxEntries || m.bytes+size > m.maxBytes }
		m.sweep(now, 2) // each write pays for two others that end, so that none stay for long
		if full() {
			m.sweep(now, len(m.due))
		}
		if full() {
			m.stats.Full++
			return ErrFull
		}
	}
	m.bytes += size
	m.entries[key] = record{append(make([]byte, 0, len(r.value)), r.value...), r.expires}
	if r.expires != 0 && (!is || old.expires != r.expires) {
		heap.Push(&m.due, dueAt{r.expires, key})
		if len(m.due) > 2*len(m.entries)+64 { // most tell of times that were put off
			m.due = m.due[:0]
			for key, r := range m.entries {
				if r.expires != 0 {
					m.due = append(m.due, dueAt{r.expires, key})
				}
			}
			heap.Init(&m.due)
		}
	}
	return nil
}

func (m *Memory) remove(key string) {
	if r, ok := m.entries[key]; ok {
		m.bytes -= int64(len(key) + len(r.value) + perRecord)
		delete(m.entries, key)
	}
}

// sweep removes entries that have expired, looking at n times at most.
func (m *Memory) sweep(now time.Time, n int) {
	for ; n > 0 && len(m.due) > 0 && now.UnixMilli() >= m.due[0].at; n-- {
		d := heap.Pop(&m.due).(dueAt)
		if r, ok := m.entries[d.key]; ok && r.expires == d.at {
			m.remove(d.key)
			m.stats.Swept++
		}
	}
}

// A dueHeap holds the times at which entries expire, the first in front, and some that
// do not hold any more.
type dueHeap []dueAt

type dueAt struct {
	at  int64
	key string
}

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(dueAt)) }
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = dueAt{}
	*h = old[:len(old)-1]
	return last
}
