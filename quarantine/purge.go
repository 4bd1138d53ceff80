package quarantine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Purge removes the messages that are older than Options.MaxAge, those over the limits if
// Options.DropOldest is set, and what other processes left half-written. It returns how
// many messages it removed and how many bytes. It goes on past files that cannot
// be removed; the errors are joined.
func (s *Store) Purge(ctx context.Context) (n int, bytes int64, err error) {
	defer s.alert()
	s.mu.Lock()
	if err = s.sweep(); err == nil {
		err = s.count()
	}
	s.mu.Unlock()
	if err != nil {
		return 0, 0, fmt.Errorf("quarantine: %w", err)
	}
	now := s.o.Now()
	return s.drop(ctx, func(ref string) bool {
		return s.o.MaxAge > 0 && now.Sub(timeOf(ref)) > s.o.MaxAge || s.o.DropOldest && s.Used().high()
	})
}

// makeRoom removes the oldest messages where that is wanted. It reports whether there
// is more room than before.
func (s *Store) makeRoom(ctx context.Context) bool {
	if !s.o.DropOldest {
		return false
	}
	s.room.Lock() // whoever waited finds the room that another made
	defer s.room.Unlock()
	if !s.Used().high() {
		return true
	}
	n, _, _ := s.drop(ctx, func(string) bool { return s.Used().high() })
	return n > 0
}

// drop removes the oldest messages as long as goes says so.
func (s *Store) drop(ctx context.Context, goes func(ref string) bool) (n int, bytes int64, err error) {
	refs, err := s.refs()
	if err != nil {
		return 0, 0, fmt.Errorf("quarantine: %w", err)
	}
	var errs []error
	for _, ref := range refs {
		if err := ctx.Err(); err != nil {
			errs = append(errs, err)
			break
		}
		if !goes(ref) {
			break // those behind it are younger
		}
		freed, err := s.remove(ref)
		bytes += freed
		switch {
		case err == nil:
			n++
		case !errors.Is(err, fs.ErrNotExist): // another purged it
			errs = append(errs, err)
		}
	}
	if n > 0 {
		errs = append(errs, s.dir.sync())
	}
	if err := errors.Join(errs...); err != nil {
		return n, bytes, fmt.Errorf("quarantine: %w", err)
	}
	return n, bytes, nil
}
