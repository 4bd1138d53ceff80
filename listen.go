package milter

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// SocketOptions say who may connect to a unix socket. They are in force before
// anybody can. Other sockets ignore them.
type SocketOptions struct {
	// Mode is the socket's permissions; 0 means 0660. An MTA needs to write to it.
	Mode fs.FileMode
	// Owner and Group are names or numbers; "" leaves the process's own.
	Owner, Group string
}

// ErrSocketInUse is returned by Listen when another process serves the socket.
var ErrSocketInUse = errors.New("another process serves this socket")

// Listen listens on a socket. The spec is one of
//
//	unix:/path  local:/path  /path    a unix socket
//	inet:port@host  inet:port         IPv4
//	inet6:port@[host]  inet6:port     IPv6
//	host:port                         either
//	fd://N                            descriptor N, opened by systemd (socket
//	                                  activation, sd_listen_fds(3)) or another parent
//
// A unix socket that is left over is removed, but only if nobody listens on it.
// Closing the listener removes the socket it made.
//
// A descriptor has to be a stream socket that listens and that this process was
// started with: one of those that LISTEN_FDS counts, where LISTEN_PID names this
// process. Any other is refused and left alone. The listener works on a copy: after
// its Close the descriptor can be listened on again, and until then connections
// wait in it.
func Listen(spec string, o SocketOptions) (net.Listener, error) {
	network, address, err := wire.ParseAddr(spec)
	if err != nil {
		return nil, fmt.Errorf("milter: %w", err)
	}
	var ln net.Listener
	switch network {
	case "unix":
		ln, err = listenUnix(address, o)
	case "fd":
		ln, err = listenFD(address)
	default:
		ln, err = net.Listen(network, address)
	}
	if err != nil {
		return nil, fmt.Errorf("milter: listen on %s: %w", spec, err)
	}
	return ln, nil
}

// listenUnix binds in a folder that only this process can enter, sets mode and
// owner there, and then moves the socket to its place.
//
// It holds the folders open and goes by them, not by paths: the socket's folder may
// be somebody else's, who could put links in the place of what root made in it.
func listenUnix(path string, o SocketOptions) (net.Listener, error) {
	uid, gid, err := o.ids()
	if err != nil {
		return nil, err
	}
	folder, name := filepath.Split(path)
	switch {
	case name == "" || name == "." || name == "..":
		return nil, fmt.Errorf("%s names a folder", path)
	case len(path) > maxUnixPath:
		return nil, fmt.Errorf("%s is longer than %d bytes, and could not be connected to", path, maxUnixPath)
	}
	dir, err := os.OpenRoot(cmp.Or(folder, "."))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	p := privateFolder{dir: dir, name: ".m" + rand.Text()[:10]}
	defer p.remove()
	if err := p.open(); err != nil {
		return nil, err
	}
	ln, made, err := p.listen(cmp.Or(o.Mode, 0o660), uid, gid)
	if err != nil {
		return nil, err
	}
	if err := p.moveTo(name, path); err != nil {
		ln.Close()
		return nil, err
	}
	return &unixListener{UnixListener: ln, path: path, made: made}, nil
}

// A privateFolder is one that only this process can enter, in another folder. A socket
// is made in it that is called "s".
type privateFolder struct {
	dir  *os.Root
	name string   // in dir
	root *os.Root // nil while it is not open
}

// open makes the folder.
func (p *privateFolder) open() error {
	if err := p.dir.Mkdir(p.name, 0o700); err != nil {
		return err
	}
	root, err := p.dir.OpenRoot(p.name)
	if err != nil {
		return err
	}
	info, err := root.Stat(".")
	if err == nil && (info.Mode().Perm()&0o077 != 0 || !isOurs(info)) {
		err = fmt.Errorf("somebody put another folder in the place of %s", p.path())
	}
	if err != nil {
		root.Close()
		return err
	}
	p.root = root
	return nil
}

func (p *privateFolder) path() string { return filepath.Join(p.dir.Name(), p.name) }

// remove removes the folder and what is in it.
func (p *privateFolder) remove() {
	if p.root != nil {
		p.root.Remove("s")
		p.root.Close()
	}
	p.dir.Remove(p.name)
}

// listen makes the socket.
func (p *privateFolder) listen(mode fs.FileMode, uid, gid int) (ln *net.UnixListener, made fs.FileInfo, err error) {
	held, err := p.root.Open(".")
	if err != nil {
		return nil, nil, err
	}
	defer held.Close()
	ln, err = net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(heldPath(held, p.path()), "s"), Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	ln.SetUnlinkOnClose(false)
	if made, err = p.root.Lstat("s"); err == nil { // unless the path led elsewhere
		err = p.root.Chmod("s", mode)
	}
	if err == nil && (uid >= 0 || gid >= 0) {
		err = p.root.Lchown("s", uid, gid)
	}
	if err != nil {
		ln.Close()
		return nil, nil, err
	}
	return ln, made, nil
}

// heldPath returns a path of an open folder that leads to it whatever became of the
// one it was opened by, or else that one.
func heldPath(f *os.File, path string) string {
	held := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	now, err := os.Stat(held)
	if err != nil {
		return path
	}
	if then, err := f.Stat(); err != nil || !os.SameFile(then, now) {
		return path
	}
	return held
}

// moveTo moves the socket to its place, unless somebody serves there. It holds a lock
// on the folder, so that of two servers that find a socket left over only one takes
// its place.
func (p *privateFolder) moveTo(name, path string) error {
	unlock, err := lockDir(p.dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := removeStale(p.dir, name, path); err != nil {
		return err
	}
	return p.dir.Rename(p.name+"/s", name)
}

// removeStale makes way for a socket in a folder; path is for connecting to it.
// Anything but a socket that nobody serves stays, and is an error.
func removeStale(dir *os.Root, name, path string) error {
	info, err := dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is no socket", path)
	}
	c, err := net.DialTimeout("unix", path, 5*time.Second)
	if err == nil {
		c.Close()
		return ErrSocketInUse
	}
	if !isRefused(err) {
		return fmt.Errorf("%s exists, and whether it is served cannot be told: %w", path, err)
	}
	return dir.Remove(name)
}

// ids returns -1 for what is not to be changed.
func (o SocketOptions) ids() (uid, gid int, err error) {
	uid, gid = -1, -1
	if o.Owner != "" {
		if uid, err = strconv.Atoi(o.Owner); err != nil {
			u, err := user.Lookup(o.Owner)
			if err != nil {
				return 0, 0, err
			}
			if uid, err = strconv.Atoi(u.Uid); err != nil {
				return 0, 0, err
			}
		}
	}
	if o.Group != "" {
		if gid, err = strconv.Atoi(o.Group); err != nil {
			g, err := user.LookupGroup(o.Group)
			if err != nil {
				return 0, 0, err
			}
			if gid, err = strconv.Atoi(g.Gid); err != nil {
				return 0, 0, err
			}
		}
	}
	return uid, gid, nil
}

// A unixListener removes its socket when closed, unless somebody replaced it.
type unixListener struct {
	*net.UnixListener
	path string
	made fs.FileInfo
	once sync.Once
}

// Addr returns the path the socket was moved to.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close stops listening and removes the socket.
func (l *unixListener) Close() error {
	l.once.Do(func() {
		folder, name := filepath.Split(l.path)
		dir, err := os.OpenRoot(cmp.Or(folder, "."))
		if err != nil {
			return
		}
		defer dir.Close()
		if now, err := dir.Lstat(name); err == nil && os.SameFile(now, l.made) {
			dir.Remove(name)
		}
	})
	return l.UnixListener.Close()
}
