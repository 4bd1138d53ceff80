//go:build unix

package doctor

import "syscall"

var errRefused error = syscall.ECONNREFUSED
