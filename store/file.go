package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What OpenFile finds, for errors.Is.
var (
	// ErrLocked tells that another process, or another File of this one, has the file.
	ErrLocked = errors.New("in use by another process; while the daemon runs, ask it through its control socket")

	// ErrDamaged tells that a file is spoilt, was cut short or is not ours. Nothing in it is
	// changed. Methods return it too, where they find damage in a file that is in use; nothing
	// is written to the file after that.
	ErrDamaged = errors.New("damaged, or no store of ours")
)

// FileOptions bound a [File]. The zero value works.
type FileOptions struct {
	MaxKey     int   // bytes of a key; 0 means 1 KiB, at most 32 760
	MaxValue   int   // bytes of a value; 0 means 64 KiB, at most 16 MiB
	MaxEntries int   // 0 means 1 000 000
	MaxBytes   int64 // the file never grows over; 0 means 2 GiB (1 GiB where an int has 32 bits), at least 8 MiB

	// MaxPending are the bytes, about, of writes that wait in memory for the disk; while there
	// are more, writers wait. 0 means 16 MiB.
	MaxPending int

	Delay    time.Duration // a buffered write waits for others; 0 means 200 ms
	Retry    time.Duration // pause after the disk failed; 0 means 1 s
	LockWait time.Duration // for another process to let go of the file; 0 means 2 s

	// Settle is how long the clock must have run evenly before what has expired is
	// removed for good, so that a clock that was wrong for a moment, or is wrong after a
	// start, does no harm. Where room is wanted it is removed at once. 0 means 10 minutes, less
	// than 0 no time.
	Settle time.Duration

	Now func() time.Time // nil means time.Now
	Log *slog.Logger     // told when the disk fails, and when it works again; nil means slog.Default()

	step func(name string) error // for tests: called as a commit goes on, an error is one of the disk
}

