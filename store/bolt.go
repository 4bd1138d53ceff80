package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The file has these buckets.
var (
	boltData    = []byte("data")    // records by key
	boltExpires = []byte("expires") // nothing, by milliseconds since 1970 in 8 bytes and key
	boltAbout   = []byte("about")
	boltFormat  = []byte("format") // in about: boltOurs

	boltOurs = []byte("gomilter store 1")
)

// boltMaxKey leaves room for a time in the longest key that bbolt takes.
const boltMaxKey = bbolt.MaxKeySize - 8

// sweepBatch are the entries removed in one transaction because they have expired.
const sweepBatch = 2000

// errLocked is what lockFile returns.
var errLocked = ErrLocked

// A bolt is an open bbolt file, with a snapshot of it to read from. commit may be called while
// another goroutine reads; all else is for one at a time.
type bolt struct {
	db     *bbolt.DB
	used   int64 // bytes of pages in use, as of the snapshot
	count  int   // entries, as of the snapshot
	counts int   // entries, as of the last transaction; commit's

	file  *os.File
	stuck bool                    // a panic left bbolt's locks held
	step  func(name string) error // of FileOptions

	snap    *bbolt.Tx
	data    *bbolt.Cursor
	expires *bbolt.Cursor
	key     []byte
}

// openBolt opens a bbolt file that is there, and checks its pages first where it should.
func openBolt(path string, o FileOptions, check bool) (_ *bolt, err error) {
	b := &bolt{step: o.step}
	defer func() {
		switch {
		case err == nil:
		case b.db != nil:
			b.close()
		case b.file != nil:
			closeLocked(b.file) // bbolt may have panicked
		}
	}()
	defer guard(&err, debug.SetPanicOnFault(true))
	b.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         o.LockWait,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		MaxSize:         int(o.MaxBytes),
		InitialMmapSize: int(o.MaxBytes), // so that it is never mapped anew, which would wait for the snapshot to be closed
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			file, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
			if err != nil {
				return nil, err
			}
			b.file = file
			return file, prepare(file, o.LockWait, check)
		},
	})
	if err != nil {
		b.db = nil
		return nil, boltError(err)
	}
	b.db.AllocSize = 1 << 20
	if err := b.ensureBuckets(); err != nil {
		return nil, err
	}
	if err := b.snapshot(); err != nil {
		return nil, err
	}
	if err := b.checkRecords(); err != nil {
		return nil, err
	}
	b.counts = b.count
	return b, nil
}

// checkRecords reads all records, and counts them.
func (b *bolt) checkRecords() error {
	expire := 0
	for key, value := b.data.First(); key != nil; key, value = b.data.Next() {
		r, err := parseRecord(key, value)
		if err != nil {
			return fmt.Errorf("%w: %w at %q", ErrDamaged, err, key)
		}
		b.count++
		if r.expires != 0 {
			expire++
		}
	}
	for e, _ := b.expires.First(); e != nil; e, _ = b.expires.Next() {
		at, key, err := parseExpiry(e)
		if err != nil {
			return err
		}
		expire--
		if found, value := b.data.Seek(key); !bytes.Equal(found, key) || recordExpires(value) != at {
			return fmt.Errorf("%w: a time of expiry is not that of %q", ErrDamaged, key)
		}
	}
	if expire != 0 {
		return fmt.Errorf("%w: there are %d times of expiry too few", ErrDamaged, expire)
	}
	return nil
}

// prepare locks a file and looks at it before bbolt does.
func prepare(f *os.File, wait time.Duration, check bool) error {
	if err := lockFile(f, wait); err != nil {
		return err
	}
	i, err := f.Stat()
	if err != nil {
		return err
	}
	if i.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			return err
		}
	}
	if !check {
		return nil
	}
	if err := checkBolt(f, i.Size()); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// boltError says in our words what bbolt does.
