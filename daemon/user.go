package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// becomeUser gives up root for good: the process goes on as the user, in the
// user's groups. It does nothing for a process that is the user's already.
func becomeUser(u *user.User) error {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	if uid == os.Geteuid() {
		return nil
	}
	names, err := u.GroupIds()
	if err != nil {
		return err
	}
	groups := make([]int, 0, len(names))
	for _, n := range names {
		if id, err := strconv.Atoi(n); err == nil {
			groups = append(groups, id)
		}
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("setgid: %w", err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("setuid: %w", err)
	}
	return nil
}

// makeFolders makes the folders that the daemon itself writes to, where they are
// missing, for the user that it is going to be.
func (s *setup) makeFolders(as *user.User) error {
	folders := []string{s.config.StateDir}
	if c := s.config.Control.Socket; c != "" {
		folders = append(folders, filepath.Dir(c))
	}
	for _, dir := range folders {
		err := os.Mkdir(dir, 0o750)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			var uid, gid int
			if uid, err = strconv.Atoi(as.Uid); err == nil {
				if gid, err = strconv.Atoi(as.Gid); err == nil {
					err = os.Chown(dir, uid, gid)
				}
			}
		}
		if err != nil {
			return fmt.Errorf("folder of user %s: %w", as.Username, err)
		}
	}
	return nil
}
