//go:build unix

package milter

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// maxUnixPath is how many bytes the path of a unix socket may have (unix(7)).
const maxUnixPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// isRefused reports whether nobody listens on a unix socket.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// isOurs reports whether a file belongs to the user of this process.
func isOurs(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}
