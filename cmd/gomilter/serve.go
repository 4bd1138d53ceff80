package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/examples/headerrules"
	"github.com/gomilter/gomilter/internal/wire"
)

type serveCmd struct {
	Socket    []string `required:"" placeholder:"SPEC" sep:"none" help:"Where MTAs find the filter. May be repeated."`
	Mode      string   `placeholder:"0660" help:"Permissions of a unix socket (default: 0660)."`
	Owner     string   `placeholder:"NAME" help:"Owner of a unix socket (default: the --user)."`
	Group     string   `placeholder:"NAME" help:"Group of a unix socket; the MTA should be in it."`
	User      string   `placeholder:"NAME" help:"Once the sockets are open, go on as this user."`
	AllowRoot bool     `help:"Go on as root, which a filter never needs."`
}

func (*serveCmd) Help() string {
	return `The sample filter refuses messages by a few rules on Subject, Message-ID and X-Mailer, refuses
mail to MAILER-DAEMON, and adds "X-Gomilter-Sample: passed" to the rest. One line per message
goes to standard error. SIGTERM, SIGINT and SIGHUP let running messages finish (30 s) and end
it; a second SIGTERM or SIGINT ends it at once.

A socket without a host, such as inet:8891, is open to everybody who can reach the machine;
inet:8891@127.0.0.1 is not.

    gomilter serve --socket unix:/run/gomilter/gomilter.sock --group postfix
    gomilter config postfix --socket unix:/run/gomilter/gomilter.sock`
}

func (c *serveCmd) Run(std stdio) error {
	mode, err := strconv.ParseUint(cmp.Or(c.Mode, "0660"), 8, 9)
	if err != nil {
		return exitf(exitUsage, "--mode %s: permissions are octal digits such as 0660", c.Mode)
	}
	if err := c.checkSockets(); err != nil {
		return exit(exitUsage, err)
	}
	if os.Geteuid() == 0 && c.User == "" && !c.AllowRoot {
		return exitf(exitPermission, "started as root; name a user to go on as with --user, or insist with --allow-root")
	}
	var as *user.User
	if c.User != "" {
		if as, err = user.Lookup(c.User); err != nil {
			return exitf(exitUsage, "--user: %w", err)
		}
	}
	log := newLog(std.err)
	ctx, stop := untilSignal()
	defer stop()

	var listeners []net.Listener
	defer func() {
		for _, ln := range listeners {
			ln.Close()
		}
	}()
	for _, spec := range c.Socket {
		ln, err := milter.Listen(spec, milter.SocketOptions{Mode: fs.FileMode(mode), Owner: cmp.Or(c.Owner, c.User), Group: c.Group})
		switch {
		case errors.Is(err, fs.ErrPermission):
			return exit(exitPermission, err)
		case isUnknown[user.UnknownUserError](err), isUnknown[user.UnknownGroupError](err):
			return exit(exitUsage, err)
		case errors.Is(err, syscall.EINVAL) && c.isUnix(spec):
			return exitf(exitUnavailable, "%w (its path may be too long)", err)
		case err != nil:
			return exit(exitUnavailable, err)
		}
		listeners = append(listeners, ln)
	}
	if as != nil {
		if err := becomeUser(as); err != nil {
			return exit(exitPermission, fmt.Errorf("--user %s: %w", c.User, err))
		}
	}

	srv := &milter.Server{New: headerrules.New(headerrules.Rules...), Log: log}
	ended := make(chan error, len(listeners))
	for i, ln := range listeners {
		log.Info("serving", "socket", c.Socket[i], "addr", ln.Addr())
		if everybody(ln.Addr()) {
			log.Warn("open to everybody who can reach this machine; name a host to listen on, as in inet:8891@127.0.0.1", "socket", c.Socket[i])
		}
		go func() { ended <- srv.Serve(ctx, ln) }()
	}
	signalled := ctx.Done()
	for running := len(listeners); running > 0; {
		select {
		case <-signalled:
			log.Info("stopping")
			signalled = nil
		case e := <-ended:
			running--
			if !errors.Is(e, milter.ErrServerClosed) && err == nil {
				err = e
				stop() // one socket is lost: stop them all, so that a supervisor starts anew
			}
		}
	}
	log.Info("stopped")
	return exit(exitUnavailable, err)
}

func (*serveCmd) isUnix(spec string) bool {
	network, _, _ := wire.ParseAddr(spec)
	return network == "unix"
}

// checkSockets tells of sockets that are none, that are named twice, and of flags
// that do not go with any of them.
func (c *serveCmd) checkSockets() error {
	seen := map[string]string{}
	unix := false
	for _, spec := range c.Socket {
		network, address, err := wire.ParseAddr(spec)
		if err != nil {
			return err
		}
		place := address // of all TCP networks: one of them is taken for another's
		switch network {
		case "unix":
			unix = true
			if place, err = filepath.Abs(address); err != nil {
				return err
			}
			if dir, err := filepath.EvalSymlinks(filepath.Dir(place)); err == nil {
				place = filepath.Join(dir, filepath.Base(place))
			}
		case "fd":
			place = "fd://" + address
		default:
			if _, port, _ := net.SplitHostPort(address); port == "0" {
				continue // any free one
			}
		}
		if before, ok := seen[place]; ok {
			return fmt.Errorf("--socket %s and --socket %s are the same", before, spec)
		}
		seen[place] = spec
	}
	for _, f := range []struct{ name, value string }{{"--mode", c.Mode}, {"--owner", c.Owner}, {"--group", c.Group}} {
		if f.value != "" && !unix {
			return fmt.Errorf("%s is for unix sockets, and no --socket is one", f.name)
		}
	}
	return nil
}

// everybody reports whether a listener takes connections at all addresses.
func everybody(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && (len(tcp.IP) == 0 || tcp.IP.IsUnspecified())
}

func isUnknown[E error](err error) bool { _, ok := errors.AsType[E](err); return ok }

// becomeUser gives up root for good.
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

func newLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
