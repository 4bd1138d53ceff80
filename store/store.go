package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// What goes wrong, for errors.Is. A context that ends is reported as its own error.
var (
	ErrNotFound = errors.New("store: no such key")
	ErrChanged  = errors.New("store: the value is another than expected")       // of CompareAndSet
	ErrNumber   = errors.New("store: the value is no number, or would be none") // of Increment
	ErrKey      = errors.New("store: the key is empty or too long")
	ErrValue    = errors.New("store: the value is too long")

	// ErrFull tells that a new key, or a longer value, would take the store over its limits,
	// also after what has expired was removed. Values as long as before can be written, and
	// keys can be deleted.
	ErrFull = errors.New("store: full")

	// ErrUnavailable is trouble that may pass: a full disk, a server that does not
	// answer. Its text has the cause. What to do without the store is for its user to
	// say; the store comes back without help as soon as the cause is gone.
	ErrUnavailable = errors.New("store: unavailable")

	ErrClosed = errors.New("store: closed")
)

// Mode says what a write waits for.
type Mode byte

const (
	// Buffered writes are seen by all at once, and are safe a moment later: if the
	// machine or the process ends before, those of the last 200 ms may be lost, and in an
	// order of their own.
	Buffered Mode = iota

	// Durable writes return when they are safe: a crash after that does not undo them.
	// Others may see the value before. If there is an error after the value was seen
	// (ErrUnavailable, or of the context), the write may yet happen.
	Durable
)

// An Item is a value with its key.
type Item struct {
	Key   string // any bytes, at least one
	Value []byte // nil and empty are the same when written, and empty when read

	// Expires is when the item ceases to be there, as the clock of the store tells; zero
	// means never. It is kept in milliseconds, and later than the year 1970.
	Expires time.Time
}

// A Store keeps values by key. Its methods may be used by several goroutines at a time.
//
// Of one key all see the writes in one order; a value is old or new, never a mixture. What has
// expired is not there for any method, whether or not its room was freed already.
//
// The bytes of values that are given are copied; those returned are the caller's.
//
// Every method returns the error of a context that has ended, ErrKey for a key out of bounds,
// ErrUnavailable and ErrClosed.
type Store interface {
	// Get returns an item, or ErrNotFound.
	Get(ctx context.Context, key string) (Item, error)

	// Put writes an item, whatever was there before. An item that has expired already is
	// as good as deleted. The errors are ErrValue and ErrFull.
	Put(ctx context.Context, it Item, m Mode) error

	// CompareAndSet writes an item if the value at its key is old, else it returns
	// ErrChanged. A nil old means that there must be no such key; an old that is empty but not
	// nil, that the value must be empty: the Value of what Get returned, with ErrNotFound
	// too, is always right. Only values are compared, not when they expire. Other errors are
	// ErrValue and ErrFull.
	CompareAndSet(ctx context.Context, old []byte, it Item, m Mode) error

	// Increment adds delta, which may be negative, to the decimal number at key and
	// returns the sum; where there is no such key, to 0. From then on the item expires at the
	// given time, whatever it was before: a window that must not move has its name in the
	// key. It returns ErrNumber, and changes nothing, where the value is not as Increment
	// writes it or the sum is no int64. Another error is ErrFull.
	Increment(ctx context.Context, key string, delta int64, expires time.Time, m Mode) (int64, error)

	// Delete removes a key. That there is none is no error.
	Delete(ctx context.Context, key string, m Mode) error

	// Scan yields the items whose keys begin with prefix, which may be empty, in any order. An
	// item that is there all the while is yielded once; of those that come and go in the
	// meantime some are and some are not. An error is yielded last, with an empty item. The
	// store may be used, and written to, inside the loop.
	Scan(ctx context.Context, prefix string) iter.Seq2[Item, error]

	// Close ends the use of the store, when all that was written is safe. Its error
	// tells that it is not. After it every method returns ErrClosed; Close itself then does nothing.
	Close() error
}

// Stats tell of a store what it holds, and what it did since it was opened. What a store does not
// know of itself is 0.
type Stats struct {
	Entries int64 // those that have expired and were not removed yet are in
	Bytes   int64 // that they take, in memory or on disk
	Pending int   // writes that are not safe yet

	Swept  uint64 // entries removed because they had expired
	Full   uint64 // writes refused with ErrFull
	Failed uint64 // attempts to write to disk that failed, or questions to a server

	// Err is why the store does not take writes at the moment, nil when it does.
	Err error
}

// Update gives the item at key to change, with a nil Value where there is none, and writes what
// change returns, which may be the same bytes changed, if nothing else was written there in between; else it starts again with what
// is there now. The Key of what change returns does not matter. An error of change ends it, and is
// returned. It returns what was written.
func Update(ctx context.Context, s Store, key string, m Mode, change func(Item) (Item, error)) (Item, error) {
	for {
		old, err := s.Get(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Item{}, err
		}
		it, err := change(Item{Key: key, Value: bytes.Clone(old.Value), Expires: old.Expires})
		if err != nil {
			return Item{}, err
		}
		it.Key = key
		if err := s.CompareAndSet(ctx, old.Value, it, m); !errors.Is(err, ErrChanged) {
			return it, err
		}
	}
}

// limits are the bounds of one item.
type limits struct{ key, value int }

const (
	defaultMaxKey     = 1 << 10
	defaultMaxValue   = 64 << 10
	defaultMaxEntries = 1_000_000
)

func newLimits(key, value int) limits {
	if key <= 0 {
		key = defaultMaxKey
	}
	if value <= 0 {
		value = defaultMaxValue
	}
	return limits{key, value}
}

func (l limits) checkKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: it is empty", ErrKey)
	case len(key) > l.key:
		return fmt.Errorf("%w: it has %d bytes, at most %d are taken", ErrKey, len(key), l.key)
	}
	return nil
}

func (l limits) check(it Item) error {
	if len(it.Value) > l.value {
		return fmt.Errorf("%w: it has %d bytes, at most %d are taken", ErrValue, len(it.Value), l.value)
	}
	return l.checkKey(it.Key)
}
