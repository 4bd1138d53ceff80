//go:build unix

package release

import (
	"os"
	"syscall"
)

// giveToOwner gives what root made in a folder to the folder's owner: the daemon
// runs as that user, whoever of the two comes first.
func giveToOwner(path, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	i, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if st, ok := i.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
		return os.Lchown(path, int(st.Uid), int(st.Gid))
	}
	return nil
}
