package daemon

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleTime is how long files must have stayed the same before they are read: who
// writes one writes it in pieces.
const settleTime = 500 * time.Millisecond

// A listWatcher notices changes of files.
type listWatcher struct {
	log *slog.Logger
	fs  *fsnotify.Watcher // nil where nothing can be watched

	mu    sync.Mutex
	files map[string]string // by the path that the system reports
}

func newListWatcher(log *slog.Logger) *listWatcher {
	w := &listWatcher{log: log}
	var err error
	if w.fs, err = fsnotify.NewWatcher(); err != nil {
		log.Warn("files are not watched; reload after changes", "err", err)
	}
	return w
}

// watch sets the files to be watched. It is their folders that are, as editors put
// another file in a file's place.
func (w *listWatcher) watch(files []string) {
	if w.fs == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files = make(map[string]string)
	want := make(map[string]bool)
	for _, f := range files {
		for _, path := range []string{f, realFile(f)} { // a link may change as well as what it leads to
			w.files[path] = f
			want[filepath.Dir(path)] = true
		}
	}
	for _, dir := range w.fs.WatchList() {
		if !want[dir] {
			w.fs.Remove(dir)
		}
		delete(want, dir)
	}
	for dir := range want {
		if err := w.fs.Add(dir); err != nil {
			w.log.Warn("a folder is not watched; reload after changes of its files", "dir", dir, "err", err)
		}
	}
}

// realFile follows links to a file as far as they lead.
func realFile(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// run calls changed with the files that changed, once they stay the same, until ctx
// ends.
func (w *listWatcher) run(ctx context.Context, changed func(files []string)) {
	if w.fs == nil {
		return
	}
	defer w.fs.Close()
	quiet := time.NewTimer(settleTime)
	quiet.Stop()
	var files []string
	for {
		select {
		case e := <-w.fs.Events:
			if !e.Has(fsnotify.Write | fsnotify.Create | fsnotify.Remove | fsnotify.Rename) {
				continue
			}
			w.mu.Lock()
			file, ok := w.files[filepath.Clean(e.Name)]
			w.mu.Unlock()
			if ok {
				if !slices.Contains(files, file) {
					files = append(files, file)
				}
				quiet.Reset(settleTime)
			}
		case err := <-w.fs.Errors:
			w.log.Warn("files may have changed unseen; reload after changes", "err", err)
		case <-quiet.C:
			changed(files)
			files = nil
		case <-ctx.Done():
			return
		}
	}
}
