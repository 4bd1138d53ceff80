//go:build unix

package milter

import (
	"errors"
	"syscall"
)

// isRefused reports whether nobody listens on a unix socket.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
