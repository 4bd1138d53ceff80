//go:build unix && !aix && !solaris && !illumos

package store

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lockFile takes the lock that bbolt takes, before bbolt reads the file. It is held until f is closed.
func lockFile(f *os.File, wait time.Duration) error {
	for until := time.Now().Add(wait); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case time.Now().After(until):
			return errLocked
		default:
			time.Sleep(min(20*time.Millisecond, wait))
		}
	}
}

// closeLocked closes a file that bbolt may still have mapped, which would keep the lock.
func closeLocked(f *os.File) error {
	syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	return f.Close()
}

const canLock = true
