//go:build unix

package config

import "syscall"

const openNonblock = syscall.O_NONBLOCK
