package release

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// keyFile is the name of the key in the state folder.
const keyFile = "release.key"

const keySize = 32

// key returns the key. Where there is none it makes one; of several processes that
// do so at the same time one wins, and all get its key. It is read each time, so
// that removing the file makes all marks void.
func (m *Marks) key() ([]byte, error) {
	dir, err := os.OpenRoot(m.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	b, err := readKey(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeKey(dir); err == nil {
			b, err = readKey(dir)
		}
	}
	return b, err
}

func readKey(dir *os.Root) ([]byte, error) {
	f, err := dir.Open(keyFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	path := filepath.Join(dir.Name(), keyFile)
	i, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !i.Mode().IsRegular() || i.Size() != keySize:
		return nil, fmt.Errorf("%s is no key of %d bytes; remove it, and the next one is made", path, keySize)
	case i.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s can be read by others (mode %04o)", path, i.Mode().Perm())
	}
	b := make([]byte, keySize)
	_, err = io.ReadFull(f, b)
	return b, err
}

// makeKey makes a key that is there as a whole or not at all.
func makeKey(dir *os.Root) error {
	name := "." + keyFile + "." + rand.Text()
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer dir.Remove(name)
	b := make([]byte, keySize)
	rand.Read(b) // never fails
	if _, err = f.Write(b); err == nil {
		err = giveToOwner(f, dir)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	// A link fails where a rename would replace another's key.
	if err := dir.Link(name, keyFile); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
