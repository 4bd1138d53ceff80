//go:build unix

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
	"strings"
	"sync"
	"syscall"
	"testing"
)

// listen listens and closes with the test.
func listen(t *testing.T, spec string, o SocketOptions) net.Listener {
	t.Helper()
	ln, err := Listen(spec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// reached reports whether a connection to addr arrives at ln.
func reached(t *testing.T, ln net.Listener, network, addr string) {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Errorf("dial %s: %v", addr, err)
		return
	}
	defer c.Close()
	s, err := ln.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	s.Close()
}

func TestListenSpellings(t *testing.T) {
	dir := t.TempDir()
	for i, prefix := range []string{"unix:", "local:", "", "UNIX:"} {
		path := filepath.Join(dir, strconv.Itoa(i))
		ln := listen(t, prefix+path, SocketOptions{})
		if ln.Addr().String() != path || ln.Addr().Network() != "unix" {
			t.Errorf("%s%s listens on %v", prefix, path, ln.Addr())
		}
		reached(t, ln, "unix", path)
	}
	for _, spec := range []string{"inet:0@127.0.0.1", "inet:0@[127.0.0.1]", "inet:0@localhost", "127.0.0.1:0", "inet:127.0.0.1:0", "inet:0"} {
		ln := listen(t, spec, SocketOptions{})
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		reached(t, ln, "tcp4", "127.0.0.1:"+port)
	}
	if ln, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Log("no IPv6 here:", err)
	} else {
		ln.Close()
		for _, spec := range []string{"inet6:0@[::1]", "inet6:0@[IPv6:::1]", "[::1]:0", "inet6:0"} {
			ln := listen(t, spec, SocketOptions{})
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			reached(t, ln, "tcp6", "[::1]:"+port)
		}
	}
	for _, spec := range []string{"", "unix:", "tcp:25", "inet:", "inet:25@", "inet:99999@127.0.0.1", "inet6:25@127.0.0.1", "fd:3", "fd://x", "8025", "inet:0@no.such.host.invalid"} {
		if ln, err := Listen(spec, SocketOptions{}); err == nil {
			ln.Close()
			t.Errorf("Listen(%q) listens on %v", spec, ln.Addr())
		} else if !strings.HasPrefix(err.Error(), "milter: ") {
			t.Errorf("Listen(%q) = %v", spec, err)
		}
	}
}

func TestListenOnDescriptor(t *testing.T) {
	dir := t.TempDir()
	for _, network := range []string{"unix", "tcp"} {
		addr := map[string]string{"unix": filepath.Join(dir, "s"), "tcp": "127.0.0.1:0"}[network]
		parent, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		fd := dup(t, parent.(interface{ File() (*os.File, error) })) // as systemd would leave it to us
		ln := listen(t, fmt.Sprintf("fd://%d", fd), SocketOptions{Mode: 0o777, Owner: "nobody there"})
		reached(t, ln, network, parent.Addr().String())
		ln.Close()
		if network == "unix" {
			if _, err := os.Lstat(addr); err != nil {
				t.Errorf("the parent's socket is gone: %v", err)
			}
		}
		parent.Close()
	}
}

// dup copies a descriptor as a parent would leave it to this process.
func dup(t *testing.T, f interface{ File() (*os.File, error) }) int {
	t.Helper()
	own, err := f.File()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	return dupFile(t, own)
}

func dupFile(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	return fd
}

func TestDescriptorCanBeTakenAgain(t *testing.T) {
	parent := listen(t, "127.0.0.1:0", SocketOptions{})
	fd := dup(t, parent.(*net.TCPListener))
	parent.Close()
	spec := fmt.Sprintf("fd://%d", fd)
	for range 3 {
		ln := listen(t, spec, SocketOptions{})
		reached(t, ln, "tcp", parent.Addr().String())
		ln.Close()
	}
	c, err := net.Dial("tcp", parent.Addr().String()) // while nobody has it
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ln := listen(t, spec, SocketOptions{})
	if s, err := ln.Accept(); err != nil || s.RemoteAddr().String() != c.LocalAddr().String() {
		t.Errorf("accepted %v, %v, want the connection that waited", s, err)
	} else {
		s.Close()
	}
}

