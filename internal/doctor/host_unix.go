//go:build unix

package doctor

import (
	"errors"
	"os"
	"syscall"
)

func (machine) lstat(path string) (node, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return node{}, err
	}
	n := node{mode: st.Mode(), uid: -1, gid: -1, links: 1}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		n.uid, n.gid, n.links = int(sys.Uid), int(sys.Gid), uint64(sys.Nlink)
	}
	return n, nil
}

// isRefused reports whether nobody listens where a connection was tried.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
