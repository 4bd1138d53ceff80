//go:build unix && !aix && !solaris && !illumos

package milter

import (
	"os"
	"syscall"
)

// lockDir takes the lock of a folder (flock(2)), waiting for it.
func lockDir(dir *os.Root) (unlock func(), err error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err {
		case nil:
			return func() { f.Close() }, nil
		case syscall.EINTR:
		default:
			f.Close()
			return nil, &os.PathError{Op: "flock", Path: dir.Name(), Err: err}
		}
	}
}
