package quarantine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrFull is returned when a message would take the store over its limits. The message
// is to be deferred: unless Options.DropOldest is set, what is there already is not
// thrown away for it.
var ErrFull = errors.New("quarantine: full")

// ErrEntry is returned for an Entry that would be larger than Options.MaxEntry.
var ErrEntry = errors.New("quarantine: the entry is too large")

// Options are the limits of a Store. The zero value of a field is its default.
type Options struct {
	MaxBytes   int64         // of all that is kept; 0 means 1 GiB
	MaxEntries int           // messages; 0 means 10 000
	MaxEntry   int64         // bytes of one Entry as JSON; 0 means 4 MiB
	MaxAge     time.Duration // what Purge leaves; 0 means 7 days, less than 0 means for ever
	MaxSame    int           // originals kept of one content on which one filter failed; 0 means 3

	// DropOldest makes Purge, and Keep where it finds no room, remove the oldest
	// messages, until less than 80 % of the limits is used. Without it a full store stays full until messages are old
	// enough or someone removes them: nothing is thrown away unseen.
	DropOldest bool

	// Alert is called when 80 % of the bytes or the messages are used, once until less
	// is used again. It is called by Open, Keep and Purge and holds up nothing else.
	Alert func(Usage)

	Now func() time.Time // nil means time.Now
}

// A Usage is what a store holds and may hold.
type Usage struct {
	Bytes, MaxBytes     int64
	Entries, MaxEntries int
}

// high reports whether it is time for an alert.
func (u Usage) high() bool {
	return u.Bytes >= u.MaxBytes-u.MaxBytes/5 || u.Entries >= u.MaxEntries-u.MaxEntries/5
}

// A Store keeps messages in a folder. It is safe for concurrent use. Several Stores,
// also of several processes, may use one folder: no two messages get one
// reference, and each Store counts what the others keep within 10 seconds. The limits
// hold exactly for what one Store keeps.
type Store struct {
	o   Options
	dir folder

	room sync.Mutex // held while room is made; before mu

	mu       sync.Mutex
	kept     map[string]keptEntry
	bytes    int64               // of kept, and of files of other Stores that are being written
	writing  map[string]bool     // references whose files are being written here
	reserved int64               // bytes of those
	failures map[failure]failed  // what filters failed on
	decided  *sync.Cond          // on mu: one of the pending failures was kept, or not
	once     map[[32]byte]string // what KeepOnce finds again, by keptEntry.same
	alerted  bool
	counted  time.Time // when the folder was last read
}

// A keptEntry is what a Store remembers of an entry.
type keptEntry struct {
	bytes   int64 // of both files
	failed  bool
	failure failure  // where failed is set
	same    [32]byte // digest of what KeepOnce goes by, where it is not
}

func newKept(e Entry, bytes int64) keptEntry {
	k := keptEntry{bytes: bytes, failed: e.Failed}
	if k.failed {
		k.failure = failure{e.Filter, e.SHA256}
	} else {
		k.same = e.same()
	}
	return k
}

// A failure is a filter and the content that it failed on.
type failure struct {
	filter string
	digest [32]byte
}

type failed struct {
	kept    int
	pending int    // that are being kept
	extra   int    // failures of which no original was kept, as there were enough
	last    string // the reference of the last one that was
}

// How old the count of the folder may be: when there seems to be room, and when not.
const (
	recount     = 10 * time.Second
	recountFull = time.Second
)

// Open opens the store in a folder, and makes the folder, with mode 0700, where it is
// missing. It removes what a process left half-written when it ended, counts what
// is kept, and sees that files can be written.
//
// Errors of the file system name the path. A folder that others may write to is
// refused.
func Open(path string, o Options) (*Store, error) {
	d, err := openDir(path)
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	return open(d, o)
}