func boltError(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// guard is deferred, with debug.SetPanicOnFault(true). It turns a panic of bbolt, and a page that
// cannot be read, into ErrDamaged; without it they would end the process.
func guard(err *error, before bool) {
	r := recover()
	debug.SetPanicOnFault(before)
	if r != nil {
		*err = fmt.Errorf("%w: %v", ErrDamaged, r)
	}
}

// ensureBuckets makes the buckets in a new file, and checks that an old one is ours.
func (b *bolt) ensureBuckets() error {
	ours, empty := false, true
	err := b.db.View(func(tx *bbolt.Tx) error {
		empty = tx.ForEach(func([]byte, *bbolt.Bucket) error { return errLocked }) == nil
		about := tx.Bucket(boltAbout)
		ours = about != nil && bytes.Equal(about.Get(boltFormat), boltOurs) && tx.Bucket(boltData) != nil && tx.Bucket(boltExpires) != nil
		return nil
	})
	if err != nil || ours {
		return err
	}
	if !empty {
		return fmt.Errorf("%w: it is the file of another program, or of a later version of this one", ErrDamaged)
	}
	return b.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{boltData, boltExpires, boltAbout} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(boltAbout).Put(boltFormat, boltOurs)
	})
}

// snapshot has what is read be what is in the file now.
func (b *bolt) snapshot() error {
	tx, err := b.db.Begin(false)
	if err != nil {
		return err
	}
	b.snap = tx
	b.data, b.expires = tx.Bucket(boltData).Cursor(), tx.Bucket(boltExpires).Cursor()
	s := b.db.Stats()
	b.used = tx.Size() - int64(s.FreePageN+s.PendingPageN)*int64(b.db.Info().PageSize)
	return nil
}

// refresh is snapshot after a commit.
func (b *bolt) refresh() (err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	if err := b.snap.Rollback(); err != nil {
		return err
	}
	b.snap = nil
	b.count = b.counts
	return b.snapshot()
}

// unsure tells whether the last transaction, which failed, may nevertheless be what a
// reader sees.
func (b *bolt) unsure() (unsure bool) {
	var err error
	defer func() { unsure = unsure || err != nil }()
	defer guard(&err, debug.SetPanicOnFault(true))
	if b.snap == nil {
		return true
	}
	tx, err := b.db.Begin(false)
	if err != nil {
		return true
	}
	unsure = tx.ID() != b.snap.ID()
	return tx.Rollback() != nil || unsure
}

// get returns what is at key. The value is good until refresh.
func (b *bolt) get(key string) (r record, ok bool, err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	b.key = append(b.key[:0], key...)
	found, value := b.data.Seek(b.key)
	if found == nil || !bytes.Equal(found, b.key) {
		return record{}, false, nil
	}
	if r, err = parseRecord(b.key, value); err != nil {
		return record{}, false, fmt.Errorf("%w: %w at %q", ErrDamaged, err, key)
	}
	return r, true, nil
}

// each calls do with the keys after last that begin with prefix, while it returns true. do may
// call get.
func (b *bolt) each(prefix, last string, do func(key string) (bool, error)) (err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	c := b.snap.Bucket(boltData).Cursor()
	key, _ := c.Seek([]byte(max(prefix, last)))
	if key != nil && last != "" && string(key) == last {
		key, _ = c.Next()
	}
	for ; key != nil; key, _ = c.Next() {
		k := string(key)
		if !strings.HasPrefix(k, prefix) {
			return nil
		}
		if ok, err := do(k); !ok {
			return err
		}
	}
	return nil
}

// firstExpiry returns when the first entry expires, 0 for none.
func (b *bolt) firstExpiry() (at int64, err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	key, _ := b.expires.First()
	if key == nil {
		return 0, nil
	}
	at, _, err = parseExpiry(key)
	return at, err
}

func appendExpiry(dst []byte, at int64, key string) []byte {
	return append(binary.BigEndian.AppendUint64(dst, uint64(at)), key...)
}

// parseExpiry reads a key of the expires bucket.
func parseExpiry(b []byte) (at int64, key []byte, err error) {
	if len(b) <= 8 || binary.BigEndian.Uint64(b) > math.MaxInt64 {
		return 0, nil, fmt.Errorf("%w: a time of expiry", ErrDamaged)
	}
	return int64(binary.BigEndian.Uint64(b)), b[8:], nil
}

