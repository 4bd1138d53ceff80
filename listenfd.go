//go:build unix && !aix && !solaris && !illumos

package milter

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// listenFD listens on a copy of a descriptor that this process was started with. The
// descriptor itself it leaves open, whatever it is.
func listenFD(number string) (net.Listener, error) {
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("descriptor %q is no number", number)
	}
	fd := int(n)
	if err := checkHandedOver(fd); err != nil {
		return nil, err
	}
	syscall.ForkLock.RLock()
	own, err := syscall.Dup(fd)
	if err == nil {
		syscall.CloseOnExec(own)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, os.NewSyscallError("dup", err))
	}
	if err := checkListens(own); err != nil {
		syscall.Close(own)
		return nil, fmt.Errorf("descriptor %d %w", fd, err)
	}
	f := os.NewFile(uintptr(own), "fd://"+number)
	defer f.Close() // FileListener works on a copy, too
	return net.FileListener(f)
}

// checkHandedOver returns an error for a descriptor that did not come from the parent
// of this process.
func checkHandedOver(fd int) error {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) { // sd_listen_fds(3)
		const first = 3
		count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
		switch {
		case err != nil || count < 1:
			return fmt.Errorf("no descriptors were handed over: LISTEN_FDS is %q", os.Getenv("LISTEN_FDS"))
		case fd < first || fd-first >= count:
			return fmt.Errorf("descriptor %d was not handed over: LISTEN_FDS is %d, and the first is %d", fd, count, first)
		}
	}
	// What Go opens is closed on exec, and what came over an exec is not.
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
	if errno == 0 && flags&syscall.FD_CLOEXEC != 0 {
		return fmt.Errorf("descriptor %d was not handed over: this process opened it itself", fd)
	}
	return nil
}

// checkListens returns an error for what is no stream socket that listens.
func checkListens(fd int) error {
	kind, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
	if err == syscall.ENOTSOCK || err == nil && kind != syscall.SOCK_STREAM {
		return errors.New("is no stream socket")
	}
	listens := 0
	if err == nil {
		listens, err = syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	}
	switch {
	case err != nil:
		return os.NewSyscallError("getsockopt", err)
	case listens == 0:
		return errors.New("is a socket that does not listen")
	}
	return nil
}
