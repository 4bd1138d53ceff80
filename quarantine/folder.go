package quarantine

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A folder is what a Store asks of the file system; names are those of files in it.
// Tests put one in its place that fails.
type folder interface {
	// create makes a new file with mode 0600 and holds it until it is closed, by whatever
	// name it goes. It fails with fs.ErrExist when there is one.
	create(name string) (file, error)
	open(name string) (file, error)
	rename(from, to string) error
	remove(name string) error
	names() ([]string, error)
	size(name string) (int64, error)
	// abandoned reports whether nobody holds a file that a create made.
	abandoned(name string) bool
	// sync makes creations, renames and removals durable.
	sync() error
}

type file interface {
	io.ReadWriteCloser
	Sync() error
}

// A dir is a folder on disk. Errors name the path.
type dir string

func (d dir) path(name string) string { return filepath.Join(string(d), name) }

func (d dir) create(name string) (file, error) {
	// Before it is held a sweep of another process may take the file for abandoned,
	// hold it for a moment and remove it.
	var err error
	for range 3 {
		var f *os.File
		if f, err = os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return nil, err
		}
		if err = hold(f); err == nil {
			var mine, there fs.FileInfo
			if mine, err = f.Stat(); err == nil {
				if there, err = os.Lstat(d.path(name)); err == nil && os.SameFile(mine, there) {
					return f, nil
				}
			}
		}
		f.Close()
		os.Remove(d.path(name))
	}
	return nil, fmt.Errorf("cannot hold %s: %w", d.path(name), cmp.Or(err, fs.ErrNotExist))
}

func (d dir) open(name string) (file, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d dir) rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d dir) remove(name string) error { return os.Remove(d.path(name)) }

func (d dir) names() ([]string, error) {
	f, err := os.Open(string(d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (d dir) size(name string) (int64, error) {
	i, err := os.Lstat(d.path(name))
	if err != nil {
		return 0, err
	}
	return i.Size(), nil
}

func (d dir) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// makeDirs makes a folder and those that it is in, 0700, where they are missing.
// Each is made durable in the folder above it.
func makeDirs(path string, sync func(dir) error) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // openDir looks at what is there
	}
	above := filepath.Dir(filepath.Clean(path))
	if err := makeDirs(above, sync); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) { // another process may be as far
		return err
	}
	return sync(dir(above))
}

// openDir makes the folder if it is not there.
func openDir(path string) (dir, error) {
	if path == "" {
		return "", errors.New("no folder is named")
	}
	if err := makeDirs(path, dir.sync); err != nil {
		return "", err
	}
	i, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case !i.IsDir():
		return "", fmt.Errorf("%s is no folder", path)
	case i.Mode().Perm()&0o022 != 0:
		return "", fmt.Errorf("%s can be written by others (mode %04o)", path, i.Mode().Perm())
	}
	return dir(path), nil
}
