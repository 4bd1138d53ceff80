package release

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usedDir has an empty file for each mark that was used and may not have expired.
const usedDir = "released"

// slack is for how long after its expiry the use of a mark is remembered: a clock
// that is set back by less makes none good again.
const slack = 24 * time.Hour

// ErrFull is returned while as many marks are remembered as Options.MaxUsed.
var ErrFull = errors.New("release: too many marks were used")

// use takes note on disk that a mark is used, and returns errUsed where it was.
func (m *Marks) use(mk mark) error {
	state, err := os.OpenRoot(m.dir)
	if err != nil {
		return err
	}
	defer state.Close()
	dir, err := state.OpenRoot(usedDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := m.forget(dir); err != nil {
		return err
	}
	f, err := dir.OpenFile(fmt.Sprintf("%d-%s-%s", mk.expires, mk.ref, mk.nonce), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return errUsed
	case err != nil:
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syncDir(dir)
}

// forget removes what has expired, and returns ErrFull where too much is left.
func (m *Marks) forget(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	left := 0
	for _, name := range names {
		s, _, ok := strings.Cut(name, "-")
		expires, err := strconv.ParseInt(s, 10, 64)
		if !ok || err != nil {
			continue // not ours
		}
		if m.o.Now().Before(time.Unix(expires, 0).Add(slack)) {
			left++
		} else if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if left >= m.o.MaxUsed {
		return fmt.Errorf("%w: %d in %s", ErrFull, left, filepath.Join(m.dir, usedDir))
	}
	return nil
}
