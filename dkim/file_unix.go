//go:build unix

package dkim

import (
	"io/fs"
	"syscall"
)

// openNonblock keeps opening from waiting, as it would on a pipe.
const openNonblock = syscall.O_NONBLOCK

// ownerOf returns the number of the user whom a file belongs to.
func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
