package quarantine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A writing is a message on its way into the store.
type writing struct {
	s        *Store
	ref      string
	hash     hash256
	size     int64
	reserved int64
	files    []file
	names    []string  // what is to be removed if it comes to nothing, in this order
	kept     keptEntry // what is remembered of it
	pending  bool      // it is counted among the failures that are being kept
	done     bool      // it came to something
}

type hash256 = interface {
	io.Writer
	Sum([]byte) []byte
}

// raw writes the message into a file that is still to be synced.
func (w *writing) raw(ctx context.Context, raw io.Reader) (file, error) {
	f, err := w.create(rawTemp)
	if err != nil {
		return nil, err
	}
	w.hash = sha256.New()
	buf := make([]byte, 32<<10)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := raw.Read(buf)
		if n > 0 {
			w.hash.Write(buf[:n])
			w.size += int64(n)
			if err := w.write(ctx, f, buf[:n]); err != nil {
				return nil, err
			}
		}
		switch {
		case err == io.EOF:
			return f, nil
		case err != nil:
			return nil, fmt.Errorf("quarantine: read the message: %w", err)
		}
	}
}

// entry writes the entry.
func (w *writing) entry(ctx context.Context, e Entry) error {
	b, err := e.MarshalJSON()
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	b = append(b, '\n')
	if int64(len(b)) > w.s.o.MaxEntry {
		return ErrEntry
	}
	f, err := w.create(entryTemp)
	if err != nil {
		return err
	}
	if err := w.write(ctx, f, b); err != nil {
		return err
	}
	return w.sync(f)
}

func (w *writing) create(kind string) (file, error) {
	f, err := w.s.dir.create(w.ref + kind)
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	w.files = append(w.files, f)
	w.names = append(w.names, w.ref+kind)
	return f, nil
}

// reserve is that of the store, which may make room for it: not for a message that
// would throw out many others.
func (w *writing) reserve(ctx context.Context, n int64) error {
	for tries := 0; ; tries++ {
		err := w.s.reserve(w.ref, n)
		if !errors.Is(err, ErrFull) || tries == 3 || w.reserved+n > w.s.o.MaxBytes/5 || !w.s.makeRoom(ctx) {
			return err
		}
	}
}

func (w *writing) write(ctx context.Context, f file, b []byte) error {
	if err := w.reserve(ctx, int64(len(b))); err != nil {
		w.s.alert() // as long as what it has taken counts
		return err
	}
	w.reserved += int64(len(b))
	if _, err := f.Write(b); err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}

func (w *writing) sync(f file) error {
	if err := f.Sync(); err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}

// commit gives the files their names. The message has its own on disk before the entry
// gets one, so that no crash leaves an entry without its message.
func (w *writing) commit() error {
	for _, step := range []struct{ from, to string }{{rawTemp, rawFile}, {entryTemp, entryFile}} {
		if err := w.s.dir.rename(w.ref+step.from, w.ref+step.to); err != nil {
			return err
		}
		w.names[slices.Index(w.names, w.ref+step.from)] = w.ref + step.to
		if err := w.s.dir.sync(); err != nil {
			return err
		}
	}
	return nil
}

// end closes the files and takes the message into account, or removes what there is of it.
func (w *writing) end() {
	s := w.s
	if !w.done {
		// The entry goes first, if it was there already.
		for _, name := range slices.Backward(w.names) {
			s.dir.remove(name) // or a sweep does it
		}
	}
	s.mu.Lock()
	delete(s.writing, w.ref)
	s.reserved -= w.reserved
	if w.done {
		s.bytes += w.reserved
		w.kept.bytes = w.reserved
		s.remember(w.ref, w.kept)
	}
	if w.pending {
		f := s.failures[w.kept.failure]
		f.pending--
		s.setFailed(w.kept.failure, f)
		s.decided.Broadcast()
	}
	s.mu.Unlock()
	for _, f := range w.files {
		f.Close() // synced before, or not wanted; until then no sweep takes them
	}
}
