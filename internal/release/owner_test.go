//go:build unix

package release

import (
	"fmt"
	"io/fs"
	"syscall"
)

// statText names the owner of a file.
func statText(i fs.FileInfo) string {
	if i == nil {
		return ""
	}
	st := i.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
}
