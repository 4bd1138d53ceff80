package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/gomilter/gomilter/internal/wire"
)

// CheckMachine tells what serving the configuration would fail on, on the machine and as the
// user that this runs on: a user or group that is not there, and a folder of a socket or the log
// that is not there or is none. What the daemon makes by itself may be missing: state_dir, the folder
// of the originals and, with a user to go on as, that of the control socket. A folder below /run
// that is missing is a warning. It looks, and opens or changes nothing.
func (c *Config) CheckMachine() Problems {
	m := &machine{c: c}
	if c.User != "" {
		if _, err := user.Lookup(c.User); err != nil {
			m.bad("user", "%s; add it with: useradd --system --home-dir / --shell /usr/sbin/nologin %s", lookupError("user", c.User, err), c.User)
		}
	}
	for i, l := range c.Listeners {
		key := element("listener", i)
		if _, err := strconv.Atoi(l.Owner); l.Owner != "" && err != nil {
			if _, err := user.Lookup(l.Owner); err != nil {
				m.bad(key+".owner", "%s", lookupError("user", l.Owner, err))
			}
		}
		if _, err := strconv.Atoi(l.Group); l.Group != "" && err != nil {
			if _, err := user.LookupGroup(l.Group); err != nil {
				m.bad(key+".group", "%s", lookupError("group", l.Group, err))
			}
		}
		m.socket(key+".socket", l.Socket)
	}
	if c.HTTP.Listen != "" {
		m.socket("http.listen", c.HTTP.Listen)
	}
	if c.Log.To != "stderr" && c.Log.To != "syslog" {
		m.folder("log.to", filepath.Dir(c.Log.To))
		if info, err := os.Stat(c.Log.To); err == nil && info.IsDir() {
			m.bad("log.to", "%s is a folder; name a file in it", c.Log.To)
		}
	}
	m.parent("state_dir", c.StateDir)
	if dir := filepath.Dir(c.Control.Socket); c.Control.Socket != "" && c.User != "" {
		m.parent("control.socket", dir)
	} else if c.Control.Socket != "" {
		m.folder("control.socket", dir)
	}
	if info, err := os.Stat(c.Kept.Dir); c.Kept.Enabled && err == nil && !info.IsDir() {
		m.bad("kept.dir", "%s is no folder", c.Kept.Dir)
	}
	return m.problems.sorted(nil)
}

// A machine collects what is wrong with the machine that a configuration is for.
type machine struct {
	c        *Config
	problems Problems
}

func (m *machine) bad(key, format string, args ...any) {
	m.problems = append(m.problems, m.c.places.of(key).problem(key, format, args...))
}

// lookupError says what is wrong with a name.
func lookupError(what, name string, err error) string {
	_, noUser := errors.AsType[user.UnknownUserError](err)
	_, noGroup := errors.AsType[user.UnknownGroupError](err)
	if noUser || noGroup {
		return fmt.Sprintf("there is no %s %q on this machine", what, name)
	}
	return err.Error()
}

// socket looks for the folder of a unix socket.
func (m *machine) socket(key, spec string) {
	network, address, err := wire.ParseAddr(spec)
	if err != nil || network != "unix" {
		return
	}
	m.folder(key, filepath.Dir(address))
}

// parent looks for a folder that the daemon makes where the one above is there.
func (m *machine) parent(key, dir string) {
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		m.bad(key, "%s is no folder", dir)
	case errors.Is(err, fs.ErrNotExist):
		m.folder(key, filepath.Dir(dir))
	}
}

// folder looks for a folder that has to be there. One below /run that is missing is a warning
// only: it is gone while the service is stopped, where that makes it.
func (m *machine) folder(key, dir string) {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		owner := ""
		if m.c.User != "" {
			owner = "-o " + m.c.User + " "
		}
		m.bad(key, "there is no folder %s on this machine; make it with: install -d %s%s", dir, owner, dir)
		if above := filepath.Dir(dir); above == "/run" || above == "/var/run" {
			p := &m.problems[len(m.problems)-1]
			p.Warning = true
			p.Text += ", or let the service make it (RuntimeDirectory of systemd)"
		}
	case err != nil: // what whoever asks may not see, the daemon may
	case !info.IsDir():
		m.bad(key, "%s is no folder", dir)
	}
}
