//go:build unix

package config

import (
	"io/fs"
	"syscall"
)

const openNonblock = syscall.O_NONBLOCK

// fileOwner is whom a file belongs to, by number.
type fileOwner struct{ uid, gid int }

// ownerOf returns whom a file belongs to, and whether that is known.
func ownerOf(info fs.FileInfo) (o fileOwner, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok {
		o = fileOwner{int(st.Uid), int(st.Gid)}
	}
	return o, ok
}
