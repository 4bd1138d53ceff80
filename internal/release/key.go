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
	path := filepath.Join(m.dir, keyFile)
	b, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = m.makeKey(path); err == nil {
			b, err = readKey(path)
		}
	}
	return b, err
}

func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
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
func (m *Marks) makeKey(path string) (err error) {
	f, err := os.CreateTemp(m.dir, "."+keyFile+".") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	b := make([]byte, keySize)
	rand.Read(b) // never fails
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = giveToOwner(f.Name(), m.dir)
	}
	if err != nil {
		return err
	}
	// A link fails where a rename would replace another's key.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(m.dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