func open(d folder, o Options) (*Store, error) {
	o.MaxBytes = cmp.Or(o.MaxBytes, 1<<30)
	o.MaxEntries = cmp.Or(o.MaxEntries, 10_000)
	o.MaxEntry = cmp.Or(o.MaxEntry, 4<<20)
	o.MaxAge = cmp.Or(o.MaxAge, 7*24*time.Hour)
	o.MaxSame = cmp.Or(o.MaxSame, 3)
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{o: o, dir: d, kept: map[string]keptEntry{}, writing: map[string]bool{}, failures: map[failure]failed{}, once: map[[32]byte]string{}}
	s.decided = sync.NewCond(&s.mu)
	probe := newRef(o.Now()) + rawTemp
	f, err := d.create(probe)
	if err == nil {
		f.Close()
		err = d.remove(probe)
	}
	if err != nil {
		return nil, fmt.Errorf("quarantine: cannot write: %w", err)
	}
	s.mu.Lock()
	if err = s.sweep(); err == nil {
		err = s.count()
	}
	s.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	s.alert()
	return s, nil
}

// The files of a reference.
const (
	rawFile   = ".eml"
	entryFile = ".json"
	rawTemp   = ".eml.tmp"
	entryTemp = ".json.tmp"
)

// split takes a file's name apart; ok is false for files that are not of the store.
func split(name string) (ref, kind string, ok bool) {
	if len(name) <= refLen || !ValidRef(name[:refLen]) {
		return "", "", false
	}
	kind = name[refLen:]
	return name[:refLen], kind, kind == rawFile || kind == entryFile || kind == rawTemp || kind == entryTemp
}

