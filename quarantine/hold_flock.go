//go:build unix && !aix && !solaris && !illumos

package quarantine

import (
	"os"
	"syscall"
)

// hold marks a file as in use until it is closed, at the latest when the process ends.
func hold(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

func (d dir) abandoned(name string) bool {
	f, err := os.Open(d.path(name))
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
