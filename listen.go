package milter

import (
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

func listenFD(number string) (net.Listener, error) {
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("descriptor %q is no number", number)
	}
	f := os.NewFile(uintptr(n), "fd://"+number)
	if f == nil {
		return nil, fs.ErrInvalid
	}
	defer f.Close() // FileListener works on a copy
	return net.FileListener(f)
}

// listenUnix binds in a folder that only this process can enter, sets mode and
// owner there, and then moves the socket to its place.
func listenUnix(path string, o SocketOptions) (net.Listener, error) {
	uid, gid, err := o.ids()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".m")
	if err != nil {
		return nil, err
	}
	defer os.Remove(dir)
	private := filepath.Join(dir, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: private, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	mode := o.Mode
	if mode == 0 {
		mode = 0o660
	}
	err = os.Chmod(private, mode)
	if err == nil && (uid >= 0 || gid >= 0) {
		err = os.Chown(private, uid, gid)
	}
	var made fs.FileInfo
	if err == nil {
		made, err = os.Lstat(private)
	}
	if err == nil {
		err = moveSocket(private, path)
	}
	if err != nil {
		ln.Close()
		os.Remove(private)
		return nil, err
	}
	return &unixListener{UnixListener: ln, path: path, made: made}, nil
}

// moveSocket moves a socket to its place, unless somebody serves there. It holds
// a lock on the folder, so that of two servers that find a socket left over only
// one takes its place.
func moveSocket(private, path string) error {
	unlock, err := lockDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return err
	}
	return os.Rename(private, path)
}

// removeStale makes way for a socket at path. Anything but a socket that nobody
// serves stays, and is an error.
func removeStale(path string) error {
	info, err := os.Lstat(path)
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
	return os.Remove(path)
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
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
			os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}