// commit writes changes in one transaction, in which it also removes some of what expired until a
// time. It returns how many it removed, and whether there are more.
func (b *bolt) commit(batch map[string]change, until int64) (swept int, more bool, err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	b.stuck = true // unless the next line ends as it should
	swept, more, err = b.transact(batch, until)
	b.stuck = false
	return swept, more, err
}

func (b *bolt) transact(batch map[string]change, until int64) (swept int, more bool, err error) {
	if err := b.at("begin"); err != nil {
		return 0, false, err
	}
	tx, err := b.db.Begin(true)
	if err != nil {
		return 0, false, err
	}
	defer tx.Rollback() // does nothing after Commit
	w := boltWriter{data: tx.Bucket(boltData), expires: tx.Bucket(boltExpires), count: b.counts}
	for i, key := range slices.Sorted(maps.Keys(batch)) { // neighbours share pages
		if i == len(batch)/2 {
			if err := b.at("half"); err != nil {
				return 0, false, err
			}
		}
		if err := w.apply(key, batch[key]); err != nil {
			return 0, false, err
		}
	}
	if swept, more, err = w.sweep(until); err != nil {
		return 0, false, err
	}
	if err := b.at("commit"); err != nil {
		return 0, false, err
	}
	if err := tx.Commit(); err != nil {
		return 0, false, err
	}
	b.counts = w.count
	return swept, more, b.at("committed")
}

// at tells tests where a commit has come to.
func (b *bolt) at(name string) error {
	if b.step == nil {
		return nil
	}
	return b.step(name)
}

// A boltWriter writes in a transaction.
type boltWriter struct {
	data, expires *bbolt.Bucket
	count         int
	room          []byte // bbolt keeps what it is given until the transaction ends
}

func (w *boltWriter) apply(key string, c change) error {
	k := []byte(key)
	old, had := record{}, false
	if value := w.data.Get(k); value != nil {
		var err error
		if old, err = parseRecord(k, value); err != nil {
			return fmt.Errorf("%w: %w at %q", ErrDamaged, err, key)
		}
		had = true
	}
	if had && old.expires != 0 && (c.gone || c.expires != old.expires) {
		if err := w.expires.Delete(appendExpiry(nil, old.expires, key)); err != nil {
			return err
		}
	}
	if c.gone {
		if !had {
			return nil
		}
		w.count--
		return w.data.Delete(k)
	}
	if !had {
		w.count++
	}
	if c.expires != 0 && (!had || c.expires != old.expires) {
		if err := w.expires.Put(appendExpiry(nil, c.expires, key), nil); err != nil {
			return err
		}
	}
	start := len(w.room)
	w.room = appendRecord(w.room, k, c.record)
	return w.data.Put(k, w.room[start:len(w.room):len(w.room)])
}

// sweep removes entries that expired until a time.
func (w *boltWriter) sweep(until int64) (n int, more bool, err error) {
	var due [][]byte
	c := w.expires.Cursor()
	for key, _ := c.First(); key != nil; key, _ = c.Next() {
		at, _, err := parseExpiry(key)
		if err != nil {
			return 0, false, err
		}
		if at > until {
			break
		}
		if more = len(due) == sweepBatch; more {
			break
		}
		due = append(due, bytes.Clone(key))
	}
	for _, e := range due {
		at, key, _ := parseExpiry(e)
		if err := w.expires.Delete(e); err != nil {
			return 0, false, err
		}
		r, err := parseRecord(key, w.data.Get(key))
		if err != nil || r.expires != at {
			return 0, false, fmt.Errorf("%w: a time of expiry that is not that of %q", ErrDamaged, key)
		}
		if err := w.data.Delete(key); err != nil {
			return 0, false, err
		}
		w.count--
		n++
	}
	return n, more, nil
}

// close closes the file, and so lets go of its lock.
func (b *bolt) close() (err error) {
	if b.stuck {
		return closeLocked(b.file) // bbolt would wait for ever
	}
	defer guard(&err, debug.SetPanicOnFault(true))
	if b.snap != nil {
		b.snap.Rollback()
		b.snap = nil
	}
	return b.db.Close()
}
