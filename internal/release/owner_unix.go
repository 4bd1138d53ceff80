//go:build unix

package release

import (
	"os"
	"syscall"
)

// giveToOwner gives what root made in a folder to the folder's owner: the daemon
// runs as that user, whoever of the two comes first. The file is open, as another
// may be in its place already.
func giveToOwner(f *os.File, dir *os.Root) error {
	if os.Geteuid() != 0 {
		return nil
	}
	i, err := dir.Stat(".")
	if err != nil {
		return err
	}
	if st, ok := i.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
		return f.Chown(int(st.Uid), int(st.Gid))
	}
	return nil
}