// sweep removes what nobody is going to complete: temporary files, and messages
// without an entry.
func (s *Store) sweep() error {
	names, err := s.dir.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		ref, kind, ok := split(name)
		if !ok || s.writing[ref] || kind == entryFile || kind == rawFile && s.whole(ref) || !s.dir.abandoned(name) {
			continue
		}
		// Its entry may have appeared since, and only then was it let go.
		if kind == rawFile && s.whole(ref) {
			continue
		}
		if err := s.dir.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// whole reports whether a reference has an entry, or may have one.
func (s *Store) whole(ref string) bool {
	_, err := s.dir.size(ref + entryFile)
	return !errors.Is(err, fs.ErrNotExist)
}

// count reads the folder.
func (s *Store) count() error {
	names, err := s.dir.names()
	if err != nil {
		return err
	}
	s.counted = s.o.Now()
	sizes := map[string]int64{} // by reference
	entries := map[string]bool{}
	s.bytes = 0
	for _, name := range names {
		ref, kind, ok := split(name)
		if !ok || s.writing[ref] {
			continue
		}
		n, err := s.dir.size(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		s.bytes += n
		sizes[ref] += n
		if kind == entryFile {
			entries[ref] = true
		}
	}
	for ref := range s.kept {
		if !entries[ref] {
			s.forget(ref)
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(entries)) {
		if k, known := s.kept[ref]; known {
			k.bytes = sizes[ref]
			s.kept[ref] = k
			continue
		}
		k := keptEntry{bytes: sizes[ref]}
		if e, err := s.entry(ref); err == nil {
			k = newKept(e, k.bytes)
		}
		s.remember(ref, k)
	}
	return nil
}

func (s *Store) remember(ref string, k keptEntry) {
	s.kept[ref] = k
	if !k.failed {
		s.once[k.same] = max(s.once[k.same], ref)
		return
	}
	f := s.failures[k.failure]
	f.kept++
	f.last = max(f.last, ref)
	s.failures[k.failure] = f
}

func (s *Store) forget(ref string) {
	k, known := s.kept[ref]
	if !known {
		return
	}
	delete(s.kept, ref)
	if !k.failed {
		if s.once[k.same] == ref {
			delete(s.once, k.same)
		}
		return
	}
	f := s.failures[k.failure]
	f.kept--
	if f.last == ref {
		f.last = ""
		for other, o := range s.kept {
			if o.failed && o.failure == k.failure {
				f.last = max(f.last, other)
			}
		}
	}
	s.setFailed(k.failure, f)
}

// setFailed forgets a failure with its last original.
func (s *Store) setFailed(k failure, f failed) {
	if f.kept+f.pending == 0 {
		delete(s.failures, k)
		return
	}
	s.failures[k] = f
}

// usage counts what is kept and what is being written.
func (s *Store) usage() Usage {
	return Usage{s.bytes + s.reserved, s.o.MaxBytes, len(s.kept) + len(s.writing), s.o.MaxEntries}
}

// Used returns what the store holds, messages that are being written included.
func (s *Store) Used() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usage()
}

// alert calls Options.Alert where it is time to.
func (s *Store) alert() {
	s.mu.Lock()
	u := s.usage()
	call := u.high() && !s.alerted
	s.alerted = u.high()
	s.mu.Unlock()
	if call && s.o.Alert != nil {
		s.o.Alert(u)
	}
}

// reserve takes bytes, or a message where there are none to take yet, into account
// before they are written.
func (s *Store) reserve(ref string, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fits := func() bool {
		u := s.usage()
		return n <= u.MaxBytes-u.Bytes && (s.writing[ref] || u.Entries < u.MaxEntries)
	}
	age := s.o.Now().Sub(s.counted)
	if age < 0 || age >= recount || age >= recountFull && !fits() {
		if err := s.count(); err != nil {
			return fmt.Errorf("quarantine: %w", err)
		}
	}
	if !fits() {
		return ErrFull
	}
	s.writing[ref] = true
	s.reserved += n
	return nil
}

// Keep keeps a message: it reads it from raw to its end and returns the entry, with its
// Ref, Time, Size and SHA256 set. When it returns, the message and its entry are on
// disk for good; when it returns an error, nothing of them is.
//
// Where Options.MaxSame originals of a content on which a filter failed are kept already,
// another one (Failed) is not: it is counted, see [Store.Failures], and the entry has the
// Ref of the last original.
//
// Errors: [ErrFull], [ErrEntry], that of ctx, of raw, and those of the file system, which
// name the path.
func (s *Store) Keep(ctx context.Context, e Entry, raw io.Reader) (Entry, error) {
	return s.keep(ctx, e, raw, false)
}

// KeepOnce is Keep for a message that may have been kept before: a client that was
// told to try again sends it again. Where an original with the same content, sender,
// recipients, filter and reason is kept, nothing is written and the entry has its Ref. It
// is not older than half of Options.MaxAge, so that it stays for as long again.
func (s *Store) KeepOnce(ctx context.Context, e Entry, raw io.Reader) (Entry, error) {
	return s.keep(ctx, e, raw, true)
}

func (s *Store) keep(ctx context.Context, e Entry, raw io.Reader, once bool) (Entry, error) {
	defer s.alert()
	e.Time = s.o.Now().UTC()
	e.Ref = newRef(e.Time)
	e.Stack, e.Reason = cut(e.Stack, maxStack), cut(e.Reason, maxReason)
	w := writing{s: s, ref: e.Ref}
	if err := w.reserve(ctx, 0); err != nil {
		return Entry{}, err
	}
	defer w.end()
	f, err := w.raw(ctx, raw)
	if err != nil {
		return Entry{}, err
	}
	e.Size = w.size
	w.hash.Sum(e.SHA256[:0])
	if ref := s.keptBefore(e, once); ref != "" {
		e.Ref = ref
		return e, nil
	}
	w.pending = e.Failed
	w.kept = newKept(e, 0)
	if err := w.sync(f); err != nil {
		return Entry{}, err
	}
	if err := w.entry(ctx, e); err != nil {
		return Entry{}, err
	}
	if err := w.commit(); err != nil {
		return Entry{}, fmt.Errorf("quarantine: %w", err)
	}
	w.done = true
	return e, nil
}

// keptBefore returns the reference of an original that serves for e, or "": then e is
// to be kept. Of failures it counts those of which enough originals are kept, and
// those that are about to be.
func (s *Store) keptBefore(e Entry, once bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !e.Failed {
		ref := s.once[e.same()]
		if !once || ref == "" || s.o.MaxAge > 0 && s.o.Now().Sub(timeOf(ref)) > s.o.MaxAge/2 {
			return ""
		}
		if !s.whole(ref) { // another Store removed it
			s.counted = time.Time{}
			return ""
		}
		return ref
	}
	k := failure{e.Filter, e.SHA256}
	for s.failures[k].kept < s.o.MaxSame && s.failures[k].kept+s.failures[k].pending >= s.o.MaxSame {
		s.decided.Wait() // for those that write theirs
	}
	f := s.failures[k]
	if f.kept > 0 && f.kept >= s.o.MaxSame {
		f.extra++
		s.failures[k] = f
		return f.last
	}
	f.pending++
	s.failures[k] = f
	return ""
}

// Failures returns how often messages of one content, by their SHA-256, were kept because
// the filter failed on them. What is kept is what it goes by, so that it outlives the
// process; beyond Options.MaxSame it is of this Store only, and it is
// forgotten with the last original.
func (s *Store) Failures(filter string, digest [32]byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.failures[failure{filter, digest}]
	return f.kept + f.extra
}

// Get returns an entry and its message, which the caller closes. It returns [ErrRef] for
// what is no reference, and an error that wraps [fs.ErrNotExist] when nothing is kept
// under it.
func (s *Store) Get(ref string) (Entry, io.ReadCloser, error) {
	if !ValidRef(ref) {
		return Entry{}, nil, ErrRef
	}
	e, err := s.entry(ref)
	if err != nil {
		return Entry{}, nil, fmt.Errorf("quarantine: %w", err)
	}
	f, err := s.dir.open(ref + rawFile)
	if err != nil {
		return Entry{}, nil, fmt.Errorf("quarantine: %w", err)
	}
	return e, f, nil
}

// entry reads the entry of a valid reference.
func (s *Store) entry(ref string) (Entry, error) {
	f, err := s.dir.open(ref + entryFile)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, s.o.MaxEntry+1))
	if err != nil {
		return Entry{}, err
	}
	if int64(len(b)) > s.o.MaxEntry {
		return Entry{}, fmt.Errorf("%s: %w", ref, ErrEntry)
	}
	var e Entry
	if err := json.Unmarshal(b, &e); err != nil {
		return Entry{}, fmt.Errorf("entry %s: %w", ref, err)
	}
	if e.Ref != ref {
		return Entry{}, fmt.Errorf("entry %s: names itself %s", ref, e.Ref)
	}
	return e, nil
}

