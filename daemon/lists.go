package daemon

import (
	"context"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// lookTime is how often files are looked at. They must have stayed the same for as
// long before they are read: who writes one writes it in pieces.
const lookTime = 500 * time.Millisecond

// A listWatcher notices changes of files. It looks at them again and again, which
// finds what a kernel's notice does not tell of or tells of in part: links on the
// way that lead elsewhere, folders that go and come back, and disks of other
// machines.
type listWatcher struct {
	mu    sync.Mutex
	files map[string]*watchedFile
}

// A watchedFile is what is known of a file; nil for one that is not there.
type watchedFile struct {
	read fs.FileInfo // before it was read the last time
	seen fs.FileInfo // at the last look
}

// watch sets the files to be watched, by their paths, with what was known of each
// before it was read.
func (w *listWatcher) watch(files map[string]fs.FileInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files = make(map[string]*watchedFile, len(files))
	for path, info := range files {
		w.files[path] = &watchedFile{read: info, seen: info}
	}
}

// run calls changed with the files that changed, once all stay the same, until ctx
// ends.
func (w *listWatcher) run(ctx context.Context, changed func(files []string)) {
	t := time.NewTicker(lookTime)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if files := w.look(); len(files) > 0 {
				changed(files)
			}
		case <-ctx.Done():
			return
		}
	}
}

// look returns the files that are to be read again, none while one of them changes.
// It takes them for read.
func (w *listWatcher) look() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var changed []string
	still := true
	for path, f := range w.files {
		now, err := os.Stat(path)
		if err != nil {
			now = nil
		}
		if !sameState(now, f.seen) {
			f.seen, still = now, false
		}
		if !sameState(now, f.read) {
			changed = append(changed, path)
		}
	}
	if !still {
		return nil
	}
	for _, path := range changed {
		w.files[path].read = w.files[path].seen
	}
	slices.Sort(changed)
	return changed
}

// sameState reports whether a file is the same and holds the same, as far as can be
// told without reading it.
func sameState(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode() && ownerOf(a) == ownerOf(b)
}

// ownerOf returns who owns a file, which decides who can read it.
func ownerOf(info fs.FileInfo) (ids [2]uint32) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		ids = [2]uint32{st.Uid, st.Gid}
	}
	return ids
}

// watched returns the files whose change makes a new configuration.
func (s *setup) watched() map[string]fs.FileInfo {
	files := make(map[string]fs.FileInfo)
	if s.config.Watch.Lists {
		for _, path := range s.config.ListFiles() {
			files[path] = s.config.ListInfo(path)
		}
	}
	return files
}
