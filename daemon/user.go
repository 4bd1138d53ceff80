package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
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

// goOnAs makes the folders that the daemon itself writes to, where they are missing,
// and gives up root for good. They belong to the user.
func (s *setup) goOnAs(u *user.User) error {
	if err := s.makeFoldersFor(u); err != nil {
		return fmt.Errorf("folder of user %s: %w", u.Username, err)
	}
	if err := becomeUser(u); err != nil {
		return fmt.Errorf("user %s: %w", u.Username, err)
	}
	for _, dir := range s.ownFolders() { // that are left
		if err := os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("folder of user %s: %w", u.Username, err)
		}
	}
	return nil
}

// ownFolders returns the folders that the daemon itself writes to.
func (s *setup) ownFolders() []string {
	folders := []string{s.config.StateDir}
	if c := s.config.Control.Socket; c != "" {
		folders = append(folders, filepath.Dir(c))
	}
	return folders
}

// makeFoldersFor makes, as root, those folders that the user cannot make. It leaves
// alone those on whose way somebody else than root can write: what root made there
// could be another file by the time it is given away.
func (s *setup) makeFoldersFor(u *user.User) error {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	for _, dir := range s.ownFolders() {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		if !onlyRoots(filepath.Dir(dir)) {
			continue
		}
		err = os.Mkdir(dir, 0o750)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = os.Lchown(dir, uid, gid)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// onlyRoots reports whether nobody but root can move or replace what is in a folder,
// nor the folder itself or a link that its path goes by.
// The path is absolute.
func onlyRoots(folder string) bool {
	const slash = string(filepath.Separator)
	at, ahead := slash, strings.Split(folder, slash)
	for links := 0; ; {
		info, err := os.Lstat(at)
		if err != nil {
			return false
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != 0 {
			return false
		}
		switch {
		case info.Mode().Type() == fs.ModeSymlink:
			to, err := os.Readlink(at)
			if links++; err != nil || links > 40 {
				return false
			}
			at = filepath.Dir(at)
			if filepath.IsAbs(to) {
				at = slash
			}
			ahead = append(strings.Split(to, slash), ahead...)
		case !info.IsDir():
			return false
		case info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0: // of the sticky, root's files stay
			return false
		}
		if len(ahead) == 0 {
			return true
		}
		at, ahead = filepath.Join(at, ahead[0]), ahead[1:]
	}
}