// List walks the entries, newest first. An entry that cannot be read is yielded with its
// Ref alone and the error; one that is removed meanwhile is left out. An error without
// Ref, of ctx or of the folder, is the last.
func (s *Store) List(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		refs, err := s.refs()
		if err != nil {
			yield(Entry{}, fmt.Errorf("quarantine: %w", err))
			return
		}
		slices.Reverse(refs)
		for _, ref := range refs {
			if err := ctx.Err(); err != nil {
				yield(Entry{}, err)
				return
			}
			e, err := s.entry(ref)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil:
				e, err = Entry{Ref: ref}, fmt.Errorf("quarantine: %w", err)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// refs returns the references of the entries that are there, oldest first.
func (s *Store) refs() ([]string, error) {
	names, err := s.dir.names()
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		_, kind, ok := split(name)
		return !ok || kind != entryFile
	})
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, entryFile)
	}
	slices.Sort(names)
	return names, nil
}

// Remove removes a message and its entry for good. It returns [ErrRef] for what is no
// reference, and an error that wraps [fs.ErrNotExist] when nothing is kept under it.
func (s *Store) Remove(ref string) error {
	if !ValidRef(ref) {
		return ErrRef
	}
	_, err := s.remove(ref)
	if err == nil {
		err = s.dir.sync()
	}
	s.alert()
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}

// remove removes the files of a reference, the entry first: a message without one
// counts as nothing.
func (s *Store) remove(ref string) (freed int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range []string{entryFile, rawFile} {
		n, err := s.dir.size(ref + kind)
		if err == nil {
			err = s.dir.remove(ref + kind)
		}
		switch {
		case err == nil:
			freed += n
		case kind == entryFile || !errors.Is(err, fs.ErrNotExist):
			s.counted = time.Time{}
			return freed, err
		}
	}
	s.bytes -= s.kept[ref].bytes // 0 when another Store kept it and it was not counted yet
	s.forget(ref)
	return freed, nil
}