func (o FileOptions) withDefaults() (FileOptions, error) {
	o.MaxKey, o.MaxValue = cmp.Or(o.MaxKey, defaultMaxKey), cmp.Or(o.MaxValue, defaultMaxValue)
	o.MaxEntries = cmp.Or(o.MaxEntries, defaultMaxEntries)
	o.MaxBytes = cmp.Or(o.MaxBytes, 1<<30<<(strconv.IntSize/64))
	o.MaxPending = cmp.Or(o.MaxPending, 16<<20)
	o.Delay = cmp.Or(o.Delay, 200*time.Millisecond)
	o.Retry = cmp.Or(o.Retry, time.Second)
	o.LockWait = cmp.Or(o.LockWait, 2*time.Second)
	o.Settle = cmp.Or(o.Settle, 10*time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	for _, f := range []struct {
		name        string
		value       int64
		least, most int64
	}{
		{"MaxKey", int64(o.MaxKey), 1, boltMaxKey},
		{"MaxValue", int64(o.MaxValue), 1, 16 << 20},
		{"MaxEntries", int64(o.MaxEntries), 1, 1 << 31},
		{"MaxBytes", o.MaxBytes, 8 << 20, 1 << 30 << (strconv.IntSize / 64 * 8)},
		{"MaxPending", int64(o.MaxPending), 1, 1 << 30},
		{"Delay", int64(o.Delay), 1, int64(time.Minute)},
		{"Retry", int64(o.Retry), 1, int64(time.Minute)},
		{"LockWait", int64(o.LockWait), 1, int64(time.Hour)},
	} {
		if f.value < f.least || f.value > f.most {
			return o, fmt.Errorf("store: %s is %d; write one from %d to %d", f.name, f.value, f.least, f.most)
		}
	}
	return o, nil
}

// A File is a Store in one file, which one process has open at a time.
//
// Writes gather in memory, where they are seen at once, and go to the file in one
// transaction and one fsync, 200 ms (Delay) after the first of them, or at once where one is
// durable. A crash at any moment leaves the file as it was after one of these.
//
// If the disk fails, what was not safe yet stays in memory, every further write is refused with
// ErrUnavailable, buffered or durable, and File tries again each second (Retry), until it
// succeeds and takes writes again. What can be read is still read. So no more is ever
// at stake than the writes of 200 ms and of the time that the disk takes for them.
//
// ErrFull is returned for more than MaxEntries, and when what is in use of the file is a quarter of
// MaxBytes: the rest is for writing anew what changes, and for the state before. A file does
// not become smaller; its room is used again.
//
// It yields items in the order of their keys.
type File struct {
	limits
	o    FileOptions
	path string

	urgent, wake, stop chan struct{}
	stopped            chan struct{} // closed when run has ended
	endErr             error         // of the last flush, before stopped is closed

	clock steadiness // run's alone

	mu       sync.Mutex
	closed   bool
	dirty    map[string]change // writes since the last flush began
	flushing map[string]change // writes that go to the file now; nil when there is no flush
	bytes    int               // of dirty, about
	next     *round            // the flush that dirty goes with
	force    bool              // that flush is to remove what has expired, in any case
	earliest int64             // when the first of dirty expires, 0 for never
	fresh    int               // keys that dirty adds to those in the file, less those it takes away
	adding   int               // as fresh, of flushing
	bolt     *bolt             // nil after it could not be opened again
	failed   error             // why no writes are taken
	broken   error             // damage that was found
	stats    Stats
}

// A change is what a key becomes.
type change struct {
	record
	gone bool
}

// A round is a flush, for those who wait for it.
type round struct {
	done chan struct{}
	err  error // before done is closed
}

// OpenFile opens a store, and makes it, with its folder, if there is none. The file is for its owner
// only. All of it is read once.
//
// The errors are ErrLocked, after LockWait, ErrDamaged, and what the system says.
func OpenFile(path string, o FileOptions) (*File, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := makeFile(path, o); err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	b, err := openBolt(path, o, canLock)
	if err != nil {
		if errors.Is(err, ErrDamaged) {
			return nil, fmt.Errorf("store: %s: %w. Nothing in it was changed. Move it away, or put a copy of it back; without it a new store is made, with nothing in it", path, err)
		}
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	f := &File{limits: limits{o.MaxKey, o.MaxValue}, o: o, path: path, bolt: b,
		urgent: make(chan struct{}, 1), wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
		dirty: make(map[string]change), next: &round{done: make(chan struct{})}}
	f.clock.start(o.Now())
	go f.run()
	return f, nil
}

// makeFile makes a file, unless it is there: whole, under another name first, so that a crash in
// between leaves no half file in its place.
func makeFile(path string, o FileOptions) error {
	switch i, err := os.Stat(path); {
	case err == nil && !i.Mode().IsRegular():
		return fmt.Errorf("it is no file but %v", i.Mode().Type())
	case err == nil && i.Size() > 0:
		return nil
	case err == nil: // an empty one may be another's that is being made
		return os.Chmod(path, 0o600)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, filepath.Base(path)+".new*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	temp.Close()
	b, err := openBolt(temp.Name(), o, false)
	if err != nil {
		return err
	}
	if err := b.close(); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Get is [Store]'s.
func (f *File) Get(ctx context.Context, key string) (Item, error) {
	if err := ctx.Err(); err != nil {
		return Item{}, err
	}
	if err := f.checkKey(key); err != nil {
		return Item{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return Item{}, ErrClosed
	}
	r, ok, err := f.look(key)
	if err != nil {
		return Item{}, err
	}
	if !ok || r.expired(f.o.Now()) {
		return Item{}, ErrNotFound
	}
	return r.item(key), nil
}

// Put is [Store]'s.
func (f *File) Put(ctx context.Context, it Item, m Mode) error {
	if err := f.check(it); err != nil {
		return err
	}
	next := record{slices.Clone(it.Value), expiryOf(it.Expires)}
	return f.write(ctx, it.Key, m, func(record, bool) (change, error) { return change{record: next}, nil })
}

// CompareAndSet is [Store]'s.
func (f *File) CompareAndSet(ctx context.Context, old []byte, it Item, m Mode) error {
	if err := f.check(it); err != nil {
		return err
	}
	next := record{slices.Clone(it.Value), expiryOf(it.Expires)}
	return f.write(ctx, it.Key, m, func(is record, ok bool) (change, error) {
		if ok != (old != nil) || !bytes.Equal(is.value, old) {
			return change{}, ErrChanged
		}
		return change{record: next}, nil
	})
}

// Increment is [Store]'s.
func (f *File) Increment(ctx context.Context, key string, delta int64, expires time.Time, m Mode) (n int64, err error) {
	err = f.write(ctx, key, m, func(is record, ok bool) (change, error) {
		value := is.value
		if !ok {
			value = nil
		} else if value == nil {
			value = []byte{}
		}
		var err error
		if n, err = add(value, delta); err != nil {
			return change{}, err
		}
		return change{record: record{strconv.AppendInt(nil, n, 10), expiryOf(expires)}}, nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Delete is [Store]'s.
func (f *File) Delete(ctx context.Context, key string, m Mode) error {
	return f.write(ctx, key, m, func(record, bool) (change, error) { return change{gone: true}, nil })
}

// look returns what is at key, expired or not. Its value is good until mu is unlocked.
func (f *File) look(key string) (record, bool, error) {
	if c, ok := f.dirty[key]; ok {
		return c.record, !c.gone, nil
	}
	if c, ok := f.flushing[key]; ok {
		return c.record, !c.gone, nil
	}
	if f.bolt == nil {
		return record{}, false, f.failed
	}
	r, ok, err := f.bolt.get(key)
	return r, ok, f.noteDamage(err)
}

// noteDamage has nothing written to a file in which damage was found.
func (f *File) noteDamage(err error) error {
	if errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("store: %s: %w", f.path, err)
		if f.broken == nil {
			f.broken, f.failed = err, err
			f.o.Log.Error("store is damaged, nothing is written to it any more; stop, and put back a copy or move it away", "path", f.path, "err", err)
		}
	}
	return err
}

// scanBatch bounds what Scan takes at a time, while others wait.
const (
	scanBatch = 256
	scanBytes = 256 << 10
)

// Scan is [Store]'s.
func (f *File) Scan(ctx context.Context, prefix string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		pending, err := f.pendingKeys(ctx, prefix)
		var batch []Item
		c := scanning{prefix: prefix, pending: pending, more: true}
		for err == nil && c.more {
			if batch, err = f.scan(&c, batch[:0]); err != nil {
				break
			}
			for _, it := range batch {
				if err = ctx.Err(); err != nil {
					break
				}
				if !yield(it, nil) {
					return
				}
			}
			clear(batch)
		}
		if err != nil {
			yield(Item{}, err)
		}
	}
}

// pendingKeys returns the keys that begin with prefix and may not be in the file yet, in their order.
func (f *File) pendingKeys(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	var keys []string
	for _, m := range []map[string]change{f.dirty, f.flushing} {
		for key := range m {
			if strings.HasPrefix(key, prefix) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// scanning is how far a Scan has come.
type scanning struct {
	prefix  string
	last    string   // the key that was looked at last
	pending []string // keys after last that may not be in the file
	more    bool     // there may be more after last
}

// scan appends the items that come next to batch.
func (f *File) scan(c *scanning, batch []Item) ([]Item, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return batch, ErrClosed
	}
	if f.bolt == nil {
		return batch, f.failed
	}
	now, bytes, seen := f.o.Now(), 0, 0
	// take looks at a key, unless it is enough.
	take := func(key string) (bool, error) {
		if c.more = seen >= scanBatch || bytes >= scanBytes; c.more {
			return false, nil
		}
		seen++
		c.last = key
		r, ok, err := f.look(key)
		if ok && !r.expired(now) {
			batch = append(batch, r.item(key))
			bytes += len(key) + len(r.value)
		}
		return err == nil, err
	}
	takePending := func(before string) (bool, error) {
		for len(c.pending) > 0 && (before == "" || c.pending[0] < before) {
			if ok, err := take(c.pending[0]); !ok {
				return false, err
			}
			c.pending = c.pending[1:]
		}
		return true, nil
	}
	c.more = false
	err := f.bolt.each(c.prefix, c.last, func(key string) (bool, error) {
		if ok, err := takePending(key); !ok {
			return false, err
		}
		if ok, err := take(key); !ok {
			return false, err
		}
		if len(c.pending) > 0 && c.pending[0] == key {
			c.pending = c.pending[1:]
		}
		return true, nil
	})
	if err == nil && !c.more {
		_, err = takePending("")
	}
	return batch, f.noteDamage(err)
}

// Stats tells what the store holds.
func (f *File) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.Pending = len(f.dirty) + len(f.flushing)
	s.Err = f.failed
	if f.bolt != nil {
		s.Entries, s.Bytes = int64(f.bolt.count+f.fresh+f.adding), f.bolt.used
	}
	return s
}

// Close is [Store]'s. Its error tells that writes of the last moment are lost.
func (f *File) Close() error {
	f.mu.Lock()
	first := !f.closed
	f.closed = true
	f.mu.Unlock()
	if first {
		close(f.stop)
	}
	<-f.stopped
	if !first {
		return nil
	}
	return f.endErr
}
