package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// Limits to what is read.
const (
	maxFile    = 4 << 20 // bytes of sendmail.cf
	maxOutput  = 4 << 20 // bytes of a program's output
	dialTime   = 2 * time.Second
	runTime    = 10 * time.Second
	outputCalm = 500 * time.Millisecond // of silence, after which Sendmail has listed all it was built with
)

// A host is the machine that is looked at.
type host interface {
	lstat(path string) (node, error)
	readlink(path string) (string, error)
	readFile(path string) ([]byte, error)
	account(name string) (account, error) // by name or number
	group(name string) (int, error)       // by name or number
	dial(ctx context.Context, network, address string) error
	// run returns what a program writes to its standard output. When enough is not
	// nil, the program is stopped once it has been silent for a while after enough
	// became true.
	run(ctx context.Context, program string, args []string, enough func([]byte) bool) ([]byte, error)
}

// A node is what lstat tells of a file.
type node struct {
	mode     fs.FileMode
	uid, gid int
	links    uint64
}

// An account is a user with all groups.
type account struct {
	name     string
	group    string // the name of gid, or its number
	uid, gid int
	groups   []int // gid is among them
}

// may reports whether the account may do with a file what want says, in the bits
// of "others": 4 read, 2 write, 1 search.
func (a account) may(n node, want fs.FileMode) bool {
	perm := n.mode.Perm()
	switch {
	case a.uid == 0:
		return true
	case a.uid == n.uid:
		perm >>= 6
	case slices.Contains(a.groups, n.gid):
		perm >>= 3
	}
	return perm&want == want
}

// machine is this one.
type machine struct{}

func (machine) readlink(path string) (string, error) { return os.Readlink(path) }

func (machine) readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no plain file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return b, err
}

func (machine) account(name string) (account, error) {
	u, err := user.Lookup(name)
	if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
		if byID, err := user.LookupId(name); err == nil {
			return accountOf(byID)
		}
	}
	if err != nil {
		return account{}, err
	}
	return accountOf(u)
}

func accountOf(u *user.User) (account, error) {
	ids, err := u.GroupIds()
	if err != nil {
		return account{}, err
	}
	a := account{name: u.Username, group: u.Gid}
	if g, err := user.LookupGroupId(u.Gid); err == nil {
		a.group = g.Name
	}
	for _, id := range append([]string{u.Gid}, ids...) {
		n, err := strconv.Atoi(id)
		if err != nil {
			return account{}, fmt.Errorf("group %q of %s is no number", id, u.Username)
		}
		a.groups = append(a.groups, n)
	}
	a.gid = a.groups[0]
	if a.uid, err = strconv.Atoi(u.Uid); err != nil {
		return account{}, fmt.Errorf("user %s has the number %q", u.Username, u.Uid)
	}
	return a, nil
}

func (machine) dial(ctx context.Context, network, address string) error {
	d := net.Dialer{Timeout: dialTime}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return c.Close()
}

func (machine) run(ctx context.Context, program string, args []string, enough func([]byte) bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = w, &limitedWriter{w: &said, left: 4 << 10}
	cmd.WaitDelay = time.Second
	err = cmd.Start()
	w.Close()
	if err != nil {
		return nil, err
	}
	out, full, calm := drain(ctx, r, enough)
	if full || calm {
		cancel()
	}
	switch err = cmd.Wait(); {
	case full:
		err = fmt.Errorf("%s: says more than %d bytes", program, maxOutput)
	case calm:
		err = nil
	case context.Cause(ctx) == context.DeadlineExceeded:
		err = fmt.Errorf("%s: did not end within %v", program, runTime)
	case err != nil:
		if text := bytes.TrimSpace(said.Bytes()); len(text) > 0 {
			err = fmt.Errorf("%s: %w: %s", program, err, text)
		} else {
			err = fmt.Errorf("%s: %w", program, err)
		}
	}
	return out, err
}

// drain reads what a program writes, until it ends, has said too much (full), or
// has said enough and is silent (calm).
func drain(ctx context.Context, r *os.File, enough func([]byte) bool) (out []byte, full, calm bool) {
	defer context.AfterFunc(ctx, func() { r.SetReadDeadline(time.Now()) })()
	chunk := make([]byte, 32<<10)
	for {
		n, err := r.Read(chunk)
		out = append(out, chunk[:n]...)
		switch {
		case len(out) > maxOutput:
			return out[:maxOutput], true, false
		case errors.Is(err, os.ErrDeadlineExceeded):
			return out, false, ctx.Err() == nil
		case err != nil:
			return out, false, false
		case enough != nil && enough(out) && ctx.Err() == nil:
			r.SetReadDeadline(time.Now().Add(outputCalm))
		}
	}
}

// A limitedWriter drops what is too much.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// fromRoot returns a path from the root on. "" stays.
func fromRoot(path string) (string, error) {
	if path == "" || filepath.IsAbs(path) {
		return path, nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("doctor: %w", err)
	}
	return abs, nil
}

// findProgram looks for a program in PATH and where systems put it beside.
func findProgram(name string, dirs ...string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	for _, dir := range dirs {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: it is neither in PATH nor in %q", name, dirs)
}

func (machine) group(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		if g, err = user.LookupGroupId(name); err != nil {
			return 0, err
		}
	}
	return strconv.Atoi(g.Gid)
}