func TestDescriptorsThatAreRefusedStay(t *testing.T) {
	own := listen(t, "127.0.0.1:0", SocketOptions{}).(*net.TCPListener)
	file, err := own.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	c, err := net.Dial("tcp", own.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	seq, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer seq.Close()
	for name, tt := range map[string]struct {
		fd   int
		want string
	}{
		"closed":             {987654, "bad file descriptor"},
		"a file":             {dupFile(t, null), "is no stream socket"},
		"a connection":       {dup(t, c.(*net.TCPConn)), "does not listen"},
		"a datagram socket":  {dup(t, u), "is no stream socket"},
		"a packet socket":    {dup(t, seq), "is no stream socket"},
		"this process's own": {int(file.Fd()), "was not handed over"},
	} {
		ln, err := Listen(fmt.Sprintf("fd://%d", tt.fd), SocketOptions{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("a descriptor that is %s: %v, %v, want %q", name, ln, err, tt.want)
		}
		if err := syscall.Fstat(tt.fd, new(syscall.Stat_t)); err != nil && name != "closed" {
			t.Errorf("a descriptor that is %s: %v afterwards", name, err)
		}
	}

	// Among all that are open are those of the runtime, which dies without them.
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("all that are open cannot be told: ", err)
	}
	for _, e := range open {
		path := "/proc/self/fd/" + e.Name()
		before, err := os.Readlink(path)
		if err != nil {
			continue // of reading the folder
		}
		if ln, err := Listen("fd://"+e.Name(), SocketOptions{}); err == nil {
			t.Errorf("listens on %s, which is %s", e.Name(), before)
			ln.Close()
		}
		if after, err := os.Readlink(path); after != before {
			t.Errorf("%s was %s and is %q, %v", e.Name(), before, after, err)
		}
	}
	reached(t, own, "tcp", own.Addr().String()) // the poller lives
}

// What systemd says it hands over is all that is taken, and that only if it says it
// to this process.
func TestListenFDS(t *testing.T) {
	parent := listen(t, "127.0.0.1:0", SocketOptions{})
	fd := dup(t, parent.(*net.TCPListener))
	me := strconv.Itoa(os.Getpid())
	for name, tt := range map[string]struct {
		pid, fds string
		want     string // "" if it listens
	}{
		"counted":           {me, strconv.Itoa(fd - 2), ""},
		"one too many":      {me, strconv.Itoa(fd - 3), "was not handed over"},
		"none":              {me, "0", "no descriptors were handed over"},
		"not a number":      {me, "x", "no descriptors were handed over"},
		"too many":          {me, "99999999999999999999", "no descriptors were handed over"},
		"for somebody else": {"1", "1", ""},
		"not said":          {"", "", ""},
	} {
		t.Setenv("LISTEN_PID", tt.pid)
		t.Setenv("LISTEN_FDS", tt.fds)
		ln, err := Listen(fmt.Sprintf("fd://%d", fd), SocketOptions{})
		if err == nil {
			ln.Close()
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// While root makes a socket in a folder of another user, that user puts links in the
// place of the folder in it. No file of root's becomes the user's.
func TestSocketInFolderOfSomebodyElse(t *testing.T) {
	const user = 12345
	if os.Getuid() != 0 {
		t.Skip("takes root")
	}
	dir := t.TempDir()
	victim, theirs := filepath.Join(dir, "victim"), filepath.Join(dir, "theirs")
	mine := filepath.Join(theirs, "mine")
	if err := errors.Join(os.WriteFile(victim, nil, 0o600), os.Mkdir(theirs, 0o755), os.Mkdir(mine, 0o755), os.Symlink(victim, filepath.Join(mine, "s")), os.Chown(theirs, user, user)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	// The folder is swapped when it has been opened, the worst time.
	p := privateFolder{dir: root, name: ".mx"}
	defer p.remove()
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(p.path(), filepath.Join(theirs, "away")), os.Symlink("mine", p.path())); err != nil {
		t.Fatal(err)
	}
	ln, made, err := p.listen(0o666, user, user)
	if err == nil {
		defer ln.Close()
		if now, err := os.Lstat(filepath.Join(theirs, "away", "s")); err != nil || !os.SameFile(made, now) || now.Sys().(*syscall.Stat_t).Uid != user {
			t.Errorf("the socket is %v, %v", now, err)
		}
	}
	info, err := os.Stat(victim)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of root's is %v of %d", info.Mode(), st.Uid)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(theirs, "other"), 0o700), os.Chown(filepath.Join(theirs, "other"), user, user)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(theirs, "other")); err != nil || isOurs(info) {
		t.Errorf("another's folder is ours: %v", err)
	}
}

func TestSocketMode(t *testing.T) {
	old := syscall.Umask(0o077) // what it says does not matter
	defer syscall.Umask(old)
	dir := t.TempDir()
	for _, tt := range []struct{ set, want fs.FileMode }{{0, 0o660}, {0o600, 0o600}, {0o666, 0o666}, {0o777, 0o777}} {
		path := filepath.Join(dir, tt.want.String())
		listen(t, path, SocketOptions{Mode: tt.set})
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != tt.want || info.Mode().Type() != fs.ModeSocket {
			t.Errorf("mode %v, want %v", info.Mode(), tt.want)
		}
	}
	onlySockets(t, dir, 4)
}

// onlySockets fails when something else than so many sockets is in a folder.
func onlySockets(t *testing.T, dir string, want int) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if e.Type() != fs.ModeSocket {
			t.Errorf("left over: %v", e)
		}
	}
	if len(left) != want {
		t.Errorf("%d files, want %d", len(left), want)
	}
}

func TestSocketOwner(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group := me.Gid // its number, if it has no name
	if g, err := user.LookupGroupId(me.Gid); err == nil {
		group = g.Name
	}
	type owner struct{ uid, gid string }
	cases := map[owner]SocketOptions{
		{me.Uid, me.Gid}: {Owner: me.Username, Group: group},
	}
	if os.Getuid() == 0 {
		cases[owner{"12345", me.Gid}] = SocketOptions{Owner: "12345"}
		cases[owner{me.Uid, "12345"}] = SocketOptions{Group: "12345"}
		cases[owner{"23456", "34567"}] = SocketOptions{Owner: "23456", Group: "34567"}
		if nobody, err := user.Lookup("nobody"); err == nil {
			cases[owner{nobody.Uid, me.Gid}] = SocketOptions{Owner: "nobody"}
		}
	}
	dir := t.TempDir()
	for want, o := range cases {
		path := filepath.Join(dir, "s"+want.uid+"-"+want.gid)
		listen(t, path, o)
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		if got := (owner{fmt.Sprint(st.Uid), fmt.Sprint(st.Gid)}); got != want {
			t.Errorf("%+v: owner %v, want %v", o, got, want)
		}
	}
	for _, o := range []SocketOptions{{Owner: "no such user"}, {Group: "no such group"}} {
		if ln, err := Listen(filepath.Join(dir, "x"), o); err == nil {
			ln.Close()
			t.Errorf("%+v: no error", o)
		}
	}
	onlySockets(t, dir, len(cases))
}

func TestSocketOfSomebodyElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	first := listen(t, path, SocketOptions{})
	if ln, err := Listen(path, SocketOptions{}); !errors.Is(err, ErrSocketInUse) {
		t.Errorf("Listen = %v, %v, want %v", ln, err, ErrSocketInUse)
	}
	look, err := first.Accept() // the second one's
	if err != nil {
		t.Fatal(err)
	}
	look.Close()
	reached(t, first, "unix", path) // still its own
}

func TestStaleSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	ln := listen(t, path, SocketOptions{})
	reached(t, ln, "unix", path)
	onlySockets(t, dir, 1)
}

func TestNoSocketInTheWay(t *testing.T) {
	dir := t.TempDir()
	file, link, sub := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "sub")
	if err := errors.Join(os.WriteFile(file, []byte("precious"), 0o600), os.Symlink(file, link), os.Mkdir(sub, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, sub} {
		if ln, err := Listen(path, SocketOptions{}); err == nil || !strings.Contains(err.Error(), "is no socket") {
			t.Errorf("Listen(%s) = %v, %v", path, ln, err)
		}
	}
	if b, err := os.ReadFile(link); err != nil || string(b) != "precious" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	if ln, err := Listen(filepath.Join(dir, "no", "such", "folder"), SocketOptions{}); err == nil {
		ln.Close()
		t.Error("listens in a folder that does not exist")
	}
	if ln, err := Listen(filepath.Join(file, "s"), SocketOptions{}); err == nil {
		ln.Close()
		t.Error("listens below a file")
	}
	if ln, err := Listen(filepath.Join(dir, strings.Repeat("x", 200)), SocketOptions{}); err == nil {
		t.Logf("a long path: %v", ln.Addr())
		ln.Close()
	}
}

func TestSocketIsRemovedOnClose(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	ln := listen(t, path, SocketOptions{})
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if err := ln.Close(); err == nil {
		t.Error("closed twice without an error")
	}
	onlySockets(t, dir, 0)
	// Not when it is another's by now.
	ln = listen(t, path, SocketOptions{})
	os.Remove(path)
	other := listen(t, path, SocketOptions{})
	ln.Close()
	reached(t, other, "unix", path)
}

// Of many that want a socket at once, one gets it in the end, and what is left
// over is its socket alone.
func TestManyListenAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var got []net.Listener
	for range 20 {
		wg.Go(func() {
			if ln, err := Listen(path, SocketOptions{}); err == nil {
				mu.Lock()
				got = append(got, ln)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	onlySockets(t, dir, 1)
	for _, ln := range got {
		ln.Close()
	}
	onlySockets(t, dir, 0)
}
